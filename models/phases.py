"""Phases: what the agent does for how long. What they mean in numbers, for the engines, is in models/rows.py; protocols, which
string phases together, are in foraging_snn/protocols.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from foraging_snn.environments import TASKS, ParticleType, Task, find_task

KINDS = ("unsupervised", "train", "test", "sleep")
NAMES_IN_FILES = {"T1": "task1", "T2": "task2"}  # the paper's tasks, as trial files have always called them


@dataclass(frozen=True)
class Activity:
    """What happens in one epoch: `Activity.UNSUPERVISED`, `Activity.train("T1")`, `Activity.test("T1")`, `Activity.SLEEP`,
    `Activity.UNIFORM_SLEEP`.

    Parameters
    ----------
    kind : {"unsupervised", "train", "test", "sleep"}
        In sleep there is no food, no flash, no motor control, and hidden cells are activated at random; in a test nothing is
        plastic.
    task : Task, optional
        The task that is trained or tested; it must be in the table of tasks.
    uniform : bool
        Sleep in which all hidden cells are activated with the same probability.

    Raises
    ------
    ValueError
        One line: there is no such activity.
    """

    kind: str
    task: Task | None = None
    uniform: bool = False

    UNSUPERVISED: ClassVar["Activity"]
    SLEEP: ClassVar["Activity"]
    UNIFORM_SLEEP: ClassVar["Activity"]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"activity: kind {self.kind!r} given, allowed are {', '.join(KINDS)}")
        if (self.kind in ("train", "test")) != isinstance(self.task, Task):
            raise ValueError(f"activity: task {self.task!r} given, allowed is a Task to train or to test, else none")
        if self.uniform not in (False, True) or (self.uniform and not self.is_sleep):
            raise ValueError(f"activity: uniform {self.uniform!r} given, allowed are True or False in sleep, else False")
        if self.task:
            _ = self.task.slot  # refuses a task that is not in the table

    @classmethod
    def train(cls, task: Task | str | int) -> "Activity":
        """Training of a task: the task, its name ("T1") or its number (1)."""
        return cls("train", find_task(task))

    @classmethod
    def test(cls, task: Task | str | int) -> "Activity":
        """Test of a task: the task, its name ("T1") or its number (1)."""
        return cls("test", find_task(task))

    @property
    def name(self) -> str:
        """As shown on screen and in the legend of trial files, e.g. "train-task1", "sleep", "uniform-sleep"."""
        if self.task:
            return f"{self.kind}-{NAMES_IN_FILES.get(self.task.name, self.task.name)}"
        return f"uniform-{self.kind}" if self.uniform else self.kind

    @property
    def is_sleep(self) -> bool:
        """No food, no flash, no motor control; hidden cells are activated at random."""
        return self.kind == "sleep"

    @property
    def is_test(self) -> bool:
        """No plasticity, no homeostasis."""
        return self.kind == "test"

    @property
    def trained_task(self) -> Task | None:
        """The task that is trained, None in tests and elsewhere."""
        return None if self.is_test else self.task

    @property
    def particle_types(self) -> tuple[ParticleType, ...]:
        """The types of food in the world."""
        if self.is_sleep:
            return ()
        return self.task.types if self.task else tuple(ParticleType)


Activity.UNSUPERVISED = Activity("unsupervised")
Activity.SLEEP = Activity("sleep")
Activity.UNIFORM_SLEEP = Activity("sleep", uniform=True)


def all_activities() -> tuple[Activity, ...]:
    """Every activity there is with the present table of tasks; with the paper's two tasks, in the order of numbers in files."""
    trained, tested = ([make(task) for task in TASKS.values()] for make in (Activity.train, Activity.test))
    return (Activity.UNSUPERVISED, *trained, *tested, Activity.SLEEP, Activity.UNIFORM_SLEEP)


def _is_count(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


@dataclass(frozen=True)
class Block:
    """A stretch of one activity inside a phase.

    Parameters
    ----------
    activity : Activity
    epochs : int
        Its length, >= 1.

    Raises
    ------
    ValueError
        One line: something else was given.
    """

    activity: Activity
    epochs: int

    def __post_init__(self) -> None:
        if not isinstance(self.activity, Activity):
            raise ValueError(
                f"block: activity {self.activity!r} given, allowed is an Activity such as Activity.train('T1') or Activity.SLEEP"
            )
        if not _is_count(self.epochs):
            raise ValueError(f"block of {self.activity.name}: {self.epochs!r} epochs given, allowed is a whole number from 1")


def _is_change(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], bool | int | float)


@dataclass(frozen=True)
class Phase:
    """One piece of a protocol.

    Parameters
    ----------
    name : str
        As shown in tables and files, e.g. "T1", "I(S,T2)", "test T1".
    blocks : tuple of Block
        One activity, or any number that take turns, the first named first.
    epochs : int
        Length of the phase, >= 1.
    freeze_fraction : float
        Freeze this share of the strongest excitatory inputs of every output cell when the phase begins, in [0, 1).
    dropout : bool
        Remove the hidden cells one by one, evenly over the phase.
    changes : tuple of (str, value)
        Parameters that have another value in this phase than in the rest of the trial, by their dotted names, e.g.
        (("reward.punished", -0.5),).

    Raises
    ------
    ValueError
        One line: something else was given.
    """

    name: str
    blocks: tuple[Block, ...]
    epochs: int
    freeze_fraction: float = 0.0
    dropout: bool = False
    changes: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.blocks, tuple) or not self.blocks or not all(isinstance(block, Block) for block in self.blocks):
            raise ValueError(f"phase {self.name}: blocks {self.blocks!r} given, allowed is a tuple of one or more Block")
        if not _is_count(self.epochs):
            raise ValueError(f"phase {self.name}: {self.epochs!r} epochs given, allowed is a whole number from 1")
        if not 0.0 <= self.freeze_fraction < 1.0:
            raise ValueError(f"phase {self.name}: freeze fraction {self.freeze_fraction} given, allowed is 0 <= p < 1")
        if not isinstance(self.changes, tuple) or not all(_is_change(change) for change in self.changes):
            raise ValueError(f"phase {self.name}: changes {self.changes!r} given, allowed is a tuple of names with numbers")

    @property
    def activities(self) -> tuple[Activity, ...]:
        """The activities of its blocks."""
        return tuple(block.activity for block in self.blocks)

    @property
    def is_test(self) -> bool:
        """Nothing is plastic in it."""
        return all(activity.is_test for activity in self.activities)

    @property
    def is_unsupervised(self) -> bool:
        """Input-to-hidden synapses are plastic in it."""
        return Activity.UNSUPERVISED in self.activities

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([block.epochs for block in self.blocks])

    def schedule(self, phase_epochs: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whose turn it is: the only place that knows how blocks take turns.

        Parameters
        ----------
        phase_epochs : (n,) int
            Epochs of the phase, from 0.

        Returns
        -------
        block : (n,) int64
            Number of the block that each belongs to.
        begins : (n,) bool
            Whether the block begins with it; the world is drawn anew then. A phase of one block begins once.
        """
        epochs = np.asarray(phase_epochs, np.int64)
        if len(self.blocks) == 1:
            return np.zeros_like(epochs), epochs == 0
        within = epochs % self._ends[-1]
        block = np.searchsorted(self._ends, within, side="right")
        return block, within == np.concatenate(([0], self._ends))[block]

    def block_at(self, phase_epoch: int) -> tuple[Activity, bool]:
        """The activity of an epoch of the phase, and whether a block begins with it (the world is drawn anew then)."""
        block, begins = self.schedule([phase_epoch])
        return self.blocks[int(block[0])].activity, bool(begins[0])

    def awake(self, phase_epochs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Whether the agent is awake in these epochs of the phase, (n,) bool."""
        return ~np.array([activity.is_sleep for activity in self.activities])[self.schedule(phase_epochs)[0]]

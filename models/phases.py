"""Phases: what the agent does for how long. They live beside the engines, which run them; protocols, which string phases
together, are in foraging_snn/protocols.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from foraging_snn.environments import TASK_1, TASK_2, ParticleType, Task


class Activity(Enum):
    """What happens in one epoch."""

    UNSUPERVISED = "unsupervised"
    TRAIN_TASK_1 = "train-task1"
    TRAIN_TASK_2 = "train-task2"
    TEST_TASK_1 = "test-task1"
    TEST_TASK_2 = "test-task2"
    SLEEP = "sleep"
    UNIFORM_SLEEP = "uniform-sleep"

    @property
    def is_sleep(self) -> bool:
        """No food, no flash, no motor control; hidden cells are activated at random."""
        return self in (Activity.SLEEP, Activity.UNIFORM_SLEEP)

    @property
    def is_test(self) -> bool:
        """No plasticity, no homeostasis."""
        return self in (Activity.TEST_TASK_1, Activity.TEST_TASK_2)

    @property
    def task(self) -> Task | None:
        """The task that is trained or tested."""
        return {
            Activity.TRAIN_TASK_1: TASK_1,
            Activity.TEST_TASK_1: TASK_1,
            Activity.TRAIN_TASK_2: TASK_2,
            Activity.TEST_TASK_2: TASK_2,
        }.get(self)

    @property
    def trained_task(self) -> Task | None:
        """The task that is trained, None in tests and elsewhere."""
        return None if self.is_test else self.task

    @property
    def particle_types(self) -> tuple[ParticleType, ...]:
        """The types of food in the world."""
        if self.is_sleep:
            return ()
        return (self.task.rewarded, self.task.punished) if self.task else tuple(ParticleType)


class Block(NamedTuple):
    """A stretch of one activity inside a phase."""

    activity: Activity
    epochs: int


@dataclass(frozen=True)
class Phase:
    """One piece of a protocol.

    Parameters
    ----------
    name : str
        As shown in tables and files, e.g. "T1", "I(S,T2)", "test T1".
    blocks : tuple of one or two Block
        One activity, or two that alternate, the first named first.
    epochs : int
        Length of the phase, >= 1.
    freeze_fraction : float
        Freeze this share of the strongest excitatory inputs of every output cell when the phase begins, in [0, 1).
    dropout : bool
        Remove the hidden cells one by one, evenly over the phase.
    """

    name: str
    blocks: tuple[Block, ...]
    epochs: int
    freeze_fraction: float = 0.0
    dropout: bool = False

    def __post_init__(self) -> None:
        if len(self.blocks) not in (1, 2) or any(block.epochs < 1 for block in self.blocks):
            raise ValueError(f"phase {self.name}: allowed are one or two blocks of at least one epoch")
        if self.epochs < 1:
            raise ValueError(f"phase {self.name}: {self.epochs} epochs given, allowed is at least 1")
        if not 0.0 <= self.freeze_fraction < 1.0:
            raise ValueError(f"phase {self.name}: freeze fraction {self.freeze_fraction} given, allowed is 0 <= p < 1")

    @property
    def activities(self) -> tuple[Activity, ...]:
        """Its one or two activities."""
        return tuple(block.activity for block in self.blocks)

    @property
    def is_test(self) -> bool:
        """Nothing is plastic in it."""
        return all(activity.is_test for activity in self.activities)

    @property
    def is_unsupervised(self) -> bool:
        """Input-to-hidden synapses are plastic in it."""
        return Activity.UNSUPERVISED in self.activities

    def block_at(self, phase_epoch: int) -> tuple[Activity, bool]:
        """The activity of an epoch of the phase, and whether a block begins with it (the world is drawn anew then)."""
        if len(self.blocks) == 1:
            return self.blocks[0].activity, phase_epoch == 0
        first, second = self.blocks
        position = phase_epoch % (first.epochs + second.epochs)
        if position < first.epochs:
            return first.activity, position == 0
        return second.activity, position == first.epochs

    def awake(self, phase_epochs: Sequence[int] | np.ndarray) -> np.ndarray:
        """Whether the agent is awake in these epochs of the phase, (n,) bool."""
        first, last = self.blocks[0], self.blocks[-1]
        position = np.asarray(phase_epochs, np.int64) % sum(block.epochs for block in self.blocks)
        return np.where(position < first.epochs, not first.activity.is_sleep, not last.activity.is_sleep)

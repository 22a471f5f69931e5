"""Phases: what the agent does for how long. What they mean in numbers, for the engines, is in models/rows.py; protocols, which
string phases together, are in foraging_snn/protocols.py."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from foraging_snn.environments import PAPER_PARTICLES, TASKS, Particle, Task, find_task
from foraging_snn.models.between import AppliedRule, Rule
from foraging_snn.models.parameters import ParameterError, Parameters

KINDS = ("unsupervised", "train", "test", "sleep")
NAMES_IN_FILES = {"T1": "task1", "T2": "task2"}  # the paper's tasks, as trial files have always called them
MAX_PATTERNS = 100_000  # kept of a task; a state of more would not fit into memory

Cue = Mapping["Task | str | int", float] | Iterable["Task | str | int"] | Task | str | int
S = TypeVar("S")


def _changed_fields(self: object) -> str:
    """As a dataclass shows itself, but without fields that have their default: a further field changes no text, and no key."""
    shown = [(each.name, getattr(self, each.name), each.default) for each in fields(self)]  # type: ignore[arg-type]
    parts = ", ".join(f"{name}={value!r}" for name, value, default in shown if value != default)
    return f"{type(self).__name__}({parts})"


@dataclass(frozen=True)
class Activity:
    """What happens in one epoch: `Activity.UNSUPERVISED`, `Activity.train("T1")`, `Activity.test("T1")`, `Activity.sleep(...)`,
    `Activity.SLEEP`, `Activity.UNIFORM_SLEEP`, `Activity.unsupervised(...)` in a world of other particles than the paper's four.

    Parameters
    ----------
    kind : {"unsupervised", "train", "test", "sleep"}
        In sleep there is no food, no flash, no motor control, and hidden cells are activated at random; in a test nothing is
        plastic.
    task : Task, optional
        The task that is trained or tested; it must be in the table of tasks of the parameters with which it is run.
    uniform, cue, patterns, selective
        Of sleep, see :meth:`sleep`; `cue` is a tuple of pairs of a task and its weight.
    particles : tuple of Particle
        What grows in the unsupervised phase; elsewhere the task says that.

    Raises
    ------
    ValueError
        One line: there is no such activity.
    """

    kind: str
    task: Task | None = None
    uniform: bool = False
    cue: tuple[tuple[Task, float], ...] = ()
    patterns: int = 0
    selective: bool = False
    particles: tuple[Particle, ...] = ()

    __repr__ = _changed_fields

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
        self._check_sleep()
        types = self.particles
        if not isinstance(types, tuple) or not all(isinstance(each, Particle) for each in types) or len(set(types)) < len(types):
            raise ValueError(f"activity: particles {types!r} given, allowed is a tuple of different Particle")
        if (self.kind == "unsupervised") != bool(types):
            raise ValueError(f"activity: particles {types!r} given, allowed are some in the unsupervised phase, else none")

    def _check_sleep(self) -> None:
        if not self.is_sleep and (self.cue or self.patterns or self.selective):
            raise ValueError(f"activity: {self.kind} with a cue or patterns given, allowed are they in sleep")
        weights = [weight for _, weight in self.cue]
        if not all(isinstance(weight, Real) and 0.0 <= weight < math.inf for weight in weights) or (weights and not any(weights)):
            raise ValueError(f"sleep: cue with weights {weights} given, allowed are numbers from 0, at least one above 0")
        if len({task for task, _ in self.cue}) < len(self.cue):
            raise ValueError(f"sleep: cue {', '.join(task.name for task, _ in self.cue)} given, allowed is each task once")
        if not (self.patterns == 0 or _is_count(self.patterns)) or self.patterns > MAX_PATTERNS:
            raise ValueError(
                f"sleep: patterns {self.patterns!r} given, allowed is a whole number from 1 to {MAX_PATTERNS}, or none"
            )
        if self.selective not in (False, True) or (self.selective and not self.patterns):
            raise ValueError(f"sleep: selective {self.selective!r} given, allowed are True or False with patterns, else False")
        if self.uniform and self.patterns:
            raise ValueError("sleep: uniform and patterns given, allowed is one of them")

    @classmethod
    def sleep(cls, *, cue: Cue | None = None, uniform: bool = False, patterns: int = 0, selective: bool = False) -> "Activity":
        """Sleep: no food, no flash, no motor control; hidden cells are activated at random.

        Parameters
        ----------
        cue : mapping of task to weight, or tasks, optional
            Which tasks are reactivated, and with what weight (targeted reactivation); all trained so far with the same weight if
            omitted. Tasks are given as themselves, those of the package also by name or number. Weights are relative; those of
            tasks that were not trained are left out, and if that leaves none, no cell is activated.
        uniform : bool
            All hidden cells with the same probability, the mean over the layer.
        patterns : int
            0: each cell for itself, with the probability that the tasks' rates give. Else in each epoch the cells of one hidden
            pattern, of the last so many that were kept of a task in training (`Phase.keep_patterns`); the weights are then those
            with which the task is drawn.
        selective : bool
            These are patterns that led to a reward.

        Raises
        ------
        ValueError
            One line: something else was given.
        """
        return cls("sleep", None, uniform, _cue_of(cue), patterns, selective)

    @classmethod
    def unsupervised(cls, particles: Iterable[Particle]) -> "Activity":
        """The unsupervised phase in a world of these types of particle; see :func:`unsupervised_particles`."""
        return cls("unsupervised", particles=tuple(particles))

    @classmethod
    def train(cls, task: Task | str | int) -> "Activity":
        """Training of a task: the task, or the name ("T1") or the number (1) of one of the package."""
        return cls("train", find_task(task))

    @classmethod
    def test(cls, task: Task | str | int) -> "Activity":
        """Test of a task: the task, or the name ("T1") or the number (1) of one of the package."""
        return cls("test", find_task(task))

    @property
    def name(self) -> str:
        """As shown on screen and in the legend of trial files, e.g. "train-task1", "sleep", "sleep(T1:0.8,T2:0.2)"."""
        if self.task:
            return f"{self.kind}-{NAMES_IN_FILES.get(self.task.name, self.task.name)}"
        if self.particles not in ((), PAPER_PARTICLES):
            return f"{self.kind}-{'+'.join(particle.name.replace(' ', '.') for particle in self.particles)}"
        details = [f"{task.name}:{weight!r}" for task, weight in self.cue]
        details += [f"patterns={self.patterns}"] if self.patterns else []
        details += ["selective"] if self.selective else []
        return f"{'uniform-' if self.uniform else ''}{self.kind}" + (f"({','.join(details)})" if details else "")

    @property
    def is_sleep(self) -> bool:
        """No food, no flash, no motor control; hidden cells are activated at random."""
        return self.kind == "sleep"

    @property
    def is_unsupervised(self) -> bool:
        """Input-to-hidden synapses are plastic; nothing is rewarded."""
        return self.kind == "unsupervised"

    @property
    def is_test(self) -> bool:
        """No plasticity, no homeostasis."""
        return self.kind == "test"

    @property
    def trained_task(self) -> Task | None:
        """The task that is trained, None in tests and elsewhere."""
        return None if self.is_test else self.task

    @property
    def particle_types(self) -> tuple[Particle, ...]:
        """The types of food in the world."""
        return self.task.particles if self.task else self.particles

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that it names: the one trained or tested, or those of a cue."""
        return (self.task,) if self.task else tuple(task for task, _ in self.cue)


def _cue_of(given: Cue | None) -> tuple[tuple[Task, float], ...]:
    if given is None:
        return ()
    if isinstance(given, Mapping):
        weights = dict(given)
    else:
        weights = dict.fromkeys((given,) if isinstance(given, (Task, str, int)) else given, 1.0)
    if not weights:
        raise ValueError("sleep: cue without a task given, allowed is at least one task; without a cue it is all trained so far")
    return tuple((find_task(task), float(w) if isinstance(w, Real) else w) for task, w in weights.items())


Activity.UNSUPERVISED = Activity.unsupervised(PAPER_PARTICLES)
Activity.SLEEP = Activity.sleep()
Activity.UNIFORM_SLEEP = Activity.sleep(uniform=True)


def sleep_named(name: str, tasks: Mapping[str, Task] = TASKS) -> Activity:
    """The sleep of which :attr:`Activity.name` is this, with tasks of a table; ValueError if there is none."""
    kind, _, inside = name.removesuffix(")").partition("(")
    details = [detail for detail in inside.split(",") if detail]
    try:
        cue = {tasks[task]: float(weight) for task, colon, weight in (detail.partition(":") for detail in details) if colon}
        patterns = sum(int(detail.removeprefix("patterns=")) for detail in details if detail.startswith("patterns="))
        found = Activity.sleep(
            cue=cue or None, uniform=kind == "uniform-sleep", patterns=patterns, selective="selective" in details
        )
    except (KeyError, ValueError):
        found = None
    if found is None or found.name != name:
        raise ValueError(f"activity: {name!r} given, allowed is the name of a kind of sleep")
    return found


def all_activities(tasks: Iterable[Task] = tuple(TASKS.values())) -> tuple[Activity, ...]:
    """Every activity there is with these tasks, but for the unsupervised phase in other worlds than the paper's and other sleep."""
    trained, tested = ([make(task) for task in tasks] for make in (Activity.train, Activity.test))
    return (Activity.UNSUPERVISED, *trained, *tested, Activity.SLEEP, Activity.UNIFORM_SLEEP)


def activity_named(name: str, parameters: Parameters) -> Activity:
    """The activity of which :attr:`Activity.name` is this, with the tasks and the types of particle of these parameters.

    Raises
    ------
    ValueError
        One line: there is none.
    """
    known = {activity.name: activity for activity in all_activities(parameters.tasks.values())}
    if name in known:
        return known[name]
    kind, _, names = name.partition("-")
    types = [parameters.particles.get(each.replace(".", " ")) for each in names.split("+")]
    try:
        if kind == "unsupervised" and None not in types:
            return Activity.unsupervised(each for each in types if each)
        return sleep_named(name, parameters.tasks)
    except ValueError:
        raise ValueError(f"activity {name!r} is not known here, only {', '.join(known)} and kinds of sleep") from None


def unsupervised_particles(parameters: Parameters, tasks: Iterable[Task] = ()) -> tuple[Particle, ...]:
    """Which types of particle grow in the unsupervised phase of a protocol: the only place that decides it.

    Those of `phases.unsupervised_types`; if it is empty those of the paper and of the tasks of the protocol. In the order of their
    numbers.

    Parameters
    ----------
    parameters : Parameters
    tasks : iterable of Task
        Those that the protocol trains or tests.

    Raises
    ------
    ParameterError
        The world is too small for so many types, here or in one of the tasks, or a task is not in the table of the parameters.
    """
    tasks = [parameters.task(task) for task in tasks]
    table, names = list(parameters.particles.values()), parameters.phases.unsupervised_types
    of_tasks = (particle for task in tasks for particle in task.particles)
    wanted = {parameters.particles[name] for name in names} if names else {*PAPER_PARTICLES, *of_tasks}
    chosen = tuple(particle for particle in table if particle in wanted)
    for where, types in (*((task.name, task.particles) for task in tasks), ("unsupervised phase", chosen)):
        try:
            parameters.check_world_of(types)
        except ValueError as error:
            raise ParameterError(f"{error} ({where})") from None
    return chosen


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
    keep_patterns : int
        Keep the hidden patterns of so many epochs, the last of each task that is trained, in the state, for sleep; 0: none.
    selective : bool
        Of these, only the patterns that led to a reward.
    rules : tuple of Rule or AppliedRule
        What is done between epochs besides, see :mod:`foraging_snn.models.between`.

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
    keep_patterns: int = 0
    selective: bool = False
    rules: tuple[AppliedRule, ...] = ()

    __repr__ = _changed_fields

    def __post_init__(self) -> None:
        if not isinstance(self.blocks, tuple) or not self.blocks or not all(isinstance(block, Block) for block in self.blocks):
            raise ValueError(f"phase {self.name}: blocks {self.blocks!r} given, allowed is a tuple of one or more Block")
        if not _is_count(self.epochs):
            raise ValueError(f"phase {self.name}: {self.epochs!r} epochs given, allowed is a whole number from 1")
        if not 0.0 <= self.freeze_fraction < 1.0:
            raise ValueError(f"phase {self.name}: freeze fraction {self.freeze_fraction} given, allowed is 0 <= p < 1")
        if not isinstance(self.changes, tuple) or not all(_is_change(change) for change in self.changes):
            raise ValueError(f"phase {self.name}: changes {self.changes!r} given, allowed is a tuple of names with numbers")
        self._check_patterns()
        self._check_rules()

    def _check_patterns(self) -> None:
        if not (self.keep_patterns == 0 or _is_count(self.keep_patterns)) or self.keep_patterns > MAX_PATTERNS:
            raise ValueError(
                f"phase {self.name}: keep_patterns {self.keep_patterns!r} given, allowed is a whole number from 0 to {MAX_PATTERNS}"
            )
        if self.selective not in (False, True) or (self.selective and not self.keep_patterns):
            raise ValueError(f"phase {self.name}: selective {self.selective!r} given, allowed is it with patterns to keep")
        if self.keep_patterns and not any(activity.trained_task for activity in self.activities):
            raise ValueError(f"phase {self.name}: patterns to keep given, allowed are they where a task is trained")

    def _check_rules(self) -> None:
        if not isinstance(self.rules, tuple) or not all(isinstance(rule, (Rule, AppliedRule)) for rule in self.rules):
            raise ValueError(f"phase {self.name}: rules {self.rules!r} given, allowed is a tuple of Rule")
        if self.rules and self.is_test:
            raise ValueError(f"phase {self.name}: rules given, allowed are they where something is plastic")
        applied = tuple(rule.applied if isinstance(rule, Rule) else rule for rule in self.rules)
        if len({rule.name for rule in applied}) < len(applied):
            raise ValueError(f"phase {self.name}: rules {', '.join(rule.name for rule in applied)} given, allowed is each once")
        object.__setattr__(self, "rules", applied)

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
        return any(activity.is_unsupervised for activity in self.activities)

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


def keeping_patterns(steps: Iterable[S]) -> list[S]:
    """The steps of a protocol, with patterns kept in the training phases up to the last sleep that shows them.

    Parameters
    ----------
    steps : iterable
        Phases; what is no phase is left as it is.

    Raises
    ------
    ValueError
        One line: sleep shows selective patterns in one phase, others in another.
    """
    steps = list(steps)
    shown = {n: a for n, step in enumerate(steps) if isinstance(step, Phase) for a in step.activities if a.patterns}
    if not shown:
        return steps
    if len({activity.selective for activity in shown.values()}) > 1:
        raise ValueError("sleep: patterns with and without selective given, allowed is one of them in a protocol")
    most, selective = max(a.patterns for a in shown.values()), next(iter(shown.values())).selective
    return [
        replace(step, keep_patterns=most, selective=selective)
        if n <= max(shown) and isinstance(step, Phase) and any(a.trained_task for a in step.activities)
        else step
        for n, step in enumerate(steps)
    ]

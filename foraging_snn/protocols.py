"""Protocols as data: an experiment is a sequence of phases that branches off a shared trunk.

`experiments(parameters)` gives the catalogue. Experiments with the same first steps share them: a trial trains Task 1 once and
branches from that state. What a phase does to a state is in models/.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from foraging_snn.models import Activity, Block, Parameters, Phase, keeping_patterns, with_elastic


class ExperimentError(ValueError):
    """Unknown experiment; the message is one line."""


@dataclass(frozen=True)
class ImportRates:
    """Take over the hidden spike counts of a task from another experiment of the same trial, for use as sleep noise.

    Parameters
    ----------
    task : int
        1 or 2.
    steps : tuple
        The steps, from the start of the trial, after which the counts are taken.
    """

    task: int
    steps: tuple["Step", ...]


Step = Phase | ImportRates


@dataclass(frozen=True)
class PublishedValue:
    """Performance in the paper: mean and standard deviation over trials."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f}"


@dataclass(frozen=True)
class Experiment:
    """One row of the catalogue.

    Attributes
    ----------
    name : str
        On the command line.
    label : str
        As in the paper, e.g. "T1 -> T2 -> I(S,T1)".
    figure : str
        Figure of the paper.
    steps : tuple of Phase or ImportRates
        From the start of the trial, tests included.
    published : tuple of two PublishedValue, or None
        Task 1 and Task 2 performance after the last phase.
    """

    name: str
    label: str
    figure: str
    steps: tuple[Step, ...]
    published: tuple[PublishedValue, PublishedValue] | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Its phases in order."""
        return tuple(step for step in self.steps if isinstance(step, Phase))


class _Builder:
    """The phases of the catalogue for one set of parameters."""

    def __init__(self, parameters: Parameters):
        self.parameters = parameters

    def _epochs(self, length: str) -> int:
        return self.parameters.aeons(length) * self.parameters.timing.epochs_per_aeon

    def _phase(self, name: str, length: str, *activities: Activity, **options: Any) -> Phase:
        sleep, awake = self.parameters.sleep.block_epochs, self.parameters.phases.block_epochs
        blocks = tuple(Block(activity, sleep if activity.is_sleep else awake) for activity in activities)
        return Phase(name, blocks, self._epochs(length), **options)

    @property
    def unsupervised(self) -> Phase:
        return self._phase("unsupervised", "unsupervised", Activity.UNSUPERVISED)

    @property
    def tests(self) -> tuple[Phase, Phase]:
        return (
            self._phase("test T1", "test", Activity.test("T1")),
            self._phase("test T2", "test", Activity.test("T2")),
        )

    def train(self, task: int, again: bool = False, freeze: float = 0.0) -> tuple[Phase, ...]:
        """Train one task, then test both."""
        length = "retraining" if again else "training"
        phase = self._phase(f"T{task}", length, Activity.train(task), freeze_fraction=freeze)
        return (phase, *self.tests)

    def interleave(self, first: str, second: str) -> tuple[Phase, ...]:
        """Alternate two activities, named as in I(S,T2), then test both. Interleaved sleep begins with a training block."""
        sleep = {"S": Activity.SLEEP, "uniform S": Activity.UNIFORM_SLEEP}
        order = (second, first) if first in sleep else (first, second)
        activities = (sleep.get(name) or Activity.train(name) for name in order)
        return (self._phase(f"I({first},{second})", "interleaved", *activities), *self.tests)

    def dropout(self, task: int) -> Phase:
        return self._phase(f"dropout T{task}", "dropout", Activity.test(task), dropout=True)


def experiments(parameters: Parameters) -> dict[str, Experiment]:
    """The catalogue: every experiment of the paper, by name, with phase lengths from `parameters`."""
    build = _Builder(parameters)
    naive = (build.unsupervised,)
    t1 = (*naive, *build.train(1))
    t2 = (*naive, *build.train(2))
    t1_t2 = (*t1, *build.train(2, again=True))

    def row(name: str, label: str, figure: str, steps: tuple[Step, ...], *values: float) -> Experiment:
        published = (PublishedValue(*values[:2]), PublishedValue(*values[2:])) if values else None
        steps = tuple(with_elastic(keeping_patterns(steps), parameters))
        return Experiment(name, label, figure, steps, published)

    rows = [
        row("task1", "T1", "1B", t1, 0.70, 0.02, 0.53, 0.02),
        row("task2", "T2", "1C", t2, 0.51, 0.02, 0.71, 0.02),
        row("sequential", "T1 -> T2", "3A,B", t1_t2, 0.52, 0.02, 0.69, 0.03),
        row("interleaved", "T1 -> I(T1,T2)", "3C,D", (*t1, *build.interleave("T1", "T2")), 0.68, 0.03, 0.65, 0.04),
        row("sleep", "T1 -> I(S,T2)", "3E,F", (*t1, *build.interleave("S", "T2")), 0.70, 0.03, 0.68, 0.05),
        row("sequential-sleep", "T1 -> T2 -> I(S,T1)", "4A,B", (*t1_t2, *build.interleave("S", "T1")), 0.69, 0.02, 0.67, 0.03),
        row(
            "sequential-interleaved", "T1 -> T2 -> I(T1,T2)", "S5", (*t1_t2, *build.interleave("T1", "T2")), 0.65, 0.03, 0.67, 0.04
        ),
        row("naive-sleep", "naive -> I(S,T1)", "S4A,B", (*naive, ImportRates(2, t2[:2]), *build.interleave("S", "T1"))),
        row("task1-sleep", "T1 -> I(S,T1)", "S4C,D", (*t1, *build.interleave("S", "T1"))),
        row("uniform-sleep", "T1 -> I(uniform S,T2)", "S4E,F", (*t1, *build.interleave("uniform S", "T2"))),
    ]
    rows += [
        row(
            f"freeze-{percent}",
            f"T1 -> freeze top {percent} % -> T2",
            "S6",
            (*t1, *build.train(2, again=True, freeze=percent / 100)),
        )
        for percent in (1, 5, 10)
    ]
    rows += [
        row(f"dropout-{task}", f"T{task} -> hidden cells removed", "S2", (*trained, build.dropout(task)))
        for task, trained in ((1, t1), (2, t2))
    ]
    return {experiment.name: experiment for experiment in rows}


def experiment(name: str, parameters: Parameters) -> Experiment:
    """The experiment `name` of the catalogue.

    Raises
    ------
    ExperimentError
        Unknown name.
    """
    catalogue = experiments(parameters)
    if name not in catalogue:
        near = get_close_matches(name, catalogue, n=1, cutoff=0.5)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        raise ExperimentError(f"experiment: {name!r} given, allowed are {', '.join(catalogue)}{suggestion}")
    return catalogue[name]

"""From recorded trials to labelled results: performance in every test, over trials, beside the paper's value.

Pure functions; how a table looks on the screen is in cli.py.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from foraging_snn.models import Parameters, Phase, preset
from foraging_snn.protocols import PublishedValue, experiments
from foraging_snn.recording import Trial

FREE_GROUP = "recording."  # what is kept of a trial does not change it


class TableError(ValueError):
    """Trials that do not belong into one table; the message is one line."""


@dataclass(frozen=True)
class ResultRow:
    """One test of an experiment, over trials.

    Attributes
    ----------
    after : str
        The phase before the tests, e.g. "I(S,T2)".
    task : int
        The task that was tested, 1 or 2.
    performances : tuple of float
        Rewarded / (rewarded + punished), one per trial; NaN where nothing was eaten.
    published : PublishedValue or None
        The paper's value of this test.
    """

    after: str
    task: int
    performances: tuple[float, ...]
    published: PublishedValue | None = None

    @property
    def eaten(self) -> tuple[float, ...]:
        """The performances that are numbers."""
        return tuple(value for value in self.performances if not math.isnan(value))

    @property
    def mean(self) -> float | None:
        """Mean over trials; None if nothing was eaten in any."""
        return mean(self.eaten) if self.eaten else None

    @property
    def sd(self) -> float | None:
        """Standard deviation of the sample (n - 1); None for fewer than two trials."""
        return stdev(self.eaten) if len(self.eaten) > 1 else None


@dataclass(frozen=True)
class ResultTable:
    """All tests of one experiment.

    Attributes
    ----------
    experiment, label : str
        Name in the catalogue, and as in the paper.
    trials : int
    conditions : tuple of str
        Under what conditions: preset, what is shortened, start state, engine.
    rows : tuple of ResultRow
        In the order of the tests.
    """

    experiment: str
    label: str
    trials: int
    conditions: tuple[str, ...]
    rows: tuple[ResultRow, ...]


def result_tables(trials: Sequence[Trial]) -> list[ResultTable]:
    """One table per experiment, in the order in which they first appear.

    Parameters
    ----------
    trials : sequence of Trial
        Complete ones.

    Raises
    ------
    TableError
        Trials of one experiment differ in parameters (other than those of recording), in start state or in phases, or
        two of them have the same seed.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.experiment, []).append(trial)
    return [_table(group) for group in groups.values()]


def _table(trials: list[Trial]) -> ResultTable:
    first = trials[0]
    for trial in trials[1:]:
        _check_alike(first, trial)
    _check_seeds(trials)
    results = [trial.test_results() for trial in trials]
    last = results[0][-1].after if results[0] else ""
    known = experiments(first.parameters).get(first.experiment)
    published = known.published if known else None
    rows = tuple(
        ResultRow(
            tests[0].after,
            tests[0].task,
            tuple(test.performance for test in tests),
            published[tests[0].task - 1] if published and tests[0].after == last else None,
        )
        for tests in zip(*results, strict=True)
    )
    engines = sorted({trial.engine for trial in trials})
    conditions = (
        *run_conditions(first.parameters, (p.phase for p in first.phases), first.started_from),
        f"engine {', '.join(engines)}",
    )
    return ResultTable(first.experiment, first.label, len(trials), conditions, rows)


def _check_alike(first: Trial, other: Trial) -> None:
    where = f"{first.path} and {other.path}: both are {first.experiment}, but"
    if first.parameters.preset != other.parameters.preset:
        raise TableError(f"{where} one has the preset {first.parameters.preset}, the other {other.parameters.preset}")
    different = [line for line in first.parameters.differences(other.parameters) if not line.startswith(FREE_GROUP)]
    if different:
        raise TableError(f"{where} their parameters differ: {'; '.join(different)}")
    if first.started_from != other.started_from:
        raise TableError(f"{where} they do not start from the same state")
    if [phase.name for phase in first.phases] != [phase.name for phase in other.phases]:
        raise TableError(f"{where} their phases differ")


def _check_seeds(trials: list[Trial]) -> None:
    seen: dict[int, Trial] = {}
    for trial in trials:
        if trial.seed in seen:
            raise TableError(
                f"{seen[trial.seed].path} and {trial.path}: the same trial of {trial.experiment}, seed {trial.seed}, twice"
            )
        seen[trial.seed] = trial


def run_conditions(parameters: Parameters, phases: Iterable[Phase], started_from: str | None) -> tuple[str, ...]:
    """What a reader of a result has to know: preset, what is shorter than in the paper, what else differs, start state.

    Parameters
    ----------
    parameters : Parameters
    phases : iterable of Phase
        Those that are run.
    started_from : str or None
        What stood in for the unsupervised phase.
    """
    lines = [f"preset {parameters.preset}"]
    if shorter := shortened_lengths(parameters, phases):
        lines.append(f"shortened: {', '.join(shorter)} aeons")
    if changed := changed_rules(parameters):
        lines.append(f"changed: {', '.join(changed)}")
    if started_from:
        lines.append(f"no unsupervised phase; all trials start with one network: {started_from}")
    return tuple(lines)


def shortened_lengths(parameters: Parameters, phases: Iterable[Phase]) -> list[str]:
    """Kinds of phases that are run and are shorter than at full length: "training 2000 of 50000"."""
    full = preset("full")
    pairs = [(length, parameters.aeons(length), full.aeons(length)) for length in _lengths_in_use(phases)]
    return [f"{length} {here} of {there}" for length, here, there in pairs if here < there]


def _lengths_in_use(phases: Iterable[Phase]) -> dict[str, None]:
    """Which lengths of parameters.Phases these phases have, in their order."""
    lengths: dict[str, None] = {}
    for phase in phases:
        if phase.is_unsupervised:
            length = "unsupervised"
        elif phase.is_test:
            length = "dropout" if phase.dropout else "test"
        elif len(phase.activities) > 1:
            length = "interleaved"
        else:
            length = "retraining" if "training" in lengths else "training"
        lengths[length] = None
    return lengths


def changed_rules(parameters: Parameters) -> list[str]:
    """Parameters other than lengths and recording that are not those of the paper: "sleep.pulse 0.03 instead of 0.025"."""
    full = {row.name: row.value for row in preset("full").rows()}
    rows = [row for row in parameters.rows() if not row.name.startswith(FREE_GROUP) and not _is_length(row.name)]
    return [f"{row.name} {row.value} instead of {full[row.name]}" for row in rows if row.value != full[row.name]]


def _is_length(name: str) -> bool:
    return name == "phases.scale" or name.startswith("phases.") and name.endswith("_aeons")

"""Results of the experiments with networks without spikes: accuracies over seeds, against the first condition, measures, cost.

Pure functions on runs that were read from files; tables as text.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from foraging_snn.analysis.continual import Measure, PerformanceMatrix, measures
from foraging_snn.analysis.statistics import Difference, Summary, compare_paired, summarise
from foraging_snn.files.artificial import FORMAT_NAME, Condition, ImageRun, read_image_run
from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.reader import AnalysisError

COLUMNS = (
    "condition",
    ">accuracy, %",
    ">95 % interval",
    ">minus {first}",
    ">p",
    ">seeds",
    ">updates",
    ">sleep steps",
    ">CPU s",
    ">asleep",
)
MEASURE_COLUMNS = ("condition", "measure", ">mean ± sd", ">95 % interval", ">seeds")
INCREMENTAL = "ann-incremental"


@dataclass(frozen=True, eq=False)  # its arrays have no one answer
class ConditionResult:
    """One condition over seeds.

    Attributes
    ----------
    name : str
    accuracy : (seeds, rows, columns) float64
        Share of the test images given their class, among all classes.
    awake : (seeds, rows, columns) float64
        The same before the sleep that belongs to the row; NaN without one.
    conditions : tuple of Condition
        What the files hold, by seed.
    against_first : Difference or None
        Of the mean accuracy, paired by seed; None for the first condition.
    """

    name: str
    accuracy: np.ndarray
    awake: np.ndarray
    conditions: tuple[Condition, ...]
    against_first: Difference | None

    def final(self, incremental: bool) -> np.ndarray:
        """Mean accuracy of each seed: over tasks after the last one, or over all rows and columns, (seeds,)."""
        return mean_accuracy(self.accuracy, incremental)


@dataclass(frozen=True)
class ImageResults:
    """One experiment on one set of images with one set of settings.

    Attributes
    ----------
    runs : tuple of ImageRun
        By seed.
    """

    runs: tuple[ImageRun, ...]

    @property
    def first(self) -> ImageRun:
        """The run of the lowest seed."""
        return self.runs[0]

    @property
    def is_incremental(self) -> bool:
        """Rows are times, and tasks come one after the other."""
        return self.first.experiment == INCREMENTAL

    @cached_property
    def conditions(self) -> tuple[ConditionResult, ...]:
        """Every condition that all or some of the seeds have."""
        names = list(dict.fromkeys(name for run in self.runs for name in run.planned))
        found: list[ConditionResult] = []
        for name in names:
            having = [run for run in self.runs if name in run.conditions]
            if not having:
                continue
            conditions = tuple(run.conditions[name] for run in having)
            accuracy, awake = (np.array([each.arrays[key] for each in conditions]) for key in ("accuracy", "awake"))
            found.append(ConditionResult(name, accuracy, awake, conditions, self._against(found, names[0], having, accuracy)))
        return tuple(found)

    def _against(self, found: list[ConditionResult], first: str, having: list[ImageRun], accuracy: np.ndarray) -> Difference | None:
        if not found or found[0].name != first:
            return None
        both = [run for run in having if first in run.conditions]
        ours = mean_accuracy(accuracy[[having.index(run) for run in both]], self.is_incremental)
        theirs = mean_accuracy(np.array([run.conditions[first].arrays["accuracy"] for run in both]), self.is_incremental)
        return compare_paired(ours, theirs) if both else None

    def measures(self, condition: ConditionResult) -> tuple[Measure, ...]:
        """Measures of continual learning of a condition of tasks in a sequence; none where only the end was tested."""
        if not self.is_incremental or np.isnan(condition.accuracy).any():
            return ()
        n_tasks = len(self.first.columns)
        chance = 1.0 / condition.conditions[0].arrays["confusion"].shape[0]
        matrix = PerformanceMatrix(self.first.rows, tuple(range(1, n_tasks + 1)), tuple(range(n_tasks)), condition.accuracy)
        return measures(matrix, chance=chance)


def mean_accuracy(accuracy: np.ndarray, incremental: bool) -> np.ndarray:
    """Of each seed, (seeds,), from (seeds, rows, columns): over tasks after the last one, or over all rows and columns."""
    return accuracy[:, -1].mean(axis=1) if incremental else accuracy.mean(axis=(1, 2))


def image_results(sources: Sequence[Path]) -> list[ImageResults]:
    """What is in some folders and files.

    Raises
    ------
    RecordingError
        A file cannot be read.
    AnalysisError
        There is none, or a seed stands there twice.
    """
    paths = [path for source in sources for path in (sorted(source.glob("*.h5")) if source.is_dir() else [source])]
    named = {source.resolve() for source in sources}
    runs = [read_image_run(path) for path in paths if path.resolve() in named or format_of(path) == FORMAT_NAME]
    if not runs:
        raise AnalysisError(f"{', '.join(map(str, sources))}: no result of `foraging-snn ann run` in it")
    groups: list[list[ImageRun]] = []
    for run in runs:
        group = next((group for group in groups if not group[0].unlike(run)), None)
        if group is None:
            groups.append(group := [])
        if any(run.seed == other.seed for other in group):
            raise AnalysisError(f"{run.experiment} on {run.data}: seed {run.seed} is there twice, allowed is each seed once")
        group.append(run)
    return [ImageResults(tuple(sorted(group, key=lambda run: run.seed))) for group in groups]


# ----------------------------------------------------------------------------------------------------------------------- tables


def heading(results: ImageResults) -> tuple[str, ...]:
    """The columns of the table of an experiment; those that begin with ">" are numbers."""
    return tuple(column.format(first=results.conditions[0].name) for column in COLUMNS)


def cells(results: ImageResults, condition: ConditionResult) -> tuple[str, ...]:
    """The cells of a condition, under :func:`heading`."""
    final = summarise(condition.final(results.is_incremental))
    steps = [int(each.arrays["sleep_steps"].sum()) for each in condition.conditions]
    seconds, asleep = (np.mean([getattr(each, name) for each in condition.conditions]) for name in ("seconds", "seconds_asleep"))
    against = condition.against_first
    return (
        condition.name,
        percent(final),
        interval(final),
        "" if against is None else _signed(against),
        "" if against is None or against.test is None else f"{against.test.p_value:.3g}",
        str(final.n),
        f"{condition.conditions[0].updates:,}",
        f"{steps[0]:,}" if steps[0] else "",
        f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}",
        (f"{asleep:.0f}" if asleep >= 10 else f"{asleep:.1f}") if steps[0] else "",
    )


def cells_of_rows(results: ImageResults, condition: ConditionResult) -> list[tuple[str, ...]]:
    """Mean accuracy in %, a line per row with a cell per column; before a sleep in brackets."""
    lines = []
    for k, row in enumerate(results.first.rows):
        after, before = condition.accuracy[:, k].mean(axis=0), condition.awake[:, k].mean(axis=0)
        if np.isnan(after).all():
            continue
        pairs = zip(after.tolist(), before.tolist(), strict=True)
        found = [f"{100 * a:.1f}" + ("" if np.isnan(b) else f" ({100 * b:.1f})") for a, b in pairs]
        lines.append((condition.name, row, *found))
    return lines


def cells_of_measures(results: ImageResults, condition: ConditionResult) -> list[tuple[str, ...]]:
    """The cells of measures of continual learning, under `MEASURE_COLUMNS`."""
    return [
        (condition.name, each.name, percent(each.summary), interval(each.summary), str(each.summary.n))
        for each in results.measures(condition)
    ]


def percent(summary: Summary) -> str:
    """Mean ± sd in %."""
    if summary.mean is None:
        return ""
    return f"{100 * summary.mean:.1f}" + ("" if summary.sd is None else f" ± {100 * summary.sd:.1f}")


def interval(summary: Summary) -> str:
    """95 % interval in %."""
    return "" if summary.interval is None else f"{100 * summary.interval.low:.1f} to {100 * summary.interval.high:.1f}"


def _signed(difference: Difference) -> str:
    if difference.mean is None:
        return ""
    return f"{100 * difference.mean:+.1f}" + ("" if difference.sd is None else f" ± {100 * difference.sd:.1f}")


def caption(results: ImageResults) -> tuple[str, ...]:
    """What a reader has to know."""
    run, settings = results.first, results.first.settings
    chosen = settings.chosen_on or "no search; the package's defaults"
    return (
        "Accuracy: share of the test images given their class, among all classes; mean ± sd over seeds, paired differences.",
        "Of old images sleep uses the mean and the largest activities that they cause, replay some, mean-image a mean per class.",
        f"Images: {run.data}, sha256 {run.sha256[:12]}. Hyperparameters: {chosen}.",
        f"CPU s: of one thread, without the search. {run.provenance.get('engine', '')}, {run.provenance.get('package', '')}.",
    )


def csv_of(results: Sequence[ImageResults]) -> str:
    """Every accuracy of every seed, a line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("experiment", "data", "seed", "condition", "row", "column", "accuracy", "accuracy_before_sleep"))
    for each in results:
        for run in each.runs:
            for name, condition in run.conditions.items():
                for k, row in enumerate(run.rows):
                    for m, column in enumerate(run.columns):
                        values = [condition.arrays[key][k, m] for key in ("accuracy", "awake")]
                        numbers = ["" if np.isnan(value) else repr(float(value)) for value in values]
                        if numbers[0]:
                            writer.writerow((run.experiment, run.data, run.seed, name, row, column, *numbers))
    return text.getvalue()


def markdown_of(results: Sequence[ImageResults]) -> str:
    """The tables of :func:`cells` for a document."""
    parts = []
    for each in results:
        columns = heading(each)
        lines = [f"**{each.first.experiment}, {each.first.data}**", "", _line(column.removeprefix(">") for column in columns)]
        lines.append(_line("---:" if column.startswith(">") else "---" for column in columns))
        lines += [_line(cells(each, condition)) for condition in each.conditions]
        parts.append("\n".join([*lines, "", *caption(each)]))
    return "\n\n".join(parts) + "\n"


def _line(texts) -> str:
    return f"| {' | '.join(texts)} |"

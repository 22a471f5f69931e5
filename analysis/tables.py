"""Results as text: the cells of tables, their caption, and the files tables.md, tables.csv and tables.json.

What the results are is in results.py. A file is replaced only if it was written from here.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foraging_snn.analysis.comparisons import Comparison
from foraging_snn.analysis.continual import Measure
from foraging_snn.analysis.results import ExperimentResults, Results, TestRow, results
from foraging_snn.analysis.statistics import (
    BOOTSTRAP_RESAMPLES,
    CHANCE,
    FULL_COVERAGE_TRIALS,
    PERMUTATIONS,
    Difference,
    Interval,
    PermutationTest,
    Summary,
    summarise,
)
from foraging_snn.files.reader import AnalysisError, Trial

AT_THE_START = "(start)"
MARKS = {"above": "↑", "within": "", "below": "↓", None: ""}  # of where our mean lies beside the paper's
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
DRAWN_MARK = "~"  # before a p-value of random arrangements
TEST_COLUMNS = ("after", "test", "mean ± sd", "95 % interval", "paper", "p", "trials")
MEASURE_COLUMNS = ("experiment", "measure", "mean ± sd", "95 % interval", "p", "trials")
COMPARISON_COLUMNS = ("what", "test", "of", "minus", "mean ± sd", "95 % interval", "p", "trials")


class TableError(AnalysisError):
    """A table cannot be written; the message is one line."""


# ------------------------------------------------------------------------------------------------------------------ cells


def cells_of_test(row: TestRow) -> tuple[str, ...]:
    """The cells of a test, under `TEST_COLUMNS`."""
    return (
        row.after or AT_THE_START,
        f"Task {row.task}",
        mean_and_sd(row.summary.mean, row.summary.sd),
        _interval(row.summary.interval),
        f"{row.published or ''} {MARKS[row.beside_paper]}".strip(),
        _p_value(row.against_chance),
        str(row.summary.n),
    )


def with_measures(found: Results) -> list[ExperimentResults]:
    """The experiments with tests after several phases: only these can forget."""
    return [each for each in found.experiments if each.measures and each.matrix and len(each.matrix.after) > 1]


def matrices(found: Results) -> dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Columns and lines of the matrix of performance, mean ± sd by phase and task, of experiments with more than two tasks."""
    tables = {}
    for each in with_measures(found):
        if each.matrix and len(each.matrix.tasks) > 2:
            lines = [
                (after, *(_cell_of_matrix(each.matrix.values[:, stage, j]) for j in range(len(each.matrix.tasks))))
                for stage, after in enumerate(each.matrix.after)
            ]
            tables[each.experiment] = (("after", *(f"Task {task}" for task in each.matrix.tasks)), lines)
    return tables


def _cell_of_matrix(values: np.ndarray) -> str:
    summary = summarise(values)
    return mean_and_sd(summary.mean, summary.sd) if summary.n else ""


def cells_of_measures(each: ExperimentResults) -> list[tuple[str, ...]]:
    """The cells of the measures of continual learning of an experiment, under `MEASURE_COLUMNS`."""
    return [
        (
            each.experiment if measure is each.measures[0] else "",
            measure.name,
            mean_and_sd(measure.summary.mean, measure.summary.sd, sign="+" if measure.nothing == 0.0 else ""),
            _interval(measure.summary.interval, sign="+" if measure.nothing == 0.0 else ""),
            _p_value(measure.against_nothing),
            str(measure.summary.n),
        )
        for measure in each.measures
    ]


def cells_of_comparison(comparison: Comparison) -> tuple[str, ...]:
    """The cells of a comparison, under `COMPARISON_COLUMNS`."""
    difference = comparison.difference
    return (
        comparison.asked,
        f"Task {comparison.task}",
        str(comparison.first),
        str(comparison.second),
        mean_and_sd(difference.mean, difference.sd, sign="+"),
        _interval(difference.interval, sign="+"),
        _p_value(difference.test),
        _trials(difference),
    )


def cells_of_values(values: Summary | Difference, test: PermutationTest | None, sign: str = "") -> tuple[str, str, str]:
    """Mean ± sd, interval and p-value of what was measured over trials, as in the tables."""
    return mean_and_sd(values.mean, values.sd, sign), _interval(values.interval, sign), _p_value(test)


def _trials(difference: Difference) -> str:
    if not difference.paired:
        return f"{difference.n_first}, {difference.n_second}"
    return f"{difference.n_first} pair{'s' if difference.n_first > 1 else ''}"


def mean_and_sd(mean: float | None, sd: float | None, sign: str = "") -> str:
    """Mean and standard deviation, as far as there are."""
    if mean is None:
        return "nothing eaten"
    return f"{mean:{sign}.3f}" if sd is None else f"{mean:{sign}.3f} ± {sd:.3f}"


def _interval(interval: Interval | None, sign: str = "") -> str:
    return f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}" if interval else ""


def _p_value(test: PermutationTest | None) -> str:
    if test is None:
        return ""
    digits = f"{test.p_value:.4f}" if test.p_value < 0.01 else f"{test.p_value:.3f}"
    return digits if test.exact else f"{DRAWN_MARK}{digits}"


def caption(found: Results) -> tuple[str, ...]:
    """What the reader of the tables has to know, line by line; nothing for no tests."""
    if not found.rows:
        return ()
    counts = [row.summary.n for row in found.rows]
    lines = [f"Performance = rewarded / (rewarded + punished) particles eaten in the test; chance {CHANCE}."]
    if with_measures(found):
        lines += _about_measures(found.above_chance)
    if any(row.published for row in found.rows):
        lines.append("Paper: mean ± sd of Golden et al. 2022; ↑ ↓: our mean lies above or below the paper's mean ± 1 sd.")
    if max(counts) < 2:
        return (*lines, "One trial: no standard deviation, interval or test.")
    lines.append(f"95 % interval: of the mean over trials, bootstrap (expanded percentile, {BOOTSTRAP_RESAMPLES} resamples).")
    lines.append(_about_p_values(found))
    if min(counts) < FULL_COVERAGE_TRIALS:
        lines.append(
            f"Fewer than {FULL_COVERAGE_TRIALS} trials: their interval, which cannot be wider than their range, covers less than "
            "95 %, and neither paired tests nor tests against chance can give p < 0.05."
        )
    return tuple(lines)


def _about_measures(above_chance: bool) -> list[str]:
    off = f", minus chance, {CHANCE}" if above_chance else ""
    return [
        f"Average performance: mean over the tasks trained, after the last phase{off} (Lopez-Paz & Ranzato 2017).",
        "Backward transfer: of tasks trained before the last phase, performance after it minus after their first training (ibid.).",
        "Forgetting: of the same tasks, best performance after an earlier phase minus that after the last (Chaudhry et al. 2018).",
        "Forward transfer: of tasks not trained in the first phase, performance after the phase before their first training, minus "
        f"chance, {CHANCE} (after Lopez-Paz & Ranzato 2017, who take a network at random instead of chance).",
    ]


def _about_p_values(found: Results) -> str:
    tests = [row.against_chance for row in found.rows] + [comparison.difference.test for comparison in found.comparisons]
    tests += [measure.against_nothing for each in with_measures(found) for measure in each.measures]
    given = [test for test in tests if test]
    how = "exact" if all(test.exact for test in given) else f"exact, or ({DRAWN_MARK}) of {PERMUTATIONS} random arrangements"
    of_differences = ", a difference against none" if found.comparisons or with_measures(found) else ""
    what = "performance against chance" + of_differences
    return f"p: of {what}; two-sided permutation tests across trials, {how}; not corrected for their number, {len(given)}."


# ---------------------------------------------------------------------------------------------------------------- formats

MARKDOWN_MARK = "<!-- Written by foraging-snn, which replaces this file when it writes its tables here again. -->\n"
CSV_COLUMNS: tuple[str, ...] = (
    "kind",
    "experiment",
    "label",
    "after",
    "task",
    "against_experiment",
    "against_after",
    "what",
    "paired",
    "n",
    "n_against",
    "mean",
    "sd",
    "interval_low",
    "interval_high",
    "paper_mean",
    "paper_sd",
    "beside_paper",
    "p_value",
    "p_exact",
    "smallest_p",
)
CSV_MARK = ",".join(CSV_COLUMNS[:5])
JSON_MARK = '{\n  "written_by": "foraging-snn'


def markdown(found: Results) -> str:
    """Both tables in Markdown, with caption and conditions."""
    parts = [MARKDOWN_MARK, "# Performance\n", _markdown_table(("experiment", *TEST_COLUMNS), _test_lines(found))]
    if found.comparisons:
        rows = [cells_of_comparison(comparison) for comparison in found.comparisons]
        parts += ["# Comparisons\n", "Differences of performance.\n", _markdown_table(COMPARISON_COLUMNS, rows)]
    if measured := with_measures(found):
        parts += ["# Continual learning\n"]
        for name, (columns, lines) in matrices(found).items():
            parts += [f"{_cell(name)}: performance.\n", _markdown_table(columns, lines)]
        rows = [cells for each in measured for cells in cells_of_measures(each)]
        parts += ["Measures, defined below.\n", _markdown_table(MEASURE_COLUMNS, rows)]
    parts += [f"{line}  " for line in caption(found)] + [""]
    parts += [f"- {_no_html(condition)}" for condition in found.conditions]
    return "\n".join(parts) + "\n"


def _test_lines(found: Results) -> list[tuple[str, ...]]:
    return [
        (f"{experiment.experiment}: {experiment.label}" if row is experiment.rows[0] else "", *cells_of_test(row))
        for experiment in found.experiments
        for row in experiment.rows
    ]


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str) -> str:
    """A text from a file as it is in a cell of Markdown: on one line, neither the end of the cell nor HTML."""
    return " ".join(_no_html(text).replace("|", "&#124;").split())


def _no_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def csv_cell(text: str) -> str:
    """A text from a file as it is in a cell of CSV: a spreadsheet must not take it for a formula (it gets an apostrophe then)."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def csv_text(found: Results) -> str:
    """Tests and comparisons, one row each, under `CSV_COLUMNS`; a field without a value is empty.

    A row of kind "test" has the performance in a test, and the p-value of its difference from chance; one of kind "comparison"
    the difference of performance between two tests; one of kind "measure" a measure of continual learning, and the p-value of its
    difference from chance (average performance) or from 0.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for experiment in found.experiments:
        names = {"kind": "test", **_names(experiment), "against_experiment": "chance"}
        writer.writerows(names | _test_fields(row) for row in experiment.rows)
    for each in with_measures(found):
        names = {"kind": "measure", **_names(each)}
        writer.writerows(names | _measure_fields(measure) for measure in each.measures)
    labels = {experiment.experiment: csv_cell(experiment.label) for experiment in found.experiments}
    for comparison in found.comparisons:
        writer.writerow({"label": labels[comparison.first.experiment]} | _comparison_fields(comparison))
    return text.getvalue()


def _names(experiment: ExperimentResults) -> dict[str, str]:
    return {"experiment": csv_cell(experiment.experiment), "label": csv_cell(experiment.label)}


def _test_fields(row: TestRow) -> dict[str, str]:
    summary, paper = row.summary, row.published
    fields = {"after": row.after, "task": row.task, "what": "performance", "n": summary.n, "mean": summary.mean, "sd": summary.sd}
    fields["beside_paper"] = row.beside_paper
    if paper:
        fields |= {"paper_mean": paper.mean, "paper_sd": paper.sd}
    return _written(fields | _statistics_fields(summary.interval, row.against_chance))


def _measure_fields(measure: Measure) -> dict[str, str]:
    summary = measure.summary
    fields = {"what": measure.name, "n": summary.n, "mean": summary.mean, "sd": summary.sd}
    return _written(fields | _statistics_fields(summary.interval, measure.against_nothing))


def _comparison_fields(comparison: Comparison) -> dict[str, str]:
    first, second, difference = comparison.first, comparison.second, comparison.difference
    fields = {"kind": "comparison", "experiment": first.experiment, "after": first.after, "task": comparison.task}
    fields |= {"against_experiment": second.experiment, "against_after": second.after, "what": comparison.asked}
    fields |= {"paired": difference.paired, "n": difference.n_first, "n_against": difference.n_second}
    fields |= {"mean": difference.mean, "sd": difference.sd}
    return _written(fields | _statistics_fields(difference.interval, difference.test))


def _statistics_fields(interval: Interval | None, test: PermutationTest | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"interval_low": interval.low, "interval_high": interval.high} if interval else {}
    if test:
        fields |= {"p_value": test.p_value, "p_exact": test.exact, "smallest_p": test.smallest_p}
    return fields


def _written(fields: dict[str, Any]) -> dict[str, str]:
    return {name: _as_text(value) for name, value in fields.items()}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return csv_cell(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def json_text(found: Results) -> str:
    """Everything, the performance of every trial included; null where there is no value."""
    tests = [
        {
            "experiment": experiment.experiment,
            "label": experiment.label,
            "after": row.after,
            "task": row.task,
            "performance": _by_seed(experiment.seeds, row.performances),
            **asdict(row.summary),
            "against_chance": row.against_chance and asdict(row.against_chance),
            "paper": row.published and asdict(row.published),
            "beside_paper": row.beside_paper,
        }
        for experiment in found.experiments
        for row in experiment.rows
    ]
    continual = [
        {
            "experiment": each.experiment,
            "label": each.label,
            "after": each.matrix.after,
            "tasks": each.matrix.tasks,
            "performance": [[None if value != value else value for value in row] for row in each.matrix.mean.tolist()],
            "above_chance": found.above_chance,
            "measures": [
                {
                    "measure": measure.name,
                    "values": _by_seed(each.seeds, measure.values),
                    **asdict(measure.summary),
                    "nothing": measure.nothing,
                    "against_nothing": measure.against_nothing and asdict(measure.against_nothing),
                }
                for measure in each.measures
            ],
        }
        for each in with_measures(found)
        if each.matrix
    ]
    content = {
        "written_by": "foraging-snn table",
        "conditions": found.conditions,
        "caption": caption(found),
        "tests": tests,
        "comparisons": [asdict(comparison) for comparison in found.comparisons],
        "continual_learning": continual,
    }
    return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _by_seed(seeds: Sequence[int], values: Sequence[float]) -> dict[str, float | None]:
    return {str(seed): None if value != value else value for seed, value in zip(seeds, values, strict=True)}


# ------------------------------------------------------------------------------------------------------------------ files


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    suffix : str
    text : callable
        From results to what is in the file.
    mark : str
        With which every such file of ours begins.
    """

    suffix: str
    text: Callable[[Any], str]
    mark: str


FORMATS = {
    "markdown": Format(".md", markdown, MARKDOWN_MARK),
    "csv": Format(".csv", csv_text, CSV_MARK),
    "json": Format(".json", json_text, JSON_MARK),
}
FILE_NAME = "tables"


def write_tables(trials: Sequence[Trial], directory: str | Path) -> list[Path]:
    """Write tables.md, tables.csv and tables.json.

    Parameters
    ----------
    trials : sequence of Trial
        Complete ones.
    directory : path
        It is made if there is none. Tables written there before are replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    CollectionError
        The trials do not belong together.
    TableError
        A file of one of these names is there that was not written from here; then none is written.
    """
    found = results(trials)
    contents = {Path(directory) / f"{FILE_NAME}{kind.suffix}": (kind.text(found), kind.mark) for kind in FORMATS.values()}
    write_files(contents)
    return list(contents)


def write_files(contents: dict[Path, tuple[str, str]]) -> None:
    """Write text files, all or none if one of them is not ours to replace.

    Parameters
    ----------
    contents : dict of path to (text, mark)
        `mark` is how a file that may be replaced begins; an empty file may be, too.

    Raises
    ------
    TableError
        A file is there that does not begin so.
    """
    for path, (_, mark) in contents.items():
        if not _may_be_written(path, mark):
            raise TableError(f"{path}: exists already, was not written by foraging-snn table, and is not overwritten")
    for path, (text, _) in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)


def _may_be_written(path: Path, mark: str) -> bool:
    if not path.exists():
        return not path.is_symlink()
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(mark.encode())) in (mark.encode(), b"")


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is always whole, the old one or the new one."""
    path = path.resolve()  # a link stays a link
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

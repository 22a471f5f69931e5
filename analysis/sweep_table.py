"""Performance in the tests of trials with different values of some parameters: a tidy table, and means over trials.

What a sweep runs is in foraging_snn/commands/sweep.py; how the table looks as a figure, in figures/sweep_overview.py.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foraging_snn.files.reader import Trial

from .collection import conditions_of
from .performance import Spread, over_trials
from .tables import csv_cell

Value = float | int | bool
FIXED_COLUMNS = ("experiment", "seed", "after", "task", "rewarded", "punished", "performance")


@dataclass(frozen=True)
class SweepRow:
    """One test of one trial.

    Attributes
    ----------
    values : tuple
        Of the parameters that differ, in the order of the table.
    seed : int
        Of the trial.
    after : str
        The phase before the test, e.g. "I(S,T2)".
    task : int
        Its number, from 1.
    rewarded, punished : int
        Particles eaten.
    performance : float
        Rewarded / (rewarded + punished); NaN if nothing was eaten.
    """

    values: tuple[Value, ...]
    seed: int
    after: str
    task: int
    rewarded: int
    punished: int
    performance: float


@dataclass(frozen=True)
class SweepTable:
    """All tests of all trials of a sweep.

    Attributes
    ----------
    experiment, label : str
        Name in the catalogue, and as in the paper.
    names : tuple of str
        Parameters that differ between trials.
    rows : tuple of SweepRow
        By point of the grid, then seed, then in the order of the tests.
    conditions : tuple of str
        What all trials have in common: preset, lengths, start state, engine, commit.
    """

    experiment: str
    label: str
    names: tuple[str, ...]
    rows: tuple[SweepRow, ...]
    conditions: tuple[str, ...]

    @property
    def last_tests(self) -> str:
        """The phase before the last tests of a trial."""
        return self.rows[-1].after

    @property
    def tasks(self) -> tuple[int, ...]:
        """Numbers of the tasks in these tests, ascending."""
        return tuple(sorted({row.task for row in self.rows if row.after == self.last_tests}))

    def axis(self, name: str) -> list[Value]:
        """The values of a parameter, ascending."""
        k = self.names.index(name)
        return sorted({row.values[k] for row in self.rows})

    def performances(self, task: int, at: Mapping[str, Value]) -> np.ndarray:
        """Performance on a task in the last tests of the trials in which some parameters have these values.

        Parameters
        ----------
        task : int
            1 or 2.
        at : mapping of name to value
            Trials with any value of the other parameters count.

        Returns
        -------
        (trials,) float64
            NaN where nothing was eaten.
        """
        wanted = [(self.names.index(name), value) for name, value in at.items()]
        last = {  # of several tests after phases of the same name
            (row.values, row.seed): row.performance
            for row in self.rows
            if row.task == task and row.after == self.last_tests and all(row.values[k] == value for k, value in wanted)
        }
        return np.array(list(last.values()), float)

    def spread(self, task: int, at: Mapping[str, Value]) -> Spread:
        """Mean and standard deviation of :meth:`performances`; NaN where there are too few."""
        return over_trials(self.performances(task, at))


def tidy(names: Sequence[str], points: Sequence[tuple[Sequence[Value], Sequence[Trial]]]) -> SweepTable:
    """The table of a sweep.

    Parameters
    ----------
    names : sequence of str
        Parameters that differ between trials.
    points : sequence of (values, trials)
        For each point of the grid, the values of these parameters, and its complete trials; all of one experiment, at least one
        trial.
    """
    rows = tuple(
        SweepRow(tuple(values), trial.seed, test.after, test.task, test.rewarded, test.punished, test.performance)
        for values, trials in points
        for trial in trials
        for test in trial.test_results()
    )
    trials = [trial for _, group in points for trial in group]
    return SweepTable(trials[0].experiment, trials[0].label, tuple(names), rows, _common_conditions(trials))


def _common_conditions(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The conditions under which all of these were run."""
    common = set.intersection(*(set(trial.changed) for trial in trials))
    changed = ", ".join(part for part in trials[0].changed if part in common)
    texts = [conditions_of([trial]) for trial in trials]
    lines = [line for line in texts[0] if all(line in text for text in texts) and not line.startswith("changed: ")]
    return (*lines, f"changed in all: {changed}") if changed else tuple(lines)


def csv_text(table: SweepTable) -> str:
    """The table as CSV, a row per trial and test, a column per parameter; performance is empty where nothing was eaten."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*FIXED_COLUMNS, *table.names))
    for row in table.rows:
        performance = "" if row.performance != row.performance else repr(row.performance)
        counted = (csv_cell(table.experiment), row.seed, csv_cell(row.after), row.task, row.rewarded, row.punished, performance)
        writer.writerow((*counted, *(str(value).lower() if isinstance(value, bool) else repr(value) for value in row.values)))
    return text.getvalue()

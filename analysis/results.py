"""Performance in every test of the recorded experiments, over trials, beside the paper's values; and how the tests compare.

Only trials that belong together. How the results look as text and files is in tables.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from foraging_snn.analysis.catalogue import place_in_catalogue, published
from foraging_snn.analysis.collection import by_experiment, conditions_of
from foraging_snn.analysis.comparisons import Comparison, comparisons
from foraging_snn.analysis.continual import Measure, PerformanceMatrix, measures, performance_matrix
from foraging_snn.analysis.statistics import PermutationTest, Summary, compare_with, summarise
from foraging_snn.files.reader import Trial
from foraging_snn.protocols import PublishedValue

SAME = 1e-9  # a mean this close to a bound lies on it


@dataclass(frozen=True)
class TestRow:
    """One test of an experiment, over trials.

    Attributes
    ----------
    after : str
        The phase before the test, e.g. "I(S,T2)"; "" at the start of a trial.
    task : int
        The task that was tested, 1 or 2.
    performances : tuple of float
        Rewarded / (rewarded + punished), one per trial, by seed; NaN where nothing was eaten.
    published : PublishedValue or None
        The paper's value of this test.
    """

    __test__ = False  # not one of pytest's

    after: str
    task: int
    performances: tuple[float, ...]
    published: PublishedValue | None = None

    @cached_property
    def summary(self) -> Summary:
        """Mean, standard deviation and interval of the trials in which something was eaten."""
        return summarise(self.performances)

    @cached_property
    def against_chance(self) -> PermutationTest | None:
        """Test against the performance 0.5; None for fewer than two trials."""
        return compare_with(self.performances)

    @property
    def beside_paper(self) -> str | None:
        """Where the mean lies beside the paper's mean ± 1 sd: "above", "within" or "below"; None if there is no such value."""
        if self.published is None or self.summary.mean is None:
            return None
        distance = self.summary.mean - self.published.mean
        if abs(distance) <= self.published.sd + SAME:
            return "within"
        return "above" if distance > 0 else "below"


@dataclass(frozen=True)
class ExperimentResults:
    """All tests of one experiment.

    Attributes
    ----------
    experiment, label : str
        Name in the catalogue, and as in the paper.
    seeds : tuple of int
        Of the trials.
    rows : tuple of TestRow
        In the order of the tests.
    matrix : PerformanceMatrix or None
        The same by phase and task.
    measures : tuple of Measure
        Of continual learning, see :mod:`foraging_snn.analysis.continual`.
    """

    experiment: str
    label: str
    seeds: tuple[int, ...]
    rows: tuple[TestRow, ...]
    matrix: PerformanceMatrix | None = None
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True)
class Results:
    """All that the tests of some trials say.

    Attributes
    ----------
    experiments : tuple of ExperimentResults
        In the order of the catalogue.
    comparisons : tuple of Comparison
        See :func:`foraging_snn.analysis.comparisons.comparisons`.
    conditions : tuple of str
        Under what conditions: preset, what is shortened or changed, start state, engine, commit, version.
    above_chance : bool
        Chance is taken off the performance in the measures of continual learning.
    """

    experiments: tuple[ExperimentResults, ...]
    comparisons: tuple[Comparison, ...]
    conditions: tuple[str, ...]
    above_chance: bool = False

    @property
    def rows(self) -> tuple[TestRow, ...]:
        """The tests of all experiments."""
        return tuple(row for experiment in self.experiments for row in experiment.rows)


def results(trials: Sequence[Trial], above_chance: bool = False) -> Results:
    """Performance in all tests of these trials, its comparisons, and measures of continual learning.

    Parameters
    ----------
    trials : sequence of Trial
        Complete ones.
    above_chance : bool
        Take chance off the performance in the measures of continual learning.

    Raises
    ------
    CollectionError
        They differ in preset, parameters (those of recording aside), start state or phases, or one is given twice.
    """
    groups = by_experiment(trials)
    ordered = sorted(groups.values(), key=lambda group: place_in_catalogue(group[0]))
    found = tuple(_of_experiment(group, above_chance) for group in ordered)
    return Results(found, comparisons(groups), conditions_of(trials), above_chance)


def _of_experiment(trials: Sequence[Trial], above_chance: bool) -> ExperimentResults:
    first = trials[0]
    paper = published(first)
    tests = [trial.test_results() for trial in trials]
    last = tests[0][-1].after if tests[0] else ""
    rows = tuple(
        TestRow(
            test[0].after,
            test[0].task,
            tuple(result.performance for result in test),
            paper[test[0].task - 1] if paper and test[0].after == last and test[0].task <= len(paper) else None,
        )
        for test in zip(*tests, strict=True)
    )
    matrix = performance_matrix(trials)
    seeds = tuple(trial.seed for trial in trials)
    return ExperimentResults(first.experiment, first.label, seeds, rows, matrix, measures(matrix, above_chance))

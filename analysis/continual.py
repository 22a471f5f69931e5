"""Measures of continual learning: what is kept of each task after every phase of a protocol, over trials.

With R[k, j] the performance on task j after the k-th phase that is followed by tests, K of them, and l(j) the first of them that
trained task j:

- average performance: mean over the tasks trained of R[K, j] (Lopez-Paz & Ranzato, NeurIPS 2017);
- backward transfer: mean over the tasks with l(j) < K of R[K, j] - R[l(j), j] (ibid.; negative: forgotten);
- forgetting: mean over the same tasks of max over k < K of R[k, j], minus R[K, j] (Chaudhry et al., ECCV 2018);
- forward transfer: mean over the tasks with l(j) > 1 of R[l(j) - 1, j], minus chance (Lopez-Paz & Ranzato, who take the performance
  of a network at random instead, which is chance here).

There, the k-th phase trains the k-th task; here a phase may train several, or none, as sleep. With `above_chance`, chance is taken
off R, which changes the average only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foraging_snn.analysis.performance import over_trials
from foraging_snn.analysis.statistics import CHANCE, PermutationTest, Summary, compare_with, summarise
from foraging_snn.files.reader import Trial


@dataclass(frozen=True)
class PerformanceMatrix:
    """Performance on J tasks after K phases, in the tests that follow them.

    Attributes
    ----------
    after : tuple of str
        Names of the phases, in the order of time; a name may come again.
    tasks : tuple of int
        Numbers of the tasks tested, ascending.
    learned : tuple of int or None
        Of each task, the first of the phases that trained it, from 0; None if none did.
    values : (trials, K, J) float64
        NaN where a task was not tested, or nothing was eaten.
    """

    after: tuple[str, ...]
    tasks: tuple[int, ...]
    learned: tuple[int | None, ...]
    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Over the trials with a number, (K, J); NaN where there is none."""
        return over_trials(self.values).mean


@dataclass(frozen=True)
class Measure:
    """A measure of continual learning of one experiment.

    Attributes
    ----------
    name : str
        e.g. "backward transfer".
    nothing : float
        What it is if nothing is learned, or nothing changes; against which it is tested.
    values : tuple of float
        One per trial, by seed; NaN where it is not defined.
    """

    name: str
    nothing: float
    values: tuple[float, ...]

    @cached_property
    def summary(self) -> Summary:
        """Mean, standard deviation and interval over trials."""
        return summarise(self.values)

    @cached_property
    def against_nothing(self) -> PermutationTest | None:
        """Test against `nothing`; None for fewer than two trials."""
        return compare_with(self.values, self.nothing)


def performance_matrix(trials: Sequence[Trial]) -> PerformanceMatrix:
    """Performance after the phases of a protocol, from trials of one experiment.

    Parameters
    ----------
    trials : sequence of Trial
        Complete ones, at least one.
    """
    tested = [{result.phase_index: result for result in trial.test_results()} for trial in trials]
    numbers = tuple(sorted({result.task for result in tested[0].values()}))
    stages: list[tuple[str, list[int]]] = []  # each with the tests that follow it
    learned: dict[int, int] = {}
    trained: set[int] = set()
    number = trials[0].parameters.task_number
    new_stage, name = True, ""
    for recorded in trials[0].phases:
        if recorded.index in tested[0]:
            if new_stage:
                stages.append((name, []))
                learned |= {task: len(stages) - 1 for task in trained if task not in learned}
            new_stage = False
            stages[-1][1].append(recorded.index)
        elif not recorded.phase.is_test:
            new_stage, name = True, recorded.name
            trained |= {number(activity.trained_task) for activity in recorded.activities if activity.trained_task}
    values = np.full((len(trials), len(stages), len(numbers)), np.nan)
    for row, results in enumerate(tested):
        for stage, (_, tests) in enumerate(stages):
            for index in tests:
                values[row, stage, numbers.index(results[index].task)] = results[index].performance
    return PerformanceMatrix(tuple(name for name, _ in stages), numbers, tuple(learned.get(task) for task in numbers), values)


def measures(matrix: PerformanceMatrix, above_chance: bool = False, chance: float = CHANCE) -> tuple[Measure, ...]:
    """The measures that are defined for a protocol; see the head of this module for what they are.

    Parameters
    ----------
    matrix : PerformanceMatrix
    above_chance : bool
        Take chance off the performance.
    chance : float
        Performance of who knows nothing.
    """
    if not matrix.after:
        return ()
    values, last = matrix.values, len(matrix.after) - 1
    trained = [j for j, stage in enumerate(matrix.learned) if stage is not None]
    kept = [(j, stage) for j, stage in enumerate(matrix.learned) if stage is not None and stage < last]
    awaited = [(j, stage) for j, stage in enumerate(matrix.learned) if stage]
    found = []
    if trained:
        nothing = 0.0 if above_chance else chance
        found.append(_measure("average performance", nothing, [values[:, last, j] - chance * above_chance for j in trained]))
    if kept:
        found.append(_measure("backward transfer", 0.0, [values[:, last, j] - values[:, stage, j] for j, stage in kept]))
        best = np.fmax.reduce(values[:, :last], axis=1)
        found.append(_measure("forgetting", 0.0, [best[:, j] - values[:, last, j] for j, _ in kept]))
    if awaited:
        found.append(_measure("forward transfer", 0.0, [values[:, stage - 1, j] - chance for j, stage in awaited]))
    return tuple(found)


def _measure(name: str, nothing: float, per_task: Sequence[np.ndarray]) -> Measure:
    """The mean over tasks in each trial; not defined where a task was not tested, or nothing was eaten."""
    return Measure(name, nothing, tuple(np.mean(per_task, axis=0).tolist()))

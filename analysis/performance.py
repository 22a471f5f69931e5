"""Performance over trials: over the aeons of phases, in the tests, and while hidden cells are removed.

Performance is rewarded / (rewarded + punished) particles eaten, NaN where nothing was eaten. Nothing is drawn here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foraging_snn.files.reader import RecordedPhase, Trial

CURVE_POINTS = 120  # of all phases in a figure together: as many as a page is wide enough for


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over trials; n values per trial, or one.

    Attributes
    ----------
    mean : (n,) or () float64
        Over the trials with a number; NaN if there is none.
    sd : (n,) or () float64
        Of the sample (n - 1); NaN for fewer than two numbers.
    trials : int
    """

    mean: np.ndarray
    sd: np.ndarray
    trials: int


def over_trials(values: np.ndarray) -> Spread:
    """Mean and standard deviation over the first axis.

    Parameters
    ----------
    values : (trials, ...) float
        NaN where a trial has no value.
    """
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    n = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    return Spread(mean, np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan), len(values))


@dataclass(frozen=True)
class MeanCurve:
    """Performance on one task over a phase, over trials; n points.

    Attributes
    ----------
    task : int
        Its number.
    aeon : (n,) float64
        Middle of the windows, in aeons since the phase began.
    performance : Spread
        (n,) each.
    """

    task: int
    aeon: np.ndarray
    performance: Spread


@dataclass(frozen=True)
class PhaseCurves:
    """A phase of an experiment with the performance on its tasks.

    Attributes
    ----------
    name : str
        e.g. "I(S,T2)", "test T1".
    is_test : bool
    start, aeons : float
        Where it begins on the time axis of all phases of a list, and its length, in aeons.
    window_aeons : int
        Aeons per point.
    curves : tuple of MeanCurve
        One per task of the phase.
    """

    name: str
    is_test: bool
    start: float
    aeons: float
    window_aeons: int
    curves: tuple[MeanCurve, ...]


def performance_over_aeons(trials: Sequence[Trial], points: int = CURVE_POINTS) -> list[PhaseCurves]:
    """Performance over all phases with a task, in their order, mean and sd over trials.

    Parameters
    ----------
    trials : sequence of Trial
        Of one experiment.
    points : int
        About how many points all phases together get; the windows of a phase are of equal length.

    Returns
    -------
    list of PhaseCurves
        Without the unsupervised phase, which has no task, and without phases in which hidden cells are removed. In phases
        that interleave two tasks, each task has a curve; where sleep is interleaved, the only task has it.
    """
    per_aeon = trials[0].parameters.timing.epochs_per_aeon
    phases = [recorded for recorded in trials[0].phases if tasks_of(trials[0], recorded) and not recorded.dropout]
    window = max(1, round(sum(recorded.epochs for recorded in phases) / per_aeon / points))
    found, start = [], 0.0
    for recorded in phases:
        aeons = recorded.epochs / per_aeon
        even = math.ceil(aeons / max(1, round(aeons / window)))  # no short window, whose point would be noisy, at the end
        curves = tuple(mean_curve(trials, recorded, task, even) for task in tasks_of(trials[0], recorded))
        found.append(PhaseCurves(recorded.name, recorded.phase.is_test, start, aeons, even, curves))
        start += aeons
    return found


def tasks_of(trial: Trial, recorded: RecordedPhase) -> tuple[int, ...]:
    """Numbers of the tasks that are trained or tested in a phase of a trial, ascending."""
    return tuple(sorted({trial.parameters.task_number(activity.task) for activity in recorded.activities if activity.task}))


def mean_curve(trials: Sequence[Trial], recorded: RecordedPhase, task: int, window_aeons: int) -> MeanCurve:
    """Performance on a task over the aeons of a phase, over trials.

    Parameters
    ----------
    trials : sequence of Trial
        Of one experiment.
    recorded : RecordedPhase
        The phase, the same in all of them.
    task : int
    window_aeons : int
        Aeons per point; where two activities alternate, the aeons of both count.

    Returns
    -------
    MeanCurve
        Without points if two tasks alternate and no aeon belongs to this one alone.
    """
    alternates = len(recorded.activities) > 1
    window = math.ceil(window_aeons / 2) if alternates else window_aeons  # rounded up: no short window is left at the end
    curves = [trial.performance_curve(recorded.index, window, task if alternates else None) for trial in trials]
    # blocks that cut aeons; asleep nothing is eaten
    if alternates and not len(curves[0].aeon) and len(tasks_of(trials[0], recorded)) == 1:
        curves = [trial.performance_curve(recorded.index, window_aeons) for trial in trials]
    return MeanCurve(task, curves[0].aeon + 0.5, over_trials(np.array([curve.performance for curve in curves])))


@dataclass(frozen=True)
class TestedPerformance:
    """Performance in one test of an experiment, over trials.

    Attributes
    ----------
    after : str
        The phase before the tests, e.g. "I(S,T2)".
    task : int
    values : (trials,) float64
        In the order of the trials.
    performance : Spread
        () each.
    """

    after: str
    task: int
    values: np.ndarray
    performance: Spread


def performance_in_tests(trials: Sequence[Trial]) -> list[TestedPerformance]:
    """All tests of an experiment in their order, except those in which hidden cells are removed.

    Parameters
    ----------
    trials : sequence of Trial
        Of one experiment.
    """
    tests = zip(*(trial.test_results() for trial in trials), strict=True)
    values = [(same[0].after, same[0].task, np.array([test.performance for test in same])) for same in tests]
    return [TestedPerformance(after, task, performances, over_trials(performances)) for after, task, performances in values]


@dataclass(frozen=True)
class RemovalCurve:
    """Performance while hidden cells are removed one by one; n points.

    Attributes
    ----------
    task : int
        The task tested meanwhile.
    cells_left : (n,) float64
        Mean number of hidden cells left in a window, falling.
    performance : Spread
        (n,) each.
    """

    task: int
    cells_left: np.ndarray
    performance: Spread


def performance_while_cells_are_removed(trials: Sequence[Trial], points: int = 50) -> RemovalCurve:
    """Performance against the number of hidden cells left.

    Parameters
    ----------
    trials : sequence of Trial
        Of one experiment with a phase in which hidden cells are removed.
    points : int
        About how many points the curve gets.

    Raises
    ------
    ValueError
        No such phase.
    """
    recorded = next((recorded for recorded in trials[0].phases if recorded.dropout), None)
    if recorded is None:
        raise ValueError(f"{trials[0].path}: no phase in which hidden cells are removed")
    parameters = trials[0].parameters
    per_aeon = parameters.timing.epochs_per_aeon
    window = max(1, round(recorded.epochs / per_aeon / points))
    curve = mean_curve(trials, recorded, tasks_of(trials[0], recorded)[0], window)
    removed = np.arange(recorded.epochs) * parameters.n_hidden // recorded.epochs  # before each epoch
    aeons = np.add.reduceat(parameters.n_hidden - removed, np.arange(0, recorded.epochs, per_aeon)) / per_aeon
    starts = np.arange(0, len(aeons), window)
    left = np.add.reduceat(aeons, starts) / np.add.reduceat(np.ones(len(aeons)), starts)
    return RemovalCurve(curve.task, left, curve.performance)

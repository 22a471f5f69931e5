"""The figure of the demo: performance over the training of its trials, and in every test of every trial."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.files.reader import Trial

from ..effects import proportion
from . import style

ROW_MM, BELOW_MM = 52.0, 12.0
CURVE_POINTS = 40  # of a training phase
TASK_WIDTH, TRIAL_WIDTH = 0.4, 0.3  # of the place of a test on the abscissa; of that of a task
EXPLANATION = (
    "Performance = rewarded / (rewarded + punished) particles eaten; chance dashed. Left: mean of the trials (thin: single ones), "
    f"up to {CURVE_POINTS} bins a phase. Right: every trial by itself, in the order of the seeds, as a bar from chance with the "
    "95 % interval of its test (Wilson, each particle a draw): how exactly that network was measured, not how networks differ."
)


def draw(trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> Figure:
    """The figure of the demo.

    Parameters
    ----------
    trials : mapping from the name of an experiment to its trials
        A row each: performance on the trained task over aeons on the left, in the tests on the right.
    conditions : sequence of str
        For the small print.
    """
    figure = style.new_figure(style.FULL_WIDTH_MM, BELOW_MM + ROW_MM * len(trials))
    rows = figure.subplots(len(trials), 2, sharey=True, squeeze=False, width_ratios=(2, 1))
    for (left, right), group in zip(rows, trials.values(), strict=True):
        _draw_training(left, group)
        _draw_tests(right, group)
        left.set_title(style.written(group[0].label), loc="left")
        right.set_title("tests", loc="left")
        for axes in (left, right):
            style.chance_line(axes)
    rows[0][0].legend(loc="lower right", ncols=2)
    style.print_below(figure, EXPLANATION, ", ".join(conditions))
    return figure


def _draw_training(axes: Axes, trials: Sequence[Trial]) -> None:
    """Performance on the task that is trained, over the training phases one after the other."""
    start = 0
    labelled = set()
    per_aeon = trials[0].parameters.timing.epochs_per_aeon
    for phase in trials[0].phases:
        number = trials[0].parameters.task_number
        tasks = {number(activity.trained_task) for activity in phase.activities if activity.trained_task}
        if not tasks:
            continue
        aeons = phase.epochs // per_aeon
        for task in sorted(tasks):
            colour = style.task_colour(task)
            curves = [trial.performance_curve(phase.index, max(1, aeons // CURVE_POINTS), task) for trial in trials]
            for curve in curves:
                axes.plot(start + curve.aeon, curve.performance, color=colour, lw=0.5, alpha=0.45)
            mean = np.mean([curve.performance for curve in curves], axis=0)
            label = None if task in labelled else f"Task {task}"
            axes.plot(start + curves[0].aeon, mean, color=colour, lw=1.5, label=label)
            labelled.add(task)
        axes.text(start + aeons / 2, 0.86, style.written(phase.name, style.LONGEST_NAME), ha="center", weight="bold")
        start += aeons
        axes.axvline(start, color="0.85", lw=0.8, zorder=0)
    axes.set(xlabel=f"aeons of training ({per_aeon} epochs each)", ylabel="performance", ylim=(0.35, 0.92), xlim=(0, start))


def _draw_tests(axes: Axes, trials: Sequence[Trial]) -> None:
    """Every test of every trial as a bar from chance, with its interval."""
    phases = list(dict.fromkeys(test.after for test in trials[0].test_results()))
    for x, after in enumerate(phases):
        for task, colour in style.TASK_COLOURS.items():
            middle = x + (task - 1.5) * TASK_WIDTH
            places = middle + TRIAL_WIDTH * ((np.arange(len(trials)) + 0.5) / len(trials) - 0.5)
            measured = [proportion(trial, after, task) for trial in trials]
            values = np.array([each.value for each in measured])
            ends = np.array([(each.interval.low, each.interval.high) for each in measured])
            width = 0.85 * TRIAL_WIDTH / len(trials)
            axes.bar(places, values - style.CHANCE, width, bottom=style.CHANCE, color=colour, alpha=0.35)
            axes.errorbar(places, values, np.abs(ends.T - values), fmt="_", ms=5, mew=0.6, lw=1, capsize=2, color=colour)
    axes.set_xticks(range(len(phases)), [f"after {style.written(after, style.LONGEST_NAME)}" for after in phases])
    axes.set_xlim(-0.6, len(phases) - 0.4)

"""An experiment with networks without spikes, by condition.

A bar per condition with a point per seed; for tasks in a sequence, the accuracy on each task after every stage; spikes of the
output cells in sleep; confusion matrices at the end.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foraging_snn.analysis.artificial import ConditionResult, ImageResults, caption

from . import style

BAR = "0.75"
PANELS = 4  # conditions shown in each of the rows below
PANEL_MM = 44.0


def draw(results: ImageResults) -> Figure:
    """The figure of an experiment."""
    sequences = [each for each in results.conditions if results.measures(each)][:PANELS] if results.is_incremental else []
    sleepers = [each for each in results.conditions if each.conditions[0].arrays["sleep_steps"].size][:PANELS]
    confused = _first_and(results.conditions, sleepers)
    rows = [row for row in (sequences, sleepers, confused) if row]
    figure = style.new_figure(style.FULL_WIDTH_MM, PANEL_MM * (1 + len(rows)))
    grid = figure.add_gridspec(1 + len(rows), PANELS)
    top = figure.add_subplot(grid[0, :])
    style.panel(top, "A")
    _draw_bars(top, results)
    letters = iter("BCD")
    for k, (draw_one, row) in enumerate(
        [(what, row) for what, row in ((_draw_sequence, sequences), (_draw_sleep, sleepers), (_draw_confusion, confused)) if row], 1
    ):
        letter = next(letters)
        for m, condition in enumerate(row):
            axes = figure.add_subplot(grid[k, m])
            if m == 0:
                style.panel(axes, letter)
            axes.set_title(condition.name)
            draw_one(axes, results, condition)
    style.print_below(figure, *caption(results))
    return figure


def _first_and(conditions: Sequence[ConditionResult], sleepers: Sequence[ConditionResult]) -> list[ConditionResult]:
    return [*(each for each in conditions[:1] if each not in sleepers), *sleepers][:PANELS]


def _draw_bars(axes: Axes, results: ImageResults) -> None:
    for k, condition in enumerate(results.conditions):
        final = 100.0 * condition.final(results.is_incremental)
        axes.bar(k, final.mean(), color=style.SLEEP if condition.name.startswith("sleep") else BAR, width=0.7)
        axes.plot(np.full(len(final), k), final, "o", ms=2.5, mfc="white", mec="black", mew=0.5)
    axes.set_xticks(range(len(results.conditions)), [condition.name for condition in results.conditions])
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0.0, 100.0)
    n_classes = results.conditions[0].conditions[0].arrays["confusion"].shape[0]
    axes.axhline(100.0 / n_classes, color=style.CHANCE_LINE, ls="--", lw=0.7, zorder=0.5)
    axes.set_title(f"{results.first.experiment}, {results.first.data}")


def _draw_sequence(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    """Accuracy on each task over training and sleep; with a sleep, a stage has two points."""
    stages = len(results.first.rows)
    slept = ~np.isnan(condition.awake[0, :, 0])
    for task, name in enumerate(results.first.columns):
        x: list[float] = []
        y: list[float] = []
        for stage in range(stages):
            if slept[stage]:
                x.append(stage + 0.7)
                y.append(float(condition.awake[:, stage, task].mean()))
            x.append(stage + 1.0)
            y.append(float(condition.accuracy[:, stage, task].mean()))
        axes.plot(x, 100.0 * np.array(y), "o-", ms=2.0, color=style.task_colour(task + 1), label=name)
    for stage in np.flatnonzero(slept):
        axes.axvspan(stage + 0.7, stage + 1.0, color=style.SLEEP, alpha=0.15, lw=0.0)
    axes.set_xlabel("tasks trained")
    axes.set_xticks(range(1, stages + 1))
    axes.set_ylabel("accuracy on a task, %")
    axes.set_ylim(-3.0, 103.0)
    if condition is results.conditions[0]:
        axes.legend(title="classes", title_fontsize=style.SMALL, handlelength=1.0, loc="center right", frameon=True, framealpha=0.9)


def _draw_sleep(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    """Share of the spikes of the output that each class has, in each sleep: does replay fall on old classes?"""
    spikes = np.mean([each.arrays["output_spikes"] for each in condition.conditions], axis=0)
    shares = 100.0 * spikes / np.maximum(spikes.sum(axis=1, keepdims=True), 1.0)
    axes.imshow(
        shares.T, aspect="auto", origin="lower", vmin=0.0, vmax=100.0, extent=(0.5, len(shares) + 0.5, -0.5, shares.shape[1] - 0.5)
    )
    axes.set_xlabel("sleep")
    axes.set_xticks(range(1, len(shares) + 1))
    axes.set_ylabel("output cell; % of spikes")


def _draw_confusion(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    counts = np.sum([each.arrays["confusion"] for each in condition.conditions], axis=0)
    axes.imshow(100.0 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), origin="lower", vmin=0.0, vmax=100.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("choice")
    axes.set_ylabel("class")

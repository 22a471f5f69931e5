"""An experiment with networks without spikes, by condition.

A bar per condition with a point per seed, or where shares of the data are compared a curve per condition; for tasks in a sequence,
the accuracy on each task after every stage; spikes of the output cells in sleep; weights before and after the last sleep;
sparseness of activities; confusion matrices at the end.
"""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from foraging_snn.analysis.artificial import ConditionResult, ImageResults, caption
from foraging_snn.analysis.statistics import summarise

from . import style

BAR = "0.75"
PANELS = 4  # conditions shown in each of the rows below
PANEL_MM = 44.0
LIMITED = "ann-limited"
STRAIGHT = 0.01  # weights within plus and minus this lie on a straight scale, others on a logarithmic one
CURVES = {  # colour and line of a condition
    "none": ("black", "-"),
    "sleep": (style.SLEEP, "-"),
    "longer": (style.INTERLEAVED, "-"),
    "sleep-tuned": (style.SLEEP, "--"),
    "longer-tuned": (style.INTERLEAVED, "--"),
}
NOTES = (
    f"Weights: share of a layer below a value, before (dashed) and after the last sleep; scale straight within ± {STRAIGHT:g}. "
    "Sparseness of activities (Treves & Rolls 1991): 0 all cells alike, 1 one cell alone; before and after each sleep.",
)


def draw(results: ImageResults) -> Figure:
    """The figure of an experiment."""
    sequences = [each for each in results.conditions if results.measures(each)][:PANELS] if results.is_incremental else []
    sleepers = [each for each in results.conditions if each.conditions[0].arrays["sleep_steps"].size][:PANELS]
    confused = _first_and(results.conditions, sleepers)
    kinds: list[tuple[Callable[[Axes, ImageResults, ConditionResult], None], list[ConditionResult]]] = [
        (_draw_sequence, sequences),
        (_draw_sleep, sleepers),
        (_draw_weights, sleepers),
        (_draw_sparseness, confused),
        (_draw_confusion, confused),
    ]
    rows = [(draw_one, row) for draw_one, row in kinds if row]
    figure = style.new_figure(style.FULL_WIDTH_MM, PANEL_MM * (1 + len(rows)))
    grid = figure.add_gridspec(1 + len(rows), max([2, *(len(row) for _, row in rows)]))
    top = figure.add_subplot(grid[0, :])
    style.panel(top, "A")
    (_draw_curves if results.first.experiment == LIMITED else _draw_bars)(top, results)
    for k, (draw_one, row) in enumerate(rows, 1):
        for m, condition in enumerate(row):
            axes = figure.add_subplot(grid[k, m])
            if m == 0:
                style.panel(axes, "ABCDEF"[k])
            axes.set_title(condition.name)
            draw_one(axes, results, condition)
    style.print_below(figure, *caption(results), *(NOTES if sleepers else ()))
    return figure


def _first_and(conditions: Sequence[ConditionResult], sleepers: Sequence[ConditionResult]) -> list[ConditionResult]:
    return [*(each for each in conditions[:1] if each not in sleepers), *sleepers][:PANELS]


def _draw_bars(axes: Axes, results: ImageResults) -> None:
    for k, condition in enumerate(results.conditions):
        final = 100.0 * condition.final(results.is_incremental)
        axes.bar(k, final.mean(), color=style.SLEEP if condition.name.startswith("sleep") else BAR, width=0.7)
        axes.plot(np.full(len(final), k), final, "o", ms=2.5, mfc="white", mec="black", mew=0.5)
    axes.set_xticks(range(len(results.conditions)), [condition.name for condition in results.conditions])
    _finish_accuracies(axes, results)


def _draw_curves(axes: Axes, results: ImageResults) -> None:
    """Accuracy over the share of the data, mean and 95 % interval over seeds."""
    for k, condition in enumerate(results.conditions):
        colour, line = CURVES[condition.name]
        found = [summarise(100.0 * condition.accuracy[:, row].mean(axis=1)) for row in range(len(results.first.rows))]
        pairs = [(each.mean or 0.0, each.interval) for each in found]
        means = np.array([mean for mean, _ in pairs])
        whiskers = [[mean - i.low, i.high - mean] if i else [0.0, 0.0] for mean, i in pairs]
        shares = np.array(results.first.settings.shares) * 1.03 ** (k - 2)  # side by side, so that whiskers can be told apart
        axes.errorbar(
            shares, means, np.array(whiskers).T, fmt="o", ls=line, ms=2.5, color=colour, elinewidth=0.7, label=condition.name
        )
    axes.set_xscale("log")
    axes.set_xticks(results.first.settings.shares, [f"{share:g}" for share in results.first.settings.shares])
    axes.minorticks_off()
    axes.set_xlabel("share of the data, %")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=2.5)
    _finish_accuracies(axes, results)


def _finish_accuracies(axes: Axes, results: ImageResults) -> None:
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(0.0, 100.0)
    n_classes = results.conditions[0].conditions[0].arrays["confusion"].shape[0]
    axes.axhline(100.0 / n_classes, color=style.CHANCE_LINE, ls="--", lw=0.7, zorder=0.5)
    axes.set_title(f"{results.first.experiment}, {results.first.data}, hidden {_sizes(results)}")


def _sizes(results: ImageResults) -> str:
    return ", ".join(map(str, results.first.settings.hidden))


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


def _draw_weights(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    """How the weights of each layer are distributed before and after the last sleep, quantiles averaged over seeds."""
    before, after = (np.mean([each.arrays[key] for each in condition.conditions], axis=0) for key in ("weights_awake", "weights"))
    percents = np.linspace(0.0, 100.0, before.shape[1])
    for layer in range(len(after)):
        colour = style.task_colour(layer + 1)
        axes.plot(before[layer], percents, "--", color=colour, lw=0.8)
        axes.plot(after[layer], percents, color=colour, lw=0.8, label=_layer(layer, len(after)))
    axes.set_xscale("symlog", linthresh=STRAIGHT)
    largest = 10.0 ** np.ceil(np.log10(max(abs(before).max(), abs(after).max())))
    axes.set_xticks([-largest, -STRAIGHT, 0.0, STRAIGHT, largest], [f"-{largest:g}", "", "0", "", f"{largest:g}"])
    axes.minorticks_off()
    axes.set_xlabel("weight")
    axes.set_ylabel("weights below, %")
    _legend_of_layers(axes)


def _draw_sparseness(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    """Sparseness of each layer after each row, with a sleep before and after it."""
    before, after = (
        np.mean([each.arrays[key] for each in condition.conditions], axis=0) for key in ("sparseness_awake", "sparseness")
    )
    stages = np.arange(1, len(after) + 1)
    for layer in range(after.shape[1]):
        x, y = np.column_stack([stages - 0.3, stages]).ravel(), np.column_stack([before[:, layer], after[:, layer]]).ravel()
        there = ~np.isnan(y)
        axes.plot(x[there], y[there], "o-", ms=2.0, color=style.task_colour(layer + 1), label=_layer(layer, after.shape[1]))
    for stage in stages[~np.isnan(before).all(axis=1)]:
        axes.axvspan(stage - 0.3, stage, color=style.SLEEP, alpha=0.15, lw=0.0)
    if results.is_incremental:
        axes.set_xlabel("tasks trained")
        axes.set_xticks(stages)
    else:
        axes.set_xticks(stages, results.first.rows, rotation=30, ha="right")
    axes.set_ylabel("sparseness")
    axes.set_ylim(-0.03, 1.03)
    _legend_of_layers(axes)


def _layer(layer: int, layers: int) -> str:
    return "output" if layer == layers - 1 else f"hidden {layer + 1}"


def _legend_of_layers(axes: Axes) -> None:
    place = axes.get_subplotspec()
    if place is not None and place.colspan.start == 0:
        axes.legend(handlelength=1.0, frameon=True, framealpha=0.8)


def _draw_confusion(axes: Axes, results: ImageResults, condition: ConditionResult) -> None:
    counts = np.sum([each.arrays["confusion"] for each in condition.conditions], axis=0)
    axes.imshow(100.0 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), origin="lower", vmin=0.0, vmax=100.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("choice")
    axes.set_ylabel("class")

"""Basins: networks whose strengths were perturbed, and what sleep, or more training, makes of them."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.files.landscapes import Basins

from ..basins import RETURNED, Return, returns
from ..performance import over_trials
from . import style

ROW_MM = 62.0


def draw(basins: Basins) -> Figure:
    """The figure of basins: a row per task."""
    tasks, found = basins.tested.tasks, returns(basins)
    per_aeon = basins.source.parameters.timing.epochs_per_aeon
    figure = style.new_figure(style.FULL_WIDTH_MM, ROW_MM * len(tasks) + 14)
    grid = figure.subplots(len(tasks), 3, squeeze=False, width_ratios=[1.3, 1.0, 1.0])
    for axes, letter in zip(grid[0], "ABC", strict=True):
        style.panel(axes, letter)
    for row, task in zip(grid, tasks, strict=True):
        of_task = [each for each in found if each.task == task]
        _draw_performance(row[0], basins, of_task, task)
        _draw_against_distance(row[1], basins, of_task, lambda each: each.share)
        row[1].set(ylabel="share that came back", ylim=(-0.04, 1.04))
        _draw_against_distance(row[2], basins, of_task, lambda each: each.time / per_aeon)
        row[2].set(ylabel="aeons until it is back (median)")
        row[2].set_ylim(bottom=0)
    style.print_below(figure, _note(basins), ", ".join(basins.source.conditions))
    return figure


def _note(basins: Basins) -> str:
    directions, tested = basins.distance.shape[2], basins.tested
    lengths = ", ".join(f"{name} {epochs:,} epochs" for name, epochs in zip(basins.phases, basins.epoch[:, -1], strict=True))
    return (
        f"Strengths hidden to output after {basins.state}, perturbed in {directions} random directions per trial "
        f"({len(basins.seeds)} trials), then {lengths}. A: mean and sd over networks. B: of the networks that the perturbation "
        f"brought below {RETURNED:.0%} of the performance before it, the share that is above that at the end; C: when. Tests of "
        f"{int(tested.counts['epochs'].flat[0]):,} epochs, standard error {np.nanmean(tested.performance_error):.3f}."
    )


def _draw_performance(axes: Axes, basins: Basins, of_task: Sequence[Return], task: str) -> None:
    first = [each for each in of_task if each.phase == basins.phases[0]]
    _draw_spread(axes, first, 0, "black", "at once")
    for name in basins.phases:
        _draw_spread(
            axes, [each for each in of_task if each.phase == name], -1, style.phase_colour(name), f"after {style.written(name)}"
        )
    axes.axhline(RETURNED * float(np.mean(first[0].before)), color="0.4", ls=":", lw=0.8)
    style.chance_line(axes)
    axes.set(xlabel="distance of the perturbed strengths", ylabel=f"performance on {style.written(task)}")
    axes.legend(loc="lower left", frameon=True, framealpha=1.0, edgecolor="none")  # above the line of chance


def _draw_spread(axes: Axes, rows: Sequence[Return], test: int, colour: str, label: str) -> None:
    spread = [over_trials(each.performance[:, test]) for each in rows]
    distance = [float(each.distance.mean()) for each in rows]
    error = [float(each.sd) if each.trials > 1 else 0.0 for each in spread]
    means = [float(each.mean) for each in spread]
    axes.errorbar(distance, means, error, color=colour, lw=1.2, elinewidth=0.6, marker="o", ms=2.5, label=label)


def _draw_against_distance(axes: Axes, basins: Basins, of_task: Sequence[Return], value: Callable[[Return], float]) -> None:
    for name in basins.phases:
        rows = [each for each in of_task if each.phase == name]
        distance = [float(each.distance.mean()) for each in rows]
        axes.plot(
            distance, [value(each) for each in rows], "o-", ms=3, lw=1.0, color=style.phase_colour(name), label=style.written(name)
        )
    axes.set_xlabel("distance of the perturbed strengths")
    axes.set_xlim(left=0)

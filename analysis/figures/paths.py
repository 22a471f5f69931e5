"""Performance along straight lines between states of trials, the barriers on them, and performance along the trajectories."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foraging_snn.files.landscapes import PathEnd, Paths, TestedWay
from foraging_snn.files.networks import NAIVE

from ..paths import BETWEEN, WITHIN, Barriers, barriers
from ..performance import over_trials
from . import style

LINES = ("-", "--", ":", "-.")
COLOURS = ("#000000", "#7B5EA7", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # none of a task
MOST_LINES = 10  # kinds of lines in a panel
HEIGHTS = (48.0, 46.0, 50.0)  # mm, of the rows: lines, barriers, trajectories


def draw(paths: Paths) -> Figure:
    """The figure of paths: a column per task."""
    tasks, found = paths.tested.tasks, barriers(paths)
    rows = 3 if paths.ways else 2
    figure = style.new_figure(style.FULL_WIDTH_MM, sum(HEIGHTS[:rows]) + 22)
    grid = figure.subplots(rows, len(tasks), squeeze=False, height_ratios=HEIGHTS[:rows])
    for axes, letter in zip(grid[:, 0], "ABC", strict=False):
        style.panel(axes, letter)
    top = max([0.02, *(float(value) for row in found for value in row.values if not np.isnan(value))])
    for k, task in enumerate(tasks):
        of_task = [row for row in found if row.task == task]
        _draw_lines(grid[0, k], paths, k, of_task)
        _draw_barriers(grid[1, k], of_task, top)
        if paths.ways:
            _draw_ways(grid[2, k], paths, k)
        grid[0, k].set_title(f"performance on {style.written(task)}")
    _share_ordinate(grid[0])
    if paths.ways:
        _share_ordinate(grid[2])
        grid[2, 0].set_ylabel("performance along trajectories")
    grid[0, 0].set_ylabel("performance on straight lines")
    grid[0, -1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    style.print_below(figure, _note(paths, found), ", ".join(paths.source.conditions))
    return figure


def _note(paths: Paths, found: Sequence[Barriers]) -> str:
    trials = len({start.seed for start in paths.starts})
    lines = f"{trials} trials, mean ± sd over them" if trials > 1 else "one trial; bars: standard error of the tests"
    return (
        f"A: networks on the straight line between the states after two phases, strengths and resistances ({lines}). B: barrier, "
        "how far performance falls at most below the line between its ends; grey: what the errors of the tests alone make of it on "
        "average; trial to trial: the same state of two trials. C: snapshots tested. Tests of "
        f"{int(paths.tested.counts['epochs'].flat[0]):,} epochs, seed {paths.source.seed}, standard error "
        f"{np.nanmean(paths.tested.performance_error):.3f}."
    )


def _share_ordinate(row: Sequence[Axes]) -> None:
    limits = np.array([axes.get_ylim() for axes in row])
    for axes in row:
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _draw_lines(axes: Axes, paths: Paths, k: int, of_task: Sequence[Barriers]) -> None:
    performance, errors = paths.tested.performance[..., k], paths.tested.performance_error[..., k]
    within = [row for row in of_task if row.kind == WITHIN][:MOST_LINES]
    for number, row in enumerate(within):
        chosen = [n for n, (a, b) in enumerate(zip(paths.starts, paths.ends, strict=True)) if _is(row, a, b)]
        spread = over_trials(performance[chosen])
        error = spread.sd if len(chosen) > 1 else errors[chosen[0]]
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "ls": LINES[number // len(COLOURS)]}
        axes.errorbar(
            paths.share, spread.mean, error, lw=1.2, elinewidth=0.6, marker="o", ms=2, label=style.written(row.name), **look
        )
    style.chance_line(axes)
    axes.set(xlabel="share of the way", xlim=(-0.02, 1.02))


def _is(row: Barriers, start: PathEnd, end: PathEnd) -> bool:
    return start.seed == end.seed and (start.state, end.state) == (row.start, row.end)


def _draw_barriers(axes: Axes, of_task: Sequence[Barriers], top: float) -> None:
    places = np.arange(len(of_task))
    for place, row in zip(places, of_task, strict=True):
        colour = "0.55" if row.kind == BETWEEN else style.task_colour(row.task)
        axes.bar(place, row.values.mean(), color=colour, alpha=0.5, width=0.7)
        axes.plot(np.full(len(row.values), place), row.values, ".", ms=3, color=colour)
        if row.summary.interval:
            axes.vlines(place, row.summary.interval.low, row.summary.interval.high, color="black", lw=1.0)
        axes.hlines(row.noise.mean(), place - 0.4, place + 0.4, color="0.4", lw=1.2)
    axes.set_xticks(places, [style.written(row.name) for row in of_task], rotation=30, ha="right", rotation_mode="anchor")
    axes.set(ylabel="barrier", ylim=(0, max(axes.get_ylim()[1], 1.1 * top)))


def _draw_ways(axes: Axes, paths: Paths, k: int) -> None:
    per_aeon = paths.source.parameters.timing.epochs_per_aeon
    for label in dict.fromkeys(way.label for way in paths.ways):
        ways = [way for way in paths.ways if way.label == label]
        alike = [
            way for way in ways if way.phases == ways[0].phases and np.array_equal(_aeon(way, per_aeon), _aeon(ways[0], per_aeon))
        ]
        spread = over_trials(np.array([way.tested.performance[:, k] for way in alike]))
        error = spread.sd if len(alike) > 1 else alike[0].tested.performance_error[:, k]
        aeon, phases = _aeon(alike[0], per_aeon), alike[0].phases
        for phase in dict.fromkeys(phases):
            rows = np.array([n for n, name in enumerate(phases) if name == phase])
            colour = "0.4" if phase == NAIVE else style.phase_colour(phase)
            drawn = rows if rows[0] == 0 else np.concatenate([[rows[0] - 1], rows])
            axes.plot(aeon[drawn], spread.mean[drawn], color=colour, lw=1.2)
            axes.errorbar(aeon[rows], spread.mean[rows], error[rows], color=colour, ls="none", marker="o", ms=2.5, elinewidth=0.6)
    style.chance_line(axes)
    names = dict.fromkeys(name for way in paths.ways for name in way.phases)
    colours = {name: "0.4" if name == NAIVE else style.phase_colour(name) for name in names}
    handles = [Line2D([], [], color=colours[name], lw=1.2, label=_during(name)) for name in names]
    if k == len(paths.tested.tasks) - 1:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_xlabel("aeons since the first training began, tests included")


def _during(name: str) -> str:
    return "before training" if name == NAIVE else f"during {style.written(name)}"


def _aeon(way: TestedWay, per_aeon: int) -> np.ndarray:
    return (way.epoch - way.epoch[0]) / per_aeon

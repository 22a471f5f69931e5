"""Performance in the last tests of a sweep against its parameters: curves, or maps for two parameters."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..sweep_table import SweepTable, Value
from . import style

PANEL_HEIGHT_MM = 62.0
LOGARITHMIC_FROM = 8.0  # largest value / smallest value
CELLS_WITH_SD = 6  # of a map, in a row or column: in more there is no room for it


def draw(table: SweepTable) -> Figure:
    """The overview of a sweep.

    Parameters
    ----------
    table : SweepTable

    Returns
    -------
    Figure
        With two parameters, a map of mean performance for each task, with sd where there is room; otherwise a panel per
        parameter, performance on all tasks, mean ± sd over the trials, all values of the other parameters together.
    """
    rows = 1 if len(table.names) == 2 else -(-len(table.names) // 2)
    width = style.FULL_WIDTH_MM if len(table.names) > 1 else 1.3 * style.COLUMN_WIDTH_MM
    figure = style.new_figure(width, rows * PANEL_HEIGHT_MM)
    title = f"{style.written(table.label)}: tests after {style.written(table.last_tests, style.LONGEST_NAME)}"
    figure.suptitle(title, fontsize=style.NORMAL)
    if len(table.names) == 2:
        _draw_maps(figure, table)
        note = f"Mean {'and sd ' if _has_room_for_sd(table) else ''}over trials."
    else:
        panels = figure.subplots(rows, min(2, len(table.names)), squeeze=False, sharey=True)
        for axes in panels.flat[len(table.names) :]:
            axes.remove()
        for axes, name in zip(panels.flat, table.names, strict=False):
            _draw_curves(axes, table, name)
        note = "Mean and sd over trials; small points: trials."
        note += " All values of the other parameters together." if len(table.names) > 1 else ""
    seeds = len({row.seed for row in table.rows})
    style.print_below(figure, f"{note} {seeds} trial{'s' if seeds > 1 else ''} per point, {', '.join(table.conditions)}")
    return figure


def _draw_curves(axes: Axes, table: SweepTable, name: str) -> None:
    values = table.axis(name)
    places = _places(values)
    for task in table.tasks:
        colour = style.task_colour(f"T{task}")
        spreads = [table.spread(task, {name: value}) for value in values]
        means, sds = (np.array([float(getattr(s, kind)) for s in spreads]) for kind in ("mean", "sd"))
        axes.errorbar(places, means, np.nan_to_num(sds), color=colour, marker="o", ms=3, capsize=2, label=f"Task {task}")
        for place, value in zip(places, values, strict=True):
            trials = table.performances(task, {name: value})
            axes.plot(np.full(len(trials), place), trials, ".", ms=2, color=colour, alpha=0.5)
    if _is_logarithmic(values):
        axes.set_xscale("log")
    axes.set_xticks(places, [_written(value) for value in values])
    axes.minorticks_off()
    axes.set_xlabel(name)
    axes.set_ylabel("performance")
    style.chance_line(axes)
    axes.legend()


def _draw_maps(figure: Figure, table: SweepTable) -> None:
    across, up = table.names
    xs, ys = table.axis(across), table.axis(up)
    panels = figure.subplots(1, len(table.tasks), squeeze=False)
    spreads = {task: [[table.spread(task, {across: x, up: y}) for x in xs] for y in ys] for task in table.tasks}
    means = {task: np.array([[float(s.mean) for s in row] for row in spreads[task]]) for task in table.tasks}
    known = np.concatenate([mean[~np.isnan(mean)] for mean in means.values()])
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    images = []
    for axes, task in zip(panels.flat, table.tasks, strict=True):
        images.append(axes.imshow(means[task], origin="lower", aspect="auto", vmin=low, vmax=high))
        for (row, column), mean in np.ndenumerate(means[task]):
            colour = "black" if mean > (low + high) / 2 else "white"
            text = "-" if np.isnan(mean) else f"{mean:.2f}"
            sd = spreads[task][row][column].sd
            if sd == sd and _has_room_for_sd(table):
                text += f"\n± {sd:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
        axes.set_xticks(range(len(xs)), [_written(x) for x in xs])
        axes.set_yticks(range(len(ys)), [_written(y) for y in ys])
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.set_title(f"Task {task}")
    figure.colorbar(images[-1], ax=panels, label="performance")


def _has_room_for_sd(table: SweepTable) -> bool:
    return max(len(table.axis(name)) for name in table.names) <= CELLS_WITH_SD


def _is_logarithmic(values: list[Value]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= LOGARITHMIC_FROM


def _places(values: list[Value]) -> list[float]:
    return [float(value) for value in values]


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"

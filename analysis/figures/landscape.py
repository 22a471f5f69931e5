"""A landscape: performance on each task over a plane of the space of strengths, where all tasks are solved, and who went there.

A map per task with the contour at a share of its own best; the regions within the contours, their intersection, and the
trajectories projected on the plane, fainter and smaller the farther they are from it; that distance over time.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from foraging_snn.files.landscapes import Landscape, Trajectory
from foraging_snn.files.networks import NAIVE

from . import style

SHARE_OF_BEST = 0.9  # of a task's best performance within the dashed line, at its contour
SMOOTHING = 0.7  # sd of the Gaussian over which maps are smoothed for contours and the best, in points of the grid
FAINTEST, LARGEST, SMALLEST = 0.12, 20.0, 2.0  # of marks: opacity far off the plane; area in and far off it, points²
MOVED_SHARE = (
    0.05  # of the larger extent of a map: points that were moved farther than this to be legal lie outside the dashed line
)
BAR_SHARE = 0.3  # of the width of a map, at most, for the scale bar
PANEL_MM = 74.0
HALO = [withStroke(linewidth=1.6, foreground="white")]


def draw(landscape: Landscape) -> Figure:
    """The figure of a landscape."""
    tasks = landscape.tested.tasks
    columns = max(2, len(tasks))
    ratio = float(np.clip(np.ptp(landscape.y) / np.ptp(landscape.x), 0.35, 1.6))
    height = 2 * min(PANEL_MM, style.FULL_WIDTH_MM / columns - 10) * ratio + 48
    figure = style.new_figure(style.FULL_WIDTH_MM, height)
    grid = figure.add_gridspec(2, columns, height_ratios=[1.0, 1.15])
    maps = [figure.add_subplot(grid[0, k]) for k in range(len(tasks))]
    regions, off_plane = figure.add_subplot(grid[1, : columns - 1]), figure.add_subplot(grid[1, columns - 1])
    for axes, letter in zip((*maps, regions, off_plane), "ABCDEFGH", strict=False):
        style.panel(axes, letter)

    smooth = smoothed(landscape)
    levels = borders(landscape).tolist()
    _draw_maps(figure, maps, landscape, smooth, levels)
    farthest = max([1e-12, *landscape.states.distance.tolist(), *(way.distance.max() for way in landscape.trajectories)])
    _draw_regions(regions, landscape, smooth, levels, farthest)
    _draw_distances(off_plane, landscape)
    style.print_below(figure, _note(landscape), ", ".join(landscape.source.conditions))
    return figure


def smoothed(landscape: Landscape, counted: np.ndarray | None = None) -> np.ndarray:
    """Performance on the grid, (ny, nx, tasks), smoothed over the points that are `counted` ((ny, nx) bool; default all); chance
    where nothing was eaten."""
    from scipy.ndimage import gaussian_filter  # takes a moment to import

    known = np.nan_to_num(landscape.tested.performance, nan=style.CHANCE)
    share = np.ones(known.shape) if counted is None else np.broadcast_to(counted[..., None], known.shape).astype(float)
    sums, shares = (gaussian_filter(values, (SMOOTHING, SMOOTHING, 0.0), mode="nearest") for values in (known * share, share))
    return sums / np.where(shares > 0.0, shares, 1.0)


def borders(landscape: Landscape) -> np.ndarray:
    """Performance on each task above which it counts as solved, (tasks,): a share of its best among points within the dashed line.

    Points that were moved far to be legal lie off the plane, where a task may be solved better than anywhere on it.
    """
    near = landscape.tested.moved <= _moved_level(landscape)
    if not near.any():
        near[:] = True
    return SHARE_OF_BEST * smoothed(landscape, near)[near].max(axis=0)


def all_solved(landscape: Landscape) -> np.ndarray:
    """Where performance on every task is above its border, (ny, nx) bool."""
    return np.asarray(np.all(smoothed(landscape) >= borders(landscape), axis=-1))


def _note(landscape: Landscape) -> str:
    tested, source = landscape.tested, landscape.source
    plane = (
        "plane in which the last fifths of the phases vary most"
        if landscape.kind == "pca"
        else f"plane through the states after {', '.join(landscape.states.names[:3])}"
    )
    epochs, moved = int(tested.counts["epochs"].flat[0]), np.count_nonzero(tested.moved) / tested.moved.size
    return (
        f"Strengths hidden to output, {plane}; bars: Euclidean distance of strengths. Each of the {len(landscape.x)} x "
        f"{len(landscape.y)} points is a network with these strengths, wiring and inputs of the trials and the resistances of "
        f"{landscape.reference}, tested for {epochs:,} epochs, seed {source.seed}. {moved:.0%} of the points were moved to be "
        f"allowed (clipped, inputs scaled), by {tested.moved.max():.1f} at most; outside the dashed line by more than "
        f"{_moved_level(landscape):.2g}. Contours: {SHARE_OF_BEST:.0%} of the best of the task within it, of maps smoothed over "
        f"{SMOOTHING} points. ± is the mean standard error of a point, binomial over the particles eaten. Trajectories are "
        "projections: the fainter and smaller, the farther off."
    )


def _moved_level(landscape: Landscape) -> float:
    return MOVED_SHARE * float(max(np.ptp(landscape.x), np.ptp(landscape.y)))


# -------------------------------------------------------------------------------------------------------------------- maps


def _draw_maps(figure: Figure, panels: list[Axes], landscape: Landscape, smooth: np.ndarray, levels: list[float]) -> None:
    values, errors = landscape.tested.performance, landscape.tested.performance_error
    low, high = (float(limit(values)) if np.isfinite(values).any() else style.CHANCE for limit in (np.nanmin, np.nanmax))
    image: AxesImage | None = None
    for k, axes in enumerate(panels):
        task = landscape.tested.tasks[k]
        image = axes.imshow(values[..., k], origin="lower", extent=_extent(landscape), vmin=low, vmax=high, aspect="equal")
        _contour(axes, landscape, smooth[..., k], levels[k], style.task_colour(task))
        _moved_line(axes, landscape)
        mark_states(axes, landscape)
        scale_bar(axes, landscape, _extent(landscape))
        error = np.nanmean(errors[..., k]) if np.isfinite(errors[..., k]).any() else np.nan
        axes.set_title(f"performance on {style.written(task)} (± {error:.3f})")
    if image is not None:
        figure.colorbar(image, ax=panels, label="performance", shrink=0.9, pad=0.02)


def _extent(landscape: Landscape) -> tuple[float, float, float, float]:
    """Of an image whose pixels are centred on the points."""
    edges = []
    for values in (landscape.x, landscape.y):
        half = (values[1] - values[0]) / 2 if len(values) > 1 else 0.5
        edges += [float(values[0] - half), float(values[-1] + half)]
    return edges[0], edges[1], edges[2], edges[3]


def _contour(axes: Axes, landscape: Landscape, values: np.ndarray, level: float, colour: str) -> None:
    if values.min() < level < values.max():
        lines = axes.contour(landscape.x, landscape.y, values, levels=[level], colors=[colour], linewidths=1.4)
        lines.set(path_effects=[withStroke(linewidth=2.6, foreground="white")])


def _moved_line(axes: Axes, landscape: Landscape) -> None:
    moved, level = landscape.tested.moved, _moved_level(landscape)
    if moved.min() < level < moved.max():
        axes.contour(landscape.x, landscape.y, moved, levels=[level], colors=["black"], linewidths=0.7, linestyles="dashed")


def mark_states(axes: Axes, landscape: Landscape, distances: bool = False) -> None:
    """The named states."""
    for name, (x, y), distance in zip(landscape.states.names, landscape.states.position, landscape.states.distance, strict=True):
        axes.plot(x, y, "o", ms=4, mfc="white", mec="black", mew=0.9, zorder=6)
        off = f" ({distance:.1f} off)" if distances and distance > 0.005 * np.ptp(landscape.x) else ""
        left = x > 0.7 * landscape.x[-1] + 0.3 * landscape.x[0]
        axes.annotate(
            f"{style.written(name)}{off}",
            (x, y),
            xytext=(-5 if left else 5, 4),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=style.NORMAL,
            path_effects=HALO,
            zorder=7,
        )


def scale_bar(axes: Axes, landscape: Landscape, extent: tuple[float, float, float, float]) -> None:
    """In the lower left corner, in place of ticks."""
    left, right, bottom, top = extent
    size = nice_length(BAR_SHARE * (right - left))
    x, y = left + 0.05 * (right - left), bottom + 0.05 * (top - bottom)
    axes.plot([x, x + size], [y, y], color="black", lw=1.8, solid_capstyle="butt", path_effects=HALO, zorder=8)
    middle = (x + size / 2, y)
    axes.annotate(f"{size:g}", middle, (0, 2), textcoords="offset points", ha="center", path_effects=HALO, zorder=8)
    axes.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top), aspect="equal")
    for spine in axes.spines.values():
        spine.set_visible(True)


def nice_length(longest: float) -> float:
    """The longest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(factor * power for factor in (1.0, 2.0, 5.0) if factor * power <= longest * (1 + 1e-9)))


# ------------------------------------------------------------------------------------------------- regions and trajectories


def draw_regions(axes: Axes, landscape: Landscape, smooth: np.ndarray, levels: list[float]) -> list[Patch]:
    """Shade where each task is solved, and hatch where all are; entries for a legend."""
    handles = []
    for k, task in enumerate(landscape.tested.tasks):
        colour = style.task_colour(task)
        axes.contourf(landscape.x, landscape.y, smooth[..., k], levels=[levels[k], np.inf], colors=[colour], alpha=0.22)
        _contour(axes, landscape, smooth[..., k], levels[k], colour)
        handles.append(Patch(fc=to_rgba(colour, 0.22), ec=colour, label=f"{style.written(task)} above {levels[k]:.2f}"))
    if len(levels) > 1:
        least = (smooth / levels).min(axis=-1)
        if least.max() > 1.0:
            hatched = axes.contourf(landscape.x, landscape.y, least, levels=[1.0, np.inf], colors="none", hatches=["////"])
            hatched.set_edgecolor("0.35")
            hatched.set_linewidth(0.0)
        share = np.count_nonzero(all_solved(landscape)) / least.size
        handles.append(Patch(fc="none", ec="0.35", hatch="////", label=f"all ({share:.0%} of the points)"))
    return handles


def _draw_regions(axes: Axes, landscape: Landscape, smooth: np.ndarray, levels: list[float], farthest: float) -> None:
    handles: list[Any] = [*draw_regions(axes, landscape, smooth, levels)]
    for way, new in _segments(landscape):
        draw_way(axes, way, farthest, new)
    _moved_line(axes, landscape)
    mark_states(axes, landscape, distances=True)
    scale_bar(axes, landscape, (landscape.x[0], landscape.x[-1], landscape.y[0], landscape.y[-1]))
    phases = dict.fromkeys(name for way in landscape.trajectories for name in way.phases if name != NAIVE)
    handles += [Line2D([], [], color=style.phase_colour(name), lw=1.2, label=f"during {style.written(name)}") for name in phases]
    for distance in (0.0, farthest / 2, farthest) if landscape.trajectories else ():
        opacity, area = _look(np.array([distance]), farthest)
        marks = {"marker": "o", "ls": "none", "mec": "none", "color": "black", "alpha": float(opacity[0])}
        handles.append(Line2D([], [], ms=float(np.sqrt(area[0])), label=f"{distance:.1f} from the plane", **marks))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3, borderaxespad=0.0, handlelength=1.5)
    axes.set_title("where performance is high, and trajectories")


def _segments(landscape: Landscape) -> Iterator[tuple[Trajectory, np.ndarray]]:
    """Trajectories, and which of their snapshots are not those of one before: experiments share their beginnings."""
    seen: set[tuple] = set()
    for way in landscape.trajectories:
        keys = [(way.seed, int(epoch), *position) for epoch, position in zip(way.epoch, way.position.tolist(), strict=True)]
        yield way, np.array([key not in seen for key in keys], bool)
        seen.update(keys)


def _look(distance: np.ndarray, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and area of marks by their distance from the plane."""
    near = 1.0 - distance / farthest
    return FAINTEST + (1.0 - FAINTEST) * near, SMALLEST + (LARGEST - SMALLEST) * near**2


def draw_way(axes: Axes, way: Trajectory, farthest: float, new: np.ndarray | None = None) -> None:
    """A trajectory, or those of its snapshots that are `new`; the fainter and smaller, the farther it is from the plane."""
    new = np.ones(len(way.epoch), bool) if new is None else new
    opacity, area = _look(way.distance, farthest)
    colours = np.array([to_rgba(style.phase_colour(name) if name != NAIVE else "0.4") for name in way.phases])
    colours[:, 3] = opacity
    steps = [(a, b) for a, b in pairwise(range(len(new))) if new[b]]
    lines = [way.position[[a, b]] for a, b in steps]
    axes.add_collection(LineCollection(lines, colors=[colours[b] for _, b in steps], linewidths=1.0, zorder=4))
    axes.scatter(*way.position[new].T, s=area[new], c=colours[new], linewidths=0, zorder=5)


def _draw_distances(axes: Axes, landscape: Landscape) -> None:
    per_aeon = landscape.source.parameters.timing.epochs_per_aeon
    for way, new in _segments(landscape):
        aeon = (way.epoch - way.epoch[0]) / per_aeon
        for a, b in pairwise(range(len(new))):
            if new[b]:
                axes.plot(aeon[[a, b]], way.distance[[a, b]], color=style.phase_colour(way.phases[b]), lw=1.2)
    axes.set(xlabel="aeons since the first training began, tests included", ylabel="distance from the plane")
    if landscape.kind == "states":
        apart = float(np.linalg.norm(landscape.states.strengths[1] - landscape.states.strengths[0]))
        axes.axhline(apart, color="0.4", ls=":", lw=0.8)
        names = " to ".join(style.written(name) for name in landscape.states.names[:2])
        axes.annotate(names, (1.0, apart), (0, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right")
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    axes.set_title("how far trajectories are from the plane")

"""Figure 7 G-I computed: the regions of the strengths that solve each task, on a plane, and how each protocol goes through them.

The layout is the paper's: a column per protocol. Below, small, its schematic.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foraging_snn.files.landscapes import Landscape, Trajectory
from foraging_snn.files.networks import NAIVE

from ..collection import CollectionError
from . import landscape as of_landscape
from . import style
from .fig7 import SCHEMATIC, schematic

ORDER = ("T1 -> T2", "T1 -> I(T1,T2)", "T1 -> I(S,T2)", "T1 -> T2 -> I(S,T1)")  # of the columns, as in the paper
EXPERIMENTS: dict[str, str] = dict(zip(ORDER, ("sequential", "interleaved", "sleep", "sequential-sleep"), strict=True))
LETTERS: dict[str, str] = dict(zip(ORDER, "GHIJ", strict=True))
LEGEND_MM, SCHEMATIC_MM, REST_MM = 24.0, 22.0, 24.0


def draw(landscape: Landscape) -> Figure:
    """The figure.

    Raises
    ------
    CollectionError
        The landscape is of other tasks than the paper's, or holds the trajectory of no protocol of the paper's figure.
    """
    ways = _ways(landscape)
    if landscape.tested.tasks != ("T1", "T2"):
        raise CollectionError(f"it is of {', '.join(landscape.tested.tasks)}, not of T1, T2")
    if not ways:
        raise CollectionError(f"it holds no trajectory of {', '.join(ORDER)}")
    columns = max(2, len(ways))
    ratio = float(np.clip(np.ptp(landscape.y) / np.ptp(landscape.x), 0.35, 1.4))
    height = ratio * (style.FULL_WIDTH_MM - LEGEND_MM) / columns
    figure = style.new_figure(style.FULL_WIDTH_MM, height + SCHEMATIC_MM + REST_MM)
    panels = figure.subplots(2, columns, height_ratios=[height, SCHEMATIC_MM], squeeze=False)
    for axes in panels[:, len(ways) :].flat:
        axes.set_axis_off()
    smooth = of_landscape.smoothed(landscape)
    levels = of_landscape.borders(landscape).tolist()
    farthest = max([1e-12, *(float(way.distance.max()) for way in ways)])
    for axes, drawing, way in zip(panels[0], panels[1], ways, strict=False):
        style.panel(axes, LETTERS[way.label])
        axes.set_title(style.written(way.label))
        of_landscape.draw_regions(axes, landscape, smooth, levels)
        of_landscape.draw_way(axes, way, farthest)
        of_landscape.mark_states(axes, landscape)
        x, y = landscape.x, landscape.y
        of_landscape.scale_bar(axes, landscape, (x[0], x[-1], y[0], y[-1]))
        phases = tuple(name for name in dict.fromkeys(way.phases) if name != NAIVE)
        schematic(drawing, SCHEMATIC[EXPERIMENTS[way.label]], phases)
    _legend(panels[0, len(ways) - 1], ways)
    style.print_below(figure, _note(landscape, levels), ", ".join(landscape.source.conditions))
    return figure


def _ways(landscape: Landscape) -> list[Trajectory]:
    """The first trajectory of each protocol, in the order of the paper's columns."""
    first: dict[str, Trajectory] = {}
    for way in landscape.trajectories:
        first.setdefault(way.label, way)
    return [first[label] for label in ORDER if label in first]


def _legend(axes: Axes, ways: list[Trajectory]) -> None:
    phases = dict.fromkeys(name for way in ways for name in way.phases)
    colours = {name: "0.4" if name == NAIVE else style.phase_colour(name) for name in phases}
    handles = [
        Line2D([], [], color=colour, marker="o", ms=3, lw=1.2, label=style.written(name)) for name, colour in colours.items()
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)


def _note(landscape: Landscape, levels: list[float]) -> str:
    names, source = landscape.states.names, landscape.source
    epochs = int(landscape.tested.counts["epochs"].flat[0])
    sets = " and ".join(f"{task} above {level:.2f}" for task, level in zip(landscape.tested.tasks, levels, strict=True))
    plane = "the plane of principal axes" if landscape.kind == "pca" else f"the plane through {', '.join(names[:3])}"
    return (
        f"Computed: {len(landscape.x)} x {len(landscape.y)} networks on {plane}, tested for {epochs:,} epochs, seed {source.seed}; "
        f"shaded: performance on {sets}, {of_landscape.SHARE_OF_BEST:.0%} of the best of points near the plane; hatched: both. "
        "Trajectories are projections, the fainter and smaller, the farther from the plane; bars: Euclidean distance of strengths. "
        "Below: the paper's schematic."
    )

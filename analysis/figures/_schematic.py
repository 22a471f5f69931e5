"""The drawing of network and tasks in Figure 1. Sizes of the network are those of the trial; the view is an example."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from foraging_snn.environments import TASKS
from foraging_snn.files.reader import Trial

from . import style

# An example world of Task 1 around the agent: whether rewarded, and offset of the particle's anchor from the agent.
EXAMPLE = (
    (True, -3, 2),
    (False, 1, 3),
    (True, 1, 0),
    (False, -2, -1),
    (True, 2, -3),
    (True, -6, 4),
    (False, 5, 1),
    (False, -5, 1),
    (True, -6, -3),
    (True, 5, 4),
    (False, 5, -4),
    (False, -2, -4),
    (True, -1, 5),
)
REACH = 6  # squares of the world drawn on each side of the agent
EMPTY, EDGE = "0.96", "0.75"


def schematic(axes: Axes, trial: Trial) -> None:
    """Draw world, network and tasks; one unit of the axes is a millimetre.

    Parameters
    ----------
    axes : Axes
    trial : Trial
        Whose parameters say how large the layers are.
    """
    parameters = trial.parameters
    field, task = parameters.world.field, TASKS["T1"]
    squares = {
        square: colour
        for rewarded, x, y in EXAMPLE
        for colour, (kind,) in [(style.REWARDED, task.rewarded) if rewarded else (style.PUNISHED, task.punished)]
        for square in kind.squares_at(x, y)
    }
    _world(axes, 15.0, squares, field)
    _input(axes, 49.0, squares, field)
    _hidden(axes, 82.0, parameters.n_hidden)
    _output(axes, 116.0)
    n, k = parameters.n_hidden, parameters.network.inputs_per_hidden_cell
    for x, title, below in (
        (15.0, "world", f"part of the {parameters.world.size} × {parameters.world.size} torus"),
        (49.0, "input", f"{field} × {field} cells: the view"),
        (82.0, "hidden", f"{n} cells, {k} inputs each"),
        (116.0, "output", "8 cells: where to move"),
    ):
        axes.text(x, 17.5, title, ha="center", va="bottom", fontsize=style.NORMAL, weight="bold")
        axes.text(x, -17.0, below, ha="center", va="top", fontsize=style.SMALL)
    _arrow(axes, 27.5, 39.0, "")
    _arrow(axes, 58.5, 69.0, "STDP,\nthen\nfrozen")
    _arrow(axes, 95.0, 106.0, "rewarded\nSTDP")
    for number, y in ((1, 9.5), (2, -8.5)):
        _task(axes, 133.0, y, number)
    axes.set(xlim=(0, 173), ylim=(-20.5, 21), aspect="equal")
    axes.axis("off")


def _square(axes: Axes, x: float, y: float, side: float, colour: str, **more: Any) -> None:
    axes.add_patch(Rectangle((x - side / 2, y - side / 2), side, side, facecolor=colour, **{"edgecolor": EDGE, "lw": 0.3} | more))


def _world(axes: Axes, x: float, squares: dict, field: int) -> None:
    side = 26.0 / (2 * REACH + 1)
    for dx in range(-REACH, REACH + 1):
        for dy in range(-REACH, REACH + 1):
            _square(axes, x + dx * side, dy * side, side, squares.get((dx, dy), "white"))
    _square(axes, x, 0, field * side, "none", lw=1.0, edgecolor="black")
    axes.plot(x, 0, "o", color="black", ms=3)


def _input(axes: Axes, x: float, squares: dict, field: int) -> None:
    side, half = 18.0 / field, field // 2
    for dx in range(-half, half + 1):
        for dy in range(-half, half + 1):
            _square(axes, x + dx * side, dy * side, side, "0.25" if (dx, dy) in squares else EMPTY)


def _hidden(axes: Axes, x: float, n: int) -> None:
    rows = math.ceil(math.sqrt(n))
    place = np.arange(n)
    across, down = (place % rows + 0.5) / rows - 0.5, 0.5 - (place // rows + 0.5) / rows
    axes.scatter(x + 25.0 * across, 25.0 * down, s=600.0 / n, color="0.45", lw=0)


def _output(axes: Axes, x: float) -> None:
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            here = (x + 5.6 * dx, 5.6 * dy)
            _square(axes, *here, 5.6, EMPTY if dx or dy else "white")
            if dx or dy:
                reach = 1.9 / math.hypot(dx, dy)
                ends = [(here[0] - reach * dx, here[1] - reach * dy), (here[0] + reach * dx, here[1] + reach * dy)]
                axes.add_patch(FancyArrowPatch(*ends, arrowstyle="->", mutation_scale=5, lw=0.8, shrinkA=0, shrinkB=0))


def _arrow(axes: Axes, start: float, end: float, text: str) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 7, "lw": 0.9, "color": "0.3", "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch((start, 0), (end, 0), **look))
    axes.text((start + end) / 2, 1.6, text, ha="center", va="bottom", fontsize=style.SMALL - 0.5, color="0.3", linespacing=1.15)


def _task(axes: Axes, x: float, y: float, number: int) -> None:
    task = TASKS[f"T{number}"]
    axes.text(x, y + 4.6, f"Task {number}", weight="bold", color=style.TASK_COLOURS[number], va="bottom")
    for (kind,), colour, role, row in (
        (task.rewarded, style.REWARDED, "rewarded", y + 1.2),
        (task.punished, style.PUNISHED, "punished", y - 5.0),
    ):
        dx, dy = (2.4 * step for step in kind.offsets[1])
        for sign in (-0.5, 0.5):
            _square(axes, x + 2.5 + sign * dx, row + sign * dy, 2.4, colour)
        axes.text(x + 7.0, row, f"{kind.name}: {role}", va="center", fontsize=style.SMALL)

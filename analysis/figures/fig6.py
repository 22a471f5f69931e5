"""Figure 6: the strengths hidden to output during I(S,T1), after T1 and T2.

A: strengths of all synapses onto one output cell, coloured by which cluster they are in at the beginning and at the end; B: sizes
of the weak and the strong cluster; C: strengths after T1 against those after T2, D: after T2 against those after I(S,T1), and, as a
supplement, after T1 against those after I(S,T1).
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure

from ..collection import Collection
from ..weights import STRONG, clusters, fate, strength_histogram, two_cluster_threshold
from . import style
from ._receptive_fields import SHOWN_OUTPUT
from ._weight_states import LearningStates, learning_states_at_once

EXPERIMENTS = ("sequential-sleep",)
PHASE = "I(S,T1)"

EDGES = np.linspace(0, 0.5, 41)
TIMES = (("T1", "T2"), ("T2", PHASE), ("T1", PHASE))
NOTE = (
    f"A: first trial, all synapses onto the output cell of figures 2 and 5. Strong: above {STRONG}; dashed in B: divided midway "
    "between the means of the two parts that vary least within. B: mean ± sd over trials. C, D: mean over trials; per cent: share "
    "of all synapses; the last bins hold stronger ones too."
)


def draw(collection: Collection) -> Figure:
    """The figure, from the trials of `EXPERIMENTS`."""
    collection.require(EXPERIMENTS)
    trials = learning_states_at_once(collection.trials(EXPERIMENTS[0]))
    figure = style.new_figure(style.FULL_WIDTH_MM, 128)
    style.small_print(figure, collection, EXPERIMENTS, NOTE)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 0.95))[:, 0]
    left, right = upper.subfigures(1, 2, squeeze=False, width_ratios=(1.0, 1.25))[0]
    axes = left.subplots()
    strengths_onto_one_cell(axes, trials[0])
    style.panel(axes, "A")
    cluster_sizes(right, trials)
    maps = lower.subplots(1, 3, sharey=False)
    meshes = [change_of_strengths(ax, trials, *times) for ax, times in zip(maps, TIMES, strict=True)]
    lower.colorbar(meshes[-1], ax=maps, label="synapses per trial", pad=0.01, aspect=30, format="{x:g}")
    style.panel(maps[0], "C")
    style.panel(maps[1], "D")
    return figure


def strengths_onto_one_cell(axes: Axes, trial: LearningStates) -> None:
    """Panel A: every synapse onto one output cell over the phase."""
    aeon, strength = _aeons(trial), trial.during(PHASE)[:, :, SHOWN_OUTPUT]
    was_strong, is_strong = strength[0] > STRONG, strength[-1] > STRONG
    groups = (
        ("weak, stays weak", ~was_strong & ~is_strong, "0.75"),
        ("strong, stays strong", was_strong & is_strong, style.TASK_2),
        ("strong becomes weak", was_strong & ~is_strong, "black"),
        ("weak becomes strong", ~was_strong & is_strong, style.SLEEP),
    )
    for name, chosen, colour in groups:
        if chosen.any():
            lines = axes.plot(aeon, strength[:, chosen], color=colour, lw=0.4, alpha=0.8)
            lines[0].set_label(f"{name} ({np.count_nonzero(chosen)})")
    axes.axhline(STRONG, color="0.3", ls=":", lw=0.7)
    axes.locator_params(axis="x", nbins=4)
    axes.set(xlim=(0, aeon[-1]), ylim=(0, None), xlabel=f"aeons of {PHASE}", ylabel="strength")
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.2, columnspacing=1)
    for line in legend.get_lines():
        line.set(linewidth=1.5, alpha=1)


def cluster_sizes(figure: SubFigure, trials: Sequence[LearningStates]) -> None:
    """Panel B: synapses in the weak and in the strong cluster over the phase, of all output cells and of the one in A."""
    grid = figure.subplots(2, 2, sharex=True)
    style.panel(grid[0, 0], "B")
    aeon = _aeons(trials[0])
    for column, title in enumerate(("all output cells", "the cell of A")):
        strengths = [trial.during(PHASE) if column == 0 else trial.during(PHASE)[:, :, SHOWN_OUTPUT] for trial in trials]
        fixed = [clusters(strength) for strength in strengths]
        split = [clusters(strength, np.array([two_cluster_threshold(state) for state in strength])) for strength in strengths]
        for row, (field, colour) in enumerate((("n_weak", "0.45"), ("n_strong", style.SLEEP))):
            axes = grid[row, column]
            _mean_and_sd(axes, aeon, [getattr(one, field) for one in fixed], colour)
            axes.plot(aeon, np.mean([getattr(one, field) for one in split], axis=0), "--", color=colour)
        grid[0, column].set_title(title)
        grid[1, column].set(xlabel=f"aeons of {PHASE}", xlim=(0, aeon[-1]))
    grid[0, 0].set_ylabel("weak synapses")
    grid[1, 0].set_ylabel("strong synapses")


def change_of_strengths(axes: Axes, trials: Sequence[LearningStates], before: str, after: str) -> QuadMesh:
    """Panels C and D: how many synapses went from which strength to which; the mesh, for a colour bar."""
    pairs = [(trial.after(before), trial.after(after)) for trial in trials]
    count = np.mean([strength_histogram(*pair, EDGES).count for pair in pairs], axis=0)
    mesh = axes.pcolormesh(
        EDGES, EDGES, np.where(count > 0, count, np.nan).T, norm=LogNorm(1 / len(trials), 5000), cmap="magma_r", rasterized=True
    )
    for line in (axes.axvline, axes.axhline):
        line(STRONG, color="0.3", ls=":", lw=0.7)
    shares = np.mean([fate(*pair).shares for pair in pairs], axis=0)
    text = "strong → strong {:.1%}, weak {:.1%}\nweak → strong {:.1%}, weak {:.1%}".format(*shares)
    axes.set_title(text, fontsize=style.SMALL, loc="left")
    axes.set(aspect="equal", xlabel=f"strength after {before}", ylabel=f"strength after {after}")
    return mesh


def _aeons(trial: LearningStates) -> np.ndarray:
    rows = np.flatnonzero(trial.states.phase == PHASE)
    return trial.aeon[[rows[0] - 1, *rows]] - trial.aeon[rows[0] - 1]


def _mean_and_sd(axes: Axes, x: np.ndarray, values: Sequence[np.ndarray], colour: str) -> None:
    mean = np.mean(values, axis=0)
    axes.plot(x, mean, color=colour)
    if len(values) > 1:
        sd = np.std(values, axis=0, ddof=1)
        axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.2, lw=0)

"""Figure 7: the ways of many networks through the space of strengths, and how far they are from what solves each task.

A-C: kernel principal components of the states at the end of all phases, with the trajectories of one protocol per column; below
them the same of the receptive fields of the output cells, which can be compared between networks. D-F: distances of the
trajectories to the point sets of Task 1, of Task 2 and of both, as in the paper; below them with points held out of the sets that
are of the trajectory itself, and of its network. G-I: schematic. T1 -> T2 -> I(S,T1) is shown as a supplement if it was run.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, FancyArrowPatch

from ..collection import Collection, CollectionError
from ..weight_space import (
    WeightStates,
    centre_trials,
    fit_kernel_projection,
    join,
    plateau,
    set_distances,
    without_trajectory,
    without_trial,
)
from . import style
from ._fig4_weights import draw_trajectory
from ._weight_states import NAIVE, LearningStates, are_one_network, learning_states

EXPERIMENTS = ("sequential", "interleaved", "sleep")
SUPPLEMENT = "sequential-sleep"
LETTERS = ("ABC", "DEF", "GHI")
LONGEST_TITLE = 28  # characters

SET_NAMES = {"M_T1": "$M_{T1}$", "M_T2": "$M_{T2}$", "M_T1xT2": r"$M_{T1 \cap T2}$"}
SET_LINES = {"M_T1": (style.TASK_1, "-", 2.2), "M_T2": (style.TASK_2, "-", 1.1), "M_T1xT2": ("black", "--", 0.8)}  # may coincide
PER_MILLE = 1e3  # receptive fields are of the order of 0.01
MARKERS = {"T1": "o", "T2": "s", "I(T1,T2)": "^", "I(S,T2)": "D", "I(S,T1)": "v"}

STRANGERS = "Every trial has its own network; hidden cells of different networks do not correspond, so nor do their strengths"

# Where trajectories go in the schematic, between the centres of the sets at -1 and 1; the sets overlap around 0.
BEGINNING, IN_T1, IN_T2, IN_BOTH = (-0.7, -1.55), (-1.25, 0.1), (1.25, 0.1), (0.0, 0.0)
SCHEMATIC = {
    "sequential": (IN_T1, IN_T2),
    "interleaved": (IN_T1, IN_BOTH),
    "sleep": (IN_T1, IN_BOTH),
    "sequential-sleep": (IN_T1, IN_T2, IN_BOTH),
}


@dataclass(frozen=True)
class Protocol:
    """The trajectories of one experiment; one trial each.

    Attributes
    ----------
    experiment, label : str
    trials : tuple of LearningStates
    """

    experiment: str
    label: str
    trials: tuple[LearningStates, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases in which strengths change, in their order."""
        return tuple(name for name in dict.fromkeys(self.trials[0].states.phase.tolist()) if name != NAIVE)


def draw(collection: Collection) -> Figure:
    """The figure, from the trials of `EXPERIMENTS` and, if there are any, of `SUPPLEMENT`."""
    protocols = _read(collection)
    alone = len(protocols[0].trials) == 1
    alike = are_one_network(protocols[0].trials)
    strengths = [[trial.states for trial in protocol.trials] for protocol in protocols]
    fields = [] if alone else [[trial.in_receptive_fields for trial in protocol.trials] for protocol in protocols]
    rows = list(_distance_rows(strengths, fields))

    n_maps = 2 if fields else 1
    heights = [1.15] * n_maps + [0.8] * len(rows) + [0.75]
    figure = style.new_figure(style.FULL_WIDTH_MM, 12 + 34 * sum(heights))
    grid = figure.subplots(len(heights), len(protocols), height_ratios=heights, squeeze=False)
    style.small_print(figure, collection, [protocol.experiment for protocol in protocols], _note(alone, alike))
    for letters, first in zip(LETTERS, (0, n_maps, len(heights) - 1), strict=True):
        for axes, letter in zip(grid[first], letters, strict=False):
            style.panel(axes, letter)
    for axes, protocol in zip(grid[0], protocols, strict=True):
        axes.set_title(style.written(protocol.label, LONGEST_TITLE), pad=12)
    _maps(grid[0], protocols, strengths, "strengths", _as_they_are)
    if fields:
        _maps(grid[1], protocols, fields, "receptive fields of O,\nrelative to own trial", centre_trials)
    for axes_of_row, row in zip(grid[n_maps:-1], rows, strict=True):
        _draw_distances(axes_of_row, protocols, row)
    _label_distances(grid[n_maps:-1])
    for axes, protocol in zip(grid[-1], protocols, strict=True):
        schematic(axes, SCHEMATIC[protocol.experiment], protocol.phases)
    _legends(grid[0, -1], grid[n_maps, -1], protocols)
    return figure


def _read(collection: Collection) -> list[Protocol]:
    """The trials that all experiments of the paper's figure have; of the supplement those of them that it has."""
    names = [*EXPERIMENTS, *([SUPPLEMENT] if collection.has(SUPPLEMENT) else [])]
    collection.require(names)
    trials = {name: {trial.seed: trial for trial in collection.trials(name)} for name in names}
    common = set.intersection(*(set(trials[name]) for name in EXPERIMENTS))
    if not common:
        raise CollectionError(f"{collection.directory}: no seed with trials of all of {', '.join(EXPERIMENTS)}")
    chosen = {name: [trials[name][seed] for seed in sorted(common & set(trials[name]))] for name in names}
    return [
        Protocol(name, of_name[0].label, tuple(learning_states(trial) for trial in of_name))
        for name, of_name in chosen.items()
        if of_name
    ]


def _note(alone: bool, alike: bool) -> str:
    text = (
        "A-C: kernel PCA (RBF) of the last fifth of each phase; lines: trajectories, thick: first trial; ring: naive. D-F: "
        "Euclidean distance to the nearest point of each set: M_T1 is the last fifth of T1, I(T1,T2) and I(S,T2), M_T2 that of T2, "
        "I(T1,T2) and I(S,T2), the intersection that of I(T1,T2) and I(S,T2), of all trials. In the rows below it these points are "
        "held out: those of the phases of the trajectory itself"
    )
    if alone:
        return f"{text}. One trial, so that no other could be judged."
    network = "All trials have one wiring" if alike else STRANGERS
    return (
        f"{text}; all of its trial (mean ± sd over trials). {network}. Receptive fields of the output cells O (mean of the hidden "
        "ones, weighted by strength) can be compared between all networks; they are relative to the centre of a trial's T1 and T2."
    )


# -------------------------------------------------------------------------------------------------------------------- maps


def _points(states: Sequence[Sequence[WeightStates]]) -> WeightStates:
    """The ends of all phases of all trials; a phase that several experiments share, once."""
    seen: set[tuple[int, str]] = set()
    parts = []
    for trial in (trial for protocol in states for trial in protocol):
        seed = int(trial.trial[0])
        new = [name for name in dict.fromkeys(trial.phase.tolist()) if name != NAIVE and (seed, name) not in seen]
        seen |= {(seed, name) for name in new}
        parts.append(plateau(trial.of_phases(*new)))
    return join(parts)


def _as_they_are(states: WeightStates, reference: WeightStates) -> WeightStates:
    return states


def _maps(
    axes_of_row: Sequence[Axes],
    protocols: Sequence[Protocol],
    states: Sequence[Sequence[WeightStates]],
    what: str,
    centred: Callable[[WeightStates, WeightStates], WeightStates],
) -> None:
    """Panels A to C in some coordinates: the same points in all columns, the trajectories of one protocol in each."""
    raw = _points(states)
    points = centred(raw, raw)
    projection = fit_kernel_projection(points.vector)
    flat = projection.project(points.vector)
    for axes, protocol, trials in zip(axes_of_row, protocols, states, strict=True):
        for name, marker in MARKERS.items():
            chosen = points.phase == name
            axes.plot(*flat[chosen].T, marker, ms=2.2, mec="none", color=style.phase_colour(name), alpha=0.45, zorder=1)
        for k, trial in reversed(list(enumerate(trials))):
            way = projection.project(centred(trial, raw).vector)
            draw_trajectory(axes, way, trial.phase, protocol.phases, lw=1.2 if k == 0 else 0.5)
        axes.set(xlabel=f"component 1 ({projection.share[0]:.0%})")
        axes.margins(0.08)
        axes.locator_params(nbins=4)
    axes_of_row[0].set_ylabel(f"{what}\ncomponent 2 ({projection.share[1]:.0%})")


# --------------------------------------------------------------------------------------------------------------- distances


@dataclass(frozen=True)
class DistanceRow:
    """A row of panels D to F.

    Attributes
    ----------
    title : str
    distances : list, by protocol, of lists, by trial, of dict of str to (m,) float64
    """

    title: str
    distances: list[list[dict[str, np.ndarray]]]


def _distance_rows(strengths: Sequence[Sequence[WeightStates]], fields: Sequence[Sequence[WeightStates]]) -> Iterator[DistanceRow]:
    yield DistanceRow("all points", _distances(strengths, _as_they_are))
    yield DistanceRow("own trajectory\nheld out", _distances(strengths, without_trajectory))
    if fields:
        yield DistanceRow("own trial\nheld out", _distances(strengths, without_trial))
        points = _points(fields)
        centred = [[centre_trials(trial, points) for trial in protocol] for protocol in fields]
        scaled = [[trial.with_vectors(PER_MILLE * trial.vector) for trial in protocol] for protocol in centred]
        yield DistanceRow("own trial held out,\nrec. fields ($10^{-3}$)", _distances(scaled, without_trial))


def _distances(
    states: Sequence[Sequence[WeightStates]], held_out: Callable[[WeightStates, WeightStates], WeightStates]
) -> list[list[dict[str, np.ndarray]]]:
    points = _points(states)
    return [[set_distances(trial, held_out(points, trial)) for trial in protocol] for protocol in states]


def _draw_distances(axes_of_row: Sequence[Axes], protocols: Sequence[Protocol], row: DistanceRow) -> None:
    for axes, protocol, distances in zip(axes_of_row, protocols, row.distances, strict=True):
        aeon, phase = protocol.trials[0].aeon, protocol.trials[0].states.phase
        for name, (colour, ls, lw) in SET_LINES.items():
            values = np.array([trial[name] for trial in distances])
            axes.plot(aeon, values.mean(axis=0), color=colour, ls=ls, lw=lw)
            if len(values) > 1:
                low, high = values.mean(axis=0) + np.outer([-1, 1], values.std(axis=0, ddof=1))
                axes.fill_between(aeon, low, high, color=colour, alpha=0.18, lw=0)
        for name in protocol.phases:
            rows = np.flatnonzero(phase == name)
            axes.axvspan(
                float(aeon[rows[0] - 1]), float(aeon[rows[-1]]), color=style.phase_colour(name), alpha=0.10, lw=0, zorder=0
            )
        axes.set(xlim=(0, aeon[-1]))
    top = 1.05 * max(
        d.max() for of_protocol in row.distances for trial in of_protocol for d in trial.values() if not np.isnan(d).all()
    )
    for axes in axes_of_row:
        axes.set_ylim(0, top)
        axes.tick_params(labelleft=axes is axes_of_row[0])
    axes_of_row[0].set_ylabel(row.title, **style.FORMULA)


def _label_distances(grid: np.ndarray) -> None:
    for axes in grid[:-1].flat:
        axes.tick_params(labelbottom=False)
    for axes in grid[-1]:
        axes.set_xlabel("aeons of learning")


# ------------------------------------------------------------------------------------------------------ schematic, legends


def schematic(axes: Axes, goals: Sequence[tuple[float, float]], phases: Sequence[str]) -> None:
    """Panels G to I: a drawing of the ways, not data; computed, they are the figure `manifold`."""
    for x, colour, name in ((-0.8, style.TASK_1, SET_NAMES["M_T1"]), (0.8, style.TASK_2, SET_NAMES["M_T2"])):
        axes.add_patch(Ellipse((x, 0), 2.5, 1.7, fc=colour, ec=colour, alpha=0.18))
        axes.text(2.0 * x, 0.98, name, color=colour, ha="center", va="center", **style.FORMULA)
    axes.plot(*BEGINNING, "o", ms=4, mfc="white", mec="0.3", mew=0.7)
    for start, goal, phase in zip((BEGINNING, *goals), goals, phases, strict=False):
        bend = "arc3,rad=-0.25"
        axes.add_patch(
            FancyArrowPatch(
                start, goal, connectionstyle=bend, arrowstyle="-|>", mutation_scale=8, lw=1.4, color=style.phase_colour(phase)
            )
        )
    axes.set(xlim=(-2.3, 2.3), ylim=(-1.8, 1.25), aspect="equal")
    axes.set_axis_off()


def _legends(maps: Axes, distances: Axes, protocols: Sequence[Protocol]) -> None:
    phases = dict.fromkeys(name for protocol in protocols for name in protocol.phases)
    handles = [Line2D([], [], marker=MARKERS[p], color=style.phase_colour(p), ms=3, lw=1, label=p) for p in phases]
    maps.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
    lines = [
        Line2D([], [], color=colour, ls=ls, lw=lw, label=f"to {SET_NAMES[name]}") for name, (colour, ls, lw) in SET_LINES.items()
    ]
    legend = distances.legend(handles=lines, loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1.4)
    for text in legend.get_texts():
        text.set(**style.FORMULA)

"""Panels C, D and E of figure 4: what becomes of the strengths in T1 -> T2 -> I(S,T1).

C, task-relevant synapses through the phases; D, distances of held-out states from the boundary between Task 1 and Task 2
states; E, the way of one network through the space of strengths.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.axes import Axes

from ..collection import Collection
from ..decision_boundary import HeldOutDistances, TaskStates, hold_out_snapshots, hold_out_trials
from ..weight_space import WeightStates, fit_projection, plateau
from ..weights import STRONG, strength_distribution, task_relevant_synapses, trace_synapses
from . import style
from ._weight_states import NAIVE, LearningStates, learning_states

EXPERIMENT = "sequential-sleep"
T1, T2, INTERLEAVED = PHASES = ("T1", "T2", "I(S,T1)")

NOTE = (
    "C: strengths of the 10 % of hidden-to-output synapses that were strongest after the training on one task, at the ends of the "
    f"three phases; widths: share of them; per cent: share above {STRONG}. D: signed distance from the boundary of a support "
    "vector machine (RBF) trained on the last fifth of T1 and T2, in the feature space of its kernel; dots: mean of a trial, bars: "
    "of all; correct: share of held-out T1 and T2 states on their own side. E: one trial; per cent: share of variance."
)

LOG_EDGES = np.linspace(-2, 0, 13)  # of the logarithm of a strength, up to the cap; the first bin holds weaker ones too
BIN_WIDTH = 1.3  # of a bin that would hold all synapses, where phases are 1 apart
ROWS = 4.3  # from the first row of one block of distances to that of the next
GROUP = 3.7  # from the first phase of one group of synapses to that of the next


def distributions(axes: Axes, collection: Collection) -> None:
    """Panel C: distributions of the strengths that are task-relevant after T1 and after T2, at the ends of the three phases.

    Parameters
    ----------
    axes : Axes
        One; the two groups of synapses stand side by side.
    collection : Collection
    """
    trials = _read(collection)
    for group, task in enumerate((T1, T2)):
        traced = [trace_synapses(_ends(trial), task_relevant_synapses(trial.after(task))) for trial in trials]
        for k, phase in enumerate(PHASES):
            share = np.mean([_log_distribution(one.strength[k]) for one in traced], axis=0)
            _violin(axes, GROUP * group + k, share, style.phase_colour(phase))
            strong = np.mean([one.share_strong[k] for one in traced])
            axes.text(GROUP * group + k, 1.15, f"{strong:.0%}", ha="center", va="bottom", fontsize=style.SMALL)
        middle = GROUP * group + 1
        axes.text(middle, 2.9, f"strongest\nafter {task}", ha="center", va="top", color=style.phase_colour(task))
    axes.axhline(STRONG, color="0.5", ls=":", lw=0.7, zorder=0)
    axes.text(GROUP - 0.85, STRONG, f"{STRONG}", ha="center", va="bottom", fontsize=style.SMALL, color="0.4")
    axes.set_yscale("log")
    axes.set(ylim=(0.85e-2, 2.9), xlim=(-0.75, GROUP + 2.75), ylabel="strength", xlabel="at the end of")
    axes.set_yticks([0.01, 0.1, 1], ["≤ 0.01", "0.1", "1"])
    axes.set_xticks([GROUP * group + k for group in (0, 1) for k in range(3)], 2 * PHASES)
    axes.xaxis.set_tick_params(length=0)


def boundary_distance(axes: Axes, collection: Collection) -> None:
    """Panel D: distances of held-out states from the boundary that a support vector machine draws between the tasks.

    Parameters
    ----------
    axes : Axes
    collection : Collection
        With a single trial, states are held out within it only.
    """
    trials = {int(trial.states.trial[0]): trial for trial in _read(collection)}
    strengths = {seed: _task_states(trial.states) for seed, trial in trials.items()}
    if len(trials) == 1:
        blocks = {"other snapshots, same trial": hold_out_snapshots(strengths)}
    else:
        blocks = {"other snapshots, same trials": hold_out_snapshots(strengths)}
        blocks["other trials, strengths"] = hold_out_trials(strengths)
        fields = {seed: _task_states(trial.in_receptive_fields) for seed, trial in trials.items()}
        blocks["other trials, receptive fields of O"] = hold_out_trials(fields)
    for block, (name, distances) in enumerate(blocks.items()):
        _block(axes, ROWS * block, name, distances)
    axes.axvline(0, color="0.4", lw=0.7, zorder=0)
    every = [d for distances in blocks.values() for d in distances.values()]
    limit = 1.15 * max(np.abs(np.concatenate([d.task_1, d.task_2, d.other])).max() for d in every)
    axes.set(xlim=(-limit, limit), ylim=(ROWS * len(blocks) - 1.0, -1.5), xlabel="← Task 1    distance    Task 2 →")
    axes.set_yticks([ROWS * block + k for block in range(len(blocks)) for k in range(3)], len(blocks) * PHASES)
    axes.yaxis.set_tick_params(length=0)


def pca_trajectory(axes: Axes, collection: Collection) -> None:
    """Panel E: the strengths of one network, the first trial, on the two principal components of its own states.

    Parameters
    ----------
    axes : Axes
    collection : Collection
    """
    states = _read(collection)[0].states
    projection = fit_projection(states.of_phases(*PHASES).vector)
    points = projection.project(states.vector)
    draw_trajectory(axes, points, states.phase, PHASES)
    for phase in PHASES:
        _name_point(axes, points, np.flatnonzero(states.phase == phase)[-1], phase, style.phase_colour(phase))
    _name_point(axes, points, 0, NAIVE, "0.3")
    axes.set(xlabel=f"PC 1 ({projection.share[0]:.0%})", ylabel=f"PC 2 ({projection.share[1]:.0%})")
    axes.margins(0.17)


def draw_trajectory(axes: Axes, points: np.ndarray, phase: np.ndarray, phases: Iterable[str], lw: float = 1.0) -> None:
    """A trajectory in a plane, each phase in its colour, from the state before it; a ring at its beginning, a dot at its end.

    Parameters
    ----------
    axes : Axes
    points : (n, 2) array
    phase : (n,) str array
        Name of the phase of each point.
    phases : iterable of str
        Those that are drawn.
    lw : float
        Width of the line in points.
    """
    for name in phases:
        rows = np.flatnonzero(phase == name)
        path = points[[max(rows[0] - 1, 0), *rows]]
        axes.plot(*path.T, "-", lw=lw, color=style.phase_colour(name), solid_capstyle="round")
    axes.plot(*points[0], "o", ms=3.2 * lw, mfc="white", mec="0.3", mew=0.7, zorder=3)
    axes.plot(*points[-1], "o", ms=3.2 * lw, color=style.phase_colour(str(phase[-1])), mec="black", mew=0.5, zorder=3)


def _read(collection: Collection) -> list[LearningStates]:
    return [learning_states(trial) for trial in collection.trials(EXPERIMENT)]


def _ends(trial: LearningStates) -> np.ndarray:
    return np.stack([trial.after(phase) for phase in PHASES])


def _log_distribution(strength: np.ndarray) -> np.ndarray:
    return strength_distribution(np.log10(np.maximum(strength, 10 ** LOG_EDGES[0])), LOG_EDGES).share


def _violin(axes: Axes, x: float, share: np.ndarray, colour: str) -> None:
    """A histogram on its side, mirrored; widths are on the same scale in all of them."""
    half = BIN_WIDTH / 2 * np.append(share, share[-1])
    axes.fill_betweenx(10.0**LOG_EDGES, x - half, x + half, step="post", color=colour, lw=0)


def _name_point(axes: Axes, points: np.ndarray, index: int, name: str, colour: str) -> None:
    """Write a name beside a point of a trajectory, on the side that looks away from the centre."""
    outwards = points[index] - (points.min(axis=0) + points.max(axis=0)) / 2
    offset = 9 * outwards / (np.linalg.norm(outwards) or 1.0)
    axes.annotate(
        name,
        points[index],
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        color=colour,
        annotation_clip=False,
    )


def _task_states(states: WeightStates) -> TaskStates:
    return TaskStates(*(plateau(states.of_phases(phase)).vector for phase in PHASES))


def _block(axes: Axes, top: float, name: str, distances: Mapping[int, HeldOutDistances]) -> None:
    """Three rows of dots, one dot per trial, its mean; a bar at the mean of all."""
    for k, (field, phase) in enumerate(zip(("task_1", "task_2", "other"), PHASES, strict=True)):
        means = np.array([getattr(one, field).mean() for one in distances.values()])
        offsets = np.linspace(-0.22, 0.22, len(means)) if len(means) > 1 else [0.0]
        axes.plot(means, top + k + np.array(offsets), "o", ms=2.8, color=style.phase_colour(phase), mec="white", mew=0.3)
        axes.plot([means.mean()] * 2, [top + k - 0.36, top + k + 0.36], color="black", lw=1.0)
    accuracy = np.mean([one.accuracy for one in distances.values()])
    left, box = axes.get_yaxis_transform(), {"fc": "white", "ec": "none", "pad": 0.5}
    axes.text(0.02, top - 0.65, f"{name}: {accuracy:.0%} correct", va="center", fontsize=style.SMALL, transform=left, bbox=box)

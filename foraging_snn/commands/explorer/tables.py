"""What the page shows of trials and landscapes, as columns of tables. Pure functions of what contents.py has read.

A row of `points` is a snapshot of a trial. Everything that belongs to it is there, so that the page needs nothing else to show it.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foraging_snn.analysis.figures.style import phase_colour, task_colour
from foraging_snn.analysis.performance import CURVE_POINTS, performance_over_aeons, tasks_of
from foraging_snn.analysis.planes import Plane
from foraging_snn.analysis.receptive_fields import output_receptive_fields, strongest_hidden_cells
from foraging_snn.analysis.weight_space import (
    Projection,
    WeightStates,
    fit_kernel_projection,
    fit_projection,
    join,
    plateau,
    receptive_field_coordinates,
    strength_coordinates,
)
from foraging_snn.analysis.weights import STRONG, strength_distribution
from foraging_snn.commands.explorer.contents import ExploredTrial
from foraging_snn.files.landscapes import Landscape
from foraging_snn.files.networks import NAIVE, Network
from foraging_snn.models import N_OUTPUT

AXES = 3  # of a map
DRIVERS = 4  # hidden cells that drive an output cell most, that are shown
EDGES = np.linspace(0.0, 0.24, 49)  # of the histogram of strengths; STRONG is one of them
ROUNDED = 1e-6  # relative; snapshots hold strengths in half the room
NAIVE_COLOUR = "#666666"

Columns = dict[str, Any]


@dataclass(frozen=True)
class StateMap:
    """States of trials as points.

    Attributes
    ----------
    name : str
    axes : tuple of 3 str
        What is along each.
    position : tuple of (n, 3) float64
        Of the snapshots of each trial; NaN where a trial cannot be on this map.
    """

    name: str
    axes: tuple[str, str, str]
    position: tuple[np.ndarray, ...]


# -------------------------------------------------------------------------------------------------------------------- maps


def maps_of(trials: Sequence[ExploredTrial], landscapes: Mapping[str, Landscape]) -> list[StateMap]:
    """All maps: the planes of the landscapes, principal components, those of a kernel, and those of receptive fields."""
    made = [landscape_map(name, landscape, trials) for name, landscape in landscapes.items()]
    together = _largest_network(trials)
    strengths = [strength_coordinates(trial.strengths) if trial in together else None for trial in trials]
    fields = [receptive_field_coordinates(trial.strengths, trial.images) for trial in trials]
    made.append(_projected("PCA of the strengths", trials, strengths, fit_projection))
    made.append(_projected("kernel PCA of the strengths", trials, strengths, fit_kernel_projection))
    made.append(_projected("PCA of the receptive fields", trials, fields, fit_projection))
    return made


def landscape_map(name: str, landscape: Landscape, trials: Sequence[ExploredTrial]) -> StateMap:
    """The plane of a landscape: x, y and distance of every state of its network."""
    plane = Plane(landscape.origin.reshape(-1), landscape.axes.reshape(2, -1))
    position = []
    for trial in trials:
        if not same_network(landscape.network, trial.network):
            position.append(np.full((len(trial), AXES), np.nan))
            continue
        vectors = strength_coordinates(trial.strengths)
        position.append(np.column_stack([plane.position(vectors), plane.distance(vectors)]))
    return StateMap(f"landscape: {name}", ("x", "y", "distance from it"), tuple(position))


def same_network(one: Network, other: Network) -> bool:
    """Whether strengths hidden to output can be compared: one wiring, and one set of inputs, but for how files round them."""
    return one.has_wiring_of(other) and np.allclose(one.input_hidden, other.input_hidden, rtol=ROUNDED, atol=0.0)


def _largest_network(trials: Sequence[ExploredTrial]) -> list[ExploredTrial]:
    """The most trials whose strengths can be compared."""
    groups: list[list[ExploredTrial]] = []
    for trial in trials:
        group = next((group for group in groups if same_network(group[0].network, trial.network)), None)
        if group is None:
            groups.append([trial])
        else:
            group.append(trial)
    return max(groups, key=len)


def _projected(name: str, trials: Sequence[ExploredTrial], vectors: Sequence[np.ndarray | None], fit: Any) -> StateMap:
    """On the components that were fitted to the last fifths of the phases."""
    parts = [_states(trial, of_trial) for trial, of_trial in zip(trials, vectors, strict=True) if of_trial is not None]
    last = join([plateau(part) for part in parts]).vector
    distinct = len(np.unique(last, axis=0))
    n = min(AXES, distinct - 1, last.shape[1])
    nowhere = [np.full((len(trial), AXES), np.nan) for trial in trials]
    if n < 1:
        return StateMap(name, _names((), n), tuple(nowhere))
    projection: Projection = fit(last, n)
    for k, of_trial in enumerate(vectors):
        if of_trial is not None:
            nowhere[k] = np.zeros((len(of_trial), AXES))
            nowhere[k][:, :n] = projection.project(of_trial)
    return StateMap(name, _names(projection.share.tolist(), n), tuple(nowhere))


def _names(share: Sequence[float], n: int) -> tuple[str, str, str]:
    a, b, c = (f"{k + 1} ({share[k]:.0%})" if k < n else f"{k + 1}: none" for k in range(AXES))
    return a, b, c


def _states(trial: ExploredTrial, vectors: np.ndarray) -> WeightStates:
    seed = np.full(len(trial), trial.trial.seed)
    return WeightStates(vectors, seed, np.array([f"{trial.name} {k}" for k in trial.phase]), trial.epoch)


# ------------------------------------------------------------------------------------------------------------------ trials


def trials_table(trials: Sequence[ExploredTrial]) -> Columns:
    """A row per trial: names, and which rows of the other tables are its own."""
    of_network: list[ExploredTrial] = []
    network = []
    for trial in trials:
        same = next((k for k, other in enumerate(of_network) if np.array_equal(other.images, trial.images)), len(of_network))
        if same == len(of_network):
            of_network.append(trial)
        network.append(same)
    sizes = np.array([len(trial) for trial in trials])
    first_image = np.cumsum([0, *(len(trial.images) for trial in of_network)])
    return {
        "name": [trial.name for trial in trials],
        "title": [_title(trial) for trial in trials],
        "first": (np.cumsum(sizes) - sizes).tolist(),
        "size": sizes.tolist(),
        "network": network,
        "image": [int(first_image[k]) for k in network],
    }


def images_table(trials: Sequence[ExploredTrial]) -> Columns:
    """A row per hidden cell of each network, in the order of :func:`trials_table`: its input weight image, row by row."""
    of_network: list[np.ndarray] = []
    for trial in trials:
        if not any(np.array_equal(images, trial.images) for images in of_network):
            of_network.append(trial.images)
    return {"image": np.concatenate([images.reshape(len(images), -1) for images in of_network])}


def _title(trial: ExploredTrial) -> str:
    return f"{trial.trial.label}, seed {trial.trial.seed}"


# --------------------------------------------------------------------------------------------------------------- snapshots


def points_table(trials: Sequence[ExploredTrial], maps: Sequence[StateMap]) -> Columns:
    """A row per snapshot of each trial, in their order."""
    parts = [_once(trial, "points", _points_of) | {"trial": np.full(len(trial), k, np.int32)} for k, trial in enumerate(trials)]
    table: Columns = {}
    for name, first in parts[0].items():
        columns = [part[name] for part in parts]
        table[name] = np.concatenate(columns) if isinstance(first, np.ndarray) else [cell for column in columns for cell in column]
    for k, one in enumerate(maps):
        joined = np.concatenate(one.position)
        table |= {f"map{k}_{axis}": np.ascontiguousarray(joined[:, axis]) for axis in range(AXES)}
    return table


def _once(trial: ExploredTrial, name: str, make: Callable[[ExploredTrial], Any]) -> Any:
    """What is made of a trial, kept with it."""
    if name not in trial.made:
        trial.made[name] = make(trial)
    return trial.made[name]


def _points_of(trial: ExploredTrial) -> Columns:
    names, n = trial.phase_names, len(trial)
    said = performance_of_snapshots(trial)
    return {
        "row": np.arange(n, dtype=np.int32),
        "title": [_title(trial)] * n,
        "phase": names,
        "begins": np.append(True, trial.phase[1:] != trial.phase[:-1]).astype(np.uint8),
        "colour": [NAIVE_COLOUR if name == NAIVE else phase_colour(name) for name in names],
        "epoch": trial.epoch.astype(np.int32),
        "aeon": trial.aeon.astype(np.float64),
        "performance": said,
        "command": commands(trial),
    } | network_columns(trial.strengths, trial.images)


def network_columns(strengths: np.ndarray, images: np.ndarray) -> Columns:
    """What is shown of networks: receptive fields, the hidden cells that drive most, and the distribution of strengths.

    Parameters
    ----------
    strengths : (n, H, 8) array
    images : (H, F, F) array
        Input weight images of the hidden cells.
    """
    n = len(strengths)
    fields = [output_receptive_fields(images, state) for state in strengths]
    drivers = [[strongest_hidden_cells(state, output, DRIVERS) for output in range(N_OUTPUT)] for state in strengths]
    shares = [strength_distribution(state, EDGES).share for state in strengths]
    return {
        "fields": np.array(fields, np.float32).reshape(n, -1),
        "drivers": np.array(drivers, np.int32).reshape(n, -1),
        "histogram": np.array(shares, np.float32),
        "strong": np.array([np.count_nonzero(state > STRONG) for state in strengths], np.int32),
    }


def ends_of_phases(trial: ExploredTrial) -> np.ndarray:
    """Rows of the snapshots at the ends of complete phases, and of the state before the first."""
    last = np.flatnonzero(np.append(trial.phase[1:] != trial.phase[:-1], True))
    complete = [trial.phase[row] < 0 or trial.trial.phases[trial.phase[row]].complete for row in last.tolist()]
    return last[np.array(complete, bool)]


def performance_of_snapshots(trial: ExploredTrial) -> list[str]:
    """What is known of how each snapshot performs, in words: the tests after a phase at its end, else the training around it."""
    curves = performance_curves(trial)
    said = []
    for phase, aeon in zip(trial.phase.tolist(), trial.aeon.tolist(), strict=True):
        there = [curve for curve in curves if curve.phase == phase and len(curve.aeon)]
        near = [f"{curve.task} {curve.performance[np.abs(curve.aeon - aeon).argmin()]:.2f}" for curve in there]
        said.append(f"{', '.join(near)} in training" if near else "")
    tests = trial.trial.test_results()
    for row in ends_of_phases(trial).tolist():
        index = int(trial.phase[row])
        following = next((p.index for p in trial.trial.phases if p.index > index and not p.phase.is_test), len(trial.trial.phases))
        after = [test for test in tests if index < test.phase_index < following] if index >= 0 else []
        if after:
            said[row] = (
                f"{', '.join(f'{task_name(trial, test.task)} {test.performance:.2f}' for test in after)} in the tests after it"
            )
    return said


def commands(trial: ExploredTrial) -> list[str]:
    """The command that goes on from each snapshot, "" where the file does not hold the whole state."""
    found = [""] * len(trial)
    epochs = {epoch: where for where, epoch in trial.trial.states.items()}
    for row in ends_of_phases(trial).tolist():
        if where := epochs.get(int(trial.epoch[row])):
            found[row] = command_from(f"{trial.trial.path}@{where}", trial)
    return found


def command_from(start: str, trial: ExploredTrial) -> str:
    """A command that starts a run from a state, for the user to change: the protocol, the preset, the folder."""
    preset = trial.trial.parameters.preset
    return f"foraging-snn run 'T2' --preset {preset} --start-from {shlex.quote(start)} --out continued"


# ------------------------------------------------------------------------------------------------------------- performance


@dataclass(frozen=True)
class Curve:
    """Performance on a task over a phase; m points.

    Attributes
    ----------
    phase : int
        Its number in the file.
    is_test : bool
    task : str
    aeon : (m,) float64
        Since the first training began.
    performance : (m,) float64
    """

    phase: int
    is_test: bool
    task: str
    aeon: np.ndarray
    performance: np.ndarray


def task_name(trial: ExploredTrial, number: int) -> str:
    """The task that has a number in a trial."""
    return list(trial.trial.parameters.tasks)[number - 1]


def performance_curves(trial: ExploredTrial) -> list[Curve]:
    """Of all phases with a task."""
    return _once(trial, "curves", _curves)


def _curves(trial: ExploredTrial) -> list[Curve]:
    phases = [recorded for recorded in trial.trial.phases if tasks_of(trial.trial, recorded) and not recorded.dropout]
    found = []
    for recorded, of_phase in zip(phases, performance_over_aeons([trial.trial], CURVE_POINTS), strict=True):
        start = float(trial.aeons_at(recorded.first_epoch))
        for curve in of_phase.curves:
            values = curve.performance.mean
            found.append(Curve(recorded.index, of_phase.is_test, task_name(trial, curve.task), start + curve.aeon, values))
    return found


def curves_table(trials: Sequence[ExploredTrial]) -> Columns:
    """A row per trial, phase and task."""
    found = [(k, curve) for k, trial in enumerate(trials) for curve in performance_curves(trial)]
    return {
        "trial": [k for k, _ in found],
        "task": [curve.task for _, curve in found],
        "colour": [task_colour(curve.task) for _, curve in found],
        "width": [4.0 if curve.is_test else 1.5 for _, curve in found],
        "xs": [curve.aeon.tolist() for _, curve in found],
        "ys": [curve.performance.tolist() for _, curve in found],
    }


# -------------------------------------------------------------------------------------------------------------- landscapes


def landscapes_table(landscapes: Mapping[str, Landscape]) -> Columns:
    """A row per landscape and task, and one for the worse of all tasks: performance on its grid; in the order of the maps."""
    rows: list[tuple[int, str, np.ndarray, Landscape]] = []
    for k, landscape in enumerate(landscapes.values()):
        values = landscape.tested.performance
        rows += [(k, task, values[..., t], landscape) for t, task in enumerate(landscape.tested.tasks)]
        rows.append((k, "worst", values.min(axis=-1), landscape))
    return {
        "map": [k for k, *_ in rows],
        "task": [task for _, task, *_ in rows],
        "image": [np.asarray(values, np.float32) for _, _, values, _ in rows],
        "x": [float(landscape.x[0] - _half(landscape.x)) for *_, landscape in rows],
        "y": [float(landscape.y[0] - _half(landscape.y)) for *_, landscape in rows],
        "dw": [float(np.ptp(landscape.x) + 2 * _half(landscape.x)) for *_, landscape in rows],
        "dh": [float(np.ptp(landscape.y) + 2 * _half(landscape.y)) for *_, landscape in rows],
        "error": [_mean_error(landscape, task) for _, task, _, landscape in rows],
    }


def _half(values: np.ndarray) -> float:
    """Half of the distance of neighbouring points: pixels are centred on them."""
    return float(values[1] - values[0]) / 2 if len(values) > 1 else 0.5


def _mean_error(landscape: Landscape, task: str) -> float:
    errors = landscape.tested.performance_error
    if task in landscape.tested.tasks:
        errors = errors[..., landscape.tested.tasks.index(task)]
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else 0.0


def states_table(landscapes: Mapping[str, Landscape]) -> Columns:
    """A row per named state of each landscape: where it is."""
    rows = [(k, name, *map(float, at)) for k, one in enumerate(landscapes.values()) for name, at in _named(one)]
    return {key: [row[k] for row in rows] for k, key in enumerate(("map", "name", "x", "y"))}


def _named(landscape: Landscape) -> list[tuple[str, np.ndarray]]:
    return list(zip(landscape.states.names, landscape.states.position, strict=True))

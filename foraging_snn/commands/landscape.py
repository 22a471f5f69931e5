"""The command `foraging-snn landscape`: performance on a plane of the space of strengths, into a file and a figure.

Which states and which plane is decided here; tests are in running/evaluating.py, geometry in analysis/planes.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from foraging_snn.analysis.figures.landscape import draw
from foraging_snn.analysis.planes import Plane, grid_axes, plane_through, principal_plane
from foraging_snn.analysis.weight_space import WeightStates, plateau, strength_coordinates
from foraging_snn.commands.evaluating import (
    Request,
    check_names,
    check_request,
    evaluated,
    leave,
    one_network_of,
    read_trials,
    source_of,
    states_of,
    tasks_of,
)
from foraging_snn.commands.terminal import add_row, new_table, print_conditions, print_table, printable
from foraging_snn.files.landscapes import Evaluation, Landscape, PlaneStates, Trajectory, write_landscape
from foraging_snn.files.networks import NAIVE, Network, NetworkPoint, RecordedPoints
from foraging_snn.files.reader import Trial
from foraging_snn.running.errors import RunError

KINDS = ("states", "pca")
DEFAULT_STATES = ("T1", "T2", "I(S,T2)")
LARGEST_GRID, LARGEST_MARGIN = 200, 10.0
CORNERS = 3  # states that span a plane


@dataclass(frozen=True)
class LandscapeRequest(Request):
    """What the options of the command ask for.

    Attributes
    ----------
    states : tuple of str
        By name of the phase at whose end they are, or FILE:PHASE; none: see :func:`usual_states`.
    kind : str
        One of `KINDS`.
    grid : int
        Points along each axis.
    margin : float
        Around states and trajectories, as a share of their larger extent.
    reference : str or None
        Name of the state whose resistances hold for the plane; the last of the states if None.
    """

    states: tuple[str, ...]
    kind: str
    grid: int
    margin: float
    reference: str | None


def landscape_and_print(request: LandscapeRequest) -> None:
    """Compute a landscape, write and draw it, and say what was found; see the command.

    Raises
    ------
    RunError, RecordingError, AnalysisError
        Bad input, in one line, before anything is computed.
    Interrupted
    """
    _check_numbers(request)
    trials = read_trials(request.files)
    network, tasks = one_network_of(trials), tasks_of(trials, request.tasks)
    states = named_states(trials, request.states, network) if request.states else usual_states(trials, request.kind)
    reference = _reference(states, request.reference)
    plane = plane_of(request.kind, states, trials)
    check_request(request, network.parameters)

    ways = [_way(points, plane) for points in trials]
    corners = plane.position(_vectors([point for _, point in states]))
    x, y = grid_axes(np.concatenate([corners, *(way.position for way in ways)]), request.grid, request.margin)
    _say(request, trials, states, tasks, reference[0], x, y)
    found = _tested(request, network, tasks, plane, (x, y), states, reference[1])
    made = _assembled(request, network, plane, (x, y), states, reference, ways, found, trials)
    write_landscape(request.out, made)
    print_landscape(made)
    leave(request, lambda: draw(made))


def _check_numbers(request: LandscapeRequest) -> None:
    if request.kind not in KINDS:
        raise RunError(f"--axes: {request.kind!r} given, allowed are {', '.join(KINDS)}")
    if not 2 <= request.grid <= LARGEST_GRID:
        raise RunError(f"--grid: {request.grid} given, allowed is 2 to {LARGEST_GRID}")
    if not 0.0 <= request.margin <= LARGEST_MARGIN:
        raise RunError(f"--margin: {request.margin:g} given, allowed is 0 to {LARGEST_MARGIN:g}")
    check_names(request)


# ------------------------------------------------------------------------------------------------------- states and plane

Named = tuple[str, NetworkPoint]


def named_states(trials: Sequence[RecordedPoints], names: Sequence[str], network: Network) -> list[Named]:
    """States by name: "T1", or "FILE:T1" for one of another file.

    Raises
    ------
    RunError
        A name stands for different states in the files given, a state is named twice, or another file is of another network.
    RecordingError
        There is no such state.
    """
    found: list[Named] = []
    for name in names:
        file, colon, phase = name.rpartition(":")
        if colon and Path(file).exists():
            other = RecordedPoints.of(Trial(file))
            if different := Network.of_trial(other.trial).differs_from(network):
                raise RunError(f"--state: {name}: of another network than the trials ({different})")
            found.append((f"{phase} ({other.trial.path.stem})", other.end(phase)))
        else:
            found.append((name, _state_of_that_name(trials, name)))
    if len({name for name, _ in found}) < len(found):
        raise RunError(f"--state: {', '.join(names)}: a state is named twice")
    return found


def _state_of_that_name(trials: Sequence[RecordedPoints], name: str) -> NetworkPoint:
    having = [points for points in trials if name in [end.name for end in points.ends()]]
    if not having:
        names = dict.fromkeys(end.name for points in trials for end in points.ends())
        raise RunError(f"--state: {name!r} given, allowed are {', '.join(names)}, or FILE:PHASE")
    ends = [points.end(name) for points in having]
    for points, end in zip(having[1:], ends[1:], strict=True):
        if not end.is_same_as(ends[0]):
            files = f"{having[0].trial.path} and {points.trial.path}"
            raise RunError(f"--state: {name!r} is another state in {files}, allowed is FILE:{name}")
    return ends[0]


def usual_states(trials: Sequence[RecordedPoints], kind: str) -> list[Named]:
    """The states of the first seed that are shown if none is named.

    After T1, T2 and I(S,T2) if there are all three; otherwise after the first phase and the last two; with two phases, the state
    before the first as well. With principal axes, all.

    Raises
    ------
    RunError
        There are too few.
    """
    of_seed = [points for points in trials if points.trial.seed == trials[0].trial.seed]
    different = states_of(of_seed)
    learned = [(name, point) for name, point in different.items() if name != NAIVE]
    if kind == "pca" and learned:
        return learned
    if all(name in different for name in DEFAULT_STATES):
        return [(name, different[name]) for name in DEFAULT_STATES]
    if len(learned) >= CORNERS:
        return [learned[0], *learned[-2:]]
    if len(learned) == CORNERS - 1 and NAIVE in different:
        return [(NAIVE, different[NAIVE]), *learned]
    there = ", ".join(different) or "none"
    raise RunError(f"{', '.join(p.trial.path.name for p in of_seed)}: three states are needed, there are {there}; give more files")


def _reference(states: Sequence[Named], name: str | None) -> Named:
    if name is None:
        return states[-1]
    for state in states:
        if state[0] == name:
            return state
    raise RunError(f"--resistances: {name!r} given, allowed are {', '.join(label for label, _ in states)}")


def plane_of(kind: str, states: Sequence[Named], trials: Sequence[RecordedPoints]) -> Plane:
    """The plane through the first three states, or in which the last fifths of the phases of all trials vary most.

    Raises
    ------
    RunError
        The states or the trajectories span none.
    """
    if kind == "pca":
        parts = [_states_of(points) for points in trials]
        learned = [part.select(part.phase != NAIVE) for part in parts]
        vectors = np.concatenate([plateau(part).vector for part in learned])
        if len(np.unique(vectors, axis=0)) < CORNERS:
            raise RunError("--axes: pca needs three different snapshots of learning (recording.snapshots_per_phase)")
        return principal_plane(vectors)[0]
    if len(states) < CORNERS:
        raise RunError(f"--state: {len(states)} given, allowed are {CORNERS} or more; the first {CORNERS} span the plane")
    try:
        return plane_through(*_vectors([point for _, point in states[:CORNERS]]))
    except ValueError as error:
        raise RunError(f"--state: {', '.join(name for name, _ in states[:CORNERS])}: they span no plane: {error}") from None


def _states_of(points: RecordedPoints) -> WeightStates:
    seeds = np.full(len(points.epoch), points.trial.seed)
    return WeightStates(strength_coordinates(points.strengths), seeds, np.array(points.names), points.epoch)


def _vectors(points: Sequence[NetworkPoint]) -> np.ndarray:
    return strength_coordinates(np.array([point.strengths for point in points]))


def _way(points: RecordedPoints, plane: Plane) -> Trajectory:
    vectors, trial = strength_coordinates(points.strengths), points.trial
    position, distance = plane.position(vectors), plane.distance(vectors)
    return Trajectory(trial.label, trial.path.name, trial.seed, tuple(points.names), points.epoch, position, distance)


# ------------------------------------------------------------------------------------------------------------------- tests


def _tested(
    request: LandscapeRequest,
    network: Network,
    tasks: Sequence[str],
    plane: Plane,
    axes: tuple[np.ndarray, np.ndarray],
    states: Sequence[Named],
    reference: NetworkPoint,
) -> Evaluation:
    """The named states first, each with its own resistances, then the points of the grid by rows."""
    shape = (network.parameters.n_hidden, -1)
    position = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    grid = plane.points(position).reshape(len(position), *shape)
    strengths = np.concatenate([[point.strengths for _, point in states], grid])
    resistance = np.concatenate([[point.resistance for _, point in states], np.tile(reference.resistance, (len(grid), 1))])
    return evaluated(request, network, tasks, strengths, resistance)


def _assembled(
    request: LandscapeRequest,
    network: Network,
    plane: Plane,
    axes: tuple[np.ndarray, np.ndarray],
    states: Sequence[Named],
    reference: Named,
    ways: Sequence[Trajectory],
    found: Evaluation,
    trials: Sequence[RecordedPoints],
) -> Landscape:
    shape = (network.parameters.n_hidden, -1)
    points, (x, y) = [point for _, point in states], axes
    vectors = _vectors(points)
    named = PlaneStates(
        tuple(name for name, _ in states),
        np.array([point.strengths for point in points]),
        np.array([point.resistance for point in points]),
        plane.position(vectors),
        plane.distance(vectors),
        found[: len(states)],
    )
    origin, directions = plane.origin.reshape(shape), plane.axes.reshape(2, *shape)
    grid, resistance = found[len(states) :].reshape(len(y), len(x)), reference[1].resistance
    source = source_of(request, trials)
    return Landscape(request.kind, origin, directions, x, y, grid, network, resistance, reference[0], named, tuple(ways), source)


# ------------------------------------------------------------------------------------------------------------ on the screen


def _say(
    request: LandscapeRequest,
    trials: Sequence[RecordedPoints],
    states: Sequence[Named],
    tasks: Sequence[str],
    reference: str,
    x: np.ndarray,
    y: np.ndarray,
) -> None:
    names = ", ".join(name for name, _ in states)
    plane = "principal axes" if request.kind == "pca" else f"plane through {', '.join(name for name, _ in states[:CORNERS])}"
    n = len(x) * len(y) + len(states)
    size = f"{n * len(tasks) * request.epochs:,} epochs"
    typer.echo(f"landscape: {plane}; {len(x)} x {len(y)} points and {len(states)} states, {', '.join(tasks)}; {size}")
    typer.echo(printable(f"  states {names}; resistances of {reference}; {request.epochs:,} epochs per test, seed {request.seed}"))
    print_conditions(source_of(request, trials).conditions)


def in_words(value: float, error: float) -> str:
    """Performance in a test and its standard error."""
    return "nothing eaten" if np.isnan(value) else f"{value:.3f} ± {error:.3f}"


def print_landscape(landscape: Landscape) -> None:
    """The named states: distance from the plane, performance and its standard error; how exact the map is."""
    tested_states, tasks = landscape.states.tested, landscape.tested.tasks
    table = new_table("state", ">distance from plane", *(f">{task}" for task in tasks))
    for k, name in enumerate(landscape.states.names):
        values = zip(tested_states.performance[k], tested_states.performance_error[k], strict=True)
        distance = landscape.states.distance[k]
        add_row(table, name, f"{distance:.2f}", *(in_words(value, error) for value, error in values))
    print_table(table)
    errors = landscape.tested.performance_error
    of_map = f"; of a point of the map {np.nanmean(errors):.3f} on average" if np.isfinite(errors).any() else ""
    typer.echo(f"performance ± standard error of the test{of_map}")
    moved = landscape.tested.moved
    if moved.any():
        share, most = np.count_nonzero(moved) / moved.size, moved.max()
        typer.echo(f"{share:.0%} of the points were not allowed as they were, and were moved to be: by {most:.2f} at most")

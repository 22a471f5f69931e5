"""Files of landscapes, paths and basins: how networks perform at the points of a plane, along lines, or after perturbations.

What is in them docs/weight_space.md describes. They are written as a whole, and hold all that a figure needs.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.axes import COMPRESSION
from foraging_snn.files.hdf5 import (
    LIBRARY_VERSIONS,
    damage_reported,
    dataset_in,
    group_in,
    open_for_reading,
    read_name,
    read_number,
    read_text,
    reason,
    write_format,
    write_texts,
    write_whole_file,
)
from foraging_snn.files.networks import Network
from foraging_snn.files.reader import AnalysisError, binomial_error, ratio, texts
from foraging_snn.models import MAX_SEED, N_OUTPUT, ParameterError, Parameters

LANDSCAPE, PATHS, BASINS = "foraging_snn landscape", "foraging_snn paths", "foraging_snn basins"
FORMAT_VERSION = 1
COUNTS = {  # of one test: unit, meaning
    "epochs": ("epochs", "epochs tested"),
    "aeons": ("aeons", "aeons tested"),
    "rewarded": ("particles", "rewarded particles eaten"),
    "punished": ("particles", "punished particles eaten"),
    "other": ("particles", "particles outside the task eaten"),
    "hidden_spikes": ("spikes", "spikes of the hidden layer"),
    "output_spikes": ("spikes", "spikes of the output layer"),
    "food_squares": ("1", "sum over aeons of the square of the particles eaten"),
    "hidden_squares": ("1", "sum over aeons of the square of the spikes of the hidden layer"),
    "output_squares": ("1", "sum over aeons of the square of the spikes of the output layer"),
}
RESULTS = {  # what follows from them
    "performance": ("1", "rewarded / (rewarded + punished) particles"),
    "performance_error": ("1", "standard error of the performance, binomial over particles"),
    "food": ("particles/epoch", "particles eaten per epoch"),
    "food_error": ("particles/epoch", "standard error of the particles eaten per epoch, from its spread over aeons"),
}
MOVED = ("1", "how far the strengths were moved to be legal, Euclidean distance")


class LandscapeError(AnalysisError):
    """A landscape or paths cannot be written, read or drawn; the message is one line."""


@dataclass(frozen=True)
class Evaluation:
    """Tests of many networks: arrays of any shape, the tasks along the last axis.

    Attributes
    ----------
    tasks : tuple of str
    counts : dict of str to (..., tasks) int64
        By the names of :data:`COUNTS`.
    moved : (...,) float64
        How far the strengths asked for were from those tested, Euclidean distance; 0 where they were allowed.
    """

    tasks: tuple[str, ...]
    counts: Mapping[str, np.ndarray]
    moved: np.ndarray

    def __getitem__(self, index: object) -> "Evaluation":
        """Of some of the networks."""
        counts = {name: values[index] for name, values in self.counts.items()}  # type: ignore[index]
        return replace(self, counts=counts, moved=self.moved[index])  # type: ignore[call-overload]

    def reshape(self, *shape: int) -> "Evaluation":
        """The same networks in another arrangement; the tasks are not counted in."""
        counts = {name: values.reshape(*shape, len(self.tasks)) for name, values in self.counts.items()}
        return replace(self, counts=counts, moved=self.moved.reshape(shape))

    @property
    def performance(self) -> np.ndarray:
        """Rewarded / (rewarded + punished) particles, (..., tasks) float64; NaN where nothing was eaten."""
        return ratio(self.counts["rewarded"], self._judged)

    @property
    def performance_error(self) -> np.ndarray:
        """Its standard error: sqrt(p (1 - p) / n), p the performance, n the particles; NaN where nothing was eaten."""
        return binomial_error(self.performance, self._judged)

    @property
    def food(self) -> np.ndarray:
        """Particles eaten per epoch, (..., tasks) float64."""
        return ratio(self._eaten, self.counts["epochs"])

    @property
    def food_error(self) -> np.ndarray:
        """Its standard error, see :meth:`spikes`."""
        return self._error_over_aeons(self._eaten, self.counts["food_squares"])

    def spikes(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        """Spikes per epoch of a layer, and their standard error, (..., tasks) float64 each.

        Parameters
        ----------
        layer : {"hidden", "output"}

        Notes
        -----
        The error is the standard deviation over the n aeons of a test (n - 1), divided by sqrt(n) and by the epochs of an aeon; NaN
        for fewer than two aeons.
        """
        total = self.counts[f"{layer}_spikes"]
        return ratio(total, self.counts["epochs"]), self._error_over_aeons(total, self.counts[f"{layer}_squares"])

    @property
    def _judged(self) -> np.ndarray:
        return self.counts["rewarded"] + self.counts["punished"]

    @property
    def _eaten(self) -> np.ndarray:
        return self._judged + self.counts["other"]

    def _error_over_aeons(self, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
        n = self.counts["aeons"]
        variance = ratio(squares - ratio(total * total, n), n - 1)
        return np.sqrt(np.maximum(variance, 0.0) * n) / self.counts["epochs"]


@dataclass(frozen=True)
class Source:
    """What was tested, and how.

    Attributes
    ----------
    parameters : Parameters
    engine : str
    seed : int
        Of the draws of all tests, which begin at epoch 0.
    conditions : tuple of str
        Of the trials, a line each: preset, what is shortened or changed, start state, versions.
    files : tuple of str
        Their names.
    provenance : dict of str to str
        Of the tests, see :func:`foraging_snn.files.provenance.provenance`.
    """

    parameters: Parameters
    engine: str
    seed: int
    conditions: tuple[str, ...]
    files: tuple[str, ...]
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class PlaneStates:
    """Named states, and where they lie relative to a plane; n states.

    Attributes
    ----------
    names : tuple of str
    strengths : (n, H, 8) float64
        Hidden to output.
    resistance : (n, 8) float64
        Of each state itself, with which it was tested.
    position : (n, 2) float64
        Coordinates of its projection.
    distance : (n,) float64
        From the plane.
    tested : Evaluation
        Shape (n,).
    """

    names: tuple[str, ...]
    strengths: np.ndarray
    resistance: np.ndarray
    position: np.ndarray
    distance: np.ndarray
    tested: Evaluation


@dataclass(frozen=True)
class Way:
    """The way of a trial through the strengths; n snapshots.

    Attributes
    ----------
    label, file : str
        The experiment as in the paper; name of the file.
    seed : int
    phases : tuple of n str
        Name of the phase of each.
    epoch : (n,) int64
        Completed epochs since the trial began.
    """

    label: str
    file: str
    seed: int
    phases: tuple[str, ...]
    epoch: np.ndarray


@dataclass(frozen=True)
class Trajectory(Way):
    """The way of a trial, projected on a plane.

    Attributes
    ----------
    position : (n, 2) float64
        Coordinates of the projections.
    distance : (n,) float64
        From the plane.
    """

    position: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Landscape:
    """Performance at the points of a grid on a plane of the strengths hidden to output.

    Attributes
    ----------
    kind : {"states", "pca"}
        What spans the plane: three states, or the principal axes of the trajectories.
    origin : (H, 8) float64
        Strengths at (0, 0).
    axes : (2, H, 8) float64
        Orthonormal: a step of 1 along x or y is a Euclidean distance of 1 between strengths.
    x, y : (nx,), (ny,) float64
        Coordinates of the points.
    tested : Evaluation
        Shape (ny, nx).
    network : Network
    resistance : (8,) float64
        Of the output cells at all points of the grid.
    reference : str
        Name of the state whose resistances these are.
    states : PlaneStates
    trajectories : tuple of Trajectory
    source : Source
    """

    kind: str
    origin: np.ndarray
    axes: np.ndarray
    x: np.ndarray
    y: np.ndarray
    tested: Evaluation
    network: Network
    resistance: np.ndarray
    reference: str
    states: PlaneStates
    trajectories: tuple[Trajectory, ...]
    source: Source


@dataclass(frozen=True)
class PathEnd:
    """Where a path begins or ends.

    Attributes
    ----------
    seed : int
        Of the trial.
    state : str
        Name of the state.
    """

    seed: int
    state: str


@dataclass(frozen=True)
class TestedWay(Way):
    """The way of a trial, with the performance along it.

    Attributes
    ----------
    tested : Evaluation
        Shape (n,).
    """

    tested: Evaluation


@dataclass(frozen=True)
class Paths:
    """Performance along straight lines between states of trials, and along the ways of trials; n lines of m points.

    Attributes
    ----------
    starts, ends : tuple of n PathEnd
        Two states of one trial, or one state of two trials.
    share : (m,) float64
        Of the line, from 0 to 1.
    length : (n,) float64
        Euclidean distance between the strengths hidden to output at its ends.
    tested : Evaluation
        Shape (n, m).
    ways : tuple of TestedWay
    source : Source
    """

    starts: tuple[PathEnd, ...]
    ends: tuple[PathEnd, ...]
    share: np.ndarray
    length: np.ndarray
    tested: Evaluation
    ways: tuple[TestedWay, ...]
    source: Source


@dataclass(frozen=True)
class Basins:
    """What becomes of perturbed networks; t trials, f phases that follow, r radii, d directions, c tests on the way.

    Attributes
    ----------
    state : str
        Name of the phase at whose end the strengths were perturbed.
    seeds : tuple of t int
        Of the trials.
    phases : tuple of f str
        What follows: names of phases, each from the same perturbed networks.
    radii : (r,) float64
        Euclidean distance by which strengths were to be perturbed; 0 first.
    distance : (t, r, d) float64
        By which they were, once they were legal.
    epoch : (f, c) int64
        Of the phase, at the tests; 0 first.
    tested : Evaluation
        Shape (t, f, r, d, c).
    source : Source
    """

    state: str
    seeds: tuple[int, ...]
    phases: tuple[str, ...]
    radii: np.ndarray
    distance: np.ndarray
    epoch: np.ndarray
    tested: Evaluation
    source: Source


# ----------------------------------------------------------------------------------------------------------------- writing


def write_landscape(path: Path, landscape: Landscape) -> None:
    """Write a landscape to a file that is not there yet.

    Raises
    ------
    LandscapeError
        The file exists, or cannot be written.
    """
    with _written(path, LANDSCAPE, landscape.source, landscape.tested.tasks) as file:
        write_texts(file.attrs, {"kind": landscape.kind, "reference": landscape.reference})
        plane = file.create_group("plane")
        _put(plane, "origin", landscape.origin, ("hidden", "output"), "1", "strengths hidden to output at x = 0, y = 0")
        _put(plane, "axes", landscape.axes, ("direction", "hidden", "output"), "1", "strengths of a step of 1 along x, and along y")
        for name in ("x", "y"):
            _put(plane, name, getattr(landscape, name), (name,), "1", f"{name} of the points, Euclidean distance of strengths")
            plane[name].make_scale(name)  # type: ignore[union-attr]
        _put_evaluation(file.create_group("map"), landscape.tested, ("y", "x"))
        for dataset in group_in(file, "map").values():
            for k in (0, 1):
                dataset.dims[k].attach_scale(plane["yx"[k]])
        _put_network(file.create_group("network"), landscape.network)
        _put(
            group_in(file, "network"), "resistance", landscape.resistance, ("output",), "1", "resistances at all points of the grid"
        )
        _put_states(file.create_group("states"), landscape.states)
        for k, trajectory in enumerate(landscape.trajectories):
            _put_trajectory(file.create_group(f"trajectories/{k:03d}"), trajectory)


def write_paths(path: Path, paths: Paths) -> None:
    """Write paths to a file that is not there yet.

    Raises
    ------
    LandscapeError
        The file exists, or cannot be written.
    """
    with _written(path, PATHS, paths.source, paths.tested.tasks) as file:
        lines = file.create_group("lines")
        for name, ends in (("start", paths.starts), ("end", paths.ends)):
            write_texts(lines.attrs, {f"{name}_state": "\n".join(end.state for end in ends)})
            seeds = np.array([end.seed for end in ends], np.int64)
            _put(lines, f"{name}_seed", seeds, ("line",), "1", f"seed of the trial of the state at its {name}")
        _put(lines, "share", paths.share, ("point",), "1", "share of the way from start to end")
        _put(lines, "length", paths.length, ("line",), "1", "Euclidean distance between the strengths hidden to output at its ends")
        _put_evaluation(lines, paths.tested, ("line", "point"))
        for k, way in enumerate(paths.ways):
            group = file.create_group(f"trajectories/{k:03d}")
            _put_snapshots(group, way)
            _put_evaluation(group, way.tested, ("snapshot",))


def write_basins(path: Path, basins: Basins) -> None:
    """Write basins to a file that is not there yet.

    Raises
    ------
    LandscapeError
        The file exists, or cannot be written.
    """
    with _written(path, BASINS, basins.source, basins.tested.tasks) as file:
        group = file.create_group("networks")
        write_texts(group.attrs, {"state": basins.state, "phases": "\n".join(basins.phases)})
        _put(group, "seed", np.array(basins.seeds, np.int64), ("trial",), "1", "seed of the trial")
        _put(group, "radius", basins.radii, ("radius",), "1", "by how much strengths were to be perturbed, Euclidean distance")
        _put(group, "distance", basins.distance, ("trial", "radius", "direction"), "1", "by how much they were, once legal")
        _put(group, "epoch", basins.epoch, ("phase", "test"), "epochs", "completed epochs of the phase that follows")
        _put_evaluation(group, basins.tested, ("trial", "phase", "radius", "direction", "test"))


@contextmanager
def _written(path: Path, kind: str, source: Source, tasks: Sequence[str]) -> Iterator[h5py.File]:
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        write_format(file, kind, FORMAT_VERSION)
        texts_of = {"parameters": source.parameters.to_toml(), "engine": source.engine, "tasks": "\n".join(tasks)}
        write_texts(file.attrs, texts_of | {"conditions": "\n".join(source.conditions), "files": "\n".join(source.files)})
        file.attrs["seed"] = np.int64(source.seed)
        write_texts(file.create_group("provenance").attrs, source.provenance)
        yield file
    try:
        write_whole_file(path, image.getvalue(), overwrite=False)
    except FileExistsError:
        raise LandscapeError(f"{path}: exists already and is not overwritten") from None
    except OSError as error:
        raise LandscapeError(f"{path}: cannot be written: {reason(error)}") from None


def _put(group: h5py.Group, name: str, values: np.ndarray, axes: Sequence[str], unit: str, meaning: str) -> None:
    dataset = group.create_dataset(name, data=values, **(COMPRESSION if np.size(values) else {}))
    write_texts(dataset.attrs, {"unit": unit, "meaning": meaning, "axes": ", ".join(axes)})


def _put_evaluation(group: h5py.Group, tested: Evaluation, axes: Sequence[str]) -> None:
    for name, (unit, meaning) in COUNTS.items():
        _put(group, name, tested.counts[name], (*axes, "task"), unit, meaning)
    for name, (unit, meaning) in RESULTS.items():
        _put(group, name, getattr(tested, name), (*axes, "task"), unit, meaning)
    _put(group, "moved", tested.moved, axes, *MOVED)


def _put_network(group: h5py.Group, network: Network) -> None:
    _put(group, "input_index", network.input_index, ("synapse",), "1", "input cell of each synapse input to hidden")
    _put(group, "hidden_index", network.hidden_index, ("synapse",), "1", "hidden cell of each synapse input to hidden")
    _put(group, "input_hidden", network.input_hidden, ("synapse",), "1", "strengths input to hidden")


def _put_states(group: h5py.Group, states: PlaneStates) -> None:
    write_texts(group.attrs, {"names": "\n".join(states.names)})
    _put(group, "strengths", states.strengths, ("state", "hidden", "output"), "1", "strengths hidden to output")
    _put(group, "resistance", states.resistance, ("state", "output"), "1", "resistances with which it was tested, its own")
    _put(group, "position", states.position, ("state", "direction"), "1", "x and y of its projection on the plane")
    _put(group, "distance", states.distance, ("state",), "1", "Euclidean distance from the plane")
    _put_evaluation(group, states.tested, ("state",))


def _put_trajectory(group: h5py.Group, trajectory: Trajectory) -> None:
    _put_snapshots(group, trajectory)
    _put(group, "position", trajectory.position, ("snapshot", "direction"), "1", "x and y of its projection on the plane")
    _put(group, "distance", trajectory.distance, ("snapshot",), "1", "Euclidean distance from the plane")


def _put_snapshots(group: h5py.Group, trajectory: Way) -> None:
    names = list(dict.fromkeys(trajectory.phases))
    write_texts(group.attrs, {"label": trajectory.label, "file": trajectory.file, "phases": "\n".join(names)})
    group.attrs["seed"] = np.int64(trajectory.seed)
    _put(group, "phase", np.array([names.index(p) for p in trajectory.phases]), ("snapshot",), "1", "phase, as listed, from 0")
    _put(group, "epoch", trajectory.epoch, ("snapshot",), "epochs", "completed epochs since the trial began")


# ----------------------------------------------------------------------------------------------------------------- reading


def read_landscape(path: str | Path) -> Landscape:
    """Read the file of a landscape.

    Raises
    ------
    LandscapeError
        No such file, not one of a landscape, or damaged.
    """
    path = Path(path)
    with open_for_reading(path, LANDSCAPE, FORMAT_VERSION, LandscapeError) as file, damage_reported(path, LandscapeError):
        source, tasks = _read_source(path, file)
        hidden = source.parameters.n_hidden
        plane, network, states = (group_in(file, name) for name in ("plane", "network", "states"))
        x, y = (_get(plane, name, np.float64, None) for name in "xy")
        names = _lines(states.attrs, "names")
        return Landscape(
            read_name(file.attrs, "kind"),
            _get(plane, "origin", np.float64, hidden, N_OUTPUT),
            _get(plane, "axes", np.float64, 2, hidden, N_OUTPUT),
            x,
            y,
            _get_evaluation(group_in(file, "map"), tasks, len(y), len(x)),
            _get_network(network, source.parameters),
            _get(network, "resistance", np.float64, N_OUTPUT),
            read_name(file.attrs, "reference"),
            PlaneStates(
                names,
                _get(states, "strengths", np.float64, len(names), hidden, N_OUTPUT),
                _get(states, "resistance", np.float64, len(names), N_OUTPUT),
                _get(states, "position", np.float64, len(names), 2),
                _get(states, "distance", np.float64, len(names)),
                _get_evaluation(states, tasks, len(names)),
            ),
            tuple(_get_trajectory(group_in(file, f"trajectories/{name}")) for name in _numbered(file)),
            source,
        )


def read_paths(path: str | Path) -> Paths:
    """Read the file of paths.

    Raises
    ------
    LandscapeError
        No such file, not one of paths, or damaged.
    """
    path = Path(path)
    with open_for_reading(path, PATHS, FORMAT_VERSION, LandscapeError) as file, damage_reported(path, LandscapeError):
        source, tasks = _read_source(path, file)
        lines, ways = group_in(file, "lines"), []
        starts, ends = (_get_ends(lines, name) for name in ("start", "end"))
        share = _get(lines, "share", np.float64, None)
        for name in _numbered(file):
            group = group_in(file, f"trajectories/{name}")
            way = _get_snapshots(group)
            ways.append(TestedWay(**vars(way), tested=_get_evaluation(group, tasks, len(way.epoch))))
        tested, length = _get_evaluation(lines, tasks, len(starts), len(share)), _get(lines, "length", np.float64, len(starts))
        if len(ends) != len(starts):
            raise ValueError("lines without a start or an end")
        return Paths(starts, ends, share, length, tested, tuple(ways), source)


def read_basins(path: str | Path) -> Basins:
    """Read the file of basins.

    Raises
    ------
    LandscapeError
        No such file, not one of basins, or damaged.
    """
    path = Path(path)
    with open_for_reading(path, BASINS, FORMAT_VERSION, LandscapeError) as file, damage_reported(path, LandscapeError):
        source, tasks = _read_source(path, file)
        group = group_in(file, "networks")
        seeds, phases = _get(group, "seed", np.int64, None), _lines(group.attrs, "phases")
        radii, epoch = _get(group, "radius", np.float64, None), _get(group, "epoch", np.int64, len(phases), None)
        distance = _get(group, "distance", np.float64, len(seeds), len(radii), None)
        shape = (len(seeds), len(phases), *distance.shape[1:], epoch.shape[1])
        if 0 in shape:
            raise ValueError("no networks in it")
        state, tested = read_name(group.attrs, "state"), _get_evaluation(group, tasks, *shape)
        return Basins(state, tuple(seeds.tolist()), phases, radii, distance, epoch, tested, source)


def _numbered(file: h5py.File) -> list[str]:
    """Names of the trajectories in a file, in their order."""
    return sorted(group_in(file, "trajectories")) if "trajectories" in file else []


def _get_ends(lines: h5py.Group, name: str) -> tuple[PathEnd, ...]:
    seeds, states = _get(lines, f"{name}_seed", np.int64, None).tolist(), _lines(lines.attrs, f"{name}_state")
    return tuple(PathEnd(seed, state) for seed, state in zip(seeds, states, strict=True))


def _read_source(path: Path, file: h5py.File) -> tuple[Source, tuple[str, ...]]:
    try:
        parameters = Parameters.from_toml(read_text(file.attrs, "parameters"), origin="parameters")
    except ParameterError as error:
        raise LandscapeError(f"{path}: not readable by this version of foraging_snn: {error}") from None
    source = Source(
        parameters,
        read_name(file.attrs, "engine"),
        read_number(file.attrs, "seed", 0, MAX_SEED),
        tuple(read_text(file.attrs, "conditions").split("\n")),
        _lines(file.attrs, "files"),
        texts(group_in(file, "provenance")),
    )
    return source, _lines(file.attrs, "tasks")


def _lines(attributes: h5py.AttributeManager, name: str) -> tuple[str, ...]:
    """An attribute that must be a list of names."""
    lines = tuple(read_text(attributes, name).split("\n"))
    if not all(line.isprintable() for line in lines):
        raise ValueError(f"attribute {name} is not a list of names")
    return lines


def _get(group: h5py.Group, name: str, kind: type, *shape: int | None) -> np.ndarray:
    """A dataset that must have this type and shape; None where its length is free."""
    dataset = dataset_in(group, name)
    fits = len(dataset.shape) == len(shape) and all(m in (None, n) for m, n in zip(shape, dataset.shape, strict=True))
    if not fits or dataset.dtype.newbyteorder("=") != kind:
        raise ValueError(f"{group.name}/{name} is not of type {np.dtype(kind)} and shape {shape}")
    values = dataset[...]
    if not np.isfinite(values).all():
        raise ValueError(f"{group.name}/{name} is not finite everywhere")
    return values


def _get_evaluation(group: h5py.Group, tasks: tuple[str, ...], *shape: int) -> Evaluation:
    counts = {name: _get(group, name, np.int64, *shape, len(tasks)) for name in COUNTS}
    return Evaluation(tasks, counts, _get(group, "moved", np.float64, *shape))


def _get_network(group: h5py.Group, parameters: Parameters) -> Network:
    n = parameters.n_hidden * parameters.network.inputs_per_hidden_cell
    network = Network(
        parameters,
        _get(group, "input_index", np.int32, n),
        _get(group, "hidden_index", np.int32, n),
        _get(group, "input_hidden", np.float64, n),
    )
    for index, cells in ((network.input_index, parameters.n_input), (network.hidden_index, parameters.n_hidden)):
        if index.min() < 0 or index.max() >= cells:
            raise ValueError("the wiring names cells that do not exist")
    return network


def _get_trajectory(group: h5py.Group) -> Trajectory:
    way = _get_snapshots(group)
    n = len(way.epoch)
    position, distance = _get(group, "position", np.float64, n, 2), _get(group, "distance", np.float64, n)
    return Trajectory(**vars(way), position=position, distance=distance)


def _get_snapshots(group: h5py.Group) -> Way:
    names, phase = _lines(group.attrs, "phases"), _get(group, "phase", np.int64, None)
    n = len(phase)
    if n and not 0 <= phase.min() <= phase.max() < len(names):
        raise ValueError(f"{group.name}/phase has numbers of no phase")
    label, file = read_text(group.attrs, "label"), read_text(group.attrs, "file")
    phases = tuple(names[k] for k in phase.tolist())
    return Way(label, file, read_number(group.attrs, "seed", 0, MAX_SEED), phases, _get(group, "epoch", np.int64, n))

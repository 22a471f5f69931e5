"""States on disk: a :class:`NetworkState` with its parameters, bit for bit. What a trial records on its way is in layout.py."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.environments import N_MOVES, N_PARTICLE_TYPES
from foraging_snn.files.hdf5 import (
    LIBRARY_VERSIONS,
    PART,
    damage_reported,
    open_for_reading,
    read_number,
    read_text,
    reason,
    write_format,
    write_synchronised,
    write_texts,
)
from foraging_snn.files.provenance import provenance
from foraging_snn.models import MAX_SEED, NetworkState, ParameterError, Parameters, state_pattern

FORMAT_NAME = "foraging_snn state"
FORMAT_VERSION = 1
PROVENANCE, STATE = "provenance", "state"
DIGEST = "sha256"

GROUPS_OF_A_STATE = ("world", "network", "cell", "timing")  # a state made with other values of these has no meaning
NOT_NEGATIVE = (
    "input_hidden",
    "hidden_output",
    "hidden_input_target",
    "hidden_rate",
    "output_rate",
    "input_output_initial",
    "input_output_total",
    "hidden_output_total",
    "task_spikes",
    "task_epochs",
)
TASK_COUNTS = ("task_spikes", "task_epochs")  # a row per task; fewer in a file from before the table of tasks grew
# Arrays as long as there are events at the time; those named together have the same length.
EVENTS = (
    ("recent_step", "recent_cell"),
    ("hidden_output_trace_synapse", "hidden_output_trace_value", "hidden_output_trace_step"),
    ("input_hidden_trace_synapse", "input_hidden_trace_value", "input_hidden_trace_step"),
)


class StateError(ValueError):
    """A state cannot be saved or loaded; the message is one line that names the file."""


@dataclass(frozen=True)
class SavedState:
    """What is in the file of a state.

    Attributes
    ----------
    state : NetworkState
    parameters : Parameters
        With which it came about.
    provenance : dict of str to str
        See :func:`foraging_snn.files.provenance.provenance`.
    note : str
        What it is, in words.
    sha256 : str
        Digest of state, parameters and note.
    """

    state: NetworkState
    parameters: Parameters
    provenance: dict[str, str]
    note: str
    sha256: str = ""

    def __str__(self) -> str:
        """The note and the beginning of the digest, which tells two states apart."""
        return f"{self.note or 'a saved state'} [{self.sha256[:12]}]"


def save_state(
    path: str | Path,
    state: NetworkState,
    parameters: Parameters,
    command_line: str = "",
    note: str = "",
    overwrite: bool = False,
) -> None:
    """Write a state to a file of its own.

    Parameters
    ----------
    path : path
    state : NetworkState
    parameters : Parameters
        With which it came about.
    command_line, note : str
        For the file's provenance; what the state is, in words.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    StateError
        The file exists, or cannot be written, or the state is not one of these parameters. Nothing on disk has changed then.

    Notes
    -----
    The file appears under its name only when it is whole and on the disk.
    """
    path = Path(path)
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    try:
        check_state(state, parameters)
    except ValueError as error:
        raise StateError(f"{path}: not written: {error}") from None
    image = state_image(state, parameters, provenance("", command_line), note)
    scratch = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        write_synchronised(scratch, image)
        _put_in_place(scratch, path, overwrite)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {reason(error)}") from None
    finally:
        scratch.unlink(missing_ok=True)


def _exists(path: Path) -> StateError:
    return StateError(f"{path}: exists already and is not overwritten")


def _put_in_place(scratch: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        scratch.replace(path)
        return
    try:
        path.hardlink_to(scratch)  # unlike a renaming, refuses to take the place of a file that has appeared meanwhile
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        scratch.rename(path)


def state_image(state: NetworkState, parameters: Parameters, origin: dict[str, str], note: str) -> bytes:
    """The bytes of the file of a state. It is made in memory, so that HDF5 never meets a full disk.

    Parameters
    ----------
    state : NetworkState
    parameters : Parameters
        With which it came about.
    origin : dict of str to str
        Provenance.
    note : str
        What it is, in words.
    """
    toml = parameters.to_toml()
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        write_format(file, FORMAT_NAME, FORMAT_VERSION)
        write_texts(file.attrs, {"parameters": toml, "note": note, DIGEST: _digest(state, toml, note)})
        write_texts(file.create_group(PROVENANCE).attrs, origin)
        write_state(file.create_group(STATE), state)
    return image.getvalue()


def write_state(group: h5py.Group, state: NetworkState) -> None:
    """Write a state into a group, bit for bit."""
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            _write_array(group, name, value)
        else:
            group.attrs[name] = np.int64(value)


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    array = array.astype(np.uint8) if array.dtype == bool else array
    options = {"compression": "gzip", "shuffle": True} if array.size else {}
    group.create_dataset(name, data=array, **options)


def _digest(state: NetworkState, toml: str, note: str) -> str:
    digest = hashlib.sha256(f"{FORMAT_NAME} {FORMAT_VERSION}\n{toml}\n{note}".encode("utf-8", "replace"))
    update_digest(digest, state)
    return digest.hexdigest()


def update_digest(digest: "hashlib._Hash", state: NetworkState) -> None:
    """Let every bit of a state enter a digest."""
    for name, value in state.items():
        array = np.ascontiguousarray(value if isinstance(value, np.ndarray) else np.int64(value))
        array = array.astype(array.dtype.newbyteorder("<"))
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())


def load_state(path: str | Path) -> SavedState:
    """Read a state.

    Raises
    ------
    StateError
        No such file, not HDF5, not a state, of another version, damaged or truncated, or not a state of its parameters.
    """
    path = Path(path)
    with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, StateError) as file, damage_reported(path, StateError):
        toml, note = read_text(file.attrs, "parameters"), read_text(file.attrs, "note")
        parameters = _read_parameters(path, toml)
        origin = {name: read_text(file[PROVENANCE].attrs, name) for name in file[PROVENANCE].attrs}
        state = read_state(file[STATE], parameters)
        if (digest := _digest(state, toml, note)) != read_text(file.attrs, DIGEST):
            raise ValueError("its contents do not match their checksum")
        check_state(state, parameters)
    return SavedState(state, parameters, origin, note, digest)


def packaged_states() -> dict[str, Callable[[], SavedState]]:
    """The start states that come with the package, by name; each is read when it is called."""
    folder = resources.files("foraging_snn") / "data"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".h5")), key=lambda f: f.name) if folder.is_dir() else []
    return {file.name.removesuffix(".h5"): lambda file=file: _read_resource(file) for file in files}


def _read_resource(file) -> SavedState:
    with resources.as_file(file) as path:
        return load_state(path)


def _read_parameters(path: Path, toml: str) -> Parameters:
    try:
        return Parameters.from_toml(toml, origin="parameters")
    except ParameterError as error:
        raise StateError(f"{path}: not readable by this version of foraging_snn: {error}") from None


def read_state(group: h5py.Group, parameters: Parameters) -> NetworkState:
    """Read what :func:`write_state` wrote; damage raises what h5py does, or ValueError. The values are not checked."""
    values = {}
    for name, example in state_pattern(parameters).items():
        if isinstance(example, np.ndarray):
            values[name] = _read_array(group, name, example)
        else:
            values[name] = type(example)(read_number(group.attrs, name, 0, 1 if isinstance(example, bool) else MAX_SEED))
    unknown = (set(group) | set(group.attrs)) - set(values)
    if unknown:
        raise ValueError(f"{STATE}/{sorted(unknown)[0]} is not a part of a state")
    return NetworkState(**values)


def _read_array(group: h5py.Group, name: str, example: np.ndarray) -> np.ndarray:
    if name not in group:
        raise KeyError(f"{STATE}/{name} is missing")
    dataset, kind = group[name], np.dtype(np.uint8) if example.dtype == bool else example.dtype
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.newbyteorder("=") != kind:
        raise ValueError(f"{STATE}/{name} is not a dataset of type {kind}")
    _check_shape(name, dataset.shape, example)
    array = dataset[...].astype(kind)
    if example.dtype == bool and array.size and array.max() > 1:
        raise ValueError(f"{STATE}/{name} is not 0 or 1 everywhere")
    return array.astype(example.dtype)


def check_state(state: NetworkState, parameters: Parameters) -> None:
    """See that a state is one of these parameters: types, shapes, finite values, indices in range.

    Raises
    ------
    ValueError
        One line on what is wrong.
    """
    for name, example in state_pattern(parameters).items():
        value = getattr(state, name)
        if not isinstance(example, np.ndarray):
            _check(isinstance(value, type(example)), name, f"a value of type {type(example).__name__}")
            continue
        _check(isinstance(value, np.ndarray) and value.dtype == example.dtype, name, f"an array of type {example.dtype}")
        _check_shape(name, value.shape, example)
        _check(bool(np.isfinite(value).all()), name, "finite everywhere")
    for name in NOT_NEGATIVE:
        _check(bool((getattr(state, name) >= 0).all()), name, "0 or more everywhere")
    _check(len(state.task_spikes) == len(state.task_epochs), "task_epochs", "as long as task_spikes")
    _check(bool((state.resistance > 0).all()), "resistance", "above 0 everywhere")
    _check(bool((state.inhibition <= 0).all()), "inhibition", "0 or less everywhere")
    _check_agent(state, parameters)
    _check_wiring(state, parameters)
    _check_events(state, parameters)


def _check(is_right: bool, name: str, wanted: str) -> None:
    if not is_right:
        raise ValueError(f"{name} is not {wanted}")


def _check_shape(name: str, shape: tuple[int, ...], example: np.ndarray) -> None:
    free = any(name in names for names in EVENTS)
    if name in TASK_COUNTS and len(shape) and 0 < shape[0] < len(example):
        shape = (len(example), *shape[1:])
    if len(shape) != example.ndim or not (free or shape == example.shape):
        raise ValueError(f"{name} has shape {shape}, not {'(n,)' if free else example.shape}")


def _check_within(array: np.ndarray | int, name: str, low: int, high: int) -> None:
    array = np.asarray(array)
    _check(bool(((array >= low) & (array <= high)).all()), name, f"within {low} ... {high}")


def _check_agent(state: NetworkState, parameters: Parameters) -> None:
    _check_within(state.seed, "seed", 0, MAX_SEED)
    _check_within(state.epoch, "epoch", 0, MAX_SEED // parameters.timing.steps_per_epoch)
    _check_within(state.phase_epoch, "phase_epoch", 0, state.epoch)
    _check_within(state.agent_x, "agent_x", 0, parameters.world.size - 1)
    _check_within(state.agent_y, "agent_y", 0, parameters.world.size - 1)
    _check_within(state.last_move, "last_move", 0, N_MOVES - 1)
    _check_within(state.hunger, "hunger", 0, state.epoch)
    _check_within(state.grid, "grid", 0, N_PARTICLE_TYPES)


def _check_wiring(state: NetworkState, parameters: Parameters) -> None:
    _check_within(state.input_index, "input_index", 0, parameters.n_input - 1)
    _check_within(state.hidden_index, "hidden_index", 0, parameters.n_hidden - 1)
    synapse = state.input_index.astype(np.int64) * parameters.n_hidden + state.hidden_index
    _check(bool((np.diff(synapse) > 0).all()), "input_index", "in the order of input cell, then hidden cell, each pair once")
    inputs = np.bincount(state.hidden_index, minlength=parameters.n_hidden)
    k = parameters.network.inputs_per_hidden_cell
    _check(bool((inputs == k).all()), "hidden_index", f"naming every hidden cell {k} times")


def _check_events(state: NetworkState, parameters: Parameters) -> None:
    for names in EVENTS:
        lengths = {len(getattr(state, name)) for name in names}
        _check(len(lengths) == 1, names[0], f"as long as {', '.join(names[1:])}")
    limits = {
        "recent_cell": parameters.n_cells,
        "hidden_output_trace_synapse": state.hidden_output.size,
        "input_hidden_trace_synapse": len(state.input_hidden),
    }
    for name, n in limits.items():
        _check_within(getattr(state, name), name, 0, n - 1)
    for name in ("recent_step", "hidden_output_trace_step", "input_hidden_trace_step"):
        steps = getattr(state, name)
        _check_within(steps, name, 0, state.epoch * parameters.timing.steps_per_epoch)
        _check(bool((np.diff(steps) >= 0).all()), name, "ascending")


def compatible(saved_parameters: Parameters, parameters: Parameters) -> list[str]:
    """What keeps a state from being continued with other parameters: one line per difference, none if it can be.

    Layers, world, cell and timing must be the same; lengths, plasticity, homeostasis and the rest may differ.
    """
    return [line for line in saved_parameters.differences(parameters) if line.partition(".")[0] in GROUPS_OF_A_STATE]

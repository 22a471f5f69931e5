"""States on disk: a :class:`NetworkState` with its parameters, bit for bit. What a trial records on its way is in layout.py."""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from foraging_snn.environments import Particle, Task
from foraging_snn.files.axes import COMPRESSION, describe
from foraging_snn.files.hdf5 import (
    LIBRARY_VERSIONS,
    damage_reported,
    group_in,
    open_for_reading,
    read_number,
    read_text,
    reason,
    write_format,
    write_texts,
    write_whole_file,
)
from foraging_snn.files.provenance import provenance
from foraging_snn.models import EACH_ITS_OWN, MAX_SEED, NetworkState, ParameterError, Parameters, check_state
from foraging_snn.models.schema import Field, axis_sizes, schema_of
from foraging_snn.models.state import fitted, part_of_old_grid

FORMAT_NAME = "foraging_snn state"
FORMAT_VERSION = 1
PROVENANCE, STATE = "provenance", "state"
DIGEST = "sha256"
PART = "grid_part"  # the field that states of earlier versions lack
FIELDS = schema_of(NetworkState)

GROUPS_OF_A_STATE = ("world", "network", "cell", "timing")  # a state made with other values of these has no meaning


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
    image = _state_image(state, parameters, provenance("", command_line), note)
    try:
        write_whole_file(path, image, overwrite)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {reason(error)}") from None


def _exists(path: Path) -> StateError:
    return StateError(f"{path}: exists already and is not overwritten")


def _state_image(state: NetworkState, parameters: Parameters, origin: dict[str, str], note: str) -> bytes:
    """The bytes of the file of a state. It is made in memory, so that HDF5 never meets a full disk."""
    toml = parameters.to_toml()
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        write_format(file, FORMAT_NAME, FORMAT_VERSION)
        write_texts(file.attrs, {"parameters": toml, "note": note, DIGEST: _digest(dict(state.items()), toml, note)})
        write_texts(file.create_group(PROVENANCE).attrs, origin)
        write_state(file.create_group(STATE), state)
    return image.getvalue()


def write_state(group: h5py.Group, state: NetworkState, axes: bool = True) -> None:
    """Write a state into a group, bit for bit; `axes`: with their names."""
    for name, value in state.items():
        if FIELDS[name].is_left_out(value):
            continue
        if isinstance(value, np.ndarray):
            _write_array(group, name, value, axes)
        else:
            group.attrs[name] = np.int64(value)


def _write_array(group: h5py.Group, name: str, array: np.ndarray, axes: bool) -> None:
    what = FIELDS[name]
    array = array.astype(what.stored)
    describe(group.create_dataset(name, data=array, **(COMPRESSION if array.size else {})), what, axes)


def _digest(values: Mapping[str, Any], toml: str, note: str) -> str:
    digest = hashlib.sha256(f"{FORMAT_NAME} {FORMAT_VERSION}\n{toml}\n{note}".encode("utf-8", "replace"))
    _update_digest(digest, values.items())
    return digest.hexdigest()


def update_digest(digest: "hashlib._Hash", state: NetworkState) -> None:
    """Let every bit of a state enter a digest."""
    _update_digest(digest, state.items())


def _update_digest(digest: "hashlib._Hash", fields: Iterable[tuple[str, Any]]) -> None:
    for name, value in fields:
        if FIELDS[name].is_left_out(value):
            continue
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
        values = _read_values(group_in(file, STATE), parameters)
        if (digest := _digest(values, toml, note)) != read_text(file.attrs, DIGEST):
            raise ValueError("its contents do not match their checksum")
        state = _completed(values, parameters)
        check_state(state, parameters)
    return SavedState(state, parameters, origin, note, digest)


def saved_state(state: NetworkState, parameters: Parameters, origin: dict[str, str], note: str) -> SavedState:
    """A state as if it had been saved and loaded: with its digest."""
    return SavedState(state, parameters, origin, note, _digest(dict(state.items()), parameters.to_toml(), note))


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
    """Read what :func:`write_state` wrote; damage raises what h5py does, or ValueError. The values are not checked.

    What states of earlier versions lack is added: counts of 0 for tasks that came later, and which square of a particle lies where.
    """
    return _completed(_read_values(group, parameters), parameters)


def _completed(values: Mapping[str, Any], parameters: Parameters) -> NetworkState:
    values = dict(values)
    if PART not in values:
        values[PART] = part_of_old_grid(values["grid"], parameters)
    return fitted(NetworkState(**values), parameters)


def _read_values(group: h5py.Group, parameters: Parameters) -> dict[str, Any]:
    """The fields of a state that are there; one that earlier versions did not have may be missing."""
    values, sizes = {}, axis_sizes(parameters)
    found = dict(sizes)  # lengths of axes in this state
    for name, what in FIELDS.items():
        if name == PART and name not in group:
            continue
        if what.optional and name not in group and name not in group.attrs:
            values[name] = what.nothing(found)
        elif what.is_array:
            values[name] = _read_array(group, name, what, sizes)
            found |= dict(zip(what.axes, values[name].shape, strict=True))
        else:
            values[name] = what.kind(read_number(group.attrs, name, 0, 1 if what.kind is bool else MAX_SEED))
    unknown = (set(group) | set(group.attrs)) - set(values)
    if unknown:
        raise ValueError(f"{STATE}/{sorted(unknown)[0]} is not a part of a state")
    return values


def _read_array(group: h5py.Group, name: str, what: Field, sizes: Mapping[str, int]) -> np.ndarray:
    if name not in group:
        raise KeyError(f"{STATE}/{name} is missing")
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.newbyteorder("=") != what.stored:
        raise ValueError(f"{STATE}/{name} is not a dataset of type {what.stored}")
    if wrong := what.shape_problem(name, dataset.shape, sizes):
        raise ValueError(wrong)
    array = dataset[...].astype(what.stored)
    if what.kind is np.bool_ and array.size and array.max() > 1:
        raise ValueError(f"{STATE}/{name} is not 0 or 1 everywhere")
    return array.astype(what.kind)


def compatible(saved_parameters: Parameters, parameters: Parameters) -> list[str]:
    """What keeps a state from being continued with other parameters: one line per difference, none if it can be.

    Layers, world, cell and timing must be the same, and the seed of the network if one is asked for; lengths, plasticity,
    homeostasis and the rest may differ. Types of particle and tasks may have come to those there were, which keep their numbers.
    """
    if parameters.network.seed == EACH_ITS_OWN:  # that of the state
        parameters = parameters.with_changes({"network.seed": saved_parameters.network.seed})
    lines = [line for line in saved_parameters.differences(parameters) if line.partition(".")[0] in GROUPS_OF_A_STATE]
    for table in ("particles", "tasks"):
        saved, wanted = (list(getattr(p, table).items()) for p in (saved_parameters, parameters))
        if wanted[: len(saved)] != saved:
            lines.append(f"{table}: {', '.join(map(_in_words, saved))}; {', '.join(map(_in_words, wanted))}")
    return lines


def _in_words(entry: tuple[str, Particle | Task]) -> str:
    name, value = entry
    if isinstance(value, Particle):
        return f"{name} {list(map(list, value.offsets))}"
    return f"{name} (+ {', '.join(p.name for p in value.rewarded)}; - {', '.join(p.name for p in value.punished) or 'none'})"

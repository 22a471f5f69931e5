"""Checkpoints: what a trial needs to go on where it was, on disk, whole at every moment. Also the lock that keeps others away.

A trial has a folder of its own with the two newest checkpoints, each a folder that appears under its name only when all of it is on
the disk. When a checkpoint is made and what it is for, running.py says; docs/file_format.md describes the files for users.
"""

import fcntl
import glob
import hashlib
import io
import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from errno import ENOLCK, ENOSYS, ENOTSUP
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.hdf5 import (
    FORMAT,
    LIBRARY_VERSIONS,
    PART,
    damage_reported,
    open_for_reading,
    read_number,
    read_text,
    reason,
    synchronise_folder,
    write_format,
    write_synchronised,
    write_texts,
    write_whole_file,
)
from foraging_snn.files.hdf5 import FORMAT_VERSION as VERSION_ATTRIBUTE
from foraging_snn.files.states import (
    STATE,
    StateError,
    check_state,
    load_state,
    read_state,
    state_image,
    update_digest,
    write_state,
)
from foraging_snn.models import MAX_SEED, NetworkState, ParameterError, Parameters
from foraging_snn.protocols import Experiment, ImportRates, Step

FORMAT_NAME = "foraging_snn checkpoint"
FORMAT_VERSION = 1
DIGEST = "sha256"

FOLDER = "checkpoints"  # beside the files of the trials
LOCK_NAME = ".foraging_snn.lock"  # in the folder of the files
CHECKPOINT_FILE, TRIAL_FILE = "checkpoint.h5", "trial.h5"
GENERATIONS_KEPT = 2
LOCK_PATIENCE_SECONDS = 15.0  # the process of a trial whose coordinator was killed takes a moment to notice
LOCK_POLL_SECONDS = 0.05
ONE_WRITER = "two runs cannot write to one place"
WITHOUT_LOCKS = (ENOLCK, ENOSYS, ENOTSUP)  # a disk that has none
COPY_BYTES = 4 * 1024**2


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read, or another process is at work; the message is one line."""


class _Damaged(Exception):
    """A checkpoint is not whole; the message is one line."""


# ------------------------------------------------------------------------------------------------------------- locks


@contextmanager
def locked(path: Path, what: str, patience_seconds: float = 0.0) -> Iterator[None]:
    """Keep other processes out while a block runs.

    Parameters
    ----------
    path : Path
        Of the lock file; its folder is made. It names process and computer, for people; the lock itself is the operating
        system's and goes with the process, however that ends: a file left behind by a killed one keeps nobody out.
    what : str
        What is locked, for the message.
    patience_seconds : float
        How long to wait for a process that has it; for each one anew, if it goes from hand to hand.

    Raises
    ------
    CheckpointError
        Another process has it, or the file cannot be written.
    """
    holder, deadline = "", 0.0
    try:
        while (descriptor := _take(path)) is None:
            if (now_held_by := _holder(path)) != holder:
                holder, deadline = now_held_by, time.monotonic() + patience_seconds
            if time.monotonic() >= deadline:
                raise CheckpointError(f"{what}: in use by {holder}; {ONE_WRITER}")
            time.sleep(LOCK_POLL_SECONDS)
    except OSError as problem:
        raise CheckpointError(f"{what}: cannot be written to: {reason(problem)}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is given up: whoever opens it later makes a new one
        os.close(descriptor)


def _take(path: Path) -> int | None:
    """Descriptor of the locked file; None if another process has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except (FileNotFoundError, FileExistsError):  # its folder is being removed by another process, unless it is no folder at all
        if _is_no_folder(path.parent):
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_file_of(descriptor, path):
            raise BlockingIOError
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{this_process()}\n".encode())
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as problem:
        if problem.errno not in WITHOUT_LOCKS:
            os.close(descriptor)
            raise
    return descriptor


def _is_no_folder(path: Path) -> bool:
    """Something else has this name. Looked at once: a folder may go or come meanwhile."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return not path.is_dir() if stat.S_ISLNK(kind) else not stat.S_ISDIR(kind)


def this_process() -> str:
    """For others that are kept out."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _is_file_of(descriptor: int, path: Path) -> bool:
    """The one before may have removed the file between our opening and locking it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"


# ------------------------------------------------------------------------------------------------------- what a trial is


@dataclass(frozen=True)
class TrialIdentity:
    """What has to be the same for a trial to be continued.

    Attributes
    ----------
    parameters : Parameters
    experiments : tuple of Experiment
        In the order in which they are run.
    seed : int
    engine : str
    started_from : str
        What stood in for the unsupervised phase; "" if nothing.
    """

    parameters: Parameters
    experiments: tuple[Experiment, ...]
    seed: int
    engine: str
    started_from: str

    @property
    def folder_name(self) -> str:
        """A trial of one experiment and one of many can be under way in the same place."""
        names = f"{self.experiments[0].name}_" if len(self.experiments) == 1 else ""
        return f"{names}seed{self.seed:04d}"

    @property
    def texts(self) -> dict[str, str]:
        """As it is kept."""
        steps = hashlib.sha256(repr([experiment.steps for experiment in self.experiments]).encode()).hexdigest()
        return {
            "parameters": self.parameters.to_toml(),
            "experiments": ", ".join(experiment.name for experiment in self.experiments),
            "steps": steps,
            "engine": self.engine,
            "started_from": self.started_from,
        }

    def differences(self, parameters: Parameters, texts: Mapping[str, str]) -> list[str]:
        """What differs, one line each: "name: value there, value asked for now"."""
        lines = parameters.differences(self.parameters)
        for name, now in self.texts.items():
            if name in texts and name not in ("parameters", "steps") and texts[name] != now:
                lines.append(f"{name}: {texts[name] or 'none'}, {now or 'none'}")
        if not lines and texts.get("steps", self.texts["steps"]) != self.texts["steps"]:
            lines.append("experiments: their phases were others in the version of foraging_snn that began the trial")
        return lines


def sequences_of_steps(experiments: Sequence[Experiment]) -> list[tuple[Step, ...]]:
    """All sequences of steps that a trial of these experiments goes through, each once; a checkpoint names them by number."""
    found: dict[tuple[Step, ...], None] = {(): None}

    def visit(steps: tuple[Step, ...]) -> None:
        for n in range(1, len(steps) + 1):
            if isinstance(steps[n - 1], ImportRates):
                visit(steps[n - 1].steps)
            found[steps[:n]] = None

    for experiment in experiments:
        visit(experiment.steps)
    return list(found)


# --------------------------------------------------------------------------------------------------------- checkpoints


@dataclass(frozen=True)
class Position:
    """Where a trial is.

    Attributes
    ----------
    experiment : int
        Number of the experiment under way.
    steps_done : int
        How many of its steps are complete and in its file.
    sequence : int
        Number of the sequence of steps (:func:`sequences_of_steps`) that the state is within, or after if its `phase_epoch` is 0.
    epochs : int
        Computed so far, for the display.
    """

    experiment: int
    steps_done: int
    sequence: int
    epochs: int


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    position : Position
    state : NetworkState or None
        None before the first epoch of an experiment, which begins from one of `states`.
    states : dict of int to str
        Number of a sequence of steps to the digest of the state after it, which is kept beside the checkpoints.
    file : Path or None
        Copy of the file of the experiment under way; None if it had not been begun.
    parameters, texts
        Of the trial, see :class:`TrialIdentity`.
    """

    position: Position
    state: NetworkState | None
    states: dict[int, str]
    file: Path | None
    parameters: Parameters
    texts: dict[str, str]

    def restore(self, path: Path) -> None:
        """Put the copy in the place of the file of the experiment under way; without a copy, remove that file.

        Raises
        ------
        CheckpointError
        """
        scratch = path.with_name(f".{path.name}.{os.getpid()}{PART}")
        try:
            if self.file is None:
                path.unlink(missing_ok=True)
            else:
                _copy_synchronised(self.file, scratch)
                scratch.replace(path)
            synchronise_folder(path.parent)
        except OSError as problem:
            raise CheckpointError(f"{path}: cannot be restored from its checkpoint: {reason(problem)}") from None
        finally:
            scratch.unlink(missing_ok=True)


class TrialCheckpoints:
    """The checkpoints of one trial.

    Parameters
    ----------
    directory : path
        The folder of the files of the trials.
    identity : TrialIdentity

    Attributes
    ----------
    folder : Path
        Where they are.
    """

    def __init__(self, directory: str | Path, identity: TrialIdentity):
        self.identity = identity
        self.folder = Path(directory) / FOLDER / identity.folder_name
        self._written: dict[int, str] = {}  # states beside the checkpoints: digests
        self._in_previous: set[int] = set()  # those that the newest checkpoint needs
        self._torn: list[Path] = []

    def __bool__(self) -> bool:
        """There is something to go on from."""
        return bool(self._generations())

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes away from this trial; see :func:`locked`."""
        return locked(self.folder.with_suffix(".lock"), str(self.folder), LOCK_PATIENCE_SECONDS)

    def _generations(self) -> list[Path]:
        """Oldest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(path for path in found if path.name.isdecimal())

    def save(
        self, position: Position, state: NetworkState | None, states: Mapping[int, NetworkState], trial_file: Path | None
    ) -> None:
        """Write a checkpoint, and keep the one before it.

        Parameters
        ----------
        position : Position
        state : NetworkState or None
        states : dict of int to NetworkState
            States after other sequences of steps that are still needed; each is written once.
        trial_file : Path or None
            The file of the experiment under way; all that belongs to `state` has been written to it.

        Raises
        ------
        CheckpointError
            The disk is full or read-only; earlier checkpoints are as they were.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number in states.keys() - self._written.keys():
                self._save_beside(number, states[number])
            last = self._generations()[-1:]
            self._write_generation(
                int(last[0].name) + 1 if last else 1,
                partial(_image, self.identity, position, state, {number: self._written[number] for number in states}),
                trial_file,
            )
            self._tidy(set(states))
        except OSError as problem:
            kept = "; the one before it remains" if self else ""
            raise CheckpointError(f"{self.folder}: a checkpoint cannot be written: {reason(problem)}{kept}") from None

    def _save_beside(self, number: int, state: NetworkState) -> None:
        note = f"state after sequence of steps {number} of {self.identity.texts['experiments']}"
        image = state_image(state, self.identity.parameters, {}, note)
        write_whole_file(self._beside(number), image)
        self._written[number] = hashlib.sha256(image).hexdigest()

    def _beside(self, number: int) -> Path:
        return self.folder / f"state_{number:03d}.h5"

    def _write_generation(self, number: int, image_with: Callable[[str], bytes], trial_file: Path | None) -> None:
        scratch = self.folder / f"{number:06d}{PART}"
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
            digest = _copy_synchronised(trial_file, scratch / TRIAL_FILE) if trial_file else ""
            write_synchronised(scratch / CHECKPOINT_FILE, image_with(digest))  # the digest of the copy is in it
            synchronise_folder(scratch)
            scratch.rename(scratch.with_suffix(""))
            synchronise_folder(self.folder)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise

    def _tidy(self, in_newest: set[int]) -> None:
        """Remove what neither of the checkpoints kept needs; leftovers are harmless."""
        for path in self._torn:
            shutil.rmtree(path, ignore_errors=True)
        for path in self._generations()[:-GENERATIONS_KEPT]:
            shutil.rmtree(path, ignore_errors=True)
        for number in self._written.keys() - in_newest - self._in_previous:
            self._beside(number).unlink(missing_ok=True)
            del self._written[number]
        self._torn, self._in_previous = [], in_newest

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole, None if there is none; and a line for each newer one that is not.

        Raises
        ------
        CheckpointError
            It was written by another version of foraging_snn.
        """
        lines, self._torn = [], []
        for path in reversed(self._generations()):
            _refuse_other_versions(path / CHECKPOINT_FILE)
            try:
                found = _read(path)
            except _Damaged as damage:
                lines.append(str(damage))
                self._torn.append(path)
            else:
                self._in_previous = set(found.states)
                return found, lines
        return None, lines

    def load_beside(self, number: int, digest: str) -> NetworkState | None:
        """A state kept beside the checkpoints; None if it is not there or damaged: it can be computed again."""
        path = self._beside(number)
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                return None
            saved = load_state(path)
        except (OSError, StateError):
            return None
        self._written[number] = digest
        return saved.state

    def remove(self) -> None:
        """The trial is complete: its checkpoints are not needed any more."""
        # the newest goes last, so that a removal that is cut off leaves nothing older to go on from
        for path in self._generations():
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Remove what a process left of a copy that it was making when it was killed, see :meth:`Checkpoint.restore`."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        leftover.unlink(missing_ok=True)


def remove_empty_folder(directory: Path) -> None:
    """Remove the folder of all checkpoints if no trial has any."""
    with suppress(OSError):
        (directory / FOLDER).rmdir()


def _copy_synchronised(source: Path, target: Path) -> str:
    """Copy a file and have the disk itself write it; digest of its bytes."""
    digest = hashlib.sha256()
    with open(source, "rb") as old, open(target, "wb") as new:
        while piece := old.read(COPY_BYTES):
            digest.update(piece)
            new.write(piece)
        new.flush()
        os.fsync(new.fileno())
    return digest.hexdigest()


def _image(
    identity: TrialIdentity, position: Position, state: NetworkState | None, states: dict[int, str], file_digest: str
) -> bytes:
    """The bytes of a checkpoint. They are made in memory, so that HDF5 never meets a full disk."""
    texts = identity.texts | {"trial_file_sha256": file_digest}
    texts |= {"states": " ".join(f"{number}:{digest}" for number, digest in sorted(states.items()))}
    numbers = {"seed": identity.seed} | vars(position)
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        write_format(file, FORMAT_NAME, FORMAT_VERSION)
        write_texts(file.attrs, texts | {DIGEST: _digest(texts, numbers, state)})
        file.attrs.update({name: np.int64(value) for name, value in numbers.items()})
        if state is not None:
            write_state(file.create_group(STATE), state)
    return image.getvalue()


def _digest(texts: Mapping[str, str], numbers: Mapping[str, int], state: NetworkState | None) -> str:
    digest = hashlib.sha256(f"{FORMAT_NAME} {FORMAT_VERSION}".encode())
    for name, value in sorted({**texts, **numbers}.items()):
        digest.update(f"\n{name} {value}".encode("utf-8", "replace"))
    if state is not None:
        update_digest(digest, state)
    return digest.hexdigest()


def _refuse_other_versions(path: Path) -> None:
    """Another version is not damage, from which one would go back to the checkpoint before."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            found, version = read_text(file.attrs, FORMAT), read_number(file.attrs, VERSION_ATTRIBUTE, 0, MAX_SEED)
    except (OSError, KeyError, ValueError, RuntimeError):
        return
    if found == FORMAT_NAME and version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint of version {version}; this version of foraging_snn goes on from version {FORMAT_VERSION}"
        )


def _read(folder: Path) -> Checkpoint:
    """Read a checkpoint and see that it is whole, the copy of the trial's file included."""
    path = folder / CHECKPOINT_FILE
    with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, _Damaged) as file, damage_reported(path, _Damaged):
        names = ("parameters", "experiments", "steps", "engine", "started_from", "trial_file_sha256", "states")
        texts = {name: read_text(file.attrs, name) for name in names}
        numbers = {name: read_number(file.attrs, name, 0, MAX_SEED) for name in ("seed", *Position.__annotations__)}
        parameters = _read_parameters(path, texts["parameters"])
        state = read_state(file[STATE], parameters) if STATE in file else None
        if _digest(texts, numbers, state) != read_text(file.attrs, DIGEST):
            raise ValueError("its contents do not match their checksum")
        if state is not None:
            check_state(state, parameters)
    copy = folder / TRIAL_FILE if texts["trial_file_sha256"] else None
    if copy and _file_digest(copy) != texts["trial_file_sha256"]:
        raise _Damaged(f"{copy}: damaged or truncated: its contents do not match their checksum")
    states = dict(entry.split(":") for entry in texts["states"].split())
    position = Position(**{name: numbers[name] for name in Position.__annotations__})
    return Checkpoint(position, state, {int(number): digest for number, digest in states.items()}, copy, parameters, texts)


def _read_parameters(path: Path, toml: str) -> Parameters:
    try:
        return Parameters.from_toml(toml, origin="parameters")
    except ParameterError as error:
        raise CheckpointError(f"{path}: not readable by this version of foraging_snn: {error}") from None


def _file_digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise _Damaged(f"{path}: cannot be read: {reason(problem)}") from None

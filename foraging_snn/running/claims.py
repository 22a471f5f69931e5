"""What the commands at work have said they will write, so that many of them share a folder and no two write the same trial.

Each has a small file of its own in its folder as long as it runs. How to lock a file is in checkpoints.py.
"""

import fcntl
import json
import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from foraging_snn.files.hdf5 import PART, reason
from foraging_snn.running.checkpoints import (
    LOCK_NAME,
    ONE_WRITER,
    WITHOUT_LOCKS,
    CheckpointError,
    TrialIdentity,
    locked,
    this_process,
)

PREFIX, SUFFIX = ".foraging_snn_", ".lock"  # of the name of a claim
FOLDER_PATIENCE_SECONDS = 30.0  # a folder is locked for milliseconds, if its disk is slow for a second
SEVERAL = "several experiments at once"  # these have their checkpoints in one place
TABLE = "the table of the sweep"
ALONE = (0, 0)  # in the place of seeds where there are none

Spans = list[tuple[int, int]]  # of seeds: first and last
Writes = Mapping[str, Mapping[str, Spans]]  # by folder below, "" for the folder itself; by experiment


@dataclass(frozen=True)
class Claim:
    """What a command writes.

    Attributes
    ----------
    holder : str
        The command, for people.
    writes : mapping
        By name of a folder in the folder in which the claim lies, "" for this one: by experiment, the first and last seed of each
        range of seeds.
    """

    holder: str
    writes: Writes

    @classmethod
    def read(cls, text: str) -> "Claim":
        """From its file; ValueError if that is something else."""
        try:
            found = json.loads(text)
            writes = {
                folder: {name: [(int(first), int(last)) for first, last in spans] for name, spans in trials.items()}
                for folder, trials in found["writes"].items()
            }
            return cls(str(found["holder"]), writes)
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def seen_from_above(self, folder: str) -> "Claim":
        """The same, if it lies in the folder of this name in the one that is meant."""
        return Claim(self.holder, {folder: self.writes.get("", {})})

    @property
    def text(self) -> str:
        """For its file."""
        return json.dumps({"holder": self.holder, "writes": self.writes})


def trials_of(directory: Path, trials: Iterable[tuple[TrialIdentity, Sequence[Path]]], table: bool) -> dict[str, dict[str, Spans]]:
    """What trials write, for :func:`claimed`.

    Parameters
    ----------
    directory : Path
    trials : iterable of (TrialIdentity, paths)
        With their files, in the folder or in one below it.
    table : bool
        The table of a sweep is written, too.
    """
    seeds: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for identity, paths in trials:
        folder = "" if paths[0].parent == directory else paths[0].parent.name
        names = [experiment.name for experiment in identity.experiments]
        for name in [*names, SEVERAL] if len(names) > 1 else names:
            seeds[folder][name].add(identity.seed)
    writes = {folder: {name: _spans(found) for name, found in named.items()} for folder, named in seeds.items()}
    if table:
        writes.setdefault("", {})[TABLE] = [ALONE]
    return writes


def _spans(seeds: Iterable[int]) -> Spans:
    spans: Spans = []
    for seed in sorted(seeds):
        if spans and spans[-1][1] == seed - 1:
            spans[-1] = (spans[-1][0], seed)
        else:
            spans.append((seed, seed))
    return spans


@contextmanager
def claimed(directory: Path, writes: Writes) -> Iterator[None]:
    """Keep away others that would write the same while a block runs; those that write something else are not disturbed.

    Parameters
    ----------
    directory : Path
        A folder, there already.
    writes : mapping
        What is going to be written there and below, see :class:`Claim`.

    Raises
    ------
    CheckpointError
        Another process writes some of that; which of two is told so does not depend on how close together they begin. Or the
        folder cannot be written to.

    Notes
    -----
    A claim is locked by the operating system before it has its name, and ends with its process: one that can be locked by
    another is of a process that has been killed, and is removed. On a disk without locks there are no claims.
    """
    path = directory / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
    with ExitStack() as ends:
        try:
            _claim(path, writes, ends)
        except OSError as problem:
            raise CheckpointError(f"{directory}: cannot be written to: {reason(problem)}") from None
        yield


def _claim(path: Path, writes: Writes, ends: ExitStack) -> None:
    """Make a claim that ends with `ends`."""
    directory, scratch = path.parent, path.with_name(f"{path.name}{PART}")
    with _only_one_claims(directory), ExitStack() as refused:
        # made before the others are looked at: on a shared disk that has this computer ask for the newest list of files
        descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        refused.callback(_give_up, descriptor, (scratch, path))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno in WITHOUT_LOCKS:
                return
            raise
        _write(descriptor, Claim(this_process(), writes))
        _refuse(directory, writes, _living(directory, but_for=scratch))
        _refuse(directory, writes, _in_the_folder_above(directory))
        scratch.rename(path)
        ends.enter_context(refused.pop_all())
    for folder in filter(None, writes):
        if (directory / folder).is_dir():  # who makes it later will find this claim in the folder above
            with _only_one_claims(directory / folder):
                _refuse(directory, writes, (claim.seen_from_above(folder) for claim in _living(directory / folder)))


def _only_one_claims(folder: Path) -> AbstractContextManager[None]:
    """Until it has claimed, or has been refused."""
    return locked(folder / LOCK_NAME, str(folder), FOLDER_PATIENCE_SECONDS)


def _write(descriptor: int, claim: Claim) -> None:
    os.fchmod(descriptor, 0o644)  # others that share the folder have to be able to read it
    with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
        file.write(claim.text)
        file.flush()
        os.fsync(descriptor)  # so that other computers see it


def _give_up(descriptor: int, files: Iterable[Path]) -> None:
    for file in files:
        with suppress(OSError):  # it would keep nobody out
            file.unlink(missing_ok=True)
    os.close(descriptor)


def _living(folder: Path, but_for: Path | None = None) -> Iterator[Claim]:
    """The claims in a folder that is locked; what killed processes have left is removed."""
    for path in [*folder.glob(f"{PREFIX}*{SUFFIX}"), *folder.glob(f"{PREFIX}*{SUFFIX}{PART}")]:
        if path == but_for:
            continue
        claim = _read(path)
        if claim is None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            yield claim


def _in_the_folder_above(directory: Path) -> Iterator[Claim]:
    """The claims there on what is in this folder. Nothing is removed: that folder is not locked."""
    here = directory.resolve()
    for path in here.parent.glob(f"{PREFIX}*{SUFFIX}"):
        if (claim := _read(path)) and here.name in claim.writes:
            yield Claim(claim.holder, {"": claim.writes[here.name]})


def _read(path: Path) -> Claim | None:
    """A claim; None if its process has ended. Of what cannot be read or locked, nothing is known, which is an empty claim."""
    unknown = Claim("another process", {})
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Claim.read(file.read())
            return None
    except (OSError, ValueError):
        return unknown


def _refuse(directory: Path, writes: Writes, others: Iterable[Claim]) -> None:
    for other in others:
        for folder, trials in writes.items():
            for name, spans in trials.items():
                if seeds := _shared(spans, other.writes.get(folder, {}).get(name, ())):
                    what = name if name == TABLE else f"{name}, {seeds}"
                    raise CheckpointError(f"{directory / folder}: {what}: in use by {other.holder}; {ONE_WRITER}")


def _shared(spans: Spans, others: Iterable[tuple[int, int]]) -> str:
    """The seeds that are in both, as "seed 3"; "" if there are none."""
    for first, last in spans:
        for other_first, other_last in others:
            low, high = max(first, other_first), min(last, other_last)
            if low <= high:
                return f"seed {low}" if low == high else f"seeds {low} to {high}"
    return ""

"""Locks on the files of trials: no two processes write the same one, and none writes on into a folder that was replaced.

A lock is the operating system's (through filelock) and ends with its process, however that ends; its file names who has it.
"""

import os
import resource
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP
from pathlib import Path

import filelock

from foraging_snn.files.hdf5 import reason
from foraging_snn.running.errors import LedgerError, RunError

FOLDER = "ledger"  # beside the files of the trials
OF_COMMAND, OF_WORKER = ".lock", ".worker.lock"  # after the name of the trial's file
PATIENCE_SECONDS = 15.0  # the process of a trial whose command was killed takes a moment to notice
POLL_SECONDS = 0.05
MOMENT_SECONDS = 1.0  # a lock file is empty or gone for no longer than that while it changes hands
WITHOUT_LOCKS = (ENOLCK, ENOSYS, ENOTSUP)  # a disk that has none
OTHER_FILES = 100  # that a process may have open


@contextmanager
def locked(files: Iterable[Path], kind: str = OF_COMMAND, patience_seconds: float = 0.0) -> Iterator[Callable[[], None]]:
    """Keep other processes away from files, there already or not, while a block runs.

    Parameters
    ----------
    files : iterable of Path
        Of trials; their folders are there. The locks lie in the folder `ledger` beside them.
    kind : {OF_COMMAND, OF_WORKER}
        A command has the first as long as it runs, a process that computes one of its trials the second.
    patience_seconds : float
        How long to wait for a process that has one; for each process anew, if it goes from hand to hand.

    Yields
    ------
    callable
        To be called before anything is written or removed: LedgerError if a lock is no longer in its place.

    Raises
    ------
    LedgerError
        Another process has one, or it cannot be written.
    RunError
        More files than a process may have open.
    """
    paths = {path: path.parent / FOLDER / f"{path.stem}{kind}" for path in sorted(set(files))}
    _allow_open_files(len(paths) + OTHER_FILES)
    with ExitStack() as stack:
        stack.callback(_remove_empty, {path.parent for path in paths.values()})
        locks = [stack.enter_context(_Lock(path, lock, patience_seconds)) for path, lock in paths.items()]

        def check() -> None:
            for lock in locks:
                lock.check()

        yield check


class _Lock:
    """One of them; a context manager."""

    def __init__(self, file: Path, path: Path, patience_seconds: float):
        self._file, self._path, self._patience = file, path, patience_seconds
        self._stat: os.stat_result | None = None
        self._lock = filelock.FileLock(path, thread_local=False, fallback_to_soft=False, on_acquired=self._note)

    def _note(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{this_process()}\n".encode())
        self._stat = os.fstat(descriptor)

    def __enter__(self) -> "_Lock":
        holder, deadline = None, 0.0
        while not self._is_taken():
            if (now_held_by := self._holder()) != holder:
                holder, deadline = now_held_by, time.monotonic() + (self._patience if now_held_by else MOMENT_SECONDS)
            if time.monotonic() >= deadline:
                by = holder or "another process"
                raise LedgerError(f"{self._file}: in use by {by}; two runs cannot write to one place")
            time.sleep(POLL_SECONDS)
        return self

    def _is_taken(self) -> bool:
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._lock.acquire(timeout=0)
        except (filelock.Timeout, FileNotFoundError, FileExistsError):  # the folder may go or come at this moment
            folder = self._path.parent
            if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
                raise LedgerError(f"{folder}: cannot be made: {folder.parent} is gone, or another file has its name") from None
            return False
        except OSError as problem:
            if problem.errno in WITHOUT_LOCKS:
                return True
            raise LedgerError(f"{self._path}: cannot be written: {reason(problem)}") from None
        return True

    def _holder(self) -> str:
        try:
            return self._path.read_text(errors="replace").strip()
        except OSError:
            return ""

    def is_in_place(self) -> bool:
        """The file is still the one that was locked."""
        try:
            return self._stat is None or os.path.samestat(self._stat, os.stat(self._path))
        except OSError:
            return False

    def check(self) -> None:
        """LedgerError if it is not."""
        if not self.is_in_place():
            raise LedgerError(f"{self._path.parent}: was removed or replaced while {self._file.name} was computed; stopped")

    def __exit__(self, *exception: object) -> None:
        if self._stat and self.is_in_place():
            with suppress(OSError):
                self._path.unlink()  # before it is given up: filelock sees that what it locked has gone, and makes a new one
        self._lock.release()


def this_process() -> str:
    """For others that are kept out."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _allow_open_files(n: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < n:
        if hard != resource.RLIM_INFINITY and hard < n:
            raise RunError(f"trials: {n - OTHER_FILES} files at once, allowed are {hard - OTHER_FILES} here (ulimit -n); run fewer")
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))

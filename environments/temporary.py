"""Folders for temporary files: one goes with its process, or, if that was killed, is removed by the next process that makes one."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: what a killed process leaves, stays
    fcntl = None

PREFIX = "foraging_snn-run-"
YOUNG_SECONDS = 60.0  # it may not be locked yet


class TemporaryFolder(tempfile.TemporaryDirectory):
    """As `tempfile.TemporaryDirectory`; locked as long as this process lives, whatever ends it."""

    def __init__(self) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        super().__init__(prefix=PREFIX, ignore_cleanup_errors=True)
        self._lock = _lock(Path(self.name))

    def cleanup(self) -> None:
        """Remove it."""
        super().cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock(folder: Path) -> int | None:
    """Lock a folder until what is returned is closed, which the system does for a process that ends; None if that cannot be."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(base: Path) -> None:
    """Remove this user's folders that nobody has locked."""
    if fcntl is None:
        return
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            ours = folder.is_dir() and not folder.is_symlink() and found.st_uid == os.getuid()
            if not ours or time.time() - found.st_mtime < YOUNG_SECONDS or (lock := _lock(folder)) is None:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

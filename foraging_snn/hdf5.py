"""HDF5 files with care: text attributes, files that survive a full disk, errors in one line. No layout lives here."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EINVAL, ENOSPC, ENOSYS, ENOTSUP
from pathlib import Path

import h5py
import numpy as np

# Readable by every HDF5 since 1.8 (2008). Unlike the default format, its metadata carries checksums: damage is seen, not followed.
LIBRARY_VERSIONS = ("v108", "v108")
FORMAT, FORMAT_VERSION = "format", "format_version"
# What h5py raises on damaged files, and our own checks with it.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError)

METADATA_BYTES = 256 * 1024  # more than headers and chunk indices grow in one go


def reason(error: BaseException) -> str:
    """One line on why something failed."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, KeyError):
        return str(error.args[0]) if error.args else "missing"
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def write_text(attributes: h5py.AttributeManager, name: str, text: str, length: int = 1) -> None:
    """Write a UTF-8 attribute of fixed length (text of variable length lies in a heap without checksums).

    Parameters
    ----------
    length : int
        Bytes to set aside; within them the text can be changed in place later.
    """
    data = text.encode("utf-8", "replace")
    if name in attributes and len(data) <= attributes.get_id(name).dtype.itemsize:
        attributes.modify(name, np.array(data, attributes.get_id(name).dtype))
    else:
        attributes.create(name, np.array(data, h5py.string_dtype("utf-8", max(length, len(data)))))


def write_texts(attributes: h5py.AttributeManager, texts: Mapping[str, str]) -> None:
    """Write several UTF-8 attributes."""
    for name, text in texts.items():
        write_text(attributes, name, text)


def read_text(attributes: h5py.AttributeManager, name: str) -> str:
    """Read an attribute that must be text; ValueError if it is something else."""
    if name not in attributes:
        raise KeyError(f"attribute {name} is missing")
    value = attributes[name]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise ValueError(f"attribute {name} is not text")


def read_number(attributes: h5py.AttributeManager, name: str, low: int, high: int) -> int:
    """Read an attribute that must be a whole number from `low` to `high`; ValueError if it is something else."""
    if name not in attributes:
        raise KeyError(f"attribute {name} is missing")
    value = np.asarray(attributes[name])
    if value.shape != () or value.dtype.kind not in "iu" or not low <= value <= high:
        raise ValueError(f"attribute {name} is not a whole number from {low} to {high}")
    return int(value)


def write_format(file: h5py.File, name: str, version: int) -> None:
    """Say what kind of file this is."""
    write_text(file.attrs, FORMAT, name)
    file.attrs[FORMAT_VERSION] = np.int64(version)


class NewFile:
    """A new file that is written in pieces and readable after each of them, whatever happens to the next.

    HDF5 does not recover from a write that fails halfway: the file is lost, and the process crashes at its end. So space is
    reserved for each piece before HDF5 touches the file, and a full disk is met there.

    Parameters
    ----------
    path : Path
    error : type
        Raised with one line: the file exists (it is left as it is), or cannot be written, here or later.

    Attributes
    ----------
    failed : bool
        A piece could not be written.
    """

    def __init__(self, path: Path, error: type[Exception]):
        self.path = path
        self.failed = False
        self._error = error
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            raise error(f"{path}: exists already and is not overwritten") from None
        except OSError as problem:
            raise self._cannot_be_written(problem) from None
        try:
            # our own empty file; without locking, which not every disk knows and which would keep readers out
            self._file = h5py.File(path, "w", libver=LIBRARY_VERSIONS, locking=False)
        except OSError as problem:
            path.unlink()
            raise self._cannot_be_written(problem) from None

    def _cannot_be_written(self, problem: Exception) -> Exception:
        self.failed = True
        return self._error(f"{self.path}: cannot be written: {reason(problem)}")

    @property
    def is_open(self) -> bool:
        """The file has not been closed."""
        return bool(self._file)

    @contextmanager
    def writing(self, n_bytes: int) -> Iterator[h5py.File]:
        """Write a piece of at most `n_bytes` of data, not counting HDF5's own."""
        try:
            self._reserve(n_bytes + METADATA_BYTES)
            yield self._file
            self._file.flush()
            self._release()
        except (OSError, RuntimeError) as problem:
            raise self._cannot_be_written(problem) from None

    def _reserve(self, n_bytes: int) -> None:
        try:
            os.posix_fallocate(self._file.id.get_vfd_handle(), self._file.id.get_filesize(), n_bytes)
        except (AttributeError, OSError) as problem:  # macOS does not have it, some disks cannot do it
            if isinstance(problem, OSError) and problem.errno not in (EINVAL, ENOSYS, ENOTSUP):
                self._release()
                raise
            if shutil.disk_usage(self.path.parent).free < n_bytes:
                raise OSError(ENOSPC, os.strerror(ENOSPC)) from None

    def _release(self) -> None:
        os.ftruncate(self._file.id.get_vfd_handle(), self._file.id.get_filesize())

    def synchronise(self) -> None:
        """Have the disk itself write what was written so far."""
        with self.writing(0) as file:
            os.fsync(file.id.get_vfd_handle())

    def close(self) -> None:
        """Close the file; every piece was flushed when it was written."""
        with suppress(OSError, RuntimeError):  # failures have been reported
            self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        self.close()
        self.path.unlink(missing_ok=True)


@contextmanager
def damage_reported(path: Path, error: type[Exception]) -> Iterator[None]:
    """Turn whatever a damaged file leads to into one line that names the file."""
    try:
        yield
    except error:
        raise
    except DAMAGE as damage:
        raise error(f"{path}: damaged or truncated: {reason(damage)}") from None


def open_for_reading(path: Path, name: str, version: int, error: type[Exception]) -> h5py.File:
    """Open a file of ours.

    Parameters
    ----------
    path : Path
    name, version : str, int
        Of the format wanted.
    error : type
        Raised with one line: no such file, not readable, not HDF5, not ours, another version, truncated.
    """
    try:
        with open(path, "rb"):
            pass
        if not h5py.is_hdf5(path):
            raise error(f"{path}: not an HDF5 file")
        # without locking: also a file that a run is writing, and one on a read-only disk, can be looked at
        file = h5py.File(path, "r", locking=False)
    except OSError as problem:
        truncated = "truncated or damaged" if problem.errno is None else "cannot be read"
        raise error(f"{path}: {truncated}: {reason(problem)}") from None
    try:
        with damage_reported(path, error):
            _check_format(file, path, name, version, error)
    except error:
        file.close()
        raise
    return file


def _check_format(file: h5py.File, path: Path, name: str, version: int, error: type[Exception]) -> None:
    found = read_text(file.attrs, FORMAT) if FORMAT in file.attrs else None
    if found != name:
        what = "HDF5, but not one of foraging_snn" if found is None else f"a {found!r} file"
        raise error(f"{path}: not a {name!r} file: it is {what}")
    number = read_number(file.attrs, FORMAT_VERSION, 0, 2**31)
    if number != version:
        raise error(f"{path}: {name!r} file of version {number}; this version of foraging_snn reads version {version}")

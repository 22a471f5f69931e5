"""HDF5 files with care: text attributes, files that survive a full disk, errors in one line. No layout lives here."""

import glob
import io
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import EEXIST, EINVAL, ENOSPC, ENOSYS, ENOTSUP
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# Readable by every HDF5 since 1.8 (2008). Unlike the default format, its metadata carries checksums: damage is seen, not followed.
LIBRARY_VERSIONS = ("v108", "v108")
FORMAT, FORMAT_VERSION = "format", "format_version"
# What h5py raises on damaged files, and our own checks with it.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, MemoryError)

WITHIN_FILE = (0, 1)  # H5L_TYPE_HARD and H5L_TYPE_SOFT, whose way never leaves the file but through a link of another type
PART = ".part"  # ending of what is being written
LONGEST_NAME = 200  # characters
SMALL_BYTES = 16 * 1024**2  # data that takes no room in a file does no harm up to here
MOST_COMPRESSED = 500  # times that a chunk of ours can get smaller
FIRST_FILTER_OUTSIDE_HDF5 = 256  # these would be looked for among the programs on the computer
MEMORY_BYTES = 128 * 1024**2  # a file of at most so many bytes is made in memory

_looked_at: set[tuple[int, ...]] = set()  # files whose contents have been checked


def reason(error: BaseException) -> str:
    """One line on why something failed."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, KeyError):
        return str(error.args[0]) if error.args else "missing"
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def harmless(text: str) -> str:
    """Text with what a terminal would obey rather than show (control characters, marks that turn the direction of writing), written
    as escapes; ends of lines and tabulators stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)


def write_text(attributes: h5py.AttributeManager, name: str, text: str) -> None:
    """Write a UTF-8 attribute of fixed length (text of variable length lies in a heap without checksums)."""
    data = harmless(text).encode("utf-8", "replace")
    attributes.create(name, np.array(data, h5py.string_dtype("utf-8", max(1, len(data)))))


def write_texts(attributes: h5py.AttributeManager, texts: Mapping[str, str]) -> None:
    """Write several UTF-8 attributes."""
    for name, text in texts.items():
        write_text(attributes, name, text)


def read_text(attributes: h5py.AttributeManager, name: str) -> str:
    """Read an attribute that must be text, made :func:`harmless`; ValueError if it is something else."""
    return harmless(_text_as_it_is(attributes, name))


def _text_as_it_is(attributes: h5py.AttributeManager, name: str) -> str:
    if name not in attributes:
        raise KeyError(f"attribute {name} is missing")
    value = attributes[name]
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, str):
        return value
    raise ValueError(f"attribute {name} is not text")


def read_name(attributes: h5py.AttributeManager, name: str) -> str:
    """Read an attribute that must be a name, i.e. one line of text without control characters; ValueError if it is not."""
    text = _text_as_it_is(attributes, name)
    if not text.isprintable() or len(text) > LONGEST_NAME:
        raise ValueError(f"attribute {name} is not a name")
    return text


def read_number(attributes: h5py.AttributeManager, name: str, low: int, high: int) -> int:
    """Read an attribute that must be a whole number from `low` to `high`; ValueError if it is something else."""
    if name not in attributes:
        raise KeyError(f"attribute {name} is missing")
    value = np.asarray(attributes[name])
    if value.shape != () or value.dtype.kind not in "iu" or not low <= value <= high:
        raise ValueError(f"attribute {name} is not a whole number from {low} to {high}")
    return int(value)


def format_of(path: Path) -> str | None:
    """What kind of file of ours this is, e.g. "foraging_snn trial"; "" if it is someone else's, None if it is not readable HDF5."""
    try:
        if not path.is_file() or not h5py.is_hdf5(path):
            return None
        with h5py.File(path, "r", locking=False) as file:
            return read_text(file.attrs, FORMAT) if FORMAT in file.attrs else ""
    except (OSError, RuntimeError):
        return None
    except (KeyError, ValueError, TypeError):
        return ""


def group_in(parent: h5py.Group, name: str) -> h5py.Group:
    """A group in another one; KeyError if it is missing, ValueError if it is something else."""
    if name not in parent:
        raise KeyError(f"{name} is missing")
    if not isinstance(found := parent[name], h5py.Group):
        raise ValueError(f"{name} is not a group")
    return found


def dataset_in(parent: h5py.Group, name: str) -> h5py.Dataset:
    """A dataset in a group; KeyError if it is missing, ValueError if it is something else."""
    if name not in parent:
        raise KeyError(f"{name} is missing")
    if not isinstance(found := parent[name], h5py.Dataset):
        raise ValueError(f"{name} is not a dataset")
    return found


def write_format(file: h5py.File, name: str, version: int) -> None:
    """Say what kind of file this is."""
    write_text(file.attrs, FORMAT, name)
    file.attrs[FORMAT_VERSION] = np.int64(version)


@contextmanager
def damage_reported(path: Path, error: type[Exception]) -> Iterator[None]:
    """Turn whatever a damaged file leads to into one line that names the file."""
    try:
        with _warnings_not_raised():
            yield
    except error:
        raise
    except DAMAGE as damage:
        raise error(f"{path}: damaged or truncated: {reason(damage)}") from None


@contextmanager
def _warnings_not_raised() -> Iterator[None]:
    """Where warnings are errors (PYTHONWARNINGS=error), show them meanwhile: what a library warns of is no damage of a file."""
    with warnings.catch_warnings():
        shown = [("default" if action == "error" else action, *which) for action, *which in warnings.filters]
        vars(warnings)["filters"][:] = shown
        yield


def open_for_reading(path: Path, name: str, version: int, error: type[Exception]) -> h5py.File:
    """Open a file of ours.

    Parameters
    ----------
    path : Path
    name, version : str, int
        Of the format wanted.
    error : type
        Raised with one line: no such file, not readable, not HDF5, not ours, another version, truncated, or not all in this file.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would keep us waiting, a device never end
            raise error(f"{path}: cannot be read: it is not a file")
        with open(path, "rb"):
            pass
        if not h5py.is_hdf5(path):
            raise error(f"{path}: not an HDF5 file")
        file = _opened_unlocked(path)
    except OSError as problem:
        truncated = "truncated or damaged" if problem.errno is None else "cannot be read"
        raise error(f"{path}: {truncated}: {reason(problem)}") from None
    try:
        with damage_reported(path, error):
            _check_format(file, path, name, version, error)
            _check_contents_once(file)
    except error:
        file.close()
        raise
    return file


def _opened_unlocked(path: Path) -> h5py.File:
    """Without locking: also a file that a run is writing, and one on a read-only disk, can be looked at."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as problem:
        if "locking flag" not in str(problem):
            raise
        return h5py.File(path, "r")  # this process has it open already, with locking; HDF5 opens it only in the same way


def check_contents(file: h5py.File) -> None:
    """See that all of a file is in it, and not more than it can hold.

    Raises
    ------
    ValueError
        A link to somewhere else, data in other files, data that no file of this size can hold, or a filter of another program.

    Notes
    -----
    Links are looked at, not followed: behind one can be any file of the reader.
    """
    # a walk ends with the first thing found; an exception within it would leave HDF5 with the file open
    if found := file.id.links.visit(_strange_link, info=True) or file.visititems(_strange_data):
        raise ValueError(found)


def _check_contents_once(file: h5py.File) -> None:
    """The same, unless the file was looked at and has not changed since: trials are opened again and again."""
    state = os.fstat(file.id.get_vfd_handle())
    version = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
    if version not in _looked_at:
        check_contents(file)
        _looked_at.add(version)


def _strange_link(name: bytes, link: Any) -> str | None:
    return None if link.type in WITHIN_FILE else f"{name.decode(errors='replace')!r} is a link to somewhere else"


def _strange_data(name: str, item: h5py.HLObject) -> str | None:
    if not isinstance(item, h5py.Dataset):
        return None
    description = item.id.get_create_plist()
    if description.get_layout() == h5py.h5d.VIRTUAL or description.get_external_count():
        return f"the data of {name!r} is in other files"
    filters = [description.get_filter(k)[0] for k in range(description.get_nfilters())]
    if any(number >= FIRST_FILTER_OUTSIDE_HDF5 for number in filters):
        return f"{name!r} is compressed by another program than HDF5"
    n_bytes = math.prod(item.shape or ()) * item.id.get_type().get_size()
    chunk_bytes = math.prod(item.chunks or ()) * item.id.get_type().get_size() if n_bytes else 0
    if max(n_bytes, chunk_bytes) > MOST_COMPRESSED * item.id.get_storage_size() + SMALL_BYTES:
        return f"{name!r} claims {max(n_bytes, chunk_bytes):,} bytes, which are not in the file"
    return None


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _check_format(file: h5py.File, path: Path, name: str, version: int, error: type[Exception]) -> None:
    found = read_text(file.attrs, FORMAT) if FORMAT in file.attrs else None
    if found != name:
        what = "HDF5, but not one of foraging_snn" if found is None else f"a {found!r} file"
        raise error(f"{path}: not a {name!r} file: it is {what}")
    number = read_number(file.attrs, FORMAT_VERSION, 0, 2**31)
    if number != version:
        raise error(f"{path}: {name!r} file of version {number}; this version of foraging_snn reads version {version}")


@contextmanager
def whole_file(path: Path, n_bytes: int, scratch: Path | None = None, overwrite: bool = True) -> Iterator[h5py.File]:
    """Write an HDF5 file that is there under its name only when all of it is on the disk.

    Parameters
    ----------
    path : Path
    n_bytes : int
        Most that is going to be written. HDF5 does not recover from a write that fails halfway, and the process can crash at its
        end. So a small file is made in memory, and for a large one space is reserved before HDF5 touches it: a full disk is met
        outside of HDF5.
    scratch : Path, optional
        Name until then, in the same folder; it is removed if something fails.
    overwrite : bool
        Replace a file that exists; FileExistsError otherwise.

    Raises
    ------
    OSError
        It cannot be written; a file that was there is as it was.
    """
    scratch = scratch or _scratch(path)
    with _put_in_place_at_the_end(scratch, path, overwrite):
        if n_bytes <= MEMORY_BYTES:
            image = io.BytesIO()
            with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
                yield file
            _write_synchronised(scratch, image.getbuffer())
        else:
            try:
                with h5py.File(scratch, "x", libver=LIBRARY_VERSIONS, locking=False) as file:
                    descriptor = file.id.get_vfd_handle()
                    _reserve(descriptor, scratch, n_bytes)
                    yield file
                    file.flush()
                    os.ftruncate(descriptor, file.id.get_filesize())
                    os.fsync(descriptor)
            except RuntimeError as problem:  # h5py's, of a disk that fails
                raise OSError(reason(problem)) from None


def write_whole_file(path: Path, image: bytes, overwrite: bool = True) -> None:
    """The same for a file of any kind whose bytes are given."""
    scratch = _scratch(path)
    with _put_in_place_at_the_end(scratch, path, overwrite):
        _write_synchronised(scratch, image)


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove what a process that was killed while it wrote has left in a folder of what was to become a file of these names."""
    for name in names:
        for leftover in folder.glob(f".{glob.escape(name)}.*{PART}"):
            leftover.unlink(missing_ok=True)


def scratch_name(name: str) -> str:
    """Of a file that is being written by this process; :func:`remove_leftovers` knows it by `name`."""
    return f".{name}.{os.getpid()}{PART}"


def _scratch(path: Path) -> Path:
    return path.with_name(scratch_name(path.name))


@contextmanager
def _put_in_place_at_the_end(scratch: Path, path: Path, overwrite: bool) -> Iterator[None]:
    try:
        yield
        if overwrite:
            scratch.replace(path)
        else:
            _put_in_free_place(scratch, path)
        synchronise_folder(path.parent)
    finally:
        with suppress(OSError):  # what went wrong before is what matters
            scratch.unlink(missing_ok=True)


def _put_in_free_place(scratch: Path, path: Path) -> None:
    try:
        path.hardlink_to(scratch)  # unlike a renaming, refuses to take the place of a file that has appeared meanwhile
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        if os.path.lexists(path):
            raise FileExistsError(EEXIST, os.strerror(EEXIST), str(path)) from None
        scratch.rename(path)


def _write_synchronised(path: Path, image: bytes | memoryview) -> None:
    with open(path, "xb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())


def _reserve(descriptor: int, path: Path, n_bytes: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, n_bytes)
    except (AttributeError, OSError) as problem:  # macOS does not have it, some disks cannot do it
        if isinstance(problem, OSError) and problem.errno not in (EINVAL, ENOSYS, ENOTSUP):
            raise
        if shutil.disk_usage(path.parent).free < n_bytes:
            raise OSError(ENOSPC, os.strerror(ENOSPC)) from None


def synchronise_folder(folder: Path) -> None:
    """Have the disk itself write which files are in a folder, so that a power cut does not undo a creation or renaming."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as problem:
        if problem.errno not in (EINVAL, ENOSYS, ENOTSUP):  # some disks cannot do it, and need not
            raise
    finally:
        os.close(descriptor)

"""Numba's `njit` with a cache on disk that knows what it was compiled from. Where caches lie is said here, too, and tables that
jitted functions took a while to compute are kept there.

Numba itself looks at the file of a function only: what that calls in other files may have changed, and the old machine code would
go on running. So the folder of the cache is named after all jitted sources and the versions of what compiled them. Files that a
power cut has damaged are compiled anew, a full disk or one that cannot be written to costs the cache and nothing else. Numba is
loaded when the first jitted function is called: what only reads files or lists experiments need not wait for it.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property, update_wrapper
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import platformdirs

PREFIX = "foraging_snn-"  # of the folder of a cache
KEPT = 4  # caches of other sources or versions that stay, the ones used last
KEPT_BYTES = 500 * 1024**2  # of these together
RECENT_SECONDS = 24 * 3600.0  # a cache used since then may be in use, and stays
TABLES_KEPT = 60  # of some 0.6 MB


def cache_directory() -> Path:
    """Where compiled programs are kept: $FORAGING_SNN_CACHE or the user's cache folder; one for temporary files if neither can be
    written to."""
    chosen = Path(os.environ.get("FORAGING_SNN_CACHE") or platformdirs.user_cache_dir("foraging_snn"))
    return chosen if _can_be_written(chosen) else _temporary_folder()


@cache
def jit_directory() -> Path | None:
    """Folder of the machine code of the jitted functions as they are now; None if nothing can be written anywhere."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(given) if given and _can_be_written(Path(given)) else cache_directory() / "numba"
    folder = base / f"{PREFIX}{_key()}"
    is_new = not folder.is_dir()
    if not _can_be_written(folder):
        return None
    with suppress(OSError):
        os.utime(folder)
    if is_new:
        _remove_old(base, folder)
    return folder


@cache
def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):
        return False


@cache
def _temporary_folder() -> Path:
    """The same for all processes of a user, and nobody else's; one that cannot be written to if there is none."""
    try:
        folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
        is_ours = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077 and found.st_uid == os.getuid()
        return folder if is_ours else Path(tempfile.mkdtemp(prefix=PREFIX))
    except OSError:
        return Path(os.devnull)


def _key() -> str:
    found = hashlib.sha256()
    for package in ("foraging_snn.environments", "foraging_snn.models"):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations if spec else None) or ():
            for path in sorted(Path(place).rglob("*.py")):
                source = path.read_bytes()
                if b"jit" in source or b"intrinsic" in source:
                    found.update(f"\n{path.name} {len(source)}\n".encode() + source)
    versions = [python_version(), *(version(name) for name in ("numba", "llvmlite", "numpy"))]
    found.update(" ".join(versions).encode())
    return found.hexdigest()[:24]


def _remove_old(base: Path, but_for: Path) -> None:
    """Remove the caches of other sources or versions, except some that were used last."""
    with suppress(OSError):
        others = [path for path in base.glob(f"{PREFIX}*") if path.is_dir() and path != but_for]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        total = 0
        for k, path in enumerate(others):
            total += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            old = time.time() - path.stat().st_mtime > RECENT_SECONDS
            if old and (k >= KEPT or total > KEPT_BYTES):
                shutil.rmtree(path, ignore_errors=True)


class _Jitted:
    """A function that Numba compiles when it is first called, from Python or, as Numba reads `_numba_type_`, from jitted code.

    Where NUMBA_DISABLE_JIT is set it is the function itself, with 64-bit numbers that wrap in silence as they do in machine code.
    """

    def __init__(self, function: Callable, result: Callable | None, cached: bool, options: dict[str, Any]):
        update_wrapper(self, function)
        self._function, self._result, self._cached, self._options = function, result, cached, options

    def __call__(self, *arguments: Any) -> Any:
        return self._called(*arguments)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_dispatcher":  # which is not there if it could not be made
            raise AttributeError(name)
        return getattr(self._dispatcher, name)

    def __reduce__(self) -> str:
        return self.__qualname__

    @property
    def _numba_type_(self) -> Any:
        return self._inner._numba_type_

    @cached_property
    def _called(self) -> Callable:
        if jit_disabled():
            return _wrapping(self._function)
        result = self._result
        return self._dispatcher if result is None else lambda *arguments: result(self._dispatcher(*arguments))

    @cached_property
    def _dispatcher(self) -> Any:
        """For Python."""
        dispatcher = self._made()
        if self._cached and (folder := jit_directory()):
            dispatcher._cache = _numba_cache(self._function, folder)
        return dispatcher

    @cached_property
    def _inner(self) -> Any:
        """For jitted code: kept with the machine code of that, and without what takes arguments from Python and C, which would be a
        third of all that is compiled."""
        return self._made(no_cpython_wrapper=True)

    def _made(self, **options: Any) -> Any:
        import numba

        options |= self._options | {"no_cfunc_wrapper": True}
        with _making:
            return numba.njit(**options)(self._function)


_making = threading.Lock()  # of a dispatcher or its cache; Numba has one setting for where caches are


@cache
def jit_disabled() -> bool:
    """Whether Numba is told to compile nothing (NUMBA_DISABLE_JIT)."""
    return bool(_numba_settings().DISABLE_JIT)


def _numba_settings() -> Any:
    """What Numba reads from the environment when it is loaded."""
    return import_module("numba.core.config")


def _numba_cache(function: Callable, folder: Path) -> Any:
    """Numba's cache of one function, in `folder`."""
    settings = _numba_settings()
    with _making:
        before, settings.CACHE_DIR = settings.CACHE_DIR, str(folder)
        try:
            return _cache_class()(function)
        finally:
            settings.CACHE_DIR = before


@cache
def _cache_class() -> type:
    """Numba's, but what cannot be read is compiled anew, and what cannot be written is left out."""
    from numba.core.caching import FunctionCache

    class Cache(FunctionCache):
        def load_overload(self, sig, target_context):
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # of unpickling, which raises anything
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, sig, data):
            with suppress(OSError):
                super().save_overload(sig, data)

    return Cache


def _wrapping(function: Callable) -> Callable:
    def called(*arguments: Any) -> Any:
        with np.errstate(over="ignore"):
            return function(*arguments)

    return called


def cached_njit(*function: Callable, result: Callable | None = None, **options: Any) -> Any:
    """As `numba.njit`, with or without options, but cached in :func:`jit_directory`.

    Parameters
    ----------
    result : callable, optional
        Makes of the result what a caller in Python is given: Numba hands out an unsigned number as a Python int, and would take
        that for a signed one in the next call.
    """

    def decorated(function: Callable) -> _Jitted:
        return _Jitted(function, result, True, options)

    return decorated(*function) if function else decorated


def is_cached(function: Any) -> bool:
    """Whether machine code of a jitted function is in the cache."""
    file = getattr(getattr(function, "_cache", None), "_cache_file", None)
    return file is not None and Path(file._index_path).is_file()


def borrowing_njit(*function: Callable, **options: Any) -> Any:
    """As `numba.njit`, for inner functions of a loop that neither make nor return arrays: these do not count references to arrays.

    Numba counts one up and down, by an atomic operation, for many a slice and member of a named tuple. In small functions on large
    tuples that takes as long as what they compute. Compiling such a function fails if it needs memory of its own. Machine code is
    kept with that of the :func:`cached_njit` functions that call it, and made there only. What is called in every epoch and takes
    such tuples wants `forceinline=True`: a call copies all their hundreds of members onto the stack, some 0.3 us.
    """

    def decorated(function: Callable) -> _Jitted:
        return _Jitted(function, None, False, {**options, "_nrt": False})

    return decorated(*function) if function else decorated


def kept_table(arguments: Any, compute: Callable[[], tuple]) -> list:
    """What `compute` gives: numbers and arrays, from the cache if it was computed before.

    Parameters
    ----------
    arguments
        What it is a function of, beside the jitted sources; its `repr` tells all there is to it.
    compute : callable
        Without arguments, gives a tuple of int, float and arrays.

    Returns
    -------
    list
        The same; arrays in C order, so that jitted code has one type to expect.
    """
    folder = jit_directory()
    path = folder / f"table-{hashlib.sha256(repr(arguments).encode()).hexdigest()[:24]}.npz" if folder else None
    if path is not None:
        with suppress(Exception), np.load(path, allow_pickle=False) as file:  # a damaged one raises anything
            return [_as_computed(file[f"arr_{k}"]) for k in range(len(file.files))]
    table = [np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value for value in compute()]
    if path is not None:
        with suppress(OSError):
            _keep_table(path, table)
    return table


def _as_computed(value: np.ndarray) -> Any:
    return value if value.ndim else value.item()


def _keep_table(path: Path, table: list) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=PREFIX, delete=False) as file:
        try:
            np.savez(file, *table)
            file.flush()
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise
    tables = sorted(path.parent.glob("table-*.npz"), key=lambda path: path.stat().st_mtime)
    for old in tables[:-TABLES_KEPT]:
        old.unlink(missing_ok=True)

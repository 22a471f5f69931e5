"""Where a file comes from: versions, commit, machine, command line. What is written into a file is said in layout.py."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from foraging_snn.models.brian2_compiled import compiler_version
from foraging_snn.version import this_version

PACKAGES = ("numpy", "brian2", "h5py", "numba")


def provenance(engine: str, command_line: str) -> dict[str, str]:
    """What a result depends on besides parameters and seed.

    Parameters
    ----------
    engine : str
        Name of the engine; "" where none was used.
    command_line : str
        As the user gave it; "" if there was none.

    Returns
    -------
    dict of str to str
        `package`, `git_commit` (version and commit of foraging_snn, see :mod:`foraging_snn.version`), `python`,
        `numpy`, `brian2`, `h5py`, `numba` (versions), `compiler`, `system`, `processor`, `engine`, `command_line`.
    """
    return {
        "package": this_version().number,
        "git_commit": this_version().commit,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "compiler": compiler_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "engine": engine,
        "command_line": command_line,
    }


def version_and_commit(origin: Mapping[str, str]) -> str:
    """What of :func:`provenance` says which foraging_snn it was, as "0.1.0 (0123abc)"."""
    commit = origin.get("git_commit", "")
    return f"{origin.get('package', 'of unknown version')}{f' ({commit})' if commit else ''}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Model of the processor; Python itself knows only its family on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()

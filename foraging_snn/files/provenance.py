"""Where a file comes from: versions, commit, machine, command line. What is written into a file is said in layout.py."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from foraging_snn.models.brian2_compiled import compiler_version

PACKAGES = ("numpy", "brian2", "h5py", "numba")
GIT_SECONDS = 10.0  # more than git needs; a stuck network folder must not hold up a run


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
        `package` (version of foraging_snn), `git_commit` (of its source checkout, see :func:`git_commit`), `python`,
        `numpy`, `brian2`, `h5py`, `numba` (versions), `compiler`, `system`, `processor`, `engine`, `command_line`.
    """
    return {
        "package": _version("foraging-snn"),
        "git_commit": git_commit(Path(__file__).parent),
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


def git_commit(folder: Path) -> str:
    """Commit of the checkout that holds the source in `folder`.

    Parameters
    ----------
    folder : Path
        Folder of a package; its `__init__.py` must be under version control.

    Returns
    -------
    str
        40 hexadecimal digits, with "+changes" if tracked files differ from that commit. "" if the source is not under
        version control, e.g. installed into an environment that lies inside somebody else's repository, and without git.
    """
    tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
    return _git(folder, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes") if tracked else ""


def _git(folder: Path, *arguments: str) -> str:
    """Output of git in `folder`; "" if it fails."""
    # GIT_DIR and the like, set inside git hooks, would lead to another repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def _processor() -> str:
    """Model of the processor; Python itself knows only its family on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()

"""Which foraging_snn this is: its version and its commit. The standard library only, because setup.py asks here, too.

Git knows it of a checkout, `.git_archival.txt` of an unpacked `git archive`, and the build has written it into an installation.
"""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

FIRST_VERSION = "0.2.0.dev0"  # what the commits before the first tag lead to
RECORD = "data/version.txt"  # in the folder of the package
GIT_SECONDS = 10.0  # more than git needs; a stuck network folder must not hold up a run


class Version(NamedTuple):
    """Version and commit of a package.

    Attributes
    ----------
    number : str
        As PEP 440 has it: "0.2.0", or "0.2.1.dev12+g0123456789" for twelve commits after that.
    commit : str
        40 hexadecimal digits, with "+changes" if tracked files differ from that commit; "" if it is not known.
    """

    number: str
    commit: str


def numbered(tag: str, commits: int, commit: str, changed: bool = False) -> str:
    """Version number of a commit.

    Parameters
    ----------
    tag : str
        The last one, e.g. "v0.2.0"; a tag that ends in ".dev0" is no release, but says which one comes.
    commits : int
        How many commits later.
    commit : str
        Hexadecimal digits, at least ten; "" if it is not known.
    changed : bool
        Tracked files differ from the commit.
    """
    release = tag.removeprefix("v")
    if release.endswith(".dev0"):
        coming = release.removesuffix(".dev0")
    elif commits == 0 and not changed:
        return release
    else:
        coming = re.sub(r"\d+$", lambda last: str(int(last[0]) + 1), release)
    return f"{coming}.dev{commits}{commit and '+g'}{commit[:10]}"


@cache
def this_version() -> Version:
    """Version and commit of the package that is running."""
    return version_of(Path(__file__).parent)


def version_of(folder: Path) -> Version:
    """Version and commit of the package in `folder`."""
    checkout = (folder.parent / ".git").exists()
    found = version_of_checkout(folder)
    if not found and not checkout:  # what a build has left in a checkout may be older than the checkout
        found = version_of_archive(folder.parent) or recorded_version(folder)
    return found or Version(FIRST_VERSION, "")


def version_of_checkout(folder: Path) -> Version | None:
    """What git says of the checkout whose package is in `folder`.

    Returns
    -------
    Version or None
        None if there is no such checkout (e.g. the package is installed into an environment that lies inside somebody
        else's repository, or was copied into one), and without git.
    """
    if _git(folder, "ls-files", "--error-unmatch", "--full-name", "__init__.py") != f"{folder.name}/__init__.py":
        return None
    commit = _git(folder, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes")
    if not commit:
        return None
    described = (
        _git(folder, "describe", "--tags", "--long", "--match=v[0-9]*")
        or f"{FIRST_VERSION}-{_git(folder, 'rev-list', '--count', 'HEAD')}-"
    )
    tag, commits, _ = described.rsplit("-", 2)
    return Version(numbered(tag, int(commits), commit, changed=commit.endswith("+changes")), commit)


def version_of_archive(root: Path) -> Version | None:
    """What `git archive` has written into `.git_archival.txt`; None if `root` is not such an archive."""
    try:
        lines = (root / ".git_archival.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    commit, described = fields.get("node", ""), fields.get("describe-name", "")
    if not re.fullmatch("[0-9a-f]{40}", commit):
        return None
    later = re.fullmatch(r"(v.+)-(\d+)-g[0-9a-f]+", described)
    if later:
        return Version(numbered(later[1], int(later[2]), commit), commit)
    return Version(numbered(described if described.startswith("v") else FIRST_VERSION, 0, commit), commit)


def recorded_version(folder: Path) -> Version | None:
    """What :func:`record_version` has written beside the package; None if nothing was."""
    try:
        lines = (folder / RECORD).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return Version(*lines) if len(lines) == len(Version._fields) else None


def record_version(folder: Path) -> Version:
    """Write what is known of the package in `folder` beside it, for its installation to tell."""
    version = version_of(folder)
    (folder / RECORD).write_text("".join(f"{line}\n" for line in version), encoding="utf-8")
    return version


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

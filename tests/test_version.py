"""Version and commit: the same from a checkout, an archive and a build; above all of no repository that is not the package's."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version as PEP440

import foraging_snn
from foraging_snn.version import FIRST_VERSION, RECORD, Version, numbered, this_version, version_of

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder, *arguments):
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    result = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def repository(folder, *files):
    """A repository with these files committed; gives its commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("something\n")
        git(folder, "add", name)
    git(folder, "commit", "--allow-empty", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


def commit_of(folder):
    return version_of(folder).commit


@pytest.mark.parametrize(
    ("tag", "commits", "changed", "number"),
    [
        ("v0.2.0", 0, False, "0.2.0"),
        ("v0.2.0", 0, True, "0.2.1.dev0+g0123456789"),
        ("v0.2.0", 12, False, "0.2.1.dev12+g0123456789"),
        ("v0.2.9", 1, False, "0.2.10.dev1+g0123456789"),
        ("v0.3.0.dev0", 0, False, "0.3.0.dev0+g0123456789"),
        ("v0.3.0.dev0", 12, False, "0.3.0.dev12+g0123456789"),
    ],
)
def test_number_of_a_commit(tag, commits, changed, number):
    assert numbered(tag, commits, COMMIT, changed) == number


def test_numbers_grow_from_commit_to_commit_and_to_the_release():
    numbers = [numbered("v0.2.0.dev0", 1, COMMIT), numbered("v0.2.0.dev0", 12, COMMIT)]
    numbers += [numbered("v0.2.0", 0, COMMIT), numbered("v0.2.0", 1, COMMIT), numbered("v0.2.1", 0, COMMIT)]
    assert sorted(numbers, key=PEP440) == numbers


def test_the_running_package_knows_one_number():
    assert foraging_snn.__version__ == this_version().number
    assert str(PEP440(this_version().number)) == this_version().number


def test_commit_of_a_clean_and_of_a_changed_checkout(tmp_path):
    commit = repository(tmp_path, "package/__init__.py", "package/other.py")
    assert version_of(tmp_path / "package") == Version(f"0.2.0.dev1+g{commit[:10]}", commit)
    (tmp_path / "package" / "other.py").write_text("something else\n")
    assert version_of(tmp_path / "package") == Version(f"0.2.0.dev1+g{commit[:10]}", f"{commit}+changes")


def test_a_tag_does_not_replace_the_commit(tmp_path):
    commit = repository(tmp_path, "package/__init__.py")
    git(tmp_path, "tag", "-a", "v1.0", "-m", "first version")
    git(tmp_path, "tag", "paper-2022")
    assert version_of(tmp_path / "package") == Version("1.0", commit)


def test_a_package_installed_inside_somebody_elses_repository_has_no_commit(tmp_path):
    repository(tmp_path, "their_code.py")
    installed = tmp_path / "venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert commit_of(installed) == ""


def test_a_package_copied_into_somebody_elses_repository_has_no_commit(tmp_path):
    repository(tmp_path, "vendored/package/__init__.py")
    assert commit_of(tmp_path / "vendored" / "package") == ""


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE"])
def test_the_repository_the_user_stands_in_plays_no_part(tmp_path, monkeypatch, variable):
    commit = repository(tmp_path / "ours", "package/__init__.py")
    repository(tmp_path / "theirs", "package/__init__.py", "more.py")
    monkeypatch.chdir(tmp_path / "theirs")
    monkeypatch.setenv(variable, str(tmp_path / "theirs" / (".git" if variable == "GIT_DIR" else "")))
    assert commit_of(tmp_path / "ours" / "package") == commit


def test_no_commit_without_repository_without_commits_and_without_git(tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert version_of(package) == Version(FIRST_VERSION, "")
    git(tmp_path, "init")
    git(tmp_path, "add", "package/__init__.py")
    assert version_of(package) == Version(FIRST_VERSION, "")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-m", "first")
    monkeypatch.setenv("PATH", "")
    assert version_of(package) == Version(FIRST_VERSION, "")


def record(package, *words):
    (package / "data").mkdir(parents=True, exist_ok=True)
    (package / RECORD).write_text("".join(f"{word}\n" for word in words))


def test_an_installation_knows_what_its_build_recorded(tmp_path):
    record(tmp_path, "0.2.0.dev7+g0123456789", f"{COMMIT}+changes")
    assert version_of(tmp_path) == Version("0.2.0.dev7+g0123456789", f"{COMMIT}+changes")
    record(tmp_path, "0.2.0", "")
    assert version_of(tmp_path) == Version("0.2.0", "")
    record(tmp_path)
    assert version_of(tmp_path) == Version(FIRST_VERSION, "")


def test_a_checkout_does_not_believe_what_an_earlier_build_left_in_it(tmp_path, monkeypatch):
    commit = repository(tmp_path, "package/__init__.py")
    record(tmp_path / "package", "0.1.9", COMMIT)
    assert commit_of(tmp_path / "package") == commit
    monkeypatch.setenv("PATH", "")
    assert version_of(tmp_path / "package") == Version(FIRST_VERSION, "")


@pytest.mark.parametrize(
    ("described", "number"),
    [
        ("", "0.2.0.dev0+g0123456789"),
        ("v0.2.0", "0.2.0"),
        ("v0.2.0-3-g0123456", "0.2.1.dev3+g0123456789"),
    ],
)
def test_an_unpacked_archive_knows_its_commit(tmp_path, described, number):
    (tmp_path / ".git_archival.txt").write_text(f"node: {COMMIT}\ndescribe-name: {described}\n")
    assert version_of(tmp_path / "package") == Version(number, COMMIT)


def test_a_file_for_archives_that_git_has_not_filled_says_nothing(tmp_path):
    (tmp_path / ".git_archival.txt").write_text("node: $Format:%H$\ndescribe-name: $Format:%(describe)$\n")
    assert version_of(tmp_path / "package") == Version(FIRST_VERSION, "")


NEEDED = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt")


@pytest.fixture
def sources(tmp_path):
    """A repository with what a build asks for its version."""
    for name in (*NEEDED, *(f"foraging_snn/{name}.py" for name in ("__init__", "registration", "version"))):
        (tmp_path / "sources" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "sources" / name)
    (tmp_path / "sources" / "foraging_snn" / "data").mkdir()
    (tmp_path / "sources" / "foraging_snn" / "data" / "any.txt").write_text("git keeps no empty folder")
    # the tests may themselves be in an archive, whose own file git has filled
    described = "$Format:%(describe:tags=true,match=v[0-9]*)$"
    (tmp_path / "sources" / ".git_archival.txt").write_text(f"node: $Format:%H$\ndescribe-name: {described}\n")
    repository(tmp_path / "sources")
    git(tmp_path / "sources", "add", ".")
    git(tmp_path / "sources", "commit", "-m", "second")
    return tmp_path / "sources"


def built(folder):
    """What a build in `folder` is called and what it records."""
    command = [sys.executable, "setup.py", "--version"]
    number = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()[-1]
    (folder / "installed").mkdir(exist_ok=True)
    shutil.copytree(folder / "foraging_snn", folder / "installed" / "foraging_snn", dirs_exist_ok=True)
    recorded = version_of(folder / "installed" / "foraging_snn")
    shutil.rmtree(folder / "installed")
    assert recorded.number == number
    return recorded


def test_a_build_records_what_its_checkout_says(sources):
    package = sources / "foraging_snn"
    commit = git(sources, "rev-parse", "HEAD")
    assert built(sources) == version_of(package) == Version(f"0.2.0.dev2+g{commit[:10]}", commit)
    git(sources, "tag", "v0.2.0")
    assert built(sources) == version_of(package) == Version("0.2.0", commit)
    (sources / "README.md").write_text("changed")
    assert built(sources) == version_of(package) == Version(f"0.2.1.dev0+g{commit[:10]}", f"{commit}+changes")
    git(sources, "commit", "-am", "third")
    commit = git(sources, "rev-parse", "HEAD")
    assert built(sources) == version_of(package) == Version(f"0.2.1.dev1+g{commit[:10]}", commit)


@pytest.mark.parametrize("tag", ["", "v0.2.0"])
@pytest.mark.parametrize("shallow", [False, True])
def test_a_build_from_an_archive_records_what_the_archive_says(sources, tmp_path, tag, shallow):
    if tag:
        git(sources, "tag", tag)
    if shallow:
        git(tmp_path, "clone", "--depth", "1", sources.as_uri(), "shallow")
    archive = tmp_path / "archive"
    archive.mkdir()
    git(tmp_path / "shallow" if shallow else sources, "archive", "-o", tmp_path / "archive.tar", "HEAD")
    shutil.unpack_archive(tmp_path / "archive.tar", archive)
    commit = git(sources, "rev-parse", "HEAD")
    expected = Version(tag.removeprefix("v") or f"0.2.0.dev0+g{commit[:10]}", commit)
    assert built(archive) == version_of(archive / "foraging_snn") == expected


def test_a_build_without_git_has_the_number_before_the_first_tag(sources, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert built(sources) == Version(FIRST_VERSION, "")

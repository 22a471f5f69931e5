"""Where a file comes from: what is told, and above all no commit of a repository that is not the package's."""

import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

from foraging_snn.files import provenance as module
from foraging_snn.files.provenance import git_commit, provenance


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


def test_versions_machine_engine_and_command_line_are_told():
    told = provenance("brian2", "foraging-snn run sleep --out here")
    assert (told["engine"], told["command_line"]) == ("brian2", "foraging-snn run sleep --out here")
    assert told["python"] == platform.python_version()
    assert {name: told[name] for name in ("numpy", "brian2", "h5py", "numba")} == {
        name: version(name) for name in ("numpy", "brian2", "h5py", "numba")
    }
    assert told["package"] == version("foraging-snn")
    assert platform.system() in told["system"]
    assert all(isinstance(text, str) for text in told.values())
    assert all(told[name] for name in ("compiler", "processor"))


def test_a_package_that_is_not_installed_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(module, "PACKAGES", ("no-such-package-anywhere",))
    assert provenance("", "")["no-such-package-anywhere"] == "not installed"


def test_brian2_is_not_imported():
    code = "import sys; from foraging_snn.files.provenance import provenance; provenance('', ''); print('brian2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_commit_of_a_clean_and_of_a_changed_checkout(tmp_path):
    commit = repository(tmp_path, "package/__init__.py", "package/other.py")
    assert git_commit(tmp_path / "package") == commit
    (tmp_path / "package" / "other.py").write_text("something else\n")
    assert git_commit(tmp_path / "package") == f"{commit}+changes"


def test_a_tag_does_not_replace_the_commit(tmp_path):
    commit = repository(tmp_path, "package/__init__.py")
    git(tmp_path, "tag", "-a", "v1", "-m", "first version")
    assert git_commit(tmp_path / "package") == commit


def test_a_package_installed_inside_somebody_elses_repository_has_no_commit(tmp_path):
    repository(tmp_path, "their_code.py")
    installed = tmp_path / "venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert git_commit(installed) == ""


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE"])
def test_the_repository_the_user_stands_in_plays_no_part(tmp_path, monkeypatch, variable):
    commit = repository(tmp_path / "ours", "package/__init__.py")
    repository(tmp_path / "theirs", "package/__init__.py", "more.py")
    monkeypatch.chdir(tmp_path / "theirs")
    monkeypatch.setenv(variable, str(tmp_path / "theirs" / (".git" if variable == "GIT_DIR" else "")))
    assert git_commit(tmp_path / "ours" / "package") == commit


def test_no_commit_without_repository_without_commits_and_without_git(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    assert git_commit(tmp_path) == ""
    git(tmp_path, "init")
    git(tmp_path, "add", "__init__.py")
    assert git_commit(tmp_path) == ""
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) == ""

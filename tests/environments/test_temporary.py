"""Folders for temporary files: those of processes that were killed are removed, those of others are left alone."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import foraging_snn
from foraging_snn.environments import temporary
from foraging_snn.environments.temporary import TemporaryFolder

KILLED = """if True:
    import os, signal, sys
    from foraging_snn.environments.temporary import TemporaryFolder
    folder = TemporaryFolder()
    open(folder.name + "/exchange.bin", "w").close()
    print(folder.name, flush=True)
    sys.stdin.read()  # until the test closes it
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "YOUNG_SECONDS", -1.0)
    return tmp_path


def test_the_folder_of_a_process_is_there_as_long_as_it_lives(base):
    here = os.environ | {"PYTHONPATH": str(Path(foraging_snn.__file__).parents[1]), "TMPDIR": str(base)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", KILLED], env=here, **pipes) as other:
        folder = Path(other.stdout.readline().strip())
        assert folder.parent == base
        with TemporaryFolder() as own:
            assert {path.name for path in base.iterdir()} == {folder.name, Path(own).name}
        assert list(base.iterdir()) == [folder]
        other.stdin.close()
        assert other.wait() == -signal.SIGKILL
    assert (folder / "exchange.bin").exists()
    with TemporaryFolder() as own:
        assert list(base.iterdir()) == [Path(own)]
    assert list(base.iterdir()) == []


def test_what_is_young_or_no_folder_stays(base, monkeypatch):
    (base / f"{temporary.PREFIX}file").write_text("")
    (base / "elsewhere").mkdir()
    (base / f"{temporary.PREFIX}link").symlink_to(base / "elsewhere")
    (base / f"{temporary.PREFIX}young").mkdir()
    before = sorted(base.iterdir())
    monkeypatch.setattr(temporary, "YOUNG_SECONDS", 60.0)
    TemporaryFolder().cleanup()
    assert sorted(base.iterdir()) == before
    monkeypatch.setattr(temporary, "YOUNG_SECONDS", -1.0)
    TemporaryFolder().cleanup()
    assert sorted(base.iterdir()) == [path for path in before if path.name != f"{temporary.PREFIX}young"]


def test_a_folder_that_cannot_be_locked_is_used_nevertheless(base, monkeypatch):
    def refuse(*_):
        raise OSError("no locks here")

    if temporary.fcntl is None:
        pytest.skip("there are no locks of folders here")
    monkeypatch.setattr(temporary.fcntl, "flock", refuse)
    with TemporaryFolder() as one, TemporaryFolder() as other:
        assert Path(one).is_dir()
        assert Path(other).is_dir()
    assert list(base.iterdir()) == []

"""docs/file_format.md: its tables are those of the schema, its examples do what they say."""

import re
import shutil
import subprocess

import pytest
from pretend_trials import SMALL, write_trials

from foraging_snn.files.document import PAGE, documented
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state, save_state
from foraging_snn.models import initial_state

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = {language: re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) for language in ("python", "matlab")}


def test_the_tables_are_those_of_the_schema():
    assert documented(TEXT) == TEXT, "run `python -m foraging_snn.files.document`"
    assert len(re.findall("<!-- table: ", TEXT)) == 3


@pytest.fixture(params=["from the beginning", "from a state"])
def folder(request, tmp_path, monkeypatch):
    """Where the examples find their file; the number of T1 is 1, or 0 if the trial started from a state."""
    start = None
    if request.param == "from a state":
        save_state(tmp_path / "state.h5", initial_state(SMALL, 0), SMALL)
        start = load_state(tmp_path / "state.h5")
    (tmp_path / "results").mkdir()
    write_trials(tmp_path / "results", ["sleep"], [1], start=start)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_the_examples():
    assert [len(EXAMPLES["python"]), len(EXAMPLES["matlab"])] == [3, 1]


def test_the_example_with_the_package(folder, capsys):
    names = {}
    exec(EXAMPLES["python"][0], names)
    assert capsys.readouterr().out.startswith("T1 Task 1 0.1\n")
    assert names["curve"].aeon.tolist() == [3.5]  # 8 aeons of T1, whatever its number; a test has 4
    assert names["images"].shape == (1, 20, 7, 7)


def test_the_example_with_h5py(folder):
    names = {}
    exec(EXAMPLES["python"][1], names)
    trial = Trial(folder / "results" / "sleep_seed0001.h5")
    assert names["label"] == trial.label
    assert names["in_training"].sum() == len(trial.counts("T1").eaten) == 8
    assert names["performance"] == 0.1


def test_the_example_with_xarray(folder):
    pytest.importorskip("xarray", reason="needs xarray")
    pytest.importorskip("h5netcdf", reason="needs h5netcdf")
    names = {}
    exec(EXAMPLES["python"][2], names)
    trial = Trial(folder / "results" / "sleep_seed0001.h5")
    snapshots = trial.hidden_output_snapshots()
    assert dict(names["aeons"].sizes) == {"aeon_row": sum(len(trial.counts(k).eaten) for k in range(len(trial.phases))), "type": 12}
    assert names["eaten"].dims == ("type",)
    assert int(names["eaten"].sum()) == sum(int(trial.counts(phase.index).eaten.sum()) for phase in trial.phases)
    assert dict(names["snapshots"].sizes) == {"snapshot": len(snapshots.epoch), "hidden": 20, "output": 8}
    assert names["mean_strength"].values.tolist() == pytest.approx(snapshots.strength.mean((1, 2)).tolist())


def octave(code):
    return subprocess.run(["octave-cli", "--quiet", "--eval", code], capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("octave-cli"), reason="needs GNU Octave")
def test_the_example_in_octave(folder):
    if octave("pkg load hdf5oct").returncode:
        pytest.skip("needs the package hdf5oct of GNU Octave")
    said = octave(f"pkg load hdf5oct\n{EXAMPLES['matlab'][0]}\nprintf('%s|%d|%g|%d,%d', label, sum(T1), performance, size(last))")
    assert said.stdout == "T1 -> I(S,T2)|8|0.1|20,8", said.stderr

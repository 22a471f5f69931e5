"""What a process inherits changes nothing: the backend of a notebook, a user's style, the width and the end of the screen."""

import csv
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from pretend_trials import write_trials

from foraging_snn.commands.cli import main
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial

PROGRAM = [sys.executable, "-m", "foraging_snn"]
QUICKLY = ["task1", "--preset", "tiny", "--set", "phases.scale=0.25", "--start-from", "after-unsupervised"]
ESCAPES = "\x1b]0;owned\x07 \x9b2J \u202egnol"


def program(*arguments, out=subprocess.PIPE, **environment):
    """Run a command in an environment with these changes; its exit code, output and errors."""
    command = [*PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, stdout=out, stderr=subprocess.PIPE, timeout=300)
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_trials(tmp_path_factory.mktemp("trials"), ["sequential"], (4, 6))


def relabelled(folder, tmp_path, **attributes):
    """A copy of a trial in which these attributes say something else."""
    path = tmp_path / "odd_seed0004.h5"
    path.write_bytes((folder / "sequential_seed0004.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        for name, text in attributes.items():
            file.attrs[name] = np.bytes_(text.encode())
    return path


# ---------------------------------------------------------------------------------------------------------------- drawing


@pytest.mark.slow
def test_the_backend_of_a_notebook_is_not_used(folder, tmp_path):
    inherited = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    code, _, err = program("figures", folder, "--only", "s6,fig1", "--format", "png", "--out", tmp_path / "figures", **inherited)
    assert "valid value for backend" not in err
    assert code == 2  # there are no trials for them, which is what is said
    assert "no figure could be drawn" in err
    sweep = ["sweep", *QUICKLY, "--over", "sleep.pulse=0.02,0.03", "--out", tmp_path / "sweep"]
    assert program(*sweep, **inherited)[::2] == (0, "")
    assert (tmp_path / "sweep" / "sweep.png").stat().st_size > 1000


def test_a_users_style_changes_no_figure(folder, tmp_path, monkeypatch):
    from matplotlib import rcParams

    from foraging_snn.analysis.figures import style

    monkeypatch.setitem(rcParams, "axes.grid", True)
    monkeypatch.setitem(rcParams, "lines.linestyle", ":")
    with style.applied():
        assert (rcParams["axes.grid"], rcParams["lines.linestyle"], rcParams["font.size"]) == (False, "-", style.NORMAL)
    assert rcParams["axes.grid"] is True


# ------------------------------------------------------------------------------------------------------------- the screen


@pytest.mark.slow
def test_a_run_whose_reader_ends_goes_on_to_its_end(tmp_path):
    command = [*PROGRAM, "run", *QUICKLY, "--trials", "2", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.close()
        err = run.stderr.read().decode()
        assert (run.wait(300), err) == (0, "")
    assert all(Trial(tmp_path / f"task1_seed000{seed}.h5").complete for seed in (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_full_disk_under_the_output_is_said_in_one_line(encoding):
    with open("/dev/full", "w") as full:
        code, _, err = program("list", out=full, PYTHONIOENCODING=encoding)
    assert (code, err) == (1, "foraging-snn: the output cannot be written: No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_stop_nothing(tmp_path, closed):
    command = " ".join([*PROGRAM, "run", *QUICKLY, "--out", str(tmp_path), closed])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert Trial(tmp_path / "task1_seed0001.h5").complete


# ------------------------------------------------------------------------------------------------------------------ files


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"COLUMNS": "40"}, {"PYTHONIOENCODING": "latin-1"}, {"FORCE_COLOR": "1", "TERM": "xterm"}])
def test_what_goes_into_a_file_depends_on_no_terminal(folder, tmp_path, environment):
    assert main(["table", str(folder), "--out", str(tmp_path / "usual.txt")]) == 0
    code, _, err = program("table", folder, "--out", tmp_path / "t.txt", **environment)
    assert (code, err) == (0, "")
    assert (tmp_path / "t.txt").read_bytes() == (tmp_path / "usual.txt").read_bytes()
    assert "───" in (tmp_path / "t.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_file_can_be_read_whatever_the_locks_of_hdf5_are(folder):
    for locking in ("TRUE", "FALSE", "BEST_EFFORT"):
        code, out, err = program("info", folder / "sequential_seed0004.h5", HDF5_USE_FILE_LOCKING=locking)
        assert (code, err) == (0, "")
        assert "T1 -> T2" in out


def test_links_within_a_file_are_no_links_to_elsewhere(folder, tmp_path):
    path = relabelled(folder, tmp_path)
    with h5py.File(path, "r+") as file:
        file["the_phases"] = h5py.SoftLink("/phases")
    assert Trial(path).complete
    with h5py.File(path, "r+") as file:
        file["elsewhere"] = h5py.ExternalLink("other.h5", "/phases")
    with pytest.raises(RecordingError, match="'elsewhere' is a link to somewhere else"):
        Trial(path)


def test_the_switch_of_numbas_debugger_is_answered_in_one_line(tmp_path):
    code, _, err = program("run", *QUICKLY, "--out", tmp_path, NUMBA_DISABLE_JIT="1")
    said = "event engine: NUMBA_DISABLE_JIT is set, it must be compiled; unset it, or use the engine brian2"
    assert (code, err) == (2, f"foraging-snn: {said}\n")


def test_a_library_that_does_not_fit_is_named_in_one_line_where_it_is_needed(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.4\\nor less. Got NumPy 2.9.')")
    there = {"PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))}
    code, _, err = program("run", *QUICKLY, "--out", tmp_path / "trials", **there)
    said = "Numba needs NumPy 2.4 or less. Got NumPy 2.9.; `pip check` tells which versions do not fit together"
    assert (code, err) == (2, f"foraging-snn: a library cannot be loaded: {said}\n")
    assert program("list", **there)[::2] == (0, "")


def test_the_world_works_uncompiled_without_warnings():
    text = "import foraging_snn, gymnasium; e = gymnasium.make('foraging_snn/Foraging-v0'); e.reset(seed=1); print(e.step(3)[1])"
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", text]
    done = subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------------- texts from files


def test_texts_from_files_do_nothing_to_a_terminal(folder, tmp_path, capfd):
    path = relabelled(folder, tmp_path, started=ESCAPES)
    with h5py.File(path, "r+") as file:
        file["provenance"].attrs["command_line"] = np.bytes_(ESCAPES.encode())
        file["provenance"].attrs["foraging_snn"] = np.bytes_(ESCAPES.encode())
    for arguments in (["info"], ["info", "--json"], ["table"], ["table", "--format", "markdown"], ["table", "--format", "json"]):
        assert main([arguments[0], str(path), *arguments[1:]]) == 0
    assert main(["figures", str(tmp_path), "--out", str(tmp_path / "figures")]) in (0, 2)
    out, err = capfd.readouterr()
    assert "owned" in out
    assert all(c.isprintable() or c == "\n" for c in out + err)


def test_cells_are_no_formulas_and_no_html(folder, tmp_path, capfd):
    formula, html = '=HYPERLINK("http://x","y")', "<script>alert(1)</script>|x"
    path = relabelled(folder, tmp_path, experiment="@SUM(A1)", label=formula)
    assert main(["table", str(path), "--format", "csv"]) == 0
    rows = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert {row["label"] for row in rows} == {f"'{formula}"}
    assert {row["experiment"] for row in rows} == {"'@SUM(A1)"}
    assert main(["table", str(path), "--format", "json"]) == 0
    assert {test["label"] for test in json.loads(capfd.readouterr().out)["tests"]} == {formula}
    path = relabelled(folder, tmp_path, label=html)
    assert main(["table", str(path), "--format", "markdown"]) == 0
    out = capfd.readouterr().out
    assert "<script>" not in out
    assert "&lt;script>alert(1)&lt;/script>&#124;x" in out

"""What the engines in Brian2 find around them - preference files, compilers, leftovers - has no part in what they compute."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import brian2
import pytest

from foraging_snn.models import brian2_compiled
from foraging_snn.models.brian2_network import own_preferences

# With this order of slots other spikes come out.
PREFERENCES = 'core.network.default_schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]\n'
RUN = """
from foraging_snn.models import Activity, Block, FullRecorder, Phase, engine_class, initial_state, preset
parameters = preset("tiny").with_changes({"network.hidden_cells": 40})
recorder = FullRecorder()
with engine_class(%r)(parameters) as engine:
    engine.run(initial_state(parameters, 1), Phase("p", (Block(Activity.UNSUPERVISED, 9),), 9), recorder=recorder)
print(recorder.column("spike_step").sum(), len(recorder.column("spike_cell")), recorder.column("hidden_spikes").tolist())
"""


def outcome(engine, folder, **environment):
    done = subprocess.run(
        [sys.executable, "-c", RUN % engine], cwd=folder, capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["brian2-runtime", "brian2"])
def test_preference_files_of_brian2_change_nothing(tmp_path, engine):
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.mkdir()
    odd.mkdir()
    (odd / "brian_preferences").write_text(PREFERENCES)
    cache = {"FORAGING_SNN_CACHE": str(tmp_path / "cache")} if engine == "brian2" else {}
    found = outcome(engine, odd, **cache)
    assert found == outcome("event", plain)


def test_what_a_user_has_set_holds_again_afterwards(monkeypatch):
    before = brian2.prefs["codegen.target"], brian2.prefs["core.network.default_schedule"]
    mine = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    brian2.prefs["core.network.default_schedule"] = mine
    try:
        with own_preferences(codegen_target="numpy"):
            assert brian2.prefs["core.network.default_schedule"] == ["start", "groups", "thresholds", "synapses", "resets", "end"]
            assert brian2.prefs["codegen.target"] == "numpy"
        assert brian2.prefs["core.network.default_schedule"] == mine
        assert brian2.prefs["codegen.target"] == before[0]
    finally:
        brian2.prefs["core.network.default_schedule"] = before[1]


@pytest.fixture
def sleeping_compiler(tmp_path):
    """A folder for PATH with a g++ that waits, after it has left its number."""
    folder = tmp_path / "bin"
    folder.mkdir()
    compiler = folder / "g++"
    compiler.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "g++ 1" && exit\necho $$ >> {tmp_path}/pids\nexec sleep 300\n')
    compiler.chmod(0o755)
    return folder


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_until(is_so, seconds=60.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_compilers_end_with_the_process_that_wants_the_program(tmp_path, sleeping_compiler, how):
    environment = {"PATH": f"{sleeping_compiler}:{os.environ['PATH']}", "FORAGING_SNN_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        [sys.executable, "-c", RUN % "brian2"], env=os.environ | environment, stderr=subprocess.DEVNULL
    ) as process:
        wait_until((tmp_path / "pids").exists)
        process.send_signal(how)
        process.wait(60)
    wait_until(lambda: not any(map(alive, (tmp_path / "pids").read_text().split())))
    left = list((tmp_path / "cache" / "brian2").glob("building_*"))
    assert len(left) == (how == signal.SIGKILL)
    for path in left:
        os.utime(path, (0, 0))
    brian2_compiled._remove_abandoned(tmp_path / "cache" / "brian2")
    assert not list((tmp_path / "cache" / "brian2").iterdir())


@pytest.mark.slow
def test_the_log_of_a_failed_compilation_is_the_users_own(tmp_path, sleeping_compiler):
    (sleeping_compiler / "g++").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "g++ 1" && exit\necho no way >&2; exit 1\n')
    environment = {"PATH": f"{sleeping_compiler}:{os.environ['PATH']}", "FORAGING_SNN_CACHE": str(tmp_path / "cache")}
    command = [
        sys.executable,
        "-m",
        "foraging_snn",
        "run",
        "task1",
        "--preset",
        "tiny",
        "--engine",
        "brian2",
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 2
    (log,) = (tmp_path / "cache" / "brian2").glob("*.log")
    assert done.stderr == f"foraging-snn: brian2 engine: the compilation failed, see {log}\n"
    assert "no way" in log.read_text()

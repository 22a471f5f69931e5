"""A process killed just before a call that changes the disk loses nothing: the trial goes on to the same end.

The calls are counted, and the process killed, by a small library that is loaded before all others (kill_at_calls.c). Run as a
program, this file is that process: it computes trials in children that it kills, and prints what became of them.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = ("fsync", "rename", "ftruncate", "unlink", "write")


def in_a_child(what):
    """Run it in a process of its own; 0 or the negative signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def go_through_kills(folder, kills):
    """Of every kind of call, kill before as many of those of a trial, spread over all; how many were killed of each kind."""
    from pretend_engine import PretendEngine
    from test_resuming import SMALL, Trials, assert_same

    from foraging_snn.running.trial import Pace

    Pace.piece = lambda pace, left: min(left, 130)
    this_process = ctypes.CDLL(None)
    this_process.calls_of.restype = ctypes.c_long
    this_process.kill_before.argtypes = [ctypes.c_char_p, ctypes.c_long]
    trials = Trials(SMALL, PretendEngine(SMALL), ["task1", "sequential", "naive-sleep"])
    trials.run(folder / "whole", keeping=False)
    this_process.kill_before(b"", 0)
    trials.run(folder / "counted")
    made = {kind: this_process.calls_of(kind.encode()) for kind in KINDS}
    generator, killed = random.Random(7), dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        for n in sorted(generator.sample(range(1, made[kind] + 1), min(kills, made[kind]))):
            current = folder / f"{kind}{n}"

            def run(kind=kind, n=n, current=current):
                this_process.kill_before(kind.encode(), n)
                trials.run(current)

            code = in_a_child(run)
            assert code in (0, -signal.SIGKILL), (kind, n, code)
            killed[kind] += code != 0
            there = trials.look(current) if current.exists() else None
            assert there is None or (there.refusals, there.notes) == ([], []), (kind, n, there)
            trials.run(current)
            assert_same(trials, current, folder / "whole")
            shutil.rmtree(current)
    print(json.dumps({"made": made, "killed": killed}))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("needs Linux and a C compiler")
    made = tmp_path_factory.mktemp("library") / "kill_at_calls.so"
    source = Path(__file__).with_name("kill_at_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.mark.slow
def test_trials_killed_at_a_hundred_calls_go_on_to_the_same_end(library, tmp_path):
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, __file__, str(tmp_path), "25"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert all(counts["killed"][kind] == min(25, counts["made"][kind]) > 0 for kind in KINDS)
    assert sum(counts["killed"].values()) >= 100


if __name__ == "__main__":
    go_through_kills(Path(sys.argv[1]), int(sys.argv[2]))

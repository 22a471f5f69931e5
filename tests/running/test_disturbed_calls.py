"""A process that is killed just before a call that changes the disk, or whose calls fail from then on, loses nothing.

The trial goes on to the same end.

The calls are counted and disturbed by a small library that is loaded before all others (disturbed_calls.c). Run as a program, this
file is that process: it computes trials in children, and prints what became of them.
"""

import ctypes
import errno
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
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
FORESEEN_CODE = 2


def in_a_child(what):
    """Run it in a process of its own: 0, `FORESEEN_CODE`, or the negative signal that ended it."""
    from foraging_snn.running.errors import FORESEEN

    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        except FORESEEN:
            code = FORESEEN_CODE
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def disturb_trials(folder, error, times):
    """Of every kind of call, disturb as many of those of a trial, spread over all; how many were there and were disturbed."""
    from pretend_engine import PretendEngine
    from test_resuming import SMALL, Trials, assert_same, assert_same_files

    from foraging_snn.running.trial import Pace

    Pace.piece = lambda pace, left: min(left, 130)
    process = ctypes.CDLL(None)
    process.calls_of.restype = ctypes.c_long
    process.disturb.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
    trials = Trials(SMALL, PretendEngine(SMALL), ["task1", "sequential", "naive-sleep"])
    trials.run(folder / "whole", keeping=False)
    process.disturb(b"", 0, 0)
    trials.run(folder / "counted")
    made = {kind: process.calls_of(kind.encode()) for kind in KINDS}
    generator, disturbed = random.Random(7), dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        for n in sorted(generator.sample(range(1, made[kind] + 1), min(times, made[kind]))):
            current = folder / f"{kind}{n}"
            with_error = generator.choice(ERRORS) if error else 0

            def run(kind=kind, n=n, current=current, with_error=with_error):
                process.disturb(kind.encode(), n, with_error)
                trials.run(current)

            code = in_a_child(run)
            assert code in (0, FORESEEN_CODE if error else -signal.SIGKILL), (kind, n, with_error, code)
            disturbed[kind] += code != 0
            there = trials.look(current) if current.exists() else None
            assert there is None or (there.refusals, there.notes) == ([], []), (kind, n, there)
            trials.run(current)
            # where nothing could be removed, what the ledger does not need any more may have stayed
            (assert_same_files if error else assert_same)(trials, current, folder / "whole")
            shutil.rmtree(current)
    print(json.dumps({"made": made, "disturbed": disturbed}))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("needs Linux and a C compiler")
    made = tmp_path_factory.mktemp("library") / "disturbed_calls.so"
    source = Path(__file__).with_name("disturbed_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("error", [False, True], ids=["killed", "failing"])
def test_trials_disturbed_at_a_hundred_calls_go_on_to_the_same_end(library, tmp_path, error):
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, __file__, str(tmp_path), str(int(error)), "25"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    print(counts)
    assert all(counts["made"].values())
    if not error:  # a call that fails may do no harm
        assert sum(counts["disturbed"].values()) == sum(min(25, n) for n in counts["made"].values()) >= 100


if __name__ == "__main__":
    disturb_trials(Path(sys.argv[1]), bool(int(sys.argv[2])), int(sys.argv[3]))

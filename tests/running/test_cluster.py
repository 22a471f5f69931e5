"""Trials on a real Dask cluster of this machine: the same files, and one line for whatever is not as it should be there."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from pretend_tasks import assert_same_contents, pretended_plan, pretended_trials, run_pretended
from synthetic_networks import RESISTANCE, network, seeking
from trial_contents import differences

from foraging_snn.commands import running
from foraging_snn.commands.cli import main
from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.running import cluster
from foraging_snn.running.cluster import ClusterWorkers
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import Course, evaluate
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.plan import Plan
from foraging_snn.running.scheduling import TrialEnd
from foraging_snn.running.stopping import StopCause, StopRequest

pytest.importorskip("distributed")
SEEDS = range(1, 5)
TESTS = Path(__file__).parents[1]
TRIAL = ["--preset", "tiny", "--start-from", "after-unsupervised"]
SHORT = ["run", "task1", *TRIAL, "--set", "phases.scale=0.25", "--trials", "2"]
LONG = ["run", "task1", "--preset", "tiny", "--set", "phases.training_aeons=4000", "--trials", "2"]


class Cluster:
    """Processes of `dask`, and the address of their scheduler."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._directory = directory
        self._processes = []
        port = self.address.rpartition(":")[2]
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def _start(self, *command):
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        log = (self._directory / f"{command[0]}{len(self._processes)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *command], stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": path}
        )
        self._processes.append(process)
        return process

    def add_worker(self, threads=1, preload=""):
        """Start a worker in which something is run before all else."""
        options = ["--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--local-directory", str(self._directory)]
        return self._start("worker", self.address, *options, *(["--preload", preload] if preload else []))

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def new_cluster(tmp_path_factory):
    """A scheduler of its own for a test."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A scheduler for several tests."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    yield made
    made.close()


@pytest.fixture
def start_worker(scheduler):
    """Start workers of that scheduler, which end with the test."""
    started = []

    def start(**options):
        started.append(scheduler.add_worker(**options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    wait_for_workers(scheduler.address, 0)


def number_of_workers(address):
    from distributed import Client

    try:
        with Client(address, timeout=5, set_as_default=False) as client:
            return len(client.nthreads())
    except OSError:  # the scheduler is starting
        return -1


def wait_for_workers(address, n, seconds=120):
    wait_until(lambda: number_of_workers(address) == n, seconds)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def in_the_background(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def assert_same_files(plan, other):
    assert_same_contents(plan.all_paths, other.all_paths[: len(plan.all_paths)])
    assert sorted(path.name for path in plan.directory.iterdir()) == sorted([FOLDER, *(path.name for path in plan.all_paths)])


# ---------------------------------------------------------------------------------------------------------------- the same files


@pytest.mark.slow
def test_trials_one_worker_of_which_dies_give_the_same_files(undisturbed, tmp_path, scheduler, start_worker):
    processes = [start_worker(), start_worker()]
    wait_for_workers(scheduler.address, 2)
    plan = pretended_plan(tmp_path / "out", SEEDS)
    with ClusterWorkers(scheduler.address) as workers:
        assert workers.jobs == 2
        ends = run_pretended(plan, workers, seconds=0.01, deaths={2: 1})
    assert ends == [TrialEnd(seed) for seed in SEEDS]
    assert sum(process.poll() is not None for process in processes) == 1
    assert_same_files(plan, undisturbed)


def test_tests_of_many_networks_are_the_same_on_a_cluster(tmp_path, scheduler, start_worker):
    start_worker()
    wait_for_workers(scheduler.address, 1)
    given = {"strengths": [seeking("horizontal"), seeking("vertical")], "tasks": ("T1", "T2"), "epochs": 200}
    given |= {"network": network(), "resistance": RESISTANCE}
    with ClusterWorkers(scheduler.address) as workers:
        there = evaluate(**given, course=Course(workers, tmp_path / "ledger"))
    here = evaluate(**given)
    for name, values in here.counts.items():
        np.testing.assert_array_equal(there.counts[name], values, err_msg=name)
    assert len(list((tmp_path / "ledger" / "evaluations").glob("*.h5"))) == 4


@pytest.mark.slow
def test_the_command_line_runs_trials_on_a_cluster(tmp_path, scheduler, start_worker, capfd):
    start_worker()
    wait_for_workers(scheduler.address, 1)
    for name, where in (("there", ["--scheduler", scheduler.address]), ("here", [])):
        assert main([*SHORT, *where, "--out", str(tmp_path / name)]) == 0
    assert capfd.readouterr().err == ""
    for seed in (1, 2):
        name = f"task1_seed000{seed}.h5"
        assert differences(tmp_path / "here" / name, tmp_path / "there" / name) == ["provenance@command_line"]


# ------------------------------------------------------------------------------------------------------------ refused in one line


@pytest.fixture
def refused(tmp_path, capfd):
    """Run trials that are refused; the line that says why, without its beginning."""

    def run(address):
        assert main([*SHORT, "--scheduler", address, "--out", str(tmp_path / "new")]) == 2
        out, err = capfd.readouterr()
        assert err.count("\n") == 1
        assert err.startswith("foraging-snn: --scheduler: ")
        assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == []
        return err.removeprefix("foraging-snn: --scheduler: ").removesuffix("\n")

    return run


def test_a_scheduler_that_is_not_there(refused, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    address = "tcp://127.0.0.1:1"
    assert refused(address).startswith(f"{address}: not reached within 1 s: ")


def test_dask_is_not_installed(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert refused("tcp://x:1").startswith("needs Dask: pip install '.[dask]' in a clone of foraging_snn (")


def test_a_cluster_without_a_worker(refused, scheduler, monkeypatch):
    wait_for_workers(scheduler.address, 0)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    assert refused(scheduler.address) == f"{scheduler.address}: has no worker after 1 s"


LACKS_PACKAGE = "import sys; sys.modules['foraging_snn'] = None"
OTHER_VERSION = """
from foraging_snn.files import provenance
from foraging_snn.version import Version
provenance.this_version = lambda: Version("0.0.1", "")
"""
FOLDER_NOT_SHARED = """
from pathlib import Path
# Dask may run this twice
Path.is_dir = lambda path, *, seen=Path.is_dir, **options: not path.name.startswith(".foraging_snn_") and seen(path, **options)
"""


def test_a_worker_with_several_threads(refused, scheduler, start_worker):
    start_worker(threads=2)
    wait_for_workers(scheduler.address, 1)
    message = refused(scheduler.address)
    assert message.startswith("worker tcp://127.0.0.1:")
    assert message.endswith(" has 2 threads, allowed is 1: dask worker --nthreads 1")


def test_a_worker_without_the_package(refused, scheduler, start_worker):
    start_worker(preload=LACKS_PACKAGE)
    wait_for_workers(scheduler.address, 1)
    assert " lacks a package: " in refused(scheduler.address)


def test_a_worker_with_another_version(refused, scheduler, start_worker):
    start_worker(preload=OTHER_VERSION)
    wait_for_workers(scheduler.address, 1)
    message = refused(scheduler.address)
    assert " has foraging_snn 0.0.1" in message
    assert ", here it is 0." in message


def test_a_worker_that_does_not_see_the_output_folder(refused, scheduler, start_worker, tmp_path):
    start_worker(preload=FOLDER_NOT_SHARED)
    wait_for_workers(scheduler.address, 1)
    message = refused(scheduler.address)
    assert f" does not see {tmp_path}/new: workers on other machines need the output folder on a file system" in message


# ------------------------------------------------------------------------------------------------------------------ on the way


def under_way(folder):
    """Files of trials that compute."""

    def computes(path):
        try:
            return bool(Trial(path).phases)
        except RecordingError:
            return False

    return [path for path in folder.glob("*.h5") if computes(path)]


@pytest.mark.slow
def test_workers_that_have_all_gone_are_told_and_awaited(undisturbed, tmp_path, scheduler, start_worker, monkeypatch, capfd):
    monkeypatch.setattr(cluster, "NO_WORKER_SECONDS", 2.0)
    first = start_worker()
    wait_for_workers(scheduler.address, 1)
    plan = pretended_plan(tmp_path / "out", range(1, 3))
    said = []
    monkeypatch.setattr(ProgressDisplay, "say", lambda display, text: said.append(text))

    def replace_the_worker():
        first.wait()
        wait_until(lambda: said)
        time.sleep(3)  # it is not said again
        start_worker()

    helper = in_the_background(replace_the_worker)
    with ClusterWorkers(scheduler.address) as workers:
        ends = run_pretended(plan, workers, deaths={1: 1})
    helper.join()
    assert ends == [TrialEnd(seed) for seed in plan.seeds]
    assert said == [
        f"the Dask cluster has no worker; waiting for one (dask worker {scheduler.address} --nthreads 1); Ctrl-C stops",
        "the Dask cluster has workers again: 1",
    ]
    assert_same_files(plan, undisturbed)


@pytest.mark.slow
def test_ctrl_c_stops_a_run_whose_workers_have_all_gone(tmp_path, scheduler, start_worker, monkeypatch):
    monkeypatch.setattr(cluster, "NO_WORKER_SECONDS", 1.0)
    start_worker()
    wait_for_workers(scheduler.address, 1)
    plan = pretended_plan(tmp_path / "out", range(1, 4))
    monkeypatch.setattr(ProgressDisplay, "say", lambda display, text: os.kill(os.getpid(), signal.SIGINT))
    request = StopRequest()
    with ClusterWorkers(scheduler.address) as workers:
        ends = run_pretended(plan, workers, request, deaths={1: 1})
    assert ends == [TrialEnd(seed, stopped=True) for seed in plan.seeds]
    assert request.cause is StopCause.CTRL_C
    assert sorted(path.name for path in plan.directory.iterdir()) == [FOLDER, *(p.name for p in plan.paths(1)[::-1])]


def assert_nothing_is_lost(folder):
    """What is in the file is in the ledger: a killed process leaves nothing of the phase there."""
    for path in sorted(folder.glob("*.h5")):
        seed = path.stem.partition("_")[2]
        saved = {}
        for segment in (folder / FOLDER / seed).glob("*.h5"):
            key, _, end = segment.stem.split("-")
            saved[key] = max(saved.get(key, 0), int(end))
        assert sum(saved.values()) == sum(phase.epochs_done for phase in Trial(path).phases) > 0


@pytest.fixture
def pretended(monkeypatch):
    """The command line gives out trials with pretended engines."""
    monkeypatch.setattr(Plan, "trials", lambda plan, of="": pretended_trials(plan, seconds=0.05))
    monkeypatch.setattr(running, "ready_engines", lambda *_: nullcontext())


@pytest.mark.slow
def test_sigterm_saves_the_trials(tmp_path, scheduler, start_worker, capfd, pretended):
    start_worker(), start_worker()
    wait_for_workers(scheduler.address, 2)
    out = tmp_path / "out"
    command = [*LONG, "--scheduler", scheduler.address, "--out", str(out)]

    def terminate():
        wait_until(lambda: len(under_way(out)) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    helper = in_the_background(terminate)
    assert main(command) == 143
    helper.join()
    err = capfd.readouterr().err
    assert err.startswith("foraging-snn: terminated; 0 of 2 files are complete; readable up to here and marked incomplete: ")
    assert err.endswith(" --resume\n")
    assert err.count("\n") == 1
    assert sorted(path.name for path in out.iterdir()) == [FOLDER, "task1_seed0001.h5", "task1_seed0002.h5"]
    assert_nothing_is_lost(out)


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_in_one_line(tmp_path, new_cluster, capfd, pretended):
    for _ in range(2):
        new_cluster.add_worker()
    wait_for_workers(new_cluster.address, 2)
    out = tmp_path / "out"
    command = [*LONG, "--scheduler", new_cluster.address, "--out", str(out)]

    def kill():
        wait_until(lambda: len(under_way(out)) == 2)
        new_cluster.scheduler.kill()

    helper = in_the_background(kill)
    assert main(command) == 2
    helper.join()
    err = capfd.readouterr().err
    assert err.startswith(
        "foraging-snn: --scheduler: lost the connection to it; trials under way there save and stop by themselves; "
        "0 of 2 files are complete; "
    )
    assert err.endswith(f"; go on with: foraging-snn {' '.join(command)} --resume\n")
    assert err.count("\n") == 1
    wait_until(lambda: all(Trial(path).ended for path in out.glob("*.h5")))
    assert_nothing_is_lost(out)
    assert sorted(path.name for path in out.iterdir()) == [FOLDER, "task1_seed0001.h5", "task1_seed0002.h5"]


@pytest.mark.slow
def test_a_scheduler_that_is_closed_properly_is_noticed_too(tmp_path, new_cluster):
    new_cluster.add_worker()
    wait_for_workers(new_cluster.address, 1)
    plan = pretended_plan(tmp_path / "out", range(1, 4))
    request = StopRequest()

    def close():
        wait_until(lambda: under_way(plan.directory))
        new_cluster.scheduler.terminate()

    helper = in_the_background(close)
    with ClusterWorkers(new_cluster.address) as workers:
        ends = run_pretended(plan, workers, request, seconds=0.5)
    helper.join()
    assert ends == [TrialEnd(seed, stopped=True) for seed in plan.seeds]
    assert request.cause is StopCause.SCHEDULER_LOST


def test_a_number_of_jobs_out_of_range():
    with pytest.raises(RunError, match="jobs: 0 given, allowed is at least 1"):
        ClusterWorkers("tcp://127.0.0.1:1", 0)

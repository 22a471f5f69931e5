"""Many trials in many processes: the files do not depend on where they run, and a process that dies takes nothing else with it."""

import os
import socket
import subprocess
import sys
import time
from itertools import count

import pytest
from pretend_tasks import pretended_plan, pretended_trials
from trial_contents import contents, differences

import foraging_snn.scheduling as scheduling
from foraging_snn.cli import main
from foraging_snn.cluster import ClusterWorkers
from foraging_snn.progress import TrialsBoard
from foraging_snn.running import RunError, prepare_output
from foraging_snn.scheduling import ATTEMPTS, BEAT_SECONDS, Channel, Heartbeat, LocalWorkers, ParentProcess, TrialEnd, run_all

SEEDS = range(1, 5)
ROOT = __file__.rpartition("/tests/")[0]


def run(plan, workers, **options):
    prepare_output(plan.all_paths)
    trials = pretended_trials(plan, **options)
    return run_all(trials, workers, TrialsBoard(2, [plan.epochs] * len(trials)), plan.directory)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The files of four trials, run one after the other."""
    plan = pretended_plan(tmp_path_factory.mktemp("undisturbed"), SEEDS)
    with LocalWorkers() as workers:
        assert run(plan, workers) == [TrialEnd(seed) for seed in SEEDS]
    return plan


def assert_same_files(plan, other):
    for path, other_path in zip(plan.all_paths, other.all_paths, strict=True):
        here, there = contents(path), contents(other_path)
        assert len(here) > 30
        assert here == there


# ----------------------------------------------------------------------------------------------------------- on this machine


def test_a_trial_whose_process_is_killed_goes_on_in_another_and_gives_the_same_files(undisturbed, tmp_path, capsys):
    plan = pretended_plan(tmp_path, SEEDS)
    with LocalWorkers(2) as workers:
        ends = run(plan, workers, deaths={2: 1})
    assert ends == [TrialEnd(seed) for seed in SEEDS]
    assert_same_files(plan, undisturbed)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in plan.all_paths)
    assert "8/8 experiments, 4/4 trials  14400/14400 epochs" in capsys.readouterr().out


def test_a_trial_that_always_kills_its_process_is_given_up_with_its_log_and_the_others_go_on(undisturbed, tmp_path):
    plan = pretended_plan(tmp_path, range(1, 3))
    with LocalWorkers(2) as workers:
        first, second = run(plan, workers, deaths={1: 9})
    assert second == TrialEnd(2)
    assert first.died
    log = tmp_path / "seed0001.log"
    assert first.error.startswith(f"its process was killed: {ATTEMPTS} times, at last process ")
    assert first.error.endswith(f"; is there enough memory?; log: {log}")
    lines = log.read_text().splitlines()
    assert sum(" attempt " in line for line in lines) == ATTEMPTS
    assert sum("SIGKILL" in line for line in lines) == ATTEMPTS
    assert lines[1].endswith("task1: unsupervised")
    assert contents(plan.paths(2)[1]) == contents(undisturbed.paths(2)[1])


def test_without_checkpoints_a_trial_whose_process_dies_is_not_begun_again(tmp_path):
    plan = pretended_plan(tmp_path, range(1, 3), checkpoint_minutes=None)
    with LocalWorkers(2) as workers:
        first, second = run(plan, workers, deaths={1: 1})
    assert second == TrialEnd(2)
    assert first.died
    assert first.error.startswith("its process was killed: process ")
    assert plan.paths(1)[1].exists()  # as it was when the process died


def test_jobs_out_of_range_are_refused():
    with pytest.raises(RunError, match="jobs: 0 given, allowed is at least 1"):
        LocalWorkers(0)


def test_run_takes_several_jobs(tmp_path, capfd):
    options = [
        "run",
        "task1",
        "--preset",
        "tiny",
        "--set",
        "phases.scale=0.25",
        "--trials",
        "2",
        "--start-from",
        "after-unsupervised",
    ]
    for jobs in ("1", "2"):
        assert main([*options, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.count("task1: T1\n") == 2  # the table of results
    for seed in (0, 1):
        name = f"task1_seed000{seed}.h5"
        assert differences(tmp_path / "1" / name, tmp_path / "2" / name) == ["provenance@command_line"]


# ------------------------------------------------------------------------------------------------------------ signs of life


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to."""
    ticks = count(0.0, BEAT_SECONDS)
    monkeypatch.setattr(scheduling.time, "monotonic", lambda: next(ticks))


def test_a_heartbeat_that_has_stopped_is_noticed_after_the_time_given(tmp_path, clock):
    beat = tmp_path / "beat"
    beat.write_text("1")
    heart = Heartbeat(beat, silent_seconds=10 * BEAT_SECONDS)
    assert [heart.is_cut() for _ in range(13)] == [False] * 11 + [True] * 2
    beat.write_text("2")
    assert not heart.is_cut()


def test_a_folder_of_reports_that_is_gone_says_that_nobody_waits(tmp_path, clock):
    folder = tmp_path / "reports"
    folder.mkdir()
    heart = Heartbeat(folder / "beat")
    assert not heart.is_cut()
    folder.rmdir()
    assert heart.is_cut()


def test_a_trial_that_was_begun_elsewhere_stops(tmp_path):
    channel = Channel(tmp_path, ParentProcess(os.getpid()))
    task = pretended_trials(pretended_plan(tmp_path, range(1, 2)))[0]
    reporter = scheduling.Reporter(channel, 0, task, channel.begin_attempt(0))
    assert not reporter.stop_wanted()
    channel.begin_attempt(0)
    assert reporter.stop_wanted()


# ------------------------------------------------------------------------------------------------------- on a Dask cluster


@pytest.fixture
def cluster(tmp_path):
    """Address of a real scheduler with two workers, processes of their own."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, f"{ROOT}/tests"])}
    worker = [address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / "dask")]
    scheduler = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )
        for command in (["scheduler", *scheduler], ["worker", *worker], ["worker", *worker])
    ]
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


def connected(address, n_workers=2, seconds=120):
    """The workers, once so many have come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            workers = ClusterWorkers(address)
        except RunError:  # it is starting
            continue
        if workers.jobs >= n_workers:
            return workers
        workers.__exit__()
        time.sleep(0.5)
    raise AssertionError("the cluster did not start")


@pytest.mark.slow
def test_trials_on_a_cluster_one_worker_of_which_dies_give_the_same_files(undisturbed, tmp_path, cluster):
    address, processes = cluster
    plan = pretended_plan(tmp_path / "out", SEEDS)
    with connected(address) as workers:
        ends = run(plan, workers, seconds=0.01, deaths={2: 1})
    assert ends == [TrialEnd(seed) for seed in SEEDS]
    assert sum(process.poll() is not None for process in processes) == 1
    assert_same_files(plan, undisturbed)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in plan.all_paths)


@pytest.mark.slow
def test_the_command_line_runs_trials_on_a_cluster(tmp_path, cluster, capfd):
    connected(cluster[0]).__exit__()
    options = ["reproduce", "--preset", "tiny", "--set", "phases.scale=0.25", "--trials", "2", "--experiments", "task1"]
    options += ["--start-from", "after-unsupervised"]
    for name, where in (("there", ["--scheduler", cluster[0]]), ("here", [])):
        assert main([*options, *where, "--out", str(tmp_path / name)]) == 0
    assert capfd.readouterr().err == ""
    for seed in (1, 2):
        name = f"task1_seed000{seed}.h5"
        assert differences(tmp_path / "here" / name, tmp_path / "there" / name) == ["provenance@command_line"]


def test_a_scheduler_that_is_not_there_is_told_in_one_line_and_leaves_no_trace(tmp_path, capfd, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("foraging_snn.cluster.CONNECT_SECONDS", 1)
    address = "tcp://127.0.0.1:1"
    assert main(["reproduce", "--preset", "tiny", "--scheduler", address, "--out", str(tmp_path / "new")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"foraging-snn: --scheduler: {address}: not reached within 1 s: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_without_dask_is_told_in_one_line(tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["run", "task1", "--preset", "tiny", "--scheduler", "tcp://x:1", "--out", str(tmp_path / "new")]) == 2
    out, err = capfd.readouterr()
    assert err.startswith("foraging-snn: --scheduler: needs Dask: pip install foraging-snn[dask] (")
    assert err.count("\n") == 1

"""Many trials in many processes: the files do not depend on where they run, and a process that dies takes nothing else with it."""

import os
import pty
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from itertools import count

import pytest
from pretend_tasks import assert_same_contents, pretended_plan, pretended_trials, run_pretended
from trial_contents import contents, differences

import foraging_snn.running.scheduling as scheduling
from foraging_snn.commands.cli import main
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.running.errors import RunError
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.plan import is_complete
from foraging_snn.running.scheduling import (
    ATTEMPTS,
    BEAT_SECONDS,
    SILENCE_SECONDS,
    Channel,
    Heartbeat,
    LocalWorkers,
    ParentProcess,
    TrialEnd,
    remove_abandoned_reports,
)

SEEDS = range(1, 5)
WHY = "This can be caused by a too short worker timeout or by a memory leak."


# ----------------------------------------------------------------------------------------------------------- on this machine


@pytest.mark.slow
def test_a_trial_whose_process_is_killed_goes_on_in_another_and_gives_the_same_files(undisturbed, tmp_path, capsys):
    plan = pretended_plan(tmp_path, SEEDS)
    with LocalWorkers(2) as workers:
        ends = run_pretended(plan, workers, deaths={2: 1})
    assert ends == [TrialEnd(seed) for seed in SEEDS]
    assert_same_contents(plan.all_paths, undisturbed.all_paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FOLDER, *(path.name for path in plan.all_paths)])
    assert not list((tmp_path / FOLDER).glob("*.lock"))
    assert "8/8 experiments, 4/4 trials  14400/14400 epochs" in capsys.readouterr().out


def test_a_process_that_is_replaced_because_its_memory_has_grown_is_no_matter_for_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with LocalWorkers(2) as workers:
            assert run_pretended(pretended_plan(tmp_path, range(1, 3)), workers) == [TrialEnd(1), TrialEnd(2)]
        warnings.warn(f"A worker stopped while some jobs were given to the executor. {WHY}", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", UserWarning, stacklevel=1)


@pytest.mark.slow
def test_a_trial_that_always_kills_its_process_is_given_up_with_its_log_and_the_others_go_on(undisturbed, tmp_path):
    plan = pretended_plan(tmp_path, range(1, 3))
    with LocalWorkers(2) as workers:
        first, second = run_pretended(plan, workers, deaths={1: 9})
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


def test_jobs_out_of_range_are_refused():
    with pytest.raises(RunError, match="jobs: 0 given, allowed is at least 1"):
        LocalWorkers(0)


@pytest.mark.slow
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
        name = f"task1_seed000{seed + 1}.h5"
        assert differences(tmp_path / "1" / name, tmp_path / "2" / name) == ["provenance@command_line"]


# --------------------------------------------------------------------------------------------------- stopped, all processes at once

PROGRAM = [sys.executable, "-m", "foraging_snn"]
RUN = ["run", "task1", "--preset", "tiny", "--set", "phases.training_aeons=1500", "--trials", "2"]
RUN += ["--start-from", "after-unsupervised", "--out"]


def wait_until_both_compute(folder, meanwhile=lambda: None):
    deadline = time.monotonic() + 200  # compiling included
    while sum(has_begun(path) for path in folder.glob("*.h5")) < 2:
        assert time.monotonic() < deadline
        meanwhile()
        time.sleep(0.05)
    time.sleep(0.5)


def has_begun(path):
    try:
        return bool(Trial(path).phases)
    except RecordingError:
        return False


def assert_saved_at_the_end(folder):
    """A killed process leaves a file that was not closed, and nothing of the phase in the ledger."""
    files = [Trial(path) for path in sorted(folder.glob("*.h5"))]
    segments = [sorted(seed.glob("*.h5")) for seed in sorted(folder.glob(f"{FOLDER}/seed*"))]
    saved = [[int(path.stem.split("-")[2]) for path in paths] for paths in segments]
    assert len(saved) == 2
    assert all(0 < epochs < 150_000 for (epochs,) in saved)
    assert saved == [[phase.epochs_done for phase in trial.phases] for trial in files]
    assert all(trial.ended for trial in files)


@pytest.fixture
def started():
    """Start a command in a process group of its own."""
    processes = []

    def start(*command):
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True))
        return processes[0]

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
def test_sigterm_to_all_processes_saves_all_trials(started, tmp_path):
    """As batch systems send it."""
    process = started(*PROGRAM, *RUN, str(tmp_path / "cut"), "--jobs", "2")
    wait_until_both_compute(tmp_path / "cut")
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.startswith("foraging-snn: terminated; 0 of 2 files are complete; ")
    assert err.count("\n") == 1
    assert_saved_at_the_end(tmp_path / "cut")

    assert main([*RUN, str(tmp_path / "cut"), "--resume"]) == 0
    assert main([*RUN, str(tmp_path / "whole")]) == 0
    for path in sorted((tmp_path / "whole").glob("*.h5")):
        assert differences(path, tmp_path / "cut" / path.name) == ["provenance@command_line"]  # they lie in two folders


@pytest.mark.slow
def test_time_given_by_another_program_that_is_over_saves_all_trials(started, tmp_path):
    """`timeout` sends SIGTERM to its command and to the group: the command hears it twice."""
    process = started("timeout", "3600", *PROGRAM, *RUN, str(tmp_path), "--jobs", "2")
    wait_until_both_compute(tmp_path)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert_saved_at_the_end(tmp_path)


@pytest.mark.slow
def test_a_terminal_that_is_closed_saves_all_trials(tmp_path):
    number, terminal = pty.fork()
    if number == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
        os.execv(PROGRAM[0], [*PROGRAM, *RUN, str(tmp_path), "--jobs", "2"])
    os.set_blocking(terminal, False)

    def read_the_screen():
        with suppress(BlockingIOError):
            os.read(terminal, 1_000_000)

    try:
        wait_until_both_compute(tmp_path, read_the_screen)
    finally:
        os.close(terminal)
        _, status = os.waitpid(number, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert_saved_at_the_end(tmp_path)


COORDINATOR = """
import os, sys, time
from pathlib import Path
from pretend_tasks import pretended_plan, pretended_trials
from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.running.scheduling import LocalWorkers, run_all
plan = pretended_plan(Path(sys.argv[1]), range(1, 3))
first, second = pretended_trials(plan, seconds=0.001)[0], pretended_trials(plan, seconds=1.0)[1]
with LocalWorkers(2) as workers:
    run_all([first, second], workers, ProgressDisplay([first, second]), plan.directory)
"""


@pytest.mark.slow
def test_processes_of_a_coordinator_that_was_killed_end_idle_or_not(started, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    process = started(sys.executable, "-c", COORDINATOR, str(tmp_path))
    first, second = (tmp_path / f"sequential_seed000{seed}.h5" for seed in (1, 2))
    deadline = time.monotonic() + 100
    while not (is_complete(first) and list(tmp_path.glob("*_seed0002.h5"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.communicate(timeout=60)  # raises if any of them still holds the output
    assert not is_complete(second)


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
    trial = pretended_trials(pretended_plan(tmp_path, range(1, 2)))[0]
    reporter = scheduling.Reporter(channel, 0, trial, channel.begin_attempt(0))
    assert not reporter.stop_wanted()
    channel.begin_attempt(0)
    assert reporter.stop_wanted()


@pytest.fixture
def left_behind(tmp_path):
    """A folder of reports whose coordinator was killed so many seconds ago."""

    def leave(seconds, *names, folder=".foraging_snn_abc"):
        reports = tmp_path / folder
        reports.mkdir()
        for path in (
            *(reports / name for name in ("beat", "stop", "0.json", "0.log", "0.attempts", "beat.1.part", *names)),
            reports,
        ):
            if path != reports:
                path.touch()
            os.utime(path, (time.time() - seconds,) * 2)
        return reports

    return leave


def test_reports_of_a_coordinator_that_was_killed_are_removed(left_behind, tmp_path):
    left_behind(2 * SILENCE_SECONDS + 10.0)
    remove_abandoned_reports(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_reports_that_may_be_in_use_or_hold_something_else_are_kept(left_behind, tmp_path):
    kept = [left_behind(SILENCE_SECONDS), left_behind(1e6, "mine.txt", folder=".foraging_snn_1"), left_behind(1e6, folder="mine")]
    alive = left_behind(1e6, folder=".foraging_snn_2")
    (alive / "beat").write_text("1")
    (tmp_path / ".foraging_snn_3").symlink_to(kept[2])
    before = sorted(tmp_path.rglob("*"))
    remove_abandoned_reports(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before

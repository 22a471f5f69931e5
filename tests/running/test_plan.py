"""All experiments for many trials: the files are those of `run`, however many processes; what fails or stops, stops alone."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pretend_engine import PretendEngine
from trial_contents import contents, differences

from foraging_snn.commands.cli import main
from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.models import EngineError, engine_class, preset
from foraging_snn.protocols import experiments
from foraging_snn.running import plan as planning
from foraging_snn.running.existing import prepare_output
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.plan import RECORDING, Plan, chosen_experiments, unless_set
from foraging_snn.running.scheduling import LocalWorkers, TrialEnd, run_all
from foraging_snn.running.trial import run_experiments, run_trial

PROGRAM = [sys.executable, "-m", "foraging_snn"]
TINY = preset("tiny")
SHORT = unless_set(RECORDING, TINY, set()).with_changes({"phases.scale": 0.25, "recording.spike_window_epochs": 5})
CATALOGUE = experiments(SHORT)
OF_ITS_OWN = ["provenance@command_line"]  # differs between runs


# --------------------------------------------------------------------------------------------------- the files are those of `run`


@pytest.fixture(scope="module")
def event():
    with engine_class("event")(SHORT) as engine:
        yield engine


@pytest.fixture(scope="module")
def together(tmp_path_factory, event):
    """All experiments of the trial with seed 5."""
    folder = tmp_path_factory.mktemp("together")
    paths = [folder / f"{name}.h5" for name in CATALOGUE]
    rows = list(CATALOGUE.values())
    run_experiments(rows, SHORT, seed=5, trial=2, engine=event, paths=paths, command_line="together")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_file_holds_the_same_whether_its_experiment_runs_alone_or_with_all_others(together, event, tmp_path, name):
    alone = tmp_path / "alone.h5"
    run_trial(CATALOGUE[name], SHORT, seed=5, trial=2, engine=event, path=alone, command_line="alone")
    assert len(contents(alone)) > 60
    assert differences(together / f"{name}.h5", alone) == OF_ITS_OWN


@pytest.mark.slow
def test_spikes_and_positions_are_kept_in_windows(together):
    trial = Trial(together / "sleep.h5")
    assert [phase.name for phase in trial.phases] == ["unsupervised", "T1", "test T1", "test T2", "I(S,T2)", "test T1", "test T2"]
    for phase in trial.phases:
        windows = trial.windows(phase.index)
        assert (windows[0].start, windows[-1].stop) == (0, phase.epochs)
        assert [len(window) for window in windows] == [5] * 11
        recorded = {phase.first_epoch + epoch for window in windows for epoch in window}
        fired = {*(trial.spikes(phase.index).step // 600)}
        assert fired <= recorded
        assert len(fired) > 0.8 * len(recorded)
        assert trial.positions(phase.index).epoch.tolist() == [*range(phase.first_epoch, phase.first_epoch + phase.epochs)]


def test_what_is_recorded_does_not_change_the_trial(event, tmp_path):
    plain = TINY.with_changes({"phases.scale": 0.25})
    states = [
        run_trial(CATALOGUE["sleep"], p, seed=5, trial=0, engine=event, path=tmp_path / f"{k}.h5", command_line="")
        for k, p in enumerate((plain, SHORT))
    ]
    assert states[0].differences(states[1]) == []


# ------------------------------------------------------------------------------------------------------------ what is asked for


def test_experiments_come_in_the_order_of_the_catalogue():
    assert [e.name for e in chosen_experiments(" sleep,task1,sleep", TINY)] == ["task1", "sleep"]
    assert [e.name for e in chosen_experiments(None, TINY)] == list(CATALOGUE)


def test_what_is_recorded_can_be_changed_by_name_and_by_file():
    recorded = unless_set(RECORDING, TINY, set()).recording
    assert (recorded.windows, recorded.spike_window_epochs, recorded.position_window_epochs) == (11, 400, 400)
    recorded = unless_set(RECORDING, TINY, {"recording.spike_window_epochs"}).recording
    assert (recorded.windows, recorded.spike_window_epochs, recorded.position_window_epochs) == (11, 0, 400)
    recorded = unless_set(RECORDING, TINY.with_changes({"recording.windows": 4}), set()).recording
    assert (recorded.windows, recorded.spike_window_epochs) == (4, 400)


# ---------------------------------------------------------------------------------------------------------------- many trials


@pytest.fixture
def plan(tmp_path):
    """Two experiments for the trials with seeds 1 to 3, to be run with pretended engines."""
    rows = chosen_experiments("task1,sequential", TINY)
    return Plan(rows, TINY, tmp_path / "out", range(1, 4), "pretend", "a test")


@pytest.fixture
def pretend(monkeypatch):
    """Let trials run with pretended engines, in this process; `failures` says what happens to a seed in T2."""

    def use(failures):
        class Failing(PretendEngine):
            def _advance(self, epochs, spikes):
                failure = failures.get(self._now.seed) if self._phase.name == "T2" else None
                if isinstance(failure, Exception):
                    raise failure
                if failure:
                    del failures[self._now.seed]  # a second one would end it without saving
                    os.kill(os.getpid(), failure)
                return super()._advance(epochs, spikes)

        monkeypatch.setattr(planning, "engine_class", lambda name: Failing)

    return use


def run_quietly(plan):
    prepare_output(plan.all_paths)
    trials = plan.trials()
    return run_all(trials, LocalWorkers(), ProgressDisplay(trials), plan.directory)


@pytest.mark.slow
def test_a_failure_ends_its_trial_alone(plan, pretend, capsys):
    pretend({2: EngineError("it broke"), 3: ZeroDivisionError("a defect\nin two lines")})
    first, second, third = run_quietly(plan)
    assert (first, second) == (TrialEnd(1), TrialEnd(2, "it broke"))
    assert re.fullmatch(r"ZeroDivisionError: a defect in two lines \(test_plan\.py, line \d+\)", third.error)
    complete = {path.name: Trial(path).complete for path in plan.all_paths}
    assert [name for name, is_complete in complete.items() if not is_complete] == [
        "sequential_seed0002.h5",
        "sequential_seed0003.h5",
    ]
    trials = [Trial(path) for path in plan.all_paths]
    assert [(trial.seed, trial.trial) for trial in trials[::2]] == [(1, 0), (2, 1), (3, 2)]
    assert capsys.readouterr().out.startswith("4/6 experiments, 1/3 trials  ")


def test_an_interruption_stops_its_trial_and_those_to_come(plan, pretend):
    pretend({2: signal.SIGINT})
    before = signal.getsignal(signal.SIGINT)
    assert run_quietly(plan) == [TrialEnd(1), TrialEnd(2, stopped=True), TrialEnd(3, stopped=True)]
    assert signal.getsignal(signal.SIGINT) is before
    cut = Trial(plan.paths(2)[1])
    assert (cut.phases[-1].name, cut.complete) == ("T2", False)
    assert 0 < cut.phases[-1].epochs_done <= cut.phases[-1].epochs  # up to the end of the piece
    assert not any(path.exists() for path in plan.paths(3))


@pytest.mark.slow
def test_files_do_not_depend_on_the_number_of_processes(tmp_path, capfd):
    options = ["--preset", "tiny", "--set", "phases.scale=0.25", "--trials", "3", "--experiments", "task1,naive-sleep"]
    for jobs in ("1", "2"):
        assert main(["reproduce", *options, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    names = [f"{name}_seed000{seed}.h5" for name in ("naive-sleep", "task1") for seed in (1, 2, 3)]
    for jobs in ("1", "2"):
        assert sorted(path.name for path in (tmp_path / jobs).glob("*.*")) == names
    for name in names:
        assert differences(tmp_path / "1" / name, tmp_path / "2" / name) == OF_ITS_OWN
    lines = out.splitlines()
    assert lines[0] == "task1, naive-sleep; 3 x 800 epochs, seeds 1 to 3, engine event"
    assert "6/6 experiments, 3/3 trials  2400/2400 epochs" in out
    assert lines[-3:] == [
        f"files: {tmp_path}/2",
        f"next:  foraging-snn table {tmp_path}/2",
        f"       foraging-snn figures {tmp_path}/2",
    ]
    assert all(line.isprintable() for line in lines)


def wiring(path):
    with Trial(path) as trial:
        return trial.input_hidden_snapshots().images([0])[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "alike", "said"),
    [
        ([], True, "one network for all trials, as in the paper (network.seed 1)"),
        (["--set", "network.seed=9"], True, "one network for all trials, as in the paper (network.seed 9)"),
        (["--own-networks"], False, "every trial has a network of its own (network.seed -1); the paper's trials share one"),
    ],
)
def test_trials_of_the_paper_share_a_network_unless_told_otherwise(tmp_path, capfd, options, alike, said):
    short = ["--preset", "tiny", "--set", "phases.scale=0.1", "--trials", "2", "--experiments", "task1", "--out", str(tmp_path)]
    assert main(["reproduce", *short, *options]) == 0
    first, second = (wiring(tmp_path / f"task1_seed000{seed}.h5") for seed in (1, 2))
    assert (first == second).all() == alike
    assert said in capfd.readouterr().out
    assert main(["table", str(tmp_path)]) == 0
    assert said in capfd.readouterr().out


@pytest.mark.slow
def test_failed_trials_are_named_at_the_end(tmp_path, pretend, capfd):
    pretend({2: EngineError("it broke")})
    options = ["--preset", "tiny", "--trials", "3", "--experiments", "sequential", "--out", str(tmp_path)]
    assert main(["reproduce", *options]) == 1
    out, err = capfd.readouterr()
    assert err == "foraging-snn: seed 2: it broke\n"
    assert re.search(r"\n1 of 3 trials failed in \d+:\d\d:\d\d\n", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiments", "task1,slep"], r"experiment: 'slep' given, allowed are task1, .*; did you mean sleep\?"),
        (["--experiments", ","], "experiments: ',' given, allowed are names from `foraging-snn list`, with commas between"),
        (["--jobs", "0"], "jobs: 0 given, allowed is at least 1"),
        (["--trials", "0"], "trials: 0 given, allowed is at least 1"),
        (["--engine", "abacus"], "engine: 'abacus' given, allowed are .*"),
        (["--preset", "slow"], "preset: 'slow' given, allowed are .*"),
        (["--set", "recording.windows=0"], "recording.windows: 0 given, allowed is a whole number >= 1 and <= 10000"),
        (["--start-from", "nothing"], "nothing: no such file, and .*"),
        (["--own-networks", "--set", "network.seed=2"], "--own-networks: given together with network.seed, allowed is one of them"),
        (["--own-networks", "--start-from", "after-unsupervised"], "--own-networks: given together with --start-from, .*"),
        (["--set", "network.seed=-2"], "network.seed: -2 given, allowed is a whole number >= -1 and <= 1000000000"),
    ],
)
def test_bad_requests_leave_no_trace(tmp_path, capfd, arguments, message):
    assert main(["reproduce", *arguments, "--out", str(tmp_path / "new")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(f"foraging-snn: {message}\n", err)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_named_and_kept_and_nothing_begins(tmp_path, capfd):
    mine = tmp_path / "sleep_seed0003.h5"
    mine.write_bytes(b"mine")
    assert main(["reproduce", "--preset", "tiny", "--trials", "3", "--out", str(tmp_path)]) == 2
    assert capfd.readouterr() == ("", f"foraging-snn: {mine}: exists already and is not overwritten\n")
    assert list(tmp_path.iterdir()) == [mine]
    assert mine.read_bytes() == b"mine"


# ------------------------------------------------------------------------------------------------------------------- cut off


@pytest.fixture
def long_run(tmp_path):
    """Start two processes for three long trials, in a process group of their own; wait until two are under way."""
    processes = []

    def start(*options):
        command = [*PROGRAM, "reproduce", "--preset", "tiny", "--trials", "3", "--jobs", "2", "--experiments", "task1", *options]
        process = subprocess.Popen(
            [*command, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        deadline = time.monotonic() + 120  # compiling included
        while len(under_way(tmp_path)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def under_way(folder):
    def has_begun(path):
        try:
            return bool(Trial(path).phases)
        except RecordingError:
            return False

    return sorted(path for path in folder.glob("*.h5") if has_begun(path))


def processes_of_group(group):
    """Numbers of the living processes of a process group."""
    living = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(process_group) == group and state != "Z":
            living.append(int(status.parent.name))
    return living


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["all", "first"])
def test_ctrl_c_stops_all_processes_and_leaves_readable_files(long_run, tmp_path, whom):
    """From the keyboard the whole group hears it, from `kill` only the first process does."""
    process = long_run("--set", "phases.unsupervised_aeons=100000")
    (os.killpg if whom == "all" else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    paths = sorted(tmp_path.glob("*.h5"))
    assert [path.name for path in paths] == ["task1_seed0001.h5", "task1_seed0002.h5"]
    left = f"readable up to here and marked incomplete: {paths[0]}, {paths[1]}"
    assert err.startswith(f"foraging-snn: interrupted; 0 of 3 files are complete; {left}; go on with: foraging-snn reproduce ")
    assert err.endswith(" --resume\n")
    for trial in map(Trial, paths):
        assert not trial.complete
        assert trial.ended  # closed properly
        assert trial.counts(0).counts["epochs"].sum() == trial.phases[0].epochs_done
    assert wait_for(lambda: processes_of_group(process.pid) == [])


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.mark.slow
def test_processes_without_the_one_that_started_them_end(long_run):
    process = long_run("--set", "phases.unsupervised_aeons=100000")
    assert len(processes_of_group(process.pid)) >= 3
    process.kill()
    assert wait_for(lambda: processes_of_group(process.pid) == [], 60)


@pytest.mark.slow
def test_a_process_that_dies_takes_nothing_with_it(long_run, tmp_path):
    process = long_run("--set", "phases.unsupervised_aeons=100")
    worker = next(n for n in processes_of_group(process.pid) if n != process.pid and is_at_work(n, tmp_path))
    os.kill(worker, signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert (process.returncode, err) == (0, "")
    assert "3/3 experiments, 3/3 trials" in out
    assert [Trial(path).complete for path in under_way(tmp_path)] == [True, True, True]


def is_at_work(process, folder):
    """It has the lock of a trial."""
    return any(f"process {process} on" in lock.read_text() for lock in folder.glob(f"{FOLDER}/*.worker.lock"))

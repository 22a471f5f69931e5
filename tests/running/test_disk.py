"""Room on disk: what files will take is said before they are written, and a disk that is too small ends a run in one line."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_engine import PretendEngine

from foraging_snn.commands.cli import main
from foraging_snn.environments import Outcome
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.models import Engine, EpochRecords, preset
from foraging_snn.protocols import experiment, experiments
from foraging_snn.running import disk
from foraging_snn.running.disk import check_space, readable_bytes, table_bytes, trial_bytes
from foraging_snn.running.plan import RECORDING
from foraging_snn.running.trial import RunError, recorded_phases, run_trial

PROGRAM = [sys.executable, "-m", "foraging_snn"]
TINY = preset("tiny").with_changes({"phases.scale": 0.25})
PUBLISHED_BYTES = 200_000_000  # what the file of a trial of the published length may have


class HardToCompress(Engine):
    """As many spikes as at the start of the unsupervised phase, random counts, random strengths."""

    name = "random"
    chunk_epochs = 20_000

    def _load(self, state, phase):
        self._now = state.copy()
        self._draws = np.random.default_rng(state.epoch)

    def _advance(self, epochs, spikes):
        state, integers = self._now, self._draws.integers
        first = state.epoch
        state.epoch += epochs
        state.phase_epoch += epochs
        counts = integers(0, 90, epochs, dtype=np.int32)
        records = EpochRecords(
            first,
            None,
            integers(0, 9, epochs, dtype=np.int8),
            (integers(0, 16, epochs) // 12).astype(np.int8),
            integers(0, 4, epochs, dtype=np.int8) // 3 * np.int8(Outcome.REWARDED),
            np.cumsum(integers(-1, 2, epochs)).astype(np.int16) % 50,
            np.cumsum(integers(-1, 2, epochs)).astype(np.int16) % 50,
            counts,
            counts // 8,
        )
        if spikes:
            step = np.sort(600 * first + integers(0, 600 * epochs, 90 * epochs))
            records.spike_step, records.spike_cell = step, integers(0, 841, len(step), dtype=np.int32)
        return records

    def _state(self):
        state = self._now.copy()
        for array in (state.hidden_output, state.input_hidden, state.hidden_rate, state.hidden_input_target):
            array[...] = 0.01 * self._draws.random(array.shape)
        return state


@pytest.fixture
def free_bytes(monkeypatch):
    """Set how much room there is; gives the folders that were asked about."""
    asked = []

    def of(n):
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: asked.append(folder) or SimpleNamespace(free=n))
        return asked

    return of


def refused(capfd, *arguments):
    assert main([str(argument) for argument in arguments]) == 2
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    return line.removeprefix("foraging-snn: ").rstrip("\n")


# ----------------------------------------------------------------------------------------------------------- estimates


@pytest.mark.parametrize(
    "changes",
    [
        {},
        RECORDING,
        {"recording.snapshots_per_phase": 40},
        {"recording.positions": True, "phases.training_aeons": 400},
        {"phases.training_aeons": 5000, "phases.test_aeons": 1000},
    ],
    ids=["usual", "for figures", "snapshots", "positions", "long"],
)
def test_a_file_is_as_large_as_estimated_or_somewhat_smaller(tmp_path, changes):
    parameters = TINY.with_changes(changes)
    chosen = experiment("task1", parameters)
    path = tmp_path / "trial.h5"
    with HardToCompress(parameters) as engine:
        run_trial(chosen, parameters, seed=1, trial=0, engine=engine, path=path, command_line="")
    estimate = trial_bytes(parameters, chosen.phases)
    assert 0.35 * estimate < path.stat().st_size < estimate


@pytest.mark.parametrize("recording", [{}, RECORDING], ids=["run", "reproduce"])
def test_every_trial_of_the_published_length_is_small_enough(recording):
    parameters = preset("full").with_changes(recording)
    sizes = {name: trial_bytes(parameters, row.phases) for name, row in experiments(parameters).items()}
    assert max(sizes.values()) < PUBLISHED_BYTES / 5
    assert sizes["sequential-sleep"] == max(sizes.values()) > 10_000_000


@pytest.mark.slow
def test_a_file_of_the_published_length_is_as_large_as_estimated_or_somewhat_smaller(tmp_path):
    parameters = preset("full").with_changes(RECORDING)
    chosen = experiment("sequential-sleep", parameters)
    path = tmp_path / "trial.h5"
    with HardToCompress(parameters) as engine:
        run_trial(chosen, parameters, seed=1, trial=0, engine=engine, path=path, command_line="")
    estimate = trial_bytes(parameters, chosen.phases)
    assert 0.35 * estimate < path.stat().st_size < min(estimate, PUBLISHED_BYTES)


def test_snapshots_are_most_of_a_file_and_grow_with_their_number():
    few, many = (preset("full").with_changes({"recording.snapshots_per_phase": n}) for n in (50, 500))
    phases = experiment("sleep", few).phases
    tables = table_bytes(few, phases)
    assert max(tables, key=tables.get) == "snapshots"
    more = trial_bytes(many, phases) - trial_bytes(few, phases)
    assert more == pytest.approx(1.05 * 9 * (tables["snapshots"] + tables["input_snapshots"]), rel=0.1)  # tests keep one each


def test_numbers_of_bytes_are_readable():
    numbers = (0, 999, 1000, 15_400_000, 999_999_999, 2.5e12, 7e18)
    assert [readable_bytes(n) for n in numbers] == ["0 bytes", "999 bytes", "1.0 kB", "15 MB", "1.0 GB", "2.5 TB", "7000000 TB"]


# ---------------------------------------------------------------------------------------------------- before a run begins


def test_too_little_room_is_said_with_what_to_do(tmp_path, free_bytes):
    asked = free_bytes(2_000_000)
    parameters = preset("full")
    files = {tmp_path / "new" / f"{k}.h5": experiment("sleep", parameters).phases for k in range(3)}
    with pytest.raises(RunError) as caught:
        check_space(tmp_path / "new", [(files, parameters)])
    start = f"{tmp_path}/new: about "
    assert str(caught.value).startswith(start)
    needed, rest = str(caught.value).removeprefix(start).split(" MB needed for 3 files, ")
    assert 3 * 9 < float(needed) < 3 * 30
    assert rest == "2.0 MB free; less is needed with fewer trials or fewer snapshots (--snapshots)"
    assert asked == [tmp_path]


def test_a_file_that_is_partly_there_needs_the_rest(tmp_path, free_bytes):
    parameters = preset("full")
    files = {tmp_path / "a.h5": experiment("task1", parameters).phases, tmp_path / "b.h5": experiment("task1", parameters).phases}
    n = trial_bytes(parameters, files[tmp_path / "a.h5"])
    beside = disk.checkpoint_bytes(parameters, n)
    free_bytes(n + beside)
    with pytest.raises(RunError, match="for 2 files"):
        check_space(tmp_path, [(files, parameters)])
    with open(tmp_path / "a.h5", "wb") as file:
        file.truncate(n)
    check_space(tmp_path, [(files, parameters)])
    with pytest.raises(RunError):
        check_space(tmp_path, [(files, parameters)], jobs=2)


def test_runs_with_parameters_of_their_own_need_room_together(tmp_path, free_bytes):
    full, tiny = preset("full"), preset("tiny")
    runs = [({tmp_path / f"{p.preset}.h5": experiment("task1", p).phases}, p) for p in (full, tiny)]
    sizes = [trial_bytes(p, experiment("task1", p).phases) for p in (full, tiny)]
    free_bytes(sum(sizes) + disk.checkpoint_bytes(full, sizes[0]) - 1)
    check_space(tmp_path, runs[:1])
    with pytest.raises(RunError, match="for 2 files"):
        check_space(tmp_path, runs)


def test_checkpoints_that_are_there_already_need_no_room(tmp_path, free_bytes):
    parameters = preset("full")
    files = {tmp_path / f"{k}.h5": experiment("task1", parameters).phases for k in range(3)}
    n = trial_bytes(parameters, files[tmp_path / "0.h5"])
    beside = disk.checkpoint_bytes(parameters, n)
    folders = [tmp_path / "checkpoints" / str(k) for k in range(3)]
    for k, folder in enumerate(folders):
        (folder / "000001").mkdir(parents=True)
        with open(folder / "000001" / "trial.h5", "wb") as file:
            file.truncate((k + 1) * n)
    free_bytes(3 * n + 2 * beside - (1 + 2) * n)  # which two trials come first is not known
    check_space(tmp_path, [(files, parameters)], 2, folders)
    with pytest.raises(RunError):
        check_space(tmp_path, [(files, parameters)], 2, folders[:1])
    free_bytes(3 * n + 2 * beside - (1 + 2) * n - 1)
    with pytest.raises(RunError):
        check_space(tmp_path, [(files, parameters)], 2, folders)


def test_nothing_to_come_needs_no_room(tmp_path, free_bytes):
    free_bytes(0)
    check_space(tmp_path, [({}, preset("full"))], 0)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"recording.positions": True}, "fewer positions (recording.positions, recording.position_window_epochs)"),
        (RECORDING | {"recording.spike_window_epochs": 10_000}, "shorter windows of spikes (recording.spike_window_epochs)"),
        ({"phases.scale": 100.0}, "shorter phases (phases.scale)"),
    ],
)
def test_the_largest_table_is_the_one_to_lower(tmp_path, free_bytes, changes, advice):
    free_bytes(0)
    parameters = preset("full").with_changes(changes)
    with pytest.raises(RunError) as caught:
        check_space(tmp_path, [({tmp_path / "a.h5": experiment("sleep", parameters).phases}, parameters)])
    assert str(caught.value).endswith(f" needed for 1 file, 0 bytes free; less is needed with {advice}")


@pytest.mark.parametrize(
    "command",
    [
        ["run", "task1", "--preset", "tiny"],
        ["reproduce", "--preset", "tiny", "--trials", "2"],
        ["sweep", "task1", "--preset", "tiny", "--over", "sleep.block_epochs=10,20"],
    ],
)
def test_a_command_without_room_leaves_no_trace(tmp_path, capfd, free_bytes, command):
    free_bytes(100_000)
    message = refused(capfd, *command, "--out", tmp_path / "new")
    assert message.startswith(f"{tmp_path}/new: about ")
    assert ", 100 kB free; less is needed with " in message
    assert os.listdir(tmp_path) == []


SHORT = ["run", "task1", "--preset", "tiny", "--set", "phases.scale=0.25"]


def test_only_trials_that_are_not_complete_need_room(tmp_path, capfd, free_bytes):
    command = [*SHORT, "--out", str(tmp_path / "out")]
    assert main(command) == 0
    free_bytes(0)
    capfd.readouterr()
    assert main([*command, "--resume"]) == 0
    out, err = capfd.readouterr()
    assert ("trial 1/1  complete already" in out, "Task 1" in out, err) == (True, True, "")
    one = refused(capfd, *SHORT, "--seed", "1", "--out", tmp_path / "out", "--resume")
    two = refused(capfd, *command, "--trials", "2", "--resume")
    assert one == two
    assert " needed for 1 file, 0 bytes free" in two


@pytest.mark.parametrize("more", [[], ["--jobs", "2"]])
def test_complete_trials_on_a_full_disk_are_shown(small_disk, capfd, more):
    command = [*SHORT, "--trials", "2", *more, "--out", str(small_disk / "out")]
    assert main(command) == 0
    printed = capfd.readouterr().out.partition("\n\n")[2] if not more else capfd.readouterr().out[-200:]
    fill(small_disk)
    assert main([*command, "--resume"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.endswith(printed)
    assert "complete already" in out
    assert sorted(os.listdir(small_disk / "out")) == ["task1_seed0000.h5", "task1_seed0001.h5"]


def test_a_start_state_saves_the_room_of_the_unsupervised_phase():
    parameters = preset("full")
    chosen = experiment("task1", parameters)
    assert [phase.name for phase in recorded_phases(chosen, started=True)] == ["T1", "test T1", "test T2"]
    assert trial_bytes(parameters, recorded_phases(chosen, started=True)) < 0.5 * trial_bytes(parameters, chosen.phases)


# ------------------------------------------------------------------------------------------------------------- snapshots


@pytest.mark.parametrize("command", [["run", "task1"], ["reproduce", "--experiments", "task1", "--trials", "1"]])
def test_snapshots_is_the_number_in_each_phase_that_is_no_test(tmp_path, capfd, monkeypatch, command):
    seen = []
    monkeypatch.setattr("foraging_snn.commands.cli.check_space", lambda out, runs, *_: seen.append(runs[0][1]) or stop())

    def stop():
        raise RunError("seen")

    assert refused(capfd, *command, "--preset", "tiny", "--snapshots", "3", "--out", tmp_path) == "seen"
    assert (seen[0].recording.snapshots_per_phase, seen[0].recording.test_snapshots) == (3, 1)
    path = tmp_path / "trial.h5"
    with PretendEngine(seen[0]) as engine:
        run_trial(experiment("task1", seen[0]), seen[0], seed=1, trial=0, engine=engine, path=path, command_line="")
    assert np.bincount(Trial(path).hidden_output_snapshots().phase).tolist() == [4, 3, 1, 1]  # one more at the start of the file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--snapshots", "0"], "recording.snapshots_per_phase: 0 given, allowed is a whole number >= 1 and <= 100000"),
        (["--snapshots", "9" * 30], "recording.snapshots_per_phase: a number of 100 bits given, allowed are 63"),
        (
            ["--snapshots", "3", "--set", "recording.snapshots_per_phase=3"],
            "--snapshots: given together with --set recording.snapshots_per_phase, which is the same",
        ),
    ],
)
def test_wrong_numbers_of_snapshots(tmp_path, capfd, arguments, message):
    assert refused(capfd, "run", "task1", *arguments, "--out", tmp_path / "new") == message


# ---------------------------------------------------------------------------------------------------- a disk that fills up


@pytest.fixture
def small_disk(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill(folder):
    """Take all the room there is."""
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (1_000_000, 1000, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


def has_begun(path):
    try:
        return bool(Trial(path).phases)
    except RecordingError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"), [(["run", "task1", "--seed", "1"], 2), (["reproduce", "--experiments", "task1", "--trials", "1"], 1)]
)
def test_a_disk_that_is_filled_during_a_run_stops_it_in_one_line(small_disk, command, code):
    path = small_disk / "out" / "task1_seed0001.h5"
    options = ["--preset", "tiny", "--set", "phases.unsupervised_aeons=20000", "--snapshots", "50", "--out", str(path.parent)]
    process = subprocess.Popen([*PROGRAM, *command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not has_begun(path) and process.poll() is None:
        time.sleep(0.2)
    fill(small_disk)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code
    assert "No space left on device" in errors
    assert errors.startswith("foraging-snn: ")
    assert errors.count("\n") == 1
    trial = Trial(path)
    assert not trial.complete
    assert trial.counts(0).counts["epochs"].sum() == trial.phases[0].epochs_done

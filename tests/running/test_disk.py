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
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import after_start
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.plan import RECORDING, Plan
from foraging_snn.running.trial import Keeping, run_trial

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        RECORDING,
        {"recording.snapshots_per_phase": 40},
        {"recording.positions": True, "phases.training_aeons": 400},
        {"recording.test_every": 10, "recording.test_epochs": 1},
        {"phases.training_aeons": 5000, "phases.test_aeons": 1000},
    ],
    ids=["usual", "for figures", "snapshots", "positions", "tests", "long"],
)
def test_a_file_is_as_large_as_estimated_or_somewhat_smaller(tmp_path, changes):
    parameters = TINY.with_changes(changes)
    chosen = experiment("task1", parameters)
    path = tmp_path / "trial.h5"
    with HardToCompress(parameters) as engine:
        run_trial(chosen, parameters, seed=1, trial=0, engine=engine, path=path, command_line="")
    estimate = trial_bytes(parameters, chosen.phases)
    assert 0.3 * estimate < path.stat().st_size < estimate


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
    assert 0.3 * estimate < path.stat().st_size < min(estimate, PUBLISHED_BYTES)


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


def planned(folder, parameters, names="sleep", seeds=(1, 2, 3), **options):
    rows = tuple(experiment(name, parameters) for name in names.split(","))
    return Plan(rows, parameters, folder, range(seeds[0], seeds[-1] + 1), "pretend", "a test", **options).trials()


def refusal(folder, trials, jobs=1):
    with pytest.raises(RunError) as caught:
        check_space(folder, trials, jobs)
    return str(caught.value)


def megabytes_needed(folder, trials, jobs=1):
    """As the refusal says, on a disk that is full."""
    text = refusal(folder, trials, jobs).partition(": about ")[2].partition(" needed")[0]
    number, unit = text.split()
    return float(number) * {"kB": 0.001, "MB": 1.0, "GB": 1000.0}[unit]


def test_too_little_room_is_said_with_what_to_do(tmp_path, free_bytes):
    asked = free_bytes(2_000_000)
    message = refusal(tmp_path / "new", planned(tmp_path / "new", preset("full")))
    start = f"{tmp_path}/new: about "
    assert message.startswith(start)
    needed, rest = message.removeprefix(start).split(" MB needed for 3 files and the ledger, ")
    assert 2 * 3 * 9 < float(needed) < 2 * 3 * 30
    assert rest == "2.0 MB free; less is needed with fewer trials or fewer snapshots (--snapshots)"
    assert asked == [tmp_path]


def test_what_is_said_is_enough_for_what_is_written(tmp_path, free_bytes):
    free_bytes(0)
    parameters = TINY.with_changes({"phases.training_aeons": 400, "recording.snapshots_per_phase": 40})
    (trial,) = planned(tmp_path, parameters, "task1,sequential", [1])
    estimate = 1e6 * megabytes_needed(tmp_path, [trial])
    (tmp_path / "out").mkdir()
    for row in trial.identity.experiments:
        keeping = Keeping(tmp_path / "out" / FOLDER)
        with HardToCompress(parameters) as engine:
            path = tmp_path / "out" / f"{row.name}.h5"
            run_trial(row, parameters, seed=1, trial=0, engine=engine, path=path, command_line="", keeping=keeping)
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.h5"))
    assert 0.3 * estimate < written < estimate


def test_what_is_in_the_ledger_and_what_is_complete_needs_no_room(tmp_path, free_bytes):
    free_bytes(0)
    parameters = preset("full").with_changes({"phases.scale": 0.001})
    trial, other = planned(tmp_path, parameters, "task1", [1, 2])
    whole = megabytes_needed(tmp_path, [trial])
    with PretendEngine(parameters) as engine:
        options = {"engine": engine, "command_line": "", "keeping": trial.plan.keeping}
        run_trial(trial.identity.experiments[0], parameters, seed=1, trial=0, path=trial.paths[0], **options)
    check_space(tmp_path, [trial])
    assert megabytes_needed(tmp_path, [trial, other]) == whole
    trial.paths[0].unlink()
    assert 0.3 * whole < megabytes_needed(tmp_path, [trial]) < 0.7 * whole


def test_what_experiments_and_points_of_a_sweep_share_is_in_the_ledger_once(tmp_path, free_bytes):
    free_bytes(0)
    parameters = preset("full")
    alone = [megabytes_needed(tmp_path, planned(tmp_path, parameters, name, [1])) for name in ("sequential", "interleaved")]
    together = megabytes_needed(tmp_path, planned(tmp_path, parameters, "sequential,interleaved", [1]))
    assert together < 0.9 * sum(alone)
    points = [
        planned(tmp_path / f"{n}", parameters.with_changes({"sleep.block_epochs": n}), "sleep", [1], ledger=tmp_path / FOLDER)[0]
        for n in (25, 50)
    ]
    assert megabytes_needed(tmp_path, points) < 0.9 * 2 * megabytes_needed(tmp_path, points[:1])


def test_trials_at_the_same_time_need_more_room(tmp_path, free_bytes):
    free_bytes(0)
    trials = planned(tmp_path, preset("full"))
    assert megabytes_needed(tmp_path, trials, 3) > megabytes_needed(tmp_path, trials, 1) + 10


def test_nothing_to_come_needs_no_room(tmp_path, free_bytes):
    free_bytes(0)
    check_space(tmp_path, [], 0)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"recording.positions": True}, "fewer positions (recording.positions, recording.position_window_epochs)"),
        (RECORDING | {"recording.spike_window_epochs": 10_000}, "shorter windows of spikes (recording.spike_window_epochs)"),
        ({"phases.scale": 100.0}, "shorter phases (phases.scale)"),
        (
            {"network.hidden_cells": 5000, "phases.scale": 0.01, "recording.snapshots_per_phase": 1},
            "smaller layers (network.hidden_cells)",
        ),
    ],
)
def test_what_is_largest_is_what_to_lower(tmp_path, free_bytes, changes, advice):
    free_bytes(0)
    message = refusal(tmp_path, planned(tmp_path, preset("full").with_changes(changes), seeds=[1]))
    assert message.endswith(f" needed for 1 file and the ledger, 0 bytes free; less is needed with {advice}")


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
    assert ("complete already" in out, "Task 1" in out, err) == (True, True, "")
    one = refused(capfd, *SHORT, "--seed", "2", "--out", tmp_path / "out", "--resume")
    two = refused(capfd, *command, "--trials", "2", "--resume")
    assert one == two
    assert " needed for 1 file and the ledger, 0 bytes free" in two


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--jobs", "2"]])
def test_complete_trials_on_a_full_disk_are_shown(small_disk, capfd, more):
    command = [*SHORT, "--trials", "2", *more, "--out", str(small_disk / "out")]
    assert main(command) == 0
    printed = capfd.readouterr().out.partition("\n\n")[2]
    fill(small_disk)
    assert main([*command, "--resume"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.endswith(printed)
    assert "complete already" in out
    assert sorted(os.listdir(small_disk / "out")) == [FOLDER, "task1_seed0001.h5", "task1_seed0002.h5"]


def test_a_start_state_saves_the_room_of_the_unsupervised_phase():
    parameters = preset("full")
    chosen = experiment("task1", parameters)
    assert [phase.name for phase in after_start(chosen).phases] == ["T1", "test T1", "test T2"]
    assert trial_bytes(parameters, after_start(chosen).phases) < 0.5 * trial_bytes(parameters, chosen.phases)


# ------------------------------------------------------------------------------------------------------------- snapshots


@pytest.mark.parametrize("command", [["run", "task1"], ["reproduce", "--experiments", "task1", "--trials", "1"]])
def test_snapshots_is_the_number_in_each_phase_that_is_no_test(tmp_path, capfd, monkeypatch, command):
    seen = []
    space = "foraging_snn.commands.running.check_space"
    monkeypatch.setattr(space, lambda out, trials, *_: seen.append(trials[0].identity.parameters) or stop())

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
    ("command", "code"), [(["run", "task1"], 2), (["reproduce", "--experiments", "task1", "--trials", "2", "--jobs", "2"], 1)]
)
def test_a_disk_that_is_filled_during_a_run_stops_it_in_one_line(small_disk, command, code):
    path = small_disk / "out" / "task1_seed0001.h5"
    options = ["--preset", "tiny", "--set", "phases.unsupervised_aeons=20000", "--snapshots", "50", "--out", str(path.parent)]
    options += ["--checkpoint-minutes", "0.02"]
    process = subprocess.Popen([*PROGRAM, *command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not has_begun(path) and process.poll() is None:
        time.sleep(0.2)
    fill(small_disk)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code
    assert "No space left on device" in errors
    assert errors.startswith("foraging-snn: ")
    assert errors.count("\n") == (1 if code == 2 else 2)
    trial = Trial(path)
    assert not trial.complete
    assert trial.counts(0).counts["epochs"].sum() == trial.phases[0].epochs_done

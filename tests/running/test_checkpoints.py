"""Checkpoints: a trial that was cut off and gone on with is the one that was not; nothing that was on disk is lost."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from pretend_engine import PretendEngine
from trial_contents import contents, differences

from foraging_snn.commands.cli import main
from foraging_snn.files import writer
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import Trial
from foraging_snn.files.writer import TrialWriter
from foraging_snn.models import engine_class, preset
from foraging_snn.protocols import experiments
from foraging_snn.running import checkpoints as module
from foraging_snn.running import claims, resuming
from foraging_snn.running.checkpoints import CheckpointError, TrialCheckpoints, locked, sequences_of_steps
from foraging_snn.running.resuming import ResumeError, complete_files, look_at_trial, notes_of_versions, output_folder
from foraging_snn.running.trial import RunError, identity_of, run_experiments, trial_path
from foraging_snn.running.trunk import Listener, Pace, Stopped

ALWAYS = 1e-9  # minutes between checkpoints: one after every piece
SEED = 3
SHORT = {"phases.unsupervised_aeons": 2, "phases.training_aeons": 3, "phases.retraining_aeons": 3, "phases.interleaved_aeons": 3}
WINDOWS = {"recording.windows": 3, "recording.spike_window_epochs": 30, "recording.position_window_epochs": 70}
SMALL = preset("tiny").with_changes(SHORT | WINDOWS | {"network.hidden_cells": 20})
TINY = preset("tiny").with_changes(WINDOWS)


class StopsEvery(Listener):
    """Stops a trial at the k-th time it is asked."""

    def __init__(self, k):
        self.left = k

    def stop_wanted(self):
        self.left -= 1
        return self.left == 0


class StopsIn(Listener):
    """Stops a trial in a phase of an experiment, when so many of its epochs were heard."""

    def __init__(self, experiment, phase, epochs):
        self.place = (experiment, phase)
        self.epochs_wanted = epochs
        self.resumed_at = []
        self.phases = []

    def resumed(self, epochs):
        self.resumed_at.append(epochs)

    def experiment(self, experiment):
        self._experiment = experiment.name

    def begin(self, phase, recorded):
        self._here, self._heard = (self._experiment, phase.name), 0
        self.phases.append(phase.name)

    def epochs(self, records):
        self._heard += len(records)

    def stop_wanted(self):
        return self._here == self.place and self._heard >= self.epochs_wanted


class Trials:
    """Runs trials of some experiments into folders; the whole one is run once."""

    def __init__(self, parameters, engine, names):
        self.parameters, self.engine, self.names = parameters, engine, names
        self.rows = [experiments(parameters)[name] for name in names]
        self.identity = identity_of(self.rows, parameters, SEED, engine.name, None)

    def paths(self, folder):
        return [trial_path(folder, name, SEED) for name in self.names]

    def run(self, folder, listener=None, minutes=ALWAYS, **changes):
        folder.mkdir(exist_ok=True)
        options = {"engine": self.engine, "trial": 0, "command_line": "a test", "progress": listener} | changes
        paths = self.paths(folder)
        run_experiments(self.rows, self.parameters, seed=SEED, paths=paths, checkpoint_minutes=minutes, **options)
        return paths

    def run_to_the_end(self, folder, listeners):
        """Run with one listener after the other until the trial is complete; how often it was stopped."""
        for stops, listener in enumerate(listeners):
            try:
                self.run(folder, listener)
            except Stopped:
                continue
            return stops
        raise AssertionError("it did not come to its end")

    def checkpoints(self, folder):
        return TrialCheckpoints(folder, self.identity)


def assert_same(trials, folder, whole):
    for path, expected in zip(trials.paths(folder), trials.paths(whole), strict=True):
        assert differences(path, expected) == []
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in trials.paths(folder))


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    """Experiments that share beginnings and one that needs a branch for its rates, and a folder with the whole trial."""
    trials = Trials(SMALL, PretendEngine(SMALL), ["task1", "sequential", "naive-sleep"])
    whole = tmp_path_factory.mktemp("whole")
    trials.run(whole, minutes=None)
    return trials, whole


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Pieces whose ends are not those of aeons, whatever the speed of this machine."""
    monkeypatch.setattr(Pace, "piece", lambda pace, left: min(left, 130))


@pytest.fixture(scope="module")
def stopped(pretended, tmp_path_factory):
    trials, _ = pretended
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Pace, "piece", lambda pace, left: min(left, 130))
        trials.run(folder, StopsIn("sequential", "T2", 260))
    return folder


@pytest.fixture
def cut_off(stopped, tmp_path):
    """Folder of a trial stopped in the second training of its second experiment, after 260 of 300 epochs."""
    return shutil.copytree(stopped, tmp_path / "cut")


# ---------------------------------------------------------------------------------------------------- going on where it was


def test_checkpoints_change_nothing_and_go_when_the_trial_is_complete(pretended, tmp_path):
    trials, whole = pretended
    trials.run(tmp_path / "kept")
    assert_same(trials, tmp_path / "kept", whole)


def test_a_checkpoint_names_where_the_trial_is(pretended, cut_off):
    trials, _ = pretended
    checkpoint, damaged = trials.checkpoints(cut_off).newest()
    steps = sequences_of_steps(trials.rows)[checkpoint.position.sequence]
    assert damaged == []
    assert (checkpoint.position.experiment, checkpoint.position.steps_done) == (1, 4)
    assert [step.name for step in steps] == ["unsupervised", "T1", "test T1", "test T2", "T2"]
    assert checkpoint.state.phase_epoch == 260
    assert checkpoint.position.epochs == 200 + 300 + 100 + 100 + 260
    assert Trial(checkpoint.file).phases[-1].epochs_done == 260


def test_a_stopped_trial_leaves_a_readable_file_and_goes_on_to_the_same_end(pretended, cut_off):
    trials, whole = pretended
    trial = Trial(trials.paths(cut_off)[1])
    assert (trial.complete, trial.phases[-1].epochs_done) == (False, 260)
    assert trial.is_whole()
    listener = StopsIn("", "", 0)
    trials.run(cut_off, listener)
    assert listener.resumed_at == [960]
    assert listener.phases == ["T2", "test T1", "test T2", "T2", "I(S,T1)", "test T1", "test T2"]  # T2 again for its rates
    assert_same(trials, cut_off, whole)


@pytest.mark.parametrize(
    "place",
    [
        ("task1", "unsupervised", 130),
        ("task1", "T1", 300),  # between two phases
        ("task1", "test T2", 100),  # between two experiments
        ("naive-sleep", "T2", 130),  # in the branch that is run for its rates
        ("naive-sleep", "T2", 300),  # at its end
        ("naive-sleep", "test T2", 100),  # after everything
    ],
)
def test_wherever_a_trial_stops_it_goes_on_to_the_same_end(pretended, tmp_path, place):
    trials, whole = pretended
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn(*place))
    trials.run(tmp_path / "cut")
    assert_same(trials, tmp_path / "cut", whole)


def test_a_trial_may_stop_at_every_piece(pretended, tmp_path):
    trials, whole = pretended
    stops = trials.run_to_the_end(tmp_path / "cut", (StopsEvery(1) for _ in range(1000)))
    assert stops == 20  # pieces: 2 of the unsupervised phase, 3 of every training, 1 of every test
    assert_same(trials, tmp_path / "cut", whole)


def test_a_branch_state_that_was_lost_is_computed_again(pretended, tmp_path):
    trials, whole = pretended
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("naive-sleep", "T2", 130))
    (state,) = trials.checkpoints(tmp_path / "cut").folder.glob("state_*.h5")
    state.write_bytes(state.read_bytes()[:3000])
    listener = StopsIn("", "", 0)
    trials.run(tmp_path / "cut", listener)
    assert listener.phases[:2] == ["unsupervised", "T2"]  # T2 goes on; its beginning is there
    assert_same(trials, tmp_path / "cut", whole)


def test_trials_that_are_complete_are_not_run_again(pretended, tmp_path):
    trials, whole = pretended
    shutil.copytree(whole, tmp_path / "done")
    trials.engine.runs.clear()
    trials.run(tmp_path / "done")
    assert trials.engine.runs == []
    assert_same(trials, tmp_path / "done", whole)


def test_a_file_that_was_completed_after_the_checkpoint_is_kept(pretended, tmp_path):
    """The checkpoints in which it is complete were lost."""
    trials, whole = pretended
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("task1", "T1", 130))
    path, complete = trials.paths(tmp_path / "cut")[0], trials.paths(whole)[0]
    shutil.copy(complete, path)
    written = path.stat().st_mtime_ns
    trials.run(tmp_path / "cut")
    assert_same(trials, tmp_path / "cut", whole)
    assert path.stat().st_mtime_ns == written


def test_experiments_are_added_to_those_that_are_complete(pretended, tmp_path):
    trials, whole = pretended
    (tmp_path / "more").mkdir()
    for path in trials.paths(whole)[:1]:
        shutil.copy(path, tmp_path / "more")
    trials.run(tmp_path / "more")
    assert_same(trials, tmp_path / "more", whole)


def test_a_file_is_gone_on_with_only_where_it_ends(pretended, cut_off):
    trials, _ = pretended
    found, _ = trials.checkpoints(cut_off).newest()
    found.restore(trials.paths(cut_off)[1])
    writer = TrialWriter.continuing(trials.paths(cut_off)[1], parameters=SMALL, seed=SEED)
    training, test = trials.rows[1].phases[4:6]
    with writer:
        with pytest.raises(ValueError, match="epoch 260 of phase test T1 is not where it ends"):
            writer.continue_phase(test, found.state)
        found.state.phase_epoch += 1
        with pytest.raises(ValueError, match="epoch 261 of phase T2 is not where it ends"):
            writer.continue_phase(training, found.state)


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    with engine_class("event")(TINY) as engine:
        trials = Trials(TINY, engine, ["task1", "naive-sleep"])
        whole = tmp_path_factory.mktemp("whole")
        trials.run(whole, minutes=None)
        yield trials, whole


def test_the_event_engine_goes_on_bit_for_bit(event, tmp_path):
    trials, whole = event
    stops = trials.run_to_the_end(tmp_path / "cut", (StopsEvery(2) for _ in range(100)))
    assert stops == 8  # twice in the longer phases, at the ends of others
    assert_same(trials, tmp_path / "cut", whole)


def test_the_compiled_brian2_engine_goes_on_bit_for_bit(tmp_path):
    parameters = TINY.with_changes({"phases.scale": 0.25})
    with engine_class("brian2")(parameters) as engine:
        trials = Trials(parameters, engine, ["task1"])
        trials.run(tmp_path / "whole", minutes=None)
        with pytest.raises(Stopped):
            trials.run(tmp_path / "cut", StopsIn("task1", "T1", 40))
    with engine_class("brian2")(parameters) as trials.engine:
        trials.run(tmp_path / "cut")
    assert_same(trials, tmp_path / "cut", tmp_path / "whole")


# ------------------------------------------------------------------------------------------------------------------ kill -9


def killed_at_random(trials, folder, generator, seconds):
    """Run a trial in a process of its own that is killed after a random time; whether it was."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            trials.run(folder, minutes=0.05 / 60)
            code = 0
        finally:
            os._exit(code)
    time.sleep(generator.uniform(0, seconds))
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def go_through_kills(trials, whole, folder, kills):
    """Kill and resume, trial after trial, so many times; compare every trial that comes to its end."""
    generator, killed, ended, torn = random.Random(5), 0, 0, 0
    began = time.monotonic()
    trials.run(folder / "timed")
    seconds = time.monotonic() - began
    while killed < kills or ended == 0:
        current = folder / f"{ended}"
        if killed == kills:
            trials.run(current)
        elif killed_at_random(trials, current, generator, seconds):
            killed += 1
        else:
            seconds *= 0.8  # the machine has become faster
        outlook = look_at_trial(trials.identity, trials.paths(current))
        assert outlook.refusals == []
        torn += len(outlook.notes)
        if outlook.is_complete:
            trials.run(current)  # removes checkpoints if that was what was cut off
            assert_same(trials, current, whole)
            ended += 1
    print(f"{killed} kills, {ended} trials, {torn} torn files")
    return ended


def test_a_trial_killed_at_random_moments_goes_on_to_the_same_end(event, tmp_path):
    trials, whole = event
    assert go_through_kills(trials, whole, tmp_path, kills=5) >= 1


@pytest.mark.slow
def test_trials_killed_at_fifty_random_moments_go_on_to_the_same_end(event, tmp_path):
    trials, whole = event
    assert go_through_kills(trials, whole, tmp_path, kills=50) >= 5


def test_a_copy_that_was_cut_off_is_cleared_away(pretended, cut_off):
    trials, whole = pretended
    (cut_off / ".sequential_seed0003.h5.123.part").write_bytes(b"half of it")
    (trials.checkpoints(cut_off).folder / "000099.part").mkdir()
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


# ------------------------------------------------------------------------------------------------------------ torn and damaged


def generations(trials, folder):
    return sorted(path for path in trials.checkpoints(folder).folder.iterdir() if path.is_dir())


def test_two_checkpoints_are_kept(pretended, cut_off):
    trials, _ = pretended
    assert len(generations(trials, cut_off)) == 2


@pytest.mark.parametrize("name", ["checkpoint.h5", "trial.h5"])
@pytest.mark.parametrize("damage", ["truncated", "one bit", "missing", "zeros"])
def test_a_torn_checkpoint_is_said_and_the_one_before_it_used(pretended, cut_off, name, damage):
    trials, whole = pretended
    torn = generations(trials, cut_off)[-1] / name
    image = bytearray(torn.read_bytes())
    image[len(image) // 2] ^= 1
    damaged = {"truncated": image[: len(image) // 2], "one bit": image, "zeros": bytes(len(image))}
    torn.unlink() if damage == "missing" else torn.write_bytes(damaged[damage])
    outlook = look_at_trial(trials.identity, trials.paths(cut_off))
    assert outlook.refusals == []
    assert len(outlook.notes) == 1
    assert outlook.notes[0].startswith(f"{torn}: ")
    assert outlook.notes[0].endswith("; gone on from the checkpoint before it")
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


def test_a_file_begun_after_the_checkpoint_that_is_left_is_begun_anew(pretended, tmp_path):
    trials, whole = pretended
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("sequential", "T2", 0))
    shutil.rmtree(generations(trials, tmp_path / "cut")[-1])  # so that the one before it is the newest
    first = generations(trials, tmp_path / "cut")[-1]
    (first.with_name("000099")).mkdir()  # torn
    trials.run(tmp_path / "cut")
    assert_same(trials, tmp_path / "cut", whole)


def test_without_a_whole_checkpoint_nothing_is_touched(pretended, cut_off):
    trials, _ = pretended
    for path in generations(trials, cut_off):
        (path / "checkpoint.h5").write_bytes(b"torn")
    before = contents(trials.paths(cut_off)[1])
    with pytest.raises(ResumeError, match="checkpoint.h5: not an HDF5 file"), open_folder(trials, cut_off, resume=True):
        pass
    with pytest.raises(RecordingError, match="exists already and is not overwritten"):
        trials.run(cut_off)
    assert contents(trials.paths(cut_off)[1]) == before


@pytest.mark.parametrize("damage", ["truncated", "columns of different lengths"])
def test_a_torn_file_is_said_and_replaced_by_its_copy(pretended, cut_off, damage):
    trials, whole = pretended
    torn = trials.paths(cut_off)[1]
    if damage == "truncated":
        os.truncate(torn, torn.stat().st_size // 2)
    else:
        with h5py.File(torn, "r+") as file:
            file["aeons/eaten"].resize(len(file["aeons/eaten"]) - 1, axis=0)
    outlook = look_at_trial(trials.identity, trials.paths(cut_off))
    assert outlook.notes == [f"{torn}: damaged or truncated; replaced by its copy in the checkpoint"]
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


def test_a_file_that_is_only_behind_is_replaced_without_a_word(pretended, cut_off):
    trials, _ = pretended
    outlook = look_at_trial(trials.identity, trials.paths(cut_off))
    assert (outlook.is_complete, outlook.refusals, outlook.notes) == (False, [], [])


def test_a_checkpoint_of_another_version_is_refused(pretended, cut_off):
    trials, _ = pretended
    path = generations(trials, cut_off)[-1] / "checkpoint.h5"
    with h5py.File(path, "r+") as file:
        file.attrs.modify("format_version", np.int64(2))
    for attempt in (lambda: look_at_trial(trials.identity, trials.paths(cut_off)), lambda: trials.run(cut_off)):
        with pytest.raises(CheckpointError, match="checkpoint of version 2; this version of foraging_snn goes on from version 1"):
            attempt()


# -------------------------------------------------------------------------------------------------------- what does not fit


def open_folder(trials, folder, resume):
    return output_folder(folder, [(trials.identity, trials.paths(folder))], resume)


def test_a_trial_that_was_run_differently_is_refused_with_what_differs(pretended, cut_off, tmp_path):
    trials, _ = pretended
    changed = SMALL.with_changes({"reward.asleep": 0.25, "recording.windows": 2})
    other = Trials(changed, PretendEngine(changed), trials.names)
    with pytest.raises(ResumeError) as refusal, open_folder(other, cut_off, resume=True):
        pass
    path = trials.paths(cut_off)[0]
    assert refusal.value.lines[:2] == [
        f"{path}: run differently (there, now): reward.asleep: 0.5, 0.25",
        f"{path}: run differently (there, now): recording.windows: 3, 2",
    ]
    with pytest.raises(
        CheckpointError, match="of a trial that was run differently: reward.asleep: 0.5, 0.25; recording.windows: 3, 2"
    ):
        other.run(cut_off)


def test_other_experiments_and_engines_are_refused(pretended, tmp_path):
    trials, _ = pretended
    with pytest.raises(Stopped):
        trials.run(tmp_path, StopsIn("task1", "unsupervised", 130))
    other = Trials(SMALL, PretendEngine(SMALL), ["task1", "task2"])
    other.identity = identity_of(other.rows, SMALL, SEED, "abacus", None)
    path = trials.paths(tmp_path)[0]
    assert look_at_trial(other.identity, other.paths(tmp_path)).refusals == [
        f"{path}: run differently (there, now): engine: pretend, abacus"
    ]
    path.unlink()
    folder = tmp_path / "checkpoints" / "seed0003"
    assert look_at_trial(other.identity, other.paths(tmp_path)).refusals == [
        f"{folder}: run differently (there, now): experiments: task1, sequential, naive-sleep, task1, task2",
        f"{folder}: run differently (there, now): engine: pretend, abacus",
    ]


def test_an_incomplete_file_without_a_checkpoint_is_left_alone(pretended, cut_off):
    trials, _ = pretended
    shutil.rmtree(cut_off / "checkpoints")
    with pytest.raises(ResumeError) as refusal, open_folder(trials, cut_off, resume=True):
        pass
    path = trials.paths(cut_off)[1]
    assert refusal.value.lines == [f"{path}: incomplete or damaged, and there is no checkpoint to go on from; move it away"]


def test_without_resume_a_trial_under_way_is_refused_and_the_way_on_named(pretended, cut_off):
    trials, _ = pretended
    refusal = pytest.raises(ValueError, match="task1_seed0003.h5: exists already .* go on with it with --resume")
    with refusal, open_folder(trials, cut_off, resume=False):
        pass
    assert len(generations(trials, cut_off)) == 2


def test_complete_files_need_nothing_of_their_folder(pretended, tmp_path):
    trials, whole = pretended
    pair = [(trials.identity, trials.paths(whole))]
    complete = complete_files(pair)
    assert complete == set(trials.paths(whole))
    with output_folder(tmp_path / "not made", [(trials.identity, list(complete))], True, complete) as outlooks:
        assert [outlook.is_complete for outlook in outlooks] == [True]
    assert not (tmp_path / "not made").exists()
    changed = SMALL.with_changes({"reward.asleep": 0.25})
    other = identity_of(Trials(changed, PretendEngine(changed), trials.names).rows, changed, SEED, "pretend", None)
    assert complete_files([(other, trials.paths(whole))]) == set()


# ------------------------------------------------------------------------------------------------------------ other versions


def of_version(monkeypatch, version, commit):
    """From now on this is another foraging_snn."""

    def provenance_then(engine, command_line):
        return provenance(engine, command_line) | {"package": version, "git_commit": commit}

    for place in (writer, resuming):
        monkeypatch.setattr(place, "provenance", provenance_then)
    return version_and_commit(provenance_then("", ""))


def test_a_file_tells_which_versions_computed_it(pretended, tmp_path, monkeypatch):
    trials, whole = pretended
    first = of_version(monkeypatch, "0.0.1", "abc")
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("sequential", "T2", 130))
    outlook = look_at_trial(trials.identity, trials.paths(tmp_path / "cut"))
    assert notes_of_versions([outlook]) == []
    second = of_version(monkeypatch, "0.0.1", "def")
    outlook = look_at_trial(trials.identity, trials.paths(tmp_path / "cut"))
    assert notes_of_versions([outlook, outlook]) == [
        "2 trials begun by foraging_snn 0.0.1 (abc), gone on with by 0.0.1 (def); the files name both"
    ]
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("sequential", "T2", 130))  # further ones
    third = of_version(monkeypatch, "0.0.2", "")
    trials.run(tmp_path / "cut")
    task1, sequential, naive = (Trial(path) for path in trials.paths(tmp_path / "cut"))
    assert (first, second, third) == ("0.0.1 (abc)", "0.0.1 (def)", "0.0.2")
    assert task1.versions == (first,)
    assert "other_versions" not in task1.provenance
    assert sequential.versions == (first, second, third)
    assert sequential.provenance["other_versions"] == "0.0.1 (def), 0.0.2"
    assert naive.versions == (third, first, second)  # its unsupervised phase was taken from the file before it
    of_provenance = {f"provenance@{name}" for name in ("package", "git_commit", "other_versions")}
    for path, expected in zip(trials.paths(tmp_path / "cut"), trials.paths(whole), strict=True):
        assert set(differences(path, expected)) <= of_provenance


def test_resuming_with_another_version_is_said_in_one_line(tmp_path, capfd):
    command = ["run", "task1", "--preset", "tiny", "--set", "phases.scale=0.25", "--out", str(tmp_path)]
    with pytest.MonkeyPatch.context() as earlier:
        first = of_version(earlier, "0.0.1", "abc")
        assert main([*command, "--max-hours", "1e-9"]) == 3
    capfd.readouterr()
    assert main([*command, "--resume"]) == 0
    now = version_and_commit(provenance("", ""))
    note = f"foraging-snn: 1 trial begun by foraging_snn {first}, gone on with by {now}; the files name both\n"
    assert capfd.readouterr().err == note
    assert Trial(tmp_path / "task1_seed0000.h5").versions == (first, now)
    assert main([*command, "--resume"]) == 0  # complete: nothing is gone on with
    assert capfd.readouterr().err == ""


def test_the_version_that_began_a_torn_file_is_that_of_its_copy(pretended, cut_off, monkeypatch):
    trials, _ = pretended
    torn = trials.paths(cut_off)[1]
    os.truncate(torn, torn.stat().st_size // 2)
    trials.paths(cut_off)[0].unlink()
    outlook = look_at_trial(trials.identity, trials.paths(cut_off))
    assert outlook.begun_by == {version_and_commit(provenance("", ""))}


# ------------------------------------------------------------------------------------------------------------------- locks


HOLDS_A_LOCK = """
import sys, time
from pathlib import Path
from foraging_snn.running.checkpoints import locked
with locked(Path(sys.argv[1]), "here"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_process_that_locks_the_whole_folder_keeps_others_out(pretended, tmp_path, monkeypatch):
    """As earlier versions did as long as they ran; now that takes no longer than to see who else is there."""
    trials, _ = pretended
    monkeypatch.setattr(claims, "FOLDER_PATIENCE_SECONDS", 0.2)
    command = [sys.executable, "-c", HOLDS_A_LOCK, str(tmp_path / module.LOCK_NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(CheckpointError) as refusal, open_folder(trials, tmp_path, resume=False):
            pass
        assert str(refusal.value).startswith(f"{tmp_path}: in use by process {holder.pid} on ")
        holder.kill()  # the file stays, the lock does not
    assert (tmp_path / module.LOCK_NAME).exists()
    with open_folder(trials, tmp_path, resume=False):
        assert not (tmp_path / module.LOCK_NAME).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_goes_from_hand_to_hand_is_waited_for(tmp_path, monkeypatch):
    path, take, holders = tmp_path / "lock", module._take, iter(range(10))

    def taken_by_ten_others_before(path):
        holder = next(holders, None)
        return take(path) if holder is None else path.write_text(f"process {holder} on here") and None

    monkeypatch.setattr(module, "_take", taken_by_ten_others_before)
    monkeypatch.setattr(module, "LOCK_POLL_SECONDS", 0.1)
    with locked(path, "here", patience_seconds=0.5):  # ten times that poll is longer
        assert str(os.getpid()) in path.read_text()
    monkeypatch.setattr(module, "_take", lambda path: None)
    path.write_text("process 9 on here")
    with pytest.raises(CheckpointError, match="here: in use by process 9 on here; two runs"), locked(path, "here", 0.1):
        pass


def test_two_processes_do_not_run_one_trial(pretended, cut_off, monkeypatch):
    trials, _ = pretended
    monkeypatch.setattr(module, "LOCK_PATIENCE_SECONDS", 0.0)
    before = contents(trials.paths(cut_off)[1])
    with trials.checkpoints(cut_off).locked(), pytest.raises(CheckpointError, match="two runs cannot write to one place"):
        trials.run(cut_off)
    assert contents(trials.paths(cut_off)[1]) == before


def test_a_lock_is_free_again_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path / "lock", "here"):
            raise KeyError
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------------------------------- disks that do not take it


def test_a_disk_that_fills_up_while_a_checkpoint_is_written(pretended, cut_off):
    """A limit on the size of files stands for the full disk."""
    trials, whole = pretended
    before = {path: path.read_bytes() for path in generations(trials, cut_off)[-1].iterdir()}
    checkpoints = trials.checkpoints(cut_off)
    found, _ = checkpoints.newest()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        with pytest.raises(CheckpointError) as refusal:
            checkpoints.save(found.position, found.state, {}, trials.paths(cut_off)[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    folder = checkpoints.folder
    assert str(refusal.value) == f"{folder}: a checkpoint cannot be written: File too large; the one before it remains"
    assert {path: path.read_bytes() for path in generations(trials, cut_off)[-1].iterdir()} == before
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("mount"), reason="cannot make a read-only folder here")
def test_a_folder_that_cannot_be_written_to(pretended, cut_off):
    trials, _ = pretended
    folder = trials.checkpoints(cut_off).folder
    with read_only(folder), pytest.raises(CheckpointError) as refusal:
        trials.run(cut_off)
    assert str(refusal.value).startswith(f"{folder}: a checkpoint cannot be written: ")
    assert "\n" not in str(refusal.value)
    refusal = pytest.raises(RunError, match=f"^{cut_off}: cannot be written to: ")
    with read_only(cut_off), refusal, open_folder(trials, cut_off, resume=True):
        pass
    trials.run(cut_off)


@contextmanager
def read_only(folder):
    """Nobody can write to a folder; root only if it is mounted so."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    bound = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True)
    if bound.returncode:
        pytest.skip("cannot mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)

"""A trial that was cut off and gone on with is the one that was not; nothing that was on disk is lost."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from pretend_engine import PretendEngine
from trial_contents import contents, differences

from foraging_snn.commands.cli import main
from foraging_snn.commands.running import prepared
from foraging_snn.files import writer
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import Trial
from foraging_snn.models import engine_class, preset
from foraging_snn.protocols import experiments
from foraging_snn.running import existing
from foraging_snn.running import ledger as module
from foraging_snn.running.errors import LedgerError, RunError
from foraging_snn.running.existing import ResumeError, notes_of_versions
from foraging_snn.running.locks import FOLDER, OF_WORKER, locked
from foraging_snn.running.plan import Plan
from foraging_snn.running.trial import Keeping, Listener, Pace, Stopped, run_experiments

pytestmark = pytest.mark.slow

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

    def __init__(self, experiment="", phase="", epochs=0):
        self.place = (experiment, phase)
        self.epochs_wanted = epochs
        self.epochs_found = 0
        self.phases = []
        self.notes = []

    def found(self, epochs):
        self.epochs_found += epochs

    def note(self, line):
        self.notes.append(line)

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
        self.rows = tuple(experiments(parameters)[name] for name in names)

    def planned(self, folder, **changes):
        options = {"seeds": range(SEED, SEED + 1), "engine": self.engine.name, "command_line": "a test"} | changes
        (trial,) = Plan(self.rows, self.parameters, folder, **options).trials()
        return trial

    def paths(self, folder):
        return self.planned(folder).paths

    def run(self, folder, listener=None, keeping=True, others=()):
        folder.mkdir(exist_ok=True)
        run_experiments(
            self.rows,
            self.parameters,
            seed=SEED,
            trial=0,
            engine=self.engine,
            paths=self.paths(folder),
            command_line="a test",
            progress=listener,
            keeping=Keeping(folder / FOLDER, ALWAYS, others) if keeping else None,
        )
        return self.paths(folder)

    def run_to_the_end(self, folder, listeners):
        """Run with one listener after the other until the trial is complete; how often it was stopped."""
        for stops, listener in enumerate(listeners):
            try:
                self.run(folder, listener)
            except Stopped:
                continue
            return stops
        raise AssertionError("it did not come to its end")

    def look(self, folder, resume=True):
        return self.planned(folder).look(resume)

    def segments(self, folder):
        """Those of the trial, as (name of the phase, start, end), and their files."""
        found = {}
        for path in sorted((folder / FOLDER / f"seed{SEED:04d}").iterdir()):
            with h5py.File(path) as file:
                steps = file.attrs["description"].decode().splitlines()
                name = next(p.name for row in self.rows for p in row.phases if repr(p) == steps[-1])
                found.setdefault((name, int(file.attrs["start"]), int(file.attrs["end"])), path)
        return found


def assert_same(trials, folder, whole):
    """Complete files that hold the same; in the ledger nothing but a segment for each phase."""
    for path, expected in zip(trials.paths(folder), trials.paths(whole), strict=True):
        assert [name for name in differences(path, expected) if not name.endswith("@key")] == []
    assert sorted(path.name for path in folder.iterdir()) == sorted([FOLDER, *(path.name for path in trials.paths(folder))])
    assert [path.name for path in (folder / FOLDER).iterdir()] == [f"seed{SEED:04d}"]
    kept = list((folder / FOLDER).glob("*/*"))
    assert len(kept) == len(trials.planned(folder).identity.phases)
    assert all("-0-" in path.name and path.suffix == ".h5" for path in kept)


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    """Experiments that share beginnings and one that needs a branch for its rates, and a folder with the whole trial."""
    trials = Trials(SMALL, PretendEngine(SMALL), ["task1", "sequential", "naive-sleep"])
    whole = tmp_path_factory.mktemp("whole")
    trials.run(whole, keeping=False)
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


def test_a_ledger_changes_nothing_and_holds_each_phase_once(pretended, tmp_path):
    trials, whole = pretended
    trials.run(tmp_path / "kept")
    assert_same(trials, tmp_path / "kept", whole)
    assert sorted(trials.segments(tmp_path / "kept")) == [
        ("I(S,T1)", 0, 300),
        ("T1", 0, 300),
        ("T2", 0, 300),
        ("test T1", 0, 100),
        ("test T2", 0, 100),
        ("unsupervised", 0, 200),
    ]


def test_a_stopped_trial_leaves_what_it_did_in_segments(pretended, cut_off):
    trials, _ = pretended
    assert sorted(trials.segments(cut_off)) == [
        ("T1", 0, 300),
        ("T2", 0, 130),
        ("T2", 130, 260),
        ("test T1", 0, 100),
        ("test T2", 0, 100),
        ("unsupervised", 0, 200),
    ]
    there = trials.look(cut_off)
    assert (there.epochs, there.refusals, there.notes) == (200 + 300 + 100 + 100 + 260, [], [])


def test_a_stopped_trial_leaves_a_readable_file_and_goes_on_to_the_same_end(pretended, cut_off):
    trials, whole = pretended
    trial = Trial(trials.paths(cut_off)[1])
    assert (trial.complete, trial.phases[-1].epochs_done) == (False, 260)
    assert trial.ended
    assert trial.counts(3).counts["epochs"].tolist() == [100]
    assert trial.counts(4).counts["epochs"].tolist() == [100, 100, 60]
    listener = StopsIn()
    trials.run(cut_off, listener)
    assert listener.epochs_found == 960
    assert listener.phases == ["T2", "test T1", "test T2", "T2", "I(S,T1)", "test T1", "test T2"]  # T2 of another length, for rates
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


def test_trials_that_are_complete_are_not_run_again(pretended, tmp_path):
    trials, whole = pretended
    shutil.copytree(whole, tmp_path / "done")
    trials.engine.runs.clear()
    listener = StopsIn()
    trials.run(tmp_path / "done", listener)
    assert trials.engine.runs == []
    assert listener.epochs_found == trials.planned(whole).plan.epochs
    for path, expected in zip(trials.paths(tmp_path / "done"), trials.paths(whole), strict=True):
        assert path.read_bytes() == expected.read_bytes()


def test_a_file_that_is_complete_is_kept_whatever_the_ledger_holds(pretended, tmp_path):
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
    assert_same_files(trials, tmp_path / "more", whole)


def assert_same_files(trials, folder, whole):
    for path, expected in zip(trials.paths(folder), trials.paths(whole), strict=True):
        assert [name for name in differences(path, expected) if not name.endswith("@key")] == []


def test_all_files_are_assembled_from_the_ledger_without_an_epoch_being_run(pretended, tmp_path):
    trials, whole = pretended
    trials.run(tmp_path / "done")
    for path in trials.paths(tmp_path / "done"):
        path.unlink()
    trials.engine.runs.clear()
    listener = StopsIn()
    trials.run(tmp_path / "done", listener)
    assert trials.engine.runs == []
    assert listener.epochs_found == trials.planned(whole).plan.epochs
    assert_same(trials, tmp_path / "done", whole)


def test_what_is_in_the_ledger_of_another_folder_is_not_computed(pretended, cut_off, tmp_path):
    trials, whole = pretended
    before = {path: path.read_bytes() for path in cut_off.rglob("*.h5")}
    listener = StopsIn()
    trials.run(tmp_path / "new", listener, others=(tmp_path / "none", cut_off / FOLDER))
    assert listener.epochs_found == 960
    assert listener.phases[0] == "T2"
    assert_same_files(trials, tmp_path / "new", whole)
    assert {path: path.read_bytes() for path in cut_off.rglob("*.h5")} == before
    assert ("T2", 0, 300) in trials.segments(tmp_path / "new")


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    with engine_class("event")(TINY) as engine:
        trials = Trials(TINY, engine, ["task1", "naive-sleep"])
        whole = tmp_path_factory.mktemp("whole")
        trials.run(whole, keeping=False)
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
        trials.run(tmp_path / "whole", keeping=False)
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
            trials.run(folder)
            code = 0
        finally:
            os._exit(code)
    time.sleep(generator.uniform(0, seconds))
    os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def go_through_kills(trials, whole, folder, kills, least):
    """Kill and resume, trial after trial, so many times and until so many came to their end; compare every one that does."""
    generator, killed, ended = random.Random(5), 0, 0
    began = time.monotonic()
    trials.run(folder / "timed")
    seconds = time.monotonic() - began
    while killed < kills or ended < least:
        current = folder / f"{ended}"
        if killed >= 3 * kills:  # this machine has become too slow to come to an end between two kills
            trials.run(current)
        elif killed_at_random(trials, current, generator, seconds):
            killed += 1
        else:
            seconds *= 0.8  # the machine has become faster
        there = trials.look(current)
        assert (there.refusals, there.notes) == ([], [])
        if trials.planned(current).is_done():
            trials.run(current)  # clears up if that was what was cut off
            assert_same(trials, current, whole)
            ended += 1
    print(f"{killed} kills, {ended} trials")


def test_a_trial_killed_at_random_moments_goes_on_to_the_same_end(event, tmp_path):
    trials, whole = event
    go_through_kills(trials, whole, tmp_path, kills=5, least=1)


def test_trials_killed_at_a_hundred_random_moments_go_on_to_the_same_end(event, tmp_path):
    trials, whole = event
    go_through_kills(trials, whole, tmp_path, kills=100, least=10)


def test_what_was_half_written_is_cleared_away(pretended, cut_off):
    trials, whole = pretended
    (cut_off / ".sequential_seed0003.h5.123.part").write_bytes(b"half of it")
    (cut_off / FOLDER / "seed0003" / ".task1_seed0003.123.part").write_bytes(b"half of it")
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


# ------------------------------------------------------------------------------------------------------------ torn and damaged


@pytest.mark.parametrize("which", [("T2", 130, 260), ("T2", 0, 130), ("unsupervised", 0, 200), ("test T1", 0, 100)])
@pytest.mark.parametrize("damage", ["truncated", "one bit", "zeros", "of another phase", "of another version"])
def test_a_damaged_segment_is_said_and_its_epochs_are_computed_anew(pretended, cut_off, which, damage):
    trials, whole = pretended
    torn = trials.segments(cut_off)[which]
    image = bytearray(torn.read_bytes())
    with h5py.File(torn) as file:
        place = file["state/hidden_output"].id.get_chunk_info(0).byte_offset
    if damage == "one bit":
        image[place + 10] ^= 1
    if damage == "of another phase":
        image = trials.segments(cut_off)["T1", 0, 300].read_bytes()
    torn.write_bytes({"truncated": image[: len(image) // 2], "zeros": bytes(len(image))}.get(damage, image))
    if damage == "of another version":
        with h5py.File(torn, "r+") as file:
            file.attrs.modify("format_version", np.int64(2))
    listener = StopsIn()
    trials.run(cut_off, listener)
    assert len(listener.notes) == 1
    assert listener.notes[0].startswith(f"{torn}: ")
    assert listener.notes[0].endswith("; its epochs are computed anew")
    assert "\n" not in listener.notes[0]
    assert which[0] in listener.phases
    assert_same(trials, cut_off, whole)


def test_a_segment_that_was_lost_is_computed_anew_without_a_word(pretended, cut_off):
    trials, whole = pretended
    trials.segments(cut_off)["unsupervised", 0, 200].unlink()
    listener = StopsIn()
    trials.run(cut_off, listener)
    assert listener.notes == []
    assert listener.phases[:2] == ["unsupervised", "T2"]  # what follows is there
    assert_same(trials, cut_off, whole)


def test_a_damaged_segment_is_named_on_standard_error(tmp_path, capfd):
    command = ["run", "task1", "--preset", "tiny", "--set", "phases.scale=0.25", "--seed", "3", "--out", str(tmp_path)]
    assert main([*command, "--max-hours", "1e-9"]) == 3
    torn = min(tmp_path.glob(f"{FOLDER}/*/*.h5"))  # of one phase or, where this machine was fast, of several
    os.truncate(torn, 2000)
    capfd.readouterr()
    assert main([*command, "--resume"]) == 0
    err = capfd.readouterr().err
    assert err.startswith(f"foraging-snn: {torn}: truncated or damaged: ")
    assert err.endswith("; its epochs are computed anew\n")
    assert err.count("\n") == 1


def test_a_torn_file_is_said_and_written_anew_from_the_ledger(pretended, cut_off):
    trials, whole = pretended
    torn = trials.paths(cut_off)[1]
    os.truncate(torn, torn.stat().st_size // 2)
    there = trials.look(cut_off)
    assert there.refusals == []
    assert len(there.notes) == 1
    assert there.notes[0].startswith(f"{torn}: truncated or damaged: ")
    assert there.notes[0].endswith("; written anew from the ledger")
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


def test_a_file_that_is_only_behind_is_replaced_without_a_word(pretended, cut_off):
    trials, whole = pretended
    behind = trials.paths(cut_off)[1]
    writer.write_trial(behind, writer.header_of(Trial(behind)), ())
    assert (trials.look(cut_off).refusals, trials.look(cut_off).notes) == ([], [])
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


# -------------------------------------------------------------------------------------------------------- what does not fit


def open_folder(trials, folder, resume):
    return prepared([trials.planned(folder)], folder, 1, resume)


def test_a_trial_that_was_run_differently_is_refused_with_what_differs(pretended, cut_off):
    trials, _ = pretended
    changed = SMALL.with_changes({"reward.asleep": 0.25, "recording.windows": 2})
    other = Trials(changed, PretendEngine(changed), trials.names)
    before = {path: path.read_bytes() for path in cut_off.rglob("*.h5")}
    with pytest.raises(ResumeError) as refusal, open_folder(other, cut_off, resume=True):
        pass
    path = trials.paths(cut_off)[0]
    assert refusal.value.lines[:2] == [
        f"{path}: run differently (there, now): reward.asleep: 0.5, 0.25",
        f"{path}: run differently (there, now): recording.windows: 3, 2",
    ]
    with pytest.raises(RecordingError, match="run differently: reward.asleep: 0.5, 0.25; recording.windows: 3, 2"):
        other.run(cut_off)
    assert {path: path.read_bytes() for path in cut_off.rglob("*.h5")} == before


def test_another_engine_is_refused_and_other_experiments_are_begun_beside(pretended, cut_off):
    trials, _ = pretended
    other = Trials(SMALL, PretendEngine(SMALL), ["task1", "task2"])
    there = other.planned(cut_off, engine="abacus").look(resume=True)
    assert there.refusals == [f"{trials.paths(cut_off)[0]}: run differently (there, now): engine: pretend, abacus"]
    assert other.look(cut_off).refusals == []
    listener = StopsIn()
    other.run(cut_off, listener)
    assert listener.phases == ["T2", "test T1", "test T2"]


def test_an_incomplete_file_of_which_nothing_is_in_the_ledger_is_left_alone(pretended, cut_off):
    trials, _ = pretended
    shutil.rmtree(cut_off / FOLDER)
    incomplete, damaged = trials.paths(cut_off)[1], trials.paths(cut_off)[0]
    os.truncate(damaged, 5000)
    before = contents(incomplete)
    with pytest.raises(ResumeError) as refusal, open_folder(trials, cut_off, resume=True):
        pass
    assert refusal.value.lines == [
        f"{path}: {what}, and nothing of it is in the ledger {cut_off / FOLDER}; move it away to begin anew"
        for path, what in ((damaged, "damaged"), (incomplete, "incomplete"))
    ]
    assert contents(incomplete) == before
    assert damaged.stat().st_size == 5000


def test_what_never_was_a_trial_is_not_overwritten_whatever_the_ledger_holds(pretended, cut_off):
    trials, _ = pretended
    notes = trials.paths(cut_off)[1]
    notes.write_text("my notes")
    assert trials.look(cut_off).refusals == [f"{notes}: not an HDF5 file; it is not overwritten"]
    with pytest.raises(RecordingError, match="exists already and is not overwritten: .*: not an HDF5 file$"):
        trials.run(cut_off)
    assert notes.read_text() == "my notes"


class PutsTogether(StopsIn):
    """While the end of T1 is computed, another process puts the segments of the phase together."""

    def __init__(self, trials, folder, whole):
        super().__init__()
        self._trials, self._folder, self._whole = trials, folder, whole

    def epochs(self, records):
        if (*self._here, self._heard) == ("task1", "T1", 260):
            segments = self._trials.segments(self._folder)
            for span in ((0, 130), (130, 260)):
                segments["T1", *span].unlink()
            path = self._trials.segments(self._whole)["T1", 0, 300]
            shutil.copy(path, self._folder / FOLDER / "seed0003")
        super().epochs(records)


def test_two_processes_may_compute_the_same_phase(pretended, tmp_path):
    trials, whole = pretended
    trials.run(tmp_path / "other")
    trials.run(tmp_path / "out", PutsTogether(trials, tmp_path / "out", tmp_path / "other"))
    assert_same(trials, tmp_path / "out", whole)


def test_without_resume_a_trial_under_way_is_refused_and_the_way_on_named(pretended, cut_off):
    trials, _ = pretended
    trials.paths(cut_off)[0].unlink()
    refusal = pytest.raises(RunError, match="sequential_seed0003.h5: exists already .* go on with it with --resume")
    with refusal, open_folder(trials, cut_off, resume=False):
        pass
    assert len(trials.segments(cut_off)) == 6


def test_complete_files_need_nothing_of_their_folder(pretended, tmp_path):
    trials, whole = pretended
    planned = trials.planned(whole)
    assert planned.is_done()
    with read_only(whole), prepared([planned], whole, 1, resume=True) as to_do:
        assert to_do == []
    changed = SMALL.with_changes({"reward.asleep": 0.25})
    other = Trials(changed, PretendEngine(changed), trials.names).planned(whole)
    assert list(other.missing()) == trials.paths(whole)


# ------------------------------------------------------------------------------------------------------------ other versions


def of_version(monkeypatch, version, commit):
    """From now on this is another foraging_snn."""

    def provenance_then(engine, command_line):
        return provenance(engine, command_line) | {"package": version, "git_commit": commit}

    for place in (writer, existing, module):
        monkeypatch.setattr(place, "provenance", provenance_then)
    return version_and_commit(provenance_then("", ""))


def test_a_file_tells_which_versions_computed_it(pretended, tmp_path, monkeypatch):
    trials, whole = pretended
    first = of_version(monkeypatch, "0.0.1", "abc")
    with pytest.raises(Stopped):
        trials.run(tmp_path / "cut", StopsIn("sequential", "T2", 130))
    assert notes_of_versions([trials.look(tmp_path / "cut")]) == []
    second = of_version(monkeypatch, "0.0.1", "def")
    there = trials.look(tmp_path / "cut")
    assert notes_of_versions([there, there]) == [
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
    assert naive.versions == (third, first)  # its unsupervised phase is that of the files before it
    of_provenance = {f"provenance@{name}" for name in ("package", "git_commit", "other_versions")}
    for path, expected in zip(trials.paths(tmp_path / "cut"), trials.paths(whole), strict=True):
        assert {name for name in differences(path, expected) if not name.endswith("@key")} <= of_provenance


def test_resuming_with_another_version_is_said_in_one_line(tmp_path, capfd):
    command = ["run", "task1", "--preset", "tiny", "--set", "phases.scale=20", "--out", str(tmp_path)]
    with pytest.MonkeyPatch.context() as earlier:
        first = of_version(earlier, "0.0.1", "abc")
        assert main([*command, "--max-hours", "1e-9"]) == 3
    capfd.readouterr()
    assert main([*command, "--resume"]) == 0
    now = version_and_commit(provenance("", ""))
    note = f"foraging-snn: 1 trial begun by foraging_snn {first}, gone on with by {now}; the files name both\n"
    assert capfd.readouterr().err == note
    assert Trial(tmp_path / "task1_seed0001.h5").versions == (first, now)
    assert main([*command, "--resume"]) == 0  # complete: nothing is gone on with
    assert capfd.readouterr().err == ""


def test_other_rules_of_the_models_find_nothing_in_the_ledger(pretended, cut_off, monkeypatch):
    trials, _ = pretended
    monkeypatch.setattr(module, "RESULTS_VERSION", module.RESULTS_VERSION + 1)
    there = trials.look(cut_off)
    assert there.epochs == 0
    assert len(there.refusals) == 1  # the incomplete file


# ------------------------------------------------------------------------------------------------------- folders that change


def test_two_processes_do_not_compute_one_trial(pretended, cut_off, monkeypatch):
    trials, _ = pretended
    monkeypatch.setattr("foraging_snn.running.trial.PATIENCE_SECONDS", 0.0)
    before = {path: path.read_bytes() for path in cut_off.rglob("*.h5")}
    with locked(trials.paths(cut_off)[:1], OF_WORKER), pytest.raises(LedgerError, match="two runs cannot write to one place"):
        trials.run(cut_off)
    assert {path: path.read_bytes() for path in cut_off.rglob("*.h5")} == before


class ReplacesItsFolder(StopsIn):
    """In the second piece of T1, another run takes the place of the folder, and holds its locks."""

    def __init__(self, trials, folder, replaced_by):
        super().__init__()
        self._trials, self._folder, self._by = trials, folder, replaced_by

    def epochs(self, records):
        if self._here == ("task1", "T1") and self._heard and self._folder.exists():
            self._folder.rename(self._folder.with_name("away"))
            if self._by:
                shutil.copytree(self._by, self._folder)
                for name in self._trials.names:
                    (self._folder / FOLDER / f"{name}_seed{SEED:04d}{OF_WORKER}").write_text("another process")
            self._here = None
        super().epochs(records)


@pytest.mark.parametrize("is_there_again", [True, False])
def test_a_run_whose_folder_was_replaced_stops_in_one_line_and_touches_nothing(pretended, stopped, tmp_path, is_there_again):
    trials, _ = pretended
    folder = tmp_path / "out"
    with pytest.raises(LedgerError) as stop:
        trials.run(folder, ReplacesItsFolder(trials, folder, stopped if is_there_again else None))
    assert str(stop.value) == f"{folder / FOLDER}: was removed or replaced while naive-sleep_seed0003.h5 was computed; stopped"
    if not is_there_again:
        assert not folder.exists()
        return
    for path in (path for path in stopped.rglob("*.h5")):
        assert (folder / path.relative_to(stopped)).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in (folder / FOLDER).glob("*.lock")) == sorted(
        f"{name}_seed{SEED:04d}{OF_WORKER}" for name in trials.names
    )


# ----------------------------------------------------------------------------------------------------- disks that do not take it


def test_a_disk_that_fills_up_while_a_segment_is_written(pretended, cut_off):
    """A limit on the size of files stands for the full disk."""
    trials, whole = pretended
    before = {path: path.read_bytes() for path in cut_off.rglob("*.h5")}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        with pytest.raises((LedgerError, RecordingError)) as refusal:
            trials.run(cut_off)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    place = {LedgerError: cut_off / FOLDER / "seed0003", RecordingError: cut_off / "sequential_seed0003.h5"}[refusal.type]
    assert str(refusal.value) == f"{place}: cannot be written: File too large"  # whichever is written first
    assert {path: path.read_bytes() for path in cut_off.rglob("*.h5")} == before
    assert not list(cut_off.rglob("*.part"))
    trials.run(cut_off)
    assert_same(trials, cut_off, whole)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("mount"), reason="cannot make a read-only folder here")
def test_a_folder_that_cannot_be_written_to(pretended, cut_off):
    trials, _ = pretended
    folder = cut_off / FOLDER / "seed0003"
    with read_only(folder), pytest.raises(LedgerError) as refusal:
        trials.run(cut_off)
    assert str(refusal.value).startswith(f"{folder}: cannot be written: ")
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

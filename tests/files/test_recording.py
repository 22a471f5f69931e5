"""The file of a trial: what a run told comes back, what interrupts it leaves a readable file, no damage goes unnoticed."""

import os
import signal
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from errno import ENOTSUP
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trial_contents import ADDRESSES, axes, differences

from foraging_snn.environments import PAPER_PARTICLES, TASKS, Outcome, Particle, Task
from foraging_snn.files import hdf5, layout, reader
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state, save_state
from foraging_snn.files.writer import TrialWriter
from foraging_snn.models import (
    Activity,
    Block,
    Engine,
    EpochRecords,
    Phase,
    Recorder,
    all_activities,
    engine_class,
    initial_state,
    preset,
)
from foraging_snn.protocols import Experiment, experiment

SMALL = preset("tiny").with_changes(
    {"network.hidden_cells": 20, "world.size": 12, "world.field": 5, "recording.snapshots_per_phase": 2}
)
EVERYTHING = SMALL.with_changes({"recording.positions": True, "recording.spike_window_epochs": 30, "recording.test_every": 100})
TRAIN_1, TRAIN_2, SLEEP = (Block(activity, 100) for activity in (Activity.train("T1"), Activity.train("T2"), Activity.SLEEP))
TEST_1, TEST_2 = (Block(activity, 100) for activity in (Activity.test("T1"), Activity.test("T2")))
UNSUPERVISED = Phase("unsupervised", (Block(Activity.UNSUPERVISED, 100),), 200)
T1 = Phase("T1", (TRAIN_1,), 250)


class MadeUpEngine(Engine):
    """Numbers that mean nothing, but depend on the epoch alone, however the run is cut into pieces."""

    name = "made-up"
    chunk_epochs = 70

    def _load(self, state, phase):
        self.state = state.copy()

    def _advance(self, epochs, spikes):
        first = self.state.epoch
        draws = np.array([np.random.default_rng(first + k).integers(0, 100, 8) for k in range(epochs)])
        step = np.concatenate([600 * (first + k) + np.arange(first + k, first + k + 5) for k in range(epochs)])
        self.state.epoch += epochs
        self.state.phase_epoch += epochs
        for array in (self.state.hidden_output, self.state.input_hidden, self.state.hidden_input_target, self.state.resistance):
            array *= np.prod([1 + 1e-3 * np.sin(first + k) for k in range(epochs)])
        self.state.hidden_rate += draws[:, 6].sum() * 1e-5
        self.state.output_rate += draws[:, 7].sum() * 1e-5
        self.state.task_spikes += draws[:, 6].sum()
        self.state.task_epochs += epochs
        small = draws.astype(np.int8)
        records = EpochRecords(
            first, None, small[:, 0] % 9, small[:, 1] % 5, small[:, 2] % 4, draws[:, 3] % 12, draws[:, 4] % 12, *draws[:, 6:].T
        )
        if spikes:
            records.spike_step, records.spike_cell = step, (step % 33).astype(np.int32)
        return records

    def _state(self):
        return self.state.copy()


class Listener(Recorder):
    """Keeps all that a recorder is told, and passes it on."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.pieces, self.states = [], []
        self.snapshot_epochs, self.spike_windows = recorder.snapshot_epochs, recorder.spike_windows

    def epochs(self, records):
        self.pieces.append(records)
        self.recorder.epochs(records)

    def snapshot(self, state):
        self.states.append(state.copy())
        self.recorder.snapshot(state)

    def all(self, name):
        return np.concatenate([getattr(piece, name) for piece in self.pieces])


def made_up(*phases):
    return Experiment("made-up", "T1 → nothing", "0", phases)


def writer(path, parameters=EVERYTHING, phases=(UNSUPERVISED, T1), first=None, **changes):
    """A writer that has written the wiring."""
    arguments = {"experiment": made_up(*phases), "seed": 3, "trial": 1, "engine": "made-up", "command_line": "by hand"}
    trial_writer = TrialWriter(path, parameters=parameters, **arguments | changes)
    trial_writer.write_wiring(first or initial_state(parameters, 3))
    return trial_writer


def run(trial_writer, engine, phases, state):
    """Run phases into a file; gives listeners, records and the states after the phases."""
    listeners, records, states = [], [], []
    for phase in phases:
        listeners.append(Listener(trial_writer.begin_phase(phase, state)))
        state, record = engine.run(state, phase, recorder=listeners[-1])
        trial_writer.end_phase(record, state)
        records.append(record)
        states.append(state)
    return listeners, records, states


def write(path, phases=(UNSUPERVISED, T1), parameters=EVERYTHING):
    """A complete file of made-up numbers."""
    with writer(path, parameters, phases) as trial_writer:
        state = initial_state(parameters, 3)
        result = run(trial_writer, MadeUpEngine(parameters), phases, state)
        trial_writer.complete()
    return result


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "trial.h5")
    return tmp_path / "trial.h5"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A short real trial: its file and what the engine told."""
    changes = {"phases.scale": 0.5, "recording.positions": True, "recording.spike_window_epochs": 15}
    parameters = preset("tiny").with_changes(changes)
    chosen = experiment("sleep", parameters)
    path = tmp_path_factory.mktemp("real") / "sleep.h5"
    first = initial_state(parameters, 11)
    with (
        engine_class("brian2")(parameters) as engine,
        writer(path, parameters, first=first, experiment=chosen, seed=11, engine=engine.name) as trial_writer,
    ):
        told = run(trial_writer, engine, chosen.phases, first)
        trial_writer.complete()
    return path, parameters, chosen, first, *told


def read_everything(path):
    """Call every method of the reader."""
    with Trial(path) as trial:
        trial.test_results()
        trial.hidden_output_snapshots()
        trial.input_hidden_snapshots().images()
        trial.rates()
        trial.resistances()
        trial.wiring()
        for phase in trial.phases:
            trial.performance_curve(phase.index, 2, task=1)
            trial.positions(phase.index)
            trial.spikes(phase.index)
            if phase.complete:
                trial.training_spikes(phase.index)
    return trial


# ------------------------------------------------------------------------------------------------- what was told comes back


@pytest.mark.slow
def test_the_head_of_a_file(real):
    path, parameters, chosen, *_ = real
    trial = Trial(path)
    assert (trial.experiment, trial.label, trial.seed, trial.trial, trial.engine) == ("sleep", "T1 -> I(S,T2)", 11, 1, "brian2")
    assert trial.parameters == parameters
    assert trial.complete
    assert trial.started_from is None
    assert (trial.provenance["engine"], trial.provenance["command_line"]) == ("brian2", "by hand")
    assert trial.provenance["numpy"] == np.__version__
    started, ended = (datetime.fromisoformat(text) for text in (trial.started, trial.ended))
    assert timedelta(0) <= ended - started < timedelta(minutes=10)
    assert datetime.now(UTC) - ended < timedelta(hours=1)


def test_the_phases_of_a_file(real):
    path, _, chosen, *_ = real
    phases = Trial(path).phases
    assert tuple(phase.phase for phase in phases) == chosen.phases
    assert [phase.activities for phase in phases] == [phase.activities for phase in chosen.phases]
    assert [phase.first_epoch for phase in phases] == [0, *np.cumsum([phase.epochs for phase in chosen.phases])[:-1]]
    assert all(phase.complete and phase.epochs_done == phase.epochs for phase in phases)
    assert [phase.index for phase in phases] == list(range(len(chosen.phases)))


def test_freezing_and_dropout_are_in_the_table_of_phases(tmp_path):
    phases = (Phase("T2", (TRAIN_2,), 100, freeze_fraction=0.05), Phase("dropout T1", (TEST_1,), 100, dropout=True))
    write(tmp_path / "trial.h5", phases)
    recorded = Trial(tmp_path / "trial.h5").phases
    assert [(phase.freeze_fraction, phase.dropout) for phase in recorded] == [(0.05, False), (0.0, True)]
    assert tuple(phase.phase for phase in recorded) == phases


def test_counts_are_those_of_the_engine(real):
    path, *_, records, _ = real
    trial = Trial(path)
    for index, record in enumerate(records):
        counts = trial.counts(index)
        assert counts.first_aeon == record.first_aeon
        assert {name: values.tolist() for name, values in counts.counts.items()} == {
            n: v.tolist() for n, v in record.counts.items()
        }
        assert np.array_equal(counts.eaten, record.eaten)
        assert counts.eaten.dtype == np.int64
    assert records[0].counts["hidden_spikes"].sum() > 1000


def test_strengths_rates_and_resistances_are_those_of_the_states(real):
    path, _, _, _, listeners, _, _ = real
    trial = Trial(path)
    states = [state for listener in listeners for state in listener.states]
    strengths, rates, resistances = trial.hidden_output_snapshots(), trial.rates(), trial.resistances()
    assert np.array_equal(strengths.strength, np.array([state.hidden_output for state in states], np.float32))
    assert np.array_equal(rates.hidden, np.array([state.hidden_rate for state in states], np.float32))
    assert np.array_equal(rates.output, np.array([state.output_rate for state in states]))
    assert np.array_equal(resistances.resistance, np.array([state.resistance for state in states]))
    for table in (strengths, rates, resistances):
        assert table.epoch.tolist() == [state.epoch for state in states]
        assert table.phase.tolist() == [k for k, listener in enumerate(listeners) for _ in listener.states]
    assert not np.array_equal(strengths.strength[0], strengths.strength[-1])


def test_input_strengths_are_kept_while_they_change(real):
    path, parameters, _, _, listeners, _, states = real
    snapshots = Trial(path).input_hidden_snapshots()
    assert np.array_equal(snapshots.strength, np.array([state.input_hidden for state in listeners[0].states], np.float32))
    assert np.array_equal(
        snapshots.hidden_input_target, np.array([state.hidden_input_target for state in listeners[0].states], np.float32)
    )
    assert set(snapshots.phase) == {0}
    assert snapshots.epoch[0] == 0
    assert np.array_equal(snapshots.strength[-1], states[-1].input_hidden.astype(np.float32))
    assert not np.array_equal(snapshots.strength[0], snapshots.strength[-1])


def test_input_weight_images(real):
    path, _, _, first, *_ = real
    images = Trial(path).input_hidden_snapshots().images([0])
    assert images.shape == (1, 784, 7, 7)
    for synapse in (0, 3000, 7055):
        cell = first.input_index[synapse]
        assert images[0, first.hidden_index[synapse], cell // 7, cell % 7] == np.float32(first.input_hidden[synapse])
    assert np.count_nonzero(images) == len(first.input_hidden)


def test_wiring_and_first_strengths_are_kept_exactly(real):
    path, _, _, first, *_ = real
    wiring = Trial(path).wiring()
    for name in ("input_index", "hidden_index", "input_hidden", "hidden_output", "inhibition"):
        assert np.array_equal(getattr(wiring, name), getattr(first, name))
        assert getattr(wiring, name).dtype == getattr(first, name).dtype


def test_training_spikes_are_those_at_the_end_of_each_phase(real):
    path, *_, states = real
    for index, state in enumerate(states):
        kept = Trial(path).training_spikes(index)
        assert np.array_equal(kept.spikes, state.task_spikes)
        assert np.array_equal(kept.epochs, state.task_epochs)
    assert states[-1].task_epochs.tolist() == [100, 100, 0, 0, 0, 0]


def test_positions_are_those_of_the_agent(real):
    path, _, chosen, _, listeners, _, _ = real
    trial = Trial(path)
    for phase, listener in zip(trial.phases, listeners, strict=True):
        positions = trial.positions(phase.index)
        assert positions.epoch.tolist() == list(range(phase.first_epoch, phase.first_epoch + phase.epochs))
        for name in ("x", "y", "move", "eaten", "outcome", "awake"):
            assert np.array_equal(getattr(positions, name), listener.all(name)), name
    assert trial.positions(4).awake.tolist() == [True] * 100 + [False] * 100
    assert positions.awake.dtype == bool


def test_spikes_of_the_last_epochs_of_each_phase_are_kept(real):
    path, _, _, _, listeners, records, _ = real
    trial = Trial(path)
    for phase, listener in zip(trial.phases, listeners, strict=True):
        spikes = trial.spikes(phase.index)
        assert np.array_equal(spikes.step, listener.all("spike_step"))
        assert np.array_equal(spikes.cell, listener.all("spike_cell"))
        assert {*(spikes.step // 600)} <= set(range(phase.first_epoch + phase.epochs - 15, phase.first_epoch + phase.epochs))
    assert len(spikes.step) > 100


@pytest.mark.slow
def test_a_file_survives_many_flushes(tmp_path):
    write(tmp_path / "once.h5", (T1,))
    state, engine = initial_state(EVERYTHING, 3), MadeUpEngine(EVERYTHING)
    with writer(tmp_path / "often.h5", phases=(T1,)) as trial_writer:
        recorder = trial_writer.begin_phase(T1, state)
        for _ in range(25):
            state, record = engine.run(state, T1, epochs=10, recorder=recorder)
            trial_writer.flush()
        trial_writer.end_phase(record, state)
        trial_writer.complete()
    multiplied = {"hidden_output", "resistance", "hidden_rate", "output_rate", "input_hidden", "hidden_input_target"}
    assert {name.split("/")[-1] for name in differences(tmp_path / "once.h5", tmp_path / "often.h5")} <= multiplied
    once, often = (Trial(tmp_path / f"{name}.h5").hidden_output_snapshots() for name in ("once", "often"))
    np.testing.assert_allclose(once.strength, often.strength, rtol=1e-6)


def test_a_phase_run_in_parts_is_recorded_like_one_run_at_once(tmp_path):
    write(tmp_path / "once.h5", (T1,))
    state = initial_state(EVERYTHING, 3)
    with writer(tmp_path / "parts.h5", phases=(T1,)) as trial_writer, MadeUpEngine(EVERYTHING) as engine:
        recorder = trial_writer.begin_phase(T1, state)
        for epochs in (30, 120, None):
            state, record = engine.run(state, T1, epochs=epochs, recorder=recorder)
        trial_writer.end_phase(record, state)
        trial_writer.complete()
    once, parts = Trial(tmp_path / "once.h5"), Trial(tmp_path / "parts.h5")
    assert once.phases == parts.phases
    assert once.counts(0).counts["rewarded"].tolist() == parts.counts(0).counts["rewarded"].tolist()
    assert np.array_equal(once.positions(0).move, parts.positions(0).move)
    assert once.hidden_output_snapshots().epoch.tolist() == parts.hidden_output_snapshots().epoch.tolist()


def test_a_phase_can_be_recorded_from_its_middle(tmp_path):
    engine, state = MadeUpEngine(EVERYTHING), initial_state(EVERYTHING, 3)
    whole = engine.run(state, T1)[1]
    state, _ = engine.run(state, T1, epochs=130)
    with writer(tmp_path / "trial.h5", phases=(T1,)) as trial_writer:
        run(trial_writer, engine, (T1,), state)
        trial_writer.complete()
    trial = Trial(tmp_path / "trial.h5")
    assert (trial.phases[0].first_epoch, trial.phases[0].epochs_done, trial.phases[0].complete) == (0, 250, True)
    assert (trial.counts(0).first_aeon, trial.counts(0).counts["epochs"].tolist()) == (1, [70, 50])
    assert trial.counts(0).counts["rewarded"][1] == whole.counts["rewarded"][2]
    assert trial.positions(0).epoch[[0, -1]].tolist() == [130, 249]
    assert trial.input_hidden_snapshots().epoch.tolist() == [250]


@pytest.mark.parametrize(("n", "epochs"), [(1, [0, 250]), (4, [0, 62, 125, 188, 250]), (1000, list(range(251)))])
def test_snapshots_are_evenly_spaced_with_the_start_of_the_file_and_the_end_of_the_phase(tmp_path, n, epochs):
    write(tmp_path / "trial.h5", (T1,), SMALL.with_changes({"recording.snapshots_per_phase": n}))
    assert Trial(tmp_path / "trial.h5").hidden_output_snapshots().epoch.tolist() == epochs


def test_a_test_has_its_own_number_of_snapshots(tmp_path):
    parameters = SMALL.with_changes({"recording.test_snapshots": 4, "recording.snapshots_per_phase": 1})
    write(tmp_path / "trial.h5", (T1, Phase("test T1", (TEST_1,), 100)), parameters)
    snapshots = Trial(tmp_path / "trial.h5").hidden_output_snapshots()
    assert snapshots.epoch[snapshots.phase == 1].tolist() == [275, 300, 325, 350]


@pytest.mark.parametrize(
    ("n", "length", "epochs"),
    [
        (1, 30, [range(220, 250)]),
        (2, 30, [range(0, 30), range(220, 250)]),
        (4, 30, [range(0, 30), range(73, 103), range(147, 177), range(220, 250)]),
        (3, 90, [range(0, 250)]),  # 0 ... 90, 80 ... 170, 160 ... 250
        (5, 50, [range(0, 250)]),  # they touch
        (3, 400, [range(0, 250)]),
        (3, 0, []),
    ],
)
def test_windows_are_evenly_spaced_from_the_start_to_the_end_of_a_phase(tmp_path, n, length, epochs):
    lengths = {"recording.spike_window_epochs": length, "recording.position_window_epochs": length}
    (listener,), *_ = write(tmp_path / "trial.h5", (T1,), SMALL.with_changes({"recording.windows": n} | lengths))
    trial = Trial(tmp_path / "trial.h5")
    assert trial.windows(0) == trial.position_windows(0) == epochs
    assert {*(listener.all("spike_step") // 600)} == {epoch for window in epochs for epoch in window}
    if length:
        assert np.array_equal(trial.spikes(0).step, listener.all("spike_step"))
        recorded = [epoch for window in epochs for epoch in window]
        assert trial.positions(0).epoch.tolist() == recorded
        assert np.array_equal(trial.positions(0).move, listener.all("move")[recorded])


def test_windows_count_from_the_start_of_their_phase(tmp_path):
    write(tmp_path / "trial.h5", parameters=EVERYTHING.with_changes({"recording.windows": 2}))
    trial = Trial(tmp_path / "trial.h5")
    assert trial.windows(1) == [range(0, 30), range(220, 250)]
    assert {*(trial.spikes(1).step // 600)} == {*range(200, 230), *range(420, 450)}
    assert trial.position_windows(1) == [range(0, 250)]  # recording.positions: every epoch
    assert len(trial.positions(1).epoch) == 250


def test_windows_end_where_an_interrupted_run_did(tmp_path):
    changes = {"recording.windows": 3, "recording.positions": False, "recording.position_window_epochs": 100}
    parameters, state = EVERYTHING.with_changes(changes), initial_state(EVERYTHING, 3)
    with writer(tmp_path / "trial.h5", parameters, (T1,)) as trial_writer:
        MadeUpEngine(parameters).run(state, T1, epochs=120, recorder=trial_writer.begin_phase(T1, state))
    trial = Trial(tmp_path / "trial.h5")
    assert trial.windows(0) == [range(0, 30), range(110, 120)]
    assert trial.position_windows(0) == [range(0, 120)]
    assert trial.positions(0).epoch.tolist() == list(range(120))


def test_files_from_before_there_were_windows_can_be_read(path):
    expected = Trial(path).spikes(1).step
    new = {"windows", "position_window_epochs"}
    with h5py.File(path, "r+") as file:
        lines = file.attrs["parameters"].decode().splitlines()
        file.attrs["parameters"] = "\n".join(line for line in lines if line.partition(" ")[0] not in new)
    trial = Trial(path)
    assert trial.windows(1) == [range(220, 250)]
    assert np.array_equal(trial.spikes(1).step, expected)


def test_phases_are_found_by_name(tmp_path):
    phases = (T1, Phase("test T1", (TEST_1,), 100), Phase("T2", (TRAIN_2,), 150), Phase("test T1", (TEST_1,), 100))
    write(tmp_path / "trial.h5", phases, EVERYTHING.with_changes({"recording.windows": 2}))
    trial = Trial(tmp_path / "trial.h5")
    assert [trial.phase(name).index for name in ("T1", "test T1", "T2")] == [0, 1, 2]  # of two of a name, the first
    assert [trial.phase(number).name for number in range(4)] == ["T1", "test T1", "T2", "test T1"]
    for read in (trial.counts, trial.positions, trial.spikes, trial.training_spikes, trial.performance_curve):
        for by_name, by_number in zip(vars(read("T2")).values(), vars(read(2)).values(), strict=True):
            np.testing.assert_equal(by_name, by_number)
    assert trial.windows("T2") == trial.windows(2) == [range(0, 30), range(120, 150)]
    assert trial.position_windows("T2") == [range(150)]
    with pytest.raises(RecordingError, match=r"trial\.h5: no phase 'T3'; its phases are T1, test T1, T2$"):
        trial.performance_curve("T3")


def test_a_trial_and_what_is_read_from_it_are_shown_in_one_line(path, tmp_path):
    trial = Trial(path)
    assert repr(trial) == f"<Trial made-up, seed 3, complete, phases: unsupervised, T1; {path}>"
    assert repr(trial.hidden_output_snapshots()) == (
        "Snapshots(strength: (5, 20, 8) float32, epoch: (5,) int64, phase: (5,) int32)"
    )
    assert repr(trial.counts("T1")).startswith("PhaseRecord(first_aeon: 0, counts: {epochs: (3,) int64, ")
    assert repr(trial.input_hidden_snapshots()).endswith("field: 5)")
    first, second = trial.phases
    assert repr(first) == f"<phase 0, unsupervised, {first.epochs:,} epochs from 0>"
    assert repr(second) == f"<phase 1, T1, {second.epochs:,} epochs from {first.epochs:,}>"
    with writer(tmp_path / "begun.h5"):
        pass
    assert repr(Trial(tmp_path / "begun.h5")) == f"<Trial made-up, seed 3, incomplete, phases: none; {tmp_path / 'begun.h5'}>"


def test_what_was_not_recorded_is_said_to_be_so(tmp_path):
    write(tmp_path / "trial.h5", parameters=SMALL)
    trial = Trial(tmp_path / "trial.h5")
    with pytest.raises(RecordingError, match=r"positions were not recorded \(.*positions = false, .*position_window_epochs = 0\)$"):
        trial.positions(0)
    with pytest.raises(RecordingError, match=r"spikes were not recorded \(recording\.spike_window_epochs = 0\)$"):
        trial.spikes(0)
    with pytest.raises(IndexError, match=r"phase 2: .*trial\.h5 has phases 0 to 1$"):
        trial.counts(2)


def test_the_state_a_trial_began_from_is_named_with_where_it_comes_from(tmp_path):
    save_state(
        tmp_path / "state.h5", initial_state(EVERYTHING, 9), EVERYTHING, command_line="made earlier", note="after unsupervised"
    )
    start = load_state(tmp_path / "state.h5")
    with writer(tmp_path / "trial.h5", started_from=start) as trial_writer:
        trial_writer.complete()
    trial = Trial(tmp_path / "trial.h5")
    assert trial.started_from == str(start)
    assert trial.started_from.startswith("after unsupervised [")
    assert trial.started_from_provenance["command_line"] == "made earlier"


# ---------------------------------------------------------------------------------------------------------------- results


class Eats(MadeUpEngine):
    """Eats rewarded or punished particles to order: `meals` holds (rewarded, punished) of the successive aeons."""

    def __init__(self, parameters, meals):
        super().__init__(parameters)
        self.meals = np.array(
            [[Outcome.REWARDED] * r + [Outcome.PUNISHED] * p + [Outcome.NOTHING] * (100 - r - p) for r, p in meals], np.int8
        )

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        records.outcome = self.meals.ravel()[records.first_epoch : records.first_epoch + epochs]
        return records


def ate(path, phases, meals):
    with writer(path, SMALL, phases) as trial_writer:
        run(trial_writer, Eats(SMALL, meals), phases, initial_state(SMALL, 3))
        trial_writer.complete()
    return Trial(path)


def test_results_of_tests_name_the_training_before_them(tmp_path):
    phases = (
        Phase("test T2", (TEST_2,), 100),
        Phase("T1", (TRAIN_1,), 100),
        Phase("test T1", (TEST_1,), 200),
        Phase("dropout T1", (TEST_1,), 100, dropout=True),
        Phase("test T2", (TEST_2,), 100),
    )
    trial = ate(tmp_path / "trial.h5", phases, [(1, 4), (9, 9), (30, 10), (10, 0), (7, 7), (0, 0)])
    results = trial.test_results()
    assert [(test.phase_index, test.after, test.task, test.rewarded, test.punished) for test in results] == [
        (0, "", 2, 1, 4),
        (2, "T1", 1, 40, 10),
        (4, "T1", 2, 0, 0),
    ]
    assert [test.performance for test in results[:2]] == [0.2, 0.8]
    assert np.isnan(results[2].performance)
    assert all(test.complete for test in results)


def test_performance_over_aeons(tmp_path):
    trial = ate(tmp_path / "trial.h5", (Phase("T1", (TRAIN_1,), 500),), [(1, 3), (2, 2), (0, 0), (4, 0), (3, 1)])
    curve = trial.performance_curve(0)
    assert curve.aeon.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(curve.performance, [0.25, 0.5, np.nan, 1.0, 0.75], equal_nan=True)
    curve = trial.performance_curve(0, window_aeons=2)
    assert curve.aeon.tolist() == [0.5, 2.5, 4]
    assert curve.performance.tolist() == [3 / 8, 1.0, 0.75]
    with pytest.raises(ValueError, match="window_aeons: 0 given"):
        trial.performance_curve(0, window_aeons=0)


def test_performance_in_one_task_of_an_interleaved_phase(tmp_path):
    meals = [(1, 3), (9, 0), (2, 2), (9, 0), (3, 1)]
    trial = ate(tmp_path / "trial.h5", (Phase("I(T1,T2)", (TRAIN_1, TRAIN_2), 500),), meals)
    curve = trial.performance_curve(0, task=1)
    assert (curve.aeon.tolist(), curve.performance.tolist()) == ([0, 2, 4], [0.25, 0.5, 0.75])
    assert trial.performance_curve(0, task=2).performance.tolist() == [1.0, 1.0]
    trial = ate(tmp_path / "uneven.h5", (Phase("I", (Block(Activity.train("T1"), 250), SLEEP), 500),), meals)
    assert trial.performance_curve(0, task=1).aeon.tolist() == [0, 1, 4]  # 2 and 3 are in part asleep
    assert trial.performance_curve(0, task=2).aeon.tolist() == []


# --------------------------------------------------------------------------------------------------------- interruptions


def interrupted(path, after):
    """A run that stops with Ctrl-C when `after` epochs of T1 were told."""

    def progress(records):
        if records.first_epoch + len(records) >= 200 + after:
            raise KeyboardInterrupt

    with writer(path) as trial_writer, MadeUpEngine(EVERYTHING) as engine:
        state = initial_state(EVERYTHING, 3)
        _, _, states = run(trial_writer, engine, (UNSUPERVISED,), state)
        engine.run(states[-1], T1, recorder=trial_writer.begin_phase(T1, states[-1]), progress=progress)


def test_an_interrupted_run_leaves_all_it_did_marked_incomplete(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "trial.h5", 140)
    write(tmp_path / "whole.h5")
    trial, whole = Trial(tmp_path / "trial.h5"), Trial(tmp_path / "whole.h5")
    assert not trial.complete
    assert trial.ended
    done = trial.phases[1].epochs_done
    assert 140 <= done < 250
    assert [(phase.complete, phase.epochs_done) for phase in trial.phases] == [(True, 200), (False, done)]
    assert trial.counts(1).counts["epochs"].tolist() == [100, done - 100]
    assert trial.counts(1).counts["rewarded"][0] == whole.counts(1).counts["rewarded"][0]
    assert np.array_equal(trial.positions(1).x, whole.positions(1).x[:done])
    assert trial.hidden_output_snapshots().epoch.tolist() == [0, 100, 200, 325]
    with pytest.raises(RecordingError, match="phase 1 is incomplete"):
        trial.training_spikes(1)


def test_leaving_without_complete_leaves_an_incomplete_file(tmp_path):
    with writer(tmp_path / "trial.h5") as trial_writer:
        run(trial_writer, MadeUpEngine(EVERYTHING), (UNSUPERVISED,), initial_state(EVERYTHING, 3))
    assert not Trial(tmp_path / "trial.h5").complete
    assert Trial(tmp_path / "trial.h5").phases[0].complete


def test_a_file_can_be_read_while_it_is_written(tmp_path):
    with writer(tmp_path / "trial.h5") as trial_writer, MadeUpEngine(EVERYTHING) as engine:
        state = initial_state(EVERYTHING, 3)
        engine.run(state, T1, epochs=130, recorder=trial_writer.begin_phase(T1, state))
        trial_writer.flush()
        trial = Trial(tmp_path / "trial.h5")
        code = "import sys; from foraging_snn.files.reader import Trial; print(Trial(sys.argv[1]).phases[0].epochs_done)"
        other = subprocess.run([sys.executable, "-c", code, str(trial.path)], capture_output=True, text=True)
        assert (trial.ended, trial.complete, trial.phases[0].epochs_done, other.stdout.strip()) == ("", False, 130, "130")


def in_another_process(code, *arguments, **options):
    """Run code that begins with the names of this module."""
    folder = str(Path(__file__).parent)
    head = f"import sys; sys.path[:0] = [{folder!r}, {str(Path(__file__).parents[1])!r}]\nfrom test_recording import *\n"
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_killed_run_leaves_what_was_flushed(tmp_path):
    code = """
with writer(sys.argv[1]) as trial_writer, MadeUpEngine(EVERYTHING) as engine:
    state = initial_state(EVERYTHING, 3)
    engine.run(state, T1, epochs=130, recorder=trial_writer.begin_phase(T1, state))
    trial_writer.flush()
    print("flushed", flush=True)
    sys.stdin.read()
"""
    with in_another_process(code, tmp_path / "trial.h5", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == "flushed"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    trial = read_everything(tmp_path / "trial.h5")
    assert (trial.complete, trial.ended, trial.phases[0].epochs_done) == (False, "", 130)
    assert trial.counts(0).counts["epochs"].tolist() == [100, 30]


def test_columns_that_a_killed_run_left_ahead_are_cut(path):
    with h5py.File(path, "r+") as file:
        file["positions/x"].resize(453, axis=0)
    with pytest.raises(RecordingError, match="damaged or truncated: columns of positions differ in length$"):
        Trial(path).positions(1)
    with h5py.File(path, "r+") as file:
        file.attrs.modify("complete", 0)
    assert len(Trial(path).positions(1).x) == 250


# ------------------------------------------------------------------------------------------------------ writing goes wrong


def test_an_existing_file_is_not_overwritten(path):
    before = path.read_bytes()
    with pytest.raises(RecordingError, match=r"trial\.h5: exists already and is not overwritten$"):
        writer(path)
    assert path.read_bytes() == before


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: No such file or directory$"):
        writer(tmp_path / "nowhere" / "trial.h5")
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: Not a directory$"):
        writer(tmp_path / "file" / "trial.h5")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="for root every folder can be written")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: Permission denied$"):
        writer(tmp_path / "trial.h5")


FILL = """
class Incompressible(MadeUpEngine):
    def _state(self):
        state = super()._state()
        state.hidden_output = np.random.default_rng(state.epoch).random(state.hidden_output.shape)
        return state

phase = Phase("T1", (TRAIN_1,), 10_000)
parameters = EVERYTHING.with_changes({"recording.snapshots_per_phase": 1000, "network.hidden_cells": 784})
try:
    with writer(sys.argv[1], parameters, (phase,)) as trial_writer, Incompressible(parameters) as engine:
        state = initial_state(parameters, 3)
        recorder = trial_writer.begin_phase(phase, state)
        for _ in range(1000):
            state, _ = engine.run(state, phase, epochs=10, recorder=recorder)
            trial_writer.flush()
except RecordingError as error:
    print(error)
"""


@pytest.fixture
def small_disk(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def check_filled(path, process, reason):
    """The run ended in one line and without a crash, and the file holds what it did until then."""
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors, output) == (0, "", f"{path}: cannot be written: {reason}\n")
    trial = read_everything(path)
    done = trial.phases[0].epochs_done
    assert (trial.complete, trial.ended) == (False, "")
    assert 200 < done == trial.counts(0).counts["epochs"].sum() == len(trial.positions(0).x)
    assert trial.hidden_output_snapshots().epoch[-1] == done
    assert trial.hidden_output_snapshots().strength[1:].std(axis=(1, 2)).min() > 0.2


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_file_as_last_written(small_disk):
    path = small_disk / "trial.h5"
    check_filled(path, in_another_process(FILL, path), "No space left on device")


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_leaves_the_file_as_last_written(tmp_path):
    resource = pytest.importorskip("resource")
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, {resource.RLIM_INFINITY}))\n"
    path = tmp_path / "trial.h5"
    check_filled(path, in_another_process(limit + FILL, path), "File too large")


def test_a_disk_that_is_full_from_the_start_is_left_without_a_file(small_disk):
    with open(small_disk / "large", "wb") as large:
        large.write(bytes(2 * 1024**2 - 8192))
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: No space left on device$"):
        writer(small_disk / "trial.h5")
    assert os.listdir(small_disk) == ["large"]


@pytest.fixture
def large_files(monkeypatch):
    """No file is small enough to be made in memory."""
    monkeypatch.setattr(hdf5, "MEMORY_BYTES", 0)


def test_a_large_file_is_the_same(path, tmp_path, large_files):
    write(tmp_path / "large.h5")
    assert differences(tmp_path / "large.h5", path) == []
    assert sorted(os.listdir(tmp_path)) == ["large.h5", "trial.h5"]


def cannot_reserve(*_):
    raise OSError(ENOTSUP, "Operation not supported")


def test_a_disk_that_cannot_reserve_space_does(tmp_path, monkeypatch, large_files):
    monkeypatch.setattr(os, "posix_fallocate", cannot_reserve)
    write(tmp_path / "trial.h5")
    assert read_everything(tmp_path / "trial.h5").complete


def test_a_disk_that_cannot_reserve_space_and_is_nearly_full(tmp_path, monkeypatch, large_files):
    monkeypatch.setattr(os, "posix_fallocate", cannot_reserve)
    trial_writer = writer(tmp_path / "trial.h5", phases=(T1,))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: No space left on device$"):
        trial_writer.begin_phase(T1, initial_state(EVERYTHING, 3))
    assert not read_everything(tmp_path / "trial.h5").complete
    assert os.listdir(tmp_path) == ["trial.h5"]


def test_a_disk_too_small_for_a_large_file_is_met_before_hdf5_is(small_disk, large_files):
    with pytest.raises(RecordingError, match=r"trial\.h5: cannot be written: No space left on device$"):
        writer(small_disk / "trial.h5")  # its reservation is larger than the disk
    assert os.listdir(small_disk) == []


def test_reserved_space_is_given_back(tmp_path, large_files):
    write(tmp_path / "trial.h5")
    with h5py.File(tmp_path / "trial.h5") as file:
        assert (tmp_path / "trial.h5").stat().st_size == file.id.get_filesize() < 1_000_000


def test_a_run_whose_recorder_was_not_told_is_refused(tmp_path):
    with writer(tmp_path / "trial.h5") as trial_writer, MadeUpEngine(EVERYTHING) as engine:
        state = initial_state(EVERYTHING, 3)
        recorder = trial_writer.begin_phase(UNSUPERVISED, state)
        after, record = engine.run(state, UNSUPERVISED)
        with pytest.raises(ValueError, match="phase unsupervised: 0 of 200 epochs were recorded$"):
            trial_writer.end_phase(record, after)
        engine.run(state, UNSUPERVISED, recorder=recorder)
        record.counts["rewarded"][0] += 1
        with pytest.raises(ValueError, match="phase unsupervised: the record of the engine is not what the recorder heard$"):
            trial_writer.end_phase(record, after)
        with pytest.raises(ValueError, match="phase unsupervised has not ended$"):
            trial_writer.complete()
        record.counts["rewarded"][0] -= 1
        trial_writer.end_phase(record, after)
        with pytest.raises(ValueError, match="no phase has begun$"):
            trial_writer.end_phase(record, after)


# ------------------------------------------------------------------------------------------------------ reading goes wrong


def refused(path, message):
    with pytest.raises(RecordingError, match=message) as caught:
        read_everything(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_trials(tmp_path):
    refused(tmp_path / "none.h5", "cannot be read: No such file or directory$")
    refused(tmp_path, "cannot be read: Is a directory$")
    (tmp_path / "text.h5").write_text("not a trial")
    refused(tmp_path / "text.h5", "not an HDF5 file$")
    (tmp_path / "empty.h5").touch()
    refused(tmp_path / "empty.h5", "not an HDF5 file$")
    h5py.File(tmp_path / "other.h5", "w").close()
    refused(tmp_path / "other.h5", "not a 'foraging_snn trial' file: it is HDF5, but not one of foraging_snn$")
    save_state(tmp_path / "state.h5", initial_state(SMALL, 1), SMALL)
    refused(tmp_path / "state.h5", "not a 'foraging_snn trial' file: it is a 'foraging_snn state' file$")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file.attrs.modify("format_version", 7),
            "'foraging_snn trial' file of version 7; this version of foraging_snn reads version 1$",
        ),
        (
            lambda file: file.attrs.__setitem__("format_version", "1"),
            "damaged or truncated: attribute format_version is not a whole number",
        ),
        (lambda file: file.attrs.__delitem__("seed"), "damaged or truncated: attribute seed is missing$"),
        (lambda file: file.attrs.__setitem__("label", 3), "damaged or truncated: attribute label is not text$"),
        (
            lambda file: file.attrs.__setitem__("parameters", "[world]\nweather = 3"),
            "not readable by this version of foraging_snn: parameters: world.weather",
        ),
        (lambda file: file["phases/001"].attrs.__delitem__("name"), "damaged or truncated: attribute name is missing$"),
        (
            lambda file: file["phases/001"].attrs.modify("activities", 9),
            "damaged or truncated: phase 1: attribute activities has numbers of no activity$",
        ),
        (
            lambda file: file["phases/001"].attrs.modify("block_epochs", 0),
            "damaged or truncated: phase 1: attribute block_epochs has numbers outside 1 ... 1000000000",
        ),
        (
            lambda file: file["phases/001"].attrs.modify("epochs_done", 251),
            "damaged or truncated: attribute epochs_done is not a whole number from 0 to 250$",
        ),
        (lambda file: file.move("phases/001", "phases/002"), "damaged or truncated: "),
        (lambda file: file["aeons"].__delitem__("moves"), "damaged or truncated: aeons/moves is missing$"),
        (
            lambda file: (
                file.move("snapshots/resistance", "snapshots/hidden_output") if file.pop("snapshots/hidden_output", None) else None
            ),
            "damaged or truncated: snapshots/hidden_output is not a dataset of type float32$",
        ),
        (
            lambda file: (
                file.move("snapshots/hidden_rate", "snapshots/hidden_output") if file.pop("snapshots/hidden_output", None) else None
            ),
            r"damaged or truncated: snapshots/hidden_output has shape \(5, 20\), not \(n, 20, 8\)$",
        ),
        (
            lambda file: file["wiring/input_index"].__setitem__(0, 25),
            r"damaged or truncated: wiring/input_index is not within 0 \.\.\. 24$",
        ),
    ],
)
def test_a_file_that_is_not_a_whole_trial(path, change, message):
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        change(file)
    refused(path, message)


def test_reading_leaves_the_file_as_it_is(path):
    path.chmod(0o400)
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_everything(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_trial_holds_no_file_open(path):
    trial = Trial(path)
    trial.counts(0)
    with trial as same:
        assert same is trial
        path.unlink()
        assert len(trial.counts(1).eaten) == 3
    with pytest.raises(RecordingError, match="No such file"):
        trial.counts(0)


def test_a_file_that_the_same_process_has_open_can_be_read(path):
    with h5py.File(path), Trial(path) as trial:
        assert trial.phase("T1").index == 1


def warning_reader(phases, index, parameters, read=reader.read_phase):
    """As a library reads that has deprecated something; some make another error of a warning that is raised."""
    try:
        warnings.warn("not in the next version", DeprecationWarning, stacklevel=2)
    except DeprecationWarning as warning:
        raise RuntimeError("visitation failed") from warning
    return read(phases, index, parameters)


def test_a_warning_is_no_damage_where_warnings_are_errors(path, monkeypatch):
    monkeypatch.setattr(reader, "read_phase", warning_reader)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        assert Trial(path).phase("T1").index == 1
        with pytest.raises(DeprecationWarning):  # outside they are errors as before
            warnings.warn("not here", DeprecationWarning, stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["not in the next version"]


def test_a_whole_file_is_read_where_warnings_are_errors(path):
    code = """
import sys
from foraging_snn.files.reader import Trial
trial = Trial(sys.argv[1])
print(len(trial.wiring().input_index), len(trial.hidden_output_snapshots().strength), len(trial.spikes("T1").step) > 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout == "180 5 True\n", done.stderr


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """Bytes of a small file, and a folder."""
    folder = tmp_path_factory.mktemp("damaged")
    write(folder / "whole.h5", (UNSUPERVISED, Phase("test T1", (TEST_1,), 100)))
    return (folder / "whole.h5").read_bytes(), folder / "damaged.h5"


def read_or_refuse(path):
    try:
        read_everything(path)
    except RecordingError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_is_told_or_harmless(pristine, data):
    contents, path = pristine
    damaged = bytearray(contents)
    for position, bit in data.draw(
        st.lists(st.tuples(st.integers(0, len(contents) - 1), st.integers(0, 7)), min_size=1, max_size=8)
    ):
        damaged[position] ^= 1 << bit
    path.write_bytes(damaged)
    read_or_refuse(path)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncation_is_told(pristine, share):
    contents, path = pristine
    path.write_bytes(contents[: int(share * len(contents))])
    refused(path, "not an HDF5 file|truncated")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(contents=st.binary(max_size=400), signed=st.booleans())
def test_random_bytes_are_no_trial(pristine, contents, signed):
    _, path = pristine
    path.write_bytes((b"\x89HDF\r\n\x1a\n" if signed else b"") + contents)
    refused(path, "not an HDF5 file|truncated")


# -------------------------------------------------------------------------------------------------------------- the layout


OF_AXES = ADDRESSES | {"CLASS", "NAME", "DIMENSION_LABELS"}  # which HDF5 writes itself


def visited(path):
    """Names and objects of a file, and all attributes but those of named axes."""
    objects, attributes = {}, []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: objects.update(
                {name: (type(item), getattr(item, "dtype", None), getattr(item, "compression", None))}
            )
        )
        for item in (file, *(file[name] for name in objects)):
            attributes += [item.attrs.get_id(name) for name in item.attrs.keys() - OF_AXES]
        kinds = [(attribute.dtype, attribute.get_type()) for attribute in attributes]
    return objects, kinds


def test_only_plain_numbers_and_fixed_text_are_in_a_file(path):
    objects, kinds = visited(path)
    datasets = [(dtype, compression) for kind, dtype, compression in objects.values() if kind is h5py.Dataset]
    assert {dtype.kind for dtype, _ in datasets} == {"i", "u", "f"}
    with h5py.File(path) as file:  # what is empty has nothing to be compressed
        full = [name for name, (kind, *_) in objects.items() if kind is h5py.Dataset and file[name].size]
    assert {objects[name][2] for name in full} == {"gzip"}
    assert {dtype.kind for dtype, _ in kinds} == {"i", "u", "f", "S"}
    assert all(kind.get_cset() == h5py.h5t.CSET_UTF8 for dtype, kind in kinds if dtype.kind == "S")


def test_every_dataset_has_unit_and_meaning(path):
    with h5py.File(path) as file:
        for name, columns in {
            **layout.TABLES,
            "wiring": layout.FIXED["wiring"],
            "phases/000": layout.FIXED["phases"],
        }.items():
            for column, spec in columns.items():
                assert file[name][column].attrs["unit"].decode() == spec.unit
                assert file[name][column].attrs["meaning"].decode() == spec.meaning
                assert [axis.rpartition("/")[2] for axis in axes(file[name][column])] == list(spec.axes)


LEGEND = "0 unsupervised, 1 train-task1, 2 train-task2, 3 test-task1, 4 test-task2, 5 sleep, 6 uniform-sleep"


def test_the_activities_of_the_paper_keep_their_numbers_and_names():
    assert layout.activity_legend([]) == LEGEND
    assert layout.numbered_activities([]) == [activity.name for activity in all_activities(list(TASKS.values())[:2])]


OWN = Task("T7", rewarded=("vertical", Particle("corner", ((0, 0), (1, 0), (1, 1)))), punished=("horizontal",))


def test_activities_of_further_tasks_are_numbered_after_those_of_the_paper_and_read_through_the_legend(tmp_path):
    parameters, train_3 = EVERYTHING.with_tasks(OWN), Activity.train("T3")
    other = Activity.unsupervised((*PAPER_PARTICLES, OWN.rewarded[1]))
    phases = (
        Phase("unsupervised", (Block(other, 100),), 200),
        Phase(
            "I(S,T1,T7)", (SLEEP, TRAIN_1, Block(Activity.train(OWN), 50), Block(train_3, 25), Block(Activity.test(OWN), 25)), 200
        ),
    )
    path = tmp_path / "new.h5"
    write(path, phases, parameters=parameters)
    trial = Trial(path)
    assert [recorded.phase for recorded in trial.phases] == list(phases)
    assert trial.parameters == parameters
    assert trial.training_spikes(1).spikes.shape == (7, EVERYTHING.n_hidden)
    assert trial.counts(1).eaten.shape[1] == 13
    with h5py.File(path) as file:
        corner = "unsupervised-horizontal+vertical+positive.diagonal+negative.diagonal+corner"
        assert file["phases"].attrs["activity_names"].decode() == f"{LEGEND}, 7 {corner}, 8 train-T7, 9 train-T3, 10 test-T7"
        assert file["phases/001"].attrs["activities"].tolist() == [5, 1, 8, 9, 10]
        assert file["phases/001"].attrs["block_epochs"].tolist() == [100, 100, 50, 25, 25]
    with h5py.File(path, "r+") as file:
        file.attrs["parameters"] = np.bytes_(EVERYTHING.to_toml())
    message = r"^.*new\.h5: .*phase 0: activity 'unsupervised-.*corner' is not known here, only unsupervised, train-task1, .*$"
    with pytest.raises(RecordingError, match=message) as error:
        Trial(path)
    assert len(str(error.value).splitlines()) == 1


def test_files_from_before_the_tables_grew_are_read_with_what_there_was(tmp_path):
    path = tmp_path / "old.h5"
    write(path, (UNSUPERVISED, Phase("T1", (TRAIN_1,), 100)))
    before = Trial(path)
    expected, counts = before.training_spikes(1), before.counts(1)
    with h5py.File(path, "r+") as file:  # as it was with two tasks and four types
        for name in ("task_spikes", "task_epochs"):
            shorten(file["phases/001"], name, (slice(0, 2),))
            shorten(file["phases/000"], name, (slice(0, 2),))
        shorten(file["aeons"], "eaten", (slice(None), slice(0, 4)))
    trial = Trial(path)
    np.testing.assert_array_equal(trial.training_spikes(1).spikes, expected.spikes[:2])
    assert trial.training_spikes(1).epochs.tolist() == expected.epochs[:2].tolist()
    np.testing.assert_array_equal(trial.counts(1).eaten, counts.eaten)


def shorten(group, name, part):
    """Put a part of a dataset into its place."""
    values = group[name][part]
    del group[name]
    group[name] = values


def test_numbers_of_activities_mean_what_the_legend_of_the_file_says(tmp_path):
    path = tmp_path / "renumbered.h5"
    write(path, (UNSUPERVISED, Phase("T1", (TRAIN_1,), 100)))
    with h5py.File(path, "r+") as file:
        file["phases"].attrs["activity_names"] = np.bytes_(LEGEND.replace("1 train-task1", "9 train-task1"))
        file["phases/001"].attrs["activities"] = np.array([9], np.int8)
    assert Trial(path).phases[1].activities == (Activity.train("T1"),)


def test_the_documentation_names_every_attribute(path):
    text = (Path(__file__).parents[2] / "docs" / "file_format.md").read_text(encoding="utf-8")
    with h5py.File(path) as file:
        names = {*file.attrs, *file["phases/000"].attrs, *file["provenance"].attrs}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_what_memory_does_not_hold_is_not_read(path, monkeypatch):
    trial = Trial(path)
    assert len(trial.hidden_output_snapshots().strength)
    monkeypatch.setattr(reader, "free_memory", lambda: 1000)
    with pytest.raises(RecordingError, match=r"its snapshots take 0\.\d GB of memory, 0\.0 are free$"):
        trial.hidden_output_snapshots()

"""Tests during phases: they are tests of the network as it was, and leave no trace in it; kept, gone on with, and found again."""

import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL
from trial_contents import differences

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.models import Activity, Block, Phase, engine_class, initial_state, preset
from foraging_snn.protocols import experiments, protocol
from foraging_snn.running.disk import number_of_tests
from foraging_snn.running.ledger import Origin
from foraging_snn.running.trial import Keeping, Listener, Stopped, run_trial

TESTED = {"recording.test_every": 150, "recording.test_epochs": 60}


class StopsAt(Listener):
    """Stops a trial when it is asked for the k-th time."""

    def __init__(self, k):
        self.left = k

    def stop_wanted(self):
        self.left -= 1
        return self.left == 0


def recorded(path, parameters, engine, name="sleep", **options):
    with engine:
        run_trial(experiments(parameters)[name], parameters, seed=3, engine=engine, path=path, **options)
    return Trial(path)


@pytest.mark.parametrize("name", ["event", pytest.param("brian2", marks=pytest.mark.slow)])
def test_a_trial_is_the_same_bit_for_bit_with_and_without_tests(tmp_path, name):
    lengths = {f"phases.{length}_aeons": 1 for length in ("unsupervised", "test")} | {"phases.interleaved_aeons": 4}
    few = preset("tiny").with_changes({"network.hidden_cells": 100, "phases.training_aeons": 2, **lengths})
    made = engine_class(name)
    plain = recorded(tmp_path / "plain.h5", few, made(few))
    parameters = few.with_changes(TESTED)
    trial = recorded(tmp_path / "tested.h5", parameters, made(parameters))
    of_tests = [f"phases/{phase.index:03d}@key" for phase in plain.phases]
    found = [name for name in differences(plain.path, trial.path) if not name.startswith("test")]
    assert found == sorted(["@parameters", *of_tests])
    assert len(trial.phase_tests("I(S,T2)").epoch) == 2 * 4


def test_a_test_is_that_of_the_state_at_this_epoch_bit_for_bit(tmp_path):
    """The states are made here, by a run to this epoch; the test is a phase of its own on that state."""
    parameters = preset("tiny").with_changes({"network.hidden_cells": 100, "phases.unsupervised_aeons": 1, **TESTED})
    trial = recorded(tmp_path / "trial.h5", parameters, engine_class("event")(parameters), "task1")
    unsupervised, training = (trial.phase(name).phase for name in ("unsupervised", "T1"))
    with engine_class("event")(parameters) as engine:
        state, _ = engine.run(initial_state(parameters, 3), unsupervised)
        found = trial.phase_tests("T1")
        expected = [*range(0, training.epochs, 150), training.epochs]
        assert (found.epoch - state.epoch).tolist() == expected
        assert set(found.task) == {1}
        for k, epoch in enumerate(found.epoch.tolist()):
            if epoch > state.epoch:
                state, _ = engine.run(state, training, epochs=epoch - state.epoch)
            alone = state.copy()
            alone.phase_epoch = 0
            _, record = engine.run(alone, Phase("a test", (Block(Activity.test("T1"), 60),), 60))
            for column in ("rewarded", "punished", "other"):
                assert getattr(found, column)[k] == record.counts[column].sum()


def test_all_tasks_trained_so_far_are_tested_at_the_start_every_so_often_and_at_the_end(tmp_path):
    parameters = SMALL.with_changes(TESTED)
    trial = recorded(tmp_path / "trial.h5", parameters, PretendEngine(parameters), "sequential-sleep")
    first, second, sleep = (trial.phase_tests(name) for name in ("T1", "T2", "I(S,T1)"))
    start = trial.phase("T1").first_epoch
    assert (first.epoch - start).tolist() == [0, 150, 300, 450, 600, 750, 800]
    assert set(first.task) == {1}
    assert second.task.tolist() == [1, 2] * 7
    assert sleep.task.tolist() == [1, 2] * 7
    assert trial.phase_tests("T2", task=2).epoch.tolist() == second.epoch[1::2].tolist()
    assert set(first.epochs) == {60}
    np.testing.assert_array_equal(first.performance, 0.3)  # of ten particles three are rewarded
    np.testing.assert_allclose(first.performance_error, np.sqrt(0.3 * 0.7 / 60))
    assert not len(trial.phase_tests("test T1").epoch) and not len(trial.phase_tests("unsupervised").epoch)


def test_a_state_that_was_trained_before_is_tested_on_what_it_was_trained_on(tmp_path):
    parameters = SMALL.with_changes(TESTED)
    trained = recorded(tmp_path / "trial.h5", parameters, PretendEngine(parameters), "sequential").state_at("T2")
    own = protocol("S[4]", parameters, tests=())
    with PretendEngine(parameters) as engine:
        run_trial(own, parameters, seed=3, engine=engine, path=tmp_path / "slept.h5", start=trained)
    assert Trial(tmp_path / "slept.h5").phase_tests(0).task.tolist() == [1, 2] * 4  # at 0, 150, 300, 400 epochs


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 7])
def test_a_trial_that_was_stopped_has_the_same_tests(tmp_path, stop):
    parameters = SMALL.with_changes(TESTED)
    whole = recorded(tmp_path / "whole.h5", parameters, PretendEngine(parameters))
    keeping = Keeping(tmp_path / "ledger", minutes=0.0)
    with pytest.raises(Stopped):
        recorded(tmp_path / "cut.h5", parameters, PretendEngine(parameters), keeping=keeping, progress=StopsAt(stop))
    again = recorded(tmp_path / "cut.h5", parameters, PretendEngine(parameters), keeping=keeping)
    assert differences(whole.path, again.path) == []


def test_without_tests_segments_have_the_keys_that_they_had_before_there_were_any():
    plain, tested = Origin(SMALL, 1, "event").text, Origin(SMALL.with_changes(TESTED), 1, "event").text
    assert "recording.test_every" not in plain and "recording.test_epochs" not in plain and "recording.test_snapshots" in plain
    assert set(tested.split("\n")) - set(plain.split("\n")) == {"recording.test_every = 150", "recording.test_epochs = 60"}
    assert Origin(SMALL.with_changes({"recording.test_epochs": 60}), 1, "event").text == plain


def test_how_many_tests_there_will_be_is_known_before(tmp_path):
    parameters = SMALL.with_changes(TESTED)
    trial = recorded(tmp_path / "trial.h5", parameters, PretendEngine(parameters))
    for phase in trial.phases:
        tested = trial.phase_tests(phase.index)
        assert number_of_tests(parameters, phase.phase) == len(set(tested.epoch.tolist()))
    assert number_of_tests(SMALL, trial.phase("T1").phase) == 0


def test_a_trial_without_tests_says_so(tmp_path):
    trial = recorded(tmp_path / "trial.h5", SMALL, PretendEngine(SMALL))
    with pytest.raises(RecordingError, match=r"trial.h5: it was not tested during phases \(recording.test_every = 0\)$"):
        trial.phase_tests("T1")

"""Performance over trials, on trials whose performance is known."""

import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection
from foraging_snn.analysis.performance import (
    over_trials,
    performance_in_tests,
    performance_over_aeons,
    performance_while_cells_are_removed,
)
from foraging_snn.environments import Outcome

pytestmark = pytest.mark.slow


class TaskEngine(PretendEngine):
    """Eats rewarded particles only while Task 1 is trained or tested, punished ones with Task 2, nothing asleep."""

    def _advance(self, epochs, spikes):
        first = self._now.phase_epoch
        records = super()._advance(epochs, spikes)
        for k in range(epochs):
            task = self._phase.block_at(first + k)[0].task
            records.outcome[k] = Outcome.NOTHING if task is None else Outcome.REWARDED if task.name == "T1" else Outcome.PUNISHED
        return records


def trials(directory, name, seeds=(6, 8), **options):
    write_trials(directory, [name], seeds, **options)
    return Collection(directory).trials(name)


def test_mean_and_sd_leave_out_what_is_not_a_number():
    spread = over_trials([[0.5, np.nan, 1.0, np.nan], [0.7, 0.4, np.nan, np.nan]])
    np.testing.assert_allclose(spread.mean, [0.6, 0.4, 1.0, np.nan])
    np.testing.assert_allclose(spread.sd, [np.sqrt(0.02), np.nan, np.nan, np.nan])
    assert spread.trials == 2


def test_mean_and_sd_are_numpys_where_all_are_numbers():
    values = np.random.default_rng(0).random((7, 5))
    spread = over_trials(values)
    np.testing.assert_allclose(spread.mean, values.mean(axis=0))
    np.testing.assert_allclose(spread.sd, values.std(axis=0, ddof=1))


def test_phases_follow_each_other_without_the_unsupervised_one(tmp_path):
    phases = performance_over_aeons(trials(tmp_path, "sequential"), points=32)
    assert [(phase.name, phase.start, phase.aeons, phase.is_test) for phase in phases] == [
        ("T1", 0, 8, False),
        ("test T1", 8, 4, True),
        ("test T2", 12, 4, True),
        ("T2", 16, 8, False),
        ("test T1", 24, 4, True),
        ("test T2", 28, 4, True),
    ]
    assert [curve.task for phase in phases for curve in phase.curves] == [1, 1, 2, 2, 1, 2]
    for phase in phases:
        (curve,) = phase.curves
        np.testing.assert_allclose(curve.aeon, np.arange(phase.aeons) + 0.5)
        np.testing.assert_allclose(curve.performance.mean, 0.7)
        np.testing.assert_allclose(curve.performance.sd, np.sqrt(0.02))


@pytest.mark.parametrize(("points", "window", "aeon"), [(16, 2, [1, 3, 5, 7]), (8, 4, [2, 6]), (10, 3, [1.5, 4.5, 7])])
def test_windows_keep_a_curve_to_its_points(tmp_path, points, window, aeon):
    training = performance_over_aeons(trials(tmp_path, "sequential"), points)[0]
    assert training.window_aeons == window
    np.testing.assert_allclose(training.curves[0].aeon, aeon)


def test_interleaved_tasks_have_a_curve_each(tmp_path):
    phase = performance_over_aeons(trials(tmp_path, "interleaved", engine=TaskEngine), points=40)[3]
    assert [curve.task for curve in phase.curves] == [1, 2]
    np.testing.assert_array_equal(phase.curves[0].performance.mean, [1, 1, 1, 1])
    np.testing.assert_array_equal(phase.curves[1].performance.mean, [0, 0, 0, 0])
    np.testing.assert_array_equal(phase.curves[0].aeon, [0.5, 2.5, 4.5, 6.5])
    np.testing.assert_array_equal(phase.curves[1].aeon, [1.5, 3.5, 5.5, 7.5])


@pytest.mark.parametrize("block", [100, 30])
def test_a_task_interleaved_with_sleep_has_a_curve_without_gaps(tmp_path, block):
    parameters = SMALL.with_changes({"sleep.block_epochs": block, "phases.block_epochs": block})
    phase = performance_over_aeons(trials(tmp_path, "sleep", parameters=parameters, engine=TaskEngine), points=40)[3]
    (curve,) = phase.curves
    assert curve.task == 2
    np.testing.assert_array_equal(curve.performance.mean, np.zeros(4 if block == 100 else 8))


def test_an_interleaved_curve_has_no_short_window_at_its_end(tmp_path):
    parameters = SMALL.with_changes({"phases.interleaved_aeons": 30})
    phase = performance_over_aeons(trials(tmp_path, "sleep", parameters=parameters, engine=TaskEngine), points=11)[3]
    assert phase.window_aeons == 5
    np.testing.assert_array_equal(phase.curves[0].aeon, [2.5, 8.5, 14.5, 20.5, 26.5])  # three aeons of Task 2 each


def test_tests_are_those_after_each_phase(tmp_path):
    tests = performance_in_tests(trials(tmp_path, "sequential", seeds=(9, 5, 7)))
    assert [(test.after, test.task) for test in tests] == [("T1", 1), ("T1", 2), ("T2", 1), ("T2", 2)]
    for test in tests:
        np.testing.assert_allclose(test.values, [0.5, 0.7, 0.9])
        assert test.performance.mean == pytest.approx(0.7)
        assert test.performance.sd == pytest.approx(0.2)


def test_one_trial_has_no_sd(tmp_path):
    (test, *_) = performance_in_tests(trials(tmp_path, "task1", seeds=(7,)))
    assert test.performance.mean == pytest.approx(0.7)
    assert np.isnan(test.performance.sd)


def test_cells_left_are_those_of_the_epochs_of_a_window(tmp_path):
    """20 cells over 400 epochs: one goes every 20 epochs, so a window of 100 epochs has 20 to 16, 15 to 11, ..."""
    curve = performance_while_cells_are_removed(trials(tmp_path, "dropout-2"))
    assert curve.task == 2
    np.testing.assert_allclose(curve.cells_left, [18, 13, 8, 3])
    np.testing.assert_allclose(curve.performance.mean, 0.7)
    halved = performance_while_cells_are_removed(Collection(tmp_path).trials("dropout-2"), points=2)
    np.testing.assert_allclose(halved.cells_left, [15.5, 5.5])


def test_without_removed_cells_there_is_no_such_curve(tmp_path):
    with pytest.raises(ValueError, match="no phase in which hidden cells are removed"):
        performance_while_cells_are_removed(trials(tmp_path, "task1"))

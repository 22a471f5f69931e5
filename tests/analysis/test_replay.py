"""Replay: pairs counted by hand, and made-up activity of which it is known what it replays."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array

from foraging_snn.analysis.replay import (
    EpochActivity,
    association,
    epoch_activity,
    resemblance,
    task_overlap,
    task_scores,
)
from foraging_snn.models import preset

PARAMETERS = preset("tiny").with_changes({"network.hidden_cells": 48})
N_INPUT, N_HIDDEN, N_OUTPUT = 49, 48, 8


def spikes(*rows):
    """Rows (step, layer, cell) as arrays of steps and cells."""
    first = {"input": 0, "hidden": N_INPUT, "output": N_INPUT + N_HIDDEN}
    step, cell = zip(*[(step, first[layer] + cell) for step, layer, cell in rows], strict=True)
    return np.array(step, np.int64), np.array(cell, np.int32)


def test_pairs_are_those_of_stdp_pre_before_post():
    step, cell = spikes(
        (600, "input", 5),
        (600, "output", 1),  # before the hidden spike
        (610, "hidden", 3),
        (610, "output", 2),  # at the same step: counts
        (729, "output", 4),  # 119 steps later: counts
        (730, "output", 5),  # 120 steps later: does not
        (1199, "hidden", 7),
        (1210, "output", 0),  # of the next epoch
    )
    activity = epoch_activity(step, cell, np.array([0, 1, 2]), PARAMETERS)
    assert activity.hidden.sum(axis=1).tolist() == [0, 2, 0]
    pairs = activity.pairs.toarray().reshape(3, N_HIDDEN, N_OUTPUT)
    assert np.argwhere(pairs).tolist() == [[1, 3, 2], [1, 3, 4], [2, 7, 0]]
    assert pairs.sum() == 3


def test_every_pair_counts_and_only_the_epochs_wanted():
    step, cell = spikes((100, "hidden", 1), (110, "hidden", 1), (120, "output", 6), (130, "output", 6), (700, "hidden", 2))
    pairs = epoch_activity(step, cell, np.array([0, 5]), PARAMETERS).pairs.toarray()
    assert pairs[0, 1 * N_OUTPUT + 6] == 4
    assert pairs.sum() == 4
    assert epoch_activity(step, cell, np.array([1]), PARAMETERS).hidden.toarray().nonzero()[1].tolist() == [2]


def test_no_spikes_at_all_are_silent_epochs():
    nothing = np.zeros(0, np.int64)
    activity = epoch_activity(nothing, nothing, np.arange(4), PARAMETERS)
    assert (len(activity), activity.pairs.sum(), association(activity).any()) == (4, 0, False)
    assert np.isnan(resemblance(activity, activity).corrected)
    assert np.isnan(task_overlap(activity, activity))
    assert task_scores(activity, activity, activity) is None


def test_association_is_what_rates_do_not_explain():
    def of(pairs):
        flat = csr_array(np.asarray(pairs, float).reshape(1, -1))
        return association(EpochActivity(np.zeros(1, np.int64), csr_array((1, len(pairs))), flat))

    by_rates = np.outer([1, 2, 5], [3, 1, 0, 2, 2, 4, 1, 7])
    np.testing.assert_allclose(of(by_rates), 0, atol=1e-12)
    two = np.zeros((2, 8))
    two[0, 0], two[1, 1] = 6, 2
    expected = np.zeros((2, 8))
    expected[:, :2] = [[6 - 36 / 8, -6 * 2 / 8], [-6 * 2 / 8, 2 - 4 / 8]]
    np.testing.assert_allclose(of(two), expected)


def activity_of(mapping, hidden_cells, n_epochs, rng, follow=0.8, first_epoch=0):
    """Epochs in which four of some hidden cells fire, and the output cells that a mapping gives them, or else random ones."""
    hidden, pairs = np.zeros((n_epochs, N_HIDDEN)), np.zeros((n_epochs, N_HIDDEN, N_OUTPUT))
    for k in range(n_epochs):
        cells = rng.choice(hidden_cells, 4, replace=False)
        outputs = np.where(rng.random(4) < follow, mapping[cells], rng.integers(N_OUTPUT, size=4))
        hidden[k, cells] = 1
        np.add.at(pairs[k], (np.repeat(cells, 4), np.tile(outputs, 4)), 1)  # all cells precede all output spikes of the epoch
    return EpochActivity(first_epoch + np.arange(n_epochs), csr_array(hidden), csr_array(pairs.reshape(n_epochs, -1)))


def joined(*activities):
    """The epochs of several in one."""
    stacked = [np.concatenate([getattr(a, name).toarray() for a in activities]) for name in ("hidden", "pairs")]
    return EpochActivity(np.arange(len(stacked[0])), *map(csr_array, stacked))


ALL = np.arange(N_HIDDEN)
FIRST, SECOND = ALL[: N_HIDDEN // 2], ALL[N_HIDDEN // 2 :]


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def mapping(rng):
    """Three hidden cells per output cell in either half of them, so that no task prefers an output cell."""
    return np.concatenate([rng.permutation(np.repeat(np.arange(N_OUTPUT), 3)) for _ in range(2)])


@pytest.fixture
def tasks(mapping, rng):
    return [activity_of(mapping, cells, 400, rng) for cells in (FIRST, SECOND)]


def test_sleep_of_one_task_resembles_it_wholly_and_the_other_not(mapping, tasks, rng):
    sleep = activity_of(mapping, FIRST, 200, rng)
    same, other = (resemblance(sleep, task) for task in tasks)
    assert same.corrected == pytest.approx(1.0, abs=0.12)
    assert same.observed < same.corrected
    assert other.corrected == pytest.approx(0.0, abs=0.05)
    assert task_overlap(*tasks) == pytest.approx(0.0, abs=0.05)


def test_the_correction_makes_it_independent_of_the_number_of_epochs(mapping, tasks, rng):
    short, long = (resemblance(activity_of(mapping, FIRST, n, rng), tasks[0]) for n in (80, 800))
    assert long.observed > short.observed + 0.1
    assert short.corrected == pytest.approx(long.corrected, abs=0.2)


def test_an_equal_mixture_of_unlike_tasks_reaches_the_root_of_one_half_with_both(mapping, tasks, rng):
    across_epochs = joined(*(activity_of(mapping, cells, 200, rng) for cells in (FIRST, SECOND)))
    within_epochs = activity_of(mapping, ALL, 400, rng)
    for sleep, task in product((across_epochs, within_epochs), tasks):
        assert resemblance(sleep, task).corrected == pytest.approx(np.sqrt(0.5), abs=0.1)


def test_rates_alone_are_no_replay(mapping, tasks, rng):
    """Hidden cells of Task 1 fire, and one output cell more than others, but without regard to which hidden cells fire."""
    biased = np.where(rng.random((200, 4)) < 0.6, 3, rng.integers(N_OUTPUT, size=(200, 4)))
    pairs = np.zeros((200, N_HIDDEN, N_OUTPUT))
    for k in range(200):
        np.add.at(pairs[k], (np.repeat(rng.choice(FIRST, 4, replace=False), 4), np.tile(biased[k], 4)), 1)
    sleep = EpochActivity(np.arange(200), csr_array((200, N_HIDDEN)), csr_array(pairs.reshape(200, -1)))
    assert abs(resemblance(sleep, tasks[0]).observed) < 0.15


def test_permuted_hidden_cells_are_the_control(mapping, tasks, rng):
    found = resemblance(activity_of(mapping, FIRST, 200, rng), tasks[0])
    assert np.mean(found.control) == pytest.approx(0.0, abs=0.05)
    assert found.control.max() < found.corrected / 2
    again = resemblance(activity_of(mapping, FIRST, 200, np.random.default_rng(5)), tasks[0], seed=1)
    assert not np.array_equal(again.control, found.control)


def test_the_same_mapping_in_other_epochs_overlaps_wholly(mapping, rng):
    one, other = (activity_of(mapping, ALL, 400, rng) for _ in range(2))
    assert task_overlap(one, other) == pytest.approx(1.0, abs=0.12)


def test_templates_drifting_in_time_are_not_taken_for_noise(mapping, rng):
    """Halves in time of a template that is another one in its later half have nothing in common: nothing can be said."""
    drifting = joined(activity_of(mapping, FIRST, 200, rng), activity_of((mapping + 4) % N_OUTPUT, FIRST, 200, rng))
    found = resemblance(activity_of(mapping, FIRST, 200, rng), drifting)
    assert np.isnan(found.corrected)
    assert np.isfinite(found.observed)


def test_single_epochs_of_a_mixture_lie_between_the_tasks(mapping, tasks, rng):
    mixed = task_scores(*tasks, activity_of(mapping, ALL, 300, rng))
    assert mixed.area == pytest.approx(1.0)
    assert mixed.task_1.mean() == pytest.approx(-1.0, abs=0.1)
    assert mixed.task_2.mean() == pytest.approx(1.0, abs=0.1)
    assert mixed.other.mean() == pytest.approx(0.0, abs=0.1)
    alternating = task_scores(*tasks, joined(*(activity_of(mapping, cells, 150, rng) for cells in (FIRST, SECOND))))
    assert alternating.other.mean() == pytest.approx(0.0, abs=0.1)
    assert alternating.other.std() > 1.5 * mixed.other.std()


def test_tasks_with_the_same_hidden_activity_are_not_told_apart(mapping, rng):
    same = [activity_of(mapping, ALL, 300, rng) for _ in range(3)]
    assert task_scores(*same).area == pytest.approx(0.5, abs=0.1)

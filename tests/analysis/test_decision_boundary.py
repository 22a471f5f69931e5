"""The boundary between two tasks: distances with a known answer, and what each way of holding states out can and cannot see."""

import numpy as np
import pytest

from foraging_snn.analysis.decision_boundary import TaskStates, hold_out_snapshots, hold_out_trials, train_decision_boundary


def test_distance_from_the_boundary_between_two_points():
    """Two support vectors with k = exp(-gamma d²): w is their scaled difference, so each is sqrt((1 - k) / 2) from the boundary."""
    boundary = train_decision_boundary([[0.0, 0.0]], [[3.0, 4.0]], gamma=0.02, C=1e6)
    k = np.exp(-0.02 * 25)
    expected = np.sqrt((1 - k) / 2)
    np.testing.assert_allclose(boundary.distance([[0, 0], [3, 4], [1.5, 2]]), [-expected, expected, 0], atol=1e-6)


def test_distance_does_not_depend_on_the_cost_once_all_states_are_on_their_sides():
    states = np.array([[0.0], [0.2]]), np.array([[1.0], [1.3]])
    loose, strict = (train_decision_boundary(*states, gamma=1.0, C=cost).distance([[0.4], [2.0]]) for cost in (1e4, 1e6))
    np.testing.assert_allclose(loose, strict, rtol=1e-3)


def test_a_task_without_states_is_refused():
    with pytest.raises(ValueError, match="a task without states"):
        train_decision_boundary(np.zeros((0, 2)), np.zeros((1, 2)))


def _trials(directions, n=10):
    """Trials whose Task 1 and 2 states lie on opposite sides of a centre of their own, along a direction of their own."""
    random = np.random.default_rng(5)
    trials = {}
    for seed, direction in enumerate(directions):
        centre = random.normal(0, 0.1, direction.shape)
        noise = random.normal(0, 0.05, (3, n, len(direction)))
        trials[seed] = TaskStates(centre - direction + noise[0], centre + direction + noise[1], centre - direction / 2 + noise[2])
    return trials


def test_a_difference_common_to_all_trials_is_seen_in_held_out_trials():
    trials = _trials([np.eye(5)[0]] * 4)
    for distances in hold_out_trials(trials).values():
        assert distances.accuracy == 1.0
        assert distances.task_1.mean() < distances.other.mean() < 0 < distances.task_2.mean()


def test_differences_of_their_own_are_seen_in_held_out_snapshots_but_not_in_held_out_trials():
    trials = _trials(list(np.eye(12)[:6]) + list(-np.eye(12)[6:]))
    assert all(distances.accuracy == 1.0 for distances in hold_out_snapshots(trials).values())
    across = [distances.accuracy for distances in hold_out_trials(trials).values()]
    assert np.mean(across) < 0.75


def test_held_out_snapshots_are_not_those_learned_from():
    trials = _trials([np.eye(5)[0]] * 2, n=5)
    before = hold_out_snapshots(trials)
    assert {len(before[0].task_1), len(before[0].task_2)} == {2}
    assert len(before[0].other) == 5
    trials[0].task_1[1::2] += 100  # far from all states: if they had been learned from, the boundary would have moved
    after = hold_out_snapshots(trials)
    assert np.array_equal(before[0].task_2, after[0].task_2)
    assert not np.array_equal(before[0].task_1, after[0].task_1)


def test_the_judged_trial_is_not_learned_from():
    trials = _trials([np.eye(5)[0]] * 3)
    swapped = trials | {1: TaskStates(trials[1].task_2, trials[1].task_1, trials[1].other)}
    before, after = hold_out_trials(trials)[1], hold_out_trials(swapped)[1]
    assert np.array_equal(before.task_1, after.task_2)
    assert (before.accuracy, after.accuracy) == (1.0, 0.0)


def test_one_trial_can_be_judged_within_itself_only():
    trials = _trials([np.eye(5)[0]])
    assert hold_out_snapshots(trials)[0].accuracy == 1.0
    with pytest.raises(ValueError, match="1 given, allowed are at least 2"):
        hold_out_trials(trials)

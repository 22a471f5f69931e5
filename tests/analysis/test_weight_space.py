"""States as points: coordinates that do or do not depend on the numbering of hidden cells, projections and distances by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from foraging_snn.analysis.weight_space import (
    WeightStates,
    centre_trials,
    fit_kernel_projection,
    fit_projection,
    join,
    kernel_width,
    one_network,
    plateau,
    receptive_field_coordinates,
    set_distances,
    strength_coordinates,
    without_trajectory,
    without_trial,
)


def states(vector, trial=0, phase="T1"):
    vector = np.atleast_2d(np.asarray(vector, float))
    n = len(vector)
    return WeightStates(vector, np.broadcast_to(trial, n), np.broadcast_to(phase, n), np.arange(n))


@pytest.fixture
def network():
    random = np.random.default_rng(3)
    return random.random((4, 20, 8)), random.random((20, 3, 3))


def test_strength_coordinates_are_the_strengths_by_hidden_then_output_cell(network):
    strength, _ = network
    vector = strength_coordinates(strength)
    assert vector.shape == (4, 160)
    assert vector[2, 8 * 5 + 3] == strength[2, 5, 3]


def test_receptive_fields_do_not_depend_on_the_numbering_of_hidden_cells_but_strengths_do(network):
    strength, images = network
    order = np.random.default_rng(4).permutation(20)
    fields = receptive_field_coordinates(strength, images)
    assert fields.shape == (4, 8 * 9)
    np.testing.assert_allclose(receptive_field_coordinates(strength[:, order], images[order]), fields)
    assert not np.allclose(strength_coordinates(strength[:, order]), strength_coordinates(strength))


def test_receptive_field_by_hand():
    images = np.stack([np.full((3, 3), 0.01), np.zeros((3, 3))])
    strength = np.ones((1, 2, 8))
    strength[0, 0, 5] = 3  # three quarters of what output cell 5 receives
    fields = receptive_field_coordinates(strength, images).reshape(8, 9)
    np.testing.assert_allclose(fields[5], 0.0075)
    np.testing.assert_allclose(fields[0], 0.005)


def test_one_network_is_told_by_its_wiring(network):
    images = network[1]
    assert one_network([(images,), (images.copy(),)])
    assert not one_network([(images,), (images[::-1],)])
    assert not one_network([(images,), (images, images)])


def test_plateau_is_the_last_fifth_of_each_phase_of_each_trial():
    everything = join([states(np.arange(10)[:, None], trial, phase) for trial in (1, 2) for phase in ("T1", "T2")])
    end = plateau(everything)
    assert end.vector.ravel().tolist() == 4 * [8, 9]
    assert end.trial.tolist() == [1] * 4 + [2] * 4
    assert end.phase.tolist() == 2 * ["T1", "T1", "T2", "T2"]
    assert plateau(states([[1.0], [2.0], [3.0]])).vector.tolist() == [[2.0], [3.0]]  # one to learn from, one to judge


def test_centre_of_a_trial_weighs_its_phases_alike():
    reference = join([states([[0.0], [2.0], [4.0]], 1), states([[10.0]], 1, "T2"), states([[1.0]], 2), states([[3.0]], 2, "T2")])
    centred = centre_trials(join([states([[6.0]], 1), states([[6.0]], 2, "I(S,T2)")]), reference)
    assert centred.vector.tolist() == [[0.0], [4.0]]
    with pytest.raises(ValueError, match="no states of T1 or T2 of trial 3"):
        centre_trials(states([[6.0]], 3), reference)


def test_projection_finds_the_axes_of_variance():
    vector = np.zeros((40, 6))
    vector[:, 4] = np.tile([-3, 3], 20)
    vector[:, 1] = np.repeat([-1, 1], 20)
    projection = fit_projection(vector + 7)
    np.testing.assert_allclose(projection.share, [0.9, 0.1])
    np.testing.assert_allclose(projection.project(vector + 7), vector[:, [4, 1]], atol=1e-12)


def test_kernel_projection_reproduces_distances_in_its_feature_space():
    vector = np.random.default_rng(2).normal(size=(12, 5))
    projection = fit_kernel_projection(vector, n_components=11, gamma=0.1)
    expected = np.sqrt(2 - 2 * np.exp(-0.1 * cdist(vector, vector, "sqeuclidean")))
    flat = projection.project(vector)
    np.testing.assert_allclose(cdist(flat, flat), expected, atol=1e-7)
    assert projection.share.sum() == pytest.approx(1)
    assert (np.diff(projection.share) <= 0).all()


def test_kernel_width_is_one_over_the_median_squared_distance_of_different_states():
    assert kernel_width([[0.0], [0.0], [2.0], [2.0]]) == pytest.approx(1 / 4)
    with pytest.raises(ValueError, match="all states are the same"):
        kernel_width(np.ones((3, 2)))


@pytest.fixture
def points():
    """Trial 1 near 0 and trial 2 near 100, on a line."""
    return join(
        [
            states([[offset + place]], trial, phase)
            for trial, offset in ((1, 0.0), (2, 100.0))
            for phase, place in (("T1", 0.0), ("T2", 10.0), ("I(T1,T2)", 4.0), ("I(S,T2)", 7.0))
        ]
    )


def test_distance_to_a_set_is_that_to_its_nearest_point(points):
    distances = set_distances(states([[0.0], [10.0], [6.0]], 1), points)
    np.testing.assert_allclose(distances["M_T1"], [0, 3, 1], atol=1e-6)  # I(S,T2) is a point of all three sets
    np.testing.assert_allclose(distances["M_T2"], [4, 0, 1], atol=1e-6)
    np.testing.assert_allclose(distances["M_T1xT2"], [4, 3, 1], atol=1e-6)


def test_own_trajectory_held_out_leaves_the_same_network_in_other_protocols(points):
    way = join([states([[0.0]], 1, "T1"), states([[7.0]], 1, "I(S,T2)")])
    distances = set_distances(way, without_trajectory(points, way))
    np.testing.assert_allclose(distances["M_T1"], [4, 3])
    np.testing.assert_allclose(distances["M_T2"], [4, 3])
    np.testing.assert_allclose(distances["M_T1xT2"], [4, 3])


def test_own_trial_held_out_leaves_other_trials_only(points):
    way = join([states([[0.0]], 1, "T1"), states([[7.0]], 1, "I(S,T2)")])
    distances = set_distances(way, without_trial(points, way))
    np.testing.assert_allclose(distances["M_T1"], [100, 93])
    np.testing.assert_allclose(distances["M_T2"], [104, 97])


def test_distance_to_an_empty_set_is_not_a_number(points):
    way = states([[0.0]], 1)
    alone = set_distances(way, without_trial(points.of_trial(1), way))
    assert all(np.isnan(distance).all() and len(distance) == 1 for distance in alone.values())
    assert np.isnan(set_distances(way, points.of_phases("T1"))["M_T2"]).all()

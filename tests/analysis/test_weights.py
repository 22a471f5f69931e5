"""Strengths with known clusters: which synapses are chosen, how many are strong, where they went."""

import numpy as np
import pytest

from foraging_snn.analysis.weights import (
    STRONG,
    clusters,
    fate,
    strength_distribution,
    strength_histogram,
    task_relevant_synapses,
    trace_synapses,
    two_cluster_threshold,
)


def test_task_relevant_synapses_are_the_strongest_of_all_output_cells_together():
    strength = np.zeros((5, 8))
    strength[:, 3] = [0.5, 0.4, 0.3, 0.2, 0.1]  # four of 40 are 10 %, and one output cell has them all
    chosen = task_relevant_synapses(strength)
    assert np.argwhere(chosen).tolist() == [[0, 3], [1, 3], [2, 3], [3, 3]]


def test_share_of_task_relevant_synapses_is_rounded_up_but_not_by_rounding_errors():
    strength = np.arange(6272.0).reshape(784, 8)
    assert task_relevant_synapses(strength).sum() == 628  # 627.2
    assert task_relevant_synapses(np.arange(80.0).reshape(10, 8), 0.15).sum() == 12
    assert task_relevant_synapses(np.arange(30.0), 0.1).sum() == 3  # 0.1 * 30 is 3.0000000000000004
    assert task_relevant_synapses(np.arange(30.0), 1.0).all()


def test_equally_strong_synapses_are_chosen_by_hidden_cell_then_output_cell():
    assert np.argwhere(task_relevant_synapses(np.ones((2, 8)), 0.25)).tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share: .* given, allowed is above 0 and at most 1"):
        task_relevant_synapses(np.ones((2, 8)), share)


def test_traced_synapses_keep_their_identity():
    after_task_1 = np.array([[0.3, 0.0], [0.0, 0.2]])
    after_task_2 = np.array([[0.1, 0.4], [0.4, 0.01]])
    traced = trace_synapses(np.stack([after_task_1, after_task_2]), after_task_1 > STRONG)
    assert traced.strength.tolist() == [[0.3, 0.2], [0.1, 0.01]]
    assert traced.share_strong.tolist() == [1.0, 0.5]
    np.testing.assert_allclose(traced.median, [0.25, 0.055])


def test_distribution_counts_strengths_beyond_the_last_edge_in_the_last_bin():
    distribution = strength_distribution(np.array([[0.05, 0.15], [0.25, 0.9]]), [0, 0.1, 0.2, 0.3])
    assert distribution.share.tolist() == [0.25, 0.25, 0.5]


def test_clusters_of_all_cells_and_of_one():
    strength = np.zeros((2, 3, 8))
    strength[0, 0, 0], strength[0, 1, 1] = 0.2, 0.4
    strength[1, :, 0] = 0.1
    both = clusters(strength)
    assert both.n_strong.tolist() == [2, 3]
    assert both.n_weak.tolist() == [22, 21]
    np.testing.assert_allclose(both.mean_strong, [0.3, 0.1])
    np.testing.assert_allclose(both.mean_weak, [0, 0])
    assert clusters(strength[:, :, 0]).n_strong.tolist() == [1, 3]
    assert clusters(strength, [0.3, 0.2]).n_strong.tolist() == [1, 0]
    assert np.isnan(clusters(strength, 0.5).mean_strong).all()


def test_a_strength_at_the_threshold_is_weak():
    assert clusters(np.array([[STRONG, STRONG + 1e-9]])).n_strong.tolist() == [1]


def test_two_cluster_threshold_is_midway_between_the_two_means():
    strength = np.concatenate([np.full(90, 0.01), np.full(10, 0.21)])
    assert two_cluster_threshold(strength) == pytest.approx(0.11)


def test_two_cluster_threshold_is_the_best_of_all_divisions():
    values = np.random.default_rng(1).gamma(0.3, 0.1, 300)
    divided = {}
    for value in np.sort(values)[:-1]:
        low, high = values[values <= value], values[values > value]
        divided[low.var() * len(low) + high.var() * len(high)] = (low.mean() + high.mean()) / 2
    assert two_cluster_threshold(values) == pytest.approx(divided[min(divided)])


def test_equal_strengths_are_not_divided():
    threshold = two_cluster_threshold(np.full((3, 8), 0.02))
    assert np.isnan(threshold)
    assert clusters(np.full((1, 8), 0.02), [threshold]).n_weak.tolist() == [8]


def test_two_dimensional_histogram_has_before_first():
    histogram = strength_histogram([[0.05, 0.05]], [[0.15, 0.7]], [0, 0.1, 0.2])
    assert histogram.count.tolist() == [[0, 2], [0, 0]]
    with pytest.raises(ValueError, match="shapes"):
        strength_histogram(np.zeros((2, 8)), np.zeros((3, 8)), [0, 1])


def test_fate_counts_every_synapse_once():
    result = fate([0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0])
    assert (result.stayed_strong, result.became_weak, result.became_strong, result.stayed_weak) == (2, 1, 1, 4)
    assert result.shares.tolist() == [0.25, 0.125, 0.125, 0.5]

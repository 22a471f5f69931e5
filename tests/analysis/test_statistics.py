"""Statistics over trials, on data with a known answer."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from foraging_snn.analysis.statistics import (
    PERMUTATIONS,
    PermutationTest,
    bootstrap_interval,
    compare_curves,
    compare_paired,
    compare_unpaired,
    compare_with,
    summarise,
)


def coverage(interval_of, repetitions=400):
    """Share of intervals that hold 0."""
    rng = np.random.default_rng(1)
    intervals = [interval_of(rng) for _ in range(repetitions)]
    return np.mean([interval.low <= 0.0 <= interval.high for interval in intervals])


@pytest.mark.parametrize("n", [6, 10])
def test_an_interval_of_normal_trials_covers_the_true_mean_in_95_of_100_cases(n):
    """Margin: 2.5 standard errors of 400 repetitions; a plain percentile interval covers 0.87 and 0.90."""
    margin = 2.5 * math.sqrt(0.95 * 0.05 / 400)
    assert coverage(lambda rng: bootstrap_interval(rng.normal(0.0, 0.03, n))) == pytest.approx(0.95, abs=margin)


def test_an_interval_of_a_difference_covers_too():
    margin = 2.5 * math.sqrt(0.95 * 0.05 / 400)
    unequal = coverage(lambda rng: bootstrap_interval(rng.normal(0.0, 0.02, 10), rng.normal(0.0, 0.04, 10)))
    assert unequal == pytest.approx(0.95, abs=margin)


def test_an_interval_is_about_as_wide_as_students():
    sample = stats.norm.ppf((np.arange(10) + 0.5) / 10)  # as normal as ten numbers can be
    interval = bootstrap_interval(sample)
    half = stats.t.ppf(0.975, 9) * sample.std(ddof=1) / math.sqrt(10)
    assert interval.low == pytest.approx(-half, rel=0.06)
    assert interval.high == pytest.approx(half, rel=0.06)


def test_an_interval_of_two_trials_is_their_range():
    assert summarise([0.6, 0.7]).interval.low == pytest.approx(0.6)
    assert summarise([0.6, 0.7]).interval.high == pytest.approx(0.7)


def test_an_interval_of_equal_trials_is_a_point():
    interval = summarise([0.7, 0.7, 0.7]).interval
    assert (interval.low, interval.high) == (pytest.approx(0.7), pytest.approx(0.7))


def test_the_same_trials_always_give_the_same_interval_and_p_value():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.6, 0.03, 20), rng.normal(0.6, 0.03, 20)
    assert compare_unpaired(first, second) == compare_unpaired(first, second)
    assert summarise(first) == summarise(first)


def test_summary_of_known_numbers():
    summary = summarise([0.4, 0.6, 0.8, math.nan])
    assert summary.n == 3
    assert summary.mean == pytest.approx(0.6)
    assert summary.sd == pytest.approx(0.2)  # n - 1: sqrt((0.04 + 0 + 0.04) / 2)


@pytest.mark.parametrize(("values", "n", "mean"), [([0.7], 1, 0.7), ([], 0, None), ([math.nan], 0, None)])
def test_fewer_than_two_trials_have_no_spread_interval_or_test(values, n, mean):
    summary = summarise(values)
    assert (summary.n, summary.mean, summary.sd, summary.interval) == (n, mean, None, None)
    assert compare_with(values) is None
    for difference in (compare_paired(values, values), compare_unpaired(values, [0.5, 0.6])):
        assert (difference.sd, difference.interval, difference.test) == (None, None, None)


def test_fewer_than_two_numbers_have_no_bootstrap():
    with pytest.raises(ValueError, match="1 numbers given, allowed is at least 2"):
        bootstrap_interval([0.5])


# ------------------------------------------------------------------------------------------------------ permutation tests


def sign_flip_p(differences):
    """Two-sided p-value by listing all signs."""
    means = np.array([np.mean(np.array(signs) * differences) for signs in product((1, -1), repeat=len(differences))])
    tail = 1e-12
    observed = np.mean(differences)
    return min(1.0, 2 * min(np.mean(means >= observed - tail), np.mean(means <= observed + tail)))


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_paired_p_values_are_exact(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.6, 0.05, n), rng.normal(0.57, 0.05, n)
    test = compare_paired(first, second).test
    assert test.exact
    assert test.p_value == pytest.approx(sign_flip_p(first - second))


def test_a_shift_in_all_of_ten_pairs_has_the_smallest_possible_p():
    first = np.random.default_rng(3).uniform(0.4, 0.8, 10)
    difference = compare_paired(first + 0.01, first)
    assert difference.mean == pytest.approx(0.01)
    assert difference.sd == pytest.approx(0.0, abs=1e-12)
    assert difference.test.p_value == difference.test.smallest_p == 2 / 2**10


def test_pairing_finds_what_differences_between_trials_hide():
    rng = np.random.default_rng(3)
    level = rng.uniform(0.4, 0.8, 8)
    first, second = level + 0.02, level + rng.normal(0.0, 0.005, 8)
    assert compare_paired(first, second).test.p_value < 0.01
    assert compare_unpaired(first, second).test.p_value > 0.5


def test_unpaired_p_values_are_exact_where_the_groups_are_small():
    """Of the 20 ways to deal 6 trials to two groups of 3, the observed one is the most extreme on its side."""
    difference = compare_unpaired([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])
    assert difference.mean == 3.0
    assert difference.test.exact
    assert difference.test.p_value == pytest.approx(2 / 20)
    assert difference.test.smallest_p == pytest.approx(2 / 20)


def test_large_groups_are_permuted_at_random_and_say_so():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.70, 0.02, 12), rng.normal(0.52, 0.02, 12)
    test = compare_unpaired(first, second).test
    assert not test.exact
    assert test.p_value == pytest.approx(2 / (PERMUTATIONS + 1)) == pytest.approx(test.smallest_p)


def test_p_values_are_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(6)
    p = [compare_paired(rng.normal(0, 1, 8), rng.normal(0, 1, 8)).test.p_value for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=2.5 * math.sqrt(0.05 * 0.95 / 400))


def test_no_difference_at_all_has_p_1():
    same = [0.5, 0.6, 0.7]
    assert compare_paired(same, same).test.p_value == 1.0


def test_chance_is_the_value_tested_against():
    assert compare_with([0.70, 0.71, 0.69, 0.72, 0.68, 0.70]).p_value == 2 / 2**6
    assert compare_with([0.49, 0.51, 0.48, 0.52]).p_value == 1.0
    assert compare_with([0.70, 0.72], 0.71).p_value == 1.0


def test_trials_without_a_number_are_left_out_of_pairs():
    difference = compare_paired([0.7, math.nan, 0.8, 0.9], [0.5, 0.5, math.nan, 0.5])
    assert (difference.n_first, difference.n_second) == (2, 2)
    assert difference.mean == pytest.approx(0.3)
    assert compare_unpaired([0.7, math.nan, 0.9], [0.5, 0.6]).n_first == 2


# ----------------------------------------------------------------------------------------------------------------- curves


def test_the_largest_point_of_two_pairs_of_curves_is_tested_by_hand():
    """Differences (1, 0) and (0.5, 3): means (0.75, 1.5), or with one sign flipped (0.25, 1.5); the largest is 1.5 in all four."""
    assert compare_curves([[1.0, 0.0], [0.5, 3.0]], np.zeros((2, 2))).p_value == 1.0
    # Differences (3, 0) and (1, 0): the largest is 2 for equal signs and 1 for unequal ones.
    assert compare_curves([[3.0, 0.0], [1.0, 0.0]], np.zeros((2, 2))) == PermutationTest(0.5, True, 0.5)


def test_the_test_of_curves_is_that_of_all_sign_flips():
    rng = np.random.default_rng(5)
    first, second = rng.normal(0.3, 1.0, (7, 4)), rng.normal(0.0, 1.0, (7, 4))
    largest = [
        np.abs(np.mean((first - second) * np.array(signs)[:, None], axis=0)).max() for signs in product((-1.0, 1.0), repeat=7)
    ]
    observed = np.abs((first - second).mean(axis=0)).max()
    expected = np.mean(np.array(largest) >= observed - 1e-12)
    assert compare_curves(first, second).p_value == pytest.approx(expected)


def test_with_many_trials_random_arrangements_stand_for_all():
    rng = np.random.default_rng(6)
    first = rng.normal(1.0, 0.1, (20, 3))
    found = compare_curves(first, np.zeros((20, 3)))
    assert found == PermutationTest(pytest.approx(1 / (PERMUTATIONS + 1)), False, pytest.approx(1 / (PERMUTATIONS + 1)))


def test_curves_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"curves: shapes \(2, 3\) and \(3, 3\) given"):
        compare_curves(np.zeros((2, 3)), np.zeros((3, 3)))
    assert compare_curves(np.zeros((1, 3)), np.zeros((1, 3))) is None

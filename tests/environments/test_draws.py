"""Counter-based draws: the hash against plain Python integers, reproducibility, uniformity."""

import math

import numpy as np
import pytest
from numba import njit

from foraging_snn.environments.draws import Stream, integer, stream_key, uniform, uniforms

WRAP = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WRAP
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WRAP
    return z ^ (z >> 31)


def key_by_hand(seed, stream, epoch):
    key = mix((seed + GOLDEN) & WRAP)
    key = mix((key + GOLDEN * (stream + 1)) & WRAP)
    return mix((key + GOLDEN * (epoch + 1)) & WRAP)


def uniform_by_hand(key, index):
    return (mix((key + GOLDEN * (index + 1)) & WRAP) >> 11) * 2.0**-53


@njit
def draws_in_jitted_code(seed, epoch, index):
    key = stream_key(seed, Stream.NEW_PARTICLE, epoch)
    return uniform(key, index), integer(key, index, 50)


def test_finaliser_is_that_of_splitmix64():
    # First outputs of the published SplitMix64 generator started at state 0 and at state 1234567.
    assert mix(GOLDEN) == 0xE220A8397B1DCDAF
    assert mix((2 * GOLDEN) & WRAP) == 0x6E789E6AA1B965F4
    assert mix((1234567 + GOLDEN) & WRAP) == 6457827717110365317
    assert mix((1234567 + 2 * GOLDEN) & WRAP) == 3203168211198807973


def test_known_values():
    assert int(stream_key(1, Stream.WORLD, 0)) == 14569959790180725771
    assert uniform(stream_key(1, Stream.WORLD, 0), 0) == 0.9041398516312925
    assert uniform(stream_key(1, Stream.WORLD, 2), 0) == 0.685005687792518


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**31, 2**62 + 7, 2**63 - 1])
@pytest.mark.parametrize("stream", list(Stream))
def test_hash_equals_the_formula_of_the_conventions(seed, stream):
    for epoch in (0, 1, 599, 10_000_000):
        key = stream_key(seed, stream, epoch)
        assert int(key) == key_by_hand(seed, int(stream), epoch)
        for index in (0, 1, 2, 3_762_000_000):
            assert uniform(key, index) == uniform_by_hand(int(key), index)
            assert integer(key, index, 9) == math.floor(uniform_by_hand(int(key), index) * 9)


def test_python_and_jitted_code_draw_the_same_on_both_sides_of_two_to_the_63():
    # A key at or above 2**63 does not fit a signed integer, which is what Numba takes a Python int for.
    sides = set()
    for seed in range(40):
        key = stream_key(seed, Stream.NEW_PARTICLE, 3)
        assert isinstance(key, np.uint64)
        sides.add(int(key) >= 2**63)
        assert draws_in_jitted_code(seed, 3, 5) == (uniform(key, 5), integer(key, 5, 50))
        assert uniform(key, 5) == uniform_by_hand(int(key), 5)
    assert sides == {True, False}


def test_a_key_given_as_a_small_python_int_is_taken_as_unsigned():
    for seed in range(40):
        key = int(stream_key(seed, Stream.WORLD, 0))
        if key < 2**63:
            assert uniform(key, 1) == uniform_by_hand(key, 1)


def test_uniforms_is_a_slice_of_the_single_draws():
    key = stream_key(7, Stream.SLEEP_PULSE, 11)
    assert uniforms(key, 100, 50).tolist() == [uniform(key, index) for index in range(100, 150)]
    assert uniforms(key, 0, 0).shape == (0,)


def test_draws_are_reproducible_and_order_does_not_matter():
    forward = [uniform(stream_key(3, Stream.WORLD, e), i) for e in range(5) for i in range(5)]
    backward = [uniform(stream_key(3, Stream.WORLD, e), i) for e in reversed(range(5)) for i in reversed(range(5))]
    assert forward == backward[::-1]


def test_seed_stream_epoch_and_index_all_matter():
    keys = {int(stream_key(s, t, e)) for s in range(20) for t in Stream for e in range(20)}
    assert len(keys) == 20 * len(Stream) * 20
    assert len(set(uniforms(stream_key(0, 1, 0), 0, 100_000).tolist())) == 100_000


@pytest.mark.parametrize("stream", [Stream.WORLD, Stream.INPUT_HIDDEN, Stream.DROPOUT_ORDER])
def test_draws_are_uniform(stream):
    n = 200_000
    draws = uniforms(stream_key(5, stream, 17), 0, n)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    # Margins of 4 standard errors: sd 1/sqrt(12) for the mean, 1/sqrt(180) for the variance.
    assert abs(draws.mean() - 1 / 2) < 4 / math.sqrt(12 * n)
    assert abs(draws.var() - 1 / 12) < 4 / math.sqrt(180 * n)
    # Chi square of 100 bins has mean 99 and sd sqrt(198).
    counts = np.bincount((draws * 100).astype(int), minlength=100)
    assert abs(((counts - n / 100) ** 2 / (n / 100)).sum() - 99) < 4 * math.sqrt(198)
    # Neighbouring draws are uncorrelated: sd 1/sqrt(n).
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / math.sqrt(n)


def test_first_draws_of_successive_epochs_and_seeds_are_uniform_and_uncorrelated():
    n = 20_000
    by_epoch = np.array([uniform(stream_key(1, Stream.EXPLORATION, e), 0) for e in range(n)])
    by_seed = np.array([uniform(stream_key(s, Stream.EXPLORATION, 0), 0) for s in range(n)])
    for draws in (by_epoch, by_seed):
        assert abs(draws.mean() - 1 / 2) < 4 / math.sqrt(12 * n)
        assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / math.sqrt(n)


@pytest.mark.parametrize("n", [1, 2, 9, 50])
def test_integers_cover_their_range_evenly(n):
    key = stream_key(2, Stream.DIRECTION_TIE, 0)
    draws = 40_000
    counts = np.bincount([integer(key, index, n) for index in range(draws)], minlength=n)
    assert counts.shape == (n,)
    assert np.abs(counts - draws / n).max() < 4.5 * math.sqrt(draws / n)

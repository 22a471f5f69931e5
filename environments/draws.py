"""Counter-based random numbers: every draw is a hash of (trial seed, stream, epoch, index).

There is no generator state to save: a run cut in two equals the run in one piece, and two engines can be fed the same
draws. The hash and the table of streams are described in docs/conventions.md. The C++ twin is models/cpp/draws.h.
"""

from enum import IntEnum

import numpy as np

from .jit import cached_njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
ONE = np.uint64(1)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_11 = (np.uint64(n) for n in (30, 27, 31, 11))
TWO_TO_MINUS_53 = 2.0**-53


class Stream(IntEnum):
    """What a draw is used for; streams of one trial are independent of each other."""

    WIRING_INPUTS = 1
    WIRING_CHUNKS = 2
    WORLD = 3
    NEW_PARTICLE = 4
    DIRECTION_TIE = 5
    EXPLORATION = 6
    INPUT_HIDDEN = 7
    HIDDEN_OUTPUT_EXCITATORY = 8
    HIDDEN_OUTPUT_INHIBITORY = 9
    SLEEP_PULSE = 10
    DROPOUT_ORDER = 11
    SLEEP_PATTERN = 12
    PERTURBATION = 13
    ARTIFICIAL_INPUT = 21
    ARTIFICIAL_WINDOW = 22
    ARTIFICIAL_IMAGE = 23


@cached_njit(inline="always")
def _mix(z):
    """Finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014)."""
    z = (z ^ (z >> SHIFT_30)) * MULTIPLIER_1
    z = (z ^ (z >> SHIFT_27)) * MULTIPLIER_2
    return z ^ (z >> SHIFT_31)


@cached_njit(result=np.uint64)
def stream_key(seed, stream, epoch):
    """Key of one stream in one epoch of one trial; callable from Python and from jitted code.

    Parameters
    ----------
    seed, stream, epoch : int
        Non-negative; `stream` is a member of :class:`Stream`.

    Returns
    -------
    numpy.uint64
    """
    key = _mix(np.uint64(seed) + GOLDEN)
    key = _mix(key + GOLDEN * (np.uint64(stream) + ONE))
    return _mix(key + GOLDEN * (np.uint64(epoch) + ONE))


@cached_njit
def uniform(key, index):
    """Draw number `index` of the stream `key`: a float64 in [0, 1) with 53 random bits."""
    # A key given as a Python int would otherwise be a signed number, whose sum and shift are others.
    return (_mix(np.uint64(key) + GOLDEN * (np.uint64(index) + ONE)) >> SHIFT_11) * TWO_TO_MINUS_53


@cached_njit
def integer(key, index, n):
    """Draw number `index` of the stream `key` as an integer in 0 ... n-1."""
    return int(uniform(key, index) * n)


@cached_njit
def uniforms(key, start, count):
    """Draws `start` ... `start + count - 1` of the stream `key`, shape (count,)."""
    draws = np.empty(count)
    for index in range(count):
        draws[index] = uniform(key, start + index)
    return draws


@cached_njit
def uniforms_at(key, indices):
    """Draws with the numbers `indices` (n,) uint64 of the stream `key`, shape (n,)."""
    draws = np.empty(len(indices))
    for n in range(len(indices)):
        draws[n] = uniform(key, indices[n])
    return draws

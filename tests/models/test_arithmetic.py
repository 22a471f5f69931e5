"""Numbers that are the same on every processor: against exact fractions and sums, and a whole run under other instruction sets."""

import math
import os
import platform
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import reference_run

from foraging_snn.models.arithmetic import (
    decaying_exponential,
    fit_nodes,
    interpolate,
    matrix_power,
    parabolas,
    polynomial_fit,
    power,
    sum_at,
)
from foraging_snn.models.event_kernel.plasticity import _scale_row


def test_a_power_is_the_double_nearest_to_the_exact_one():
    for base, exponent in ((0.985, 0), (0.985, 1), (0.985, 65), (0.985, 599), (1.0 / 3.0, 30)):
        assert power(base, exponent) == float(Fraction(base) ** exponent)


def test_a_decaying_exponential_is_correctly_rounded():
    values = decaying_exponential(400, 40.0)
    assert values[0] == 1.0
    assert values == pytest.approx([math.exp(-k / 40.0) for k in range(400)], rel=2e-15)
    # exp by its series in fractions, far beyond the precision of a double; the nearest double is the only one within half a unit
    for k in (1, 7, 119):
        x, term, total = Fraction(-k, 40), Fraction(1), Fraction(1)
        for n in range(1, 80):
            term *= x / n
            total += term
        assert values[k] == float(total)


def test_a_matrix_power_is_the_product_of_so_many():
    matrix = [[0.97, 1.0, 0.133], [-0.0005, 1.0, 0.0005], [0.0, 0.0, 0.985]]
    assert np.array_equal(matrix_power(matrix, 0), np.eye(3))
    assert np.array_equal(matrix_power(matrix, 1), matrix)
    for exponent in (2, 65, 534):
        assert matrix_power(matrix, exponent) == pytest.approx(np.linalg.matrix_power(np.array(matrix), exponent), rel=1e-12)


def test_parabolas_go_through_their_points():
    at, values = (0.05, 0.5, 0.95), np.random.default_rng(1).normal(size=(50, 3))
    coefficients = parabolas(at, values)
    for k, t in enumerate(at):
        assert np.polyval(coefficients.T, t) == pytest.approx(values[:, k], abs=1e-14)


def test_a_fit_is_that_of_least_squares():
    nodes = fit_nodes(8)
    assert (len(nodes), nodes.min() > 0.0, nodes.max() < 1.0) == (32, True, True)
    assert np.array_equal(nodes * 2.0**20, np.round(nodes * 2.0**20))
    values = np.exp(-3.0 * nodes)
    assert np.polyval(polynomial_fit(values, 8), nodes) == pytest.approx(values, abs=1e-6)
    polynomial = np.array([0.5, -1.0, 0.0, 2.0, 1.0, 0.0, 0.25, -3.0, 1.0])
    assert polynomial_fit(np.polyval(polynomial, nodes), 8) == pytest.approx(polynomial, abs=1e-7)


def test_interpolation_is_linear_between_knots_and_constant_beyond():
    knots, values = np.array([1.0, 2.0, 4.0]), np.array([10.0, 20.0, 0.0])
    assert interpolate(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 9.0]), knots, values).tolist() == [10, 10, 15, 20, 10, 0, 0]


def test_a_sum_at_places_has_eight_partial_sums_and_a_tree():
    random = np.random.default_rng(2)
    for n in (0, 1, 7, 8, 144, 150):
        values, places = random.normal(size=200), random.permutation(200)[:n]
        partial = [0.0] * 8
        whole = n // 8 * 8
        for k in range(whole):
            partial[k % 8] += values[places[k]]
        rest = 0.0
        for k in range(whole, n):
            rest += values[places[k]]
        a = partial
        expected = (((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]))) + rest
        assert sum_at(values, places) == expected


def test_a_row_of_strengths_is_added_up_in_32_partial_sums():
    random = np.random.default_rng(3)
    for n in (1, 20, 31, 32, 33, 784, 800):
        strengths = random.uniform(0.0, 0.1, n)
        factor, low, high = 1.01, 0.02, 0.09
        scaled = [max(strength * factor, low) for strength in strengths.tolist()]
        partial = [0.0] * 32
        for h, value in enumerate(scaled):
            partial[h % 32] += value
        while len(partial) > 1:
            half = len(partial) // 2
            partial = [partial[k] + partial[k + half] for k in range(half)]
        total, too_large = _scale_row(strengths, factor, low, high, np.empty(32))
        assert strengths.tolist() == scaled
        assert (total, too_large) == (partial[0], sum(value > high for value in scaled))


# ---------------------------------------------------------------------------------------------- one seed, one state, everywhere

REFERENCE = {
    "event": "b37a4cc6b628e93b6ae1e9325076ef913bbc8dd064093a5382e9a21ed10b41cb",
    "brian2": "325d1649c99675f1cc45ce55b6289c7ccfb350825627e4424af2b2538fa6279d",
}
NEWER_THAN_V3 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"


@pytest.mark.parametrize("name", REFERENCE)
def test_one_seed_gives_the_reference_state(name):
    assert reference_run.digest(name) == REFERENCE[name]


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_one_seed_gives_the_reference_state_under_other_instruction_sets(processor, tmp_path):
    if platform.machine() != "x86_64":
        pytest.skip("compiles for processors of the x86-64 family")
    # the names alone would keep the features of this processor; NumPy's own choice of instructions goes with them
    features = {"x86-64-v4": None, "x86-64-v3": NEWER_THAN_V3, "x86-64": f"{NEWER_THAN_V3} AVX2 FMA3 F16C AVX"}[processor]
    if processor == "x86-64-v4" and "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX-512")
    environment = os.environ | {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": "Prescott"} if features else {}
    command = [sys.executable, "-W", "ignore", "-c", "import reference_run; print(reference_run.digest('event'))"]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == REFERENCE["event"]

"""Numbers that have to be the same on every processor: exponentials, powers, fits, and sums in one order.

Libraries of mathematics, of linear algebra and vector units round differently from processor to processor, by the last bit, and in
millions of epochs another network comes of that. So what is transcendental is computed here, once and correctly rounded; a fit is
solved in fractions; and jitted loops keep the order of operations as it is written (no `fastmath` but what leaves values alone).
"""

from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

import numpy as np

from foraging_snn.environments.jit import cached_njit

_DIGITS = Context(prec=60)  # far more than the 17 of a double, so that rounding it at the end is correct rounding


def decaying_exponential(n: int, decay: float) -> np.ndarray:
    """exp(-k / decay) for k = 0 ... n - 1, correctly rounded, (n,) float64."""
    return np.array([float(_DIGITS.exp(_DIGITS.divide(Decimal(-k), Decimal(float(decay))))) for k in range(n)])


def power(base: float, exponent: int) -> float:
    """base ** exponent, correctly rounded; `exponent` at least 0."""
    return float(_DIGITS.power(Decimal(float(base)), int(exponent)))


def matrix_power(matrix: list[list[float]], exponent: int) -> np.ndarray:
    """A square matrix, multiplied by itself so many times; products are summed from left to right. `exponent` at least 0."""
    size = range(len(matrix))
    result = [[float(row == column) for column in size] for row in size]
    factor = [[float(value) for value in row] for row in matrix]
    while exponent:
        if exponent % 2:
            result = _product(result, factor)
        factor = _product(factor, factor)
        exponent //= 2
    return np.array(result)


def _product(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    product = []
    for row in a:
        sums = []
        for column in range(len(b[0])):
            total = row[0] * b[0][column]
            for k in range(1, len(b)):
                total += row[k] * b[k][column]
            sums.append(total)
        product.append(sums)
    return product


def parabolas(at: tuple[float, float, float], values: np.ndarray) -> np.ndarray:
    """Coefficients, highest first, of the parabolas through values (n, 3) at three places, (n, 3)."""
    t_0, t_1, t_2 = at
    f_0, f_1, f_2 = values.T
    first, second = (f_1 - f_0) / (t_1 - t_0), (f_2 - f_1) / (t_2 - t_1)
    bend = (second - first) / (t_2 - t_0)
    return np.stack((bend, first - bend * (t_0 + t_1), f_0 - first * t_0 + bend * (t_0 * t_1)), axis=1)


NODE_BITS = 20  # of the nodes of a fit: few, so that no rounding error of their cosine is left


@lru_cache(maxsize=4)
def fit_nodes(degree: int) -> np.ndarray:
    """Where a function on 0 ... 1 is sampled for :func:`polynomial_fit`: near Chebyshev's nodes, (4 degree,)."""
    n = 4 * degree
    cosine = np.array([np.cos(np.pi * (k + 0.5) / n) for k in range(n)])
    nodes = np.round((0.5 - 0.5 * cosine) * 2.0**NODE_BITS) * 2.0**-NODE_BITS
    nodes.setflags(write=False)
    return nodes


@lru_cache(maxsize=4)
def _fit_matrix(degree: int) -> list[list[Fraction]]:
    """Coefficients (lowest first) of the polynomial of least squares as a function of the values at the nodes, exactly.

    The weights are those of Chebyshev's fit on these nodes: all alike.
    """
    nodes = [Fraction(float(node)) for node in fit_nodes(degree)]
    powers = [[node**k for k in range(degree + 1)] for node in nodes]
    normal = [[sum((row[j] * row[k] for row in powers), Fraction(0)) for k in range(degree + 1)] for j in range(degree + 1)]
    right: list[list[Fraction]] = [[row[j] for row in powers] for j in range(degree + 1)]
    for k in range(degree + 1):  # Gauss and Jordan; the matrix is positive definite, and there is no rounding
        pivot = normal[k][k]
        normal[k], right[k] = [value / pivot for value in normal[k]], [value / pivot for value in right[k]]
        for j in range(degree + 1):
            if j != k and (share := normal[j][k]):
                normal[j] = [value - share * other for value, other in zip(normal[j], normal[k], strict=True)]
                right[j] = [value - share * other for value, other in zip(right[j], right[k], strict=True)]
    return right


def polynomial_fit(values: np.ndarray, degree: int) -> np.ndarray:
    """Polynomial of least squares through values at :func:`fit_nodes`: coefficients, highest first, correctly rounded."""
    exact = [Fraction(float(value)) for value in values]
    matrix = _fit_matrix(degree)
    return np.array([float(sum(a * b for a, b in zip(row, exact, strict=True))) for row in matrix[::-1]])


@cached_njit
def interpolate(x, knots, values):
    """Piecewise linear function through (`knots`, `values`), both (m,), `knots` ascending, at `x` (n,); constant outside."""
    out = np.empty(len(x))
    for n in range(len(x)):
        k = np.searchsorted(knots, x[n], side="right") - 1
        if k < 0:
            out[n] = values[0]
        elif k >= len(knots) - 1:
            out[n] = values[-1]
        else:
            slope = (values[k + 1] - values[k]) / (knots[k + 1] - knots[k])
            out[n] = slope * (x[n] - knots[k]) + values[k]
    return out


@cached_njit
def sum_at(values, places):
    """Sum of `values` at `places` (n,): eight partial sums, one for each place modulo 8, added up as a tree."""
    a_0 = a_1 = a_2 = a_3 = a_4 = a_5 = a_6 = a_7 = 0.0
    whole = len(places) // 8 * 8
    for k in range(0, whole, 8):
        a_0 += values[places[k]]
        a_1 += values[places[k + 1]]
        a_2 += values[places[k + 2]]
        a_3 += values[places[k + 3]]
        a_4 += values[places[k + 4]]
        a_5 += values[places[k + 5]]
        a_6 += values[places[k + 6]]
        a_7 += values[places[k + 7]]
    rest = 0.0
    for k in range(whole, len(places)):
        rest += values[places[k]]
    return (((a_0 + a_1) + (a_2 + a_3)) + ((a_4 + a_5) + (a_6 + a_7))) + rest

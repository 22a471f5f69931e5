"""Planes and lines in the space of strengths: coordinates, distances, grids, barriers. Pure functions of arrays.

Sums are rounded once (math.fsum), so that the points of a plane through three states are the same bits on every processor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .weight_space import fit_projection

SMALLEST_ANGLE = 1e-3  # sine of the angle between the sides of a plane


@dataclass(frozen=True)
class Plane:
    """A plane in a space of d coordinates.

    Attributes
    ----------
    origin : (d,) float64
    axes : (2, d) float64
        Orthonormal.
    """

    origin: np.ndarray
    axes: np.ndarray

    def position(self, vectors: np.ndarray) -> np.ndarray:
        """Coordinates of the projections of points, (n, 2) float64.

        Parameters
        ----------
        vectors : (n, d) array
        """
        return np.array([[dot(vector - self.origin, axis) for axis in self.axes] for vector in vectors]).reshape(-1, 2)

    def distance(self, vectors: np.ndarray) -> np.ndarray:
        """Euclidean distance of points from the plane, (n,) float64."""
        flat = self.points(self.position(vectors))
        return np.array([length(vector - on_plane) for vector, on_plane in zip(vectors, flat, strict=True)])

    def points(self, position: np.ndarray) -> np.ndarray:
        """The points at these coordinates, (n, d) float64.

        Parameters
        ----------
        position : (n, 2) array
        """
        along_x, along_y = (position[:, k, None] * self.axes[k] for k in (0, 1))
        return self.origin + along_x + along_y


def plane_through(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> Plane:
    """The plane through three points: the first at the origin, the second on the x axis, the third above it.

    Raises
    ------
    ValueError
        They are on one line, or two of them are the same.
    """
    side, other = second - first, third - first
    if not length(side) or not length(other) or not length(third - second):
        raise ValueError("two of the three states are the same")
    x = side / length(side)
    y = other - dot(other, x) * x
    if length(y) < SMALLEST_ANGLE * length(other):
        raise ValueError("the three states are on one line")
    return Plane(first, np.array([x, y / length(y)]))


def principal_plane(vectors: np.ndarray) -> tuple[Plane, np.ndarray]:
    """The plane in which points vary most, its origin at their mean; and the share of the variance along each axis.

    Parameters
    ----------
    vectors : (n, d) array
        At least three points.
    """
    projection = fit_projection(vectors)
    return Plane(projection.estimator.mean_, projection.estimator.components_), projection.share  # type: ignore[union-attr]


def dot(a: np.ndarray, b: np.ndarray) -> float:
    """Scalar product, its sum rounded once."""
    return math.fsum((a * b).tolist())


def length(a: np.ndarray) -> float:
    """Euclidean length, its sum rounded once."""
    return math.sqrt(dot(a, a))


def grid_axes(position: np.ndarray, n: int, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a grid of points over some positions and around them.

    Parameters
    ----------
    position : (m, 2) array
    n : int
        Points along each axis, at least 2.
    margin : float
        Around the positions, as a share of their larger extent.

    Returns
    -------
    x, y : (n,) float64
    """
    low, high = position.min(axis=0), position.max(axis=0)
    around = margin * (high - low).max()
    x, y = (np.linspace(low[k] - around, high[k] + around, n) for k in (0, 1))
    return x, y


# ---------------------------------------------------------------------------------------------------------------- barriers


def line_points(start: np.ndarray, end: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Points of the straight line between two others, (n, ...) float64; both ends as they are, bit for bit.

    Parameters
    ----------
    start, end : arrays of one shape
    share : (n,) array
        Of the way, 0 to 1.
    """
    found = np.array([(1.0 - s) * start + s * end for s in share])
    found[share == 0.0], found[share == 1.0] = start, end
    return found


def barrier(values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """How far performance along a path falls at most below the straight line between its values at the ends; 0 or more.

    Parameters
    ----------
    values : (..., n) array
        Along the path.
    share : (n,) array
        Where on it, from 0 to 1, both included.

    Returns
    -------
    (...) float64
        NaN where a value is not a number.
    """
    line = values[..., :1] * (1.0 - share) + values[..., -1:] * share
    return (line - values).max(axis=-1)


def barrier_of_noise(errors: np.ndarray, share: np.ndarray, draws: int = 2000, seed: int = 2022) -> np.ndarray:
    """The barrier that standard errors alone lead one to expect where there is none.

    Parameters
    ----------
    errors : (..., n) array
        Standard errors of the values along the path.
    share : (n,) array
    draws : int
        Paths drawn, normal errors, for the mean.
    seed : int

    Returns
    -------
    (...) float64
    """
    noise = np.random.default_rng(seed).standard_normal((draws, len(share)))
    return np.array([barrier(noise * path, share).mean() for path in errors.reshape(-1, len(share))]).reshape(errors.shape[:-1])


def pairs_of(n: int) -> Sequence[tuple[int, int]]:
    """All pairs of n things, the smaller number first."""
    return [(a, b) for a in range(n) for b in range(a + 1, n)]

"""The agent's path on the torus, from recorded positions. Nothing is drawn here."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Path:
    """A path over successive epochs, n of them, and what was eaten on it.

    Attributes
    ----------
    x, y : (m,) float64
        The squares visited, in squares; where the path goes over the edge of the torus, it is broken by a NaN (m >= n).
    rewarded, punished : (k, 2) int64
        Squares (x, y) on which a rewarded or punished particle was eaten, in the order of time.
    epochs : int
        n.
    """

    x: np.ndarray
    y: np.ndarray
    rewarded: np.ndarray
    punished: np.ndarray
    epochs: int


def first_stretch(epoch: np.ndarray, longest: int) -> slice:
    """The rows from the first on that belong to successive epochs.

    Parameters
    ----------
    epoch : (n,) int
        Epochs recorded, ascending.
    longest : int
        At most so many rows.
    """
    gaps = np.flatnonzero(np.diff(epoch) != 1)
    return slice(0, min(longest, int(gaps[0]) + 1 if len(gaps) else len(epoch)))


def path(x: np.ndarray, y: np.ndarray, outcome: np.ndarray) -> Path:
    """A path, broken where it goes over the edge of the torus.

    Parameters
    ----------
    x, y : (n,) int
        Square after the move of each of n successive epochs.
    outcome : (n,) int
        0 nothing eaten, 1 rewarded, 2 punished, 3 a particle outside the task.
    """
    x, y, outcome = np.asarray(x, np.int64), np.asarray(y, np.int64), np.asarray(outcome)
    jumps = np.flatnonzero((np.abs(np.diff(x)) > 1) | (np.abs(np.diff(y)) > 1)) + 1
    squares = np.stack([x, y], axis=1)
    broken_x, broken_y = (np.insert(values.astype(float), jumps, np.nan) for values in (x, y))
    return Path(broken_x, broken_y, squares[outcome == 1], squares[outcome == 2], len(x))

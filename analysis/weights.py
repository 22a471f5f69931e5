"""Strengths hidden to output: task-relevant synapses and their fate, strong and weak cluster, one time against another.

Pure functions of arrays of strengths, whose last two axes are hidden cell and output cell. States as points of a space are in
weight_space.py.
"""

import math
from dataclasses import dataclass

import numpy as np

STRONG = 0.08  # where the strengths after training leave a gap between two clusters
TASK_RELEVANT = 0.1  # share of the strengths, the strongest


def task_relevant_synapses(strength: np.ndarray, share: float = TASK_RELEVANT) -> np.ndarray:
    """The synapses that a training made strongest.

    Parameters
    ----------
    strength : (H, 8) array
        Excitatory strengths hidden to output after training on the task.
    share : float
        Share of all synapses, whatever their output cell, above 0 and at most 1; rounded up to whole synapses.

    Returns
    -------
    (H, 8) bool
        Equal strengths are taken by hidden cell, then by output cell.

    Raises
    ------
    ValueError
        `share` is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: {share} given, allowed is above 0 and at most 1")
    strength = np.asarray(strength)
    n = math.ceil(round(share * strength.size, 9))  # 0.1 * 30 is a little more than 3
    chosen = np.zeros(strength.size, bool)
    chosen[np.argsort(-strength, axis=None, kind="stable")[:n]] = True
    return chosen.reshape(strength.shape)


@dataclass(frozen=True)
class TracedSynapses:
    """The same synapses at several times.

    Attributes
    ----------
    strength : (times, n) array
        Ordered by hidden cell, then by output cell.
    share_strong : (times,) float64
        Share of them above the threshold.
    median : (times,) float64
        Of the strengths.
    """

    strength: np.ndarray
    share_strong: np.ndarray
    median: np.ndarray


def trace_synapses(strength: np.ndarray, chosen: np.ndarray, threshold: float = STRONG) -> TracedSynapses:
    """Follow some synapses through time.

    Parameters
    ----------
    strength : (times, H, 8) array
    chosen : (H, 8) bool array
        At least one synapse.
    threshold : float
        Strengths above it count as strong.
    """
    traced = np.asarray(strength)[:, chosen]
    return TracedSynapses(traced, np.mean(traced > threshold, axis=1), np.median(traced, axis=1))


@dataclass(frozen=True)
class StrengthDistribution:
    """How strengths are distributed.

    Attributes
    ----------
    edges : (bins + 1,) float64
    share : (bins,) float64
        Share of the strengths in each bin; the last bin holds those beyond the last edge too, so that they sum to 1.
    """

    edges: np.ndarray
    share: np.ndarray


def strength_distribution(strength: np.ndarray, edges: np.ndarray) -> StrengthDistribution:
    """Distribution of strengths.

    Parameters
    ----------
    strength : array
        Of any shape, not empty, none below the first edge.
    edges : (bins + 1,) array
        Ascending.
    """
    edges = np.asarray(edges, float)
    counts, _ = np.histogram(np.minimum(strength, edges[-1]), edges)
    return StrengthDistribution(edges, counts / np.size(strength))


@dataclass(frozen=True)
class Clusters:
    """Sizes and means of the two clusters of strengths over time.

    Attributes
    ----------
    n_strong, n_weak : (times,) int64
        Synapses above the threshold, and the others.
    mean_strong, mean_weak : (times,) float64
        Mean strength in each; NaN where a cluster is empty.
    threshold : (times,) float64
        What divides them.
    """

    n_strong: np.ndarray
    n_weak: np.ndarray
    mean_strong: np.ndarray
    mean_weak: np.ndarray
    threshold: np.ndarray


def clusters(strength: np.ndarray, threshold: float | np.ndarray = STRONG) -> Clusters:
    """Divide the strengths of each time in a strong and a weak cluster.

    Parameters
    ----------
    strength : (times, ...) array
        All synapses (times, H, 8), or those onto one output cell (times, H).
    threshold : float or (times,) array
        What divides them, the same at all times or of each time, e.g. from :func:`two_cluster_threshold`; with NaN all are weak.
    """
    flat = np.asarray(strength, float).reshape(len(strength), -1)
    threshold = np.broadcast_to(np.asarray(threshold, float), len(flat))
    strong = flat > threshold[:, None]
    n_strong = strong.sum(axis=1)
    n_weak = flat.shape[1] - n_strong
    return Clusters(
        n_strong,
        n_weak,
        _mean((flat * strong).sum(axis=1), n_strong),
        _mean((flat * ~strong).sum(axis=1), n_weak),
        threshold.copy(),
    )


def two_cluster_threshold(strength: np.ndarray) -> float:
    """Where the strengths of one time divide in two: midway between the means of the two parts that vary least within.

    Parameters
    ----------
    strength : array
        Of any shape, not empty.

    Returns
    -------
    float
        NaN if all strengths are the same.

    Notes
    -----
    The best solution of k-means with two clusters (Otsu's threshold), found by trying every division; an iteration from
    random centres can end with a cluster of some outliers. It gives a division also where there is but one cluster, as before
    training.
    """
    values = np.sort(np.asarray(strength, float), axis=None)
    if values[0] == values[-1]:
        return math.nan
    n_low = np.arange(1, len(values))
    total = np.cumsum(values)
    low, high = total[:-1] / n_low, (total[-1] - total[:-1]) / (len(values) - n_low)
    best = np.argmax(n_low * (len(values) - n_low) * (high - low) ** 2)
    return float(low[best] + high[best]) / 2


@dataclass(frozen=True)
class StrengthHistogram:
    """Strengths at one time against strengths at another.

    Attributes
    ----------
    edges : (bins + 1,) float64
        Of both axes.
    count : (bins, bins) int64
        Synapses, [before, after].
    """

    edges: np.ndarray
    count: np.ndarray


def strength_histogram(before: np.ndarray, after: np.ndarray, edges: np.ndarray) -> StrengthHistogram:
    """Two-dimensional histogram of strengths: how many synapses went from where to where.

    Parameters
    ----------
    before, after : arrays of the same shape
        Strengths of the same synapses, none below the first edge.
    edges : (bins + 1,) array
        Ascending; strengths beyond the last edge are counted in the last bin.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape:
        raise ValueError(f"before, after: shapes {before.shape} and {after.shape} given, allowed are equal ones")
    edges = np.asarray(edges, float)
    pair = [np.minimum(values, edges[-1]).ravel() for values in (before, after)]
    counts, _, _ = np.histogram2d(*pair, bins=[edges, edges])
    return StrengthHistogram(edges, counts.astype(np.int64))


@dataclass(frozen=True)
class Fate:
    """What became of the synapses between two times: how many were strong or weak before and after.

    Attributes
    ----------
    stayed_strong, became_weak, became_strong, stayed_weak : int
    """

    stayed_strong: int
    became_weak: int
    became_strong: int
    stayed_weak: int

    @property
    def shares(self) -> np.ndarray:
        """The four as shares of all synapses, (4,) float64."""
        numbers = np.array([self.stayed_strong, self.became_weak, self.became_strong, self.stayed_weak])
        return numbers / numbers.sum()


def fate(before: np.ndarray, after: np.ndarray, threshold: float = STRONG) -> Fate:
    """Count the synapses that changed their cluster between two times.

    Parameters
    ----------
    before, after : arrays of the same shape
        Strengths of the same synapses.
    threshold : float
    """
    then, now = np.asarray(before) > threshold, np.asarray(after) > threshold
    pairs = (then & now, then & ~now, ~then & now, ~then & ~now)
    return Fate(*(int(np.count_nonzero(pair)) for pair in pairs))


def _mean(total: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)

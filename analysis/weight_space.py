"""States of the strengths hidden to output as points: coordinates, projections, point sets of the tasks, distances to them.

Pure functions of arrays. Two kinds of coordinates:

- *strengths*: the 8 H strengths themselves, as in the paper. They can be compared within a trial, and between trials that started
  with one network (same wiring and strengths input to hidden). Otherwise hidden cell h of one trial has nothing to do with hidden
  cell h of another: states of different trials lie about as far apart as if their cells had been shuffled, whatever their task.
- *receptive fields*: the receptive fields of the 8 output cells with respect to the input layer. Squares and directions
  mean the same in every trial, so these can be compared between all trials. Which pairs of squares go together is lost in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA, KernelPCA
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from .receptive_fields import output_receptive_fields

PLATEAU = 0.2  # the last fifth of a phase

# Which phases, by name, make up the point set of each task and the intersection of the two.
POINT_SETS = {
    "M_T1": ("T1", "I(T1,T2)", "I(S,T2)"),
    "M_T2": ("T2", "I(T1,T2)", "I(S,T2)"),
    "M_T1xT2": ("I(T1,T2)", "I(S,T2)"),
}


# ------------------------------------------------------------------------------------------------------------- coordinates


def strength_coordinates(strength: np.ndarray) -> np.ndarray:
    """The strengths as vectors, (n, 8 H), of the type they had.

    Parameters
    ----------
    strength : (n, H, 8) array
    """
    strength = np.asarray(strength)
    return strength.reshape(len(strength), -1)


def receptive_field_coordinates(strength: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The receptive fields of the output cells as vectors, (n, 8 F F) float64, in units of input-to-hidden strength.

    Parameters
    ----------
    strength : (n, H, 8) array
    images : (H, F, F) array
        Input weight images of the hidden cells; they are the same in all n states.
    """
    fields = [output_receptive_fields(images, state) for state in strength]
    return np.array(fields).reshape(len(fields), -1)


def one_network(wirings: Sequence[tuple[np.ndarray, ...]]) -> bool:
    """Whether trials started with one network, so that their strengths hidden to output can be compared.

    Parameters
    ----------
    wirings : sequence of tuples of arrays
        What must be equal, e.g. of each trial the hidden cells' input weight images after unsupervised learning.
    """
    return all(
        len(wiring) == len(wirings[0]) and all(np.array_equal(a, b) for a, b in zip(wiring, wirings[0], strict=True))
        for wiring in wirings
    )


# ------------------------------------------------------------------------------------------------------------------ states


@dataclass(frozen=True)
class WeightStates:
    """States with their origin; n states of d coordinates.

    Attributes
    ----------
    vector : (n, d) array
    trial : (n,) int64
        Seed of the trial.
    phase : (n,) str
        Name of the phase, e.g. "T1", "I(S,T2)".
    epoch : (n,) int64
        Completed epochs since the trial began.
    """

    vector: np.ndarray
    trial: np.ndarray
    phase: np.ndarray
    epoch: np.ndarray

    def __len__(self) -> int:
        return len(self.vector)

    def select(self, chosen: np.ndarray) -> "WeightStates":
        """Some of the states, by a mask or by their indices."""
        return WeightStates(self.vector[chosen], self.trial[chosen], self.phase[chosen], self.epoch[chosen])

    def of_phases(self, *names: str) -> "WeightStates":
        """The states of phases of these names."""
        return self.select(np.isin(self.phase, names))

    def of_trial(self, seed: int) -> "WeightStates":
        """The states of one trial."""
        return self.select(self.trial == seed)

    def with_vectors(self, vector: np.ndarray) -> "WeightStates":
        """The same states in other coordinates."""
        return WeightStates(vector, self.trial, self.phase, self.epoch)


def join(parts: Sequence[WeightStates]) -> WeightStates:
    """States one after the other; at least one part."""
    fields = ("vector", "trial", "phase", "epoch")
    return WeightStates(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))


def plateau(states: WeightStates, share: float = PLATEAU) -> WeightStates:
    """The last states of each phase of each trial, in which learning is at its end.

    Parameters
    ----------
    states : WeightStates
        In the order of time within each phase.
    share : float
        Of the states of a phase, above 0 and at most 1; of few states at least two are taken, to learn from and to judge.
    """
    chosen = np.zeros(len(states), bool)
    for seed, phase in dict.fromkeys(zip(states.trial.tolist(), states.phase.tolist(), strict=True)):
        rows = np.flatnonzero((states.trial == seed) & (states.phase == phase))
        chosen[rows[-max(2, round(share * len(rows))) :]] = True
    return states.select(chosen)


def centre_trials(states: WeightStates, reference: WeightStates, phases: Sequence[str] = ("T1", "T2")) -> WeightStates:
    """States relative to the centre of their own trial, which takes out what differs between trials whatever their task.

    Parameters
    ----------
    states : WeightStates
    reference : WeightStates
        States that define the centres, e.g. the plateaus; of every trial in `states` at least one of every phase in `phases`.
    phases : sequence of str
        The centre of a trial is the mean over these phases, each with the same weight, of the mean of its states.

    Raises
    ------
    ValueError
        The reference lacks a phase of a trial.
    """
    vector = np.array(states.vector, float)
    for seed in np.unique(states.trial):
        own = [reference.of_trial(seed).of_phases(phase) for phase in phases]
        if not all(map(len, own)):
            raise ValueError(f"reference: no states of {' or '.join(phases)} of trial {seed}")
        vector[states.trial == seed] -= np.mean([part.vector.mean(axis=0) for part in own], axis=0)
    return states.with_vectors(vector)


# ------------------------------------------------------------------------------------------------------------- projections


@dataclass(frozen=True)
class Projection:
    """A plane, or more dimensions, that shows most of the variance of the states it was fitted to.

    Attributes
    ----------
    estimator : PCA or KernelPCA
        Fitted.
    share : (components,) float64
        Share of the variance along each component; for the kernel variant of the variance in its feature space.
    """

    estimator: PCA | KernelPCA
    share: np.ndarray

    def project(self, vector: np.ndarray) -> np.ndarray:
        """States on the components, (n, components) float64.

        Parameters
        ----------
        vector : (n, d) array
        """
        return self.estimator.transform(np.asarray(vector, float))


def fit_projection(vector: np.ndarray, n_components: int = 2) -> Projection:
    """Principal component analysis.

    Parameters
    ----------
    vector : (n, d) array
        The states it is fitted to.
    n_components : int
        At most min(n, d).
    """
    estimator = PCA(n_components, svd_solver="full").fit(np.asarray(vector, float))
    return Projection(_with_fixed_signs(estimator, "components_", axis=1), estimator.explained_variance_ratio_)


def fit_kernel_projection(vector: np.ndarray, n_components: int = 2, gamma: float | None = None) -> Projection:
    """Kernel principal component analysis with a radial basis function kernel.

    Parameters
    ----------
    vector : (n, d) array
        The states it is fitted to.
    n_components : int
        At most n - 1.
    gamma : float, optional
        Width of the kernel; from the data if omitted, see :func:`kernel_width`.
    """
    vector = np.asarray(vector, float)
    gamma = kernel_width(vector) if gamma is None else gamma
    kernel = rbf_kernel(vector, gamma=gamma)
    total = np.trace(kernel) - kernel.sum() / len(kernel)  # variance in feature space times n: trace of the centred kernel
    estimator = KernelPCA(n_components, kernel="rbf", gamma=gamma, eigen_solver="dense").fit(vector)
    return Projection(_with_fixed_signs(estimator, "eigenvectors_", axis=0), estimator.eigenvalues_ / total)


def kernel_width(vector: np.ndarray) -> float:
    """Gamma of a radial basis function kernel exp(-gamma * squared distance): 1 over the median squared distance between states.

    Parameters
    ----------
    vector : (n, d) array
        States that are not all the same; pairs of equal states do not count.
    """
    squared = euclidean_distances(np.asarray(vector, float), squared=True)[np.triu_indices(len(vector), 1)]
    different = squared[squared > 1e-12 * squared.max(initial=0.0)]
    if not len(different):
        raise ValueError("vector: all states are the same, allowed are at least two different ones")
    return float(1.0 / np.median(different))


def _with_fixed_signs(estimator: PCA | KernelPCA, attribute: str, axis: int) -> PCA | KernelPCA:
    """The signs of components are arbitrary: make the largest entry of each positive, so that figures do not flip."""
    vectors = getattr(estimator, attribute)
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=axis, keepdims=True), axis=axis)
    setattr(estimator, attribute, vectors * np.sign(largest))
    return estimator


# --------------------------------------------------------------------------------------------------------------- distances


def without_trajectory(points: WeightStates, trajectory: WeightStates) -> WeightStates:
    """Points that are not of the trajectory's own phases in its own trial: the same network in other protocols, and all others.

    Parameters
    ----------
    points : WeightStates
    trajectory : WeightStates
        Of one trial.
    """
    own = np.isin(points.trial, trajectory.trial) & np.isin(points.phase, trajectory.phase)
    return points.select(~own)


def without_trial(points: WeightStates, trajectory: WeightStates) -> WeightStates:
    """Points of other trials than the trajectory's.

    Parameters
    ----------
    points : WeightStates
    trajectory : WeightStates
        Of one trial.
    """
    return points.select(~np.isin(points.trial, trajectory.trial))


def set_distances(
    trajectory: WeightStates, points: WeightStates, sets: Mapping[str, Sequence[str]] = POINT_SETS
) -> dict[str, np.ndarray]:
    """Euclidean distance of each state of a trajectory to the nearest point of each set.

    Parameters
    ----------
    trajectory : WeightStates
        m states.
    points : WeightStates
        The points that sets are made of, e.g. the plateaus of all trials. Give all of them, so that the states of the trajectory
        are in the sets and have no distance to them (as in the paper), or first take out some with :func:`without_trajectory` or
        :func:`without_trial`.
    sets : mapping of str to phases
        Names of the phases that make up each set.

    Returns
    -------
    dict of str to (m,) float64
        NaN for a set without points.
    """
    if not len(points):
        return {name: np.full(len(trajectory), np.nan) for name in sets}
    distance = euclidean_distances(np.asarray(trajectory.vector, float), np.asarray(points.vector, float))
    members = {name: np.isin(points.phase, phases) for name, phases in sets.items()}
    return {
        name: distance[:, chosen].min(axis=1) if chosen.any() else np.full(len(trajectory), np.nan)
        for name, chosen in members.items()
    }

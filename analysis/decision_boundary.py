"""The decision boundary of a support vector machine between Task 1 and Task 2 states, and how far states lie from it.

Pure functions of state vectors, see weight_space.py. Two ways of holding states out: other snapshots of the networks that the
machine was trained on, as the paper does it, and networks that it has never seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

from .weight_space import kernel_width


@dataclass(frozen=True)
class TaskStates:
    """States of one trial; d numbers each.

    Attributes
    ----------
    task_1, task_2 : (n, d), (m, d) arrays
        Snapshots from the end of the training on each task, in the order of time; what the machine learns from.
    other : (k, d) array
        States that are only judged, e.g. of I(S,T1).
    """

    task_1: np.ndarray
    task_2: np.ndarray
    other: np.ndarray


@dataclass(frozen=True)
class DecisionBoundary:
    """A trained machine.

    Attributes
    ----------
    classifier : SVC
        Its gamma is a number.
    norm : float
        Length of its normal vector w in the feature space of the kernel.
    """

    classifier: SVC
    norm: float

    def distance(self, states: np.ndarray) -> np.ndarray:
        """Signed distance of states from the boundary, (n,) float64; negative on the side of Task 1, positive on that of Task 2.

        The decision function divided by the length of w, i.e. the Euclidean distance in the feature space of the kernel, where
        every state has length 1 and no two are further apart than the square root of 2.

        Parameters
        ----------
        states : (n, d) array
        """
        if not len(states):
            return np.zeros(0)
        return self.classifier.decision_function(states) / self.norm


def train_decision_boundary(task_1: np.ndarray, task_2: np.ndarray, gamma: float | None = None, C: float = 1.0) -> DecisionBoundary:
    """Train a support vector machine with a radial basis function kernel to tell the tasks apart.

    Parameters
    ----------
    task_1, task_2 : (n, d), (m, d) arrays
        At least one state each.
    gamma : float, optional
        Width of the kernel exp(-gamma * squared distance); from the data if omitted, see :func:`.weight_space.kernel_width`.
    C : float
        Cost of states on the wrong side.

    Raises
    ------
    ValueError
        A task has no states.
    """
    if not len(task_1) or not len(task_2):
        raise ValueError("task_1, task_2: a task without states given, allowed is at least one of each")
    states = np.concatenate([task_1, task_2])
    labels = np.repeat([0, 1], [len(task_1), len(task_2)])
    gamma = kernel_width(states) if gamma is None else gamma
    machine = SVC(kernel="rbf", gamma=gamma, C=C)  # pyright: ignore[reportArgumentType] - takes gamma for a str, its default is one
    classifier = machine.fit(states, labels)
    kernel = rbf_kernel(classifier.support_vectors_, gamma=gamma)
    weights = classifier.dual_coef_[0]
    return DecisionBoundary(classifier, float(np.sqrt(weights @ kernel @ weights)))


@dataclass(frozen=True)
class HeldOutDistances:
    """Signed distances of the held-out states of one trial; negative on the side of Task 1.

    Attributes
    ----------
    task_1, task_2, other : (n,), (m,), (k,) float64
    """

    task_1: np.ndarray
    task_2: np.ndarray
    other: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of the Task 1 and Task 2 states that lie on their own side, each task with the same weight."""
        return float(np.mean(self.task_1 < 0) + np.mean(self.task_2 > 0)) / 2


def hold_out_snapshots(trials: Mapping[int, TaskStates]) -> dict[int, HeldOutDistances]:
    """Train one machine on every second snapshot of all trials and judge the snapshots between them: the way of the paper.

    Parameters
    ----------
    trials : mapping of seed to TaskStates
        At least two Task 1 and Task 2 states in each.

    Returns
    -------
    dict of seed to HeldOutDistances

    Notes
    -----
    A held-out snapshot lies between two of the same network that the machine has seen. That it is told apart shows that the
    states of a network differ between the tasks, not that the difference is the same in all networks.
    """
    seen = [(states.task_1[::2], states.task_2[::2]) for states in trials.values()]
    task_1, task_2 = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    boundary = train_decision_boundary(task_1, task_2)
    return {seed: _judge(boundary, s.task_1[1::2], s.task_2[1::2], s.other) for seed, s in trials.items()}


def hold_out_trials(trials: Mapping[int, TaskStates]) -> dict[int, HeldOutDistances]:
    """Judge every trial with a machine trained on all the others (cross-validation by trial).

    Parameters
    ----------
    trials : mapping of seed to TaskStates
        At least two, in coordinates in which trials can be compared, see weight_space.py.

    Returns
    -------
    dict of seed to HeldOutDistances

    Raises
    ------
    ValueError
        Fewer than two trials: there is nothing to learn from.
    """
    if len(trials) < 2:
        raise ValueError(f"trials: {len(trials)} given, allowed are at least 2")
    return {seed: _judge(_trained_without(trials, seed), s.task_1, s.task_2, s.other) for seed, s in trials.items()}


def _trained_without(trials: Mapping[int, TaskStates], seed: int) -> DecisionBoundary:
    others: Sequence[TaskStates] = [states for other, states in trials.items() if other != seed]
    return train_decision_boundary(np.concatenate([s.task_1 for s in others]), np.concatenate([s.task_2 for s in others]))


def _judge(boundary: DecisionBoundary, *groups: np.ndarray) -> HeldOutDistances:
    return HeldOutDistances(*(boundary.distance(group) for group in groups))

"""From files to weight states: what the figures of strengths (4, 6 and 7) read in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foraging_snn.files.reader import Snapshots, Trial

from ..collection import CollectionError
from ..weight_space import (
    WeightStates,
    one_network,
    receptive_field_coordinates,
    strength_coordinates,
)

NAIVE = "naive"  # phase of the state with which the first training begins
MIN_SNAPSHOTS = 2  # of a phase, one to learn from and one to judge


@dataclass(frozen=True)
class LearningStates:
    """Strengths of one trial from its first training on, those during tests left out (they do not change); n snapshots.

    Attributes
    ----------
    strength : (n, H, 8) float32
    states : WeightStates
        The same as vectors; the first is of phase `NAIVE`.
    aeon : (n,) float64
        Time in aeons from the first training on, tests left out.
    images : (H, F, F) float32
        Input weight images of the hidden cells.
    """

    strength: np.ndarray
    states: WeightStates
    aeon: np.ndarray
    images: np.ndarray

    @property
    def in_receptive_fields(self) -> WeightStates:
        """The states as receptive fields of the output cells."""
        return self.states.with_vectors(receptive_field_coordinates(self.strength, self.images))

    def after(self, phase: str) -> np.ndarray:
        """Strengths at the end of a phase, (H, 8)."""
        return self.strength[np.flatnonzero(self.states.phase == phase)[-1]]

    def during(self, phase: str) -> np.ndarray:
        """Strengths over a phase, (m, H, 8), the state before it first."""
        rows = np.flatnonzero(self.states.phase == phase)
        return self.strength[[rows[0] - 1, *rows]]


def learning_states(trial: Trial) -> LearningStates:
    """Read the strengths of a trial from its first training on.

    Raises
    ------
    CollectionError
        A phase has too few snapshots, or the strengths never changed.
    """
    with trial:
        snapshots, images = trial.hidden_output_snapshots(), trial.input_hidden_snapshots().images([-1])[0]
    learning = [recorded.index for recorded in trial.phases if not (recorded.phase.is_test or recorded.phase.is_unsupervised)]
    rows = np.flatnonzero(np.isin(snapshots.phase, learning))
    if snapshots.epoch[rows[0]] > trial.phases[learning[0]].first_epoch:
        rows = np.concatenate([[rows[0] - 1], rows])
    _check(trial, snapshots, learning)
    strength, epoch, index = snapshots.strength[rows], snapshots.epoch[rows], snapshots.phase[rows]
    names = np.array([recorded.name for recorded in trial.phases])[index].astype("U64")
    names[0] = NAIVE
    tests = np.cumsum([recorded.epochs if recorded.phase.is_test else 0 for recorded in trial.phases])
    aeon = (epoch - tests[index] - epoch[0]) / trial.parameters.timing.epochs_per_aeon
    states = WeightStates(strength_coordinates(strength), np.full(len(rows), trial.seed), names, epoch)
    return LearningStates(strength, states, aeon, images)


def learning_states_at_once(trials: Sequence[Trial]) -> list[LearningStates]:
    """As :func:`learning_states`, of trials whose strengths are compared snapshot by snapshot.

    Raises
    ------
    CollectionError
        Also if snapshots of one are of other epochs than those of the first.
    """
    found = [learning_states(trial) for trial in trials]
    for trial, states in zip(trials, found, strict=True):
        if not np.array_equal(states.states.epoch, found[0].states.epoch):
            raise CollectionError(f"{trial.path}: its strengths are of other epochs than those of {trials[0].path}")
    return found


def _check(trial: Trial, snapshots: Snapshots, learning: Sequence[int]) -> None:
    fewest = min(np.count_nonzero(snapshots.phase == index) for index in learning)
    if fewest < MIN_SNAPSHOTS:
        allowed = f"strengths are drawn from at least {MIN_SNAPSHOTS} (recording.snapshots_per_phase)"
        raise CollectionError(f"{trial.path}: {fewest} snapshot in a phase, {allowed}")
    if np.ptp(snapshots.strength, axis=0).max() == 0:
        raise CollectionError(f"{trial.path}: the strengths hidden to output never changed")


def are_one_network(trials: Sequence[LearningStates]) -> bool:
    """Whether the trials have one wiring, so that their strengths can be compared synapse by synapse."""
    return one_network([(trial.images > 0,) for trial in trials])

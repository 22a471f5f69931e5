"""Networks as they can be tested: what of a recorded trial, or of a state, says how a network performs while nothing is plastic.

That is its wiring, the strengths input to hidden, the strengths hidden to output and the resistances of the output cells. The
former two are a :class:`Network`, the latter two a :class:`NetworkPoint` over it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import RecordedPhase, Trial
from foraging_snn.models import NetworkState, Parameters, initial_state
from foraging_snn.models.rules import balance_outputs

NAIVE = "naive"  # the state with which the first training begins


@dataclass(frozen=True)
class Network:
    """What networks have in common whose strengths hidden to output can be compared, S synapses input to hidden.

    Attributes
    ----------
    parameters : Parameters
    input_index, hidden_index : (S,) int32
        Input cell and hidden cell of each synapse input to hidden, as in a :class:`foraging_snn.models.NetworkState`.
    input_hidden : (S,) float64
        Their strengths, which do not change any more.
    """

    parameters: Parameters
    input_index: np.ndarray
    hidden_index: np.ndarray
    input_hidden: np.ndarray

    @classmethod
    def of_state(cls, state: NetworkState, parameters: Parameters) -> "Network":
        """That of a state."""
        return cls(parameters, state.input_index, state.hidden_index, state.input_hidden)

    @classmethod
    def of_trial(cls, trial: Trial) -> "Network":
        """That of a trial from its first training on.

        Notes
        -----
        Bit for bit if the trial holds whole states, or began with a saved one; otherwise its snapshots hold the strengths input to
        hidden in half the room (float32), which moves them by a part in ten million.
        """
        wiring = trial.wiring()
        strengths = wiring.input_hidden
        if unsupervised := [recorded.index for recorded in trial.phases if recorded.phase.is_unsupervised]:
            whole = [recorded for recorded in trial.phases[unsupervised[-1] :] if recorded.has_state]
            if whole:
                strengths = trial.state_at(_end(whole[0])).state.input_hidden
            else:
                strengths = trial.input_hidden_snapshots().strength[-1].astype(np.float64)
        return cls(trial.parameters, wiring.input_index, wiring.hidden_index, strengths)

    def state(self, strengths: np.ndarray, resistance: np.ndarray, seed: int, epoch: int = 0) -> NetworkState:
        """A network at rest with these strengths hidden to output, before the first epoch of a test.

        Parameters
        ----------
        strengths : (H, 8) array
        resistance : (8,) array
        seed, epoch : int
            They determine every draw to come.
        """
        state = _at_rest(self.parameters).copy()
        state.seed, state.epoch = seed, epoch
        state.input_index, state.hidden_index = self.input_index, self.hidden_index
        state.input_hidden, state.input_hidden_frozen = self.input_hidden, True
        state.hidden_output = np.array(strengths, np.float64)
        state.resistance = np.array(resistance, np.float64)
        frozen = np.zeros(state.hidden_output.size, bool)
        balance_outputs(state.hidden_output.reshape(-1), frozen, state.hidden_output_total, state.inhibition)
        return state

    def has_wiring_of(self, other: "Network") -> bool:
        """The same synapses input to hidden."""
        pairs = ((self.input_index, other.input_index), (self.hidden_index, other.hidden_index))
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def between(self, other: "Network", share: float) -> "Network":
        """A point of the straight line to another network of the same wiring, `share` of the way."""
        if share in (0.0, 1.0):
            return other if share else self
        return replace(self, input_hidden=(1.0 - share) * self.input_hidden + share * other.input_hidden)

    def differs_from(self, other: "Network") -> str:
        """Why strengths hidden to output over the two cannot be compared, "" if they can."""
        if not self.has_wiring_of(other):
            return "wiring"
        return "" if np.array_equal(self.input_hidden, other.input_hidden) else "strengths input to hidden"


def _new_network(parameters: Parameters) -> NetworkState:
    """A network before anything has happened; what makes it a particular one is put in its place."""
    return initial_state(parameters, 0)


_at_rest = cast(Callable[[Parameters], NetworkState], lru_cache(maxsize=4)(_new_network))  # drawing a wiring takes its time


@dataclass(frozen=True)
class NetworkPoint:
    """Strengths and resistances at some time of a trial.

    Attributes
    ----------
    name : str
        Of the phase at whose end it is, or `NAIVE`.
    strengths : (H, 8) float64
        Hidden to output.
    resistance : (8,) float64
    """

    name: str
    strengths: np.ndarray
    resistance: np.ndarray

    def is_same_as(self, other: "NetworkPoint") -> bool:
        """Bit for bit."""
        return np.array_equal(self.strengths, other.strengths) and np.array_equal(self.resistance, other.resistance)


@dataclass(frozen=True)
class RecordedPoints:
    """Strengths and resistances of a trial at its snapshots from the first training on, without those of tests; n snapshots.

    At the ends of phases they are those of the whole state, bit for bit, if the file holds it; elsewhere a snapshot's (float32).

    Attributes
    ----------
    trial : Trial
    strengths : (n, H, 8) float64
    resistance : (n, 8) float64
    phase : (n,) int64
        Number of the phase in the file; -1 for the first, the state with which the first training begins.
    epoch : (n,) int64
        Completed epochs since the trial began.
    """

    trial: Trial
    strengths: np.ndarray
    resistance: np.ndarray
    phase: np.ndarray
    epoch: np.ndarray

    @classmethod
    def of(cls, trial: Trial) -> "RecordedPoints":
        """Read them.

        Raises
        ------
        RecordingError
            No training in the file, or synapses were frozen, whose inhibition no snapshot holds.
        """
        learning = learning_phases(trial)
        if not learning:
            raise RecordingError(f"{trial.path}: no training in it")
        if frozen := [recorded.name for recorded in trial.phases if recorded.freeze_fraction > 0.0]:
            raise RecordingError(f"{trial.path}: synapses were frozen in phase {frozen[0]}; such networks are not tested")
        with trial:
            snapshots, resistances = trial.hidden_output_snapshots(), trial.resistances()
        rows = np.flatnonzero(np.isin(snapshots.phase, [recorded.index for recorded in learning]))
        first = learning[0].first_epoch
        before = np.flatnonzero((snapshots.epoch == first) & (snapshots.phase < learning[0].index))
        if len(before):
            rows = np.concatenate([before[-1:], rows])
        if not len(rows):
            raise RecordingError(f"{trial.path}: no snapshot of its training")
        phase = snapshots.phase[rows].astype(np.int64)
        phase[snapshots.epoch[rows] == first] = -1
        strengths, resistance = snapshots.strength[rows].astype(np.float64), resistances.resistance[rows]
        with trial:
            for recorded in trial.phases:
                if recorded.has_state and len(row := np.flatnonzero(snapshots.epoch[rows] == _end(recorded))):
                    state = trial.state_at(_end(recorded)).state
                    strengths[row[-1]], resistance[row[-1]] = state.hidden_output, state.resistance
        return cls(trial, strengths, resistance, phase, snapshots.epoch[rows])

    @property
    def names(self) -> list[str]:
        """Name of the phase of each snapshot; of several phases of a name with a number, as "T1#2"."""
        return [NAIVE if k < 0 else self._name(self.trial.phases[k]) for k in self.phase.tolist()]

    def _name(self, recorded: RecordedPhase) -> str:
        alike = [phase.index for phase in self.trial.phases if phase.name == recorded.name]
        return recorded.name if len(alike) == 1 else f"{recorded.name}#{alike.index(recorded.index) + 1}"

    def ends(self) -> list[NetworkPoint]:
        """At the end of each phase of training that is complete, and before the first if that was recorded; in their order."""
        found = [self._at(NAIVE, 0)] if self.phase[0] < 0 else []
        return found + [self._at(self._name(recorded), self._row(recorded)) for recorded in self._complete()]

    def end(self, which: str) -> NetworkPoint:
        """At the end of a phase, by its name; "T1#2" is the second of several; or `NAIVE`.

        Raises
        ------
        RecordingError
            There is no such phase of training, or it is not complete; the message says which there are.
        """
        if which == NAIVE and self.phase[0] < 0:
            return self._at(NAIVE, 0)
        for recorded in self._complete():
            if which == self._name(recorded):
                return self._at(which, self._row(recorded))
        names = ", ".join(dict.fromkeys(point.name for point in self.ends()))
        raise RecordingError(f"{self.trial.path}: no state {which!r}, allowed are the ends of {names or 'no phase'}")

    def _complete(self) -> Sequence[RecordedPhase]:
        return [recorded for recorded in learning_phases(self.trial) if recorded.complete and recorded.index in self.phase]

    def _row(self, recorded: RecordedPhase) -> int:
        return int(np.flatnonzero(self.phase == recorded.index)[-1])

    def _at(self, name: str, row: int) -> NetworkPoint:
        return NetworkPoint(name, self.strengths[row], self.resistance[row])


def _end(recorded: RecordedPhase) -> int:
    """Completed epochs at the end of a phase."""
    return recorded.first_epoch + recorded.epochs


def learning_phases(trial: Trial) -> list[RecordedPhase]:
    """The phases of a trial in which strengths hidden to output change, but for the unsupervised one."""
    return [recorded for recorded in trial.phases if not (recorded.phase.is_test or recorded.phase.is_unsupervised)]

"""What every engine is: something that takes a state through a phase. Engines know no files, no figures, no command line."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from foraging_snn.environments import N_MOVES, PARTICLES, Outcome
from foraging_snn.models.between import Rule, call, give_memory, rule_of
from foraging_snn.models.elastic import Elastic
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.schema import Field, array, number, record
from foraging_snn.models.state import NetworkState, begin_phase, check_state, fitted, misfit, missing_patterns

RESULTS_VERSION = 2  # raised when the same parameters, seed and engine give other results than before, if only in one bit


PACKAGED_RULES: dict[str, type[Rule]] = {Elastic.name: Elastic}  # between epochs, by name


class EngineError(RuntimeError):
    """An engine cannot be built or run; the message is one line and says what to do."""


TYPE_NUMBERS = ", ".join(f"{number} {name}" for number, name in enumerate(PARTICLES, start=1))
OUTCOME_NUMBERS = ", ".join(f"{int(outcome)} {outcome.name.lower()}" for outcome in Outcome)


@record
class EpochRecords:
    """What happened in n successive epochs; spikes only if they were asked for."""

    first_epoch: int = number(int, meaning="number of the first of them since the trial began", unit="epochs")
    awake: np.ndarray = array(np.bool_, "epoch_row", meaning="1 awake, 0 asleep (the agent does not move)")
    move: np.ndarray = array(np.int8, "epoch_row", meaning="move made: 3 (dy + 1) + dx + 1; 4 staying", low=0, high=N_MOVES - 1)
    eaten: np.ndarray = array(
        np.int8, "epoch_row", meaning=f"particle eaten: 0 none, {TYPE_NUMBERS}, then others", low=0, high="type"
    )
    outcome: np.ndarray = array(np.int8, "epoch_row", meaning=f"what it was in the task: {OUTCOME_NUMBERS}")
    x: np.ndarray = array(
        np.int16, "epoch_row", unit="squares", meaning="column of the agent after the move, from 0", index_of="grid_x"
    )
    y: np.ndarray = array(
        np.int16, "epoch_row", unit="squares", meaning="row of the agent after the move, from 0, upwards", index_of="grid_y"
    )
    hidden_spikes: np.ndarray = array(np.int32, "epoch_row", unit="spikes", meaning="spikes of the hidden layer")
    output_spikes: np.ndarray = array(np.int32, "epoch_row", unit="spikes", meaning="spikes of the output layer")
    spike_step: np.ndarray = array(
        np.int64,
        "spike",
        unit="steps",
        meaning="step since the trial began",
        low=0,
        ascending=True,
        default_factory=lambda: np.zeros(0, np.int64),
    )
    spike_cell: np.ndarray = array(
        np.int32,
        "spike",
        meaning="cell, from 0, in the order input, hidden, output",
        index_of="cell",
        default_factory=lambda: np.zeros(0, np.int32),
    )

    def __len__(self) -> int:
        return len(self.move)


AWAKE_LATER = np.zeros(0, bool)  # for `awake` of what `Engine._advance` returns; Engine.run knows it from the phase


def _count(unit: str, meaning: str) -> Field:
    return Field(np.int64, ("aeon_row",), unit, meaning, low=0)


AEON_COUNTS: dict[str, Field] = {
    "epochs": _count("epochs", "epochs counted in this row"),
    "moves": _count("epochs", "of these, epochs awake"),
    "rewarded": _count("particles", "rewarded particles eaten"),
    "punished": _count("particles", "punished particles eaten"),
    "other": _count("particles", "particles outside the task eaten"),
    "hidden_spikes": _count("spikes", "spikes of the hidden layer"),
    "output_spikes": _count("spikes", "spikes of the output layer"),
}


@record
class PhaseRecord:
    """Counts per aeon of a phase (or of the part of it that was run).

    `counts` is a dictionary with an array for each of :data:`AEON_COUNTS`.
    """

    first_aeon: int = number(int, meaning="number within the phase of the first aeon", unit="aeons")
    counts: dict[str, np.ndarray]
    eaten: np.ndarray = array(
        np.int64,
        "aeon_row",
        "type",
        unit="particles",
        meaning=f"particles eaten, by type: {', '.join(PARTICLES)}, then others",
        low=0,
    )

    @property
    def performance(self) -> float:
        """Rewarded / (rewarded + punished) particles over the whole record; NaN if none was eaten."""
        return performance(self.counts["rewarded"].sum(), self.counts["punished"].sum())


def performance(rewarded: float, punished: float) -> float:
    """Rewarded / (rewarded + punished); chance is 0.5; NaN if nothing was eaten."""
    total = rewarded + punished
    return float(rewarded / total) if total else float("nan")


class AeonCounter:
    """Sums epoch records into counts per aeon."""

    def __init__(self, phase_epoch: int, epochs: int, epochs_per_aeon: int, n_types: int):
        self._epochs_per_aeon = epochs_per_aeon
        self._next_epoch = phase_epoch
        first = phase_epoch // epochs_per_aeon
        n = (phase_epoch + epochs - 1) // epochs_per_aeon - first + 1
        self.record = PhaseRecord(first, {name: np.zeros(n, np.int64) for name in AEON_COUNTS}, np.zeros((n, n_types), np.int64))

    def add(self, records: EpochRecords) -> None:
        """Count the next epochs of the phase."""
        aeon = (self._next_epoch + np.arange(len(records))) // self._epochs_per_aeon - self.record.first_aeon
        self._next_epoch += len(records)
        n = len(self.record.eaten)
        weights = {
            "epochs": np.ones(len(records)),
            "moves": records.awake,
            "rewarded": records.outcome == Outcome.REWARDED,
            "punished": records.outcome == Outcome.PUNISHED,
            "other": records.outcome == Outcome.OTHER,
            "hidden_spikes": records.hidden_spikes,
            "output_spikes": records.output_spikes,
        }
        for name, weight in weights.items():
            self.record.counts[name] += np.bincount(aeon, weight, minlength=n).astype(np.int64)
        n_types = self.record.eaten.shape[1]
        by_type = np.bincount(aeon * (n_types + 1) + records.eaten, minlength=n * (n_types + 1))
        self.record.eaten += by_type.reshape(n, n_types + 1)[:, 1:]


class Recorder:
    """Listens to a run. This one keeps nothing; override what you need."""

    def snapshot_epochs(self, phase: Phase) -> Sequence[int]:
        """Ascending numbers of completed epochs of the phase (0 ... phase.epochs) at which `snapshot` is wanted."""
        return ()

    def spike_windows(self, phase: Phase) -> Sequence[range]:
        """Epochs of the phase whose spikes are wanted."""
        return ()

    def epochs(self, records: EpochRecords) -> None:
        """Called with successive pieces of the run."""

    def snapshot(self, state: NetworkState) -> None:
        """Called with the state at each of the snapshot epochs."""


class FullRecorder(Recorder):
    """Keeps the records of all epochs in memory, spikes included; for short runs."""

    def __init__(self) -> None:
        self.pieces: list[EpochRecords] = []

    def spike_windows(self, phase: Phase) -> list[range]:
        """All epochs."""
        return [range(phase.epochs)]

    def epochs(self, records: EpochRecords) -> None:
        """Keep the next epochs."""
        self.pieces.append(records)

    def column(self, name: str) -> np.ndarray:
        """A field of :class:`EpochRecords` over all epochs so far."""
        return np.concatenate([getattr(piece, name) for piece in self.pieces])


Progress = Callable[[EpochRecords], None]

# What an engine may declare that it cannot do (Engine.cannot), and why somebody would want it.
ABILITIES = {
    "spikes": "tell the spikes of the epochs that a recorder asks for",
    "unsupervised": "change input-to-hidden strengths",
    "parts": "run a phase in parts with the same result, bit for bit, as in one piece",
}


class Engine(ABC):
    """Takes a state through phases.

    Parameters
    ----------
    parameters : Parameters

    Notes
    -----
    Subclasses implement `_load`, `_advance` and `_state`. An engine is a context manager; leaving it frees what it holds.
    """

    name: str
    cannot: frozenset[str] = frozenset()  # what of ABILITIES it lacks
    chunk_epochs = 500  # largest piece between two calls of the recorder and the progress function

    def __init__(self, parameters: Parameters):
        self.parameters = parameters
        self._changed: dict[tuple[tuple[str, Any], ...], Engine] = {}  # those that run phases with changes of parameters

    @abstractmethod
    def _load(self, state: NetworkState, phase: Phase) -> None:
        """Take over a state and a phase."""

    @abstractmethod
    def _advance(self, epochs: int, spikes: bool) -> EpochRecords:
        """Run some epochs of the phase; `awake` of the result is left out (`AWAKE_LATER`)."""

    @abstractmethod
    def _state(self) -> NetworkState:
        """The present state, an independent copy."""

    @classmethod
    def compiling(cls) -> str:
        """What may have to be compiled before an engine of this class runs, and how long that takes; "" if nothing has."""
        return ""

    def worker_kilobytes(self) -> int:
        """Peak memory of processes that the engine runs besides this one."""
        return 0

    def close(self) -> None:
        """Free processes and files."""
        for engine in self._changed.values():
            engine.close()
        self._changed.clear()

    def with_parameters(self, parameters: Parameters) -> "Engine":
        """Another engine like this one."""
        return type(self)(parameters)

    def engine_of(self, phase: Phase) -> "Engine":
        """The engine that runs a phase: this one, or, if parameters are changed in the phase, one like it with these; it lives as
        long as this one.

        Raises
        ------
        ParameterError
            There are no such parameters.
        """
        if not phase.changes:
            return self
        if phase.changes not in self._changed:
            self._changed[phase.changes] = self.with_parameters(self.parameters.with_changes(dict(phase.changes)))
        return self._changed[phase.changes]

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _refuse_what_it_cannot_do(self, phase: Phase, recorder: Recorder) -> None:
        wanted = {"spikes": any(recorder.spike_windows(phase)), "unsupervised": phase.is_unsupervised}
        for ability in sorted(self.cannot & {name for name, is_wanted in wanted.items() if is_wanted}):
            raise EngineError(f"{self.name} engine: it cannot {ABILITIES[ability]} (phase {phase.name}); use another engine")

    def _rules_of(self, phase: Phase) -> list[Rule]:
        try:
            return [rule_of(applied, PACKAGED_RULES) for applied in phase.rules]
        except ValueError as error:
            raise EngineError(f"phase {phase.name}: {error}") from None

    def _call(self, rules: Sequence[Rule], moment: str, state: NetworkState, phase: Phase) -> None:
        """Call a method of rules, one after the other, on a state, which they change."""
        for rule in rules:
            give_memory(state, rule)
            try:
                call(rule, moment, state, phase, self.parameters)
                check_state(state, self.parameters)
            except ValueError as error:
                raise EngineError(f"phase {phase.name}: rule {rule.applied.name} left a state that cannot be: {error}") from error

    def run(
        self,
        state: NetworkState,
        phase: Phase,
        *,
        epochs: int | None = None,
        recorder: Recorder | None = None,
        progress: Progress | None = None,
    ) -> tuple[NetworkState, PhaseRecord]:
        """Run a phase, or the next part of it.

        Parameters
        ----------
        state : NetworkState
            Left as it is. With `phase_epoch` 0 the phase begins; otherwise it goes on from there.
        phase : Phase
        epochs : int, optional
            Run so many epochs only; to the end of the phase if omitted. A phase run in parts gives the same states,
            bit for bit.
        recorder, progress : optional
            Both are called with pieces of at most `chunk_epochs` epochs.

        Returns
        -------
        state : NetworkState
            After those epochs; `phase_epoch` is 0 again once the phase is complete.
        record : PhaseRecord
            Of the epochs run.

        Raises
        ------
        EngineError
            The state is of a network with other parameters, or further into a phase than this one is long, or lacks the patterns
            that its sleep is to show; a rule of the phase is not to be found or leaves no state; the engine fails.
        ParameterError
            The phase has a task or a type of particle that is not in the tables of the parameters.
        ValueError
            The phase does not have so many epochs left.
        """
        if (engine := self.engine_of(phase)) is not self:
            return engine.run(state, replace(phase, changes=()), epochs=epochs, recorder=recorder, progress=progress)
        recorder = recorder or Recorder()
        if reason := misfit(state, self.parameters):
            raise EngineError(f"state: of another network: {reason}")
        if state.phase_epoch >= phase.epochs:
            raise EngineError(
                f"phase {phase.name}: the state is {state.phase_epoch} epochs into a phase, this one has {phase.epochs}"
            )
        state, rules = fitted(state, self.parameters), self._rules_of(phase)
        if state.phase_epoch == 0:
            state = begin_phase(state, phase, self.parameters)
            if reason := missing_patterns(state, phase):
                raise EngineError(f"phase {phase.name}: {reason}")
            self._call(rules, "begin", state, phase)
        start = state.phase_epoch
        epochs = phase.epochs - start if epochs is None else epochs
        if not 1 <= epochs <= phase.epochs - start:
            raise ValueError(f"epochs: {epochs} given, allowed is 1 to {phase.epochs - start}, what is left of the phase")
        self._refuse_what_it_cannot_do(phase, recorder)
        end = start + epochs
        snapshots = {e for e in recorder.snapshot_epochs(phase) if start < e <= end or e == start == 0}
        windows = recorder.spike_windows(phase)
        edges = (edge for window in windows for edge in (window.start, window.stop))
        due = {e for rule in rules for e in range(start - start % rule.every, end + 1, rule.every) if start < e}
        stops = sorted({e for e in (*snapshots, *edges, *due, end) if start < e <= end})
        counter = AeonCounter(start, epochs, self.parameters.timing.epochs_per_aeon, len(self.parameters.particles))

        if 0 in snapshots:
            recorder.snapshot(state)
        self._load(state, phase)
        done = start
        for stop in stops:
            while done < stop:
                n = min(self.chunk_epochs, stop - done)
                records = self._advance(n, spikes=any(done in window for window in windows))
                records.awake = phase.awake(done + np.arange(n))
                done += n
                counter.add(records)
                recorder.epochs(records)
                if progress:
                    progress(records)
            if stop in due:
                state = self._state()
                self._call([rule for rule in rules if stop % rule.every == 0], "apply", state, phase)
                self._load(state, phase)
            if stop in snapshots and stop < end:
                recorder.snapshot(self._state())
        state = self._state()
        if rules and end == phase.epochs:
            self._call(rules, "end", state, phase)
        if end in snapshots:
            recorder.snapshot(state.copy())  # what is returned may be changed
        if end == phase.epochs:
            state.phase_epoch = 0
        return state, counter.record

    def run_many(
        self, states: Iterable[NetworkState], phase: Phase, *, progress: Progress | None = None
    ) -> Iterator[tuple[NetworkState, PhaseRecord]]:
        """Run a phase on each of many networks of the same parameters; here one after the other.

        Parameters
        ----------
        states : iterable of NetworkState
            Taken as they are needed.
        phase : Phase
        progress : optional
            Called with pieces of each, see :meth:`run`.

        Yields
        ------
        state, record
            Of each network in the order of `states`, the same bit for bit as :meth:`run` gives alone.
        """
        for state in states:
            yield self.run(state, phase, progress=progress)

"""A trial while it runs: the states after the steps run so far, and the keeper that saves them and stops the trial.

What is recorded where is up to running.py, what is in a checkpoint to checkpoints.py.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from foraging_snn.files.reader import Trial
from foraging_snn.files.writer import TrialWriter
from foraging_snn.models import Engine, EpochRecords, NetworkState, Phase, Recorder
from foraging_snn.protocols import Experiment, ImportRates, Step
from foraging_snn.running.checkpoints import Checkpoint, CheckpointError, Position, TrialCheckpoints, sequences_of_steps

PIECE_SECONDS = 0.3  # of a phase, between two looks at whether to save or to stop
FIRST_PIECE_EPOCHS = 20  # before the speed is known


class Stopped(KeyboardInterrupt):
    """A trial was stopped between two epochs because its listener wanted that; its checkpoint is that of this moment."""


class Listener:
    """Hears of a run while it goes on. This one does nothing; override what you need."""

    def experiment(self, experiment: Experiment) -> None:
        """The file of an experiment is begun."""

    def begin(self, phase: Phase, recorded: bool) -> None:
        """A phase begins; `recorded` is False for a phase that is run only because another one needs its spike rates."""

    def epochs(self, records: EpochRecords) -> None:
        """Successive pieces of the phase."""

    def resumed(self, epochs: int) -> None:
        """The trial goes on from a checkpoint: so many epochs were computed before."""

    def stop_wanted(self) -> bool:
        """The trial is to be saved and stopped; asked every few tenths of a second if there are checkpoints."""
        return False


class Keeper:
    """Saves a trial while it runs, and stops it when its listener wants that.

    Parameters
    ----------
    checkpoints : TrialCheckpoints
    seconds : float
        Between two checkpoints, at most.

    Attributes
    ----------
    identity : TrialIdentity
    steps_done : int
        Of the experiment under way, those that are complete and in its file.
    fell_back : bool
        The newest checkpoint was damaged.
    """

    def __init__(self, checkpoints: TrialCheckpoints, seconds: float):
        self.identity = checkpoints.identity
        self.steps_done = 0
        self.fell_back = False
        self._checkpoints = checkpoints
        self._seconds = seconds
        self._saved_at = time.monotonic()
        self._experiments = self.identity.experiments
        self._numbers = {steps: number for number, steps in enumerate(sequences_of_steps(self._experiments))}
        self._k = 0
        self._path: Path | None = None

    def begin(self, k: int, path: Path | None) -> None:
        """Experiment number `k` is under way, and this is its file if it has been begun."""
        self._k, self._path, self.steps_done = k, path, 0

    def look_back(self, trunk: "Trunk") -> Checkpoint | None:
        """The newest checkpoint that is whole, its states put into the trunk; None if there is none."""
        trunk.keeper = self
        found, damaged = self._checkpoints.newest()
        self.fell_back = bool(damaged)
        if found is None:
            return None
        if different := self.identity.differences(found.parameters, found.texts):
            raise CheckpointError(f"{self._checkpoints.folder}: of a trial that was run differently: {'; '.join(different)}")
        sequences = list(self._numbers)
        for number, digest in found.states.items():
            if (state := self._checkpoints.load_beside(number, digest)) is not None:
                trunk.states[sequences[number]] = state
        if found.state is not None:
            trunk.go_on_from(sequences[found.position.sequence], found.state)
        trunk.epochs = found.position.epochs
        trunk.listener.resumed(found.position.epochs)
        return found

    def between_pieces(self, trunk: "Trunk", steps: tuple[Step, ...], state: NetworkState) -> None:
        """A piece of the last of these steps is done, or all of it."""
        wanted = trunk.listener.stop_wanted()
        if wanted or state.phase_epoch == 0 or time.monotonic() - self._saved_at >= self._seconds:
            self.save(trunk, steps, state)
        if wanted:
            raise Stopped

    def save(self, trunk: "Trunk", steps: tuple[Step, ...] | None, state: NetworkState | None) -> None:
        """Save the trial as it is, `state` within or after `steps`."""
        experiment = self._experiments[self._k]
        on_its_way = steps is not None and experiment.steps[: len(steps)] == steps
        to_come = _sequences(self._experiments[self._k + 1 :]) + _imported(experiment.steps[self.steps_done :])
        to_come += [] if on_its_way else [experiment.steps]
        needed = {self._numbers[found]: trunk.states[found] for found in trunk.nearest(to_come)}
        if trunk.writer:
            trunk.writer.flush()
        position = Position(self._k, self.steps_done, self._numbers[steps] if steps else 0, trunk.epochs)
        self._checkpoints.save(position, state, needed, self._path)
        self._saved_at = time.monotonic()


class Pace:
    """How many epochs to compute in one go so that it takes about PIECE_SECONDS."""

    def __init__(self) -> None:
        self._epochs = FIRST_PIECE_EPOCHS

    def piece(self, left: int) -> int:
        """Epochs of the next piece, if so many are left of the phase."""
        return min(left, self._epochs)

    def took(self, epochs: int, seconds: float) -> None:
        """So long a piece took so many seconds."""
        fitting = int(epochs * PIECE_SECONDS / max(seconds, 1e-6))
        self._epochs = max(1, min(fitting, 4 * self._epochs))


class Trunk:
    """The states of a trial after each sequence of steps run so far: sequences that begin alike share their beginning.

    Parameters
    ----------
    engine : Engine
    listener : Listener
    root : tuple of Step
        What is done when the trial begins: nothing, or what a start state stands for.
    first : NetworkState
        After that.

    Attributes
    ----------
    states : dict
        By steps.
    files : dict
        For sequences of steps that were recorded: the file that has them.
    """

    def __init__(self, engine: Engine, listener: Listener, root: tuple[Step, ...], first: NetworkState):
        self.engine = engine
        self.listener = listener
        self.root = root
        self.first = first
        self.states: dict[tuple[Step, ...], NetworkState] = {root: first}
        self.files: dict[tuple[Step, ...], Path] = {}
        self.epochs = 0
        self.keeper: Keeper | None = None
        self.writer: TrialWriter | None = None
        self._pace = Pace()
        self._under_way: tuple[tuple[Step, ...], NetworkState] | None = None
        self._file_goes_on = False

    def record(self, steps: tuple[Step, ...], writer: TrialWriter, steps_done: int | None = None) -> NetworkState:
        """State after `steps`, with all their phases in a file: those recorded before are copied, the others run.

        Parameters
        ----------
        steps : tuple of Step
        writer : TrialWriter
        steps_done : int, optional
            The file has so many of the steps already.
        """
        self.writer, self._file_goes_on = writer, steps_done is not None
        done = self._begin_file(steps, writer) if steps_done is None else steps[: max(steps_done, len(self.root))]
        for n in range(len(self.root) + 1, len(done) + 1):
            self.files[steps[:n]] = writer.path
        for n in range(len(done) + 1, len(steps) + 1):
            self._step_done(n - 1)
            self.states[steps[:n]] = self._applied(steps[:n], writer)
            self.files[steps[:n]] = writer.path
        return self.after(steps)

    def _begin_file(self, steps: tuple[Step, ...], writer: TrialWriter) -> tuple[Step, ...]:
        """Copy what was recorded before into a new file; the steps that are done with that."""
        candidates = (steps[:n] for n in range(len(steps), -1, -1))
        done = next(s for s in candidates if s == self.root or (s in self.files and s in self.states))
        if done != self.root:
            recorded = [step for step in done[len(self.root) :] if isinstance(step, Phase)]
            writer.copy_phases(Trial(self.files[done]), len(recorded))
        return done

    def _step_done(self, n: int) -> None:
        if self.keeper:
            self.keeper.steps_done = n

    def adopt(self, experiment: Experiment, path: Path) -> None:
        """The file of an experiment is complete."""
        for n in range(len(self.root) + 1, len(experiment.steps) + 1):
            self.files[experiment.steps[:n]] = path

    def after(self, steps: tuple[Step, ...]) -> NetworkState:
        """State after `steps`; those not yet run are run now, unrecorded."""
        if steps not in self.states:
            self.states[steps] = self._applied(steps, None)
        return self.states[steps]

    def go_on_from(self, steps: tuple[Step, ...], state: NetworkState) -> None:
        """Take a state that is within the last of `steps`, or after it, for what was computed so far."""
        if state.phase_epoch == 0:
            self.states[steps] = state
        else:
            self._under_way = steps, state

    def nearest(self, sequences: Iterable[tuple[Step, ...]]) -> set[tuple[Step, ...]]:
        """The steps, apart from the root, after which these sequences will go on: nothing before them is needed any more."""
        found = set()
        for steps in sequences:
            known = [steps[:n] for n in range(len(steps), -1, -1) if steps[:n] in self.states]
            recorded = [s for s in known if s in self.files]
            found |= {*known[:1], *recorded[:1]}
        return found - {self.root}

    def forget_all_but_what_leads_to(self, experiments: Sequence[Experiment]) -> None:
        """Drop the states that these experiments, which are still to come, do not begin with."""
        needed = {self.root} | {steps[:n] for steps in _sequences(experiments) for n in range(len(steps) + 1)}
        self.states = {steps: state for steps, state in self.states.items() if steps in needed}
        self.files = {steps: path for steps, path in self.files.items() if steps in needed}

    def _applied(self, steps: tuple[Step, ...], writer: TrialWriter | None) -> NetworkState:
        """State after the last of `steps`, which is run now or goes on."""
        step = steps[-1]
        if isinstance(step, ImportRates):
            return _with_rates_of(self.after(steps[:-1]), self.after(step.steps), step.task)
        # a state within a phase is of no use to a file that lacks the beginning of the phase
        if self._under_way and self._under_way[0] == steps and (writer is None or self._file_goes_on):
            state, self._under_way = self._under_way[1], None
            recorder = writer.continue_phase(step, state) if writer else None
        else:
            state = self.after(steps[:-1])
            recorder = writer.begin_phase(step, state) if writer else None
        self.listener.begin(step, recorded=writer is not None)
        return self._run_phase(steps, state, recorder, writer)

    def _run_phase(
        self, steps: tuple[Step, ...], state: NetworkState, recorder: Recorder | None, writer: TrialWriter | None
    ) -> NetworkState:
        """Run the last of `steps` to its end; in pieces if there is a keeper."""
        phase = steps[-1]
        while True:
            left = phase.epochs - state.phase_epoch
            epochs = self._pace.piece(left) if self.keeper else left
            began = time.monotonic()
            state, record = self.engine.run(state, phase, epochs=epochs, recorder=recorder, progress=self.listener.epochs)
            self._pace.took(epochs, time.monotonic() - began)
            self.epochs += epochs
            if epochs == left:
                break
            if self.keeper:
                self.keeper.between_pieces(self, steps, state)
        if writer:
            writer.end_phase(record, state)
        if self.keeper:
            self._step_done(len(steps) if writer else self.keeper.steps_done)
            self.keeper.between_pieces(self, steps, state)
        return state


def _sequences(experiments: Iterable[Experiment]) -> list[tuple[Step, ...]]:
    """The sequences of steps that experiments go through, those only for their rates included."""
    return [*(e.steps for e in experiments), *(steps for e in experiments for steps in _imported(e.steps))]


def _imported(steps: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    return [step.steps for step in steps if isinstance(step, ImportRates)]


def _with_rates_of(state: NetworkState, other: NetworkState, task: int) -> NetworkState:
    state = state.copy()
    state.task_spikes[task - 1] = other.task_spikes[task - 1]
    state.task_epochs[task - 1] = other.task_epochs[task - 1]
    return state

"""Running a trial: the phases of its experiments folded over a state, each experiment recorded in one file.

What is computed goes into the ledger first (ledger.py), and what is there is not computed; the files are assembled from it. What
the phases do is in models/, what is in a file in files/layout.py.
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from foraging_snn.environments.temporary import TemporaryFolder
from foraging_snn.files.hdf5 import remove_leftovers
from foraging_snn.files.layout import RecordingError, test_interval
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.files.writer import PhaseRecorder, TableRows, TrialHeader, header_of, new_header, now, wiring_of, write_trial
from foraging_snn.models import Engine, EpochRecords, NetworkState, Parameters, Phase, initial_state
from foraging_snn.protocols import Experiment, ImportRates, RatesOfState, Step
from foraging_snn.running.errors import FORESEEN, RunError
from foraging_snn.running.existing import (
    TrialIdentity,
    after_start,
    is_complete_file,
    is_torn,
    phases_of,
    unsupervised,
    what_differs,
)
from foraging_snn.running.ledger import Ledger, Origin, Segment, contents_of, phase_of
from foraging_snn.running.locks import OF_WORKER, PATIENCE_SECONDS, locked
from foraging_snn.running.testing import tested, tested_tasks

CHECKPOINT_MINUTES = 5.0
PIECE_SECONDS = 0.3  # of a phase, between two looks at whether to save or to stop
FIRST_PIECE_EPOCHS = 20  # before the speed is known
LONG_PIECE_EPOCHS = 500_000  # where nobody asks
ROWS_BYTES = 32 * 1024**2  # of a segment, before they are compressed
ASSEMBLING_SHARE = 0.02  # of the time, at most, for files of trials that go on

Steps = tuple[Step, ...]


class Stopped(KeyboardInterrupt):
    """A trial was stopped between two epochs because its listener wanted that; all of it is in the ledger."""


class Listener:
    """Hears of a run while it goes on. This one does nothing; override what you need."""

    def experiment(self, experiment: Experiment) -> None:
        """The file of an experiment is begun."""

    def begin(self, phase: Phase, recorded: bool) -> None:
        """A phase begins, or goes on; `recorded` is False for one that is run only because another one needs its spike rates."""

    def epochs(self, records: EpochRecords) -> None:
        """Successive pieces of the phase."""

    def found(self, epochs: int) -> None:
        """So many more epochs of the trial were computed before."""

    def part(self, name: str) -> None:
        """A part of a job that is no trial is begun."""

    def done(self, parts: int) -> None:
        """So many of the parts of a job that is no trial are done."""

    def note(self, line: str) -> None:
        """Something is not as it should be, but the run goes on."""
        warnings.warn(line, stacklevel=2)

    def stop_wanted(self) -> bool:
        """The trial is to be saved and stopped; asked every few tenths of a second if there is a ledger."""
        return False


@dataclass(frozen=True)
class Keeping:
    """Where what is computed for a trial is kept, so that it is not computed again.

    Attributes
    ----------
    ledger : Path
        Folder, made if it is not there.
    minutes : float
        Something is written there at least this often, and at the ends of phases.
    others : tuple of Path
        Further ledgers in which to look.
    """

    ledger: Path
    minutes: float = CHECKPOINT_MINUTES
    others: tuple[Path, ...] = ()


def run_trial(
    experiment: Experiment,
    parameters: Parameters,
    *,
    seed: int,
    engine: Engine,
    path: str | Path,
    trial: int = 0,
    command_line: str = "",
    start: SavedState | None = None,
    progress: Listener | None = None,
    keeping: Keeping | None = None,
) -> NetworkState | None:
    """Run one trial and write its file.

    Parameters
    ----------
    experiment : Experiment
    parameters : Parameters
        Those that `experiment` and `engine` were made with.
    seed : int
        Of this trial, 0 ... 2**63 - 1.
    engine : Engine
    path : path
        The file; it must not exist.
    trial : int
        Number of the trial within the run, from 0; it goes into the file.
    command_line : str
        For the file's provenance.
    start : SavedState, optional
        Replaces the unsupervised phase, if the experiment begins with one. Its wiring and strengths are taken as they are, all
        draws to come are those of `seed`.
    progress : Listener, optional
    keeping : Keeping, optional
        Keep what is computed in a ledger, and do not compute what is there: then a file that exists and is incomplete is gone on
        with. None: nothing is kept.

    Returns
    -------
    NetworkState or None
        At the end of the trial; None if its file was complete before.

    Raises
    ------
    RecordingError
        The file exists (and is not that of a trial that can be gone on with) or cannot be written.
    LedgerError
        The ledger cannot be written, or another process is at work on this trial.
    EngineError
    Stopped
        `progress` wanted that.

    Notes
    -----
    Whatever interrupts it, the file stays readable and is marked incomplete. A trial that goes on gives the same file, bit for bit,
    as one that was not interrupted. See :func:`foraging_snn.running.existing.look_at_trial` for what can be said before.
    """
    options = {"seed": seed, "trial": trial, "engine": engine, "command_line": command_line}
    return run_experiments([experiment], parameters, paths=[Path(path)], start=start, progress=progress, keeping=keeping, **options)


def run_experiments(
    experiments: Sequence[Experiment],
    parameters: Parameters,
    *,
    seed: int,
    trial: int,
    engine: Engine,
    paths: Sequence[Path],
    command_line: str,
    start: SavedState | None = None,
    progress: Listener | None = None,
    keeping: Keeping | None = None,
) -> NetworkState | None:
    """Run several experiments of one trial, one after the other; what they have in common is computed once.

    Parameters
    ----------
    experiments : sequence of Experiment
        At least one.
    paths : sequence of Path
        Their files. Each is as complete in itself as that of :func:`run_trial`, which describes all other parameters, what is
        returned and raised, and holds the same.
    """
    listener = progress or Listener()
    experiments = [after_start(experiment) for experiment in experiments] if start else experiments
    identity = TrialIdentity(parameters, tuple(experiments), seed, engine.name, start)
    with _ledger_of(identity.origin, paths, keeping, listener) as ledger:
        fold = Fold(engine, ledger, listener, keeping.minutes * 60.0 if keeping else None)
        state = None
        for experiment, path in zip(experiments, paths, strict=True):
            listener.experiment(experiment)
            if keeping and is_complete_file(identity, experiment, path):
                fold.skip(experiment.steps)
                state = None
            else:
                header = _header(identity, experiment, path, trial, command_line, fold.first, resume=keeping is not None)
                state = fold.record(experiment.steps, _TrialFile(path, header, ledger, not keeping))
    return state


def run_unsupervised(
    parameters: Parameters,
    *,
    seed: int,
    engine: Engine,
    progress: Listener | None = None,
    keeping: Keeping | None = None,
    path: Path | None = None,
) -> NetworkState:
    """The state after the unsupervised phase of the trial `seed`: what every experiment can start from.

    Parameters
    ----------
    path : Path, optional
        The file for which it is; with `keeping`, others are kept from making it at the same time. All else as for
        :func:`run_trial`.
    """
    listener, alone = progress or Listener(), unsupervised(parameters)
    with _ledger_of(Origin(parameters, seed, engine.name), [path] if path else [], keeping, listener) as ledger:
        listener.experiment(alone)
        return Fold(engine, ledger, listener, keeping.minutes * 60.0 if keeping else None).after(alone.steps)


@contextmanager
def _ledger_of(origin: Origin, paths: Sequence[Path], keeping: Keeping | None, listener: Listener) -> Iterator[Ledger]:
    """The ledger of a trial, and nobody else at work on its files; one that goes with the trial if none is to be kept."""
    with ExitStack() as stack:
        if keeping is None:
            folder = Path(stack.enter_context(TemporaryFolder()))
            yield Ledger(folder, origin)
            return
        check = stack.enter_context(locked(paths, OF_WORKER, PATIENCE_SECONDS))
        names = [path.stem for path in paths]
        ledger = Ledger(keeping.ledger, origin, keeping.others, names, check, listener.note)
        ledger.remove_leftovers()
        for path in paths:
            remove_leftovers(path.parent, path.name)
        yield ledger


def _header(
    identity: TrialIdentity, experiment: Experiment, path: Path, trial: int, command_line: str, first: NetworkState, resume: bool
) -> TrialHeader:
    """The header of a file: that which it has if it is gone on with."""
    header = new_header(
        experiment, identity.parameters, identity.seed, trial, identity.engine, command_line, identity.start, wiring_of(first)
    )
    if resume and path.exists():
        try:
            there = Trial(path)
            begun = header_of(there)
        except RecordingError as damage:
            if not is_torn(path):
                raise RecordingError(f"{path}: exists already and is not overwritten: {damage}") from None
            return header  # whoever goes on with it was told, see existing.py
        if different := what_differs(identity, experiment, there):
            raise RecordingError(f"{path}: exists already and is not overwritten: run differently: {'; '.join(different)}")
        return begun
    write_trial(path, header, (), overwrite=False)
    return header


@dataclass
class _TrialFile:
    """The file of an experiment that is computed: assembled from the ledger, as a whole, whenever that is cheap, and at the end.

    Attributes
    ----------
    path : Path
    header : TrialHeader
    ledger : Ledger
    with_rows : bool
        Rows that are not in the ledger are written, too: nobody will go on with them.
    phases : dict
        Segments of the phases begun, by their steps, and the epoch at which each began.
    """

    path: Path
    header: TrialHeader
    ledger: Ledger
    with_rows: bool
    phases: dict[Steps, tuple[list[Segment], int]] = field(default_factory=dict)
    _written_at: float = 0.0
    _took: float = 0.0

    def refresh(self) -> None:
        """Write it if it was not written lately, compared with how long that takes."""
        if time.monotonic() - self._written_at >= self._took / ASSEMBLING_SHARE:
            self.write()

    def write(self, ended: str = "", complete: bool = False, rows: TableRows | None = None) -> None:
        """Write it; `rows` are those of the last phase that are not in the ledger."""
        began = time.monotonic()
        self.ledger.check()
        with ExitStack() as stack:
            contents, versions = [], []
            for steps, (chain, started_at) in self.phases.items():
                present = self.ledger.present(steps, chain)
                contents.append(stack.enter_context(contents_of(self.ledger.origin, steps, present, started_at)))
                versions += [version for segment in present for version in segment.versions.split(", ")]
            if rows is not None and contents:
                last = contents[-1]
                done = last.epochs_done + int(rows["aeons"]["epochs"].sum())
                contents[-1] = replace(last, parts=[*last.parts, rows], epochs_done=done)
            write_trial(self.path, self.header, contents, versions=versions, ended=ended, complete=complete)
        self._written_at = time.monotonic()
        self._took = self._written_at - began


class Fold:
    """The phases of a trial folded over its first state; what the ledger has of them is taken from there.

    Parameters
    ----------
    engine : Engine
    ledger : Ledger
    listener : Listener
    seconds : float or None
        Between two segments, at most. None: a phase is a segment, and nobody asks whether to stop.

    Attributes
    ----------
    first : NetworkState
        With which the trial begins.
    """

    def __init__(self, engine: Engine, ledger: Ledger, listener: Listener, seconds: float | None):
        self.first = _first_state(ledger.origin)
        self._engine, self._ledger, self._listener, self._seconds = engine, ledger, listener, seconds
        self._chains: dict[Steps, list[Segment]] = {}
        self._latest: tuple[Steps, NetworkState] = ((), self.first)
        self._recorder: PhaseRecorder | None = None  # of the phase that is recorded in a file now
        self._pace = Pace()
        self._saved_at = time.monotonic()

    def record(self, steps: Steps, file: _TrialFile) -> NetworkState:
        """State after `steps`, with all their phases in a file."""
        try:
            for n, step in enumerate(steps, 1):
                if isinstance(step, Phase):
                    self._segments(steps[:n], file)
            file.write(ended=now(), complete=True)
        except Stopped:
            file.write(ended=now())
            raise
        except BaseException:
            with suppress(*FORESEEN):  # the first failure is the one to tell
                file.write(ended=now(), rows=self._recorder.take() if self._recorder and file.with_rows else None)
            raise
        self.skip(steps)
        return self.after(steps)

    def skip(self, steps: Steps) -> None:
        """What of these steps was not looked up is not needed."""
        for these, phase in phases_of(steps).items():
            if these not in self._chains:
                self._chains[these] = []
                self._listener.found(phase.epochs)

    def after(self, steps: Steps) -> NetworkState:
        """State after `steps`; those not yet computed are run now."""
        if not steps:
            return self.first
        if isinstance(last := steps[-1], ImportRates):
            return _with_rates_of(self.after(steps[:-1]), self.after(last.steps), last.task)
        if isinstance(last, RatesOfState):
            return _with_all_rates_of(self.after(steps[:-1]), last)
        chain = self._segments(steps, None)
        return self._latest[1] if self._latest[0] == steps else chain[-1].state(self._ledger.origin.parameters)

    def _found(self, steps: Steps) -> list[Segment]:
        """What the ledger has of the phase with which `steps` end."""
        if not self._chains.get(steps):
            chain = self._ledger.find(steps)
            if chain and steps not in self._chains:
                self._listener.found(chain[-1].end)
            self._chains[steps] = chain
        return self._chains[steps]

    def _segments(self, steps: Steps, file: _TrialFile | None) -> list[Segment]:
        """Have the phase with which `steps` end in the ledger and in a file, if there is one."""
        phase, chain, parameters = phase_of(steps), self._found(steps), self._ledger.origin.parameters
        if chain and chain[-1].end == phase.epochs:
            chain[:] = [self._ledger.put_together(steps, chain)]  # whoever computed it may have been cut off before
            if file:
                file.phases[steps] = chain, chain[0].first_epoch
            return chain
        state = chain[-1].state(parameters) if chain else self.after(steps[:-1])
        is_first = not chain and not any(isinstance(step, Phase) for step in steps[:-1])
        recorder = PhaseRecorder(parameters, phase, state.phase_epoch, is_first)
        if file:
            self._recorder = recorder
            file.phases[steps] = chain, state.epoch - state.phase_epoch
            file.refresh()
        self._listener.begin(phase, recorded=file is not None)
        if recorder.done == 0:
            self._test(phase, state, recorder)
        while not chain or chain[-1].end < phase.epochs:
            state = self._run_piece(phase, state, recorder)
            is_over, stop = recorder.done == phase.epochs, self._seconds is not None and self._listener.stop_wanted()
            if is_over or stop or self._is_due(recorder):
                self._save(steps, chain, recorder, state)
                if file:
                    file.refresh()
            if stop:
                raise Stopped
        self._recorder = None
        return chain

    def _run_piece(self, phase: Phase, state: NetworkState, recorder: PhaseRecorder) -> NetworkState:
        left, began = phase.epochs - recorder.done, time.monotonic()
        if every := test_interval(self._ledger.origin.parameters, phase):
            left = min(left, every - recorder.done % every)
        epochs = self._pace.piece(left) if self._seconds is not None else min(left, LONG_PIECE_EPOCHS)
        state, _ = self._engine.run(state, phase, epochs=epochs, recorder=recorder, progress=self._listener.epochs)
        self._pace.took(epochs, time.monotonic() - began)
        self._test(phase, state, recorder)
        return state

    def _test(self, phase: Phase, state: NetworkState, recorder: PhaseRecorder) -> None:
        """Test the network if that is due now; the run goes on from the same state."""
        parameters = self._ledger.origin.parameters
        every = test_interval(parameters, phase)
        if every and (recorder.done % every == 0 or recorder.done == phase.epochs):
            for task in tested_tasks(state, phase, parameters):
                record = tested(self._engine, state, task, parameters.recording.test_epochs)
                recorder.test(state.epoch, parameters.task_number(task), record)

    def _is_due(self, recorder: PhaseRecorder) -> bool:
        since = time.monotonic() - self._saved_at
        return recorder.n_bytes >= ROWS_BYTES or (self._seconds is not None and since >= self._seconds)

    def _save(self, steps: Steps, chain: list[Segment], recorder: PhaseRecorder, state: NetworkState) -> None:
        """Add what was computed to the chain of segments of a phase; once it is over, it is one segment."""
        start = chain[-1].end if chain else 0
        chain.append(self._ledger.add(steps, start, recorder.done, recorder.take(), state))
        self._saved_at, self._latest = time.monotonic(), (steps, state)
        if recorder.done == phase_of(steps).epochs:
            chain[:] = [self._ledger.put_together(steps, chain)]


class Pace:
    """How many epochs to compute in one go so that it takes about PIECE_SECONDS."""

    def __init__(self) -> None:
        self._epochs = FIRST_PIECE_EPOCHS

    def piece(self, left: int) -> int:
        """Epochs of the next piece, if so many are left of the phase."""
        return min(left, self._epochs)

    def took(self, epochs: int, seconds: float) -> None:
        """So many epochs took so many seconds."""
        self._epochs = max(1, min(int(epochs * PIECE_SECONDS / max(seconds, 1e-6)), 4 * self._epochs))


def _first_state(origin: Origin) -> NetworkState:
    if origin.start is None:
        return initial_state(origin.parameters, origin.seed)
    state = origin.start.state.copy()
    state.seed = origin.seed
    return state


def _with_rates_of(state: NetworkState, other: NetworkState, task: int) -> NetworkState:
    state = state.copy()
    state.task_spikes[task - 1] = other.task_spikes[task - 1]
    state.task_epochs[task - 1] = other.task_epochs[task - 1]
    return state


def _with_all_rates_of(state: NetworkState, rates: RatesOfState) -> NetworkState:
    other, state = rates.state, state.copy()
    for name in ("input_index", "hidden_index"):
        if not np.array_equal(getattr(state, name), getattr(other, name)):
            raise RunError(
                f"rates of {rates.source}: the state is of a network with another wiring, whose cells see something else"
            )
    if other.task_epochs.shape != state.task_epochs.shape:
        counted = len(other.task_epochs), len(state.task_epochs)
        raise RunError(f"rates of {rates.source}: it counts spikes of {counted[0]} tasks, this trial of {counted[1]}")
    state.task_spikes, state.task_epochs = other.task_spikes.copy(), other.task_epochs.copy()
    return state

"""Running a trial: the phases of its experiments folded over a state, each experiment recorded in one file.

No terminal and no tables here; what the phases do is in models/, what is in the file in recording.py, how a trial that is cut off
goes on, in checkpoints.py and resuming.py.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from foraging_snn.checkpoints import (
    Checkpoint,
    CheckpointError,
    Position,
    TrialCheckpoints,
    TrialIdentity,
    remove_empty_folder,
    remove_leftovers,
    sequences_of_steps,
)
from foraging_snn.hdf5 import synchronise_folder
from foraging_snn.models import MAX_SEED, Engine, EpochRecords, NetworkState, Parameters, Phase, Recorder, initial_state
from foraging_snn.protocols import Experiment, ImportRates, Step
from foraging_snn.recording import RecordingError, Trial, TrialWriter
from foraging_snn.states import SavedState, StateError, compatible, load_state

PIECE_SECONDS = 0.3  # of a phase, between two looks at whether to save or to stop
FIRST_PIECE_EPOCHS = 20  # before the speed is known
CHECKPOINT_MINUTES = 5.0
MAX_TRIALS = 100_000  # of a run


class RunError(ValueError):
    """A run cannot be started; the message is one line."""


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


def run_trial(
    experiment: Experiment,
    parameters: Parameters,
    *,
    seed: int,
    trial: int,
    engine: Engine,
    path: str | Path,
    command_line: str,
    start: SavedState | None = None,
    progress: Listener | None = None,
    checkpoint_minutes: float | None = None,
) -> NetworkState | None:
    """Run one trial and write its file.

    Parameters
    ----------
    experiment : Experiment
    parameters : Parameters
        Those that `experiment` and `engine` were made with.
    seed : int
        Of this trial, 0 ... 2**63 - 1.
    trial : int
        Number of the trial within the run, from 0; it goes into the file.
    engine : Engine
    path : path
        The file; it must not exist.
    command_line : str
        For the file's provenance.
    start : SavedState, optional
        Replaces the unsupervised phase with which every experiment begins. Its wiring and strengths are taken as they are,
        all draws to come are those of `seed`.
    progress : Listener, optional
    checkpoint_minutes : float, optional
        Save a checkpoint at the ends of phases and at least this often, in the folder `checkpoints` beside the file, and go on
        from the one that is there. None: no checkpoints.

    Returns
    -------
    NetworkState or None
        At the end of the trial; None if it had been reached before and nothing was computed.

    Raises
    ------
    RecordingError
        The file exists (and is not that of a trial that can be gone on with) or cannot be written.
    CheckpointError
        A checkpoint cannot be written, or another process is at work on this trial.
    EngineError
    Stopped
        `progress` wanted that.

    Notes
    -----
    Whatever interrupts it, the file stays readable and is marked incomplete. A trial that goes on from a checkpoint gives the same
    file, bit for bit, as one that was not interrupted. See :func:`foraging_snn.resuming.look_at_trial` for what can be said before.
    """
    return run_experiments(
        [experiment],
        parameters,
        seed=seed,
        trial=trial,
        engine=engine,
        paths=[Path(path)],
        command_line=command_line,
        start=start,
        progress=progress,
        checkpoint_minutes=checkpoint_minutes,
    )


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
    checkpoint_minutes: float | None = None,
) -> NetworkState | None:
    """Run several experiments of one trial, one after the other; what they have in common is computed once.

    Parameters
    ----------
    experiments : sequence of Experiment
        At least one.
    paths : sequence of Path
        Their files. Each is as complete in itself as that of :func:`run_trial`, which describes all other parameters, and
        holds the same.

    Returns
    -------
    NetworkState or None
        At the end of the last experiment; None if its file was complete before.

    Raises
    ------
    RecordingError
        A file exists (and is not that of a trial that can be gone on with) or cannot be written.
    CheckpointError
        A checkpoint cannot be written, or another process is at work on this trial.
    EngineError
    Stopped
        `progress` wanted that.
    """
    first = initial_state(parameters, seed) if start is None else _started(start, seed)
    files = _Files(tuple(experiments), list(paths), parameters, seed, trial, engine.name, command_line, start)
    trunk = _Trunk(engine, progress or Listener(), experiments[0].steps[:1] if start else (), first)
    if checkpoint_minutes is None:
        return _run(files, trunk, None)
    checkpoints = TrialCheckpoints(paths[0].parent, identity_of(experiments, parameters, seed, engine.name, start))
    with checkpoints.locked():
        for path in paths:
            remove_leftovers(path)
        state = _run(files, trunk, _Keeper(checkpoints, checkpoint_minutes * 60.0))
        checkpoints.remove()
    remove_empty_folder(paths[0].parent)
    return state


def identity_of(
    experiments: Sequence[Experiment], parameters: Parameters, seed: int, engine: str, start: SavedState | None
) -> TrialIdentity:
    """What has to be the same for a trial to be gone on with; arguments as for :func:`run_experiments`."""
    return TrialIdentity(parameters, tuple(experiments), seed, engine, "" if start is None else str(start))


def differences_of_file(identity: TrialIdentity, experiment: Experiment, recorded: Trial) -> list[str]:
    """What differs between the file of an experiment and what the trial would write now: "name: value there, value now"."""
    names = {"engine": recorded.engine, "started_from": recorded.started_from or ""}
    lines = identity.differences(recorded.parameters, names)
    expected = recorded_phases(experiment, started=bool(identity.started_from))
    if not lines and [phase.phase for phase in recorded.phases] != list(expected)[: len(recorded.phases)]:
        lines.append("phases: others than this version of foraging_snn runs")
    if (recorded.experiment, recorded.seed) != (experiment.name, identity.seed):
        lines.append(f"trial: {recorded.experiment} seed {recorded.seed}, {experiment.name} seed {identity.seed}")
    return lines


@dataclass(frozen=True)
class _Files:
    """The files of a trial: one per experiment."""

    experiments: tuple[Experiment, ...]
    paths: list[Path]
    parameters: Parameters
    seed: int
    trial: int
    engine: str
    command_line: str
    start: SavedState | None

    def begin(self, k: int, first: NetworkState) -> TrialWriter:
        """A new file; `first` is what the trial begins with."""
        writer = TrialWriter(
            self.paths[k],
            parameters=self.parameters,
            experiment=self.experiments[k],
            seed=self.seed,
            trial=self.trial,
            engine=self.engine,
            command_line=self.command_line,
            started_from=self.start,
        )
        try:
            writer.write_wiring(first)
        except BaseException:
            writer.__exit__()
            raise
        return writer

    def go_on(self, k: int) -> TrialWriter:
        """The file of the experiment under way, as its checkpoint has it."""
        return TrialWriter.continuing(self.paths[k], parameters=self.parameters, seed=self.seed, started_from=self.start)

    def is_complete(self, k: int, identity: TrialIdentity) -> bool:
        """The file is there, and is that of this trial come to its end."""
        try:
            recorded = Trial(self.paths[k])
        except RecordingError:
            return False
        return recorded.complete and not differences_of_file(identity, self.experiments[k], recorded)


def _run(files: _Files, trunk: "_Trunk", keeper: "_Keeper | None") -> NetworkState | None:
    """Go through the experiments of a trial; with a keeper, from where it was."""
    found = keeper.look_back(trunk) if keeper else None
    state = None
    for k, experiment in enumerate(files.experiments):
        trunk.listener.experiment(experiment)
        if keeper and files.is_complete(k, keeper.identity):
            trunk.adopt(experiment, files.paths[k])
        else:
            with _writer(files, k, trunk, keeper, found) as writer:
                done = found.position.steps_done if found and found.position.experiment == k and found.file else None
                state = trunk.record(experiment.steps, writer, done)
                writer.complete()
            trunk.writer = None
        trunk.forget_all_but_what_leads_to(files.experiments[k + 1 :])
    return state


def _writer(files: _Files, k: int, trunk: "_Trunk", keeper: "_Keeper | None", found: Checkpoint | None) -> TrialWriter:
    if keeper is None:
        return files.begin(k, trunk.first)
    if found and found.position.experiment == k:
        found.restore(files.paths[k])
        if found.file:
            keeper.begin(k, files.paths[k])
            return files.go_on(k)
    if keeper.fell_back and found and k > found.position.experiment:
        files.paths[k].unlink(missing_ok=True)  # begun after the checkpoint that is damaged
    # saved before the file is there: one that is found beside this checkpoint was begun after it
    keeper.begin(k, None)
    keeper.save(trunk, None, None)
    writer = files.begin(k, trunk.first)
    synchronise_folder(writer.path.parent)
    keeper.begin(k, writer.path)
    return writer


class _Keeper:
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

    def look_back(self, trunk: "_Trunk") -> Checkpoint | None:
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

    def between_pieces(self, trunk: "_Trunk", steps: tuple[Step, ...], state: NetworkState) -> None:
        """A piece of the last of these steps is done, or all of it."""
        wanted = trunk.listener.stop_wanted()
        if wanted or state.phase_epoch == 0 or time.monotonic() - self._saved_at >= self._seconds:
            self.save(trunk, steps, state)
        if wanted:
            raise Stopped

    def save(self, trunk: "_Trunk", steps: tuple[Step, ...] | None, state: NetworkState | None) -> None:
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


class _Pace:
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


class _Trunk:
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
        self.keeper: _Keeper | None = None
        self.writer: TrialWriter | None = None
        self._pace = _Pace()
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


def _started(start: SavedState, seed: int) -> NetworkState:
    state = start.state.copy()
    state.seed = seed
    return state


def phases_to_run(*experiments: Experiment, started: bool) -> list[Phase]:
    """The phases that a trial computes, in their order, those run only for their rates included.

    Parameters
    ----------
    *experiments : Experiment
        In the order of the catalogue: what one needs for its rates, and another records, comes first.
    started : bool
        From a saved state, i.e. without the unsupervised phase.
    """
    done: set[tuple[Step, ...]] = {(), experiments[0].steps[:1]} if started else {()}
    phases: list[Phase] = []

    def visit(steps: tuple[Step, ...]) -> None:
        if steps in done:
            return
        visit(steps[:-1])
        if isinstance(steps[-1], ImportRates):
            visit(steps[-1].steps)
        else:
            phases.append(steps[-1])
        done.add(steps)

    for experiment in experiments:
        visit(experiment.steps)
    return phases


def recorded_phases(experiment: Experiment, started: bool) -> tuple[Phase, ...]:
    """The phases in the file of a trial of an experiment; `started`: from a saved state, i.e. without the unsupervised phase."""
    return experiment.phases[1:] if started else experiment.phases


def run_unsupervised(
    phase: Phase, parameters: Parameters, *, seed: int, engine: Engine, progress: Listener | None = None
) -> NetworkState:
    """The state after the unsupervised phase of the trial `seed`: what every experiment can start from."""
    return _Trunk(engine, progress or Listener(), (), initial_state(parameters, seed)).after((phase,))


def trial_path(directory: str | Path, experiment: str, seed: int) -> Path:
    """File of the trial `seed` of an experiment in `directory`."""
    return Path(directory) / f"{experiment}_seed{seed:04d}.h5"


def trial_seeds(seed: int, trials: int) -> range:
    """Seeds of the trials of a run: seed, seed + 1, ...

    Raises
    ------
    RunError
        No trials or too many, or a seed out of range.
    """
    if trials < 1:
        raise RunError(f"trials: {trials} given, allowed is at least 1")
    if trials > MAX_TRIALS:
        raise RunError(f"trials: {trials} given, allowed is at most {MAX_TRIALS}")
    if not 0 <= seed <= MAX_SEED - trials + 1:
        raise RunError(f"seed: {seed} given, allowed for {trials} trials is 0 to {MAX_SEED - trials + 1}")
    return range(seed, seed + trials)


def prepare_output(paths: list[Path]) -> None:
    """Make the folders of files that are about to be written, and see that the files can be.

    Raises
    ------
    RunError
        A file exists already, or its folder cannot be made or written.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise RunError(f"{path}: exists already and is not overwritten")
    prepare_folders(path.parent for path in paths)


def prepare_folders(folders: Iterable[Path]) -> None:
    """Make folders, and see that they can be written to.

    Raises
    ------
    RunError
        One cannot be made or written.
    """
    directories = list(dict.fromkeys(folders))
    for directory in directories:
        if directory.exists() and not directory.is_dir():
            raise RunError(f"{directory}: cannot be written to: it is not a folder")
    for directory in directories:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise RunError(f"{directory}: cannot be written to: {error.strerror}") from None


def packaged_states() -> dict[str, Callable[[], SavedState]]:
    """The start states that come with the package, by name; each is read when it is called."""
    folder = resources.files("foraging_snn") / "data"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".h5")), key=lambda f: f.name) if folder.is_dir() else []
    return {file.name.removesuffix(".h5"): lambda file=file: _read_resource(file) for file in files}


def _read_resource(file) -> SavedState:
    with resources.as_file(file) as path:
        return load_state(path)


def read_start(name: str) -> SavedState:
    """A saved state by the path of its file or by its name in the package.

    Raises
    ------
    StateError
    """
    packaged = packaged_states()
    if Path(name).exists():
        return load_state(name)
    if name.removesuffix(".h5") in packaged:
        return packaged[name.removesuffix(".h5")]()
    raise StateError(f"{name}: no such file, and the states in the package are: {', '.join(packaged) or 'none'}")


def load_start(name: str, parameters: Parameters) -> SavedState:
    """A state that trials with `parameters` can start from; see :func:`read_start`.

    Raises
    ------
    StateError
        No such state, not a state after the unsupervised phase, or made with other parameters.
    """
    start = read_start(name)
    check_start(start, parameters, name)
    return start


def check_start(start: SavedState, parameters: Parameters, name: str) -> None:
    """See that a trial with `parameters` can begin from a state.

    Raises
    ------
    StateError
    """
    if start.state.phase_epoch or start.state.input_hidden_frozen:
        raise StateError(f"{name}: not a state after the unsupervised phase, which is where a trial can start from")
    different = compatible(start.parameters, parameters)
    if different:
        raise StateError(f"{name}: made with other parameters (its value, the value asked for): {'; '.join(different)}")

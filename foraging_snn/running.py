"""Running a trial: the phases of its experiments folded over a state, each experiment recorded in one file.

No terminal and no tables here; what the phases do is in models/, what is in the file in recording.py.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path

from foraging_snn.models import MAX_SEED, Engine, EpochRecords, NetworkState, Parameters, Phase, initial_state
from foraging_snn.protocols import Experiment, ImportRates, Step
from foraging_snn.recording import Trial, TrialWriter
from foraging_snn.states import SavedState, StateError, compatible, load_state


class RunError(ValueError):
    """A run cannot be started; the message is one line."""


class Listener:
    """Hears of a run while it goes on. This one does nothing; override what you need."""

    def experiment(self, experiment: Experiment) -> None:
        """The file of an experiment is begun."""

    def begin(self, phase: Phase, recorded: bool) -> None:
        """A phase begins; `recorded` is False for a phase that is run only because another one needs its spike rates."""

    def epochs(self, records: EpochRecords) -> None:
        """Successive pieces of the phase."""


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
) -> NetworkState:
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

    Returns
    -------
    NetworkState
        At the end of the trial.

    Raises
    ------
    RecordingError
        The file exists or cannot be written.
    EngineError

    Notes
    -----
    Whatever interrupts it, the file stays readable and is marked incomplete.
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
) -> NetworkState:
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
    NetworkState
        At the end of the last experiment.

    Raises
    ------
    RecordingError
        A file exists or cannot be written.
    EngineError
    """
    first = initial_state(parameters, seed) if start is None else _started(start, seed)
    trunk = _Trunk(engine, progress or Listener(), experiments[0].steps[:1] if start else (), first)
    for k, experiment in enumerate(experiments):
        writer = TrialWriter(
            paths[k],
            parameters=parameters,
            experiment=experiment,
            seed=seed,
            trial=trial,
            engine=engine.name,
            command_line=command_line,
            started_from=start,
        )
        trunk.listener.experiment(experiment)
        with writer:
            writer.write_wiring(first)
            state = trunk.record(experiment.steps, writer)
            writer.complete()
        trunk.forget_all_but_what_leads_to(experiments[k + 1 :])
    return state


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
        self.states: dict[tuple[Step, ...], NetworkState] = {root: first}
        self.files: dict[tuple[Step, ...], Path] = {}

    def record(self, steps: tuple[Step, ...], writer: TrialWriter) -> NetworkState:
        """State after `steps`, with all their phases in a file: those recorded before are copied, the others run."""
        done = next(steps[:n] for n in range(len(steps), -1, -1) if steps[:n] == self.root or steps[:n] in self.files)
        if done != self.root:
            recorded = [step for step in done[len(self.root) :] if isinstance(step, Phase)]
            writer.copy_phases(Trial(self.files[done]), len(recorded))
        state = self.states[done]
        for n in range(len(done) + 1, len(steps) + 1):
            state = self._apply(steps[n - 1], state, writer)
            self.states[steps[:n]], self.files[steps[:n]] = state, writer.path
        return state

    def after(self, steps: tuple[Step, ...]) -> NetworkState:
        """State after `steps`; those not yet run are run now, unrecorded."""
        if steps not in self.states:
            self.states[steps] = self._apply(steps[-1], self.after(steps[:-1]), None)
        return self.states[steps]

    def forget_all_but_what_leads_to(self, experiments: Sequence[Experiment]) -> None:
        """Drop the states that these experiments, which are still to come, do not begin with."""
        needed = {self.root} | {steps[:n] for steps in _sequences(experiments) for n in range(len(steps) + 1)}
        self.states = {steps: state for steps, state in self.states.items() if steps in needed}
        self.files = {steps: path for steps, path in self.files.items() if steps in needed}

    def _apply(self, step: Step, state: NetworkState, writer: TrialWriter | None) -> NetworkState:
        if isinstance(step, ImportRates):
            return _with_rates_of(state, self.after(step.steps), step.task)
        recorder = writer.begin_phase(step, state) if writer else None
        self.listener.begin(step, recorded=writer is not None)
        state, record = self.engine.run(state, step, recorder=recorder, progress=self.listener.epochs)
        if writer:
            writer.end_phase(record, state)
        return state


def _sequences(experiments: Iterable[Experiment]) -> list[tuple[Step, ...]]:
    """The sequences of steps that experiments go through, those only for their rates included."""
    imports = [step.steps for e in experiments for step in e.steps if isinstance(step, ImportRates)]
    return [*(e.steps for e in experiments), *imports]


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
        No trials, or a seed out of range.
    """
    if trials < 1:
        raise RunError(f"trials: {trials} given, allowed is at least 1")
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
    directories = list({path.parent: None for path in paths})
    for path in paths:
        if path.exists() or path.is_symlink():
            raise RunError(f"{path}: exists already and is not overwritten")
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

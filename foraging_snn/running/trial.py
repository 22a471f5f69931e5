"""Running a trial: the phases of its experiments folded over a state, each experiment recorded in one file.

No terminal and no tables here; what the phases do is in models/, what is in the file in layout.py, how a trial that is cut off
goes on, in checkpoints.py and resuming.py.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foraging_snn.files.hdf5 import synchronise_folder
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.files.writer import TrialWriter
from foraging_snn.models import MAX_SEED, Engine, NetworkState, Parameters, Phase, initial_state
from foraging_snn.protocols import Experiment, ImportRates, Step
from foraging_snn.running.checkpoints import (
    Checkpoint,
    TrialCheckpoints,
    TrialIdentity,
    remove_empty_folder,
    remove_leftovers,
)
from foraging_snn.running.trunk import Keeper, Listener, Trunk

CHECKPOINT_MINUTES = 5.0
MAX_TRIALS = 100_000  # of a run


class RunError(ValueError):
    """A run cannot be started; the message is one line."""


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
    file, bit for bit, as one that was not interrupted. See :func:`foraging_snn.running.resuming.look_at_trial` for what can be
    said before.
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
    trunk = Trunk(engine, progress or Listener(), experiments[0].steps[:1] if start else (), first)
    if checkpoint_minutes is None:
        return _run(files, trunk, None)
    checkpoints = TrialCheckpoints(paths[0].parent, identity_of(experiments, parameters, seed, engine.name, start))
    with checkpoints.locked():
        for path in paths:
            remove_leftovers(path)
        state = _run(files, trunk, Keeper(checkpoints, checkpoint_minutes * 60.0))
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


def is_complete_file(identity: TrialIdentity, experiment: Experiment, path: Path) -> bool:
    """The file is there, and is what the trial would write now for the experiment, come to its end."""
    try:
        recorded = Trial(path)
    except RecordingError:
        return False
    return recorded.complete and not differences_of_file(identity, experiment, recorded)


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


def _run(files: _Files, trunk: "Trunk", keeper: "Keeper | None") -> NetworkState | None:
    """Go through the experiments of a trial; with a keeper, from where it was."""
    found = keeper.look_back(trunk) if keeper else None
    state = None
    for k, experiment in enumerate(files.experiments):
        trunk.listener.experiment(experiment)
        if keeper and is_complete_file(keeper.identity, experiment, files.paths[k]):
            trunk.adopt(experiment, files.paths[k])
        else:
            with _writer(files, k, trunk, keeper, found) as writer:
                done = found.position.steps_done if found and found.position.experiment == k and found.file else None
                state = trunk.record(experiment.steps, writer, done)
                writer.complete()
            trunk.writer = None
        trunk.forget_all_but_what_leads_to(files.experiments[k + 1 :])
    return state


def _writer(files: _Files, k: int, trunk: "Trunk", keeper: "Keeper | None", found: Checkpoint | None) -> TrialWriter:
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

"""Before trials are begun or gone on with: what is there of them already, what keeps them from going on, what was damaged.

Going on itself is in running.py, the files of checkpoints in checkpoints.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from foraging_snn.checkpoints import LOCK_NAME, Checkpoint, TrialCheckpoints, TrialIdentity, locked
from foraging_snn.recording import RecordingError, Trial
from foraging_snn.running import RunError, differences_of_file, prepare_folders, prepare_output


class ResumeError(RunError):
    """Trials cannot be gone on with.

    Attributes
    ----------
    lines : list of str
        Why, one line for each thing.
    """

    def __init__(self, lines: Sequence[str]):
        super().__init__("; ".join(lines))
        self.lines = list(lines)


@dataclass
class TrialOutlook:
    """What there is of a trial.

    Attributes
    ----------
    is_complete : bool
        All its files are.
    refusals : list of str
        Why it cannot be gone on with, one line each.
    notes : list of str
        What was damaged, and what is done about it, one line each.
    """

    is_complete: bool = False
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def output_folder(
    directory: Path, trials: Sequence[tuple[TrialIdentity, Sequence[Path]]], resume: bool
) -> Iterator[list[TrialOutlook]]:
    """Make ready the folder into which trials are written, and keep other runs out of it while a block runs.

    Parameters
    ----------
    directory : Path
        The folder; made if it is not there.
    trials : sequence of (TrialIdentity, paths)
        What is going to be run, and the files of each, in the folder or below it.
    resume : bool
        Trials of which there is something already are gone on with; otherwise they are refused.

    Returns
    -------
    list of TrialOutlook
        One per trial.

    Raises
    ------
    ResumeError
        Trials cannot be gone on with.
    RunError
        Files are there already, or the folder cannot be written to.
    CheckpointError
        Another process writes to the folder, or a checkpoint is one of another version.
    """
    with ExitStack() as stack:
        is_there = directory.is_dir()
        if is_there:
            stack.enter_context(locked(directory / LOCK_NAME, str(directory)))
        paths = [path for _, paths in trials for path in paths]
        if resume:
            outlooks = _look_at_all(trials)
            prepare_folders(path.parent for path in paths)
        else:
            _refuse_what_can_go_on(trials)
            outlooks = [TrialOutlook() for _ in trials]
            prepare_output(paths)
        if not is_there:
            stack.enter_context(locked(directory / LOCK_NAME, str(directory)))
        yield outlooks


def _refuse_what_can_go_on(trials: Sequence[tuple[TrialIdentity, Sequence[Path]]]) -> None:
    for identity, paths in trials:
        there = [path for path in paths if path.exists()]
        if TrialCheckpoints(paths[0].parent, identity):
            what = f"{there[0]}: exists already" if there else f"{paths[0].parent}: seed {identity.seed} has been begun"
            raise RunError(f"{what} and is not overwritten; its trial has a checkpoint: go on with it with --resume")


def _look_at_all(trials: Sequence[tuple[TrialIdentity, Sequence[Path]]]) -> list[TrialOutlook]:
    outlooks = [look_at_trial(identity, paths) for identity, paths in trials]
    if lines := [line for outlook in outlooks for line in outlook.refusals]:
        raise ResumeError(lines)
    return outlooks


def look_at_trial(identity: TrialIdentity, paths: Sequence[Path]) -> TrialOutlook:
    """See what there is of a trial; nothing is changed.

    Parameters
    ----------
    identity : TrialIdentity
        As it would be run now.
    paths : sequence of Path
        Its files, in the order of the experiments.

    Raises
    ------
    CheckpointError
        Its checkpoint is one of another version.
    """
    outlook = TrialOutlook()
    recorded = [_read_if_sound(path) for path in paths]
    for experiment, trial in zip(identity.experiments, recorded, strict=True):
        if trial and (lines := differences_of_file(identity, experiment, trial)):
            outlook.refusals += [f"{trial.path}: run differently (there, now): {line}" for line in lines]
    if outlook.refusals:
        return outlook
    outlook.is_complete = all(trial and trial.complete for trial in recorded)
    if not outlook.is_complete:
        _look_at_checkpoint(identity, paths, recorded, outlook)
    return outlook


def _look_at_checkpoint(
    identity: TrialIdentity, paths: Sequence[Path], recorded: Sequence[Trial | None], outlook: TrialOutlook
) -> None:
    checkpoints = TrialCheckpoints(paths[0].parent, identity)
    found, damaged = checkpoints.newest()
    if found and (lines := identity.differences(found.parameters, found.texts)):
        outlook.refusals += [f"{checkpoints.folder}: run differently (there, now): {line}" for line in lines]
        return
    if damaged and not found:
        outlook.refusals += damaged
        return
    outlook.notes += [f"{line}; gone on from the checkpoint before it" for line in damaged]
    for k, (path, trial) in enumerate(zip(paths, recorded, strict=True)):
        if not path.exists() or (trial and trial.complete):
            continue
        if found and k >= found.position.experiment and (k == found.position.experiment or damaged):
            outlook.notes += _torn(path, trial, found)
        else:
            outlook.refusals.append(f"{path}: incomplete or damaged, and there is no checkpoint to go on from; move it away")


def _read_if_sound(path: Path) -> Trial | None:
    try:
        return Trial(path)
    except RecordingError:
        return None


def _torn(path: Path, trial: Trial | None, found: Checkpoint) -> list[str]:
    """A line if the file of the experiment under way was torn by what cut it off."""
    if trial and _is_readable(trial):
        return []
    repaired = "replaced by its copy in the checkpoint" if found.file else "begun anew"
    return [f"{path}: damaged or truncated; {repaired}"]


def _is_readable(trial: Trial) -> bool:
    """All of it; columns of different lengths are also a sign that a writing was cut off."""
    try:
        return trial.is_whole()
    except RecordingError:
        return False

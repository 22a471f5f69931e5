"""Before trials are begun or gone on with: what is there of them already, what keeps them from going on, what was damaged.

Going on itself is in running.py, the files of checkpoints in checkpoints.py.
"""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state
from foraging_snn.running.checkpoints import Checkpoint, TrialCheckpoints, TrialIdentity
from foraging_snn.running.claims import claimed, trials_of
from foraging_snn.running.starting import StartStatePlan
from foraging_snn.running.trial import RunError, differences_of_file, is_complete_file, prepare_folders, prepare_output

Trials = Sequence[tuple[TrialIdentity, Sequence[Path]]]  # and the files of each, in the order of its experiments


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
    begun_by : set of str
        The versions of foraging_snn that began its files, if it is not complete.
    """

    is_complete: bool = False
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    begun_by: set[str] = field(default_factory=set)


def complete_files(trials: Trials) -> set[Path]:
    """The files that are complete, of these trials and no others; nothing is changed, and no other process disturbed.

    Parameters
    ----------
    trials : sequence of (TrialIdentity, paths)
        As they would be run now.
    """
    return {
        path
        for identity, paths in trials
        for experiment, path in zip(identity.experiments, paths, strict=True)
        if is_complete_file(identity, experiment, path)
    }


@contextmanager
def output_folder(
    directory: Path, trials: Trials, resume: bool, complete: Set[Path] = frozenset(), table: bool = False
) -> Iterator[list[TrialOutlook]]:
    """Make ready the folder into which trials are written, and keep others away from these trials while a block runs.

    Parameters
    ----------
    directory : Path
        The folder; made if it is not there.
    trials : sequence of (TrialIdentity, paths)
        What is going to be run, and the files of each, in the folder or in one below it.
    resume : bool
        Trials of which there is something already are gone on with; otherwise they are refused.
    complete : set of Path
        Files known to be complete; for `resume`. If all are, nothing is done to the folder, which may be read-only or full.
    table : bool
        The table of a sweep is written into the folder, too.

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
        Another process writes one of the trials, or a checkpoint is one of another version.
    """
    paths = [path for _, paths in trials for path in paths]
    if resume and complete.issuperset(paths) and not table:
        yield [TrialOutlook(is_complete=True) for _ in trials]
        return
    prepare_folders([directory])
    to_write = [(identity, paths) for identity, paths in trials if not complete.issuperset(paths)]
    with claimed(directory, trials_of(directory, to_write, table)):
        if resume:
            outlooks = _look_at_all(trials, complete)
            prepare_folders(path.parent for path in paths)
        else:
            _refuse_what_can_go_on(trials)
            outlooks = [TrialOutlook() for _ in trials]
            prepare_output(paths)
        yield outlooks


def prepare_start_state(plan: StartStatePlan, resume: bool) -> TrialOutlook:
    """See what there is of a start state, and make ready its folder; `resume` and what is raised as for :func:`output_folder`."""
    if not resume:
        _refuse_what_can_go_on([(plan.identity, [plan.path])])
        prepare_output([plan.path])
        return TrialOutlook()
    outlook = _look_at_start_state(plan)
    if outlook.refusals:
        raise ResumeError(outlook.refusals)
    prepare_folders([plan.path.parent])
    return outlook


def _look_at_start_state(plan: StartStatePlan) -> TrialOutlook:
    outlook = TrialOutlook()
    if not plan.path.exists():
        _look_at_checkpoint(plan.identity, [plan.path], [None], outlook)
        return outlook
    try:
        saved = load_state(plan.path)
    except StateError as error:
        outlook.refusals.append(f"{error}; it is not overwritten")
        return outlook
    different = saved.parameters.differences(plan.parameters)
    if not different and saved.note != plan.note:
        different = [f"{saved.note}, {plan.note}"]
    outlook.refusals += [f"{plan.path}: made differently (there, now): {line}" for line in different]
    outlook.is_complete = not different
    return outlook


def _refuse_what_can_go_on(trials: Trials) -> None:
    for identity, paths in trials:
        there = [path for path in paths if path.exists()]
        if TrialCheckpoints(paths[0].parent, identity):
            what = f"{there[0]}: exists already" if there else f"{paths[0].parent}: seed {identity.seed} has been begun"
            raise RunError(f"{what} and is not overwritten; its trial has a checkpoint: go on with it with --resume")


def _look_at_all(trials: Trials, complete: Set[Path]) -> list[TrialOutlook]:
    outlooks = [
        TrialOutlook(is_complete=True) if complete.issuperset(paths) else look_at_trial(identity, paths)
        for identity, paths in trials
    ]
    if lines := [line for outlook in outlooks for line in outlook.refusals]:
        raise ResumeError(lines)
    return outlooks


def notes_of_versions(outlooks: Sequence[TrialOutlook]) -> list[str]:
    """A line for each other version of foraging_snn that began trials which are gone on with."""
    here = version_and_commit(provenance("", ""))
    counts = Counter(version for outlook in outlooks for version in sorted(outlook.begun_by - {here}))
    return [
        f"{n} trial{'s' if n > 1 else ''} begun by foraging_snn {there}, gone on with by {here}; the files name both"
        for there, n in counts.items()
    ]


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
    copy = _read_if_sound(found.file) if found and found.file else None
    outlook.begun_by = {trial.versions[0] for trial in (*recorded, copy) if trial}
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

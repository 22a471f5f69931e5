"""Before trials are run: what there is of them already, what keeps them from going on, and the folders in which they are written.

Running them is in trial.py, what was computed in ledger.py.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.models import Parameters, Phase
from foraging_snn.protocols import Experiment, ExperimentError, ImportRates, Step, rates_before
from foraging_snn.running.errors import RunError
from foraging_snn.running.ledger import Ledger, Origin
from foraging_snn.running.starting import unsupervised_phase

Steps = tuple[Step, ...]
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


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


# ------------------------------------------------------------------------------------------------------ what a trial is


@dataclass(frozen=True)
class TrialIdentity:
    """What has to be the same for a trial to be gone on with.

    Attributes
    ----------
    parameters : Parameters
    experiments : tuple of Experiment
        In the order in which they are run; with a start state, as :func:`after_start` has them.
    seed : int
    engine : str
    start : SavedState or None
        What stands in for the unsupervised phase.
    """

    parameters: Parameters
    experiments: tuple[Experiment, ...]
    seed: int
    engine: str
    start: SavedState | None = None

    @cached_property
    def origin(self) -> Origin:
        """What all its phases come from."""
        return Origin(self.parameters, self.seed, self.engine, self.start)

    @cached_property
    def phases(self) -> dict[Steps, Phase]:
        """What it computes, those run only for their rates included; each by the steps that end with it."""
        return phases_of(*(experiment.steps for experiment in self.experiments))


def unsupervised(parameters: Parameters) -> Experiment:
    """The phase with which every experiment of the catalogue begins, alone: what a start state is made by."""
    return Experiment("unsupervised", "unsupervised phase", "", (unsupervised_phase(parameters),))


def after_start(experiment: Experiment) -> Experiment:
    """What is left of an experiment that begins with a start state: all but an unsupervised phase with which it begins.

    Raises
    ------
    ExperimentError
        Its text asks for an unsupervised phase, or nothing is left.
    """
    if experiment.text.startswith("unsupervised"):
        raise ExperimentError(f"protocol {experiment.text!r}: given with an unsupervised phase and a start state; leave out one")
    if not _after_start(experiment.steps):
        raise ExperimentError(f"protocol {experiment.text!r}: nothing is left of it after the start state")
    return replace(experiment, steps=_after_start(experiment.steps))


def _after_start(steps: Steps) -> Steps:
    begins = bool(steps) and isinstance(steps[0], Phase) and steps[0].is_unsupervised
    rest = steps[1:] if begins else steps
    return tuple(replace(step, steps=_after_start(step.steps)) if isinstance(step, ImportRates) else step for step in rest)


def phases_of(*sequences: Steps) -> dict[Steps, Phase]:
    """The phases that sequences of steps from the start of a trial go through, those for rates included, each once, in their order;
    by the steps that end with them."""
    found: dict[Steps, Phase] = {}
    for steps in sequences:
        for n, step in enumerate(steps, 1):
            if isinstance(step, ImportRates):
                found |= {these: phase for these, phase in phases_of(step.steps).items() if these not in found}
            elif isinstance(step, Phase):
                found.setdefault(steps[:n], step)
    return found


def phases_to_run(*experiments: Experiment, started: bool = False) -> list[Phase]:
    """The phases that a trial of some experiments computes."""
    return list(phases_of(*((after_start(e) if started else e).steps for e in experiments)).values())


def what_differs(identity: TrialIdentity, experiment: Experiment, recorded: Trial) -> list[str]:
    """What differs between the file of an experiment and what the trial would write now: "name: value there, value now"."""
    lines = recorded.parameters.differences(identity.parameters)
    now = {"engine": identity.engine, "started_from": str(identity.start) if identity.start else ""}
    there = {"engine": recorded.engine, "started_from": recorded.started_from or ""}
    lines += [f"{name}: {there[name] or 'none'}, {now[name] or 'none'}" for name in now if there[name] != now[name]]
    if not lines and [phase.phase for phase in recorded.phases] != list(experiment.phases)[: len(recorded.phases)]:
        lines.append("phases: others than this version of foraging_snn runs")
    rates = [rates_before(experiment.steps[:n]) for n, step in enumerate(experiment.steps, 1) if isinstance(step, Phase)]
    if not lines and any(phase.rates_from != now for phase, now in zip(recorded.phases, rates, strict=False)):
        lines.append("rates of sleep: from another state")
    if (recorded.experiment, recorded.seed) != (experiment.name, identity.seed):
        lines.append(f"trial: {recorded.experiment} seed {recorded.seed}, {experiment.name} seed {identity.seed}")
    return lines


def is_complete_file(identity: TrialIdentity, experiment: Experiment, path: Path) -> bool:
    """The file is there, and is what the trial would write now for the experiment, come to its end."""
    try:
        recorded = Trial(path)
    except RecordingError:
        return False
    return recorded.complete and not what_differs(identity, experiment, recorded)


# ----------------------------------------------------------------------------------------------------- what there is of it


@dataclass
class WhatThereIs:
    """What there is of a trial.

    Attributes
    ----------
    epochs : int
        That were computed before.
    refusals : list of str
        Why it cannot be gone on with, one line each.
    notes : list of str
        What was damaged, and what is done about it, one line each.
    begun_by : set of str
        The versions of foraging_snn that began its files.
    """

    epochs: int = 0
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    begun_by: set[str] = field(default_factory=set)


def look_at_trial(identity: TrialIdentity, paths: Sequence[Path], ledger: Ledger, resume: bool) -> WhatThereIs:
    """See what there is of a trial; nothing is changed.

    Parameters
    ----------
    identity : TrialIdentity
        As it would be run now.
    paths : sequence of Path
        Its files, in the order of the experiments.
    ledger : Ledger
    resume : bool
        Its files may be there, and are gone on with.
    """
    there = WhatThereIs()
    for experiment, path in zip(identity.experiments, paths, strict=True):
        if path.exists() or path.is_symlink():
            _look_at_file(identity, experiment, path, ledger, resume, there)
    if not there.refusals:
        there.epochs = sum(ledger.epochs_listed(steps) for steps in identity.phases)
    return there


def _look_at_file(
    identity: TrialIdentity, experiment: Experiment, path: Path, ledger: Ledger, resume: bool, there: WhatThereIs
) -> None:
    try:
        recorded = Trial(path)
    except RecordingError as error:
        recorded, unreadable = None, str(error)
    if not resume:
        way_on = "; it is incomplete: go on with it with --resume" if recorded and not recorded.complete else ""
        there.refusals.append(f"{path}: exists already and is not overwritten{way_on}")
    elif recorded and (lines := what_differs(identity, experiment, recorded)):
        there.refusals += [f"{path}: run differently (there, now): {line}" for line in lines]
    elif recorded and recorded.complete:
        return
    elif _is_in(ledger, experiment) and (recorded or is_torn(path)):
        there.begun_by |= {recorded.versions[0]} if recorded else set()
        there.notes += [] if recorded else [f"{unreadable}; written anew from the ledger"]
    elif not recorded and not is_torn(path):
        there.refusals.append(f"{unreadable}; it is not overwritten")
    elif not recorded or any(phase.epochs_done for phase in recorded.phases):
        what = "incomplete" if recorded else "damaged"
        there.refusals.append(f"{path}: {what}, and nothing of it is in the ledger {ledger.folder}; move it away to begin anew")


def is_torn(path: Path) -> bool:
    """A file that cannot be read was one of HDF5 once, so that it can have been a trial."""
    try:
        with open(path, "rb") as file:
            return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    except OSError:
        return False


def _is_in(ledger: Ledger, experiment: Experiment) -> bool:
    """Something of it can be gone on from."""
    return any(ledger.epochs_listed(steps) for steps in phases_of(experiment.steps))


def notes_of_versions(looked_at: Iterable[WhatThereIs]) -> list[str]:
    """A line for each other version of foraging_snn that began trials which are gone on with."""
    here = version_and_commit(provenance("", ""))
    counts = Counter(version for there in looked_at for version in sorted(there.begun_by - {here}))
    return [
        f"{n} trial{'s' if n > 1 else ''} begun by foraging_snn {there}, gone on with by {here}; the files name both"
        for there, n in counts.items()
    ]


# --------------------------------------------------------------------------------------------------------------- folders


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

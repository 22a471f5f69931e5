"""The trials in a folder, by experiment: what every figure and every statistic is made from. Reads files, computes nothing."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foraging_snn.environments import PAPER_PARTICLES, Particle, Task
from foraging_snn.files.conditions import command_options, condition_lines
from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.layout import FORMAT_NAME as TRIAL_FORMAT
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import AnalysisError, Trial
from foraging_snn.files.states import packaged_states

from .catalogue import has_phases_of_catalogue

LEDGER = "ledger"  # folder with pieces of trials beside the files of trials
OTHER_KINDS = {
    "foraging_snn state": "a saved state",
    "foraging_snn sweep": "the table of a sweep",
    "foraging_snn segment": "a piece of a trial",
    "foraging_snn landscape": "a landscape",
    "foraging_snn paths": "paths",
    "foraging_snn basins": "basins",
}
START_OPTION = "--start-from"


class CollectionError(AnalysisError):
    """The files of a folder cannot be analysed together; the message is one line."""


class MissingTrials(CollectionError):
    """Experiments have no complete trial in the folder, or trials lack something; the message names the command that makes it.

    Attributes
    ----------
    lacking : str
        What, without the command.
    experiments : tuple of str
    elsewhere : bool
        There are trials of these experiments, so that others have to be made in another folder.
    settings : dict
        Parameters that they need besides.
    """

    def __init__(
        self, lacking: str, experiments: Sequence[str], elsewhere: bool, command: str, settings: Mapping[str, Any] | None = None
    ):
        super().__init__(f"{lacking}; made by {command}")
        self.lacking, self.experiments, self.elsewhere = lacking, tuple(experiments), elsewhere
        self.settings = dict(settings or {})


class Collection:
    """All complete trials in a folder.

    Parameters
    ----------
    directory : path
        Its files `*.h5` are read; folders in it are not.

    Attributes
    ----------
    directory : Path
    experiments : tuple of str
        Names of the experiments that have complete trials, in alphabetical order.
    left_out : tuple of str
        Why files were left out, one line each: incomplete, another kind of file, or unreadable.

    Raises
    ------
    CollectionError
        No such folder; no complete trial in it; trials of different presets, parameters (those of recording aside), start
        states or phases; the same trial of an experiment twice.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise CollectionError(f"{self.directory}: not a folder")
        paths = files_in(self.directory)
        files = sort_files(paths)
        self.left_out = (*files.left_out, *files.unreadable)
        self._n_incomplete = len(files.incomplete)
        if not files.trials:
            raise CollectionError(f"{self.directory}: no complete trial in it{_among(self.left_out)}")
        self._trials = by_experiment(files.trials)
        self.experiments = tuple(sorted(self._trials))

    def has(self, experiment: str) -> bool:
        """Whether there is a complete trial of an experiment."""
        return experiment in self._trials

    def trials(self, experiment: str) -> tuple[Trial, ...]:
        """The complete trials of an experiment, ordered by seed.

        Parameters
        ----------
        experiment : str
            Name in the catalogue.

        Raises
        ------
        MissingTrials
            There is none.
        """
        if not self.has(experiment):
            raise self.missing([experiment])
        return self._trials[experiment]

    def require(self, experiments: Iterable[str]) -> None:
        """See that there are trials of all these experiments.

        Raises
        ------
        MissingTrials
            Naming all that are missing.
        CollectionError
            A file says that it is of such an experiment, but has other phases.
        """
        names = tuple(experiments)
        missing = [name for name in names if not self.has(name)]
        if missing:
            raise self.missing(missing)
        for name in names:
            first = self._trials[name][0]  # the others have the same phases
            if not has_phases_of_catalogue(first):
                raise CollectionError(f"{first.path}: its phases are not those of {name}")

    def missing(
        self, experiments: Sequence[str], why: str = "no trial", settings: Mapping[str, Any] | None = None
    ) -> MissingTrials:
        """The error that says what is missing of which experiments, and what command makes it.

        Parameters
        ----------
        experiments : sequence of str
        why : str, optional
            What is missing. If it is not trials but something that trials can be recorded without, e.g. "no spikes", the command
            names another folder.
        settings : mapping, optional
            Parameters of recording that `reproduce` does not set by itself.
        """
        elsewhere = any(map(self.has, experiments))
        command = self.command(experiments, elsewhere, settings)
        return MissingTrials(f"{why} of {', '.join(experiments)}", experiments, elsewhere, command, settings)

    def command(self, experiments: Sequence[str], elsewhere: bool = False, settings: Mapping[str, Any] | None = None) -> str:
        """The command that makes trials which go with those here: as many, of the same seeds, parameters and start state.

        Parameters
        ----------
        experiments : sequence of str
        elsewhere : bool
            In another folder than this one.
        settings : mapping, optional
            Further parameters.

        Returns
        -------
        str
            Between backquotes, and in words what of it is not known.
        """
        trials = max(self._trials.values(), key=len)
        start, unknown = _start_option(trials[0])
        further = [f"--set {name}={value}" for name, value in (settings or {}).items()]
        options = [*command_options(trials[0].parameters), *further, *start, f"--trials {len(trials)} --seed {trials[0].seed}"]
        out = shlex.quote(f"{self.directory}-2" if elsewhere else str(self.directory))
        return f"`foraging-snn reproduce --experiments {','.join(experiments)} {' '.join(options)} --out {out}`{unknown}"

    @property
    def small_print(self) -> str:
        """Under what conditions the trials were run: number, preset, what is shortened or changed, engine, commit, version."""
        return self.conditions(self.experiments)

    def conditions(self, experiments: Iterable[str]) -> str:
        """As `small_print`, but of some experiments only; those without trials are passed over.

        Parameters
        ----------
        experiments : iterable of str
        """
        groups = [self._trials[name] for name in experiments if self.has(name)]
        trials = [trial for group in groups for trial in group]
        parts = [_number({len(group) for group in groups}), *conditions_of(trials)]
        if self._n_incomplete:
            parts.append(f"{self._n_incomplete} incomplete file{'s' if self._n_incomplete > 1 else ''} left out")
        return ", ".join(parts)


def files_in(directory: Path) -> list[Path]:
    """The files `*.h5` in a folder; those in folders below it do not count.

    Raises
    ------
    CollectionError
        There is none.
    """
    paths = sorted(path for path in directory.glob("*.h5") if not path.is_dir())
    if not paths:
        below = sorted({path.parent for path in directory.glob("*/*.h5") if path.parent.name != LEDGER})
        where = f", but in {len(below)} folder{'s' if len(below) > 1 else ''} below it, e.g. {below[0]}" if below else ""
        raise CollectionError(f"{directory}: no .h5 file in it{where}")
    return paths


@dataclass(frozen=True)
class SortedFiles:
    """What is in some files.

    Attributes
    ----------
    trials : tuple of Trial
        The complete ones.
    incomplete : tuple of Path
        Of trials.
    others : dict of Path to str
        What else is sound, in words, e.g. "a saved state".
    unreadable : tuple of str
        Why files cannot be read, one line each.
    """

    trials: tuple[Trial, ...]
    incomplete: tuple[Path, ...]
    others: dict[Path, str]
    unreadable: tuple[str, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Sound files that are not complete trials, one line each."""
        return (*(f"{path}: incomplete" for path in self.incomplete), *(f"{path}: {what}" for path, what in self.others.items()))


def sort_files(paths: Iterable[Path]) -> SortedFiles:
    """Read the headers of files, and tell complete trials from what else there is.

    Parameters
    ----------
    paths : iterable of Path
    """
    trials, incomplete, others, unreadable = [], [], {}, []
    for path in paths:
        try:
            trial = Trial(path)
        except RecordingError as error:
            kind = format_of(path)
            if kind in (None, TRIAL_FORMAT):
                unreadable.append(str(error))
            else:
                others[path] = OTHER_KINDS.get(kind, "not a trial")
            continue
        if trial.complete:
            trials.append(trial)
        else:
            incomplete.append(path)
    return SortedFiles(tuple(trials), tuple(incomplete), others, tuple(unreadable))


def by_experiment(trials: Sequence[Trial]) -> dict[str, tuple[Trial, ...]]:
    """Trials that belong together, by experiment and ordered by seed.

    Parameters
    ----------
    trials : sequence of Trial

    Raises
    ------
    CollectionError
        As for :class:`Collection`.
    """
    firsts: dict[str, Trial] = {}
    for trial in trials:
        for first in (trials[0], firsts.setdefault(trial.experiment, trial)):
            if reason := first.unlike(trial):
                raise CollectionError(f"{first.path} and {trial.path}: not to be analysed together, {reason}")
    groups: dict[str, dict[int, Trial]] = {}
    for trial in trials:
        first = groups.setdefault(trial.experiment, {}).setdefault(trial.seed, trial)
        if first is not trial:
            raise CollectionError(f"{first.path} and {trial.path}: the same trial of {trial.experiment}, seed {trial.seed}, twice")
    return {name: tuple(group[seed] for seed in sorted(group)) for name, group in groups.items()}


def conditions_of(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Under what conditions trials that belong together were run, part by part; nothing for no trials.

    Parameters
    ----------
    trials : sequence of Trial
    """
    if not trials:
        return ()
    first = trials[0]
    shortened = _unique(line for trial in trials for line in trial.shortened)
    in_phases = _unique(line for trial in trials for line in trial.changed_in_phases)
    parts = [*condition_lines(first.parameters, shortened, in_phases, first.started_from)]
    parts.append(f"engine {', '.join(_unique(trial.engine for trial in trials))}")
    if commits := _unique(_short(trial.provenance.get("git_commit", "")) for trial in trials):
        parts.append(f"commit {', '.join(commits)}")
    parts.append(f"foraging_snn {', '.join(_unique(trial.provenance.get('package', '') for trial in trials))}")
    if others := _unique(version for trial in trials for version in trial.versions[1:]):
        parts.append(f"in part computed by another version: {', '.join(map(_short_version, others))}")
    return tuple(parts)


def _start_option(trial: Trial) -> tuple[list[str], str]:
    """`--start-from` and the start state of a trial, as its command line has it or the package names it; else what to add."""
    if not trial.started_from:
        return [], ""
    words = iter(_words(trial.provenance.get("command_line", "")))
    for word in words:
        option, sign, value = word.partition("=")
        if option == START_OPTION and (name := value if sign else next(words, "")):
            return [f"{START_OPTION} {shlex.quote(name)}"], ""
    for name, read in packaged_states().items():
        if str(read()) == trial.started_from:
            return [f"{START_OPTION} {name}"], ""
    return [], f" with {START_OPTION} and the file of that state: {trial.started_from}"


def _words(command_line: str) -> list[str]:
    try:
        return shlex.split(command_line)
    except ValueError:  # of a damaged file, or not of a shell
        return []


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _short(commit: str) -> str:
    """The first digits of a commit, and whether files differed from it."""
    digits, plus, changes = commit.partition("+")
    return digits[:7] + plus + changes


def _short_version(version: str) -> str:
    """The version of the package, and the first digits of its commit if there is one."""
    package, of_commit, commit = version.partition(" (")
    return f"{package}{of_commit}{_short(commit.removesuffix(')'))}{')' if of_commit else ''}"


def _number(counts: set[int]) -> str:
    low, high = min(counts), max(counts)
    if low < high:
        return f"{low} to {high} trials per experiment"
    return "1 trial" if high == 1 else f"{high} trials"


def _among(left_out: Sequence[str]) -> str:
    return f" ({'; '.join(left_out)})" if left_out else ""


def tasks_in(trials: Iterable[Trial]) -> dict[int, Task]:
    """The tasks that are trained or tested in trials with the same parameters, by number."""
    tasks = {a.task: t.parameters.task_number(a.task) for t in trials for phase in t.phases for a in phase.activities if a.task}
    return {number: task for task, number in sorted(tasks.items(), key=lambda pair: pair[1])}


def particles_in(trials: Sequence[Trial]) -> tuple[Particle, ...]:
    """The types of particle of the paper and those that occur in trials with the same parameters, in the order of their numbers."""
    found = {*PAPER_PARTICLES, *(p for t in trials for phase in t.phases for a in phase.activities for p in a.particle_types)}
    return tuple(particle for particle in trials[0].parameters.particles.values() if particle in found)

"""The trials in a folder, by experiment: what every figure and every statistic is made from. Reads files, computes nothing."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from foraging_snn.files.conditions import condition_lines
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import AnalysisError, Trial


class CollectionError(AnalysisError):
    """The files of a folder cannot be analysed together; the message is one line."""


class MissingTrials(CollectionError):
    """An experiment has no complete trial in the folder; the message names the command that makes some."""


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
        Why files were left out, one line each: incomplete, unreadable, or no trial.

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
        paths = sorted(self.directory.glob("*.h5"))
        if not paths:
            raise CollectionError(f"{self.directory}: no .h5 file in it")
        trials, incomplete, unreadable = _read(paths)
        self.left_out = (*(f"{path}: incomplete" for path in incomplete), *unreadable)
        self._n_incomplete = len(incomplete)
        if not trials:
            raise CollectionError(f"{self.directory}: no complete trial in it{_among(self.left_out)}")
        self._trials = by_experiment(trials)
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
            if not first.has_phases_of_catalogue:
                raise CollectionError(f"{first.path}: its phases are not those of {name}")

    def missing(self, experiments: Sequence[str], why: str = "no trial") -> MissingTrials:
        """The error that says what is missing of which experiments, and what command makes it.

        Parameters
        ----------
        experiments : sequence of str
        why : str, optional
            What is missing. If it is not trials but something that trials can be recorded without, e.g. "no spikes", the command
            names another folder.
        """
        trials = max(self._trials.values(), key=len)
        out = shlex.quote(str(self.directory) if not any(map(self.has, experiments)) else f"{self.directory}-2")
        command = (
            f"foraging-snn reproduce --experiments {','.join(experiments)} {trials[0].command_options} "
            f"--trials {len(trials)} --seed {trials[0].seed} --out {out}"
        )
        start = " (FILE: the state that all trials here start from)" if trials[0].started_from else ""
        return MissingTrials(f"{why} of {', '.join(experiments)}; made by `{command}`{start}")

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


def _read(paths: Iterable[Path]) -> tuple[list[Trial], list[Path], list[str]]:
    """The complete trials; the files of incomplete ones; why other files cannot be read as trials."""
    trials, incomplete, unreadable = [], [], []
    for path in paths:
        try:
            trial = Trial(path)
        except RecordingError as error:
            unreadable.append(str(error))
            continue
        if trial.complete:
            trials.append(trial)
        else:
            incomplete.append(path)
    return trials, incomplete, unreadable


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
    parts = [*condition_lines(first.parameters, shortened, first.started_from)]
    parts.append(f"engine {', '.join(_unique(trial.engine for trial in trials))}")
    if commits := _unique(_short(trial.provenance.get("git_commit", "")) for trial in trials):
        parts.append(f"commit {', '.join(commits)}")
    parts.append(f"foraging_snn {', '.join(_unique(trial.provenance.get('package', '') for trial in trials))}")
    if others := _unique(version for trial in trials for version in trial.versions[1:]):
        parts.append(f"in part computed by another version: {', '.join(map(_short_version, others))}")
    return tuple(parts)


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

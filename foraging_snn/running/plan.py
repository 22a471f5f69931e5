"""What is planned: experiments for many trials, start states; and what each trial has to do, as it is given to a process.

How trials are spread over processes is in scheduling.py; what a trial does, in trial.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState, StateError, load_state, save_state
from foraging_snn.models import MAX_SEED, Engine, Parameters, Phase, engine_class, preset
from foraging_snn.protocols import Experiment, ExperimentError, experiment, experiments
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import (
    TrialIdentity,
    WhatThereIs,
    after_start,
    is_complete_file,
    look_at_trial,
    phases_of,
    unsupervised,
)
from foraging_snn.running.ledger import Ledger
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.trial import CHECKPOINT_MINUTES, Keeping, Listener, run_experiments, run_unsupervised

MAX_TRIALS = 100_000  # of a run
ONE_NETWORK = {"network.seed": 1}  # as the paper's trials, which share a file of connections
# What the figures need besides the strengths.
RECORDING = {"recording.windows": 11, "recording.spike_window_epochs": 400, "recording.position_window_epochs": 400}


@dataclass(frozen=True)
class Plan:
    """Which experiments are run for which trials, and how.

    Attributes
    ----------
    experiments : tuple of Experiment
        In the order of the catalogue; every trial runs them all.
    parameters : Parameters
    directory : Path
        For the files.
    seeds : range
        One per trial.
    engine, command_line : str
    start : SavedState or None
        Replaces the unsupervised phase.
    minutes : float
        Between two writings of what a trial has computed, at most.
    ledger : Path or None
        The folder `ledger` beside the files if omitted.
    others : tuple of Path
        Further ledgers, in which is looked for what was computed before.
    """

    experiments: tuple[Experiment, ...]
    parameters: Parameters
    directory: Path
    seeds: range
    engine: str
    command_line: str
    start: SavedState | None = None
    minutes: float = CHECKPOINT_MINUTES
    ledger: Path | None = None
    others: tuple[Path, ...] = ()

    @cached_property
    def rows(self) -> tuple[Experiment, ...]:
        """The experiments without what the start state stands for."""
        return tuple(after_start(row) if self.start else row for row in self.experiments)

    @cached_property
    def phases(self) -> list[Phase]:
        """What each trial computes."""
        return list(phases_of(*(row.steps for row in self.rows)).values())

    @property
    def epochs(self) -> int:
        """Of each trial."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def keeping(self) -> Keeping:
        """Where what is computed is kept."""
        return Keeping(self.ledger or self.directory / FOLDER, self.minutes, self.others)

    def paths(self, seed: int) -> list[Path]:
        """Files of a trial, in the order of the experiments."""
        return [trial_path(self.directory, row.name, seed) for row in self.experiments]

    @property
    def all_paths(self) -> list[Path]:
        """Files of all trials."""
        return [path for seed in self.seeds for path in self.paths(seed)]

    def trials(self, of: str = "") -> "list[PlannedTrial]":
        """Its trials, by seed; `of` as in :class:`PlannedTrial`."""
        return [PlannedTrial(self, seed, of) for seed in self.seeds]


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a plan, as it is given to a process.

    Attributes
    ----------
    plan : Plan
    seed : int
    of : str
        What distinguishes the plan from others that run at the same time; on the screen.
    """

    plan: Plan
    seed: int
    of: str = ""

    @property
    def name(self) -> str:
        """On the screen."""
        return f"{self.of} seed {self.seed}".lstrip()

    @property
    def paths(self) -> list[Path]:
        """Its files."""
        return self.plan.paths(self.seed)

    @property
    def parts(self) -> int:
        """Its files, their number."""
        return len(self.paths)

    @property
    def epochs(self) -> int:
        """All that it computes."""
        return self.plan.epochs

    @property
    def parameters(self) -> Parameters:
        """Those of the plan."""
        return self.plan.parameters

    @property
    def log_path(self) -> Path:
        """Where its log goes if its process dies."""
        return self.plan.directory / f"seed{self.seed:04d}.log"

    @cached_property
    def identity(self) -> TrialIdentity:
        """What has to be the same for it to be gone on with."""
        return TrialIdentity(self.plan.parameters, self.plan.rows, self.seed, self.plan.engine, self.plan.start)

    @property
    def ledger(self) -> Ledger:
        """What was computed of it."""
        keeping = self.plan.keeping
        return Ledger(keeping.ledger, self.identity.origin, keeping.others)

    def missing(self) -> dict[Path, tuple[Phase, ...]]:
        """Its files that are not complete, with the phases that each will hold."""
        pairs = zip(self.identity.experiments, self.paths, strict=True)
        return {path: row.phases for row, path in pairs if not is_complete_file(self.identity, row, path)}

    def is_done(self) -> bool:
        """All its files are complete."""
        return not self.missing()

    def look(self, resume: bool) -> WhatThereIs:
        """What there is of it; see :func:`foraging_snn.running.existing.look_at_trial`."""
        return look_at_trial(self.identity, self.paths, self.ledger, resume)

    def new_engine(self) -> Engine:
        """What computes it."""
        return engine_class(self.plan.engine)(self.plan.parameters)

    def run(self, listener: Listener) -> None:
        """Run its experiments."""
        plan = self.plan
        with self.new_engine() as engine:
            run_experiments(
                plan.experiments,
                plan.parameters,
                seed=self.seed,
                trial=plan.seeds.index(self.seed),
                engine=engine,
                paths=self.paths,
                command_line=plan.command_line,
                start=plan.start,
                progress=listener,
                keeping=plan.keeping,
            )


@dataclass(frozen=True)
class PlannedState(PlannedTrial):
    """The trial of a plan of the unsupervised phase alone, whose product is a start state: the state after it.

    Attributes
    ----------
    path : Path
        Its file.
    """

    path: Path = Path()

    @property
    def paths(self) -> list[Path]:
        """Its file."""
        return [self.path]

    @property
    def note(self) -> str:
        """What the state is, in words."""
        plan = self.plan
        aeons = plan.epochs // plan.parameters.timing.epochs_per_aeon
        made = f"preset {plan.parameters.preset}, engine {plan.engine}, seed {self.seed}"
        return f"state after {aeons} aeons of the unsupervised phase, {made}"

    def missing(self) -> dict[Path, tuple[Phase, ...]]:
        """Its file, if it is not there; it holds no phase."""
        return {} if self._differences() == [] else {self.path: ()}

    def _differences(self) -> list[str] | None:
        """What the state in its file is otherwise than it would be now; None if there is no file."""
        if not self.path.exists():
            return None
        try:
            saved = load_state(self.path)
        except StateError as error:
            return [f"{error}; it is not overwritten"]
        different = saved.parameters.differences(self.plan.parameters)
        if not different and saved.note != self.note:
            different = [f"{saved.note}, {self.note}"]
        return [f"{self.path}: made differently (there, now): {line}" for line in different]

    def look(self, resume: bool) -> WhatThereIs:
        """See :class:`PlannedTrial`."""
        if (self.path.exists() or self.path.is_symlink()) and not resume:
            return WhatThereIs(refusals=[f"{self.path}: exists already and is not overwritten"])
        epochs = sum(self.ledger.epochs_listed(steps) for steps in self.identity.phases)
        return WhatThereIs(epochs, refusals=self._differences() or [])

    def run(self, listener: Listener) -> None:
        """Make it."""
        plan = self.plan
        with self.new_engine() as engine:
            options = {"engine": engine, "progress": listener, "keeping": plan.keeping, "path": self.path}
            state = run_unsupervised(plan.parameters, seed=self.seed, **options)
        save_state(self.path, state, plan.parameters, command_line=plan.command_line, note=self.note)


def planned_state(path: Path, parameters: Parameters, seed: int, engine: str, command_line: str, **options: Any) -> PlannedState:
    """A start state that is to be made; `options` are further fields of :class:`Plan`."""
    plan = Plan((unsupervised(parameters),), parameters, path.parent, range(seed, seed + 1), engine, command_line, **options)
    return PlannedState(plan, seed, path=path)


def chosen_experiments(names: str | None, parameters: Parameters) -> tuple[Experiment, ...]:
    """The experiments of a list "a,b,c" in the order of the catalogue; all of them if there is no list.

    Raises
    ------
    ExperimentError
        An unknown name, or none at all.
    """
    if names is None:
        return tuple(experiments(parameters).values())
    wanted = {experiment(name.strip(), parameters).name for name in names.split(",") if name.strip()}
    if not wanted:
        raise ExperimentError(f"experiments: {names!r} given, allowed are names from `foraging-snn list`, with commas between")
    return tuple(e for e in experiments(parameters).values() if e.name in wanted)


def unless_set(changes: Mapping[str, Any], parameters: Parameters, set_by_user: set[str]) -> Parameters:
    """Parameters with changes, except where the user has set something else, by name or in a file."""
    usual = preset(parameters.preset).values()
    untouched = {name for name, value in parameters.values().items() if name not in set_by_user and value == usual.get(name)}
    return parameters.with_changes({name: value for name, value in changes.items() if name in untouched})


def is_complete(path: Path) -> bool:
    """The file of a trial is there and complete."""
    try:
        return path.exists() and Trial(path).complete
    except RecordingError:
        return False


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


def other_ledgers(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The ledgers in folders that `--reuse` names: folders of files of trials, or ledgers themselves.

    Raises
    ------
    RunError
        One is not a folder.
    """
    for folder in folders:
        if not folder.is_dir():
            raise RunError(f"--reuse: {folder}: not a folder")
    return tuple(folder / FOLDER if (folder / FOLDER).is_dir() else folder for folder in folders)

"""Many experiments for many trials: what is planned, and what each trial has to do.

How trials are spread over processes is in scheduling.py; what a trial does, in running.py.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.models import Parameters, Phase, engine_class, preset
from foraging_snn.protocols import Experiment, ExperimentError, experiment, experiments
from foraging_snn.running.checkpoints import TrialIdentity
from foraging_snn.running.trial import identity_of, phases_to_run, recorded_phases, run_experiments, trial_path
from foraging_snn.running.trunk import Listener

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
    checkpoint_minutes : float or None
        Between two checkpoints of a trial, at most; a trial goes on from the one that is there. None: no checkpoints.
    """

    experiments: tuple[Experiment, ...]
    parameters: Parameters
    directory: Path
    seeds: range
    engine: str
    command_line: str
    start: SavedState | None = None
    checkpoint_minutes: float | None = None

    def identity(self, seed: int) -> TrialIdentity:
        """What has to be the same for a trial to be gone on with."""
        return identity_of(self.experiments, self.parameters, seed, self.engine, self.start)

    def paths(self, seed: int) -> list[Path]:
        """Files of a trial, in the order of the experiments."""
        return [trial_path(self.directory, e.name, seed) for e in self.experiments]

    @property
    def all_paths(self) -> list[Path]:
        """Files of all trials."""
        return [path for seed in self.seeds for path in self.paths(seed)]

    @property
    def contents(self) -> dict[Path, tuple[Phase, ...]]:
        """For the files of all trials, the phases that each will hold."""
        phases = [recorded_phases(experiment, started=self.start is not None) for experiment in self.experiments]
        return {path: held for seed in self.seeds for path, held in zip(self.paths(seed), phases, strict=True)}

    @cached_property
    def phases(self) -> list[Phase]:
        """What each trial computes."""
        return phases_to_run(*self.experiments, started=self.start is not None)

    @property
    def epochs(self) -> int:
        """Of each trial."""
        return sum(phase.epochs for phase in self.phases)


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


def with_recording(parameters: Parameters, set_by_user: set[str]) -> Parameters:
    """Parameters that record what the figures need, except where the user has set something else, by name or in a file."""
    usual = {row.name: row.value for row in preset(parameters.preset).rows()}
    untouched = {row.name for row in parameters.rows() if row.name not in set_by_user and row.value == usual[row.name]}
    return parameters.with_changes({name: value for name, value in RECORDING.items() if name in untouched})


def count_complete(paths: list[Path]) -> int:
    """How many of these files hold complete trials."""

    def is_complete(path: Path) -> bool:
        try:
            return path.exists() and Trial(path).complete
        except RecordingError:
            return False

    return sum(is_complete(path) for path in paths)


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a plan, as it is given to a process: a :class:`foraging_snn.running.scheduling.Task`.

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
    def directory(self) -> Path:
        """Of its files."""
        return self.plan.directory

    @property
    def paths(self) -> list[Path]:
        """Its files."""
        return self.plan.paths(self.seed)

    @property
    def n_experiments(self) -> int:
        """Number of its files."""
        return len(self.plan.experiments)

    def is_done(self) -> bool:
        """All its files are complete."""
        return count_complete(self.paths) == self.n_experiments

    @property
    def identity(self) -> TrialIdentity:
        """What has to be the same for it to be gone on with."""
        return self.plan.identity(self.seed)

    @property
    def has_checkpoints(self) -> bool:
        """It can go on where another process left it."""
        return self.plan.checkpoint_minutes is not None

    def run(self, listener: Listener) -> None:
        """Run its experiments."""
        plan = self.plan
        with engine_class(plan.engine)(plan.parameters) as engine:
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
                checkpoint_minutes=plan.checkpoint_minutes,
            )


def planned_trials(plan: Plan, of: str = "") -> list[PlannedTrial]:
    """The trials of a plan, by seed, for :func:`foraging_snn.running.scheduling.run_all`; `of` as in :class:`PlannedTrial`."""
    return [PlannedTrial(plan, seed, of) for seed in plan.seeds]

"""The options that the commands which run trials have in common: RunOptions, and how a command comes by them."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from foraging_snn.commands.completion import complete_engine, complete_experiment, complete_preset
from foraging_snn.files.states import SavedState
from foraging_snn.models import ENGINES, PRESETS, ParameterError, Parameters, engine_class, preset
from foraging_snn.protocols import Experiment, ExperimentError, protocol, protocols_of_file
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import TEST_EPOCHS, TEST_SEED
from foraging_snn.running.plan import other_ledgers, trial_seeds
from foraging_snn.running.scheduling import LocalWorkers, Workers
from foraging_snn.running.starting import load_start, rates_of
from foraging_snn.running.stopping import StopRequest
from foraging_snn.running.trial import CHECKPOINT_MINUTES

DEFAULT_PRESET = "quick"
REPRODUCE_PRESET = "enough"
DEFAULT_ENGINE = "event"
DEFAULT_SEED = 1
SNAPSHOTS_PARAMETER = "recording.snapshots_per_phase"
EPOCHS_ON_THE_WAY = 5000  # of tests while a phase goes on
RESUME = "--resume"

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help=f"Set of parameters: {', '.join(PRESETS)}. Default {DEFAULT_PRESET}, of reproduce {REPRODUCE_PRESET}.",
        autocompletion=complete_preset,
    ),
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--parameters",
        "--file",
        metavar="FILE.toml",
        help="Parameters from a file, as `foraging-snn parameters --toml` writes it; it names its preset itself.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change one parameter, e.g. phases.scale=0.05; can be given several times."),
]
EngineOption = Annotated[
    str,
    typer.Option("--engine", metavar="NAME", help=f"What computes: {', '.join(ENGINES)}.", autocompletion=complete_engine),
]
WHICH = "EXPERIMENT|PROTOCOL"
WHICH_HELP = "A name from `foraging-snn list`, or a protocol, as 'T1 -> I(S,T2) -> T1'; docs/protocols.md has the language."
ExperimentArgument = Annotated[str, typer.Argument(metavar=WHICH, help=WHICH_HELP, autocompletion=complete_experiment)]
ExperimentArguments = Annotated[
    list[str] | None, typer.Argument(metavar=f"{WHICH}...", help=WHICH_HELP, autocompletion=complete_experiment)
]
ProtocolFileOption = Annotated[
    Path | None, typer.Option("--protocol", metavar="FILE.toml", help="Protocols from a file, in the place of or beside others.")
]
TestsOption = Annotated[
    str | None,
    typer.Option(
        "--tests",
        metavar="A,B,C",
        help="Tasks that are tested after every training and sleep. Default: those that the protocol names; both in the paper's.",
    ),
]
NameOption = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Of the files, of a single protocol. Default: made of its text.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for programs; its keys are in docs/file_format.md.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="K", help="Seed of the first trial; the next have K + 1, K + 2, ...")]


@dataclass(frozen=True)
class RunOptions:
    """What is asked for of a run of trials; the metadata of the fields are the options of the command line."""

    engine: EngineOption = DEFAULT_ENGINE
    preset_name: PresetOption = None
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials.")] = 1
    seed: SeedOption = DEFAULT_SEED
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", help="Trials at the same time, each in its own process. Default 1; on a cluster: one per worker."
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Run the trials on the workers of this Dask scheduler, as tcp://10.0.0.5:8786; they must share the output folder.",
        ),
    ] = None
    file: FileOption = None
    changes: SetOption = None
    start_from: Annotated[
        str | None,
        typer.Option(
            "--start-from",
            metavar="FILE|FILE@PHASE",
            help="Start from a saved state (a file, or a name in the package), or from that at the end of a phase of a trial, as "
            "FILE@T1, FILE@T1#2 (the second of this name) or FILE@1200 (the epoch); without the unsupervised phase.",
        ),
    ] = None
    snapshots: Annotated[
        int | None,
        typer.Option(
            "--snapshots",
            metavar="N",
            help="Snapshots of the strengths in each phase, tests aside; they are most of a file. Default: as the preset says.",
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option(RESUME, help="Go on with trials that were cut off, where they were; complete ones are not run again.")
    ] = False
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            "--reuse",
            metavar="DIR",
            help="Take what was computed for other runs, from the ledger in their folder, too; can be given several times.",
        ),
    ] = None
    checkpoint_minutes: Annotated[
        float, typer.Option("--checkpoint-minutes", metavar="X", help="Save every trial at least this often, and after each phase.")
    ] = CHECKPOINT_MINUTES
    max_hours: Annotated[
        float | None,
        typer.Option("--max-hours", metavar="X", help="Save and stop after this time, with exit code 3; see --resume."),
    ] = None

    def stop_request(self) -> StopRequest:
        """What --max-hours asks for.

        Raises
        ------
        RunError
            It, or the time between checkpoints, is out of range.
        """
        for name, value in (("--checkpoint-minutes", self.checkpoint_minutes), ("--max-hours", self.max_hours)):
            if value is not None and not 0.0 < value < float("inf"):
                raise RunError(f"{name}: {value:g} given, allowed is a number above 0")
        return StopRequest(self.max_hours)

    def parameters(self, usual_preset: str = DEFAULT_PRESET) -> Parameters:
        """The parameters that are asked for."""
        return chosen_parameters(self.preset_name or (None if self.file else usual_preset), self.file, self.changes, self.snapshots)

    def plan_options(self, parameters: Parameters) -> dict[str, Any]:
        """The fields of a :class:`foraging_snn.running.plan.Plan` that options give; whatever cannot be is refused."""
        seeds = trial_seeds(self.seed, self.trials)
        engine_class(self.engine)
        return {
            "seeds": seeds,
            "engine": self.engine,
            "start": self.start(parameters),
            "minutes": self.checkpoint_minutes,
            "others": other_ledgers(self.reuse or ()),
        }

    def start(self, parameters: Parameters) -> SavedState | None:
        """The state from which the trials start."""
        return load_start(self.start_from, parameters) if self.start_from else None

    def workers(self) -> Workers:
        """What `--jobs` and `--scheduler` ask for.

        Raises
        ------
        RunError
        """
        if self.scheduler is None:
            return LocalWorkers(1 if self.jobs is None else self.jobs)
        from foraging_snn.running.cluster import ClusterWorkers  # needs Dask

        return ClusterWorkers(self.scheduler, self.jobs)


@dataclass(frozen=True)
class TestOptions:
    """What is asked for of tests of many networks; the metadata of the fields are the options of the command line."""

    __test__ = False  # not one of pytest's

    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="A,B", help="Tasks that are tested. Default: those trained in the trials.")
    ] = None
    epochs: Annotated[
        int, typer.Option("--epochs", metavar="N", help="Epochs of each test; four times as many halve its error.")
    ] = TEST_EPOCHS
    seed: Annotated[int, typer.Option("--seed", metavar="K", help="Seed of the draws of all tests.")] = TEST_SEED
    engine: EngineOption = DEFAULT_ENGINE
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", help="Processes. Default: one per processor; on a cluster: one per worker."),
    ] = None
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Test on the workers of this Dask scheduler.")
    ] = None
    max_hours: Annotated[float | None, typer.Option("--max-hours", metavar="X", help="Stop after this time, with exit code 3.")] = (
        None
    )
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="Of the figure: png, pdf or svg.")] = "png,pdf"

    def of_run(self) -> RunOptions:
        """The same of these options as those of a run."""
        from joblib import cpu_count

        jobs = self.jobs if self.jobs is not None or self.scheduler else cpu_count()
        return RunOptions(engine=self.engine, jobs=jobs, scheduler=self.scheduler, max_hours=self.max_hours)


def with_options(kind: type, *left_out: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of :class:`RunOptions` or :class:`TestOptions`; it gets them as its argument `options`.

    Parameters
    ----------
    kind : type
        Which of the two.
    *left_out : str
        Fields that are no options of this command.
    **defaults
        Fields that are something else in this command if they are not given.
    """
    hints = get_type_hints(kind, include_extras=True)
    shared = [field for field in fields(kind) if field.name not in left_out]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for name, parameter in signature.parameters.items() if name != "options"]
        added = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults.get(field.name, field.default),
                annotation=hints[field.name],
            )
            for field in shared
        ]

        @wraps(command)
        def run(**given: Any) -> None:
            options = kind(**{field.name: given.pop(field.name) for field in shared})
            command(options=options, **given)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + added
        vars(run)["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorated


def chosen_protocols(
    which: Sequence[str], file: Path | None, tests: str | None, name: str, parameters: Parameters
) -> tuple[Experiment, ...]:
    """The experiments that names and texts ask for, and those of a file.

    Raises
    ------
    ExperimentError
        None or the same twice; `name` given for several; what :func:`foraging_snn.protocols.protocol` raises.
    """
    tested = None if tests is None else [task.strip() for task in tests.split(",") if task.strip()]
    if file and tested is not None:
        raise ExperimentError(f"--tests: given together with {file}; write tests = {tested} into the file instead")
    if name and (file or len(which) > 1):
        raise ExperimentError("--name: given for several protocols, allowed is one for one; a file can give a name to each")
    found = [protocol(text, parameters, tests=tested, name=name, rates_of=rates_of) for text in which]
    found += protocols_of_file(file, parameters, rates_of) if file else []
    if not found:
        raise ExperimentError("no experiment given, allowed are names from `foraging-snn list`, protocols, --protocol FILE.toml")
    if twice := [row.name for n, row in enumerate(found) if row.name in {other.name for other in found[:n]}]:
        raise ExperimentError(f"{twice[0]}: given twice, allowed is each experiment once")
    return tuple(found)


with_run_options = partial(with_options, RunOptions)
with_test_options = partial(with_options, TestOptions)


def chosen_parameters(
    preset_name: str | None, file: Path | None, changes: list[str] | None, snapshots: int | None = None
) -> Parameters:
    """The parameters that the options of a command ask for.

    Raises
    ------
    ParameterError
    """
    if file and preset_name:
        raise ParameterError(f'--preset: given together with {file}; write preset = "{preset_name}" into the file instead')
    parameters = Parameters.from_file(file) if file else preset(preset_name or DEFAULT_PRESET)
    values: dict[str, object] = dict(name_and_value(change) for change in changes or ())
    if snapshots is None:
        return parameters.with_changes(values)
    if SNAPSHOTS_PARAMETER in values:
        raise ParameterError(f"--snapshots: given together with --set {SNAPSHOTS_PARAMETER}, which is the same")
    return parameters.with_changes(values | {SNAPSHOTS_PARAMETER: snapshots})


def name_and_value(change: str) -> tuple[str, str]:
    """The two sides of "NAME=VALUE"; ParameterError if it has none."""
    name, sign, value = change.partition("=")
    if not sign or not name.strip():
        raise ParameterError(f"--set: {change!r} given, allowed is NAME=VALUE")
    return name.strip(), value

"""The command line `foraging-snn`: reads options, says what is done, prints results and one-line errors.

What it does is in running.py, analysis/ and demo.py; how results look, in terminal.py.
"""

import io
import os
import shlex
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import foraging_snn
from foraging_snn.commands.progress import Board, TrialsBoard, duration
from foraging_snn.commands.terminal import (
    Interrupted,
    add_row,
    new_table,
    plain,
    print_conditions,
    print_results,
    print_sweep,
    print_table,
    printable,
    ready_engines,
    saying_how_many_are_left,
    saying_what_is_left,
    show_state,
    show_trial,
)
from foraging_snn.files.conditions import run_conditions
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state
from foraging_snn.models import ENGINES, PRESETS, ParameterError, Parameters, Phase, engine_class, preset
from foraging_snn.protocols import experiment, experiments
from foraging_snn.running.checkpoints import TrialCheckpoints
from foraging_snn.running.disk import check_space, check_space_of_state
from foraging_snn.running.errors import FORESEEN, one_line
from foraging_snn.running.resuming import ResumeError, Trials, complete_files, notes_of_versions, output_folder, prepare_start_state
from foraging_snn.running.starting import StartStatePlan, load_start
from foraging_snn.running.stopping import StopRequest
from foraging_snn.running.trial import (
    CHECKPOINT_MINUTES,
    RunError,
    identity_of,
    phases_to_run,
    recorded_phases,
    run_trial,
    trial_path,
    trial_seeds,
)

if TYPE_CHECKING:
    from foraging_snn.running.plan import PlannedTrial
    from foraging_snn.running.scheduling import Workers

PROGRAM = "foraging-snn"
DEFAULT_PRESET = "quick"
REPRODUCE_PRESET = "enough"
DEFAULT_ENGINE = "event"
SNAPSHOTS_PARAMETER = "recording.snapshots_per_phase"
NOT_ALL_WELL, BAD_INPUT, INTERRUPTED = 1, 2, 130
RESUME = "--resume"

# Newer versions of Typer carry their own copy of Click, older ones use Click itself.
ClickException = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    help="A spiking network that learns to forage, forgets, and remembers with sleep (Golden et al. 2022).",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _place(text: str | Path) -> Path:
    """What --out names.

    Raises
    ------
    typer.BadParameter
        It is empty, which would stand for the current folder.
    """
    if not str(text):
        raise typer.BadParameter("it is empty, allowed is a name, or . for the current folder")
    return Path(text)


def _out_option(metavar: str, meaning: str) -> Any:
    return typer.Option("--out", metavar=metavar, help=meaning, parser=_place)


PresetOption = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help=f"Set of parameters: {', '.join(PRESETS)}. Default {DEFAULT_PRESET}."),
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
EngineOption = Annotated[str, typer.Option("--engine", metavar="NAME", help=f"What computes: {', '.join(ENGINES)}.")]
SnapshotsOption = Annotated[
    int | None,
    typer.Option(
        "--snapshots",
        metavar="N",
        help="Snapshots of the strengths in each phase, tests aside; they are most of a file. Default: as the preset says.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="K", help="Seed of the first trial; the next have K + 1, K + 2, ...")]

JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", help="Trials at the same time, each in its own process. Default 1; on a cluster: one per worker."
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Run the trials on the workers of this Dask scheduler, e.g. tcp://10.0.0.5:8786; they must share the output folder.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(RESUME, help="Go on with trials that were cut off, from their checkpoints; complete ones are not run again."),
]
CheckpointOption = Annotated[
    float, typer.Option("--checkpoint-minutes", metavar="X", help="Save every trial at least this often, and after each phase.")
]
MaxHoursOption = Annotated[
    float | None, typer.Option("--max-hours", metavar="X", help="Save and stop after this time, with exit code 3; see --resume.")
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start-from",
        metavar="FILE",
        help="Start from a saved state (a file, or a name in the package), without the unsupervised phase.",
    ),
]


def main(arguments: list[str] | None = None) -> int:
    """Entry point.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if omitted.

    Returns
    -------
    int
        Exit code: 0 done; 1 the demo did not show learning, one of many trials failed, or the reader of the output has closed
        it; 2 bad input or a failure that can be foreseen (one line on standard error says which). A run that was stopped, and
        says how to go on: 3 --max-hours is over; 129 SIGHUP; 130 Ctrl-C; 143 SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever its encoding lacks is shown as \xNN
            stream.reconfigure(errors="backslashreplace")
    if any("\0" in argument for argument in arguments):
        return _fail("an argument holds a null byte, allowed is text")
    try:
        result = app(arguments, prog_name=PROGRAM, standalone_mode=False, obj=f"{PROGRAM} {shlex.join(arguments)}".strip())
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:  # the reader of our output, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_ALL_WELL
    except Interrupted as interruption:
        return _fail(str(interruption), interruption.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else PROGRAM
        return _fail(f"{error.format_message().removesuffix('.')}; see `{command} --help`")
    except MemoryError:
        return _fail("there is not enough memory for that")
    except ResumeError as error:
        return [_fail(line) for line in error.lines][-1]
    except FORESEEN as error:
        return _fail(one_line(error))


def _fail(message: str, code: int = BAD_INPUT) -> int:
    typer.echo(f"{PROGRAM}: {printable(' '.join(message.splitlines()))}", err=True)
    return code


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {foraging_snn.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
    values: dict[str, object] = dict(_name_and_value(change) for change in changes or ())
    if snapshots is None:
        return parameters.with_changes(values)
    if SNAPSHOTS_PARAMETER in values:
        raise ParameterError(f"--snapshots: given together with --set {SNAPSHOTS_PARAMETER}, which is the same")
    return parameters.with_changes(values | {SNAPSHOTS_PARAMETER: snapshots})


def _name_and_value(change: str) -> tuple[str, str]:
    name, sign, value = change.partition("=")
    if not sign or not name.strip():
        raise ParameterError(f"--set: {change!r} given, allowed is NAME=VALUE")
    return name.strip(), value


@app.command("list")
def list_experiments(preset_name: PresetOption = None, file: FileOption = None, changes: SetOption = None) -> None:
    """List the experiments of the paper."""
    parameters = chosen_parameters(preset_name, file, changes)
    table = new_table("name", "experiment", "figure", "paper: Task 1", "paper: Task 2", ">epochs")
    for row in experiments(parameters).values():
        epochs = sum(phase.epochs for phase in phases_to_run(row, started=False))
        values = row.published or ("", "")
        add_row(table, row.name, row.label, row.figure, *values, f"{epochs:,}")
    print_table(table)
    typer.echo(
        "Paper: performance, rewarded / (rewarded + punished) particles, in the tests after the last phase; mean ± sd over trials; "
        f"chance 0.5.\nEpochs: of one trial with the preset {parameters.preset}."
    )


@app.command("parameters")
def show_parameters(
    preset_name: PresetOption = None,
    file: FileOption = None,
    changes: SetOption = None,
    toml: Annotated[bool, typer.Option("--toml", help="As TOML, for --parameters.")] = False,
) -> None:
    """Show all parameters.

    Value, unit, meaning, source, what is allowed; changed values are bold.
    """
    parameters = chosen_parameters(preset_name, file, changes)
    if toml:
        typer.echo(parameters.to_toml(), nl=False)
        return
    full, named = ({row.name: row.value for row in p.rows()} for p in (preset("full"), preset(parameters.preset)))
    table = new_table("name", "value", "instead of", "unit", "meaning", "source", "allowed")
    for row in parameters.rows():
        base, values = (parameters.preset, named) if row.value != named[row.name] else ("full", full)
        instead = "" if row.value == values[row.name] else f"{plain(values[row.name])} ({base})"
        cells = (row.name, plain(row.value), instead, row.unit, row.meaning, row.source, row.allowed)
        add_row(table, *cells, style="bold" if instead else None)
    print_table(table)
    typer.echo(
        f"Preset {parameters.preset}: {PRESETS[parameters.preset][0]}.\nInstead of: the value before, and the preset that has it."
    )


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A name from `foraging-snn list`.")],
    out: Annotated[Path, _out_option("DIR", "Folder for the files, one per trial.")],
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: PresetOption = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials.")] = 1,
    seed: SeedOption = 0,
    jobs: JobsOption = None,
    scheduler: SchedulerOption = None,
    file: FileOption = None,
    changes: SetOption = None,
    start_from: StartOption = None,
    snapshots: SnapshotsOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointOption = CHECKPOINT_MINUTES,
    max_hours: MaxHoursOption = None,
) -> None:
    """Run trials of an experiment; one HDF5 file per trial.

    Ctrl-C, SIGTERM and --max-hours save what was done and stop; --resume goes on, also after a crash.
    """
    request = _stop_request(checkpoint_minutes, max_hours)
    parameters = chosen_parameters(preset_name, file, changes, snapshots)
    chosen = experiment(name, parameters)
    seeds = trial_seeds(seed, trials)
    engine_class(engine)
    start = load_start(start_from, parameters) if start_from else None
    workers = context.with_resource(_workers(jobs, scheduler))
    paths = [trial_path(out, name, trial_seed) for trial_seed in seeds]
    contents = dict.fromkeys(paths, recorded_phases(chosen, started=start is not None))
    identities = [identity_of([chosen], parameters, trial_seed, engine, start) for trial_seed in seeds]
    tasks = [(row, [path]) for row, path in zip(identities, paths, strict=True)]
    is_done = _prepared(context, out, tasks, [(contents, parameters)], workers.jobs, resume)
    phases = phases_to_run(chosen, started=start is not None)
    epochs = sum(phase.epochs for phase in phases)
    typer.echo(f"{name}: {chosen.label}; {trials} x {epochs:,} epochs, seed{_span(seeds)}, engine {engine}")
    print_conditions(run_conditions(parameters, phases, str(start) if start else None))

    if workers.jobs > 1 or scheduler:
        from foraging_snn.running.plan import Plan, planned_trials

        plan = Plan((chosen,), parameters, out, seeds, engine, _command(context), start, checkpoint_minutes)
        failed = _run_planned(planned_trials(plan), is_done, workers, out, request, _command(context))
        _print_results_of([trial for path in paths if path.exists() and (trial := Trial(path)).complete])
        raise typer.Exit(NOT_ALL_WELL if failed else 0)

    began = time.monotonic()
    for k in (k for k in range(trials) if is_done[k]):
        typer.echo(f"trial {k + 1}/{trials}  complete already")
    engines = nullcontext([None]) if all(is_done) else ready_engines(engine, parameters)
    with engines as (ready,), request.listening():
        for k in (k for k in range(trials) if not is_done[k]):
            with (
                saying_what_is_left([paths[k]], request, f"{_command(context)} {RESUME}"),
                Board(parameters.timing.epochs_per_aeon, stop_wanted=request.is_wanted) as board,
            ):
                run_trial(
                    chosen,
                    parameters,
                    seed=seeds[k],
                    trial=k,
                    engine=ready,
                    path=paths[k],
                    command_line=_command(context),
                    start=start,
                    progress=board.trial(f"trial {k + 1}/{trials}", epochs),
                    checkpoint_minutes=checkpoint_minutes,
                )
    typer.echo(f"done in {duration(time.monotonic() - began)}\n")
    _print_results_of([Trial(path) for path in paths])
    for path in paths:
        typer.echo(path)


def _command(context: typer.Context) -> str:
    """What the user typed, but without --resume: the files do not depend on it."""
    return " ".join(word for word in (context.obj or PROGRAM).split(" ") if word != RESUME)


def _stop_request(checkpoint_minutes: float, max_hours: float | None) -> StopRequest:
    """What --max-hours asks for.

    Raises
    ------
    RunError
        It, or the time between checkpoints, is out of range.
    """
    for name, value in (("--checkpoint-minutes", checkpoint_minutes), ("--max-hours", max_hours)):
        if value is not None and not 0.0 < value < float("inf"):
            raise RunError(f"{name}: {value:g} given, allowed is a number above 0")
    return StopRequest(max_hours)


def _prepared(
    context: typer.Context,
    out: Path,
    trials: Trials,
    runs: list[tuple[dict[Path, tuple[Phase, ...]], Parameters]],
    jobs: int,
    resume: bool,
    table: bool = False,
) -> list[bool]:
    """See that there is room for trials, make ready their folder, and keep other runs away from them until the command ends.

    `runs` and `jobs` as for :func:`check_space`, all else as for :func:`output_folder`; gives which trials are complete.
    """
    complete = complete_files(trials) if resume else set()
    to_come = [TrialCheckpoints(paths[0].parent, row).folder for row, paths in trials if not complete.issuperset(paths)]
    lacking = [({path: held for path, held in files.items() if path not in complete}, p) for files, p in runs]
    check_space(out, lacking, min(jobs, len(to_come)), to_come)
    outlooks = context.with_resource(output_folder(out, trials, resume, complete, table))
    _print_notes([*(note for outlook in outlooks for note in outlook.notes), *notes_of_versions(outlooks)])
    return [outlook.is_complete for outlook in outlooks]


def _print_notes(notes: list[str]) -> None:
    """One line each, on standard error."""
    for note in notes:
        typer.echo(f"{PROGRAM}: {printable(note)}", err=True)


def _print_results_of(trials: list[Trial]) -> None:
    from foraging_snn.analysis.results import results  # not at the top: takes a moment to import

    print_results(results(trials))


@app.command()
def reproduce(
    context: typer.Context,
    out: Annotated[Path, _out_option("DIR", "Folder for the files, one per experiment and trial.")],
    names: Annotated[
        str | None, typer.Option("--experiments", metavar="A,B,C", help="Names from `foraging-snn list`. Default: all.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials.")] = 10,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    scheduler: SchedulerOption = None,
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help=f"Set of parameters: {', '.join(PRESETS)}. Default {REPRODUCE_PRESET}."),
    ] = None,
    file: FileOption = None,
    changes: SetOption = None,
    start_from: StartOption = None,
    snapshots: SnapshotsOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointOption = CHECKPOINT_MINUTES,
    max_hours: MaxHoursOption = None,
) -> None:
    """Run all experiments of the paper, for many trials.

    What experiments have in common is computed once per trial; still each file is the one that `run` writes. Also keeps spikes
    and positions in windows of each phase (recording.*), unless --set or a parameter file says otherwise. Ctrl-C, SIGTERM and
    --max-hours save what was done and stop; --resume goes on, also after a crash.
    """
    request = _stop_request(checkpoint_minutes, max_hours)
    from foraging_snn.running.plan import Plan, chosen_experiments, planned_trials, with_recording

    parameters = chosen_parameters(preset_name or (None if file else REPRODUCE_PRESET), file, changes, snapshots)
    parameters = with_recording(parameters, {_name_and_value(change)[0] for change in changes or ()})
    chosen = chosen_experiments(names, parameters)
    seeds = trial_seeds(seed, trials)
    engine_class(engine)
    start = load_start(start_from, parameters) if start_from else None
    workers = context.with_resource(_workers(jobs, scheduler))
    plan = Plan(chosen, parameters, out, seeds, engine, _command(context), start, checkpoint_minutes)
    planned = planned_trials(plan)
    tasks = [(trial.identity, trial.paths) for trial in planned]
    is_done = _prepared(context, out, tasks, [(plan.contents, parameters)], workers.jobs, resume)
    typer.echo(f"{', '.join(row.name for row in chosen)}; {trials} x {plan.epochs:,} epochs, seed{_span(seeds)}, engine {engine}")
    print_conditions(run_conditions(parameters, plan.phases, str(start) if start else None))

    failed = _run_planned(planned, is_done, workers, out, request, _command(context))
    where = shlex.quote(str(out))
    typer.echo(f"files: {where}\nnext:  {PROGRAM} table {where}\n       {PROGRAM} figures {where}")
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


@app.command()
def sweep(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A name from `foraging-snn list`.")],
    out: Annotated[Path, _out_option("DIR", "Folder; in it one per combination, a table and a figure.")],
    over: Annotated[
        list[str] | None,
        typer.Option("--over", metavar="NAME=A,B,...", help="Values of a parameter; given again, all combinations are run."),
    ] = None,
    grid_file: Annotated[
        Path | None, typer.Option("--grid-file", metavar="FILE.toml", help="More of them, a list for each parameter.")
    ] = None,
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: PresetOption = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials of each combination.")] = 1,
    seed: SeedOption = 0,
    jobs: JobsOption = None,
    scheduler: SchedulerOption = None,
    file: FileOption = None,
    changes: SetOption = None,
    start_from: StartOption = None,
    snapshots: SnapshotsOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointOption = CHECKPOINT_MINUTES,
    max_hours: MaxHoursOption = None,
) -> None:
    """Run an experiment for all combinations of some values of some parameters.

    Leaves the files of the trials, performance in all tests as a table (sweep.csv, sweep.h5), and an overview (sweep.png,
    sweep.pdf).
    """
    request = _stop_request(checkpoint_minutes, max_hours)
    from foraging_snn.commands.sweep import check_results_can_be_written, grid, plans, table_of, values_asked_for, write_results
    from foraging_snn.running.plan import Plan, planned_trials

    parameters = chosen_parameters(preset_name, file, changes, snapshots)
    chosen = experiment(name, parameters)
    seeds = trial_seeds(seed, trials)
    points = grid(parameters, values_asked_for(over or (), grid_file))
    engine_class(engine)
    start = load_start(start_from, points[0].parameters) if start_from else None
    base = Plan((chosen,), parameters, out, seeds, engine, _command(context), start, checkpoint_minutes)
    planned = plans(points, name, base)
    check_results_can_be_written(out, may_replace=resume)
    workers = context.with_resource(_workers(jobs, scheduler))
    contents = [(plan.contents, plan.parameters) for plan in planned]
    tasks = [trial for plan, point in zip(planned, points, strict=True) for trial in planned_trials(plan, point.label)]
    identified = [(trial.identity, trial.paths) for trial in tasks]
    is_done = _prepared(context, out, identified, contents, workers.jobs, resume, table=True)
    check_results_can_be_written(out, may_replace=resume)  # again: now no other sweep can write them
    epochs = sum(trial.plan.epochs for trial in tasks)
    size = f"{len(points)} combinations x {trials}, {epochs:,} epochs"
    typer.echo(f"{name}: {chosen.label}; {size}, seed{_span(seeds)}, engine {engine}")
    for point in points:
        typer.echo(f"  {point.label}")
    print_conditions(run_conditions(parameters, base.phases, str(start) if start else None))

    failed = _run_planned(tasks, is_done, workers, out, request, _command(context))
    table = table_of(points, planned)
    print_sweep(table)
    for path in write_results(table, out, _command(context)):
        typer.echo(path)
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


def _workers(jobs: int | None, scheduler: str | None) -> "Workers":
    """What `--jobs` and `--scheduler` ask for.

    Raises
    ------
    RunError
    """
    from foraging_snn.running.scheduling import LocalWorkers

    if scheduler is None:
        return LocalWorkers(1 if jobs is None else jobs)
    from foraging_snn.running.cluster import ClusterWorkers

    return ClusterWorkers(scheduler, jobs)


def _run_planned(
    planned: "list[PlannedTrial]", is_done: list[bool], workers: "Workers", out: Path, request: StopRequest, command: str
) -> int:
    """Run many trials, below a folder, those apart that are complete, and say how they ended; the number of those that failed."""
    from foraging_snn.running.scheduling import run_all

    began = time.monotonic()
    trials = [trial for trial, done in zip(planned, is_done, strict=True) if not done]
    if len(trials) < len(planned):
        typer.echo(f"{len(planned) - len(trials)} of {len(planned)} trials are complete already")
    if not trials:
        return 0
    with saying_how_many_are_left([path for trial in planned for path in trial.paths], request, f"{command} {RESUME}"):
        with ready_engines(trials[0].plan.engine, trials[0].plan.parameters):
            pass  # what it compiles is cached, and the processes of the trials find it there
        with TrialsBoard(trials[0].n_experiments, [trial.plan.epochs for trial in trials]) as board:
            ends = run_all(trials, workers, board, out, request)
        for trial, end in zip(trials, ends, strict=True):
            if end.error:
                _fail(f"{trial.name}: {end.error}")
        if any(end.stopped for end in ends):
            raise KeyboardInterrupt
    failed = sum(bool(end.error) for end in ends)
    typer.echo(f"{f'{failed} of {len(trials)} trials failed' if failed else 'done'} in {duration(time.monotonic() - began)}")
    return failed


def _span(seeds: range) -> str:
    return f" {seeds[0]}" if len(seeds) == 1 else f"s {seeds[0]} to {seeds[-1]}"


@app.command()
def unsupervised(
    context: typer.Context,
    out: Annotated[Path, _out_option("FILE.h5", "File for the state.")],
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: PresetOption = None,
    seed: SeedOption = 0,
    file: FileOption = None,
    changes: SetOption = None,
    resume: ResumeOption = False,
    checkpoint_minutes: CheckpointOption = CHECKPOINT_MINUTES,
    max_hours: MaxHoursOption = None,
) -> None:
    """Make a start state for `run --start-from`.

    Runs the unsupervised phase and saves the state after it. Ctrl-C, SIGTERM and --max-hours save what was done and stop; --resume
    goes on, also after a crash.
    """
    request = _stop_request(checkpoint_minutes, max_hours)
    parameters = chosen_parameters(preset_name, file, changes)
    trial_seeds(seed, 1)
    engine_class(engine)
    plan = StartStatePlan(out, parameters, seed, engine, _command(context))
    check_space_of_state(out, parameters)
    outlook = prepare_start_state(plan, resume)
    _print_notes(outlook.notes)
    typer.echo(f"unsupervised phase; {plan.phase.epochs:,} epochs, seed {seed}, engine {engine}")
    print_conditions(run_conditions(parameters, [plan.phase], None))
    if outlook.is_complete:
        typer.echo("complete already")
    else:
        with (
            saying_what_is_left([out], request, f"{_command(context)} {RESUME}"),
            ready_engines(engine, parameters) as (ready,),
            request.listening(),
            Board(parameters.timing.epochs_per_aeon, stop_wanted=request.is_wanted) as board,
        ):
            plan.make(ready, board.trial("", plan.phase.epochs), checkpoint_minutes)
    typer.echo(out)


@app.command()
def info(path: Annotated[Path, typer.Argument(metavar="FILE", help="A trial or a saved state.")]) -> None:
    """Show what is in a file: a trial or a saved state."""
    try:
        trial = Trial(path)
    except RecordingError as not_a_trial:
        try:
            state = load_state(path)
        except StateError:
            raise not_a_trial from None
        show_state(path, state)
    else:
        show_trial(trial)


@app.command("table")
def show_table(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR|FILES", help="Folder with files of trials, or such files.")],
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="text, markdown, csv or json. Default: text, or as --out says.")
    ] = None,
    out: Annotated[
        Path | None,
        _out_option(
            "DIR|FILE",
            "Write tables.md, tables.csv and tables.json to a folder, or a file as its ending says (.md, .csv, .json, .txt). "
            "Tables written before are replaced.",
        ),
    ] = None,
) -> None:
    """Compare trials with the paper, and experiments with each other.

    Performance in every test, mean ± sd and 95 % interval over trials, beside the published value; differences between tests;
    p-values.
    """
    from foraging_snn.commands.tabling import show_or_write

    show_or_write(sources, format_name, out)


@app.command("figures")
def draw_figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with files of trials, as `reproduce` makes it.")],
    out: Annotated[
        Path | None,
        _out_option("DIR2", "Folder for figures and tables, replacing old ones. Default DIR/figures."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="A,B,C", help="Some of fig1 to fig7, s1 to s6, replay. Default: all.")
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="png, pdf or svg.")] = "png,pdf",
) -> None:
    """Draw the figures of the paper from the trials in a folder.

    A figure whose experiments are missing is left out, and the command that makes them is named. The tables of `foraging-snn table`
    are written beside the figures.
    """
    from foraging_snn.commands.drawing import draw_and_print

    draw_and_print(directory, out or directory / "figures", only, formats)


@app.command()
def animate(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A trial, recorded with spikes and positions.")],
    out: Annotated[
        Path | None,
        _out_option("FILE.gif|.mp4", "The animation. Default: beside FILE, as GIF. MP4 needs ffmpeg."),
    ] = None,
    phases: Annotated[
        list[str] | None,
        typer.Option(
            "--phase",
            metavar="NAME",
            help="Show this phase, by name (the first so called) or by number, from 0; up to three, side by side. Default: the "
            "first training, at its start, and the test of its task after it.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", help="Epochs, a frame each.")] = 200,
    frames_per_second: Annotated[int, typer.Option("--fps", metavar="N", help="Frames per second.")] = 10,
) -> None:
    """Show the agent in its world and the activity of its network.

    What it sees, its hidden cells, the directions of the output cells and the move chosen; before and after training.
    """
    from foraging_snn.commands.animating import animate_and_print

    animate_and_print(path, phases, out, epochs, frames_per_second)


@app.command("compare-engines")
def compare_engines(
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", help="Epochs of each kind of phase, compared one by one.")] = 2000,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Seeds for the learning curves; 0 leaves them out.")] = 10,
    aeons: Annotated[int, typer.Option("--aeons", metavar="N", help="Aeons of training of each learning curve.")] = 200,
    engine: EngineOption = DEFAULT_ENGINE,
    reference: Annotated[str, typer.Option("--reference", metavar="NAME", help="The engine to compare with.")] = "brian2",
) -> None:
    """Measure how far two engines agree.

    Epochs one by one from the same states with the same draws, and learning curves over seeds; from the state in the package.
    """
    from foraging_snn.commands.comparison import compare_engines_and_print

    for name, value, least in (("--epochs", epochs, 1), ("--seeds", seeds, 0), ("--aeons", aeons, 10)):
        if value < least or (name == "--seeds" and value == 1):
            raise RunError(f"{name}: {value} given, allowed is at least {least}{', but not 1' if name == '--seeds' else ''}")
    if engine == reference:
        raise RunError(f"--reference: {reference} given, allowed is another engine than --engine")
    compare_engines_and_print(engine, reference, epochs=epochs, seeds=seeds, aeons=aeons)


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, _out_option("DIR", "Folder for the figure and the files.")] = Path("foraging-demo"),
    engine: EngineOption = DEFAULT_ENGINE,
    seed: SeedOption = 0,
) -> None:
    """Learn, forget, and remember with sleep, in about two minutes.

    Two short trials of T1 -> T2 and of T1 -> I(S,T2) from a start state that comes with the package; leaves a table, a figure and
    the files of the trials. With a Brian2 engine, which is slow, only T1.
    """
    from foraging_snn.commands.demo import run_demo

    shown = run_demo(out, engine_name=engine, seed=seed, command_line=context.obj or PROGRAM)
    raise typer.Exit(0 if shown else NOT_ALL_WELL)

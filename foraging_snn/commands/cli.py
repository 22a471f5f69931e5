"""The command line `foraging-snn`: reads options, says what is done, prints results and one-line errors.

What it does is in running.py, analysis/ and demo.py; how results look, in terminal.py.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from foraging_snn.commands import ann
from foraging_snn.commands.completion import complete_engine, complete_experiments
from foraging_snn.commands.entry import BAD_INPUT, INTERRUPTED, NOT_ALL_WELL, PROGRAM, version_line
from foraging_snn.commands.export import (
    as_json,
    basins_for_programs,
    commented_toml,
    experiments_for_programs,
    landscape_for_programs,
    parameters_for_programs,
    paths_for_programs,
    state_for_programs,
    trial_for_programs,
)
from foraging_snn.commands.options import (
    DEFAULT_ENGINE,
    DEFAULT_SEED,
    EPOCHS_ON_THE_WAY,
    REPRODUCE_PRESET,
    RESUME,
    EngineOption,
    ExperimentArgument,
    ExperimentArguments,
    FileOption,
    JsonOption,
    NameOption,
    PresetOption,
    ProtocolFileOption,
    RunOptions,
    SeedOption,
    SetOption,
    TestOptions,
    TestsOption,
    chosen_parameters,
    chosen_protocols,
    name_and_value,
    with_run_options,
    with_test_options,
)
from foraging_snn.commands.running import prepared, run_planned
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
    show_source,
    show_state,
    show_trial,
)
from foraging_snn.files.conditions import NETWORK_SEED, run_conditions
from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.landscapes import BASINS, LANDSCAPE, PATHS, read_basins, read_landscape, read_paths
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state
from foraging_snn.models import EACH_ITS_OWN, PRESETS, ParameterError, preset
from foraging_snn.models.parameters import NOT_THERE
from foraging_snn.protocols import ExperimentError, experiments, protocol
from foraging_snn.running.errors import FORESEEN, RunError, one_line
from foraging_snn.running.existing import ResumeError, phases_to_run
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.plan import (
    ONE_NETWORK,
    RECORDING,
    Plan,
    PlannedTrial,
    chosen_experiments,
    is_complete,
    planned_state,
    unless_set,
)
from foraging_snn.running.scheduling import Workers
from foraging_snn.running.starting import rates_of

MAX_COMPARED = 1_000_000  # epochs, seeds, aeons; all of a comparison is kept in memory

# Newer versions of Typer carry their own copy of Click, older ones use Click itself.
ClickException: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    help="A spiking network that learns to forage, forgets, and remembers with sleep (Golden et al. 2022).",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(ann.app, name="ann")


def _place(text: str | Path) -> Path:
    """What --out or --export names.

    Raises
    ------
    typer.BadParameter
        It is empty, which would stand for the current folder.
    """
    if not str(text):
        raise typer.BadParameter("it is empty, allowed is a name, or . for the current folder")
    return Path(text)


def _out_option(metavar: str, meaning: str, name: str = "--out") -> Any:
    return typer.Option(name, metavar=metavar, help=meaning, parser=_place)


def main(arguments: list[str] | None = None) -> int:
    """Entry point.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process if omitted.

    Returns
    -------
    int
        Exit code: 0 done; 1 the demo did not show learning, one of many trials failed, or what was to be shown could not be
        written; 2 bad input or a failure that can be foreseen (one line on standard error says which). A run that was stopped, and
        says how to go on: 3 --max-hours is over; 129 SIGHUP; 130 Ctrl-C; 143 SIGTERM.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # whatever its encoding lacks is shown as \xNN
            reconfigure(errors="backslashreplace")
    if any("\0" in argument for argument in arguments):
        return _fail("an argument holds a null byte, allowed is text")
    try:
        result = app(arguments, prog_name=PROGRAM, standalone_mode=False, obj=f"{PROGRAM} {shlex.join(arguments)}".strip())
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except Interrupted as interruption:
        return _fail(str(interruption), interruption.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else PROGRAM
        return _fail(f"{_said(error).removesuffix('.')}; see `{command} --help`")
    except MemoryError:
        return _fail("there is not enough memory for that")
    except ResumeError as error:
        return [_fail(line) for line in error.lines][-1]
    except FORESEEN as error:
        return _fail(one_line(error))


def _said(error: Any) -> str:
    """What an error of the command line says; its class is Click's or Typer's own."""
    return error.format_message()


def _fail(message: str, code: int = BAD_INPUT) -> int:
    typer.echo(f"{PROGRAM}: {printable(' '.join(message.splitlines()))}", err=True)
    return code


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_line())
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_experiments(
    preset_name: PresetOption = None, file: FileOption = None, changes: SetOption = None, for_programs: JsonOption = False
) -> None:
    """List the experiments of the paper, with the protocols that `run` takes as well."""
    parameters = chosen_parameters(preset_name, file, changes)
    if for_programs:
        typer.echo(as_json(experiments_for_programs(parameters)))
        return
    table = new_table("name", "protocol", "figure", "paper: Task 1", "paper: Task 2", ">epochs")
    for row in experiments(parameters).values():
        epochs = sum(phase.epochs for phase in phases_to_run(row))
        values = row.published or ("", "")
        add_row(table, row.name, row.text, row.figure, *values, f"{epochs:,}")
    print_table(table)
    typer.echo(
        "Paper: performance, rewarded / (rewarded + punished) particles, in the tests after the last phase; mean ± sd over trials; "
        f"chance 0.5.\nEpochs: of one trial with the preset {parameters.preset}. An epoch is one move of the agent, "
        f"{parameters.timing.steps_per_epoch} steps of {parameters.timing.step_ms} ms; an aeon, the unit of lengths of phases, is "
        f"{parameters.timing.epochs_per_aeon} epochs."
    )


@app.command("parameters")
def show_parameters(
    preset_name: PresetOption = None,
    file: FileOption = None,
    changes: SetOption = None,
    toml: Annotated[bool, typer.Option("--toml", help="As TOML with comments, for --parameters.")] = False,
    for_programs: JsonOption = False,
) -> None:
    """Show all parameters.

    Value, unit, meaning, source, what is allowed; changed values are bold.
    """
    parameters = chosen_parameters(preset_name, file, changes)
    if toml and for_programs:
        raise ParameterError("--json: given together with --toml, allowed is one of them")
    if toml:
        typer.echo(commented_toml(parameters), nl=False)
        return
    if for_programs:
        typer.echo(as_json(parameters_for_programs(parameters)))
        return
    full, named = (p.values() for p in (preset("full"), preset(parameters.preset)))
    table = new_table("name", "value", "instead of", "unit", "meaning", "source", "allowed")
    for row in parameters.rows():
        base, values = (parameters.preset, named) if row.value != named.get(row.name) else ("full", full)
        instead = "" if row.value == values.get(row.name) else f"{plain(values.get(row.name, NOT_THERE))} ({base})"
        cells = (row.name, plain(row.value), instead, row.unit, row.meaning, row.source, row.allowed)
        add_row(table, *cells, style="bold" if instead else None)
    print_table(table)
    typer.echo(
        f"Preset {parameters.preset}: {PRESETS[parameters.preset][0]}.\nInstead of: the value before, and the preset that has it."
    )


@app.command()
@with_run_options()
def run(
    context: typer.Context,
    out: Annotated[Path, _out_option("DIR", "Folder for the files, one per trial.")],
    options: RunOptions,
    which: ExperimentArguments = None,
    protocol_file: ProtocolFileOption = None,
    tests: TestsOption = None,
    name: NameOption = "",
) -> None:
    """Run trials of experiments, by name or by protocol; one HDF5 file per experiment and trial.

    An epoch is one move of the agent, an aeon 100 of them; lengths of phases are in aeons, and "shortened" says which are less than
    the paper's. Ctrl-C, SIGTERM and --max-hours save what was done and stop; --resume goes on, also after a crash.
    """
    request, parameters = options.stop_request(), options.parameters()
    chosen = chosen_protocols(which or (), protocol_file, tests, name, parameters)
    plan = Plan(chosen, parameters, out, command_line=_command(context), **options.plan_options(parameters))
    planned = plan.trials()
    workers, to_do = _prepared(context, planned, out, options)
    size = f"{options.trials} x {plan.epochs:,} epochs"
    titles = [f"{row.name}: {row.label}" for row in chosen]
    _say(f"{titles[0]}; {size}" if len(titles) == 1 else size, plan, options, titles[1:] and titles)
    failed = run_planned(planned, to_do, workers, out, request, _way_on(context))
    typer.echo()
    _print_results_of([Trial(path) for path in plan.all_paths if is_complete(path)])
    for path in plan.all_paths:
        typer.echo(path)
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


def _prepared(
    context: typer.Context, planned: Sequence[PlannedTrial], out: Path, options: RunOptions, also_written: Sequence[Path] = ()
) -> tuple[Workers, list[PlannedTrial]]:
    """What runs trials, and those of them that are not complete; until the command ends, other runs are kept away from them."""
    workers = options.workers()
    context.with_resource(workers)
    return workers, context.with_resource(prepared(planned, out, workers.jobs, options.resume, also_written))


def _say(what: str, plan: Plan, options: RunOptions, labels: Sequence[str] = ()) -> None:
    """What is going to be run, and under which conditions."""
    typer.echo(f"{what}, seed{_span(plan.seeds)}, engine {options.engine}")
    for label in labels:
        typer.echo(f"  {label}")
    print_conditions(run_conditions(plan.parameters, plan.phases, str(plan.start) if plan.start else None))


def _way_on(context: typer.Context) -> str:
    return f"{_command(context)} {RESUME}"


def _command(context: typer.Context) -> str:
    """What the user typed, but without --resume: the files do not depend on it."""
    return " ".join(word for word in (context.obj or PROGRAM).split(" ") if word != RESUME)


def _span(seeds: range) -> str:
    return f" {seeds[0]}" if len(seeds) == 1 else f"s {seeds[0]} to {seeds[-1]}"


def _print_results_of(trials: list[Trial]) -> None:
    from foraging_snn.analysis.results import results  # not at the top: takes a moment to import

    print_results(results(trials))


@app.command()
@with_run_options(trials=10)
def reproduce(
    context: typer.Context,
    out: Annotated[Path, _out_option("DIR", "Folder for the files, one per experiment and trial.")],
    options: RunOptions,
    names: Annotated[
        str | None,
        typer.Option(
            "--experiments",
            metavar="A,B,C",
            help="Names from `foraging-snn list`. Default: all.",
            autocompletion=complete_experiments,
        ),
    ] = None,
    own_networks: Annotated[
        bool, typer.Option("--own-networks", help="Give each trial a network of its own. Default: one for all, as in the paper.")
    ] = False,
) -> None:
    """Run all experiments of the paper, for many trials.

    What experiments have in common is computed once per trial; still each file is the one that `run` writes with the same
    parameters. All trials have the wiring and the initial strengths of one network (network.seed), and spikes and positions are
    kept in windows of each phase (recording.*), unless --set or a parameter file says otherwise. Ctrl-C, SIGTERM and --max-hours
    save what was done and stop; --resume goes on, also after a crash.
    """
    request = options.stop_request()
    set_by_user = {name_and_value(change)[0] for change in options.changes or ()}
    wanted = RECORDING if own_networks or options.start_from else RECORDING | ONE_NETWORK
    parameters = unless_set(wanted, options.parameters(REPRODUCE_PRESET), set_by_user)
    if own_networks and (options.start_from or parameters.network.seed != EACH_ITS_OWN):
        other = "--start-from" if options.start_from else NETWORK_SEED
        raise RunError(f"--own-networks: given together with {other}, allowed is one of them")
    chosen = chosen_experiments(names, parameters)
    plan = Plan(chosen, parameters, out, command_line=_command(context), **options.plan_options(parameters))
    planned = plan.trials()
    workers, to_do = _prepared(context, planned, out, options)
    _say(f"{', '.join(row.name for row in chosen)}; {options.trials} x {plan.epochs:,} epochs", plan, options)
    failed = run_planned(planned, to_do, workers, out, request, _way_on(context))
    where = shlex.quote(str(out))
    typer.echo(f"files: {where}\nnext:  {PROGRAM} table {where}\n       {PROGRAM} figures {where}")
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


@app.command()
@with_run_options()
def sweep(
    context: typer.Context,
    name: ExperimentArgument,
    out: Annotated[Path, _out_option("DIR", "Folder; in it one per combination, a table and a figure.")],
    options: RunOptions,
    over: Annotated[
        list[str] | None,
        typer.Option("--over", metavar="NAME=A,B,...", help="Values of a parameter; given again, all combinations are run."),
    ] = None,
    grid_file: Annotated[
        Path | None, typer.Option("--grid-file", metavar="FILE.toml", help="More of them, a list for each parameter.")
    ] = None,
) -> None:
    """Run an experiment for all combinations of some values of some parameters.

    Leaves the files of the trials, performance in all tests as a table (sweep.csv, sweep.h5), and an overview (sweep.png,
    sweep.pdf). What combinations have in common is computed once.
    """
    from foraging_snn.commands import sweep as sweeps

    request, parameters = options.stop_request(), options.parameters()
    chosen = protocol(name, parameters, rates_of=rates_of)
    if not any(phase.is_test and not phase.dropout for phase in chosen.phases):
        raise ExperimentError(f"{chosen.name}: {chosen.label} has no test, allowed in a sweep are protocols that name a task")
    points = sweeps.grid(parameters, sweeps.values_asked_for(over or (), grid_file))
    given = options.plan_options(points[0].parameters)
    base = Plan((chosen,), parameters, out, command_line=_command(context), ledger=out / FOLDER, **given)
    planned = sweeps.plans(points, name, base)
    sweeps.check_results_can_be_written(out, may_replace=options.resume)
    trials = [trial for plan, point in zip(planned, points, strict=True) for trial in plan.trials(point.label)]
    workers, to_do = _prepared(context, trials, out, options, [out / sweeps.HDF5_NAME])
    sweeps.check_results_can_be_written(out, may_replace=options.resume)  # again: now no other sweep can write them
    size = f"{len(points)} combinations x {options.trials}, {sum(trial.plan.epochs for trial in trials):,} epochs"
    _say(f"{chosen.name}: {chosen.label}; {size}", base, options, [point.label for point in points])
    failed = run_planned(trials, to_do, workers, out, request, _way_on(context))
    table = sweeps.table_of(points, planned)
    print_sweep(table)
    for path in sweeps.write_results(table, out, _command(context)):
        typer.echo(path)
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


@app.command()
@with_run_options("trials", "jobs", "scheduler", "start_from", "snapshots")
def unsupervised(
    context: typer.Context, out: Annotated[Path, _out_option("FILE.h5", "File for the state.")], options: RunOptions
) -> None:
    """Make a start state for `run --start-from`.

    Runs the unsupervised phase and saves the state after it. Ctrl-C, SIGTERM and --max-hours save what was done and stop; --resume
    goes on, also after a crash.
    """
    request, parameters = options.stop_request(), options.parameters()
    given = options.plan_options(parameters)
    (seed,) = given.pop("seeds")
    planned = planned_state(out, parameters, seed, command_line=_command(context), **given)
    workers, to_do = _prepared(context, [planned], out.parent, options)
    _say(f"unsupervised phase; {planned.plan.epochs:,} epochs", planned.plan, options)
    run_planned([planned], to_do, workers, out.parent, request, _way_on(context))
    typer.echo(out)


@app.command()
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A trial, a saved state, a landscape, paths or basins.")],
    for_programs: JsonOption = False,
) -> None:
    """Show what is in a file: a trial, a saved state, a landscape, paths or basins."""
    if (kind := format_of(path)) in (LANDSCAPE, PATHS, BASINS):
        _show_tests(path, kind, for_programs)
        return
    try:
        trial = Trial(path)
    except RecordingError as not_a_trial:
        try:
            state = load_state(path)
        except StateError:
            raise not_a_trial from None
        typer.echo(as_json(state_for_programs(path, state))) if for_programs else show_state(path, state)
    else:
        typer.echo(as_json(trial_for_programs(trial))) if for_programs else show_trial(trial)


def _show_tests(path: Path, kind: str, for_programs: bool) -> None:
    """What is in the file of a landscape, of paths or of basins."""
    if for_programs:
        content = {
            LANDSCAPE: lambda: landscape_for_programs(path, read_landscape(path)),
            PATHS: lambda: paths_for_programs(path, read_paths(path)),
            BASINS: lambda: basins_for_programs(path, read_basins(path)),
        }
        typer.echo(as_json(content[kind]()))
    elif kind == LANDSCAPE:
        from foraging_snn.commands.landscape import print_landscape

        found = read_landscape(path)
        show_source(path, "landscape", found.source)
        print_landscape(found)
    elif kind == PATHS:
        from foraging_snn.commands.paths import print_paths

        lines = read_paths(path)
        show_source(path, "paths", lines.source)
        print_paths(lines)
    else:
        from foraging_snn.commands.basins import print_basins

        networks = read_basins(path)
        show_source(path, "basins", networks.source)
        print_basins(networks)


@app.command("table")
def show_table(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR|FILES", help="Folder with files of trials, or of a sweep; files.")],
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
    above_chance: Annotated[
        bool, typer.Option("--above-chance", help="Take chance off the performance in the measures of continual learning.")
    ] = False,
) -> None:
    """Compare trials with the paper, and experiments with each other.

    Performance in every test, mean ± sd and 95 % interval over trials, beside the published value; differences between tests;
    measures of continual learning; p-values.
    """
    from foraging_snn.commands.tabling import show_or_write

    show_or_write(sources, format_name, out, above_chance)


@app.command("figures")
def draw_figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with files of trials, or of a sweep.")],
    out: Annotated[
        Path | None,
        _out_option("DIR2", "Folder for figures and tables, replacing old ones. Default DIR/figures."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="A,B,C",
            help="Some of fig1 to fig7, s1 to s6, replay, protocols, gap, landscape, manifold, paths, basin. Default: all.",
        ),
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="png, pdf or svg.")] = "png,pdf",
) -> None:
    """Draw the figures of the paper from the trials in a folder.

    A figure whose experiments are missing is left out, and the command that makes them is named. Landscapes, paths and basins in
    the folder are drawn, too. The tables of `foraging-snn table` are written beside the figures.
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


TRIAL_FILES = typer.Argument(metavar="FILES", help="Files of trials.")


@app.command()
@with_test_options()
def landscape(
    context: typer.Context,
    files: Annotated[list[Path], TRIAL_FILES],
    options: TestOptions,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="NAME",
            help="The state after a phase, by its name (naive: before the first), or FILE:NAME; three or more, the first three "
            "span the plane. Default: T1, T2 and I(S,T2), or the first and the last ones.",
        ),
    ] = None,
    kind: Annotated[
        str, typer.Option("--axes", metavar="NAME", help="states, or pca: principal axes of the trajectories.")
    ] = "states",
    grid: Annotated[int, typer.Option("--grid", metavar="N", help="Points along each axis.")] = 15,
    margin: Annotated[float, typer.Option("--margin", metavar="X", help="Around states and trajectories, share of extent.")] = 0.15,
    resistances: Annotated[
        str | None,
        typer.Option("--resistances", metavar="NAME", help="State whose resistances hold everywhere. Default: the last."),
    ] = None,
    out: Annotated[Path | None, _out_option("FILE.h5", "The landscape; the figure goes beside it. Default: beside FILES.")] = None,
) -> None:
    """Map performance over a plane of the space of strengths.

    Tests a network at every point of a grid on the plane through three states of a trial, on every task; leaves a file and a
    figure: a map per task, where all tasks are solved, trajectories and their distance from the plane. Ctrl-C keeps the tests that
    were done; the same command goes on.
    """
    from foraging_snn.commands.landscape import LandscapeRequest, landscape_and_print

    shared = _of_tests(context, files, out or files[0].parent / "landscape.h5", options)
    own = {"states": tuple(states or ()), "kind": kind, "grid": grid, "margin": margin, "reference": resistances}
    landscape_and_print(LandscapeRequest(**shared, **own))


@app.command()
@with_test_options()
def paths(
    context: typer.Context,
    files: Annotated[list[Path], TRIAL_FILES],
    options: TestOptions,
    points: Annotated[int, typer.Option("--points", metavar="N", help="Points of each line, both ends included.")] = 11,
    snapshots: Annotated[
        int, typer.Option("--snapshots", metavar="N", help="Tests along each phase of the trajectories; 0 leaves them out.")
    ] = 5,
    between: Annotated[
        bool, typer.Option("--between/--no-between", help="Also lines from trial to trial, if they have one wiring.")
    ] = True,
    out: Annotated[Path | None, _out_option("FILE.h5", "The paths; the figure goes beside it. Default: beside FILES.")] = None,
) -> None:
    """Measure performance along straight lines between states, and along trajectories.

    Tests networks on the lines between the states after any two phases of a trial, and from trial to trial; leaves a file, a figure
    and a table of barriers: how far performance falls below the line between its ends. Ctrl-C keeps the tests that were done; the
    same command goes on.
    """
    from foraging_snn.commands.paths import PathsRequest, paths_and_print

    shared = _of_tests(context, files, out or files[0].parent / "paths.h5", options)
    paths_and_print(PathsRequest(**shared, points=points, snapshots=snapshots, between=between))


@app.command()
@with_test_options(epochs=EPOCHS_ON_THE_WAY)
def basins(
    context: typer.Context,
    files: Annotated[list[Path], TRIAL_FILES],
    options: TestOptions,
    state: Annotated[
        str | None, typer.Option("--state", metavar="NAME", help="Phase at whose end strengths are perturbed. Default: the first.")
    ] = None,
    then: Annotated[
        list[str] | None,
        typer.Option(
            "--then",
            metavar="PHASE",
            help="What follows, as in a protocol, e.g. S[500] or T1[500]; may be given several times. Default: sleep alone, and "
            "more training.",
        ),
    ] = None,
    radii: Annotated[
        str, typer.Option("--radii", metavar="A,B,C", help="Euclidean distances of the perturbation, beside none at all.")
    ] = "0.5,1,2,4,8",
    directions: Annotated[int, typer.Option("--directions", metavar="N", help="Random directions, per trial.")] = 3,
    checks: Annotated[int, typer.Option("--checks", metavar="N", help="Tests on the way, evenly spaced, the last at the end.")] = 5,
    out: Annotated[Path | None, _out_option("FILE.h5", "The basins; the figure goes beside it. Default: beside FILES.")] = None,
) -> None:
    """Perturb strengths, and see whether sleep alone, or more training, brings performance back.

    Takes the state after a phase of each trial, moves its strengths hidden to output at random by each radius, and goes on from
    there, with tests on the way that leave no trace; leaves a file, a figure and a table: share and time of return. Ctrl-C keeps
    the tests that were done; the same command goes on.
    """
    from foraging_snn.commands.basins import BasinsRequest, basins_and_print

    shared = _of_tests(context, files, out or files[0].parent / "basins.h5", options)
    own = {"state": state, "then": tuple(then or ()), "radii": radii, "directions": directions, "checks": checks}
    basins_and_print(BasinsRequest(**shared, **own))


def _of_tests(context: typer.Context, files: Sequence[Path], out: Path, options: TestOptions) -> dict[str, Any]:
    """Fields of a :class:`foraging_snn.commands.evaluating.Request`."""
    as_run = options.of_run()
    stop, workers = as_run.stop_request(), as_run.workers()
    context.with_resource(workers)
    asked = {name: getattr(options, name) for name in ("tasks", "epochs", "seed", "engine", "formats")}
    return asked | {"files": tuple(files), "out": out, "command_line": _command(context), "workers": workers, "stop": stop}


@app.command()
def explore(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with files of trials, and landscapes.")],
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port to listen at. Default: 0, any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    export: Annotated[
        Path | None,
        _out_option("FILE.html", "Write the page to a file instead, which needs no network.", "--export"),
    ] = None,
) -> None:
    """Look at trials and landscapes in the browser.

    States as points on a plane, receptive fields, strengths, performance over time, and the agent foraging with exactly these
    strengths, computed on the spot; also at points of a landscape that no training led to. Served on this computer only. A folder
    that grows is looked at again. Needs the extra: pip install '.[explore]' in a clone of foraging_snn.
    """
    from foraging_snn.commands.explorer.command import explore_and_print

    explore_and_print(directory, port, browser, export)


@app.command("compare-engines")
def compare_engines(
    epochs: Annotated[int, typer.Option("--epochs", metavar="N", help="Epochs of each kind of phase, compared one by one.")] = 2000,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Seeds for the learning curves; 0 leaves them out.")] = 10,
    aeons: Annotated[int, typer.Option("--aeons", metavar="N", help="Aeons of training of each learning curve.")] = 200,
    engine: EngineOption = DEFAULT_ENGINE,
    reference: Annotated[
        str, typer.Option("--reference", metavar="NAME", help="The engine to compare with.", autocompletion=complete_engine)
    ] = "brian2",
) -> None:
    """Measure how far two engines agree.

    Epochs one by one from the same states with the same draws, and learning curves over seeds; from the state in the package.
    """
    from foraging_snn.commands.comparison import compare_engines_and_print

    for name, value, least in (("--epochs", epochs, 1), ("--seeds", seeds, 0), ("--aeons", aeons, 10)):
        if not least <= value <= MAX_COMPARED or (name == "--seeds" and value == 1):
            but = ", but not 1" if name == "--seeds" else ""
            raise RunError(f"{name}: {value} given, allowed is {least} to {MAX_COMPARED:,}{but}")
    if engine == reference:
        raise RunError(f"--reference: {reference} given, allowed is another engine than --engine")
    compare_engines_and_print(engine, reference, epochs=epochs, seeds=seeds, aeons=aeons)


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, _out_option("DIR", "Folder for the figure and the files.")] = Path("foraging-demo"),
    engine: EngineOption = DEFAULT_ENGINE,
    seed: SeedOption = DEFAULT_SEED,
) -> None:
    """Learn, forget, and remember with sleep, in about two minutes.

    Two short trials of T1 -> T2 and of T1 -> I(S,T2) from a start state that comes with the package; leaves a table, two
    figures, the files of the trials, and a small landscape. With a Brian2 engine, which is slow, only T1.
    """
    from foraging_snn.commands.demo import TRIALS, demo_plan, map_demo, run_demo

    plan, jobs = demo_plan(out, seed, engine, context.obj or PROGRAM), min(TRIALS, os.cpu_count() or 1)
    shown = run_demo(plan, jobs)
    map_demo(plan, jobs)
    raise typer.Exit(0 if shown else NOT_ALL_WELL)

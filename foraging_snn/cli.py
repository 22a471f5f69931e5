"""The command line `foraging-snn`: reads options, says what is done, prints results and one-line errors.

What it does is in running.py, analysis/ and demo.py; how results look, in terminal.py.
"""

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

import foraging_snn
from foraging_snn.conditions import run_conditions
from foraging_snn.models import ENGINES, PRESETS, ParameterError, Parameters, engine_class, preset
from foraging_snn.progress import Board, TrialsBoard, duration
from foraging_snn.protocols import experiment, experiments
from foraging_snn.recording import RecordingError, Trial
from foraging_snn.running import (
    RunError,
    load_start,
    phases_to_run,
    prepare_output,
    run_trial,
    run_unsupervised,
    trial_path,
    trial_seeds,
)
from foraging_snn.states import StateError, load_state, save_state
from foraging_snn.terminal import (
    FORESEEN,
    Interrupted,
    add_row,
    new_table,
    one_line,
    plain,
    print_conditions,
    print_results,
    print_table,
    ready_engines,
    saying_how_many_are_left,
    saying_what_is_left,
    show_state,
    show_trial,
)

PROGRAM = "foraging-snn"
DEFAULT_PRESET = "quick"
REPRODUCE_PRESET = "enough"
DEFAULT_ENGINE = "event"
NOT_ALL_WELL, BAD_INPUT, INTERRUPTED = 1, 2, 130

# Newer versions of Typer carry their own copy of Click, older ones use Click itself.
ClickException = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    help="A spiking network that learns to forage, forgets, and remembers with sleep (Golden et al. 2022).",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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
SeedOption = Annotated[int, typer.Option("--seed", metavar="K", help="Seed of the first trial; the next have K + 1, K + 2, ...")]

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
        it; 2 bad input or a failure that can be foreseen (one line on standard error says which); 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        result = app(arguments, prog_name=PROGRAM, standalone_mode=False, obj=f"{PROGRAM} {shlex.join(arguments)}".strip())
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:  # the reader of our output, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOT_ALL_WELL
    except Interrupted as interruption:
        return _fail(str(interruption), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except ClickException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else PROGRAM
        return _fail(f"{error.format_message().removesuffix('.')}; see `{command} --help`")
    except FORESEEN as error:
        return _fail(one_line(error))


def _fail(message: str, code: int = BAD_INPUT) -> int:
    typer.echo(f"{PROGRAM}: {' '.join(message.splitlines())}", err=True)
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


def chosen_parameters(preset_name: str | None, file: Path | None, changes: list[str] | None) -> Parameters:
    """The parameters that the options of a command ask for.

    Raises
    ------
    ParameterError
    """
    if file and preset_name:
        raise ParameterError(f'--preset: given together with {file}; write preset = "{preset_name}" into the file instead')
    parameters = Parameters.from_file(file) if file else preset(preset_name or DEFAULT_PRESET)
    return parameters.with_changes(dict(_name_and_value(change) for change in changes or ()))


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
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files, one per trial.")],
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: PresetOption = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials.")] = 1,
    seed: SeedOption = 0,
    file: FileOption = None,
    changes: SetOption = None,
    start_from: StartOption = None,
) -> None:
    """Run trials of an experiment; one HDF5 file per trial."""
    parameters = chosen_parameters(preset_name, file, changes)
    chosen = experiment(name, parameters)
    seeds = trial_seeds(seed, trials)
    engine_class(engine)
    start = load_start(start_from, parameters) if start_from else None
    paths = [trial_path(out, name, trial_seed) for trial_seed in seeds]
    prepare_output(paths)
    phases = phases_to_run(chosen, started=start is not None)
    epochs = sum(phase.epochs for phase in phases)
    typer.echo(f"{name}: {chosen.label}; {trials} x {epochs:,} epochs, seed{_span(seeds)}, engine {engine}")
    print_conditions(run_conditions(parameters, phases, str(start) if start else None))

    began = time.monotonic()
    with ready_engines(engine, parameters) as (ready,):
        for k, path in enumerate(paths):
            with saying_what_is_left([path]), Board(parameters.timing.epochs_per_aeon) as board:
                run_trial(
                    chosen,
                    parameters,
                    seed=seeds[k],
                    trial=k,
                    engine=ready,
                    path=path,
                    command_line=context.obj or PROGRAM,
                    start=start,
                    progress=board.trial(f"trial {k + 1}/{trials}", epochs),
                )
    typer.echo(f"done in {duration(time.monotonic() - began)}\n")
    _print_results_of([Trial(path) for path in paths])
    for path in paths:
        typer.echo(path)


def _print_results_of(trials: list[Trial]) -> None:
    from foraging_snn.analysis.results import results  # not at the top: takes a moment to import

    print_results(results(trials))


@app.command()
def reproduce(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files, one per experiment and trial.")],
    names: Annotated[
        str | None, typer.Option("--experiments", metavar="A,B,C", help="Names from `foraging-snn list`. Default: all.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Number of trials.")] = 10,
    seed: SeedOption = 1,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", help="Trials at the same time, each in its own process.")] = 1,
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help=f"Set of parameters: {', '.join(PRESETS)}. Default {REPRODUCE_PRESET}."),
    ] = None,
    file: FileOption = None,
    changes: SetOption = None,
    start_from: StartOption = None,
) -> None:
    """Run all experiments of the paper, for many trials.

    What experiments have in common is computed once per trial; still each file is the one that `run` writes. Also keeps spikes
    and positions in windows of each phase (recording.*), unless --set or a parameter file says otherwise.
    """
    from foraging_snn.reproduce import Plan, chosen_experiments, run_plan, with_recording

    parameters = chosen_parameters(preset_name or (None if file else REPRODUCE_PRESET), file, changes)
    parameters = with_recording(parameters, {_name_and_value(change)[0] for change in changes or ()})
    chosen = chosen_experiments(names, parameters)
    seeds = trial_seeds(seed, trials)
    if jobs < 1:
        raise RunError(f"jobs: {jobs} given, allowed is at least 1")
    engine_class(engine)
    start = load_start(start_from, parameters) if start_from else None
    plan = Plan(chosen, parameters, out, seeds, engine, context.obj or PROGRAM, start)
    prepare_output(plan.all_paths)
    typer.echo(f"{', '.join(row.name for row in chosen)}; {trials} x {plan.epochs:,} epochs, seed{_span(seeds)}, engine {engine}")
    print_conditions(run_conditions(parameters, plan.phases, str(start) if start else None))

    began = time.monotonic()
    with saying_how_many_are_left(plan.all_paths):
        with ready_engines(engine, parameters):
            pass  # what it compiles is cached, and the processes of the trials find it there
        with TrialsBoard(trials, len(chosen), plan.epochs) as board:
            ends = run_plan(plan, jobs, board)
        for end in ends:
            if end.error:
                _fail(f"seed {end.seed}: {end.error}")
        if any(end.stopped for end in ends):
            raise KeyboardInterrupt
    failed = sum(bool(end.error) for end in ends)
    typer.echo(f"{'done' if not failed else f'{failed} of {trials} trials failed'} in {duration(time.monotonic() - began)}")
    where = shlex.quote(str(out))
    typer.echo(f"files: {where}\nnext:  {PROGRAM} table {where}\n       {PROGRAM} figures {where}")
    raise typer.Exit(NOT_ALL_WELL if failed else 0)


def _span(seeds: range) -> str:
    return f" {seeds[0]}" if len(seeds) == 1 else f"s {seeds[0]} to {seeds[-1]}"


@app.command()
def unsupervised(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.h5", help="File for the state.")],
    engine: EngineOption = DEFAULT_ENGINE,
    preset_name: PresetOption = None,
    seed: SeedOption = 0,
    file: FileOption = None,
    changes: SetOption = None,
) -> None:
    """Make a start state for `run --start-from`.

    Runs the unsupervised phase and saves the state after it.
    """
    parameters = chosen_parameters(preset_name, file, changes)
    trial_seeds(seed, 1)
    engine_class(engine)
    prepare_output([out])
    phase = experiment("task1", parameters).phases[0]
    typer.echo(f"unsupervised phase; {phase.epochs:,} epochs, seed {seed}, engine {engine}")
    print_conditions(run_conditions(parameters, [phase], None))
    with (
        saying_what_is_left([out]),
        ready_engines(engine, parameters) as (ready,),
        Board(parameters.timing.epochs_per_aeon) as board,
    ):
        state = run_unsupervised(phase, parameters, seed=seed, engine=ready, progress=board.trial("", phase.epochs))
        aeons = phase.epochs // parameters.timing.epochs_per_aeon
        note = f"state after {aeons} aeons of the unsupervised phase, preset {parameters.preset}, engine {engine}, seed {seed}"
        save_state(out, state, parameters, command_line=context.obj or PROGRAM, note=note)
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
        typer.Option(
            "--out",
            metavar="DIR|FILE",
            help="Write tables.md, tables.csv and tables.json to a folder, or a file as its ending says (.md, .csv, .json, .txt). "
            "Tables written before are replaced.",
        ),
    ] = None,
) -> None:
    """Compare trials with the paper, and experiments with each other.

    Performance in every test, mean ± sd and 95 % interval over trials, beside the published value; differences between tests;
    p-values.
    """
    from foraging_snn.tabling import show_or_write

    show_or_write(sources, format_name, out)


@app.command("figures")
def draw_figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with files of trials, as `reproduce` makes it.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR2", help="Folder for the figures. Default DIR/figures. Existing ones are overwritten."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="A,B,C", help="Some of fig1 to fig7, s1 to s6, replay. Default: all.")
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="png, pdf or svg.")] = "png,pdf",
) -> None:
    """Draw the figures of the paper from the trials in a folder.

    A figure whose experiments are missing is left out, and the command that makes them is named.
    """
    from foraging_snn.drawing import draw_and_print

    draw_and_print(directory, out or directory / "figures", only, formats)


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
    from foraging_snn.comparison import compare_engines_and_print

    for name, value, least in (("--epochs", epochs, 1), ("--seeds", seeds, 0), ("--aeons", aeons, 10)):
        if value < least or (name == "--seeds" and value == 1):
            raise RunError(f"{name}: {value} given, allowed is at least {least}{', but not 1' if name == '--seeds' else ''}")
    if engine == reference:
        raise RunError(f"--reference: {reference} given, allowed is another engine than --engine")
    compare_engines_and_print(engine, reference, epochs=epochs, seeds=seeds, aeons=aeons)


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the figure and the files.")] = Path("foraging-demo"),
    engine: EngineOption = DEFAULT_ENGINE,
    seed: SeedOption = 0,
) -> None:
    """Learn, forget, and remember with sleep, in about two minutes.

    Two short trials of T1 -> T2 and of T1 -> I(S,T2) from a start state that comes with the package; leaves a table, a figure and
    the files of the trials. With a Brian2 engine, which is slow, only T1.
    """
    from foraging_snn.demo import run_demo

    shown = run_demo(out, engine_name=engine, seed=seed, command_line=context.obj or PROGRAM)
    raise typer.Exit(0 if shown else NOT_ALL_WELL)

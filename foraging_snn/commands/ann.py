"""The commands `foraging-snn ann ...`: networks without spikes that sleep. What they do is in running/artificial.py and
analysis/artificial.py.

Nothing here loads PyTorch before a command needs it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from foraging_snn.commands.entry import PROGRAM
from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.commands.terminal import Interrupted, add_row, new_table, print_table
from foraging_snn.environments.images import IMAGES
from foraging_snn.protocols.artificial import EXPERIMENTS, Settings, settings_for
from foraging_snn.running.errors import RunError
from foraging_snn.running.scheduling import TrialReport
from foraging_snn.running.stopping import StopCause

NOT_ALL_WELL = 1
DEFAULT_DATA = "digits"
MAX_SEEDS = 10_000

app = typer.Typer(
    help="Networks without spikes: train by backpropagation, sleep with spikes, test (Tadros et al. 2022; extra `ann`).",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
)

DataOption = Annotated[str, typer.Option("--data", metavar="NAME|DIR", help=f"{', '.join(IMAGES)}, or a folder with IDX files.")]
SettingsOption = Annotated[Path | None, typer.Option("--settings", metavar="FILE.toml", help="As `ann tune` writes them.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change one setting; see `ann list`.")]


class ConditionDisplay(ProgressDisplay):
    """Shows how many conditions are done."""

    def _counts(self, reports: Sequence[TrialReport]) -> str:
        done = sum(report.experiments_done for report in reports)
        return f"{done}/{sum(self._files)} conditions"

    def _numbers(self, done: int) -> str:
        return ""


def chosen_settings(data: str, file: Path | None, changes: Sequence[str] | None) -> Settings:
    """The settings that options ask for."""
    settings = settings_for(data)
    if file:
        settings = settings.with_file(file)
    pairs = [change.partition("=") for change in changes or ()]
    if strange := [change for change, (name, sign, _) in zip(changes or (), pairs, strict=True) if not sign or not name]:
        raise RunError(f"--set: {strange[0]!r} given, allowed is NAME=VALUE")
    return settings.with_changes({name.strip(): value for name, _, value in pairs})


@app.command("list")
def list_experiments(data: DataOption = DEFAULT_DATA) -> None:
    """List experiments with their conditions, images, and the settings that go with them."""
    from dataclasses import fields

    for experiment in EXPERIMENTS.values():
        typer.echo(f"{experiment.name}: {experiment.question}")
        table = new_table("condition", "meaning")
        for name, meaning in experiment.conditions.items():
            add_row(table, name, meaning)
        print_table(table)
        typer.echo()
    table = new_table("images", "what", "package")
    for name, source in IMAGES.items():
        add_row(table, name, source.meaning, source.package)
    print_table(table)
    typer.echo()
    settings = settings_for(data)
    table = new_table(f"setting, for {data}", "value", "meaning")
    for each in fields(settings):
        value = getattr(settings, each.name)
        shown = ",".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)
        add_row(table, each.name, shown, each.metadata["meaning"])
    print_table(table)


@app.command()
def run(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A name from `ann list`.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files, one per seed.")] = Path("ann"),
    data: DataOption = DEFAULT_DATA,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How many.")] = 1,
    seed: Annotated[int, typer.Option("--seed", metavar="K", help="The first; the next are K + 1, K + 2, ...")] = 1,
    conditions: Annotated[str | None, typer.Option("--conditions", metavar="A,B", help="Some of them. Default: all.")] = None,
    file: SettingsOption = None,
    changes: SetOption = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", help="Seeds at the same time, each in its own process.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with files that are there; what is in them is not done again.")
    ] = False,
    max_hours: Annotated[
        float | None, typer.Option("--max-hours", metavar="X", help="Stop after this time, with exit code 3.")
    ] = None,
) -> None:
    """Run an experiment; one HDF5 file per seed, written anew after each condition.

    Ctrl-C, SIGTERM and --max-hours stop it; --resume goes on with the conditions that are missing.
    """
    from foraging_snn.commands.options import RunOptions
    from foraging_snn.running.artificial import jobs_for
    from foraging_snn.running.existing import prepare_folders
    from foraging_snn.running.locks import locked
    from foraging_snn.running.scheduling import LocalWorkers, run_all

    if not 1 <= seeds <= MAX_SEEDS or not 0 <= seed <= 2**53:
        raise RunError(f"--seeds: {seeds} from {seed} on given, allowed are 1 to {MAX_SEEDS:,} from 0 on")
    request = RunOptions(max_hours=max_hours).stop_request()
    command = " ".join(word for word in (context.obj or PROGRAM).split(" ") if word != "--resume")
    wanted = [part.strip() for part in conditions.split(",")] if conditions else None
    settings = chosen_settings(data, file, changes)
    planned = jobs_for(name, data, settings, wanted, range(seed, seed + seeds), out, command)
    workers = LocalWorkers(jobs)
    prepare_folders([out])
    with ExitStack() as stack:
        stack.enter_context(locked([job.path for job in planned]))
        if there := [job.path for job in planned if job.path.exists() and not resume]:
            raise RunError(f"{there[0]}: exists already and is not overwritten; --resume goes on with it")
        to_do = [job for job in planned if not job.is_done()]
        typer.echo(f"{name} on {data}, {len(to_do)} of {len(planned)} seeds to do, conditions {', '.join(planned[0].conditions)}")
        if to_do:
            stack.enter_context(workers)
            try:
                with ConditionDisplay(to_do) as display:
                    ends = run_all(to_do, workers, display, out, request)
            except KeyboardInterrupt:
                raise Interrupted(_kept(out), request.cause or StopCause.CTRL_C, f"{command} --resume") from None
            if errors := [end.error for end in ends if end.error]:
                raise RunError(errors[0])
            if any(end.stopped for end in ends):
                raise Interrupted(_kept(out), request.cause or StopCause.CTRL_C, f"{command} --resume")
    show([job.path for job in planned])
    for job in planned:
        typer.echo(job.path)


def _kept(out: Path) -> str:
    return f"conditions that were done are kept in {out}"


@app.command("table")
def table(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR|FILES", help="Folders with files of `ann run`; files.")],
    format_name: Annotated[str, typer.Option("--format", metavar="NAME", help="text, markdown or csv.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there; a new file.")] = None,
) -> None:
    """Compare conditions over seeds: accuracy, paired differences, measures of continual learning, cost."""
    from foraging_snn.analysis.artificial import csv_of, image_results, markdown_of

    kinds = {"markdown": markdown_of, "csv": csv_of}
    if format_name not in ("text", *kinds):
        raise RunError(f"--format: {format_name!r} given, allowed are text, {', '.join(kinds)}")
    if out and format_name == "text":
        raise RunError("--out: given without --format, allowed is --format markdown or csv with it")
    if format_name == "text":
        show(sources)
        return
    text = kinds[format_name](image_results(sources))
    if out is None:
        typer.echo(text, nl=False)
        return
    from foraging_snn.files.hdf5 import write_whole_file

    write_whole_file(out, text.encode(), overwrite=False)
    typer.echo(out)


def show(sources: Sequence[Path]) -> None:
    """Print the tables of what is in some folders and files."""
    from foraging_snn.analysis.artificial import (
        MEASURE_COLUMNS,
        caption,
        cells,
        cells_of_measures,
        cells_of_rows,
        heading,
        image_results,
    )

    for results in image_results(sources):
        typer.echo(f"{results.first.experiment} on {results.first.data}")
        summary = new_table(*heading(results))
        matrix = new_table(
            "condition", "after, of" if results.is_incremental else "", *(f">{name}" for name in results.first.columns)
        )
        measured = new_table(*MEASURE_COLUMNS)
        for condition in results.conditions:
            add_row(summary, *cells(results, condition))
            for line in cells_of_rows(results, condition):
                add_row(matrix, *line)
            for line in cells_of_measures(results, condition):
                add_row(measured, *line)
        for shown in (summary, matrix, *([measured] if measured.rows else [])):
            print_table(shown)
            typer.echo()
        for line in caption(results):
            typer.echo(line)
        typer.echo()


@app.command()
def tune(
    condition: Annotated[str, typer.Argument(metavar="CONDITION", help="Of the experiment, e.g. sleep.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.toml", help="The best settings, and all that was tried; a new file.")],
    data: DataOption = DEFAULT_DATA,
    tries: Annotated[int, typer.Option("--tries", metavar="N", help="Sets of values.")] = 30,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Over which accuracy is averaged.")] = 1,
    experiment: Annotated[str, typer.Option("--experiment", metavar="NAME", help="From `ann list`.")] = "ann-incremental",
    sampler: Annotated[str, typer.Option("--sampler", metavar="NAME", help="random, or optuna (extra `tune`).")] = "random",
    file: SettingsOption = None,
    changes: SetOption = None,
) -> None:
    """Choose the hyperparameters of a condition, on images and seeds that `ann run` does not report."""
    from foraging_snn.environments.images import load_images
    from foraging_snn.files.hdf5 import write_whole_file
    from foraging_snn.models.artificial import pytorch
    from foraging_snn.running.tuning import Search, Try, toml_of

    if out.exists():
        raise RunError(f"{out}: exists already and is not overwritten")
    pytorch()
    search = Search(load_images(data), chosen_settings(data, file, changes), condition, tries, seeds, sampler, experiment)

    def tried(number: int, found: Try) -> None:
        typer.echo(f"{number}/{tries}  {100 * found.accuracy:.1f} %")

    settings, done = search.run(tried)
    write_whole_file(out, toml_of(settings, done).encode(), overwrite=False)
    typer.echo(out)


@app.command("figures")
def figures(
    sources: Annotated[list[Path], typer.Argument(metavar="DIR|FILES", help="Folders with files of `ann run`; files.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: figures beside the first of them.")] = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="png, pdf or svg.")] = "png,pdf",
) -> None:
    """Draw each experiment: accuracies, the sequence of tasks, spikes in sleep, confusion matrices; older figures are replaced."""
    from foraging_snn.analysis.artificial import image_results
    from foraging_snn.analysis.figures.ann import draw
    from foraging_snn.analysis.figures.drawing import FORMATS, chosen, save_figure
    from foraging_snn.running.existing import prepare_folders

    endings = chosen(formats, FORMATS, "--format")
    found = image_results(sources)
    folder = out or (sources[0] if sources[0].is_dir() else sources[0].parent) / "figures"
    prepare_folders([folder])
    names: list[str] = []
    for results in found:
        name = f"{results.first.experiment}_{results.first.data}"
        names.append(name)
        stem = name if names.count(name) == 1 else f"{name}_{names.count(name)}"
        for path in save_figure(lambda results=results: draw(results), [folder / f"{stem}.{ending}" for ending in endings]):
            typer.echo(path)


@app.command("translate")
def translate(
    data: DataOption = DEFAULT_DATA,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Of 1 ms, that each image is shown.")] = 100,
    n_images: Annotated[int, typer.Option("--images", metavar="N", help="Test images that are shown, the first ones.")] = 200,
    probability: Annotated[float, typer.Option("--probability", metavar="P", help="Of a spike of a white pixel in a step.")] = 1.0,
    decay: Annotated[float, typer.Option("--decay", metavar="D", help="Of the membrane potential in a step; 1: no leak.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", metavar="K", help="Of the network and of the spikes.")] = 1,
    file: SettingsOption = None,
    changes: SetOption = None,
) -> None:
    """Train a network on all classes, translate it to one with spikes, and compare them over the number of steps.

    Accuracy and spikes of the spiking network after 1, 2, 5, ... steps, beside the network without spikes on the same images.
    """
    from foraging_snn.running.translating import translated

    rows, without = translated(data, chosen_settings(data, file, changes), steps, n_images, probability, decay, seed)
    shown = new_table(">steps", ">accuracy, %", ">same choice, %", ">spikes per image", ">CPU s")
    for row in rows:
        cells = f"{100 * row.accuracy:.1f}", f"{100 * row.agreement:.1f}", f"{row.spikes:,.0f}", f"{row.seconds:.2f}"
        add_row(shown, row.steps, *cells)
    print_table(shown)
    typer.echo(f"Without spikes: accuracy {100 * without.accuracy:.1f} %, {without.seconds:.2f} CPU s for the same images.")

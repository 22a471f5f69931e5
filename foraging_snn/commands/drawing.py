"""The command `foraging-snn figures`: which figures, into which files, the tables beside them, and what is said meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from foraging_snn.analysis.collection import OTHER_KINDS, TRIAL_FORMAT, Collection, CollectionError, MissingTrials
from foraging_snn.analysis.figures import FIGURES, figure_module
from foraging_snn.analysis.figures.drawing import FORMATS, chosen, draw_figures, save_figure
from foraging_snn.analysis.tables import write_tables
from foraging_snn.commands.sweep import read_table, table_file, write_overview
from foraging_snn.files.hdf5 import format_of
from foraging_snn.files.landscapes import BASINS, LANDSCAPE, PATHS, read_basins, read_landscape, read_paths
from foraging_snn.running.errors import RunError


def draw_and_print(directory: Path, out: Path, only: str | None, formats: str) -> None:
    """Draw figures from the trials in a folder and write their tables; print a line per figure and per file left out.

    Of a sweep, its overview is drawn; of each landscape, of each file of paths and of basins, its own figures.

    Parameters
    ----------
    directory : Path
    out : Path
        Folder for figures and tables; those of earlier drawings are overwritten.
    only, formats : str or None
        As on the command line, with commas between.

    Raises
    ------
    AnalysisError
        Unknown figure or format, no trials, trials that do not belong together, or a table is not ours to replace.
    RunError
        No figure could be drawn, or the folder cannot be written to.
    """
    names, endings = chosen(only, (*FIGURES, *OF_FILES), "--only"), chosen(formats, FORMATS, "--format")
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: cannot be written to: it is not a folder")
    if table := table_file(directory):
        if only is not None:
            raise RunError(f"--only: {only!r} given, but {directory} holds a sweep, which has one figure")
        _draw_sweep(table, out, endings)
        return
    drawn = _draw_files(directory, out, names, endings)
    of_trials = [name for name in names if name in FIGURES]
    if drawn and not (of_trials and has_trials(directory)):
        return
    collection, reasons = Collection(directory), []
    for reason in collection.left_out:
        if not reason.endswith(tuple(OTHER_KINDS[kind.format_name] for kind in OF_FILES.values())):
            typer.echo(f"left out: {reason}")
    for figure in draw_figures(collection, out, of_trials, endings):
        drawn += bool(figure.files)
        reason = figure.reason
        if isinstance(reason, MissingTrials):
            reasons.append(reason)
            reason = reason.lacking
        typer.echo(f"{figure.name}: {', '.join(map(str, figure.files)) or f'not drawn, {reason}'}")
    for hint in hints(collection, reasons):
        typer.echo(hint)
    if drawn:
        trials = [trial for name in collection.experiments for trial in collection.trials(name)]
        typer.echo(f"tables: {', '.join(map(str, write_tables(trials, out)))}")
    typer.echo(f"from {collection.small_print}")
    if not drawn:
        raise RunError(f"{directory}: no figure could be drawn; what is missing is said above")


@dataclass(frozen=True)
class FigureOfFile:
    """A figure that is made of one file.

    Attributes
    ----------
    format_name : str
        Of the files.
    module : str
        In analysis/figures/, with `draw` for what `read` gives.
    read : callable
    ending : str
        Of its name, after that of the file.
    """

    format_name: str
    module: str
    read: Callable[[Path], Any]
    ending: str = ""


OF_FILES = {
    "landscape": FigureOfFile(LANDSCAPE, "landscape", read_landscape),
    "manifold": FigureOfFile(LANDSCAPE, "manifold", read_landscape, "_manifold"),
    "paths": FigureOfFile(PATHS, "paths", read_paths),
    "basin": FigureOfFile(BASINS, "basin", read_basins),
}


def _draw_files(directory: Path, out: Path, names: Sequence[str], endings: Sequence[str]) -> int:
    """Draw the landscapes, paths and basins in a folder, each into files named after it; how many there were."""
    drawn = 0
    for path, kind in [(each, kind) for each in sorted(directory.glob("*.h5")) for kind in kinds_of(each) if kind in names]:
        figure = OF_FILES[kind]
        content, draw = figure.read(path), figure_module(figure.module).draw
        out.mkdir(parents=True, exist_ok=True)
        files = [out / f"{path.stem}{figure.ending}.{ending}" for ending in endings]
        try:
            made = save_figure(lambda draw=draw, content=content: draw(content), files)
        except CollectionError as reason:
            typer.echo(f"{kind}: not drawn, {path}: {reason}")
            continue
        drawn += 1
        typer.echo(f"{kind}: {', '.join(map(str, made))}")
    return drawn


def kinds_of(path: Path) -> list[str]:
    """Which of `OF_FILES` are made of a file."""
    found = format_of(path)
    return [name for name, kind in OF_FILES.items() if kind.format_name == found]


def has_trials(directory: Path) -> bool:
    """Whether a folder holds files of trials."""
    return any(format_of(path) == TRIAL_FORMAT for path in directory.glob("*.h5"))


def _draw_sweep(table: Path, out: Path, endings: Sequence[str]) -> None:
    paths = [out / f"{table.stem}.{ending}" for ending in endings]
    out.mkdir(parents=True, exist_ok=True)
    write_overview(read_table(table), paths)
    typer.echo(f"overview of the sweep: {', '.join(map(str, paths))}")


def hints(collection: Collection, reasons: Sequence[MissingTrials]) -> list[str]:
    """One line with the command that makes all missing experiments, and one for those that have to be recorded again."""
    lines = []
    for elsewhere, made in ((False, "missing trials are made by"), (True, "what was not recorded is, in another folder, by")):
        alike = [reason for reason in reasons if reason.elsewhere == elsewhere]
        experiments = [name for reason in alike for name in reason.experiments]
        settings = {name: value for reason in alike for name, value in reason.settings.items()}
        if experiments:
            lines.append(f"{made} {collection.command(list(dict.fromkeys(experiments)), elsewhere, settings)}")
    return lines

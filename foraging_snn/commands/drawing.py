"""The command `foraging-snn figures`: which figures, into which files, the tables beside them, and what is said meanwhile."""

from collections.abc import Sequence
from pathlib import Path

import typer

from foraging_snn.analysis.collection import Collection, MissingTrials
from foraging_snn.analysis.figures import FIGURES
from foraging_snn.analysis.figures.drawing import FORMATS, chosen, draw_figures
from foraging_snn.analysis.tables import write_tables
from foraging_snn.commands.sweep import read_table, table_file, write_overview
from foraging_snn.running.errors import RunError


def draw_and_print(directory: Path, out: Path, only: str | None, formats: str) -> None:
    """Draw figures from the trials in a folder and write their tables; print a line per figure and per file left out.

    Of a sweep, its overview is drawn.

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
    names, endings = chosen(only, FIGURES, "--only"), chosen(formats, FORMATS, "--format")
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: cannot be written to: it is not a folder")
    if table := table_file(directory):
        if only is not None:
            raise RunError(f"--only: {only!r} given, but {directory} holds a sweep, which has one figure")
        _draw_sweep(table, out, endings)
        return
    collection = Collection(directory)
    for reason in collection.left_out:
        typer.echo(f"left out: {reason}")
    drawn, reasons = 0, []
    for figure in draw_figures(collection, out, names, endings):
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


def _draw_sweep(table: Path, out: Path, endings: Sequence[str]) -> None:
    paths = [out / f"{table.stem}.{ending}" for ending in endings]
    out.mkdir(parents=True, exist_ok=True)
    write_overview(read_table(table), paths)
    typer.echo(f"overview of the sweep: {', '.join(map(str, paths))}")


def hints(collection: Collection, reasons: Sequence[MissingTrials]) -> list[str]:
    """One line with the command that makes all missing experiments, and one for those that have to be recorded again."""
    lines = []
    for elsewhere, made in ((False, "missing trials are made by"), (True, "what was not recorded is, in another folder, by")):
        experiments = [name for reason in reasons if reason.elsewhere == elsewhere for name in reason.experiments]
        if experiments:
            lines.append(f"{made} {collection.command(list(dict.fromkeys(experiments)), elsewhere)}")
    return lines

"""The command `foraging-snn figures`: which figures, into which files, the tables beside them, and what is said meanwhile."""

from pathlib import Path

import typer

from foraging_snn.analysis.collection import Collection
from foraging_snn.analysis.figures import FIGURES
from foraging_snn.analysis.figures.drawing import FORMATS, chosen, draw_figures
from foraging_snn.analysis.tables import write_tables
from foraging_snn.running.errors import RunError


def draw_and_print(directory: Path, out: Path, only: str | None, formats: str) -> None:
    """Draw figures from the trials in a folder and write their tables; print a line per figure and per file left out.

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
    collection = Collection(directory)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: cannot be written to: it is not a folder")
    for reason in collection.left_out:
        typer.echo(f"left out: {reason}")
    drawn = 0
    for figure in draw_figures(collection, out, names, endings):
        drawn += bool(figure.files)
        typer.echo(f"{figure.name}: {', '.join(map(str, figure.files)) or f'not drawn, {figure.missing}'}")
    if drawn:
        trials = [trial for name in collection.experiments for trial in collection.trials(name)]
        typer.echo(f"tables: {', '.join(map(str, write_tables(trials, out)))}")
    typer.echo(f"from {collection.small_print}")
    if not drawn:
        raise RunError(f"{directory}: no figure could be drawn; what is missing is said above")

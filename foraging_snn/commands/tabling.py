"""The command `foraging-snn table`: which trials, in what form, to the screen or into which files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from foraging_snn.analysis.collection import SortedFiles, files_in, sort_files
from foraging_snn.analysis.results import results
from foraging_snn.analysis.sweep_table import FIXED_COLUMNS, csv_text
from foraging_snn.analysis.tables import FILE_NAME, FORMATS, Format, write_files
from foraging_snn.commands.sweep import read_table, table_file
from foraging_snn.commands.terminal import print_results, print_sweep, printed
from foraging_snn.files.hdf5 import format_of
from foraging_snn.running.errors import RunError

TEXT_MARK = "Written by foraging-snn table\n"
RESULT_FORMATS = {"text": Format(".txt", lambda found: f"{TEXT_MARK}\n{printed(print_results, found)}", TEXT_MARK), **FORMATS}
SWEEP_FORMATS = {
    "text": Format(".txt", lambda table: f"{TEXT_MARK}\n{printed(print_sweep, table)}", TEXT_MARK),
    "csv": Format(".csv", csv_text, ",".join(FIXED_COLUMNS)),
}


def show_or_write(sources: Sequence[Path], format_name: str | None, out: Path | None, above_chance: bool = False) -> None:
    """Print the tables of all complete trials in some folders and files, or of a sweep, or write them.

    Parameters
    ----------
    sources : sequence of Path
        Folders with files of trials, and such files; or the folder of a sweep, or its table.
    format_name : str or None
        A key of `RESULT_FORMATS` or `SWEEP_FORMATS`; None: text on the screen, for files what :func:`files_asked_for` says.
    out : Path or None
        Folder or file; None: the screen.
    above_chance : bool
        See :func:`foraging_snn.analysis.results.results`; of no use for a sweep.

    Raises
    ------
    RunError
        Bad options, no complete trial, or a file that cannot be read; in that case the others have been shown.
    AnalysisError
        The trials do not belong together, or a file is not ours to replace.
    """
    table = table_file(sources[0]) if len(sources) == 1 else None
    formats, name = (SWEEP_FORMATS, table.stem) if table else (RESULT_FORMATS, FILE_NAME)
    if format_name not in (None, *formats):
        raise RunError(f"--format: {format_name!r} given, allowed are {', '.join(formats)}")
    files = files_asked_for(out, format_name, formats, name) if out else {}
    if table:
        if above_chance:
            raise RunError(f"--above-chance: given, but {sources[0]} holds a sweep, whose table has no such measures")
        found = read_table(table)
        _write(found, files) if files else _show(found, format_name, formats, print_sweep)
        return
    sorted_files = _sorted(sources)
    found = results(sorted_files.trials, above_chance)
    if sorted_files.trials:
        _write(found, files) if files else _show(found, format_name, formats, print_results)
    for reason in sorted_files.left_out:
        typer.echo(f"left out: {reason}", err=format_name in FORMATS)  # what a program reads holds the tables only
    if sorted_files.unreadable or not sorted_files.trials:
        nothing = f"{', '.join(map(str, sources))}: no complete trial in it"
        raise RunError("; ".join(sorted_files.unreadable) or nothing)


def _show(found: Any, format_name: str | None, formats: Mapping[str, Format], show: Callable[[Any], None]) -> None:
    if format_name in (None, "text"):
        show(found)
    else:
        typer.echo(formats[format_name].text(found), nl=False)


def _write(found: Any, files: Mapping[Path, Format]) -> None:
    write_files({path: (kind.text(found), kind.mark) for path, kind in files.items()})
    for path in files:
        typer.echo(path)


def files_asked_for(out: Path, format_name: str | None, formats: Mapping[str, Format], name: str) -> dict[Path, Format]:
    """The files that `--out` and `--format` ask for.

    Parameters
    ----------
    out : Path
        A folder that there is, or a new name without ending: all formats but text, or the one that is named. Otherwise a file:
        the format that is named, or the one that the ending stands for.
    format_name : str or None
    formats : mapping of str to Format
        What there is.
    name : str
        Of files in a folder, without ending.

    Raises
    ------
    RunError
        Neither a folder nor a known ending.
    """
    if out.is_dir() or (format_name is None and not out.suffix and not out.exists()):
        kinds = [formats[format_name]] if format_name else [kind for key, kind in formats.items() if key != "text"]
        return {out / f"{name}{kind.suffix}": kind for kind in kinds}
    if format_name:
        return {out: formats[format_name]}
    for kind in formats.values():
        if kind.suffix == out.suffix.lower():
            return {out: kind}
    endings = ", ".join(kind.suffix for kind in formats.values())
    raise RunError(f"--out: {out} given, allowed is a folder, or a file that ends in {endings}")


def _sorted(sources: Sequence[Path]) -> SortedFiles:
    """What is in all files meant, each counted once; one that is named must be ours."""
    files: dict[Path, Path] = {}
    for source in sources:
        for path in files_in(source) if source.is_dir() else [source]:
            files.setdefault(path.resolve(), path)
    found = sort_files(files.values())
    foreign = {path for path in found.others if path in sources and not format_of(path)}
    others = {path: what for path, what in found.others.items() if path not in foreign}
    return replace(found, others=others, unreadable=(*found.unreadable, *(f"{path}: {found.others[path]}" for path in foreign)))

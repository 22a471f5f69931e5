"""The command `foraging-snn table`: which trials, in what form, to the screen or into which files."""

from collections.abc import Sequence
from pathlib import Path

import typer

from foraging_snn.analysis.results import results
from foraging_snn.analysis.tables import FILE_NAME, FORMATS, Format, write_files
from foraging_snn.commands.terminal import results_as_text
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state
from foraging_snn.running.errors import RunError

TEXT_MARK = "Written by foraging-snn table\n"
ALL_FORMATS = {"text": Format(".txt", lambda found: f"{TEXT_MARK}\n{results_as_text(found)}", TEXT_MARK), **FORMATS}


def show_or_write(sources: Sequence[Path], format_name: str | None, out: Path | None) -> None:
    """Print the tables of all complete trials in some folders and files, or write them.

    Parameters
    ----------
    sources : sequence of Path
        Folders with files of trials, and such files.
    format_name : str or None
        A key of `ALL_FORMATS`; None: text on the screen, for files what :func:`files_asked_for` says.
    out : Path or None
        Folder or file; None: the screen.

    Raises
    ------
    RunError
        Bad options, no complete trial, or a file that cannot be read; in that case the others have been shown.
    AnalysisError
        The trials do not belong together, or a file is not ours to replace.
    """
    if format_name not in (None, *ALL_FORMATS):
        raise RunError(f"--format: {format_name!r} given, allowed are {', '.join(ALL_FORMATS)}")
    files = files_asked_for(out, format_name) if out else {}
    trials, left_out, unreadable = _sorted_out(_trial_files(sources))
    found = results(trials)
    if files and trials:
        write_files({path: (kind.text(found), kind.mark) for path, kind in files.items()})
        for path in files:
            typer.echo(path)
    elif trials:
        typer.echo(results_as_text(found) if format_name in (None, "text") else FORMATS[format_name].text(found), nl=False)
    for reason in left_out:
        typer.echo(f"left out: {reason}", err=format_name in FORMATS)  # what a program reads holds the tables only
    if unreadable or not trials:
        raise RunError("; ".join(unreadable) or f"{', '.join(map(str, sources))}: no complete trial in it")


def files_asked_for(out: Path, format_name: str | None) -> dict[Path, Format]:
    """The files that `--out` and `--format` ask for.

    Parameters
    ----------
    out : Path
        A folder that there is, or a new name without ending: all formats but text, or the one that is named. Otherwise a file:
        the format that is named, or the one that the ending stands for.
    format_name : str or None

    Raises
    ------
    RunError
        Neither a folder nor a known ending.
    """
    if out.is_dir() or (format_name is None and not out.suffix and not out.exists()):
        kinds = [ALL_FORMATS[format_name]] if format_name else FORMATS.values()
        return {out / f"{FILE_NAME}{kind.suffix}": kind for kind in kinds}
    if format_name:
        return {out: ALL_FORMATS[format_name]}
    for kind in ALL_FORMATS.values():
        if kind.suffix == out.suffix.lower():
            return {out: kind}
    endings = ", ".join(kind.suffix for kind in ALL_FORMATS.values())
    raise RunError(f"--out: {out} given, allowed is a folder, or a file that ends in {endings}")


def _trial_files(sources: Sequence[Path]) -> list[Path]:
    """All files meant, each once."""
    files: dict[Path, Path] = {}
    for source in sources:
        inside = sorted(source.glob("*.h5")) if source.is_dir() else [source]
        if not inside:
            raise RunError(f"{source}: no .h5 file in it")
        for path in inside:
            files.setdefault(path.resolve(), path)
    return list(files.values())


def _sorted_out(paths: Sequence[Path]) -> tuple[list[Trial], list[str], list[str]]:
    """The complete trials among the files; what else belongs to us; what cannot be read or is not ours."""
    trials, left_out, unreadable = [], [], []
    for path in paths:
        try:
            trial = Trial(path)
        except RecordingError as error:
            if _is_state(path):
                left_out.append(f"{path}, a saved state")
            else:
                unreadable.append(str(error))
            continue
        if trial.complete:
            trials.append(trial)
        else:
            left_out.append(f"{path}, incomplete")
    return trials, left_out, unreadable


def _is_state(path: Path) -> bool:
    try:
        load_state(path)
    except StateError:
        return False
    return True

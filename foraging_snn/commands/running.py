"""Planned trials, from the command line: their folders made ready and locked, the trials run, and what became of them told.

What is planned is in running/plan.py; how trials are given to processes, in running/scheduling.py.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import typer

from foraging_snn.commands.entry import PROGRAM
from foraging_snn.commands.progress import ProgressDisplay, duration
from foraging_snn.commands.terminal import Interrupted, printable, ready_engines
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.running.disk import check_space
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import ResumeError, notes_of_versions, prepare_folders
from foraging_snn.running.locks import locked
from foraging_snn.running.plan import PlannedTrial
from foraging_snn.running.scheduling import Workers, run_all
from foraging_snn.running.stopping import StopCause, StopRequest


@contextmanager
def prepared(
    planned: Sequence[PlannedTrial], out: Path, jobs: int, resume: bool, also_written: Sequence[Path] = ()
) -> Iterator[list[PlannedTrial]]:
    """See that there is room for trials, make ready their folders, and keep other runs away from them while a block runs.

    Parameters
    ----------
    planned : sequence of PlannedTrial
    out : Path
        The folder in which all of it lies.
    jobs : int
        Trials at the same time.
    resume : bool
        Trials of which there is something already are gone on with; otherwise they are refused.
    also_written : sequence of Path
        Other files that are written there.

    Yields
    ------
    list of PlannedTrial
        Those that are not complete. If all are, nothing is done to the folder, which may be read-only or full.

    Raises
    ------
    ResumeError
        Trials cannot be gone on with.
    RunError
        Files are there already, or the folder cannot be written to, or has no room.
    LedgerError
        Another process writes one of the trials.
    """
    to_do = [trial for trial in planned if not (resume and trial.is_done())]
    check_space(out, to_do, jobs)
    if not to_do and not also_written:
        yield []
        return
    with ExitStack() as stack:
        folders = [out, *(trial.plan.directory for trial in to_do)]
        for folder in sorted({folder for folder in folders if not folder.exists()}):
            stack.callback(_remove_if_empty, folder)
        prepare_folders(folders)
        stack.enter_context(locked([*(path for trial in to_do for path in trial.paths), *also_written]))
        there = [trial.look(resume) for trial in to_do]
        if refusals := [line for found in there for line in found.refusals]:
            raise ResumeError(refusals) if resume else RunError(refusals[0])
        _note([*(note for found in there for note in found.notes), *notes_of_versions(there)])
        if epochs := sum(found.epochs for found in there):
            typer.echo(f"{epochs:,} of {sum(trial.plan.epochs for trial in to_do):,} epochs were computed before")
        yield to_do


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _note(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(f"{PROGRAM}: {printable(line)}", err=True)


def run_planned(
    planned: Sequence[PlannedTrial],
    to_do: Sequence[PlannedTrial],
    workers: Workers,
    out: Path,
    request: StopRequest,
    go_on_with: str,
) -> int:
    """Run trials and say how they ended.

    Parameters
    ----------
    planned, to_do : sequence of PlannedTrial
        All, and those of them that are not complete.
    workers : Workers
    out : Path
        The folder in which all of it lies.
    request : StopRequest
    go_on_with : str
        The command that goes on with them if they are stopped; "" if there is none.

    Returns
    -------
    int
        How many failed, if there are several.

    Raises
    ------
    RunError
        The only one failed.
    Interrupted
        They were stopped.
    """
    began = time.monotonic()
    if len(to_do) < len(planned):
        done = len(planned) - len(to_do)
        typer.echo("complete already" if len(planned) == 1 else f"{done} of {len(planned)} trials are complete already")
    if not to_do:
        return 0
    paths = [path for trial in planned for path in trial.paths]
    identity = to_do[0].identity
    try:
        with ready_engines(identity.engine, identity.parameters):
            pass  # what it compiles is cached, and the processes of the trials find it there
        with ProgressDisplay(to_do) as display:
            ends = run_all(to_do, workers, display, out, request)
    except KeyboardInterrupt:
        raise Interrupted(what_is_left(paths), request.cause or StopCause.CTRL_C, go_on_with) from None
    errors = [(trial, end.error) for trial, end in zip(to_do, ends, strict=True) if end.error]
    if errors and len(planned) == 1:
        raise RunError(f"{errors[0][1]}; {what_is_left(paths)}")
    _note([f"{trial.name}: {error}" for trial, error in errors])
    if any(end.stopped for end in ends):
        raise Interrupted(what_is_left(paths), request.cause or StopCause.CTRL_C, go_on_with)
    how = f"{len(errors)} of {len(to_do)} trials failed" if errors else "done"
    typer.echo(f"{how} in {duration(time.monotonic() - began)}")
    return len(errors)


IS_COMPLETE, IS_READABLE = "is complete", "is readable up to here and marked incomplete"


def what_is_left(paths: Sequence[Path]) -> str:
    """What has become of files that were being written."""
    if len(paths) == 1:
        return f"{paths[0]} {_condition(paths[0])}"
    written = [path for path in paths if path.exists()]
    cut_off = [str(path) for path in written if _condition(path) != IS_COMPLETE]
    left = f"; readable up to here and marked incomplete: {', '.join(cut_off)}" if cut_off else ""
    return f"{len(written) - len(cut_off)} of {len(paths)} files are complete{left}"


def _condition(path: Path) -> str:
    if not path.exists():
        return "was not written"
    try:
        return IS_COMPLETE if Trial(path).complete else IS_READABLE
    except RecordingError:
        return "cannot be read"

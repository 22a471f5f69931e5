"""What a run shows on the screen: bars on a terminal, a plain line now and then elsewhere."""

import time
from collections import deque
from collections.abc import Callable, Sequence

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from foraging_snn.commands.terminal import printable
from foraging_snn.running.scheduling import Job, TrialReport

SPEED_SECONDS = 20.0  # the speed shown is that of so many seconds
SPEED_SECONDS_OF_MANY = 120.0  # the same for many trials
LINE_SECONDS = 30.0  # between two plain lines


class Speed:
    """Epochs per second lately.

    Parameters
    ----------
    seconds : float
        What "lately" means.
    clock : callable
        Seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]):
        self._seconds = seconds
        self._clock = clock
        self._times = deque([(clock(), 0)])

    def update(self, done_epochs: int) -> None:
        """So many epochs are done by now."""
        self._times.append((self._clock(), done_epochs))
        while len(self._times) > 2 and self._times[-1][0] - self._times[1][0] >= self._seconds:
            self._times.popleft()

    @property
    def per_second(self) -> float:
        """0 before the first epochs."""
        (first, before), (last, after) = self._times[0], self._times[-1]
        return (after - before) / (last - first) if last > first else 0.0


class ProgressDisplay:
    """Shows trials that run, one or many at the same time; a context manager.

    Parameters
    ----------
    trials : sequence of Job
    console : rich.console.Console, optional
        Bars if it is a terminal: one for all, if there are several, and one for each trial that runs.
    clock : callable, optional
        Seconds.
    """

    def __init__(self, trials: Sequence[Job], console: Console | None = None, clock: Callable[[], float] = time.monotonic):
        console = console or Console()
        self._epochs = [trial.epochs for trial in trials]
        self._files = [trial.parts for trial in trials]
        self._speed = Speed(SPEED_SECONDS if len(trials) == 1 else SPEED_SECONDS_OF_MANY, clock)
        self._clock = clock
        self._line_at = clock()
        self._noted: set[str] = set()
        self._bars = _bars(console) if console.is_terminal else None
        self._bar_of: dict[int | None, TaskID] = {}
        if self._bars and len(trials) > 1:
            self._bar_of[None] = self._bars.add_task("all", total=sum(self._epochs), phase="", numbers="")

    def __enter__(self) -> "ProgressDisplay":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bars:
            self._bars.stop()

    def show(self, reports: Sequence[TrialReport], stopping: bool = False, last: bool = False) -> None:
        """Show where the trials stand that have begun.

        Parameters
        ----------
        reports : sequence of TrialReport
        stopping : bool
            They have been asked to stop.
        last : bool
            Nothing comes after this.
        """
        self._speed.update(sum(report.epochs for report in reports))
        self._show_notes(reports)
        running = [report for report in reports if report.running]
        counts = f"{'stopping; ' if stopping else ''}{self._counts(reports)}"
        numbers = self._numbers(sum(report.epochs + report.found for report in reports))
        if self._bars:
            self._show_bars(self._bars, counts, numbers, reports, running)
        elif last or self._clock() - self._line_at >= LINE_SECONDS:
            self._line_at = self._clock()
            typer.echo("  ".join([counts, numbers, *(_where(report) for report in running)]))

    def say(self, text: str) -> None:
        """Show a line about something else."""
        if self._bars:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text)

    def _show_notes(self, reports: Sequence[TrialReport]) -> None:
        for line in (line for report in reports for line in report.notes if line not in self._noted):
            self._noted.add(line)
            typer.echo(f"foraging-snn: {printable(line)}", err=True)

    def _counts(self, reports: Sequence[TrialReport]) -> str:
        """Files and trials that are done."""
        files = sum(report.experiments_done for report in reports)
        ended = sum(report.experiments_done == self._files[report.number] for report in reports)
        return f"{files}/{sum(self._files)} experiments, {ended}/{len(self._files)} trials"

    def _show_bars(
        self, bars: Progress, counts: str, numbers: str, reports: Sequence[TrialReport], running: Sequence[TrialReport]
    ) -> None:
        if None in self._bar_of:
            done = sum(report.epochs + report.found for report in reports)
            bars.update(self._bar_of[None], completed=done, phase=counts, numbers=numbers)
        for number in self._bar_of.keys() - {report.number for report in running} - {None}:
            bars.remove_task(self._bar_of.pop(number))
        for report in running:
            if report.number not in self._bar_of:
                epochs = self._epochs[report.number]
                self._bar_of[report.number] = bars.add_task(report.name, total=epochs, phase="", numbers="")
            alone = "" if None in self._bar_of else numbers
            shown = "  ".join(part for part in (_performance(report), alone) if part)
            where = f"{report.experiment} {report.phase}".strip()
            bars.update(self._bar_of[report.number], completed=report.epochs + report.found, phase=where, numbers=shown)

    def _numbers(self, done: int) -> str:
        total, speed = sum(self._epochs), self._speed.per_second
        parts = [f"{done}/{total} epochs"]
        if speed:
            parts.append(f"{speed:.0f}/s")
            parts += [f"{duration((total - done) / speed)} left"] if done < total else []
        return "  ".join(parts)


def _where(report: TrialReport) -> str:
    where = f"{report.name}: {report.experiment} {report.phase}".rstrip()
    return "  ".join(part for part in (where, _performance(report)) if part)


def _performance(report: TrialReport) -> str:
    return "" if report.performance is None else f"performance {report.performance:.2f}"


def _bars(console: Console) -> Progress:
    columns = ("{task.description}", "{task.fields[phase]}", "{task.fields[numbers]}")
    text = [TextColumn(column, markup=False) for column in columns]
    return Progress(*text[:2], BarColumn(bar_width=None), text[2], console=console, expand=True)


def duration(seconds: float) -> str:
    """As h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

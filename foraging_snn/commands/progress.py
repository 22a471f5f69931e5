"""What a run shows on the screen: bars on a terminal, a plain line now and then elsewhere."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from foraging_snn.environments import Outcome
from foraging_snn.models import EpochRecords, Phase, performance
from foraging_snn.running.scheduling import TrialReport
from foraging_snn.running.trunk import Listener

PERFORMANCE_AEONS = 20  # the performance shown is that of so many aeons
SPEED_SECONDS = 20.0  # the speed shown is that of so many seconds
SPEED_SECONDS_OF_MANY = 120.0  # the same for many trials
LINE_SECONDS = 30.0  # between two plain lines


def _never() -> bool:
    return False


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
        self.restart(0)

    def restart(self, done_epochs: int) -> None:
        """Count from now, when so many epochs are done."""
        self._times = deque([(self._clock(), done_epochs)])

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


class TrialProgress(Listener):
    """Where a trial stands.

    Parameters
    ----------
    total_epochs : int
        Of all phases of the trial together.
    epochs_per_aeon : int
    show : callable
        Called with this object whenever it has changed.
    clock : callable, optional
        Seconds.
    stop_wanted : callable, optional
        See :class:`Listener`.

    Attributes
    ----------
    phase : str
        Name of the phase that runs.
    done_epochs, total_epochs : int
    """

    def __init__(
        self,
        total_epochs: int,
        epochs_per_aeon: int,
        show: Callable[["TrialProgress"], None],
        clock: Callable[[], float] = time.monotonic,
        stop_wanted: Callable[[], bool] = _never,
    ):
        self.stop_wanted = stop_wanted
        self.phase = ""
        self.done_epochs = 0
        self.total_epochs = total_epochs
        self._performance_epochs = PERFORMANCE_AEONS * epochs_per_aeon
        self._show = show
        self._eaten: deque[tuple[int, int, int]] = deque()  # epochs, rewarded, punished of the latest pieces
        self._speed = Speed(SPEED_SECONDS, clock)

    def begin(self, phase: Phase, recorded: bool) -> None:
        """See :class:`Listener`."""
        self.phase = phase.name if recorded else f"{phase.name} (for its rates)"
        self._eaten.clear()
        self._show(self)

    def epochs(self, records: EpochRecords) -> None:
        """See :class:`Listener`."""
        n = len(records)
        self.done_epochs += n
        rewarded, punished = ((records.outcome == outcome).sum() for outcome in (Outcome.REWARDED, Outcome.PUNISHED))
        self._eaten.append((n, int(rewarded), int(punished)))
        while sum(piece[0] for piece in self._eaten) - self._eaten[0][0] >= self._performance_epochs:
            self._eaten.popleft()
        self._speed.update(self.done_epochs)
        self._show(self)

    def resumed(self, epochs: int) -> None:
        """See :class:`Listener`."""
        self.done_epochs = epochs
        self._speed.restart(epochs)

    @property
    def performance(self) -> float:
        """Rewarded / (rewarded + punished) in the latest aeons of this phase; NaN if nothing was eaten."""
        return performance(sum(piece[1] for piece in self._eaten), sum(piece[2] for piece in self._eaten))

    @property
    def speed(self) -> float:
        """Epochs per second lately; 0 before the first ones."""
        return self._speed.per_second

    @property
    def seconds_left(self) -> float | None:
        """Until the end of the trial at this speed."""
        return (self.total_epochs - self.done_epochs) / self.speed if self.speed else None


class _WithBars:
    """What is shown in bars on a terminal, in a `with` block, and in plain lines elsewhere."""

    def __init__(self, console: Console | None):
        console = console or Console()
        self._bars = _bars(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bars:
            self._bars.stop()


def _bars(console: Console) -> Progress:
    columns = ("{task.description}", "{task.fields[phase]}", "{task.fields[numbers]}")
    text = [TextColumn(column, markup=False) for column in columns]
    return Progress(*text[:2], BarColumn(bar_width=None), text[2], console=console, expand=True)


class Board(_WithBars):
    """Shows trials while they run; a context manager.

    Parameters
    ----------
    epochs_per_aeon : int
    console : rich.console.Console, optional
        Bars if it is a terminal.
    stop_wanted : callable, optional
        Whether the trials are to be stopped, see :class:`Listener`.
    """

    def __init__(self, epochs_per_aeon: int, console: Console | None = None, stop_wanted: Callable[[], bool] = _never):
        super().__init__(console)
        self._epochs_per_aeon = epochs_per_aeon
        self._stop_wanted = stop_wanted

    def trial(self, name: str, total_epochs: int) -> TrialProgress:
        """A new trial on the board."""
        show = self._bar(name, total_epochs) if self._bars else self._lines(name)
        return TrialProgress(total_epochs, self._epochs_per_aeon, show, stop_wanted=self._stop_wanted)

    def _bar(self, name: str, total_epochs: int) -> Callable[[TrialProgress], None]:
        bar = self._bars.add_task(name, total=total_epochs, phase="", numbers="")

        def show(trial: TrialProgress) -> None:
            self._bars.update(bar, completed=trial.done_epochs, phase=trial.phase, numbers=numbers(trial))

        return show

    def _lines(self, name: str) -> Callable[[TrialProgress], None]:
        last = time.monotonic()

        def show(trial: TrialProgress) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_SECONDS or trial.done_epochs == trial.total_epochs:
                last = time.monotonic()
                typer.echo(f"{name}  {trial.phase}  {numbers(trial)}")

        return show


class TrialsBoard(_WithBars):
    """Shows many trials that run at the same time; a context manager.

    Parameters
    ----------
    experiments : int
        Number of experiments in each trial.
    epochs : sequence of int
        Of each trial.
    console : rich.console.Console, optional
        Bars if it is a terminal: one for all, and one for each trial that runs.
    clock : callable, optional
        Seconds.
    """

    def __init__(
        self,
        experiments: int,
        epochs: Sequence[int],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(console)
        self._trials, self._experiments, self._epochs = len(epochs), experiments, epochs
        self._total = sum(epochs)
        self._speed = Speed(SPEED_SECONDS_OF_MANY, clock)
        self._clock = clock
        self._line_at = clock()
        if self._bars:
            self._all = self._bars.add_task("all", total=self._total, phase="", numbers="")
            self._bar_of: dict[int, TaskID] = {}

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
        done = sum(report.epochs for report in reports)
        self._speed.update(done)
        files = sum(report.experiments_done for report in reports)
        ended = sum(report.experiments_done == self._experiments for report in reports)
        counts = f"{files}/{self._trials * self._experiments} experiments, {ended}/{self._trials} trials"
        counts = f"stopping; {counts}" if stopping else counts
        running = [report for report in reports if report.running]
        if self._bars:
            self._show_bars(counts, done, running)
        elif last or self._clock() - self._line_at >= LINE_SECONDS:
            self._line_at = self._clock()
            typer.echo("  ".join([counts, self._numbers(done), *(_where(report) for report in running)]))

    def say(self, text: str) -> None:
        """Show a line about something else."""
        if self._bars:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            typer.echo(text)

    def _show_bars(self, counts: str, done: int, running: Sequence[TrialReport]) -> None:
        self._bars.update(self._all, completed=done, phase=counts, numbers=self._numbers(done))
        for number in self._bar_of.keys() - {report.number for report in running}:
            self._bars.remove_task(self._bar_of.pop(number))
        for report in running:
            if report.number not in self._bar_of:
                epochs = self._epochs[report.number]
                self._bar_of[report.number] = self._bars.add_task(report.name, total=epochs, phase="", numbers="")
            where = f"{report.experiment} {report.phase}".strip()
            self._bars.update(self._bar_of[report.number], completed=report.epochs, phase=where)

    def _numbers(self, done: int) -> str:
        total, speed = self._total, self._speed.per_second
        parts = [f"{done}/{total} epochs"]
        if speed:
            parts.append(f"{speed:.0f}/s")
            parts += [f"{duration((total - done) / speed)} left"] if done < total else []
        return "  ".join(parts)


def _where(report: TrialReport) -> str:
    return f"{report.name}: {report.experiment} {report.phase}".rstrip()


def numbers(trial: TrialProgress) -> str:
    """Epochs done, speed, running performance and time left, in one line."""
    parts = [f"{trial.done_epochs}/{trial.total_epochs} epochs"]
    if trial.speed:
        parts.append(f"{trial.speed:.0f}/s")
    if trial.performance == trial.performance:  # not NaN
        parts.append(f"performance {trial.performance:.2f}")
    if trial.seconds_left and trial.done_epochs < trial.total_epochs:
        parts.append(f"{duration(trial.seconds_left)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """As h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

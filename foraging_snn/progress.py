"""What a run shows on the screen: a bar per trial on a terminal, a plain line now and then elsewhere."""

import time
from collections import deque
from collections.abc import Callable

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from foraging_snn.environments import Outcome
from foraging_snn.models import EpochRecords, Phase, performance
from foraging_snn.running import Listener

PERFORMANCE_AEONS = 20  # the performance shown is that of so many aeons
SPEED_SECONDS = 20.0  # the speed shown is that of so many seconds
LINE_SECONDS = 30.0  # between two plain lines


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
    ):
        self.phase = ""
        self.done_epochs = 0
        self.total_epochs = total_epochs
        self._performance_epochs = PERFORMANCE_AEONS * epochs_per_aeon
        self._show = show
        self._clock = clock
        self._eaten: deque[tuple[int, int, int]] = deque()  # epochs, rewarded, punished of the latest pieces
        self._times = deque([(clock(), 0)])

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
        self._times.append((self._clock(), self.done_epochs))
        while len(self._times) > 2 and self._times[-1][0] - self._times[1][0] >= SPEED_SECONDS:
            self._times.popleft()
        self._show(self)

    @property
    def performance(self) -> float:
        """Rewarded / (rewarded + punished) in the latest aeons of this phase; NaN if nothing was eaten."""
        return performance(sum(piece[1] for piece in self._eaten), sum(piece[2] for piece in self._eaten))

    @property
    def speed(self) -> float:
        """Epochs per second lately; 0 before the first ones."""
        (first, before), (last, after) = self._times[0], self._times[-1]
        return (after - before) / (last - first) if last > first else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the end of the trial at this speed."""
        return (self.total_epochs - self.done_epochs) / self.speed if self.speed else None


class Board:
    """Shows trials while they run; a context manager.

    Parameters
    ----------
    epochs_per_aeon : int
    console : rich.console.Console, optional
        Bars if it is a terminal.
    """

    def __init__(self, epochs_per_aeon: int, console: Console | None = None):
        self._epochs_per_aeon = epochs_per_aeon
        self._bars: Progress | None = None
        console = console or Console()
        if console.is_terminal:
            columns = ("{task.description}", "{task.fields[phase]}", "{task.fields[numbers]}")
            text = [TextColumn(column, markup=False) for column in columns]
            self._bars = Progress(*text[:2], BarColumn(bar_width=None), text[2], console=console, expand=True)

    def __enter__(self) -> "Board":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bars:
            self._bars.stop()

    def trial(self, name: str, total_epochs: int) -> TrialProgress:
        """A new trial on the board."""
        show = self._bar(name, total_epochs) if self._bars else self._lines(name)
        return TrialProgress(total_epochs, self._epochs_per_aeon, show)

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

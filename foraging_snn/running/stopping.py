"""When a run is to be stopped: by a signal, or because its time is over. Stopping itself is up to those who ask here."""

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum


class StopCause(Enum):
    """Why a run was stopped: what is said of it, and the exit code of the process."""

    CTRL_C = ("interrupted", 130)  # 128 and the number of the signal, as shells have it
    TERMINATED = ("terminated", 143)
    HUNG_UP = ("the terminal was closed", 129)
    TIME_IS_OVER = ("--max-hours is over", 3)
    SCHEDULER_LOST = ("--scheduler: lost the connection to it; trials under way there save and stop by themselves", 2)

    def __init__(self, words: str, exit_code: int):
        self.words = words
        self.exit_code = exit_code


SIGNALS: dict[int, StopCause] = {
    signal.SIGINT: StopCause.CTRL_C,
    signal.SIGTERM: StopCause.TERMINATED,
    signal.SIGHUP: StopCause.HUNG_UP,
}


def _nothing() -> None:
    pass


class StopRequest:
    """Whether a run is to be stopped.

    Parameters
    ----------
    max_hours : float, optional
        From now on; no limit if omitted.

    Attributes
    ----------
    cause : StopCause or None
        Why it is to be stopped.
    """

    def __init__(self, max_hours: float | None = None):
        self.cause: StopCause | None = None
        self._ends_at = float("inf") if max_hours is None else time.monotonic() + max_hours * 3600.0

    def is_wanted(self) -> bool:
        """The run is to be stopped."""
        if time.monotonic() >= self._ends_at:
            self.is_wanted_because(StopCause.TIME_IS_OVER)
        return self.cause is not None

    def is_wanted_because(self, cause: StopCause) -> None:
        """Ask for it; the first cause is the one that is told."""
        self.cause = self.cause or cause

    @contextmanager
    def listening(self, asked: Callable[[], None] = _nothing, at_once: Callable[[], None] = _nothing) -> Iterator[None]:
        """Take Ctrl-C, SIGTERM and SIGHUP for requests while a block runs; a second Ctrl-C interrupts the block.

        Parameters
        ----------
        asked : callable, optional
            Called whenever one arrives.
        at_once : callable, optional
            Called before the block is interrupted.

        Notes
        -----
        SIGHUP goes on being ignored where it was: that is what `nohup` is for.
        """

        def hear(number: int, *_: object) -> None:
            if number == signal.SIGINT and self.cause is not None:
                at_once()
                raise KeyboardInterrupt
            if number == signal.SIGHUP:
                _leave_terminal()
            self.is_wanted_because(SIGNALS[number])
            asked()

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread is interrupted
            return
        heard = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, hear) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _leave_terminal() -> None:
    """Let what is written from now on go nowhere rather than to a terminal: to write to one that was closed is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        with suppress(OSError):  # closed, too
            if stat.S_ISCHR(os.fstat(output).st_mode):
                os.dup2(nowhere, output)
    os.close(nowhere)

"""When a run is to be stopped: by Ctrl-C, by SIGTERM, or because its time is over. Stopping itself is up to those who ask here."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class StopCause(Enum):
    """Why a run was stopped: what is said of it, and the exit code of the process."""

    CTRL_C = ("interrupted", 130)  # 128 and the number of the signal, as shells have it
    TERMINATED = ("terminated", 143)
    TIME_IS_OVER = ("--max-hours is over", 3)

    def __init__(self, words: str, exit_code: int):
        self.words = words
        self.exit_code = exit_code


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
        if self.cause is None and time.monotonic() >= self._ends_at:
            self.cause = StopCause.TIME_IS_OVER
        return self.cause is not None

    def by_signal(self, number: int, *_: object) -> None:
        """A signal has arrived. A second Ctrl-C interrupts at once."""
        if number == signal.SIGINT and self.cause is not None:
            raise KeyboardInterrupt
        self.cause = self.cause or (StopCause.CTRL_C if number == signal.SIGINT else StopCause.TERMINATED)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM for requests while a block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread is interrupted
            return
        before = {number: signal.signal(number, self.by_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

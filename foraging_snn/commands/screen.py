"""The screen may go away, e.g. with a reader of our output that has seen enough; no computation ends because of that."""

import os
import sys
from contextlib import suppress
from typing import Any


class Screen:
    """A stream for text that goes on silently when it cannot be written to any more.

    Parameters
    ----------
    stream : text stream
        Standard output or standard error; anything but writing is left to it.
    descriptor : int
        Of the stream: after a failure, whatever is written there goes nowhere.

    Attributes
    ----------
    failure : OSError or None
        Why it cannot be written to.
    """

    def __init__(self, stream: Any, descriptor: int):
        self._stream, self._descriptor = stream, descriptor
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or give up for good."""
        try:
            return self._stream.write(text)
        except OSError as failure:
            self._give_up(failure)
            return len(text)

    def flush(self) -> None:
        """Flush, or give up for good."""
        try:
            self._stream.flush()
        except OSError as failure:
            self._give_up(failure)

    def _give_up(self, failure: OSError) -> None:
        self.failure = self.failure or failure
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()  # of what is still held back


def open_screens() -> Screen:
    """Put a :class:`Screen` before standard output, which is returned, and before standard error; a closed one leads nowhere."""
    screens = []
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us; files that are opened later must not get its number
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for the life of the process
        screens.append(Screen(stream, descriptor))
        setattr(sys, name, screens[-1])
    return screens[0]

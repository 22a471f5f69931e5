"""Failures that can be foreseen: they end in one line, not in a traceback."""

from foraging_snn.environments.images import ImageError
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import AnalysisError
from foraging_snn.files.states import StateError
from foraging_snn.models import EngineError, ParameterError, WiringError
from foraging_snn.models.artificial import NetworkError
from foraging_snn.protocols import ExperimentError


class RunError(ValueError):
    """A run cannot be started; the message is one line."""


class LedgerError(RuntimeError):
    """The ledger cannot be written, or another process is at work on the same; the message is one line."""


FORESEEN = (
    ParameterError,
    ExperimentError,
    EngineError,
    RecordingError,
    LedgerError,
    StateError,
    WiringError,
    RunError,
    AnalysisError,
    ImageError,
    NetworkError,
    OSError,
)


def one_line(error: BaseException) -> str:
    """Message of an error, the file included where the operating system names one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split("\n")) or type(error).__name__

"""The layout of the file of a trial: groups, tables and their columns, names, and which epochs are kept.

Nothing else in the package knows what lies where. It is written by writer.py, read by reader.py, and described for users in
docs/file_format.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from foraging_snn.models import AEON_COUNTS, Activity, EpochRecords, NetworkState, Parameters, Phase, PhaseRecord
from foraging_snn.models.schema import Field, schema_of

FORMAT_NAME = "foraging_snn trial"
FORMAT_VERSION = 1

PROVENANCE, STARTED_FROM, WIRING, PHASES = "provenance", "started_from", "wiring", "phases"
STATE = "state"  # of a phase: the whole state at its end, as in the file of a state
CHANGES = "changes"  # attribute of a phase; only if parameters are changed in it
KEEP_PATTERNS, SELECTIVE, RULES, RATES_FROM = "keep_patterns", "selective", "rules", "rates_from"  # likewise
OTHER_VERSIONS = "other_versions"  # in the provenance; only if there are any
AEONS, SNAPSHOTS, INPUT_SNAPSHOTS, POSITIONS, SPIKES = "aeons", "snapshots", "input_snapshots", "positions", "spikes"
TESTS = "tests"  # during phases; a test that is a phase has its counts in the aeons
ACTIVITY_LEGEND = "activity_names"  # attribute of the phases
PAPER_ACTIVITIES = (  # an activity is written as its position here; others of a file follow, see numbered_activities()
    Activity.UNSUPERVISED,
    Activity.train("T1"),
    Activity.train("T2"),
    Activity.test("T1"),
    Activity.test("T2"),
    Activity.SLEEP,
    Activity.UNIFORM_SLEEP,
)

COUNTS_OF_TEST = ("rewarded", "punished", "other", "hidden_spikes", "output_spikes")

_STATE, _RECORDS = schema_of(NetworkState), schema_of(EpochRecords)


def _table(rows: str, columns: Mapping[str, Field]) -> dict[str, Field]:
    return {"phase": Field(np.int32, (rows,), "1", "number of the phase, as in /phases", low=0, ascending=True), **columns}


def _snapshots(rows: str, *names: str) -> dict[str, Field]:
    """Fields of the state over time; the large ones in half the room, which is enough for every figure."""
    epoch = Field(np.int64, (rows,), "epochs", "completed epochs since the trial began", low=0, ascending=True)
    kinds = {name: _STATE[name].kind if _STATE[name].axes == ("output",) else np.float32 for name in names}
    return _table(rows, {"epoch": epoch, **{name: _STATE[name].over(rows, kind=kind) for name, kind in kinds.items()}})


def _at_start(name: str, when: str = "") -> Field:
    return replace(_STATE[name], meaning=_STATE[name].meaning + when)


# What is in the file once, and once in each phase.
FIXED: dict[str, dict[str, Field]] = {
    WIRING: {
        "input_index": _at_start("input_index"),
        "hidden_index": _at_start("hidden_index"),
        "input_hidden": _at_start("input_hidden", " when the recording began"),
        "hidden_output": _at_start("hidden_output", " at that time"),
        "inhibition": _at_start("inhibition"),
    },
    PHASES: {name: _STATE[name] for name in ("task_spikes", "task_epochs")},
}
TABLES: dict[str, dict[str, Field]] = {
    AEONS: _table(
        "aeon_row",
        {
            "aeon": Field(np.int64, ("aeon_row",), "aeons", "number of the aeon within its phase, from 0", low=0),
            **AEON_COUNTS,
            "eaten": schema_of(PhaseRecord)["eaten"],
        },
    ),
    SNAPSHOTS: _snapshots("snapshot", "hidden_output", "resistance", "hidden_rate", "output_rate"),
    INPUT_SNAPSHOTS: _snapshots("input_snapshot", "input_hidden", "hidden_input_target"),
    POSITIONS: _table(
        "epoch_row",
        {
            "epoch": Field(
                np.int64, ("epoch_row",), "1", "number of the epoch since the trial began, from 0", low=0, ascending=True
            ),
            **{name: _RECORDS[name] for name in ("awake", "x", "y", "move", "eaten", "outcome")},
        },
    ),
    SPIKES: _table("spike", {"step": _RECORDS["spike_step"], "cell": _RECORDS["spike_cell"]}),
    TESTS: _table(
        "test",
        {
            "epoch": Field(np.int64, ("test",), "epochs", "completed epochs since the trial began; the test is not among them"),
            "task": Field(np.int16, ("test",), "1", "number of the task, from 1"),
            **{name: replace(AEON_COUNTS[name], axes=("test",)) for name in COUNTS_OF_TEST},
            "epochs": Field(np.int64, ("test",), "epochs", "length of the test"),
        },
    ),
}


class RecordingError(RuntimeError):
    """The file of a trial cannot be written or read; the message is one line that names it."""


def numbered_activities(phases: Iterable[Phase]) -> list[str]:
    """Names of the activities in a file of these phases, each at the number that stands for it there."""
    names = (activity.name for activity in (*PAPER_ACTIVITIES, *(activity for phase in phases for activity in phase.activities)))
    return list(dict.fromkeys(names))


def activity_legend(phases: Iterable[Phase]) -> str:
    """What the numbers of activities mean in a file of these phases."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(numbered_activities(phases)))


def recorded_tables(parameters: Parameters) -> Iterable[str]:
    """Names of the tables that the files of such trials have."""
    left_out = set() if keeps_positions(parameters) else {POSITIONS}
    left_out |= set() if parameters.recording.spike_window_epochs else {SPIKES}
    left_out |= set() if parameters.recording.test_every else {TESTS}
    return [name for name in TABLES if name not in left_out]


def keeps_state(parameters: Parameters, phase: Phase, is_last: bool) -> bool:
    """Whether the state at the end of a phase is kept: not that of a test, which learns nothing, unless it ends the trial."""
    return parameters.recording.states and (is_last or not phase.is_test)


def keeps_positions(parameters: Parameters) -> bool:
    """Whether the agent's positions are recorded, in any epoch."""
    return parameters.recording.positions or parameters.recording.position_window_epochs > 0


def snapshot_epochs(parameters: Parameters, phase: Phase, is_first: bool) -> list[int]:
    """Numbers of completed epochs of a phase at which snapshots are taken; with its start if it is the first of a file."""
    n = parameters.recording.test_snapshots if phase.is_test else parameters.recording.snapshots_per_phase
    epochs = {round(phase.epochs * k / n) for k in range(1, n + 1)} - {0}
    return sorted(epochs | {0} if is_first else epochs)


def test_interval(parameters: Parameters, phase: Phase) -> int:
    """After how many epochs of a phase the network is tested, and then again and at its end; 0: never."""
    return 0 if phase.is_test or phase.is_unsupervised else parameters.recording.test_every


def spike_windows(parameters: Parameters, phase_epochs: int) -> list[range]:
    """Epochs of a phase of which all spikes are kept."""
    return _evenly_spaced(parameters.recording.windows, parameters.recording.spike_window_epochs, phase_epochs)


def position_windows(parameters: Parameters, phase_epochs: int) -> list[range]:
    """Epochs of a phase of which the positions are kept."""
    if parameters.recording.positions:
        return [range(phase_epochs)]
    return _evenly_spaced(parameters.recording.windows, parameters.recording.position_window_epochs, phase_epochs)


def _evenly_spaced(n: int, length: int, phase_epochs: int) -> list[range]:
    """`n` windows, the first at the start of the phase, the last at its end; those that overlap or touch are made one."""
    last = max(0, phase_epochs - length)
    starts = [last] if n == 1 else [round(last * k / (n - 1)) for k in range(n)]
    windows: list[range] = []
    for start in starts if length else ():
        window = range(start, min(start + length, phase_epochs))
        if windows and window.start <= windows[-1].stop:
            windows[-1] = range(windows[-1].start, window.stop)
        else:
            windows.append(window)
    return windows


def phase_path(index: int) -> str:
    """Where a phase stands in the file."""
    return f"{PHASES}/{index:03d}"

"""The layout of the file of a trial: groups, tables and their columns, names, and which epochs are kept.

Nothing else in the package knows what lies where. It is written by writer.py, read by reader.py, and described for users in
docs/file_format.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foraging_snn.environments import N_PARTICLE_TYPES, PARTICLE_NAMES, TASKS, Outcome
from foraging_snn.models import N_OUTPUT, Activity, Parameters, Phase, all_activities

FORMAT_NAME = "foraging_snn trial"
FORMAT_VERSION = 1

PROVENANCE, STARTED_FROM, WIRING, PHASES = "provenance", "started_from", "wiring", "phases"
OTHER_VERSIONS = "other_versions"  # in the provenance; only if there are any
AEONS, SNAPSHOTS, INPUT_SNAPSHOTS, POSITIONS, SPIKES = "aeons", "snapshots", "input_snapshots", "positions", "spikes"
ACTIVITY_LEGEND = "activity_names"  # attribute of the phases
PAPER_ACTIVITIES = (  # an activity is written as its position here; all others follow, see numbered_activities()
    Activity.UNSUPERVISED,
    Activity.train("T1"),
    Activity.train("T2"),
    Activity.test("T1"),
    Activity.test("T2"),
    Activity.SLEEP,
    Activity.UNIFORM_SLEEP,
)
TYPE_NAMES = ", ".join(f"{int(number)} {name}" for number, name in PARTICLE_NAMES.items())
OUTCOME_NAMES = ", ".join(f"{int(outcome)} {outcome.name.lower()}" for outcome in Outcome)


@dataclass(frozen=True)
class Column:
    """A dataset: type, the axes after the rows (names of :func:`axis_sizes`), unit and meaning."""

    kind: type
    axes: tuple[str, ...]
    unit: str
    meaning: str


_PHASE = Column(np.int32, (), "1", "number of the phase, as in /phases")
_EPOCH = Column(np.int64, (), "epochs", "completed epochs since the trial began")

FIXED: dict[str, dict[str, Column]] = {
    WIRING: {
        "input_index": Column(np.int32, ("synapse",), "1", "presynaptic input cell of each input-to-hidden synapse, from 0"),
        "hidden_index": Column(np.int32, ("synapse",), "1", "postsynaptic hidden cell of each input-to-hidden synapse, from 0"),
        "input_hidden": Column(np.float64, ("synapse",), "1", "strengths input to hidden when the recording began"),
        "hidden_output": Column(np.float64, ("hidden", "output"), "1", "excitatory strengths hidden to output at that time"),
        "inhibition": Column(np.float64, ("hidden",), "1", "inhibitory strength of a hidden cell onto each output cell"),
    },
    PHASES: {
        "task_spikes": Column(np.int64, ("task", "hidden"), "spikes", "spikes in the most recent training on Task 1 and 2"),
        "task_epochs": Column(np.int64, ("task",), "epochs", "epochs of that training"),
    },
}
TABLES: dict[str, dict[str, Column]] = {
    AEONS: {
        "phase": _PHASE,
        "aeon": Column(np.int64, (), "aeons", "number of the aeon within its phase, from 0"),
        "epochs": Column(np.int64, (), "epochs", "epochs counted in this row"),
        "moves": Column(np.int64, (), "epochs", "of these, epochs awake"),
        "rewarded": Column(np.int64, (), "particles", "rewarded particles eaten"),
        "punished": Column(np.int64, (), "particles", "punished particles eaten"),
        "other": Column(np.int64, (), "particles", "particles outside the task eaten"),
        "hidden_spikes": Column(np.int64, (), "spikes", "spikes of the hidden layer"),
        "output_spikes": Column(np.int64, (), "spikes", "spikes of the output layer"),
        "eaten": Column(np.int64, ("type",), "particles", f"particles eaten, by type: {', '.join(PARTICLE_NAMES.values())}"),
    },
    SNAPSHOTS: {
        "phase": _PHASE,
        "epoch": _EPOCH,
        "hidden_output": Column(np.float32, ("hidden", "output"), "1", "excitatory strengths hidden to output"),
        "resistance": Column(np.float64, ("output",), "1", "resistance of each output cell"),
        "hidden_rate": Column(np.float32, ("hidden",), "spikes/epoch", "running average of the firing rate of each hidden cell"),
        "output_rate": Column(np.float64, ("output",), "spikes/epoch", "running average of the firing rate of each output cell"),
    },
    INPUT_SNAPSHOTS: {
        "phase": _PHASE,
        "epoch": _EPOCH,
        "input_hidden": Column(np.float32, ("synapse",), "1", "strengths input to hidden"),
        "hidden_input_target": Column(np.float32, ("hidden",), "1", "sum to which the inputs of each hidden cell are scaled"),
    },
    POSITIONS: {
        "phase": _PHASE,
        "epoch": Column(np.int64, (), "1", "number of the epoch since the trial began, from 0"),
        "awake": Column(np.uint8, (), "1", "1 awake, 0 asleep (the agent does not move)"),
        "x": Column(np.int16, (), "squares", "column of the agent after the move, from 0"),
        "y": Column(np.int16, (), "squares", "row of the agent after the move, from 0, upwards"),
        "move": Column(np.int8, (), "1", "move made: 3 (dy + 1) + dx + 1; 4 staying"),
        "eaten": Column(np.int8, (), "1", f"particle eaten: 0 none, {TYPE_NAMES}"),
        "outcome": Column(np.int8, (), "1", f"what it was in the task: {OUTCOME_NAMES}"),
    },
    SPIKES: {
        "phase": _PHASE,
        "step": Column(np.int64, (), "steps", "step since the trial began"),
        "cell": Column(np.int32, (), "1", "cell, from 0, in the order input, hidden, output"),
    },
}


class RecordingError(RuntimeError):
    """The file of a trial cannot be written or read; the message is one line that names it."""


def numbered_activities() -> list[Activity]:
    """All activities, each at the number that stands for it in a file written now."""
    return [*PAPER_ACTIVITIES, *(activity for activity in all_activities() if activity not in PAPER_ACTIVITIES)]


def activity_legend() -> str:
    """What the numbers of activities mean in a file written now."""
    return ", ".join(f"{number} {activity.name}" for number, activity in enumerate(numbered_activities()))


def axis_sizes(parameters: Parameters) -> dict[str, int]:
    """Lengths of the axes named in :class:`Column`, in a file written now."""
    return {
        "synapse": parameters.n_hidden * parameters.network.inputs_per_hidden_cell,
        "hidden": parameters.n_hidden,
        "output": N_OUTPUT,
        "task": len(TASKS),
        "type": N_PARTICLE_TYPES,
    }


def recorded_tables(parameters: Parameters) -> Iterable[str]:
    """Names of the tables that the files of such trials have."""
    left_out = set() if keeps_positions(parameters) else {POSITIONS}
    left_out |= set() if parameters.recording.spike_window_epochs else {SPIKES}
    return [name for name in TABLES if name not in left_out]


def keeps_positions(parameters: Parameters) -> bool:
    """Whether the agent's positions are recorded, in any epoch."""
    return parameters.recording.positions or parameters.recording.position_window_epochs > 0


def snapshot_epochs(parameters: Parameters, phase: Phase, is_first: bool) -> list[int]:
    """Numbers of completed epochs of a phase at which snapshots are taken; with its start if it is the first of a file."""
    n = parameters.recording.test_snapshots if phase.is_test else parameters.recording.snapshots_per_phase
    epochs = {round(phase.epochs * k / n) for k in range(1, n + 1)} - {0}
    return sorted(epochs | {0} if is_first else epochs)


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

"""The file of a trial: its layout, its writer and its reader. Nothing else in the package knows what lies where.

The layout is described for users in docs/file_format.md. States, which a run can start from, are another kind of file: states.py.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.environments import N_PARTICLE_TYPES, PARTICLE_NAMES, TASKS, Outcome
from foraging_snn.environments import PARTICLE_OFFSETS as PARTICLE_OFFSETS  # analyses find here what a file's numbers mean
from foraging_snn.files.conditions import changed_rules, command_options, different_rules, shortened_lengths
from foraging_snn.files.hdf5 import (
    GrowingFile,
    damage_reported,
    open_for_reading,
    read_name,
    read_number,
    read_text,
    write_format,
    write_text,
    write_texts,
)
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.states import SavedState
from foraging_snn.models import (
    AEON_COUNTS,
    MAX_SEED,
    N_OUTPUT,
    Activity,
    Block,
    EpochRecords,
    NetworkState,
    ParameterError,
    Parameters,
    Phase,
    PhaseRecord,
    Recorder,
    performance,
)
from foraging_snn.models.engine import AeonCounter
from foraging_snn.protocols import Experiment, PublishedValue, experiments

FORMAT_NAME = "foraging_snn trial"
FORMAT_VERSION = 1

PROVENANCE, STARTED_FROM, WIRING, PHASES = "provenance", "started_from", "wiring", "phases"
OTHER_VERSIONS = "other_versions"  # in the provenance; only if there are any
AEONS, SNAPSHOTS, INPUT_SNAPSHOTS, POSITIONS, SPIKES = "aeons", "snapshots", "input_snapshots", "positions", "spikes"
ACTIVITIES = (  # an activity is written as its position here
    Activity.UNSUPERVISED,
    Activity.TRAIN_TASK_1,
    Activity.TRAIN_TASK_2,
    Activity.TEST_TASK_1,
    Activity.TEST_TASK_2,
    Activity.SLEEP,
    Activity.UNIFORM_SLEEP,
)
ACTIVITY_NAMES = ", ".join(f"{number} {activity.value}" for number, activity in enumerate(ACTIVITIES))
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

CHUNK_BYTES = 16 * 1024  # of an uncompressed chunk; larger rows have a chunk of their own
MAX_BLOCK_EPOCHS = 10**9  # more than any parameter allows
COMPRESSION = {"compression": "gzip", "shuffle": True}
FLUSH_SECONDS = 10.0  # what a killed process loses at most
FLUSH_BYTES = 8 * 1024**2


class RecordingError(RuntimeError):
    """The file of a trial cannot be written or read; the message is one line that names it."""


class AnalysisError(ValueError):
    """What is asked of recorded trials cannot be done; the message is one line. Raised by analysis/, imported only when needed."""


def axis_sizes(parameters: Parameters) -> dict[str, int]:
    """Lengths of the axes named in :class:`Column`."""
    return {
        "synapse": parameters.n_hidden * parameters.network.inputs_per_hidden_cell,
        "hidden": parameters.n_hidden,
        "output": N_OUTPUT,
        "task": len(TASKS),
        "type": N_PARTICLE_TYPES,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# ---------------------------------------------------------------------------------------------------------------- writing


class TrialWriter:
    """Writes the file of one trial while it runs.

    Parameters
    ----------
    path : path
        The file; it must not exist.
    parameters : Parameters
    experiment : Experiment
        Its name and label are kept.
    seed, trial : int
        Seed of the trial and its number in the run.
    engine, command_line : str
        For the provenance.
    started_from : SavedState or str, optional
        What stood in for the unsupervised phase.

    Raises
    ------
    RecordingError
        The file exists (it is left as it is) or cannot be written, here or in any method.

    Notes
    -----
    A context manager. Leaving it without :meth:`complete`, by an exception or not, leaves a readable file marked incomplete.
    Rows are collected in memory, and space on disk is reserved for them before the file is touched. So a disk that fills up
    leaves the file as it was when it was last written, and a killed process loses at most some seconds.

    Examples
    --------
    >>> with TrialWriter("trial.h5", parameters=p, experiment=e, seed=1, trial=0, engine="brian2", command_line="") as writer:
    ...     writer.write_wiring(state)
    ...     recorder = writer.begin_phase(phase, state)
    ...     state, record = engine.run(state, phase, recorder=recorder)
    ...     writer.end_phase(record, state)
    ...     writer.complete()
    """

    def __init__(
        self,
        path: str | Path,
        *,
        parameters: Parameters,
        experiment: Experiment,
        seed: int,
        trial: int,
        engine: str,
        command_line: str,
        started_from: SavedState | str | None = None,
    ):
        disk = GrowingFile.new(Path(path), RecordingError)
        try:
            with disk.writing(0) as self._file:
                self._set_up(disk, parameters, seed, started_from)
                self._write_header(experiment, trial, provenance(engine, command_line), started_from)
                self.tables = {name: _new_table(self._file, name, parameters) for name in _recorded_tables(parameters)}
        except BaseException:  # also Ctrl-C: a file without a header is of no use
            disk.discard()
            raise

    @classmethod
    def continuing(
        cls, path: str | Path, *, parameters: Parameters, seed: int, started_from: SavedState | str | None = None
    ) -> "TrialWriter":
        """Write on in the file of a trial that has not come to its end.

        Parameters
        ----------
        path : path
            As it was after a :meth:`flush`; the run must go on with the state of that moment.
        parameters, seed, started_from
            Those with which the file was begun.

        Raises
        ------
        RecordingError
            The file cannot be written, or is damaged.
        """
        writer = cls.__new__(cls)
        disk = GrowingFile.existing(Path(path), RecordingError)
        try:
            with damage_reported(disk.path, RecordingError), disk.writing(0) as writer._file:
                writer._set_up(disk, parameters, seed, started_from)
                writer.tables = {name: _existing_table(writer._file, name) for name in _recorded_tables(parameters)}
                writer._n_phases = len(writer._file[PHASES])
                writer._name_versions([version_and_commit(provenance("", ""))])
        except BaseException:
            disk.close()
            raise
        return writer

    def _set_up(self, disk: GrowingFile, parameters: Parameters, seed: int, started_from: SavedState | str | None) -> None:
        self.path = disk.path
        self.parameters = parameters
        self._disk = disk
        self._seed = seed
        self._started_from = None if started_from is None else str(started_from)
        self._recorder: _PhaseRecorder | None = None
        self._n_phases = 0
        self._written_at = time.monotonic()

    def _write_header(
        self, experiment: Experiment, trial: int, origin: dict[str, str], started_from: SavedState | str | None
    ) -> None:
        write_format(self._file, FORMAT_NAME, FORMAT_VERSION)
        texts = {"experiment": experiment.name, "label": experiment.label, "parameters": self.parameters.to_toml()}
        texts |= {"started": _now(), "started_from": self._started_from or ""}
        write_texts(self._file.attrs, texts)
        write_text(self._file.attrs, "ended", "", length=len(_now()))
        self._file.attrs.update({"seed": np.int64(self._seed), "trial": np.int64(trial), "complete": np.uint8(0)})
        write_texts(self._file.create_group(PROVENANCE).attrs, origin)
        if isinstance(started_from, SavedState):
            write_texts(self._file.create_group(STARTED_FROM).attrs, started_from.provenance)
        write_text(self._file.create_group(PHASES).attrs, "activity_names", ACTIVITY_NAMES)

    def _name_versions(self, versions: Iterable[str]) -> None:
        """Have the file tell which foraging_snn computed part of it, if it was not the one that began it."""
        attributes = self._file[PROVENANCE].attrs
        begun_by, *others = known = _versions(_texts(self._file[PROVENANCE]))
        others += dict.fromkeys(version for version in versions if version not in known)
        if [begun_by, *others] != known:
            write_text(attributes, OTHER_VERSIONS, ", ".join(others))

    def write_wiring(self, state: NetworkState) -> None:
        """Write who is connected to whom, and all strengths at the start."""
        self._write_fixed(WIRING, {field: getattr(state, field) for field in FIXED[WIRING]})

    def begin_phase(self, phase: Phase, state: NetworkState) -> Recorder:
        """Add a phase to the file.

        Parameters
        ----------
        phase : Phase
        state : NetworkState
            With which it begins (or goes on, if its `phase_epoch` is not 0).

        Returns
        -------
        Recorder
            For `engine.run` of this phase, in one call or in several.
        """
        first, index = self._n_phases == 0, self._n_phases
        self.flush()
        group = self._add_phase(phase, state.epoch - state.phase_epoch, state.phase_epoch)
        self._recorder = _PhaseRecorder(self, index, phase, state.phase_epoch, first, group)
        return self._recorder

    def continue_phase(self, phase: Phase, state: NetworkState) -> Recorder:
        """Go on with the last phase of the file, which has not come to its end.

        Parameters
        ----------
        phase : Phase
        state : NetworkState
            Of the moment up to which the phase was recorded.

        Returns
        -------
        Recorder
            For `engine.run` of the rest of the phase, in one call or in several.

        Raises
        ------
        ValueError
            The file does not end with this phase, at this epoch.
        """
        index = self._n_phases - 1
        group = self._file[_phase_path(index)]
        found = _read_phase(group.attrs, index)
        if found.phase != phase or found.complete or found.epochs_done != state.phase_epoch:
            raise ValueError(f"{self.path}: epoch {state.phase_epoch} of phase {phase.name} is not where it ends")
        self._recorder = _PhaseRecorder(self, index, phase, state.phase_epoch, index == 0, group)
        self._recorder.recall_aeon(self._file[AEONS])
        return self._recorder

    def _add_phase(self, phase: Phase, first_epoch: int, done: int) -> h5py.Group:
        with self._disk.writing(0):
            group = self._file.create_group(None)
            write_text(group.attrs, "name", phase.name)
            group.attrs["activities"] = np.array([ACTIVITIES.index(activity) for activity in phase.activities], np.int8)
            group.attrs["block_epochs"] = np.array([block.epochs for block in phase.blocks], np.int64)
            numbers = {"first_epoch": first_epoch, "epochs": phase.epochs, "epochs_done": done}
            group.attrs.update({name: np.int64(value) for name, value in numbers.items()})
            group.attrs["freeze_fraction"] = np.float64(phase.freeze_fraction)
            group.attrs.update({"dropout": np.uint8(phase.dropout), "complete": np.uint8(0)})
            self._file[_phase_path(self._n_phases)] = group  # named only now, so that no interruption leaves half a phase
        self._n_phases += 1
        return group

    def end_phase(self, record: PhaseRecord, state: NetworkState) -> None:
        """Mark the phase begun last as complete.

        Parameters
        ----------
        record : PhaseRecord
            What `engine.run` gave, of the phase or of its last part.
        state : NetworkState
            At the end of the phase.

        Raises
        ------
        ValueError
            `record` is not what the recorder of this phase heard, or the phase was not run to its end.
        """
        recorder = self._recorder
        if recorder is None:
            raise ValueError("no phase has begun")
        recorder.check(record)
        self.flush()
        self._recorder = None
        self._complete_phase(recorder.group, {field: getattr(state, field) for field in FIXED[PHASES]})

    def _complete_phase(self, group: h5py.Group, fixed: dict[str, np.ndarray]) -> None:
        self._write_fixed(group.name, fixed)
        with self._disk.writing(0):
            group.attrs.modify("epochs_done", group.attrs["epochs"])
            group.attrs.modify("complete", np.uint8(1))
        self._disk.synchronise()

    def copy_phases(self, source: "Trial", n: int) -> None:
        """Take over the first phases of another file of the same trial, as if they had been run here.

        Parameters
        ----------
        source : Trial
            With the same parameters, seed and start state.
        n : int
            So many phases, all complete.

        Raises
        ------
        ValueError
            The source is not as it has to be, or this file has phases already.
        """
        here = (self.parameters, self._seed, self._started_from)
        if (source.parameters, source.seed, source.started_from) != here:
            raise ValueError(f"{source.path}: not the same trial as {self.path}")
        if self._n_phases or len(source.phases) < n or not all(phase.complete for phase in source.phases[:n]):
            raise ValueError(f"{source.path}: {n} complete phases are wanted, for a file that has none yet")
        with self._disk.writing(0):
            self._name_versions(source.versions)
        with source:
            for recorded in source.phases[:n]:
                self._copy_phase(source, recorded)

    def _copy_phase(self, source: "Trial", recorded: "RecordedPhase") -> None:
        group = self._add_phase(recorded.phase, recorded.first_epoch, 0)
        for name, table in self.tables.items():
            for rows in source.pieces(name, recorded.index):
                table.append(**rows)
                self.flush_if_due()
        self.flush()
        self._complete_phase(group, source._fixed(_phase_path(recorded.index), FIXED[PHASES]))

    def complete(self) -> None:
        """Mark the file as complete and write the end time."""
        if self._recorder is not None:
            raise ValueError(f"phase {self._recorder.phase.name} has not ended")
        with self._disk.writing(0):
            write_text(self._file.attrs, "ended", _now())
            self._file.attrs.modify("complete", np.uint8(1))
        self._disk.synchronise()
        self._disk.close()

    def __enter__(self) -> "TrialWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            if self._disk.is_open and not self._disk.failed:
                self.flush()
                with self._disk.writing(0):
                    write_text(self._file.attrs, "ended", _now())
        finally:
            self._disk.close()

    def flush(self) -> None:
        """Write all rows collected so far."""
        if self._recorder:
            self._recorder.collect_aeons()
        tables = [table for table in self.tables.values() if table.waiting]
        with self._disk.writing(sum(table.bytes_to_write() for table in tables)):
            for table in tables:
                table.write()
            if self._recorder:
                self._recorder.group.attrs.modify("epochs_done", np.int64(self._recorder.done))
        self._written_at = time.monotonic()

    def flush_if_due(self) -> None:
        """Write the rows collected so far if they are old or many."""
        due = time.monotonic() - self._written_at > FLUSH_SECONDS
        if due or sum(table.waiting_bytes for table in self.tables.values()) > FLUSH_BYTES:
            self.flush()

    def _write_fixed(self, group_name: str, values: dict[str, np.ndarray]) -> None:
        columns = FIXED[WIRING if group_name == WIRING else PHASES]
        arrays = {field: np.asarray(value, columns[field].kind) for field, value in values.items()}
        with self._disk.writing(sum(array.nbytes for array in arrays.values())):
            group = self._file.require_group(group_name)
            for field, array in arrays.items():
                _describe(group.create_dataset(field, data=array, **COMPRESSION), columns[field])


def _recorded_tables(parameters: Parameters) -> Iterable[str]:
    left_out = set() if _keeps_positions(parameters) else {POSITIONS}
    left_out |= set() if parameters.recording.spike_window_epochs else {SPIKES}
    return [name for name in TABLES if name not in left_out]


def _keeps_positions(parameters: Parameters) -> bool:
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


def _describe(dataset: h5py.Dataset, column: Column) -> None:
    write_texts(dataset.attrs, {"unit": column.unit, "meaning": column.meaning})


class _Table:
    """A group of columns of equal length that grow together; rows wait in memory until they are written."""

    def __init__(self, datasets: dict[str, h5py.Dataset]):
        self._datasets = datasets
        self.start = len(datasets["phase"])  # row at which the waiting rows go
        self.waiting: list[dict[str, np.ndarray]] = []
        self.waiting_bytes = 0

    def append(self, **columns: np.ndarray) -> None:
        """Add rows; a column given as one number has it in all of them."""
        n = next(len(values) for values in columns.values() if np.ndim(values))
        rows = {name: np.full(n, values) if np.ndim(values) == 0 else values for name, values in columns.items()}
        rows = {name: np.array(values, self._datasets[name].dtype) for name, values in rows.items()}
        self.waiting.append(rows)
        self.waiting_bytes += sum(values.nbytes for values in rows.values())

    def replace_from(self, start: int, **columns: np.ndarray) -> None:
        """Put rows in the place of all from row `start` on; nothing else may be waiting."""
        self.start, self.waiting, self.waiting_bytes = start, [], 0
        self.append(**columns)

    @property
    def n_rows(self) -> int:
        """Rows written and waiting."""
        return self.start + sum(len(rows["phase"]) for rows in self.waiting)

    def bytes_to_write(self) -> int:
        """Most that writing the waiting rows can need: every chunk they touch, uncompressed."""
        total = 0
        for dataset in self._datasets.values():
            rows = dataset.chunks[0]
            touched = (self.n_rows - 1) // rows - self.start // rows + 1
            total += touched * math.prod(dataset.chunks) * dataset.dtype.itemsize
        return total

    def write(self) -> None:
        """Write the waiting rows. If interrupted, it can be repeated."""
        end = self.n_rows
        for name, dataset in self._datasets.items():
            dataset.resize(end, axis=0)
            dataset[self.start :] = np.concatenate([rows[name] for rows in self.waiting])
        self.start, self.waiting, self.waiting_bytes = end, [], 0


def _new_table(file: h5py.File, name: str, parameters: Parameters) -> _Table:
    group = file.create_group(name)
    return _Table({column: _growing(group, column, spec, parameters) for column, spec in TABLES[name].items()})


def _existing_table(file: h5py.File, name: str) -> _Table:
    return _Table({column: file[f"{name}/{column}"] for column in TABLES[name]})


def _growing(group: h5py.Group, name: str, column: Column, parameters: Parameters) -> h5py.Dataset:
    shape = tuple(axis_sizes(parameters)[axis] for axis in column.axes)
    rows = max(1, CHUNK_BYTES // (math.prod(shape) * np.dtype(column.kind).itemsize))
    dataset = group.create_dataset(name, (0, *shape), column.kind, maxshape=(None, *shape), chunks=(rows, *shape), **COMPRESSION)
    _describe(dataset, column)
    return dataset


class _PhaseRecorder(Recorder):
    """What a run tells the writer of one phase."""

    def __init__(self, writer: TrialWriter, index: int, phase: Phase, phase_epoch: int, is_first: bool, group: h5py.Group):
        self.phase = phase
        self.group = group
        self.done = phase_epoch
        self._writer = writer
        self._tables = writer.tables
        self._index = index
        self._is_first = is_first
        self._counter = AeonCounter(phase_epoch, phase.epochs - phase_epoch, writer.parameters.timing.epochs_per_aeon)
        self._first_row = self._tables[AEONS].n_rows
        self._position_windows = position_windows(writer.parameters, phase.epochs)

    def snapshot_epochs(self, phase: Phase) -> list[int]:
        """Evenly spaced up to the end of the phase; in the first phase of a file also its start."""
        return snapshot_epochs(self._writer.parameters, phase, self._is_first)

    def spike_windows(self, phase: Phase) -> list[range]:
        """Evenly spaced from the start of the phase to its end."""
        return spike_windows(self._writer.parameters, phase.epochs)

    def epochs(self, records: EpochRecords) -> None:
        """Count and keep the next epochs."""
        self._counter.add(records)
        for window in self._position_windows:
            part = slice(max(0, window.start - self.done), min(len(records), window.stop - self.done))
            if part.start < part.stop:
                self._keep_positions(records, part)
        self.done += len(records)
        if SPIKES in self._tables and len(records.spike_step):
            self._tables[SPIKES].append(phase=self._index, step=records.spike_step, cell=records.spike_cell)
        self._writer.flush_if_due()

    def _keep_positions(self, records: EpochRecords, part: slice) -> None:
        fields = {name: getattr(records, name)[part] for name in ("awake", "x", "y", "move", "eaten", "outcome")}
        epoch = records.first_epoch + np.arange(part.start, part.stop)
        self._tables[POSITIONS].append(phase=self._index, epoch=epoch, **fields)

    def snapshot(self, state: NetworkState) -> None:
        """Keep strengths, rates and resistances; input-to-hidden strengths only where they can have changed."""
        inputs = self._tables[INPUT_SNAPSHOTS]
        if self.phase.is_unsupervised or not inputs.n_rows:
            self._keep(inputs, state, ("input_hidden", "hidden_input_target"))
        self._keep(self._tables[SNAPSHOTS], state, ("hidden_output", "resistance", "hidden_rate", "output_rate"))
        self._writer.flush_if_due()

    def _keep(self, table: _Table, state: NetworkState, fields: tuple[str, ...]) -> None:
        table.append(phase=self._index, epoch=[state.epoch], **{name: getattr(state, name)[None] for name in fields})

    def collect_aeons(self) -> None:
        """Put the counts since the last flush into the table, and again the last row written: its aeon may have gone on."""
        record, table = self._counter.record, self._tables[AEONS]
        n_aeons = int(np.count_nonzero(record.counts["epochs"]))
        part = slice(max(0, table.start - self._first_row - 1), n_aeons)
        if part.start == part.stop:
            return
        table.replace_from(
            self._first_row + part.start,
            phase=self._index,
            aeon=record.first_aeon + np.arange(part.start, part.stop),
            eaten=record.eaten[part],
            **{name: counts[part] for name, counts in record.counts.items()},
        )

    def recall_aeon(self, table: h5py.Group) -> None:
        """Take over the counts of the aeon in which the phase was left, to be added to."""
        if self.done % self._writer.parameters.timing.epochs_per_aeon == 0:
            return
        self._first_row -= 1
        record = self._counter.record
        for name, counts in record.counts.items():
            counts[0] = table[name][self._first_row]
        record.eaten[0] = table["eaten"][self._first_row]

    def check(self, record: PhaseRecord) -> None:
        """See that the engine and this recorder agree on what happened; ValueError if not."""
        if self.done != self.phase.epochs:
            raise ValueError(f"phase {self.phase.name}: {self.done} of {self.phase.epochs} epochs were recorded")
        heard = self._counter.record
        skip = record.first_aeon - heard.first_aeon
        later = skip >= 0 and heard.counts["epochs"][skip] > record.counts["epochs"][0]
        whole = slice(1 if later else 0, None)  # a later part of a phase can begin within an aeon
        pairs = [(heard.eaten, record.eaten), *((heard.counts[name], record.counts[name]) for name in AEON_COUNTS)]
        if skip < 0 or not all(np.array_equal(ours[skip:][whole], theirs[whole]) for ours, theirs in pairs):
            raise ValueError(f"phase {self.phase.name}: the record of the engine is not what the recorder heard")


# ---------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class RecordedPhase:
    """A phase of a file.

    Attributes
    ----------
    index : int
        Its number in the file, from 0.
    name : str
        e.g. "T1", "I(S,T2)", "test T1".
    blocks : tuple of one or two Block
        Activities and their lengths.
    first_epoch : int
        Epochs completed before the phase, since the trial began.
    epochs, epochs_done : int
        Its length, and how much of it was run.
    freeze_fraction : float
    dropout : bool
    complete : bool
    """

    index: int
    name: str
    blocks: tuple[Block, ...]
    first_epoch: int
    epochs: int
    epochs_done: int
    freeze_fraction: float
    dropout: bool
    complete: bool

    @property
    def activities(self) -> tuple[Activity, ...]:
        """Its one or two activities."""
        return self.phase.activities

    @property
    def phase(self) -> Phase:
        """What the engine was given."""
        return Phase(self.name, self.blocks, self.epochs, self.freeze_fraction, self.dropout)


@dataclass(frozen=True)
class TestResult:
    """One test of a task.

    Attributes
    ----------
    phase_index : int
    after : str
        Name of the last phase before it that was not a test; "" if there is none.
    task : int
        1 or 2.
    rewarded, punished : int
        Particles eaten.
    performance : float
        Rewarded / (rewarded + punished); NaN if nothing was eaten.
    complete : bool
        The test was run to its end.
    """

    phase_index: int
    after: str
    task: int
    rewarded: int
    punished: int
    performance: float
    complete: bool


@dataclass(frozen=True)
class PerformanceCurve:
    """Performance in successive windows of a phase.

    Attributes
    ----------
    aeon : (n,) float64
        Mean number of the aeons of a window, within the phase, from 0.
    performance : (n,) float64
        Rewarded / (rewarded + punished) over the window; NaN if nothing was eaten.
    """

    aeon: np.ndarray
    performance: np.ndarray


@dataclass(frozen=True)
class RecordedWiring:
    """Wiring and strengths when the recording began; S synapses input to hidden, H hidden cells.

    Attributes
    ----------
    input_index, hidden_index : (S,) int32
        Input cell and hidden cell of each synapse.
    input_hidden : (S,) float64
        Strengths input to hidden.
    hidden_output : (H, 8) float64
        Excitatory strengths hidden to output.
    inhibition : (H,) float64
        Inhibitory strength (negative) of a hidden cell onto every output cell.
    """

    input_index: np.ndarray
    hidden_index: np.ndarray
    input_hidden: np.ndarray
    hidden_output: np.ndarray
    inhibition: np.ndarray


@dataclass(frozen=True)
class Snapshots:
    """Strengths hidden to output over the run; n snapshots.

    Attributes
    ----------
    strength : (n, H, 8) float32
    epoch : (n,) int64
        Completed epochs since the trial began.
    phase : (n,) int32
        Number of the phase.
    """

    strength: np.ndarray
    epoch: np.ndarray
    phase: np.ndarray


@dataclass(frozen=True)
class InputSnapshots:
    """Strengths input to hidden over the unsupervised phase, after which they do not change; n snapshots, at least the first.

    Attributes
    ----------
    strength : (n, S) float32
    hidden_input_target : (n, H) float32
        Sum to which the inputs of a hidden cell are scaled.
    epoch, phase : (n,) int64, int32
    input_index, hidden_index : (S,) int32
        Cells of each synapse.
    field : int
        Side of the field of view.
    """

    strength: np.ndarray
    hidden_input_target: np.ndarray
    epoch: np.ndarray
    phase: np.ndarray
    input_index: np.ndarray
    hidden_index: np.ndarray
    field: int

    def images(self, snapshots: slice | list[int] | np.ndarray = slice(None)) -> np.ndarray:
        """Input weight images of the hidden cells, (n, H, field, field) float32, [dy, dx] ascending; 0 where there is no synapse.

        Parameters
        ----------
        snapshots : slice or list of int
            Which snapshots; all if omitted.
        """
        strength = self.strength[snapshots]
        images = np.zeros((len(strength), self.hidden_input_target.shape[1], self.field**2), np.float32)
        images[:, self.hidden_index, self.input_index] = strength
        return images.reshape(*images.shape[:2], self.field, self.field)


@dataclass(frozen=True)
class Rates:
    """Running averages of the firing rates, spikes per epoch, at the snapshots of :class:`Snapshots`.

    Attributes
    ----------
    hidden : (n, H) float32
    output : (n, 8) float64
    epoch, phase : (n,) int64, int32
    """

    hidden: np.ndarray
    output: np.ndarray
    epoch: np.ndarray
    phase: np.ndarray


@dataclass(frozen=True)
class Resistances:
    """Resistances of the output cells at the snapshots of :class:`Snapshots`.

    Attributes
    ----------
    resistance : (n, 8) float64
    epoch, phase : (n,) int64, int32
    """

    resistance: np.ndarray
    epoch: np.ndarray
    phase: np.ndarray


@dataclass(frozen=True)
class TrainingSpikes:
    """Spikes in the most recent training on each task, at the end of a phase; what sleep is made of.

    Attributes
    ----------
    spikes : (2, H) int64
        Of each hidden cell, for Task 1 and 2.
    epochs : (2,) int64
        Epochs of that training; 0: the task was never trained.
    """

    spikes: np.ndarray
    epochs: np.ndarray


@dataclass(frozen=True)
class Positions:
    """The agent in n epochs of a phase, ascending; not all of them, if they were recorded in windows.

    Attributes
    ----------
    epoch : (n,) int64
        Number of the epoch since the trial began.
    awake : (n,) bool
    x, y : (n,) int16
        Square after the move; x to the right, y upwards.
    move : (n,) int8
        0 ... 8, 3 (dy + 1) + dx + 1; 4 is staying.
    eaten, outcome : (n,) int8
        Particle type eaten (0: none); `environments.Outcome` of it.
    """

    epoch: np.ndarray
    awake: np.ndarray
    x: np.ndarray
    y: np.ndarray
    move: np.ndarray
    eaten: np.ndarray
    outcome: np.ndarray


@dataclass(frozen=True)
class Spikes:
    """All spikes in the recorded windows of a phase.

    Attributes
    ----------
    step : (n,) int64
        Step since the trial began, ascending.
    cell : (n,) int32
        In the order input, hidden, output.
    """

    step: np.ndarray
    cell: np.ndarray


class Trial:
    """The file of a trial, as labelled arrays.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    path : Path
    provenance : dict of str to str
        See :func:`foraging_snn.files.provenance.provenance`; of the process that began the file. Also `other_versions`, if there
        are any, see :attr:`versions`.
    parameters : Parameters
    experiment, label : str
        Name in the catalogue, and as in the paper.
    seed, trial : int
    engine : str
    complete : bool
        The run came to its end.
    started, ended : str
        ISO 8601, UTC; `ended` is "" if the run was killed or still goes on.
    started_from : str or None
        The state that stood in for the unsupervised phase.
    started_from_provenance : dict of str to str
        Where that state comes from.
    phases : tuple of RecordedPhase

    Raises
    ------
    RecordingError
        Here and in every method: no such file, not HDF5, not the file of a trial, of another version, damaged or truncated.

    Notes
    -----
    Arrays are read when they are asked for; the file is open only meanwhile, or, in a `with` statement, as long as that
    lasts. It is never written to. The files of runs that go on or were interrupted can be read too.

    Examples
    --------
    >>> trial = Trial("sleep_seed0000.h5")
    >>> [(test.after, test.task, test.performance) for test in trial.test_results()]
    >>> trial.hidden_output_snapshots().strength.shape
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._file: h5py.File | None = None
        with self._opened() as file:
            self._read_header(file)
            self.phases = _read_phases(file[PHASES])

    def _read_header(self, file: h5py.File) -> None:
        attributes = file.attrs
        self.provenance = _texts(file[PROVENANCE])
        try:
            self.parameters = Parameters.from_toml(read_text(attributes, "parameters"), origin="parameters")
        except ParameterError as error:
            raise RecordingError(f"{self.path}: not readable by this version of foraging_snn: {error}") from None
        self.experiment = read_name(attributes, "experiment")
        self.label = read_name(attributes, "label")
        self.seed = read_number(attributes, "seed", 0, MAX_SEED)
        self.trial = read_number(attributes, "trial", 0, MAX_SEED)
        self.engine = read_name(file[PROVENANCE].attrs, "engine")
        self.complete = bool(read_number(attributes, "complete", 0, 1))
        self.started = read_text(attributes, "started")
        self.ended = read_text(attributes, "ended")
        self.started_from = read_text(attributes, "started_from") or None
        self.started_from_provenance = _texts(file[STARTED_FROM]) if STARTED_FROM in file else {}
        self._sizes = axis_sizes(self.parameters)

    def __enter__(self) -> "Trial":
        if self._file is None:
            self._file = open_for_reading(self.path, FORMAT_NAME, FORMAT_VERSION, RecordingError)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        if self._file is not None:
            with damage_reported(self.path, RecordingError):
                yield self._file
            return
        with (
            open_for_reading(self.path, FORMAT_NAME, FORMAT_VERSION, RecordingError) as file,
            damage_reported(self.path, RecordingError),
        ):
            yield file

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of foraging_snn that computed it, as "0.1.0 (COMMIT)": first the one that began the file."""
        return tuple(_versions(self.provenance))

    @property
    def shortened(self) -> tuple[str, ...]:
        """Kinds of phases that are shorter than in the paper: "training 2000 of 50000" (aeons)."""
        return tuple(shortened_lengths(self.parameters, (recorded.phase for recorded in self.phases)))

    @property
    def changed(self) -> tuple[str, ...]:
        """Rules that are not those of the paper: "sleep.pulse 0.03 instead of 0.025"."""
        return tuple(changed_rules(self.parameters))

    @property
    def published(self) -> tuple[PublishedValue, PublishedValue] | None:
        """The paper's Task 1 and Task 2 performance in the tests after the last phase of this experiment; None if it gives none."""
        known = experiments(self.parameters).get(self.experiment)
        return known.published if known else None

    @property
    def place_in_catalogue(self) -> int:
        """Number of its experiment in the catalogue, which is in the paper's order; unknown ones come last."""
        names = list(experiments(self.parameters))
        return names.index(self.experiment) if self.experiment in names else len(names)

    @property
    def has_phases_of_catalogue(self) -> bool:
        """Whether its phases have the names and activities of those of its experiment, the unsupervised one aside."""
        known = experiments(self.parameters).get(self.experiment)
        mine, theirs = (
            [(phase.name, phase.activities) for phase in phases if not phase.is_unsupervised]
            for phases in ([recorded.phase for recorded in self.phases], known.phases if known else ())
        )
        return mine == theirs

    @property
    def command_options(self) -> str:
        """Options of `foraging-snn run` and `reproduce` that give trials which go with this one, except for seed and output."""
        options = command_options(self.parameters)
        return " ".join([*options, "--start-from FILE"] if self.started_from else options)

    def unlike(self, other: "Trial") -> str:
        """Why two trials cannot stand in one figure or table, "" if they can: other parameters (those of recording aside),
        start states, or, in the same experiment, other phases."""
        if self.parameters.preset != other.parameters.preset:
            return f"one has the preset {self.parameters.preset}, the other {other.parameters.preset}"
        if different := different_rules(self.parameters, other.parameters):
            return f"their parameters differ: {'; '.join(different)}"
        if self.started_from != other.started_from:
            return "they do not start from the same state"
        if self.experiment == other.experiment and [p.phase for p in self.phases] != [p.phase for p in other.phases]:
            return "their phases differ"
        return ""

    def counts(self, phase_index: int) -> PhaseRecord:
        """Counts per aeon of a phase."""
        table = self._table(AEONS, phase_index)
        first = int(table["aeon"][0]) if len(table["aeon"]) else 0
        return PhaseRecord(first, {name: table[name] for name in AEON_COUNTS}, table["eaten"])

    def test_results(self) -> list[TestResult]:
        """All tests in their order, except those in which hidden cells are removed."""
        results, after = [], ""
        for recorded in self.phases:
            if not recorded.phase.is_test:
                after = recorded.name
            elif not recorded.dropout:
                counts = self.counts(recorded.index).counts
                rewarded, punished = (int(counts[name].sum()) for name in ("rewarded", "punished"))
                task = recorded.activities[0].task.number
                value = performance(rewarded, punished)
                results.append(TestResult(recorded.index, after, task, rewarded, punished, value, recorded.complete))
        return results

    def performance_curve(self, phase_index: int, window_aeons: int = 1, task: int | None = None) -> PerformanceCurve:
        """Performance over the aeons of a phase.

        Parameters
        ----------
        phase_index : int
        window_aeons : int
            Aeons per point; the last window may be shorter.
        task : int, optional
            In an interleaved phase, only the aeons that belong to this task entirely.
        """
        if window_aeons < 1:
            raise ValueError(f"window_aeons: {window_aeons} given, allowed is at least 1")
        record = self.counts(phase_index)
        aeon = record.first_aeon + np.arange(len(record.eaten))
        chosen = np.ones(len(aeon), bool) if task is None else self._aeons_of_task(phase_index, aeon, task)
        starts = np.arange(0, np.count_nonzero(chosen), window_aeons)
        if not len(starts):
            return PerformanceCurve(np.zeros(0), np.zeros(0))
        sums = {name: np.add.reduceat(record.counts[name][chosen], starts) for name in ("rewarded", "punished")}
        mean = np.add.reduceat(aeon[chosen], starts) / np.add.reduceat(np.ones(np.count_nonzero(chosen)), starts)
        return PerformanceCurve(mean, np.array([performance(r, p) for r, p in zip(*sums.values(), strict=True)]))

    def _aeons_of_task(self, phase_index: int, aeon: np.ndarray, task: int) -> np.ndarray:
        phase, length = self._phase(phase_index).phase, self.parameters.timing.epochs_per_aeon
        tasks = [block.activity.task and block.activity.task.number for block in phase.blocks]
        if set(tasks) == {task}:
            return np.ones(len(aeon), bool)
        within = aeon * length % sum(block.epochs for block in phase.blocks)  # where the aeon begins in its pair of blocks
        belongs, start = np.zeros(len(aeon), bool), 0
        for block, number in zip(phase.blocks, tasks, strict=True):
            end = start + block.epochs
            belongs |= (number == task) & (start <= within) & (within + length <= end)
            start = end
        return belongs

    def hidden_output_snapshots(self) -> Snapshots:
        """Strengths hidden to output over the run."""
        table = self._table(SNAPSHOTS, columns=("hidden_output", "epoch", "phase"))
        return Snapshots(*table.values())

    def input_hidden_snapshots(self) -> InputSnapshots:
        """Strengths input to hidden over the unsupervised phase; the last ones hold for the rest of the run."""
        table = self._table(INPUT_SNAPSHOTS, columns=("input_hidden", "hidden_input_target", "epoch", "phase"))
        wiring = self.wiring()
        return InputSnapshots(*table.values(), wiring.input_index, wiring.hidden_index, self.parameters.world.field)

    def rates(self) -> Rates:
        """Firing rates over the run."""
        return Rates(*self._table(SNAPSHOTS, columns=("hidden_rate", "output_rate", "epoch", "phase")).values())

    def resistances(self) -> Resistances:
        """Resistances of the output cells over the run."""
        return Resistances(*self._table(SNAPSHOTS, columns=("resistance", "epoch", "phase")).values())

    def training_spikes(self, phase_index: int) -> TrainingSpikes:
        """Spikes of the hidden cells in the most recent training on each task, at the end of a complete phase."""
        if not self._phase(phase_index).complete:
            raise RecordingError(f"{self.path}: phase {phase_index} is incomplete: no spikes of its training were kept")
        return TrainingSpikes(*self._fixed(_phase_path(phase_index), FIXED[PHASES]).values())

    def positions(self, phase_index: int) -> Positions:
        """The agent in the recorded epochs of a phase, see :meth:`position_windows`."""
        if not _keeps_positions(self.parameters):
            settings = "recording.positions = false, recording.position_window_epochs = 0"
            raise RecordingError(f"{self.path}: positions were not recorded ({settings})")
        table = self._table(POSITIONS, phase_index)
        table["awake"] = table["awake"].astype(bool)
        return Positions(**{name: values for name, values in table.items() if name != "phase"})

    def spikes(self, phase_index: int) -> Spikes:
        """All spikes in the windows of a phase, see :meth:`windows`."""
        if not self.parameters.recording.spike_window_epochs:
            raise RecordingError(f"{self.path}: spikes were not recorded (recording.spike_window_epochs = 0)")
        table = self._table(SPIKES, phase_index)
        return Spikes(table["step"], table["cell"])

    def windows(self, phase_index: int) -> list[range]:
        """Epochs of a phase, from 0, of which all spikes were recorded; empty if there are none (yet)."""
        return self._recorded(spike_windows, phase_index)

    def position_windows(self, phase_index: int) -> list[range]:
        """Epochs of a phase, from 0, of which positions were recorded; empty if there are none (yet)."""
        return self._recorded(position_windows, phase_index)

    def _recorded(self, windows: Callable[[Parameters, int], list[range]], phase_index: int) -> list[range]:
        phase = self._phase(phase_index)
        planned, done = windows(self.parameters, phase.epochs), phase.epochs_done
        return [range(window.start, min(window.stop, done)) for window in planned if window.start < done]

    def wiring(self) -> RecordedWiring:
        """Who is connected to whom, and the strengths when the recording began."""
        wiring = RecordedWiring(**self._fixed(WIRING, FIXED[WIRING]))
        limits = ((wiring.input_index, self.parameters.n_input), (wiring.hidden_index, self.parameters.n_hidden))
        if any(index.min() < 0 or index.max() >= n for index, n in limits):
            raise RecordingError(f"{self.path}: damaged or truncated: the wiring names cells that do not exist")
        return wiring

    def _phase(self, phase_index: int) -> RecordedPhase:
        if not 0 <= phase_index < len(self.phases):
            raise IndexError(f"phase {phase_index}: {self.path} has phases 0 to {len(self.phases) - 1}")
        return self.phases[phase_index]

    def _fixed(self, group: str, columns: dict[str, Column]) -> dict[str, np.ndarray]:
        with self._opened() as file:
            return {
                name: _checked(file, f"{group}/{name}", column, self._sizes, rows=False)[...] for name, column in columns.items()
            }

    def _table(self, name: str, phase_index: int | None = None, columns: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Columns of a table, of one phase or of all."""
        if phase_index is not None:
            self._phase(phase_index)
        with self._opened() as file:
            datasets, part = self._rows(file, name, phase_index)
            return {column: datasets[column][part] for column in columns or datasets}

    def pieces(self, name: str, phase_index: int) -> Iterator[dict[str, np.ndarray]]:
        """All columns of a table of :data:`TABLES` for a phase, in pieces of a few megabytes."""
        with self._opened() as file:
            datasets, part = self._rows(file, name, phase_index)
            row_bytes = sum(math.prod(dataset.shape[1:]) * dataset.dtype.itemsize for dataset in datasets.values())
            rows = max(1, FLUSH_BYTES // row_bytes)
            for start in range(part.start, part.stop, rows):
                yield {column: dataset[start : min(start + rows, part.stop)] for column, dataset in datasets.items()}

    def is_whole(self) -> bool:
        """Everything in it can be read, and no writing was cut off.

        Raises
        ------
        RecordingError
            Something cannot be read.
        """
        self.wiring()
        with self._opened() as file:
            for name in _recorded_tables(self.parameters):
                columns = [file[f"{name}/{column}"] for column in TABLES[name]]
                if len({len(column) for column in columns}) > 1:
                    return False
                for column in columns:
                    for piece in column.iter_chunks() if len(column) else ():
                        column[piece]
        return True

    def _rows(self, file: h5py.File, name: str, phase_index: int | None) -> tuple[dict[str, h5py.Dataset], slice]:
        """The columns of a table, and which rows of them belong to a phase or to all."""
        datasets = {c: _checked(file, f"{name}/{c}", spec, self._sizes, rows=True) for c, spec in TABLES[name].items()}
        lengths = {len(dataset) for dataset in datasets.values()}
        if self.complete and len(lengths) > 1:
            raise ValueError(f"columns of {name} differ in length")
        n, phase = min(lengths), datasets["phase"]  # a run killed while it was writing leaves some columns ahead
        if phase_index is None:
            return datasets, slice(0, n)
        return datasets, slice(bisect_left(phase, phase_index, hi=n), bisect_left(phase, phase_index + 1, hi=n))


def _phase_path(index: int) -> str:
    return f"{PHASES}/{index:03d}"


def _versions(origin: dict[str, str]) -> list[str]:
    others = origin.get(OTHER_VERSIONS, "")
    return [version_and_commit(origin), *(others.split(", ") if others else ())]


def _texts(group: h5py.Group) -> dict[str, str]:
    return {name: read_text(group.attrs, name) for name in group.attrs}


def _read_phases(group: h5py.Group) -> tuple[RecordedPhase, ...]:
    return tuple(_read_phase(group[f"{index:03d}"].attrs, index) for index in range(len(group)))


def _read_phase(attributes: h5py.AttributeManager, index: int) -> RecordedPhase:
    activities, lengths = (_whole_numbers(attributes, name) for name in ("activities", "block_epochs"))
    if not all(0 <= activity < len(ACTIVITIES) for activity in activities):
        raise ValueError(f"phase {index}: attribute activities has numbers of no activity")
    if not all(1 <= length <= MAX_BLOCK_EPOCHS for length in lengths):
        raise ValueError(f"phase {index}: attribute block_epochs has numbers outside 1 ... {MAX_BLOCK_EPOCHS}")
    blocks = tuple(Block(ACTIVITIES[activity], epochs) for activity, epochs in zip(activities, lengths, strict=True))
    epochs = read_number(attributes, "epochs", 1, MAX_SEED)
    phase = RecordedPhase(
        index,
        read_name(attributes, "name"),
        blocks,
        read_number(attributes, "first_epoch", 0, MAX_SEED),
        epochs,
        read_number(attributes, "epochs_done", 0, epochs),
        _float(attributes, "freeze_fraction"),
        bool(read_number(attributes, "dropout", 0, 1)),
        bool(read_number(attributes, "complete", 0, 1)),
    )
    _ = phase.phase  # checks what it is made of
    return phase


def _float(attributes: h5py.AttributeManager, name: str) -> float:
    value = np.asarray(attributes[name])
    if value.shape != () or value.dtype.kind != "f":
        raise ValueError(f"attribute {name} is not a number")
    return float(value)


def _whole_numbers(attributes: h5py.AttributeManager, name: str) -> list[int]:
    values = np.asarray(attributes[name])
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"attribute {name} is not a list of whole numbers")
    return values.tolist()


def _checked(file: h5py.File, path: str, column: Column, sizes: dict[str, int], rows: bool) -> h5py.Dataset:
    """A dataset of the type and shape that it must have; ValueError if it is not."""
    if path not in file:
        raise KeyError(f"{path} is missing")
    dataset = file[path]
    shape = tuple(sizes[axis] for axis in column.axes)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.newbyteorder("=") != column.kind:
        raise ValueError(f"{path} is not a dataset of type {np.dtype(column.kind)}")
    if dataset.shape[1 if rows else 0 :] != shape or dataset.ndim != len(shape) + rows:
        raise ValueError(f"{path} has shape {dataset.shape}, not {('rows', *shape) if rows else shape}")
    return dataset

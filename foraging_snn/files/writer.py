"""Writes the file of a trial while it runs. What lies where in it says layout.py."""

import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.hdf5 import GrowingFile, damage_reported, write_format, write_text, write_texts
from foraging_snn.files.layout import (
    ACTIVITY_LEGEND,
    AEONS,
    FIXED,
    FORMAT_NAME,
    FORMAT_VERSION,
    INPUT_SNAPSHOTS,
    OTHER_VERSIONS,
    PHASES,
    POSITIONS,
    PROVENANCE,
    SNAPSHOTS,
    SPIKES,
    STARTED_FROM,
    TABLES,
    WIRING,
    Column,
    RecordingError,
    activity_legend,
    axis_sizes,
    numbered_activities,
    phase_path,
    position_windows,
    recorded_tables,
    snapshot_epochs,
    spike_windows,
)
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import RecordedPhase, Trial, read_phase, texts, versions_of
from foraging_snn.files.states import SavedState
from foraging_snn.models import AEON_COUNTS, EpochRecords, NetworkState, Parameters, Phase, PhaseRecord, Recorder
from foraging_snn.models.engine import AeonCounter
from foraging_snn.protocols import Experiment

CHUNK_BYTES = 16 * 1024  # of an uncompressed chunk; larger rows have a chunk of their own
COMPRESSION = {"compression": "gzip", "shuffle": True}
FLUSH_SECONDS = 10.0  # what a killed process loses at most
FLUSH_BYTES = 8 * 1024**2


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
                self.tables = {name: _new_table(self._file, name, parameters) for name in recorded_tables(parameters)}
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
                writer.tables = {name: _existing_table(writer._file, name) for name in recorded_tables(parameters)}
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
        write_text(self._file.create_group(PHASES).attrs, ACTIVITY_LEGEND, activity_legend())

    def _name_versions(self, versions: Iterable[str]) -> None:
        """Have the file tell which foraging_snn computed part of it, if it was not the one that began it."""
        attributes = self._file[PROVENANCE].attrs
        begun_by, *others = known = versions_of(texts(self._file[PROVENANCE]))
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
        group = self._file[phase_path(index)]
        found = read_phase(self._file[PHASES], index)
        if found.phase != phase or found.complete or found.epochs_done != state.phase_epoch:
            raise ValueError(f"{self.path}: epoch {state.phase_epoch} of phase {phase.name} is not where it ends")
        self._recorder = _PhaseRecorder(self, index, phase, state.phase_epoch, index == 0, group)
        self._recorder.recall_aeon(self._file[AEONS])
        return self._recorder

    def _add_phase(self, phase: Phase, first_epoch: int, done: int) -> h5py.Group:
        with self._disk.writing(0):
            group = self._file.create_group(None)
            write_text(group.attrs, "name", phase.name)
            group.attrs["activities"] = np.array([numbered_activities().index(activity) for activity in phase.activities], np.int8)
            group.attrs["block_epochs"] = np.array([block.epochs for block in phase.blocks], np.int64)
            numbers = {"first_epoch": first_epoch, "epochs": phase.epochs, "epochs_done": done}
            group.attrs.update({name: np.int64(value) for name, value in numbers.items()})
            group.attrs["freeze_fraction"] = np.float64(phase.freeze_fraction)
            group.attrs.update({"dropout": np.uint8(phase.dropout), "complete": np.uint8(0)})
            self._file[phase_path(self._n_phases)] = group  # named only now, so that no interruption leaves half a phase
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

    def copy_phases(self, source: Trial, n: int) -> None:
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

    def _copy_phase(self, source: Trial, recorded: RecordedPhase) -> None:
        group = self._add_phase(recorded.phase, recorded.first_epoch, 0)
        for name, table in self.tables.items():
            for rows in source.pieces(name, recorded.index):
                table.append(**rows)
                self.flush_if_due()
        self.flush()
        self._complete_phase(group, source._fixed(phase_path(recorded.index), FIXED[PHASES]))

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

"""Writes the file of a trial: what is collected of a phase while it runs, and the file assembled from that, each time as a whole.

What lies where in it says layout.py; how collected rows are kept on the way, running/ledger.py.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from foraging_snn.files.axes import COMPRESSION, describe
from foraging_snn.files.hdf5 import reason, whole_file, write_format, write_text, write_texts
from foraging_snn.files.layout import (
    ACTIVITY_LEGEND,
    AEONS,
    CHANGES,
    COUNTS_OF_TEST,
    FIXED,
    FORMAT_NAME,
    FORMAT_VERSION,
    INPUT_SNAPSHOTS,
    KEEP_PATTERNS,
    OTHER_VERSIONS,
    PHASES,
    POSITIONS,
    PROVENANCE,
    RATES_FROM,
    RULES,
    SELECTIVE,
    SNAPSHOTS,
    SPIKES,
    STARTED_FROM,
    STATE,
    TABLES,
    TESTS,
    WIRING,
    RecordingError,
    activity_legend,
    keeps_state,
    numbered_activities,
    phase_path,
    position_windows,
    recorded_tables,
    snapshot_epochs,
    spike_windows,
)
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState, write_state
from foraging_snn.models import AEON_COUNTS, EpochRecords, NetworkState, Parameters, Phase, PhaseRecord, Recorder
from foraging_snn.models.between import rules_to_json
from foraging_snn.models.engine import AeonCounter
from foraging_snn.models.schema import Field, axis_sizes
from foraging_snn.protocols import Experiment

CHUNK_BYTES = 16 * 1024  # of an uncompressed chunk; larger rows have a chunk of their own
PIECE_BYTES = 8 * 1024**2  # of a column that is copied in pieces
HEADER_BYTES = 4 * 1024**2  # more than everything besides the arrays

# By table and column, apart from the number of the phase: arrays, or datasets of an open HDF5 file. Tables can be missing.
TableRows = Mapping[str, Mapping[str, Any]]


def now() -> str:
    """Time of day as it is written."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# --------------------------------------------------------------------------------------------------- collecting a phase


class PhaseRecorder(Recorder):
    """Collects what the file of a trial holds of a phase, while an engine runs it.

    Parameters
    ----------
    parameters : Parameters
    phase : Phase
    done : int
        So many of its epochs are over.
    is_first : bool
        It begins a file, which has a snapshot of the start of its first phase, and of the input-to-hidden strengths in any case.

    Attributes
    ----------
    done : int
        So many of its epochs are over by now.
    n_bytes : int
        Size of the rows that wait to be taken.
    """

    def __init__(self, parameters: Parameters, phase: Phase, done: int, is_first: bool):
        self.phase = phase
        self.done = done
        self._parameters = parameters
        self._is_first = self._inputs_wanted = is_first
        self._position_windows = position_windows(parameters, phase.epochs)
        self._clear()

    def _clear(self) -> None:
        self._waiting: dict[str, list[dict[str, np.ndarray]]]
        self._waiting = {name: [_no_rows(name, self._parameters)] for name in recorded_tables(self._parameters)}
        self.n_bytes = 0

    def take(self) -> TableRows:
        """The rows since this was called last; the counts of an aeon that is under way are given in parts, to be added up."""
        waiting = self._waiting
        self._clear()
        return {name: _joined(pieces) for name, pieces in waiting.items()}

    def snapshot_epochs(self, phase: Phase) -> list[int]:
        """Evenly spaced up to the end of the phase; in the first phase of a file also its start."""
        return snapshot_epochs(self._parameters, phase, self._is_first)

    def spike_windows(self, phase: Phase) -> list[range]:
        """Evenly spaced from the start of the phase to its end."""
        return spike_windows(self._parameters, phase.epochs)

    def epochs(self, records: EpochRecords) -> None:
        """Count and keep the next epochs."""
        counter = AeonCounter(self.done, len(records), self._parameters.timing.epochs_per_aeon, len(self._parameters.particles))
        counter.add(records)
        aeon = counter.record.first_aeon + np.arange(len(counter.record.eaten))
        self._keep(AEONS, aeon=aeon, eaten=counter.record.eaten, **counter.record.counts)
        for window in self._position_windows:
            part = slice(max(0, window.start - self.done), min(len(records), window.stop - self.done))
            if part.start < part.stop:
                fields = {name: getattr(records, name)[part] for name in ("awake", "x", "y", "move", "eaten", "outcome")}
                self._keep(POSITIONS, epoch=records.first_epoch + np.arange(part.start, part.stop), **fields)
        if SPIKES in self._waiting and len(records.spike_step):
            self._keep(SPIKES, step=records.spike_step, cell=records.spike_cell)
        self.done += len(records)

    def snapshot(self, state: NetworkState) -> None:
        """Keep strengths, rates and resistances; input-to-hidden strengths only where they can have changed."""
        fields: dict[str, tuple[str, ...]] = {SNAPSHOTS: ("hidden_output", "resistance", "hidden_rate", "output_rate")}
        if self.phase.is_unsupervised or self._inputs_wanted:
            fields[INPUT_SNAPSHOTS] = ("input_hidden", "hidden_input_target")
        self._inputs_wanted = False
        for table, names in fields.items():
            self._keep(table, epoch=[state.epoch], **{name: getattr(state, name)[None] for name in names})

    def test(self, epoch: int, task: int, record: PhaseRecord) -> None:
        """Keep a test of the network as it was after `epoch` epochs of the trial, on the task of this number."""
        counts = {name: [record.counts[name].sum()] for name in ("epochs", *COUNTS_OF_TEST)}
        self._keep(TESTS, epoch=[epoch], task=[task], **counts)

    def _keep(self, table: str, **columns: Any) -> None:
        rows = {name: np.array(values, TABLES[table][name].stored) for name, values in columns.items()}
        self._waiting[table].append(rows)
        self.n_bytes += sum(values.nbytes for values in rows.values())


def _no_rows(table: str, parameters: Parameters) -> dict[str, np.ndarray]:
    sizes = axis_sizes(parameters)
    return {
        name: np.zeros((0, *column.shape(sizes)[1:]), column.stored) for name, column in TABLES[table].items() if name != "phase"
    }


def _joined(pieces: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([piece[name][...] for piece in pieces]) for name in pieces[0]}


def _summed(aeons: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rows of counts in which those of the same aeon, which follow each other, are added up."""
    starts = np.flatnonzero(np.diff(aeons["aeon"], prepend=-1))
    if not len(starts):
        return aeons
    return {name: column[starts] if name == "aeon" else np.add.reduceat(column, starts) for name, column in aeons.items()}


# ----------------------------------------------------------------------------------------------------- assembling a file


@dataclass(frozen=True)
class TrialHeader:
    """What the file of a trial says of the trial as a whole.

    Attributes
    ----------
    parameters : Parameters
    experiment, label : str
    seed, trial : int
        Seed, and number in the run.
    provenance : dict of str to str
        Of the process that began the file.
    started_from : str
        What stood in for the unsupervised phase; "" if nothing.
    started_from_provenance : dict of str to str
    wiring : dict of str to array
        The fields of the state with which the recording began that are kept; none if it is empty.
    started : str
        Time of day.
    protocol : str
        In the language of docs/protocols.md; "" if the phases were put together by hand.
    """

    parameters: Parameters
    experiment: str
    label: str
    seed: int
    trial: int
    provenance: Mapping[str, str]
    started_from: str = ""
    started_from_provenance: Mapping[str, str] = field(default_factory=dict)
    wiring: Mapping[str, np.ndarray] = field(default_factory=dict)
    started: str = field(default_factory=now)
    protocol: str = ""


@dataclass(frozen=True)
class PhaseContents:
    """What the file of a trial holds of a phase.

    Attributes
    ----------
    phase : Phase
    first_epoch : int
        Epochs before it, since the trial began.
    epochs_done : int
    parts : sequence of TableRows
        Of ranges of epochs one after the other, which may begin and end within an aeon.
    at_end : mapping or None
        Arrays of the state at its end that are kept; None if it has not come to its end.
    key : str
        That of the ledger; "" if the phase is in none.
    state : callable, optional
        Gives the whole state at its end.
    rates_from : str
        The state from which its sleep has the rates, if it is not one of this trial.
    """

    phase: Phase
    first_epoch: int
    epochs_done: int
    parts: Sequence[TableRows]
    at_end: Mapping[str, np.ndarray] | None = None
    key: str = ""
    state: Callable[[], NetworkState] | None = None
    rates_from: str = ""


def wiring_of(state: NetworkState) -> dict[str, np.ndarray]:
    """What is kept of the state with which a recording begins."""
    return {name: getattr(state, name) for name in FIXED[WIRING]}


def write_trial(
    path: Path,
    header: TrialHeader,
    phases: Sequence[PhaseContents],
    *,
    versions: Iterable[str] = (),
    ended: str = "",
    complete: bool = False,
    overwrite: bool = True,
) -> None:
    """Write the whole file of a trial: it depends on nothing but these arguments.

    Parameters
    ----------
    path : Path
    header : TrialHeader
    phases : sequence of PhaseContents
    versions : iterable of str
        Those of foraging_snn that computed it, besides the one that began it.
    ended : str
        Time of day; "" while it goes on.
    complete : bool
        The trial has come to its end.
    overwrite : bool
        A file that exists is replaced.

    Raises
    ------
    RecordingError
        It cannot be written, or exists; what was there is as it was.
    """
    tables = recorded_tables(header.parameters)
    parts = [(index, part) for index, contents in enumerate(phases) for part in contents.parts]
    states = {
        index: contents.state()
        for index, contents in enumerate(phases)
        if contents.state and keeps_state(header.parameters, contents.phase, index == len(phases) - 1)
    }
    n_bytes = HEADER_BYTES + rows_bytes(part for _, part in parts) + sum(map(state_bytes, states.values()))
    try:
        with whole_file(path, n_bytes, overwrite=overwrite) as file:
            names = numbered_activities(contents.phase for contents in phases)
            _write_header(file, header, versions, ended, complete)
            write_text(file.create_group(PHASES).attrs, ACTIVITY_LEGEND, activity_legend(contents.phase for contents in phases))
            for index, contents in enumerate(phases):
                group = file.create_group(phase_path(index))
                _write_phase(group, contents, names)
                if index in states:
                    write_state(group.create_group(STATE), states[index], axes=False)
            for name in tables:
                write_table(file, name, header.parameters, [(index, part[name]) for index, part in parts if has_rows(part, name)])
    except FileExistsError:
        raise RecordingError(f"{path}: exists already and is not overwritten") from None
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be written: {reason(problem)}") from None


def _write_header(file: h5py.File, header: TrialHeader, versions: Iterable[str], ended: str, complete: bool) -> None:
    write_format(file, FORMAT_NAME, FORMAT_VERSION)
    texts = {name: getattr(header, name) for name in ("experiment", "label", "protocol", "started", "started_from")}
    write_texts(file.attrs, texts | {"ended": ended, "parameters": header.parameters.to_toml()})
    file.attrs.update({"seed": np.int64(header.seed), "trial": np.int64(header.trial), "complete": np.uint8(complete)})
    others = [version for version in dict.fromkeys(versions) if version != version_and_commit(header.provenance)]
    origin = {name: text for name, text in header.provenance.items() if name != OTHER_VERSIONS}
    write_texts(file.create_group(PROVENANCE).attrs, origin | ({OTHER_VERSIONS: ", ".join(others)} if others else {}))
    if header.started_from_provenance:
        write_texts(file.create_group(STARTED_FROM).attrs, header.started_from_provenance)
    if header.wiring:
        _write_fixed(file.create_group(WIRING), header.wiring, FIXED[WIRING])


def _write_phase(group: h5py.Group, contents: PhaseContents, names: Sequence[str]) -> None:
    phase = contents.phase
    write_texts(group.attrs, {"name": phase.name} | ({"key": contents.key} if contents.key else {}))
    numbers = [names.index(activity.name) for activity in phase.activities]
    group.attrs["activities"] = np.array(numbers, np.int8 if len(names) <= 128 else np.int16)
    group.attrs["block_epochs"] = np.array([block.epochs for block in phase.blocks], np.int64)
    numbers = {"first_epoch": contents.first_epoch, "epochs": phase.epochs, "epochs_done": contents.epochs_done}
    group.attrs.update({name: np.int64(value) for name, value in numbers.items()})
    group.attrs["freeze_fraction"] = np.float64(phase.freeze_fraction)
    if phase.changes:
        write_text(group.attrs, CHANGES, json.dumps(dict(phase.changes)))
    if phase.keep_patterns:
        group.attrs.update({KEEP_PATTERNS: np.int64(phase.keep_patterns), SELECTIVE: np.uint8(phase.selective)})
    if contents.rates_from:
        write_text(group.attrs, RATES_FROM, contents.rates_from)
    if phase.rules:
        write_text(group.attrs, RULES, json.dumps(rules_to_json(phase.rules)))
    group.attrs.update({"dropout": np.uint8(phase.dropout), "complete": np.uint8(contents.at_end is not None)})
    if contents.at_end is not None:
        _write_fixed(group, contents.at_end, FIXED[PHASES])


def _write_fixed(group: h5py.Group, arrays: Mapping[str, np.ndarray], columns: Mapping[str, Field]) -> None:
    for name, column in columns.items():
        describe(group.create_dataset(name, data=np.asarray(arrays[name], column.stored), **COMPRESSION), column)


def rows_bytes(parts: Iterable[TableRows]) -> int:
    """Size of rows before they are compressed."""
    return sum(column.nbytes for part in parts for table in part.values() for column in table.values())


def state_bytes(state: NetworkState) -> int:
    """Size of a state before it is compressed."""
    return sum(np.asarray(value).nbytes for _, value in state.items())


def has_rows(part: TableRows, name: str) -> bool:
    """There are rows of a table in a part."""
    return name in part and len(next(iter(part[name].values()))) > 0


def write_table(
    file: h5py.Group,
    name: str,
    parameters: Parameters,
    parts: Sequence[tuple[int, Mapping[str, Any]]],
    numbered: bool = True,
    **options: Any,
) -> h5py.Group:
    """Write a table of rows that are in parts.

    Parameters
    ----------
    file : h5py.Group
    name : str
        Of the table.
    parameters : Parameters
    parts : sequence of (int, columns)
        Number of the phase, and the other columns; an aeon that is in two parts of a phase is added up.
    numbered : bool
        The table has the numbers of the phases; and says what its columns mean.
    **options
        Of its compression, where that is to be other than usual.
    """
    if name == AEONS:
        of_phase: dict[int, list[Mapping[str, Any]]] = {}
        for index, columns in parts:
            of_phase.setdefault(index, []).append(columns)
        parts = [(index, _summed(_joined(pieces))) for index, pieces in of_phase.items()]
    group, sizes = file.create_group(name), axis_sizes(parameters)
    lengths = [len(next(iter(columns.values()))) for _, columns in parts]
    for column_name, column in TABLES[name].items():
        if column_name == "phase" and not numbered:
            continue
        shape = column.shape(sizes)[1:]
        row_bytes = math.prod(shape) * column.stored.itemsize
        chunks = (max(1, CHUNK_BYTES // row_bytes), *shape)
        dataset = group.create_dataset(
            column_name, (sum(lengths), *shape), column.stored, maxshape=(None, *shape), chunks=chunks, **COMPRESSION | options
        )
        if numbered:
            describe(dataset, column)
        row = 0
        for (index, columns), length in zip(parts, lengths, strict=True):
            step = max(1, PIECE_BYTES // row_bytes)
            for start in range(0, length, step):
                stop = min(start + step, length)
                dataset[row + start : row + stop] = index if column_name == "phase" else columns[column_name][start:stop]
            row += length
    return group


# ------------------------------------------------------------------------------------------------- recording by hand


class TrialWriter:
    """Writes the file of a trial whose phases are run one by one.

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
    What was recorded stays in memory, and the file is written as a whole, under another name first, when a phase begins or ends
    and when it is left: a disk that fills up or a process that is killed leaves it as it was before.
    :func:`foraging_snn.running.trial.run_trial` runs the phases of an experiment, and can go on with them.

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
        self.path = Path(path)
        self.header = new_header(experiment, parameters, seed, trial, engine, command_line, started_from)
        self._phases: list[PhaseContents] = []
        self._recorder: PhaseRecorder | None = None
        self._is_closed = False
        write_trial(self.path, self.header, (), overwrite=False)

    def write_wiring(self, state: NetworkState) -> None:
        """Write who is connected to whom, and all strengths at the start."""
        self.header = replace(self.header, wiring=wiring_of(state))
        self.flush()

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
        self._recorder = PhaseRecorder(self.header.parameters, phase, state.phase_epoch, is_first=not self._phases)
        self._phases.append(PhaseContents(phase, state.epoch - state.phase_epoch, state.phase_epoch, ()))
        self.flush()
        return self._recorder

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
        if self._recorder is None:
            raise ValueError("no phase has begun")
        phase = self._recorder.phase
        if self._recorder.done != phase.epochs:
            raise ValueError(f"phase {phase.name}: {self._recorder.done} of {phase.epochs} epochs were recorded")
        self._take()
        if not _is_end_of(record, self._phases[-1].parts):
            raise ValueError(f"phase {phase.name}: the record of the engine is not what the recorder heard")
        self._phases[-1] = replace(self._phases[-1], at_end=at_end_of_phase(state), state=state.copy)
        self._recorder = None
        self.flush()

    def _take(self) -> None:
        """Take over what the recorder has collected."""
        if self._recorder:
            parts = (*self._phases[-1].parts, self._recorder.take())
            self._phases[-1] = replace(self._phases[-1], parts=parts, epochs_done=self._recorder.done)

    def flush(self) -> None:
        """Write all that was recorded so far."""
        self._take()
        write_trial(self.path, self.header, self._phases)

    def complete(self) -> None:
        """Mark the file as complete and write the end time."""
        if self._recorder is not None:
            raise ValueError(f"phase {self._recorder.phase.name} has not ended")
        self._is_closed = True
        write_trial(self.path, self.header, self._phases, ended=now(), complete=True)

    def __enter__(self) -> "TrialWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._is_closed:
            self._take()
            write_trial(self.path, self.header, self._phases, ended=now())


def new_header(
    experiment: Experiment,
    parameters: Parameters,
    seed: int,
    trial: int,
    engine: str,
    command_line: str,
    started_from: SavedState | str | None = None,
    wiring: Mapping[str, np.ndarray] | None = None,
) -> TrialHeader:
    """The header of a file that is begun now; arguments as for :class:`TrialWriter` and :class:`TrialHeader`."""
    return TrialHeader(
        parameters,
        experiment.name,
        experiment.label,
        seed,
        trial,
        provenance(engine, command_line),
        "" if started_from is None else str(started_from),
        started_from.provenance if isinstance(started_from, SavedState) else {},
        wiring or {},
        protocol=experiment.text,
    )


def header_of(trial: Trial) -> TrialHeader:
    """The header that the file of a trial has."""
    names = ("parameters", "experiment", "label", "protocol", "seed", "trial", "provenance", "started")
    named = {name: getattr(trial, name) for name in names}
    return TrialHeader(
        **named,
        started_from=trial.started_from or "",
        started_from_provenance=trial.started_from_provenance,
        wiring=vars(trial.wiring()),
    )


def at_end_of_phase(state: NetworkState) -> dict[str, np.ndarray]:
    """What is kept of the state at the end of a phase."""
    return {name: getattr(state, name) for name in FIXED[PHASES]}


def _is_end_of(record: PhaseRecord, parts: Sequence[TableRows]) -> bool:
    """Whether the counts of the engine are the last of those that were recorded; its first aeon may be only a part of one."""
    heard = _summed(_joined([part[AEONS] for part in parts]))
    n = len(record.eaten)
    if heard["aeon"][-n:].tolist() != list(range(record.first_aeon, record.first_aeon + n)):
        return False
    later = int(heard["epochs"][-n] > record.counts["epochs"][0])
    pairs = [(heard["eaten"], record.eaten), *((heard[name], record.counts[name]) for name in AEON_COUNTS)]
    return all(np.array_equal(ours[-n:][later:], theirs[later:]) for ours, theirs in pairs)

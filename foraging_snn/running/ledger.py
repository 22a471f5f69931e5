"""The ledger: what was computed, each piece written once under a key that says what it is. Resuming is skipping what exists.

A segment is a range of epochs of one phase of one trial: what is recorded of them, and the state after them. It is a file of its
own that is never changed; what is in it, docs/file_format.md describes. Which segments a trial needs is up to trial.py.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.hdf5 import (
    damage_reported,
    dataset_in,
    group_in,
    open_for_reading,
    read_number,
    read_text,
    reason,
    remove_leftovers,
    scratch_name,
    whole_file,
    write_format,
    write_text,
    write_texts,
)
from foraging_snn.files.layout import FIXED, PHASES, TABLES
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.files.states import SavedState, check_state, read_state, update_digest, write_state
from foraging_snn.files.writer import HEADER_BYTES, PhaseContents, TableRows, has_rows, rows_bytes, state_bytes, write_table
from foraging_snn.models import MAX_SEED, RESULTS_VERSION, NetworkState, Parameters, Phase
from foraging_snn.protocols import ImportRates, RatesOfState, Step, rates_before
from foraging_snn.running.errors import LedgerError

FORMAT_NAME, FORMAT_VERSION = "foraging_snn segment", 1
STATE, ROWS, DIGEST = "state", "rows", "sha256"
KEY_DIGITS = 20  # of a key, in the name of a file; all of it is in the file
LIGHT = {"compression_opts": 1}  # written more often than it is read
TABLES_OF_PARAMETERS = ("particles.", "tasks.")  # of them only what is not in the package is named; phases say what they use
# What a phase says itself (lengths, blocks, rules), not what its protocol was made for; and what only files of trials have.
NOT_IN_KEYS = ("preset", "phases", "sleep.block_epochs", "elastic", "recording.states")
OF_TESTS = ("recording.test_every", "recording.test_epochs")  # likewise, where there are no tests during phases


@dataclass(frozen=True)
class Origin:
    """What all phases of a trial come from.

    Attributes
    ----------
    parameters : Parameters
    seed : int
    engine : str
    start : SavedState or None
        In the place of the unsupervised phase.
    """

    parameters: Parameters
    seed: int
    engine: str
    start: SavedState | None = None

    @cached_property
    def text(self) -> str:
        """All of it that has a part in the results."""
        packaged = {name: value for name, value in Parameters().values().items() if name.startswith(TABLES_OF_PARAMETERS)}
        values = {name: value for name, value in self.parameters.values().items() if packaged.get(name) != value}
        left_out = NOT_IN_KEYS if self.parameters.recording.test_every else (*NOT_IN_KEYS, *OF_TESTS)
        return "\n".join(
            [
                *(f"{name} = {value!r}" for name, value in values.items() if not name.startswith(left_out)),
                f"seed {self.seed}, engine {self.engine}, results {RESULTS_VERSION}",
                f"begins with {f'the state {self.start.sha256}' if self.start else 'a new network'}",
            ]
        )

    def description(self, steps: Sequence[Step]) -> str:
        """What the last of these steps of a trial is, in words that are the same only if its results are."""
        return "\n".join([self.text, *(self._of_step(step) for step in steps)])

    def _of_step(self, step: Step) -> str:
        if isinstance(step, ImportRates):
            return f"spike counts of task {step.task} from {self.key(step.steps)}"
        if isinstance(step, RatesOfState):
            return f"spike counts of all tasks from the state {step.sha256}"
        return repr(step)

    def key(self, steps: Sequence[Step]) -> str:
        """Digest of that: the name of the phase with which these steps end."""
        return hashlib.sha256(self.description(steps).encode()).hexdigest()


@dataclass(frozen=True)
class Segment:
    """A range of epochs of a phase.

    Attributes
    ----------
    path : Path
    key : str
        Of the phase.
    start, end : int
        Epochs of the phase that were done before it, and after it.
    first_epoch : int
        Epochs of the trial before the phase.
    versions : str
        Those of foraging_snn that computed it, with commas between.
    """

    path: Path
    key: str
    start: int
    end: int
    first_epoch: int
    versions: str

    def opened(self) -> h5py.File:
        """The file, which was looked at when it was found, or written by this process. LedgerError: it is not there any more."""
        try:
            return h5py.File(self.path, "r", locking=False)
        except OSError as problem:
            raise LedgerError(f"{self.path}: cannot be read: {reason(problem)}") from None

    def state(self, parameters: Parameters) -> NetworkState:
        """The state after its last epoch."""
        with self.opened() as file, damage_reported(self.path, LedgerError):
            return read_state(group_in(file, STATE), parameters)


class Damaged(Exception):
    """A segment is not whole, or not what its name says; the message is one line."""


@dataclass
class Ledger:
    """The segments of a trial, in a folder of its seed.

    Attributes
    ----------
    folder : Path
        Of the ledger; made when there is something to write.
    origin : Origin
    others : sequence of Path
        Ledgers in which segments are looked for as well; nothing is written there.
    names : sequence of str
        Of the files that are computed: what this process leaves half written when it is killed is named after the first, and
        removed by the next that computes one of them.
    check : callable
        Called before anything is written or removed, see :func:`foraging_snn.running.locks.locked`.
    note : callable
        Called with one line on each segment that is not taken because it is damaged.
    """

    folder: Path
    origin: Origin
    others: Sequence[Path] = ()
    names: Sequence[str] = ("segment",)
    check: Callable[[], None] = lambda: None
    note: Callable[[str], None] = lambda line: None
    _bad: set[Path] = field(default_factory=set)

    @property
    def place(self) -> Path:
        """Folder of the segments of this seed."""
        return self.folder / f"seed{self.origin.seed:04d}"

    def remove_leftovers(self) -> None:
        """Remove what processes that were killed have left half written."""
        self.check()
        remove_leftovers(self.place, *self.names)

    # -------------------------------------------------------------------------------------------------------- looking up

    @cached_property
    def _listed(self) -> dict[str, dict[tuple[int, int], Path]]:
        """Files in all ledgers by the beginning of their key and their range, as they were when this was asked first."""
        found: dict[str, dict[tuple[int, int], Path]] = {}
        for folder in (self.folder, *self.others):
            for path in (folder / self.place.name).glob("*-*-*.h5"):
                key, start, end = path.stem.split("-")
                if start.isdecimal() and end.isdecimal():
                    found.setdefault(key, {}).setdefault((int(start), int(end)), path)
        return found

    def epochs_listed(self, steps: Sequence[Step]) -> int:
        """How many epochs of the phase at the end of `steps` are there by the names of the files."""
        listed = self._listed.get(self.origin.key(steps)[:KEY_DIGITS], {})
        chain = _longest_chain(listed)
        return chain[-1][1] if chain else 0

    def find(self, steps: Sequence[Step]) -> list[Segment]:
        """The segments, one after the other, of as much of the phase at the end of `steps` as there is from its start on."""
        key = self.origin.key(steps)
        listed = {span: path for span, path in self._listed.get(key[:KEY_DIGITS], {}).items() if path not in self._bad}
        while chain := _longest_chain(listed):
            found = []
            for span in chain:
                try:
                    found.append(self._read(listed[span], key, span))
                except Damaged as damage:
                    self._bad.add(listed[span])
                    self.note(f"{listed.pop(span)}: {damage}; its epochs are computed anew")
                    break
                except FileNotFoundError:  # another process has put it together with its neighbours: look again
                    self.__dict__.pop("_listed", None)
                    return self.find(steps)
            else:
                return found
        return []

    def _read(self, path: Path, key: str, span: tuple[int, int]) -> Segment:
        """A segment, every bit of which has been looked at."""
        if not path.exists():
            raise FileNotFoundError
        parameters = self.origin.parameters
        try:
            with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, Damaged) as file, damage_reported(path, Damaged):
                numbers = {name: read_number(file.attrs, name, 0, MAX_SEED) for name in ("start", "end", "first_epoch")}
                texts = {name: read_text(file.attrs, name) for name in ("key", "description", "versions")}
                state = read_state(group_in(file, STATE), parameters)
                if _digest(texts, numbers, _rows_in(file), state) != read_text(file.attrs, DIGEST):
                    raise ValueError("its contents do not match their checksum")
                if (texts["key"], numbers["start"], numbers["end"]) != (key, *span):
                    raise ValueError("it is not what its name says")
                check_state(state, parameters)
        except Damaged as damage:
            raise Damaged(str(damage).removeprefix(f"{path}: ")) from None
        return Segment(path, key, *span, numbers["first_epoch"], texts["versions"])

    # ----------------------------------------------------------------------------------------------------------- writing

    def add(self, steps: Sequence[Step], start: int, end: int, rows: TableRows, state: NetworkState) -> Segment:
        """Write a segment of the phase at the end of `steps`; `state` is that after epoch `end` of it.

        Raises
        ------
        LedgerError
            The disk is full or read-only; what was there is as it was.
        """
        return self._write(steps, start, end, state.epoch - end, self._version, [rows], state)

    @cached_property
    def _version(self) -> str:
        return version_and_commit(provenance("", ""))

    def put_together(self, steps: Sequence[Step], chain: Sequence[Segment]) -> Segment:
        """One segment in the place of all those of the phase at the end of `steps`, which is over; the others are removed."""
        chain = self.present(steps, chain)
        phase = phase_of(steps)
        if not chain or chain[-1].end != phase.epochs:
            raise LedgerError(f"{self.place}: segments of phase {phase.name} were removed while it was computed; stopped")
        whole = chain[0]
        if len(chain) > 1:
            with ExitStack() as stack:
                files = [stack.enter_context(segment.opened()) for segment in chain]
                state = read_state(group_in(files[-1], STATE), self.origin.parameters)
                versions = ", ".join(dict.fromkeys(v for segment in chain for v in segment.versions.split(", ")))
                parts = [_rows_in(file) for file in files]
                whole = self._write(steps, 0, chain[-1].end, chain[0].first_epoch, versions, parts, state)
        self.check()
        parts_left = self.place.glob(f"{whole.key[:KEY_DIGITS]}-*.h5") if whole.path.parent == self.place else ()
        for path in parts_left:
            if path != whole.path:
                with suppress(OSError):  # it does no harm
                    path.unlink()
        return whole

    def present(self, steps: Sequence[Step], chain: Sequence[Segment]) -> list[Segment]:
        """The segments of a chain; what takes their place, if another process that computes the same has put them together."""
        if all(segment.path.exists() for segment in chain):
            return list(chain)
        self.__dict__.pop("_listed", None)
        return self.find(steps)

    def _write(
        self,
        steps: Sequence[Step],
        start: int,
        end: int,
        first_epoch: int,
        versions: str,
        parts: Sequence[TableRows],
        state: NetworkState,
    ) -> Segment:
        key = self.origin.key(steps)
        path = self.place / f"{key[:KEY_DIGITS]}-{start}-{end}.h5"
        texts = {"key": key, "description": self.origin.description(steps), "versions": versions}
        numbers = {"start": start, "end": end, "first_epoch": first_epoch}
        self.check()
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            scratch = self.place / scratch_name(self.names[0])
            with whole_file(path, HEADER_BYTES + state_bytes(state) + rows_bytes(parts), scratch) as file:
                write_format(file, FORMAT_NAME, FORMAT_VERSION)
                write_texts(file.attrs, texts)
                file.attrs.update({name: np.int64(value) for name, value in numbers.items()})
                write_state(file.create_group(STATE), state)
                group = file.create_group(ROWS)
                for name in TABLES:
                    if there := [(0, part[name]) for part in parts if has_rows(part, name)]:
                        write_table(group, name, self.origin.parameters, there, numbered=False, **LIGHT)
                write_text(file.attrs, DIGEST, _digest(texts, numbers, _rows_in(file), state))
        except OSError as problem:
            raise LedgerError(f"{self.place}: cannot be written: {reason(problem)}") from None
        return Segment(path, key, start, end, first_epoch, versions)


def phase_of(steps: Sequence[Step]) -> Phase:
    """The phase with which steps end; TypeError if it is none."""
    if not isinstance(steps[-1], Phase):
        raise TypeError(f"{steps[-1]!r} given, allowed are steps that end with a phase")
    return steps[-1]


@contextmanager
def contents_of(origin: Origin, steps: Sequence[Step], chain: Sequence[Segment], started_at: int) -> Iterator[PhaseContents]:
    """What the file of a trial holds of the phase at the end of `steps`, which began at epoch `started_at` of the trial."""
    phase = phase_of(steps)
    with ExitStack() as stack:
        files = [stack.enter_context(segment.opened()) for segment in chain]
        done = chain[-1].end if chain else 0
        at_end, state = None, None
        if done == phase.epochs:
            at_end = {name: dataset_in(files[-1], f"{STATE}/{name}")[...] for name in FIXED[PHASES]}
            state = partial(read_state, group_in(files[-1], STATE), origin.parameters)
        rows = [_rows_in(file) for file in files]
        yield PhaseContents(phase, started_at, done, rows, at_end, origin.key(steps), state, rates_before(steps))


def _rows_in(file: h5py.File) -> TableRows:
    rows = group_in(file, ROWS)
    return {table: {str(name): dataset_in(rows, f"{table}/{name}") for name in group_in(rows, table)} for table in map(str, rows)}


def _longest_chain(spans: Mapping[tuple[int, int], object] | set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of ranges, those that follow each other from 0 on as far as possible; as few as possible."""
    best: dict[int, list[tuple[int, int]]] = {0: []}
    for start, end in sorted(spans):
        if start in best and start < end and (end not in best or len(best[start]) + 1 < len(best[end])):
            best[end] = [*best[start], (start, end)]
    return best[max(best)]


def _digest(texts: Mapping[str, str], numbers: Mapping[str, int], rows: TableRows, state: NetworkState) -> str:
    digest = hashlib.sha256(f"{FORMAT_NAME} {FORMAT_VERSION}".encode())
    for name, value in sorted({**texts, **numbers}.items()):
        digest.update(f"\n{name} {value}".encode("utf-8", "replace"))
    for table, columns in sorted(rows.items()):
        for name, column in sorted(columns.items()):
            digest.update(f"\n{table}/{name} {column.dtype.str} {column.shape}\n".encode())
            for piece in column.iter_chunks() if len(column) else ():
                digest.update(np.ascontiguousarray(column[piece]).data)
    update_digest(digest, state)
    return digest.hexdigest()

"""What was counted when networks were tested: kept on disk under a key that says what was tested, and never counted twice.

A file holds some evaluations; it is written once and never changed. What an evaluation is, evaluating.py says.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.hdf5 import (
    damage_reported,
    dataset_in,
    open_for_reading,
    read_text,
    reason,
    remove_leftovers,
    whole_file,
    write_format,
    write_texts,
)
from foraging_snn.files.landscapes import COUNTS
from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.running.errors import LedgerError

FORMAT_NAME, FORMAT_VERSION = "foraging_snn evaluations", 1
FOLDER = "evaluations"  # in the ledger
KEY, DIGEST, VERSIONS = "key", "sha256", "versions"
NAME_DIGITS = 20  # of the digest, in the name of a file
HEADER_BYTES = 100_000  # of a file, besides its rows
COLUMNS = tuple(COUNTS)
Row = tuple[int, ...]  # in the order of the columns


class _Damaged(Exception):
    """A file is not whole; the message is one line."""


@dataclass
class EvaluationLedger:
    """The evaluations in a folder.

    Attributes
    ----------
    folder : Path
        Of the ledger; made when there is something to write.
    note : callable
        Called with one line on each file that is damaged; what is in it is computed anew.
    """

    folder: Path
    note: Callable[[str], None] = lambda line: None

    @property
    def place(self) -> Path:
        """Folder of the files."""
        return self.folder / FOLDER

    def all(self) -> dict[str, Row]:
        """Every evaluation there is, by key."""
        found: dict[str, Row] = {}
        for path in sorted(self.place.glob("*.h5")):
            try:
                found |= _read(path)
            except _Damaged as damage:
                self.note(f"{damage}; its evaluations are computed anew")
        return found

    def add(self, rows: Mapping[str, Row]) -> None:
        """Write evaluations, by key.

        Raises
        ------
        LedgerError
            The disk is full or read-only.
        """
        if not rows:
            return
        digest = _digest(rows)
        path = self.place / f"{digest[:NAME_DIGITS]}.h5"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.place, path.name)
            with whole_file(path, HEADER_BYTES + 1000 * len(rows)) as file:
                write_format(file, FORMAT_NAME, FORMAT_VERSION)
                write_texts(file.attrs, {DIGEST: digest, VERSIONS: version_and_commit(provenance("", ""))})
                file.create_dataset(KEY, data=np.array(sorted(rows), "S64"))
                for k, (name, (unit, meaning)) in enumerate(COUNTS.items()):
                    column = file.create_dataset(name, data=np.array([rows[key][k] for key in sorted(rows)], np.int64))
                    write_texts(column.attrs, {"unit": unit, "meaning": meaning})
        except OSError as problem:
            raise LedgerError(f"{self.place}: cannot be written: {reason(problem)}") from None


def _read(path: Path) -> dict[str, Row]:
    with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, _Damaged) as file, damage_reported(path, _Damaged):
        keys = [key.decode("ascii") for key in dataset_in(file, KEY)[:].tolist()]
        columns = [_column(file, name, len(keys)) for name in COLUMNS]
        rows = dict(zip(keys, zip(*columns, strict=True), strict=True))
        if _digest(rows) != read_text(file.attrs, DIGEST):
            raise ValueError("its contents do not match their checksum")
    return rows


def _column(file: h5py.File, name: str, n: int) -> list[int]:
    dataset = dataset_in(file, name)
    if dataset.shape != (n,) or dataset.dtype.kind != "i":
        raise ValueError(f"{name} is not a column of {n} whole numbers")
    return dataset[:].tolist()


def _digest(rows: Mapping[str, Row]) -> str:
    text = "\n".join([*COLUMNS, *(f"{key} {' '.join(map(str, row))}" for key, row in sorted(rows.items()))])
    return hashlib.sha256(text.encode()).hexdigest()

"""Room on disk: how much the files of a run will take, and whether there is as much. What is in them says layout.py."""

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from foraging_snn.files.layout import (
    AEONS,
    FIXED,
    INPUT_SNAPSHOTS,
    PHASES,
    POSITIONS,
    SNAPSHOTS,
    SPIKES,
    TABLES,
    WIRING,
    Column,
    axis_sizes,
    position_windows,
    snapshot_epochs,
    spike_windows,
)
from foraging_snn.models import N_OUTPUT, Parameters, Phase
from foraging_snn.running.trial import RunError

# Share of a table that is left after compression, twice what it is in trials of the paper: small whole numbers, many alike.
# Strengths and rates hardly get smaller and are counted in full.
COMPRESSED = {AEONS: 0.1, POSITIONS: 0.18, SPIKES: 0.25}
HIDDEN_RATE = 0.1  # spikes per epoch of a hidden cell, as at the start of the unsupervised phase; a tenth of that at its end
HEADER_BYTES = 4096  # of a dataset: its description and the index of its pieces
INDEX_SHARE = 0.05  # the index grows with what is in it

STATE_BYTES = {"synapse": 40, "hidden": 400, "other": 100_000}  # of a saved state; traces included
CHECKPOINTS = 3  # the newest, the one before it, and one being written; each has a copy of the file under way
STATES = 8  # in them and beside them, for the experiments that are still to come

LOWERED_BY = {
    AEONS: "shorter phases (phases.scale)",
    SNAPSHOTS: "fewer snapshots (--snapshots)",
    INPUT_SNAPSHOTS: "fewer snapshots (--snapshots)",
    POSITIONS: "fewer positions (recording.positions, recording.position_window_epochs)",
    SPIKES: "shorter windows of spikes (recording.spike_window_epochs)",
}


def table_bytes(parameters: Parameters, phases: Iterable[Phase]) -> dict[str, float]:
    """Bytes that each table of a trial's file will take at most, as far as can be said before the run.

    Parameters
    ----------
    parameters : Parameters
    phases : iterable of Phase
        Those recorded in the file.

    Returns
    -------
    dict of str to float
        By name of the table. How much is spiked is not known before: taken is what an untrained network does.
    """
    sizes = axis_sizes(parameters)
    rows = _rows(parameters, list(phases))
    return {name: rows[name] * _row_bytes(TABLES[name], sizes) * COMPRESSED.get(name, 1.0) for name in TABLES}


def _rows(parameters: Parameters, phases: list[Phase]) -> dict[str, float]:
    snapshots = [len(snapshot_epochs(parameters, phase, is_first=k == 0)) for k, phase in enumerate(phases)]
    of_inputs = sum(n for n, phase in zip(snapshots, phases, strict=True) if phase.is_unsupervised)
    flashed = parameters.n_input * parameters.world.density
    spikes_per_epoch = flashed + HIDDEN_RATE * parameters.n_hidden + N_OUTPUT
    return {
        AEONS: sum(-(-phase.epochs // parameters.timing.epochs_per_aeon) for phase in phases),
        SNAPSHOTS: sum(snapshots),
        INPUT_SNAPSHOTS: max(1, of_inputs),
        POSITIONS: sum(map(len, _all_windows(position_windows, parameters, phases))),
        SPIKES: sum(map(len, _all_windows(spike_windows, parameters, phases))) * spikes_per_epoch,
    }


def _all_windows(windows, parameters: Parameters, phases: list[Phase]) -> list[range]:
    return [window for phase in phases for window in windows(parameters, phase.epochs)]


def _row_bytes(columns: Mapping[str, Column], sizes: Mapping[str, int]) -> int:
    return sum(math.prod(sizes[axis] for axis in column.axes) * np.dtype(column.kind).itemsize for column in columns.values())


def trial_bytes(parameters: Parameters, phases: Iterable[Phase]) -> int:
    """Bytes that the file of a trial will take at most, as far as can be said before the run; see :func:`table_bytes`."""
    phases = list(phases)
    sizes = axis_sizes(parameters)
    fixed = _row_bytes(FIXED[WIRING], sizes) + len(phases) * _row_bytes(FIXED[PHASES], sizes)
    datasets = sum(map(len, TABLES.values())) + len(FIXED[WIRING]) + len(phases) * len(FIXED[PHASES])
    contents = fixed + sum(table_bytes(parameters, phases).values())
    return math.ceil(contents * (1 + INDEX_SHARE) + datasets * HEADER_BYTES)


def checkpoint_bytes(parameters: Parameters, file_bytes: int) -> int:
    """Bytes that the checkpoints of a trial take at most while it runs, if its file has so many."""
    sizes = {**axis_sizes(parameters), "other": 1}
    return CHECKPOINTS * file_bytes + STATES * sum(sizes[name] * n_bytes for name, n_bytes in STATE_BYTES.items())


def check_space(
    directory: Path,
    runs: Iterable[tuple[Mapping[Path, Iterable[Phase]], Parameters]],
    jobs: int = 1,
    checkpoints: Iterable[Path] = (),
) -> None:
    """See that there is room for the files of runs; of those that are there already, for what they still lack.

    Parameters
    ----------
    directory : Path
        Where they go; it need not exist.
    runs : iterable of (files, Parameters)
        For each file of a run that is not complete yet, the phases that it will hold.
    jobs : int
        Trials at the same time, each with checkpoints of its own.
    checkpoints : iterable of Path
        The folders of the checkpoints of these trials; what lies there already need not be found again.

    Raises
    ------
    RunError
        There is less than is needed; the message says how to need less.

    Notes
    -----
    What other processes are going to write is not known here.
    """
    tables = dict.fromkeys(TABLES, 0.0)
    needed, beside, n_files = 0, 0, 0
    for files, parameters in runs:
        sizes: dict[tuple[Phase, ...], int] = {}  # trials of an experiment have the same
        for path, phases in files.items():
            phases = tuple(phases)
            if phases not in sizes:
                sizes[phases] = trial_bytes(parameters, phases)
                for name, n_bytes in table_bytes(parameters, phases).items():
                    tables[name] += n_bytes
            needed += max(0, sizes[phases] - _present_bytes(path))
        if sizes:
            beside = max(beside, checkpoint_bytes(parameters, max(sizes.values())))
        n_files += len(files)
    present = sorted(map(_bytes_below, checkpoints))[:jobs]  # which trials come first is not known
    beside = jobs * beside - sum(min(beside, n_bytes) for n_bytes in present)
    free = shutil.disk_usage(_nearest_folder(directory)).free
    if needed + beside > free:
        less = LOWERED_BY[max(tables, key=tables.get)]
        what = "1 file" if n_files == 1 else f"{n_files} files"
        raise RunError(
            f"{directory}: about {readable_bytes(needed + beside)} needed for {what}, {readable_bytes(free)} free; "
            f"less is needed with {'' if n_files == 1 else 'fewer trials or '}{less}"
        )


def check_space_of_state(path: Path, parameters: Parameters) -> None:
    """See that there is room for a saved state and for the checkpoints on the way to it.

    Raises
    ------
    RunError
        There is less than is needed.
    """
    needed = checkpoint_bytes(parameters, 0)
    free = shutil.disk_usage(_nearest_folder(path.parent)).free
    if needed > free:
        raise RunError(f"{path}: about {readable_bytes(needed)} needed, {readable_bytes(free)} free")


def _present_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _bytes_below(folder: Path) -> int:
    return sum(_present_bytes(Path(place) / name) for place, _, names in os.walk(folder) for name in names)


def _nearest_folder(directory: Path) -> Path:
    return next((folder for folder in (directory, *directory.absolute().parents) if folder.is_dir()), Path("/"))


def readable_bytes(n: float) -> str:
    """As "1.5 GB"; powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 999.5 or unit == "TB":
            break
        n /= 1000
    return f"{n:.0f} {unit}" if n >= 10 or unit == "bytes" else f"{n:.1f} {unit}"

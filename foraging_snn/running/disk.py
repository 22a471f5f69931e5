"""Room on disk: how much the files of a run will take, and whether there is as much. What is in them says layout.py."""

import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import cast

from foraging_snn.files.layout import (
    AEONS,
    FIXED,
    INPUT_SNAPSHOTS,
    PHASES,
    POSITIONS,
    SNAPSHOTS,
    SPIKES,
    TABLES,
    TESTS,
    WIRING,
    keeps_state,
    position_windows,
    snapshot_epochs,
    spike_windows,
    test_interval,
)
from foraging_snn.models import N_OUTPUT, NetworkState, Parameters, Phase
from foraging_snn.models.schema import Field, axis_sizes, schema_of
from foraging_snn.running.errors import RunError
from foraging_snn.running.plan import PlannedTrial

# Share of a table that is left after compression, twice what it is in trials of the paper: small whole numbers, many alike.
# Strengths and rates hardly get smaller and are counted in full.
COMPRESSED = {AEONS: 0.1, POSITIONS: 0.18, SPIKES: 0.25}
HIDDEN_RATE = 0.1  # spikes per epoch of a hidden cell, as at the start of the unsupervised phase; a tenth of that at its end
HEADER_BYTES = 4096  # of a dataset: its description and the index of its pieces
INDEX_SHARE = 0.05  # the index grows with what is in it

STATES = "states"  # besides the tables, in the ledger
FIELD_BYTES = 2048  # of a field of a state: its description
# As many spikes and live traces as there are of these, at most as a rule.
AS_MANY_AS = {"recent_spike": "cell", "hidden_output_trace": "hidden_output_synapse", "input_hidden_trace": "synapse"}
PATTERN_SHARE = 0.1  # of a byte per hidden cell and pattern kept, of two tasks: few cells fire in an epoch
SEGMENT_BYTES = 200_000  # of a segment, besides tables and state

LOWERED_BY = {
    AEONS: "shorter phases (phases.scale)",
    SNAPSHOTS: "fewer snapshots (--snapshots)",
    INPUT_SNAPSHOTS: "fewer snapshots (--snapshots)",
    POSITIONS: "fewer positions (recording.positions, recording.position_window_epochs)",
    STATES: "smaller layers (network.hidden_cells)",
    SPIKES: "shorter windows of spikes (recording.spike_window_epochs)",
    TESTS: "fewer tests during phases (recording.test_every)",
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
        TESTS: sum(number_of_tests(parameters, phase) for phase in phases) * len(parameters.tasks),
    }


def number_of_tests(parameters: Parameters, phase: Phase) -> int:
    """How often the network is tested during a phase, its start and its end included."""
    every = test_interval(parameters, phase)
    return 1 + -(-phase.epochs // every) if every else 0


def _all_windows(windows, parameters: Parameters, phases: list[Phase]) -> list[range]:
    return [window for phase in phases for window in windows(parameters, phase.epochs)]


def _row_bytes(columns: Mapping[str, Field], sizes: Mapping[str, int]) -> int:
    return sum(column.n_bytes(sizes, free=1) for column in columns.values())


def trial_bytes(parameters: Parameters, phases: Iterable[Phase]) -> int:
    """Bytes that the file of a trial will take at most, as far as can be said before the run; see :func:`table_bytes`."""
    phases = list(phases)
    sizes = axis_sizes(parameters)
    fixed = _row_bytes(FIXED[WIRING], sizes) + len(phases) * _row_bytes(FIXED[PHASES], sizes)
    datasets = sum(map(len, TABLES.values())) + len(FIXED[WIRING]) + len(phases) * len(FIXED[PHASES])
    states = sum(keeps_state(parameters, phase, k == len(phases) - 1) for k, phase in enumerate(phases))
    contents = fixed + sum(table_bytes(parameters, phases).values()) + states * _state_bytes(parameters, phases)
    return math.ceil(contents * (1 + INDEX_SHARE) + datasets * HEADER_BYTES)


def segment_bytes(parameters: Parameters, phases: Iterable[Phase], of_trial: Iterable[Phase] = ()) -> dict[str, float]:
    """Bytes that the segments of phases take in the ledger at most, by table and for the states; `of_trial` are those of their
    whole trial, whose patterns and memories of rules are in states from then on."""
    phases = list(phases)
    return table_bytes(parameters, phases) | {STATES: _state_bytes(parameters, [*phases, *of_trial]) * len(phases)}


def _state_bytes(parameters: Parameters, phases: Iterable[Phase]) -> float:
    sizes = axis_sizes(parameters)
    sizes |= {axis: sizes[like] for axis, like in AS_MANY_AS.items()}
    usual = sum(what.n_bytes(sizes) + FIELD_BYTES for what in schema_of(NetworkState).values() if not what.optional)
    phases = list(phases)
    patterns = max((phase.keep_patterns for phase in phases), default=0)
    remembered = {(rule.name, row) for phase in phases for rule in phase.rules for row in (rule.rule.memory if rule.rule else ())}
    return usual + parameters.n_hidden * (2 * PATTERN_SHARE * patterns + 8 * N_OUTPUT * len(remembered))


def check_space(directory: Path, planned: Iterable[PlannedTrial], jobs: int = 1) -> None:
    """See that there is room for the files of trials and for what they leave in the ledger.

    Parameters
    ----------
    directory : Path
        Where they go; it need not exist.
    planned : iterable of PlannedTrial
        Trials. Files that are complete need no room, nor does what is in the ledger; what trials have in common is there once.
    jobs : int
        Trials at the same time, each with a file and a segment that are written anew before the old ones go.

    Raises
    ------
    RunError
        There is less than is needed; the message says how to need less.

    Notes
    -----
    What other processes are going to write is not known here.
    """
    needed, transient, n_files = 0.0, 0.0, 0
    parts: Counter[str] = Counter()
    keys: set[str] = set()
    for trial in planned:
        files = trial.missing()
        if not files:
            continue
        n_files, parameters = n_files + len(files), trial.identity.parameters
        sizes = [_trial_bytes(parameters, phases) for phases in files.values() if phases]
        of_trial = trial.identity.phases.values()
        kept = [segment_bytes(parameters, [phase], of_trial) for phase in _missing_phases(trial, keys)]
        for of_phase in kept:
            parts.update({name: int(n_bytes) for name, n_bytes in of_phase.items()})
        for phases in files.values():
            parts.update({name: int(n_bytes) for name, n_bytes in table_bytes(parameters, phases).items()})
        in_ledger = [math.ceil(sum(of_phase.values()) * (1 + INDEX_SHARE) + SEGMENT_BYTES) for of_phase in kept]
        needed += sum(sizes) + sum(in_ledger)
        transient = max(transient, max([*sizes, *in_ledger], default=0))
    needed += min(jobs, n_files) * transient
    free = shutil.disk_usage(_nearest_folder(directory)).free
    if needed > free:
        less = LOWERED_BY[max(parts, key=lambda name: parts[name])]
        what = "1 file" if n_files == 1 else f"{n_files} files"
        raise RunError(
            f"{directory}: about {readable_bytes(needed)} needed for {what} and the ledger, {readable_bytes(free)} free; "
            f"less is needed with {'' if n_files == 1 else 'fewer trials or '}{less}"
        )


_trial_bytes = cast(Callable[[Parameters, Iterable[Phase]], int], lru_cache(trial_bytes))  # those of an experiment are alike


def _missing_phases(trial: PlannedTrial, keys: set[str]) -> Iterator[Phase]:
    """The phases of a trial that are neither in its ledger nor in `keys`, to which they are added."""
    ledger = trial.ledger
    for steps, phase in trial.identity.phases.items():
        key = trial.identity.origin.key(steps)
        if key not in keys and ledger.epochs_listed(steps) < phase.epochs:
            keys.add(key)
            yield phase


def _nearest_folder(directory: Path) -> Path:
    return next((folder for folder in (directory, *directory.absolute().parents) if folder.is_dir()), Path("/"))


def readable_bytes(n: float) -> str:
    """As "1.5 GB"; powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if n < 999.5 or unit == "TB":
            break
        n /= 1000
    return f"{n:.0f} {unit}" if n >= 10 or unit == "bytes" else f"{n:.1f} {unit}"

"""The file of a trial, read as labelled arrays. What lies where in it says layout.py."""

import json
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from foraging_snn.files.conditions import changed_rules, changes_in_phases, different_rules, shortened_lengths
from foraging_snn.files.hdf5 import damage_reported, free_memory, group_in, open_for_reading, read_name, read_number, read_text
from foraging_snn.files.layout import (
    ACTIVITY_LEGEND,
    AEONS,
    CHANGES,
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
    keeps_positions,
    phase_path,
    position_windows,
    spike_windows,
)
from foraging_snn.files.provenance import version_and_commit
from foraging_snn.files.states import SavedState, read_state, saved_state
from foraging_snn.models import (
    AEON_COUNTS,
    MAX_SEED,
    Activity,
    AppliedRule,
    Block,
    ParameterError,
    Parameters,
    Phase,
    PhaseRecord,
    activity_named,
    check_state,
    performance,
)
from foraging_snn.models.between import rules_from_json
from foraging_snn.models.phases import MAX_PATTERNS
from foraging_snn.models.schema import Field, array, axis_sizes, number, record, same, schema_of

MAX_BLOCK_EPOCHS = 10**9  # more than any parameter allows


class AnalysisError(ValueError):
    """What is asked of recorded trials cannot be done; the message is one line. Raised by analysis/, imported only when needed."""


@dataclass(frozen=True)
class RecordedPhase:
    """A phase of a file.

    Attributes
    ----------
    index : int
        Its number in the file, from 0.
    name : str
        e.g. "T1", "I(S,T2)", "test T1".
    blocks : tuple of Block
        Activities and their lengths.
    first_epoch : int
        Epochs completed before the phase, since the trial began.
    epochs, epochs_done : int
        Its length, and how much of it was run.
    freeze_fraction : float
    dropout : bool
    complete : bool
    changes : tuple of (str, value)
        Parameters that were other in this phase than in the rest of the trial.
    has_state : bool
        The whole state at its end is in the file, see :meth:`Trial.state_at`.
    keep_patterns : int
    selective : bool
        Hidden patterns that were kept in it for sleep, see :class:`foraging_snn.models.Phase`.
    rules : tuple of AppliedRule
        Rules between epochs, with their parameters and digests of their source texts.
    rates_from : str
        The state from which its sleep has the rates, "" if it is of this trial.
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
    changes: tuple[tuple[str, Any], ...] = ()
    has_state: bool = False
    keep_patterns: int = 0
    selective: bool = False
    rules: tuple[AppliedRule, ...] = ()
    rates_from: str = ""

    def __repr__(self) -> str:
        done = f"{self.epochs_done:,} of {self.epochs:,}" if self.epochs_done < self.epochs else f"{self.epochs:,}"
        return f"<phase {self.index}, {self.name}, {done} epochs from {self.first_epoch:,}>"

    @property
    def activities(self) -> tuple[Activity, ...]:
        """The activities of its blocks."""
        return self.phase.activities

    @property
    def phase(self) -> Phase:
        """What the engine was given."""
        names = ("name", "blocks", "epochs", "freeze_fraction", "dropout", "changes", "keep_patterns", "selective", "rules")
        return Phase(**{name: getattr(self, name) for name in names})


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


@record(frozen=True)
class PerformanceCurve:
    """Performance in successive windows of a phase."""

    aeon: np.ndarray = array(
        np.float64, "window", unit="aeons", meaning="mean number of the aeons of a window, within the phase, from 0"
    )
    performance: np.ndarray = array(
        np.float64, "window", meaning="rewarded / (rewarded + punished) over the window", note="NaN if nothing was eaten"
    )


@record(frozen=True)
class RecordedWiring:
    """Wiring and strengths when the recording began."""

    input_index: np.ndarray = same(FIXED[WIRING]["input_index"])
    hidden_index: np.ndarray = same(FIXED[WIRING]["hidden_index"])
    input_hidden: np.ndarray = same(FIXED[WIRING]["input_hidden"])
    hidden_output: np.ndarray = same(FIXED[WIRING]["hidden_output"])
    inhibition: np.ndarray = same(FIXED[WIRING]["inhibition"])


@record(frozen=True)
class Snapshots:
    """Strengths hidden to output over the run."""

    strength: np.ndarray = same(TABLES[SNAPSHOTS]["hidden_output"])
    epoch: np.ndarray = same(TABLES[SNAPSHOTS]["epoch"])
    phase: np.ndarray = same(TABLES[SNAPSHOTS]["phase"])


@record(frozen=True)
class InputSnapshots:
    """Strengths input to hidden over the unsupervised phase, after which they do not change; at least the first."""

    strength: np.ndarray = same(TABLES[INPUT_SNAPSHOTS]["input_hidden"])
    hidden_input_target: np.ndarray = same(TABLES[INPUT_SNAPSHOTS]["hidden_input_target"])
    epoch: np.ndarray = same(TABLES[INPUT_SNAPSHOTS]["epoch"])
    phase: np.ndarray = same(TABLES[INPUT_SNAPSHOTS]["phase"])
    input_index: np.ndarray = same(FIXED[WIRING]["input_index"])
    hidden_index: np.ndarray = same(FIXED[WIRING]["hidden_index"])
    field: int = number(int, unit="squares", meaning="side of the field of view")

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


@record(frozen=True)
class Rates:
    """Running averages of the firing rates at the snapshots of :class:`Snapshots`."""

    hidden: np.ndarray = same(TABLES[SNAPSHOTS]["hidden_rate"])
    output: np.ndarray = same(TABLES[SNAPSHOTS]["output_rate"])
    epoch: np.ndarray = same(TABLES[SNAPSHOTS]["epoch"])
    phase: np.ndarray = same(TABLES[SNAPSHOTS]["phase"])


@record(frozen=True)
class Resistances:
    """Resistances of the output cells at the snapshots of :class:`Snapshots`."""

    resistance: np.ndarray = same(TABLES[SNAPSHOTS]["resistance"])
    epoch: np.ndarray = same(TABLES[SNAPSHOTS]["epoch"])
    phase: np.ndarray = same(TABLES[SNAPSHOTS]["phase"])


@record(frozen=True)
class TrainingSpikes:
    """Spikes in the most recent training on each task, at the end of a phase; what sleep is made of."""

    spikes: np.ndarray = same(FIXED[PHASES]["task_spikes"])
    epochs: np.ndarray = same(FIXED[PHASES]["task_epochs"])


@record(frozen=True)
class Positions:
    """The agent in the recorded epochs of a phase."""

    epoch: np.ndarray = same(TABLES[POSITIONS]["epoch"])
    awake: np.ndarray = same(TABLES[POSITIONS]["awake"])
    x: np.ndarray = same(TABLES[POSITIONS]["x"])
    y: np.ndarray = same(TABLES[POSITIONS]["y"])
    move: np.ndarray = same(TABLES[POSITIONS]["move"])
    eaten: np.ndarray = same(TABLES[POSITIONS]["eaten"])
    outcome: np.ndarray = same(TABLES[POSITIONS]["outcome"])


@record(frozen=True)
class Spikes:
    """All spikes in the recorded windows of a phase."""

    step: np.ndarray = same(TABLES[SPIKES]["step"])
    cell: np.ndarray = same(TABLES[SPIKES]["cell"])


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, float64 of the same shape; NaN where below is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def binomial_error(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Standard error of a share p of n: sqrt(p (1 - p) / n); NaN where n is 0."""
    return np.sqrt(ratio(p * (1.0 - p), n))


@record(frozen=True)
class PhaseTests:
    """Tests of the network during phases, of which it knows nothing: each begins with the network as it was, which then goes on."""

    epoch: np.ndarray = same(TABLES[TESTS]["epoch"])
    phase: np.ndarray = same(TABLES[TESTS]["phase"])
    task: np.ndarray = same(TABLES[TESTS]["task"])
    rewarded: np.ndarray = same(TABLES[TESTS]["rewarded"])
    punished: np.ndarray = same(TABLES[TESTS]["punished"])
    other: np.ndarray = same(TABLES[TESTS]["other"])
    epochs: np.ndarray = same(TABLES[TESTS]["epochs"])

    @property
    def performance(self) -> np.ndarray:
        """Rewarded / (rewarded + punished) particles, (test,) float64; NaN if nothing was eaten."""
        return ratio(self.rewarded, self.rewarded + self.punished)

    @property
    def performance_error(self) -> np.ndarray:
        """Its standard error: sqrt(p (1 - p) / n), p the performance, n the particles, (test,) float64."""
        return binomial_error(self.performance, self.rewarded + self.punished)


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
        Name, in the catalogue or of its own, and as in the paper.
    protocol : str
        In the language of docs/protocols.md; "" if the phases were put together by hand, or by an earlier version.
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
            self.phases = _read_phases(group_in(file, PHASES), self.parameters)

    def _read_header(self, file: h5py.File) -> None:
        attributes = file.attrs
        self.provenance = texts(group_in(file, PROVENANCE))
        try:
            self.parameters = Parameters.from_toml(read_text(attributes, "parameters"), origin="parameters")
        except ParameterError as error:
            raise RecordingError(f"{self.path}: not readable by this version of foraging_snn: {error}") from None
        self.experiment = read_name(attributes, "experiment")
        self.label = read_name(attributes, "label")
        self.protocol = read_text(attributes, "protocol") if "protocol" in attributes else ""
        self.seed = read_number(attributes, "seed", 0, MAX_SEED)
        self.trial = read_number(attributes, "trial", 0, MAX_SEED)
        self.engine = read_name(file[PROVENANCE].attrs, "engine")
        self.complete = bool(read_number(attributes, "complete", 0, 1))
        self.started = read_text(attributes, "started")
        self.ended = read_text(attributes, "ended")
        self.started_from = read_text(attributes, "started_from") or None
        self.started_from_provenance = texts(group_in(file, STARTED_FROM)) if STARTED_FROM in file else {}
        self._sizes = axis_sizes(self.parameters)

    def __repr__(self) -> str:
        """One line: experiment, seed, how far it came, phases, file."""
        state = "complete" if self.complete else "incomplete"
        phases = ", ".join(phase.name for phase in self.phases) or "none"
        return f"<Trial {self.experiment}, seed {self.seed}, {state}, phases: {phases}; {self.path}>"

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
        return tuple(versions_of(self.provenance))

    @property
    def shortened(self) -> tuple[str, ...]:
        """Kinds of phases that are shorter than in the paper: "training 2000 of 50000" (aeons)."""
        return tuple(shortened_lengths(self.parameters, (recorded.phase for recorded in self.phases)))

    @property
    def changed_in_phases(self) -> tuple[str, ...]:
        """Parameters that were other in a phase than in the rest: "in T2: reward.punished -0.5 instead of -0.001"."""
        return tuple(changes_in_phases(self.parameters, (recorded.phase for recorded in self.phases)))

    @property
    def changed(self) -> tuple[str, ...]:
        """Rules that are not those of the paper: "sleep.pulse 0.03 instead of 0.025"."""
        return tuple(changed_rules(self.parameters))

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

    def counts(self, phase: int | str) -> PhaseRecord:
        """Counts per aeon of a phase; 0 for types of particle that there were not yet when the file was written."""
        recorded = self.phase(phase)
        table = self._table(AEONS, recorded.index)
        first, n = (int(table["aeon"][0]) if len(table["aeon"]) else 0), len(table["aeon"])
        planned = -(-recorded.epochs // self.parameters.timing.epochs_per_aeon)
        if not np.array_equal(table["aeon"], first + np.arange(n)) or (recorded.complete and first + n != planned):
            raise RecordingError(f"{self.path}: damaged or truncated: {AEONS}/aeon lacks aeons of phase {recorded.index}")
        eaten = np.pad(table["eaten"], ((0, 0), (0, len(self.parameters.particles) - table["eaten"].shape[1])))
        return PhaseRecord(first, {name: table[name] for name in AEON_COUNTS}, eaten)

    def test_results(self) -> list[TestResult]:
        """All tests in their order, except those in which hidden cells are removed."""
        results, after = [], ""
        for recorded in self.phases:
            if not recorded.phase.is_test:
                after = recorded.name
            elif not recorded.dropout and (tested := recorded.activities[0].task):
                counts = self.counts(recorded.index).counts
                rewarded, punished = (int(counts[name].sum()) for name in ("rewarded", "punished"))
                value = performance(rewarded, punished)
                number = self.parameters.task_number(tested)
                results.append(TestResult(recorded.index, after, number, rewarded, punished, value, recorded.complete))
        return results

    def performance_curve(self, phase: int | str, window_aeons: int = 1, task: int | None = None) -> PerformanceCurve:
        """Performance over the aeons of a phase.

        Parameters
        ----------
        phase : int or str
            Its number or name, see :meth:`phase`.
        window_aeons : int
            Aeons per point; the last window may be shorter.
        task : int, optional
            In an interleaved phase, only the aeons that belong to this task entirely.
        """
        if window_aeons < 1:
            raise ValueError(f"window_aeons: {window_aeons} given, allowed is at least 1")
        recorded = self.phase(phase)
        record = self.counts(recorded.index)
        aeon = record.first_aeon + np.arange(len(record.eaten))
        chosen = np.ones(len(aeon), bool) if task is None else self._aeons_of_task(recorded.phase, aeon, task)
        starts = np.arange(0, np.count_nonzero(chosen), window_aeons)
        if not len(starts):
            return PerformanceCurve(np.zeros(0), np.zeros(0))
        sums = {name: np.add.reduceat(record.counts[name][chosen], starts) for name in ("rewarded", "punished")}
        mean = np.add.reduceat(aeon[chosen], starts) / np.add.reduceat(np.ones(np.count_nonzero(chosen)), starts)
        return PerformanceCurve(mean, np.array([performance(r, p) for r, p in zip(*sums.values(), strict=True)]))

    def _aeons_of_task(self, phase: Phase, aeon: np.ndarray, task: int) -> np.ndarray:
        length = self.parameters.timing.epochs_per_aeon
        tasks = [block.activity.task and self.parameters.task_number(block.activity.task) for block in phase.blocks]
        if set(tasks) == {task}:
            return np.ones(len(aeon), bool)
        within = aeon * length % sum(block.epochs for block in phase.blocks)  # where the aeon begins in its pair of blocks
        belongs, start = np.zeros(len(aeon), bool), 0
        for block, of_block in zip(phase.blocks, tasks, strict=True):
            end = start + block.epochs
            belongs |= (of_block == task) & (start <= within) & (within + length <= end)
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

    def training_spikes(self, phase: int | str) -> TrainingSpikes:
        """Spikes of the hidden cells in the most recent training on each task, at the end of a complete phase."""
        recorded = self.phase(phase)
        if not recorded.complete:
            raise RecordingError(f"{self.path}: phase {recorded.index} is incomplete: no spikes of its training were kept")
        return TrainingSpikes(*self._fixed(phase_path(recorded.index), FIXED[PHASES]).values())

    def positions(self, phase: int | str) -> Positions:
        """The agent in the recorded epochs of a phase, see :meth:`position_windows`."""
        if not keeps_positions(self.parameters):
            settings = "recording.positions = false, recording.position_window_epochs = 0"
            raise RecordingError(f"{self.path}: positions were not recorded ({settings})")
        table = self._table(POSITIONS, self.phase(phase).index)
        table["awake"] = table["awake"].astype(bool)
        return Positions(**{name: values for name, values in table.items() if name != "phase"})

    def spikes(self, phase: int | str) -> Spikes:
        """All spikes in the windows of a phase, see :meth:`windows`."""
        if not self.parameters.recording.spike_window_epochs:
            raise RecordingError(f"{self.path}: spikes were not recorded (recording.spike_window_epochs = 0)")
        table = self._table(SPIKES, self.phase(phase).index)
        return Spikes(table["step"], table["cell"])

    def phase_tests(self, phase: int | str, task: int | None = None) -> PhaseTests:
        """The tests during a phase, those at its start and its end included.

        Parameters
        ----------
        phase : int or str
            Its number or name, see :meth:`phase`.
        task : int, optional
            Number of a task; only its tests.

        Raises
        ------
        RecordingError
            There were none.
        """
        if not self.parameters.recording.test_every:
            raise RecordingError(f"{self.path}: it was not tested during phases (recording.test_every = 0)")
        table = self._table(TESTS, self.phase(phase).index)
        chosen = slice(None) if task is None else table["task"] == task
        return PhaseTests(**{name: table[name][chosen] for name in schema_of(PhaseTests)})

    def windows(self, phase: int | str) -> list[range]:
        """Epochs of a phase, from 0, of which all spikes were recorded; empty if there are none (yet)."""
        return self._recorded(spike_windows, self.phase(phase))

    def position_windows(self, phase: int | str) -> list[range]:
        """Epochs of a phase, from 0, of which positions were recorded; empty if there are none (yet)."""
        return self._recorded(position_windows, self.phase(phase))

    def _recorded(self, windows: Callable[[Parameters, int], list[range]], phase: RecordedPhase) -> list[range]:
        planned, done = windows(self.parameters, phase.epochs), phase.epochs_done
        return [range(window.start, min(window.stop, done)) for window in planned if window.start < done]

    def wiring(self) -> RecordedWiring:
        """Who is connected to whom, and the strengths when the recording began."""
        return RecordedWiring(**self._fixed(WIRING, FIXED[WIRING]))

    def phase(self, which: int | str) -> RecordedPhase:
        """A phase of the file.

        Parameters
        ----------
        which : int or str
            Its number, from 0, or its name; of several phases of a name, the first.

        Raises
        ------
        RecordingError
            None has this name; the message says which there are.
        IndexError
            None has this number.
        """
        if isinstance(which, str):
            found = next((phase for phase in self.phases if phase.name == which), None)
            if found is None:
                names = ", ".join(dict.fromkeys(phase.name for phase in self.phases))
                raise RecordingError(f"{self.path}: no phase {which!r}; its phases are {names or 'not begun'}")
            return found
        if not 0 <= which < len(self.phases):
            raise IndexError(f"phase {which}: {self.path} has phases 0 to {len(self.phases) - 1}")
        return self.phases[which]

    @property
    def states(self) -> dict[str, int]:
        """The whole states that it holds: where, as :meth:`state_at` takes it, and the epoch."""
        named = Counter(phase.name for phase in self.phases)
        found: dict[str, int] = {}
        nth: Counter[str] = Counter()
        for phase in self.phases:
            nth[phase.name] += 1
            if phase.has_state:
                where = phase.name if named[phase.name] == 1 else f"{phase.name}#{nth[phase.name]}"
                found[where] = phase.first_epoch + phase.epochs
        return found

    def state_at(self, where: int | str) -> SavedState:
        """The whole state of the network at the end of a phase, from which other trials can start.

        Parameters
        ----------
        where : str or int
            The name of a phase as it is shown, e.g. "T1"; of several of this name "T1#2" is the second. Or a number: of epochs
            completed since the trial began, at which there is such a state.

        Raises
        ------
        RecordingError
            There is none; the message names those that there are.
        """
        recorded = self._phase_at(where)
        note = f"state after {recorded.name}, epoch {recorded.first_epoch + recorded.epochs}, of {self.label}"
        note += f", preset {self.parameters.preset}, engine {self.engine}, seed {self.seed}"
        with self._opened() as file:
            state = read_state(group_in(file, f"{phase_path(recorded.index)}/{STATE}"), self.parameters)
            check_state(state, self.parameters)
        return saved_state(state, self.parameters, self.provenance, note)

    def _phase_at(self, where: int | str) -> RecordedPhase:
        """The phase at the end of which a state is asked for."""
        if isinstance(where, str):
            name, _, number = where.partition("#")
            what, named = f"the end of {where}", [phase for phase in self.phases if phase.name == name]
            if not named:
                self.phase(name)  # says which there are
            if (len(named) > 1 and not number) or (number and number not in map(str, range(1, len(named) + 1))):
                choices = ", ".join(f"{name}#{k}" for k in range(1, len(named) + 1))
                raise RecordingError(f"{self.path}: {where}: there are {len(named)} phases {name}, allowed are {choices}")
            found = named[int(number or 1) - 1]
        else:
            ends = [phase for phase in self.phases if phase.has_state and phase.first_epoch + phase.epochs == where]
            found = ends[0] if ends else None
            in_snapshots = where in self._table(SNAPSHOTS, columns=("epoch",))["epoch"]
            what = f"epoch {where}{', of which there are strengths only' if in_snapshots else ''}"
        if found is None or not found.has_state:
            there = ", ".join(f"{name} (epoch {epoch})" for name, epoch in self.states.items())
            why = "none, recording.states is false" if not self.parameters.recording.states else "none"
            raise RecordingError(f"{self.path}: no whole state at {what}; states in it: {there or why}")
        return found

    def _fixed(self, group: str, columns: dict[str, Field]) -> dict[str, np.ndarray]:
        with self._opened() as file:
            places = {name: f"{group}/{name}" for name in columns}
            return {c: self._sound(at, columns[c], _checked(file, at, columns[c], self._sizes)[...]) for c, at in places.items()}

    def _table(self, name: str, phase_index: int | None = None, columns: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """Columns of a table, of one phase or of all."""
        with self._opened() as file:
            datasets, part = self._rows(file, name, phase_index)
            wanted = {column: datasets[column] for column in columns or datasets}
            row_bytes = sum(math.prod(dataset.shape[1:]) * dataset.dtype.itemsize for dataset in wanted.values())
            needed, free = row_bytes * (part.stop - part.start), free_memory()
            if free is not None and needed > free:
                raise RecordingError(f"{self.path}: its {name} take {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free")
            return {c: self._sound(f"{name}/{c}", TABLES[name][c], dataset[part]) for c, dataset in wanted.items()}

    def _sound(self, place: str, what: Field, values: np.ndarray) -> np.ndarray:
        """Values that are as declared: finite, within their bounds, in order; ValueError if they are not."""
        if wrong := what.problem(place, values.astype(what.kind, copy=False), self._sizes, {}):
            raise ValueError(wrong)
        return values

    def _rows(self, file: h5py.File, name: str, phase_index: int | None) -> tuple[dict[str, h5py.Dataset], slice]:
        """The columns of a table, and which rows of them belong to a phase or to all."""
        datasets = {c: _checked(file, f"{name}/{c}", what, self._sizes) for c, what in TABLES[name].items()}
        lengths = {len(dataset) for dataset in datasets.values()}
        if self.complete and len(lengths) > 1:
            raise ValueError(f"columns of {name} differ in length")
        n, phase = min(lengths), datasets["phase"]  # a run killed while it was writing leaves some columns ahead
        if phase_index is None:
            return datasets, slice(0, n)
        return datasets, slice(bisect_left(phase, phase_index, hi=n), bisect_left(phase, phase_index + 1, hi=n))


def versions_of(origin: dict[str, str]) -> list[str]:
    """The versions of foraging_snn that a provenance names, first the one that began the file."""
    others = origin.get(OTHER_VERSIONS, "")
    return [version_and_commit(origin), *(others.split(", ") if others else ())]


def texts(group: h5py.Group) -> dict[str, str]:
    """All attributes of a group, each of which is text."""
    return {name: read_text(group.attrs, name) for name in group.attrs}


def _activity_names(phases: h5py.Group) -> dict[int, str]:
    """What the numbers of activities mean in this file."""
    entries = [entry.split(" ") for entry in read_text(phases.attrs, ACTIVITY_LEGEND).split(", ")]
    if not all(len(entry) == 2 and entry[0].isdecimal() for entry in entries):
        raise ValueError(f"attribute {ACTIVITY_LEGEND} is not a list of numbers and names")
    return {int(number): name for number, name in entries}


def _read_phases(group: h5py.Group, parameters: Parameters) -> tuple[RecordedPhase, ...]:
    return tuple(read_phase(group, index, parameters) for index in range(len(group)))


def read_phase(phases: h5py.Group, index: int, parameters: Parameters) -> RecordedPhase:
    """A phase from the attributes of its group; ValueError or KeyError if they are damaged."""
    attributes, names = phases[f"{index:03d}"].attrs, _activity_names(phases)
    activities, lengths = (_whole_numbers(attributes, name) for name in ("activities", "block_epochs"))
    if not all(activity in names for activity in activities):
        raise ValueError(f"phase {index}: attribute activities has numbers of no activity")
    try:
        known = [activity_named(names[activity], parameters) for activity in activities]
    except ValueError as error:
        raise ValueError(f"phase {index}: {error}") from None
    if not all(1 <= length <= MAX_BLOCK_EPOCHS for length in lengths):
        raise ValueError(f"phase {index}: attribute block_epochs has numbers outside 1 ... {MAX_BLOCK_EPOCHS}")
    blocks = tuple(Block(activity, epochs) for activity, epochs in zip(known, lengths, strict=True))
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
        _changes(attributes),
        STATE in group_in(phases, f"{index:03d}"),
        read_number(attributes, KEEP_PATTERNS, 1, MAX_PATTERNS) if KEEP_PATTERNS in attributes else 0,
        bool(read_number(attributes, SELECTIVE, 0, 1)) if SELECTIVE in attributes else False,
        rules_from_json(json.loads(read_text(attributes, RULES))) if RULES in attributes else (),
        read_text(attributes, RATES_FROM) if RATES_FROM in attributes else "",
    )
    _ = phase.phase  # checks what it is made of
    return phase


def _changes(attributes: h5py.AttributeManager) -> tuple[tuple[str, Any], ...]:
    if CHANGES not in attributes:
        return ()
    changes = json.loads(read_text(attributes, CHANGES))
    if not isinstance(changes, dict):
        raise ValueError(f"attribute {CHANGES} is not a table of parameters")
    return tuple(changes.items())


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


def _checked(file: h5py.File, path: str, what: Field, sizes: dict[str, int]) -> h5py.Dataset:
    """A dataset of the type and shape that it must have; ValueError if it is not."""
    if path not in file:
        raise KeyError(f"{path} is missing")
    dataset = file[path]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.newbyteorder("=") != what.stored:
        raise ValueError(f"{path} is not a dataset of type {what.stored}")
    if wrong := what.shape_problem(path, dataset.shape, sizes):
        raise ValueError(wrong)
    return dataset

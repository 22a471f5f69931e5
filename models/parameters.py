"""All parameters of the model: immutable, validated, each with its unit, meaning and source, and the four presets.

Nothing else in the package holds a number of the model. Sources: "paper" is Golden et al. 2022, "program" the authors'
released program, "ours" a choice of this package (recording, shortened lengths).
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError, ValidationInfo, model_validator

from foraging_snn.environments import (
    MAX_DENSITY,
    MAX_SQUARES,
    MAX_TASKS,
    MAX_TYPES,
    PAPER_PARTICLES,
    PARTICLES,
    TASKS,
    Particle,
    Task,
    check_world,
    find_particle,
    find_task,
    in_short,
    type_numbers,
)

# what reading TOML can raise: also RecursionError on deep nesting, a plain ValueError on numbers of more than 4300 digits
UNREADABLE = (ValueError, RecursionError)

MAX_AEONS = 10**9  # of a phase; more would not end in a lifetime
MAX_FILE_BYTES = 1_000_000  # of a file of parameters; a device has no end
NAMES_OF_TYPES = "a list of names of types of particle"
PAPER_TASKS = ("T1", "T2")
NOT_THERE = "not there"  # what is said of the value of a parameter that one of two has
EACH_ITS_OWN = -1  # network.seed: that of the trial
N_OUTPUT = 8  # one output cell per direction: the 3 x 3 layer without its centre


class ParameterError(ValueError):
    """A parameter is unknown, has the wrong type or lies out of range; the message is one line."""


def _parameter(default: Any, meaning: str, unit: str, source: str, **bounds: Any) -> Any:
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "source": source}, **bounds)


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class World(_Group):
    """The grid world."""

    size: int = _parameter(50, "side of the square grid", "squares", "paper", ge=12, le=1000)
    field: int = _parameter(7, "side of the square field of view (odd)", "squares", "paper", ge=3, le=31)
    density: float = _parameter(0.1, "share of the squares that hold food", "1", "paper", gt=0.0, le=MAX_DENSITY)

    @model_validator(mode="after")
    def _field_fits(self) -> "World":
        if self.field % 2 == 0:
            raise ValueError(f"field: {self.field} given, allowed is an odd number")
        if self.field > self.size:
            raise ValueError(f"field: {self.field} given, allowed is at most the size of the grid, {self.size}")
        return self


class Network(_Group):
    """Layers and initial strengths."""

    hidden_cells: int = _parameter(784, "cells of the hidden layer", "cells", "paper", ge=1, le=100_000)
    inputs_per_hidden_cell: int = _parameter(9, "different input cells of each hidden cell", "synapses", "paper", ge=1)
    strength_chunk: float = _parameter(
        0.001,
        "chunk in which initial input-to-hidden strength is dealt; each synapse has one to begin with",
        "1",
        "program",
        gt=0.0,
        le=1.0,
    )
    chunks_per_synapse: int = _parameter(
        10, "chunks an input cell deals at random, per synapse of its own", "chunks", "program", ge=0, le=1000
    )
    hidden_output_strength: float = _parameter(
        0.02, "initial hidden-to-output strength, excitatory and (negative) inhibitory", "1", "paper", gt=0.0, le=1.0
    )
    seed: int = _parameter(
        EACH_ITS_OWN,
        "seed of the wiring and the initial strengths, the same in all trials; -1: the seed of each trial",
        "1",
        "ours",
        ge=EACH_ITS_OWN,
        le=10**9,
    )


class Cell(_Group):
    """Two-dimensional map of Rulkov, Timofeev & Bazhenov 2004, all layers alike."""

    alpha: float = _parameter(3.65, "shape of the spike", "1", "paper", gt=0.0, le=10.0)
    beta_e: float = _parameter(0.133, "input gain of the fast variable", "1", "paper", ge=0.0, le=10.0)
    mu: float = _parameter(0.0005, "time scale of the slow variable u", "1/step", "paper", gt=0.0, lt=1.0)
    sigma: float = _parameter(0.06, "rest of the slow variable: V rests at sigma - 1", "1", "program", ge=-1.0, lt=1.0)
    input_decay: float = _parameter(0.985, "share of the input x left after a step", "1", "program", ge=0.0, lt=1.0)
    resting_V: float = _parameter(-0.939998046792114, "V at the start (about 50 V - 15 mV)", "1", "program", ge=-10.0, lt=0.0)
    resting_u: float = _parameter(-2.821443297088526, "u at the start", "1", "program", ge=-20.0, le=0.0)


class Timing(_Group):
    """Steps, epochs and aeons."""

    step_ms: float = _parameter(0.5, "one step of the map", "ms", "paper", ge=0.001, le=100.0)
    steps_per_epoch: int = _parameter(600, "steps of one epoch, i.e. one movement", "steps", "paper", ge=10, le=100_000)
    epochs_per_aeon: int = _parameter(100, "epochs of one aeon", "epochs", "paper", ge=1, le=100_000)


class Synapse(_Group):
    """Synaptic events and the flash of the view."""

    noise: float = _parameter(0.12, "R: an event has a size of 1 - R + 2 R X, X uniform in [0, 1)", "1", "program", ge=0.0, le=1.0)
    flash: float = _parameter(0.025, "added to x of an input cell whose square holds food", "1", "program", ge=0.0, le=10.0)


class Policy(_Group):
    """From output spikes to movement."""

    hunger_per_percent: int = _parameter(
        2, "epochs of hunger for each percent of random moves", "epochs", "program", ge=1, le=1_000_000
    )


class Plasticity(_Group):
    """Reward-modulated STDP, heterosynaptic scaling, bounds."""

    hidden_output_amplitude: float = _parameter(0.4, "amplitude of a hidden-to-output trace", "1", "program", ge=0.0, le=1000.0)
    input_hidden_amplitude: float = _parameter(0.4, "amplitude of an input-to-hidden trace", "1", "program", ge=0.0, le=1000.0)
    trace_decay_steps: float = _parameter(
        40.0, "time constant of STDP in the spike-time difference", "steps", "program", gt=0.0, le=1e6
    )
    pair_window_steps: int = _parameter(120, "spikes closer than this make a trace", "steps", "program", ge=1, le=100_000)
    trace_life_steps: int = _parameter(
        3600, "a trace counts at boundaries younger than this", "steps", "program", ge=1, le=1_000_000
    )
    age_offset_steps: int = _parameter(600, "added to the age of a trace, which divides it", "steps", "program", ge=1, le=1_000_000)
    average_rate: float = _parameter(0.001, "rate of the running average of the trace sum", "1/epoch", "program", ge=0.0, le=1.0)
    average_floor: float = _parameter(1e-10, "smallest magnitude of that average", "1", "program", gt=0.0, le=1.0)
    max_change: float = _parameter(0.01, "largest relative change by one trace at one boundary", "1", "program", ge=0.0, lt=1.0)
    min_strength: float = _parameter(1e-5, "floor of a strength", "1", "program", gt=0.0, le=1.0)
    max_strength: float = _parameter(1.0, "cap of a hidden-to-output strength", "1", "program", gt=0.0, le=100.0)
    max_input_hidden_strength: float = _parameter(0.012, "cap of an input-to-hidden strength", "1", "program", gt=0.0, le=100.0)

    @model_validator(mode="after")
    def _floor_is_below_caps(self) -> "Plasticity":
        for name in ("max_strength", "max_input_hidden_strength"):
            if self.min_strength >= (cap := getattr(self, name)):
                raise ValueError(f"min_strength: {self.min_strength} given, allowed is less than {name}, {cap}")
        return self


class Reward(_Group):
    """Dopamine-like factor S of a plasticity event."""

    rewarded: float = _parameter(1.0, "rewarded particle eaten", "1", "paper", ge=-100.0, le=100.0)
    punished: float = _parameter(-0.001, "punished particle eaten", "1", "program", ge=-100.0, le=100.0)
    nothing: float = _parameter(-0.0001, "nothing eaten, or a particle outside the task", "1", "program", ge=-100.0, le=100.0)
    asleep: float = _parameter(0.5, "asleep", "1", "program", ge=-100.0, le=100.0)


class Homeostasis(_Group):
    """Firing-rate homeostasis."""

    rate_average: float = _parameter(1e-4, "rate of the running averages of the firing rates", "1/epoch", "program", ge=0.0, le=1.0)
    output_step: float = _parameter(1e-5, "relative step of the resistance of an output cell", "1/epoch", "program", ge=0.0, lt=1.0)
    hidden_step: float = _parameter(
        1e-5, "relative step of the input target of a hidden cell", "1/epoch", "program", ge=0.0, lt=1.0
    )
    output_target_rate: float = _parameter(0.5, "target rate of an output cell", "spikes/epoch", "program", ge=0.0, le=1000.0)
    hidden_target_rate: float = _parameter(0.01, "target rate of a hidden cell", "spikes/epoch", "program", ge=0.0, le=1000.0)


class Sleep(_Group):
    """Sleep-like spontaneous activity."""

    pulse: float = _parameter(0.025, "added to x of a hidden cell that is activated", "1", "program", ge=0.0, le=10.0)
    block_epochs: int = _parameter(100, "length of a sleep block in an interleaved phase", "epochs", "paper", ge=1, le=1_000_000)


class Elastic(_Group):
    """Elastic consolidation, in the phases of a protocol that train a task; no part of the published model."""

    strength: float = _parameter(
        0.0, "pull of a synapse of mean importance towards its consolidated strength; 0: none", "1/interval", "ours", ge=0.0, le=1e6
    )
    interval_epochs: int = _parameter(100, "epochs between two pulls", "epochs", "ours", ge=1, le=1_000_000)


class Phases(_Group):
    """Lengths of the phases."""

    scale: float = _parameter(
        1.0, "factor on every length below (results are whole aeons, at least one)", "1", "ours", gt=0.0, le=100.0
    )
    unsupervised_aeons: int = _parameter(100_000, "unsupervised phase", "aeons", "program", ge=1, le=MAX_AEONS)
    training_aeons: int = _parameter(50_000, "first training phase", "aeons", "program", ge=1, le=MAX_AEONS)
    retraining_aeons: int = _parameter(
        50_000, "training phase that follows another training phase", "aeons", "program", ge=1, le=MAX_AEONS
    )
    interleaved_aeons: int = _parameter(
        50_000, "interleaved phase, both activities together", "aeons", "program", ge=1, le=MAX_AEONS
    )
    sleep_aeons: int = _parameter(50_000, "phase of sleep alone", "aeons", "ours", ge=1, le=MAX_AEONS)
    test_aeons: int = _parameter(10_000, "test phase", "aeons", "program", ge=1, le=MAX_AEONS)
    dropout_aeons: int = _parameter(
        39_200, "test during which the hidden cells are removed one by one", "aeons", "program", ge=1, le=MAX_AEONS
    )
    block_epochs: int = _parameter(100, "length of a training block in an interleaved phase", "epochs", "paper", ge=1, le=1_000_000)
    unsupervised_types: tuple[str, ...] = _parameter(
        (),
        "types of particle that grow in the unsupervised phase; none: the paper's four and those of the tasks of the protocol",
        "types",
        "ours",
    )


class Recording(_Group):
    """What a run keeps."""

    snapshots_per_phase: int = _parameter(
        50, "snapshots of the strengths in a phase, evenly spaced", "snapshots", "ours", ge=1, le=100_000
    )
    test_snapshots: int = _parameter(
        1, "snapshots of the strengths in a test, where they do not change", "snapshots", "ours", ge=1, le=100_000
    )
    windows: int = _parameter(
        1,
        "windows of spikes and positions in a phase, evenly spaced from its start to its end; 1: its end only",
        "windows",
        "ours",
        ge=1,
        le=10_000,
    )
    spike_window_epochs: int = _parameter(
        0, "length of the windows in which all spikes are kept; 0: none", "epochs", "ours", ge=0, le=10_000
    )
    position_window_epochs: int = _parameter(
        0, "length of the windows in which the agent's positions are kept; 0: none", "epochs", "ours", ge=0, le=10_000
    )
    states: bool = _parameter(True, "keep the whole state at the end of every phase, from which other trials can start", "", "ours")
    positions: bool = _parameter(False, "keep the agent's position after every move, windows or not", "", "ours")
    test_every: int = _parameter(
        0,
        "test the network every so many epochs of a phase that learns, at its start and at its end, on the tasks trained so far, "
        "without leaving a trace in it; 0: not",
        "epochs",
        "ours",
        ge=0,
        le=1_000_000_000,
    )
    test_epochs: int = _parameter(
        5000, "length of each of these tests; four times as many halve its error", "epochs", "ours", ge=1, le=10_000_000
    )


T = TypeVar("T")


class Table(dict[str, T]):
    """A table by name, in order, that nobody changes."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def _particle_table(given: Any) -> Table[Particle]:
    """The types of the package, then others, each given as a Particle or as {"offsets": ...}."""
    table: Table[Particle] = Table(PARTICLES)
    for name, value in _entries("particles", given):
        particle = (
            value if isinstance(value, Particle) else Particle(name, _columns(f"particles.{name}", value, "offsets")["offsets"])
        )
        if particle != PARTICLES.get(name, particle):
            raise ValueError(f"particles.{name}: {name} is a type of the package and keeps its squares; allowed is another name")
        if alike := next((other.name for other in table.values() if other.name != name and other.has_squares_of(particle)), None):
            raise ValueError(f"particles.{name}: has the squares of {alike}, allowed are squares that no other type has")
        table[name] = particle
    if len(table) > MAX_TYPES:
        raise ValueError(
            f"particles.*: {len(table)} types given, allowed are at most {MAX_TYPES}, of which {len(PARTICLES)} are packaged"
        )
    return table


def _task_table(given: Any, info: ValidationInfo) -> Table[Task]:
    """The tasks of the package, then others, each given as a Task or as {"rewarded": ..., "punished": ...}."""
    table: Table[Task] = Table(TASKS)
    particles = info.data.get("particles", PARTICLES)
    for name, value in _entries("tasks", given):
        Task(name, PAPER_PARTICLES[:1])  # refuses a name that no task can have
        if not isinstance(value, Task):
            roles = _columns(f"tasks.{name}", value, "rewarded", "punished")
            value = Task(
                name, *(_named_types(f"tasks.{name}.{role}", roles.get(role, ()), particles) for role in ("rewarded", "punished"))
            )
        if value.name != name:
            raise ValueError(f"tasks.{name}: a task of the name {value.name} given, allowed is its own name")
        table[name] = value
    if len(table) > MAX_TASKS:
        raise ValueError(f"tasks.*: {len(table)} tasks given, allowed are at most {MAX_TASKS}, of which {len(TASKS)} are packaged")
    return table


def _entries(table: str, given: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{table}.*: {in_short(given)} given, allowed is a table of names")
    return given.items()


def _columns(entry: str, given: Any, *allowed: str) -> Mapping[str, Any]:
    """What is said of an entry of a table; the first of what is allowed has to be there."""
    if not isinstance(given, Mapping) or allowed[0] not in given or not set(given) <= set(allowed):
        what = f"{', '.join(map(str, given))} given" if isinstance(given, Mapping) else f"{in_short(given)} given"
        raise ValueError(f"{entry}: {what}, allowed is {' and '.join(f'{name} = [...]' for name in allowed)}")
    return given


def _named_types(where: str, names: Any, particles: Mapping[str, Particle]) -> tuple[Particle, ...]:
    if not isinstance(names, (list, tuple)):
        raise ValueError(f"{where}: {in_short(names)} given, allowed is a list of names of types of particle")
    try:
        return tuple(find_particle(name, particles) for name in names)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _columns_of(entry: Particle | Task) -> dict[str, Any]:
    """An entry of a table as it stands in TOML."""
    if isinstance(entry, Particle):
        return {"offsets": entry.offsets}
    return {role: tuple(particle.name for particle in getattr(entry, role)) for role in ("rewarded", "punished")}


PACKAGED: dict[str, Mapping[str, Any]] = {"particles": PARTICLES, "tasks": TASKS}
COLUMNS = {"particles": ("offsets",), "tasks": ("rewarded", "punished")}


def _own(group: str) -> PlainSerializer:
    """What of a table is not in that of the package."""
    return PlainSerializer(
        lambda table: {name: _columns_of(entry) for name, entry in table.items() if PACKAGED[group].get(name) != entry}
    )


class Parameters(_Group):
    """Every parameter of a run.

    Use :func:`preset` for the four named sets and :meth:`with_changes` to change values by their dotted names.

    Examples
    --------
    >>> p = preset("quick").with_changes({"homeostasis.hidden_step": "1e-5"})
    >>> p.homeostasis.hidden_step
    1e-05
    """

    preset: Literal["full", "enough", "quick", "tiny"] = _parameter("full", "the set that the values started from", "", "ours")
    world: World = World()
    network: Network = Network()
    cell: Cell = Cell()
    timing: Timing = Timing()
    synapse: Synapse = Synapse()
    policy: Policy = Policy()
    plasticity: Plasticity = Plasticity()
    reward: Reward = Reward()
    homeostasis: Homeostasis = Homeostasis()
    sleep: Sleep = Sleep()
    elastic: Elastic = Elastic()
    phases: Phases = Phases()
    recording: Recording = Recording()
    particles: Annotated[Mapping[str, Particle], PlainValidator(_particle_table), _own("particles")] = Table(PARTICLES)
    tasks: Annotated[Mapping[str, Task], PlainValidator(_task_table), _own("tasks")] = Table(TASKS)

    @model_validator(mode="after")
    def _layers_fit(self) -> "Parameters":
        k, n = self.network.inputs_per_hidden_cell, self.n_input
        if k > n:
            raise ValueError(f"network.inputs_per_hidden_cell: {k} given, allowed is at most the {n} squares of the field")
        return self

    @model_validator(mode="after")
    def _worlds_can_be_filled(self) -> "Parameters":
        chosen = _named_types("phases.unsupervised_types", self.phases.unsupervised_types, self.particles)
        if len(set(chosen)) < len(chosen):
            raise ValueError("phases.unsupervised_types: a type is named twice, allowed is every type once")
        for task in self.tasks.values():
            try:
                type_numbers(task.particles, self.particles.values())
            except ValueError as error:
                raise ValueError(f"tasks.{task.name}: {error}") from None
        # of the package's own tasks those of a protocol are looked at, where it is made: see phases.unsupervised_particles
        tasks = (task for name, task in self.tasks.items() if name in PAPER_TASKS or task != TASKS.get(name))
        for types in (*(task.particles for task in tasks), PAPER_PARTICLES, chosen):
            if types:
                self.check_world_of(types)
        return self

    def check_world_of(self, particles: Sequence[Particle]) -> None:
        """See that a world can hold these types of particle; ValueError in one line if it cannot."""
        try:
            check_world(self.world.size, self.world.field, self.world.density, particles)
        except ValueError as error:
            raise ValueError(f"world.{error}") from None

    def task(self, given: Task | str | int) -> Task:
        """The task of these parameters that is meant by a name ("T1") or a number (1).

        Raises
        ------
        ParameterError
            There is no such task.
        """
        try:
            task = find_task(given, self.tasks)
        except ValueError as error:
            raise ParameterError(str(error)) from None
        if self.tasks.get(task.name) != task:
            raise ParameterError(f"task {task.name}: not in the table of tasks, which holds {', '.join(self.tasks)}")
        return task

    def task_number(self, task: Task) -> int:
        """Its place, from 1, in the table of tasks, which is that of its spike counts in a NetworkState.

        Raises
        ------
        ParameterError
            It is not in the table.
        """
        return list(self.tasks).index(self.task(task).name) + 1

    def type_numbers(self, particles: Iterable[Particle]) -> list[int]:
        """Numbers of types of particle, from 1, as in grids and records.

        Raises
        ------
        ParameterError
            One of them is not in the table.
        """
        try:
            return type_numbers(particles, self.particles.values())
        except ValueError as error:
            raise ParameterError(str(error)) from None

    @property
    def n_input(self) -> int:
        """Number of input cells, one per square of the field of view."""
        return self.world.field**2

    @property
    def n_hidden(self) -> int:
        """Number of hidden cells."""
        return self.network.hidden_cells

    @property
    def n_cells(self) -> int:
        """Number of simulated cells: input, hidden, output."""
        return self.n_input + self.n_hidden + N_OUTPUT

    def network_seed(self, seed: int) -> int:
        """Seed from which the wiring and the initial strengths of the trial `seed` are drawn."""
        return seed if self.network.seed == EACH_ITS_OWN else self.network.seed

    @property
    def hidden_output_initial(self) -> float:
        """W_i0 of a hidden cell: its summed excitatory output at the start."""
        return N_OUTPUT * self.network.hidden_output_strength

    @property
    def output_input_target(self) -> float:
        """Sum to which the excitatory inputs of an output cell are scaled: their initial sum."""
        return self.n_hidden * self.network.hidden_output_strength

    def aeons(self, length: str) -> int:
        """Length in aeons of a kind of phase ("unsupervised", "training", ...) after `phases.scale`."""
        return max(1, round(getattr(self.phases, f"{length}_aeons") * self.phases.scale))

    def with_changes(self, changes: Mapping[str, Any]) -> "Parameters":
        """A copy with some values changed.

        Parameters
        ----------
        changes : mapping from dotted name ("stdp.max_change") to value
            A string is read as TOML ("3e-5", "true", "7"), as on the command line.

        Raises
        ------
        ParameterError
            Unknown name, wrong type, value out of range.
        """
        tree = self.model_dump()
        for name, value in changes.items():
            group, _, field = name.partition(".")
            if group in PACKAGED:
                entry, _, column = field.rpartition(".")
                if column not in COLUMNS[group] or not entry:
                    raise _unknown(name)
                usual = PACKAGED[group].get(entry)
                columns = tree[group].setdefault(entry, _columns_of(usual) if usual else {})
                columns[column] = _typed(name, value, ())
                continue
            if not isinstance(tree.get(group), dict) or field not in tree[group]:
                raise _unknown(name)
            tree[group][field] = _typed(name, value, tree[group][field])
        return _validated(tree)

    def with_tasks(self, *tasks: Task) -> "Parameters":
        """A copy with further tasks, and with the types of particle in them that are not in the table yet.

        Examples
        --------
        >>> corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
        >>> p = preset("quick").with_tasks(Task("T7", rewarded=(corner,), punished=(PARTICLES["vertical"],)))
        >>> list(p.particles).index("corner"), list(p.tasks).index("T7")
        (12, 6)

        Raises
        ------
        ParameterError
            A type has the name or the squares of another one, or there are too many.
        """
        tree = self.model_dump()
        for particle in (particle for task in tasks for particle in task.particles):
            if self.particles.get(particle.name, particle) != particle:
                raise ParameterError(f"particles.{particle.name}: there is another type of this name, allowed is a name of its own")
            tree["particles"][particle.name] = particle
        tree["tasks"] |= {task.name: task for task in tasks}
        return _validated(tree)

    def to_toml(self) -> str:
        """All values as TOML, a table per group; of the tables of particles and tasks only what is not in those of the package."""
        tree = self.model_dump()
        own = {f"{table}.{_key(name)}": columns for table in PACKAGED for name, columns in tree.pop(table).items()}
        lines = (line for header, columns in own.items() for line in ("", f"[{header}]", *map(_assignment, columns.items())))
        return "\n".join((tomli_w.dumps(tree).rstrip("\n"), *lines, ""))

    @classmethod
    def from_toml(cls, text: str, origin: str = "TOML") -> "Parameters":
        """Read back what :meth:`to_toml` wrote, or a part of it: values not named are those of its `preset` ("full" if none).

        Raises
        ------
        ParameterError
            Not TOML, unknown name, wrong type, value out of range.
        """
        try:
            tree = tomllib.loads(text)
        except UNREADABLE as error:
            raise ParameterError(f"{origin}: not readable as TOML: {error}") from None
        name = tree.pop("preset", "full")
        changes: dict[str, Any] = {}
        for group, values in tree.items():
            if not isinstance(values, dict) or group not in cls.model_fields:
                raise ParameterError(f"{origin}: {_unknown(group)}")
            for field, value in values.items():
                columns = value.items() if group in PACKAGED and isinstance(value, dict) else ()
                changes |= {f"{group}.{field}.{column}": each for column, each in columns} or {f"{group}.{field}": value}
        try:
            return preset(name if isinstance(name, str) else in_short(name)).with_changes(changes)
        except ParameterError as error:
            raise ParameterError(f"{origin}: {error}") from None

    @classmethod
    def from_file(cls, path: str | Path) -> "Parameters":
        """Parameters of a TOML file, see :meth:`from_toml`."""
        try:
            text = toml_text(path)
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with a null byte
            raise ParameterError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return cls.from_toml(text, origin=str(path))

    def rows(self) -> Iterator["ParameterRow"]:
        """One row per parameter, in the order of the groups, then those of the tables of particles and tasks."""
        for group_name in type(self).model_fields:
            group = getattr(self, group_name)
            if not isinstance(group, _Group):
                continue
            for name, field in type(group).model_fields.items():
                extra, meaning = field.json_schema_extra, field.description
                assert isinstance(extra, dict) and meaning  # every parameter is declared with them
                unit, source = str(extra["unit"]), str(extra["source"])
                yield ParameterRow(f"{group_name}.{name}", getattr(group, name), unit, meaning, source, _allowed(field))
        for number, (name, particle) in enumerate(self.particles.items(), start=1):
            source = _source_of(particle, PAPER_PARTICLES)
            meaning, allowed = f"squares of type {number}, from the first one", f"1 to {MAX_SQUARES} pairs of whole numbers"
            yield ParameterRow(f"particles.{name}.offsets", particle.offsets, "squares", meaning, source, allowed)
        for number, (name, task) in enumerate(self.tasks.items(), start=1):
            source = _source_of(task, [TASKS[name] for name in PAPER_TASKS])
            for role, types in _columns_of(task).items():
                yield ParameterRow(f"tasks.{name}.{role}", types, "", f"types {role} in task {number}", source, NAMES_OF_TYPES)

    def values(self) -> dict[str, Any]:
        """Value of every parameter by its dotted name."""
        return {row.name: row.value for row in self.rows()}

    def differences(self, other: "Parameters") -> list[str]:
        """One line per parameter whose value differs: "name: here, there"."""
        ours, theirs = self.values(), other.values()
        names = dict.fromkeys((*ours, *theirs))
        lines = [
            f"{name}: {in_words(ours.get(name, NOT_THERE))}, {in_words(theirs.get(name, NOT_THERE))}"
            for name in names
            if ours.get(name) != theirs.get(name)
        ]
        for table in PACKAGED:
            here, there = (", ".join(getattr(parameters, table)) for parameters in (self, other))
            if not lines and here != there:
                lines.append(f"{table}: in the order {here}; {there}")
        return lines


def _source_of(entry: Particle | Task, of_paper: Iterable[Particle | Task]) -> str:
    return "paper" if entry in of_paper else "ours" if entry in (*PARTICLES.values(), *TASKS.values()) else "user"


class ParameterRow(NamedTuple):
    """One line of the table of parameters."""

    name: str
    value: Any
    unit: str
    meaning: str
    source: str
    allowed: str


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "full": ("the lengths of the published program (31 million epochs for T1 -> T2 -> I(S,T1))", {}),
    "enough": (
        "unsupervised phase at its full length, training until its plateau",
        {
            "phases.training_aeons": 5_000,
            "phases.retraining_aeons": 10_000,
            "phases.interleaved_aeons": 20_000,
            "phases.sleep_aeons": 10_000,
            "phases.test_aeons": 2_000,
            "phases.dropout_aeons": 3_920,
        },
    ),
    "quick": (
        "shortened: faster homeostasis and input-to-hidden plasticity, short phases; performance stays below the paper's",
        {
            "homeostasis.hidden_step": 3e-5,
            "plasticity.input_hidden_amplitude": 4.0,
            "phases.unsupervised_aeons": 8_000,
            "phases.training_aeons": 2_000,
            "phases.retraining_aeons": 2_000,
            "phases.interleaved_aeons": 2_000,
            "phases.sleep_aeons": 1_000,
            "phases.test_aeons": 500,
            "phases.dropout_aeons": 784,
        },
    ),
    "tiny": (
        "a few seconds, for tests and first contact; nothing is learned",
        {
            "homeostasis.hidden_step": 3e-5,
            "plasticity.input_hidden_amplitude": 4.0,
            "phases.unsupervised_aeons": 4,
            "phases.training_aeons": 2,
            "phases.retraining_aeons": 2,
            "phases.interleaved_aeons": 4,
            "phases.sleep_aeons": 2,
            "phases.test_aeons": 1,
            "phases.dropout_aeons": 2,
            "recording.snapshots_per_phase": 5,
        },
    ),
}


def toml_text(path: str | Path) -> str:
    """The text of a file of parameters; OSError, or ValueError if it is not UTF-8 or too long."""
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES:,} bytes, which no file of parameters is")
    return data.decode("utf-8-sig")


def preset(name: str) -> Parameters:
    """Parameters of the preset `name`: "full", "enough", "quick" or "tiny".

    Raises
    ------
    ParameterError
        Unknown name.
    """
    if name not in PRESETS:
        raise ParameterError(f"preset: {name!r} given, allowed are {', '.join(PRESETS)}")
    return Parameters.model_validate({"preset": name}).with_changes(PRESETS[name][1])


def _typed(name: str, value: Any, default: Any) -> Any:
    """Read strings as TOML values, or, for a list of names, as names with commas between; let an integer stand for a float."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except UNREADABLE:
            value = text
    if isinstance(default, tuple) and isinstance(value, list):
        return _as_tuples(value)
    if isinstance(default, tuple) and isinstance(value, str) and not (name.endswith(".offsets") or value.startswith("[")):
        return tuple(part.strip() for part in value.split(","))
    if isinstance(value, int) and value.bit_length() > 63:
        raise ParameterError(f"{name}: a number of {value.bit_length()} bits given, allowed are 63")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def in_words(value: Any) -> str:
    """The value of a parameter as text; of a list as in TOML."""
    return json.dumps(value) if isinstance(value, tuple) else str(value)


def _key(name: str) -> str:
    """A name as a key of TOML."""
    return f'"{name}"' if " " in name else name


def _assignment(column: tuple[str, tuple]) -> str:
    return f"{column[0]} = {in_words(column[1])}"


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _validated(tree: dict[str, Any]) -> Parameters:
    try:
        return Parameters.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:2])
        if first["type"] == "value_error":  # our own validators say it all
            message = str(first.get("ctx", {})["error"])
            raise ParameterError(message if "." in message.partition(":")[0] else f"{name}.{message}") from None
        group, _, field = name.partition(".")
        allowed = _allowed(type(getattr(Parameters(), group)).model_fields[field]) if field else first["msg"]
        if first["type"] == "finite_number":
            allowed = allowed.replace("a number", "a finite number")
        raise ParameterError(f"{name}: {in_short(first['input'])} given, allowed is {allowed}") from None


def _allowed(field: Any) -> str:
    if field.annotation not in (int, float, bool):
        return NAMES_OF_TYPES
    kind = {int: "a whole number", float: "a number", bool: "true or false"}[field.annotation]
    signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
    bounds = [f"{sign} {_plainly(getattr(m, key))}" for m in field.metadata for key, sign in signs if hasattr(m, key)]
    return " ".join([kind, " and ".join(bounds)]).strip()


def _plainly(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _unknown(name: str) -> ParameterError:
    shown = name if name.isprintable() and len(name) <= 80 else in_short(name)
    return ParameterError(f"{shown}: unknown parameter{_suggestion(name)}")


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    names: Iterable[str] = [row.name for row in Parameters().rows()]
    near = get_close_matches(name, names, n=1, cutoff=0.5) or [n for n in names if n.endswith(f".{name}")]
    return f", did you mean {near[0]}?" if near else "; `foraging-snn parameters` lists them all"

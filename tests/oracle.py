"""Independent reference: the model in plain NumPy, clock-driven, float64, written from the model's description and
docs/conventions.md alone. It shares no code with the package, which is checked against it. Made to be read, not to be
fast. Times are in steps of 0.5 ms, rates in spikes per epoch of 600 steps, membrane potentials and strengths in the
dimensionless units of the map."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

# ---------------------------------------------------------------------------------------------------- parameters


@dataclass
class Rules:
    """Every number of the model. Steps are 0.5 ms; strengths, V, u and x are dimensionless."""

    # time
    steps_per_epoch: int = 600
    block_epochs: int = 100  # length of one block of a phase of two activities
    # world and agent
    size: int = 50  # side of the square grid, squares
    density: float = 0.1  # fraction of the squares that hold food
    field: int = 7  # side of the field of view, squares
    flash: float = 0.025  # added to x of an input cell that sees food
    sleep_pulse: float = 0.025  # added to x of a hidden cell that is pulsed in sleep
    # network
    n_hidden: int = 784
    n_output: int = 8
    inputs_per_hidden: int = 9
    chunk: float = 0.001  # unit of initial input -> hidden strength
    chunks_per_synapse: int = 10  # dealt at random, beside the one chunk that every synapse gets
    hidden_output_initial: float = 0.02
    inhibition_initial: float = -0.02
    # cell
    alpha: float = 3.65
    beta_e: float = 0.133
    mu: float = 0.0005
    sigma: float = 0.06
    decay: float = 0.985  # of x, per step
    V_rest: float = -0.939998046792114
    u_rest: float = -2.821443297088526
    # synaptic event
    variability: float = 0.12  # R
    # traces
    hidden_output_amplitude: float = 0.4
    input_hidden_amplitude: float = 0.4
    trace_window: int = 120  # steps; only closer pairs make a trace
    trace_time_constant: float = 40.0  # steps
    trace_life: int = 3600  # steps
    # plasticity event
    trace_age_offset: int = 600  # steps, in the denominator of s_k
    average_weight: float = 0.001  # of the newest sum in Avg
    average_floor: float = 1e-10  # smallest magnitude of Avg
    change_clip: float = 0.01  # largest magnitude of D_k
    strength_floor: float = 1e-5
    strength_ceiling: float = 1.0  # hidden -> output
    input_hidden_cap: float = 0.012
    reward_rewarded: float = 1.0
    reward_punished: float = -0.001
    reward_nothing: float = -0.0001
    reward_asleep: float = 0.5
    # homeostasis
    rate_weight: float = 1e-4  # of the newest epoch in a cell's rate average
    hidden_target_rate: float = 0.01  # spikes per epoch
    output_target_rate: float = 0.5  # spikes per epoch
    hidden_homeostasis: float = 1e-5  # relative change per boundary of a hidden cell's input target
    output_homeostasis: float = 1e-5  # relative change per boundary of an output cell's resistance

    @property
    def n_input(self) -> int:
        """Number of input cells."""
        return self.field**2

    @property
    def n_cells(self) -> int:
        """Number of cells of all layers."""
        return self.n_input + self.n_hidden + self.n_output


Squares = tuple[tuple[int, int], ...]
# Squares (dx, dy) from the first one, by type: 1 horizontal, 2 vertical, 3 positive, 4 negative diagonal of the paper, then
# those whose two squares lie apart.
PARTICLES: dict[int, Squares] = {
    number: ((0, 0), second)
    for number, second in enumerate(
        ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 1), (1, 2), (2, -1), (1, -2), (2, 2), (2, -2)), start=1
    )
}
OF_PAPER = (1, 2, 3, 4)
STAY = 4


@dataclass(frozen=True)
class Task:
    """The particle types that a task rewards and those that it punishes; its world holds these."""

    rewarded: tuple[int, ...]
    punished: tuple[int, ...]


TASKS = {  # those of the paper, then one each over the further types
    1: Task(rewarded=(1,), punished=(4,)),
    2: Task(rewarded=(2,), punished=(3,)),
    3: Task(rewarded=(5,), punished=(12,)),
    4: Task(rewarded=(6,), punished=(11,)),
    5: Task(rewarded=(7,), punished=(10,)),
    6: Task(rewarded=(8,), punished=(9,)),
}


@dataclass(frozen=True)
class Activity:
    """What goes on in a block, by the name of the activity: "unsupervised", "train3" and "test3" (of task 3), "sleep",
    "uniform-sleep"; "sleep 1:0.8 3:0.2", reactivating these tasks with these weights; "sleep show 5", reactivating one of
    the last 5 patterns of a task; "sleep show 5 1:1", both."""

    task: int  # 0: none
    plastic: bool
    trained: bool = False
    asleep: bool = False
    uniform_sleep: bool = False
    cue: dict[int, float] | None = None  # weights of tasks; without, all weigh the same
    show: int = 0


def activity_named(name: str) -> Activity:
    """What goes on in a block of this name."""
    if name.startswith("train"):
        return Activity(task=int(name[5:]), plastic=True, trained=True)
    if name.startswith("test"):
        return Activity(task=int(name[4:]), plastic=False)
    if name.startswith("sleep "):
        words = name.split()[1:]
        show = int(words.pop(1)) if words[0] == "show" else 0
        cue = dict(word.split(":") for word in words if ":" in word)
        weights = {int(task): float(weight) for task, weight in cue.items()}
        return Activity(task=0, plastic=True, asleep=True, cue=weights or None, show=show)
    return {
        "unsupervised": Activity(task=0, plastic=True),
        "sleep": Activity(task=0, plastic=True, asleep=True),
        "uniform-sleep": Activity(task=0, plastic=True, asleep=True, uniform_sleep=True),
    }[name]


def types_in_world(activity: Activity, tasks: dict[int, Task], unsupervised: tuple[int, ...] = OF_PAPER) -> tuple[int, ...]:
    """The particle types that are there during an activity: those of its task; without a task the given ones; asleep none."""
    if activity.asleep:
        return ()
    return (*tasks[activity.task].rewarded, *tasks[activity.task].punished) if activity.task else unsupervised


def block_of(phase_epoch: int, lengths: tuple[int, ...]) -> tuple[int, bool]:
    """Which of the blocks, which take turns, an epoch of a phase belongs to, and whether it is the first epoch of a turn.
    A phase of one block has one turn."""
    if len(lengths) == 1:
        return 0, phase_epoch == 0
    left = phase_epoch
    while True:
        for block, length in enumerate(lengths):
            if left < length:
                return block, left == 0
            left -= length


# ------------------------------------------------------------------------------------------------ random numbers

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)

STREAM_WIRING = 1
STREAM_STRENGTHS = 2
STREAM_WORLD = 3
STREAM_NEW_PARTICLE = 4
STREAM_TIE = 5
STREAM_EXPLORATION = 6
STREAM_INPUT_HIDDEN = 7
STREAM_HIDDEN_OUTPUT = 8
STREAM_INHIBITION = 9
STREAM_SLEEP = 10
STREAM_REMOVAL = 11
STREAM_PATTERN = 12


def mix(z):
    """Finaliser of SplitMix64 on uint64 values; products wrap."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * MULTIPLIER_1
        z = (z ^ (z >> np.uint64(27))) * MULTIPLIER_2
        return z ^ (z >> np.uint64(31))


def key(seed: int, stream: int, epoch: int) -> np.uint64:
    """Key of all draws of one stream in one epoch."""
    with np.errstate(over="ignore"):
        z = mix(np.uint64(seed) + GOLDEN)
        z = mix(z + GOLDEN * np.uint64(stream + 1))
        return mix(z + GOLDEN * np.uint64(epoch + 1))


def uniform(key_, index):
    """Draw number `index` (an integer or an array of them) of a key, in [0, 1)."""
    number = np.asarray(index).astype(np.uint64)
    with np.errstate(over="ignore"):
        z = mix(np.uint64(key_) + GOLDEN * (number + np.uint64(1)))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integer(key_, index, n):
    """Draw number `index` of a key, an integer in 0 ... n-1 (an array if index is one)."""
    return np.floor(uniform(key_, index) * n).astype(np.int64)


# -------------------------------------------------------------------------------------------------------- wiring


def wiring(seed: int, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """Input cell and hidden cell of every input -> hidden synapse, by input cell, then by hidden cell."""
    n_input, n_hidden, k = rules.n_input, rules.n_hidden, rules.inputs_per_hidden
    n_synapses = k * n_hidden
    key_ = key(seed, STREAM_WIRING, 0)
    fan_out = np.full(n_input, n_synapses // n_input)
    fan_out[: n_synapses % n_input] += 1
    dense = 2 * k > n_input  # then the absent synapses are drawn
    copies = n_hidden - fan_out if dense else fan_out
    dealt = np.repeat(np.arange(n_input), copies)
    order = np.argsort(uniform(key_, np.arange(len(dealt))), kind="stable")
    inputs_of = dealt[order].reshape(n_hidden, len(dealt) // n_hidden)
    separate_repeated_inputs(inputs_of, key_)
    if dense:
        inputs_of = np.array([sorted(set(range(n_input)) - set(row)) for row in inputs_of.tolist()])
    input_index = inputs_of.ravel()
    hidden_index = np.repeat(np.arange(n_hidden), k)
    order = np.lexsort((hidden_index, input_index))
    return input_index[order], hidden_index[order]


def separate_repeated_inputs(inputs_of: np.ndarray, key_) -> None:
    """Exchange slots of (n_hidden, k) inputs_of, in place, until no hidden cell holds an input twice."""
    n_hidden, k = inputs_of.shape
    draw = k * n_hidden

    def occurs_once(cell: int, slot: int) -> bool:
        return np.count_nonzero(inputs_of[cell] == inputs_of[cell, slot]) == 1

    def exchange(a: tuple[int, int], b: tuple[int, int]) -> None:
        inputs_of[a], inputs_of[b] = inputs_of[b], inputs_of[a]

    while any(len(set(row)) < k for row in inputs_of.tolist()):
        for cell in range(n_hidden):
            for slot in range(1, k):
                while inputs_of[cell, slot] in inputs_of[cell, :slot]:
                    other = divmod(int(integer(key_, draw, k * n_hidden)), k)
                    draw += 1
                    exchange((cell, slot), other)
                    if occurs_once(cell, slot) and occurs_once(*other):
                        break
                    exchange((cell, slot), other)  # a failed attempt leaves no change


def initial_input_hidden(seed: int, input_index: np.ndarray, rules: Rules) -> np.ndarray:
    """Initial strength of every input -> hidden synapse: one chunk, and the chunks its input cell dealt to it."""
    key_ = key(seed, STREAM_STRENGTHS, 0)
    fan_out = np.bincount(input_index, minlength=rules.n_input)
    first_synapse = np.cumsum(fan_out) - fan_out
    chunks = np.ones(len(input_index), dtype=np.int64)
    n_dealt = 0
    for cell in range(rules.n_input):
        n = rules.chunks_per_synapse * fan_out[cell]
        receiver = first_synapse[cell] + integer(key_, n_dealt + np.arange(n), fan_out[cell])
        chunks += np.bincount(receiver, minlength=len(chunks))
        n_dealt += n
    return chunks * rules.chunk


# --------------------------------------------------------------------------------------------------------- world


@dataclass
class World:
    """A grid of particle types, indexed [y, x], 0 where there is none, and which squares belong together."""

    grid: np.ndarray
    particles: dict[int, Squares] = dataclasses.field(default_factory=lambda: PARTICLES)
    whole: dict[tuple[int, int], Squares] = dataclasses.field(default_factory=dict)  # by square (x, y): all squares of its particle

    @property
    def part(self) -> np.ndarray:
        """Which square of its particle lies on each square, from 0; 0 where there is none."""
        part = np.zeros_like(self.grid)
        for (x, y), squares in self.whole.items():
            part[y, x] = squares.index((x, y))
        return part

    def add(self, kind: int, x: int, y: int) -> None:
        """Put a particle with its first square on (x, y)."""
        squares = self.squares(kind, x, y)
        for square in squares:
            self.whole[square] = squares
            self.grid[square[1], square[0]] = kind

    def squares(self, kind: int, x: int, y: int) -> Squares:
        """The squares (x, y) of a particle with its first square on (x, y)."""
        return tuple((x + dx, y + dy) for dx, dy in self.particles[kind])

    def remove(self, x: int, y: int) -> int:
        """Take the particle on (x, y) away; returns its type, or 0 if there is none."""
        kind = int(self.grid[y, x])
        for square in self.whole.get((x, y), ()):
            del self.whole[square]
            self.grid[square[1], square[0]] = 0
        return kind


def has_room(grid: np.ndarray, x: int, y: int) -> bool:
    """Whether (x, y) lies inside the grid, is empty and has only empty neighbours (8, inside the grid)."""
    size = len(grid)
    inside = 0 <= x < size and 0 <= y < size
    return inside and not grid[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any()


def place_particle(world: World, kind: int, key_, attempt: int = 0) -> int:
    """Place one particle in the world, in place, from attempt number `attempt` on; returns the next attempt number."""
    while True:
        x, y = integer(key_, [2 * attempt, 2 * attempt + 1], len(world.grid)).tolist()
        attempt += 1
        if all(has_room(world.grid, *square) for square in world.squares(kind, x, y)):
            world.add(kind, x, y)
            return attempt


def draw_world(seed: int, epoch: int, types: tuple[int, ...], rules: Rules, particles: dict[int, Squares] | None = None) -> World:
    """A new world with equally many particles of each of the types (no type: an empty one)."""
    world = World(np.zeros((rules.size, rules.size), dtype=np.int64), particles or PARTICLES)
    if not types:
        return world
    key_ = key(seed, STREAM_WORLD, epoch)
    of_each = math.ceil(rules.density * rules.size**2 / sum(len(world.particles[kind]) for kind in types))
    attempt = 0
    for kind in sorted(types):
        for _ in range(of_each):
            attempt = place_particle(world, kind, key_, attempt)
    return world


def eat(world: World, x: int, y: int, seed: int, epoch: int) -> int:
    """Eat the particle on (x, y), if any, and place a new one, in place; returns its type or 0."""
    kind = world.remove(x, y)
    if kind:
        place_particle(world, kind, key(seed, STREAM_NEW_PARTICLE, epoch))
    return kind


def view(grid: np.ndarray, x: int, y: int, rules: Rules) -> np.ndarray:
    """Contents of the squares around (x, y) on the torus, row by row from the lower left: one per input cell."""
    offsets = np.arange(rules.field) - rules.field // 2
    return grid[np.ix_((y + offsets) % rules.size, (x + offsets) % rules.size)].ravel()


# ------------------------------------------------------------------------------------------------------- policy


def choose_move(output_spikes: np.ndarray, last_move: int, hunger: int, seed: int, epoch: int) -> int:
    """Move 0 ... 8 at boundary `epoch`, from the spikes of each output cell since the last boundary."""
    if uniform(key(seed, STREAM_EXPLORATION, epoch), 0) < (hunger // 2) / 100:
        return int(integer(key(seed, STREAM_EXPLORATION, epoch), 1, 9))
    if output_spikes.max() == 0:
        return last_move
    best = np.flatnonzero(output_spikes == output_spikes.max())
    chosen = best[0]
    if len(best) > 1:
        chosen = best[integer(key(seed, STREAM_TIE, epoch), 0, len(best))]
    return int(chosen if chosen < STAY else chosen + 1)


def outcome_of(eaten: int, task: Task | None) -> int:
    """+1 for a rewarded particle of the task, -1 for a punished one, 0 for anything else."""
    if task and eaten in task.rewarded:
        return 1
    if task and eaten in task.punished:
        return -1
    return 0


def reward_signal(outcome: int, asleep: bool, rules: Rules) -> float:
    """S of a plasticity event."""
    if asleep:
        return rules.reward_asleep
    return {1: rules.reward_rewarded, -1: rules.reward_punished, 0: rules.reward_nothing}[outcome]


# --------------------------------------------------------------------------------------------------------- cells


def membrane_map(V, V_2, u, x, rules: Rules):
    """One step of all cells. V_2 is V two steps before V. Returns new V, new u, decayed x, and which cells spiked."""
    w = u + rules.beta_e * x
    below = V <= 0
    rising = ~below & (rules.alpha + w > V) & (V_2 <= 0)
    spiked = ~below & ~rising
    # minimum: the quotient is used only where V <= 0, and must not divide by zero elsewhere
    V_new = np.where(below, rules.alpha / (1 - np.minimum(V, 0)) + w, np.where(rising, rules.alpha + w, -1.0))
    u_new = u - rules.mu * (V + 1) + rules.mu * rules.sigma + rules.mu * x
    return V_new, u_new, rules.decay * x, spiked


def event_variability(key_, step_in_epoch: int, pre, n_pre: int, post, n_post: int, rules: Rules) -> np.ndarray:
    """The random factor 1 - R + 2 R X of each synaptic event; pre and post are numbered within their layers."""
    X = uniform(key_, (step_in_epoch * n_pre + np.asarray(pre)) * n_post + np.asarray(post))
    return 1 - rules.variability + 2 * rules.variability * X


# -------------------------------------------------------------------------------------------------------- traces


@dataclass
class Spikes:
    """Spikes of one layer: absolute step and cell (numbered within the layer), in order of time."""

    step: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))
    cell: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def after(self, step: int) -> Spikes:
        """Only the spikes later than `step`."""
        later = self.step > step
        return Spikes(self.step[later], self.cell[later])

    def with_new(self, step: int, cells: np.ndarray) -> Spikes:
        """These spikes, and one of each of the cells at `step`."""
        return Spikes(np.append(self.step, np.full(len(cells), step)), np.append(self.cell, cells))


@dataclass
class Traces:
    """Traces of one projection in the order in which they were made: when, pre cell, post cell, size tr_k."""

    step: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pre: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))
    post: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, dtype=np.int64))
    size: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))

    def where(self, chosen: np.ndarray) -> Traces:
        """The chosen ones of the traces."""
        return Traces(self.step[chosen], self.pre[chosen], self.post[chosen], self.size[chosen])

    def followed_by(self, newer: Traces) -> Traces:
        """These traces and then the newer ones."""
        return Traces(
            np.append(self.step, newer.step),
            np.append(self.pre, newer.pre),
            np.append(self.post, newer.post),
            np.append(self.size, newer.size),
        )

    def alive_at(self, boundary_step: int, rules: Rules) -> Traces:
        """The traces that count at a boundary."""
        age = boundary_step - self.step
        return self.where((age >= 0) & (age < rules.trace_life))


def new_traces(
    step: int, pre: np.ndarray, post: np.ndarray, earlier_pre: Spikes, earlier_post: Spikes, amplitude: float, rules: Rules
) -> Traces:
    """Traces of all pairs whose later spike is one of the pre and post cells that spike at `step`, all to all.
    A pre spike and a post spike of the same step make one trace, as pre before post."""
    earlier_pre = earlier_pre.after(step - rules.trace_window).with_new(step, pre)
    earlier_post = earlier_post.after(step - rules.trace_window)
    first, then, weight = all_pairs(step, earlier_pre, post, rules)
    pre_first = Traces(np.full(len(weight), step), first, then, amplitude * weight)
    first, then, weight = all_pairs(step, earlier_post, pre, rules)
    post_first = Traces(np.full(len(weight), step), then, first, -amplitude * weight)
    return pre_first.followed_by(post_first)


def all_pairs(step: int, earlier: Spikes, cells_now: np.ndarray, rules: Rules):
    """Every earlier spike with every cell that spikes at `step`: earlier cell, later cell, exp(-dt/40) of each pair."""
    interval = np.repeat(step - earlier.step, len(cells_now))
    return (
        np.repeat(earlier.cell, len(cells_now)),
        np.tile(cells_now, len(earlier.cell)),
        np.exp(-interval / rules.trace_time_constant),
    )


# ---------------------------------------------------------------------------------------------------- plasticity


def eligibility(traces: Traces, boundary_step: int, rules: Rules) -> np.ndarray:
    """s_k = tr_k / (T - t_k + 600) of each trace at boundary step T."""
    return traces.size / (boundary_step - traces.step + rules.trace_age_offset)


def hidden_output_event(
    strengths: np.ndarray,
    average: np.ndarray,
    traces: Traces,
    total: np.ndarray,
    frozen: np.ndarray,
    reward: float,
    boundary_step: int,
    rules: Rules,
):
    """New strengths (n_hidden, 8), before scaling, and new Avg (n_hidden, 8), at a plasticity event.

    total (n_hidden,) is W_i, the output of each hidden cell after the event before; reward is S."""
    alive = traces.alive_at(boundary_step, rules)
    alive = alive.where(~frozen[alive.pre, alive.post])
    synapse = (alive.pre, alive.post)
    s = eligibility(alive, boundary_step, rules)
    summed = np.zeros_like(strengths)
    np.add.at(summed, synapse, s)
    new_average = (1 - rules.average_weight) * average + rules.average_weight * summed
    sign = np.where(new_average < 0, -1.0, 1.0)
    new_average = sign * np.maximum(np.abs(new_average), rules.average_floor)
    change = reward * s * summed[synapse] / new_average[synapse]
    change = np.clip(change, -rules.change_clip, rules.change_clip)
    initial_total = rules.n_output * rules.hidden_output_initial
    new_strengths = strengths.copy()
    np.multiply.at(new_strengths, synapse, 1 + initial_total / total[alive.pre] * change)  # one factor after another
    new_strengths = np.clip(new_strengths, rules.strength_floor, rules.strength_ceiling)
    return np.where(frozen, strengths, new_strengths), np.where(frozen, average, new_average)


def input_hidden_event(
    strengths: np.ndarray,
    synapse: np.ndarray,
    traces: Traces,
    initial_total: np.ndarray,
    total: np.ndarray,
    boundary_step: int,
    rules: Rules,
) -> np.ndarray:
    """New strengths of the input -> hidden synapses, before scaling, at a plasticity event; no reward enters.

    synapse[input, hidden] is the number of a synapse; initial_total and total (n_input,) are W_i0 and W_i."""
    alive = traces.alive_at(boundary_step, rules)
    change = np.clip(eligibility(alive, boundary_step, rules), -rules.change_clip, rules.change_clip)
    new_strengths = strengths.copy()
    factor = 1 + initial_total[alive.pre] / total[alive.pre] * change
    np.multiply.at(new_strengths, synapse[alive.pre, alive.post], factor)
    return np.clip(new_strengths, rules.strength_floor, rules.input_hidden_cap)


def scale_inputs(strengths: np.ndarray, post: np.ndarray, frozen: np.ndarray, target: np.ndarray, rules: Rules) -> np.ndarray:
    """Scale the non-frozen synapses so that all inputs of each cell sum to its target, then apply the floor.

    strengths, post (the receiving cell) and frozen have one entry per synapse, target one per receiving cell."""
    frozen_sum = np.bincount(post, np.where(frozen, strengths, 0.0), minlength=len(target))
    plastic_sum = np.bincount(post, np.where(frozen, 0.0, strengths), minlength=len(target))
    factor = np.ones(len(target))
    np.divide(target - frozen_sum, plastic_sum, out=factor, where=plastic_sum > 0)  # nothing plastic: nothing to scale
    return np.where(frozen, strengths, np.maximum(strengths * factor[post], rules.strength_floor))


def output_totals(strengths: np.ndarray, inhibition: np.ndarray, frozen: np.ndarray):
    """W_i (n_hidden,) and the inhibitory strength (n_hidden,) of each hidden cell, over its non-frozen outputs."""
    total = np.where(frozen, 0.0, strengths).sum(axis=1)
    n_plastic = np.count_nonzero(~frozen, axis=1)
    return total, np.where(n_plastic > 0, -total / np.maximum(n_plastic, 1), inhibition)


def strongest_inputs(strengths: np.ndarray, fraction: float) -> np.ndarray:
    """Mask (n_hidden, 8) of the strongest fraction of each output cell's inputs; of equals, the lower hidden cell."""
    chosen = np.zeros(strengths.shape, dtype=bool)
    number = math.ceil(fraction * len(strengths))
    for output in range(strengths.shape[1]):
        chosen[np.argsort(-strengths[:, output], kind="stable")[:number], output] = True
    return chosen


# --------------------------------------------------------------------------------------------------- homeostasis


def average_rate(rate: np.ndarray, spikes: np.ndarray, rules: Rules) -> np.ndarray:
    """Rate average, spikes per epoch, after an epoch with the given spikes of each cell."""
    return (1 - rules.rate_weight) * rate + rules.rate_weight * spikes


def homeostasis(value: np.ndarray, rate: np.ndarray, target_rate: float, relative_change: float) -> np.ndarray:
    """Raise the value of the cells above their target rate and lower it of those below; at the target, keep it.
    (A negative relative_change turns the direction round.)"""
    return value * (1 + relative_change * np.sign(rate - target_rate))


# --------------------------------------------------------------------------------------------- sleep and dropout


def sleep_probabilities(
    task_spikes: np.ndarray, task_epochs: np.ndarray, same_for_all: bool, cue: dict[int, float] | None = None
) -> np.ndarray:
    """r_h (n_hidden,): mean over the trained tasks of the spikes per epoch of each hidden cell in its training; with a cue, the
    mean with its weights over those of its tasks that were trained."""
    cue = cue or dict.fromkeys(range(1, len(task_epochs) + 1), 1.0)
    weights = {task: weight for task, weight in cue.items() if weight > 0 and task_epochs[task - 1] > 0}
    if not weights:
        return np.zeros(task_spikes.shape[1])
    rates = [task_spikes[task - 1] / task_epochs[task - 1] for task in weights]
    r = np.average(rates, axis=0, weights=list(weights.values()))
    return np.full_like(r, r.mean()) if same_for_all else r


def pattern_to_show(seed: int, epoch: int, patterns: dict[int, list[np.ndarray]], activity: Activity) -> np.ndarray | None:
    """Mask of the hidden cells of the pattern that is shown in an epoch of sleep: the task is drawn by its weight among those
    of which there are patterns, then one of its last ones. None if there are none."""
    cue = activity.cue or dict.fromkeys(sorted(patterns), 1.0)
    weights = {task: cue[task] for task in sorted(cue) if cue[task] > 0 and patterns.get(task)}
    if not weights:
        return None
    key_ = key(seed, STREAM_PATTERN, epoch)
    reached = np.cumsum(list(weights.values()))
    task = list(weights)[int(np.searchsorted(reached, uniform(key_, 0) * reached[-1], side="right"))]
    latest = patterns[task][-activity.show :]
    return latest[-1 - int(integer(key_, 1, len(latest)))]


def sleep_pulses(seed: int, epoch: int, probability: np.ndarray) -> np.ndarray:
    """Mask of the hidden cells that are pulsed in an epoch of sleep."""
    return uniform(key(seed, STREAM_SLEEP, epoch), np.arange(len(probability))) < probability


def removal_order(seed: int, n_hidden: int) -> np.ndarray:
    """Hidden cells in the order in which dropout removes them."""
    return np.argsort(uniform(key(seed, STREAM_REMOVAL, 0), np.arange(n_hidden)), kind="stable")


# -------------------------------------------------------------------------------------------------------- oracle


@dataclass
class Record:
    """What happened in a run, one entry per epoch (asleep: move STAY, nothing eaten, outcome 0), and all spikes."""

    first_epoch: int
    activity: list[str]
    move: np.ndarray
    eaten: np.ndarray  # particle type or 0
    outcome: np.ndarray  # 1 rewarded, -1 punished, 0 other
    agent_x: np.ndarray  # after the move
    agent_y: np.ndarray
    spikes: np.ndarray  # (n, 2): absolute step, cell

    def spikes_per_epoch(self, first_cell: int, end_cell: int, steps_per_epoch: int = 600) -> np.ndarray:
        """Number of spikes of the cells first_cell ... end_cell - 1 in each epoch (its steps 600 e ... 600 e + 599)."""
        chosen = (self.spikes[:, 1] >= first_cell) & (self.spikes[:, 1] < end_cell)
        epoch = self.spikes[chosen, 0] // steps_per_epoch - self.first_epoch
        return np.bincount(epoch, minlength=len(self.move))


class Oracle:
    """The whole network and its world. State lies in public attributes and is complete between epochs."""

    def __init__(
        self,
        rules: Rules | None = None,
        seed: int = 1,
        tasks: dict[int, Task] | None = None,
        particles: dict[int, Squares] | None = None,
        unsupervised: tuple[int, ...] = OF_PAPER,
    ):
        self.rules = rules = rules or Rules()
        self.tasks, self.unsupervised = tasks or TASKS, unsupervised
        self.seed = seed
        self.epoch = 0  # completed epochs
        self.phase_epoch = 0  # completed epochs of the current phase
        self._set_up_cells()
        self._set_up_synapses()
        self.particles = particles or PARTICLES
        self.world = draw_world(seed, 0, (), rules, self.particles)
        self.agent_x = self.agent_y = rules.size // 2
        self.last_move = STAY
        self.hunger = 0
        self.task_spikes = np.zeros((len(self.tasks), rules.n_hidden), dtype=np.int64)
        self.task_epochs = np.zeros(len(self.tasks), dtype=np.int64)
        self.patterns: dict[int, list[np.ndarray]] = {}  # of each task, masks of the hidden cells that fired, in the order of time
        self.kept_selective = False  # whether these are only those that led to a reward
        self.keep_patterns, self.selective = 0, False  # of the phase under way
        self._rows: list[tuple] = []  # of the current run
        self._spikes: list[np.ndarray] = []

    def _set_up_cells(self) -> None:
        rules, n = self.rules, self.rules.n_cells
        self.V, self.V_1, self.V_2 = (np.full(n, rules.V_rest) for _ in range(3))
        self.u = np.full(n, rules.u_rest)
        self.x = np.zeros(n)
        self.input_cells = slice(0, rules.n_input)
        self.hidden_cells = slice(rules.n_input, rules.n_input + rules.n_hidden)
        self.output_cells = slice(rules.n_input + rules.n_hidden, n)
        self.spike_count = np.zeros(n, dtype=np.int64)  # since the last boundary
        self.recent = [Spikes(), Spikes(), Spikes()]  # of the layers, as far back as the trace window reaches
        self.hidden_rate = np.zeros(rules.n_hidden)
        self.output_rate = np.zeros(rules.n_output)
        self.resistance = np.ones(rules.n_output)
        self.removed = np.zeros(rules.n_hidden, dtype=bool)

    def _set_up_synapses(self) -> None:
        rules, shape = self.rules, (self.rules.n_hidden, self.rules.n_output)
        self.input_index, self.hidden_index = wiring(self.seed, rules)
        self.synapse_number = np.full((rules.n_input, rules.n_hidden), -1)  # -1: no synapse
        self.synapse_number[self.input_index, self.hidden_index] = np.arange(len(self.input_index))
        self.input_hidden = initial_input_hidden(self.seed, self.input_index, rules)
        self.input_output_initial = np.bincount(self.input_index, self.input_hidden, minlength=rules.n_input)
        self.input_output_total = self.input_output_initial.copy()
        self.hidden_input_target = np.bincount(self.hidden_index, self.input_hidden, minlength=rules.n_hidden)
        self.input_hidden_frozen = False
        self.input_hidden_traces = Traces()
        self.hidden_output = np.full(shape, rules.hidden_output_initial)
        self.hidden_output_total = self.hidden_output.sum(axis=1)
        self.output_input_target = np.full(rules.n_output, rules.n_hidden * rules.hidden_output_initial)
        self.inhibition = np.full(rules.n_hidden, rules.inhibition_initial)
        self.trace_average = np.zeros(shape)
        self.frozen = np.zeros(shape, dtype=bool)
        self.hidden_output_traces = Traces()

    @property
    def grid(self) -> np.ndarray:
        """Particle type on each square of the world."""
        return self.world.grid

    @property
    def grid_part(self) -> np.ndarray:
        """Which square of its particle lies there."""
        return self.world.part

    # --- phases

    def run(
        self,
        activities: tuple[str, ...],
        epochs: int,
        *,
        start: bool = True,
        freeze_fraction: float = 0.0,
        dropout: bool | int | None = None,
        lengths: tuple[int, ...] | None = None,
        keep_patterns: int = 0,
        selective: bool = False,
    ) -> Record:
        """Run `epochs` epochs of a phase; with start=False, go on with the phase that is under way.

        dropout removes the hidden cells one by one over the phase: True takes `epochs` for the length of the phase, a
        number is that length itself (needed to run such a phase in parts). lengths are those of the blocks of the
        activities, which take turns; without them all have the length that the rules say. keep_patterns is how many hidden
        patterns are kept of each task that is trained, the last ones, and with selective only of those that led to a reward."""
        lengths = lengths or (self.rules.block_epochs,) * len(activities)
        phase_length = epochs if dropout is True else dropout
        first_epoch, self._rows, self._spikes = self.epoch, [], []
        if start:
            if keep_patterns:  # patterns of the other kind are not kept beside them, and of other tasks only as many
                last = {
                    task: [] if selective != self.kept_selective else kept[-keep_patterns:] for task, kept in self.patterns.items()
                }
                self.patterns, self.kept_selective = last, selective
            self.keep_patterns, self.selective = keep_patterns, selective
            self._start_phase(activities, freeze_fraction)
        for _ in range(epochs):
            self._run_epoch(activities, lengths, phase_length)
        activity, *columns = zip(*self._rows, strict=True) if self._rows else [()] * 6
        spikes = np.concatenate([np.empty((0, 2), dtype=np.int64), *self._spikes])
        return Record(first_epoch, list(activity), *(np.array(c, dtype=np.int64) for c in columns), spikes)

    def _start_phase(self, activities: tuple[str, ...], freeze_fraction: float) -> None:
        self.phase_epoch = 0
        for name in activities:
            activity = activity_named(name)
            if activity.trained:
                self.task_spikes[activity.task - 1] = 0
                self.task_epochs[activity.task - 1] = 0
                self.patterns[activity.task] = []
        if "unsupervised" not in activities:
            self.input_hidden_frozen = True
            self.input_hidden_traces = Traces()
        if freeze_fraction > 0:
            self.frozen |= strongest_inputs(self.hidden_output, freeze_fraction)

    def _run_epoch(self, activities: tuple[str, ...], lengths: tuple[int, ...], dropout_length: int | None) -> None:
        block, begins = block_of(self.phase_epoch, lengths)
        name = activities[block]
        activity = activity_named(name)
        if begins:
            types = types_in_world(activity, self.tasks, self.unsupervised)
            self.world = draw_world(self.seed, self.epoch, types, self.rules, self.particles)
        if dropout_length:
            number = self.phase_epoch * self.rules.n_hidden // dropout_length
            self.removed[removal_order(self.seed, self.rules.n_hidden)[:number]] = True
        if activity.asleep:
            self.x[self.hidden_cells] += self.rules.sleep_pulse * self._pulsed(activity)
        task = activity.task if activity.trained else 0
        for step_in_epoch in range(self.rules.steps_per_epoch):
            self._step(step_in_epoch, task)
            if step_in_epoch == 0:
                self._boundary(name, activity, begins)
        if task:
            self.task_epochs[task - 1] += 1
        self.epoch += 1
        self.phase_epoch += 1

    def _pulsed(self, activity: Activity) -> np.ndarray:
        """Mask of the hidden cells that get a pulse in an epoch of sleep."""
        if activity.show:
            pattern = pattern_to_show(self.seed, self.epoch, self.patterns, activity)
            return np.zeros(self.rules.n_hidden, dtype=bool) if pattern is None else pattern
        r = sleep_probabilities(self.task_spikes, self.task_epochs, activity.uniform_sleep, activity.cue)
        return sleep_pulses(self.seed, self.epoch, r)

    # --- one step

    def _step(self, step_in_epoch: int, trained_task: int) -> None:
        """Advance all cells and deliver their spikes."""
        V_new, self.u, self.x, spiked = membrane_map(self.V, self.V_2, self.u, self.x, self.rules)
        self.V, self.V_1, self.V_2 = V_new, self.V, self.V_1
        if not spiked.any():
            return
        step = self.epoch * self.rules.steps_per_epoch + step_in_epoch
        cells = np.flatnonzero(spiked)
        self._spikes.append(np.column_stack([np.full(len(cells), step), cells]))
        self.spike_count += spiked
        if trained_task:
            self.task_spikes[trained_task - 1] += spiked[self.hidden_cells]
        layers = [np.flatnonzero(spiked[s]) for s in (self.input_cells, self.hidden_cells, self.output_cells)]
        self._deliver_input_spikes(layers[0], step_in_epoch)
        self._deliver_hidden_spikes(layers[1], step_in_epoch)
        self._make_traces(step, layers)

    def _deliver_input_spikes(self, spiking: np.ndarray, step_in_epoch: int) -> None:
        rules, hidden_x = self.rules, self.x[self.hidden_cells]
        key_ = key(self.seed, STREAM_INPUT_HIDDEN, self.epoch)
        for cell in spiking:
            synapses = np.flatnonzero(self.input_index == cell)
            synapses = synapses[~self.removed[self.hidden_index[synapses]]]
            post = self.hidden_index[synapses]  # every hidden cell at most once
            factor = event_variability(key_, step_in_epoch, cell, rules.n_input, post, rules.n_hidden, rules)
            hidden_x[post] += self.input_hidden[synapses] * factor  # resistance of hidden cells is 1

    def _deliver_hidden_spikes(self, spiking: np.ndarray, step_in_epoch: int) -> None:
        rules, output_x = self.rules, self.x[self.output_cells]
        if len(spiking) == 0:
            return
        post = np.arange(rules.n_output)
        excitation_key = key(self.seed, STREAM_HIDDEN_OUTPUT, self.epoch)
        inhibition_key = key(self.seed, STREAM_INHIBITION, self.epoch)
        for cell in spiking:
            where = (step_in_epoch, cell, rules.n_hidden, post, rules.n_output, rules)
            output_x += self.hidden_output[cell] / self.resistance * event_variability(excitation_key, *where)
            output_x += self.inhibition[cell] / self.resistance * event_variability(inhibition_key, *where)

    def _make_traces(self, step: int, layers: list[np.ndarray]) -> None:
        rules = self.rules
        recent = self.recent = [spikes.after(step - rules.trace_window) for spikes in self.recent]
        if not self.input_hidden_frozen:
            new = new_traces(step, *layers[:2], *recent[:2], rules.input_hidden_amplitude, rules)
            new = new.where(self.synapse_number[new.pre, new.post] >= 0)
            self.input_hidden_traces = self.input_hidden_traces.followed_by(new)
        new = new_traces(step, *layers[1:], *recent[1:], rules.hidden_output_amplitude, rules)
        new = new.where(~self.frozen[new.pre, new.post])
        self.hidden_output_traces = self.hidden_output_traces.followed_by(new)
        self.recent = [spikes.with_new(step, cells) for spikes, cells in zip(recent, layers, strict=True)]

    # --- boundary

    def _boundary(self, name: str, activity: Activity, block_begins: bool) -> None:
        """Everything that happens at the first step of an epoch after its spikes."""
        step = self.epoch * self.rules.steps_per_epoch
        self.input_hidden_traces = self.input_hidden_traces.alive_at(step, self.rules)
        self.hidden_output_traces = self.hidden_output_traces.alive_at(step, self.rules)
        move, eaten, outcome = (STAY, 0, 0) if activity.asleep else self._act(activity.task)
        if self.keep_patterns and activity.trained and not block_begins and (outcome == 1 or not self.selective):
            kept = [*self.patterns[activity.task], self.spike_count[self.hidden_cells] > 0]
            self.patterns[activity.task] = kept[-self.keep_patterns :]
        if activity.plastic:
            self._plasticity_event(step, reward_signal(outcome, activity.asleep, self.rules))
        if not activity.asleep:
            seen = view(self.world.grid, self.agent_x, self.agent_y, self.rules) > 0
            self.x[self.input_cells] += self.rules.flash * seen
        if activity.plastic:
            self._homeostasis()
        self.spike_count[:] = 0
        self._rows.append((name, move, eaten, outcome, self.agent_x, self.agent_y))

    def _act(self, task: int) -> tuple[int, int, int]:
        """Choose a direction, move, eat; returns move, what was eaten and the outcome."""
        counts = self.spike_count[self.output_cells]
        move = choose_move(counts, self.last_move, self.hunger, self.seed, self.epoch)
        row, column = divmod(move, 3)
        self.agent_x = (self.agent_x + column - 1) % self.rules.size
        self.agent_y = (self.agent_y + row - 1) % self.rules.size
        self.last_move = move
        eaten = eat(self.world, self.agent_x, self.agent_y, self.seed, self.epoch)
        outcome = outcome_of(eaten, self.tasks.get(task))
        self.hunger = 0 if outcome else self.hunger + 1
        return move, eaten, outcome

    def _plasticity_event(self, step: int, reward: float) -> None:
        rules, shape = self.rules, self.hidden_output.shape
        self.hidden_output, self.trace_average = hidden_output_event(
            self.hidden_output,
            self.trace_average,
            self.hidden_output_traces,
            self.hidden_output_total,
            self.frozen,
            reward,
            step,
            rules,
        )
        if not self.input_hidden_frozen:
            self._input_hidden_event(step)
        output_index = np.tile(np.arange(rules.n_output), rules.n_hidden)
        scaled = scale_inputs(self.hidden_output.ravel(), output_index, self.frozen.ravel(), self.output_input_target, rules)
        self.hidden_output = scaled.reshape(shape)
        self.hidden_output_total, self.inhibition = output_totals(self.hidden_output, self.inhibition, self.frozen)

    def _input_hidden_event(self, step: int) -> None:
        rules = self.rules
        changed = input_hidden_event(
            self.input_hidden,
            self.synapse_number,
            self.input_hidden_traces,
            self.input_output_initial,
            self.input_output_total,
            step,
            rules,
        )
        none_frozen = np.zeros(len(changed), dtype=bool)
        self.input_hidden = scale_inputs(changed, self.hidden_index, none_frozen, self.hidden_input_target, rules)
        self.input_output_total = np.bincount(self.input_index, self.input_hidden, minlength=rules.n_input)

    def _homeostasis(self) -> None:
        rules = self.rules
        self.hidden_rate = average_rate(self.hidden_rate, self.spike_count[self.hidden_cells], rules)
        self.output_rate = average_rate(self.output_rate, self.spike_count[self.output_cells], rules)
        self.resistance = homeostasis(self.resistance, self.output_rate, rules.output_target_rate, rules.output_homeostasis)
        if not self.input_hidden_frozen:
            self.hidden_input_target = homeostasis(
                self.hidden_input_target, self.hidden_rate, rules.hidden_target_rate, -rules.hidden_homeostasis
            )

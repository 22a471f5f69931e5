"""The inner loop of the event engine: whole epochs in jitted code, on the arrays of a NetworkState.

What it approximates is written in models/event.py; the rules are those of models/rules.py, arranged for speed. Functions
change their array arguments in place. Arrays come in named tuples, because jitted code cannot take dataclasses. Memory is taken in
`run_epochs` and the few functions around it; all others are given arrays and make none (`borrowing_njit`).
"""

import math
from collections import namedtuple
from typing import NamedTuple

import numpy as np

from foraging_snn.environments import (
    STAY,
    GridWorld,
    Outcome,
    Stream,
    choose_move,
    draw_world,
    eat,
    move_agent,
    reward_of,
    stream_key,
    uniform,
    view,
)
from foraging_snn.environments.jit import borrowing_njit, cached_njit
from foraging_snn.models.arithmetic import sum_at
from foraging_snn.models.lanes import LANES, NO_PULSE, POLYNOMIAL, SUMS, TOGETHER, advance_lanes, decay_lanes, scale_lanes
from foraging_snn.models.parameters import N_OUTPUT
from foraging_snn.models.response import DEGREE, MAX_SPIKES, ResponseTable, step_cell
from foraging_snn.models.rows import Rows
from foraging_snn.models.rules import average_rate, draw_pattern, keep_pattern, regulate, show_pattern
from foraging_snn.models.schema import schema_of
from foraging_snn.models.state import NetworkState

_REWARDED, _PUNISHED = int(Outcome.REWARDED), int(Outcome.PUNISHED)
_WORLD, _NEW_PARTICLE, _TIE, _EXPLORATION = (
    int(stream) for stream in (Stream.WORLD, Stream.NEW_PARTICLE, Stream.DIRECTION_TIE, Stream.EXPLORATION)
)
_INPUT_HIDDEN, _EXCITATORY, _INHIBITORY = (
    int(stream) for stream in (Stream.INPUT_HIDDEN, Stream.HIDDEN_OUTPUT_EXCITATORY, Stream.HIDDEN_OUTPUT_INHIBITORY)
)
_SLEEP, _SLEEP_PATTERN = int(Stream.SLEEP_PULSE), int(Stream.SLEEP_PATTERN)
CELLS_AT_A_TIME = 112
NONE = np.int64(0)  # a 0 that is no literal: Numba compiles a function for literal numbers apart
assert N_OUTPUT == LANES  # the eight output cells are one vector
assert POLYNOMIAL == DEGREE + 1
# How far off the equivalent pulse of a cell that is not quite at rest may be: a constant, and terms linear and quadratic in the
# shift of the pulse. Where spike times change within that range the cell is stepped instead.
DOUBT = (2e-8, 2e-3, 500.0)


# Arrays of a NetworkState that the loop has in another order, by output cell or by slot, for vector units.
REORDERED = ("input_index", "hidden_index", "input_hidden", "hidden_output", "trace_average", "frozen")
SHARED = tuple(
    name for name, what in schema_of(NetworkState).items() if what.is_array and not what.is_free and name not in REORDERED
)
Arrays = namedtuple(
    "Arrays",
    (
        *SHARED,  # as they are in the state
        "input_hidden",  # (k, H): strength of the slot-th input of each hidden cell
        "slot_input",  # (k, H): its input cell
        "first_synapse",  # (I + 1,): where an input cell's synapses begin
        "target",  # (S,): hidden cell of a synapse
        "place",  # (S,): its position in input_hidden
        "slot_of",  # (I, H): position in input_hidden, -1 where there is no synapse
        "hidden_output",  # (8, H): by output cell
        "trace_average",  # (8, H)
        "frozen",  # (8, H)
        "patterns",  # (N, K, H)
        "removal_order",
        "agent",  # (4,): x, y, last move, hunger
    ),
)
Arrays.__doc__ = """The arrays that the loop reads and changes."""


class Course(NamedTuple):
    """A Phase in numbers, with what is frozen in the state it runs on."""

    rows: Rows
    epochs: int
    dropout: bool
    input_hidden_frozen: bool
    any_frozen: bool


class Numbers(NamedTuple):
    """Numbers of the parameters beyond models.rules.Rules and models.response.CellConstants."""

    steps: int
    noise: float
    flash: float
    sleep_pulse: float
    hunger_per_percent: int
    reward_rewarded: float
    reward_punished: float
    reward_nothing: float
    reward_asleep: float
    trace_decay: np.ndarray  # exp(-dt / 40)
    field: int


class Layer(NamedTuple):
    """How a layer at rest answers the pulse of an epoch: its table, and the way from the start of the epoch to the pulse."""

    table: ResponseTable
    approach: np.ndarray  # (2, 3) propagator from the start of the epoch to the arrival
    approach_x: float  # decay of x on the way
    rest_x: float  # decay of x from the arrival to the end of the epoch
    arrival: int  # step of the epoch after whose advance the pulse is added; -1: before the first


class Traces(NamedTuple):
    """Live traces, in the order in which they were made."""

    synapse: np.ndarray
    value: np.ndarray
    step: np.ndarray


class Log(NamedTuple):
    """What grows from epoch to epoch."""

    step: np.ndarray  # spikes since the last boundary and within the pair window before it
    cell: np.ndarray
    listed: np.ndarray  # (3, n): work space, places in the log of the spikes of each layer
    hidden_output: Traces
    input_hidden: Traces
    s_k: np.ndarray  # work space, as long as the longer of the traces
    all_step: np.ndarray  # all spikes, if they are kept
    all_cell: np.ndarray


class Filled(NamedTuple):
    """How far a Log is filled."""

    spikes: int
    first_ho: int  # the first live trace
    ho: int
    first_ih: int
    ih: int
    kept: int


class Records(NamedTuple):
    """One entry per epoch, see engine.EpochRecords."""

    move: np.ndarray
    eaten: np.ndarray
    outcome: np.ndarray
    x: np.ndarray
    y: np.ndarray
    hidden_spikes: np.ndarray
    output_spikes: np.ndarray


class RowTotals(NamedTuple):
    """What is known of the hidden-to-output strengths while none is frozen, so that one pass over them suffices."""

    total: np.ndarray  # (8,): sum of the inputs of each output cell
    out_of_bounds: np.ndarray  # (1,): whether one of them may lie outside its limits
    partial: np.ndarray  # (32,): work space for their sums


class Scratch(NamedTuple):
    """Work space."""

    candidate: np.ndarray  # cells with pulses beyond the bulk of the table
    start_V: np.ndarray  # their V, u, x at the start of the epoch
    start_u: np.ndarray
    start_x: np.ndarray
    pulse: np.ndarray  # (H,)
    probability: np.ndarray  # (H,)
    size: np.ndarray  # of synaptic events
    food: np.ndarray  # (I,)
    touched: np.ndarray  # (8 H,): hidden-to-output synapses with live traces, each once
    touched_at: np.ndarray  # (8 H,): when a synapse was last among them
    trace_sum: np.ndarray  # (8 H,), of those synapses
    before: np.ndarray  # (8 H,): their average, then their strength before the event
    gain: np.ndarray  # (8 H,): S Sum / Avg
    share: np.ndarray  # (8 H,): W_i0 / W_i
    row: RowTotals
    factor: np.ndarray  # (H,)
    input_gain: np.ndarray  # (I,): W_i0 / W_i of the input cells with traces
    n_listed: np.ndarray  # (3,): spikes of each layer in Log.listed
    first_listed: np.ndarray  # (3,): the first of them that can form a pair
    output_counts: np.ndarray  # (8,): spikes since the last boundary
    hidden_counts: np.ndarray  # (H,), zero in between
    way: np.ndarray  # (2, 3), and coefficients of polynomials: see _to_end
    V_bulk: np.ndarray
    u_bulk: np.ndarray
    event_step: np.ndarray  # input and hidden spikes of the epoch
    event_cell: np.ndarray
    sorted_step: np.ndarray
    sorted_cell: np.ndarray
    per_step: np.ndarray


@cached_njit(nogil=True, error_model="numpy")
def run_epochs(turns, seed, epoch, phase_epoch, a, course, numbers, rules, c, layers, recent, traces, records, keep_spikes):
    """Run epochs of a phase; arrays are changed in place.

    Parameters
    ----------
    turns : tuple of two arrays
        For each epoch to run, the row that holds in it, and whether a block begins with it (Phase.schedule).
    recent : tuple of two arrays
        Steps and cells of the spikes since the last boundary and within the pair window before it.
    traces : tuple of two Traces
        Hidden-to-output and input-to-hidden.
    keep_spikes : bool

    Returns
    -------
    ok : bool
        False: the world could not be filled.
    recent, traces, spikes
        As they are now, the traces as plain tuples; `spikes` steps and cells of all spikes, empty unless kept.
    """
    rows, n_epochs = course.rows, len(turns[0])
    world = GridWorld(a.grid, a.grid_part, rows.offsets, rows.squares)
    first_output = rules.n_input + rules.n_hidden
    s = _scratch(rules.n_input, rules.n_hidden, numbers.steps, rules)
    outputs = np.empty((5, LANES))
    for row, values in enumerate((a.V, a.V_1, a.V_2, a.u, a.x)):
        outputs[row] = values[first_output:]
    ho, ih = traces
    listed, s_k, none, nobody = np.empty((3, 0), np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32)
    log = Log(recent[0], recent[1], listed, ho, ih, s_k, none, nobody)
    filled = Filled(len(log.step), 0, len(ho.step), 0, len(ih.step), 0)
    _know_totals(a.hidden_output, rules, s.row)
    done, ok, stepped = NONE, True, False
    while ok and done < n_epochs:
        log, filled = _with_room(log, filled, epoch + done, course, numbers, rules, len(s.event_step), keep_spikes)
        done, ok, stepped, filled = _run_with_room(
            done,
            turns,
            seed,
            epoch,
            phase_epoch,
            a,
            course,
            numbers,
            rules,
            c,
            layers,
            world,
            outputs,
            s,
            log,
            filled,
            records,
            keep_spikes,
        )

    # V one and two steps ago is only read while V > 0, several steps into a later response
    last = rules.n_input if stepped else first_output
    if n_epochs > 0:
        a.V_1[:last] = a.V[:last]
        a.V_2[:last] = a.V[:last]
    for row, values in enumerate((a.V, a.V_1, a.V_2, a.u, a.x)):
        values[first_output:] = outputs[row]
    return (
        ok,
        (log.step[: filled.spikes].copy(), log.cell[: filled.spikes].copy()),
        (_trimmed(log.hidden_output, filled.first_ho, filled.ho), _trimmed(log.input_hidden, filled.first_ih, filled.ih)),
        (log.all_step[: filled.kept].copy(), log.all_cell[: filled.kept].copy()),
    )


@borrowing_njit(error_model="numpy")
def _run_with_room(
    row, turns, seed, epoch, phase_epoch, a, course, numbers, rules, c, layers, world, outputs, s, log, filled, records, keep_spikes
):
    """Run epochs from number `row` of those to be run, as long as there is room in the log.

    Returns
    -------
    row : int
        The next epoch.
    ok : bool
        False: the world could not be filled.
    stepped : bool
        Whether the hidden cells were stepped through the last epoch.
    filled : Filled
    """
    blocks, begins = turns
    rows, any_plastic = course.rows, _any(course.rows.plastic)
    n_input, n_hidden = rules.n_input, rules.n_hidden
    first_output = n_input + n_hidden
    input_layer, hidden_layer, sleep_layer = layers
    recent_step, recent_cell = log.step, log.cell
    ho, ih = log.hidden_output, log.input_hidden
    n_recent, first_ho, n_ho, first_ih, n_ih, n_all = filled
    output_counts, hidden_counts = s.output_counts, s.hidden_counts
    fresh_sleep = True
    stepped = False
    ok = True

    while row < len(blocks):
        filled = Filled(n_recent, first_ho, n_ho, first_ih, n_ih, n_all)
        if _lacks_room(log, filled, epoch + row, course, numbers, rules, len(s.event_step), keep_spikes):
            break
        now = epoch + row
        T = now * numbers.steps
        block = blocks[row]
        asleep, plastic, counted = rows.asleep[block], rows.plastic[block], rows.counted[block]
        # ---- phase events
        if begins[row]:
            ok = draw_world(world, rows.present[block], rows.per_type[block], stream_key(seed, _WORLD, now))
            if not ok:
                break
        if course.dropout:
            for k in range((phase_epoch + row) * n_hidden // course.epochs):
                a.removed[a.removal_order[k]] = True
        if counted >= 0:
            a.task_epochs[counted] += 1
        if asleep and (begins[row] or fresh_sleep):
            _sleep_probabilities(a, rows.rate_weights[block], rows.uniform[block], s.probability)
            fresh_sleep = False
        # ---- the boundary step: only output cells can spike in it
        first_new = n_recent
        advance_lanes(outputs, 1, c.alpha, c.beta_e, c.mu, c.mu_sigma, c.decay)  # pyright: ignore[reportCallIssue] - Numba gives the context
        n_recent = _log_outputs(outputs, T, first_output, recent_step, recent_cell, n_recent)
        records.output_spikes[row] += n_recent - first_new
        # ---- the boundary
        fresh = n_recent
        output_counts[:] = 0
        while fresh > 0 and recent_step[fresh - 1] > T - numbers.steps:
            fresh -= 1
            if recent_cell[fresh] >= first_output:
                output_counts[recent_cell[fresh] - first_output] += 1
        # traces made so early in a test that they are dead before anything is plastic again are not made
        if plastic or course.epochs - (phase_epoch + row) <= rules.trace_life_steps // numbers.steps + 1 or any_plastic:
            n_ho, n_ih = _make_traces(
                log, fresh, n_recent, a, course.input_hidden_frozen, rules, numbers.trace_decay, n_ho, n_ih, s
            )
        first_ho, first_ih = _first_live(ho.step, first_ho, n_ho, T, rules), _first_live(ih.step, first_ih, n_ih, T, rules)
        reward = numbers.reward_asleep
        records.move[row] = STAY
        if not asleep:
            reward = _forage(a, world, rows.outcome[block], output_counts, seed, now, numbers, records, row)
        records.x[row], records.y[row] = a.agent[0], a.agent[1]
        if rows.kept[block] >= 0 and not begins[row] and (records.outcome[row] == _REWARDED or not rows.selective[block]):
            _count_hidden(recent_cell, fresh, n_recent, n_input, first_output, hidden_counts)
            keep_pattern(a.patterns, a.patterns_kept, rows.kept[block], hidden_counts)
            hidden_counts[:] = 0
        if plastic:
            _change_hidden_output(a, _live(ho, first_ho, n_ho), T, reward, s, log.s_k, rules, course.any_frozen)
            if not course.input_hidden_frozen:
                _change_input_hidden(a, _live(ih, first_ih, n_ih), T, s, log.s_k, rules)
            _homeostasis(a, recent_cell, fresh, n_recent, s, course.input_hidden_frozen, rules)
        n_recent = _keep_recent(recent_step, recent_cell, n_recent, T - rules.pair_window_steps)
        # ---- the responses of input and hidden cells to the pulses of this epoch
        n_events = NONE
        s.food[:] = 0.0
        if not asleep:
            view(a.grid, a.agent[0], a.agent[1], numbers.field, s.food)
        for i in range(n_input):
            s.food[i] *= numbers.flash
        n_events = _respond(a, NONE, n_input, s.food, input_layer, c, s, n_events)
        s.pulse[:] = 0.0
        stepped = False
        if asleep:
            if rows.shown[block] > 0:
                key = stream_key(seed, _SLEEP_PATTERN, now)
                place, slot = draw_pattern(a.patterns, a.patterns_kept, rows.rate_weights[block], rows.shown[block], key)
                if slot >= 0:
                    show_pattern(s.pulse, a.patterns[place, slot], numbers.sleep_pulse)
            else:
                key = stream_key(seed, _SLEEP, now)
                for h in range(n_hidden):
                    s.pulse[h] = numbers.sleep_pulse if uniform(key, h) < s.probability[h] else 0.0
            n_events = _respond(a, n_input, n_hidden, s.pulse, sleep_layer, c, s, n_events)
        elif _all_at(s.event_step, n_events, hidden_layer.arrival):
            key = stream_key(seed, _INPUT_HIDDEN, now)
            _deliver_inputs(
                s.event_cell, NONE, n_events, hidden_layer.arrival, a, key, numbers.noise, n_input, n_hidden, s.size, s.pulse
            )
            n_events = _respond(a, n_input, n_hidden, s.pulse, hidden_layer, c, s, n_events)
        else:
            key = stream_key(seed, _INPUT_HIDDEN, now)
            n_events = _step_hidden(a, s, n_events, key, numbers, n_input, n_hidden, c)
            stepped = True
        _sort_events(s, n_events)
        # ---- the output cells, through the rest of the epoch
        first_new_step = n_recent
        keys = (stream_key(seed, _EXCITATORY, now), stream_key(seed, _INHIBITORY, now))
        fresh_inhibition = any_plastic and not course.any_frozen  # also in tests between trainings
        n_recent = _step_outputs(
            outputs,
            a.hidden_output,
            a.inhibition,
            a.resistance,
            (s.event_step, s.event_cell, n_events),
            T,
            numbers.steps,
            numbers.noise,
            keys,
            fresh_inhibition,
            (recent_step, recent_cell),
            n_recent,
            (n_input, n_hidden, first_output),
            c,
        )
        # ---- counts
        for k in range(first_new_step, n_recent):
            cell = recent_cell[k]
            if cell >= first_output:
                records.output_spikes[row] += 1
            elif cell >= n_input:
                records.hidden_spikes[row] += 1
                if counted >= 0:
                    a.task_spikes[counted, cell - n_input] += 1
        if keep_spikes:
            # spikes of the boundary step were logged before those forgotten above; they are the outputs of step T
            for k in range(n_recent):
                if recent_step[k] >= T:
                    log.all_step[n_all], log.all_cell[n_all] = recent_step[k], recent_cell[k]
                    n_all += 1
        row += 1
    return row, ok, stepped, Filled(n_recent, first_ho, n_ho, first_ih, n_ih, n_all)


@cached_njit
def _scratch(n_input, n_hidden, steps, rules):
    events = 8 * (n_input + n_hidden)
    return Scratch(
        np.empty(max(n_input, n_hidden), np.int64),
        np.empty(max(n_input, n_hidden)),
        np.empty(max(n_input, n_hidden)),
        np.empty(max(n_input, n_hidden)),
        np.zeros(n_hidden),
        np.zeros(n_hidden),
        np.empty(n_hidden),
        np.zeros(n_input),
        np.empty(N_OUTPUT * n_hidden, np.int64),
        np.full(N_OUTPUT * n_hidden, -1),
        np.empty(N_OUTPUT * n_hidden),
        np.empty(N_OUTPUT * n_hidden),
        np.empty(N_OUTPUT * n_hidden),
        np.empty(N_OUTPUT * n_hidden),
        RowTotals(np.empty(N_OUTPUT), np.zeros(1, np.bool_), np.empty(SUMS * LANES)),
        np.empty(n_hidden),
        np.empty(n_input),
        np.empty(3, np.int64),
        np.empty(3, np.int64),
        np.zeros(N_OUTPUT, np.int64),
        np.zeros(n_hidden, np.int64),
        np.empty((2, 3)),
        np.empty(DEGREE + 1),
        np.empty(DEGREE + 1),
        np.empty(events, np.int64),
        np.empty(events, np.int64),
        np.empty(events, np.int64),
        np.empty(events, np.int64),
        np.zeros(steps + 1, np.int64),
    )


@borrowing_njit
def _spikes_at_most(numbers, n_events):
    """Of an epoch: input and hidden cells make at most `n_events`, output cells one per step."""
    return n_events + (numbers.steps + 1) * LANES


@borrowing_njit
def _pairs_at_most(log, filled, epoch, numbers, rules):
    """Upper bound of the pairs that an epoch's boundary forms: of the spikes of the epoch before and its own first step."""
    after = (epoch - 1) * numbers.steps
    fresh = filled.spikes
    while fresh > 0 and log.step[fresh - 1] > after:
        fresh -= 1
    pairs = _count_pairs(log.step, fresh, filled.spikes, rules.pair_window_steps)
    return pairs + LANES * (filled.spikes + LANES)


@borrowing_njit
def _lacks_room(log, filled, epoch, course, numbers, rules, n_events, keep_spikes):
    """Whether an epoch may bring more than the log has room for."""
    most = _spikes_at_most(numbers, n_events)
    if filled.spikes + most > len(log.step) or filled.spikes + most > log.listed.shape[1]:
        return True
    if keep_spikes and filled.kept + filled.spikes + most > len(log.all_step):
        return True
    pairs = _pairs_at_most(log, filled, epoch, numbers, rules)
    return (
        filled.ho + pairs > min(len(log.hidden_output.step), len(log.s_k))
        or not course.input_hidden_frozen
        and filled.ih + pairs > min(len(log.input_hidden.step), len(log.s_k))
    )


@cached_njit
def _with_room(log, filled, epoch, course, numbers, rules, n_events, keep_spikes):
    """The log with room for an epoch and more, and how far it is filled: dead traces are left out of what is longer now."""
    n, first_ho, n_ho, first_ih, n_ih, n_all = filled
    pairs = _pairs_at_most(log, filled, epoch, numbers, rules)
    most = _spikes_at_most(numbers, n_events)
    step, cell = _room(log.step, n, most), _room(log.cell, n, most)
    listed = log.listed if log.listed.shape[1] >= len(step) else np.empty((3, len(step)), np.int64)
    ho, first_ho, n_ho = _room_for_traces(log.hidden_output, first_ho, n_ho, pairs)
    ih, first_ih, n_ih = _room_for_traces(log.input_hidden, first_ih, n_ih, 0 if course.input_hidden_frozen else pairs)
    longest = max(len(ho.step), len(ih.step))
    s_k = log.s_k if len(log.s_k) >= longest else np.empty(longest)
    kept = n + most if keep_spikes else 0
    all_step, all_cell = _room(log.all_step, n_all, kept), _room(log.all_cell, n_all, kept)
    return Log(step, cell, listed, ho, ih, s_k, all_step, all_cell), Filled(n, first_ho, n_ho, first_ih, n_ih, n_all)


@cached_njit
def _room(array, n, more):
    """The array, or a longer copy of its first n elements if it has no room for `more`."""
    if n + more <= len(array):
        return array
    longer = np.empty(2 * (n + more), array.dtype)
    longer[:n] = array[:n]
    return longer


@cached_njit
def _room_for_traces(traces, first, n, more):
    """The traces, or longer copies of those from `first` to n if there is no room for `more`; and where those are."""
    if n + more <= len(traces.step):
        return traces, first, n
    live = n - first
    room = max(2 * (live + more), 1024)
    longer = Traces(np.empty(room, traces.synapse.dtype), np.empty(room, traces.value.dtype), np.empty(room, traces.step.dtype))
    longer.synapse[:live] = traces.synapse[first:n]
    longer.value[:live] = traces.value[first:n]
    longer.step[:live] = traces.step[first:n]
    return longer, 0, live


@borrowing_njit
def _live(traces, first, n):
    return Traces(traces.synapse[first:n], traces.value[first:n], traces.step[first:n])


@cached_njit
def _trimmed(traces, first, n):
    """Plain arrays: Ctrl-C may come while Numba makes Python objects of them, and it does not survive that in a named tuple."""
    return traces.synapse[first:n].copy(), traces.value[first:n].copy(), traces.step[first:n].copy()


@borrowing_njit
def _any(values):
    for value in values:
        if value:
            return True
    return False


@borrowing_njit
def _sleep_probabilities(a, weights, uniform_over_layer, probability):
    """As models.state.sleep_probabilities."""
    probability[:] = 0.0
    total = 0.0
    for slot in range(len(weights)):
        if a.task_epochs[slot] > 0:
            total += weights[slot]
            for h in range(len(probability)):
                probability[h] += weights[slot] * (a.task_spikes[slot, h] / a.task_epochs[slot])
    if total > 0.0:
        for h in range(len(probability)):
            probability[h] /= total
    if uniform_over_layer:
        total = 0.0
        for h in range(len(probability)):
            total += probability[h]
        probability[:] = total / len(probability)


@borrowing_njit
def _log_outputs(outputs, step, first_output, recent_step, recent_cell, n):
    for o in range(LANES):
        if outputs[0, o] == -1.0 and outputs[1, o] > 0.0:
            recent_step[n], recent_cell[n] = step, first_output + o
            n += 1
    return n


@borrowing_njit
def _count_pairs(recent_step, fresh, n_recent, window):
    """Upper bound of the pairs that the spikes from `fresh` on form with those before them."""
    pairs, first = 0, 0
    for b in range(fresh, n_recent):
        while recent_step[b] - recent_step[first] >= window:
            first += 1
        pairs += b - first
    return pairs


@borrowing_njit
def _make_traces(log, fresh, n_recent, a, input_hidden_frozen, rules, decay, n_ho, n_ih, s):
    """As models.rules.make_traces, appended to the traces there are; returns their numbers.

    The spikes of each layer so far are listed apart, so that a new spike meets only those it can form a pair with.
    """
    recent_step, recent_cell, listed, ho, ih = log.step, log.cell, log.listed, log.hidden_output, log.input_hidden
    n_input, first_output = rules.n_input, rules.n_input + rules.n_hidden
    window, n_listed, first = rules.pair_window_steps, s.n_listed, s.first_listed
    n_listed[:], first[:] = 0, 0
    for b in range(n_recent):
        cell, step = recent_cell[b], recent_step[b]
        layer = (cell >= n_input) + (cell >= first_output)
        if b >= fresh:
            for other in range(3):
                while first[other] < n_listed[other] and step - recent_step[listed[other, first[other]]] >= window:
                    first[other] += 1
        if b >= fresh and layer == 2:
            o = cell - first_output
            for m in range(first[1], n_listed[1]):
                k = listed[1, m]
                size = rules.hidden_output_amplitude * decay[step - recent_step[k]]
                n_ho = _add_output_trace(ho, n_ho, a.frozen, o, recent_cell[k] - n_input, size, step)
        elif b >= fresh and layer == 1:
            h = cell - n_input
            for m in range(first[2], n_listed[2]):
                k = listed[2, m]
                size = rules.hidden_output_amplitude * decay[step - recent_step[k]]
                n_ho = _add_output_trace(ho, n_ho, a.frozen, recent_cell[k] - first_output, h, -size, step)
            if not input_hidden_frozen:
                for m in range(first[0], n_listed[0]):
                    k = listed[0, m]
                    size = rules.input_hidden_amplitude * decay[step - recent_step[k]]
                    n_ih = _add_input_trace(ih, n_ih, a.slot_of[recent_cell[k], h], size, step)
        elif b >= fresh and not input_hidden_frozen:
            for m in range(first[1], n_listed[1]):
                k = listed[1, m]
                size = rules.input_hidden_amplitude * decay[step - recent_step[k]]
                n_ih = _add_input_trace(ih, n_ih, a.slot_of[cell, recent_cell[k] - n_input], -size, step)
        listed[layer, n_listed[layer]] = b
        n_listed[layer] += 1
    return n_ho, n_ih


@borrowing_njit
def _add_output_trace(traces, n, frozen, o, h, value, step):
    if frozen[o, h]:
        return n
    traces.synapse[n], traces.value[n], traces.step[n] = o * frozen.shape[1] + h, value, step
    return n + 1


@borrowing_njit
def _add_input_trace(traces, n, place, value, step):
    if place < 0:
        return n
    traces.synapse[n], traces.value[n], traces.step[n] = place, value, step
    return n + 1


@borrowing_njit
def _first_live(steps, first, n, T, rules):
    """The first trace that has not lived its time; the oldest come first."""
    while first < n and T - steps[first] >= rules.trace_life_steps:
        first += 1
    return first


@borrowing_njit
def _keep_recent(recent_step, recent_cell, n, after):
    old = 0
    while old < n and recent_step[old] <= after:
        old += 1
    for k in range(old, n):
        recent_step[k - old], recent_cell[k - old] = recent_step[k], recent_cell[k]
    return n - old


@borrowing_njit
def _forage(a, world, outcomes, output_counts, seed, epoch, numbers, records, row):
    """Choose a direction, move, eat; returns the reward S."""
    move = choose_move(
        output_counts,
        a.agent[2],
        a.agent[3],
        numbers.hunger_per_percent,
        stream_key(seed, _TIE, epoch),
        stream_key(seed, _EXPLORATION, epoch),
    )
    x, y = move_agent(a.agent[0], a.agent[1], move, a.grid.shape[0])
    eaten = eat(world, x, y, stream_key(seed, _NEW_PARTICLE, epoch))
    outcome = outcomes[eaten]
    a.agent[0], a.agent[1], a.agent[2] = x, y, move
    a.agent[3] = 0 if outcome == _REWARDED or outcome == _PUNISHED else a.agent[3] + 1
    records.move[row], records.eaten[row], records.outcome[row] = move, eaten, outcome
    return reward_of(outcome, numbers.reward_rewarded, numbers.reward_punished, numbers.reward_nothing)


@borrowing_njit(error_model="numpy")
def _change_hidden_output(a, traces, T, S, s, s_k, rules, any_frozen):
    """Plasticity event and scaling of hidden-to-output strengths, as models.rules.change_hidden_output and its fellows.

    Parameters
    ----------
    a : Arrays
        `hidden_output_total` and `inhibition` are kept up to date only while some synapses are frozen; otherwise they
        follow from the strengths.
    traces : Traces
        The live ones.
    s : Scratch
    s_k : (n or more,)
        Work space.
    """
    n_hidden = a.hidden_output.shape[1]
    W, average, synapse = a.hidden_output.reshape(-1), a.trace_average.reshape(-1), traces.synapse
    _age(traces.value, traces.step, T + rules.age_offset_steps, s_k)
    touched = s.touched[: _sum_by_synapse(synapse, s_k, T, s)]
    for m in touched:
        s.before[m] = average[m]
    _decay_average(average, a.frozen.reshape(-1), any_frozen, rules)
    for m in touched:
        h = m - _row_of(m, n_hidden) * n_hidden
        new = (1.0 - rules.average_rate) * s.before[m] + rules.average_rate * s.trace_sum[m]
        average[m] = math.copysign(max(abs(new), rules.average_floor), new)
        s.gain[m] = S * s.trace_sum[m] / average[m]
        s.share[m] = rules.hidden_output_initial / (a.hidden_output_total[h] if any_frozen else _total_output(a.hidden_output, h))
        s.before[m] = W[m]
    for k in range(len(synapse)):
        m = synapse[k]
        D_k = min(max(s_k[k] * s.gain[m], -rules.max_change), rules.max_change)
        W[m] *= 1.0 + s.share[m] * D_k
    if any_frozen:
        _scale_around_frozen(a.hidden_output, a.frozen, rules)
        _balance_around_frozen(a.hidden_output, a.frozen, a.hidden_output_total, a.inhibition)
        return
    for m in touched:
        W[m] = min(max(W[m], rules.min_strength), rules.max_strength)
        s.row.total[_row_of(m, n_hidden)] += W[m] - s.before[m]
    if s.row.out_of_bounds[0]:
        for m in range(len(W)):
            W[m] = min(max(W[m], rules.min_strength), rules.max_strength)
        _know_totals(a.hidden_output, rules, s.row)
    _scale_rows(a.hidden_output, rules.output_input_target, rules.min_strength, rules.max_strength, s.row)


@borrowing_njit
def _row_of(m, n):
    """m // n, for numbers far below 2**52: faster than the division of integers."""
    return int((m + 0.5) * (1.0 / n))


@borrowing_njit(error_model="numpy")
def _age(value, step, T_offset, s_k):
    """s_k = tr_k / (T - t_k + 600)."""
    for k in range(len(value)):
        s_k[k] = value[k] / (T_offset - step[k])


@borrowing_njit
def _sum_by_synapse(synapse, s_k, now, s):
    """Sum = sum_k s_k of every synapse with traces; lists these synapses and returns their number."""
    n = 0
    for k in range(len(synapse)):
        m = synapse[k]
        if s.touched_at[m] != now:
            s.touched_at[m], s.trace_sum[m], s.touched[n] = now, 0.0, m
            n += 1
        s.trace_sum[m] += s_k[k]
    return n


@borrowing_njit
def _total_output(W, h):
    """W_h, added up in the order of the outputs."""
    total = 0.0
    for o in range(N_OUTPUT):
        total += W[o, h]
    return total


@borrowing_njit
def _decay_average(average, frozen, any_frozen, rules):
    """Avg <- 0.999 Avg, its magnitude at least the floor: the rule for Sum = 0."""
    keep, floor = 1.0 - rules.average_rate, rules.average_floor
    for k in range(len(average)):
        new = keep * average[k]
        new = math.copysign(max(abs(new), floor), new)
        average[k] = average[k] if any_frozen and frozen[k] else new


@borrowing_njit
def _know_totals(W, rules, row):
    """Sums of the rows of W (8, H) as they are, by the same additions as in every epoch, and whether one is out of bounds."""
    row.total[:] = 1.0
    _scale_rows(W, 1.0, 0.0, rules.max_strength, row)
    for o in range(N_OUTPUT):
        for h in range(W.shape[1]):
            row.out_of_bounds[0] |= W[o, h] < rules.min_strength


@borrowing_njit(error_model="numpy")
def _scale_rows(W, target, low, high, row):
    """Scale the inputs of every output cell, W (8, H), from their present total to the target, none below the floor."""
    too_large = 0
    for o in range(N_OUTPUT):
        row.total[o], n = _scale_row(W[o], target / row.total[o], low, high, row.partial)
        too_large += n
    row.out_of_bounds[0] = too_large > 0


@borrowing_njit
def _scale_row(strengths, factor, low, high, partial):
    """Returns the new total, and how many strengths are too large.

    The order of additions: 32 partial sums (`partial`, work space), one for each h modulo 32; of these the second half is added to
    the first, until one is left.
    """
    too_large = scale_lanes(strengths, factor, low, high, partial)  # pyright: ignore[reportCallIssue] - likewise
    whole = len(strengths) // len(partial) * len(partial)
    for h in range(whole, len(strengths)):
        scaled = max(strengths[h] * factor, low)
        strengths[h] = scaled
        partial[h - whole] += scaled
        too_large += scaled > high
    half = len(partial) // 2
    while half > 0:
        for k in range(half):
            partial[k] += partial[k + half]
        half //= 2
    return partial[0], too_large


@borrowing_njit(error_model="numpy")
def _scale_around_frozen(W, frozen, rules):
    for o in range(N_OUTPUT):
        fixed = plastic = 0.0
        for h in range(W.shape[1]):
            if frozen[o, h]:
                fixed += W[o, h]
            else:
                W[o, h] = min(max(W[o, h], rules.min_strength), rules.max_strength)
                plastic += W[o, h]
        factor = (rules.output_input_target - fixed) / plastic
        for h in range(W.shape[1]):
            if not frozen[o, h]:
                W[o, h] = max(W[o, h] * factor, rules.min_strength)


@borrowing_njit(error_model="numpy")
def _balance_around_frozen(W, frozen, total, inhibition):
    """As models.rules.balance_outputs, for strengths (8, H)."""
    for h in range(W.shape[1]):
        total[h] = 0.0
        n = 0
        for o in range(N_OUTPUT):
            if not frozen[o, h]:
                total[h] += W[o, h]
                n += 1
        if n > 0:
            inhibition[h] = -(total[h] / n)


@borrowing_njit(error_model="numpy")
def _change_input_hidden(a, traces, T, s, s_k, rules):
    """Plasticity event and scaling of input-to-hidden strengths; synapses are numbered by place in them."""
    W, inputs, synapse, gain = a.input_hidden.reshape(-1), a.slot_input.reshape(-1), traces.synapse, s.input_gain
    n = len(synapse)
    _age(traces.value, traces.step, T + rules.age_offset_steps, s_k)
    gain[:] = 0.0
    for k in range(n):
        i = inputs[synapse[k]]
        if gain[i] == 0.0:
            own = a.place[a.first_synapse[i] : a.first_synapse[i + 1]]
            gain[i] = a.input_output_initial[i] / sum_at(W, own)
    for k in range(n):
        D_k = min(max(s_k[k], -rules.max_change), rules.max_change)
        W[synapse[k]] *= 1.0 + gain[inputs[synapse[k]]] * D_k
    low, high = rules.min_strength, rules.max_input_hidden_strength
    _clip_and_scale_inputs(a.input_hidden, a.hidden_input_target, s.factor, low, high)


@borrowing_njit(error_model="numpy", fastmath={"nnan"})
def _clip_and_scale_inputs(W, target, factor, low, high):
    """Clip the strengths W (k, H), then scale the inputs of each hidden cell to their target; in blocks, for the cache."""
    for first in range(0, W.shape[1], CELLS_AT_A_TIME):
        cells = slice(first, first + CELLS_AT_A_TIME)
        own_factor, own_target = factor[cells], target[cells]
        own_factor[:] = 0.0
        for slot in range(len(W)):
            row = W[slot, cells]
            for h in range(len(row)):
                clipped = min(max(row[h], low), high)
                row[h] = clipped
                own_factor[h] += clipped
        for h in range(len(own_factor)):
            own_factor[h] = own_target[h] / own_factor[h]
        for slot in range(len(W)):
            row = W[slot, cells]
            for h in range(len(row)):
                row[h] = max(row[h] * own_factor[h], low)


@borrowing_njit
def _homeostasis(a, recent_cell, fresh, n_recent, s, input_hidden_frozen, rules):
    first_output, counts = rules.n_input + rules.n_hidden, s.hidden_counts
    _count_hidden(recent_cell, fresh, n_recent, rules.n_input, first_output, counts)
    average_rate(a.hidden_rate, counts, rules)
    average_rate(a.output_rate, s.output_counts, rules)
    for k in range(fresh, n_recent):
        if rules.n_input <= recent_cell[k] < first_output:
            counts[recent_cell[k] - rules.n_input] = 0
    regulate(a.resistance, a.output_rate, rules.output_target_rate, rules.output_step)
    if not input_hidden_frozen:
        regulate(a.hidden_input_target, a.hidden_rate, rules.hidden_target_rate, -rules.hidden_step)


@borrowing_njit
def _count_hidden(recent_cell, fresh, n_recent, n_input, first_output, counts):
    """Add the spikes of hidden cells since the last boundary to counts (H,), which are zero before and after."""
    for k in range(fresh, n_recent):
        if n_input <= recent_cell[k] < first_output:
            counts[recent_cell[k] - n_input] += 1


@borrowing_njit
def _all_at(event_step, n, step):
    """Whether all input spikes come at the same step, as they do unless a flash finds a cell far from rest."""
    for k in range(n):
        if event_step[k] != step:
            return False
    return True


@borrowing_njit
def _event_sizes(size, target, base, key, noise):
    """1 - R + 2 R X of the events at the synapses of one cell; `base` + target is the number of the draw."""
    for k in range(len(target)):
        size[k] = (1.0 - noise) + 2.0 * noise * uniform(key, base + target[k])


@borrowing_njit
def _deliver_input(target, place, base, W, key, noise, size, pulse):
    """Add the events of a spike of one input cell, with its synapses `target` and `place`, to the pulses of hidden cells."""
    _event_sizes(size, target, base, key, noise)
    for k in range(len(target)):
        pulse[target[k]] += W[place[k]] * size[k]


@borrowing_njit
def _deliver_inputs(cells, first, last, step, a, key, noise, n_input, n_hidden, size, pulse):
    """Add the events of the spikes of input cells `cells[first:last]`, all at one step, to the pulses of hidden cells."""
    W, first_synapse, target, place = a.input_hidden.reshape(-1), a.first_synapse, a.target, a.place
    for k in range(first, last):
        i = cells[k]
        own = slice(first_synapse[i], first_synapse[i + 1])
        _deliver_input(target[own], place[own], (step * n_input + i) * n_hidden, W, key, noise, size, pulse)
    _silence_removed(pulse, a.removed)


@borrowing_njit
def _silence_removed(pulse, removed):
    """Removed cells take no synaptic input."""
    for h in range(len(pulse)):
        if removed[h]:
            pulse[h] = 0.0


@borrowing_njit(error_model="numpy")
def _add_approach(pulse, x, decay):
    """What is left of x when the pulse arrives becomes part of it."""
    for k in range(len(pulse)):
        pulse[k] += decay * x[k]


@borrowing_njit
def _candidates(pulse, bulk, candidate):
    """Write which cells have a pulse of at least `bulk`; returns their number."""
    n = 0
    for k in range(len(pulse)):
        candidate[n] = k
        n += pulse[k] >= bulk
    return n


@borrowing_njit(error_model="numpy")
def _to_end(V, u, x, pulse, layer, c, s):
    """Take a layer to the end of the epoch, by polynomials in the pulse and linear propagation of what was not at rest."""
    t, p, q, way = layer.table, layer.approach, layer.table.propagator, s.way
    # from the start of the epoch to the arrival and on to its end: x counts on the way to the arrival only, then as pulse
    for row in range(2):
        for column in range(3):
            way[row, column] = q[row, 0] * p[0, column] + q[row, 1] * p[1, column]
    for k in range(POLYNOMIAL):
        s.V_bulk[k], s.u_bulk[k] = t.V_bulk[k], t.u_bulk[k]
    s.V_bulk[DEGREE] += c.V_rest
    s.u_bulk[DEGREE] += c.u_rest
    decay_lanes(V, u, x, pulse, s.V_bulk, s.u_bulk, way, 1.0 / t.bulk, layer.rest_x, c.V_rest, c.u_rest)  # pyright: ignore[reportCallIssue] - likewise
    for k in range(len(V) // (LANES * TOGETHER) * (LANES * TOGETHER), len(V)):
        y = (pulse[k] if abs(pulse[k]) >= NO_PULSE else 0.0) * (1.0 / t.bulk)
        dV, du, x_k = V[k] - c.V_rest, u[k] - c.u_rest, x[k] if abs(x[k]) >= NO_PULSE else 0.0
        V[k] = _polynomial(s.V_bulk, y) + way[0, 0] * dV + way[0, 1] * du + way[0, 2] * x_k
        u[k] = _polynomial(s.u_bulk, y) + way[1, 0] * dV + way[1, 1] * du + way[1, 2] * x_k
        x[k] = layer.rest_x * pulse[k]


@borrowing_njit
def _polynomial(coefficients, y):
    value = coefficients[0]
    for k in range(1, len(coefficients)):
        value = value * y + coefficients[k]
    return value


@borrowing_njit(error_model="numpy")
def _respond(a, first, n, added, layer, c, s, n_events):
    """Responses of the cells first ... first + n - 1 to the pulses `added`; logs their spikes, returns the number of events."""
    t, p = layer.table, layer.approach
    V, u, x = a.V[first : first + n], a.u[first : first + n], a.x[first : first + n]
    _add_approach(added, x, layer.approach_x)
    candidates = s.candidate[: _candidates(added, t.bulk, s.candidate)]
    for m, k in enumerate(candidates):
        s.start_V[m], s.start_u[m], s.start_x[m] = V[k], u[k], x[k]
    _to_end(V, u, x, added, layer, c, s)
    for m, k in enumerate(candidates):
        dV, du, x_k = s.start_V[m] - c.V_rest, s.start_u[m] - c.u_rest, s.start_x[m]
        j = t.first_knot[int((added[k] - t.bulk) * t.per_pulse)] if added[k] < t.largest else len(t.knot) - 1
        shift = t.shift_V[j] * (p[0, 0] * dV + p[0, 1] * du + p[0, 2] * x_k)
        shift += t.shift_u[j] * (p[1, 0] * dV + p[1, 1] * du + p[1, 2] * x_k)
        pulse = added[k] + shift
        if pulse < t.bulk:
            continue
        doubt = DOUBT[0] + DOUBT[1] * abs(shift) + DOUBT[2] * shift * shift
        if pulse + doubt < t.largest:
            j = _interval(t, pulse - doubt)
        if pulse + doubt >= t.largest or t.n_spikes[j] > MAX_SPIKES or _in_doubt(t, j, pulse + doubt):
            start = (s.start_V[m], s.start_u[m], x_k)
            V[k], u[k], n_events = _step_one(start, added[k] - layer.approach_x * x_k, first + k, layer, c, s, n_events)
            continue
        while j + 1 < len(t.knot) and t.knot[j + 1] <= pulse:
            j += 1
        for spike in range(t.n_spikes[j]):
            s.event_step[n_events], s.event_cell[n_events] = layer.arrival + t.spike[j, spike], first + k
            n_events += 1
        right = t.knot[j + 1] if j + 1 < len(t.knot) else t.largest
        y = (pulse - t.knot[j]) / (right - t.knot[j])
        V[k] = c.V_rest + (t.V_end[j, 0] * y + t.V_end[j, 1]) * y + t.V_end[j, 2]
        u[k] = c.u_rest + (t.u_end[j, 0] * y + t.u_end[j, 1]) * y + t.u_end[j, 2]
    return n_events


@borrowing_njit
def _interval(t, pulse):
    """Number of the interval of pulses that holds `pulse`, at least the first."""
    j = t.first_knot[int(max(pulse - t.bulk, 0.0) * t.per_pulse)]
    while j + 1 < len(t.knot) and t.knot[j + 1] <= pulse:
        j += 1
    return j


@borrowing_njit
def _in_doubt(t, j, highest):
    """Whether spike times change between the interval j and the pulse `highest`."""
    m = j
    while m + 1 < len(t.knot) and t.knot[m + 1] <= highest:
        m += 1
        if t.n_spikes[m] != t.n_spikes[j]:
            return True
        for spike in range(t.n_spikes[j]):
            if t.spike[m, spike] != t.spike[j, spike]:
                return True
    return False


@borrowing_njit(error_model="numpy")
def _step_one(start, pulse, cell, layer, c, s, n_events):
    """Step one cell through the epoch, where the table does not hold its pulse or leaves its spikes in doubt.

    Returns V and u at the end, and the number of events.
    """
    V, u, x = start
    V_1 = V_2 = V
    if layer.arrival < 0:
        x += pulse
    for step in range(layer.arrival + 1 + layer.table.steps):
        new, u, x, spiked = step_cell(V, V_2, u, x, c)
        V, V_1, V_2 = new, V, V_1
        if step == layer.arrival:
            x += pulse
        if spiked and n_events < len(s.event_step):
            s.event_step[n_events], s.event_cell[n_events] = step, cell
            n_events += 1
    return V, u, n_events


@borrowing_njit(error_model="numpy")
def _step_hidden(a, s, n_inputs, key, numbers, n_input, n_hidden, c):
    """Step all hidden cells through the epoch: the way when input spikes come at several steps."""
    _sort_events(s, n_inputs)
    steps, cells = s.sorted_step, s.sorted_cell
    for k in range(n_inputs):
        steps[k], cells[k] = s.event_step[k], s.event_cell[k]
    n_events = n_inputs
    k = NONE
    hidden = slice(n_input, n_input + n_hidden)
    V, V_1, V_2, u, x = a.V[hidden], a.V_1[hidden], a.V_2[hidden], a.u[hidden], a.x[hidden]
    for step in range(numbers.steps):
        for h in range(n_hidden):
            new, u[h], x[h], spiked = step_cell(V[h], V_2[h], u[h], x[h], c)
            V_2[h], V_1[h], V[h] = V_1[h], V[h], new
            if spiked and n_events < len(s.event_step):
                s.event_step[n_events], s.event_cell[n_events] = step, n_input + h
                n_events += 1
        s.pulse[:] = 0.0
        first = k
        while k < n_inputs and steps[k] == step:
            k += 1
        _deliver_inputs(cells, first, k, step, a, key, numbers.noise, n_input, n_hidden, s.size, s.pulse)
        for h in range(n_hidden):
            x[h] += s.pulse[h]
    return n_events


@borrowing_njit
def _sort_events(s, n):
    """Sort the events by step, then cell, which they came in within each layer: by insertion, or counting."""
    if n < 48:
        for k in range(1, n):
            step, cell, place = s.event_step[k], s.event_cell[k], k
            while place > 0 and s.event_step[place - 1] > step:
                s.event_step[place], s.event_cell[place] = s.event_step[place - 1], s.event_cell[place - 1]
                place -= 1
            s.event_step[place], s.event_cell[place] = step, cell
        return
    s.per_step[:] = 0
    for k in range(n):
        s.per_step[s.event_step[k] + 1] += 1
    for step in range(1, len(s.per_step)):
        s.per_step[step] += s.per_step[step - 1]
    for k in range(n):
        place = s.per_step[s.event_step[k]]
        s.per_step[s.event_step[k]] += 1
        s.sorted_step[place], s.sorted_cell[place] = s.event_step[k], s.event_cell[k]
    for k in range(n):
        s.event_step[k], s.event_cell[k] = s.sorted_step[k], s.sorted_cell[k]


@borrowing_njit(error_model="numpy")
def _step_outputs(outputs, W, inhibition, resistance, events, T, steps, noise, keys, fresh_inhibition, recent, n_recent, sizes, c):
    """Step the output cells from step 1 to the end of the epoch and log all spikes.

    Parameters
    ----------
    W : (8, H)
    events : tuple
        Steps, cells and number of the spikes of input and hidden cells, by step, then cell.
    keys : tuple of the keys of excitatory and inhibitory events
    fresh_inhibition : bool
        Inhibition is minus the mean of the strengths as they are now.
    recent : tuple
        Steps and cells of the log.
    sizes : tuple of three int
        Number of input, hidden and all cells of these two layers.

    Returns
    -------
    int
        Number of spikes in the log.
    """
    event_step, event_cell, n_events = events
    recent_step, recent_cell = recent
    n_input, n_hidden, first_output = sizes
    if n_events == 0 and steps > 2 and _are_still(outputs, c):
        for o in range(LANES):
            outputs[1, o] = outputs[2, o] = outputs[0, o]
        return n_recent
    step, k = 1, 0  # next step; next event
    while step < steps:
        until = event_step[k] if k < n_events else steps - 1
        n = until - step + 1
        step += advance_lanes(outputs, n, c.alpha, c.beta_e, c.mu, c.mu_sigma, c.decay)  # pyright: ignore[reportCallIssue] - likewise
        now = step - 1
        first = k
        while k < n_events and event_step[k] <= now:
            recent_step[n_recent], recent_cell[n_recent] = T + now, event_cell[k]
            n_recent += 1
            k += 1
        x = outputs[4]
        for spike in range(first, k):  # excitation first, then inhibition
            h = event_cell[spike] - n_input
            if h >= 0:
                _deliver_hidden(x, W[:, h], resistance, noise, keys[0], (now * n_hidden + h) * N_OUTPUT)
        for spike in range(first, k):
            h = event_cell[spike] - n_input
            if h >= 0:
                strength = -(_total_output(W, h) / N_OUTPUT) if fresh_inhibition else inhibition[h]
                for o in range(N_OUTPUT):
                    size = (1.0 - noise) + 2.0 * noise * uniform(keys[1], (now * n_hidden + h) * N_OUTPUT + o)
                    x[o] += strength / resistance[o] * size
        n_recent = _log_outputs(outputs, T + now, first_output, recent_step, recent_cell, n_recent)
    return n_recent


@borrowing_njit(error_model="numpy")
def _are_still(outputs, c):
    """Whether a step leaves the output cells as they are, to the last bit, as it does some 80 epochs after the last hidden spike.

    Their x is subnormal then for good, and steps with such numbers take ten times as long as others.
    """
    for o in range(LANES):
        V, u, x = outputs[0, o], outputs[3, o], outputs[4, o]
        new_V, new_u, new_x, spiked = step_cell(V, outputs[2, o], u, x, c)
        if spiked or new_V != V or new_u != u or new_x != x:
            return False
    return True


@borrowing_njit(error_model="numpy")
def _deliver_hidden(x, strengths, resistance, noise, key, base):
    """Add the excitatory events of one hidden spike to x of the output cells."""
    for o in range(N_OUTPUT):
        size = (1.0 - noise) + 2.0 * noise * uniform(key, base + o)
        x[o] += strengths[o] / resistance[o] * size

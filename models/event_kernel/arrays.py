"""What the loop of the event engine works on: arrays and numbers in named tuples, because jitted code cannot take dataclasses."""

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np

from foraging_snn.models.lanes import LANES, POLYNOMIAL, SUMS
from foraging_snn.models.parameters import N_OUTPUT
from foraging_snn.models.response import DEGREE, ResponseTable
from foraging_snn.models.rows import Rows
from foraging_snn.models.schema import schema_of
from foraging_snn.models.state import NetworkState

assert N_OUTPUT == LANES  # the eight output cells are one vector
assert POLYNOMIAL == DEGREE + 1
NONE: Any = np.int64(0)  # a 0 that is no literal: Numba compiles a function for literal numbers apart
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


class Room(NamedTuple):
    """How much more a Log takes."""

    spikes: int
    ho: int
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


def work_space(n_input, n_hidden, steps):
    """A Scratch for so many cells and steps per epoch."""
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
        np.full(N_OUTPUT * n_hidden, -1, np.int64),
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

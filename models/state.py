"""The complete state of a trial between two epochs, and how a phase begins on it.

A run is a fold of phases over this object: nothing else remembers anything. A checkpoint is this object written to disk.
"""

from dataclasses import dataclass, fields
from numbers import Integral

import numpy as np

from foraging_snn.environments import TASKS, Stream, stream_key, uniforms
from foraging_snn.models.parameters import N_OUTPUT, Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.wiring import Wiring, draw_wiring

MAX_SEED = 2**63 - 1


@dataclass
class NetworkState:
    """All there is of a trial before the first step of epoch `epoch`.

    N cells (input, hidden, output, in this order), S input-to-hidden synapses, H hidden cells, I input cells, O = 8 output
    cells. Conventions are in docs/conventions.md.

    Attributes
    ----------
    seed : int
        Trial seed; together with `epoch` it determines every draw to come.
    epoch : int
        Completed epochs since the trial began.
    phase_epoch : int
        Completed epochs of the current phase; 0: the next phase has not begun.
    V, V_1, V_2 : (N,) float64
        Membrane map now, one and two steps ago.
    u, x : (N,) float64
        Slow variable; pooled synaptic input.
    input_index, hidden_index : (S,) int32
        Pre- and postsynaptic cell of each input-to-hidden synapse, by input cell, then hidden cell.
    input_hidden : (S,) float64
        Strengths input -> hidden.
    hidden_output : (H, O) float64
        Excitatory strengths hidden -> output.
    inhibition : (H,) float64
        Inhibitory strength (negative) of every hidden-to-output synapse of a hidden cell.
    hidden_input_target : (H,) float64
        Sum to which the inputs of a hidden cell are scaled.
    resistance : (O,) float64
        Divides what arrives at an output cell.
    hidden_rate, output_rate : (H,), (O,) float64
        Running averages, spikes per epoch.
    trace_average : (H, O) float64
        Running average of the trace sum of each hidden-to-output synapse.
    frozen : (H, O) bool
        Hidden-to-output synapses that do not change any more.
    input_hidden_frozen : bool
        Input-to-hidden synapses do not change any more.
    removed : (H,) bool
        Hidden cells that take no synaptic input (dropout).
    input_output_initial, input_output_total : (I,) float64
        Summed output strength of an input cell at the start and after the last plasticity event.
    hidden_output_total : (H,) float64
        Summed output strength of a hidden cell, over its non-frozen synapses, after the last event.
    recent_step, recent_cell : (R,) int64, int32
        Spikes since the last boundary and within the pair window before it, by step, then cell.
    hidden_output_trace_synapse, _value, _step : (K,) int32, float64, int64
        Live traces in the order they were made; synapse h * 8 + o; step at which made.
    input_hidden_trace_synapse, _value, _step : (L,)
        The same for input -> hidden; synapse numbered as in `input_hidden`.
    task_spikes : (n_tasks, H) int64
        Spikes of each hidden cell in the most recent training on each task of the table of tasks.
    task_epochs : (n_tasks,) int64
        Epochs of that training.
    grid : (size, size) int8
        The world, [y, x].
    agent_x, agent_y, last_move, hunger : int
        The agent.
    """

    seed: int
    epoch: int
    phase_epoch: int
    V: np.ndarray
    V_1: np.ndarray
    V_2: np.ndarray
    u: np.ndarray
    x: np.ndarray
    input_index: np.ndarray
    hidden_index: np.ndarray
    input_hidden: np.ndarray
    hidden_output: np.ndarray
    inhibition: np.ndarray
    hidden_input_target: np.ndarray
    resistance: np.ndarray
    hidden_rate: np.ndarray
    output_rate: np.ndarray
    trace_average: np.ndarray
    frozen: np.ndarray
    input_hidden_frozen: bool
    removed: np.ndarray
    input_output_initial: np.ndarray
    input_output_total: np.ndarray
    hidden_output_total: np.ndarray
    recent_step: np.ndarray
    recent_cell: np.ndarray
    hidden_output_trace_synapse: np.ndarray
    hidden_output_trace_value: np.ndarray
    hidden_output_trace_step: np.ndarray
    input_hidden_trace_synapse: np.ndarray
    input_hidden_trace_value: np.ndarray
    input_hidden_trace_step: np.ndarray
    task_spikes: np.ndarray
    task_epochs: np.ndarray
    grid: np.ndarray
    agent_x: int
    agent_y: int
    last_move: int
    hunger: int

    def copy(self) -> "NetworkState":
        """An independent copy; branching two experiments from one training is using it twice."""
        return NetworkState(**{name: _copied(value) for name, value in self.items()})

    def items(self) -> list[tuple[str, object]]:
        """Names and values of all fields, in order."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def differences(self, other: "NetworkState") -> list[str]:
        """Names of the fields that are not the same bit for bit."""
        return [name for name, value in self.items() if not _identical(value, getattr(other, name))]


def _copied(value: object) -> object:
    return value.copy() if isinstance(value, np.ndarray) else value


def _identical(a: object, b: object) -> bool:
    if not isinstance(a, np.ndarray):
        return a == b
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def initial_state(parameters: Parameters, seed: int) -> NetworkState:
    """State of a trial before its first epoch: everything at rest, wiring drawn from the seed, no world yet.

    Parameters
    ----------
    seed : int
        0 ... 2**63 - 1.

    Raises
    ------
    ValueError
        Not a whole number, or out of range.
    WiringError
        No wiring without double synapses for these layer sizes.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed: {seed!r} given, allowed is a whole number from 0 to {MAX_SEED}")
    return _at_rest(parameters, int(seed), draw_wiring(parameters, seed))


def state_pattern(parameters: Parameters) -> NetworkState:
    """Types and shapes of all states of these parameters.

    Unlike :func:`initial_state` it draws no wiring and its synapses take no memory: how large a network is may be the claim of a
    file that is not true.
    """
    pattern = _at_rest(parameters, 0, Wiring(np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1)))
    n_synapses = parameters.n_hidden * parameters.network.inputs_per_hidden_cell
    for name in ("input_index", "hidden_index", "input_hidden"):
        setattr(pattern, name, np.broadcast_to(np.zeros((), getattr(pattern, name).dtype), n_synapses))
    return pattern


def _at_rest(parameters: Parameters, seed: int, wiring: Wiring) -> NetworkState:
    n_input, n_hidden, n_cells = parameters.n_input, parameters.n_hidden, parameters.n_cells
    strength = parameters.network.hidden_output_strength
    hidden_output = np.full((n_hidden, N_OUTPUT), strength)
    input_totals = np.bincount(wiring.input_index, wiring.strength, minlength=n_input)
    resting_V = np.full(n_cells, parameters.cell.resting_V)
    no_traces = (np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64))
    size = parameters.world.size
    return NetworkState(
        seed,
        0,
        0,
        resting_V,
        resting_V.copy(),
        resting_V.copy(),
        np.full(n_cells, parameters.cell.resting_u),
        np.zeros(n_cells),
        wiring.input_index,
        wiring.hidden_index,
        wiring.strength,
        hidden_output,
        np.full(n_hidden, -strength),
        np.bincount(wiring.hidden_index, wiring.strength, minlength=n_hidden),
        np.ones(N_OUTPUT),
        np.zeros(n_hidden),
        np.zeros(N_OUTPUT),
        np.zeros((n_hidden, N_OUTPUT)),
        np.zeros((n_hidden, N_OUTPUT), bool),
        False,
        np.zeros(n_hidden, bool),
        input_totals,
        input_totals.copy(),
        hidden_output.sum(axis=1),
        np.zeros(0, np.int64),
        np.zeros(0, np.int32),
        *no_traces,
        *(array.copy() for array in no_traces),
        np.zeros((len(TASKS), n_hidden), np.int64),
        np.zeros(len(TASKS), np.int64),
        np.zeros((size, size), np.int8),
        size // 2,
        size // 2,
        4,
        0,
    )


def misfit(state: NetworkState, parameters: Parameters) -> str:
    """Why a state cannot be one of a network with these parameters, "" if it can: the first array of another shape."""
    n_hidden, size = parameters.n_hidden, parameters.world.size
    shapes = {
        "V": (parameters.n_cells,),
        "hidden_output": (n_hidden, N_OUTPUT),
        "input_hidden": (n_hidden * parameters.network.inputs_per_hidden_cell,),
        "grid": (size, size),
    }
    n_tasks = len(state.task_epochs)
    if n_tasks > len(TASKS) or (n_tasks < len(TASKS) and state.phase_epoch > 0):
        return f"it counts spikes of {n_tasks} tasks, the table of tasks holds {len(TASKS)}"
    for name, shape in shapes.items():
        if (found := getattr(state, name).shape) != shape:
            return f"{name} has the shape {found}, with the engine's parameters it must be {shape}"
    return ""


def begin_phase(state: NetworkState, phase: Phase) -> NetworkState:
    """The state with which `phase` begins: freezing applied, spike counts of the tasks it trains set to zero.

    A state from before the table of tasks grew gets counts of 0 for the new ones. The world is drawn by the engine, at every block.
    `state` itself is left as it is.
    """
    state = state.copy()
    state.phase_epoch = 0
    if not phase.is_unsupervised and not state.input_hidden_frozen:
        state.input_hidden_frozen = True
        for name in ("synapse", "value", "step"):
            field = f"input_hidden_trace_{name}"
            setattr(state, field, getattr(state, field)[:0])
    missing = len(TASKS) - len(state.task_epochs)
    state.task_spikes = np.pad(state.task_spikes, ((0, missing), (0, 0)))
    state.task_epochs = np.pad(state.task_epochs, (0, missing))
    for activity in phase.activities:
        if activity.trained_task:
            state.task_spikes[activity.trained_task.slot] = 0
            state.task_epochs[activity.trained_task.slot] = 0
    if phase.freeze_fraction > 0.0:
        _freeze_strongest(state, phase.freeze_fraction)
    return state


def _freeze_strongest(state: NetworkState, fraction: float) -> None:
    n_hidden = len(state.hidden_output)
    count = int(np.ceil(fraction * n_hidden))
    strongest = np.argsort(-state.hidden_output, axis=0, kind="stable")[:count]
    np.put_along_axis(state.frozen, strongest, True, axis=0)
    plastic = ~state.frozen.ravel()[state.hidden_output_trace_synapse]
    for name in ("synapse", "value", "step"):
        field = f"hidden_output_trace_{name}"
        setattr(state, field, getattr(state, field)[plastic])


def removal_order(seed: int, n_hidden: int) -> np.ndarray:
    """Order in which dropout removes the hidden cells, (n_hidden,) int."""
    return np.argsort(uniforms(stream_key(seed, Stream.DROPOUT_ORDER, 0), 0, n_hidden), kind="stable")


def sleep_probabilities(state: NetworkState, rate_weights: np.ndarray, uniform: bool) -> np.ndarray:
    """Probability per epoch of sleep that a hidden cell is activated, (n_hidden,).

    The mean over the tasks trained so far of its spikes per epoch in the most recent training on that task, weighted with
    `rate_weights` (n_tasks,); `uniform`: the layer mean of that for every cell. 0 where no task with a weight was trained.
    """
    trained = state.task_epochs > 0
    weights = rate_weights[trained, None]
    if not weights.sum() > 0.0:
        return np.zeros(state.task_spikes.shape[1])
    rates = (weights * (state.task_spikes[trained] / state.task_epochs[trained, None])).sum(axis=0) / weights.sum()
    return np.full_like(rates, rates.mean()) if uniform else rates

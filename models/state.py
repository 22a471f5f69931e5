"""The complete state of a trial between two epochs, and how a phase begins on it.

A run is a fold of phases over this object: nothing else remembers anything. A checkpoint is this object written to disk.
"""

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from foraging_snn.environments import (
    N_MOVES,
    STAY,
    GridWorld,
    Stream,
    particle_shapes,
    parts_of_grid,
    stream_key,
    uniforms,
    world_problem,
)
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.schema import array, axis_sizes, number, problem, record, schema_of, zeros
from foraging_snn.models.wiring import draw_wiring

MAX_SEED = 2**63 - 1


@record
class NetworkState:
    """All there is of a trial before the first step of epoch `epoch`.

    Conventions are in docs/conventions.md; the axes of the arrays are those of :data:`foraging_snn.models.schema.AXES`.
    """

    seed: int = number(
        int, meaning="trial seed", note="together with `epoch` it determines every draw to come", low=0, high=MAX_SEED
    )
    epoch: int = number(int, meaning="completed epochs since the trial began", unit="epochs", low=0, high="most epochs")
    phase_epoch: int = number(
        int,
        meaning="completed epochs of the current phase",
        note="0: the next phase has not begun",
        unit="epochs",
        low=0,
        high="epoch",
    )
    V: np.ndarray = array(np.float64, "cell", meaning="membrane map now")
    V_1: np.ndarray = array(np.float64, "cell", meaning="membrane map one step ago")
    V_2: np.ndarray = array(np.float64, "cell", meaning="membrane map two steps ago")
    u: np.ndarray = array(np.float64, "cell", meaning="slow variable")
    x: np.ndarray = array(np.float64, "cell", meaning="pooled synaptic input")
    input_index: np.ndarray = array(
        np.int32, "synapse", meaning="presynaptic input cell of each input-to-hidden synapse, from 0", index_of="input"
    )
    hidden_index: np.ndarray = array(
        np.int32, "synapse", meaning="postsynaptic hidden cell of each input-to-hidden synapse, from 0", index_of="hidden"
    )
    input_hidden: np.ndarray = array(np.float64, "synapse", meaning="strengths input to hidden", low=0)
    hidden_output: np.ndarray = array(np.float64, "hidden", "output", meaning="excitatory strengths hidden to output", low=0)
    inhibition: np.ndarray = array(
        np.float64, "hidden", meaning="inhibitory strength of a hidden cell onto each output cell", note="negative", high=0
    )
    hidden_input_target: np.ndarray = array(
        np.float64, "hidden", meaning="sum to which the inputs of each hidden cell are scaled", low=0
    )
    resistance: np.ndarray = array(
        np.float64, "output", meaning="resistance of each output cell", note="it divides what arrives there", above=0
    )
    hidden_rate: np.ndarray = array(
        np.float64,
        "hidden",
        unit="spikes/epoch",
        meaning="running average of the firing rate of each hidden cell",
        low=0,
    )
    output_rate: np.ndarray = array(
        np.float64,
        "output",
        unit="spikes/epoch",
        meaning="running average of the firing rate of each output cell",
        low=0,
    )
    trace_average: np.ndarray = array(
        np.float64, "hidden", "output", meaning="running average of the trace sum of each hidden-to-output synapse"
    )
    frozen: np.ndarray = array(np.bool_, "hidden", "output", meaning="hidden-to-output synapses that do not change any more")
    input_hidden_frozen: bool = number(bool, meaning="input-to-hidden synapses do not change any more")
    removed: np.ndarray = array(np.bool_, "hidden", meaning="hidden cells that take no synaptic input (dropout)")
    input_output_initial: np.ndarray = array(
        np.float64, "input", meaning="summed output strength of each input cell at the start", low=0
    )
    input_output_total: np.ndarray = array(
        np.float64, "input", meaning="summed output strength of each input cell after the last plasticity event", low=0
    )
    hidden_output_total: np.ndarray = array(
        np.float64,
        "hidden",
        meaning="summed output strength of each hidden cell, over its non-frozen synapses, after the last event",
        low=0,
    )
    recent_step: np.ndarray = array(
        np.int64,
        "recent_spike",
        unit="steps",
        meaning="steps of the spikes since the last boundary and within the pair window before it, by step, then cell",
        low=0,
        high="steps",
        ascending=True,
    )
    recent_cell: np.ndarray = array(np.int32, "recent_spike", meaning="cells of these spikes", index_of="cell")
    hidden_output_trace_synapse: np.ndarray = array(
        np.int32,
        "hidden_output_trace",
        meaning="synapse h * 8 + o of each live trace hidden to output, in the order they were made",
        index_of="hidden_output_synapse",
    )
    hidden_output_trace_value: np.ndarray = array(np.float64, "hidden_output_trace", meaning="values of these traces")
    hidden_output_trace_step: np.ndarray = array(
        np.int64,
        "hidden_output_trace",
        unit="steps",
        meaning="steps at which they were made",
        low=0,
        high="steps",
        ascending=True,
    )
    input_hidden_trace_synapse: np.ndarray = array(
        np.int32,
        "input_hidden_trace",
        meaning="synapse, as in `input_hidden`, of each live trace input to hidden, in the order they were made",
        index_of="synapse",
    )
    input_hidden_trace_value: np.ndarray = array(np.float64, "input_hidden_trace", meaning="values of these traces")
    input_hidden_trace_step: np.ndarray = array(
        np.int64,
        "input_hidden_trace",
        unit="steps",
        meaning="steps at which they were made",
        low=0,
        high="steps",
        ascending=True,
    )
    task_spikes: np.ndarray = array(
        np.int64,
        "task",
        "hidden",
        unit="spikes",
        meaning="spikes in the most recent training on each task",
        low=0,
    )
    task_epochs: np.ndarray = array(
        np.int64, "task", unit="epochs", meaning="epochs of that training", note="0: never trained", low=0
    )
    patterns: np.ndarray = array(
        np.bool_,
        "pattern",
        "task",
        "hidden",
        meaning="hidden cells that fired between two boundaries, kept of training for sleep",
        note="empty if no phase keeps any (`Phase.keep_patterns`)",
        optional=True,
    )
    patterns_kept: np.ndarray = array(
        np.int64,
        "task",
        meaning="patterns kept of the most recent training on each task, those overwritten included",
        low=0,
        optional=True,
    )
    patterns_selective: bool = number(bool, meaning="only patterns that led to a reward are kept", optional=True)
    memory: np.ndarray = array(
        np.float64, "memory_row", "hidden", "output", meaning="what rules between epochs remember of each synapse", optional=True
    )
    memory_label: np.ndarray = array(
        np.int64,
        "memory_row",
        meaning="which: the first 63 bits of the SHA-256 of RULE/NAME",
        note="see `Rule.rows`",
        low=0,
        optional=True,
    )
    grid: np.ndarray = array(
        np.int8, "grid_y", "grid_x", meaning="particle type on each square of the world, 0: none", low=0, high="type"
    )
    grid_part: np.ndarray = array(
        np.int8,
        "grid_y",
        "grid_x",
        meaning="which square of its particle lies on each square of the world, 0: the first one, or none",
        low=0,
    )
    agent_x: int = number(int, meaning="column of the agent", unit="squares", index_of="grid_x")
    agent_y: int = number(int, meaning="row of the agent, upwards", unit="squares", index_of="grid_y")
    last_move: int = number(int, meaning="its last move: 3 (dy + 1) + dx + 1", low=0, high=N_MOVES - 1)
    hunger: int = number(int, meaning="epochs since it ate", unit="epochs", low=0, high="epoch")

    def __repr__(self) -> str:
        """Seed, epoch and sizes; no arrays."""
        n_hidden, n_output = self.hidden_output.shape
        layers = f"{len(self.V) - n_hidden - n_output}-{n_hidden}-{n_output} cells, {len(self.input_hidden)} synapses"
        within = f", {self.phase_epoch} of its phase" if self.phase_epoch else ""
        return f"NetworkState(seed {self.seed}, epoch {self.epoch}{within}, {layers}, grid {' x '.join(map(str, self.grid.shape))})"

    def copy(self) -> "NetworkState":
        """An independent copy; branching two experiments from one training is using it twice."""
        return NetworkState(**{name: _copied(value) for name, value in self.items()})

    def items(self) -> list[tuple[str, Any]]:
        """Names and values of all fields, in order."""
        return [(name, getattr(self, name)) for name in schema_of(NetworkState)]

    def differences(self, other: "NetworkState") -> list[str]:
        """Names of the fields that are not the same bit for bit."""
        return [name for name, value in self.items() if not _identical(value, getattr(other, name))]


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _identical(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray):
        return a == b
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def initial_state(parameters: Parameters, seed: int) -> NetworkState:
    """State of a trial before its first epoch: everything at rest, wiring drawn from `network.seed` or else `seed`, no world yet.

    What is not said here is zero.

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
    wiring = draw_wiring(parameters, parameters.network_seed(seed))
    strength = parameters.network.hidden_output_strength
    state = NetworkState(**zeros(NetworkState, axis_sizes(parameters)))
    state.seed = int(seed)
    for membrane in (state.V, state.V_1, state.V_2):
        membrane[:] = parameters.cell.resting_V
    state.u[:] = parameters.cell.resting_u
    state.input_index, state.hidden_index, state.input_hidden = wiring.input_index, wiring.hidden_index, wiring.strength
    state.hidden_output[:] = strength
    state.inhibition[:] = -strength
    state.hidden_input_target = np.bincount(wiring.hidden_index, wiring.strength, minlength=parameters.n_hidden)
    state.resistance[:] = 1.0
    state.input_output_initial = np.bincount(wiring.input_index, wiring.strength, minlength=parameters.n_input)
    state.input_output_total = state.input_output_initial.copy()
    state.hidden_output_total = state.hidden_output.sum(axis=1)
    state.agent_x = state.agent_y = parameters.world.size // 2
    state.last_move = STAY
    return state


def fitted(state: NetworkState, parameters: Parameters) -> NetworkState:
    """The state with counts of 0 for tasks that were not yet in the table when it was made; the state itself if there are none."""
    missing = len(parameters.tasks) - len(state.task_epochs)
    if missing <= 0:
        return state
    later, of_cells = (0, missing), (0, 0)
    return replace(
        state,
        task_spikes=np.pad(state.task_spikes, (later, of_cells)),
        task_epochs=np.pad(state.task_epochs, later),
        patterns=np.pad(state.patterns, ((0, 0), later, of_cells)),
        patterns_kept=np.pad(state.patterns_kept, later),
    )


def part_of_old_grid(grid: np.ndarray, parameters: Parameters) -> np.ndarray:
    """`grid_part` of a state from before there was such a field, when particles had the types of the paper only."""
    return parts_of_grid(grid, *particle_shapes(parameters.particles.values()))


def misfit(state: NetworkState, parameters: Parameters) -> str:
    """Why a state cannot be one of a network with these parameters, "" if it can: the first array of another shape."""
    sizes, n_tasks = axis_sizes(parameters), len(state.task_epochs)
    if n_tasks > len(parameters.tasks):
        return f"it counts spikes of {n_tasks} tasks, the table of tasks holds {len(parameters.tasks)}"
    for name, what in schema_of(NetworkState).items():
        if what.is_array and not what.has_shape(found := getattr(state, name).shape, sizes):
            return f"{name} has the shape {found}, with the engine's parameters it must be {what.shape(sizes)}"
    return ""


def check_state(state: NetworkState, parameters: Parameters) -> None:
    """See that a state is one of these parameters: types, shapes, finite values, bounds, the order of the wiring.

    Raises
    ------
    ValueError
        One line on what is wrong.
    """
    steps_per_epoch = parameters.timing.steps_per_epoch
    limits = {"epoch": state.epoch, "steps": state.epoch * steps_per_epoch, "most epochs": MAX_SEED // steps_per_epoch}
    if wrong := problem(state, axis_sizes(parameters), limits) or _wiring_problem(state, parameters):
        raise ValueError(wrong)
    if wrong := world_problem(GridWorld(state.grid, state.grid_part, *particle_shapes(parameters.particles.values()))):
        raise ValueError(wrong)


def _wiring_problem(state: NetworkState, parameters: Parameters) -> str:
    synapse = state.input_index.astype(np.int64) * parameters.n_hidden + state.hidden_index
    if not (np.diff(synapse) > 0).all():
        return "input_index is not in the order of input cell, then hidden cell, each pair once"
    inputs = np.bincount(state.hidden_index, minlength=parameters.n_hidden)
    k = parameters.network.inputs_per_hidden_cell
    return "" if (inputs == k).all() else f"hidden_index is not naming every hidden cell {k} times"


def begin_phase(state: NetworkState, phase: Phase, parameters: Parameters) -> NetworkState:
    """The state with which `phase` begins: freezing applied, spike counts of the tasks it trains set to zero.

    A state from before the table of tasks grew gets counts of 0 for the new ones. The world is drawn by the engine, at every block.
    `state` itself is left as it is.
    """
    state = fitted(state, parameters).copy()
    state.phase_epoch = 0
    if not phase.is_unsupervised and not state.input_hidden_frozen:
        state.input_hidden_frozen = True
        for name in ("synapse", "value", "step"):
            field = f"input_hidden_trace_{name}"
            setattr(state, field, getattr(state, field)[:0])
    if phase.keep_patterns:
        _make_room_for_patterns(state, phase)
    for task in (activity.trained_task for activity in phase.activities):
        if task:
            slot = parameters.task_number(task) - 1
            state.task_spikes[slot] = state.task_epochs[slot] = state.patterns_kept[slot] = 0
            state.patterns[:, slot] = False
    if phase.freeze_fraction > 0.0:
        _freeze_strongest(state, phase.freeze_fraction)
    return state


def _make_room_for_patterns(state: NetworkState, phase: Phase) -> None:
    """Room for as many patterns of each task as the phase keeps; those of other tasks stay, the latest of them if there is less."""
    old, kept, n = state.patterns, state.patterns_kept, phase.keep_patterns
    if state.patterns_selective != phase.selective:
        kept = np.zeros_like(kept)
    if len(old) != n or not kept.any():
        state.patterns = np.zeros((n, *old.shape[1:]), np.bool_)
        state.patterns_kept = np.minimum(kept, min(n, len(old)))
        for slot, there in enumerate(state.patterns_kept):
            state.patterns[:there, slot] = old[(kept[slot] - there + np.arange(there)) % max(len(old), 1), slot]
    state.patterns_selective = phase.selective


def missing_patterns(state: NetworkState, phase: Phase) -> str:
    """Why sleep in a phase that begins with this state cannot show the patterns it is to show, "" if it can.

    As long as no task was trained there is nothing to show, and no cell is activated.
    """
    for activity in phase.activities:
        if activity.patterns and state.task_epochs.any() and not len(state.patterns):
            return f"{activity.name} shows patterns of training, but no training before it kept any (Phase.keep_patterns)"
        if activity.patterns and state.patterns_kept.any() and activity.selective != state.patterns_selective:
            kept = "only those that led to a reward" if state.patterns_selective else "those of all epochs"
            return f"{activity.name} shows other patterns than were kept, which are {kept} (Phase.selective)"
    return ""


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

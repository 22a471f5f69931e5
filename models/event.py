"""The event engine: the same model, computed only where something happens.

Between epochs the network is at rest, all pulses of an epoch arrive together, and the spike times of a resting cell are a function
of its summed pulse. So input and hidden cells are not stepped: a table of the map's own response (models/response.py) gives their
spikes. The eight output cells are stepped through every epoch. Traces, plasticity, scaling, homeostasis, the world and all random
draws are the same rules and the same draws as in the Brian2 engines.

What is approximate
-------------------
1. A cell is not exactly at rest when its pulse arrives. What is left from the epoch before (about 4e-4 in V after a spike) is
   carried along linearly, and counts to first order as a change of the pulse. Neglected: products of two such small numbers.
   Where that leaves a spike time in doubt (DOUBT in event_kernel/responses.py) the cell is stepped through the epoch instead.
2. The state of an input or hidden cell at the end of an epoch is interpolated: from a polynomial below 75 % of the threshold pulse
   from a table above it. Measured over 60 epochs of a new network, error of V: below the threshold 99 % within 1e-7 and at most
   6e-6, after a spike 99 % within 3e-6 and at most 1.4e-4.
3. V one and two steps ago of input and hidden cells are set to V at the end of an epoch; they matter only while V > 0.
4. Sums of strengths are added up in another order than in the Brian2 engines (differences of the last bits).
5. In a test, traces are made only in its last epochs: older ones are dead before plasticity returns.

Exact are: the output cells, all draws, all events at boundaries. Input spikes at several steps (a flash that finds a cell far from
rest, or a flash that evokes several spikes) are not approximated; the hidden cells are then stepped through that epoch.
`foraging-snn compare-engines` measures what the approximations do.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from foraging_snn.environments.jit import is_cached, jit_disabled
from foraging_snn.models import event_kernel as kernel
from foraging_snn.models.arithmetic import decaying_exponential, power
from foraging_snn.models.engine import AWAKE_LATER, Engine, EngineError, EpochRecords
from foraging_snn.models.parameters import N_OUTPUT, Parameters
from foraging_snn.models.phases import Activity, Block, Phase
from foraging_snn.models.response import CellConstants, linear_propagator, respond, response_table
from foraging_snn.models.rows import rows_of
from foraging_snn.models.rules import Rules, balance_outputs, sum_inputs
from foraging_snn.models.state import NetworkState, initial_state, removal_order

LARGEST_PULSE = 0.3  # tabulated for hidden cells; larger ones are stepped
REST_TOLERANCE = 0.02  # of V at the end of an epoch, for the engine to be used at all
USUAL_INTERVAL = 1e-6  # of pulses; a narrower one lies within a hair of a threshold, where responses take arbitrarily long


class Event(Engine):
    """The model computed only where something happens; see the module for what it approximates.

    Parameters
    ----------
    parameters : Parameters

    Raises
    ------
    EngineError
        With these parameters cells are not back at rest at the end of an epoch.
    """

    name = "event"
    chunk_epochs = 5000

    def __init__(self, parameters: Parameters):
        super().__init__(parameters)
        if jit_disabled():
            raise EngineError("event engine: NUMBA_DISABLE_JIT is set, it must be compiled; unset it, or use the engine brian2")
        p = self.parameters
        self._rules = Rules.of(p)
        self._cell = CellConstants.of(p.cell)
        with _interrupts_later():
            self._layers = _layers(p, self._cell)
        self._numbers = kernel.Numbers(
            p.timing.steps_per_epoch,
            p.synapse.noise,
            p.synapse.flash,
            p.sleep.pulse,
            p.policy.hunger_per_percent,
            p.reward.rewarded,
            p.reward.punished,
            p.reward.nothing,
            p.reward.asleep,
            decaying_exponential(p.plasticity.pair_window_steps, p.plasticity.trace_decay_steps),
            p.world.field,
        )
        self._compile()

    @classmethod
    def compiling(cls) -> str:
        """See :meth:`foraging_snn.models.engine.Engine.compiling`."""
        return "" if is_cached(kernel.run_with_room) else "it is compiled, once on a machine: twenty seconds or more"

    def _load(self, state: NetworkState, phase: Phase) -> None:
        self._own = state = state.copy()
        n_input, n_hidden = self.parameters.n_input, self.parameters.n_hidden
        slot, self._place = _slots(state.hidden_index, n_hidden)
        shape = (self.parameters.network.inputs_per_hidden_cell, n_hidden)
        strengths, inputs = np.empty(shape), np.empty(shape, np.int32)
        strengths[slot, state.hidden_index] = state.input_hidden
        inputs[slot, state.hidden_index] = state.input_index
        slot_of = np.full((n_input, n_hidden), -1, np.int64)
        slot_of[state.input_index, state.hidden_index] = self._place
        self._arrays = kernel.Arrays(
            **{name: getattr(state, name) for name in kernel.SHARED},
            input_hidden=strengths,
            slot_input=inputs,
            first_synapse=np.searchsorted(state.input_index, np.arange(n_input + 1)),
            target=state.hidden_index,
            place=self._place,
            slot_of=slot_of,
            hidden_output=state.hidden_output.T.copy(),
            trace_average=state.trace_average.T.copy(),
            frozen=state.frozen.T.copy(),
            patterns=state.patterns,
            removal_order=removal_order(state.seed, n_hidden),
            agent=np.array([state.agent_x, state.agent_y, state.last_move, state.hunger]),
        )
        rows, any_frozen = rows_of(phase, self.parameters), bool(state.frozen.any())
        self._course = kernel.Course(rows, phase.epochs, phase.dropout, state.input_hidden_frozen, any_frozen)
        self._phase = phase
        self._recent = (state.recent_step, state.recent_cell)
        ho, ih = (
            [getattr(state, f"{projection}_trace_{part}") for part in ("synapse", "value", "step")]
            for projection in ("hidden_output", "input_hidden")
        )
        hidden, output = np.divmod(ho[0].astype(np.int64), N_OUTPUT)
        self._traces = (kernel.Traces(output * n_hidden + hidden, *ho[1:]), kernel.Traces(self._place[ih[0]], *ih[1:]))

    def _compile(self) -> None:
        """Compile the kernel, or fetch it from Numba's cache: Ctrl-C works here, and is not held back until it is done."""
        self._load(initial_state(self.parameters, 0), Phase("none", (Block(Activity.UNSUPERVISED, 1),), 1))
        self._run_kernel(kernel_records(0), False)

    def _run_kernel(self, records: kernel.Records, spikes: bool) -> tuple:
        state = self._own
        return kernel.run_epochs(
            self._phase.schedule(state.phase_epoch + np.arange(len(records.move))),
            state.seed,
            state.epoch,
            state.phase_epoch,
            self._arrays,
            self._course,
            self._numbers,
            self._rules,
            self._cell,
            self._layers,
            self._recent,
            self._traces,
            records,
            spikes,
        )

    def _advance(self, epochs: int, spikes: bool) -> EpochRecords:
        state = self._own
        records = kernel_records(epochs)
        with _interrupts_later():
            ok, self._recent, self._traces, kept = self._run_kernel(records, spikes)
        if not ok:
            raise EngineError(f"world.density: {self.parameters.world.density} given, the grid is too full to place all particles")
        first = state.epoch
        state.epoch += epochs
        state.phase_epoch += epochs
        return EpochRecords(first, AWAKE_LATER, *records, *kept)

    def _state(self) -> NetworkState:
        state, arrays = self._own, self._arrays
        state.agent_x, state.agent_y, state.last_move, state.hunger = (int(value) for value in arrays.agent)
        state.recent_step, state.recent_cell = self._recent[0], self._recent[1].astype(np.int32)
        synapse_at = np.empty(len(self._place), np.int32)
        synapse_at[self._place] = np.arange(len(self._place))
        ho, ih = self._traces
        output, hidden = np.divmod(ho.synapse, self.parameters.n_hidden)
        for projection, traces, synapse in (
            ("hidden_output", ho, (hidden * N_OUTPUT + output).astype(np.int32)),
            ("input_hidden", ih, synapse_at[ih.synapse]),
        ):
            setattr(state, f"{projection}_trace_synapse", synapse)
            setattr(state, f"{projection}_trace_value", traces.value)
            setattr(state, f"{projection}_trace_step", traces.step)
        state.input_hidden = arrays.input_hidden.reshape(-1)[self._place]
        state.hidden_output, state.trace_average = arrays.hidden_output.T.copy(), arrays.trace_average.T.copy()
        if self._course.rows.plastic.any() and not self._course.any_frozen:
            balance_outputs(state.hidden_output.reshape(-1), state.frozen.reshape(-1), state.hidden_output_total, state.inhibition)
        if not state.input_hidden_frozen:
            sum_inputs(state.input_hidden, state.input_index, state.input_output_total)
        return state.copy()


def kernel_records(epochs: int) -> kernel.Records:
    """Empty records of so many epochs."""
    return kernel.Records(*(np.zeros(epochs, kind) for kind in (np.int8, np.int8, np.int8, np.int16, np.int16, np.int32, np.int32)))


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold Ctrl-C back until jitted code has returned: Numba does not survive an exception while it makes Python objects."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    held_back = []
    before = signal.signal(signal.SIGINT, lambda *arguments: held_back.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held_back:
        signal.raise_signal(signal.SIGINT)  # for whoever listens to it; KeyboardInterrupt if nobody does


def _slots(hidden_index: np.ndarray, n_hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """For each synapse, which input of its hidden cell it is (inputs ascending), and its position in a (k, n_hidden) array."""
    order = np.argsort(hidden_index, kind="stable")
    slot = np.empty(len(hidden_index), np.int64)
    slot[order] = np.arange(len(hidden_index)) % (len(hidden_index) // n_hidden)
    return slot, slot * n_hidden + hidden_index


def _layers(p: Parameters, c: CellConstants) -> tuple[kernel.Layer, kernel.Layer, kernel.Layer]:
    """How input cells answer a flash, hidden cells what the input cells send, and hidden cells a pulse of sleep."""
    steps = p.timing.steps_per_epoch
    spikes = np.zeros(1, np.int64)
    n, _, _ = respond(c.V_rest, c.u_rest, p.synapse.flash, steps - 1, c, spikes)
    arrival = int(spikes[0]) if n > 0 else 0
    layers = (
        _layer(c, 0, steps, 2 * p.synapse.flash),
        _layer(c, arrival, steps, LARGEST_PULSE),
        _layer(c, -1, steps, 2 * p.sleep.pulse),
    )
    for layer in layers:
        usual = np.diff(layer.table.knot, append=layer.table.largest) > USUAL_INTERVAL
        left = np.abs(layer.table.V_end[usual] @ [0.25, 0.5, 1.0]).max()  # in the middle of the intervals
        if left > REST_TOLERANCE:
            raise EngineError(
                f"event engine: with these parameters cells are not back at rest after an epoch of {steps} steps "
                f"(V is off by {left:.2g}, allowed is {REST_TOLERANCE}); use --engine brian2"
            )
    return layers


def _layer(c: CellConstants, arrival: int, steps: int, largest: float) -> kernel.Layer:
    remaining = steps - 1 - arrival
    table = response_table(c, remaining, max(largest, 1e-6))
    return kernel.Layer(table, linear_propagator(c, arrival + 1), power(c.decay, arrival + 1), power(c.decay, remaining), arrival)

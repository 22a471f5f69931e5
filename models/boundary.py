"""What happens once per epoch, on a NetworkState: phase events before the cells advance, the boundary after their spikes.

The cells themselves are not advanced here. The engine in Brian2's runtime mode calls the two functions; the compiled engine has
them in C++ (models/cpp/worker.cpp).
"""

from dataclasses import dataclass

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
    view,
)
from foraging_snn.models import rules as rule
from foraging_snn.models.arithmetic import decaying_exponential
from foraging_snn.models.engine import EngineError
from foraging_snn.models.parameters import N_OUTPUT, Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.rows import rows_of
from foraging_snn.models.state import NetworkState, removal_order, sleep_probabilities


@dataclass
class Movement:
    """What the agent did at a boundary."""

    move: int
    eaten: int
    outcome: int


class Boundary:
    """Phase events and boundaries of one phase, changing a state in place.

    Parameters
    ----------
    parameters : Parameters
    state : NetworkState
        Changed in place. Its `recent_step` and `recent_cell` must hold the spikes up to the boundary when `pass_boundary` is
        called; its `x` is written by both functions.
    phase : Phase
    """

    def __init__(self, parameters: Parameters, state: NetworkState, phase: Phase):
        self.parameters, self.state, self.phase = parameters, state, phase
        self.rules = rule.Rules.of(parameters)
        self.trace_decay = decaying_exponential(self.rules.pair_window_steps, self.rules.trace_decay_steps)
        n_input, n_hidden = parameters.n_input, parameters.n_hidden
        self.synapse_of = np.full((n_input, n_hidden), -1, np.int32)
        self.synapse_of[state.input_index, state.hidden_index] = np.arange(len(state.input_index))
        self.hidden = slice(n_input, n_input + n_hidden)
        self.order = removal_order(state.seed, n_hidden)
        self.epoch = state.epoch
        self.rows = rows_of(phase, parameters)
        self.block, self.begins = self._turn()
        self.world = GridWorld(state.grid, state.grid_part, self.rows.offsets, self.rows.squares)

    def _turn(self) -> tuple[int, bool]:
        """The row of the next epoch, and whether a block begins with it."""
        block, begins = self.phase.schedule([self.state.phase_epoch])
        return int(block[0]), bool(begins[0])

    def _key(self, stream: Stream) -> np.uint64:
        return stream_key(self.state.seed, stream, self.epoch)

    def begin_epoch(self) -> None:
        """Phase events of the next epoch: world, dropout, sleep pulses."""
        state, phase = self.state, self.phase
        self.epoch = state.epoch
        self.block, self.begins = self._turn()
        rows, counted = self.rows, self.rows.counted[self.block]
        state.epoch += 1
        if self.begins:
            self._draw_world()
        if phase.dropout:
            state.removed[self.order[: state.phase_epoch * len(self.order) // phase.epochs]] = True
        if counted >= 0:
            state.task_epochs[counted] += 1
        if rows.asleep[self.block]:
            self._activate_hidden_cells()

    def _activate_hidden_cells(self) -> None:
        state, x, pulse = self.state, self.state.x[self.hidden], self.parameters.sleep.pulse
        weights, latest = self.rows.rate_weights[self.block], self.rows.shown[self.block]
        if latest > 0:
            place, slot = rule.draw_pattern(state.patterns, state.patterns_kept, weights, latest, self._key(Stream.SLEEP_PATTERN))
            if slot >= 0:
                rule.show_pattern(x, state.patterns[place, slot], pulse)
        else:
            probability = sleep_probabilities(state, weights, self.rows.uniform[self.block])
            rule.sleep_pulses(x, probability, pulse, self._key(Stream.SLEEP_PULSE))

    def _draw_world(self) -> None:
        present, per_type = self.rows.present[self.block], self.rows.per_type[self.block]
        if not draw_world(self.world, present, per_type, self._key(Stream.WORLD)):
            density = self.parameters.world.density
            raise EngineError(f"world.density: {density} given, the grid is too full to place all particles")

    def count_training_spikes(self, cells: np.ndarray) -> None:
        """Count spikes (cell numbers) of the present epoch for the sleep probabilities, if it trains a task."""
        counted = self.rows.counted[self.block]
        if counted >= 0:
            hidden = cells[(cells >= self.hidden.start) & (cells < self.hidden.stop)] - self.hidden.start
            np.add.at(self.state.task_spikes[counted], hidden, 1)

    def pass_boundary(self) -> Movement:
        """Traces, movement, plasticity, flash, homeostasis at the first step of the epoch begun last."""
        state, rules = self.state, self.rules
        steps = self.parameters.timing.steps_per_epoch
        T = self.epoch * steps
        plastic, awake = self.rows.plastic[self.block], not self.rows.asleep[self.block]
        fresh = int(np.searchsorted(state.recent_step, T - steps, side="right"))
        spikes = np.bincount(state.recent_cell[fresh:], minlength=self.parameters.n_cells)
        self._update_traces(fresh, T)
        kept = state.recent_step > T - rules.pair_window_steps
        state.recent_step, state.recent_cell = state.recent_step[kept], state.recent_cell[kept]

        movement, S = (
            self._forage(spikes[-N_OUTPUT:]) if awake else (Movement(STAY, 0, Outcome.NOTHING), self.parameters.reward.asleep)
        )
        self._keep_pattern(spikes[self.hidden], movement.outcome)
        if plastic:
            self._change_strengths(T, S)
        if awake:
            self._flash()
        if plastic:
            rule.average_rate(state.hidden_rate, spikes[self.hidden], rules)
            rule.average_rate(state.output_rate, spikes[-N_OUTPUT:], rules)
            rule.regulate(state.resistance, state.output_rate, rules.output_target_rate, rules.output_step)
            if not state.input_hidden_frozen:
                rule.regulate(state.hidden_input_target, state.hidden_rate, rules.hidden_target_rate, -rules.hidden_step)
        state.phase_epoch += 1
        return movement

    def _keep_pattern(self, spikes: np.ndarray, outcome: int) -> None:
        """Of the epoch that this boundary judges, if it belongs to the same block."""
        slot, selective = self.rows.kept[self.block], self.rows.selective[self.block]
        if slot >= 0 and not self.begins and (not selective or outcome == Outcome.REWARDED):
            rule.keep_pattern(self.state.patterns, self.state.patterns_kept, slot, spikes)

    def _update_traces(self, fresh: int, T: int) -> None:
        state = self.state
        made = rule.make_traces(
            state.recent_step,
            state.recent_cell,
            fresh,
            state.frozen.ravel(),
            state.input_hidden_frozen,
            self.synapse_of,
            self.trace_decay,
            self.rules,
        )
        for projection, new in zip(("hidden_output", "input_hidden"), made, strict=True):
            names = [f"{projection}_trace_{part}" for part in ("synapse", "value", "step")]
            arrays = [np.concatenate((getattr(state, name), array)) for name, array in zip(names, new, strict=True)]
            live = T - arrays[2] < self.rules.trace_life_steps
            for name, array in zip(names, arrays, strict=True):
                setattr(state, name, array[live])

    def _forage(self, output_spikes: np.ndarray) -> tuple[Movement, float]:
        state, reward = self.state, self.parameters.reward
        state.last_move = choose_move(
            output_spikes,
            state.last_move,
            state.hunger,
            self.parameters.policy.hunger_per_percent,
            self._key(Stream.DIRECTION_TIE),
            self._key(Stream.EXPLORATION),
        )
        state.agent_x, state.agent_y = move_agent(state.agent_x, state.agent_y, state.last_move, self.parameters.world.size)
        eaten = eat(self.world, state.agent_x, state.agent_y, self._key(Stream.NEW_PARTICLE))
        outcome = int(self.rows.outcome[self.block, eaten])
        state.hunger = 0 if outcome in (Outcome.REWARDED, Outcome.PUNISHED) else state.hunger + 1
        return Movement(state.last_move, eaten, outcome), reward_of(outcome, reward.rewarded, reward.punished, reward.nothing)

    def _change_strengths(self, T: int, S: float) -> None:
        state, rules = self.state, self.rules
        W, frozen = state.hidden_output.reshape(-1), state.frozen.reshape(-1)
        s_k = rule.aged_traces(state.hidden_output_trace_value, state.hidden_output_trace_step, T, rules)
        rule.change_hidden_output(
            W, state.hidden_output_total, state.trace_average.reshape(-1), frozen, state.hidden_output_trace_synapse, s_k, S, rules
        )
        if not state.input_hidden_frozen:
            s_k = rule.aged_traces(state.input_hidden_trace_value, state.input_hidden_trace_step, T, rules)
            rule.change_input_hidden(
                state.input_hidden,
                state.input_index,
                state.input_output_total,
                state.input_output_initial,
                state.input_hidden_trace_synapse,
                s_k,
                rules,
            )
            rule.scale_input_hidden(state.input_hidden, state.hidden_index, state.hidden_input_target, rules)
            rule.sum_inputs(state.input_hidden, state.input_index, state.input_output_total)
        rule.scale_hidden_output(W, frozen, rules)
        rule.balance_outputs(W, frozen, state.hidden_output_total, state.inhibition)

    def _flash(self) -> None:
        state = self.state
        food = np.zeros(self.parameters.n_input)
        view(state.grid, state.agent_x, state.agent_y, self.parameters.world.field, food)
        state.x[: self.parameters.n_input][food > 0] += self.parameters.synapse.flash

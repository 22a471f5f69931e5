"""The rules applied at an epoch boundary: traces, plasticity, normalisation, homeostasis, sleep pulses.

Jitted functions on arrays; arrays that are "changed" are changed in place. The C++ twin is models/cpp/plasticity.h. Symbols are
those of the paper: W strength, s_k aged trace, D_k relative change, S reward, T step of the boundary.
"""

import math
from typing import NamedTuple

import numpy as np

from foraging_snn.environments import integer, uniform
from foraging_snn.environments.jit import cached_njit
from foraging_snn.models.parameters import N_OUTPUT, Parameters


class Rules(NamedTuple):
    """The numbers that the functions below need (jitted code cannot read a Parameters object)."""

    n_input: int
    n_hidden: int
    pair_window_steps: int
    trace_life_steps: int
    age_offset_steps: int
    trace_decay_steps: float
    hidden_output_amplitude: float
    input_hidden_amplitude: float
    average_rate: float
    average_floor: float
    max_change: float
    min_strength: float
    max_strength: float
    max_input_hidden_strength: float
    hidden_output_initial: float
    output_input_target: float
    rate_average: float
    output_step: float
    hidden_step: float
    output_target_rate: float
    hidden_target_rate: float

    @classmethod
    def of(cls, parameters: Parameters) -> "Rules":
        """The numbers of a set of parameters."""
        groups = (parameters, parameters.plasticity, parameters.homeostasis)
        return cls(**{name: next(getattr(g, name) for g in groups if hasattr(g, name)) for name in cls._fields})


@cached_njit
def make_traces(recent_step, recent_cell, fresh, frozen, input_hidden_frozen, synapse_of, decay, rules):
    """Traces of all pairs whose later spike is one of `recent[fresh:]`, in the order in which they are made.

    Pre before (or at) post: amplitude exp(-dt / decay); post before pre: the negative of that. Pairs are closer than the window.

    Parameters
    ----------
    recent_step, recent_cell : (R,) int
        Spikes by step, then cell; cells in the order input, hidden, output.
    fresh : int
        First spike since the last boundary.
    frozen : (H * 8,) bool
        Synapses that get no traces.
    synapse_of : (I, H) int32
        Number of the input-to-hidden synapse, -1 where there is none.
    decay : (pair window,) float64
        exp(-dt / decay) by dt, as models.arithmetic.decaying_exponential gives it.

    Returns
    -------
    hidden_output : tuple of (K,) int32, float64, int64
        Synapse, value, step of the later spike.
    input_hidden : the same
    """
    first = np.empty(len(recent_step), np.int64)
    oldest = 0
    for b in range(fresh, len(recent_step)):
        while recent_step[b] - recent_step[oldest] >= rules.pair_window_steps:
            oldest += 1
        first[b] = oldest
    capacity = 0
    for b in range(fresh, len(recent_step)):
        capacity += b - first[b]
    synapse = np.empty((2, capacity), np.int32)
    value = np.empty((2, capacity))
    step = np.empty((2, capacity), np.int64)
    n = np.zeros(2, np.int64)
    first_output = rules.n_input + rules.n_hidden
    for b in range(fresh, len(recent_step)):
        layer_b = (recent_cell[b] >= rules.n_input) + (recent_cell[b] >= first_output)
        for a in range(first[b], b):
            layer_a = (recent_cell[a] >= rules.n_input) + (recent_cell[a] >= first_output)
            if abs(layer_a - layer_b) != 1:
                continue
            causal = layer_a < layer_b
            pre, post = (recent_cell[a], recent_cell[b]) if causal else (recent_cell[b], recent_cell[a])
            into_output = pre >= rules.n_input
            if into_output:
                s = (pre - rules.n_input) * N_OUTPUT + (post - first_output)
                kept = not frozen[s]
            else:
                s = synapse_of[pre, post - rules.n_input]
                kept = s >= 0 and not input_hidden_frozen
            if not kept:
                continue
            amplitude = rules.hidden_output_amplitude if into_output else rules.input_hidden_amplitude
            kind = 0 if into_output else 1
            k = n[kind]
            synapse[kind, k] = s
            value[kind, k] = amplitude * ((1.0 if causal else -1.0) * decay[recent_step[b] - recent_step[a]])
            step[kind, k] = recent_step[b]
            n[kind] += 1
    return (
        (synapse[0, : n[0]].copy(), value[0, : n[0]].copy(), step[0, : n[0]].copy()),
        (synapse[1, : n[1]].copy(), value[1, : n[1]].copy(), step[1, : n[1]].copy()),
    )


@cached_njit
def aged_traces(value, step, T, rules):
    """s_k = tr_k / (T - t_k + 600), shape (K,)."""
    return value / (T - step + rules.age_offset_steps)


@cached_njit
def change_hidden_output(W, total, average, frozen, synapse, s_k, S, rules):
    """Reward-modulated change of hidden-to-output strengths; W and the averages are changed.

    Sum = sum_k s_k;  Avg <- 0.999 Avg + 0.001 Sum;  D_k = clip(S s_k Sum / Avg);  W <- W (1 + W_i0 / W_i D_k) for each k in turn.

    Parameters
    ----------
    W, average, frozen : (H * 8,)
    total : (H,)
        W_i, the summed output strength of each hidden cell after the last event.
    synapse, s_k : (K,)
        Live traces, aged.
    S : float
        Reward.
    """
    trace_sum = np.zeros(len(W))
    for k in range(len(synapse)):
        trace_sum[synapse[k]] += s_k[k]
    for s in range(len(W)):
        if frozen[s]:
            continue
        a = (1.0 - rules.average_rate) * average[s] + rules.average_rate * trace_sum[s]
        average[s] = math.copysign(rules.average_floor, a) if abs(a) < rules.average_floor else a
    for k in range(len(synapse)):
        s = synapse[k]
        D_k = _clip(S * s_k[k] * trace_sum[s] / average[s], -rules.max_change, rules.max_change)
        W[s] *= 1.0 + rules.hidden_output_initial / total[s // N_OUTPUT] * D_k
    for s in range(len(W)):
        if not frozen[s]:
            W[s] = _clip(W[s], rules.min_strength, rules.max_strength)


@cached_njit
def change_input_hidden(W, input_index, total, initial_total, synapse, s_k, rules):
    """Change of input-to-hidden strengths, D_k = clip(s_k): no reward, no average; W (S,) is changed."""
    for k in range(len(synapse)):
        s = synapse[k]
        i = input_index[s]
        W[s] *= 1.0 + initial_total[i] / total[i] * _clip(s_k[k], -rules.max_change, rules.max_change)
    for s in range(len(W)):
        W[s] = _clip(W[s], rules.min_strength, rules.max_input_hidden_strength)


@cached_njit
def scale_input_hidden(W, hidden_index, target, rules):
    """Heterosynaptic scaling: the inputs of every hidden cell sum to its target (H,); W (S,) is changed."""
    factor = np.zeros(len(target))
    for s in range(len(W)):
        factor[hidden_index[s]] += W[s]
    factor = target / factor
    for s in range(len(W)):
        W[s] = max(W[s] * factor[hidden_index[s]], rules.min_strength)


@cached_njit
def scale_hidden_output(W, frozen, rules):
    """Heterosynaptic scaling of the non-frozen inputs of every output cell: all its inputs sum to its target; W (H * 8,)."""
    fixed = np.zeros(N_OUTPUT)
    plastic = np.zeros(N_OUTPUT)
    for s in range(len(W)):
        if frozen[s]:
            fixed[s % N_OUTPUT] += W[s]
        else:
            plastic[s % N_OUTPUT] += W[s]
    factor = (rules.output_input_target - fixed) / plastic
    for s in range(len(W)):
        if not frozen[s]:
            W[s] = max(W[s] * factor[s % N_OUTPUT], rules.min_strength)


@cached_njit
def balance_outputs(W, frozen, total, inhibition):
    """W_i over the non-frozen outputs of each hidden cell, and its inhibition: minus their mean; both (H,), changed."""
    for h in range(len(total)):
        summed = 0.0
        n = 0
        for s in range(h * N_OUTPUT, (h + 1) * N_OUTPUT):
            if not frozen[s]:
                summed += W[s]
                n += 1
        total[h] = summed
        if n > 0:
            inhibition[h] = -(summed / n)


@cached_njit
def sum_inputs(W, input_index, total):
    """W_i of every input cell; `total` (I,) is changed."""
    total[:] = 0.0
    for s in range(len(W)):
        total[input_index[s]] += W[s]


@cached_njit
def average_rate(rate, spikes, rules):
    """rate <- (1 - 1e-4) rate + 1e-4 spikes of this epoch; `rate` is changed."""
    for k in range(len(rate)):
        rate[k] = (1.0 - rules.rate_average) * rate[k] + rules.rate_average * spikes[k]


@cached_njit
def regulate(value, rate, target_rate, step):
    """Multiply by 1 + step where the rate is above its target, by 1 - step where below; `value` is changed.

    A resistance takes a positive step, an input target a negative one.
    """
    for k in range(len(value)):
        direction = 1.0 if rate[k] > target_rate else (-1.0 if rate[k] < target_rate else 0.0)
        value[k] *= 1.0 + direction * step


@cached_njit
def sleep_pulses(x, probability, pulse, key):
    """Add a pulse to x of every hidden cell whose draw is below its probability; `x` (H,) is changed."""
    for h in range(len(x)):
        if uniform(key, h) < probability[h]:
            x[h] += pulse


@cached_njit
def keep_pattern(patterns, kept, slot, spikes):
    """Which hidden cells fired, `spikes` (H,) > 0, become the latest pattern of a task; patterns (N, K, H), kept (K,) change."""
    place = kept[slot] % len(patterns)
    for h in range(len(spikes)):
        patterns[place, slot, h] = spikes[h] > 0
    kept[slot] += 1


@cached_njit
def draw_pattern(patterns, kept, weights, latest, key):
    """Draw a task by its weight, among those of which patterns are kept, and one of its latest patterns.

    Parameters
    ----------
    patterns : (N, K, H) bool
    kept : (K,) int
        How many were kept of each task so far.
    weights : (K,) float64
    latest : int
        Of so many, or as many as there are.

    Returns
    -------
    place, slot : int
        patterns[place, slot] is it; -1, -1 if there is none.
    """
    total = 0.0
    for slot in range(len(weights)):
        if kept[slot] > 0:
            total += weights[slot]
    chosen, left = -1, uniform(key, 0) * total
    for slot in range(len(weights)):
        if kept[slot] > 0 and weights[slot] > 0.0:
            chosen = slot
            if left < weights[slot]:
                break
            left -= weights[slot]
    if chosen < 0:
        return -1, -1
    back = integer(key, 1, min(kept[chosen], len(patterns), latest))  # 0: the latest
    return (kept[chosen] - 1 - back) % len(patterns), chosen


@cached_njit
def show_pattern(x, pattern, pulse):
    """Add a pulse to x (H,), which is changed, of the hidden cells of a pattern."""
    for h in range(len(x)):
        if pattern[h]:
            x[h] += pulse


@cached_njit
def _clip(value, low, high):
    return min(max(value, low), high)

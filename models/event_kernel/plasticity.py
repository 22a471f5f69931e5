"""Changes of strengths, scaling and homeostasis at the boundary of an epoch, as in models/rules.py."""

import math

from foraging_snn.environments.jit import borrowing_njit
from foraging_snn.models.arithmetic import sum_at
from foraging_snn.models.event_kernel.log import count_hidden
from foraging_snn.models.event_kernel.outputs import total_output
from foraging_snn.models.lanes import scale_lanes
from foraging_snn.models.parameters import N_OUTPUT
from foraging_snn.models.rules import average_rate, regulate

CELLS_AT_A_TIME = 112


@borrowing_njit(forceinline=True, error_model="numpy")
def change_hidden_output(a, traces, T, S, s, s_k, rules, any_frozen):
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
        s.share[m] = rules.hidden_output_initial / (a.hidden_output_total[h] if any_frozen else total_output(a.hidden_output, h))
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
        know_totals(a.hidden_output, rules, s.row)
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
def _decay_average(average, frozen, any_frozen, rules):
    """Avg <- 0.999 Avg, its magnitude at least the floor: the rule for Sum = 0."""
    keep, floor = 1.0 - rules.average_rate, rules.average_floor
    for k in range(len(average)):
        new = keep * average[k]
        new = math.copysign(max(abs(new), floor), new)
        average[k] = average[k] if any_frozen and frozen[k] else new


@borrowing_njit
def know_totals(W, rules, row):
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


@borrowing_njit(forceinline=True, error_model="numpy")
def change_input_hidden(a, traces, T, s, s_k, rules):
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


@borrowing_njit(forceinline=True)
def homeostasis(a, recent_cell, fresh, n_recent, s, input_hidden_frozen, rules):
    """Running averages of the firing rates, then resistances of output cells and targets of the inputs of hidden cells."""
    first_output, counts = rules.n_input + rules.n_hidden, s.hidden_counts
    count_hidden(recent_cell, fresh, n_recent, rules.n_input, first_output, counts)
    average_rate(a.hidden_rate, counts, rules)
    average_rate(a.output_rate, s.output_counts, rules)
    for k in range(fresh, n_recent):
        if rules.n_input <= recent_cell[k] < first_output:
            counts[recent_cell[k] - rules.n_input] = 0
    regulate(a.resistance, a.output_rate, rules.output_target_rate, rules.output_step)
    if not input_hidden_frozen:
        regulate(a.hidden_input_target, a.hidden_rate, rules.hidden_target_rate, -rules.hidden_step)

"""Spikes since the last boundary and within the pair window before it, and the memory for them and for the traces."""

import numpy as np

from foraging_snn.environments.jit import borrowing_njit, cached_njit
from foraging_snn.models.event_kernel.arrays import Filled, Log, Traces
from foraging_snn.models.lanes import LANES


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
def lacks_room(log, filled, epoch, course, numbers, rules, n_events, keep_spikes):
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
def with_room(log, filled, epoch, course, numbers, rules, n_events, keep_spikes):
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
def live_traces(traces, first, n):
    """Those from `first` to n, without a copy."""
    return Traces(traces.synapse[first:n], traces.value[first:n], traces.step[first:n])


@cached_njit
def trimmed(traces, first, n):
    """Plain arrays: Ctrl-C may come while Numba makes Python objects of them, and it does not survive that in a named tuple."""
    return traces.synapse[first:n].copy(), traces.value[first:n].copy(), traces.step[first:n].copy()


@borrowing_njit
def log_outputs(outputs, step, first_output, recent_step, recent_cell, n):
    """Add the output cells that spiked in the last step to the log of n spikes; returns how many there are then."""
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
def count_hidden(recent_cell, fresh, n_recent, n_input, first_output, counts):
    """Add the spikes of hidden cells since the last boundary to counts (H,), which are zero before and after."""
    for k in range(fresh, n_recent):
        if n_input <= recent_cell[k] < first_output:
            counts[recent_cell[k] - n_input] += 1


@borrowing_njit
def keep_recent(recent_step, recent_cell, n, after):
    """Forget the spikes of the log up to the step `after`; returns how many are left."""
    old = 0
    while old < n and recent_step[old] <= after:
        old += 1
    for k in range(old, n):
        recent_step[k - old], recent_cell[k - old] = recent_step[k], recent_cell[k]
    return n - old

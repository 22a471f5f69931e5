"""Spikes since the last boundary and within the pair window before it, and the memory for them and for the traces."""

import numpy as np

from foraging_snn.environments.jit import borrowing_njit
from foraging_snn.models.event_kernel.arrays import NONE, Filled, Log, Room, Traces
from foraging_snn.models.lanes import LANES

FIRST_ROOM = Room(8192, 4096, 4096, 0)  # most epochs need less


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


@borrowing_njit(forceinline=True)
def room_needed(log, filled, epoch, course, numbers, rules, n_events, keep_spikes):
    """How much an epoch may add to the log at the most."""
    spikes, pairs = _spikes_at_most(numbers, n_events), _pairs_at_most(log, filled, epoch, numbers, rules)
    return Room(spikes, pairs, NONE if course.input_hidden_frozen else pairs, filled.spikes + spikes if keep_spikes else NONE)


@borrowing_njit(forceinline=True)
def lacks_room(log, filled, needed):
    """Whether the log has less room than that."""
    return (
        filled.spikes + needed.spikes > len(log.step)
        or filled.ho + needed.ho > len(log.hidden_output.step)
        or filled.ih + needed.ih > len(log.input_hidden.step)
        or filled.kept + needed.kept > len(log.all_step)
    )


@borrowing_njit(forceinline=True)
def moved_to_front(traces, first, n, more):
    """Where the live traces begin and end; if `more` do not fit behind them and half is free then, they move over dead ones."""
    live = n - first
    if n + more <= len(traces.step) or 2 * (live + more) > len(traces.step):
        return first, n
    for k in range(live):
        traces.synapse[k] = traces.synapse[first + k]
        traces.value[k], traces.step[k] = traces.value[first + k], traces.step[first + k]
    return NONE, live


def empty_log(recent, traces):
    """A Log without further room, and how far it is filled."""
    step, cell = recent
    ho, ih = traces
    kept = np.empty(0, np.int64), np.empty(0, np.int32)
    log = Log(step, cell, np.empty((3, len(step)), np.int64), ho, ih, np.empty(max(len(ho.step), len(ih.step))), *kept)
    return log, Filled(len(step), 0, len(ho.step), 0, len(ih.step), 0)


def with_room(log, filled, needed):
    """The log with room for twice this at least, and how far it is filled: dead traces are left out of what is longer now."""
    n, first_ho, n_ho, first_ih, n_ih, n_all = filled
    step, cell = (_room(array, n, needed.spikes) for array in (log.step, log.cell))
    all_step, all_cell = (_room(array, n_all, needed.kept) for array in (log.all_step, log.all_cell))
    ho, first_ho, n_ho = _room_for_traces(log.hidden_output, first_ho, n_ho, needed.ho)
    ih, first_ih, n_ih = _room_for_traces(log.input_hidden, first_ih, n_ih, needed.ih)
    listed, s_k = np.empty((3, len(step)), np.int64), np.empty(max(len(ho.step), len(ih.step)))
    return Log(step, cell, listed, ho, ih, s_k, all_step, all_cell), Filled(n, first_ho, n_ho, first_ih, n_ih, n_all)


def _room(array, n, more):
    """The array, or a longer copy of its first n elements if it has no room for `more`."""
    if n + more <= len(array):
        return array
    longer = np.empty(2 * (n + more), array.dtype)
    longer[:n] = array[:n]
    return longer


def _room_for_traces(traces, first, n, more):
    """The traces, or longer copies of those from `first` to n if there is no room for `more`; and where those are."""
    if n + more <= len(traces.step):
        return traces, first, n
    live = n - first
    return Traces(*(_room(array[first:n], live, more) for array in traces)), 0, live


def contents(log, filled):
    """What a log holds: recent spikes, traces, and all spikes."""
    return (
        (log.step[: filled.spikes].copy(), log.cell[: filled.spikes].copy()),
        (
            Traces(*(array[filled.first_ho : filled.ho].copy() for array in log.hidden_output)),
            Traces(*(array[filled.first_ih : filled.ih].copy() for array in log.input_hidden)),
        ),
        (log.all_step[: filled.kept].copy(), log.all_cell[: filled.kept].copy()),
    )


@borrowing_njit(forceinline=True)
def live_traces(traces, first, n):
    """Those from `first` to n, without a copy."""
    return Traces(traces.synapse[first:n], traces.value[first:n], traces.step[first:n])


@borrowing_njit(forceinline=True)
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


@borrowing_njit(forceinline=True)
def count_hidden(recent_cell, fresh, n_recent, n_input, first_output, counts):
    """Add the spikes of hidden cells since the last boundary to counts (H,), which are zero before and after."""
    for k in range(fresh, n_recent):
        if n_input <= recent_cell[k] < first_output:
            counts[recent_cell[k] - n_input] += 1


@borrowing_njit(forceinline=True)
def keep_recent(recent_step, recent_cell, n, after):
    """Forget the spikes of the log up to the step `after`; returns how many are left."""
    old = 0
    while old < n and recent_step[old] <= after:
        old += 1
    for k in range(old, n):
        recent_step[k - old], recent_cell[k - old] = recent_step[k], recent_cell[k]
    return n - old

"""Traces of pairs of spikes, as models.rules.make_traces makes them."""

from foraging_snn.environments.jit import borrowing_njit


@borrowing_njit(forceinline=True)
def make_traces(log, fresh, n_recent, a, input_hidden_frozen, rules, decay, n_ho, n_ih, s):
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


@borrowing_njit(forceinline=True)
def first_live(steps, first, n, T, rules):
    """The first trace that has not lived its time; the oldest come first."""
    while first < n and T - steps[first] >= rules.trace_life_steps:
        first += 1
    return first

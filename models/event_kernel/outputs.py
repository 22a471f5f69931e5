"""The eight output cells, stepped through an epoch."""

from foraging_snn.environments import uniform
from foraging_snn.environments.jit import borrowing_njit
from foraging_snn.models.event_kernel.log import log_outputs
from foraging_snn.models.lanes import LANES, advance_lanes
from foraging_snn.models.parameters import N_OUTPUT
from foraging_snn.models.response import step_cell


@borrowing_njit(forceinline=True, error_model="numpy")
def step_outputs(outputs, W, inhibition, resistance, events, T, steps, noise, keys, fresh_inhibition, recent, n_recent, sizes, c):
    """Step the output cells from step 1 to the end of the epoch and log all spikes.

    Parameters
    ----------
    W : (8, H)
    events : tuple
        Steps, cells and number of the spikes of input and hidden cells, by step, then cell.
    keys : tuple of the keys of excitatory and inhibitory events
    fresh_inhibition : bool
        Inhibition is minus the mean of the strengths as they are now.
    recent : tuple
        Steps and cells of the log.
    sizes : tuple of three int
        Number of input, hidden and all cells of these two layers.

    Returns
    -------
    int
        Number of spikes in the log.
    """
    event_step, event_cell, n_events = events
    recent_step, recent_cell = recent
    n_input, n_hidden, first_output = sizes
    if n_events == 0 and steps > 2 and _are_still(outputs, c):
        for o in range(LANES):
            outputs[1, o] = outputs[2, o] = outputs[0, o]
        return n_recent
    step, k = 1, 0  # next step; next event
    while step < steps:
        until = event_step[k] if k < n_events else steps - 1
        n = until - step + 1
        step += advance_lanes(outputs, n, c.alpha, c.beta_e, c.mu, c.mu_sigma, c.decay)  # pyright: ignore[reportCallIssue] - likewise
        now = step - 1
        first = k
        while k < n_events and event_step[k] <= now:
            recent_step[n_recent], recent_cell[n_recent] = T + now, event_cell[k]
            n_recent += 1
            k += 1
        x = outputs[4]
        for spike in range(first, k):  # excitation first, then inhibition
            h = event_cell[spike] - n_input
            if h >= 0:
                _deliver_hidden(x, W[:, h], resistance, noise, keys[0], (now * n_hidden + h) * N_OUTPUT)
        for spike in range(first, k):
            h = event_cell[spike] - n_input
            if h >= 0:
                strength = -(total_output(W, h) / N_OUTPUT) if fresh_inhibition else inhibition[h]
                for o in range(N_OUTPUT):
                    size = (1.0 - noise) + 2.0 * noise * uniform(keys[1], (now * n_hidden + h) * N_OUTPUT + o)
                    x[o] += strength / resistance[o] * size
        n_recent = log_outputs(outputs, T + now, first_output, recent_step, recent_cell, n_recent)
    return n_recent


@borrowing_njit(error_model="numpy")
def _are_still(outputs, c):
    """Whether a step leaves the output cells as they are, to the last bit, as it does some 80 epochs after the last hidden spike.

    Their x is subnormal then for good, and steps with such numbers take ten times as long as others.
    """
    for o in range(LANES):
        V, u, x = outputs[0, o], outputs[3, o], outputs[4, o]
        new_V, new_u, new_x, spiked = step_cell(V, outputs[2, o], u, x, c)
        if spiked or new_V != V or new_u != u or new_x != x:
            return False
    return True


@borrowing_njit(error_model="numpy")
def _deliver_hidden(x, strengths, resistance, noise, key, base):
    """Add the excitatory events of one hidden spike to x of the output cells."""
    for o in range(N_OUTPUT):
        size = (1.0 - noise) + 2.0 * noise * uniform(key, base + o)
        x[o] += strengths[o] / resistance[o] * size


@borrowing_njit
def total_output(W, h):
    """W_h, added up in the order of the outputs."""
    total = 0.0
    for o in range(N_OUTPUT):
        total += W[o, h]
    return total

"""Input and hidden cells: from the pulses of an epoch to their spikes and their states at its end (models/response.py)."""

from foraging_snn.environments import uniform
from foraging_snn.environments.jit import borrowing_njit
from foraging_snn.models.event_kernel.arrays import NONE
from foraging_snn.models.lanes import LANES, NO_PULSE, POLYNOMIAL, TOGETHER, decay_lanes
from foraging_snn.models.response import DEGREE, MAX_SPIKES, step_cell

# How far off the equivalent pulse of a cell that is not quite at rest may be: a constant, and terms linear and quadratic in the
# shift of the pulse. Where spike times change within that range the cell is stepped instead.
DOUBT = (2e-8, 2e-3, 500.0)


@borrowing_njit(forceinline=True, error_model="numpy")
def respond_by_table(a, first, n, added, layer, c, s, n_events):
    """Responses of the cells first ... first + n - 1 to the pulses `added`; logs their spikes, returns the number of events."""
    t, p = layer.table, layer.approach
    V, u, x = a.V[first : first + n], a.u[first : first + n], a.x[first : first + n]
    _add_approach(added, x, layer.approach_x)
    candidates = s.candidate[: _candidates(added, t.bulk, s.candidate)]
    for m, k in enumerate(candidates):
        s.start_V[m], s.start_u[m], s.start_x[m] = V[k], u[k], x[k]
    _to_end(V, u, x, added, layer, c, s)
    for m, k in enumerate(candidates):
        dV, du, x_k = s.start_V[m] - c.V_rest, s.start_u[m] - c.u_rest, s.start_x[m]
        j = t.first_knot[int((added[k] - t.bulk) * t.per_pulse)] if added[k] < t.largest else len(t.knot) - 1
        shift = t.shift_V[j] * (p[0, 0] * dV + p[0, 1] * du + p[0, 2] * x_k)
        shift += t.shift_u[j] * (p[1, 0] * dV + p[1, 1] * du + p[1, 2] * x_k)
        pulse = added[k] + shift
        if pulse < t.bulk:
            continue
        doubt = DOUBT[0] + DOUBT[1] * abs(shift) + DOUBT[2] * shift * shift
        if pulse + doubt < t.largest:
            j = _interval(t, pulse - doubt)
        if pulse + doubt >= t.largest or t.n_spikes[j] > MAX_SPIKES or _in_doubt(t, j, pulse + doubt):
            start = (s.start_V[m], s.start_u[m], x_k)
            V[k], u[k], n_events = _step_one(start, added[k] - layer.approach_x * x_k, first + k, layer, c, s, n_events)
            continue
        while j + 1 < len(t.knot) and t.knot[j + 1] <= pulse:
            j += 1
        for spike in range(t.n_spikes[j]):
            s.event_step[n_events], s.event_cell[n_events] = layer.arrival + t.spike[j, spike], first + k
            n_events += 1
        right = t.knot[j + 1] if j + 1 < len(t.knot) else t.largest
        y = (pulse - t.knot[j]) / (right - t.knot[j])
        V[k] = c.V_rest + (t.V_end[j, 0] * y + t.V_end[j, 1]) * y + t.V_end[j, 2]
        u[k] = c.u_rest + (t.u_end[j, 0] * y + t.u_end[j, 1]) * y + t.u_end[j, 2]
    return n_events


@borrowing_njit(forceinline=True, error_model="numpy")
def _to_end(V, u, x, pulse, layer, c, s):
    """Take a layer to the end of the epoch, by polynomials in the pulse and linear propagation of what was not at rest."""
    t, p, q, way = layer.table, layer.approach, layer.table.propagator, s.way
    # from the start of the epoch to the arrival and on to its end: x counts on the way to the arrival only, then as pulse
    for row in range(2):
        for column in range(3):
            way[row, column] = q[row, 0] * p[0, column] + q[row, 1] * p[1, column]
    for k in range(POLYNOMIAL):
        s.V_bulk[k], s.u_bulk[k] = t.V_bulk[k], t.u_bulk[k]
    s.V_bulk[DEGREE] += c.V_rest
    s.u_bulk[DEGREE] += c.u_rest
    decay_lanes(V, u, x, pulse, s.V_bulk, s.u_bulk, way, 1.0 / t.bulk, layer.rest_x, c.V_rest, c.u_rest)  # pyright: ignore[reportCallIssue] - likewise
    for k in range(len(V) // (LANES * TOGETHER) * (LANES * TOGETHER), len(V)):
        y = (pulse[k] if abs(pulse[k]) >= NO_PULSE else 0.0) * (1.0 / t.bulk)
        dV, du, x_k = V[k] - c.V_rest, u[k] - c.u_rest, x[k] if abs(x[k]) >= NO_PULSE else 0.0
        V[k] = _polynomial(s.V_bulk, y) + way[0, 0] * dV + way[0, 1] * du + way[0, 2] * x_k
        u[k] = _polynomial(s.u_bulk, y) + way[1, 0] * dV + way[1, 1] * du + way[1, 2] * x_k
        x[k] = layer.rest_x * pulse[k]


@borrowing_njit
def _polynomial(coefficients, y):
    value = coefficients[0]
    for k in range(1, len(coefficients)):
        value = value * y + coefficients[k]
    return value


@borrowing_njit
def _interval(t, pulse):
    """Number of the interval of pulses that holds `pulse`, at least the first."""
    j = t.first_knot[int(max(pulse - t.bulk, 0.0) * t.per_pulse)]
    while j + 1 < len(t.knot) and t.knot[j + 1] <= pulse:
        j += 1
    return j


@borrowing_njit
def _in_doubt(t, j, highest):
    """Whether spike times change between the interval j and the pulse `highest`."""
    m = j
    while m + 1 < len(t.knot) and t.knot[m + 1] <= highest:
        m += 1
        if t.n_spikes[m] != t.n_spikes[j]:
            return True
        for spike in range(t.n_spikes[j]):
            if t.spike[m, spike] != t.spike[j, spike]:
                return True
    return False


@borrowing_njit(error_model="numpy")
def _step_one(start, pulse, cell, layer, c, s, n_events):
    """Step one cell through the epoch, where the table does not hold its pulse or leaves its spikes in doubt.

    Returns V and u at the end, and the number of events.
    """
    V, u, x = start
    V_1 = V_2 = V
    if layer.arrival < 0:
        x += pulse
    for step in range(layer.arrival + 1 + layer.table.steps):
        new, u, x, spiked = step_cell(V, V_2, u, x, c)
        V, V_1, V_2 = new, V, V_1
        if step == layer.arrival:
            x += pulse
        if spiked and n_events < len(s.event_step):
            s.event_step[n_events], s.event_cell[n_events] = step, cell
            n_events += 1
    return V, u, n_events


@borrowing_njit(error_model="numpy")
def _add_approach(pulse, x, decay):
    """What is left of x when the pulse arrives becomes part of it."""
    for k in range(len(pulse)):
        pulse[k] += decay * x[k]


@borrowing_njit
def _candidates(pulse, bulk, candidate):
    """Write which cells have a pulse of at least `bulk`; returns their number."""
    n = 0
    for k in range(len(pulse)):
        candidate[n] = k
        n += pulse[k] >= bulk
    return n


@borrowing_njit
def all_at(event_step, n, step):
    """Whether all input spikes come at the same step, as they do unless a flash finds a cell far from rest."""
    for k in range(n):
        if event_step[k] != step:
            return False
    return True


@borrowing_njit(forceinline=True)
def deliver_inputs(cells, first, last, step, a, key, noise, n_input, n_hidden, size, pulse):
    """Add the events of the spikes of input cells `cells[first:last]`, all at one step, to the pulses of hidden cells."""
    W, first_synapse, target, place = a.input_hidden.reshape(-1), a.first_synapse, a.target, a.place
    for k in range(first, last):
        i = cells[k]
        own = slice(first_synapse[i], first_synapse[i + 1])
        _deliver_input(target[own], place[own], (step * n_input + i) * n_hidden, W, key, noise, size, pulse)
    _silence_removed(pulse, a.removed)


@borrowing_njit
def _deliver_input(target, place, base, W, key, noise, size, pulse):
    """Add the events of a spike of one input cell, with its synapses `target` and `place`, to the pulses of hidden cells."""
    _event_sizes(size, target, base, key, noise)
    for k in range(len(target)):
        pulse[target[k]] += W[place[k]] * size[k]


@borrowing_njit
def _event_sizes(size, target, base, key, noise):
    """1 - R + 2 R X of the events at the synapses of one cell; `base` + target is the number of the draw."""
    for k in range(len(target)):
        size[k] = (1.0 - noise) + 2.0 * noise * uniform(key, base + target[k])


@borrowing_njit
def _silence_removed(pulse, removed):
    """Removed cells take no synaptic input."""
    for h in range(len(pulse)):
        if removed[h]:
            pulse[h] = 0.0


@borrowing_njit(error_model="numpy")
def step_hidden(a, s, n_inputs, key, numbers, n_input, n_hidden, c):
    """Step all hidden cells through the epoch: the way when input spikes come at several steps."""
    sort_events(s, n_inputs)
    steps, cells = s.sorted_step, s.sorted_cell
    for k in range(n_inputs):
        steps[k], cells[k] = s.event_step[k], s.event_cell[k]
    n_events = n_inputs
    k = NONE
    hidden = slice(n_input, n_input + n_hidden)
    V, V_1, V_2, u, x = a.V[hidden], a.V_1[hidden], a.V_2[hidden], a.u[hidden], a.x[hidden]
    for step in range(numbers.steps):
        for h in range(n_hidden):
            new, u[h], x[h], spiked = step_cell(V[h], V_2[h], u[h], x[h], c)
            V_2[h], V_1[h], V[h] = V_1[h], V[h], new
            if spiked and n_events < len(s.event_step):
                s.event_step[n_events], s.event_cell[n_events] = step, n_input + h
                n_events += 1
        s.pulse[:] = 0.0
        first = k
        while k < n_inputs and steps[k] == step:
            k += 1
        deliver_inputs(cells, first, k, step, a, key, numbers.noise, n_input, n_hidden, s.size, s.pulse)
        for h in range(n_hidden):
            x[h] += s.pulse[h]
    return n_events


@borrowing_njit(forceinline=True)
def sort_events(s, n):
    """Sort the events by step, then cell, which they came in within each layer: by insertion, or counting."""
    if n < 48:
        for k in range(1, n):
            step, cell, place = s.event_step[k], s.event_cell[k], k
            while place > 0 and s.event_step[place - 1] > step:
                s.event_step[place], s.event_cell[place] = s.event_step[place - 1], s.event_cell[place - 1]
                place -= 1
            s.event_step[place], s.event_cell[place] = step, cell
        return
    s.per_step[:] = 0
    for k in range(n):
        s.per_step[s.event_step[k] + 1] += 1
    for step in range(1, len(s.per_step)):
        s.per_step[step] += s.per_step[step - 1]
    for k in range(n):
        place = s.per_step[s.event_step[k]]
        s.per_step[s.event_step[k]] += 1
        s.sorted_step[place], s.sorted_cell[place] = s.event_step[k], s.event_cell[k]
    for k in range(n):
        s.event_step[k], s.event_cell[k] = s.sorted_step[k], s.sorted_cell[k]

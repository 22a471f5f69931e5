"""Whole epochs of the event engine, on the arrays of a NetworkState."""

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
    uniform,
    view,
)
from foraging_snn.environments.jit import borrowing_njit, cached_njit
from foraging_snn.models.event_kernel.arrays import NONE, Filled, Room, work_space
from foraging_snn.models.event_kernel.log import (
    FIRST_ROOM,
    contents,
    count_hidden,
    empty_log,
    keep_recent,
    lacks_room,
    live_traces,
    log_outputs,
    moved_to_front,
    room_needed,
    with_room,
)
from foraging_snn.models.event_kernel.outputs import step_outputs
from foraging_snn.models.event_kernel.plasticity import change_hidden_output, change_input_hidden, homeostasis, know_totals
from foraging_snn.models.event_kernel.responses import all_at, deliver_inputs, respond_by_table, sort_events, step_hidden
from foraging_snn.models.event_kernel.traces import first_live, make_traces
from foraging_snn.models.lanes import advance_lanes
from foraging_snn.models.rules import draw_pattern, keep_pattern, show_pattern

_REWARDED, _PUNISHED = int(Outcome.REWARDED), int(Outcome.PUNISHED)
# no literals, see NONE
_WORLD, _NEW_PARTICLE, _TIE, _EXPLORATION = (
    np.int64(stream) for stream in (Stream.WORLD, Stream.NEW_PARTICLE, Stream.DIRECTION_TIE, Stream.EXPLORATION)
)
_INPUT_HIDDEN, _EXCITATORY, _INHIBITORY = (
    np.int64(stream) for stream in (Stream.INPUT_HIDDEN, Stream.HIDDEN_OUTPUT_EXCITATORY, Stream.HIDDEN_OUTPUT_INHIBITORY)
)
_SLEEP, _SLEEP_PATTERN = np.int64(Stream.SLEEP_PULSE), np.int64(Stream.SLEEP_PATTERN)


def run_epochs(turns, seed, epoch, phase_epoch, a, course, numbers, rules, c, layers, recent, traces, records, keep_spikes):
    """Run epochs of a phase; arrays are changed in place. Takes the memory; what is compiled begins with `run_with_room`.

    Parameters
    ----------
    turns : tuple of two arrays
        For each epoch to run, the row that holds in it, and whether a block begins with it (Phase.schedule).
    recent : tuple of two arrays
        Steps and cells of the spikes since the last boundary and within the pair window before it.
    traces : tuple of two Traces
        Hidden-to-output and input-to-hidden.
    keep_spikes : bool

    Returns
    -------
    ok : bool
        False: the world could not be filled.
    recent, traces, spikes
        As they are now; `spikes` steps and cells of all spikes, empty unless kept.
    """
    n_epochs, n_input, first_output = len(turns[0]), rules.n_input, rules.n_input + rules.n_hidden
    s = work_space(n_input, rules.n_hidden, numbers.steps)
    outputs = np.array([values[first_output:] for values in (a.V, a.V_1, a.V_2, a.u, a.x)])
    log, filled = empty_log(recent, traces)
    done, ended, needed = 0, False, FIRST_ROOM
    while not ended:
        log, filled = with_room(log, filled, needed)
        done, ok, stepped, filled, needed = run_with_room(
            done,
            turns,
            seed,
            epoch,
            phase_epoch,
            a,
            course,
            numbers,
            rules,
            c,
            layers,
            outputs,
            s,
            log,
            filled,
            records,
            keep_spikes,
        )
        ended = not ok or done == n_epochs

    # V one and two steps ago is only read while V > 0, several steps into a later response
    last = n_input if stepped else first_output
    if n_epochs > 0:
        a.V_1[:last] = a.V[:last]
        a.V_2[:last] = a.V[:last]
    for row, values in enumerate((a.V, a.V_1, a.V_2, a.u, a.x)):
        values[first_output:] = outputs[row]
    return ok, *contents(log, filled)


@cached_njit(nogil=True, error_model="numpy", _nrt=False)
def run_with_room(
    row, turns, seed, epoch, phase_epoch, a, course, numbers, rules, c, layers, outputs, s, log, filled, records, keep_spikes
):
    """Run epochs from number `row` of those to be run, as long as there is room in the log.

    Returns
    -------
    row : int
        The next epoch.
    ok : bool
        False: the world could not be filled.
    stepped : bool
        Whether the hidden cells were stepped through the last epoch.
    filled : Filled
    needed : Room
        For the next epoch, or the last.
    """
    know_totals(a.hidden_output, rules, s.row)
    blocks, begins = turns
    rows, any_plastic = course.rows, _any(course.rows.plastic)
    world = GridWorld(a.grid, a.grid_part, rows.offsets, rows.squares)
    n_input, n_hidden = rules.n_input, rules.n_hidden
    first_output = n_input + n_hidden
    input_layer, hidden_layer, sleep_layer = layers
    recent_step, recent_cell = log.step, log.cell
    ho, ih = log.hidden_output, log.input_hidden
    n_recent, first_ho, n_ho, first_ih, n_ih, n_all = filled
    output_counts, hidden_counts = s.output_counts, s.hidden_counts
    fresh_sleep = True
    stepped = False
    ok = True
    needed = Room(NONE, NONE, NONE, NONE)

    while row < len(blocks):
        filled = Filled(n_recent, first_ho, n_ho, first_ih, n_ih, n_all)
        needed = room_needed(log, filled, epoch + row, course, numbers, rules, len(s.event_step), keep_spikes)
        first_ho, n_ho = moved_to_front(ho, first_ho, n_ho, needed.ho)
        first_ih, n_ih = moved_to_front(ih, first_ih, n_ih, needed.ih)
        filled = Filled(n_recent, first_ho, n_ho, first_ih, n_ih, n_all)
        if lacks_room(log, filled, needed):
            break
        now = epoch + row
        T = now * numbers.steps
        block = blocks[row]
        asleep, plastic, counted = rows.asleep[block], rows.plastic[block], rows.counted[block]
        # ---- phase events
        if begins[row]:
            ok = draw_world(world, rows.present[block], rows.per_type[block], stream_key(seed, _WORLD, now))
            if not ok:
                break
        if course.dropout:
            for k in range((phase_epoch + row) * n_hidden // course.epochs):
                a.removed[a.removal_order[k]] = True
        if counted >= 0:
            a.task_epochs[counted] += 1
        if asleep and (begins[row] or fresh_sleep):
            _sleep_probabilities(a, rows.rate_weights[block], rows.uniform[block], s.probability)
            fresh_sleep = False
        # ---- the boundary step: only output cells can spike in it
        first_new = n_recent
        advance_lanes(outputs, 1, c.alpha, c.beta_e, c.mu, c.mu_sigma, c.decay)  # pyright: ignore[reportCallIssue] - Numba gives the context
        n_recent = log_outputs(outputs, T, first_output, recent_step, recent_cell, n_recent)
        records.output_spikes[row] += n_recent - first_new
        # ---- the boundary
        fresh = n_recent
        output_counts[:] = 0
        while fresh > 0 and recent_step[fresh - 1] > T - numbers.steps:
            fresh -= 1
            if recent_cell[fresh] >= first_output:
                output_counts[recent_cell[fresh] - first_output] += 1
        # traces made so early in a test that they are dead before anything is plastic again are not made
        if plastic or course.epochs - (phase_epoch + row) <= rules.trace_life_steps // numbers.steps + 1 or any_plastic:
            n_ho, n_ih = make_traces(log, fresh, n_recent, a, course.input_hidden_frozen, rules, numbers.trace_decay, n_ho, n_ih, s)
        first_ho, first_ih = first_live(ho.step, first_ho, n_ho, T, rules), first_live(ih.step, first_ih, n_ih, T, rules)
        reward = numbers.reward_asleep
        records.move[row] = STAY
        if not asleep:
            reward = _forage(a, world, rows.outcome[block], output_counts, seed, now, numbers, records, row)
        records.x[row], records.y[row] = a.agent[0], a.agent[1]
        if rows.kept[block] >= 0 and not begins[row] and (records.outcome[row] == _REWARDED or not rows.selective[block]):
            count_hidden(recent_cell, fresh, n_recent, n_input, first_output, hidden_counts)
            keep_pattern(a.patterns, a.patterns_kept, rows.kept[block], hidden_counts)
            hidden_counts[:] = 0
        if plastic:
            change_hidden_output(a, live_traces(ho, first_ho, n_ho), T, reward, s, log.s_k, rules, course.any_frozen)
            if not course.input_hidden_frozen:
                change_input_hidden(a, live_traces(ih, first_ih, n_ih), T, s, log.s_k, rules)
            homeostasis(a, recent_cell, fresh, n_recent, s, course.input_hidden_frozen, rules)
        n_recent = keep_recent(recent_step, recent_cell, n_recent, T - rules.pair_window_steps)
        # ---- the responses of input and hidden cells to the pulses of this epoch
        n_events = NONE
        s.food[:] = 0.0
        if not asleep:
            view(a.grid, a.agent[0], a.agent[1], numbers.field, s.food)
        for i in range(n_input):
            s.food[i] *= numbers.flash
        n_events = respond_by_table(a, NONE, n_input, s.food, input_layer, c, s, n_events)
        s.pulse[:] = 0.0
        stepped = False
        if asleep:
            if rows.shown[block] > 0:
                key = stream_key(seed, _SLEEP_PATTERN, now)
                place, slot = draw_pattern(a.patterns, a.patterns_kept, rows.rate_weights[block], rows.shown[block], key)
                if slot >= 0:
                    show_pattern(s.pulse, a.patterns[place, slot], numbers.sleep_pulse)
            else:
                key = stream_key(seed, _SLEEP, now)
                for h in range(n_hidden):
                    s.pulse[h] = numbers.sleep_pulse if uniform(key, h) < s.probability[h] else 0.0
            n_events = respond_by_table(a, n_input, n_hidden, s.pulse, sleep_layer, c, s, n_events)
        elif all_at(s.event_step, n_events, hidden_layer.arrival):
            key = stream_key(seed, _INPUT_HIDDEN, now)
            deliver_inputs(
                s.event_cell, NONE, n_events, hidden_layer.arrival, a, key, numbers.noise, n_input, n_hidden, s.size, s.pulse
            )
            n_events = respond_by_table(a, n_input, n_hidden, s.pulse, hidden_layer, c, s, n_events)
        else:
            key = stream_key(seed, _INPUT_HIDDEN, now)
            n_events = step_hidden(a, s, n_events, key, numbers, n_input, n_hidden, c)
            stepped = True
        sort_events(s, n_events)
        # ---- the output cells, through the rest of the epoch
        first_new_step = n_recent
        keys = (stream_key(seed, _EXCITATORY, now), stream_key(seed, _INHIBITORY, now))
        fresh_inhibition = any_plastic and not course.any_frozen  # also in tests between trainings
        n_recent = step_outputs(
            outputs,
            a.hidden_output,
            a.inhibition,
            a.resistance,
            (s.event_step, s.event_cell, n_events),
            T,
            numbers.steps,
            numbers.noise,
            keys,
            fresh_inhibition,
            (recent_step, recent_cell),
            n_recent,
            (n_input, n_hidden, first_output),
            c,
        )
        # ---- counts
        for k in range(first_new_step, n_recent):
            cell = recent_cell[k]
            if cell >= first_output:
                records.output_spikes[row] += 1
            elif cell >= n_input:
                records.hidden_spikes[row] += 1
                if counted >= 0:
                    a.task_spikes[counted, cell - n_input] += 1
        if keep_spikes:
            # spikes of the boundary step were logged before those forgotten above; they are the outputs of step T
            for k in range(n_recent):
                if recent_step[k] >= T:
                    log.all_step[n_all], log.all_cell[n_all] = recent_step[k], recent_cell[k]
                    n_all += 1
        row += 1
    return row, ok, stepped, Filled(n_recent, first_ho, n_ho, first_ih, n_ih, n_all), needed


@borrowing_njit
def _any(values):
    for value in values:
        if value:
            return True
    return False


@borrowing_njit
def _sleep_probabilities(a, weights, uniform_over_layer, probability):
    """As models.state.sleep_probabilities."""
    probability[:] = 0.0
    total = 0.0
    for slot in range(len(weights)):
        if a.task_epochs[slot] > 0:
            total += weights[slot]
            for h in range(len(probability)):
                probability[h] += weights[slot] * (a.task_spikes[slot, h] / a.task_epochs[slot])
    if total > 0.0:
        for h in range(len(probability)):
            probability[h] /= total
    if uniform_over_layer:
        total = 0.0
        for h in range(len(probability)):
            total += probability[h]
        probability[:] = total / len(probability)


@borrowing_njit
def _forage(a, world, outcomes, output_counts, seed, epoch, numbers, records, row):
    """Choose a direction, move, eat; returns the reward S."""
    move = choose_move(
        output_counts,
        a.agent[2],
        a.agent[3],
        numbers.hunger_per_percent,
        stream_key(seed, _TIE, epoch),
        stream_key(seed, _EXPLORATION, epoch),
    )
    x, y = move_agent(a.agent[0], a.agent[1], move, a.grid.shape[0])
    eaten = eat(world, x, y, stream_key(seed, _NEW_PARTICLE, epoch))
    outcome = outcomes[eaten]
    a.agent[0], a.agent[1], a.agent[2] = x, y, move
    a.agent[3] = 0 if outcome == _REWARDED or outcome == _PUNISHED else a.agent[3] + 1
    records.move[row], records.eaten[row], records.outcome[row] = move, eaten, outcome
    return reward_of(outcome, numbers.reward_rewarded, numbers.reward_punished, numbers.reward_nothing)

"""The C++ headers of the compiled engine (models/cpp) against their Python twins: the same numbers, bit for bit.

The membrane map and the size of a synaptic event, cell.h, are in test_cell.py; worker.cpp is checked as a whole by the tests of
the engines.
"""

import numpy as np
import pytest
from numba import njit

from foraging_snn.environments import (
    PAPER_PARTICLES,
    Particle,
    Stream,
    Task,
    choose_move,
    draw_world,
    eat,
    empty_world,
    integer,
    move_agent,
    outcomes,
    particles_per_type,
    present_types,
    stream_key,
    uniform,
)
from foraging_snn.models import Activity, Block, Phase, initial_state, preset, rows_of
from foraging_snn.models import rules as rule

COUNTS_STREAM = 99  # as in twins.cpp
OWN = Task("T7", (Particle("cross", ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))), "horizontal gap"), (Particle("dot", ((0, 0),)),))
PARAMETERS = preset("full").with_tasks(OWN)


@pytest.fixture(params=range(3))
def random(request):
    """Random numbers, three times."""
    return np.random.default_rng(request.param)


def assert_same_bits(ours, theirs):
    np.testing.assert_array_equal(ours, theirs)
    assert ours.tobytes() == theirs.tobytes()


# ----------------------------------------------------------------------------------------------------------- draws


def test_streams_have_the_same_numbers(default_twins):
    numbers = np.zeros(20, np.int64)
    n = default_twins.stream_numbers(numbers)
    expected = [Stream.WORLD, Stream.NEW_PARTICLE, Stream.DIRECTION_TIE, Stream.EXPLORATION, Stream.SLEEP_PULSE]
    assert numbers[:n].tolist() == [int(stream) for stream in expected]


def test_draws_are_equal_bit_for_bit(twins):
    random, n = np.random.default_rng(0), 20_000
    seed, stream, epoch, index = (random.integers(0, high, n, dtype=np.uint64) for high in (2**63, 12, 2**35, 2**45))
    seed[:4], epoch[:4], index[:4] = (0, 1, 2**63 - 1, 2**32), (0, 0, 1, 2**31), (0, 1, 2, 2**53)
    few = random.integers(1, 1001, n)
    key, real, whole = np.empty(n, np.uint64), np.empty(n), np.empty(n, np.int64)
    twins.draw(n, seed, stream, epoch, index, few, key, real, whole)
    keys = [stream_key(*row) for row in zip(seed.tolist(), stream.tolist(), epoch.tolist(), strict=True)]
    assert_same_bits(np.array(keys, np.uint64), key)
    assert_same_bits(np.array([uniform(k, i) for k, i in zip(keys, index, strict=True)]), real)
    assert [integer(k, i, m) for k, i, m in zip(keys, index, few, strict=True)] == whole.tolist()


# ------------------------------------------------------------------------------------------------ world and policy

FNV_START, FNV_FACTOR = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@njit
def _hash_grid(value, grid):
    for square in grid.ravel():
        value = (value ^ np.uint64(square)) * FNV_FACTOR
    return value


@njit
def _walk(seed, first_epoch, moves_per_world, world, present, per_type, outcome, hunger_per_percent, record, hashes):
    """The walk of twins.cpp with the functions of environments/world.py."""
    size = world.grid.shape[0]
    counts = np.empty(8, np.int64)
    x = y = size // 2
    last_move = 4
    hunger = 0
    for n in range(len(record)):
        epoch = first_epoch + n
        if n % moves_per_world == 0 and not draw_world(world, present, per_type, stream_key(seed, Stream.WORLD, epoch)):
            return n
        counts_key = stream_key(seed, COUNTS_STREAM, epoch)
        for o in range(8):
            counts[o] = integer(counts_key, o, 3) * (integer(counts_key, 8 + o, 3) // 2)
        tie_key, exploration_key = stream_key(seed, Stream.DIRECTION_TIE, epoch), stream_key(seed, Stream.EXPLORATION, epoch)
        last_move = choose_move(counts, last_move, hunger, hunger_per_percent, tie_key, exploration_key)
        x, y = move_agent(x, y, last_move, size)
        eaten = eat(world, x, y, stream_key(seed, Stream.NEW_PARTICLE, epoch))
        hunger = 0 if outcome[eaten] == 1 or outcome[eaten] == 2 else hunger + 1
        record[n] = last_move, eaten, x, y, hunger
        hashes[n] = _hash_grid(_hash_grid(FNV_START, world.grid), world.part)
    return len(record)


@pytest.mark.slow
@pytest.mark.parametrize(
    "activity, size, density, hunger_per_percent, seed",
    [
        (Activity.UNSUPERVISED, 50, 0.1, 2, 1),  # hunger only grows: from 20 000 epochs on all moves are random
        (Activity.train("T1"), 50, 0.1, 2, 2),
        (Activity.test("T2"), 50, 0.1, 1, 2**63 - 1),
        (Activity.train("T2"), 12, 0.15, 3, 4),
        (Activity.train("T1"), 200, 0.02, 7, 5),
        (Activity.SLEEP, 12, 0.1, 2, 6),  # an empty world
        (Activity.train(OWN), 30, 0.1, 2, 7),
        (Activity.unsupervised(PARAMETERS.particles.values()), 50, 0.1, 2, 8),
    ],
)
def test_world_and_policy_walk_100_000_moves_alike(default_twins, activity, size, density, hunger_per_percent, seed):
    # Every move: direction, what was eaten, where the agent is, its hunger, and the whole grid (as a hash).
    n = 100_000 if size <= 50 else 10_000  # the hash of a large grid takes its time
    types = activity.particle_types
    rows = rows_of(Phase("walk", (Block(activity, 1),), 1), PARAMETERS)
    present, outcome, per_type = rows.present[0], rows.outcome[0], particles_per_type(size, density, types) if types else 0
    record, ours = np.zeros((2, n, 5), np.int64), np.zeros((2, n), np.uint64)
    world = empty_world(size, PARAMETERS.particles.values())
    done = _walk(seed, 10**9, 9973, world, present, per_type, outcome, hunger_per_percent, record[0], ours[0])
    assert done == n
    numbers = (per_type, len(present), rows.offsets, rows.offsets.shape[1], rows.squares, outcome, hunger_per_percent)
    assert default_twins.walk(seed, 10**9, n, 9973, size, present.astype(np.int8), *numbers, record[1], ours[1]) == n
    np.testing.assert_array_equal(record[0], record[1])
    np.testing.assert_array_equal(ours[0], ours[1])

    moves, eaten, hunger = record[0, :, 0], record[0, :, 1], record[0, :, 4]
    assert set(moves.tolist()) == set(range(9))
    assert set(eaten.tolist()) == {0, *PARAMETERS.type_numbers(types)}
    if size <= 50:  # the agent went all round the torus
        assert (record[0, :, 2:4].min(axis=0) == 0).all()
        assert (record[0, :, 2:4].max(axis=0) == size - 1).all()
    assert (hunger == 0).any() == (activity.task is not None)


@pytest.mark.slow
def test_a_world_that_cannot_be_filled_is_refused_by_both(default_twins):
    world, present, n = empty_world(12, PAPER_PARTICLES), present_types(range(1, 5), 4), 5
    record, hashes = np.zeros((n, 5), np.int64), np.zeros(n, np.uint64)
    assert _walk(1, 0, 100, world, present, 30, outcomes(4), 2, record, hashes) == 0
    shapes = (world.offsets, world.offsets.shape[1], world.squares)
    assert default_twins.walk(1, 0, n, 100, 12, present.astype(np.int8), 30, 5, *shapes, outcomes(4), 2, record, hashes) == 0


# ------------------------------------------------------------------------------------------------------ plasticity


def random_traces(random, n_synapses, number, T, life):
    """Traces in the order of time, some of them already too old."""
    step = np.sort(T - random.integers(0, life + 300, number))
    value = random.choice([-1.0, 1.0], number) * 10.0 ** random.uniform(-4, 1, number)
    return random.integers(0, n_synapses, number).astype(np.int32), value, step


def test_ageing_and_forgetting_of_traces(twins, random):
    rules, T = rule.Rules.of(twins.parameters), 60_000
    synapse, value, step = random_traces(random, 100, 1000, T, rules.trace_life_steps)
    step[:4] = T - rules.trace_life_steps + np.array([-1, 0, 1, 2])
    live = T - step < rules.trace_life_steps
    assert 0 < live.sum() < 1000
    expected = [a[live].copy() for a in (synapse, value, step)]
    s_k = rule.aged_traces(expected[1], expected[2], T, rules)
    aged = np.empty(1000)
    n = twins.forget_traces(1000, synapse, value, step, T, aged)
    for ours, theirs in zip((*expected, s_k), (synapse, value, step, aged), strict=True):
        assert_same_bits(ours, theirs[:n])


@pytest.mark.parametrize("S", [1.0, -0.001, 0.5])
def test_change_of_hidden_output_strengths(twins, random, S):
    rules, T = rule.Rules.of(twins.parameters), 60_000
    n_hidden, n = rules.n_hidden, rules.n_hidden * 8
    W = np.exp(random.uniform(np.log(1e-6), 0.1, n))
    average = random.choice([-1.0, 0.0, 1.0], n) * 10.0 ** random.uniform(-11, -3, n)
    total, frozen = random.uniform(0.05, 2.0, n_hidden), random.random(n) < 0.1
    synapse, value, step = random_traces(random, n, 4000, T, rules.trace_life_steps - 300)
    kept = ~frozen[synapse]
    synapse, value, step = (a[kept].copy() for a in (synapse, value, step))
    theirs = W.copy(), average.copy()
    twins.change_hidden_output_at(theirs[0], total, theirs[1], frozen, n_hidden, len(step), synapse, value, step, T, S)
    before = W.copy()
    rule.change_hidden_output(W, total, average, frozen, synapse, rule.aged_traces(value, step, T, rules), S, rules)
    assert_same_bits(W, theirs[0])
    assert_same_bits(average, theirs[1])
    assert (before != W).any()


def test_change_of_input_hidden_strengths(twins, random):
    rules, T, state = rule.Rules.of(twins.parameters), 60_000, initial_state(twins.parameters, seed=1)
    n = len(state.input_hidden)
    W, total = random.uniform(1e-6, 0.02, n), random.uniform(0.5, 3.0, rules.n_input)
    synapse, value, step = random_traces(random, n, 4000, T, rules.trace_life_steps - 300)
    theirs = W.copy()
    arguments = (state.input_index, total, state.input_output_initial)
    twins.change_input_hidden_at(theirs, *arguments, n, len(step), synapse, value, step, T)
    rule.change_input_hidden(W, *arguments, synapse, rule.aged_traces(value, step, T, rules), rules)
    assert_same_bits(W, theirs)


def test_scaling_of_the_inputs_of_hidden_cells(twins, random):
    rules, state = rule.Rules.of(twins.parameters), initial_state(twins.parameters, seed=1)
    n = len(state.input_hidden)
    W, target = 10.0 ** random.uniform(-5, -2, n), random.uniform(1e-4, 0.2, rules.n_hidden)
    theirs = W.copy()
    twins.scale_inputs_of_hidden(theirs, state.hidden_index, target, n, rules.n_hidden)
    rule.scale_input_hidden(W, state.hidden_index, target, rules)
    assert_same_bits(W, theirs)


@pytest.mark.parametrize("share_frozen", [0.0, 0.1, 0.9])
def test_scaling_of_the_inputs_of_output_cells_and_balance_of_their_inhibition(twins, random, share_frozen):
    rules = rule.Rules.of(twins.parameters)
    n_hidden = rules.n_hidden
    W, frozen = 10.0 ** random.uniform(-5, 0, n_hidden * 8), random.random(n_hidden * 8) < share_frozen
    frozen[:8] = share_frozen > 0.0  # nothing plastic left of the first hidden cell
    frozen[7::8] = share_frozen > 0.0  # nor of the last output cell
    theirs = W.copy()
    twins.scale_inputs_of_output(theirs, frozen, n_hidden)
    rule.scale_hidden_output(W, frozen, rules)
    assert_same_bits(W, theirs)
    ours, theirs = np.full((2, n_hidden), -7.0), np.full((2, n_hidden), -7.0)
    rule.balance_outputs(W, frozen, *ours)
    twins.balance(W, frozen, *theirs, n_hidden)
    assert_same_bits(ours, theirs)
    assert (ours[1, 0] == -7.0) == (share_frozen > 0.0)


def test_homeostasis(twins, random):
    rules, n = rule.Rules.of(twins.parameters), 500
    rate, spikes = random.uniform(0, 1, n), random.integers(0, 5, n)
    theirs = rate.copy()
    twins.average(theirs, spikes, n)
    rule.average_rate(rate, spikes, rules)
    assert_same_bits(rate, theirs)
    for step in (rules.output_step, -rules.hidden_step):
        target_rate = rate[7]  # one cell is exactly there
        value = random.uniform(0.5, 2.0, n)
        theirs, before = value.copy(), value.copy()
        twins.regulate_to(theirs, rate, float(target_rate), float(step), n)
        rule.regulate(value, rate, target_rate, step)
        assert_same_bits(value, theirs)
        assert np.flatnonzero(value == before).tolist() == [7]

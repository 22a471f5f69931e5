"""The rules of an epoch boundary, one by one, against those of the oracle and against numbers worked out by hand."""

import math

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foraging_snn.environments import Stream, Task, stream_key
from foraging_snn.models import (
    N_OUTPUT,
    Activity,
    Block,
    Phase,
    all_activities,
    begin_phase,
    initial_state,
    preset,
    removal_order,
    sleep_probabilities,
)
from foraging_snn.models import rules as rule
from foraging_snn.models.arithmetic import decaying_exponential
from foraging_snn.models.boundary import Boundary

RTOL = 1e-13  # both sides add up a few thousand numbers, in different orders
DEFAULT = preset("full")
RULES = rule.Rules.of(DEFAULT)
AMPLITUDE, DECAY = 0.4, 40.0


def floats(low, high):
    return st.floats(low, high, allow_nan=False)


@pytest.fixture(params=range(5))
def random(request):
    """Random numbers, five times."""
    return np.random.default_rng(request.param)


# ---------------------------------------------------------------------------------------------------------- traces


def dense_numbers(n_input, n_hidden, input_index, hidden_index):
    """(input, hidden) -> number of the synapse, -1 where there is none."""
    numbers = np.full((n_input, n_hidden), -1, np.int32)
    numbers[input_index, hidden_index] = np.arange(len(input_index))
    return numbers


def traces_of(spikes, fresh=0, *, frozen=None, input_hidden_frozen=False, synapses=((0, 0),), rules=RULES):
    """make_traces for a few spikes, (step, cell) pairs; returns two lists of (synapse, value, step)."""
    frozen = np.zeros(rules.n_hidden * N_OUTPUT, bool) if frozen is None else frozen
    numbers = dense_numbers(rules.n_input, rules.n_hidden, *np.array(synapses).T)
    step, cell = np.array(sorted(spikes), np.int64).reshape(-1, 2).T.copy()
    decay = decaying_exponential(rules.pair_window_steps, rules.trace_decay_steps)
    made = rule.make_traces(step, cell.astype(np.int32), fresh, frozen, input_hidden_frozen, numbers, decay, rules)
    return [list(zip(*(part.tolist() for part in kind), strict=True)) for kind in made]


def hidden(h):
    return DEFAULT.n_input + h


def output(o):
    return DEFAULT.n_input + DEFAULT.n_hidden + o


def test_pre_before_post_makes_a_positive_trace_and_post_before_pre_a_negative_one():
    made, _ = traces_of([(1000, hidden(3)), (1010, output(2))])
    assert made == [(3 * 8 + 2, pytest.approx(0.4 * math.exp(-10 / 40), rel=1e-15), 1010)]
    made, _ = traces_of([(1000, output(2)), (1010, hidden(3))])
    assert made == [(3 * 8 + 2, pytest.approx(-0.4 * math.exp(-10 / 40), rel=1e-15), 1010)]


def test_spikes_of_the_same_step_make_one_trace_as_pre_before_post():
    made, between_inputs_and_hidden = traces_of([(7, 0), (7, hidden(0)), (7, output(5))])
    assert made == [(5, 0.4, 7)]
    assert between_inputs_and_hidden == [(0, 0.4, 7)]


@pytest.mark.parametrize("interval, number", [(119, 1), (120, 0), (121, 0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_pair_is_closer_than_120_steps(interval, number, sign):
    cells = [hidden(1), output(1)][::sign]
    made, _ = traces_of([(500, cells[0]), (500 + interval, cells[1])])
    assert [value for _, value, _ in made] == pytest.approx([sign * 0.4 * math.exp(-119 / 40)] * number, rel=1e-15)


def test_every_spike_pairs_with_every_spike_of_the_other_cell():
    times_pre, times_post = [100, 130, 150], [120, 150, 400]
    made, _ = traces_of([(t, hidden(0)) for t in times_pre] + [(t, output(0)) for t in times_post])
    expected = {
        (max(a, b), round((1 if a <= b else -1) * AMPLITUDE * math.exp(-abs(a - b) / DECAY), 12))
        for a in times_pre
        for b in times_post
        if abs(a - b) < 120
    }
    assert {(step, round(value, 12)) for _, value, step in made} == expected
    assert len(made) == len(expected) == 6


def test_frozen_synapses_get_no_traces():
    frozen = np.zeros(DEFAULT.n_hidden * 8, bool)
    frozen[3 * 8 + 2] = True
    spikes = [(10, 0), (12, hidden(3)), (14, output(1)), (14, output(2)), (15, hidden(4))]
    made, inputs = traces_of(spikes, frozen=frozen, synapses=((0, 3), (0, 4)))
    assert [synapse for synapse, _, _ in made] == [3 * 8 + 1, 4 * 8 + 1, 4 * 8 + 2]
    assert [synapse for synapse, _, _ in inputs] == [0, 1]
    assert traces_of(spikes, input_hidden_frozen=True, synapses=((0, 3), (0, 4)))[1] == []


def test_cells_without_a_synapse_make_no_trace():
    made, inputs = traces_of(
        [(10, 0), (11, 1), (12, hidden(0)), (13, hidden(1)), (14, output(0)), (15, 0), (16, output(1))], synapses=((1, 1),)
    )
    assert [(synapse, step) for synapse, _, step in inputs] == [(0, 13)]
    assert {(synapse, step) for synapse, _, step in made} == {(0, 14), (8, 14), (1, 16), (9, 16)}


def test_spikes_before_the_last_boundary_pair_only_with_later_ones():
    spikes = [(590, hidden(0)), (595, output(0)), (605, output(0)), (610, hidden(0))]
    made, _ = traces_of(spikes, fresh=2)
    assert [(step, math.copysign(1, value)) for _, value, step in made] == [(605, 1), (610, -1), (610, -1)]


SPIKE_TIMES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9 + 6 + 7)), unique=True, max_size=80)


@settings(max_examples=150, deadline=None)
@given(SPIKE_TIMES, st.integers(0, 400), st.randoms(use_true_random=False), st.booleans(), st.integers(1, 130))
def test_traces_are_those_of_the_oracle(spikes, boundary, random, input_hidden_frozen, window):
    n_input, n_hidden = 9, 6
    rules = RULES._replace(n_input=n_input, n_hidden=n_hidden, pair_window_steps=window, input_hidden_amplitude=0.7)
    oracle_rules = oracle.Rules(field=3, n_hidden=n_hidden, trace_window=window)
    pairs = [(i, h) for i in range(n_input) for h in range(n_hidden) if random.random() < 0.5] or [(0, 0)]
    frozen = np.array([random.random() < 0.3 for _ in range(n_hidden * N_OUTPUT)])
    spikes = sorted(spikes)
    fresh = sum(step <= boundary for step, _ in spikes)
    made = traces_of(spikes, fresh, frozen=frozen, input_hidden_frozen=input_hidden_frozen, synapses=pairs, rules=rules)

    recent = [oracle.Spikes(), oracle.Spikes(), oracle.Spikes()]
    expected = [oracle.Traces(), oracle.Traces()]
    for step in sorted({step for step, _ in spikes}):
        cells = np.array([cell for s, cell in spikes if s == step])
        layer = np.digitize(cells, (n_input, n_input + n_hidden))
        firing = [cells[layer == n] - start for n, start in enumerate((0, n_input, n_input + n_hidden))]
        if step > boundary:
            for k, (pre, amplitude) in enumerate(((1, 0.4), (0, 0.7))):
                new = oracle.new_traces(step, *firing[pre : pre + 2], *recent[pre : pre + 2], amplitude, oracle_rules)
                expected[k] = expected[k].followed_by(new)
        recent = [past.with_new(step, now) for past, now in zip(recent, firing, strict=True)]
    numbers = dense_numbers(n_input, n_hidden, *np.array(pairs).T)
    to_output, to_hidden = expected
    kept = ~frozen[to_output.pre * N_OUTPUT + to_output.post]
    assert_same_traces(made[0], (to_output.pre * N_OUTPUT + to_output.post)[kept], to_output.size[kept], to_output.step[kept])
    kept = (numbers[to_hidden.pre, to_hidden.post] >= 0) & (not input_hidden_frozen)
    assert_same_traces(made[1], numbers[to_hidden.pre, to_hidden.post][kept], to_hidden.size[kept], to_hidden.step[kept])


def assert_same_traces(made, synapse, value, step):
    """The same traces, in order of time (traces of one step may be listed in another order)."""
    assert all(a[2] <= b[2] for a, b in zip(made, made[1:], strict=False))
    made = np.array(sorted(made, key=lambda trace: (trace[2], trace[0], trace[1]))).reshape(-1, 3)
    order = np.lexsort((value, synapse, step))
    np.testing.assert_array_equal(made[:, 0], synapse[order])
    np.testing.assert_allclose(made[:, 1], value[order], rtol=1e-15)
    np.testing.assert_array_equal(made[:, 2], step[order])


# ------------------------------------------------------------------------------------------------- ageing of traces


def test_a_trace_is_divided_by_its_age_plus_600():
    s_k = rule.aged_traces(np.array([0.4, -0.2, 0.1]), np.array([6000, 5990, 2401]), 6000, RULES)
    np.testing.assert_allclose(s_k, [0.4 / 600, -0.2 / 610, 0.1 / 4199], rtol=1e-15)


def test_aged_traces_are_those_of_the_oracle(random):
    traces = random_traces(random, 500, 784)
    s_k = rule.aged_traces(traces.size, traces.step, 60_000, RULES)
    np.testing.assert_array_equal(s_k, oracle.eligibility(traces, 60_000, oracle.Rules()))


def test_a_trace_counts_at_six_boundaries_and_not_when_it_is_3600_steps_old():
    T = 10 * 600
    state = initial_state(DEFAULT, seed=1)
    state.epoch, state.phase_epoch, state.hidden_output_total[:] = 10, 1, 0.16
    ages = np.array([3601, 3600, 3599, 1, 0])
    for projection in ("hidden_output", "input_hidden"):
        setattr(state, f"{projection}_trace_synapse", np.arange(5, dtype=np.int32))
        setattr(state, f"{projection}_trace_value", np.full(5, 0.4))
        setattr(state, f"{projection}_trace_step", T - ages)
    pass_one_boundary(state, Activity.UNSUPERVISED)
    for projection in ("hidden_output", "input_hidden"):
        assert (T - getattr(state, f"{projection}_trace_step")).tolist() == [3599, 1, 0]
        assert getattr(state, f"{projection}_trace_synapse").tolist() == [2, 3, 4]
    # Traces too old have not acted: their averages are at the floor, those of the others are 0.001 s_k.
    expected = [1e-10, 1e-10, 0.001 * 0.4 / 4199, 0.001 * 0.4 / 601, 0.001 * 0.4 / 600]
    np.testing.assert_allclose(state.trace_average.ravel()[:5], expected, rtol=1e-14)


def pass_one_boundary(state, activity):
    """Phase events and boundary of the next epoch, without advancing any cell."""
    boundary = Boundary(DEFAULT, state, Phase("phase", (Block(activity, 100),), 100))
    boundary.begin_epoch()
    boundary.pass_boundary()


def random_traces(random, number, n_hidden, allowed=None):
    """Traces up to 3599 steps old at T = 60 000, as the oracle keeps them; `allowed` (n_hidden, 8) says on which synapses."""
    allowed = np.ones((n_hidden, N_OUTPUT), bool) if allowed is None else allowed
    synapse = random.choice(np.flatnonzero(allowed), number)
    size = random.choice([-1.0, 1.0], number) * AMPLITUDE * np.exp(-random.integers(0, 120, number) / DECAY)
    return oracle.Traces(np.sort(60_000 - random.integers(0, 3600, number)), *np.divmod(synapse, N_OUTPUT), size)


# ------------------------------------------------------------------------------------ hidden -> output plasticity


def change_one(W, average, s_k, S, total=0.16, frozen=False):
    """W and Avg of a single synapse (number 0 of a hidden cell) after an event with the given aged traces."""
    n = DEFAULT.n_hidden * 8
    strengths, averages, mask = np.full(n, 0.02), np.zeros(n), np.zeros(n, bool)
    strengths[0], averages[0], mask[0] = W, average, frozen
    traces = np.zeros(len(s_k), np.int32)
    rule.change_hidden_output(strengths, np.full(n // 8, total), averages, mask, traces, np.array(s_k, float), S, RULES)
    return strengths[0], averages[0]


def test_at_the_first_event_sum_over_average_is_a_thousand():
    changed, average = change_one(0.02, 0.0, [2e-6, 1e-6], S=1.0)
    assert average == pytest.approx(3e-9, rel=1e-14)
    assert changed == pytest.approx(0.02 * (1 + 2e-3) * (1 + 1e-3), rel=1e-14)


def test_change_is_scaled_by_reward_and_by_initial_over_present_output():
    changed, _ = change_one(0.02, 0.0, [2e-6], S=-0.25, total=0.32)
    assert changed == pytest.approx(0.02 * (1 - 0.5 * 0.25 * 2e-3), rel=1e-14)


def test_average_keeps_999_thousandths_of_itself_also_without_traces():
    assert change_one(0.02, 5e-4, [], S=1.0) == (0.02, pytest.approx(0.999 * 5e-4, rel=1e-15))
    assert change_one(0.02, 5e-4, [1e-4, 2e-4], S=0.0) == (0.02, pytest.approx(0.999 * 5e-4 + 0.001 * 3e-4, rel=1e-14))


@pytest.mark.parametrize(
    "average, s_k, floored",
    [(0.0, [], 1e-10), (0.0, [1e-8], 1e-10), (0.0, [-1e-8], -1e-10), (-1e-10, [], -1e-10), (1.0000001e-10, [-1e-9], 1e-10)],
)
def test_magnitude_of_the_average_is_kept_at_its_floor_and_its_sign_stays(average, s_k, floored):
    changed, new = change_one(0.02, average, s_k, S=1.0)
    assert new == floored
    D = [max(-0.01, min(0.01, s * sum(s_k) / floored)) for s in s_k]
    assert changed == pytest.approx(0.02 * math.prod(1 + d for d in D), rel=1e-14)


@pytest.mark.parametrize("S, factors", [(1.0, (1.01, 0.99)), (-1.0, (0.99, 1.01))])
def test_each_trace_changes_a_strength_by_one_percent_at_most(S, factors):
    changed, _ = change_one(0.02, 1e-6, [0.4, -0.3], S)  # sum and average positive
    assert changed == pytest.approx(0.02 * factors[0] * factors[1], rel=1e-14)
    changed, _ = change_one(0.02, -1e-2, [0.4, -0.3], S)  # opposite signs: the changes turn round
    assert changed == pytest.approx(0.02 * factors[0] * factors[1], rel=1e-14)


def test_strengths_are_clipped_also_without_traces():
    assert change_one(1.5, 1e-6, [], S=1.0)[0] == 1.0
    assert change_one(1e-7, 1e-6, [], S=1.0)[0] == 1e-5
    assert change_one(0.9999, 1e-6, [0.4], S=1.0)[0] == 1.0


def test_frozen_synapses_keep_strength_and_average():
    assert change_one(1.5, 3e-11, [], S=1.0, frozen=True) == (1.5, 3e-11)


@pytest.mark.parametrize("S", [1.0, -0.001, -0.0001, 0.5])
def test_hidden_output_event_is_that_of_the_oracle(random, S):
    W = np.exp(random.uniform(np.log(1e-5), 0.0, (784, 8)))
    average = random.choice([-1.0, 1.0], (784, 8)) * 10.0 ** random.uniform(-11, -3, (784, 8))
    average[random.random((784, 8)) < 0.2] = 0.0
    total = random.uniform(0.05, 2.0, 784)
    frozen = random.random((784, 8)) < 0.1
    frozen[:3] = True
    traces = random_traces(random, 3000, 784, allowed=~frozen)
    expected_W, expected_average = oracle.hidden_output_event(W, average, traces, total, frozen, S, 60_000, oracle.Rules())
    s_k = rule.aged_traces(traces.size, traces.step, 60_000, RULES)
    synapse = (traces.pre * 8 + traces.post).astype(np.int32)
    rule.change_hidden_output(W.reshape(-1), total, average.reshape(-1), frozen.reshape(-1), synapse, s_k, S, RULES)
    np.testing.assert_allclose(W, expected_W, rtol=RTOL, atol=0)
    np.testing.assert_allclose(average, expected_average, rtol=RTOL, atol=0)


# ------------------------------------------------------------------------------------- input -> hidden plasticity


def test_input_hidden_change_takes_neither_reward_nor_average():
    W, total, initial = np.array([0.004, 0.004, 0.01195, 1.2e-5, 1e-6]), np.array([2.0, 1.0]), np.array([1.0, 1.0])
    synapse, s_k = np.array([0, 0, 1, 2, 3], np.int32), np.array([1e-3, -2e-3, 0.5, 0.5, -0.5])
    rule.change_input_hidden(W, np.array([0, 1, 1, 1, 0]), total, initial, synapse, s_k, RULES)
    expected = [0.004 * (1 + 0.5e-3) * (1 - 1e-3), 0.004 * 1.01, 0.012, 1.2e-5 * 0.99, 1e-5]
    np.testing.assert_allclose(W, expected, rtol=1e-14)


def test_input_hidden_event_is_that_of_the_oracle(random):
    state = initial_state(DEFAULT, seed=1)
    numbers = dense_numbers(49, 784, state.input_index, state.hidden_index)
    W, total = random.uniform(1e-5, 0.013, 7056), random.uniform(0.5, 3.0, 49)
    synapse = random.integers(0, 7056, 4000).astype(np.int32)
    made = random_traces(random, 4000, 784)
    traces = oracle.Traces(made.step, state.input_index[synapse], state.hidden_index[synapse], 10 * made.size)
    arguments = (traces, state.input_output_initial, total, 60_000, oracle.Rules())
    expected = oracle.input_hidden_event(W, numbers, *arguments)
    s_k = rule.aged_traces(traces.size, traces.step, 60_000, RULES)
    rule.change_input_hidden(W, state.input_index, total, state.input_output_initial, synapse, s_k, RULES)
    np.testing.assert_allclose(W, expected, rtol=RTOL, atol=0)


# ------------------------------------------------------------------------------------------------------- scaling


def test_inputs_of_a_hidden_cell_are_scaled_to_their_target_with_a_floor():
    W, target = np.array([1.0, 3.0, 1e-5, 1.0]), np.array([2.0, 0.5])
    rule.scale_input_hidden(W, np.array([0, 0, 1, 1]), target, RULES)
    np.testing.assert_allclose(W, [0.5, 1.5, 1e-5, 0.5 / (1 + 1e-5)], rtol=1e-14)


def test_input_hidden_scaling_is_that_of_the_oracle(random):
    state = initial_state(DEFAULT, seed=2)
    W, target = 10.0 ** random.uniform(-5, -1.9, 7056), random.uniform(1e-4, 0.2, 784)
    expected = oracle.scale_inputs(W, state.hidden_index, np.zeros(7056, bool), target, oracle.Rules())
    rule.scale_input_hidden(W, state.hidden_index, target, RULES)
    np.testing.assert_allclose(W, expected, rtol=RTOL, atol=0)
    assert (W == 1e-5).any()


@pytest.mark.parametrize("share_frozen", [0.0, 0.1, 0.9])
def test_hidden_output_scaling_is_that_of_the_oracle(random, share_frozen):
    W, frozen = 10.0 ** random.uniform(-5, 0, (784, 8)), random.random((784, 8)) < share_frozen
    frozen[:, 7] = share_frozen > 0.0  # an output cell of which nothing is left to scale
    target = np.full(8, DEFAULT.output_input_target)
    output_index = np.tile(np.arange(8), 784)
    expected = oracle.scale_inputs(W.ravel(), output_index, frozen.ravel(), target, oracle.Rules()).reshape(784, 8)
    before = W.copy()
    rule.scale_hidden_output(W.reshape(-1), frozen.reshape(-1), RULES)
    np.testing.assert_allclose(W, expected, rtol=RTOL, atol=0)
    np.testing.assert_array_equal(W[frozen], before[frozen])


def test_sums_of_the_inputs_of_output_cells_reach_15_68_with_frozen_ones_included(random):
    W, frozen = random.uniform(0.005, 0.03, (784, 8)), random.random((784, 8)) < 0.3
    rule.scale_hidden_output(W.reshape(-1), frozen.reshape(-1), RULES)
    np.testing.assert_allclose(W.sum(axis=0), 15.68, rtol=1e-12)


def test_inhibition_is_minus_the_mean_of_the_plastic_outputs_and_stays_where_all_are_frozen(random):
    W, frozen = random.uniform(1e-5, 1.0, (784, 8)), random.random((784, 8)) < 0.5
    frozen[5] = True
    frozen[6], frozen[7, :7], frozen[7, 7] = False, True, False
    total, inhibition = random.uniform(0, 1, 784), -random.uniform(0, 1, 784)
    before = inhibition.copy()
    expected_total, expected_inhibition = oracle.output_totals(W, inhibition, frozen)
    rule.balance_outputs(W.reshape(-1), frozen.reshape(-1), total, inhibition)
    np.testing.assert_allclose(total, expected_total, rtol=RTOL, atol=0)
    np.testing.assert_allclose(inhibition, expected_inhibition, rtol=RTOL, atol=0)
    assert (total[5], inhibition[5]) == (0.0, before[5])
    assert inhibition[6] == pytest.approx(-W[6].mean(), rel=1e-14)
    assert (total[7], inhibition[7]) == (W[7, 7], -W[7, 7])


def test_output_sums_of_the_input_cells(random):
    state = initial_state(DEFAULT, seed=3)
    W, total = random.random(7056), random.random(49)
    rule.sum_inputs(W, state.input_index, total)
    np.testing.assert_allclose(total, np.bincount(state.input_index, W), rtol=RTOL)


# --------------------------------------------------------------------------------------------------- homeostasis


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(floats(0, 50), st.integers(0, 30)), min_size=1, max_size=20))
def test_rate_average_is_that_of_the_oracle(cells):
    rate, spikes = np.array(cells, float).T.copy()
    expected = oracle.average_rate(rate, spikes, oracle.Rules())
    rule.average_rate(rate, spikes.astype(np.int64), RULES)
    np.testing.assert_array_equal(rate, expected)


def test_rate_average_by_hand():
    rate = np.array([0.0, 0.5])
    rule.average_rate(rate, np.array([3, 0]), RULES)
    np.testing.assert_allclose(rate, [3e-4, 0.49995], rtol=1e-15)


def test_regulation_by_hand_and_exactly_at_the_target():
    resistance, target = np.array([1.0, 1.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0])
    rate = np.array([0.5000001, 0.5, 0.4999999, 9.0])
    rule.regulate(resistance, rate, 0.5, 1e-5)
    assert resistance.tolist() == [1.0 + 1e-5, 1.0, 1.0 - 1e-5, 2.0 * (1.0 + 1e-5)]
    rule.regulate(target, rate, 0.5, -1e-5)
    assert target.tolist() == [1.0 - 1e-5, 1.0, 1.0 + 1e-5, 2.0 * (1.0 - 1e-5)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(floats(1e-3, 10), floats(0, 2)), min_size=1, max_size=20), floats(0, 2), floats(-0.01, 0.01), st.booleans()
)
def test_regulation_is_that_of_the_oracle(cells, target_rate, step, at_target):
    value, rate = np.array(cells).T.copy()
    if at_target:
        rate[0] = target_rate
    expected = oracle.homeostasis(value, rate, target_rate, step)
    rule.regulate(value, rate, target_rate, step)
    np.testing.assert_allclose(value, expected, rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    "activity, moves", [(Activity.UNSUPERVISED, True), (Activity.train("T1"), True), (Activity.test("T1"), False)]
)
def test_homeostasis_and_its_rates_stand_still_in_tests(activity, moves):
    state = begin_phase(initial_state(DEFAULT, seed=1), Phase("phase", (Block(activity, 100),), 100), DEFAULT)
    state.epoch = 1
    state.recent_step = np.full(3, 300, np.int64)
    state.recent_cell = np.array([hidden(0), hidden(1), output(0)], np.int32)
    state.hidden_rate[2], state.output_rate[1] = 0.5, 0.9
    before = state.copy()
    pass_one_boundary(state, activity)
    assert state.hidden_rate[:3].tolist() == ([1e-4, 1e-4, (1 - 1e-4) * 0.5] if moves else [0.0, 0.0, 0.5])
    expected = np.where(state.output_rate > 0.5, 1 + 1e-5, 1 - 1e-5) if moves else np.ones(8)
    np.testing.assert_array_equal(state.resistance, expected)
    unsupervised = activity == Activity.UNSUPERVISED
    assert ((state.hidden_input_target != before.hidden_input_target) == unsupervised).all()
    if unsupervised:  # too high a rate lowers the input target, too low a rate raises it
        ratio = state.hidden_input_target / before.hidden_input_target
        np.testing.assert_allclose(ratio[[0, 2]], [1 + 1e-5, 1 - 1e-5], rtol=1e-14)


# --------------------------------------------------------------------------------------------- sleep and dropout


def test_sleep_pulses_are_those_of_the_oracle(random):
    probability = random.random(784)
    probability[:2] = 0.0, 1.0
    for seed, epoch in ((1, 0), (2**63 - 1, 31_000_000)):
        x = random.normal(size=784)
        before = x.copy()
        rule.sleep_pulses(x, probability, 0.025, stream_key(seed, Stream.SLEEP_PULSE, epoch))
        pulsed = oracle.sleep_pulses(seed, epoch, probability)
        np.testing.assert_array_equal(x, np.where(pulsed, before + 0.025, before))
        assert not pulsed[0]
        assert pulsed[1]
        assert abs(pulsed.mean() - probability.mean()) < 0.08


@pytest.mark.parametrize("epochs", [(0, 0), (7, 0), (0, 3), (7, 3)])
@pytest.mark.parametrize("uniform", [False, True])
def test_sleep_probabilities_are_the_mean_over_the_tasks_trained(random, epochs, uniform):
    state = initial_state(DEFAULT, seed=1)
    state.task_spikes = random.integers(0, 20, (2, 784))
    state.task_epochs = np.array(epochs)
    r = sleep_probabilities(state, np.ones(2), uniform)
    np.testing.assert_allclose(r, oracle.sleep_probabilities(state.task_spikes, state.task_epochs, uniform), rtol=1e-14)
    rates = [state.task_spikes[k] / epochs[k] for k in range(2) if epochs[k]]
    expected = sum(rates) / len(rates) if rates else np.zeros(784)
    np.testing.assert_allclose(r, np.full(784, expected.mean()) if uniform else expected, rtol=1e-12)


@pytest.mark.parametrize("weights", [(1.0, 0.0, 1.0), (0.5, 2.0, 0.25), (0.0, 0.0, 3.0), (0.0, 1.0, 0.0)])
def test_sleep_probabilities_are_weighted_over_the_tasks_that_were_trained(random, weights):
    state = initial_state(DEFAULT, seed=1)
    state.task_spikes, state.task_epochs = random.integers(0, 20, (3, 784)), np.array([7, 0, 4])
    r = sleep_probabilities(state, np.array(weights), uniform=False)
    total = weights[0] + weights[2]  # the second was not trained
    expected = weights[0] * state.task_spikes[0] / 7 + weights[2] * state.task_spikes[2] / 4
    np.testing.assert_allclose(r, expected / total if total else np.zeros(784), rtol=1e-12)


@pytest.mark.parametrize("seed, n_hidden", [(0, 1), (1, 784), (2**63 - 1, 100)])
def test_removal_order_is_that_of_the_oracle(seed, n_hidden):
    order = removal_order(seed, n_hidden)
    np.testing.assert_array_equal(order, oracle.removal_order(seed, n_hidden))
    assert sorted(order.tolist()) == list(range(n_hidden))


# ------------------------------------------------------------------------------------------------ begin of a phase


def phase_of(*activities, **options):
    return Phase("phase", tuple(Block(activity, 100) for activity in activities), 400, **options)


@pytest.fixture
def experienced():
    """A state in the middle of things, made up."""
    random = np.random.default_rng(8)
    state = initial_state(DEFAULT, seed=8)
    state.phase_epoch = 5
    state.hidden_output = random.choice([0.01, 0.02, 0.03], (784, 8))  # many are equally strong
    state.hidden_output[100:200] = random.uniform(0.0, 0.1, (100, 8))
    for projection, n in (("hidden_output", 6272), ("input_hidden", 7056)):
        setattr(state, f"{projection}_trace_synapse", random.integers(0, n, 400).astype(np.int32))
        setattr(state, f"{projection}_trace_value", random.normal(size=400))
        setattr(state, f"{projection}_trace_step", np.sort(random.integers(0, 3000, 400)))
    state.task_spikes, state.task_epochs = random.integers(1, 20, (6, 784)), np.array([40, 60, 1, 2, 3, 4])
    return state


ACTIVITIES = (Activity.UNSUPERVISED, Activity.train("T1"), Activity.test("T2"))


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_a_phase_begins_on_a_copy(experienced, activity):
    before = experienced.copy()
    begun = begin_phase(experienced, phase_of(activity, freeze_fraction=0.05), DEFAULT)
    assert experienced.differences(before) == []
    for name, value in begun.items():
        assert not isinstance(value, np.ndarray) or not np.shares_memory(value, getattr(experienced, name)), name
    assert begun.phase_epoch == 0


def test_any_phase_but_the_unsupervised_one_freezes_the_inputs_of_hidden_cells_and_drops_their_traces(experienced):
    begun = begin_phase(experienced, phase_of(Activity.UNSUPERVISED), DEFAULT)
    assert begun.differences(experienced) == ["phase_epoch"]
    for activity in set(all_activities()) - {Activity.UNSUPERVISED}:
        begun = begin_phase(experienced, phase_of(activity), DEFAULT)
        assert begun.input_hidden_frozen is True
        assert [len(getattr(begun, f"input_hidden_trace_{part}")) for part in ("synapse", "value", "step")] == [0, 0, 0]
        assert len(begun.hidden_output_trace_synapse) == 400
    assert begin_phase(begun, phase_of(Activity.UNSUPERVISED), DEFAULT).input_hidden_frozen is True  # for good


@pytest.mark.parametrize(
    "activities, reset",
    [
        ((Activity.UNSUPERVISED,), ()),
        ((Activity.train("T1"),), (0,)),
        ((Activity.train("T2"),), (1,)),
        ((Activity.test("T1"),), ()),
        ((Activity.train("T1"), Activity.train("T2")), (0, 1)),
        ((Activity.train("T2"), Activity.SLEEP), (1,)),
        ((Activity.train("T1"), Activity.UNIFORM_SLEEP), (0,)),
    ],
)
def test_spike_counts_of_the_tasks_that_a_phase_trains_start_at_zero(experienced, activities, reset):
    begun = begin_phase(experienced, phase_of(*activities), DEFAULT)
    for task in range(6):
        if task in reset:
            assert begun.task_epochs[task] == 0
            assert not begun.task_spikes[task].any()
        else:
            assert begun.task_epochs[task] == experienced.task_epochs[task]
            np.testing.assert_array_equal(begun.task_spikes[task], experienced.task_spikes[task])


def test_a_state_from_before_the_table_of_tasks_grew_gets_counts_of_0_for_the_new_tasks(experienced):
    experienced.task_spikes, experienced.task_epochs = experienced.task_spikes[:2], experienced.task_epochs[:2]
    own = Task("T7", rewarded=("vertical",), punished=("horizontal",))
    begun = begin_phase(experienced, phase_of(Activity.train(own)), DEFAULT.with_tasks(own))
    assert begun.task_epochs.tolist() == [40, 60, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(begun.task_spikes, np.vstack((experienced.task_spikes, np.zeros((5, 784), np.int64))))
    assert begun.task_spikes.dtype == begun.task_epochs.dtype == np.int64


@pytest.mark.parametrize("fraction, number", [(0.0, 0), (0.001, 1), (0.01, 8), (0.05, 40), (0.1, 79), (0.5, 392), (0.9999, 784)])
def test_freezing_takes_the_strongest_inputs_of_every_output_cell(experienced, fraction, number):
    begun = begin_phase(experienced, phase_of(Activity.train("T2"), freeze_fraction=fraction), DEFAULT)
    assert (begun.frozen.sum(axis=0) == number).all()
    for o in range(8):
        column, frozen = experienced.hidden_output[:, o], begun.frozen[:, o]
        if 0 < number < 784:
            assert column[frozen].min() >= column[~frozen].max()
    if fraction:
        np.testing.assert_array_equal(begun.frozen, oracle.strongest_inputs(experienced.hidden_output, fraction))
    frozen = begun.frozen.ravel()
    kept = ~frozen[experienced.hidden_output_trace_synapse]
    for part in ("synapse", "value", "step"):
        name = f"hidden_output_trace_{part}"
        np.testing.assert_array_equal(getattr(begun, name), getattr(experienced, name)[kept])


def test_of_equally_strong_inputs_those_of_the_first_hidden_cells_are_frozen():
    begun = begin_phase(initial_state(DEFAULT, seed=1), phase_of(Activity.train("T2"), freeze_fraction=0.01), DEFAULT)
    np.testing.assert_array_equal(np.flatnonzero(begun.frozen.any(axis=1)), np.arange(8))
    assert begun.frozen[:8].all()


def test_what_was_frozen_stays_frozen(experienced):
    first = begin_phase(experienced, phase_of(Activity.train("T2"), freeze_fraction=0.01), DEFAULT)
    first.hidden_output = first.hidden_output[::-1].copy()
    second = begin_phase(first, phase_of(Activity.train("T1"), freeze_fraction=0.01), DEFAULT)
    np.testing.assert_array_equal(second.frozen, first.frozen | oracle.strongest_inputs(first.hidden_output, 0.01))
    assert second.frozen.sum() > 8 * 8

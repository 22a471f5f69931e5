"""Who is connected to whom, the state of a trial before its first epoch, copies and comparisons of states."""

from dataclasses import fields

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foraging_snn.models import MAX_SEED, N_OUTPUT, NetworkState, WiringError, initial_state, preset
from foraging_snn.models.schema import schema_of
from foraging_snn.models.wiring import draw_wiring

DEFAULT = preset("full")
SEEDS = st.integers(0, MAX_SEED)
FIELDS = [field.name for field in fields(NetworkState)]


def sized(field, hidden_cells, inputs, **others):
    changes = {"world.field": field, "network.hidden_cells": hidden_cells, "network.inputs_per_hidden_cell": inputs}
    return DEFAULT.with_changes(changes | {f"network.{name}": value for name, value in others.items()})


def check_wiring(parameters, wiring):
    """What model.md asks of a wiring."""
    n_input, n_hidden, k = parameters.n_input, parameters.n_hidden, parameters.network.inputs_per_hidden_cell
    pairs = wiring.input_index.astype(np.int64) * n_hidden + wiring.hidden_index
    assert (np.diff(pairs) > 0).all()  # by input cell, then by hidden cell, no pair twice
    np.testing.assert_array_equal(np.bincount(wiring.hidden_index, minlength=n_hidden), k)
    fan_out = np.bincount(wiring.input_index, minlength=n_input)
    n_larger = (k * n_hidden) % n_input
    np.testing.assert_array_equal(fan_out, [k * n_hidden // n_input + (i < n_larger) for i in range(n_input)])

    chunk, dealt = parameters.network.strength_chunk, parameters.network.chunks_per_synapse
    chunks = wiring.strength / chunk
    np.testing.assert_allclose(chunks, np.round(chunks), rtol=1e-12)
    assert np.round(chunks).min() >= 1
    sums = np.bincount(wiring.input_index, np.round(chunks), minlength=n_input)
    np.testing.assert_array_equal(sums, fan_out * (1 + dealt))
    assert (wiring.input_index.dtype, wiring.hidden_index.dtype, wiring.strength.dtype) == (np.int32, np.int32, np.float64)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(range(3, 16, 2)), st.integers(1, 2000), SEEDS, st.integers(0, 20))
def test_every_hidden_cell_has_different_inputs_and_fan_outs_are_equal(data, field, hidden_cells, seed, chunks):
    # Up to half of the inputs for each hidden cell; denser wirings are below.
    inputs = data.draw(st.integers(1, min(field**2 // 2, 30)))
    parameters = sized(field, hidden_cells, inputs, chunks_per_synapse=chunks)
    check_wiring(parameters, draw_wiring(parameters, seed))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([3, 5]), st.integers(1, 40), SEEDS)
def test_dense_wirings_are_right(data, field, hidden_cells, seed):
    inputs = data.draw(st.integers(field**2 // 2, field**2))
    parameters = sized(field, hidden_cells, inputs)
    check_wiring(parameters, draw_wiring(parameters, seed))


@pytest.mark.parametrize("hidden_cells", range(1, 13))
def test_every_small_wiring_is_found(hidden_cells):
    for inputs in range(1, 10):
        for seed in range(20):
            parameters = sized(3, hidden_cells, inputs)
            check_wiring(parameters, draw_wiring(parameters, seed))


@pytest.mark.parametrize("field, hidden_cells, inputs", [(5, 6, 24), (7, 784, 48), (7, 784, 45), (15, 300, 224)])
@pytest.mark.parametrize("seed", range(5))
def test_cells_that_take_nearly_all_inputs_are_wired_with_few_exchanges(monkeypatch, field, hidden_cells, inputs, seed):
    monkeypatch.setattr("foraging_snn.models.wiring.MAX_EXCHANGES", 50)
    parameters = sized(field, hidden_cells, inputs)
    check_wiring(parameters, draw_wiring(parameters, seed))


@pytest.mark.parametrize("field, hidden_cells", [(3, 1), (3, 10), (3, 2000), (5, 50), (7, 784), (15, 300)])
@pytest.mark.parametrize("seed", [0, 1])
def test_hidden_cells_that_take_all_inputs_get_them(field, hidden_cells, seed):
    parameters = sized(field, hidden_cells, field**2)
    wiring = draw_wiring(parameters, seed)
    check_wiring(parameters, wiring)
    np.testing.assert_array_equal(wiring.input_index, np.repeat(np.arange(field**2), hidden_cells))


def test_exchanges_that_do_not_succeed_end_in_one_line(monkeypatch):
    monkeypatch.setattr("foraging_snn.models.wiring.MAX_EXCHANGES", 0)
    with pytest.raises(WiringError) as error:
        draw_wiring(DEFAULT, 1)
    names = "network.inputs_per_hidden_cell, network.hidden_cells"
    assert str(error.value).startswith(f"{names}: 784 hidden cells cannot be wired without double synapses")
    assert "\n" not in str(error.value)


IRREGULAR_SIZES = [
    (3, 22, 4),
    (3, 1, 1),
    (3, 5, 7),
    (3, 6, 8),
    (3, 4, 9),
    (5, 61, 6),
    (5, 300, 13),
    (7, 784, 9),
    (9, 100, 11),
    (15, 1999, 9),
]


@pytest.mark.parametrize("field, hidden_cells, inputs", IRREGULAR_SIZES)
@pytest.mark.parametrize("seed", [0, 1, 2**40, MAX_SEED])
def test_wiring_is_that_of_the_oracle(field, hidden_cells, inputs, seed):
    rules = oracle.Rules(field=field, n_hidden=hidden_cells, inputs_per_hidden=inputs)
    wiring = draw_wiring(sized(field, hidden_cells, inputs), seed)
    input_index, hidden_index = oracle.wiring(seed, rules)
    np.testing.assert_array_equal(wiring.input_index, input_index)
    np.testing.assert_array_equal(wiring.hidden_index, hidden_index)
    np.testing.assert_array_equal(wiring.strength, oracle.initial_input_hidden(seed, input_index, rules))


def test_initial_strengths_have_the_mean_and_range_of_the_paper():
    strength = draw_wiring(DEFAULT, 1).strength
    assert len(strength) == 7056
    assert strength.mean() == pytest.approx(0.011, rel=1e-12)
    assert 0.001 <= strength.min() <= 0.004
    assert 0.02 <= strength.max() <= 0.03


# ------------------------------------------------------------------------------------------------- initial state


def test_trials_of_one_network_have_its_wiring_and_strengths_and_draws_of_their_own():
    one = DEFAULT.with_changes({"network.seed": 5})
    for seed in (1, 2):
        state = initial_state(one, seed)
        assert state.seed == seed
        assert state.differences(initial_state(DEFAULT, 5)) == ["seed"]
    assert "hidden_index" in initial_state(DEFAULT, 1).differences(initial_state(DEFAULT, 5))


@pytest.mark.parametrize("seed", [0, 7, MAX_SEED])
def test_initial_state_is_that_of_the_oracle(parameters, oracle_rules, seed):
    state, reference = initial_state(parameters, seed), oracle.Oracle(oracle_rules(parameters), seed=seed)
    exact = {
        "V",
        "V_1",
        "V_2",
        "u",
        "x",
        "input_index",
        "hidden_index",
        "input_hidden",
        "hidden_output",
        "inhibition",
        "resistance",
    }
    exact |= {
        "hidden_rate",
        "output_rate",
        "trace_average",
        "frozen",
        "input_hidden_frozen",
        "removed",
        "task_spikes",
        "task_epochs",
    }
    exact |= {"seed", "epoch", "phase_epoch", "grid", "grid_part", "agent_x", "agent_y", "last_move", "hunger"}
    close = {"hidden_input_target", "input_output_initial", "input_output_total", "hidden_output_total"}
    for name in exact:
        np.testing.assert_array_equal(getattr(state, name), getattr(reference, name), err_msg=name)
    for name in close:
        np.testing.assert_allclose(getattr(state, name), getattr(reference, name), rtol=1e-13, err_msg=name)
    unused = {name for name, what in schema_of(NetworkState).items() if what.optional}
    assert not any(np.any(getattr(state, name)) for name in unused)
    empty = set(FIELDS) - exact - close - unused
    assert empty == {name for name in FIELDS if name.startswith("recent_") or "_trace_" in name}
    assert all(len(getattr(state, name)) == 0 for name in empty)


def test_shapes_and_types_are_those_that_the_docstring_promises():
    state, p = initial_state(DEFAULT, 1), DEFAULT
    shapes = {
        "V V_1 V_2 u x": ((p.n_cells,), np.float64),
        "input_index hidden_index": ((7056,), np.int32),
        "input_hidden": ((7056,), np.float64),
        "hidden_output trace_average": ((p.n_hidden, N_OUTPUT), np.float64),
        "frozen": ((p.n_hidden, N_OUTPUT), bool),
        "inhibition hidden_input_target hidden_rate hidden_output_total": ((p.n_hidden,), np.float64),
        "removed": ((p.n_hidden,), bool),
        "resistance output_rate": ((N_OUTPUT,), np.float64),
        "input_output_initial input_output_total": ((p.n_input,), np.float64),
        "recent_step hidden_output_trace_step input_hidden_trace_step": ((0,), np.int64),
        "recent_cell hidden_output_trace_synapse input_hidden_trace_synapse": ((0,), np.int32),
        "hidden_output_trace_value input_hidden_trace_value": ((0,), np.float64),
        "task_spikes": ((6, p.n_hidden), np.int64),
        "task_epochs": ((6,), np.int64),
        "grid grid_part": ((50, 50), np.int8),
        "patterns": ((0, 6, p.n_hidden), bool),
        "patterns_kept": ((6,), np.int64),
        "memory": ((0, p.n_hidden, N_OUTPUT), np.float64),
        "memory_label": ((0,), np.int64),
    }
    arrays = {name: expected for names, expected in shapes.items() for name in names.split()}
    assert set(arrays) == {name for name, value in state.items() if isinstance(value, np.ndarray)}
    for name, (shape, kind) in arrays.items():
        assert (getattr(state, name).shape, getattr(state, name).dtype) == (shape, kind), name
    assert {name: type(value) for name, value in state.items() if name not in arrays} == {
        **dict.fromkeys(("seed", "epoch", "phase_epoch", "agent_x", "agent_y", "last_move", "hunger"), int),
        "input_hidden_frozen": bool,
        "patterns_selective": bool,
    }


def test_arrays_of_a_state_are_its_own_and_share_no_memory():
    state = initial_state(DEFAULT, 1)
    arrays = [(name, value) for name, value in state.items() if isinstance(value, np.ndarray)]
    for k, (name, array) in enumerate(arrays):
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for _, other in arrays[k + 1 :]), name


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, -(2**63)])
def test_a_seed_out_of_range_is_refused_in_one_line(seed):
    with pytest.raises(ValueError, match=rf"^seed: {seed} given, allowed is a whole number from 0 to {MAX_SEED}$"):
        initial_state(DEFAULT, seed)


@pytest.mark.parametrize("seed", [1.5, 1.0, True, "1", None, np.float64(2.0)])
def test_a_seed_that_is_no_whole_number_is_refused_in_one_line(seed):
    with pytest.raises(ValueError) as error:
        initial_state(DEFAULT, seed)
    assert str(error.value) == f"seed: {seed!r} given, allowed is a whole number from 0 to {MAX_SEED}"


def test_a_seed_may_be_a_whole_number_of_numpy():
    state = initial_state(DEFAULT, np.int64(5))
    assert type(state.seed) is int
    assert state.differences(initial_state(DEFAULT, 5)) == []


def test_seeds_give_different_wirings_and_the_same_seed_the_same_state():
    assert initial_state(DEFAULT, 5).differences(initial_state(DEFAULT, 5)) == []
    different = set(initial_state(DEFAULT, 5).differences(initial_state(DEFAULT, 6)))
    rounding = {"input_output_initial", "input_output_total"}  # always 1.584, added up in different orders
    assert different - rounding == {"seed", "hidden_index", "input_hidden", "hidden_input_target"}


# ------------------------------------------------------------------------------------------ copies and comparison


@pytest.fixture
def filled():
    """A state in which no array is empty."""
    state = initial_state(DEFAULT, 3)
    for name, value in state.items():
        if isinstance(value, np.ndarray) and len(value) == 0:
            setattr(state, name, np.arange(4).astype(value.dtype))
    return state


def other(value):
    """The value with its lowest bit flipped (of an array: that of its last element)."""
    if not isinstance(value, np.ndarray):
        return not value if isinstance(value, bool) else value ^ 1
    changed = value.copy()
    changed.reshape(-1).view(np.uint8)[-value.itemsize] ^= 1  # little-endian: the lowest byte comes first
    return changed


@pytest.mark.parametrize("name", FIELDS)
def test_a_flipped_bit_is_found_in_every_field(filled, name):
    copy = filled.copy()
    setattr(copy, name, other(getattr(filled, name)))
    assert filled.differences(copy) == [name]
    assert copy.differences(filled) == [name]


def test_zero_and_minus_zero_shapes_and_types_differ(filled):
    for name, value in [
        ("x", np.where(np.arange(len(filled.x)) == 3, -0.0, filled.x)),
        ("hidden_output", filled.hidden_output.T.copy()),
        ("recent_step", filled.recent_step[:-1]),
        ("recent_cell", filled.recent_cell.astype(np.int64)),
    ]:
        copy = filled.copy()
        setattr(copy, name, value)
        assert filled.differences(copy) == [name]


def test_the_same_nan_is_no_difference(filled):
    filled.V[0] = np.nan
    assert filled.differences(filled.copy()) == []


@pytest.mark.parametrize("name", FIELDS)
def test_a_copy_is_independent(filled, name):
    copy, reference = filled.copy(), filled.copy()
    value = getattr(copy, name)
    if isinstance(value, np.ndarray):
        value.reshape(-1)[:] = value.reshape(-1)[0] + 1 if value.dtype != bool else True
    else:
        setattr(copy, name, other(value))
    assert copy.differences(filled) == [name]
    assert filled.differences(reference) == []

"""The event engine beside the compiled Brian2 engine and beside itself."""

import subprocess
import sys

import numba
import numpy as np
import pytest

from foraging_snn.commands.comparison import compare_epochs, phases_to_compare
from foraging_snn.models import Activity, Block, EngineError, Phase, engine_class, initial_state, preset
from foraging_snn.models.lanes import decay_lanes
from foraging_snn.models.response import CellConstants, respond, response_table, step_cell

A = Activity
BLOCK = 7
PROTOCOL = (
    Phase("unsupervised", (Block(A.UNSUPERVISED, 100),), 40),
    Phase("T1", (Block(A.train("T1"), 100),), 40),
    Phase("test", (Block(A.test("T1"), 100),), 30),
    Phase("I(T1,T2)", (Block(A.train("T1"), BLOCK), Block(A.train("T2"), BLOCK)), 40),
    Phase("I(S,T2)", (Block(A.train("T2"), BLOCK), Block(A.SLEEP, BLOCK)), 40),
    Phase("I(uniform S,T1), frozen", (Block(A.train("T1"), BLOCK), Block(A.UNIFORM_SLEEP, BLOCK)), 40, freeze_fraction=0.05),
    Phase("dropout", (Block(A.test("T2"), 100),), 30, dropout=True),
)


@pytest.fixture(scope="module")
def parameters():
    return preset("full")


@pytest.fixture(scope="module")
def event(parameters):
    return engine_class("event")(parameters)


@pytest.fixture(scope="module")
def brian2(parameters):
    with engine_class("brian2")(parameters) as engine:
        yield engine


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_every_epoch_of_every_phase_equals_brian2_from_the_same_state(event, brian2, parameters, seed):
    """All but the last bits of floats; in at most one epoch of a phase may a spike come at another step."""
    state = initial_state(parameters, seed)
    for phase in PROTOCOL:
        different = 0
        for _ in range(phase.epochs):
            ours, our_record = event.run(state, phase, epochs=1)
            state, record = brian2.run(state, phase, epochs=1)
            if not np.array_equal(ours.recent_step, state.recent_step) or not np.array_equal(ours.recent_cell, state.recent_cell):
                different += 1
                continue
            _assert_equal(ours, state, phase.name)
            for name, counts in record.counts.items():
                np.testing.assert_array_equal(our_record.counts[name], counts, err_msg=f"{phase.name}: {name}")
        assert different <= 1, phase.name


def _assert_equal(ours, theirs, label):
    for name, value in theirs.items():
        mine = getattr(ours, name)
        if label in ("test", "dropout") and "_trace_" in name:
            continue  # made only towards the end of a test
        if name in ("V", "V_1", "V_2", "u"):
            np.testing.assert_allclose(mine[:-8], value[:-8], atol=3e-3, err_msg=f"{label}: {name}")
            np.testing.assert_allclose(mine[-8:], value[-8:], rtol=1e-9, err_msg=f"{label}: {name}")
        elif name == "x" or (isinstance(value, np.ndarray) and value.dtype == float):
            np.testing.assert_allclose(mine, value, rtol=1e-9, atol=1e-15, err_msg=f"{label}: {name}")
        else:
            np.testing.assert_array_equal(mine, value, err_msg=f"{label}: {name}")


@pytest.mark.slow
def test_epochs_from_the_same_states_are_identical_in_99_percent(event, brian2, parameters):
    state = initial_state(parameters, 1)
    for phase in phases_to_compare(parameters):
        result = compare_epochs(event, brian2, state, phase, 1000)
        assert result.same_hidden >= 0.99 and result.same_output >= 0.99, result
        assert result.strength_after_epoch < 1e-9, result
        if phase.name == "unsupervised":
            state, _ = event.run(state, phase, epochs=3000)
            state.phase_epoch = 0


@pytest.mark.parametrize("phase", PROTOCOL, ids=lambda phase: phase.name)
def test_a_phase_in_three_parts_equals_the_phase_in_one(event, parameters, phase):
    start = initial_state(parameters, 5)
    if phase.name != "unsupervised":
        start, _ = event.run(start, PROTOCOL[0])
        start, _ = event.run(start, PROTOCOL[1])
    whole, record = event.run(start, phase)
    parts, counts = start, 0
    for epochs in (11, 12, phase.epochs - 23):
        parts, piece = engine_class("event")(parameters).run(parts, phase, epochs=epochs)
        counts += piece.counts["hidden_spikes"].sum()
    assert whole.differences(parts) == []
    assert counts == record.counts["hidden_spikes"].sum()


def test_long_phase_in_parts_of_another_chunk_size_is_the_same(parameters):
    phase = Phase("I(S,T1)", (Block(A.train("T1"), 100), Block(A.SLEEP, 100)), 1500)
    engine = engine_class("event")(parameters)
    start, _ = engine.run(initial_state(parameters, 2), PROTOCOL[1])
    whole, _ = engine.run(start, phase)
    engine.chunk_epochs = 37
    chunked, _ = engine.run(start, phase)
    assert whole.differences(chunked) == []


@pytest.mark.parametrize("pulse", [0.0186, 0.019, 0.0225, 0.025, 0.04, 0.1, 0.2])
def test_response_table_holds_the_spike_times_of_the_map(parameters, pulse):
    c = CellConstants.of(parameters.cell)
    table = response_table(c, 534, 0.3)
    spikes = np.zeros(6, np.int64)
    n, V, u = respond(c.V_rest, c.u_rest, pulse, 534, c, spikes)
    j = np.searchsorted(table.knot, pulse, side="right") - 1
    assert table.n_spikes[j] == n
    np.testing.assert_array_equal(table.spike[j], spikes)
    right = table.knot[j + 1] if j + 1 < len(table.knot) else table.largest
    y = (pulse - table.knot[j]) / (right - table.knot[j])
    assert np.polyval(table.V_end[j], y) + c.V_rest == pytest.approx(V, abs=2e-5)
    assert np.polyval(table.u_end[j], y) + c.u_rest == pytest.approx(u, abs=1e-6)


def test_response_table_finds_the_threshold_pulse(parameters):
    table = response_table(CellConstants.of(parameters.cell), 534, 0.3)
    first_spike = table.knot[np.flatnonzero(table.n_spikes > 0)[0]]
    assert first_spike == pytest.approx(0.0185598, abs=1e-6)


def test_a_flash_that_evokes_two_spikes_is_stepped_and_agrees_with_brian2_runtime():
    """Two spikes of an input cell arrive at different steps: hidden cells are stepped then."""
    parameters = preset("full").with_changes({"synapse.flash": 0.1})
    state = initial_state(parameters, 1)
    phase = Phase("T1", (Block(A.train("T1"), 100),), 5)
    ours, record = engine_class("event")(parameters).run(state, phase)
    theirs, expected = engine_class("brian2-runtime")(parameters).run(state, phase)
    np.testing.assert_array_equal(record.counts["hidden_spikes"], expected.counts["hidden_spikes"])
    np.testing.assert_array_equal(record.counts["output_spikes"], expected.counts["output_spikes"])
    assert record.counts["hidden_spikes"].sum() > 0
    np.testing.assert_allclose(ours.hidden_output, theirs.hidden_output, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"world.field": 9}, {"network.hidden_cells": 100, "world.size": 20}, {"network.inputs_per_hidden_cell": 5}]
)
def test_other_sizes_agree_with_brian2_runtime(changes):
    parameters = preset("full").with_changes(changes)
    state = initial_state(parameters, 1)
    for phase in (Phase("u", (Block(A.UNSUPERVISED, 100),), 4), Phase("T1", (Block(A.train("T1"), 100),), 4)):
        ours, record = engine_class("event")(parameters).run(state, phase)
        state, expected = engine_class("brian2-runtime")(parameters).run(state, phase)
        np.testing.assert_array_equal(record.counts["hidden_spikes"], expected.counts["hidden_spikes"])
        np.testing.assert_allclose(ours.input_hidden, state.input_hidden, rtol=1e-9)
        np.testing.assert_allclose(ours.hidden_output, state.hidden_output, rtol=1e-9)


def test_cells_that_are_not_back_at_rest_are_refused_in_one_line():
    parameters = preset("full").with_changes({"timing.steps_per_epoch": 150})
    with pytest.raises(EngineError, match="steps") as error:
        engine_class("event")(parameters)
    assert "\n" not in str(error.value) and "brian2" in str(error.value)


def test_ctrl_c_while_jitted_code_runs_or_returns_is_an_interrupt_and_no_crash():
    """Numba crashed when the interrupt came while it made Python objects of the results."""
    program = """
import os, signal, threading
from foraging_snn.models import Activity, Block, Phase, engine_class, initial_state, preset
parameters = preset("full")
engine = engine_class("event")(parameters)
engine.chunk_epochs = 20
state, phase = initial_state(parameters, 1), Phase("u", (Block(Activity.UNSUPERVISED, 100),), 10**7)
engine.run(state, phase, epochs=20)
for k in range(40):
    threading.Timer(0.02 + 0.0007 * k, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        engine.run(state, phase)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout.count("interrupted")) == (0, 40), result.stderr


def test_cells_at_the_end_of_an_epoch_are_the_same_one_by_one():
    """Also of pulses so small that they are left out because a processor takes long for them."""
    random = np.random.default_rng(4)
    n, scale, rest_x, V_rest, u_rest = 48, 67.0, 1.3e-4, -0.94, -2.82
    V_bulk, u_bulk, way = random.normal(size=9), random.normal(size=9), random.normal(size=(2, 3))
    pulse = random.uniform(0.0, 0.01, n)
    pulse[1::4] = 0.0
    pulse[2::4] = 10.0 ** random.uniform(-320, -150, n // 4)
    pulse[3] = -2e-3
    before = V_rest + 1e-4 * random.normal(size=n), u_rest + 1e-4 * random.normal(size=n), np.roll(pulse, 5)

    @numba.njit
    def decay(V, u, x):
        decay_lanes(V, u, x, pulse, V_bulk, u_bulk, way, scale, rest_x, V_rest, u_rest)

    V, u, x = (values.copy() for values in before)
    decay(V, u, x)
    for k in range(n):
        for row, (after, bulk) in enumerate(((V, V_bulk), (u, u_bulk))):
            expected = float(bulk[0])
            for coefficient in bulk[1:].tolist():
                expected = expected * (float(pulse[k]) * scale) + coefficient
            for share, away in zip(way[row].tolist(), (before[0][k] - V_rest, before[1][k] - u_rest, before[2][k]), strict=True):
                expected += share * float(away)
            assert after[k] == expected
        assert x[k] == rest_x * pulse[k]


def test_output_cells_that_nothing_reaches_are_those_that_are_stepped(parameters):
    """Over so many epochs that they stand still, and the engine steps them no more."""
    epochs, c = 100, CellConstants.of(parameters.cell)
    state = initial_state(parameters, seed=1)
    state.x[-8:] = np.linspace(-2e-3, 1e-2, 8)
    ours, _ = engine_class("event")(parameters).run(
        state, Phase("sleep", (Block(A.SLEEP, 100),), epochs)
    )  # no task trained, no pulses

    @numba.njit
    def stepped(V, u, x, steps):
        V_1 = V_2 = V
        for _ in range(steps):
            new_V, u, x, _spiked = step_cell(V, V_2, u, x, c)
            V, V_1, V_2 = new_V, V, V_1
        return V, V_1, V_2, u, x

    steps = epochs * parameters.timing.steps_per_epoch
    for cell in range(-8, 0):
        expected = stepped(state.V[cell], state.u[cell], state.x[cell], steps)
        assert tuple(values[cell] for values in (ours.V, ours.V_1, ours.V_2, ours.u, ours.x)) == expected
        assert 0.0 < abs(ours.x[cell]) < 1e-320
        assert stepped(*(expected[k] for k in (0, 3, 4)), 1)[::2] == (expected[0], expected[2], expected[4])

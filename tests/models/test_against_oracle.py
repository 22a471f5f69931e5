"""Whole epochs of every kind of phase, engine beside oracle: same spikes, same moves, strengths to 1e-9."""

import numpy as np
import oracle
import pytest

from foraging_snn.models import Activity, Block, Engine, FullRecorder, Phase, engine_class, initial_state, preset

BLOCK = 100
NAMES = {
    "unsupervised": Activity.UNSUPERVISED,
    "train1": Activity.train("T1"),
    "train2": Activity.train("T2"),
    "test1": Activity.test("T1"),
    "test2": Activity.test("T2"),
    "sleep": Activity.SLEEP,
    "uniform-sleep": Activity.UNIFORM_SLEEP,
}
TOLERANCE = 1e-9  # relative; engines and oracle add up in different orders
FLOAT_FIELDS = (
    "input_hidden",
    "hidden_output",
    "inhibition",
    "hidden_input_target",
    "resistance",
    "hidden_rate",
    "output_rate",
    "trace_average",
    "input_output_total",
    "hidden_output_total",
    "u",
)
EXACT_FIELDS = (
    "epoch",
    "input_index",
    "hidden_index",
    "frozen",
    "removed",
    "input_hidden_frozen",
    "task_spikes",
    "task_epochs",
    "grid",
    "agent_x",
    "agent_y",
    "last_move",
    "hunger",
)


def compare_phase(engine: Engine, state, reference: oracle.Oracle, names: tuple[str, ...], epochs: int, block: int, **options):
    """Run one phase on both sides and compare all that happened and all that is left; returns the state."""
    phase = Phase("+".join(names), tuple(Block(NAMES[name], block) for name in names), epochs, **options)
    recorder = FullRecorder()
    state, _ = engine.run(state, phase, recorder=recorder)
    expected = reference.run(names, epochs, **options)
    spikes = np.column_stack((recorder.column("spike_step"), recorder.column("spike_cell")))
    np.testing.assert_array_equal(spikes, expected.spikes, err_msg=f"{phase.name}: spikes")
    np.testing.assert_array_equal(recorder.column("move"), expected.move, err_msg=f"{phase.name}: moves")
    np.testing.assert_array_equal(recorder.column("eaten"), expected.eaten, err_msg=f"{phase.name}: eaten")
    np.testing.assert_array_equal(np.array([0, 1, -1, 0])[recorder.column("outcome")], expected.outcome)
    np.testing.assert_array_equal(recorder.column("x"), expected.agent_x)
    np.testing.assert_array_equal(recorder.column("y"), expected.agent_y)
    for name in EXACT_FIELDS:
        np.testing.assert_array_equal(getattr(state, name), getattr(reference, name), err_msg=f"{phase.name}: {name}")
    for name in FLOAT_FIELDS:
        np.testing.assert_allclose(
            getattr(state, name), getattr(reference, name), rtol=TOLERANCE, atol=0, err_msg=f"{phase.name}: {name}"
        )
    np.testing.assert_allclose(state.V, reference.V, rtol=TOLERANCE)
    np.testing.assert_allclose(state.x, reference.x, rtol=TOLERANCE, atol=1e-15)
    return state


def compare_protocol(engine: Engine, seed: int, epochs: int, block: int) -> None:
    """Every activity in a sequence that makes each of them depend on the ones before."""
    state = initial_state(engine.parameters, seed)
    reference = oracle.Oracle(oracle.Rules(block_epochs=block), seed=seed)
    protocol = (
        (("unsupervised",), {}),
        (("train1",), {}),
        (("test1",), {}),
        (("train1", "train2"), {}),
        (("train2", "sleep"), {}),
        (("train1", "uniform-sleep"), {"freeze_fraction": 0.05}),
        (("test2",), {"dropout": True}),
    )
    for names, options in protocol:
        state = compare_phase(engine, state, reference, names, epochs, block, **options)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_compiled_engine_equals_oracle_over_50_epochs_of_every_phase(seed):
    with engine_class("brian2")(preset("full")) as engine:
        compare_protocol(engine, seed, epochs=50, block=7)


def test_runtime_engine_equals_oracle_over_6_epochs_of_every_phase():
    compare_protocol(engine_class("brian2-runtime")(preset("full")), seed=3, epochs=6, block=2)


@pytest.mark.slow
@pytest.mark.parametrize(("codegen", "epochs", "block"), [("numpy", 50, 7), ("cython", 6, 6)])  # Cython: minutes even so
def test_runtime_engine_equals_oracle_over_more_epochs_of_every_phase(codegen, epochs, block):
    engine = engine_class("brian2-runtime")(preset("full"), codegen=codegen)
    compare_protocol(engine, seed=4, epochs=epochs, block=block)

"""Whole epochs of every kind of phase, engine beside oracle: same spikes, same moves, strengths to 1e-9."""

import numpy as np
import oracle
import pytest

from foraging_snn.environments import Particle, Task
from foraging_snn.models import (
    Activity,
    Block,
    Engine,
    FullRecorder,
    Parameters,
    Phase,
    engine_class,
    initial_state,
    preset,
    unsupervised_particles,
)

# Beside the tasks of the package one that contradicts both tasks of the paper, and one over particles of three squares, some of
# which lie apart: as the package and as the oracle have them.
OWN = (
    Task("T7", rewarded=("vertical", "negative diagonal"), punished=("horizontal",)),
    Task(
        "T8",
        rewarded=(Particle("L", ((0, 0), (-1, 0), (-1, 1))),),
        punished=(Particle("sparse", ((0, 0), (2, 0), (1, -2))), "vertical"),
    ),
)
ORACLE_PARTICLES = oracle.PARTICLES | {13: ((0, 0), (-1, 0), (-1, 1)), 14: ((0, 0), (2, 0), (1, -2))}
ORACLE_TASKS = oracle.TASKS | {7: oracle.Task(rewarded=(2, 4), punished=(1,)), 8: oracle.Task(rewarded=(13,), punished=(14, 2))}
FULL = preset("full").with_tasks(*OWN)


def activity_of(name: str, parameters: Parameters) -> Activity:
    """The activity of which the oracle has this name."""
    if name.startswith("train"):
        return Activity.train(parameters.task(int(name[5:])))
    if name.startswith("test"):
        return Activity.test(parameters.task(int(name[4:])))
    if name == "unsupervised" and parameters == FULL:
        return Activity.unsupervised(unsupervised_particles(parameters, [parameters.task(number) for number in (1, 3, 8)]))
    if name.startswith("sleep "):
        words = name.split()[1:]
        show = int(words.pop(1)) if words[0] == "show" else 0
        cue = {parameters.task(int(task)): float(weight) for task, weight in (word.split(":") for word in words if ":" in word)}
        return Activity.sleep(cue=cue or None, patterns=show)
    return {"unsupervised": Activity.UNSUPERVISED, "sleep": Activity.SLEEP, "uniform-sleep": Activity.UNIFORM_SLEEP}[name]


def oracle_of_own_tasks(seed: int) -> oracle.Oracle:
    """An oracle with these tasks, and the unsupervised phase in a world of the types of the paper, of T3 and of T8."""
    return oracle.Oracle(seed=seed, tasks=ORACLE_TASKS, particles=ORACLE_PARTICLES, unsupervised=(1, 2, 3, 4, 5, 12, 13, 14))


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
    "grid_part",
    "agent_x",
    "agent_y",
    "last_move",
    "hunger",
)


def compare_phase(engine: Engine, state, reference: oracle.Oracle, names: tuple[str, ...], epochs: int, lengths, **options):
    """Run one phase on both sides and compare all that happened and all that is left; returns the state."""
    blocks = tuple(Block(activity_of(name, engine.parameters), length) for name, length in zip(names, lengths, strict=True))
    phase = Phase("+".join(names), blocks, epochs, **options)
    recorder = FullRecorder()
    state, _ = engine.run(state, phase, recorder=recorder)
    expected = reference.run(names, epochs, lengths=lengths, **options)
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
    compare_patterns(state, reference)
    np.testing.assert_allclose(state.V, reference.V, rtol=TOLERANCE)
    np.testing.assert_allclose(state.x, reference.x, rtol=TOLERANCE, atol=1e-15)
    return state


def compare_patterns(state, reference: oracle.Oracle) -> None:
    """Those of each task, the latest first."""
    for task, expected in reference.patterns.items():
        kept = state.patterns_kept[task - 1]
        for back in range(min(kept, len(state.patterns))):
            found = state.patterns[(kept - 1 - back) % len(state.patterns), task - 1]
            np.testing.assert_array_equal(found, expected[-1 - back], err_msg=f"pattern {back} of task {task}")
        assert min(kept, len(state.patterns)) == len(expected)


def compare_protocol(engine: Engine, seed: int, epochs: int, block: int) -> None:
    """Every activity in a sequence that makes each of them depend on the ones before."""
    state = initial_state(engine.parameters, seed)
    reference = oracle.Oracle(seed=seed)
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
        state = compare_phase(engine, state, reference, names, epochs, (block,) * len(names), **options)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_compiled_engine_equals_oracle_over_50_epochs_of_every_phase(seed):
    with engine_class("brian2")(preset("full")) as engine:
        compare_protocol(engine, seed, epochs=50, block=7)


@pytest.mark.slow
def test_runtime_engine_equals_oracle_over_6_epochs_of_every_phase():
    compare_protocol(engine_class("brian2-runtime")(preset("full")), seed=3, epochs=6, block=2)


@pytest.mark.slow
@pytest.mark.parametrize(("codegen", "epochs", "block"), [("numpy", 50, 7), ("cython", 6, 6)])
def test_runtime_engine_equals_oracle_over_more_epochs_of_every_phase(codegen, epochs, block):
    engine = engine_class("brian2-runtime")(preset("full"), codegen=codegen)
    compare_protocol(engine, seed=4, epochs=epochs, block=block)


# ------------------------------------------------------------------------------------- own tasks and any number of blocks


def compare_own_tasks(engine: Engine, seed: int, epochs: int, lengths: tuple[int, int, int, int]) -> None:
    """Phases of three and four blocks, with tasks and particles that the engines were not written for."""
    state, reference = initial_state(engine.parameters, seed), oracle_of_own_tasks(seed)
    assert state.task_spikes.shape == (8, engine.parameters.n_hidden)
    for names in (
        ("unsupervised",),
        ("train3",),
        ("sleep", "train1", "train8"),
        ("train7", "uniform-sleep", "train3", "sleep"),
        ("test8", "train8", "test1"),
        ("test3",),
    ):
        state = compare_phase(engine, state, reference, names, epochs, lengths[: len(names)])
    assert (state.task_epochs > 0).tolist() == [True, False, True, False, False, False, True, True]


@pytest.mark.slow
def test_compiled_engine_equals_oracle_with_own_tasks_and_up_to_four_blocks():
    with engine_class("brian2")(FULL) as engine:
        compare_own_tasks(engine, seed=5, epochs=40, lengths=(5, 7, 3, 2))


@pytest.mark.slow
def test_runtime_engine_equals_oracle_with_own_tasks_and_up_to_four_blocks():
    compare_own_tasks(engine_class("brian2-runtime")(FULL), seed=6, epochs=6, lengths=(1, 2, 2, 1))


def test_event_engine_equals_oracle_with_own_tasks_and_up_to_four_blocks():
    """Epoch by epoch from states of the compiled engine, which equals the oracle (above): what it approximates adds up."""
    with engine_class("brian2")(FULL) as exact, engine_class("event")(FULL) as event:
        state, reference = initial_state(FULL, 7), oracle_of_own_tasks(7)
        for names in (
            ("unsupervised",),
            ("train3",),
            ("sleep", "train1", "train8"),
            ("train7", "uniform-sleep", "train8", "sleep"),
        ):
            lengths, ours = (5, 7, 3, 2)[: len(names)], FullRecorder()
            phase = Phase("+".join(names), tuple(Block(activity_of(n, FULL), k) for n, k in zip(names, lengths, strict=True)), 30)
            for _ in range(phase.epochs):
                after, _ = event.run(state, phase, epochs=1, recorder=ours)
                state, _ = exact.run(state, phase, epochs=1)
                for name in ("task_spikes", "task_epochs", "grid", "grid_part", "hunger", "recent_step", "recent_cell"):
                    np.testing.assert_array_equal(getattr(after, name), getattr(state, name), err_msg=f"{names}: {name}")
                np.testing.assert_allclose(after.hidden_output, state.hidden_output, rtol=TOLERANCE)
            expected = reference.run(names, phase.epochs, lengths=lengths)
            np.testing.assert_array_equal(ours.column("eaten"), expected.eaten)
            np.testing.assert_array_equal(np.array([0, 1, -1, 0])[ours.column("outcome")], expected.outcome)
            np.testing.assert_array_equal(ours.column("move"), expected.move)
            for name in ("task_spikes", "task_epochs", "grid", "grid_part"):
                np.testing.assert_array_equal(getattr(after, name), getattr(reference, name))


# ------------------------------------------------------------------------------------------ cued sleep, and patterns in sleep

KINDS_OF_SLEEP = (  # activities, options of the phase; up to three blocks
    (("train1",), {"keep_patterns": 6}),
    (("train2",), {"keep_patterns": 4}),
    (("train1", "sleep 1:0.7 2:0.3", "sleep 2:1"), {}),
    (("train2", "sleep show 4", "sleep show 3 1:0.25 2:1"), {"keep_patterns": 4}),
    (("train1", "sleep 2:1", "sleep show 50 2:1 1:0"), {"keep_patterns": 50}),
)
SELECTIVE = ((("train1",), {"keep_patterns": 5, "selective": True}), (("sleep 1:1",), {}))


def compare_kinds_of_sleep(engine: Engine, seed: int, epochs: int, lengths: tuple[int, int, int], selective_epochs: int):
    """Phases of which each depends on what the ones before kept; returns the last state."""
    state, reference = initial_state(engine.parameters, seed), oracle.Oracle(seed=seed)
    for names, options in KINDS_OF_SLEEP:
        state = compare_phase(engine, state, reference, names, epochs, lengths[: len(names)], **options)
    for names, options in SELECTIVE:
        state = compare_phase(engine, state, reference, names, selective_epochs, lengths[: len(names)], **options)
    return state


@pytest.mark.slow
def test_compiled_engine_equals_oracle_in_cued_sleep_and_sleep_that_shows_patterns():
    with engine_class("brian2")(preset("full")) as engine:
        state = compare_kinds_of_sleep(engine, seed=8, epochs=25, lengths=(6, 3, 4), selective_epochs=70)
        assert 0 < state.patterns_kept[0] < 30  # of 69


@pytest.mark.slow
def test_runtime_engine_equals_oracle_in_cued_sleep_and_sleep_that_shows_patterns():
    compare_kinds_of_sleep(engine_class("brian2-runtime")(preset("full")), seed=9, epochs=7, lengths=(3, 2, 2), selective_epochs=4)


def test_event_engine_equals_oracle_in_cued_sleep_and_sleep_that_shows_patterns():
    """Epoch by epoch from states of the compiled engine, as with three tasks."""
    p, reference = preset("full"), oracle.Oracle(seed=8)
    with engine_class("brian2")(p) as exact, engine_class("event")(p) as event:
        state = initial_state(p, 8)
        for names, options in (*KINDS_OF_SLEEP, *SELECTIVE):
            phase = Phase(
                "+".join(names), tuple(Block(activity_of(n, p), k) for n, k in zip(names, (6, 3, 4), strict=False)), 25, **options
            )
            for _ in range(phase.epochs):
                after, _ = event.run(state, phase, epochs=1)
                state, _ = exact.run(state, phase, epochs=1)
                for name in ("patterns", "patterns_kept", "task_spikes", "recent_step", "recent_cell"):
                    np.testing.assert_array_equal(getattr(after, name), getattr(state, name), err_msg=f"{names}: {name}")
            reference.run(names, phase.epochs, lengths=(6, 3, 4)[: len(names)], **options)
            compare_patterns(after, reference)
            np.testing.assert_allclose(after.hidden_output, reference.hidden_output, rtol=1e-6)

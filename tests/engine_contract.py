"""What every engine promises, as checks that any of them must pass. That it computes the right numbers is checked elsewhere.

Each check takes a Case. An engine that declares in `Engine.cannot` that it lacks an ability is not asked for it, and the check says
so; nothing else is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from foraging_snn.models import (
    ABILITIES,
    AEON_COUNTS,
    Activity,
    Block,
    Engine,
    EngineError,
    NetworkState,
    Parameters,
    Phase,
    Recorder,
    Rule,
    begin_phase,
    initial_state,
)


@dataclass(frozen=True)
class Drift(Rule):
    """Strengths go on, by a little, as they went since the last time, of which it keeps a memory."""

    share: float = 0.01

    every: ClassVar[int] = 3
    memory: ClassVar[tuple[str, ...]] = ("before",)

    def begin(self, state, phase, parameters):
        self.rows(state)["before"][:] = state.hidden_output

    def apply(self, state, phase, parameters):
        before, now = self.rows(state)["before"], state.hidden_output.copy()
        state.hidden_output += self.share * (now - before)
        before[:] = now


@dataclass(frozen=True)
class Nothing(Rule):
    """A rule that changes nothing."""

    every: ClassVar[int] = 2


COLUMNS = ("awake", "move", "eaten", "outcome", "x", "y", "hidden_spikes", "output_spikes", "spike_step", "spike_cell")
KINDS = {  # activities of the blocks, and options of the phase
    "unsupervised": ((Activity.UNSUPERVISED,), {}),
    "training": ((Activity.train("T1"),), {}),
    "frozen": ((Activity.train("T2"),), {"freeze_fraction": 0.1}),
    "interleaved": ((Activity.train("T1"), Activity.train("T2")), {}),
    "sleep": ((Activity.train("T2"), Activity.SLEEP), {}),
    "uniform sleep": ((Activity.train("T1"), Activity.UNIFORM_SLEEP), {}),
    "kinds of sleep": (
        (Activity.train("T2"), Activity.sleep(cue={"T1": 0.7, "T2": 0.3}), Activity.sleep(patterns=3)),
        {"keep_patterns": 4},
    ),
    "rules": ((Activity.train("T1"), Activity.SLEEP), {"rules": (Drift(),)}),
    "three blocks": ((Activity.SLEEP, Activity.train("T1"), Activity.test("T2")), {}),
    "test": ((Activity.test("T2"),), {}),
    "dropout": ((Activity.test("T1"),), {"dropout": True}),
}


def phase_of(kind: str, epochs: int, blocks: tuple[int, ...] = (7, 5, 3)) -> Phase:
    """A phase of one of the KINDS, with blocks of these lengths."""
    activities, options = KINDS[kind]
    return Phase(kind, tuple(map(Block, activities, blocks)), epochs, **options)


@dataclass
class Listener(Recorder):
    """Keeps all it hears of."""

    wanted: tuple[int, ...] = ()
    window: range | None = None

    def __post_init__(self):
        self.pieces, self.snapshots = [], []

    def snapshot_epochs(self, phase):
        return self.wanted

    def spike_windows(self, phase):
        return [range(phase.epochs) if self.window is None else self.window]

    def epochs(self, records):
        self.pieces.append(records)

    def snapshot(self, state):
        self.snapshots.append(state.copy())

    def columns(self):
        """What happened in each epoch, and all spikes, by name."""
        return {name: np.concatenate([getattr(piece, name) for piece in self.pieces]) for name in COLUMNS}


def assert_same_columns(ours, theirs):
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def assert_counts_add_up(whole, parts):
    for name in (*AEON_COUNTS, "eaten"):
        values = whole.eaten if name == "eaten" else whole.counts[name]
        summed = np.zeros_like(values)
        for part in parts:
            piece = part.eaten if name == "eaten" else part.counts[name]
            summed[part.first_aeon - whole.first_aeon :][: len(piece)] += piece
        np.testing.assert_array_equal(summed, values, err_msg=name)


@dataclass
class Case:
    """An engine, and what to run on it.

    Parameters
    ----------
    make : function of Parameters
        Gives a new engine.
    engine : Engine
        One of them, not to be closed.
    naive, trained : NetworkState
        Of its parameters: before and after some training on both tasks, so that there is something to sleep on.
    epochs : int
        Length of the phases, at least 5.
    blocks : tuple of three int
        Lengths of blocks, such that there are several within those epochs.
    cuts : tuple of tuples of two int
        Where a phase of that length is cut.
    """

    make: Callable[[Parameters], Engine]
    engine: Engine
    naive: NetworkState
    trained: NetworkState
    epochs: int
    blocks: tuple[int, int, int]
    cuts: tuple[tuple[int, int], ...]

    def phase(self, kind: str, epochs: int | None = None) -> Phase:
        """A phase of a kind, with the lengths of this case."""
        return phase_of(kind, epochs or self.epochs, self.blocks)

    def start_of(self, kind: str) -> NetworkState:
        """The state that such a phase begins with."""
        return self.naive if kind == "unsupervised" else self.trained

    def listener(self, **wishes) -> Listener:
        """A listener that asks for spikes, unless the engine says that it cannot tell them."""
        return Listener(**({"window": range(0)} if "spikes" in self.engine.cannot else {}), **wishes)

    @property
    def kinds(self) -> list[str]:
        """The kinds of phase that the engine can run."""
        return [kind for kind in KINDS if kind != "unsupervised" or "unsupervised" not in self.engine.cannot]


def needs(ability: str, case: Case) -> None:
    """Skip a check for which the engine lacks an ability, and say so."""
    if ability in case.engine.cannot:
        pytest.skip(f"the {case.engine.name} engine says that it cannot {ABILITIES[ability]}")


# ------------------------------------------------------------------------------------------------------------- checks


def it_says_what_it_is_and_lacks_only_what_engines_may_lack(case):
    assert isinstance(case.engine, Engine)
    assert case.engine.name.isprintable()
    assert case.engine.chunk_epochs >= 1
    assert case.engine.cannot <= set(ABILITIES)


def it_leaves_the_state_that_it_is_given_and_shares_no_memory_with_it(case):
    for kind in ("training", "sleep"):
        before = case.trained.copy()
        after, _ = case.engine.run(case.trained, case.phase(kind), epochs=4)
        assert case.trained.differences(before) == []
        half_way = after.copy()
        end, _ = case.engine.run(after, case.phase(kind))
        assert after.differences(half_way) == []
        for name, value in end.items():
            assert not isinstance(value, np.ndarray) or not np.shares_memory(value, getattr(after, name)), name
            assert not isinstance(value, np.ndarray) or value.flags.writeable, name


def it_gives_states_of_the_types_and_shapes_that_states_have(case):
    for kind in case.kinds:
        after, _ = case.engine.run(case.start_of(kind), case.phase(kind))
        assert (after.epoch, after.phase_epoch) == (case.start_of(kind).epoch + case.epochs, 0)
        for name, value in case.trained.items():
            found = getattr(after, name)
            assert type(found) is type(value), name
            if isinstance(value, np.ndarray):
                assert (found.dtype, found.shape[1:]) == (value.dtype, value.shape[1:]), name
                assert np.isfinite(found).all(), name


def it_gives_the_same_for_the_same_seed_and_something_else_for_another(case):
    kind = case.kinds[0]
    states = [initial_state(case.engine.parameters, seed) for seed in (3, 3, 4)]
    first, again, other = (case.engine.run(state, case.phase(kind, 5))[0] for state in states)
    assert first.differences(again) == []
    assert {"grid", "hidden_index", "input_hidden"} <= set(first.differences(other))


def a_phase_in_three_parts_equals_the_phase_in_one_piece(case):
    needs("parts", case)
    for kind in case.kinds:
        phase, listener = case.phase(kind), case.listener()
        expected, record = case.engine.run(case.start_of(kind), phase, recorder=listener)
        for cuts in case.cuts:
            state, pieces, records = case.start_of(kind), case.listener(), []
            for first, last in zip((0, *cuts), (*cuts, phase.epochs), strict=True):
                assert state.phase_epoch == first
                state, part = case.engine.run(state, phase, epochs=last - first, recorder=pieces)
                records.append(part)
            assert state.differences(expected) == [], kind
            assert_same_columns(pieces.columns(), listener.columns())
            assert_counts_add_up(record, records)


def a_new_engine_for_every_part_changes_nothing(case):
    needs("parts", case)
    for kind in ("sleep", "dropout"):
        phase, state = case.phase(kind, 4), case.trained
        expected, _ = case.engine.run(state, phase)
        for last in (1, 3, 4):
            with case.make(case.engine.parameters) as engine:
                state, _ = engine.run(state, phase, epochs=last - state.phase_epoch)
        assert state.differences(expected) == [], kind


def two_engines_in_one_process_do_not_disturb_each_other(case):
    needs("parts", case)
    phase, trials = case.phase("training", 3), (case.trained, initial_state(case.engine.parameters, 22))
    expected = [case.engine.run(state, phase)[0] for state in trials]
    with case.make(case.engine.parameters) as one, case.make(case.engine.parameters) as two:
        for _ in range(3):
            trials = [engine.run(state, phase, epochs=1)[0] for engine, state in zip((one, two), trials, strict=True)]
    assert [state.differences(solo) for state, solo in zip(trials, expected, strict=True)] == [[], []]


def counts_of_a_record_are_those_of_the_epochs(case):
    for kind in ("sleep", "three blocks"):
        phase, listener, length = case.phase(kind), case.listener(), case.engine.parameters.timing.epochs_per_aeon
        state, _ = case.engine.run(case.trained, phase, epochs=3)
        after, record = case.engine.run(state, phase, recorder=listener)
        columns, n = listener.columns(), phase.epochs - 3
        aeon = (3 + np.arange(n)) // length
        activities = [phase.block_at(e)[0] for e in range(3, phase.epochs)]
        asleep = np.array([activity.is_sleep for activity in activities])
        np.testing.assert_array_equal(columns["awake"], ~asleep)
        assert (columns["move"][asleep] == 4).all()
        assert not columns["eaten"][asleep].any()
        number = case.engine.parameters.task_number
        trained = [number(activity.trained_task) - 1 for activity in activities if activity.trained_task]
        counted = np.bincount(trained, minlength=len(state.task_epochs))
        resumed = np.array([slot in trained for slot in range(len(counted))])
        np.testing.assert_array_equal((after.task_epochs - state.task_epochs)[resumed], counted[resumed])
        flags = {
            "epochs": np.ones(n),
            "moves": ~asleep,
            "hidden_spikes": columns["hidden_spikes"],
            "output_spikes": columns["output_spikes"],
        }
        flags |= {name: columns["outcome"] == k for k, name in enumerate(("rewarded", "punished", "other"), start=1)}
        assert set(flags) == set(AEON_COUNTS)
        for name, flag in flags.items():
            np.testing.assert_array_equal(record.counts[name], np.bincount(aeon, flag), err_msg=name)
        for type_ in range(record.eaten.shape[1]):
            np.testing.assert_array_equal(record.eaten[:, type_], np.bincount(aeon, columns["eaten"] == type_ + 1))
        assert record.first_aeon == 0
        eaten = record.counts["rewarded"].sum(), record.counts["punished"].sum()
        assert record.performance == pytest.approx(eaten[0] / sum(eaten) if sum(eaten) else np.nan, nan_ok=True)


def spikes_of_hidden_cells_are_counted_for_the_task_that_is_trained(case):
    phase, listener = case.phase("training"), case.listener()
    after, _ = case.engine.run(case.trained, phase, recorder=listener)
    assert after.task_epochs[0] == phase.epochs
    assert after.task_spikes[0].sum() == listener.columns()["hidden_spikes"].sum()
    np.testing.assert_array_equal(after.task_spikes[1:], case.trained.task_spikes[1:])
    np.testing.assert_array_equal(after.task_epochs[1:], case.trained.task_epochs[1:])


def spikes_per_epoch_are_those_of_the_spike_list(case):
    needs("spikes", case)
    phase, listener, p = case.phase("training"), Listener(), case.engine.parameters
    case.engine.run(case.trained, phase, recorder=listener)
    columns = listener.columns()
    epoch = columns["spike_step"] // p.timing.steps_per_epoch - case.trained.epoch
    layer = np.digitize(columns["spike_cell"], (p.n_input, p.n_input + p.n_hidden))
    for number, name in enumerate(("hidden_spikes", "output_spikes"), start=1):
        np.testing.assert_array_equal(np.bincount(epoch[layer == number], minlength=phase.epochs), columns[name])
    order = np.lexsort((columns["spike_cell"], columns["spike_step"]))
    np.testing.assert_array_equal(order, np.arange(len(order)))  # by step, then cell
    assert columns["output_spikes"].sum() > 0


def spikes_are_kept_of_the_epochs_asked_for_only(case):
    needs("spikes", case)
    n, steps = case.epochs, case.engine.parameters.timing.steps_per_epoch
    everything, some = Listener(), Listener(window=range(n // 3, n - 2))
    for listener in (everything, some):
        case.engine.run(case.trained, case.phase("training"), recorder=listener)
    expected = everything.columns()
    epoch = expected["spike_step"] // steps - case.trained.epoch
    inside = (epoch >= n // 3) & (epoch < n - 2)
    assert 0 < inside.sum() < len(inside)
    for name in ("spike_step", "spike_cell"):
        expected[name] = expected[name][inside]
    assert_same_columns(some.columns(), expected)


def snapshots_are_the_states_at_the_epochs_asked_for(case):
    n, phase, state = case.epochs, case.phase("frozen"), case.trained
    wanted = (0, 1, n // 2, n)
    listener = case.listener(wanted=wanted)
    after, _ = case.engine.run(state, phase, recorder=listener)
    assert [snapshot.phase_epoch for snapshot in listener.snapshots] == list(wanted)
    assert [snapshot.epoch - state.epoch for snapshot in listener.snapshots] == list(wanted)
    assert listener.snapshots[0].differences(begin_phase(state, phase, case.engine.parameters)) == []
    assert listener.snapshots[3].differences(after) == ["phase_epoch"]
    if "parts" not in case.engine.cannot:
        for e, snapshot in zip(wanted[1:3], listener.snapshots[1:3], strict=True):
            assert snapshot.differences(case.engine.run(state, phase, epochs=e)[0]) == []


def snapshots_of_a_phase_in_parts_come_once_each(case):
    n, cuts, phase = case.epochs, case.cuts[0], case.phase("training")
    wanted = sorted({0, cuts[0], cuts[0] + 1, cuts[1], n})
    listener, state = case.listener(wanted=tuple(wanted)), case.trained
    for last in (*cuts, n):
        state, _ = case.engine.run(state, phase, epochs=last - state.phase_epoch, recorder=listener)
    assert [snapshot.phase_epoch for snapshot in listener.snapshots] == wanted


def a_snapshot_at_the_end_is_not_the_state_that_is_returned(case):
    held = []

    class Holder(Recorder):
        """Keeps the very objects it is given."""

        def snapshot_epochs(self, phase):
            return [phase.epochs]

        def snapshot(self, state):
            held.append(state)

    after, _ = case.engine.run(case.trained, case.phase("training", 4), recorder=Holder())
    assert (held[0].phase_epoch, after.phase_epoch) == (4, 0)
    after.hidden_output[:] = 0.0
    assert held[0].hidden_output.min() > 0.0


def listening_changes_nothing(case):
    needs("spikes", case)
    phase = case.phase("training")
    expected, _ = case.engine.run(case.trained, phase)
    listener = Listener(wanted=tuple(range(0, phase.epochs, 2)), window=range(1, 3))
    assert case.engine.run(case.trained, phase, recorder=listener)[0].differences(expected) == []


def a_rule_that_changes_nothing_changes_nothing(case):
    needs("parts", case)
    phase = case.phase("sleep")
    expected, _ = case.engine.run(case.trained, phase)
    assert case.engine.run(case.trained, replace(phase, rules=(Nothing(),)))[0].differences(expected) == []


def a_rule_changes_the_state_that_the_engine_goes_on_with(case):
    needs("parts", case)
    phase, state = case.phase("training", 7), case.trained
    expected, _ = case.engine.run(state, phase, epochs=3)
    drifted, _ = case.engine.run(state, replace(phase, rules=(Drift(share=0.5),)), epochs=3)
    assert set(drifted.differences(expected)) <= {"hidden_output", "hidden_output_total", "inhibition", "memory", "memory_label"}
    np.testing.assert_array_equal(drifted.memory, expected.hidden_output[None])
    assert drifted.hidden_output.sum(axis=0) == pytest.approx(np.full(8, case.engine.parameters.output_input_target), rel=1e-3)
    if (expected.hidden_output != state.hidden_output).any():
        assert (drifted.hidden_output != expected.hidden_output).any()


def recorder_and_progress_get_all_epochs_in_pieces_of_at_most_chunk_epochs(case):
    phase, chunk, n = case.phase("training"), case.epochs // 2 - 1, case.epochs
    expected, _ = case.engine.run(case.trained, phase)
    listener, progress, before = case.listener(), [], case.engine.chunk_epochs
    case.engine.chunk_epochs = chunk
    try:
        after, _ = case.engine.run(case.trained, phase, recorder=listener, progress=progress.append)
    finally:
        case.engine.chunk_epochs = before
    starts = range(0, n, chunk)
    assert [len(piece) for piece in listener.pieces] == [min(chunk, n - start) for start in starts]
    assert [piece.first_epoch - case.trained.epoch for piece in listener.pieces] == list(starts)
    assert progress == listener.pieces
    if "parts" not in case.engine.cannot:
        assert after.differences(expected) == []


def it_refuses_states_of_other_networks_in_one_line_and_stays_usable(case):
    p = case.engine.parameters
    phase = case.phase("test", 5)
    expected, _ = case.engine.run(case.trained, phase)
    wrong = (
        ({"network.hidden_cells": p.n_hidden - 84}, "V"),
        ({"network.inputs_per_hidden_cell": p.network.inputs_per_hidden_cell - 1}, "input_index"),
        ({"world.size": p.world.size - 10}, "grid"),
    )
    for changes, name in wrong:
        foreign = initial_state(p.with_changes(changes), 1)
        found, right = getattr(foreign, name).shape, getattr(case.trained, name).shape
        with pytest.raises(EngineError) as error:
            case.engine.run(foreign, phase)
        told = f"state: of another network: {name} has the shape {found}, with the engine's parameters it must be {right}"
        assert str(error.value) == told
    assert case.engine.run(case.trained, phase)[0].differences(expected) == []


def it_refuses_states_with_counts_of_tasks_that_are_not_in_the_table(case):
    state = case.trained.copy()
    n = len(state.task_epochs)
    state.task_epochs, state.task_spikes = np.append(state.task_epochs, 1), np.vstack((state.task_spikes, state.task_spikes[:1]))
    with pytest.raises(EngineError) as error:
        case.engine.run(state, case.phase("test", 5))
    assert str(error.value) == (f"state: of another network: it counts spikes of {n + 1} tasks, the table of tasks holds {n}")


def it_refuses_states_further_into_a_phase_than_the_phase_is_long(case):
    state, _ = case.engine.run(case.trained, case.phase("training", 5), epochs=3)
    for length in (2, 3):
        with pytest.raises(EngineError) as error:
            case.engine.run(state, case.phase("training", length))
        assert str(error.value) == f"phase training: the state is 3 epochs into a phase, this one has {length}"


def it_refuses_a_number_of_epochs_that_the_phase_does_not_have(case):
    phase = case.phase("training", 20)
    for epochs in (0, -1, 21, 10**9):
        with pytest.raises(ValueError) as error:
            case.engine.run(case.trained, phase, epochs=epochs)
        assert str(error.value) == f"epochs: {epochs} given, allowed is 1 to 20, what is left of the phase"
    state, _ = case.engine.run(case.trained, phase, epochs=2)
    with pytest.raises(ValueError, match="^epochs: 19 given, allowed is 1 to 18, what is left of the phase$"):
        case.engine.run(state, phase, epochs=19)


def it_refuses_in_one_line_what_it_says_it_cannot_do(case):
    asked = {
        "spikes": ("training", case.trained, Listener()),
        "unsupervised": ("unsupervised", case.naive, Recorder()),
    }
    for ability, (kind, state, recorder) in asked.items():
        if ability in case.engine.cannot:
            with pytest.raises(EngineError) as error:
                case.engine.run(state, case.phase(kind, 5), recorder=recorder)
            wanted = f"{case.engine.name} engine: it cannot {ABILITIES[ability]} (phase {kind}); use another engine"
            assert str(error.value) == wanted


def many_networks_are_run_as_each_alone(case):
    phase, pieces = case.phase("test", 3), []
    states = [case.trained, initial_state(case.engine.parameters, 5)]
    alone = [case.engine.run(state, phase) for state in states]
    together = list(case.engine.run_many(iter(states), phase, progress=pieces.append))
    assert len(together) == 2
    for (ours, record), (expected, of_one) in zip(together, alone, strict=True):
        assert ours.differences(expected) == []
        assert_counts_add_up(of_one, [record])
    assert sum(map(len, pieces)) == 6


def it_can_be_closed_twice_and_another_one_made(case):
    with case.make(case.engine.parameters) as engine:
        first, _ = engine.run(case.trained, case.phase("test", 2))
        engine.close()
    engine.close()
    with case.make(case.engine.parameters) as engine:
        assert engine.run(case.trained, case.phase("test", 2))[0].differences(first) == []


CHECKS = (
    it_says_what_it_is_and_lacks_only_what_engines_may_lack,
    it_leaves_the_state_that_it_is_given_and_shares_no_memory_with_it,
    it_gives_states_of_the_types_and_shapes_that_states_have,
    it_gives_the_same_for_the_same_seed_and_something_else_for_another,
    a_phase_in_three_parts_equals_the_phase_in_one_piece,
    a_new_engine_for_every_part_changes_nothing,
    two_engines_in_one_process_do_not_disturb_each_other,
    counts_of_a_record_are_those_of_the_epochs,
    spikes_of_hidden_cells_are_counted_for_the_task_that_is_trained,
    spikes_per_epoch_are_those_of_the_spike_list,
    spikes_are_kept_of_the_epochs_asked_for_only,
    snapshots_are_the_states_at_the_epochs_asked_for,
    snapshots_of_a_phase_in_parts_come_once_each,
    a_snapshot_at_the_end_is_not_the_state_that_is_returned,
    listening_changes_nothing,
    a_rule_that_changes_nothing_changes_nothing,
    a_rule_changes_the_state_that_the_engine_goes_on_with,
    recorder_and_progress_get_all_epochs_in_pieces_of_at_most_chunk_epochs,
    it_refuses_states_of_other_networks_in_one_line_and_stays_usable,
    it_refuses_states_with_counts_of_tasks_that_are_not_in_the_table,
    it_refuses_states_further_into_a_phase_than_the_phase_is_long,
    it_refuses_a_number_of_epochs_that_the_phase_does_not_have,
    it_refuses_in_one_line_what_it_says_it_cannot_do,
    many_networks_are_run_as_each_alone,
    it_can_be_closed_twice_and_another_one_made,
)


def check_engine(case: Case) -> None:
    """All checks on one engine; those that need an ability which it says it lacks are left out."""
    for check in CHECKS:
        try:
            check(case)
        except pytest.skip.Exception:
            continue

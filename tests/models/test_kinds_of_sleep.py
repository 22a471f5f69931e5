"""Kinds of sleep: what they are called, their rows, and the patterns that training keeps for them."""

import numpy as np
import pytest

from foraging_snn.environments import TASKS
from foraging_snn.models import (
    Activity,
    Block,
    EngineError,
    Phase,
    begin_phase,
    engine_class,
    initial_state,
    keeping_patterns,
    preset,
    rows_of,
)
from foraging_snn.models import rules as rule
from foraging_snn.models.phases import sleep_named
from foraging_snn.models.state import missing_patterns

P = preset("tiny").with_changes({"network.hidden_cells": 20})
CUED = Activity.sleep(cue={"T1": 0.8, "T2": 0.2})


def phase(*activities, **options):
    return Phase("phase", tuple(Block(activity, 5) for activity in activities), 20, **options)


NAMES = {
    "sleep": Activity.SLEEP,
    "uniform-sleep": Activity.UNIFORM_SLEEP,
    "sleep(T1:1.0)": Activity.sleep(cue="T1"),
    "sleep(T2:1.0,T1:1.0)": Activity.sleep(cue=(2, "T1")),
    "sleep(T1:0.8,T2:0.2)": CUED,
    "uniform-sleep(T2:1.0)": Activity.sleep(cue=TASKS["T2"], uniform=True),
    "sleep(patterns=500)": Activity.sleep(patterns=500),
    "sleep(T1:0.1,patterns=20,selective)": Activity.sleep(cue={"T1": 0.1}, patterns=20, selective=True),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_of_sleep_is_known_by_its_name(name):
    assert NAMES[name].name == name
    assert sleep_named(name) == NAMES[name]


@pytest.mark.parametrize(
    "name", ["dream", "sleep(", "sleep()", "sleep(T1)", "sleep(T1:x)", "sleep(T1:nan)", "sleep(T9:1.0)", "sleep(patterns=0)"]
)
def test_other_names_are_refused_in_one_line(name):
    with pytest.raises(ValueError, match="allowed is the name of a kind of sleep$") as error:
        sleep_named(name)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Activity.sleep(cue={}), "^sleep: cue without a task given, allowed is at least one task"),
        (lambda: Activity.sleep(cue="T9"), "^task: 'T9' given, allowed are T1, T2"),
        (
            lambda: Activity.sleep(cue={"T1": -0.1}),
            r"^sleep: cue with weights \[-0.1\] given, allowed are numbers from 0, at least",
        ),
        (
            lambda: Activity.sleep(cue={"T1": 0, "T2": 0}),
            r"^sleep: cue with weights \[0.0, 0.0\] given, allowed are numbers from 0",
        ),
        (lambda: Activity.sleep(cue={"T1": float("inf")}), r"^sleep: cue with weights \[inf\] given, allowed are numbers from 0"),
        (lambda: Activity.sleep(cue={"T1": "much"}), r"^sleep: cue with weights \['much'\] given, allowed are numbers from 0"),
        (lambda: Activity.sleep(cue={"T1": 1, 1: 1}), "^sleep: cue T1, T1 given, allowed is each task once$"),
        (lambda: Activity.sleep(patterns=-1), "^sleep: patterns -1 given, allowed is a whole number from 1 to 100000, or none$"),
        (lambda: Activity.sleep(patterns=10**9), "^sleep: patterns 1000000000 given, allowed is a whole number from 1 to 100000"),
        (lambda: Activity.sleep(patterns=5, uniform=True), "^sleep: uniform and patterns given, allowed is one of them$"),
        (lambda: Activity.sleep(selective=True), "^sleep: selective True given, allowed are True or False with patterns"),
        (lambda: Activity("train", TASKS["T1"], patterns=5), "^activity: train with a cue or patterns given, allowed are they in"),
        (lambda: phase(CUED, keep_patterns=5), "^phase phase: patterns to keep given, allowed are they where a task is trained$"),
        (
            lambda: phase(Activity.train(1), keep_patterns=-5),
            "^phase phase: keep_patterns -5 given, allowed is a whole number from 0",
        ),
        (
            lambda: phase(Activity.train(1), selective=True),
            "^phase phase: selective True given, allowed is it with patterns to keep$",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert len(str(error.value).splitlines()) == 1


def test_fields_that_are_not_used_change_no_text():
    """Keys of the ledger are made of it."""
    assert (
        repr(phase(Activity.SLEEP)) == "Phase(name='phase', blocks=(Block(activity=Activity(kind='sleep'), epochs=5),), epochs=20)"
    )


def test_rows_of_kinds_of_sleep():
    train = Activity.train("T2")
    shown = Activity.sleep(patterns=7, selective=True)
    rows = rows_of(phase(train, CUED, shown, Activity.UNIFORM_SLEEP, keep_patterns=9, selective=True), P)
    assert rows.asleep.tolist() == [False, True, True, True]
    assert rows.rate_weights[:, :2].tolist() == [[0.0, 0.0], [0.8, 0.2], [1.0, 1.0], [1.0, 1.0]]
    assert (rows.shown.tolist(), rows.kept.tolist()) == ([0, 0, 7, 0], [1, -1, -1, -1])
    assert rows.selective.all()
    rows = rows_of(phase(train, CUED), P)
    assert (rows.kept.tolist(), rows.selective.tolist()) == ([-1, -1], [False, False])


def test_patterns_are_kept_in_all_training_up_to_the_last_sleep_that_shows_them():
    train_1, train_2, test = (phase(make(1)) for make in (Activity.train, Activity.train, Activity.test))
    few, many = phase(Activity.sleep(patterns=5)), phase(Activity.train(2), Activity.sleep(patterns=50))
    steps = ["something else", train_1, few, test, many, train_2]
    found = keeping_patterns(steps)
    assert [getattr(step, "keep_patterns", None) for step in found] == [None, 50, 0, 0, 50, 0]
    assert found[0] == "something else" and keeping_patterns([train_1, test]) == [train_1, test]
    selective = phase(Activity.sleep(patterns=5, selective=True))
    assert keeping_patterns([train_1, selective])[0].selective is True
    with pytest.raises(
        ValueError, match="^sleep: patterns with and without selective given, allowed is one of them in a protocol$"
    ):
        keeping_patterns([train_1, few, selective])


# ------------------------------------------------------------------------------------------------------- patterns in a state


@pytest.fixture
def state():
    """Of each task six patterns were kept; pattern n of Task k has the cell n + 10 k, the rest is silent."""
    state = initial_state(P, 1)
    state.patterns, state.task_epochs[:2], state.patterns_kept[:2] = np.zeros((4, *state.task_spikes.shape), np.bool_), 7, (6, 3)
    for task, kept in enumerate((6, 3)):
        for n in range(max(0, kept - 4), kept):
            state.patterns[n % 4, task, n + 10 * task] = True
    return state


def cells(state, task):
    """The cells of the patterns of a task, the latest first."""
    n, kept = len(state.patterns), state.patterns_kept[task]
    return [np.flatnonzero(state.patterns[(kept - 1 - back) % n, task]).tolist() for back in range(min(kept, n))]


def test_the_fixture(state):
    assert (cells(state, 0), cells(state, 1)) == ([[5], [4], [3], [2]], [[12], [11], [10]])


def test_training_begins_its_own_patterns_anew_and_leaves_those_of_other_tasks(state):
    begun = begin_phase(state, phase(Activity.train(1), keep_patterns=4), P)
    assert (cells(begun, 0), cells(begun, 1)) == ([], [[12], [11], [10]])
    assert begun.patterns[:, 0].sum() == 0
    assert (cells(state, 0), cells(state, 1)) == ([[5], [4], [3], [2]], [[12], [11], [10]])
    begun = begin_phase(state, phase(Activity.train(2)), P)
    assert (cells(begun, 0), cells(begun, 1)) == ([[5], [4], [3], [2]], [])
    assert begin_phase(state, phase(Activity.SLEEP), P).patterns_kept.tolist() == state.patterns_kept.tolist()


@pytest.mark.parametrize(("room", "left"), [(2, [[5], [4]]), (3, [[5], [4], [3]]), (9, [[5], [4], [3], [2]])])
def test_with_other_room_the_latest_patterns_stay(state, room, left):
    begun = begin_phase(state, phase(Activity.train(2), keep_patterns=room), P)
    assert begun.patterns.shape == (room, *state.task_spikes.shape)
    assert (cells(begun, 0), cells(begun, 1)) == (left, [])


def test_patterns_of_another_kind_begin_anew(state):
    begun = begin_phase(state, phase(Activity.train(2), keep_patterns=4, selective=True), P)
    assert begun.patterns_selective is True
    assert not begun.patterns.any() and not begun.patterns_kept.any()


def test_patterns_are_overwritten_in_turn():
    patterns, kept = np.zeros((3, 2, 5), np.bool_), np.zeros(2, np.int64)
    for n in range(5):
        rule.keep_pattern(patterns, kept, 1, np.where(np.arange(5) == n, 2, 0))
    assert kept.tolist() == [0, 5]
    assert [np.flatnonzero(each).tolist() for each in patterns[:, 1]] == [[3], [4], [2]]
    assert not patterns[:, 0].any()


def test_patterns_are_drawn_by_weight_and_evenly_among_the_latest(state):
    from foraging_snn.environments import Stream, stream_key

    counts = np.zeros((4, 2))
    weights = np.zeros(len(state.patterns_kept))
    weights[:2] = 1.0, 3.0
    for epoch in range(4000):
        key = stream_key(1, Stream.SLEEP_PATTERN, epoch)
        counts[rule.draw_pattern(state.patterns, state.patterns_kept, weights, 3, key)] += 1
    assert counts.sum() == 4000
    assert counts[2, 0] == 0 and counts[3, 1] == 0  # the fourth latest of Task 1; none yet of Task 2
    assert counts[[3, 0, 1], 0] / 4000 == pytest.approx([1 / 12] * 3, abs=0.02)
    assert counts[:3, 1] / 4000 == pytest.approx([1 / 4] * 3, abs=0.03)


def test_tasks_without_patterns_or_weight_are_not_drawn(state):
    n = len(state.patterns_kept)
    draws = [rule.draw_pattern(state.patterns, state.patterns_kept, np.eye(n)[1], 9, np.uint64(key)) for key in range(50)]
    assert {slot for _, slot in draws} == {1}
    assert rule.draw_pattern(state.patterns, np.zeros(n, np.int64), np.ones(n), 9, np.uint64(1)) == (-1, -1)
    assert rule.draw_pattern(state.patterns, state.patterns_kept, np.zeros(n), 9, np.uint64(1)) == (-1, -1)


def test_sleep_that_has_nothing_to_show_is_refused(state):
    fresh, shows = initial_state(P, 1), phase(Activity.sleep(patterns=5))
    assert missing_patterns(fresh, shows) == ""  # nothing was trained: no cell is activated
    fresh.task_epochs[0] = 3
    assert missing_patterns(fresh, shows) == (
        "sleep(patterns=5) shows patterns of training, but no training before it kept any (Phase.keep_patterns)"
    )
    assert missing_patterns(state, shows) == ""
    assert missing_patterns(state, phase(Activity.sleep(patterns=5, selective=True))) == (
        "sleep(patterns=5,selective) shows other patterns than were kept, which are those of all epochs (Phase.selective)"
    )
    with engine_class("event")(P) as engine, pytest.raises(EngineError, match=r"^phase phase: sleep\(patterns=5\) shows patterns"):
        engine.run(fresh, shows)


def test_sleep_shows_exactly_the_cells_of_one_pattern(state):
    shows = phase(Activity.sleep(patterns=4, cue={"T1": 1.0}))
    with engine_class("event")(P) as engine:
        for _ in range(8):
            before, (state, _) = state, engine.run(state, shows, epochs=1)
            state.phase_epoch = 0
            fired = state.recent_cell[(state.recent_cell >= P.n_input) & (state.recent_cell < P.n_input + 20)] - P.n_input
            assert sorted(fired.tolist()) in [[2], [3], [4], [5]]
            np.testing.assert_array_equal(state.patterns, before.patterns)

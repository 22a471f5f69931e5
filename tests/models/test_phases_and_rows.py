"""Activities, blocks and phases, and the rows of numbers that the engines get for them."""

import pickle
from itertools import cycle, islice

import numpy as np
import pytest

from foraging_snn.environments import PAPER_PARTICLES, PARTICLES, TASKS, Outcome, Particle, Task
from foraging_snn.models import (
    Activity,
    Block,
    ParameterError,
    Phase,
    activity_named,
    all_activities,
    preset,
    rows_of,
    unsupervised_particles,
)

CORNER = Particle("corner", ((0, 0), (1, 0), (1, 1)))
OWN = Task("T7", rewarded=("vertical", CORNER), punished=("horizontal",))
PAPER_TASKS = tuple(TASKS.values())[:2]
TRAIN_1, TRAIN_2, TEST_2 = Activity.train("T1"), Activity.train("T2"), Activity.test("T2")
PARAMETERS = preset("full")


def phase_of(*blocks, epochs=30):
    return Phase("phase", tuple(Block(*block) for block in blocks), epochs)


# -------------------------------------------------------------------------------------------------------- activities


def test_names_of_activities_are_those_that_trial_files_have_always_had():
    names = ["unsupervised", "train-task1", "train-task2", "test-task1", "test-task2", "sleep", "uniform-sleep"]
    activities = all_activities(PAPER_TASKS)
    assert [activity.name for activity in activities] == names
    flags = [(a.is_sleep, a.is_test, a.task and a.task.name, a.trained_task and a.trained_task.name) for a in activities]
    assert flags == [
        (False, False, None, None),
        (False, False, "T1", "T1"),
        (False, False, "T2", "T2"),
        (False, True, "T1", None),
        (False, True, "T2", None),
        (True, False, None, None),
        (True, False, None, None),
    ]


def test_activities_of_a_further_task_need_nothing_but_the_task():
    train, test = Activity.train(OWN), Activity.test(TASKS["T3"])
    assert (train.name, test.name) == ("train-T7", "test-T3")
    assert train in all_activities([OWN]) and test in all_activities() and len(all_activities()) == 15
    assert train.particle_types == (PARTICLES["vertical"], CORNER, PARTICLES["horizontal"])
    assert "(1, 1)" in repr(train) and "corner" in repr(train)  # all that it is, also for the keys of ledgers


def test_every_activity_is_found_by_its_name():
    parameters = PARAMETERS.with_tasks(OWN)
    other = Activity.unsupervised((PARTICLES["horizontal"], PARTICLES["steep rise"], CORNER))
    assert other.name == "unsupervised-horizontal+steep.rise+corner"
    for activity in (*all_activities(parameters.tasks.values()), other):
        assert activity_named(activity.name, parameters) == activity
    for wrong in ("train-T7", "unsupervised-corner", "unsupervised-", "dream"):
        with pytest.raises(ValueError, match=f"^activity '{wrong}' is not known here, only unsupervised, train-task1, "):
            activity_named(wrong, PARAMETERS)


# --------------------------------------------------------------------------------------- the world of the unsupervised phase


def test_the_types_of_the_paper_and_of_the_tasks_grow_in_the_unsupervised_phase():
    parameters = PARAMETERS.with_tasks(OWN)
    assert unsupervised_particles(parameters) == PAPER_PARTICLES == unsupervised_particles(parameters, PAPER_TASKS)
    six = (*PAPER_PARTICLES, PARTICLES["shallow rise"], PARTICLES["steep fall"])
    assert unsupervised_particles(parameters, [TASKS["T5"], TASKS["T1"]]) == six
    assert unsupervised_particles(parameters, [OWN]) == (*PAPER_PARTICLES, CORNER)
    assert unsupervised_particles(PARAMETERS, TASKS.values()) == tuple(PARTICLES.values())
    chosen = parameters.with_changes({"phases.unsupervised_types": ("corner", "horizontal")})
    assert unsupervised_particles(chosen, [TASKS["T5"]]) == (PARTICLES["horizontal"], CORNER)


def test_a_world_too_small_for_so_many_types_is_refused_in_one_line():
    small = PARAMETERS.with_changes({"world.size": 12})
    with pytest.raises(ParameterError) as error:
        unsupervised_particles(small, TASKS.values())
    assert str(error.value) == (
        "world.density 0.1 means 1 particles of each of 12 types, which cover 0.167 of 12 x 12 squares; at most 0.15 can be "
        "covered: choose a larger size or a smaller density. (unsupervised phase)"
    )


def test_equal_activities_are_equal_also_after_a_journey_to_another_process():
    assert Activity.train(1) == Activity.train("T1") == Activity.train(TASKS["T1"]) == pickle.loads(pickle.dumps(TRAIN_1))
    assert len({Activity.train(1), TRAIN_1, Activity.test(1)}) == 2
    phase = phase_of((TRAIN_1, 2), (Activity.SLEEP, 3))
    phase.schedule(range(9))
    assert pickle.loads(pickle.dumps(phase)) == phase == phase_of((TRAIN_1, 2), (Activity.SLEEP, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Activity("dream"), "^activity: kind 'dream' given, allowed are unsupervised, train, test, sleep$"),
        (lambda: Activity("train"), "^activity: task None given, allowed is a Task to train or to test, else none$"),
        (lambda: Activity("train", "T1"), "^activity: task 'T1' given, allowed is a Task to train or to test, else none$"),
        (lambda: Activity("sleep", TASKS["T1"]), r"^activity: task Task\(.*\) given, allowed is a Task to train or"),
        (
            lambda: Activity("unsupervised", None, True, PAPER_PARTICLES),
            "^activity: uniform True given, allowed are True or False in sleep",
        ),
        (lambda: Activity("sleep", uniform="very"), "^activity: uniform 'very' given, allowed are True or False in sleep"),
        (lambda: Activity.train("T7"), "^task: 'T7' given, allowed are T1, T2, T3, T4, T5, T6 or their numbers 1 to 6$"),
        (
            lambda: Activity("unsupervised"),
            r"^activity: particles \(\) given, allowed are some in the unsupervised phase, else none$",
        ),
        (
            lambda: Activity("sleep", particles=(CORNER,)),
            r"^activity: particles \(.* given, allowed are some in the unsupervised phase",
        ),
        (
            lambda: Activity.unsupervised(["corner"]),
            r"^activity: particles \('corner',\) given, allowed is a tuple of different Particle$",
        ),
        (
            lambda: Activity.unsupervised([CORNER] * 2),
            r"^activity: particles \(.* given, allowed is a tuple of different Particle$",
        ),
        (lambda: Block("train-task1", 100), "^block: activity 'train-task1' given, allowed is an Activity such as"),
        (lambda: Block(TRAIN_1, 0), "^block of train-task1: 0 epochs given, allowed is a whole number from 1$"),
        (lambda: Block(TRAIN_1, 1.5), "^block of train-task1: 1.5 epochs given, allowed is a whole number from 1$"),
        (lambda: Block(TRAIN_1, True), "^block of train-task1: True epochs given, allowed is a whole number from 1$"),
        (lambda: Block(TRAIN_1, "9"), "^block of train-task1: '9' epochs given, allowed is a whole number from 1$"),
        (lambda: Phase("T1", (), 10), r"^phase T1: blocks \(\) given, allowed is a tuple of one or more Block$"),
        (lambda: Phase("T1", Block(TRAIN_1, 9), 10), r"^phase T1: blocks Block\(.*\) given, allowed is a tuple of one"),
        (lambda: Phase("T1", ((TRAIN_1, 9),), 10), r"^phase T1: blocks \(\(.*\) given, allowed is a tuple of one"),
        (lambda: Phase("T1", (Block(TRAIN_1, 9),), 0), "^phase T1: 0 epochs given, allowed is a whole number from 1$"),
        (lambda: Phase("T1", (Block(TRAIN_1, 9),), 2.0), "^phase T1: 2.0 epochs given, allowed is a whole number from 1$"),
        (lambda: Phase("T1", (Block(TRAIN_1, 9),), 2, 1.0), "^phase T1: freeze fraction 1.0 given, allowed is 0 <= p < 1$"),
    ],
)
def test_what_cannot_be_is_refused_at_once_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert len(str(error.value).splitlines()) == 1


# ---------------------------------------------------------------------------------------------------------- schedule


@pytest.mark.parametrize("lengths", [(3, 5), (1, 1), (4, 1, 2), (2, 3, 1, 5), (1, 1, 1, 1, 1)])
def test_blocks_take_turns(lengths):
    activities = (Activity.SLEEP, TRAIN_1, TEST_2, Activity.UNSUPERVISED, TRAIN_2)[: len(lengths)]
    phase = phase_of(*zip(activities, lengths, strict=True), epochs=200)
    turns = ((block, k == 0) for block, length in cycle(enumerate(lengths)) for k in range(length))
    expected = list(islice(turns, 200))
    block, begins = phase.schedule(range(200))
    assert list(zip(block.tolist(), begins.tolist(), strict=True)) == expected
    late, late_begins = phase.schedule(np.arange(150, 200))
    assert (late.tolist(), late_begins.tolist()) == (block[150:].tolist(), begins[150:].tolist())
    assert [phase.block_at(epoch) for epoch in range(200)] == [(activities[b], first) for b, first in expected]
    np.testing.assert_array_equal(phase.awake(range(200)), [activities[b] != Activity.SLEEP for b, _ in expected])


def test_a_phase_of_one_block_begins_once():
    block, begins = phase_of((TRAIN_1, 3), epochs=9).schedule(range(9))
    assert (block.tolist(), begins.tolist()) == ([0] * 9, [True] + [False] * 8)


# -------------------------------------------------------------------------------------------------------------- rows


def test_rows_say_what_the_activities_of_the_paper_mean():
    rows = rows_of(phase_of(*((activity, 1) for activity in all_activities(PAPER_TASKS))), PARAMETERS)
    assert rows.plastic.tolist() == [True, True, True, False, False, True, True]
    assert rows.asleep.tolist() == [False, False, False, False, False, True, True]
    assert rows.uniform.tolist() == [False, False, False, False, False, False, True]
    assert rows.counted.tolist() == [-1, 0, 1, -1, -1, -1, -1]
    assert rows.rate_weights.tolist() == [[0.0] * 6] * 5 + [[1.0] * 6] * 2
    none, task_1, task_2 = [0, 3, 3, 3, 3], [0, 1, 3, 3, 2], [0, 3, 1, 2, 3]
    assert rows.outcome[:, :5].tolist() == [none, task_1, task_2, task_1, task_2, none, none]
    assert (rows.outcome[:, 5:] == Outcome.OTHER).all()
    in_1, in_2 = [False, True, False, False, True], [False, False, True, True, False]
    assert rows.present[:, :5].tolist() == [[False, True, True, True, True], in_1, in_2, in_1, in_2, [False] * 5, [False] * 5]
    assert not rows.present[:, 5:].any()
    assert rows.per_type.tolist() == [32, 63, 63, 63, 63, 0, 0]  # ceil(0.1 * 2500 / 2 / types)
    assert rows.squares.tolist() == [0] + [2] * 12
    assert rows.offsets[:5, 1].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [1, -1]]
    assert not rows.offsets[:, 0].any()


def test_a_task_with_several_types_and_another_slot_is_a_row_like_the_others():
    parameters = PARAMETERS.with_tasks(OWN)
    blocks = (Activity.SLEEP, Activity.train(OWN), TRAIN_1, Activity.unsupervised([CORNER, PARTICLES["vertical"]]))
    rows = rows_of(phase_of(*((activity, 1) for activity in blocks)), parameters)
    assert rows.counted.tolist() == [-1, 6, 0, -1]
    assert rows.rate_weights.tolist() == [[1.0] * 7, *([0.0] * 7,) * 3]
    outcome = np.full(14, Outcome.OTHER)
    outcome[[0, 1, 2, 13]] = Outcome.NOTHING, Outcome.PUNISHED, Outcome.REWARDED, Outcome.REWARDED
    assert rows.outcome[1].tolist() == outcome.tolist()
    assert [np.flatnonzero(row).tolist() for row in rows.present] == [[], [1, 2, 13], [1, 4], [2, 13]]
    assert rows.per_type.tolist() == [0, 36, 63, 50]  # ceil(0.1 * 2500 / squares)
    assert rows.offsets.shape == (14, 3, 2) and rows.offsets[13].tolist() == [[0, 0], [1, 0], [1, 1]]
    types = [array.dtype for array in rows]
    of_sleep = [np.bool_, np.int64, np.int64, np.bool_]
    assert types == [np.bool_, np.bool_, np.float64, *of_sleep, np.int64, np.int8, np.bool_, *[np.int64] * 3]


def test_rows_of_what_is_not_in_the_tables_of_the_parameters_are_refused_in_one_line():
    with pytest.raises(ParameterError, match="^task T7: not in the table of tasks, which holds T1, T2, T3, T4, T5, T6$"):
        rows_of(phase_of((Activity.train(OWN), 1)), PARAMETERS)
    with pytest.raises(
        ParameterError, match=r"^particles.corner: with the squares .* not in the table of types, which holds horizont"
    ):
        rows_of(phase_of((Activity.unsupervised([CORNER]), 1)), PARAMETERS)
    reversed_1 = Task("T1", rewarded=("negative diagonal",), punished=("horizontal",))
    with pytest.raises(ParameterError, match="^task T1: not in the table of tasks, which holds T1, "):
        rows_of(phase_of((TRAIN_1, 1)), PARAMETERS.with_tasks(reversed_1))

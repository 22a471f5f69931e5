"""Effects: what a few trials show, each by the interval of its own tests."""

import pytest

from foraging_snn.analysis.effects import Proportion, effects
from foraging_snn.analysis.statistics import Interval
from foraging_snn.files.reader import TestResult


class Tested:
    """Stands for a trial of which only the tests matter.

    Parameters
    ----------
    tests : mapping of (phase before, task) to (rewarded, punished)
    """

    def __init__(self, tests):
        self._tests = tests

    def test_results(self):
        return [
            TestResult(index, after, task, rewarded, punished, rewarded / (rewarded + punished), True)
            for index, ((after, task), (rewarded, punished)) in enumerate(self._tests.items())
        ]


def test_the_interval_is_wilsons():
    interval = Proportion(8, 2).interval
    assert (interval.low, interval.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Proportion(8, 2).value == 0.8
    assert str(Proportion(8, 2)) == "0.800 (0.490 to 0.943)"
    assert Proportion(0, 0).interval == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("eaten", "shown"),
    [
        ([(600, 400), (600, 400)], True),
        ([(600, 400), (6, 4)], False),  # in the second trial chance lies within the interval
        ([(6000, 4000), (499, 501)], False),  # together they would lie far above chance
    ],
)
def test_learning_is_above_chance_in_every_trial(eaten, shown):
    (effect,) = effects({"task1": [Tested({("T1", 1): counts}) for counts in eaten]})
    assert (effect.text, effect.shown) == ("learns", shown)
    assert [(test.trial, test.proportion) for test in effect.tests] == [(k + 1, Proportion(*eaten[k])) for k in (0, 1)]


SHOWN = {"after_t2": (500, 500), "after_sleep": (700, 300), "new": (700, 300)}


@pytest.mark.parametrize(
    ("second_trial", "shown"),
    [
        ({}, [True, True, True]),
        ({"after_t2": (690, 310)}, [True, False, False]),  # nothing was forgotten
        ({"after_sleep": (520, 480)}, [True, True, False]),  # Task 1 was not kept
        ({"new": (500, 500)}, [True, True, False]),  # Task 2 was not learned
    ],
)
def test_what_one_of_two_trials_does_not_show_is_not_shown(second_trial, shown):
    after_t1 = {("T1", 1): (700, 300)}
    tests = [SHOWN, SHOWN | second_trial]
    trials = {
        "sequential": [Tested(after_t1 | {("T2", 1): test["after_t2"]}) for test in tests],
        "sleep": [Tested(after_t1 | {("I(S,T2)", 1): test["after_sleep"], ("I(S,T2)", 2): test["new"]}) for test in tests],
    }
    found = effects(trials)
    assert [effect.shown for effect in found] == shown
    assert [str(test).partition(":")[0] for test in found[2].tests[:4]] == [
        "trial 1, Task 1 after I(S,T2)",
        "trial 1, Task 1 after T2",
        "trial 1, Task 2 after I(S,T2)",
        "trial 2, Task 1 after I(S,T2)",
    ]


def test_a_test_that_was_not_made_is_named():
    with pytest.raises(ValueError, match="no test of Task 1 after T1"):
        effects({"task1": [Tested({})]})

"""Which tests of the network are compared with which: the paper's claims as differences, each with its statistics.

Everything that is compared is listed here; how, is in statistics.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foraging_snn.analysis.statistics import Difference, compare_paired, compare_unpaired
from foraging_snn.files.reader import Trial


@dataclass(frozen=True)
class Test:
    """A test of the network in one experiment.

    Attributes
    ----------
    experiment : str
        Name in the catalogue.
    after : str
        The phase before the test, e.g. "I(S,T2)".
    """

    __test__ = False  # not one of pytest's

    experiment: str
    after: str

    def __str__(self) -> str:
        return f"{self.experiment} after {self.after}"


@dataclass(frozen=True)
class Question:
    """Two tests whose performances are compared, on each task: `first` minus `second`.

    Attributes
    ----------
    asked : str
        What the difference tells. Of questions with the same words, only the first for which there are trials is answered.
    first, second : Test
    """

    asked: str
    first: Test
    second: Test


T1, T2 = "T1", "T2"
SLEEP_T1, SLEEP_T2, TASKS_TOGETHER = "I(S,T1)", "I(S,T2)", "I(T1,T2)"
SEQUENTIAL, INTERLEAVED = Test("sequential", T2), Test("interleaved", TASKS_TOGETHER)
SLEEP, UNIFORM_SLEEP = Test("sleep", SLEEP_T2), Test("uniform-sleep", "I(uniform S,T2)")
AFTER_BOTH = Test("sequential-sleep", SLEEP_T1), Test("sequential-interleaved", TASKS_TOGETHER)
FREEZING = {percent: Test(f"freeze-{percent}", T2) for percent in (1, 5, 10)}


def _during(asked: str, test: Test, before: str) -> Question:
    """What a phase changed."""
    return Question(asked, test, Test(test.experiment, before))


QUESTIONS = (
    # what the last phase of an experiment changed, in the same trials
    _during("change by training Task 2 alone", SEQUENTIAL, T1),
    _during("change by training Task 2 alone", Test("sequential-sleep", T2), T1),  # where there is no "sequential"
    _during("change by training Task 2 alone", Test("sequential-interleaved", T2), T1),
    _during("change by both tasks interleaved", INTERLEAVED, T1),
    _during("change by Task 2 interleaved with sleep", SLEEP, T1),
    _during("change by Task 2 interleaved with uniform sleep", UNIFORM_SLEEP, T1),
    _during("change by sleep interleaved with Task 1", Test("task1-sleep", SLEEP_T1), T1),
    _during("change by sleep after forgetting", AFTER_BOTH[0], T2),
    _during("change by both tasks after forgetting", AFTER_BOTH[1], T2),
    *(_during(f"change by training Task 2 with {percent} % frozen", test, T1) for percent, test in FREEZING.items()),
    # one protocol against another
    Question("sleep against none", SLEEP, SEQUENTIAL),
    Question("both tasks against the new one alone", INTERLEAVED, SEQUENTIAL),
    Question("sleep against both tasks", SLEEP, INTERLEAVED),
    Question("sleep against both tasks, after forgetting", *AFTER_BOTH),
    Question("replay of the old task against uniform sleep", SLEEP, UNIFORM_SLEEP),
    *(Question(f"{percent} % frozen against none", test, SEQUENTIAL) for percent, test in FREEZING.items()),
)


@dataclass(frozen=True)
class Comparison:
    """The answer to a question on one task.

    Attributes
    ----------
    asked : str
    task : int
        1 or 2.
    first, second : Test
    difference : Difference
        Of performance, `first` minus `second`.
    """

    asked: str
    task: int
    first: Test
    second: Test
    difference: Difference


def comparisons(groups: Mapping[str, Sequence[Trial]]) -> tuple[Comparison, ...]:
    """Answers to all questions for which there are trials.

    Parameters
    ----------
    groups : mapping from the name of an experiment to its complete trials

    Returns
    -------
    tuple of Comparison
        Of performance; paired by seed where the two experiments begin with the same phase, so that trials of one seed share a
        network and a training, and have seeds in common.
    """
    measured = _performances(groups)
    answers: dict[str, list[Comparison]] = {}
    for question in QUESTIONS:
        answers[question.asked] = answers.get(question.asked) or _answers(question, groups, measured)
    return tuple(comparison for answered in answers.values() for comparison in answered)


Performances = dict[tuple[Test, int], dict[int, float]]  # by test and task, then by seed


def _performances(groups: Mapping[str, Sequence[Trial]]) -> Performances:
    found: Performances = {}
    for name, trials in groups.items():
        for trial in trials:
            for result in trial.test_results():
                found.setdefault((Test(name, result.after), result.task), {})[trial.seed] = result.performance
    return found


def _answers(question: Question, groups: Mapping[str, Sequence[Trial]], measured: Performances) -> list[Comparison]:
    found = []
    for task in (1, 2):
        first, second = measured.get((question.first, task)), measured.get((question.second, task))
        if first and second:
            one, other = (groups[test.experiment][0] for test in (question.first, question.second))
            begin_alike = one.phases[0].phase == other.phases[0].phase
            difference = _difference(first, second, begin_alike)
            found.append(Comparison(question.asked, task, question.first, question.second, difference))
    return found


def _difference(first: Mapping[int, float], second: Mapping[int, float], begin_alike: bool) -> Difference:
    seeds = sorted(first.keys() & second.keys()) if begin_alike else []
    if not seeds:
        return compare_unpaired(list(first.values()), list(second.values()))
    return compare_paired([first[seed] for seed in seeds], [second[seed] for seed in seeds])

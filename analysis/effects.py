"""What the tests of a few trials show, trial by trial: learning, forgetting, and memory with sleep.

A trial is one observation. How exactly a test measured the performance of its network, the particles eaten in it say; how
networks differ they do not, and two trials hardly: so nothing is pooled here, and an effect counts if every trial has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foraging_snn.analysis.statistics import CHANCE, CONFIDENCE, Interval
from foraging_snn.files.reader import Trial


@dataclass(frozen=True)
class Proportion:
    """Performance in one test of one trial: rewarded particles among those eaten, with a binomial interval."""

    rewarded: int
    punished: int

    @property
    def value(self) -> float:
        """Rewarded / (rewarded + punished); NaN if nothing was eaten."""
        n = self.rewarded + self.punished
        return self.rewarded / n if n else float("nan")

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval, each particle counted as an independent draw of this network; 0 to 1 if nothing was eaten."""
        from scipy.stats import binomtest  # takes a second to import

        n = self.rewarded + self.punished
        if n == 0:
            return Interval(0.0, 1.0)
        low, high = binomtest(self.rewarded, n).proportion_ci(CONFIDENCE, method="wilson")
        return Interval(float(low), float(high))

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.interval.low:.3f} to {self.interval.high:.3f})"


def proportion(trial: Trial, after: str, task: int) -> Proportion:
    """Performance of a trial in the test of a task that followed a phase.

    Parameters
    ----------
    trial : Trial
    after : str
        Name of the phase, e.g. "I(S,T2)".
    task : int

    Raises
    ------
    ValueError
        There was no such test.
    """
    for test in trial.test_results():
        if (test.after, test.task) == (after, task):
            return Proportion(test.rewarded, test.punished)
    raise ValueError(f"no test of Task {task} after {after}")


@dataclass(frozen=True)
class Measured:
    """A test on which an effect rests.

    Attributes
    ----------
    trial : int
        Number of the trial, from 1.
    after : str
        The phase before the test.
    task : int
    proportion : Proportion
    """

    trial: int
    after: str
    task: int
    proportion: Proportion

    def __str__(self) -> str:
        return f"trial {self.trial}, Task {self.task} after {self.after}: {self.proportion}"


@dataclass(frozen=True)
class Effect:
    """Something that trials may show.

    Attributes
    ----------
    text : str
        What the network does, e.g. "learns".
    shown : bool
        In every trial.
    tests : tuple of Measured
        Those that decide it, trial by trial.
    """

    text: str
    shown: bool
    tests: tuple[Measured, ...]


def effects(trials: Mapping[str, Sequence[Trial]]) -> list[Effect]:
    """What the trials show, each of them.

    Parameters
    ----------
    trials : mapping from the name of an experiment to its trials, by seed; the same seeds for each

    Returns
    -------
    list of Effect
        Learning: after T1 the interval of Task 1 lies above chance. With the experiments "sequential" and "sleep" also
        forgetting: Task 1 is worse after T2 than after T1; and memory: after I(S,T2) it is better than in the trial of the same
        seed after T2, and Task 2 lies above chance. "Worse" and "better": the intervals do not overlap. Shown is what holds in
        every trial.
    """
    first = next(iter(trials.values()))
    after_t1 = _measured(first, "T1", 1)
    found = [Effect("learns", all(map(_above_chance, after_t1)), after_t1)]
    if {"sequential", "sleep"} <= set(trials):
        before, forgotten = _measured(trials["sequential"], "T1", 1), _measured(trials["sequential"], "T2", 1)
        kept, new = (_measured(trials["sleep"], "I(S,T2)", task) for task in (1, 2))
        worse = all(map(_better, before, forgotten))
        found.append(Effect("forgets Task 1 when Task 2 is trained after it", worse, _trial_by_trial(before, forgotten)))
        memory = all(map(_better, kept, forgotten)) and all(map(_above_chance, new))
        tests = _trial_by_trial(kept, forgotten, new)
        found.append(Effect("keeps Task 1 and learns Task 2 when sleep is interleaved", memory, tests))
    return found


def _measured(trials: Sequence[Trial], after: str, task: int) -> tuple[Measured, ...]:
    return tuple(Measured(k, after, task, proportion(trial, after, task)) for k, trial in enumerate(trials, start=1))


def _trial_by_trial(*groups: tuple[Measured, ...]) -> tuple[Measured, ...]:
    return tuple(test for of_trial in zip(*groups, strict=True) for test in of_trial)


def _above_chance(test: Measured) -> bool:
    return test.proportion.interval.low > CHANCE


def _better(test: Measured, other: Measured) -> bool:
    return test.proportion.interval.low > other.proportion.interval.high

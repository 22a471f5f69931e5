"""The stability gap: how a task learned before fares while a phase goes on, by tests during the phase that leave no trace.

After De Lange, van de Ven & Tuytelaars, ICLR 2023 (arXiv:2205.13452): what is forgotten and comes back later, tests between
phases do not see. Pure functions of what trials have recorded; nothing is drawn here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foraging_snn.files.networks import learning_phases
from foraging_snn.files.reader import Trial

RECOVERED = 0.95  # of the performance at the start of the phase
NOISE_DRAWS, NOISE_SEED = 2000, 2022


@dataclass(frozen=True)
class Gap:
    """A task learned before, in a phase of a trial; n tests.

    Attributes
    ----------
    phase : str
    task : int
        Number of the task.
    epoch : (n,) int64
        Of the phase; the first is 0, the last its length.
    performance, error : (n,) float64
        Performance in the tests, and its standard errors.
    """

    phase: str
    task: int
    epoch: np.ndarray
    performance: np.ndarray
    error: np.ndarray

    @property
    def before(self) -> float:
        """Performance at the start of the phase."""
        return float(self.performance[0])

    @property
    def worst(self) -> float:
        """The lowest performance; NaN if nothing was eaten in a test."""
        return float(self.performance.min())

    @property
    def after(self) -> float:
        """Performance at the end of the phase."""
        return float(self.performance[-1])

    @property
    def worst_of_noise(self) -> float:
        """What the lowest would be on average if performance stayed as it was at the start, by the errors of the tests alone."""
        noise = np.random.default_rng(NOISE_SEED).standard_normal((NOISE_DRAWS, len(self.error)))
        return self.before + float((noise * self.error).min(axis=1).mean())

    @property
    def recovery(self) -> float:
        """Epochs of the phase until performance is back, after its lowest, at the share `RECOVERED` of what it was at the start.

        0 if it never was below that, NaN if it does not come back.
        """
        enough = self.performance >= RECOVERED * self.before
        if enough.all():
            return 0.0
        later = np.flatnonzero(enough & (np.arange(len(enough)) > int(self.performance.argmin())))
        return float(self.epoch[later[0]]) if len(later) else float("nan")


def gaps(trial: Trial) -> list[Gap]:
    """All tasks learned before, in all complete phases that learn; by phase, then task.

    Raises
    ------
    RecordingError
        It was not tested during phases.
    """
    found, before = [], set()
    for recorded in learning_phases(trial):
        tests = trial.phase_tests(recorded.index)
        tasks = set(tests.task.tolist())
        for task in sorted(tasks & before) if recorded.complete else ():
            chosen = tests.task == task
            epoch = tests.epoch[chosen] - recorded.first_epoch
            found.append(Gap(recorded.name, task, epoch, tests.performance[chosen], tests.performance_error[chosen]))
        before |= {trial.parameters.task_number(a.trained_task) for a in recorded.activities if a.trained_task}
    return found


def first_gaps(trials: Sequence[Trial]) -> list[Gap]:
    """Of each trial, how the task of the first phase that learns fares in the second one; none of trials without such phases."""
    return [found[0] for found in map(gaps, trials) if found]

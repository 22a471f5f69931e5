"""Trials of pretended engines that can be given to other processes, take as long as is asked for, and kill their process."""

import os
import signal
import time
from dataclasses import dataclass

from pretend_engine import PretendEngine
from pretend_trials import SMALL
from trial_contents import contents

from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.running.existing import prepare_output
from foraging_snn.running.plan import Plan, PlannedTrial, chosen_experiments
from foraging_snn.running.scheduling import run_all


class SlowEngine(PretendEngine):
    """Takes its time over every piece of a phase."""

    chunk_epochs = 20
    seconds = 0.0

    def _advance(self, epochs, spikes):
        time.sleep(self.seconds)
        return super()._advance(epochs, spikes)


@dataclass(frozen=True)
class PretendedTrial(PlannedTrial):
    """A trial of a plan, with a pretended engine.

    Attributes
    ----------
    seconds : float
        For each piece of 20 epochs.
    deaths : int
        It kills its process in T2 when it is begun for the first, second, ... time.
    """

    seconds: float = 0.0
    deaths: int = 0

    def new_engine(self):
        engine = SlowEngine(self.plan.parameters)
        engine.seconds = self.seconds
        return engine

    def run(self, listener):
        begin = listener.begin

        def begun(phase, recorded):
            begin(phase, recorded)
            if listener.attempt <= self.deaths and phase.name == "T2":
                os.kill(os.getpid(), signal.SIGKILL)

        listener.begin = begun
        super().run(listener)


def pretended_plan(directory, seeds, names="task1,sequential"):
    """Two experiments for some seeds."""
    rows = chosen_experiments(names, SMALL)
    return Plan(rows, SMALL, directory, seeds, "pretend", "a test", minutes=1.0)


def pretended_trials(plan, seconds=0.0, deaths=None):
    """Its trials; `deaths` by seed."""
    return [PretendedTrial(plan, seed, seconds=seconds, deaths=(deaths or {}).get(seed, 0)) for seed in plan.seeds]


def run_pretended(plan, workers, request=None, **options):
    """Run the trials of a plan; how they ended."""
    prepare_output(plan.all_paths)
    trials = pretended_trials(plan, **options)
    return run_all(trials, workers, ProgressDisplay(trials), plan.directory, request)


def assert_same_contents(paths, others):
    """Of files in their order."""
    for path, other in zip(paths, others, strict=True):
        here, there = contents(path), contents(other)
        assert len(here) > 30
        assert here == there

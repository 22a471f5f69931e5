"""What a run shows: numbers of the latest part, a bar on a terminal, plain lines elsewhere."""

import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from pretend_tasks import pretended_plan, pretended_trials
from rich.console import Console

from foraging_snn.commands.progress import LINE_SECONDS, ProgressDisplay, duration
from foraging_snn.environments import Outcome
from foraging_snn.models import Activity, Block, EpochRecords, Phase
from foraging_snn.running.scheduling import Channel, ParentProcess, Reporter, TrialReport

PHASE = Phase("T1", (Block(Activity.train("T1"), 100),), 10_000)


def epochs(n, rewarded=0, punished=0):
    outcome = np.zeros(n, np.int8)
    outcome[:rewarded], outcome[rewarded : rewarded + punished] = Outcome.REWARDED, Outcome.PUNISHED
    zeros = np.zeros(n, np.int32)
    return EpochRecords(0, np.ones(n, bool), zeros, zeros, outcome, zeros, zeros, zeros, zeros)


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def reporter(tmp_path):
    """What a trial reports; its latest report is in `reporter.report` once something was told."""
    channel = Channel(tmp_path, ParentProcess(os.getpid()))
    return Reporter(channel, 0, pretended_trials(pretended_plan(tmp_path, range(1, 2)))[0])


def performance(reporter):
    reporter._write()
    return reporter.channel.reports()[0].performance


def test_performance_is_that_of_the_last_20_aeons_of_the_phase(reporter):
    reporter.begin(PHASE, recorded=True)
    assert performance(reporter) is None
    reporter.epochs(epochs(500, rewarded=0, punished=10))
    assert performance(reporter) == 0.0
    for _ in range(3):
        reporter.epochs(epochs(500, rewarded=8, punished=2))
    assert performance(reporter) == pytest.approx(24 / 40)
    reporter.epochs(epochs(500, rewarded=8, punished=2))  # 2500 epochs: the first 500 are forgotten
    assert performance(reporter) == pytest.approx(32 / 40)
    reporter.begin(PHASE, recorded=False)
    assert performance(reporter) is None
    assert reporter.report.phase == "T1 (for its rates)"


def trials(n, n_epochs, n_files=1):
    """Stand for planned trials, of which only the lengths matter."""
    return [SimpleNamespace(epochs=n_epochs, parts=n_files) for _ in range(n)]


def shown_later(capsys, display, clock, seconds, reports):
    clock.now = seconds
    display.show(reports)
    return capsys.readouterr().out


def test_speed_and_time_left_do_not_count_what_was_computed_before(capsys, clock):
    display = ProgressDisplay(trials(1, 10_000), Console(file=io.StringIO()), clock)
    reports = [TrialReport(0, "seed 1", "task1", "T1", found=4000)]
    display.show(reports)
    reports[0].epochs = 3000
    line = "0/1 experiments, 0/1 trials  7000/10000 epochs  100/s  0:00:30 left  seed 1: task1 T1\n"
    assert shown_later(capsys, display, clock, 30, reports) == line


def test_speed_is_that_of_the_last_seconds(capsys, clock):
    display = ProgressDisplay(trials(1, 10_000), Console(file=io.StringIO()), clock)
    report = TrialReport(0, "seed 1", "task1", "T1")
    for now in range(1, 30):
        report.epochs += 10
        assert shown_later(capsys, display, clock, now, [report]) == ""
    for now in range(30, 61):
        report.epochs += 100
        shown = shown_later(capsys, display, clock, now, [report])
    assert "3390/10000 epochs  100/s" in shown


def test_durations():
    assert [duration(s) for s in (0.4, 59.6, 3599, 36_000)] == ["0:00:00", "0:01:00", "0:59:59", "10:00:00"]


REPORTS = [
    TrialReport(0, "seed 1", "sleep", "test T2", experiments_done=3, epochs=1000, running=False),
    TrialReport(1, "seed 2", "task2", "T2", experiments_done=1, epochs=200, performance=0.75),
]


def test_many_trials_without_a_terminal(capsys, clock):
    with ProgressDisplay(trials(4, 1000, 3), Console(file=io.StringIO()), clock) as display:
        display.show([TrialReport(1, "seed 2")])
        clock.now = LINE_SECONDS - 1
        display.show(REPORTS)
        assert capsys.readouterr().out == ""
        clock.now = LINE_SECONDS
        display.show(REPORTS)
        line = "4/12 experiments, 1/4 trials  1200/4000 epochs  40/s  0:01:10 left  seed 2: task2 T2  performance 0.75\n"
        assert capsys.readouterr().out == line
        display.show(REPORTS[:1], stopping=True, last=True)
    out = capsys.readouterr().out
    assert out.startswith("stopping; 3/12 experiments, 1/4 trials  1000/4000 epochs  ")
    assert out.removesuffix("\n").isprintable()


def test_what_is_not_as_it_should_be_is_said_once(capsys, clock):
    display = ProgressDisplay(trials(2, 1000), Console(file=io.StringIO()), clock)
    for _ in range(3):
        display.show([TrialReport(0, "seed 1", notes=["a.h5: damaged\x1b", "b.h5: damaged"])])
    assert capsys.readouterr().err == "foraging-snn: a.h5: damaged\\x1b\nforaging-snn: b.h5: damaged\n"


def test_many_trials_on_a_terminal_have_a_bar_each_while_they_run():
    screen = io.StringIO()
    with ProgressDisplay(trials(4, 1000, 3), Console(file=screen, force_terminal=True, width=160)) as display:
        display.show([TrialReport(0, "seed 1", "task1", "T1")])
        assert display._bars.tasks[1].description == "seed 1"
        display.show(REPORTS)
        descriptions = [(bar.description, bar.completed, bar.total) for bar in display._bars.tasks]
        assert descriptions == [("all", 1200, 4000), ("seed 2", 200, 1000)]
    for text in ("4/12 experiments, 1/4 trials", "task2 T2", "performance 0.75", "━"):
        assert text in screen.getvalue()


def test_a_trial_alone_has_one_bar_with_everything():
    screen = io.StringIO()
    with ProgressDisplay(trials(1, 10_000), Console(file=screen, force_terminal=True, width=160)) as display:
        display.show([TrialReport(0, "seed 1", "task1", "T1", epochs=500, performance=0.75)])
        assert [(bar.description, bar.completed, bar.total) for bar in display._bars.tasks] == [("seed 1", 500, 10_000)]
    for text in ("task1 T1", "500/10000 epochs", "performance 0.75", "━"):
        assert text in screen.getvalue()

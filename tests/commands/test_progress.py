"""What a run shows: numbers of the latest part, a bar on a terminal, plain lines elsewhere."""

import io
import math

import numpy as np
import pytest
from rich.console import Console

from foraging_snn.commands.progress import LINE_SECONDS, Board, TrialProgress, TrialsBoard, duration, numbers
from foraging_snn.environments import Outcome
from foraging_snn.models import Activity, Block, EpochRecords, Phase
from foraging_snn.running.scheduling import TrialReport

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
def trial(clock):
    return TrialProgress(10_000, epochs_per_aeon=100, show=lambda trial: None, clock=clock)


def test_performance_is_that_of_the_last_20_aeons_of_the_phase(trial):
    trial.begin(PHASE, recorded=True)
    assert math.isnan(trial.performance)
    trial.epochs(epochs(500, rewarded=0, punished=10))
    assert trial.performance == 0.0
    for _ in range(3):
        trial.epochs(epochs(500, rewarded=8, punished=2))
    assert trial.performance == pytest.approx(24 / 40)
    trial.epochs(epochs(500, rewarded=8, punished=2))  # 2500 epochs: the first 500 are forgotten
    assert trial.performance == pytest.approx(32 / 40)
    trial.begin(PHASE, recorded=True)
    assert math.isnan(trial.performance)


def test_speed_and_time_left(trial, clock):
    assert (trial.speed, trial.seconds_left) == (0.0, None)
    for clock.now in range(1, 6):
        trial.epochs(epochs(100))
    assert trial.speed == pytest.approx(100.0)
    assert trial.seconds_left == pytest.approx(95.0)


def test_speed_is_that_of_the_last_seconds(trial, clock):
    for clock.now in range(1, 31):
        trial.epochs(epochs(10))
    for clock.now in range(31, 61):
        trial.epochs(epochs(100))
    assert trial.speed == pytest.approx(100.0)


def test_the_line_of_numbers(trial, clock):
    trial.begin(PHASE, recorded=False)
    assert trial.phase == "T1 (for its rates)"
    assert numbers(trial) == "0/10000 epochs"
    clock.now = 2.0
    trial.epochs(epochs(500, rewarded=3, punished=1))
    assert numbers(trial) == "500/10000 epochs  250/s  performance 0.75  0:00:38 left"


def test_durations():
    assert [duration(s) for s in (0.4, 59.6, 3599, 36_000)] == ["0:00:00", "0:01:00", "0:59:59", "10:00:00"]


def test_without_a_terminal_lines_have_no_control_characters(capsys):
    with Board(100, Console(file=io.StringIO())) as board:
        trial = board.trial("trial 1/1", 400)
        trial.begin(PHASE, recorded=True)
        trial.epochs(epochs(100))
        trial.epochs(epochs(300, rewarded=1))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("trial 1/1  T1  400/400 epochs")
    assert line.endswith("performance 1.00")
    assert line.isprintable()


def test_a_terminal_shows_a_bar_for_each_trial():
    screen = io.StringIO()
    with Board(100, Console(file=screen, force_terminal=True, width=120)) as board:
        trials = [board.trial(f"trial {k}/2", 10_000) for k in (1, 2)]
        for trial in trials:
            trial.begin(PHASE, recorded=True)
            trial.epochs(epochs(500, rewarded=3, punished=1))
    shown = screen.getvalue()
    for text in ("trial 1/2", "trial 2/2", "T1", "500/10000 epochs", "performance 0.75", "━"):
        assert text in shown


REPORTS = [
    TrialReport(0, "seed 1", "sleep", "test T2", experiments_done=3, epochs=1000, running=False),
    TrialReport(1, "seed 2", "task2", "T2", experiments_done=1, epochs=200),
]


def test_many_trials_without_a_terminal(capsys, clock):
    with TrialsBoard(3, [1000] * 4, Console(file=io.StringIO()), clock) as board:
        board.show([TrialReport(1, "seed 2")])
        clock.now = LINE_SECONDS - 1
        board.show(REPORTS)
        assert capsys.readouterr().out == ""
        clock.now = LINE_SECONDS
        board.show(REPORTS)
        line = "4/12 experiments, 1/4 trials  1200/4000 epochs  40/s  0:01:10 left  seed 2: task2 T2\n"
        assert capsys.readouterr().out == line
        board.show(REPORTS[:1], stopping=True, last=True)
    assert capsys.readouterr().out.startswith("stopping; 3/12 experiments, 1/4 trials  1000/4000 epochs  ")


def test_many_trials_on_a_terminal_have_a_bar_each_while_they_run():
    screen = io.StringIO()
    with TrialsBoard(3, [1000] * 4, Console(file=screen, force_terminal=True, width=160)) as board:
        board.show([TrialReport(0, "seed 1", "task1", "T1")])
        assert board._bars.tasks[1].description == "seed 1"
        board.show(REPORTS)
        descriptions = [(bar.description, bar.completed, bar.total) for bar in board._bars.tasks]
        assert descriptions == [("all", 1200, 4000), ("seed 2", 200, 1000)]
    assert "4/12 experiments, 1/4 trials" in screen.getvalue()
    assert "task2 T2" in screen.getvalue()

"""The demo: one set of numbers in table, figure and verdict, what is short is said, and what is left when it is stopped."""

import os
import re
import shutil
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from matplotlib.container import ErrorbarContainer
from pretend_engine import PretendEngine

from foraging_snn.analysis.figures import demo_overview
from foraging_snn.commands import terminal
from foraging_snn.commands.cli import main
from foraging_snn.commands.demo import SHOWS, START, run_demo
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import save_state
from foraging_snn.models import ENGINES, EngineError, preset
from foraging_snn.protocols import experiments
from foraging_snn.running.starting import load_start, packaged_states, run_unsupervised
from foraging_snn.running.trial import RunError, phases_to_run

TINY = preset("tiny")
LENGTHS = {"phases.training_aeons": 60, "phases.retraining_aeons": 60, "phases.interleaved_aeons": 60, "phases.test_aeons": 10}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the demo with a pretended engine: of ten particles, seed % 10 are rewarded."""
    state = run_unsupervised(experiments(TINY)["task1"].phases[0], TINY, seed=1, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="state for a test")

    def run_with(seed, engine=PretendEngine, engine_name="brian2", **changes):
        monkeypatch.setattr(terminal, "engine_class", lambda name: engine)
        options = {"engine_name": engine_name, "seed": seed, "command_line": "a test", "changes": LENGTHS | changes}
        return run_demo(tmp_path / "out", start_name=str(tmp_path / "start.h5"), **options)

    return run_with


@pytest.mark.parametrize("engine_name", ["brian2", "brian2-runtime"])  # side by side; one after the other
def test_a_network_that_learned(run, tmp_path, capsys, engine_name):
    assert run(seed=7, engine_name=engine_name)
    out = capsys.readouterr().out
    assert "The network learns: shown in every trial\n  trial 1, Task 1 after T1: 0.700 (0.671 to 0.728)\n" in out
    assert "shortened: training 60 of 50000, test 10 of 10000 aeons" in out
    assert "start with one network: state for a test" in out
    assert f"2 trials, engine {engine_name}; the paper has at least 10" in out
    assert [Trial(tmp_path / "out" / f"task1_seed000{seed}.h5").complete for seed in (7, 8)] == [True, True]
    assert (tmp_path / "out" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_that_did_not_learn(run, capsys):
    assert not run(seed=4)  # trials at 0.4 and 0.5
    assert "The network learns: NOT shown in every trial" in capsys.readouterr().out


def test_table_figure_and_verdict_say_the_same_numbers(run, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(demo_overview, "draw", lambda *what, draw=demo_overview.draw: drawn.append(draw(*what)) or drawn[0])
    assert not run(seed=6, engine_name="event")  # trials at 0.6 and 0.7
    out = capsys.readouterr().out
    table, verdict = out.split("\nPerformance, rewarded / (rewarded + punished) particles, of each trial")
    for value in ("0.600 (0.569 to 0.630)", "0.700 (0.671 to 0.728)"):
        assert table.count(value) == 8
    assert " to " in verdict
    assert set(re.findall(r"0\.\d+ \(0\.\d+ to 0\.\d+\)", verdict)) == {"0.600 (0.569 to 0.630)", "0.700 (0.671 to 0.728)"}
    for axes in drawn[0].axes[1::2]:
        intervals = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
        assert len(intervals) == 4
        for container in intervals:
            points, _, (bars,) = container.lines
            ends = [tuple(bar[:, 1]) for bar in bars.get_segments()]
            shown = [f"{y:.3f} ({low:.3f} to {high:.3f})" for y, (low, high) in zip(points.get_ydata(), ends, strict=True)]
            assert shown == ["0.600 (0.569 to 0.630)", "0.700 (0.671 to 0.728)"]


def test_a_network_that_learns_but_does_not_forget_is_not_all_that_was_to_be_shown(run, tmp_path, capsys):
    assert not run(seed=7, engine_name="event")  # the pretended performance is the same in every test
    out = capsys.readouterr().out
    assert "The network learns: shown in every trial" in out
    assert "The network forgets Task 1 when Task 2 is trained after it: NOT shown in every trial" in out
    assert len(list((tmp_path / "out").glob("*.h5"))) == 4
    assert (tmp_path / "out" / "demo.png").exists()


def test_an_earlier_demo_is_not_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "demo.png").write_bytes(b"earlier")
    with pytest.raises(RunError, match="demo.png: exists already"):
        run(seed=7)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["demo.png"]


def test_without_room_nothing_is_begun(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=20_000))
    with pytest.raises(RunError, match="needed for 2 files, 20 kB free"):
        run(seed=7)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("number", "words", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)])
def test_a_stopped_demo_says_in_one_line_what_is_left(tmp_path, monkeypatch, capfd, number, words, code):
    class Stopping(PretendEngine):
        def _advance(self, epochs, spikes):
            if self._now.seed == 7 and self._phase.name == "T1" and self._now.phase_epoch > 0:
                os.kill(os.getpid(), number)
            time.sleep(0.05)
            return super()._advance(epochs, spikes)

    monkeypatch.setattr(terminal, "engine_class", lambda name: Stopping)
    monkeypatch.setitem(SHOWS, "event", replace(SHOWS["event"], lengths=SHOWS["event"].lengths | LENGTHS))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    out = tmp_path / "out"
    assert main(["demo", "--seed", "7", "--out", str(out)]) == code
    err = capfd.readouterr().err
    assert err.startswith(f"foraging-snn: {words}; {out}/sequential_seed0007.h5 ")
    assert err.count("\n") == 1
    for seed in (7, 8):
        assert f"{out}/sequential_seed000{seed}.h5 is readable up to here and marked incomplete" in err
        assert not Trial(out / f"sequential_seed000{seed}.h5").complete
        assert f"{out}/sleep_seed000{seed}.h5 was not written" in err
    assert sorted(path.name for path in out.iterdir()) == ["sequential_seed0007.h5", "sequential_seed0008.h5"]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("failing", [7, 8])
def test_if_one_trial_fails_the_other_is_stopped(run, tmp_path, failing):
    class FailingOnce(PretendEngine):
        def _advance(self, epochs, spikes):
            if self._now.seed == failing and self._now.phase_epoch > 0:
                raise EngineError("it broke")
            time.sleep(0.02)
            return super()._advance(epochs, spikes)

    with pytest.raises(RunError) as error:
        run(seed=7, engine=FailingOnce, **{"phases.training_aeons": 1000})
    message = str(error.value)
    assert message.startswith("it broke; ")
    for seed in (7, 8):
        path = tmp_path / "out" / f"task1_seed000{seed}.h5"
        assert f"{path} is readable up to here and marked incomplete" in message
        assert not Trial(path).complete


@pytest.mark.parametrize("engine_name", ENGINES)
def test_the_demo_fits_the_start_state_of_the_package(engine_name):
    show = SHOWS[engine_name]
    start = packaged_states()[START]()
    parameters = start.parameters.with_changes(show.lengths)
    assert load_start(START, parameters).sha256 == start.sha256
    lengths = [
        sum(phase.epochs for phase in phases_to_run(experiments(parameters)[name], started=True)) for name in show.experiments
    ]
    assert 50_000 <= sum(lengths) <= 4_000_000

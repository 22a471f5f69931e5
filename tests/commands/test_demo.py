"""The demo: one set of numbers in table, figure and verdict, what is short is said, and what is left when it is stopped."""

import os
import re
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
from matplotlib.container import ErrorbarContainer
from pretend_engine import PretendEngine

from foraging_snn.analysis.figures import demo_overview
from foraging_snn.commands import terminal
from foraging_snn.commands.cli import main
from foraging_snn.commands.demo import DEMO_RUNS, START, demo_plan, run_demo
from foraging_snn.files.landscapes import read_landscape
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import save_state
from foraging_snn.models import ENGINES, EngineError, preset
from foraging_snn.protocols import experiments
from foraging_snn.running import plan as planning
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import phases_to_run
from foraging_snn.running.starting import load_start, packaged_states
from foraging_snn.running.trial import run_unsupervised

pytestmark = pytest.mark.slow

TINY = preset("tiny")
LENGTHS = {"phases.training_aeons": 60, "phases.retraining_aeons": 60, "phases.interleaved_aeons": 60, "phases.test_aeons": 10}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the demo with a pretended engine: of ten particles, seed % 10 are rewarded."""
    state = run_unsupervised(TINY, seed=1, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="state for a test")

    def run_with(seed, engine=PretendEngine, engine_name="brian2", **changes):
        for module in (terminal, planning):
            monkeypatch.setattr(module, "engine_class", lambda name: engine)
        options = {"start_name": str(tmp_path / "start.h5"), "changes": LENGTHS | changes}
        return run_demo(demo_plan(tmp_path / "out", seed, engine_name, "a test", **options), jobs=1)

    return run_with


@pytest.mark.parametrize("engine_name", ["brian2", "brian2-runtime"])
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


def test_a_landscape_that_is_there_is_told_before_anything_runs(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "landscape.h5").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"landscape\.h5: exists already"):
        run(seed=7, engine_name="event")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["landscape.h5"]


def test_without_room_nothing_is_begun(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=20_000))
    with pytest.raises(RunError, match="needed for 2 files and the ledger, 20 kB free"):
        run(seed=7)
    assert not (tmp_path / "out").exists()


def test_what_its_experiments_have_in_common_is_computed_once(run, tmp_path):
    runs = []

    class Counted(PretendEngine):
        def _load(self, state, phase):
            runs.extend([(state.seed, phase.name)] if state.phase_epoch == 0 else [])
            super()._load(state, phase)

    run(seed=7, engine=Counted, engine_name="event")
    trained = [(seed, name) for seed, name in runs if not name.startswith("test")]
    assert trained == [(seed, name) for seed in (7, 8) for name in ("T1", "T2", "I(S,T2)")]


@pytest.mark.parametrize(("number", "words", "code"), [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)])
def test_a_stopped_demo_says_in_one_line_what_is_left(tmp_path, monkeypatch, capfd, number, words, code):
    sent = []

    class Stopping(PretendEngine):
        def _advance(self, epochs, spikes):
            if self._now.seed == 7 and self._phase.name == "T1" and self._now.phase_epoch > 0 and not sent:
                sent.append(os.kill(os.getpid(), number))
            return super()._advance(epochs, spikes)

    for module in (terminal, planning):
        monkeypatch.setattr(module, "engine_class", lambda name: Stopping)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # in this process
    monkeypatch.setitem(DEMO_RUNS, "event", replace(DEMO_RUNS["event"], lengths=DEMO_RUNS["event"].lengths | LENGTHS))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    out = tmp_path / "out"
    assert main(["demo", "--seed", "7", "--out", str(out)]) == code
    err = capfd.readouterr().err
    left = f"readable up to here and marked incomplete: {out}/sequential_seed0007.h5"
    assert err == f"foraging-snn: {words}; 0 of 4 files are complete; {left}\n"
    assert not Trial(out / "sequential_seed0007.h5").complete
    assert sorted(path.name for path in out.iterdir()) == ["ledger", "sequential_seed0007.h5"]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_trials_of_a_demo_run_side_by_side(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setitem(DEMO_RUNS, "event", replace(DEMO_RUNS["event"], lengths=DEMO_RUNS["event"].lengths | LENGTHS))
    assert main(["demo", "--out", str(tmp_path / "out")]) in (0, 1)
    out, err = capfd.readouterr()
    assert err == ""
    assert "4/4 experiments, 2/2 trials" in out
    assert len(list((tmp_path / "out").glob("s*_seed000[12].h5"))) == 4
    mapped = read_landscape(tmp_path / "out" / "landscape.h5")
    assert mapped.tested.performance.shape == (7, 7, 2) and set(mapped.tested.counts["epochs"].flat) == {5000}
    assert mapped.source.files == ("sequential_seed0001.h5", "sleep_seed0001.h5")
    assert (tmp_path / "out" / "landscape.png").exists()


@pytest.mark.parametrize("failing", [7, 8])
def test_if_a_trial_fails_that_is_said_and_what_is_left(run, tmp_path, capsys, failing):
    class FailingOnce(PretendEngine):
        def _advance(self, epochs, spikes):
            if self._now.seed == failing and self._now.phase_epoch > 0:
                raise EngineError("it broke")
            return super()._advance(epochs, spikes)

    with pytest.raises(RunError) as error:
        run(seed=7, engine=FailingOnce)
    failed = tmp_path / "out" / f"task1_seed000{failing}.h5"
    left = f"1 of 2 files are complete; readable up to here and marked incomplete: {failed}"
    assert str(error.value) == f"demo: not all of its trials came to their end; {left}"
    assert capsys.readouterr().err == f"foraging-snn: seed {failing}: it broke\n"
    assert not Trial(failed).complete


@pytest.mark.parametrize("engine_name", ENGINES)
def test_the_demo_fits_the_start_state_of_the_package(engine_name):
    runs = DEMO_RUNS[engine_name]
    start = packaged_states()[START]()
    parameters = start.parameters.with_changes(runs.lengths)
    assert load_start(START, parameters).sha256 == start.sha256
    lengths = [
        sum(phase.epochs for phase in phases_to_run(experiments(parameters)[name], started=True)) for name in runs.experiments
    ]
    assert 50_000 <= sum(lengths) <= 4_000_000

"""The demo: what it claims follows from the particles eaten, and it says what is short."""

import time
from pathlib import Path

import pytest
from pretend_engine import PretendEngine

from foraging_snn import demo, terminal
from foraging_snn.demo import Share, demo_experiment, learning_shown, run_demo
from foraging_snn.models import EngineError, preset
from foraging_snn.protocols import experiments
from foraging_snn.recording import Trial
from foraging_snn.running import RunError, packaged_states, run_unsupervised
from foraging_snn.states import save_state

TINY = preset("tiny")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the demo with a pretended engine: of ten particles, seed % 10 are rewarded."""
    state = run_unsupervised(experiments(TINY)["task1"].phases[0], TINY, seed=1, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="state for a test")

    def run_with(seed, engine=PretendEngine, engine_name="brian2", **changes):
        monkeypatch.setattr(terminal, "engine_class", lambda name: engine)
        changes = {"phases.training_aeons": 60, "phases.test_aeons": 10} | changes
        options = {"engine_name": engine_name, "seed": seed, "command_line": "a test"}
        return run_demo(tmp_path / "out", start_name=str(tmp_path / "start.h5"), changes=changes, **options)

    return run_with


def test_the_interval_is_wilsons():
    low, high = Share(8, 2).interval
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(8, 2).value == 0.8
    assert Share(0, 0).interval == (0.0, 1.0)


def test_learning_is_shown_if_the_whole_interval_lies_above_chance_in_every_trial():
    clear, unclear = Share(600, 400), Share(6, 4)
    assert clear.interval[0] > 0.5 > unclear.interval[0]
    assert learning_shown([clear, clear])
    assert not learning_shown([clear, unclear])
    assert not learning_shown([Share(0, 0)])


def test_task_1_is_tested_before_and_after_training():
    steps = demo_experiment(TINY).steps
    assert [step.name for step in steps] == ["unsupervised", "test T1", "T1", "test T1", "test T2"]
    assert set(steps) == set(experiments(TINY)["task1"].steps)


@pytest.mark.parametrize("engine_name", ["brian2", "brian2-runtime"])  # side by side; one after the other
def test_a_network_that_learned(run, tmp_path, capsys, engine_name):
    assert run(seed=7, engine_name=engine_name)
    out = capsys.readouterr().out
    assert "Learning was shown: " in out
    assert "Task 1 after training, trial 1:      0.700 (95% interval 0.671 to 0.728, 1000 particles)" in out
    assert "shortened: test 10 of 10000, training 60 of 50000 aeons" in out
    assert "start with one network: state for a test" in out
    assert [Trial(tmp_path / "out" / f"demo_seed000{seed}.h5").complete for seed in (7, 8)] == [True, True]
    assert (tmp_path / "out" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_that_did_not_learn(run, capsys):
    assert not run(seed=4)  # trials at 0.4 and 0.5
    assert "Learning was NOT shown: " in capsys.readouterr().out


def test_an_earlier_demo_is_not_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "demo.png").write_bytes(b"earlier")
    with pytest.raises(RunError, match="demo.png: exists already"):
        run(seed=7)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["demo.png"]


def test_if_one_trial_fails_the_other_is_stopped(run, tmp_path):
    class FailingOnce(PretendEngine):
        def _advance(self, epochs, spikes):
            if self._now.seed == 7 and self._now.phase_epoch > 0:
                raise EngineError("it broke")
            time.sleep(0.02)
            return super()._advance(epochs, spikes)

    with pytest.raises(RunError) as error:
        run(seed=7, engine=FailingOnce, **{"phases.training_aeons": 1000})
    files = [tmp_path / "out" / f"demo_seed000{seed}.h5" for seed in (7, 8)]
    assert str(error.value) == "it broke; " + "; ".join(f"{file} is readable up to here and marked incomplete" for file in files)
    assert [Trial(file).complete for file in files] == [False, False]


def test_the_demo_fits_the_start_state_of_the_package():
    if demo.START not in packaged_states():
        pytest.skip("no start state in the package yet")
    plan = demo._plan(Path("out"), 0, "", demo.START, demo.LENGTHS)
    assert 50_000 <= sum(phase.epochs for phase in plan.phases) <= 150_000

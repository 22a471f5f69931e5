"""Ways to remember from end to end: what a command computes, what the file says of it, and that stopping changes nothing."""

import runpy
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.files.reader import Trial
from foraging_snn.models import Activity, Elastic, engine_class, preset
from foraging_snn.protocols import protocol
from foraging_snn.running.trial import Keeping, Listener, Stopped, run_trial

SMALL = {"network.hidden_cells": 20, "world.size": 20, "phases.scale": 0.5, "elastic.strength": 0.1}
P = preset("tiny").with_changes(SMALL)
SET = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
CUED, SHOWN = "T1 -> I(S(T1:0.8,T2:0.2),T2)", "T1 -> I(S(patterns=30),T2)"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Trials with cued sleep and with patterns, both elastic, in files called cued and shown."""
    folder = tmp_path_factory.mktemp("results")
    for name, text in (("cued", CUED), ("shown", SHOWN)):
        assert main(["run", text, "--name", name, "--preset", "tiny", *SET, "--out", str(folder)]) == 0
    return folder


def test_the_file_says_which_sleep_it_was_which_patterns_were_kept_and_which_rule_was_in_force(results):
    cued, shown = (Trial(results / f"{name}_seed0001.h5") for name in ("cued", "shown"))
    assert cued.phases[-3].activities == (Activity.train("T2"), Activity.sleep(cue={"T1": 0.8, "T2": 0.2}))
    assert shown.phases[-3].activities == (Activity.train("T2"), Activity.sleep(patterns=30))
    assert [(p.name, p.keep_patterns) for p in shown.phases if p.keep_patterns] == [("T1", 30), ("I(S(patterns=30),T2)", 30)]
    assert [p.phase for p in shown.phases] == list(protocol(SHOWN, P).phases)
    for trial in (cued, shown):
        rules = {rule for phase in trial.phases for rule in phase.rules}
        assert rules == {Elastic(strength=0.1).applied}
        assert trial.changed_in_phases == (f"rule between epochs of T1, {trial.phases[-3].name}: {Elastic(strength=0.1).applied}",)
    states = [shown.state_at(where).state for where in ("T1", "I(S(patterns=30),T2)")]
    assert [state.patterns_kept[:2].tolist() for state in states] == [[99, 0], [99, 99]]
    assert all(state.memory.shape == (3, 20, 8) for state in states)


@dataclass
class StopsOften(Listener):
    """Wants to stop at every third look."""

    looks: int = 0

    def stop_wanted(self):
        self.looks += 1
        return self.looks % 3 == 0


@pytest.mark.slow
def test_a_trial_that_is_stopped_and_gone_on_with_is_the_same(tmp_path):
    listener, stops = StopsOften(), 0
    experiment = protocol(SHOWN, P, name="shown")
    with engine_class("event")(P) as engine:
        while True:
            try:
                path = tmp_path / "shown_seed0001.h5"
                options = {"seed": 1, "engine": engine, "path": path, "progress": listener}
                run_trial(experiment, P, keeping=Keeping(tmp_path / "ledger"), **options)
                break
            except Stopped:
                stops += 1
        run_trial(experiment, P, seed=1, engine=engine, path=tmp_path / "in_one_piece.h5")
    assert stops > 2
    assert differences(path, tmp_path / "in_one_piece.h5") == []


def test_sleep_takes_the_rates_of_a_state_in_a_file_and_the_file_names_it(results, tmp_path, capfd):
    place = f"{results}/cued_seed0001.h5@T1"
    command = ["run", f'T2 -> S(rates="{place}")', "--name", "slept", "--preset", "tiny", *SET, "--out", str(tmp_path)]
    assert main(command) == 0
    trial = Trial(tmp_path / "slept_seed0001.h5")
    assert [phase.rates_from.partition(" [")[0] for phase in trial.phases if phase.rates_from] == [place]
    index = next(phase.index for phase in trial.phases if phase.rates_from)
    taken = Trial(results / "cued_seed0001.h5").state_at("T1").state
    np.testing.assert_array_equal(trial.training_spikes(index).spikes, taken.task_spikes)
    capfd.readouterr()
    assert main([*command, "--seed", "2"]) == 2
    said = capfd.readouterr().err.splitlines()
    assert said[-1].startswith("foraging-snn: ") or "another wiring" in said[-1]
    assert "the state is of a network with another wiring, whose cells see something else" in said[-1]


@pytest.mark.slow
def test_the_example_sweeps_over_a_cue(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[2] / "examples" / "sweep_over_a_cue.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"{share} % of sleep about Task 1".replace(" %", "%") for share in (25, 50, 75)
    ]
    assert all("Task 1 " in line and "Task 2 " in line for line in lines)

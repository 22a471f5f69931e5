"""Rules between epochs: when they are called, what they may do, what names them; and elastic consolidation."""

import linecache
import pickle
import re
import runpy
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from pretend_engine import PretendEngine

from foraging_snn.models import Activity, AppliedRule, Block, Elastic, EngineError, Phase, Rule, initial_state, preset, with_elastic
from foraging_snn.models.between import call, give_memory, rules_from_json, rules_to_json
from foraging_snn.models.elastic import eligibilities

P = preset("tiny").with_changes({"network.hidden_cells": 20})
TRAIN = (Block(Activity.train("T1"), 5),)


@dataclass(frozen=True)
class Diary(Rule):
    """Counts in its memory how often each of its methods was called, and in which epoch last."""

    step: int = 1

    every: ClassVar[int] = 4
    memory: ClassVar[tuple[str, ...]] = ("begin", "apply", "end")

    def _note(self, moment, state):
        entry = self.rows(state)[moment].reshape(-1)
        entry[0] += self.step
        entry[int(entry[0])] = state.phase_epoch

    def begin(self, state, phase, parameters):
        self._note("begin", state)

    def apply(self, state, phase, parameters):
        self._note("apply", state)

    def end(self, state, phase, parameters):
        self._note("end", state)


def diary_of(state):
    return {name: entry.reshape(-1)[:5].tolist() for name, entry in Diary().rows(state).items()}


def test_a_rule_is_called_at_the_start_every_so_many_epochs_and_at_the_end():
    phase, engine = Phase("T1", TRAIN, 13, rules=(Diary(),)), PretendEngine(P)
    state, _ = engine.run(initial_state(P, 1), phase)
    assert diary_of(state) == {"begin": [1, 0, 0, 0, 0], "apply": [3, 4, 8, 12, 0], "end": [1, 13, 0, 0, 0]}
    state, _ = engine.run(state, replace(phase, epochs=8))
    assert diary_of(state) == {"begin": [2, 0, 0, 0, 0], "apply": [5, 4, 8, 12, 4], "end": [2, 13, 8, 0, 0]}


@pytest.mark.parametrize("cuts", [(3,), (4,), (1, 4, 8, 12), (7, 8, 9), (12,)])
def test_wherever_a_phase_is_cut_a_rule_is_called_as_in_one_piece(cuts):
    phase, engine = Phase("T1", TRAIN, 13, rules=(Diary(),)), PretendEngine(P)
    whole, _ = engine.run(initial_state(P, 1), phase)
    state = initial_state(P, 1)
    for end in (*cuts, 13):
        state, _ = engine.run(state, phase, epochs=end - state.phase_epoch)
    assert state.differences(whole) == []


def test_two_rules_take_turns_at_their_own_times_and_share_no_memory():
    @dataclass(frozen=True)
    class Other(Diary):
        every: ClassVar[int] = 6

    phase = Phase("T1", TRAIN, 12, rules=(Diary(), Other()))
    state, _ = PretendEngine(P).run(initial_state(P, 1), phase)
    assert diary_of(state)["apply"] == [3, 4, 8, 12, 0]
    assert Other().rows(state)["apply"].reshape(-1)[:4].tolist() == [2, 6, 12, 0]
    assert state.memory.shape == (6, 20, 8)


def test_strengths_that_a_rule_changes_are_clipped_scaled_and_balanced_and_frozen_ones_stay():
    @dataclass(frozen=True)
    class Push(Rule):
        def begin(self, state, phase, parameters):
            state.hidden_output[0] = 7.0
            state.hidden_output[1] = -1.0
            state.hidden_output[2:] *= 1.5

    state = initial_state(P, 1)
    state.frozen[3, 2] = True
    call(Push(), "begin", state, Phase("T1", TRAIN, 4), P)
    W = state.hidden_output
    assert W[3, 2] == 0.02
    assert W.sum(axis=0) == pytest.approx(np.full(8, P.output_input_target), rel=1e-4)  # the floor is above it
    factor = (P.output_input_target - 0.02) / (1.0 + 1e-5 + 17 * 0.03)  # of output cell 2: cap, floor, and 17 others
    assert W[:4, 2] == pytest.approx([factor, 1e-5, 0.03 * factor, 0.02])
    assert state.hidden_output_total == pytest.approx(W.sum(axis=1) - np.where(np.arange(20) == 3, 0.02, 0.0))
    assert state.inhibition[4] == pytest.approx(-W[4].mean())


@dataclass(frozen=True)
class Spoils(Rule):
    what: str = ""

    def begin(self, state, phase, parameters):
        if self.what == "seed":
            state.seed = 5
        elif self.what == "numbers":
            state.hidden_output[0, 0] = np.nan
        else:
            state.resistance = state.resistance[:3]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("seed", "it changed the seed or the number of epochs"),
        ("numbers", "hidden_output is not finite everywhere"),
        ("shape", r"resistance has shape \(3,\), not \(8,\)"),
    ],
)
def test_a_rule_that_leaves_no_state_is_refused_in_one_line(what, message):
    phase = Phase("T1", TRAIN, 4, rules=(Spoils(what),))
    with pytest.raises(EngineError, match=f"^phase T1: rule Spoils left a state that cannot be: {message}$"):
        PretendEngine(P).run(initial_state(P, 1), phase)


def test_a_rule_is_known_by_its_name_its_parameters_and_its_source():
    @dataclass(frozen=True)
    class Diary2(Diary):
        pass

    applied = Diary(step=3).applied
    assert (applied.name, applied.parameters, len(applied.source)) == ("Diary", (("step", 3),), 16)
    assert applied == Diary(step=3).applied != Diary(step=4).applied
    assert Diary2().applied.source != Diary().applied.source
    assert str(applied) == f"Diary(step=3) [source {applied.source}]"
    phase = Phase("T1", TRAIN, 4, rules=(Diary(step=3),))
    assert f"rules=(AppliedRule(name='Diary', parameters=(('step', 3),), source='{applied.source}'),)" in repr(phase)
    assert hash(phase) == hash(pickle.loads(pickle.dumps(phase))) and pickle.loads(pickle.dumps(phase)).rules[0].rule == Diary(
        step=3
    )
    assert rules_from_json(rules_to_json(phase.rules)) == phase.rules


def test_in_a_notebook_a_rule_is_known_by_the_source_of_its_functions(monkeypatch):
    digests = []
    for line in ("state.hunger = 1", "state.hunger = 2"):
        text = f"class Cell(Rule):\n    def apply(self, state, phase, parameters):\n        {line}\n"
        cell = f"<cell {line}>"
        monkeypatch.setitem(linecache.cache, cell, (len(text), None, text.splitlines(True), cell))
        names = {"Rule": Rule, "__name__": "a_notebook"}
        exec(compile(text, cell, "exec"), names)
        digests.append(names["Cell"]().applied.source)
    assert digests[0] != digests[1]


def test_the_example_names_its_rule(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[2] / "examples" / "own_rule.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "trial.h5")])
    runpy.run_path(str(script))
    assert re.fullmatch(r"Decay\(share=0\.01\) \[source [0-9a-f]{16}\]\n", capsys.readouterr().out)


def test_a_rule_that_was_read_from_a_file_is_found_if_it_is_one_of_the_package():
    engine, state = PretendEngine(P), initial_state(P, 1)
    own, packaged = (rules_from_json(rules_to_json((rule.applied,))) for rule in (Diary(), Elastic(strength=0.5)))
    assert packaged[0].rule is None
    after, _ = engine.run(state, Phase("T1", TRAIN, 4, rules=packaged))
    assert after.memory.shape == (3, 20, 8)
    with pytest.raises(EngineError, match=r"^phase T1: rule Diary: not one of the package \(elastic\); put the rule itself into"):
        engine.run(state, Phase("T1", TRAIN, 4, rules=own))
    old = (AppliedRule("elastic", packaged[0].parameters, "0" * 16),)
    with pytest.raises(EngineError, match="^phase T1: rule elastic: another than here, elastic"):
        engine.run(state, Phase("T1", TRAIN, 4, rules=old))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phase("T1", TRAIN, 4, rules=(Diary,)), "^phase T1: rules .* given, allowed is a tuple of Rule$"),
        (
            lambda: Phase("T1", TRAIN, 4, rules=(Diary(), Diary(step=2))),
            "^phase T1: rules Diary, Diary given, allowed is each once$",
        ),
        (lambda: Phase("t", (Block(Activity.test(1), 5),), 4, rules=(Diary(),)), "^phase t: rules given, allowed are they where"),
        (
            lambda: Phase("T1", TRAIN, 4, rules=(Diary(step=[1]),)),
            r"^rule Diary: step=\[1\] given, allowed are numbers, true or false",
        ),
        (lambda: Elastic(every=0).applied, "^rule elastic: every 0 epochs given, allowed is a whole number from 1$"),
        (
            lambda: type("Made", (Rule,), {})().applied,
            "^rule Made: the source text of Made is not to be found; define it in a file$",
        ),
        (lambda: rules_from_json([{"name": "x"}]), "^rules are not a list of names, parameters and digests of sources$"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert len(str(error.value).splitlines()) == 1


# --------------------------------------------------------------------------------------------------- elastic consolidation


@pytest.fixture
def state():
    """A state after an epoch with three live traces, of two synapses; room for what is remembered."""
    state = initial_state(P, 1)
    state.epoch = state.phase_epoch = 100
    T = 99 * 600
    state.hidden_output_trace_synapse = np.array([9, 9, 80], np.int32)
    state.hidden_output_trace_value = np.array([0.4, -0.1, 0.2])
    state.hidden_output_trace_step = np.array([T - 300, T - 100, T - 200])
    give_memory(state, Elastic())
    return state


def test_eligibility_is_the_sum_of_aged_traces(state):
    expected = np.zeros((20, 8))
    expected[1, 1], expected[10, 0] = 0.4 / 900 - 0.1 / 700, 0.2 / 800
    assert eligibilities(state, P) == pytest.approx(expected)


def test_importance_is_the_mean_square_of_the_eligibility_in_training_with_a_mean_of_one(state):
    interleaved = Phase("I", (Block(Activity.train("T1"), 100), Block(Activity.SLEEP, 100)), 400)
    rule, e = Elastic(strength=0.0), eligibilities(state, P)
    rule.rows(state)["importance"][:] = 2.0  # of a task before
    rule.begin(state, interleaved, P)
    rule.apply(state, interleaved, P)
    state.phase_epoch = 200
    rule.apply(state, interleaved, P)  # after sleep: nothing is gathered
    assert rule.rows(state)["gathered"] == pytest.approx(e**2)
    state.hidden_output[:] = np.linspace(0.01, 0.03, 160).reshape(20, 8)
    rule.end(state, interleaved, P)
    assert rule.rows(state)["importance"] == pytest.approx(2.0 + e**2 / (e**2).mean())
    assert rule.rows(state)["consolidated"].tolist() == state.hidden_output.tolist()


def test_strengths_are_pulled_in_proportion_to_their_importance(state):
    training, rule = Phase("T2", (Block(Activity.train("T2"), 100),), 400), Elastic(strength=0.5)
    before = state.hidden_output.copy()
    rule.apply(state, training, P)
    assert state.hidden_output.tolist() == before.tolist()  # nothing was learned before
    rule.rows(state)["importance"][0] = np.arange(8)
    rule.rows(state)["consolidated"][:] = 0.05
    rule.apply(state, training, P)
    pull = 0.5 * np.arange(8)
    assert state.hidden_output[0] == pytest.approx((0.02 + pull * 0.05) / (1.0 + pull))
    assert state.hidden_output[1:].tolist() == before[1:].tolist()
    Elastic(strength=0.0).apply(state, training, P)
    assert state.hidden_output[0] == pytest.approx((0.02 + pull * 0.05) / (1.0 + pull))


def test_a_training_without_any_spikes_leaves_what_was_consolidated(state):
    training, rule = Phase("T2", (Block(Activity.train("T2"), 100),), 400), Elastic()
    rule.rows(state)["consolidated"][:] = 0.05
    rule.begin(state, training, P)
    rule.end(state, training, P)
    assert (rule.rows(state)["consolidated"] == 0.05).all()


def test_elastic_consolidation_is_turned_on_by_its_strength():
    train, test, sleep = (
        Phase(name, (Block(activity, 5),), 10)
        for name, activity in (("T1", Activity.train(1)), ("test", Activity.test(1)), ("S", Activity.SLEEP))
    )
    steps = ["other", train, test, sleep, replace(train, changes=(("elastic.strength", 0.0),))]
    assert with_elastic(steps, P) == steps
    found = with_elastic(steps, P.with_changes({"elastic.strength": 0.2, "elastic.interval_epochs": 30}))
    assert found[0] == "other" and found[2:4] == steps[2:4]
    assert found[1].rules == (Elastic(strength=0.2, every=30).applied,)
    assert found[4].rules == (Elastic(strength=0.0, every=30).applied,)

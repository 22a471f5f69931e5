"""The engines as such: runs cut in pieces change nothing, records add up, engines do not disturb each other, errors are clear.

That what they compute is right is in test_against_oracle.py.
"""

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import engine_contract as contract
import numpy as np
import oracle
import pytest
from engine_contract import CHECKS, KINDS, Case, Listener, assert_counts_add_up, check_engine, phase_of

from foraging_snn.environments import Outcome
from foraging_snn.models import (
    Activity,
    Block,
    EngineError,
    Phase,
    Recorder,
    brian2_compiled,
    brian2_runtime,
    engine_class,
    initial_state,
    preset,
)
from foraging_snn.models.brian2_network import cell_functions

# Aeons of 7 epochs, so that a short phase has several; this needs no compilation of its own.
PARAMETERS = preset("full").with_changes({"timing.epochs_per_aeon": 7})
ENGINES = ("event", "brian2", "brian2-runtime")
EXACT_ENGINES = ("brian2", "brian2-runtime")
# Lengths of phases and blocks, and cuts inside the blocks and at their edges: engines differ a hundredfold in speed.
LENGTHS = {
    "event": (60, (7, 5, 3), ((7, 12), (10, 33), (1, 59))),
    "brian2": (60, (7, 5, 3), ((7, 12), (10, 33), (1, 59))),
    "brian2-runtime": (5, (2, 1, 1), ((1, 3),)),
}


@pytest.fixture(scope="module")
def compiled():
    with engine_class("brian2")(PARAMETERS) as engine:
        yield engine


@pytest.fixture(scope="module")
def runtime():
    return engine_class("brian2-runtime")(PARAMETERS)


@pytest.fixture(scope="module")
def event():
    return engine_class("event")(PARAMETERS)


@pytest.fixture(scope="module", params=EXACT_ENGINES)
def engine(request):
    """The engines that compute every step, in turn."""
    return request.getfixturevalue({"brian2": "compiled", "brian2-runtime": "runtime"}[request.param])


@pytest.fixture(scope="module")
def trained(compiled):
    """(state before, state after) a little training on both tasks. Not to be changed by a test."""
    naive, _ = compiled.run(initial_state(PARAMETERS, seed=11), phase_of("unsupervised", 80))
    state = naive
    for kind in ("training", "interleaved"):
        state, _ = compiled.run(state, phase_of(kind, 60))
    assert state.task_spikes.sum() > 100
    return naive, state


def start_of(kind, trained):
    return trained[0] if kind == "unsupervised" else trained[1]


# ------------------------------------------------------------------------------------------------------- the contract


@pytest.fixture(scope="module", params=ENGINES)
def case(request, trained):
    """What the contract of engines is tried on, for each of them."""
    engine = request.getfixturevalue({"brian2": "compiled", "brian2-runtime": "runtime"}.get(request.param, request.param))
    return Case(engine_class(request.param), engine, *trained, *LENGTHS[request.param])


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_engine_keeps_the_contract(case, check):
    check(case)


class Event(engine_class("event")):
    """To be spoilt in one way each."""


class SharesMemory(Event):
    def _load(self, state, phase):
        super()._load(state, phase)
        self._given = state

    def _state(self):
        state = super()._state()
        state.removed = self._given.removed
        return state


class ChangesWhatItIsGiven(Event):
    def _load(self, state, phase):
        state.hidden_rate += 1e-9
        super()._load(state, phase)


class StartsAfresh(Event):
    def _load(self, state, phase):
        super()._load(state, phase)
        self._own.x[:] = 0.0


class NeverTheSameTwice(Event):
    runs = 0

    def _load(self, state, phase):
        super()._load(state, phase)
        self.runs += 1
        self._own.x[0] += 1e-6 * self.runs


class MiscountsSpikes(Event):
    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        records.output_spikes[0] += 1
        return records


class EatsAsleep(Event):
    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        records.eaten[:] = 1
        return records


class ForgetsTheWindow(Event):
    def _advance(self, epochs, spikes):
        return super()._advance(epochs, True)


class LacksNobodyKnowsWhat(Event):
    cannot = frozenset({"wonders"})


class SaysNothing(Event):
    cannot = frozenset({"spikes"})

    def _refuse_what_it_cannot_do(self, phase, recorder):
        pass


class RunsThemAsOne(Event):
    def run_many(self, states, phase, *, progress=None):
        state, record = self.run(next(iter(states)), phase, progress=progress)
        yield from [(state, record)] * 2


@pytest.mark.parametrize(
    "spoilt, check",
    [
        (RunsThemAsOne, contract.many_networks_are_run_as_each_alone),
        (SharesMemory, contract.it_leaves_the_state_that_it_is_given_and_shares_no_memory_with_it),
        (ChangesWhatItIsGiven, contract.it_leaves_the_state_that_it_is_given_and_shares_no_memory_with_it),
        (StartsAfresh, contract.a_phase_in_three_parts_equals_the_phase_in_one_piece),
        (StartsAfresh, contract.a_new_engine_for_every_part_changes_nothing),
        (NeverTheSameTwice, contract.it_gives_the_same_for_the_same_seed_and_something_else_for_another),
        (MiscountsSpikes, contract.spikes_per_epoch_are_those_of_the_spike_list),
        (EatsAsleep, contract.counts_of_a_record_are_those_of_the_epochs),
        (ForgetsTheWindow, contract.spikes_are_kept_of_the_epochs_asked_for_only),
        (LacksNobodyKnowsWhat, contract.it_says_what_it_is_and_lacks_only_what_engines_may_lack),
        (SaysNothing, contract.it_refuses_in_one_line_what_it_says_it_cannot_do),
    ],
)
def test_the_contract_finds_what_is_wrong_with_an_engine(spoilt, check, trained):
    case = Case(spoilt, spoilt(PARAMETERS), trained[0].copy(), trained[1].copy(), *LENGTHS["event"])
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(case)


def test_an_engine_is_not_asked_for_what_it_says_it_cannot_do(trained):
    class Modest(Event):
        cannot = frozenset({"spikes", "unsupervised", "parts"})

    case = Case(Modest, Modest(PARAMETERS), *trained, *LENGTHS["event"])
    check_engine(case)
    with pytest.raises(pytest.skip.Exception, match="^the event engine says that it cannot tell the spikes of the epochs"):
        contract.spikes_per_epoch_are_those_of_the_spike_list(case)


# -------------------------------------------------------------------------------------------------- split invariance


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_worker_process_for_every_segment_changes_nothing(compiled, trained, kind):
    phase, state = phase_of(kind, 60), start_of(kind, trained)
    expected, _ = compiled.run(state, phase)
    for last in (12, 33, 60):
        with engine_class("brian2")(PARAMETERS) as engine:
            state, _ = engine.run(state, phase, epochs=last - state.phase_epoch)
    assert state.differences(expected) == []


CONTINUE = """
import pickle, sys
from foraging_snn.models import engine_class
name, parameters, state, phase = pickle.load(sys.stdin.buffer)
with engine_class(name)(parameters) as engine:
    sys.stdout.buffer.write(pickle.dumps(engine.run(state, phase)[0]))
"""


@pytest.mark.slow
def test_a_state_saved_in_mid_phase_goes_on_in_another_process(engine, trained):
    phase = phase_of("sleep", 20 if engine.name == "brian2" else 5, LENGTHS[engine.name][1])
    expected, _ = engine.run(trained[1], phase)
    state, _ = engine.run(trained[1], phase, epochs=4)
    saved = pickle.dumps((engine.name, PARAMETERS, state, phase))
    result = subprocess.run([sys.executable, "-c", CONTINUE], input=saved, capture_output=True, check=True)
    assert pickle.loads(result.stdout).differences(expected) == []


def run_in_three_parts(engine, state, phase, cuts):
    records = []
    for last in (*cuts, phase.epochs):
        state, record = engine.run(state, phase, epochs=last - state.phase_epoch)
        records.append(record)
    return state, records


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_phase_in_three_segments_equals_the_phase_in_one_piece(compiled, trained, kind):
    phase, state = phase_of(kind, 3000, (100, 100)), start_of(kind, trained)
    expected, record = compiled.run(state, phase)
    for cuts in ((100, 200), (777, 2150), (1, 2999)):
        after, records = run_in_three_parts(compiled, state, phase, cuts)
        assert after.differences(expected) == []
        assert_counts_add_up(record, records)


# -------------------------------------------------------------------------------------------- seeds and neighbours


@pytest.mark.slow
@pytest.mark.parametrize("names", [("brian2", "brian2-runtime"), ("event", "brian2-runtime")])
def test_two_engines_of_different_kinds_in_one_process_do_not_disturb_each_other(names, event, compiled, runtime):
    phase, trials = phase_of("unsupervised", 3), (initial_state(PARAMETERS, 21), initial_state(PARAMETERS, 22))
    solo = {"event": event, "brian2": compiled, "brian2-runtime": runtime}
    expected = [solo[name].run(state, phase)[0] for name, state in zip(names, trials, strict=True)]
    with engine_class(names[0])(PARAMETERS) as one, engine_class(names[1])(PARAMETERS) as two:
        for _ in range(3):
            trials = [engine.run(state, phase, epochs=1)[0] for engine, state in zip((one, two), trials, strict=True)]
    assert [state.differences(solo) for state, solo in zip(trials, expected, strict=True)] == [[], []]


# ---------------------------------------------------------------------- other numbers, other states, both engines


def compare_with_oracle(engine, rules, seed, epochs, block):
    """Every activity with a set of rules, engine beside oracle."""
    names = {
        Activity.UNSUPERVISED: "unsupervised",
        Activity.train("T1"): "train1",
        Activity.train("T2"): "train2",
        Activity.test("T1"): "test1",
        Activity.test("T2"): "test2",
        Activity.SLEEP: "sleep",
        Activity.UNIFORM_SLEEP: "uniform-sleep",
        Activity.sleep(cue={"T1": 0.7, "T2": 0.3}): "sleep 1:0.7 2:0.3",
    }
    rules.block_epochs = block
    state, reference = initial_state(engine.parameters, seed), oracle.Oracle(rules, seed)
    n_spikes = 0
    for kind in [kind for kind in KINDS if kind != "rules"]:  # it knows none
        listener, phase = Listener(), phase_of(kind, epochs, (block, block))
        state, _ = engine.run(state, phase, recorder=listener)
        expected = reference.run(tuple(names[activity] for activity in phase.activities), epochs, **KINDS[kind][1])
        columns = listener.columns()
        np.testing.assert_array_equal(
            np.column_stack((columns["spike_step"], columns["spike_cell"])), expected.spikes, err_msg=kind
        )
        n_spikes += len(expected.spikes)
        np.testing.assert_array_equal(columns["move"], expected.move, err_msg=kind)
        for name in ("grid", "grid_part", "frozen", "removed", "task_spikes", "task_epochs", "hunger", "agent_x", "agent_y"):
            np.testing.assert_array_equal(getattr(state, name), getattr(reference, name), err_msg=f"{kind}: {name}")
        for name in (
            "input_hidden",
            "hidden_output",
            "inhibition",
            "hidden_input_target",
            "resistance",
            "hidden_rate",
            "output_rate",
            "trace_average",
            "input_output_total",
            "hidden_output_total",
            "u",
        ):
            np.testing.assert_allclose(getattr(state, name), getattr(reference, name), rtol=1e-9, err_msg=f"{kind}: {name}")
    return n_spikes


@pytest.mark.slow
def test_runtime_engine_takes_every_number_from_the_parameters(irregular, oracle_rules):
    n_spikes = compare_with_oracle(engine_class("brian2-runtime")(irregular), oracle_rules(irregular), seed=5, epochs=5, block=2)
    assert n_spikes > 500


@pytest.mark.slow
def test_compiled_engine_takes_every_number_from_the_parameters(irregular, oracle_rules):
    with engine_class("brian2")(irregular) as engine:
        assert compare_with_oracle(engine, oracle_rules(irregular), seed=6, epochs=50, block=7) > 1000


def scrambled(state, seed):
    """The state with other strengths, averages, rates, traces and recent spikes, as they rarely come about by themselves."""
    random = np.random.default_rng(seed)
    state, n_hidden = state.copy(), PARAMETERS.n_hidden
    state.hidden_output = np.exp(random.uniform(np.log(1e-5), np.log(0.1), (n_hidden, 8)))
    state.hidden_output_total, state.inhibition = state.hidden_output.sum(axis=1), -state.hidden_output.mean(axis=1)
    state.frozen = random.random((n_hidden, 8)) < 0.1
    state.frozen[:5] = True
    state.removed = random.random(n_hidden) < 0.05
    state.trace_average = random.choice([-1.0, 0.0, 1.0], (n_hidden, 8)) * 10.0 ** random.uniform(-11, -3, (n_hidden, 8))
    state.resistance, state.output_rate = random.uniform(0.5, 1.5, 8), random.uniform(0.2, 0.8, 8)
    state.output_rate[0] = 0.5
    state.hidden_rate = random.uniform(0.0, 0.02, n_hidden)
    state.hunger, state.last_move = 160, 7
    now = 600 * state.epoch
    spikes = np.unique(
        np.column_stack((now - 1 - random.integers(0, 700, 900), random.integers(0, PARAMETERS.n_cells, 900))), axis=0
    )
    state.recent_step, state.recent_cell = spikes[:, 0].copy(), spikes[:, 1].astype(np.int32)
    plastic = np.flatnonzero(~state.frozen)
    for projection, synapses in (("hidden_output", plastic), ("input_hidden", np.arange(len(state.input_hidden)))):
        if projection == "input_hidden" and state.input_hidden_frozen:
            continue
        setattr(state, f"{projection}_trace_synapse", random.choice(synapses, 2000).astype(np.int32))
        setattr(state, f"{projection}_trace_value", random.choice([-0.4, 0.4], 2000) * np.exp(-random.integers(0, 120, 2000) / 40))
        setattr(state, f"{projection}_trace_step", np.sort(now - random.integers(0, 3600, 2000)))
    return state


# A rule is given a state that is checked afterwards, and these are none that the check lets pass.
@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rules"])
@pytest.mark.parametrize("seed", [1, 2])
def test_both_engines_agree_on_states_that_rarely_occur(compiled, runtime, trained, kind, seed):
    state, phase = scrambled(start_of(kind, trained), seed), phase_of(kind, 2, (1, 1))
    (ours, _), (theirs, _) = compiled.run(state, phase), runtime.run(state, phase)
    exact = {name for name, value in ours.items() if not isinstance(value, np.ndarray) or value.dtype != np.float64}
    for name in exact:
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name in {name for name, _ in ours.items()} - exact:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-10, atol=1e-14, err_msg=name)


S_OF = {Outcome.NOTHING: -0.0001, Outcome.REWARDED: 1.0, Outcome.PUNISHED: -0.001, Outcome.OTHER: -0.0001}
OUTCOMES = {  # of eating nothing, and a horizontal, vertical, positive diagonal and negative diagonal particle
    Activity.UNSUPERVISED: (Outcome.NOTHING, *[Outcome.OTHER] * 4),
    Activity.train("T1"): (Outcome.NOTHING, Outcome.REWARDED, Outcome.OTHER, Outcome.OTHER, Outcome.PUNISHED),
    Activity.train("T2"): (Outcome.NOTHING, Outcome.OTHER, Outcome.REWARDED, Outcome.PUNISHED, Outcome.OTHER),
    Activity.test("T1"): (Outcome.NOTHING, Outcome.REWARDED, Outcome.OTHER, Outcome.OTHER, Outcome.PUNISHED),
    Activity.test("T2"): (Outcome.NOTHING, Outcome.OTHER, Outcome.REWARDED, Outcome.PUNISHED, Outcome.OTHER),
    Activity.SLEEP: (Outcome.NOTHING,) * 5,
}


@pytest.mark.slow
@pytest.mark.parametrize("activity", OUTCOMES)
@pytest.mark.parametrize("particle", range(5))
def test_what_is_eaten_decides_reward_and_hunger(engine, activity, particle):
    # The agent stays on a square of the only particle. One trace, of hidden cell 0 to output cell 0, tells the reward:
    # s = 0.4 / 601, and the average is such that D = 0.009 S.
    state, s_k = initial_state(PARAMETERS, seed=1), 0.4 / 601
    state.epoch, state.phase_epoch, state.hunger = 8, 1, 1
    state.hidden_output_trace_synapse, state.hidden_output_trace_value = np.zeros(1, np.int32), np.array([0.4])
    state.hidden_output_trace_step = np.array([8 * 600 - 1])
    state.trace_average[0, 0] = (s_k**2 / 0.009 - 0.001 * s_k) / 0.999
    state.input_hidden_frozen = activity != Activity.UNSUPERVISED
    second = {1: (25, 26), 2: (26, 25), 3: (26, 26), 4: (24, 26)}  # [y, x]
    if particle:
        state.grid[25, 25] = state.grid[second[particle]] = particle
        state.grid_part[second[particle]] = 1
    listener = Listener()
    after, _ = engine.run(state, Phase("phase", (Block(activity, 9),), 9), epochs=1, recorder=listener)

    columns, outcome, asleep = listener.columns(), OUTCOMES[activity][particle], activity.is_sleep
    assert (columns["move"][0], columns["x"][0], columns["y"][0]) == (4, 25, 25)
    assert (columns["eaten"][0], columns["outcome"][0]) == (0 if asleep else particle, outcome)
    assert after.hunger == (1 if asleep else 0 if outcome in (Outcome.REWARDED, Outcome.PUNISHED) else 2)
    assert np.bincount(after.grid.ravel(), minlength=5)[1:].tolist() == [2 * (k == particle) for k in range(1, 5)]
    assert (after.grid == state.grid).all() == (asleep or not particle)
    S = 0.0 if activity.is_test else 0.5 if asleep else S_OF[outcome]
    assert after.hidden_output[0, 0] / after.hidden_output[1, 0] == pytest.approx(1 + 0.009 * S, rel=1e-12)


# ---------------------------------------------------------------------------------------------------------- errors


def test_an_unknown_engine_is_refused_with_those_there_are():
    with pytest.raises(EngineError, match="^engine: 'neuron' given, allowed are .*brian2, brian2-runtime$"):
        engine_class("neuron")


def assert_one_line(error):
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value) == str(error.value).strip()


def test_a_worker_that_was_killed_gives_one_line_and_can_be_closed():
    message = r"^brian2 engine: the compiled program ended unexpectedly \(exit status -9\)$"
    with pytest.raises(EngineError, match=message) as error, engine_class("brian2")(PARAMETERS) as engine:
        state, _ = engine.run(initial_state(PARAMETERS, 1), phase_of("unsupervised", 4))
        engine._worker.kill()
        engine._worker.wait()
        engine.run(state, phase_of("training", 4))
    assert_one_line(error)


class Killer(Recorder):
    """Kills the worker after the first piece of a run."""

    def __init__(self, engine):
        self.engine = engine

    def epochs(self, records):
        self.engine._worker.kill()
        self.engine._worker.wait()


def test_a_worker_that_is_killed_in_the_middle_of_a_phase_gives_one_line(monkeypatch):
    with engine_class("brian2")(PARAMETERS) as engine:
        monkeypatch.setattr(engine, "chunk_epochs", 2)
        with pytest.raises(EngineError, match="ended unexpectedly") as error:
            engine.run(initial_state(PARAMETERS, 1), phase_of("unsupervised", 20), recorder=Killer(engine))
    assert_one_line(error)


def test_closing_ends_the_worker_and_removes_its_files():
    engine = engine_class("brian2")(PARAMETERS)
    process, scratch = engine._worker, engine._scratch.name
    assert process.poll() is None
    assert os.path.isdir(scratch)
    engine.close()
    engine.close()
    assert process.poll() is not None
    assert not os.path.exists(scratch)


def test_a_state_of_another_network_is_refused_and_the_engine_stays_usable(compiled, irregular, trained):
    expected, _ = compiled.run(trained[1], phase_of("test", 5))
    with pytest.raises(EngineError, match=r"^state: of another network: V has the shape \(94,\), .* it must be \(841,\)$"):
        compiled.run(initial_state(irregular, 1), phase_of("test", 5))
    assert compiled.run(trained[1], phase_of("test", 5))[0].differences(expected) == []


def test_a_compiled_engine_that_is_closed_says_so(trained):
    engine = engine_class("brian2")(PARAMETERS)
    engine.close()
    with pytest.raises(EngineError, match="^brian2 engine: it is closed and cannot run any more; make a new one$"):
        engine.run(trained[1], phase_of("test", 5))


@pytest.mark.parametrize("present, missing", [((), r"g\+\+"), (("g++",), "make")])
def test_a_missing_compiler_is_said_with_the_packages_to_install(monkeypatch, tmp_path, present, missing):
    for tool in present:
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=rf"^brian2 engine: {missing} not found; install .*apt install g\+\+ make") as error:
        engine_class("brian2")(PARAMETERS)
    assert_one_line(error)
    assert "--engine brian2-runtime" in str(error.value)
    assert (brian2_compiled.compiler_version() == "none") == (missing != "")


@pytest.mark.slow
def test_the_compilation_runs_no_more_jobs_than_there_are_processors(monkeypatch, tmp_path):
    fake = tmp_path / "make"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FORAGING_SNN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EngineError, match="the compilation failed"):
        engine_class("brian2")(PARAMETERS)
    jobs = [word for line in (tmp_path / "arguments").read_text().splitlines() for word in line.split() if word.startswith("-j")]
    assert jobs == [f"-j{os.cpu_count()}"]


@pytest.mark.parametrize("path", sorted((Path(brian2_compiled.__file__).parent / "cpp").iterdir()), ids=lambda path: path.name)
def test_cpp_files_include_what_they_use(path):
    headers = {r"std::(fill|min|max|sort)\(": "algorithm", r"std::array<": "array", r"std::vector<": "vector"}
    text = path.read_text()
    for use, header in headers.items():
        assert not re.search(use, text) or f"#include <{header}>" in text, header


@pytest.mark.slow
def test_a_compilation_that_fails_names_its_log(monkeypatch, tmp_path):
    fake = tmp_path / "g++"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "g++ 0.0" && exit 0\necho "no such luck" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FORAGING_SNN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EngineError, match="^brian2 engine: the compilation failed, see ") as error:
        engine_class("brian2")(PARAMETERS)
    assert_one_line(error)
    log = Path(str(error.value).rpartition(" ")[2])
    assert "no such luck" in log.read_text()
    assert list((tmp_path / "cache" / "brian2").iterdir()) == [log]


# ------------------------------------------------------------------------------------- the cache of compiled programs


@pytest.fixture
def built(monkeypatch, tmp_path):
    """List of what would have been compiled, into a cache of its own."""
    programs = []

    def build(parameters, directory, flags, log):
        directory.mkdir()
        (directory / "main").write_text("")
        programs.append((parameters, flags))

    monkeypatch.setattr(brian2_compiled, "_build", build)
    monkeypatch.setenv("FORAGING_SNN_CACHE", str(tmp_path))
    return programs


def test_a_program_is_compiled_once_per_set_of_numbers_of_the_model(built):
    program = brian2_compiled.compiled_program
    first = program(PARAMETERS)
    assert program(PARAMETERS) == first
    same = {
        "phases.scale": 0.1,
        "phases.test_aeons": 3,
        "recording.positions": True,
        "timing.epochs_per_aeon": 50,
        "sleep.block_epochs": 9,
    }
    assert program(PARAMETERS.with_changes(same)) == first
    assert len(built) == 1
    others = {program(PARAMETERS.with_changes({name: value})) for name, value in (("cell.alpha", 3.7), ("sleep.pulse", 0.03))}
    others.add(program(PARAMETERS, "default"))
    assert len(others | {first}) == len(built) == 4
    assert [flags for _, flags in built] == ["strict", "strict", "strict", "default"]


def test_an_engine_whose_program_is_in_the_cache_compiles_nothing(compiled, monkeypatch):
    def build(parameters, directory, flags, log):
        raise AssertionError("compiled again")

    monkeypatch.setattr(brian2_compiled, "_build", build)
    with engine_class("brian2")(PARAMETERS) as engine:
        assert engine.run(initial_state(PARAMETERS, 1), phase_of("unsupervised", 1))[0].epoch == 1


# --------------------------------------------------------------------------------------------- targets of the runtime engine


def test_the_runtime_engine_takes_cython_for_long_phases_where_it_can_compile(runtime, monkeypatch):
    long = brian2_runtime.CYTHON_PAYS_EPOCHS
    monkeypatch.setattr(brian2_runtime, "compiler_version", lambda: "g++ 12")
    assert [runtime._target_for(epochs) for epochs in (1, long - 1, long, 10**9)] == ["numpy", "numpy", "cython", "cython"]
    monkeypatch.setattr(brian2_runtime, "compiler_version", lambda: "none")
    assert runtime._target_for(long) == "numpy"
    assert engine_class("brian2-runtime")(PARAMETERS, codegen="cython")._target_for(1) == "cython"


def test_cython_code_is_compiled_anew_for_other_parameters():
    codes = set()
    for parameters in (PARAMETERS, PARAMETERS.with_changes({"cell.mu": 0.0006}), PARAMETERS):
        functions = cell_functions(parameters, brian2_runtime._headers(parameters))
        codes.add(str(functions["next_u"].implementations._implementations["cython"]._code))
    assert len(codes) == 2


@pytest.mark.slow
def test_cython_and_numpy_give_the_same_bits():
    phase, state = (
        Phase("I(S,T2)", (Block(Activity.train("T2"), 6), Block(Activity.SLEEP, 6)), 18),
        initial_state(PARAMETERS, seed=5),
    )
    one, other = (
        engine_class("brian2-runtime")(PARAMETERS, codegen=codegen).run(state, phase)[0] for codegen in ("numpy", "cython")
    )
    assert one.task_spikes.sum() > 100
    for name, values in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), values, err_msg=name)

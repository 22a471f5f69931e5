"""Protocols and start states on the command line: what is run, what files say of it, and what is refused."""

import json

import pytest
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError
from foraging_snn.models import engine_class, preset
from foraging_snn.protocols import protocol
from foraging_snn.running.starting import read_start
from foraging_snn.running.trial import run_trial

pytestmark = pytest.mark.slow

SMALL = ["--preset", "tiny", "--set", "phases.scale=0.25", "--set", "network.hidden_cells=20"]  # one aeon per phase
PARAMETERS = preset("tiny").with_changes({"phases.scale": 0.25, "network.hidden_cells": 20})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trial of T1 -> T2 -> T1, run by its text."""
    folder = tmp_path_factory.mktemp("trials")
    assert main(["run", "T1 -> T2 -> T1", *SMALL, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def trial(folder):
    return Trial(folder / "T1-T2-T1_seed0001.h5")


def names(trial):
    return [phase.name for phase in trial.phases]


def test_a_protocol_is_run_by_its_text(trial):
    assert trial.complete
    assert (trial.experiment, trial.label, trial.protocol) == ("T1-T2-T1", "T1 -> T2 -> T1", "T1 -> T2 -> T1")
    tests = ["test T1", "test T2"]
    assert names(trial) == ["unsupervised", "T1", *tests, "T2", *tests, "T1", *tests]


def test_several_are_run_at_once_by_text_name_and_file_and_share_what_was_computed(folder, done, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nprotocol = ["T1", "T2{reward.punished=-0.5}", "S"]\ntests = ["T2"]\n')
    said = done("run", "T1", "T1 -> T2 -> I(S,T2)", "--protocol", path, *SMALL, "--out", folder)
    # four aeons of task1, three of T2 and its tests were there; three of I(S,T2), five of mine, which shares its T1, are new
    assert "700 of 1,500 epochs were computed before" in said
    made = {path.name for path in folder.glob("*.h5")}
    assert {"task1_seed0001.h5", "mine_seed0001.h5"} < made
    mine = Trial(folder / "mine_seed0001.h5")
    assert names(mine) == ["unsupervised", "T1", "test T2", "T2", "test T2", "S", "test T2"]
    assert mine.phase("T2").changes == (("reward.punished", -0.5),)
    assert "  in T2: reward.punished -0.5 instead of -0.001" in said.splitlines()
    assert json.loads(done("info", mine.path, "--json"))["phases"][3]["changes"] == {"reward.punished": -0.5}


def test_a_name_can_be_given_to_the_files(done, tmp_path):
    done("run", "T1 -> T1", "--name", "twice", "--tests", "T1", *SMALL, "--out", tmp_path)
    assert names(Trial(tmp_path / "twice_seed0001.h5")) == ["unsupervised", "T1", "test T1", "T1", "test T1"]


def test_list_shows_the_protocols(done):
    assert "naive -> I(S(rates=[T2]),T1)" in done("list")
    rows = json.loads(done("list", "--json"))["experiments"]
    assert {row["name"]: row["protocol"] for row in rows}["dropout-2"] == "T2 -> dropout"


def test_tables_take_trials_of_any_protocol(folder, done):
    assert "T1-T2-T1: T1 -> T2 -> T1" in done("table", folder)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["I()"], "protocol 'I()', character 3: ')' found, expected a task (T1, T2, T3, T4, T5, T6), S, uniform S"),
        (["T1 -> T7"], "protocol 'T1 -> T7', character 7: 'T7' found, "),
        (["sequental"], "experiment: 'sequental' given, allowed are task1, "),
        (["I(S,T1"], "protocol 'I(S,T1', character 7: the text ends, expected ',' or ')'"),
        (["T1[0]"], "protocol 'T1[0]', character 4: 0 aeons given"),
        (["T1[-1]"], "protocol 'T1[-1]', character 4: -1 aeons given"),
        (["T1[99999999999]"], "protocol 'T1[99999999999]', character 4: 99999999999 aeons given"),
        ([" -> ".join(["T1"] * 10_000)], "protocol: 10,000 steps given, allowed are at most 100"),
        (["T1{world.size=60}"], "protocol 'T1{world.size=60}', character 4: world.size given, which holds for a whole trial"),
        (["T1{a.b=1}"], "protocol 'T1{a.b=1}', character 4: a.b: unknown parameter"),
        (["T1", "T1 -> dropout", "task1"], "task1: given twice, allowed is each experiment once"),
        (["T1", "--tests", "T9"], "tests: 'T9' given, allowed are T1, T2"),
        (["T1 -> T1", "T2", "--name", "x"], "--name: given for several protocols"),
        ([], "no experiment given, allowed are names from `foraging-snn list`, protocols, --protocol FILE.toml"),
        (["--protocol", "nowhere.toml"], "nowhere.toml: cannot be read: No such file or directory"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:30] or "nothing",
)
def test_a_mistake_is_one_line_and_leaves_nothing(refused, tmp_path, arguments, said):
    assert refused("run", *arguments, *SMALL, "--out", tmp_path / "out").startswith(said)
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------------- start anywhere


def test_the_states_at_the_ends_of_phases_are_in_the_file(trial):
    assert trial.states == {"unsupervised": 100, "T1#1": 200, "T2": 500, "T1#2": 800, "test T2#3": 1000}
    saved = trial.state_at("T2")
    assert (saved.state.epoch, saved.state.seed, saved.state.phase_epoch) == (500, 1, 0)
    assert saved.parameters == trial.parameters
    assert saved.note == "state after T2, epoch 500, of T1 -> T2 -> T1, preset tiny, engine event, seed 1"
    assert trial.state_at(500).sha256 == saved.sha256 != trial.state_at("T1#2").sha256


def test_a_state_is_that_of_a_run_of_the_same_phases(trial):
    with engine_class("event")(PARAMETERS) as engine:
        end = run_trial(
            protocol("T1 -> T2", PARAMETERS, tests=[]), PARAMETERS, seed=1, engine=engine, path=trial.path.parent / "again.h5"
        )
    trial_end = Trial(trial.path.parent / "again.h5").state_at("T2").state
    (trial.path.parent / "again.h5").unlink()
    assert trial_end.differences(end) == []
    assert trial.state_at("T1#1").state.differences(end) != []


def test_a_protocol_cut_at_the_end_of_a_file_is_the_one_in_one_piece(folder, trial, done, tmp_path):
    done("run", "T2 -> I(S,T1)", "--tests", "T1,T2", *SMALL, "--start-from", f"{trial.path}@test T2#3", "--out", tmp_path)
    done("run", "T1 -> T2 -> T1 -> T2 -> I(S,T1)", *SMALL, "--reuse", folder, "--out", tmp_path)
    cut, whole = sorted((Trial(path) for path in tmp_path.glob("*.h5")), key=lambda trial: len(trial.phases))
    assert cut.started_from.startswith("state after test T2, epoch 1000, of T1 -> T2 -> T1, preset tiny")
    assert names(cut) == ["T2", "test T1", "test T2", "I(S,T1)", "test T1", "test T2"] == names(whole)[-6:]
    assert cut.state_at("test T2#2").state.differences(whole.state_at("test T2#5").state) == []
    assert [test.rewarded for test in cut.test_results()] == [test.rewarded for test in whole.test_results()][-4:]


def test_a_trial_starts_with_the_state_after_any_phase_and_is_found_again(trial, done, tmp_path):
    start = ["--start-from", f"{trial.path}@T1#1"]
    said = done("run", "S[2]", "--tests", "T1", *SMALL, *start, "--out", tmp_path)
    assert "no unsupervised phase; all trials start with one network: state after T1, epoch 200, of T1 -> T2 -> T1" in said
    again = done("run", "S[2] -> I(S,T2)", "--tests", "T1", *SMALL, "--start-from", f"{trial.path}@200", "--out", tmp_path)
    assert "300 of 500 epochs were computed before" in again
    made = Trial(next(path for path in tmp_path.glob("S*.h5") if len(Trial(path).phases) == 2))
    assert (names(made), made.phases[0].first_epoch) == (["S", "test T1"], 200)
    shown = json.loads(done("info", made.path, "--json"))
    assert shown["states"] == {"S": 400, "test T1": 500}
    assert "@...: S, test T1" in done("info", made.path)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("@T5", "no phase 'T5'; its phases are unsupervised, T1, test T1, test T2, T2"),
        ("@T1", "T1: there are 2 phases T1, allowed are T1#1, T1#2"),
        ("@T1#3", "T1#3: there are 2 phases T1, allowed are T1#1, T1#2"),
        ("@test T1#1", "no whole state at the end of test T1#1; states in it: unsupervised (epoch 100), T1#1 (epoch 200), "),
        ("@140", "no whole state at epoch 140, of which there are strengths only; states in it: unsupervised (epoch 100)"),
        ("@141", "no whole state at epoch 141; states in it: "),
        ("@99999999999999999999999", "no phase '99999999999999999999999'"),
        ("", "a trial; allowed is "),
    ],
)
def test_a_state_that_is_not_there_is_said_with_those_that_are(trial, refused, tmp_path, where, said):
    line = refused("run", "S", *SMALL, "--start-from", f"{trial.path}{where}", "--out", tmp_path / "out")
    assert line.startswith(f"{trial.path}: {said}")


def test_a_state_of_another_network_is_refused(trial, refused, tmp_path):
    line = refused("run", "S", "--preset", "tiny", "--start-from", f"{trial.path}@T2", "--out", tmp_path / "out")
    assert "made with other parameters (its value, the value asked for): network.hidden_cells: 20, 784" in line


def test_an_unsupervised_phase_and_a_start_state_do_not_go_together(trial, refused, tmp_path):
    start = ["--start-from", f"{trial.path}@T2", "--out", tmp_path / "out"]
    assert "given with an unsupervised phase and a start state; leave out one" in refused(
        "run", "unsupervised[2] -> T1", *SMALL, *start
    )
    assert "nothing is left of it after the start state" in refused("run", "naive", *SMALL, *start)


def test_sleep_takes_the_rates_of_a_state_in_a_file(trial, done, refused, tmp_path):
    text = f'naive -> S(rates="{trial.path}@T2")'
    done("run", text, "--tests", "T1", "--name", "mine", *SMALL, "--reuse", trial.path.parent, "--out", tmp_path)
    made = Trial(tmp_path / "mine_seed0001.h5")
    assert (names(made), made.protocol) == (["unsupervised", "S", "test T1"], text)
    taken, there = made.training_spikes("S"), trial.training_spikes("T2")
    assert taken.epochs.tolist() == there.epochs.tolist() == [100, 100, 0, 0, 0, 0]
    assert (taken.spikes == there.spikes).all()
    assert refused("run", 'S(rates="nowhere.h5@T2")', *SMALL, "--out", tmp_path / "out").startswith("nowhere.h5@T2: no such file")
    line = refused("run", f'S(rates="{trial.path}@T9")', *SMALL, "--out", tmp_path / "out")
    assert line.startswith(f"{trial.path}: no phase 'T9'; its phases are ")


def test_states_can_be_left_out_of_files(done, refused, tmp_path, folder):
    said = done("run", "T1", *SMALL, "--set", "recording.states=false", "--reuse", folder, "--out", tmp_path)
    assert "400 of 400 epochs were computed before" in said  # it is no other computation
    path = tmp_path / "task1_seed0001.h5"
    assert Trial(path).states == {}
    line = refused("run", "S", *SMALL, "--start-from", f"{path}@T1", "--out", tmp_path / "out")
    assert line.endswith("no whole state at the end of T1; states in it: none, recording.states is false")


def test_a_damaged_state_is_refused(trial, tmp_path):
    import h5py

    path = tmp_path / "damaged.h5"
    path.write_bytes(trial.path.read_bytes())
    with h5py.File(path, "r+") as file:
        file["phases/004/state/resistance"][0] = -1.0
    with pytest.raises(RecordingError, match="damaged or truncated: resistance is not above 0 everywhere"):
        Trial(path).state_at("T2")
    assert Trial(path).state_at("T1#1").state.epoch == 200


def test_a_file_put_together_from_the_ledger_has_the_same_states(folder, trial, done, tmp_path):
    done("run", "T1 -> T2 -> T1", *SMALL, "--reuse", folder, "--out", tmp_path)
    assert differences(trial.path, tmp_path / "T1-T2-T1_seed0001.h5") == ["provenance@command_line"]


def test_a_start_state_that_is_no_file_names_what_there_is():
    with pytest.raises(StateError, match=r"^nothing@T1: no such file, and the states in the package are: after-unsupervised$"):
        read_start("nothing@T1")

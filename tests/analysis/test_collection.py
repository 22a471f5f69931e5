"""A folder of trials: grouped by experiment, refused if they do not belong together; what is missing has a command."""

import shlex
import shutil

import h5py
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection, CollectionError, MissingTrials
from foraging_snn.files.hdf5 import write_text
from foraging_snn.files.states import packaged_states
from foraging_snn.models import preset

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    return write_trials(tmp_path, ["task1", "sleep"], [8, 6])


def test_trials_come_by_experiment_and_seed(folder):
    collection = Collection(folder)
    assert collection.experiments == ("sleep", "task1")
    assert [trial.seed for trial in collection.trials("sleep")] == [6, 8]
    assert collection.has("task1")
    assert not collection.has("task2")
    assert collection.left_out == ()


def test_a_missing_experiment_has_the_command_that_makes_it(folder):
    with pytest.raises(MissingTrials) as error:
        Collection(folder).require(["task1", "task2", "interleaved"])
    message = str(error.value)
    assert message.startswith(
        "no trial of task2, interleaved; made by `foraging-snn reproduce --experiments task2,interleaved --preset tiny --set "
    )
    assert "--set network.hidden_cells=20 " in message
    assert "recording" not in message
    assert message.endswith(f"--trials 2 --seed 6 --out {folder}`")


def test_the_command_makes_trials_that_go_with_the_others(folder):
    words = shlex.split(str(Collection(folder).missing(["task2"])).split("`")[1])
    options = list(zip(words[2::2], words[3::2], strict=True))
    made = preset(dict(options)["--preset"]).with_changes(dict(value.split("=") for name, value in options if name == "--set"))
    assert made != SMALL  # what is recorded is left to the command
    write_trials(folder, ["task2"], [6], made)
    assert Collection(folder).experiments == ("sleep", "task1", "task2")


def test_what_trials_lack_is_made_in_another_folder(folder):
    message = str(Collection(folder).missing(["task1"], "no spikes"))
    assert message.startswith("no spikes of task1; made by ")
    assert message.endswith(f"--out {folder}-2`")


@pytest.mark.parametrize(
    ("command_line", "note", "option"),
    [
        ("foraging-snn run task1 --start-from 'my state.h5' --out x", "mine [123456789abc]", "--start-from 'my state.h5'"),
        ("foraging-snn run task1 --start-from=after --out x", "mine [123456789abc]", "--start-from after"),
        ("foraging-snn demo", str(packaged_states()["after-unsupervised"]()), "--start-from after-unsupervised"),
    ],
)
def test_the_command_names_the_start_state(folder, command_line, note, option):
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            write_text(file.attrs, "started_from", note)
            write_text(file["provenance"].attrs, "command_line", command_line)
    command = Collection(folder).command(["task2"])
    assert f" {option} --trials 2 --seed 6 --out {folder}`" in command
    assert command.endswith("`")


def test_a_start_state_that_nobody_can_name_is_described(folder):
    for path in folder.glob("*.h5"):
        with h5py.File(path, "r+") as file:
            write_text(file.attrs, "started_from", "mine [123456789abc]")
            write_text(file["provenance"].attrs, "command_line", "an unclosed 'quote")
    assert Collection(folder).command(["task2"]).endswith("` with --start-from and the file of that state: mine [123456789abc]")


def test_the_small_print_says_what_the_trials_are(folder):
    small_print = Collection(folder).small_print
    assert small_print.startswith(
        "2 trials, preset tiny, shortened: unsupervised 4 of 100000, training 8 of 50000, test 4 of 10000"
    )
    assert "interleaved 8 of 50000 aeons" in small_print
    assert "changed: network.hidden_cells 20 instead of 784" in small_print
    assert "engine pretend" in small_print
    assert "foraging_snn 0" in small_print
    assert "interleaved" not in Collection(folder).conditions(["task1"])


def test_different_numbers_of_trials_are_said(folder):
    write_trials(folder, ["task2"], [1])
    assert Collection(folder).small_print.startswith("1 to 2 trials per experiment, ")


def test_incomplete_and_foreign_files_are_left_out_and_said(folder):
    with pytest.raises(RuntimeError, match="stopped here"):
        write_trials(folder, ["task2"], [4], engine=lambda p: PretendEngine(p, ("T2", RuntimeError("stopped here"))))
    (folder / "other.h5").write_text("not HDF5")
    collection = Collection(folder)
    assert collection.experiments == ("sleep", "task1")
    assert collection.left_out[0] == f"{folder / 'task2_seed0004.h5'}: incomplete"
    assert str(folder / "other.h5") in collection.left_out[1]
    assert len(collection.left_out) == 2
    assert collection.small_print.endswith("1 incomplete file left out")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phases.test_aeons": 3}, "phases.test_aeons: 4, 3"),
        ({"sleep.pulse": 0.03}, "sleep.pulse: 0.025, 0.03"),
    ],
)
def test_trials_of_different_parameters_are_refused_by_name(folder, changes, reason):
    write_trials(folder, ["task2"], [8], SMALL.with_changes(changes))
    with pytest.raises(CollectionError) as error:
        Collection(folder)
    assert str(folder / "task2_seed0008.h5") in str(error.value)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_trials_that_recorded_other_things_belong_together(folder):
    write_trials(folder, ["task2"], [8], SMALL.with_changes({"recording.spike_window_epochs": 0, "recording.positions": True}))
    assert Collection(folder).experiments == ("sleep", "task1", "task2")


def test_the_same_trial_twice_is_refused(folder):
    shutil.copy(folder / "task1_seed0006.h5", folder / "copy.h5")
    with pytest.raises(CollectionError, match="the same trial of task1, seed 6, twice"):
        Collection(folder)


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "not a folder"), (".", "no .h5 file in it")])
def test_a_folder_without_trials_is_refused(tmp_path, name, reason):
    with pytest.raises(CollectionError, match=reason):
        Collection(tmp_path / name)

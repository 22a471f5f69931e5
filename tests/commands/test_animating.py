"""The command `animate`: an animation of a real trial, or one line that says why not."""

import numpy as np
import pytest
from PIL import Image
from pretend_trials import SMALL, write_trials

from foraging_snn.commands import animating
from foraging_snn.commands.animating import before_and_after, phase_asked_for, scene, shown_epochs
from foraging_snn.commands.cli import main
from foraging_snn.files.reader import Trial
from foraging_snn.models import engine_class, preset
from foraging_snn.protocols import experiments
from foraging_snn.running.trial import run_trial

WINDOWS = {"recording.windows": 2, "recording.spike_window_epochs": 30, "recording.position_window_epochs": 40}
SHORT = preset("tiny").with_changes({"phases.scale": 0.25, **WINDOWS})


def recorded(path, changes=None):
    """The file of a short trial of `sleep`."""
    parameters = SHORT.with_changes(changes or {})
    common = {"seed": 3, "trial": 0, "path": path, "command_line": "a test"}
    with engine_class("event")(parameters) as engine:
        run_trial(experiments(parameters)["sleep"], parameters, engine=engine, **common)
    return path


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A trial of `sleep` with 30 epochs of spikes and 40 of positions at both ends of every phase."""
    return Trial(recorded(tmp_path_factory.mktemp("trial") / "sleep_seed0003.h5"))


@pytest.fixture
def refused(capfd):
    """Run a command that fails on bad input; its one line."""

    def run(*arguments):
        assert main(["animate", *map(str, arguments)]) == 2
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix("foraging-snn: ").rstrip("\n")

    return run


def test_the_most_active_output_cell_points_where_the_agent_goes_next(trial):
    now = scene(trial, trial.phases[1], range(29), "T1")
    most = now.output.max(axis=1, keepdims=True)
    single = ((now.output == most).sum(axis=1) == 1) & (most[:, 0] > 0)
    cell = np.argmax(now.output, axis=1)
    assert np.count_nonzero(single) >= 2
    # hunger makes some moves random, a few percent at most in so short a time
    agrees = (cell + (cell >= 4))[single] == now.next_move[single]
    assert np.count_nonzero(~agrees) <= 1
    moved = np.column_stack([(now.x[1:] - now.x[:-1] + 1) % 50, (now.y[1:] - now.y[:-1] + 1) % 50])
    np.testing.assert_array_equal(moved, np.column_stack([now.next_move[:-1] % 3, now.next_move[:-1] // 3]))


def test_a_scene_has_all_spikes_of_its_layers(trial):
    now, spikes = scene(trial, trial.phases[1], range(29), "T1"), trial.spikes(1)
    steps, first = trial.parameters.timing.steps_per_epoch, trial.phases[1].first_epoch
    within = (spikes.step > first * steps) & (spikes.step <= (first + 29) * steps)
    is_hidden = (spikes.cell >= 49) & (spikes.cell < 49 + 784)
    assert now.hidden.shape == (29, 784)
    assert now.hidden.sum() == np.count_nonzero(within & is_hidden) > 100
    assert now.output.sum() == np.count_nonzero(within & (spikes.cell >= 49 + 784))


def test_before_and_after_are_the_first_training_and_its_test(trial):
    assert [phase.index for phase in before_and_after(trial)] == [1, 2]
    assert shown_epochs(trial, trial.phases[1], 200) == range(29)
    assert shown_epochs(trial, trial.phases[1], 10) == range(10)


def test_a_phase_is_named_or_numbered(trial):
    assert [phase_asked_for(trial, name).index for name in ("I(S,T2)", "test T2", "6")] == [4, 3, 6]


def test_the_command_shows_before_and_after(trial, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(animating, "LINE_SECONDS", 1e9)
    out = tmp_path / "new" / "a.gif"
    assert main(["animate", str(trial.path), "--epochs", "3", "--fps", "4", "--out", str(out)]) == 0
    assert capfd.readouterr() == (f"drawing 3 epochs\n{out}\n", "")
    with Image.open(out) as image:
        assert (image.n_frames, image.info["duration"]) == (3, 250)


def test_where_there_is_no_terminal_a_line_now_and_then_says_how_far_it_is(trial, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(animating, "LINE_SECONDS", 0.0)
    assert main(["animate", str(trial.path), "--epochs", "2", "--out", str(tmp_path / "a.gif")]) == 0
    assert capfd.readouterr().out.splitlines()[:3] == ["drawing 2 epochs", "1/2 epochs", "2/2 epochs"]


def test_by_default_it_is_written_beside_the_file_and_never_over_another(tmp_path, capfd, refused):
    path = recorded(tmp_path / "mine.h5", {"recording.spike_window_epochs": 5})
    assert main(["animate", str(path), "--phase", "I(S,T2)"]) == 0
    out = capfd.readouterr().out
    assert out == f"drawing 4 epochs, all that were recorded in one piece, instead of 200\n{tmp_path / 'mine.gif'}\n"
    before = (tmp_path / "mine.gif").read_bytes()
    assert refused(path) == f"{tmp_path / 'mine.gif'}: exists already and is not overwritten"
    assert (tmp_path / "mine.gif").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--epochs", "0"], "--epochs: 0 given, allowed is 1 to 600"),
        (["--epochs", "601"], "--epochs: 601 given, allowed is 1 to 600"),
        (["--fps", "0"], "--fps: 0 given, allowed is 1 to 50"),
        (["--out", "a.png"], "--out: a.png given, allowed is a file that ends in .gif or .mp4"),
        (["--phase", "0"] * 4, "--phase: given 4 times, allowed is at most 3"),
    ],
)
def test_bad_options_are_one_line(trial, refused, options, line):
    assert refused(trial.path, *options) == line


def test_an_unknown_phase_names_those_there_are(trial, refused):
    line = refused(trial.path, "--phase", "T3")
    assert line.startswith(f"--phase: 'T3' given, {trial.path} has 0 (unsupervised), 1 (T1), 2 (test T1), ")


@pytest.mark.parametrize(
    "changes",
    [{"recording.windows": 1}, {"recording.position_window_epochs": 0}, {"recording.spike_window_epochs": 0}],
)
def test_what_was_not_recorded_is_said_with_what_records_it(tmp_path, refused, changes):
    write_trials(tmp_path, ["task1"], [6], SMALL.with_changes(changes))
    line = refused(tmp_path / "task1_seed0006.h5")
    assert "of phase 1 (T1)" in line
    assert "run it with --set recording.windows=2 --set recording.spike_window_epochs=400" in line
    assert not list(tmp_path.glob("*.gif"))


def test_a_trial_that_its_seed_does_not_make_is_refused(tmp_path, refused):
    write_trials(tmp_path, ["task1"], [6])  # its engine eats at every move
    assert "damaged, or made by other rules" in refused(tmp_path / "task1_seed0006.h5")


def test_a_file_that_is_no_trial_is_one_line(tmp_path, refused):
    (tmp_path / "a.h5").write_text("nothing")
    assert str(tmp_path / "a.h5") in refused(tmp_path / "a.h5")
    assert "none.h5" in refused(tmp_path / "none.h5")
    refused(".")

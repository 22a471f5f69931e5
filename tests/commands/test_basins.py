"""`foraging-snn basins` on short trials: what an engine makes of them; files, figures, going on, bad input in one line."""

import json

import numpy as np
import pytest
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.environments.draws import Stream, stream_key, uniform
from foraging_snn.files.landscapes import read_basins
from foraging_snn.files.reader import Trial
from foraging_snn.models import Activity, Block, Phase, engine_class
from foraging_snn.running import basins as running
from foraging_snn.running.basins import checks_of, perturbed

TINY = ["--preset", "tiny", "--set", "network.hidden_cells=100", "--snapshots", "4", "--set", "network.seed=1"]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """A trial of T1, made by the event engine in a moment."""
    folder = tmp_path_factory.mktemp("trials")
    assert main(["run", "task1", *TINY, "--set", "phases.unsupervised_aeons=2", "--out", str(folder)]) == 0
    return folder / "task1_seed0001.h5"


def basins(trial, out, *options):
    short = ["--then", "S[2]", "--then", "T1[2]", "--radii", "3", "--directions", "2", "--checks", "2", "--epochs", "100"]
    return main(["basins", str(trial), *short, "--jobs", "1", "--format", "png", "--out", str(out), *options])


def test_basins_are_a_file_a_figure_and_a_table(trial, tmp_path, capsys):
    out = tmp_path / "b.h5"
    assert basins(trial, out) == 0
    said = capsys.readouterr().out
    assert "basins: 4 networks after T1, 1 trials; then S for 200 epochs, T1 for 200 epochs; T1; " in said
    assert "9/9 tests" in said  # of S: two networks and the one not perturbed, which is the same in both directions
    assert said.endswith(f"{out}\n{out.with_suffix('.png')}\n")
    made = read_basins(out)
    assert (made.state, made.phases, made.seeds, made.radii.tolist()) == ("T1", ("S", "T1"), (1,), [0.0, 3.0])
    assert made.epoch.tolist() == [[0, 100, 200], [0, 100, 200]]
    assert made.tested.performance.shape == (1, 2, 2, 2, 3, 1)
    assert not made.distance[:, 0].any() and (made.distance[:, 1] > 0.5).all()
    for column in ("rewarded", "hidden_spikes"):  # before anything follows, it is one network
        np.testing.assert_array_equal(made.tested.counts[column][:, 0, ..., 0, :], made.tested.counts[column][:, 1, ..., 0, :])
    assert main(["info", str(out)]) == 0
    assert "kind          basins" in capsys.readouterr().out
    assert main(["info", str(out), "--json"]) == 0
    assert [row["then"] for row in json.loads(capsys.readouterr().out)["returns"]] == ["S", "S", "T1", "T1"]


def test_what_is_tested_is_what_the_engine_makes_of_the_perturbed_state(trial, tmp_path):
    out = tmp_path / "b.h5"
    assert basins(trial, out) == 0
    made, saved = read_basins(out), Trial(trial).state_at("T1")
    state, parameters = saved.state, saved.parameters
    direction = np.array([2.0 * uniform(stream_key(1, Stream.PERTURBATION, 1), k) - 1.0 for k in range(800)])
    moved = state.hidden_output + 3.0 * (direction / np.linalg.norm(direction)).reshape(100, 8)
    moved = np.clip(moved, 1e-5, 1.0)
    network, distance = perturbed(state, 3.0, 1, parameters)
    np.testing.assert_allclose(network.hidden_output.sum(axis=0), parameters.output_input_target, rtol=1e-3)  # and the floor
    np.testing.assert_allclose(network.hidden_output, moved * parameters.output_input_target / moved.sum(axis=0), atol=2e-5)
    np.testing.assert_allclose(network.inhibition, -network.hidden_output.mean(axis=1))
    assert distance == pytest.approx(np.linalg.norm(network.hidden_output - state.hidden_output))
    assert made.distance[0, 1, 1] == distance
    task, test = Activity.train("T1"), Phase("a test", (Block(Activity.test("T1"), 100),), 100)
    with engine_class("event")(parameters) as engine:
        after, _ = engine.run(network, Phase("T1", (Block(task, 100),), 200), epochs=100)
        after.phase_epoch = 0
        _, record = engine.run(after, test)
    assert made.tested.counts["hidden_spikes"][0, 1, 1, 1, 1, 0] == record.counts["hidden_spikes"].sum()
    assert made.tested.counts["rewarded"][0, 1, 1, 1, 1, 0] == record.counts["rewarded"].sum()


def test_basins_that_were_stopped_go_on_and_are_the_same(trial, tmp_path, capsys, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    assert basins(trial, whole / "b.h5") == 0
    tested, seen = running.tested, []

    def interrupted(*given):
        seen.append(given)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return tested(*given)

    monkeypatch.setattr(running, "tested", interrupted)
    assert basins(trial, cut / "b.h5") == 130
    assert "tests that were done are kept in" in capsys.readouterr().err
    monkeypatch.undo()
    assert basins(trial, cut / "b.h5") == 0
    assert "were done before" in capsys.readouterr().out
    assert differences(whole / "b.h5", cut / "b.h5") == ["provenance@command_line"]


def test_tests_are_evenly_spaced_from_the_start_to_the_end():
    phase = Phase("S", (Block(Activity.SLEEP, 100),), 1000)
    assert checks_of(phase, 3) == (0, 333, 667, 1000)


BAD = {
    "radii": (["--radii", "a"], "--radii: 'a' given, allowed are numbers above 0, 1000 at most, with commas between"),
    "none": (["--radii", "0"], "--radii: '0' given, allowed are numbers above 0, 1000 at most, with commas between"),
    "negative": (["--radii=-1"], "--radii: '-1' given, allowed are numbers above 0, 1000 at most, with commas between"),
    "nan": (["--radii", "nan"], "--radii: 'nan' given, allowed are numbers above 0, 1000 at most, with commas between"),
    "directions": (["--directions", "0"], "--directions: 0 given, allowed is 1 to 1000"),
    "two phases": (
        ["--then", "T1 -> T2"],
        "--then: 'T1 -> T2' given, allowed is one phase that learns, such as S[500], T1[500] or I(S,T2)[500]",
    ),
    "twice": (["--then", "S[3]"], "--then: S[2], T1[2], S[3]: two phases of one name, allowed are different ones"),
    "checks": (["--checks", "500"], "--checks: 500 given, allowed is 1 to 200, the epochs of 'S[2]'"),
    "state": (["--state", "T2"], "no state 'T2', allowed are the ends of naive, T1"),
    "epochs": (["--epochs", "150"], "epochs: 150 given, allowed are whole aeons: 100, 200, 300, ..."),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(trial, tmp_path, capsys, case):
    options, said = BAD[case]
    assert basins(trial, tmp_path / "b.h5", *options) == 2
    err = capsys.readouterr().err
    assert err.startswith("foraging-snn: ") and err.endswith(f"{said}\n") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

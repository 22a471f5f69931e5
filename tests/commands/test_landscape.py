"""`foraging-snn landscape` and `paths` on short trials: files, figures, going on after a stop, and bad input in one line."""

import json
import shutil
import signal

import numpy as np
import pretend_evaluations
import pytest
from pretend_trials import SMALL, write_trials
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.commands.evaluating import states_of
from foraging_snn.commands.landscape import usual_states
from foraging_snn.commands.paths import _chosen_rows, lines_of
from foraging_snn.files.landscapes import read_landscape, read_paths, write_landscape, write_paths
from foraging_snn.files.networks import RecordedPoints
from foraging_snn.files.reader import Trial
from foraging_snn.running import evaluating
from foraging_snn.running.errors import RunError

pytestmark = pytest.mark.slow

TINY = ["--preset", "tiny", "--set", "network.hidden_cells=100", "--snapshots", "4", "--set", "network.seed=1"]


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Two trials of T1 -> T2 and of T1 -> I(S,T2), of one wiring, made by the event engine in a moment."""
    folder = tmp_path_factory.mktemp("trials")
    shorter = ["--set", "phases.unsupervised_aeons=3", "--trials", "2", "--out", str(folder)]
    assert main(["reproduce", "--experiments", "sequential,sleep", *TINY, *shorter]) == 0
    return folder


def files(folder, seed=1):
    return [str(folder / f"{name}_seed{seed:04d}.h5") for name in ("sequential", "sleep")]


def landscape(folder, out, *options):
    quick = ["--grid", "3", "--epochs", "100", "--jobs", "1"]
    only_png = [] if "--format" in options else ["--format", "png"]
    return main(["landscape", *files(folder), *quick, *only_png, "--out", str(out), *options])


def test_a_landscape_is_a_file_and_a_figure(trials, tmp_path, capsys):
    out = tmp_path / "plane.h5"
    assert landscape(trials, out, "--format", "png,pdf") == 0
    said = capsys.readouterr().out
    assert "landscape: plane through T1, T2, I(S,T2); 3 x 3 points and 3 states, T1, T2; 2,400 epochs" in said
    assert "24/24 tests  2400/2400 epochs" in said
    assert said.endswith(f"{out}\n{out.with_suffix('.png')}\n{out.with_suffix('.pdf')}\n")
    made = read_landscape(out)
    assert (made.kind, made.reference, made.states.names) == ("states", "I(S,T2)", ("T1", "T2", "I(S,T2)"))
    assert made.tested.performance.shape == (3, 3, 2)
    assert made.source.files == ("sequential_seed0001.h5", "sleep_seed0001.h5")
    assert made.source.provenance["engine"] == "event"
    np.testing.assert_allclose(made.states.position[0], [0, 0], atol=1e-12)
    np.testing.assert_allclose(made.states.distance, 0, atol=1e-9)
    ways = {way.label: way for way in made.trajectories}
    assert set(ways) == {"T1 -> T2", "T1 -> I(S,T2)"}
    np.testing.assert_allclose(ways["T1 -> T2"].position[-1], made.states.position[1])


def test_points_of_the_map_are_the_plane_and_its_corners_are_the_states(trials, tmp_path):
    """With no margin and no trajectory outside, corners of the grid need not be states; points are origin + x u + y v."""
    out = tmp_path / "plane.h5"
    assert landscape(trials, out, "--tasks", "T2", "--margin", "0") == 0
    made = read_landscape(out)
    point = made.origin + made.x[2] * made.axes[0] + made.y[1] * made.axes[1]
    expected = evaluating.evaluate([point], ("T2",), 100, network=made.network, resistance=made.resistance)
    for name, values in expected.counts.items():
        np.testing.assert_array_equal(made.tested.counts[name][1, 2], values[0], err_msg=name)
    assert made.tested.moved[1, 2] == expected.moved[0]
    own = evaluating.evaluate(made.states.strengths, ("T2",), 100, network=made.network, resistance=made.states.resistance)
    np.testing.assert_array_equal(made.states.tested.counts["rewarded"], own.counts["rewarded"])


def test_a_landscape_that_was_stopped_goes_on_and_is_the_same(trials, tmp_path, capsys, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    assert landscape(trials, whole / "plane.h5") == 0
    run_many, seen = evaluating._tested, []

    def interrupted(*given):
        for pair in run_many(*given):
            seen.append(pair)
            yield pair
            if len(seen) == 5:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(evaluating, "_tested", interrupted)
    assert landscape(trials, cut / "plane.h5") == 130
    err = capsys.readouterr().err
    assert err.startswith("foraging-snn: interrupted; tests that were done are kept in ") and "; go on with: foraging-snn" in err
    assert not (cut / "plane.h5").exists()
    monkeypatch.undo()
    assert landscape(trials, cut / "plane.h5") == 0
    assert "5 of 24 tests were done before" in capsys.readouterr().out
    assert differences(whole / "plane.h5", cut / "plane.h5") == ["provenance@command_line"]


def test_two_processes_make_the_same_landscape(trials, tmp_path):
    for jobs in ("1", "2"):
        (tmp_path / jobs).mkdir()
        assert landscape(trials, tmp_path / jobs / "plane.h5", "--jobs", jobs) == 0
    assert differences(tmp_path / "1" / "plane.h5", tmp_path / "2" / "plane.h5") == ["provenance@command_line"]


def test_states_and_axes_are_chosen_by_name(trials, tmp_path):
    named = [word for name in ("naive", "T1", "I(S,T2)", f"{files(trials)[0]}:T2") for word in ("--state", name)]
    assert landscape(trials, tmp_path / "a.h5", *named, "--resistances", "T1", "--tasks", "T1") == 0
    made = read_landscape(tmp_path / "a.h5")
    assert made.states.names == ("naive", "T1", "I(S,T2)", "T2 (sequential_seed0001)")
    assert made.states.distance[3] > 1e-6 > made.states.distance[:3].max()
    np.testing.assert_array_equal(made.resistance, made.states.resistance[1])
    assert landscape(trials, tmp_path / "b.h5", "--axes", "pca", "--tasks", "T1") == 0
    made = read_landscape(tmp_path / "b.h5")
    assert (made.kind, made.states.names) == ("pca", ("T1", "T2", "I(S,T2)"))


def test_figures_draws_landscapes_and_paths_in_a_folder(trials, tmp_path, capsys):
    shutil.copy(files(trials)[0], tmp_path)
    assert landscape(trials, tmp_path / "plane.h5", "--tasks", "T1") == 0
    assert paths(trials, tmp_path / "lines.h5", "--no-between", "--tasks", "T1") == 0
    capsys.readouterr()
    assert main(["figures", str(tmp_path), "--only", "landscape,paths", "--format", "png"]) == 0
    said = capsys.readouterr().out
    drawn = [tmp_path / "figures" / name for name in ("plane.png", "lines.png")]
    assert all(path.stat().st_size > 10_000 for path in drawn)
    assert all(str(path) in said for path in drawn)


def test_info_shows_landscapes_and_paths(tmp_path, capsys):
    write_landscape(tmp_path / "plane.h5", pretend_evaluations.landscape())
    write_paths(tmp_path / "lines.h5", pretend_evaluations.paths())
    for name, said in (("plane", "T2 0.00 0.500 ± 0.016 0.800 ± 0.013"), ("lines", "T1 to I(S,T2)")):
        assert main(["info", str(tmp_path / f"{name}.h5")]) == 0
        out = capsys.readouterr().out
        assert "sequential_seed0001.h5" in out
        assert said in " ".join(out.split())
        assert main(["info", str(tmp_path / f"{name}.h5"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["share"], len(found["lines"])) == ("paths", [0.0, 0.25, 0.5, 0.75, 1.0], 7)
    assert found["lines"][0]["tests"][2][0]["performance"] == pytest.approx(0.599, abs=0.001)
    assert main(["info", str(tmp_path / "plane.h5"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["points"], found["resistances_of"]) == ([9, 9], "I(S,T2)")
    assert found["states"][1]["tests"][1] == {"task": "T2", "performance": 0.8, "error": pytest.approx(0.01265, abs=1e-5)}


def test_figures_draws_landscapes_without_trials_beside_them(trials, tmp_path):
    assert landscape(trials, tmp_path / "plane.h5", "--tasks", "T1", "--format", "svg") == 0
    assert main(["figures", str(tmp_path), "--format", "png"]) == 0
    assert (tmp_path / "figures" / "plane.png").exists()


# ------------------------------------------------------------------------------------------------------------------ paths


def paths(folder, out, *options):
    shorter = ["--points", "3", "--epochs", "100", "--snapshots", "2", "--jobs", "1", "--format", "png"]
    return main(["paths", *files(folder), *files(folder, 2), *shorter, "--out", str(out), *options])


def test_paths_are_a_file_a_figure_and_a_table_of_barriers(trials, tmp_path, capsys):
    out = tmp_path / "lines.h5"
    assert paths(trials, out) == 0
    said = capsys.readouterr().out
    made = read_paths(out)
    lines = [(start.seed, start.state, end.seed, end.state) for start, end in zip(made.starts, made.ends, strict=True)]
    within = [("T1", "T2"), ("T1", "I(S,T2)"), ("T2", "I(S,T2)")]
    assert lines[:6] == [(seed, a, seed, b) for seed in (1, 2) for a, b in within]
    assert lines[6:] == [(1, name, 2, name) for name in ("T1", "T2", "I(S,T2)")]
    assert made.share.tolist() == [0.0, 0.5, 1.0]
    assert (made.length > 0).all()
    assert [way.phases for way in made.ways[:2]] == [("naive", "T1", "T1", "T2", "T2"), ("naive", "T1", "T1", "I(S,T2)", "I(S,T2)")]
    of_line, of_way = made.tested.counts["rewarded"], made.ways[0].tested.counts["rewarded"]
    np.testing.assert_array_equal(of_line[0, 0], of_way[2])  # after T1, wherever it stands
    np.testing.assert_array_equal(of_line[0, -1], of_way[-1])
    assert "T1, trial to trial" in said and "Differences of barriers, trial by trial" in said
    assert said.endswith(f"{out}\n{out.with_suffix('.png')}\n")


def test_a_line_from_trial_to_trial_goes_through_the_strengths_input_to_hidden_too(trials):
    points = [RecordedPoints.of(Trial(path)) for seed in (1, 2) for path in files(trials, seed)]
    line = lines_of(points, between=True)[6]
    assert line[0].network.has_wiring_of(line[1].network)
    middle = line[0].network.between(line[1].network, 0.5)
    expected = (line[0].network.input_hidden + line[1].network.input_hidden) / 2
    np.testing.assert_allclose(middle.input_hidden, expected)
    assert np.ptp(line[0].network.input_hidden - line[1].network.input_hidden) > 0


def test_snapshots_are_evenly_spaced_and_end_with_the_phase(trials):
    points = RecordedPoints.of(Trial(files(trials)[0]))  # 4 of each phase
    assert _chosen_rows(points, 2).tolist() == [0, 2, 4, 6, 8]
    assert _chosen_rows(points, 1).tolist() == [0, 4, 8]
    assert _chosen_rows(points, 100).tolist() == list(range(9))


# --------------------------------------------------------------------------------------------------- usual states, bad input


def test_usual_states_are_the_first_and_the_last_ones(tmp_path):
    write_trials(tmp_path, ["sequential-sleep", "sequential", "task1"], [1])
    both, two, one = (
        [RecordedPoints.of(Trial(tmp_path / f"{name}_seed0001.h5"))] for name in ("sequential-sleep", "sequential", "task1")
    )
    assert [name for name, _ in usual_states(both, "states")] == ["T1", "T2", "I(S,T1)"]
    assert [name for name, _ in usual_states(two, "states")] == ["naive", "T1", "T2"]
    assert [name for name, _ in usual_states(one, "pca")] == ["T1"]
    with pytest.raises(RunError, match=r"three states are needed, there are naive, T1; give more files$"):
        usual_states(one, "states")
    assert list(states_of([*both, *two])) == ["naive", "T1", "T2", "I(S,T1)"]


BAD = {
    "grid": (["--grid", "1"], "--grid: 1 given, allowed is 2 to 200"),
    "margin": (["--margin", "-1"], "--margin: -1 given, allowed is 0 to 10"),
    "axes": (["--axes", "umap"], "--axes: 'umap' given, allowed are states, pca"),
    "epochs": (["--epochs", "50"], "epochs: 50 given, allowed are whole aeons: 100, 200, 300, ..."),
    "task": (["--tasks", "T1,T9"], "task: 'T9' given"),
    "task twice": (["--tasks", "T1,T1"], "--tasks: 'T1,T1' given, allowed are names of tasks such as T1,T2, each once"),
    "state": (["--state", "T9", "--state", "T1", "--state", "T2"], "--state: 'T9' given, allowed are naive, T1, T2, I(S,T2)"),
    "state twice": (["--state", "T1", "--state", "T1", "--state", "T2"], "--state: T1, T1, T2: a state is named twice"),
    "two states": (["--state", "T1", "--state", "T2"], "--state: 2 given, allowed are 3 or more; the first 3 span the plane"),
    "resistances": (["--resistances", "T7"], "--resistances: 'T7' given, allowed are T1, T2, I(S,T2)"),
    "jobs": (["--jobs", "0"], "jobs: 0 given, allowed is at least 1"),
    "engine": (["--engine", "fast"], "engine: 'fast' given"),
    "format": (["--format", "gif"], "--format: 'gif' given, allowed are png, pdf, svg"),
    "name": (["--out", "plane"], "--out: plane given, allowed is a name that ends in .h5"),
    "folder": (["--out", "no/plane.h5"], "no: not a folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(trials, tmp_path, capsys, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    options, message = BAD[case]
    assert landscape(trials, tmp_path / "plane.h5", *options) == 2
    err = capsys.readouterr().err
    assert err.startswith("foraging-snn: ") and message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_trials_that_do_not_go_together_are_refused(trials, tmp_path, capsys):
    write_trials(tmp_path, ["sequential"], [1])
    other, out = tmp_path / "sequential_seed0001.h5", str(tmp_path / "plane.h5")
    first, sleep = files(trials)
    said = {
        ("landscape", first, str(other)): "not to be looked at together, their parameters differ",
        ("landscape", first, first): "a file is given twice",
        ("landscape", first, files(trials, 2)[1]): "not of one network (strengths input to hidden)",
        ("landscape", first, str(tmp_path / "none.h5")): "none.h5: cannot be read",
        ("landscape", first, sleep, "--state", f"{other}:T1"): "of another network than the trials (wiring)",
        ("paths", first, sleep, "--points", "2"): "--points: 2 given, allowed is 3 to 1001",
        ("paths", first, sleep, "--snapshots", "-1"): "--snapshots: -1 given, allowed is 0 to 10000",
    }
    for words, message in said.items():
        assert main([*words, "--jobs", "1", "--out", out]) == 2, words
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1, words


def test_a_file_that_is_there_is_not_overwritten(trials, tmp_path, capsys):
    (tmp_path / "plane.png").write_text("mine")
    assert landscape(trials, tmp_path / "plane.h5") == 2
    assert capsys.readouterr().err == f"foraging-snn: {tmp_path / 'plane.png'}: exists already and is not overwritten\n"
    assert (tmp_path / "plane.png").read_text() == "mine"
    assert SMALL.n_hidden == 20

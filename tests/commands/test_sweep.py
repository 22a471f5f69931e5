"""Sweeps: all combinations, each in a folder of its own, one table of all tests, and bad requests told before anything runs."""

import csv
import re
from dataclasses import replace

import h5py
import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.figures.sweep_overview import draw
from foraging_snn.analysis.sweep_table import FIXED_COLUMNS, SweepRow, SweepTable, csv_text, tidy
from foraging_snn.commands import terminal
from foraging_snn.commands.cli import main
from foraging_snn.commands.sweep import SweepError, grid, read_table, values_asked_for
from foraging_snn.files.reader import Trial
from foraging_snn.models import ParameterError
from foraging_snn.running import plan as planning
from foraging_snn.running.plan import trial_path

SLEEP, AWAKE = "sleep.block_epochs", "phases.block_epochs"


# ---------------------------------------------------------------------------------------------------------------- the grid


def test_the_last_parameter_changes_fastest():
    points = grid(SMALL, values_asked_for([f"{SLEEP}=25,50", f"{AWAKE} = 10, 20"], None))
    assert [point.values for point in points] == [(25, 10), (25, 20), (50, 10), (50, 20)]
    assert points[1].label == "sleep.block_epochs=25, phases.block_epochs=20"
    assert points[1].folder == "sleep.block_epochs=25__phases.block_epochs=20"
    assert (points[1].parameters.sleep.block_epochs, points[1].parameters.phases.block_epochs) == (25, 20)
    assert points[1].parameters.network == SMALL.network


@pytest.mark.parametrize("text", [f"{SLEEP} = [25, 50]", "[sleep]\nblock_epochs = [25, 50]", f'"{SLEEP}" = [25, 50]'])
def test_values_come_from_a_file_and_from_the_command_line(tmp_path, text):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    assert values_asked_for(["reward.asleep=0.5"], path) == {"reward.asleep": ["0.5"], SLEEP: [25, 50]}


def test_names_of_folders_are_short_enough_for_a_disk():
    names = [row.name for row in SMALL.rows() if row.name.startswith("plasticity.")]
    (point,) = grid(SMALL, {row.name: [row.value] for row in SMALL.rows() if row.name in names})
    assert len(point.folder) < 200
    assert re.fullmatch(r"[A-Za-z0-9._=+-]+__[0-9a-f]{12}", point.folder)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ([f"{SLEEP}"], f"--over: '{SLEEP}' given, allowed is NAME=VALUE,VALUE,..."),
        ([f"{SLEEP}=1,,2"], f"--over: '{SLEEP}=1,,2' given, allowed is NAME=VALUE,VALUE,..."),
        ([f"{SLEEP}=1", f"{SLEEP}=2"], f"{SLEEP}: given twice"),
        ([f"{SLEEP}=25,25"], f"{SLEEP}: a value is given twice: 25, 25"),
        (["reward.asleep=1,1.0"], "reward.asleep: a value is given twice: 1, 1.0"),
        (["slep.block_epochs=1"], "slep.block_epochs: unknown parameter, did you mean sleep.block_epochs?"),
        ([f"{SLEEP}=25,0"], f"{SLEEP}: 0 given, allowed is a whole number >= 1 and <= 1000000"),
        ([f"{SLEEP}=25,many"], f"{SLEEP}: 'many' given, allowed is a whole number >= 1 and <= 1000000"),
        (["world.size=12,50", "world.field=31,7"], "world.field: 31 given, allowed is at most the size of the grid, 12"),
        ([f"{SLEEP}={','.join(map(str, range(1, 102)))}", f"{AWAKE}={','.join(map(str, range(1, 102)))}"], "sweep: 10201 .*"),
        ([], "sweep: no values given; .*"),
    ],
)
def test_bad_values_are_told_before_anything_is_run(tmp_path, capfd, over, message):
    options = [word for text in over for word in ("--over", text)]
    assert main(["sweep", "sleep", "--preset", "tiny", *options, "--out", str(tmp_path / "new")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"foraging-snn: {message}\n" or re.fullmatch(f"foraging-snn: {message}\n", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 3", "not readable as TOML: .*"),
        ("[sleep]\nblock_epochs = 25", "sleep.block_epochs: allowed is a list of values"),
        ("[sleep]\nblock_epochs = []", "sleep.block_epochs: allowed is a list of values"),
        ("[sleep]\nblock_epochs = ['a']", "sleep.block_epochs: allowed are numbers, true and false in its list"),
        ("[sleep.block_epochs]\na = [1]", "sleep.block_epochs: allowed is a list of values"),
    ],
)
def test_a_bad_file_is_named(tmp_path, text, message):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(SweepError, match=f"^{re.escape(str(path))}: {message}$"):
        values_asked_for([], path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"none\.toml: cannot be read: No such file or directory"):
        values_asked_for([], tmp_path / "none.toml")


def test_values_that_do_not_fit_together_are_refused():
    with pytest.raises(ParameterError, match="min_strength: 0.5 given, allowed is less than max_strength, 0.1"):
        grid(SMALL, {"plasticity.min_strength": [1e-5, 0.5], "plasticity.max_strength": [0.1, 1.0]})


# --------------------------------------------------------------------------------------------------------------- the table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Trials of T1 -> I(S,T2) with seeds 3 and 6, of which 30 and 60 % of the particles are rewarded, for two lengths."""
    tmp_path = tmp_path_factory.mktemp("table")
    points = grid(SMALL, {SLEEP: [25, 50]})
    for point in points:
        (tmp_path / point.folder).mkdir()
        write_trials(tmp_path / point.folder, ["sleep"], (3, 6), point.parameters)
    trials = [[Trial(trial_path(tmp_path / point.folder, "sleep", seed)) for seed in (3, 6)] for point in points]
    return tidy((SLEEP,), [(point.values, group) for point, group in zip(points, trials, strict=True)])


@pytest.mark.slow
def test_a_row_per_trial_and_test(table):
    assert (table.experiment, table.label, table.names) == ("sleep", "T1 -> I(S,T2)", (SLEEP,))
    assert len(table.rows) == 2 * 2 * 4
    assert table.rows[0] == SweepRow((25,), 3, "T1", 1, 120, 280, 0.3)
    assert table.rows[-1] == SweepRow((50,), 6, "I(S,T2)", 2, 240, 160, 0.6)
    assert table.axis(SLEEP) == [25, 50]
    assert table.last_tests == "I(S,T2)"
    assert table.performances(1, {SLEEP: 50}).tolist() == [0.3, 0.6]
    assert float(table.spread(2, {SLEEP: 25}).mean) == pytest.approx(0.45)
    assert float(table.spread(2, {SLEEP: 25}).sd) == pytest.approx(0.3 / np.sqrt(2))
    assert not any("sleep.block_epochs" in line for line in table.conditions)
    assert "preset tiny" in table.conditions


def test_csv_has_a_column_per_parameter(table):
    rows = list(csv.DictReader(csv_text(table).splitlines()))
    assert list(rows[0]) == [*FIXED_COLUMNS, SLEEP]
    assert rows[-1] == {
        "experiment": "sleep",
        "seed": "6",
        "after": "I(S,T2)",
        "task": "2",
        "rewarded": "240",
        "punished": "160",
        "performance": "0.6",
        SLEEP: "50",
    }


def made_up(names, axes):
    """A table with performance 0.5 everywhere."""
    values = [tuple(point) for point in np.array(np.meshgrid(*axes)).reshape(len(axes), -1).T.tolist()]
    rows = [SweepRow(v, seed, "T1", task, 1, 1, 0.5) for v in values for seed in (1, 2) for task in (1, 2)]
    return SweepTable("task1", "T1", names, tuple(rows), ("preset tiny",))


def test_of_several_phases_of_a_name_the_last_tests_count_and_of_tasks_those_tested():
    rows = [SweepRow((v,), 1, "T1", task, 1, 1, p) for v in (1, 2) for p in (0.2, 0.7) for task in (1, 3, 4)]
    table = SweepTable("mine", "T1 -> T1", ("x.a",), tuple(rows), ())
    assert table.tasks == (1, 3, 4)
    assert table.performances(3, {"x.a": 2}).tolist() == [0.7]
    (axes,) = draw(table).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Task 1", "Task 3", "Task 4"]
    two = SweepTable("mine", "T1 -> T1", ("x.a", "x.b"), tuple(replace(row, values=(row.values[0], 1)) for row in rows), ())
    assert [axes.get_title() for axes in draw(two).axes][:3] == ["Task 1", "Task 3", "Task 4"]


def test_one_parameter_is_drawn_as_curves(table):
    figure = draw(table)
    (axes,) = figure.axes
    assert axes.get_xlabel() == SLEEP
    first, second = (container.lines[0] for container in axes.containers)
    assert first.get_xdata().tolist() == [25, 50]
    assert first.get_ydata().tolist() == second.get_ydata().tolist() == pytest.approx([0.45, 0.45])
    assert "2 trials per point" in figure.get_supxlabel()


def test_two_parameters_are_drawn_as_maps():
    figure = draw(made_up(("a", "b"), ([1, 2, 3], [0.1, 0.2])))
    maps = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in maps] == ["Task 1", "Task 2"]
    assert maps[0].images[0].get_array().shape == (2, 3)
    assert (maps[0].get_xlabel(), maps[0].get_ylabel()) == ("a", "b")
    assert {text.get_text() for text in maps[0].texts} == {"0.50\n± 0.00"}
    many = draw(made_up(("a", "b"), (range(7), [0.1, 0.2])))
    assert {text.get_text() for text in many.axes[0].texts} == {"0.50"}  # no room for sd
    assert many.get_supxlabel().startswith("Mean over trials.")


def test_three_parameters_have_a_panel_each():
    figure = draw(made_up(("a", "b", "c"), ([1, 2], [1, 2], [1, 100])))
    assert [axes.get_xlabel() for axes in figure.axes] == ["a", "b", "c"]
    assert [axes.get_xscale() for axes in figure.axes] == ["linear", "linear", "log"]


# -------------------------------------------------------------------------------------------------------- from the command line


@pytest.fixture
def pretend(monkeypatch):
    class Event(PretendEngine):
        name = "event"

    for module in (planning, terminal):
        monkeypatch.setattr(module, "engine_class", lambda name: Event)


def sweep(out, *options):
    over = ["--over", f"{SLEEP}=25,50", "--trials", "2", "--seed", "3", "--set", "network.hidden_cells=20"]
    return main(["sweep", "sleep", "--preset", "tiny", *over, *options, "--out", str(out)])


@pytest.mark.slow
def test_a_sweep_leaves_trials_table_and_figure_and_can_be_widened(tmp_path, pretend, capfd):
    out = tmp_path / "out"
    assert sweep(out) == 0
    written = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert [str(path) for path in written if path.parts[0] != "ledger"] == [
        f"{SLEEP}=25/sleep_seed0003.h5",
        f"{SLEEP}=25/sleep_seed0004.h5",
        f"{SLEEP}=50/sleep_seed0003.h5",
        f"{SLEEP}=50/sleep_seed0004.h5",
        "sweep.csv",
        "sweep.h5",
        "sweep.pdf",
        "sweep.png",
    ]
    trial = Trial(out / f"{SLEEP}=50" / "sleep_seed0004.h5")
    assert (trial.parameters.sleep.block_epochs, trial.seed, trial.trial) == (50, 4, 1)
    table = read_table(out / "sweep.h5")
    assert csv_text(table) == (out / "sweep.csv").read_text()
    assert {row.values for row in table.rows} == {(25,), (50,)}
    with h5py.File(out / "sweep.h5") as file:
        assert file["table/performance"].shape == file[f"table/{SLEEP}"].shape == (16,)
    assert "4/4 experiments, 4/4 trials" in capfd.readouterr().out
    segments = [str(path) for path in written if path.parts[0] == "ledger"]
    assert len(segments) == 2 * (4 + 2 * 3)  # the points have all but I(S,T2) and the tests after it in common

    assert sweep(out) == 2
    assert capfd.readouterr().err == f"foraging-snn: {out}/sweep.csv: exists already and is not overwritten\n"

    assert (
        main(
            ["sweep", "sleep", "--preset", "tiny", "--over", f"{SLEEP}=25,50,75", "--trials", "2", "--seed", "3"]
            + ["--set", "network.hidden_cells=20", "--resume", "--out", str(out)]
        )
        == 0
    )
    shown = capfd.readouterr().out
    assert "4 of 6 trials are complete already" in shown
    assert shown.startswith("1,600 of 2,800 epochs were computed before\n")  # all that the new combination shares with the others
    assert {row.values for row in read_table(out / "sweep.h5").rows} == {(25,), (50,), (75,)}


@pytest.mark.slow
def test_the_folder_of_a_sweep_is_shown_and_drawn_again(tmp_path, pretend, capfd):
    out = tmp_path / "out"
    assert sweep(out) == 0
    (out / "ledger").mkdir(exist_ok=True)
    (out / "ledger" / "piece.h5").write_bytes(b"a piece")
    capfd.readouterr()
    for source in (out, out / "sweep.h5"):
        assert main(["table", str(source)]) == 0
        shown, err = capfd.readouterr()
        assert shown.startswith("sleep: T1 -> I(S,T2); performance after I(S,T2)\n")
        assert re.search(r"\n *25 +2 +0.35 ± 0.07 +0.35 ± 0.07\n *50 +2 +0.35 ± 0.07 +0.35 ± 0.07\n", shown)
        assert "\n  preset tiny\n" in shown
        assert err == ""
    assert main(["table", str(out), "--format", "csv"]) == 0
    assert capfd.readouterr().out == (out / "sweep.csv").read_text()
    assert main(["table", str(out), "--out", str(tmp_path / "a.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == (out / "sweep.csv").read_text()
    assert main(["table", str(out), "--format", "json"]) == 2
    assert capfd.readouterr().err == "foraging-snn: --format: 'json' given, allowed are text, csv\n"

    assert main(["figures", str(out), "--format", "png"]) == 0
    assert capfd.readouterr().out == f"overview of the sweep: {out}/figures/sweep.png\n"
    assert (out / "figures" / "sweep.png").read_bytes() == (out / "sweep.png").read_bytes()
    assert main(["figures", str(out), "--only", "fig1"]) == 2
    assert capfd.readouterr().err == f"foraging-snn: --only: 'fig1' given, but {out} holds a sweep, which has one figure\n"


def test_files_that_are_not_of_a_sweep_are_kept(tmp_path, pretend, capfd):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sweep.csv").write_text("mine")
    assert sweep(out, "--resume") == 2
    message = f"{out}/sweep.csv: exists already, was not written by foraging-snn sweep, and is not overwritten"
    assert capfd.readouterr().err == f"foraging-snn: {message}\n"
    assert (out / "sweep.csv").read_text() == "mine"


def test_a_start_state_that_does_not_fit_all_points_is_refused(tmp_path, capfd):
    options = ["sweep", "sleep", "--preset", "tiny", "--start-from", "after-unsupervised", "--over", "network.hidden_cells=784,100"]
    assert main([*options, "--out", str(tmp_path / "new")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("foraging-snn: network.hidden_cells=100: start state: made with other parameters")
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_no_table_of_a_sweep_is_named(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"no")
    with pytest.raises(SweepError, match=r"x\.h5: not an HDF5 file"):
        read_table(path)

"""Figures of performance, paths and spikes: what they show is what was recorded; the command draws what can be drawn."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection, MissingTrials
from foraging_snn.analysis.figures import FIGURES, figure_module, style
from foraging_snn.commands.cli import main
from foraging_snn.commands.drawing import OF_FILES
from foraging_snn.environments import Outcome

pytestmark = pytest.mark.slow

NAMES = ("task1", "task2", "sequential", "interleaved", "sleep", "naive-sleep", "task1-sleep", "uniform-sleep")
NAMES += ("sequential-interleaved", "freeze-1", "freeze-5", "freeze-10", "dropout-1", "dropout-2")
MINE = {"fig1": 7, "fig3": 6, "s1": 12, "s2": 1, "s4": 6, "s5": 2, "s6": 6}  # axes of each


class WalkingEngine(PretendEngine):
    """The agent walks to the right around the world; in every epoch, input cell 3, hidden cell 7 and output cell 1 spike."""

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        number = records.first_epoch + np.arange(epochs)
        records.x[:] = number % self.parameters.world.size
        if spikes:
            n_input = self.parameters.n_input
            records.spike_step = np.repeat(number * self.parameters.timing.steps_per_epoch, 3) + np.tile([10, 20, 30], epochs)
            records.spike_cell = np.tile([3, n_input + 7, n_input + 20 + 1], epochs).astype(np.int32)
        return records


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_trials(tmp_path_factory.mktemp("trials"), NAMES, [6, 8], engine=WalkingEngine)


@pytest.fixture(scope="module")
def collection(folder):
    return Collection(folder)


def drawn(name, collection):
    with style.applied():
        return figure_module(name).draw(collection)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]


def curves(axes, task):
    """Ordinates of the lines in the colour of a task, single points included."""
    lines = [line for line in axes.lines if line.get_color() == style.TASK_COLOURS[task]]
    return np.concatenate([line.get_ydata() for line in lines])


@pytest.mark.parametrize(("name", "n_axes"), MINE.items())
def test_a_figure_has_its_panels_and_its_small_print(collection, name, n_axes):
    figure = drawn(name, collection)
    assert len(figure.axes) == n_axes
    small_print = " ".join(figure._supxlabel.get_text().split())
    assert "2 trials, preset tiny, shortened: " in small_print
    assert "engine pretend" in small_print


@pytest.mark.parametrize(("name", "letters"), [("fig1", "BCD"), ("fig3", "ABCDEF"), ("s1", "ABCD"), ("s4", "ABCDEF"), ("s5", "AB")])
def test_panels_have_letters(collection, name, letters):
    assert [text for text in texts(drawn(name, collection)) if text and text in "ABCDEF"] == list(letters)


def test_curves_and_bars_show_mean_and_sd(collection):
    left, right = drawn("s5", collection).axes
    np.testing.assert_allclose(curves(left, 1), 0.7)
    np.testing.assert_allclose(curves(left, 2), 0.7)
    shaded = [area.get_paths()[0].vertices[:, 1] for area in left.collections]
    assert min(y.min() for y in shaded) == pytest.approx(0.7 - np.sqrt(0.02))
    assert max(y.max() for y in shaded) == pytest.approx(0.7 + np.sqrt(0.02))
    assert [bar.get_y() + bar.get_height() for bar in right.patches] == pytest.approx(6 * [0.7])
    assert [bar.get_facecolor()[:3] for bar in right.patches] == 3 * [to_rgba(c)[:3] for c in style.TASK_COLOURS.values()]
    assert [label.get_text() for label in right.get_xticklabels()] == ["after\nT1", "after\nT2", "after\nI(T1,T2)"]
    assert left.get_ylim() == right.get_ylim()


def test_values_of_the_paper_are_beside_the_last_bars(collection):
    _, right = drawn("s5", collection).axes
    diamonds = [line for line in right.lines if line.get_marker() == "D"]
    assert [tuple(line.get_ydata()) for line in diamonds] == [(0.65,), (0.67,)]
    assert all(line.get_xdata()[0] > 1.5 for line in diamonds)
    assert not [line for line in drawn("s6", collection).axes[1].lines if line.get_marker() == "D"]


def test_one_trial_has_no_spread(tmp_path):
    figure = drawn("s5", Collection(write_trials(tmp_path, ["sequential-interleaved"], [7])))
    left, right = figure.axes
    assert not left.collections
    assert len(right.collections) == 2  # the error bars of the paper's two values
    assert "sd over trials" not in figure._supxlabel.get_text()


def test_nothing_eaten_leaves_a_gap_and_no_error(tmp_path):
    class Fasting(PretendEngine):
        def _advance(self, epochs, spikes):
            records = super()._advance(epochs, spikes)
            records.outcome[:] = Outcome.NOTHING
            return records

    left, right = drawn("s5", Collection(write_trials(tmp_path, ["sequential-interleaved"], [6, 8], engine=Fasting))).axes
    assert np.isnan(curves(left, 1)).all()
    assert np.isnan([bar.get_height() for bar in right.patches]).all()


def test_paths_are_those_of_the_agent(collection):
    figure = drawn("fig1", collection)
    start, test = (axes for axes in figure.axes if "training" in axes.get_title())
    trial = collection.trials("task1")[0]
    for axes, index in ((start, 1), (test, 2)):
        first = trial.phases[index].first_epoch
        x = axes.lines[0].get_xdata()
        np.testing.assert_array_equal(x[~np.isnan(x)], (first + np.arange(40)) % SMALL.world.size)
        punished, rewarded = axes.lines[1], axes.lines[2]
        assert (len(rewarded.get_xdata()), len(punished.get_xdata())) == (24, 16)
        assert "24 rewarded, 16 punished" in [text.get_text() for text in axes.texts]


def test_without_positions_the_rest_of_figure_1_is_drawn(tmp_path):
    parameters = SMALL.with_changes({"recording.position_window_epochs": 0})
    figure = drawn("fig1", Collection(write_trials(tmp_path, ["task1", "task2"], [6], parameters)))
    assert any("not recorded" in text for text in texts(figure))
    np.testing.assert_allclose(curves(figure.axes[1], 1), 0.6)


def test_rasters_show_every_spike_of_ten_epochs(collection):
    figure = drawn("s1", collection)
    output, hidden, cells = (figure.axes[4 * row] for row in range(3))
    for axes, cell, step in ((output, 1, 30), (hidden, 7, 20), (cells, 3, 10)):
        spikes = axes.lines[0]
        np.testing.assert_array_equal(spikes.get_ydata(), 10 * [cell])
        np.testing.assert_allclose(spikes.get_xdata(), (600 * np.arange(10) + step) * 0.5e-3)


def test_without_spikes_there_is_a_command_that_records_them(tmp_path):
    parameters = SMALL.with_changes({"recording.spike_window_epochs": 0})
    found = Collection(write_trials(tmp_path, ["task1", "task2", "interleaved", "sleep"], [6], parameters))
    with pytest.raises(MissingTrials, match="no spikes of task1, task2, interleaved, sleep; made by `foraging-snn reproduce"):
        drawn("s1", found)


def test_performance_is_drawn_against_cells_left(collection):
    (axes,) = drawn("s2", collection).axes
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [18, 13, 8, 3])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 0.7)
    assert axes.get_xlim() == (20, 0)


# ---------------------------------------------------------------------------------------------------------- the command


def test_the_command_writes_what_can_be_drawn_and_says_what_is_missing(tmp_path, capfd):
    write_trials(tmp_path, ["sequential-interleaved"], [6])
    assert main(["figures", str(tmp_path), "--only", "s5,fig3,fig2"]) == 0
    out = capfd.readouterr().out.splitlines()
    files = [tmp_path / "figures" / f"s5.{ending}" for ending in ("png", "pdf")]
    assert out[0] == "fig2: not drawn, no trial of task1, task2"
    assert out[1] == "fig3: not drawn, no trial of sequential, interleaved, sleep"
    assert out[2] == f"s5: {files[0]}, {files[1]}"
    made = "missing trials are made by `foraging-snn reproduce --experiments "
    assert out[3].startswith(f"{made}task1,task2,sequential,interleaved,sleep --preset tiny ")
    tables = [tmp_path / "figures" / f"tables.{ending}" for ending in ("md", "csv", "json")]
    assert out[4] == f"tables: {', '.join(map(str, tables))}"
    assert out[5].startswith("from 1 trial, preset tiny")
    assert sorted((tmp_path / "figures").iterdir()) == sorted(files + tables)
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert files[1].read_bytes().startswith(b"%PDF")


def test_what_was_not_recorded_has_one_command_of_its_own(tmp_path, capfd):
    names = ["task1", "task2", "interleaved", "sleep"]
    write_trials(tmp_path, names, [6], SMALL.with_changes({"recording.spike_window_epochs": 0}))
    assert main(["figures", str(tmp_path), "--only", "s1,s4"]) == 2
    out = capfd.readouterr().out
    assert out.count("foraging-snn reproduce") == 2
    assert "\nmissing trials are made by `foraging-snn reproduce --experiments naive-sleep,task1-sleep,uniform-sleep " in out
    again = "\nwhat was not recorded is, in another folder, by `foraging-snn reproduce --experiments task1,task2,interleaved,sleep "
    assert again in out
    assert f"--out {tmp_path}-2`\n" in out


def test_the_command_overwrites_figures_and_takes_folder_and_format(folder, tmp_path, capfd):
    (tmp_path / "s5.svg").write_text("old")
    assert main(["figures", str(folder), "--only", "s5", "--format", "svg", "--out", str(tmp_path)]) == 0
    assert "</svg>" in (tmp_path / "s5.svg").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s5.svg", "tables.csv", "tables.json", "tables.md"]


def test_the_tables_beside_the_figures_are_those_of_all_trials(folder, tmp_path, capfd):
    assert main(["figures", str(folder), "--only", "s5", "--format", "png", "--out", str(tmp_path / "drawn")]) == 0
    assert main(["table", str(folder), "--out", str(tmp_path / "tables")]) == 0
    for ending in ("md", "csv", "json"):
        beside = (tmp_path / "drawn" / f"tables.{ending}").read_text()
        assert beside == (tmp_path / "tables" / f"tables.{ending}").read_text()


def test_a_table_of_someone_else_is_not_replaced(folder, tmp_path, capfd):
    (tmp_path / "tables.csv").write_text("mine")
    assert main(["figures", str(folder), "--only", "s5", "--format", "png", "--out", str(tmp_path)]) == 2
    line = f"{tmp_path / 'tables.csv'}: exists already, was not written by foraging-snn table, and is not overwritten"
    assert capfd.readouterr().err == f"foraging-snn: {line}\n"
    assert (tmp_path / "tables.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s5.png", "tables.csv"]


def test_no_figure_at_all_is_a_failure(tmp_path, capfd):
    write_trials(tmp_path, ["task1"], [6])
    assert main(["figures", str(tmp_path), "--only", "s5,s6"]) == 2
    out, err = capfd.readouterr()
    assert out.count("not drawn, no trial of") == 2
    assert err == f"foraging-snn: {tmp_path}: no figure could be drawn; what is missing is said above\n"
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--only", "fig9"], f"--only: 'fig9' given, allowed are {', '.join((*FIGURES, *OF_FILES))}, with commas between"),
        (["--only", ","], f"--only: ',' given, allowed are {', '.join((*FIGURES, *OF_FILES))}, with commas between"),
        (["--format", "png,bmp"], "--format: 'bmp' given, allowed are png, pdf, svg, with commas between"),
    ],
)
def test_unknown_figures_and_formats_are_refused(folder, capfd, options, line):
    assert main(["figures", str(folder), *options]) == 2
    assert capfd.readouterr().err == f"foraging-snn: {line}\n"


def test_a_folder_without_trials_is_one_line(tmp_path, capfd):
    assert main(["figures", str(tmp_path)]) == 2
    assert capfd.readouterr().err == f"foraging-snn: {tmp_path}: no .h5 file in it\n"


def test_mixed_trials_are_refused(tmp_path, capfd):
    write_trials(tmp_path, ["task1"], [6])
    write_trials(tmp_path, ["task2"], [6], SMALL.with_changes({"sleep.pulse": 0.03}))
    assert main(["figures", str(tmp_path)]) == 2
    out, err = capfd.readouterr()
    assert "task1_seed0006.h5 and " in err
    assert "their parameters differ: sleep.pulse: 0.025, 0.03" in err
    assert err.count("\n") == 1
    assert out == ""


def test_a_file_in_the_place_of_the_folder_is_refused(folder, tmp_path, capfd):
    (tmp_path / "out").write_text("kept")
    assert main(["figures", str(folder), "--only", "s5", "--out", str(tmp_path / "out")]) == 2
    assert "not a folder" in capfd.readouterr().err
    assert (tmp_path / "out").read_text() == "kept"


def test_every_figure_is_drawn_from_tiny_trials_of_every_experiment(tmp_path, capfd):
    tested = ["--set", "recording.test_every=400", "--set", "recording.test_epochs=100"]
    assert main(["reproduce", "--preset", "tiny", "--trials", "2", *tested, "--out", str(tmp_path)]) == 0
    capfd.readouterr()
    assert main(["figures", str(tmp_path), "--format", "png"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert [line.partition(":")[0] for line in out.splitlines() if "not drawn" in line] == ["protocols"]  # of the paper alone
    assert sorted(path.stem for path in (tmp_path / "figures").glob("*.png")) == sorted(set(FIGURES) - {"protocols"})

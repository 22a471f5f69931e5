"""Stability gaps and basins, from numbers that are known; their figures, and that of the manifolds computed."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from pretend_engine import PretendEngine
from pretend_evaluations import basins, landscape
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.basins import returns
from foraging_snn.analysis.collection import Collection, CollectionError, MissingTrials
from foraging_snn.analysis.figures import basin, gap, manifold, style
from foraging_snn.analysis.gap import Gap, first_gaps, gaps
from foraging_snn.commands.cli import main
from foraging_snn.environments import Outcome
from foraging_snn.files.landscapes import write_landscape
from foraging_snn.files.reader import Trial

TESTED = SMALL.with_changes({"recording.test_every": 200, "recording.test_epochs": 100})


class Forgetful(PretendEngine):
    """In tests of Task 1, of a hundred particles 60 are rewarded while T2 goes on; 80 before it and at its end."""

    def _advance(self, epochs, spikes):
        state, phase = self._now, self._phase
        in_t2 = state.task_epochs[1] if phase.name == "test T1" else 0
        records = super()._advance(epochs, spikes)
        rewarded = (records.first_epoch + np.arange(epochs)) % 100 < (60 if 0 < in_t2 < 800 else 80)
        records.outcome = np.where(rewarded, Outcome.REWARDED, Outcome.PUNISHED).astype(np.int8)
        return records


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_trials(tmp_path_factory.mktemp("tested"), ["sequential", "sleep"], [1, 2], TESTED, engine=Forgetful)


# -------------------------------------------------------------------------------------------------------------------- gaps


@pytest.mark.slow
def test_the_gap_of_a_task_that_falls_and_comes_back(folder):
    (found,) = gaps(Trial(folder / "sequential_seed0001.h5"))
    assert (found.phase, found.task, found.epoch.tolist()) == ("T2", 1, [0, 200, 400, 600, 800])
    assert found.performance.tolist() == [0.8, 0.6, 0.6, 0.6, 0.8]
    assert (found.before, found.worst, found.after, found.recovery) == (0.8, 0.6, 0.8, 800.0)
    np.testing.assert_allclose(found.error, np.sqrt(found.performance * (1 - found.performance) / 100))
    assert [each.phase for each in first_gaps([Trial(folder / f"sleep_seed{seed:04d}.h5") for seed in (1, 2)])] == ["I(S,T2)"] * 2


@pytest.mark.parametrize(
    ("values", "recovery"),
    [([0.8, 0.79, 0.77, 0.8], 0.0), ([0.8, 0.6, 0.75, 0.77], 3.0), ([0.8, 0.6, 0.79, 0.6], 2.0), ([0.8, 0.7, 0.6, 0.6], np.nan)],
)
def test_recovery_is_when_it_is_back_after_its_lowest(values, recovery):
    """At .76 or above; when the lowest comes twice, after the first."""
    found = Gap("T2", 1, np.arange(4), np.array(values), np.full(4, 0.01))
    np.testing.assert_equal(found.recovery, recovery)


def test_the_lowest_of_noise_is_below_the_start():
    """The mean of the smallest of two normal numbers is -1 / sqrt(pi)."""
    found = Gap("T2", 1, np.arange(2), np.array([0.8, 0.8]), np.full(2, 0.02))
    assert found.worst_of_noise == pytest.approx(0.8 - 0.02 / np.sqrt(np.pi), abs=0.001)


def test_the_figure_of_gaps(folder):
    with style.applied():
        figure = gap.draw(Collection(folder))
    curves, lowest, time = figure.axes
    assert [line.get_ydata().tolist() for line in curves.lines[:1]] == [[0.8, 0.6, 0.6, 0.6, 0.8]]
    assert [tick.get_text() for tick in lowest.get_xticklabels()] == ["T2", "I(S,T2)"]
    assert time.lines[0].get_ydata().tolist() == [8.0, 8.0]  # aeons, of both trials


def test_without_tests_the_figure_names_the_command_that_makes_them(tmp_path, capsys):
    write_trials(tmp_path, ["sequential", "sleep"], [1])
    with pytest.raises(MissingTrials, match="no tests during phases of sequential, sleep; made by `foraging-snn reproduce"):
        gap.draw(Collection(tmp_path))
    assert main(["figures", str(tmp_path), "--only", "gap,s5", "--format", "png"]) == 2
    said = capsys.readouterr().out
    assert "gap: not drawn, no tests during phases of sequential, sleep" in said
    (hint,) = [line for line in said.splitlines() if line.startswith("what was not recorded is")]
    assert "--set recording.test_every=8 " in hint and "--experiments sequential,sleep " in hint


# ------------------------------------------------------------------------------------------------------------------ basins


def test_what_left_and_what_came_back_by_radius():
    found = {(row.phase, row.radius): row for row in returns(basins())}
    assert list(found) == [(phase, radius) for phase in ("S", "T1") for radius in (0.0, 2.0, 4.0)]
    untouched, near, far = (found["S", radius] for radius in (0.0, 2.0, 4.0))
    assert not untouched.left.any() and untouched.back.all() and np.isnan(untouched.share) and np.isnan(untouched.time)
    assert near.left.all() and (near.share, near.time) == (1.0, 200.0)
    assert far.left.all() and far.share == 0.0 and np.isnan(far.time)
    assert (found["T1", 4.0].share, found["T1", 4.0].time) == (1.0, 100.0)
    assert near.performance.shape == (6, 3)
    np.testing.assert_allclose(near.distance, 1.8)
    np.testing.assert_allclose(near.before, 0.8)


def test_the_figure_of_basins():
    with style.applied():
        figure = basin.draw(basins())
    assert isinstance(figure, Figure)
    share = figure.axes[1]
    np.testing.assert_array_equal(share.lines[0].get_ydata(), [np.nan, 1.0, 0.0])
    np.testing.assert_allclose(share.lines[1].get_xdata(), [0.0, 1.8, 3.6])


# --------------------------------------------------------------------------------------------------------------- manifolds


def test_manifolds_have_a_column_per_protocol_with_its_trajectory_and_the_schematic():
    with style.applied():
        figure = manifold.draw(landscape())
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["T1 → T2", "T1 → I(S,T2)"]
    ways = [axes.collections[-1].get_offsets() for axes in figure.axes[:2]]
    for way, drawn in zip(landscape().trajectories, ways, strict=True):
        np.testing.assert_allclose(drawn, way.position)


def test_a_landscape_of_other_tasks_or_without_the_protocols_is_refused(tmp_path, capsys):
    made = landscape()
    other = replace(made, trajectories=tuple(replace(way, label="T3 -> T1") for way in made.trajectories))
    with pytest.raises(CollectionError, match="it holds no trajectory of T1 -> T2, "):
        manifold.draw(other)
    tested = replace(made.tested, tasks=("T1", "T3"))
    with pytest.raises(CollectionError, match="it is of T1, T3, not of T1, T2"):
        manifold.draw(replace(made, tested=tested))
    write_landscape(tmp_path / "plane.h5", other)
    assert main(["figures", str(tmp_path), "--only", "landscape,manifold", "--format", "png"]) == 0
    said = capsys.readouterr().out
    assert f"manifold: not drawn, {tmp_path / 'plane.h5'}: it holds no trajectory of" in said
    assert (tmp_path / "figures" / "plane.png").exists()

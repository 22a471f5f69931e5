"""Barriers over trials, from paths whose barriers are known; figures of landscapes and paths."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from pretend_evaluations import evaluation, landscape, paths

from foraging_snn.analysis.figures import landscape as landscape_figure
from foraging_snn.analysis.figures import paths as paths_figure
from foraging_snn.analysis.figures import style
from foraging_snn.analysis.figures.drawing import save_figure
from foraging_snn.analysis.figures.landscape import all_solved, borders, nice_length
from foraging_snn.analysis.paths import BETWEEN, WITHIN, barrier_differences, barriers


def test_barriers_are_those_that_the_paths_have_by_task_and_line():
    found = {(row.task, row.name): row for row in barriers(paths())}
    assert [name for task, name in found if task == "T1"] == ["T1 to T2", "T1 to I(S,T2)", "T1, trial to trial"]
    row = found["T1", "T1 to T2"]
    np.testing.assert_allclose(row.values, 0.1, atol=0.001)
    assert (row.kind, row.seeds, row.length.tolist()) == (WITHIN, (1, 2, 3), [1.0, 3.0, 5.0])
    np.testing.assert_allclose(row.least, [0.574, 0.573, 0.572], atol=0.0011)
    assert row.summary.n == 3 and row.summary.interval is not None
    assert row.above_noise is not None and row.above_noise.p_value == 0.25  # 2 / 2^3
    for other in (found["T2", "T1 to T2"], found["T1", "T1 to I(S,T2)"], found["T1", "T1, trial to trial"]):
        np.testing.assert_allclose(other.values, 0.0, atol=0.0011)
    assert found["T1", "T1, trial to trial"].kind == BETWEEN
    assert (0.001 < row.noise).all() and (row.noise < 0.02).all()


def test_differences_are_paired_by_trial_and_only_of_lines_from_one_state():
    (first, second) = barrier_differences(barriers(paths()))
    assert (first.task, first.first, first.second) == ("T1", "T1 to T2", "T1 to I(S,T2)")
    assert first.difference.mean == pytest.approx(0.1, abs=0.001)
    assert (first.difference.n_first, first.difference.paired) == (3, True)
    assert second.task == "T2"
    assert second.difference.mean == pytest.approx(0.0, abs=0.001)


def test_one_trial_has_no_interval_and_no_test():
    (row, *_) = barriers(paths(seeds=(1,), between=False))
    assert (row.summary.interval, row.above_noise) == (None, None)


# ----------------------------------------------------------------------------------------------------------------- figures


def test_where_all_tasks_are_solved_is_the_region_between_their_borders():
    """Both logistic curves pass 90 % of 0.8 a quarter from their middles, at 2 and 4."""
    made = landscape(33)
    solved = all_solved(made)
    assert (solved == solved[0]).all()
    inside = made.x[solved[0]]
    assert 2.0 < inside.min() < 2.6
    assert 3.4 < inside.max() < 4.0


def test_a_task_solved_best_far_off_the_plane_is_solved_as_well_at_its_own_state():
    made = landscape(33)
    tested = made.tested
    rewarded, moved = tested.counts["rewarded"].copy(), tested.moved.copy()
    rewarded[:4, :, 0], moved[:4] = (
        tested.counts["punished"][:4, :, 0] * 99,
        100.0,
    )  # a corner with 0.99, which is no point of the plane
    odd = replace(made, tested=replace(tested, counts=tested.counts | {"rewarded": rewarded}, moved=moved))
    np.testing.assert_allclose(borders(odd), borders(made), atol=0.005)


@pytest.mark.parametrize(("longest", "expected"), [(0.9, 0.5), (2.4, 2.0), (7.0, 5.0), (1000.0, 1000.0), (0.019, 0.01)])
def test_scale_bars_have_round_lengths(longest, expected):
    assert nice_length(longest) == pytest.approx(expected)


def words(figure):
    figure.canvas.draw()
    axes_texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    legends = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    return [*axes_texts, *legends, *(axes.get_title() for axes in figure.axes)]


@pytest.mark.parametrize("kind", ["states", "pca"])
def test_the_figure_of_a_landscape_names_states_errors_regions_and_distances(kind):
    with style.applied():
        figure = landscape_figure.draw(landscape(states=("T1", "T2", "I(S,T2)", "T2 (sequential)"), kind=kind))
        said = words(figure)
    assert {"T1", "T2", "I(S,T2)", "2"} <= set(said)
    assert "T2 (sequential) (1.5 off)" in said
    assert "performance on T1 (± 0.014)" in said
    assert {"0.0 from the plane", "2.0 from the plane", "4.0 from the plane"} <= set(said)
    assert any(text.startswith("all (") for text in said)


def test_marks_far_from_the_plane_are_fainter_and_smaller():
    opacity, area = landscape_figure._look(np.array([0.0, 2.0, 4.0]), 4.0)
    assert (np.diff(opacity) < -0.2).all() and (np.diff(area) < 0).all()
    assert (opacity[0], opacity[2]) == (1.0, landscape_figure.FAINTEST)


def test_a_beginning_that_trajectories_share_is_drawn_once():
    drawn = [new for _, new in landscape_figure._segments(landscape())]
    assert drawn[0].all()
    assert drawn[1].tolist() == [False] * 5 + [True] * 4


def test_figures_of_what_nothing_was_eaten_in_and_of_one_task(tmp_path):
    made = landscape()
    empty = replace(made.tested, counts={name: np.zeros_like(values) for name, values in made.tested.counts.items()})
    one = replace(made, tested=evaluation(made.tested.performance[..., :1], ("T1",)), trajectories=())
    one = replace(one, states=replace(one.states, tested=evaluation(one.states.tested.performance[:, :1], ("T1",))))
    for drawn in (replace(made, tested=empty), one):
        (path,) = save_figure(lambda drawn=drawn: landscape_figure.draw(drawn), [tmp_path / "a.png"])
        assert path.stat().st_size > 10_000


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_the_figure_of_paths_names_its_lines(seeds):
    with style.applied():
        figure = paths_figure.draw(paths(seeds))
        said = words(figure)
    assert isinstance(figure, Figure)
    assert {"T1 to T2", "T1 to I(S,T2)", "before training", "during T1", "during T2"} <= set(said)

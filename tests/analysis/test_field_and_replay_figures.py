"""Figures of receptive fields, responsiveness and replay: what they show is what was recorded, and the right way up."""

import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.analysis.collection import Collection, CollectionError, MissingTrials
from foraging_snn.analysis.figures import figure_module, style
from foraging_snn.analysis.receptive_fields import DIRECTION_NAMES
from foraging_snn.analysis.responsiveness import particle_responsiveness
from foraging_snn.models import Activity

pytestmark = pytest.mark.slow

UP_LEFT = DIRECTION_NAMES.index("up left")
DRIVER, STRONG = 3, 5.0  # after T1, this hidden cell drives "up left" by this strength, all other synapses being 0.02
N_HIDDEN = SMALL.n_hidden
WITH_SPIKES = SMALL.with_changes({"recording.spike_window_epochs": 200})


class LearningEngine(PretendEngine):
    """T1 strengthens one synapse; later phases double all strengths, and I(T1,T2) makes them 0.02."""

    def _load(self, state, phase):
        super()._load(state, phase)
        strength = self._now.hidden_output
        if phase.name == "T1":
            strength[:], strength[DRIVER, UP_LEFT] = 0.02, STRONG
        elif phase.name == "I(T1,T2)":
            strength[:] = 0.02
        elif not phase.is_test and not phase.is_unsupervised:
            strength *= 2

    def _advance(self, epochs, spikes):
        strength = self._now.hidden_output.copy()
        records = super()._advance(epochs, spikes)
        self._now.hidden_output[:] = strength
        return records


class SleepingEngine(PretendEngine):
    """Task 1 activates the first half of the hidden cells, Task 2 the second, sleep all. Hidden cell h makes output cell h % 8
    fire; in sleep the first half makes random ones fire."""

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        if spikes:
            of_epochs = [self._spikes(records.first_epoch + k) for k in range(epochs)]
            records.spike_step = np.concatenate([step for step, _ in of_epochs])
            records.spike_cell = np.concatenate([cell for _, cell in of_epochs]).astype(np.int32)
        return records

    def _spikes(self, epoch):
        rng = np.random.default_rng([self._now.seed, epoch])
        in_phase = epoch - (self._now.epoch - self._now.phase_epoch)
        activity = self._phase.block_at(in_phase)[0]
        task = self.parameters.task_number(activity.task) if activity.task else 0
        half = N_HIDDEN // 2
        cells = {0: np.arange(N_HIDDEN), 1: np.arange(half), 2: np.arange(half, N_HIDDEN)}[task]
        hidden = rng.choice(cells, 3, replace=False)
        lost = activity == Activity.SLEEP
        output = np.where(lost & (hidden < half), rng.integers(8, size=3), hidden % 8)
        first = epoch * self.parameters.timing.steps_per_epoch
        step = first + np.concatenate([np.full(3, 100), np.full(3, 150)])
        n_input = self.parameters.n_input
        return step, np.concatenate([n_input + hidden, n_input + N_HIDDEN + output])


def drawn(name, collection):
    with style.applied():
        figure = figure_module(name).draw(collection)
        figure.canvas.draw()  # lays it out
        return figure


def small_print(figure):
    return " ".join(figure._supxlabel.get_text().split())


def titled(figure, title):
    """The axes of the column under a title: of all subfigures that have it, from the top."""
    return [part.axes for row in figure.subfigs for part in row.subfigs if part._suptitle and part._suptitle.get_text() == title]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    names = ["task1", "task2", "sequential-sleep", "sequential-interleaved"]
    return write_trials(tmp_path_factory.mktemp("fields"), names, [6, 8], engine=LearningEngine)


@pytest.fixture(scope="module")
def collection(folder):
    return Collection(folder)


# ---------------------------------------------------------------------------------------------------- figures 2 and 5


def test_figure_2_shows_the_receptive_fields_the_right_way_up(collection):
    figure = drawn("fig2", collection)
    trial = collection.trials("task1")[0]
    images = 1e3 * trial.input_hidden_snapshots().images([-1])[0]
    weights = np.full(N_HIDDEN, 0.02)
    weights[DRIVER] = STRONG
    (output,) = titled(figure, "after T1: cell “up left”")[0]
    np.testing.assert_allclose(output.images[0].get_array(), np.average(images, axis=0, weights=weights), rtol=1e-5)
    assert output.images[0].origin == "lower"
    assert output.images[0].get_extent() == [-3.5, 3.5, -3.5, 3.5]
    assert output.patches[0].get_bbox().bounds == (-3.5, 0.5, 3, 3)  # the block in the upper left
    hidden = titled(figure, "hidden cells that drive it most")[0]
    np.testing.assert_allclose(hidden[0].images[0].get_array(), images[DRIVER], rtol=1e-6)
    assert [axes.get_xlabel() for axes in hidden[:2]] == ["W 5.00", "W 0.02"]


def test_every_output_cell_lies_in_its_direction(collection):
    figure = drawn("fig2", collection)
    axes = [a for a in titled(figure, "all output cells")[0] if a.images]
    assert len(axes) == 8
    place = {(np.sign(a.patches[0].get_x() + 1.5), np.sign(a.patches[0].get_y() + 1.5)): a.get_position() for a in axes}
    for (dx, dy), here in place.items():
        for (other_dx, other_dy), there in place.items():
            assert (dx < other_dx) == (here.x0 < there.x0 - 1e-6)
            assert (dy < other_dy) == (here.y0 < there.y0 - 1e-6)


def test_figure_5_has_a_row_per_state_of_one_trial(collection):
    figure = drawn("fig5", collection)
    titles = [part._suptitle.get_text() for row in figure.subfigs for part in row.subfigs if part._suptitle]
    assert [title for title in titles if title.startswith("after")] == [
        "after T1: cell “up left”",
        "after T2: cell “up left”",
        "after I(S,T1): cell “up left”",
    ]
    strongest = [axes[0].get_xlabel() for axes in titled(figure, "hidden cells that drive it most")]
    assert strongest == ["W 5.00", "W 10.00", "W 20.00"]
    letters = [text.get_text() for row in figure.subfigs for part in row.subfigs for text in part.texts]
    assert [text for text in letters if len(text) == 1] == list("ABCDEFGHIJKL")
    assert "trial with seed 6" in small_print(figure)


def test_shares_are_of_all_output_cells_and_trials(collection):
    figure = drawn("fig5", collection)
    before, after = (axes[0] for axes in titled(figure, "input from their direction")[:2])
    widths = [bar.get_width() for bar in before.patches]
    np.testing.assert_allclose(widths, [bar.get_width() for bar in after.patches])  # doubling all strengths changes no share
    assert "2 trials" in small_print(figure)
    assert "mean and sd over trials" in small_print(figure)


def test_fewer_hidden_cells_than_panels_are_drawn(tmp_path):
    parameters = SMALL.with_changes({"network.hidden_cells": 6})
    figure = drawn("fig5", Collection(write_trials(tmp_path, ["sequential-sleep"], [6], parameters, engine=LearningEngine)))
    assert sum(bool(axes.images) for axes in titled(figure, "hidden cells that drive it most")[0]) == 6
    assert "sd over trials" not in small_print(figure)


@pytest.mark.parametrize(("name", "missing"), [("fig2", "task1, task2"), ("fig5", "sequential-sleep"), ("replay", "sleep")])
def test_missing_experiments_are_named(tmp_path, name, missing):
    found = Collection(write_trials(tmp_path, ["sequential"], [6]))
    with pytest.raises(MissingTrials, match=f"no trial of {missing}"):
        drawn(name, found)


# ------------------------------------------------------------------------------------------------------------ figure S3


def test_bars_of_s3_are_the_metric_after_each_phase(collection):
    figure = drawn("s3", collection)
    axes = figure.axes[0]
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(4, 4)  # state, particle type
    trials = collection.trials("sequential-sleep")
    images = [trial.input_hidden_snapshots().images([-1])[0] for trial in trials]
    after_t1 = np.full((N_HIDDEN, 8), 0.02)
    after_t1[DRIVER, UP_LEFT] = STRONG
    np.testing.assert_allclose(heights[0], 1e4 * np.mean([particle_responsiveness(i, after_t1) for i in images], axis=0), rtol=1e-5)
    np.testing.assert_allclose(heights[1], 2 * heights[0], rtol=1e-6)
    np.testing.assert_allclose(heights[2], 4 * heights[0], rtol=1e-6)
    untrained = [line[0, 1] for line in axes.collections[-1].get_segments()]
    np.testing.assert_allclose(heights[3], untrained, rtol=1e-5)
    points = np.array([line.get_ydata() for line in axes.lines if line.get_marker() == "o"])
    assert points.shape == (16, 2)  # per state and type, one per trial


# --------------------------------------------------------------------------------------------------------------- replay


@pytest.fixture(scope="module")
def asleep(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay")
    return Collection(write_trials(path, ["sleep", "sequential-sleep"], [6, 8], WITH_SPIKES, engine=SleepingEngine))


def test_replay_finds_what_is_reactivated_and_what_is_not(asleep):
    content = figure_module("replay").sleep_content(asleep.trials("sequential-sleep")[0])
    assert content.aeon.tolist() == [1.0, 4.0, 7.0]
    assert np.abs(content.resemblance[0]).max() < 0.25
    assert content.resemblance[1].min() > 0.6
    assert abs(content.overlap) < 0.1
    assert content.scores.area == pytest.approx(1.0)
    assert np.mean(content.scores.other) == pytest.approx(0.0, abs=0.2)


def test_replay_draws_its_curves(asleep):
    figure = drawn("replay", asleep)
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == list("ABCD")
    for axes, experiment in zip(figure.axes[:2], ("sleep", "sequential-sleep"), strict=True):
        contents = [figure_module("replay").sleep_content(trial) for trial in asleep.trials(experiment)]
        curve = next(line for line in axes.lines if line.get_label() == "sleep and Task 2")
        np.testing.assert_allclose(curve.get_ydata(), np.mean([content.resemblance[1] for content in contents], axis=0))
    assert "mean and sd over trials" in small_print(figure)


def test_replay_without_spikes_says_how_to_record_them(tmp_path):
    parameters = SMALL.with_changes({"recording.spike_window_epochs": 0})
    found = Collection(write_trials(tmp_path, ["sleep", "sequential-sleep"], [6], parameters))
    with pytest.raises(MissingTrials, match="no spikes of sleep, sequential-sleep; made by `foraging-snn reproduce"):
        drawn("replay", found)


def test_replay_of_silent_cells_says_so(tmp_path):
    figure = drawn("replay", Collection(write_trials(tmp_path, ["sleep", "sequential-sleep"], [6])))
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said.count("too few pairs of spikes to say") == said.count("too few epochs with spikes to say") == 2


def test_trials_with_spikes_of_different_epochs_are_refused(tmp_path):
    write_trials(tmp_path, ["sleep", "sequential-sleep"], [6])
    other = SMALL.with_changes({"recording.spike_window_epochs": 30})
    write_trials(tmp_path, ["sequential-sleep"], [7], other)
    with pytest.raises(CollectionError, match="sequential-sleep_seed0007.h5: spikes recorded in different epochs of "):
        drawn("replay", Collection(tmp_path))

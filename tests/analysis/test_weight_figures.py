"""Figures of strengths from trials in which every phase leads the strengths to a known state; and the example script."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from pretend_engine import PretendEngine
from pretend_trials import write_trials

from foraging_snn.analysis.collection import Collection, CollectionError, MissingTrials
from foraging_snn.analysis.figures import _fig4_weights, fig6, fig7, style
from foraging_snn.analysis.figures._weight_states import are_one_network, learning_states
from foraging_snn.files.reader import Trial
from foraging_snn.models import preset

pytestmark = pytest.mark.slow

TINY = preset("tiny").with_changes({"recording.snapshots_per_phase": 10})
EXAMPLE = Path(__file__).parents[2] / "examples" / "project_trajectory.py"
STRONG_SYNAPSES = 628  # of 6272, one in ten


class SteeredEngine(PretendEngine):
    """Every phase leads the strengths in a straight line to a state of its own, which each trial has for each phase: after T1 one
    tenth of the synapses are strong, after T2 another tenth, after an interleaved phase half of each."""

    name = "steered"

    def _load(self, state, phase):
        super()._load(state, phase)
        if state.phase_epoch == 0:
            self._start, self._goal = state.hidden_output.copy(), self._goal_of(state, phase)

    def _goal_of(self, state, phase):
        order = np.random.default_rng(state.seed).permutation(state.hidden_output.size)
        first, second = order[:STRONG_SYNAPSES], order[STRONG_SYNAPSES : 2 * STRONG_SYNAPSES]
        strong = {"T1": first, "T2": second}
        if phase.name.startswith("I("):
            half = STRONG_SYNAPSES // 2
            strong[phase.name] = np.concatenate([first[:half], second[:half]])
        if phase.name not in strong:
            return state.hidden_output.copy()
        goal = np.full(state.hidden_output.size, 1e-5)
        goal[strong[phase.name]] = 0.2 if phase.name != "I(T1,T2)" else 0.15
        return goal.reshape(state.hidden_output.shape)

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        share = self._now.phase_epoch / self._phase.epochs
        self._now.hidden_output = (1 - share) * self._start + share * self._goal
        return records


def steered_trials(directory, names, seeds):
    return Collection(write_trials(directory, names, seeds, parameters=TINY, engine=SteeredEngine))


ALL = (*fig7.EXPERIMENTS, fig7.SUPPLEMENT)


@pytest.fixture(scope="module")
def two_trials(tmp_path_factory):
    return steered_trials(tmp_path_factory.mktemp("two"), ALL, (1, 2))


@pytest.fixture(scope="module")
def one_trial(tmp_path_factory):
    return steered_trials(tmp_path_factory.mktemp("one"), ALL, (1,))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def lines(axes, label):
    """Values of the line that is drawn in the style of a point set."""
    colour, ls, lw = fig7.SET_LINES[label]
    return next(line.get_ydata() for line in axes.lines if (line.get_color(), line.get_lw()) == (colour, lw))


def test_learning_states_leave_out_tests_and_the_unsupervised_phase(two_trials):
    trial = two_trials.trials("sequential-sleep")[0]
    learned = learning_states(trial)
    assert learned.states.phase.tolist() == ["naive"] + 10 * ["T1"] + 10 * ["T2"] + 10 * ["I(S,T1)"]
    aeons = [TINY.aeons(length) for length in ("training", "retraining", "interleaved")]
    assert learned.aeon[[0, 10, 20, 30]].tolist() == [0, aeons[0], sum(aeons[:2]), sum(aeons)]
    assert np.count_nonzero(learned.after("T2") > 0.1) == STRONG_SYNAPSES
    assert np.array_equal(learned.during("T2")[0], learned.after("T1"))
    assert learned.images.shape == (784, 7, 7)


def test_trials_with_wirings_of_their_own_are_not_one_network(two_trials):
    trials = [learning_states(trial) for trial in two_trials.trials("sequential")]
    assert not are_one_network(trials)
    assert are_one_network([trials[0], trials[0]])


def test_panel_c_says_what_became_of_task_relevant_synapses(two_trials):
    axes = Figure().subplots()
    _fig4_weights.distributions(axes, two_trials)
    shares = [text for text in texts(axes) if text.endswith("%")]
    assert shares == ["100%", "0%", "50%", "0%", "100%", "50%"]
    assert len(axes.collections) == 6


def test_panel_d_judges_held_out_trials_where_there_are_some(two_trials, one_trial):
    several, single = Figure().subplots(1, 2)
    _fig4_weights.boundary_distance(several, two_trials)
    _fig4_weights.boundary_distance(single, one_trial)
    assert [text.split(":")[0] for text in texts(several)] == [
        "other snapshots, same trials",
        "other trials, strengths",
        "other trials, receptive fields of O",
    ]
    assert texts(single) == ["other snapshots, same trial: 100% correct"]
    task_1, task_2 = (single.lines[k].get_xdata() for k in (0, 2))
    assert task_1[0] < 0 < task_2[0]


def test_panel_e_is_the_way_of_the_first_trial(two_trials):
    axes = Figure().subplots()
    _fig4_weights.pca_trajectory(axes, two_trials)
    assert texts(axes) == ["T1", "T2", "I(S,T1)", "naive"]
    ways = [line.get_xydata() for line in axes.lines[:3]]
    for way, following in zip(ways[:-1], ways[1:], strict=True):
        assert np.array_equal(way[-1], following[0])
    assert all(len(way) == 11 for way in ways)
    assert "100%" not in axes.get_xlabel()


def test_figure_6_counts_synapses(two_trials):
    with style.applied():
        figure = fig6.draw(two_trials)
    by_label = {axes.get_xlabel() + " / " + axes.get_ylabel(): axes for axes in figure.axes}
    overwritten = by_label["strength after T1 / strength after T2"].get_title(loc="left")
    recovered = by_label["strength after T1 / strength after I(S,T1)"].get_title(loc="left")
    assert overwritten == "strong → strong 0.0%, weak 10.0%\nweak → strong 10.0%, weak 80.0%"
    assert recovered == "strong → strong 5.0%, weak 5.0%\nweak → strong 5.0%, weak 85.0%"
    strong = by_label["aeons of I(S,T1) / strong synapses"]
    assert strong.lines[0].get_ydata()[[0, -1]].tolist() == [STRONG_SYNAPSES, STRONG_SYNAPSES]
    assert len(strong.lines[0].get_ydata()) == 11


def test_figure_6_of_one_trial_has_no_intervals(two_trials, one_trial):
    bands = [
        [len(axes.collections) for axes in fig6.draw(c).axes if axes.get_ylabel() == "strong synapses"]
        for c in (two_trials, one_trial)
    ]
    assert bands == [[1], [0]]


@pytest.fixture(scope="module")
def drawn(two_trials):
    with style.applied():
        return fig7.draw(two_trials)


def rows_of(figure, label):
    """The axes of the row whose first axes have this label, one per protocol."""
    axes = figure.axes
    first = next(k for k, one in enumerate(axes) if one.get_ylabel().replace("\n", " ").startswith(label))
    return axes[first : first + 4]


def test_distances_as_in_the_paper_vanish_where_the_trajectory_is_in_the_set(drawn):
    t1_t2, interleaved, sleep, sequential_sleep = rows_of(drawn, "all points")
    to_task_1, to_task_2, to_both = (lines(t1_t2, name) for name in fig7.SET_LINES)
    np.testing.assert_allclose(to_task_1[[9, 10]], 0, atol=1e-6)
    np.testing.assert_allclose(to_task_2[[19, 20]], 0, atol=1e-6)
    half = 314  # the interleaved phase lowered half of what T2 left strong, lost the other half, and has half of T1's
    np.testing.assert_allclose(to_both[20], np.sqrt(half * (0.05**2 + 0.2**2 + 0.15**2)), rtol=1e-3)
    for axes in (interleaved, sleep):
        np.testing.assert_allclose(lines(axes, "M_T1xT2")[[19, 20]], 0, atol=1e-6)
    assert len(lines(sequential_sleep, "M_T1")) == 31


def test_distances_with_own_states_held_out_do_not_vanish(drawn):
    own_trajectory, own_trial = rows_of(drawn, "own trajectory held out")[0], rows_of(drawn, "own trial held out")[0]
    assert lines(own_trajectory, "M_T1")[10] == pytest.approx(lines(own_trajectory, "M_T1xT2")[10])
    assert lines(own_trajectory, "M_T1")[10] > 1
    strangers = np.sqrt(2 * 628 * 0.9 * 0.2**2)  # two states that share a tenth of their strong synapses by chance
    assert lines(own_trial, "M_T2")[20] == pytest.approx(strangers, rel=0.15)


def test_figure_7_of_one_trial_holds_out_no_trial(one_trial, drawn):
    alone = fig7.draw(one_trial)
    assert len(alone.axes) == 4 * 4
    assert len(drawn.axes) == 4 * 7
    assert "One trial" in alone.get_supxlabel().replace("\n", " ")
    assert not any(axes.collections for axes in rows_of(alone, "all points"))


def test_figure_7_is_drawn_without_the_supplement(tmp_path):
    figure = fig7.draw(steered_trials(tmp_path, fig7.EXPERIMENTS, (1,)))
    assert len(figure.axes) == 3 * 4
    letters = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text() in "ABCDEFGHI"]
    assert letters == list("ABCDEFGHI")


def test_missing_experiments_are_named(tmp_path):
    collection = steered_trials(tmp_path, ["sequential"], (1,))
    for figure, missing in ((fig7, "interleaved,sleep"), (fig6, "sequential-sleep")):
        with pytest.raises(MissingTrials, match=f"reproduce --experiments {missing} "):
            figure.draw(collection)


def test_trials_without_a_seed_in_common_are_refused(tmp_path):
    steered_trials(tmp_path, ["sequential", "interleaved"], (1,))
    collection = steered_trials(tmp_path, ["sleep"], (2,))
    with pytest.raises(CollectionError, match="no seed with trials of all of sequential, interleaved, sleep"):
        fig7.draw(collection)


def test_too_few_snapshots_are_refused(tmp_path):
    few = TINY.with_changes({"recording.snapshots_per_phase": 1})
    collection = Collection(write_trials(tmp_path, ["sequential-sleep"], (1,), parameters=few, engine=SteeredEngine))
    with pytest.raises(CollectionError, match="1 snapshot in a phase, strengths are drawn from at least 2"):
        fig6.draw(collection)


@pytest.fixture
def still_trial(tmp_path):
    class StillEngine(SteeredEngine):
        def _goal_of(self, state, phase):
            return state.hidden_output.copy()

    return Collection(write_trials(tmp_path, ["sequential-sleep"], (1,), parameters=TINY, engine=StillEngine))


def test_strengths_that_never_changed_are_refused(still_trial):
    with pytest.raises(CollectionError, match="the strengths hidden to output never changed"):
        fig6.draw(still_trial)


@pytest.fixture
def example(capsys):
    """Run the example script in this process; its exit code and what it printed."""
    script = runpy.run_path(str(EXAMPLE))

    def run(*arguments):
        code = script["main"]([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


def test_example_draws_the_trajectory_of_a_trial(two_trials, tmp_path):
    path, image = two_trials.trials("sequential")[0].path, tmp_path / "trajectory.png"
    run = subprocess.run([sys.executable, EXAMPLE, path, image], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("31 states, ")  # unsupervised: its start and ten snapshots
    assert image.read_bytes().startswith(b"\x89PNG")


def test_example_projects_on_the_plane_of_the_learned_states(two_trials):
    script = runpy.run_path(str(EXAMPLE))
    states = script["load"](two_trials.trials("sequential-sleep")[0].path)
    projection, (points,) = script["project"](states)
    assert dict.fromkeys(states.phase.tolist()).keys() == {"unsupervised", "T1", "T2", "I(S,T1)"}
    ends = points[[np.flatnonzero(states.phase == name)[-1] for name in ("T1", "T2")]]
    strength = [Trial(two_trials.trials("sequential-sleep")[0].path).hidden_output_snapshots().strength[k] for k in (20, 32)]
    between = np.linalg.norm(strength[0].astype(float) - strength[1])
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(between, rel=0.02)
    assert projection.share.sum() > 0.9


def test_example_joins_the_phases_of_several_trials_of_one_network(two_trials, tmp_path, example):
    paths = [two_trials.trials(name)[0].path for name in ("sequential", "sleep")]
    code, said, err = example(*paths, tmp_path / "a.png")
    assert (code, err) == (0, "")
    assert said.startswith("62 states, ")
    script = runpy.run_path(str(EXAMPLE))
    trials = [script["load"](path) for path in paths]
    projection, ways = script["project"](*trials)
    (axes,) = script["draw"](["a", "b"], trials, projection, ways).axes
    lines = [line.get_xydata() for line in axes.lines if len(line.get_xydata())]
    np.testing.assert_array_equal(lines[0], ways[0][:1])  # where it begins
    np.testing.assert_array_equal(lines[2][0], lines[1][-1])  # T1 begins where the unsupervised phase ended
    assert axes.get_aspect() == 1.0


def test_example_refuses_trials_of_different_networks(two_trials, tmp_path, example):
    first, second = (trial.path for trial in two_trials.trials("sequential"))
    code, said, err = example(first, second, tmp_path / "a.png")
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{first} and {second}: not of one network (wiring")


def test_example_says_in_one_line_what_is_wrong(tmp_path, two_trials, example):
    path, missing, image = two_trials.trials("sequential")[0].path, tmp_path / "none.h5", tmp_path / "a.png"
    assert example(missing, image) == (2, "", f"{missing}: cannot be read: No such file or directory\n")
    assert example(path) == (2, "", "usage: python project_trajectory.py TRIAL.h5 [TRIAL.h5 ...] IMAGE.png\n")
    assert not image.exists()
    image.write_bytes(b"mine")
    assert example(path, image) == (2, "", f"{image}: exists, nothing was done\n")
    assert image.read_bytes() == b"mine"
    code, _, err = example(path, tmp_path / "a.picture")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "picture" in err

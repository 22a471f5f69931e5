"""Results over trials: every test beside the paper, comparisons between tests; only trials that belong together."""

import math

import h5py
import pytest
from pretend_engine import PretendEngine

from foraging_snn.analysis.catalogue import published
from foraging_snn.analysis.collection import CollectionError
from foraging_snn.analysis.comparisons import QUESTIONS
from foraging_snn.analysis.results import TestRow, results
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state, save_state
from foraging_snn.models import preset
from foraging_snn.protocols import PublishedValue, experiments
from foraging_snn.running.trial import run_trial, run_unsupervised

pytestmark = pytest.mark.slow

TINY = preset("tiny")


@pytest.fixture
def trial(tmp_path):
    """Make a trial whose performance is its seed / 10 in every test."""

    def make(name="task1", seed=7, parameters=TINY, start=None):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        experiment = experiments(parameters)[name]
        options = {"seed": seed, "trial": 0, "engine": PretendEngine(parameters), "path": path, "command_line": "", "start": start}
        run_trial(experiment, parameters, **options)
        return Trial(path)

    return make


@pytest.fixture
def start(tmp_path):
    state = run_unsupervised(TINY, seed=1, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="state for a test")
    return load_state(tmp_path / "start.h5")


def test_mean_and_standard_deviation_over_trials(trial):
    (table,) = results([trial("sequential", seed) for seed in (4, 6, 8)]).experiments
    assert (table.experiment, table.label, table.seeds) == ("sequential", "T1 -> T2", (4, 6, 8))
    assert [(row.after, row.task) for row in table.rows] == [("T1", 1), ("T1", 2), ("T2", 1), ("T2", 2)]
    for row in table.rows:
        assert row.performances == (0.4, 0.6, 0.8)
        assert row.summary.mean == pytest.approx(0.6)
        assert row.summary.sd == pytest.approx(0.2)  # n - 1: sqrt((0.04 + 0 + 0.04) / 2)
        assert row.against_chance.p_value == pytest.approx(2 * 3 / 8)  # of the 8 sums ±0.1 ±0.1 ±0.3, 3 reach 0.3


def test_published_values_belong_to_the_tests_after_the_last_phase(trial):
    found = results([trial("sequential")])
    assert [row.published for row in found.rows] == [None, None, PublishedValue(0.52, 0.02), PublishedValue(0.69, 0.03)]


def test_an_experiment_without_numbers_in_the_paper_has_none_in_the_table(trial):
    assert published(trial("task1-sleep")) is None
    assert [row.published for row in results([trial("task1-sleep")]).rows] == [None] * 4


@pytest.mark.parametrize(
    ("performance", "beside"), [(0.70, "within"), (0.72, "within"), (0.68, "within"), (0.721, "above"), (0.679, "below")]
)
def test_a_mean_lies_within_one_sd_of_the_papers_or_outside(performance, beside):
    assert TestRow("T1", 1, (performance,), PublishedValue(0.70, 0.02)).beside_paper == beside


def test_no_place_beside_the_paper_without_its_value_or_ours():
    assert TestRow("T1", 1, (0.7,)).beside_paper is None
    assert TestRow("T1", 1, (math.nan,), PublishedValue(0.70, 0.02)).beside_paper is None


def test_one_trial_has_no_standard_deviation_interval_or_p_value(trial):
    for row in results([trial(seed=6)]).rows:
        assert (row.summary.mean, row.summary.sd, row.summary.interval, row.against_chance) == (0.6, None, None, None)


def test_trials_in_which_nothing_was_eaten_do_not_count():
    row = TestRow("T1", 1, (0.5, math.nan, 0.7))
    assert row.summary.n == 2
    assert row.summary.mean == pytest.approx(0.6)
    assert row.summary.sd == pytest.approx(math.sqrt(0.02))
    assert TestRow("T1", 1, (math.nan,)).summary.mean is None


def test_each_experiment_has_its_own_table_in_the_order_of_the_catalogue(trial):
    found = results([trial("task2", 3), trial("task1", 3), trial("task2", 4)])
    assert [(table.experiment, table.seeds) for table in found.experiments] == [("task1", (3,)), ("task2", (3, 4))]
    empty = results([])
    assert (empty.experiments, empty.comparisons, empty.conditions) == ((), (), ())


# -------------------------------------------------------------------------------------------------------------- comparisons


def test_every_question_names_tests_that_its_experiments_have():
    catalogue = experiments(TINY)
    for question in QUESTIONS:
        for test in (question.first, question.second):
            assert test.after in [phase.name for phase in catalogue[test.experiment].phases if not phase.is_test], question


def test_forgetting_is_compared_within_trials(trial):
    found = results([trial("sequential", seed) for seed in (3, 4, 5)])
    assert [(c.asked, c.task, str(c.first), str(c.second)) for c in found.comparisons] == [
        ("change by training Task 2 alone", task, "sequential after T2", "sequential after T1") for task in (1, 2)
    ]
    for comparison in found.comparisons:
        assert comparison.difference.paired
        assert (comparison.difference.n_first, comparison.difference.mean) == (3, 0.0)  # its performance is always the same
        assert comparison.difference.test.p_value == 1.0


def test_forgetting_is_found_in_a_longer_experiment_only_if_there_is_no_shorter_one(trial):
    longer = [trial("sequential-sleep", seed) for seed in (3, 4)]
    asked = [(c.asked, str(c.first)) for c in results(longer).comparisons if c.task == 1]
    assert asked == [
        ("change by training Task 2 alone", "sequential-sleep after T2"),
        ("change by sleep after forgetting", "sequential-sleep after I(S,T1)"),
    ]
    both = results([*longer, trial("sequential", 3)])
    assert [str(c.first) for c in both.comparisons if c.asked == "change by training Task 2 alone"] == ["sequential after T2"] * 2


def test_experiments_are_compared_trial_by_trial_where_seeds_are_the_same(trial):
    found = results([*(trial("sleep", seed) for seed in (6, 7, 8)), *(trial("sequential", seed) for seed in (7, 8, 9))])
    (difference,) = [c.difference for c in found.comparisons if c.asked == "sleep against none" and c.task == 1]
    assert difference.paired
    assert (difference.n_first, difference.n_second, difference.mean) == (2, 2, 0.0)


def test_experiments_with_other_seeds_are_compared_group_by_group(trial):
    found = results([*(trial("sleep", seed) for seed in (7, 8)), *(trial("sequential", seed) for seed in (3, 4, 5))])
    (difference,) = [c.difference for c in found.comparisons if c.asked == "sleep against none" and c.task == 2]
    assert not difference.paired
    assert (difference.n_first, difference.n_second) == (2, 3)
    assert difference.mean == pytest.approx(0.75 - 0.4)
    assert difference.test.p_value == pytest.approx(2 / 10)  # one of the 10 ways to deal 5 trials


# ----------------------------------------------------------------------------------------------- what belongs together


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phases.test_aeons": 3}, "their parameters differ: phases.test_aeons: 1, 3"),
        ({"sleep.pulse": 0.03}, "their parameters differ: sleep.pulse: 0.025, 0.03"),
    ],
)
@pytest.mark.parametrize("name", ["task1", "task2"])
def test_trials_with_different_parameters_are_refused_by_name(trial, changes, reason, name):
    one, other = trial(seed=1), trial(name, seed=2, parameters=TINY.with_changes(changes))
    with pytest.raises(CollectionError) as error:
        results([one, other])
    assert str(error.value) == f"{one.path} and {other.path}: not to be analysed together, {reason}"


def test_trials_of_different_presets_are_refused_by_name(trial):
    quick = {row.name: row.value for row in TINY.rows() if row.name.startswith(("phases.", "recording."))}
    one, other = trial(seed=1), trial(seed=2, parameters=preset("quick").with_changes(quick))
    with pytest.raises(CollectionError, match="one has the preset tiny, the other quick$"):
        results([one, other])


def test_trials_may_differ_in_what_was_recorded(trial):
    positions = TINY.with_changes({"recording.positions": True, "recording.snapshots_per_phase": 2})
    (table,) = results([trial(seed=1), trial(seed=2, parameters=positions)]).experiments
    assert table.seeds == (1, 2)


def test_trials_from_different_starts_are_refused(trial, start):
    with pytest.raises(CollectionError, match="do not start from the same state"):
        results([trial(seed=1), trial(seed=2, start=start)])


def test_a_trial_counts_once(trial):
    one, again = trial(seed=1), trial(seed=1)
    with pytest.raises(CollectionError, match=f"{one.path} and {again.path}: the same trial of task1, seed 1, twice"):
        results([one, again])


def test_conditions_name_preset_shortening_start_and_engine(trial, start):
    conditions = results([trial("task1", seed, start=start) for seed in (1, 2)]).conditions
    assert conditions[:5] == (
        "preset tiny",
        "shortened: training 2 of 50000, test 1 of 10000 aeons",
        "changed: plasticity.input_hidden_amplitude 4.0 instead of 0.4, homeostasis.hidden_step 3e-05 instead of 1e-05",
        f"no unsupervised phase; all trials start with one network: state for a test [{start.sha256[:12]}]",
        "engine pretend",
    )
    assert conditions[-1].startswith("foraging_snn ")


def test_conditions_name_the_version_that_went_on_with_a_trial(trial):
    begun = trial("task1", 1)
    with h5py.File(begun.path, "r+") as file:
        file["provenance"].attrs["other_versions"] = "9.1 (0123456789abcdef+changes), 9.2"
    assert results([Trial(begun.path)]).conditions[-1] == "in part computed by another version: 9.1 (0123456+changes), 9.2"

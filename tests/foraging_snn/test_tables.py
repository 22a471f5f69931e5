"""Tables of results: mean and spread over trials, beside the paper; only trials that belong together."""

import math

import pytest
from pretend_engine import PretendEngine

from foraging_snn.models import preset
from foraging_snn.protocols import PublishedValue, experiments
from foraging_snn.recording import Trial
from foraging_snn.running import phases_to_run, run_trial, run_unsupervised
from foraging_snn.states import load_state, save_state
from foraging_snn.tables import ResultRow, TableError, changed_rules, result_tables, run_conditions, shortened_lengths

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
    unsupervised = experiments(TINY)["task1"].phases[0]
    state = run_unsupervised(unsupervised, TINY, seed=1, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="state for a test")
    return load_state(tmp_path / "start.h5")


def test_mean_and_standard_deviation_over_trials(trial):
    (table,) = result_tables([trial("sequential", seed) for seed in (4, 6, 8)])
    assert (table.experiment, table.label, table.trials) == ("sequential", "T1 -> T2", 3)
    assert [(row.after, row.task) for row in table.rows] == [("T1", 1), ("T1", 2), ("T2", 1), ("T2", 2)]
    for row in table.rows:
        assert row.performances == (0.4, 0.6, 0.8)
        assert row.mean == pytest.approx(0.6)
        assert row.sd == pytest.approx(0.2)  # n - 1: sqrt((0.04 + 0 + 0.04) / 2)


def test_published_values_belong_to_the_tests_after_the_last_phase(trial):
    (table,) = result_tables([trial("sequential")])
    assert [row.published for row in table.rows] == [None, None, PublishedValue(0.52, 0.02), PublishedValue(0.69, 0.03)]


def test_an_experiment_without_numbers_in_the_paper_has_none_in_the_table(trial):
    (table,) = result_tables([trial("task1-sleep")])
    assert [row.published for row in table.rows] == [None] * 4


def test_one_trial_has_no_standard_deviation(trial):
    (table,) = result_tables([trial(seed=6)])
    assert [(row.mean, row.sd) for row in table.rows] == [(0.6, None)] * 2


def test_trials_in_which_nothing_was_eaten_do_not_count():
    row = ResultRow("T1", 1, (0.5, math.nan, 0.7))
    assert row.eaten == (0.5, 0.7)
    assert row.mean == pytest.approx(0.6)
    assert row.sd == pytest.approx(math.sqrt(0.02))
    nothing = ResultRow("T1", 1, (math.nan,))
    assert (nothing.mean, nothing.sd) == (None, None)


def test_each_experiment_has_its_own_table(trial):
    tables = result_tables([trial("task2", 3), trial("task1", 3), trial("task2", 4)])
    assert [(table.experiment, table.trials) for table in tables] == [("task2", 2), ("task1", 1)]
    assert result_tables([]) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phases.test_aeons": 3}, "their parameters differ: phases.test_aeons: 1, 3"),
        ({"sleep.pulse": 0.03}, "their parameters differ: sleep.pulse: 0.025, 0.03"),
    ],
)
def test_trials_with_different_parameters_are_refused_by_name(trial, changes, reason):
    one, other = trial(seed=1), trial(seed=2, parameters=TINY.with_changes(changes))
    with pytest.raises(TableError) as error:
        result_tables([one, other])
    assert str(error.value) == f"{one.path} and {other.path}: both are task1, but {reason}"


def test_trials_of_different_presets_are_refused_by_name(trial):
    quick = {row.name: row.value for row in TINY.rows() if row.name.startswith(("phases.", "recording."))}
    one, other = trial(seed=1), trial(seed=2, parameters=preset("quick").with_changes(quick))
    with pytest.raises(TableError, match="but one has the preset tiny, the other quick$"):
        result_tables([one, other])


def test_trials_may_differ_in_what_was_recorded(trial):
    positions = TINY.with_changes({"recording.positions": True, "recording.snapshots_per_phase": 2})
    (table,) = result_tables([trial(seed=1), trial(seed=2, parameters=positions)])
    assert table.trials == 2


def test_trials_from_different_starts_are_refused(trial, start):
    with pytest.raises(TableError, match="do not start from the same state"):
        result_tables([trial(seed=1), trial(seed=2, start=start)])


def test_a_trial_counts_once(trial):
    one, again = trial(seed=1), trial(seed=1)
    with pytest.raises(TableError, match=f"{one.path} and {again.path}: the same trial of task1, seed 1, twice"):
        result_tables([one, again])


def test_conditions_name_preset_shortening_start_and_engine(trial, start):
    (table,) = result_tables([trial("task1", seed, start=start) for seed in (1, 2)])
    assert table.conditions == (
        "preset tiny",
        "shortened: training 2 of 50000, test 1 of 10000 aeons",
        "changed: plasticity.input_hidden_amplitude 4.0 instead of 0.4, homeostasis.hidden_step 3e-05 instead of 1e-05",
        f"no unsupervised phase; all trials start with one network: state for a test [{start.sha256[:12]}]",
        "engine pretend",
    )


def test_full_length_is_not_called_shortened():
    full = preset("full")
    phases = phases_to_run(experiments(full)["sequential-sleep"], started=False)
    assert run_conditions(full, phases, None) == ("preset full",)


def test_scale_is_a_shortening():
    half = preset("full").with_changes({"phases.scale": 0.5})
    phases = phases_to_run(experiments(half)["sequential-sleep"], started=False)
    assert shortened_lengths(half, phases) == [
        "unsupervised 50000 of 100000",
        "training 25000 of 50000",
        "test 5000 of 10000",
        "retraining 25000 of 50000",
        "interleaved 25000 of 50000",
    ]
    assert changed_rules(half) == []


def test_only_lengths_that_are_run_are_listed():
    tiny = phases_to_run(experiments(TINY)["dropout-2"], started=False)
    assert [line.split()[0] for line in shortened_lengths(TINY, tiny)] == ["unsupervised", "training", "test", "dropout"]


def test_changed_rules_are_all_but_lengths_and_recording():
    changes = {"phases.block_epochs": 50, "phases.test_aeons": 1, "recording.positions": True, "sleep.pulse": 0.03}
    assert changed_rules(preset("full").with_changes(changes)) == [
        "sleep.pulse 0.03 instead of 0.025",
        "phases.block_epochs 50 instead of 100",
    ]

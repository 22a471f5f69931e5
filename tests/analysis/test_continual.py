"""Measures of continual learning: by hand, and through the command line."""

import csv
import json
import math

import numpy as np
import pytest
from pretend_trials import write_trials

from foraging_snn.analysis.continual import PerformanceMatrix, measures, performance_matrix
from foraging_snn.analysis.results import results
from foraging_snn.commands.cli import main
from foraging_snn.files.reader import Trial
from foraging_snn.running.plan import trial_path

pytestmark = pytest.mark.slow

NAN = math.nan


def matrix(rows, learned):
    """Of one trial."""
    values = np.array([rows], float)
    names = tuple(f"phase {k}" for k in range(values.shape[1]))
    return PerformanceMatrix(names, tuple(range(1, values.shape[2] + 1)), learned, values)


def by_name(found):
    return {measure.name: measure.values[0] for measure in found}


def test_measures_of_three_tasks_one_after_the_other():
    found = by_name(measures(matrix([[0.9, 0.5, 0.4], [0.7, 0.8, 0.6], [0.6, 0.9, 0.7]], (0, 1, 2))))
    assert found["average performance"] == pytest.approx((0.6 + 0.9 + 0.7) / 3)
    assert found["backward transfer"] == pytest.approx(((0.6 - 0.9) + (0.9 - 0.8)) / 2)
    assert found["forgetting"] == pytest.approx(((0.9 - 0.6) + (0.8 - 0.9)) / 2)
    assert found["forward transfer"] == pytest.approx(((0.5 - 0.5) + (0.6 - 0.5)) / 2)


def test_a_phase_that_trains_nothing_new_comes_after_all_trainings():
    found = by_name(measures(matrix([[0.7, 0.5], [0.5, 0.7], [0.65, 0.6]], (0, 1))))
    assert found["backward transfer"] == pytest.approx(((0.65 - 0.7) + (0.6 - 0.7)) / 2)
    assert found["forgetting"] == pytest.approx(((0.7 - 0.65) + (0.7 - 0.6)) / 2)


def test_chance_is_taken_off_the_average_alone():
    table = matrix([[0.9, 0.5], [0.6, 0.8]], (0, 1))
    plain, above = by_name(measures(table)), by_name(measures(table, above_chance=True))
    assert above.pop("average performance") == pytest.approx(plain.pop("average performance") - 0.5)
    assert above == plain
    assert [measure.nothing for measure in measures(table)] == [0.5, 0.0, 0.0, 0.0]
    assert [measure.nothing for measure in measures(table, above_chance=True)] == [0.0] * 4


def test_both_tasks_at_once_have_an_average_only():
    assert list(by_name(measures(matrix([[0.7, 0.6]], (0, 0))))) == ["average performance"]


def test_a_task_that_is_never_trained_has_no_part():
    found = by_name(measures(matrix([[0.9, 0.5], [0.8, 0.4]], (0, None))))
    assert found == {"average performance": 0.8, "backward transfer": pytest.approx(-0.1), "forgetting": pytest.approx(0.1)}


def test_what_was_not_tested_is_not_made_up():
    found = by_name(measures(matrix([[0.9, NAN], [0.8, 0.7]], (0, 1))))
    assert math.isnan(found["forward transfer"])
    assert found["backward transfer"] == pytest.approx(-0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_trials(tmp_path_factory.mktemp("trials"), ["task1", "sequential-sleep", "naive-sleep"], (4, 6, 8))


def test_the_matrix_of_trials_has_a_row_for_each_phase_with_tests(folder):
    found = performance_matrix([Trial(trial_path(folder, "sequential-sleep", seed)) for seed in (4, 6, 8)])
    assert (found.after, found.tasks, found.learned) == (("T1", "T2", "I(S,T1)"), (1, 2), (0, 1))
    assert found.values.tolist() == [[[seed / 10] * 2] * 3 for seed in (4, 6, 8)]
    assert found.mean == pytest.approx(np.full((3, 2), 0.6))
    asleep = performance_matrix([Trial(trial_path(folder, "naive-sleep", 4))])
    assert (asleep.after, asleep.learned) == (("I(S,T1)",), (0, None))


def test_measures_are_on_the_screen_in_csv_and_in_json(folder, capfd):
    assert main(["table", str(folder)]) == 0
    shown = capfd.readouterr().out
    assert "Measures of continual learning" in shown
    assert any(line.split()[:5] == ["sequential-sleep", "average", "performance", "0.600", "±"] for line in shown.splitlines())
    assert "Forgetting: of the same tasks" in shown

    assert main(["table", str(folder), "--format", "csv"]) == 0
    rows = [row for row in csv.DictReader(capfd.readouterr().out.splitlines()) if row["kind"] == "measure"]
    assert {row["experiment"] for row in rows} == {"sequential-sleep"}  # the others have tests after one phase only
    assert [row["what"] for row in rows] == ["average performance", "backward transfer", "forgetting", "forward transfer"]
    assert float(rows[3]["mean"]) == pytest.approx(0.1)  # 0.6 - 0.5

    assert main(["table", str(folder), "--format", "json", "--above-chance"]) == 0
    (each,) = json.loads(capfd.readouterr().out)["continual_learning"]
    assert (each["after"], each["tasks"]) == (["T1", "T2", "I(S,T1)"], [1, 2])
    assert each["measures"][0]["values"] == {"4": pytest.approx(-0.1), "6": pytest.approx(0.1), "8": pytest.approx(0.3)}


def test_one_trial_has_measures_without_spread(folder):
    (each,) = results([Trial(trial_path(folder, "sequential-sleep", 6))]).experiments
    assert [measure.summary.mean for measure in each.measures] == pytest.approx([0.6, 0.0, 0.0, 0.1])
    assert all(measure.against_nothing is None for measure in each.measures)

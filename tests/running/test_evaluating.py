"""Testing many networks: the same bits as a test phase, whatever is split, kept, or made legal; networks whose best is known."""

import math

import numpy as np
import pytest
from pretend_engine import PretendEngine
from synthetic_networks import FLOOR, PARAMETERS, RESISTANCE, network, seeking

from foraging_snn.analysis.planes import barrier, line_points
from foraging_snn.environments import Outcome
from foraging_snn.files.landscapes import COUNTS, Evaluation
from foraging_snn.models import AEON_COUNTS, Activity, Block, Phase, engine_class, initial_state
from foraging_snn.running import evaluating
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import Course, EvaluationSettings, batches_of, evaluate, legal
from foraging_snn.running.evaluations import EvaluationLedger
from foraging_snn.running.scheduling import LocalWorkers
from foraging_snn.running.stopping import StopCause, StopRequest
from foraging_snn.running.trial import Stopped

TASKS = ("T1", "T2")
CORNERS = np.array([seeking("horizontal"), seeking("vertical"), seeking("horizontal", "vertical")])
SUM = PARAMETERS.n_hidden * PARAMETERS.network.hidden_output_strength


@pytest.fixture(scope="module")
def engine():
    with engine_class("event")(PARAMETERS) as engine:
        yield engine


def evaluated(strengths, epochs=200, tasks=TASKS, **options):
    return evaluate(strengths, tasks, epochs, network=network(), resistance=RESISTANCE, **options)


def assert_same(one, other):
    for name in COUNTS:
        np.testing.assert_array_equal(one.counts[name], other.counts[name], err_msg=name)
    np.testing.assert_array_equal(one.moved, other.moved)


# --------------------------------------------------------------------------------------------- what it is, and what it gives


@pytest.mark.parametrize("name", ["event", pytest.param("brian2-runtime", marks=pytest.mark.slow)])
def test_an_evaluation_is_a_run_of_a_test_phase_bit_for_bit(name):
    """The network at rest is made here by hand: a new one with wiring and strengths put in, inhibition minus the mean."""
    n = 200 if name == "event" else 100  # whole aeons
    with engine_class(name)(PARAMETERS) as engine:
        found = evaluated(CORNERS[:1], n, engine=engine, seed=7)
        state, net = initial_state(PARAMETERS, 7), network()
        state.input_index, state.hidden_index, state.input_hidden = net.input_index, net.hidden_index, net.input_hidden
        state.hidden_output = CORNERS[0].copy()
        state.inhibition = -np.array([sum(row, 0.0) / 8 for row in CORNERS[0].tolist()])
        for k, task in enumerate(TASKS):
            _, record = engine.run(state, Phase("test", (Block(Activity.test(task), n),), n))
            for column in set(AEON_COUNTS) & set(COUNTS):
                assert found.counts[column][0, k] == record.counts[column].sum(), column
            assert found.performance[0, k] == record.performance
            assert found.counts["hidden_squares"][0, k] == (record.counts["hidden_spikes"] ** 2).sum()


def test_networks_wired_for_a_task_are_good_at_it_and_at_chance_elsewhere(engine):
    found = evaluated(CORNERS, 2000, engine=engine)
    good = np.array([[True, False], [False, True], [True, True]])
    assert (found.performance[good] > 0.75).all()
    assert (np.abs(found.performance[~good] - 0.5) < 4 * found.performance_error[~good]).all()
    assert (found.food[good] > 2 * found.food[~good].max()).all()


def test_performance_over_a_plane_is_best_where_it_was_wired_to_be(engine):
    """Near the first corner Task 1, near the second Task 2, near the third both, and between the first two."""
    shares = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8], [0.5, 0.5, 0.0]])
    found = evaluated(np.einsum("nk,kho->nho", shares, CORNERS), 2000, engine=engine)
    assert found.performance[0, 0] > 0.75
    assert found.performance[1, 1] > 0.75
    assert (found.performance[2:] > 0.7).all()
    assert not found.moved.any()


class Valley(PretendEngine):
    """Of the particles eaten, 0.9 are rewarded at both ends of a line of strengths, and less between: 0.9 - 1.2 s (1 - s)."""

    def _load(self, state, phase):
        super()._load(state, phase)
        way = CORNERS[1] - CORNERS[0]
        s = ((state.hidden_output - CORNERS[0]) * way).sum() / (way**2).sum()
        self._share = 0.9 - 1.2 * s * (1.0 - s)

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        rewarded = (np.arange(epochs) + 0.5) / epochs < self._share
        records.outcome = np.where(rewarded, Outcome.REWARDED, Outcome.PUNISHED).astype(np.int8)
        return records


def test_the_barrier_of_a_path_through_a_known_valley():
    share = np.linspace(0.0, 1.0, 5)
    path = line_points(CORNERS[0], CORNERS[1], share)
    found = evaluated(path, 1000, ("T1",), engine=Valley(PARAMETERS))
    np.testing.assert_allclose(found.performance[:, 0], 0.9 - 1.2 * share * (1 - share), atol=0.011)  # of 50 particles a piece
    assert barrier(found.performance[:, 0], share) == pytest.approx(0.3, abs=0.011)


# --------------------------------------------------------------------------------------------------------- standard errors


def test_standard_errors_are_those_of_their_formulas():
    """200 epochs in two aeons: 12 and 20 particles, 30 and 50 spikes."""
    values = {"epochs": 200, "aeons": 2, "rewarded": 24, "punished": 6, "other": 2, "hidden_spikes": 80, "output_spikes": 40}
    squares = {"food_squares": 12**2 + 20**2, "hidden_squares": 30**2 + 50**2, "output_squares": 2 * 20**2}
    found = Evaluation(("T1",), {name: np.array([[value]]) for name, value in (values | squares).items()}, np.zeros(1))
    assert found.performance == 0.8
    assert found.performance_error == pytest.approx(math.sqrt(0.8 * 0.2 / 30))
    assert found.food == 0.16
    assert found.food_error == pytest.approx(np.std([0.12, 0.20], ddof=1) / math.sqrt(2))
    spikes, error = found.spikes("hidden")
    assert (spikes, error) == (0.4, pytest.approx(np.std([0.3, 0.5], ddof=1) / math.sqrt(2)))
    assert found.spikes("output")[1] == 0.0


def test_nothing_eaten_is_no_number():
    found = Evaluation(("T1",), {name: np.zeros((1, 1), np.int64) for name in COUNTS}, np.zeros(1))
    assert np.isnan([found.performance, found.performance_error, found.food, found.food_error]).all()


@pytest.mark.slow
def test_the_binomial_error_is_how_performance_differs_between_seeds(engine):
    """Margin: four standard errors of a standard deviation of 60."""
    found = [evaluated(CORNERS[:1], 1000, ("T1",), engine=engine, seed=seed) for seed in range(60)]
    spread = np.std([each.performance[0, 0] for each in found], ddof=1)
    expected = np.mean([each.performance_error[0, 0] for each in found])
    assert spread == pytest.approx(expected, rel=4 / math.sqrt(2 * 59))


# ---------------------------------------------------------------------------------------------------------- legal strengths


def test_strengths_that_are_allowed_stay_as_they_are():
    made, moved = legal(CORNERS[0], PARAMETERS)
    assert made.tobytes() == CORNERS[0].tobytes()
    assert moved == 0.0
    halved = CORNERS[0].astype(np.float32).astype(float)  # as snapshots hold them
    assert legal(halved, PARAMETERS)[0].tobytes() == halved.tobytes()


def test_others_are_clipped_then_scaled_and_it_is_said_how_far_that_moved_them():
    asked = CORNERS[0] + 1.3 * (CORNERS[1] - CORNERS[0])
    clipped = np.minimum(np.maximum(asked, 1e-5), 1.0)
    expected = np.maximum(clipped * (SUM / clipped.sum(axis=0)), 1e-5)
    made, moved = legal(asked, PARAMETERS)
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    assert moved == pytest.approx(np.linalg.norm(expected - asked))
    assert moved > 0.1
    assert evaluated([asked], 100, ("T1",), engine=PretendEngine(PARAMETERS)).moved[0] == moved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 150}, "epochs: 150 given, allowed are whole aeons: 100, 200, 300, ..."),
        ({"epochs": 0}, "epochs: 0 given, allowed are whole aeons"),
        ({"tasks": ("T1", "T77")}, "task: 'T77' given"),
        ({"seed": -1}, "seed: -1 given, allowed is 0 to"),
        ({"engine": "fast"}, "engine: 'fast' given"),
        ({"resistance": np.zeros(8)}, "resistance: allowed are finite numbers above 0"),
        ({"strengths": np.ones((1, 3, 8))}, r"strengths: shape \(3, 8\) given"),
        ({"strengths": np.full((1, PARAMETERS.n_hidden, 8), np.nan)}, "strengths: shape .* allowed are finite numbers"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_line(options, message):
    given = {"strengths": CORNERS, "tasks": TASKS, "epochs": 100, "network": network(), "resistance": RESISTANCE} | options
    with pytest.raises(Exception, match=message) as refusal:
        evaluate(**given)
    assert "\n" not in str(refusal.value)


# ------------------------------------------------------------------------------------------------------------- many, kept


def test_any_split_gives_the_same_and_what_was_done_is_not_done_again(engine, tmp_path, monkeypatch):
    at_once, told = evaluated(CORNERS, engine=engine), []
    course = Course(LocalWorkers(), tmp_path / "ledger", found=lambda *numbers: told.append(numbers))
    first = evaluated(CORNERS[1:], course=course)
    monkeypatch.setattr(evaluating, "BATCH_EPOCHS", 1)  # a batch per test
    assert_same(evaluated(CORNERS, course=course), at_once)
    assert_same(first, at_once[1:])
    assert_same(evaluated(CORNERS[:1], 200, ("T2",), course=course), evaluated(CORNERS[:1], 200, ("T2",), engine=engine))
    assert told == [(0, 4), (4, 6), (1, 1)]
    evaluated(CORNERS[:1], 100, course=course)
    evaluated(CORNERS[:1], 200, seed=2, course=course)
    assert told[3:] == [(0, 2), (0, 2)]  # other lengths and seeds are other tests


@pytest.mark.slow
def test_two_processes_give_the_same(engine, tmp_path):
    course = Course(LocalWorkers(2), tmp_path / "ledger")
    assert_same(evaluated(CORNERS, 1000, course=course), evaluated(CORNERS, 1000, engine=engine))


def test_what_was_done_before_a_stop_is_kept(engine, tmp_path, monkeypatch):
    request, seen = StopRequest(), []
    run_many = engine.run_many

    def stopped_at_the_second(states, phase, progress):
        for pair in run_many(states, phase, progress=progress):
            seen.append(phase.name)
            if len(seen) == 2:
                request.is_wanted_because(StopCause.CTRL_C)
            yield pair

    monkeypatch.setattr(type(engine), "run_many", lambda self, *given, **options: stopped_at_the_second(*given, **options))
    told = []
    course = Course(LocalWorkers(), tmp_path / "ledger", request=request, found=lambda *numbers: told.append(numbers))
    with pytest.raises(Stopped):
        evaluated(CORNERS, 400, course=course)
    monkeypatch.undo()
    going_on = Course(LocalWorkers(), tmp_path / "ledger", found=lambda *numbers: told.append(numbers))
    assert_same(evaluated(CORNERS, 400, course=going_on), evaluated(CORNERS, 400, engine=engine))
    assert told == [(0, 6), (2, 6)]


def test_a_damaged_file_of_the_ledger_is_named_and_its_tests_are_done_anew(engine, tmp_path):
    notes = []
    course = Course(LocalWorkers(), tmp_path / "ledger", note=notes.append)
    found = evaluated(CORNERS[:1], 200, ("T1",), course=course)
    (path,) = (tmp_path / "ledger" / "evaluations").glob("*.h5")
    image = bytearray(path.read_bytes())
    image[len(image) // 2 :] = bytes(len(image) - len(image) // 2)
    path.write_bytes(image)
    assert_same(evaluated(CORNERS[:1], 200, ("T1",), course=course), found)
    assert len(notes) == 1
    assert notes[0].startswith(f"{path}: ") and notes[0].endswith("; its evaluations are computed anew")
    assert len(EvaluationLedger(tmp_path / "ledger").all()) == 1


def test_a_failed_test_is_told_in_one_line(tmp_path):
    full = network()
    hasty = PARAMETERS.with_changes({"timing.steps_per_epoch": 200})
    broken = type(full)(hasty, full.input_index, full.hidden_index, full.input_hidden)
    with pytest.raises(RunError, match="event engine: with these parameters cells are not back at rest after an epoch"):
        evaluate(CORNERS[:1], TASKS, 100, network=broken, resistance=RESISTANCE)


def test_batches_are_short_enough_for_all_processes_to_be_busy():
    settings = EvaluationSettings(PARAMETERS, 100)
    points = settings.points([network()] * 30, np.repeat(CORNERS, 10, axis=0), np.tile(RESISTANCE, (30, 1)), TASKS)
    batches = batches_of(points, settings, None, jobs=4)
    assert sum(batch.parts for batch in batches) == 60
    assert len(batches) >= 4 * evaluating.BATCHES_PER_JOB * 0.8
    assert {batch.epochs for batch in batches} <= {100 * n for n in range(1, 4)}
    assert FLOOR < SUM

"""The catalogue of experiments: all of the paper's, in its order of phases, with its numbers."""

import pytest

from foraging_snn.models import Activity, Block, Phase, preset
from foraging_snn.protocols import ExperimentError, ImportRates, PublishedValue, experiment, experiments, protocol

# name: label, figure, published performance (Task 1: mean, sd; Task 2: mean, sd), phases before each pair of tests
PAPER = {
    "task1": ("T1", "1B", (0.70, 0.02, 0.53, 0.02), ["T1"]),
    "task2": ("T2", "1C", (0.51, 0.02, 0.71, 0.02), ["T2"]),
    "sequential": ("T1 -> T2", "3A,B", (0.52, 0.02, 0.69, 0.03), ["T1", "T2"]),
    "interleaved": ("T1 -> I(T1,T2)", "3C,D", (0.68, 0.03, 0.65, 0.04), ["T1", "I(T1,T2)"]),
    "sleep": ("T1 -> I(S,T2)", "3E,F", (0.70, 0.03, 0.68, 0.05), ["T1", "I(S,T2)"]),
    "sequential-sleep": ("T1 -> T2 -> I(S,T1)", "4A,B", (0.69, 0.02, 0.67, 0.03), ["T1", "T2", "I(S,T1)"]),
    "sequential-interleaved": ("T1 -> T2 -> I(T1,T2)", "S5", (0.65, 0.03, 0.67, 0.04), ["T1", "T2", "I(T1,T2)"]),
    "naive-sleep": ("naive -> I(S,T1)", "S4A,B", None, ["I(S,T1)"]),
    "task1-sleep": ("T1 -> I(S,T1)", "S4C,D", None, ["T1", "I(S,T1)"]),
    "uniform-sleep": ("T1 -> I(uniform S,T2)", "S4E,F", None, ["T1", "I(uniform S,T2)"]),
    "freeze-1": ("T1 -> freeze top 1 % -> T2", "S6", None, ["T1", "T2"]),
    "freeze-5": ("T1 -> freeze top 5 % -> T2", "S6", None, ["T1", "T2"]),
    "freeze-10": ("T1 -> freeze top 10 % -> T2", "S6", None, ["T1", "T2"]),
}
TESTS = ["test T1", "test T2"]


@pytest.fixture(scope="module")
def catalogue():
    return experiments(preset("full"))


def phase(catalogue, name, phase_name):
    return next(phase for phase in catalogue[name].phases if phase.name == phase_name)


def test_the_catalogue_is_that_of_the_paper(catalogue):
    assert list(catalogue) == [*PAPER, "dropout-1", "dropout-2"]
    assert all(catalogue[name].name == name for name in catalogue)


@pytest.mark.parametrize("name", PAPER)
def test_label_figure_and_published_numbers(catalogue, name):
    label, figure, numbers, _ = PAPER[name]
    row = catalogue[name]
    assert (row.label, row.figure) == (label, figure)
    assert row.published == (numbers and (PublishedValue(*numbers[:2]), PublishedValue(*numbers[2:])))


@pytest.mark.parametrize("name", PAPER)
def test_every_training_is_followed_by_a_test_on_each_task(catalogue, name):
    trained = PAPER[name][3]
    assert [p.name for p in catalogue[name].phases] == ["unsupervised", *(n for t in trained for n in (t, *TESTS))]


@pytest.mark.parametrize("task", [1, 2])
def test_dropout_removes_cells_in_a_test_of_the_task_just_trained(catalogue, task):
    row = catalogue[f"dropout-{task}"]
    assert (row.label, row.figure, row.published) == (f"T{task} -> hidden cells removed", "S2", None)
    assert [p.name for p in row.phases] == ["unsupervised", f"T{task}", "test T1", "test T2", f"dropout T{task}"]
    assert [p.dropout for p in row.phases] == [False, False, False, False, True]
    assert row.phases[-1].activities == ((Activity.test("T1"), Activity.test("T2"))[task - 1],)


@pytest.mark.parametrize(
    ("name", "phase_name", "activities"),
    [
        ("task1", "unsupervised", [Activity.UNSUPERVISED]),
        ("task1", "T1", [Activity.train("T1")]),
        ("sequential", "T2", [Activity.train("T2")]),
        ("task1", "test T1", [Activity.test("T1")]),
        ("task1", "test T2", [Activity.test("T2")]),
        ("interleaved", "I(T1,T2)", [Activity.train("T1"), Activity.train("T2")]),
        ("sleep", "I(S,T2)", [Activity.train("T2"), Activity.SLEEP]),  # begins with a training block
        ("sequential-sleep", "I(S,T1)", [Activity.train("T1"), Activity.SLEEP]),
        ("uniform-sleep", "I(uniform S,T2)", [Activity.train("T2"), Activity.UNIFORM_SLEEP]),
    ],
)
def test_activities_alternate_in_blocks_of_100_epochs(catalogue, name, phase_name, activities):
    assert phase(catalogue, name, phase_name).blocks == tuple(Block(activity, 100) for activity in activities)


def test_blocks_have_the_lengths_of_the_parameters():
    parameters = preset("full").with_changes({"sleep.block_epochs": 30, "phases.block_epochs": 70})
    blocks = phase(experiments(parameters), "sleep", "I(S,T2)").blocks
    assert [block.epochs for block in blocks] == [70, 30]


@pytest.mark.parametrize(("percent", "fraction"), [(1, 0.01), (5, 0.05), (10, 0.1)])
def test_freezing_happens_when_task_2_begins(catalogue, percent, fraction):
    row = catalogue[f"freeze-{percent}"]
    assert {p.name: p.freeze_fraction for p in row.phases if p.freeze_fraction} == {"T2": fraction}


def test_naive_sleep_takes_the_rates_of_the_task_2_experiment(catalogue):
    unsupervised, rates, *rest = catalogue["naive-sleep"].steps
    assert rates == ImportRates(2, catalogue["task2"].steps[:2])
    assert rates.steps[0] == unsupervised
    assert [p.name for p in rest] == ["I(S,T1)", *TESTS]


# What the experiments were before there was a language, as commit a33a0ad had them: preset "enough", blocks of 70 epochs awake and
# 30 asleep. A step is its name, blocks with epochs, length in epochs.
BEFORE = {
    "u": "unsupervised = unsupervised:70 for 10000000",
    "1": "T1 = train-task1:70 for 500000",
    "t": "test T1 = test-task1:70 for 200000",
    "v": "test T2 = test-task2:70 for 200000",
    "2": "T2 = train-task2:70 for 500000",
    "3": "T2 = train-task2:70 for 1000000",
    "i": "I(T1,T2) = train-task1:70 train-task2:70 for 2000000",
    "s": "I(S,T2) = train-task2:70 sleep:30 for 2000000",
    "S": "I(S,T1) = train-task1:70 sleep:30 for 2000000",
    "r": "rates of task 2 after unsupervised = unsupervised:70 for 10000000 / T2 = train-task2:70 for 500000",
    "U": "I(uniform S,T2) = train-task2:70 uniform-sleep:30 for 2000000",
    "a": "T2 = train-task2:70 for 1000000 freeze 0.01",
    "b": "T2 = train-task2:70 for 1000000 freeze 0.05",
    "c": "T2 = train-task2:70 for 1000000 freeze 0.1",
    "d": "dropout T1 = test-task1:70 for 392000 dropout",
    "e": "dropout T2 = test-task2:70 for 392000 dropout",
}
STEPS_BEFORE = {
    "task1": "u1tv",
    "task2": "u2tv",
    "sequential": "u1tv3tv",
    "interleaved": "u1tvitv",
    "sleep": "u1tvstv",
    "sequential-sleep": "u1tv3tvStv",
    "sequential-interleaved": "u1tv3tvitv",
    "naive-sleep": "urStv",
    "task1-sleep": "u1tvStv",
    "uniform-sleep": "u1tvUtv",
    "freeze-1": "u1tvatv",
    "freeze-5": "u1tvbtv",
    "freeze-10": "u1tvctv",
    "dropout-1": "u1tvd",
    "dropout-2": "u2tve",
}


def in_words(step):
    if isinstance(step, ImportRates):
        return f"rates of task {step.task} after {' / '.join(map(in_words, step.steps))}"
    blocks = " ".join(f"{block.activity.name}:{block.epochs}" for block in step.blocks)
    rest = [f"freeze {step.freeze_fraction}"] * bool(step.freeze_fraction) + ["dropout"] * step.dropout
    assert step == Phase(step.name, step.blocks, step.epochs, freeze_fraction=step.freeze_fraction, dropout=step.dropout)
    return " ".join([f"{step.name} = {blocks} for {step.epochs}", *rest])


def test_every_experiment_has_the_phases_that_it_had_before_there_was_a_language():
    parameters = preset("enough").with_changes({"sleep.block_epochs": 30, "phases.block_epochs": 70})
    now = {name: [in_words(step) for step in row.steps] for name, row in experiments(parameters).items()}
    assert now == {name: [BEFORE[step] for step in steps] for name, steps in STEPS_BEFORE.items()}


@pytest.mark.parametrize("name", STEPS_BEFORE)
def test_an_experiment_is_what_its_text_and_its_name_make(catalogue, name):
    row = catalogue[name]
    assert protocol(row.text, preset("full")) == protocol(name, preset("full")) == experiment(name, preset("full")) == row
    assert protocol(row.text.replace(" ", "").replace("uniformS", "uniform S"), preset("full")) == row


@pytest.mark.parametrize(
    ("name", "other", "shared"),
    [
        ("task1", "task2", 1),
        ("task1", "sequential", 4),
        ("sequential", "sequential-sleep", 7),
        ("sequential", "sequential-interleaved", 7),
        ("interleaved", "sleep", 4),
        ("task1", "freeze-5", 4),
        ("task2", "dropout-2", 4),
    ],
)
def test_experiments_share_the_phases_with_which_they_begin(catalogue, name, other, shared):
    one, two = catalogue[name].steps, catalogue[other].steps
    assert one[:shared] == two[:shared]
    assert hash(one[:shared]) == hash(two[:shared])  # states are kept by the steps that led to them
    assert one[shared : shared + 1] != two[shared : shared + 1]


def test_lengths_of_the_published_program(catalogue):
    aeons = {p.name: p.epochs / 100 for p in catalogue["sequential-sleep"].phases}
    assert aeons == {"unsupervised": 100_000, "T1": 50_000, "T2": 50_000, "I(S,T1)": 50_000, "test T1": 10_000, "test T2": 10_000}
    assert sum(p.epochs for p in catalogue["sequential-sleep"].phases) == 31_000_000


def test_task_2_after_task_1_is_a_retraining():
    parameters = preset("full").with_changes({"phases.training_aeons": 30, "phases.retraining_aeons": 40})
    catalogue = experiments(parameters)
    assert phase(catalogue, "task2", "T2").epochs == 3_000
    assert phase(catalogue, "sequential", "T2").epochs == 4_000


def test_scale_shortens_every_phase_to_whole_aeons():
    catalogue = experiments(preset("quick").with_changes({"phases.scale": 0.0001}))
    assert {p.epochs for row in catalogue.values() for p in row.phases} == {100}


def test_an_unknown_experiment_is_named_with_what_is_allowed_and_a_suggestion():
    with pytest.raises(ExperimentError) as error:
        experiment("sequental", preset("tiny"))
    message = str(error.value)
    assert "'sequental'" in message
    assert "did you mean sequential?" in message
    assert "naive-sleep" in message
    assert "\n" not in message

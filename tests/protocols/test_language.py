"""The language of protocols: what a text means, what is said of a mistake, and that writing and reading agree."""

import runpy
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foraging_snn import engine_class, initial_state
from foraging_snn.models import Activity, Block, Phase, preset
from foraging_snn.models.parameters import MAX_AEONS
from foraging_snn.protocols import ExperimentError, ImportRates, ProtocolError, protocol, protocols_of_file
from foraging_snn.protocols.building import CHANGEABLE
from foraging_snn.protocols.language import (
    KEYWORDS,
    MAX_BLOCK_EPOCHS,
    MAX_CHARACTERS,
    MAX_STEPS,
    ParsedBlock,
    ParsedSleep,
    ParsedStep,
    as_text,
    parse,
)

TINY = preset("tiny")  # in aeons: unsupervised 4, training 2, interleaved 4, sleep 2, test 1, dropout 2; blocks of 100 epochs
TASKS = ("T1", "T2")


def phases(text, **options):
    """Names and lengths in aeons, without the unsupervised phase and the tests."""
    found = protocol(text, TINY, **options).phases
    assert found[0].name == "unsupervised"
    return [(phase.name, phase.epochs / 100) for phase in found[1:] if not phase.name.startswith("test ")]


def last_blocks(text):
    phase = [phase for phase in protocol(text, TINY).phases if not phase.is_test][-1]
    return [(block.activity.name, block.epochs) for block in phase.blocks]


# --------------------------------------------------------------------------------------------------- what a text means


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T1 -> T2 -> T1", [("T1", 2), ("T2", 2), ("T1", 2)]),
        ("  T1->I( S ,\n T2 )->S ", [("T1", 2), ("I(S,T2)", 4), ("S", 2)]),
        ("T1[50] -> I(T1,T2,S)[7] -> S[500]", [("T1", 50), ("I(T1,T2,S)", 7), ("S", 500)]),
        ("naive -> I(S,T1)", [("I(S,T1)", 4)]),
        ("naive", []),
        ("T1 -> dropout[9]", [("T1", 2), ("dropout T1", 9)]),
        ("T1 -> T2 -> dropout", [("T1", 2), ("T2", 2), ("dropout T2", 2)]),
        ("T1 -> T2 -> dropout(T1)", [("T1", 2), ("T2", 2), ("dropout T1", 2)]),
    ],
)
def test_steps_have_names_and_lengths(text, expected):
    assert phases(text) == expected


def test_lengths_that_are_given_are_those_of_no_parameter():
    long = TINY.with_changes({"phases.scale": 7})
    assert [p.epochs for p in protocol("unsupervised[3] -> T1[5]", long).phases] == [300, 500, 700]


def test_training_after_training_is_retraining_also_with_something_between():
    lengths = TINY.with_changes({"phases.training_aeons": 30, "phases.retraining_aeons": 40})
    found = protocol("I(T1,T2) -> T1 -> S -> T2", lengths).phases
    assert [p.epochs / 100 for p in found if p.name in ("T1", "T2")] == [30, 40]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("I(S,T2)", ["train-task2", "sleep"]),
        ("I(T2,S)", ["train-task2", "sleep"]),
        ("I(T1,T2)", ["train-task1", "train-task2"]),
        ("I(S,T1,T2)", ["train-task1", "train-task2", "sleep"]),
        ("I(S,uniform S,T2,T1)", ["train-task2", "train-task1", "sleep", "uniform-sleep"]),
        ("I(T1,S,T2,S)", ["train-task1", "sleep", "train-task2", "sleep"]),
        ("I(S,uniform S)", ["sleep", "uniform-sleep"]),
    ],
)
def test_blocks_take_turns_as_written_but_training_begins(text, blocks):
    assert last_blocks(text) == [(block, 100) for block in blocks]


def test_blocks_can_have_lengths_of_their_own():
    assert last_blocks("T1 -> I(S:50,T2:120,T1)") == [("train-task2", 120), ("train-task1", 100), ("sleep", 50)]


def test_every_task_named_is_tested_after_training_interleaved_and_sleep_phases():
    names = [phase.name for phase in protocol("T2 -> I(S,T1) -> S -> dropout(T2)", TINY).phases]
    tests = ["test T1", "test T2"]
    assert names == ["unsupervised", "T2", *tests, "I(S,T1)", *tests, "S", *tests, "dropout T2"]


def test_the_tasks_to_test_can_be_given():
    assert [p.name for p in protocol("T1 -> T2", TINY, tests=["T2"]).phases] == ["unsupervised", "T1", "test T2", "T2", "test T2"]
    assert [p.name for p in protocol("T1 -> T2", TINY, tests=[]).phases] == ["unsupervised", "T1", "T2"]
    assert [p.name for p in protocol("naive -> test(T1)[3] -> T1", TINY).phases] == ["unsupervised", "test T1", "T1", "test T1"]


def test_freezing_is_that_of_the_next_phase_only():
    found = protocol("T1 -> freeze(2.5%) -> I(S,T2) -> T1", TINY).phases
    assert {p.name: p.freeze_fraction for p in found if p.freeze_fraction} == {"I(S,T2)": 0.025}


def test_parameters_of_a_phase_are_changed_in_it_and_not_in_its_tests():
    found = protocol("T1 -> T2{sleep.pulse=0.03, reward.punished = -0.5}[7]", TINY).phases
    assert {p.name: p.changes for p in found if p.changes} == {"T2": (("reward.punished", -0.5), ("sleep.pulse", 0.03))}
    assert {p.epochs for p in found if p.changes} == {700}


def test_rates_of_a_branch_are_those_of_the_tasks_that_it_trains():
    steps = protocol("naive -> I(S(rates=[T2[3] -> T1]),T1)", TINY).steps
    branch = protocol("T2[3] -> T1", TINY, tests=[]).steps
    assert steps[1:3] == (ImportRates(2, branch), ImportRates(1, branch))
    assert steps[3].name == "I(S,T1)"


def test_kinds_of_sleep():
    def asleep(text):
        return protocol(f"T1 -> {text}", TINY, tests=[]).phases[-1].blocks[0].activity

    assert asleep("S") == Activity.SLEEP
    assert asleep("uniform S") == Activity.UNIFORM_SLEEP
    assert asleep("S(T1:0.8, T2:0.2)") == Activity.sleep(cue={"T1": 0.8, "T2": 0.2})
    assert asleep("uniform S(T2)") == Activity.sleep(cue={"T2": 1.0}, uniform=True)
    assert asleep("S(patterns=500, selective)") == Activity.sleep(patterns=500, selective=True)


def test_patterns_that_sleep_shows_are_kept_by_the_training_before_it():
    found = protocol("T1 -> I(S(patterns=20),T2) -> T1", TINY, tests=[]).phases
    assert [p.keep_patterns for p in found] == [0, 20, 20, 0]


# ------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "character", "said"),
    [
        ("I()", 3, "')' found, expected a task (T1, T2, T3, T4, T5, T6), S, uniform S"),
        ("I(S)", 4, "')' found, expected ',' and a second block"),
        ("I(S,T1", 7, "the text ends, expected ',' or ')'"),
        (
            "T1 -> ",
            7,
            "the text ends, expected a task (T1, T2, T3, T4, T5, T6), I(...), S, uniform S, freeze(...%), dropout, test(...)",
        ),
        ("T1 -> T7", 7, "'T7' found, expected a task (T1, T2, T3, T4, T5, T6), "),
        ("T1 T2", 4, "'T2' found, expected '->' or the end"),
        ("T1[0]", 4, "0 aeons given, allowed is a whole number from 1 to 1,000,000,000"),
        ("T1[-5]", 4, "-5 aeons given, "),
        ("T1[2.5]", 4, "2.5 aeons given, "),
        ("T1[9999999999999999999999999]", 4, "9999999999999999999999999 aeons given, "),
        ("T1[5][6]", 6, "a second length given"),
        ("I(S:0,T1)", 5, "0 epochs given, allowed is a whole number from 1 to 1,000,000"),
        ("T1 -> naive", 7, "naive found after other steps"),
        ("T1 -> dropout -> T2", 18, "a step after dropout given"),
        ("dropout", 1, "dropout before any training"),
        ("T1 -> freeze(0%) -> T2", 14, "0 % given, allowed is a number above 0 and below 100"),
        ("T1 -> freeze(5%)", 17, "the text ends, expected '->' and a training or sleep"),
        ("T1 -> freeze(5%) -> test(T1)", 21, "test found, expected a training or sleep after freeze"),
        ("T1{reward.punised=1}", 4, "reward.punised: unknown parameter, did you mean reward.punished?"),
        ("T1 -> T2{world.size=60}", 10, "world.size given, which holds for a whole trial; allowed in a phase are synapse.*, "),
        ("T1{sleep.block_epochs=60}", 4, "sleep.block_epochs given, which holds for a whole trial"),
        ("T1{reward.punished=many}", 4, "reward.punished: 'many' given, allowed is a number >= -100 and <= 100"),
        ("T1{reward.punished=", 20, "the text ends, expected a value of reward.punished"),
        ("S(T1:0)", 6, "weight 0 given, allowed is a number above 0"),
        ("S(T1,T1)", 6, "task T1 given twice"),
        ("S(selective)", 13, "selective given without patterns"),
        ("uniform S(patterns=3)", 1, "sleep: uniform and patterns given"),
        ("S(rates=[naive])", 10, "a branch without training given"),
        ("S(rates=[S(rates=[T1])])", 18, "rates of a branch that itself takes rates given"),
        ("", 1, "the text ends, expected a task"),
        ("T1 \x1b[0m", 4, "'\\x1b' found, expected '->' or the end"),
    ],
)
def test_a_mistake_is_said_in_one_line_with_its_place_and_what_was_expected(text, character, said):
    with pytest.raises(ProtocolError) as error:
        protocol(text, TINY)
    message = str(error.value)
    assert f", character {character}: {said}" in message
    assert message.startswith("protocol '")
    assert message.isprintable()


def test_a_very_long_protocol_is_refused_whatever_is_in_it():
    assert len(protocol(" -> ".join(["T1"] * MAX_STEPS), TINY).phases) == 2 * MAX_STEPS + 1
    with pytest.raises(ExperimentError, match=r"^protocol: 10,000 steps given, allowed are at most 100$"):
        protocol(" -> ".join(["T1"] * 10_000), TINY)
    with pytest.raises(ExperimentError, match=r"^protocol: 30,000 characters given, allowed are at most 20,000$"):
        protocol("x" * 30_000, TINY)


def test_patterns_with_and_without_selection_do_not_go_together():
    with pytest.raises(ExperimentError, match="^protocol: sleep: patterns with and without selective given"):
        protocol("T1 -> S(patterns=5) -> S(patterns=5,selective)", TINY)


def test_an_unknown_task_to_test_is_named():
    with pytest.raises(ExperimentError, match="^tests: 'T9' given, allowed are T1, T2, T3, T4, T5, T6, with commas between$"):
        protocol("T1", TINY, tests=["T1", "T9"])


def test_a_task_cannot_have_a_name_that_means_something_else():
    with pytest.raises(ExperimentError, match="^tasks.S: a task of this name given"):
        parse("T1", ("T1", "S"))


# ----------------------------------------------------------------------------------------------------- writing and reading

lengths = st.none() | st.integers(1, 10**9)
weights = st.floats(1e-6, 1e6).map(lambda weight: float(f"{weight:.12g}"))
sleeps = st.builds(
    lambda uniform, cue, patterns, selective: ParsedSleep(uniform, cue, patterns, selective and patterns > 0),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(TASKS), weights), max_size=2, unique_by=lambda pair: pair[0]).map(tuple),
    st.integers(0, 1000),
    st.booleans(),
)
blocks = st.builds(ParsedBlock, st.sampled_from(TASKS) | sleeps, st.none() | st.integers(1, 10**6))
changes = st.dictionaries(st.sampled_from(["reward.punished", "sleep.pulse"]), st.sampled_from(["0.5", "-1e-3"]))
suffixes = {"aeons": lengths, "changes": changes.map(lambda table: tuple(sorted(table.items())))}
steps = st.one_of(
    st.builds(ParsedStep, st.just("interleaved"), st.lists(blocks, min_size=2, max_size=4).map(tuple), **suffixes),
    st.builds(ParsedStep, st.just("train"), st.sampled_from(TASKS).map(lambda task: (ParsedBlock(task),)), **suffixes),
    st.builds(ParsedStep, st.just("sleep"), sleeps.map(lambda sleep: (ParsedBlock(sleep),)), **suffixes),
    st.builds(ParsedStep, st.just("test"), st.sampled_from(TASKS).map(lambda task: (ParsedBlock(task),)), **suffixes),
)
unhurried = settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@unhurried
@given(st.lists(steps, min_size=1, max_size=5).map(tuple))
def test_what_is_written_is_read_again(parsed):
    assert parse(as_text(parsed), TASKS) == parsed


@unhurried
@given(st.text(alphabet='T12IS(),->[]{}:=% naiveuform."#\n', max_size=30) | st.text(max_size=20))
def test_any_text_is_a_protocol_or_refused_in_one_line(text):
    try:
        made = protocol(text, TINY)
    except ExperimentError as error:
        assert str(error).count("\n") == 0
    else:
        assert protocol(made.text, TINY).steps == made.steps


# ----------------------------------------------------------------------------------------------------------------- names

NAMED = ["T1 -> T2 -> T1", "T1 -> T2 -> T1[3]", "T1 -> I(S,T2) -> T1", "T1 -> I(S,T2,T1)", "S(T1)", "S[1]", "S(T1)[1]"]


def test_names_for_files_are_safe_short_and_another_for_every_protocol():
    names = [protocol(text, TINY).name for text in NAMED] + [protocol(NAMED[0], TINY, tests=["T1"]).name]
    assert len(set(names)) == len(names)
    assert names[0] == "T1-T2-T1"
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") for name in names)
    long = [protocol(" -> ".join(["T1"] * 90 + [last]), TINY) for last in ("T1", "T2")]
    assert long[0].name != long[1].name
    assert max(len(row.name) for row in long) < 80
    assert max(len(row.label) for row in long) == 200
    assert protocol("T1->T2  ->T1", TINY).name == "T1-T2-T1"  # another way to write the same


def test_a_name_can_be_given_but_not_that_of_another_experiment():
    assert protocol("T1 -> T2 -> T1", TINY, name="mine").name == "mine"
    assert protocol("T1 -> I(S,T2)", TINY, name="sleep").published
    with pytest.raises(ExperimentError, match="^name: 'sleep' given, which is an experiment of the paper and another protocol$"):
        protocol("T1 -> T2", TINY, name="sleep")
    with pytest.raises(ExperimentError, match=r"^name: '\.\./x' given, allowed are 1 to 100 letters"):
        protocol("T1 -> T2 -> T1", TINY, name="../x")


def test_an_experiment_of_the_paper_with_other_tests_is_another():
    other = protocol("T1 -> T2", TINY, tests=["T2"])
    assert other.name not in ("sequential", "T1-T2")
    assert other.published is None
    assert protocol("T1 -> T2", TINY, tests=["T2", "T1"]).name == "sequential"


# ----------------------------------------------------------------------------------------------------------------- files


def test_a_file_holds_one_protocol_or_several(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('protocol = ["T1", "I(S,T2)[3]", "T1"]\nname = "mine"\ntests = ["T2"]\nlabel = "sleep, then again"\n')
    (one,) = protocols_of_file(path, TINY)
    assert (one.name, one.label, one.text) == ("mine", "sleep, then again", "T1 -> I(S,T2)[3] -> T1")
    assert [p.name for p in one.phases].count("test T2") == 3
    path.write_text('[[experiments]]\nprotocol = "T1 -> I(S,T2)"\n[[experiments]]\nprotocol = "T2 -> T1"\n')
    assert [row.name for row in protocols_of_file(path, TINY)] == ["sleep", "T2-T1"]


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ('name = "x"', "protocol: missing, allowed is a text"),
        ('protocol = "I()"', "protocol 'I()', character 3: "),
        ("protocol = 3", "protocol: 3 given, allowed is text"),
        ('protocol = "T1 -> T2"\nfigure = "1"', "'figure': unknown, allowed are name, protocol, tests, label"),
        ('protocol = "T1 -> T2"\nlabel = "' + 300 * "x" + '"', "label: 'xxxx"),
        ('protocol = "T1"\n[[experiments]]', "protocol: given beside [[experiments]], allowed is one or the other"),
        ("protocol = ", "not readable as TOML: "),
        ('[[experiments]]\nprotocol="T1[1]"\nname="x"\n[[experiments]]\nprotocol="T2"\nname="x"', "name: 'x' given twice"),
    ],
)
def test_a_file_that_is_no_protocol_is_refused_in_one_line(tmp_path, contents, said):
    path = tmp_path / "mine.toml"
    path.write_text(contents)
    with pytest.raises(ExperimentError) as error:
        protocols_of_file(path, TINY)
    assert str(error.value).startswith(f"{path}: {said}")
    assert "\n" not in str(error.value)
    with pytest.raises(ExperimentError, match=r"none\.toml: cannot be read: No such file or directory$"):
        protocols_of_file(tmp_path / "none.toml", TINY)


# ------------------------------------------------------------------------------------------------- parameters of a phase


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["event", "brian2-runtime", "brian2"])
def test_a_phase_with_changes_is_run_as_by_an_engine_with_other_parameters(engine):
    small = TINY.with_changes({"network.hidden_cells": 20})
    changes = {"homeostasis.output_step": 1e-3, "synapse.noise": 0.5}
    phase = Phase("T1", (Block(Activity.train("T1"), 100),), 6)
    changed = Phase("T1", phase.blocks, 6, changes=tuple(changes.items()))
    start = initial_state(small, 3)
    with engine_class(engine)(small) as usual, engine_class(engine)(small.with_changes(changes)) as other:
        plain, _ = usual.run(start, phase)
        expected, _ = other.run(start, phase)
        half, _ = usual.run(start, changed, epochs=3)
        found, _ = usual.run(half, changed)
        again, _ = usual.run(start, phase)
    assert found.differences(expected) == []
    assert plain.differences(expected) != []
    assert again.differences(plain) == []


def test_the_example_does_what_it_says(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[2] / "examples" / "own_protocol.py"
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines] == [
        f"after {phase}: Task {task}" for phase in ("T1", "T2", "T1", "I(S,T1,T2)") for task in (1, 2)
    ]


def test_the_grammar_names_what_the_parser_knows():
    page = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
    grammar = page.split("```ebnf")[1].split("```")[0]
    assert all(f'"{word}"' in grammar for word in KEYWORDS)
    limits = (MAX_STEPS, MAX_CHARACTERS, MAX_BLOCK_EPOCHS, MAX_AEONS)
    assert all(f"{limit:,}" in grammar for limit in limits)
    assert all(f"`{group}{'' if '.' in group else '.*'}`" in page for group in CHANGEABLE)

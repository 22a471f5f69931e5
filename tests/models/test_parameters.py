"""Parameters: the numbers of the model, presets, TOML, errors of one line, and that none of them is without effect."""

import pickle
import re
from pathlib import Path

import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foraging_snn.environments import PARTICLES, TASKS, Particle, Task
from foraging_snn.models import PRESETS, ParameterError, Parameters, initial_state, preset
from foraging_snn.models.brian2_build import constants_header
from foraging_snn.models.parameters import in_words
from foraging_snn.models.rows import rows_of
from foraging_snn.protocols import experiments, protocol

REPOSITORY = Path(__file__).resolve().parents[2]
FULL = preset("full")
ROWS = {row.name: row for row in FULL.rows() if not row.name.startswith(("particles.", "tasks."))}
FIELDS = {name: type(getattr(FULL, name.split(".")[0])).model_fields[name.split(".")[1]] for name in ROWS}

MODEL = {  # the numbers of the model's description
    "world.size": 50,
    "world.field": 7,
    "world.density": 0.1,
    "network.hidden_cells": 784,
    "network.inputs_per_hidden_cell": 9,
    "network.strength_chunk": 0.001,
    "network.chunks_per_synapse": 10,
    "network.hidden_output_strength": 0.02,
    "cell.alpha": 3.65,
    "cell.beta_e": 0.133,
    "cell.mu": 0.0005,
    "cell.sigma": 0.06,
    "cell.input_decay": 0.985,
    "cell.resting_V": -0.939998046792114,
    "cell.resting_u": -2.821443297088526,
    "timing.step_ms": 0.5,
    "timing.steps_per_epoch": 600,
    "timing.epochs_per_aeon": 100,
    "synapse.noise": 0.12,
    "synapse.flash": 0.025,
    "policy.hunger_per_percent": 2,
    "plasticity.hidden_output_amplitude": 0.4,
    "plasticity.input_hidden_amplitude": 0.4,
    "plasticity.trace_decay_steps": 40,
    "plasticity.pair_window_steps": 120,
    "plasticity.trace_life_steps": 3600,
    "plasticity.age_offset_steps": 600,
    "plasticity.average_rate": 0.001,
    "plasticity.average_floor": 1e-10,
    "plasticity.max_change": 0.01,
    "plasticity.min_strength": 1e-5,
    "plasticity.max_strength": 1.0,
    "plasticity.max_input_hidden_strength": 0.012,
    "reward.rewarded": 1.0,
    "reward.punished": -0.001,
    "reward.nothing": -0.0001,
    "reward.asleep": 0.5,
    "homeostasis.rate_average": 1e-4,
    "homeostasis.output_step": 1e-5,
    "homeostasis.hidden_step": 1e-5,
    "homeostasis.output_target_rate": 0.5,
    "homeostasis.hidden_target_rate": 0.01,
    "sleep.pulse": 0.025,
    "sleep.block_epochs": 100,
    "phases.scale": 1.0,
    "phases.unsupervised_aeons": 100_000,
    "phases.training_aeons": 50_000,
    "phases.retraining_aeons": 50_000,
    "phases.interleaved_aeons": 50_000,
    "phases.test_aeons": 10_000,
    "phases.block_epochs": 100,
}
OF_THE_PACKAGE = {
    "network.seed",
    "phases.dropout_aeons",
    "phases.sleep_aeons",
    "phases.unsupervised_types",
    *(name for name in ROWS if name.startswith(("recording.", "elastic."))),
}


# ------------------------------------------------------------------------------------------------------- the values


def test_preset_full_holds_the_numbers_of_the_model():
    assert {name: ROWS[name].value for name in MODEL} == MODEL
    assert set(ROWS) - set(MODEL) == OF_THE_PACKAGE


def test_numbers_that_follow_from_others():
    assert (FULL.n_input, FULL.n_hidden, FULL.n_cells) == (49, 784, 841)
    assert FULL.hidden_output_initial == pytest.approx(0.16, rel=1e-15)
    assert FULL.output_input_target == pytest.approx(15.68, rel=1e-15)


def test_presets_differ_as_the_model_says():
    assert set(PRESETS) == {"full", "enough", "quick", "tiny"}
    changed = {name: {line.split(":")[0] for line in preset(name).differences(FULL)} for name in PRESETS}
    lengths = {f"phases.{length}_aeons" for length in ("training", "retraining", "interleaved", "sleep", "test", "dropout")}
    rates = {"homeostasis.hidden_step", "plasticity.input_hidden_amplitude", "phases.unsupervised_aeons"}
    assert changed["full"] == set()
    assert changed["enough"] == lengths
    assert changed["quick"] == lengths | rates
    assert changed["tiny"] == lengths | rates | {"recording.snapshots_per_phase"}
    quick = preset("quick")
    assert quick.homeostasis.hidden_step == pytest.approx(3e-5)
    assert quick.plasticity.input_hidden_amplitude == pytest.approx(10 * FULL.plasticity.input_hidden_amplitude)
    assert [quick.aeons(length) for length in ("unsupervised", "training", "test")] == [8000, 2000, 500]
    assert [preset("enough").aeons(length) for length in ("unsupervised", "training", "retraining")] == [100_000, 5000, 10_000]
    assert all(preset(name).preset == name for name in PRESETS)


@pytest.mark.parametrize("scale, aeons", [(1.0, 2000), (0.05, 100), (0.0001, 1), (1e-12, 1), (2.0, 4000), (0.00126, 3)])
def test_scale_shortens_every_phase_to_whole_aeons_of_at_least_one(scale, aeons):
    p = preset("quick").with_changes({"phases.scale": scale})
    assert p.aeons("training") == aeons
    assert isinstance(p.aeons("training"), int)


@pytest.mark.parametrize("name", ROWS)
def test_every_parameter_has_unit_meaning_and_source(name):
    row = ROWS[name]
    assert row.source in {"paper", "program", "ours"}
    assert len(row.meaning) > 5
    assert row.unit or isinstance(row.value, bool)
    kinds = {int: "a whole number", float: "a number", bool: "true or false", tuple: "a list of names of types of particle"}
    assert row.allowed.startswith(kinds[type(row.value)])


# -------------------------------------------------------------------------------------------- no parameter is dead


def other_value(name):
    """Another allowed value."""
    value = ROWS[name].value
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return ("vertical",)
    return value + 2 if isinstance(value, int) else value * 0.9 or 0.1


def what_it_is_good_for(parameters):
    """All that a parameter of the model can change: the compiled program, the initial state, the experiments, what phases mean."""
    state = initial_state(parameters, 2)
    arrays = [value.tobytes() if hasattr(value, "tobytes") else value for _, value in state.items()]
    phases = experiments(parameters)["task1"].phases
    rows = [column.tobytes() for phase in phases for column in rows_of(phase, parameters)]
    of_ours = protocol("T1{elastic.strength=0.5} -> S", parameters)
    return constants_header(parameters), arrays, experiments(parameters), of_ours, rows


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ROWS if not name.startswith("recording.")])
def test_every_parameter_of_the_model_has_an_effect(name):
    assert what_it_is_good_for(FULL.with_changes({name: other_value(name)})) != what_it_is_good_for(FULL)


@pytest.mark.parametrize("name", ROWS)
def test_every_parameter_is_read_outside_the_module_that_defines_it(name):
    field = name.partition(".")[2]
    length = field.removesuffix("_aeons")
    ways = [rf"\.{field}\b"]
    if length != field:
        ways.append(rf'"{length}"')  # Parameters.aeons("training")
    ways += {"network.hidden_cells": [r"\.n_hidden\b"], "phases.scale": [r"\.aeons\("]}.get(name, [])
    sources = [path for room in ("models", "foraging_snn") for path in (REPOSITORY / room).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in sources if path.name != "parameters.py"]
    assert any(re.search(way, text) for way in ways for text in texts)


# ------------------------------------------------------------------------------------- types of particle and tasks as data

CORNER = Particle("corner", ((0, 0), (1, 0), (1, 1)))
OWN = """[particles.corner]
offsets = [[0, 0], [1, 0], [1, 1]]

[particles."big T"]
offsets = [[0, 0], [2, 0], [-2, 0], [0, -3]]

[tasks.T1]
rewarded = ["negative diagonal"]
punished = ["horizontal"]

[tasks.T7]
rewarded = ["corner", "vertical"]
punished = ["big T"]
"""


def test_tables_begin_with_what_is_in_the_package_and_files_hold_only_what_is_not():
    p = Parameters.from_toml(OWN)
    assert list(p.particles) == [*PARTICLES, "corner", "big T"]
    assert list(p.tasks) == [*TASKS, "T7"]
    assert p.tasks["T7"] == Task("T7", (CORNER, PARTICLES["vertical"]), (Particle("big T", ((0, 0), (2, 0), (-2, 0), (0, -3))),))
    assert p.tasks["T1"] == Task("T1", ("negative diagonal",), ("horizontal",))
    assert p.to_toml().endswith(f"\n\n{OWN}") and Parameters.from_toml(p.to_toml()) == p
    assert "particles" not in FULL.to_toml() and "tasks" not in FULL.to_toml()
    assert hash(p) == hash(Parameters.from_toml(OWN)) != hash(FULL)
    assert pickle.loads(pickle.dumps(p)) == p


def test_types_and_tasks_have_numbers_and_rows():
    p = Parameters.from_toml(OWN)
    rows = {row.name: row for row in p.rows()}
    assert rows["particles.corner.offsets"][1:5] == (CORNER.offsets, "squares", "squares of type 13, from the first one", "user")
    assert rows["particles.vertical.offsets"].source == "paper" and rows["particles.steep rise.offsets"].source == "ours"
    assert rows["tasks.T7.rewarded"][1:5] == (("corner", "vertical"), "", "types rewarded in task 7", "user")
    assert [rows[f"tasks.{name}.punished"].source for name in ("T1", "T2", "T3")] == ["user", "paper", "ours"]
    assert (p.task_number(p.tasks["T7"]), p.task_number(p.task(2)), p.type_numbers([CORNER, PARTICLES["vertical"]])) == (
        7,
        2,
        [13, 2],
    )
    assert p.differences(FULL) == [
        "particles.corner.offsets: [[0, 0], [1, 0], [1, 1]], not there",
        "particles.big T.offsets: [[0, 0], [2, 0], [-2, 0], [0, -3]], not there",
        'tasks.T1.rewarded: ["negative diagonal"], ["horizontal"]',
        'tasks.T1.punished: ["horizontal"], ["negative diagonal"]',
        'tasks.T7.rewarded: ["corner", "vertical"], not there',
        'tasks.T7.punished: ["big T"], not there',
    ]


def test_order_is_a_difference_as_numbers_are_places():
    changes = [{f"tasks.{name}.rewarded": ("vertical",)} for name in ("T7", "T8")]
    one, other = (FULL.with_changes(first | second) for first, second in (changes, changes[::-1]))
    assert one.differences(other) == ["tasks: in the order T1, T2, T3, T4, T5, T6, T7, T8; T1, T2, T3, T4, T5, T6, T8, T7"]


def test_tasks_are_changed_and_made_as_on_the_command_line():
    p = FULL.with_changes({"tasks.T7.rewarded": '["horizontal"]', "tasks.T7.punished": "['vertical', 'steep fall']"})
    assert p.tasks["T7"] == Task("T7", ("horizontal",), ("vertical", "steep fall"))
    assert p.with_changes({"tasks.T7.punished": "[]"}).tasks["T7"] == Task("T7", ("horizontal",))
    assert FULL.with_changes({"tasks.T2.rewarded": ("horizontal",)}).tasks["T2"] == Task(
        "T2", ("horizontal",), ("positive diagonal",)
    )
    bar = FULL.with_changes({"particles.bar.offsets": "[[0, 0], [1, 0], [2, 0]]", "tasks.T7.rewarded": '["bar"]'})
    assert bar.tasks["T7"].rewarded == (Particle("bar", ((0, 0), (1, 0), (2, 0))),)


def test_tasks_are_added_with_their_types():
    task = Task("T7", (CORNER,), ("vertical",))
    p = FULL.with_tasks(task, Task("T8", ("vertical",), (CORNER,)))
    assert (list(p.particles)[12:], list(p.tasks)[6:]) == (["corner"], ["T7", "T8"])
    assert p.task("T7") == task
    with pytest.raises(
        ParameterError, match="^particles.corner: there is another type of this name, allowed is a name of its own$"
    ):
        p.with_tasks(Task("T9", (Particle("corner", ((0, 0), (1, 0))),)))
    with pytest.raises(
        ParameterError, match="^particles.L: has the squares of corner, allowed are squares that no other type has$"
    ):
        p.with_tasks(Task("T9", (Particle("L", ((0, 0), (0, -1), (-1, -1))),)))


def test_a_task_that_is_not_in_the_table_has_no_number():
    for task in (Task("T7", ("vertical",)), Task("T1", ("vertical",))):
        with pytest.raises(
            ParameterError, match=f"^task {task.name}: not in the table of tasks, which holds T1, T2, T3, T4, T5, T6$"
        ):
            FULL.task_number(task)
    with pytest.raises(ParameterError, match="^task: 'T7' given, allowed are T1, T2, T3, T4, T5, T6 or their numbers 1 to 6$"):
        FULL.task("T7")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"particles.bar.offsets": [[0, 0], [7, 0]]}, ""),
        (
            {"particles.bar.offsets": [[0, 0], [7, 0]], "tasks.T7.rewarded": ["bar"]},
            "world.field 7 is smaller than a particle 'bar', which takes 8 x 1 squares: choose a larger field or another particle.",
        ),
        ({"particles.bar.offsets": [[0, 0], [7, 0]], "tasks.T7.rewarded": ["bar"], "world.field": 9}, ""),
        (
            {"particles.bar.offsets": [[0, 0], [7, 0]], "phases.unsupervised_types": ["bar"]},
            "world.field 7 is smaller than a particle 'bar', which takes 8 x 1 squares: choose a larger field or another particle.",
        ),
        (
            {f"particles.p{k}.offsets": [[0, 0], [k // 10, k % 10], [20, 20]] for k in range(1, 117)},
            "particles.*: 128 types given, allowed are at most 127, of which 12 are packaged",
        ),
        (
            {f"tasks.A{k}.rewarded": ["horizontal"] for k in range(95)},
            "tasks.*: 101 tasks given, allowed are at most 100, of which 6 are packaged",
        ),
    ],
)
def test_particles_fit_into_the_field_of_view_and_tables_have_an_end(changes, message):
    if not message:
        FULL.with_changes(changes)
        return
    assert refusal(changes) == message


# ------------------------------------------------------------------------------------------------- TOML and changes


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name, tmp_path):
    p = preset(name)
    assert Parameters.from_toml(p.to_toml()) == p
    path = tmp_path / "parameters.toml"
    path.write_text(p.to_toml(), encoding="utf-8")
    assert Parameters.from_file(path) == p


def allowed_values(name):
    """Values of a parameter inside its bounds, and such that those that depend on each other fit together."""
    together = {
        "world.size": st.integers(40, 1000),
        "world.field": st.sampled_from(range(3, 32, 2)),
        "world.density": st.floats(1e-6, 0.14, allow_nan=False),
        "network.inputs_per_hidden_cell": st.integers(1, 9),
        "plasticity.min_strength": st.floats(1e-300, 1e-3),
        "plasticity.max_strength": st.floats(2e-3, 100.0),
        "plasticity.max_input_hidden_strength": st.floats(2e-3, 100.0),
    }
    if name in together:
        return together[name]
    if isinstance(ROWS[name].value, bool):
        return st.booleans()
    if isinstance(ROWS[name].value, tuple):
        return st.lists(st.sampled_from(list(PARTICLES)[:4]), max_size=4, unique=True).map(tuple)
    bounds = {key: getattr(m, key) for m in FIELDS[name].metadata for key in ("ge", "gt", "le", "lt") if hasattr(m, key)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    if isinstance(ROWS[name].value, int):
        return st.integers(low, 2**63 - 1 if high is None else high)
    edges = {"exclude_min": "gt" in bounds, "exclude_max": "lt" in bounds}
    return st.floats(low, high, allow_nan=False, allow_infinity=False, **edges)


CHANGES = st.lists(st.sampled_from(list(ROWS)), max_size=8, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: allowed_values(name) for name in names})
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(PRESETS)), CHANGES)
def test_allowed_changes_are_made_and_survive_toml(name, changes):
    p = preset(name).with_changes(changes)
    values = p.values()
    assert {name: values[name] for name in changes} == changes
    unchanged = {row.name: row.value for row in preset(name).rows() if row.name not in changes}
    assert unchanged.items() <= values.items()
    assert Parameters.from_toml(p.to_toml()) == p
    as_text = {name: in_words(value) if isinstance(value, tuple) else str(value).lower() for name, value in changes.items()}
    assert preset(name).with_changes(as_text) == p  # as on the command line
    assert {line.split(":")[0] for line in p.differences(preset(name))} <= set(changes)


def test_a_part_of_the_parameters_is_completed_from_its_preset():
    text = 'preset = "quick"\n[cell]\nalpha = 3.6\n[phases]\nscale = 1'
    assert Parameters.from_toml(text) == preset("quick").with_changes({"cell.alpha": 3.6})
    assert Parameters.from_toml("") == FULL
    assert Parameters.from_toml("[sleep]\npulse = 0.03").sleep.pulse == 0.03


def test_a_whole_number_stands_for_a_number_but_not_the_other_way_round():
    assert FULL.with_changes({"cell.alpha": 4}).cell.alpha == 4.0
    assert isinstance(FULL.with_changes({"cell.alpha": "4"}).cell.alpha, float)
    with pytest.raises(ParameterError):
        FULL.with_changes({"world.size": "50.0"})


def test_parameters_cannot_be_changed():
    with pytest.raises(ValidationError):
        FULL.world.size = 60
    with pytest.raises(ValidationError):
        FULL.world = preset("tiny").world
    with pytest.raises(ValidationError):
        FULL.something = 1
    changed = FULL.with_changes({"world.size": 60})
    assert (FULL.world.size, changed.world.size, preset("full").world.size) == (50, 60, 50)
    assert changed != FULL


# ---------------------------------------------------------------------------------------------------------- errors


def refusal(changes):
    with pytest.raises(ParameterError) as caught:
        FULL.with_changes(changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"world.sise": 50}, "world.sise: unknown parameter, did you mean world.size?"),
        ({"size": 50}, "size: unknown parameter, did you mean world.size?"),
        ({"world": 50}, "world: unknown parameter, did you mean world.size?"),
        ({"wrold.size": 50}, "wrold.size: unknown parameter, did you mean world.size?"),
        ({"": 50}, ": unknown parameter; `foraging-snn parameters` lists them all"),
        ({"zzz.qqq": 50}, "zzz.qqq: unknown parameter; `foraging-snn parameters` lists them all"),
        ({"preset": "tiny"}, "preset: unknown parameter; `foraging-snn parameters` lists them all"),
        ({"zzz\nqqq": 50}, r"'zzz\nqqq': unknown parameter; `foraging-snn parameters` lists them all"),
        ({"world.size": "fifty"}, "world.size: 'fifty' given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": ""}, "world.size: '' given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": None}, "world.size: None given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": True}, "world.size: True given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": 50.0}, "world.size: 50.0 given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": [50]}, "world.size: [50] given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": "a\nb"}, r"world.size: 'a\nb' given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": 11}, "world.size: 11 given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": 1001}, "world.size: 1001 given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.size": "nan"}, "world.size: nan given, allowed is a whole number >= 12 and <= 1000"),
        ({"cell.mu": 0.0}, "cell.mu: 0.0 given, allowed is a number > 0 and < 1"),
        ({"cell.mu": 1}, "cell.mu: 1.0 given, allowed is a number > 0 and < 1"),
        ({"cell.mu": "true"}, "cell.mu: True given, allowed is a number > 0 and < 1"),
        ({"cell.beta_e": "nan"}, "cell.beta_e: nan given, allowed is a finite number"),
        ({"cell.beta_e": "-inf"}, "cell.beta_e: -inf given, allowed is a finite number"),
        ({"cell.beta_e": float("inf")}, "cell.beta_e: inf given, allowed is a finite number"),
        ({"cell.alpha": "1e999"}, "cell.alpha: inf given, allowed is a finite number > 0"),
        ({"recording.positions": 1}, "recording.positions: 1 given, allowed is true or false"),
        ({"recording.positions": "yes"}, "recording.positions: 'yes' given, allowed is true or false"),
        ({"cell.alpha": 10**400}, "cell.alpha: a number of 1329 bits given, allowed are 63"),
        ({"plasticity.trace_life_steps": 2**63}, "plasticity.trace_life_steps: a number of 64 bits given, allowed are 63"),
        ({"world.size": [16**5000]}, "world.size: a very long number given, allowed is a whole number >= 12 and <= 1000"),
        ({"world.field": 4}, "world.field: 4 given, allowed is an odd number"),
        ({"world.field": 13, "world.size": 12}, "world.field: 13 given, allowed is at most the size of the grid, 12"),
        (
            {"network.inputs_per_hidden_cell": 50},
            "network.inputs_per_hidden_cell: 50 given, allowed is at most the 49 squares of the field",
        ),
        (
            {"world.field": 3, "network.inputs_per_hidden_cell": 10},
            "network.inputs_per_hidden_cell: 10 given, allowed is at most the 9",
        ),
    ],
)
def test_a_refusal_names_parameter_value_and_what_is_allowed(changes, message):
    assert refusal(changes).startswith(message)


@pytest.mark.parametrize("name", [name for name in ROWS if FIELDS[name].metadata])
def test_every_bound_is_kept(name):
    kind = type(ROWS[name].value)
    for metadata in FIELDS[name].metadata:
        for key, outside in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            bound = getattr(metadata, key, None)
            if bound is not None:
                wrong = kind(bound + outside * (1 if kind is int else 1e-9))
                assert refusal({name: wrong}) == f"{name}: {wrong!r} given, allowed is {ROWS[name].allowed}"


@pytest.mark.parametrize("cap", ["max_strength", "max_input_hidden_strength"])
@pytest.mark.parametrize("floor", [0.5, 0.6])
def test_a_floor_of_strengths_that_is_not_below_the_caps_is_refused(cap, floor):
    message = refusal({"plasticity.min_strength": floor, "plasticity.max_input_hidden_strength": 0.7, f"plasticity.{cap}": 0.5})
    assert message == f"plasticity.min_strength: {floor} given, allowed is less than {cap}, 0.5"


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if type(row.value) is float])
@pytest.mark.parametrize("value", [1e300, -1e300, 1e10])
def test_absurd_values_are_refused_whatever_the_parameter(name, value):
    assert refusal({name: value}) == f"{name}: {value!r} given, allowed is {ROWS[name].allowed}"


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if type(row.value) is int and not name.startswith("world")])
def test_absurd_whole_numbers_are_refused_whatever_the_parameter(name):
    assert refusal({name: 10**12}).startswith(f"{name}: 1000000000000 given, allowed is ")


def test_a_grid_in_which_the_particles_may_not_find_a_place_is_refused():
    # Rounded up to whole particles, 15 % of 12 x 12 squares are more than 15 %.
    message = refusal({"world.size": 12, "world.density": 0.15})
    assert message.startswith("world.density 0.15 means 6 particles of each of 2 types, which cover 0.167 of 12 x 12 squares")
    assert "at most 0.15" in message
    assert FULL.with_changes({"world.size": 12, "world.density": 0.1}).world.size == 12


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"^preset: 'huge' given, allowed are full, enough, quick, tiny$"):
        preset("huge")


@pytest.mark.parametrize("given", ["horizontal, steep fall", " horizontal,steep fall ", '["horizontal", "steep fall"]'])
@pytest.mark.parametrize("name", ["tasks.T7.rewarded", "phases.unsupervised_types"])
def test_names_of_types_may_be_given_with_commas_between(name, given):
    assert preset("quick").with_changes({name: given}).values()[name] == ("horizontal", "steep fall")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[world", "not readable as TOML: "),
        ("size = 50", "size: unknown parameter, did you mean world.size?"),
        ("[world]\nsise = 50", "world.sise: unknown parameter, did you mean world.size?"),
        ("[wrold]", "wrold: unknown parameter, did you mean world.size?"),
        ('["world.size"]', "world.size: unknown parameter, did you mean world.size?"),
        ("[world]\nsize = 50\nsize = 50", "not readable as TOML: "),
        ("[world]\nsize = 50\n[world]\nfield = 7", "not readable as TOML: "),
        ("[[world]]\nsize = 50", "world: unknown parameter, did you mean world.size?"),
        ("[world.size]\nx = 1", "world.size: {'x': 1} given, allowed is a whole number"),
        ("[world]\nsize =", "not readable as TOML: "),
        ("[world]\nsize = 1999-01-01", "world.size: datetime.date(1999, 1, 1) given, allowed is a whole number"),
        ("[cell]\nalpha = nan", "cell.alpha: nan given, allowed is a finite number > 0"),
        ('preset = "huge"', "preset: 'huge' given, allowed are full, enough, quick, tiny"),
        ("preset = 3", "preset: '3' given, allowed are full, enough, quick, tiny"),
        ("a = " + "[" * 5000, "not readable as TOML: "),
        ("a = " + "9" * 5000, "not readable as TOML: "),
        ("[world]\nsize = 0x" + "9" * 5000, "world.size: a number of 20000 bits given, allowed are 63"),
        ("[particles]\nbar = 3", "particles.bar: unknown parameter"),
        ("[particles.bar]\nsquares = [[0, 0]]", "particles.bar.squares: unknown parameter"),
        ("[particles.bar]\noffsets = []", "particles.bar.offsets: () given, allowed are 1 to 5 pairs of whole numbers"),
        (
            '[particles."b.r"]\noffsets = [[0, 0]]',
            "particles.*: name 'b.r' given, allowed are up to 40 letters, digits, spaces, _, -",
        ),
        (
            "[particles.bar]\noffsets = [[0, 0], [1, 0]]",
            "particles.bar: has the squares of horizontal, allowed are squares that no",
        ),
        ("[particles.horizontal]\noffsets = [[0, 0]]", "particles.horizontal: horizontal is a type of the package and keeps its"),
        ("[tasks.T7]\npunished = ['horizontal']", "tasks.T7: punished given, allowed is rewarded = [...] and punished = [...]"),
        ("[tasks.T7]\nrewarded = []", "tasks.T7.rewarded: none given, allowed is at least one type of particle"),
        ("[tasks.T7]\nrewarded = 7", "tasks.T7.rewarded: 7 given, allowed is a list of names of types"),
        (
            "[tasks.T7]\nrewarded = 'horizontal, hexagon'",
            "tasks.T7.rewarded: 'hexagon' is no type of particle, allowed are horizontal",
        ),
        ("[tasks.T7]\nrewarded = ['hexagon']", "tasks.T7.rewarded: 'hexagon' is no type of particle, allowed are horizontal, vert"),
        (
            "[tasks.T7]\nrewarded = ['vertical']\npunished = ['vertical']",
            "tasks.T7: vertical is named twice, allowed is every type",
        ),
        ("[tasks.'T 7']\nrewarded = ['vertical']", "tasks.*: name 'T 7' given, allowed is one word of up to 40 letters and digits"),
        ("[phases]\nunsupervised_types = ['hexagon']", "phases.unsupervised_types: 'hexagon' is no type of particle, allowed are"),
        ("[phases]\nunsupervised_types = ['vertical', 'vertical']", "phases.unsupervised_types: a type is named twice, allowed is"),
        (
            "[phases]\nunsupervised_types = [1]",
            "phases.unsupervised_types: 1 given, allowed is a list of names of types of particle",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_name_in_one_line(text, message, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        Parameters.from_file(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "missing.toml", binary, f"{tmp_path}/null\0byte"):
        with pytest.raises(ParameterError, match="cannot be read: ") as caught:
            Parameters.from_file(path)
        assert str(caught.value).startswith(f"{path}: ")


def read_or_refuse(text):
    """from_toml either gives valid parameters or a ParameterError of one line."""
    try:
        p = Parameters.from_toml(text)
    except ParameterError as error:
        assert len(str(error).splitlines()) == 1
        return None
    assert Parameters.from_toml(p.to_toml()) == p
    return p


TOML_LIKE = st.text("[]{}=\"'\\.,#\n\r\t _-+:aeEfinx0123456789truworlsd\x00\x7f\x85\u2028é", max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), TOML_LIKE))
@example("\ufeff[world]")
@example("[world]\r\nsize = 50\r\n")
def test_any_text_gives_parameters_or_an_error_of_one_line(text):
    read_or_refuse(text)


TABLES = ["particles", "horizontal", "offsets", "tasks", "T1", "T7", "rewarded", "punished"]
KEYS = st.one_of(st.sampled_from([*TABLES, *(part for name in ROWS for part in name.split("."))]), st.text(max_size=5))
VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.datetimes(), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=4,
)
TREES = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.fixed_dictionaries({"particles": st.dictionaries(KEYS, st.fixed_dictionaries({"offsets": VALUES}), max_size=2)}),
    st.fixed_dictionaries({"tasks": st.dictionaries(KEYS, st.dictionaries(st.sampled_from(TABLES[-2:]), VALUES), max_size=2)}),
    st.sampled_from(list(ROWS)).flatmap(lambda name: VALUES.map(lambda value: {name.split(".")[0]: {name.split(".")[1]: value}})),
)


@settings(max_examples=400, deadline=None)
@given(TREES, st.sampled_from(["", 'preset = "tiny"\n', 'preset = "tinny"\n']))
def test_any_toml_gives_parameters_or_an_error_of_one_line(tree, head):
    p = read_or_refuse(head + tomli_w.dumps(tree))
    if p is not None:
        assert "tinny" not in head

"""States on disk: the same bit for bit, and nothing but a whole state of its parameters is read."""

import os
import subprocess
import sys
from dataclasses import replace
from errno import ENOSPC
from importlib import resources

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foraging_snn.environments import Particle, Task
from foraging_snn.files import states
from foraging_snn.files.states import FIELDS, StateError, compatible, load_state, packaged_states, save_state
from foraging_snn.models import Activity, Block, Phase, begin_phase, check_state, engine_class, initial_state, preset

SMALL = preset("tiny").with_changes({"network.hidden_cells": 20, "world.size": 12, "world.field": 5})
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def state():
    """A small state with some spikes and traces."""
    state = initial_state(SMALL, 7)
    state.epoch, state.phase_epoch, state.hunger = 40, 3, 2
    state.recent_step, state.recent_cell = np.array([23_990, 23_991]), np.array([3, 30], np.int32)
    state.hidden_output_trace_synapse = np.array([159, 0, 4], np.int32)
    state.hidden_output_trace_value = np.array([0.4, -0.0, 5e-324])
    state.hidden_output_trace_step = np.array([20_000, 20_000, 23_991])
    state.frozen[3, 4] = state.removed[5] = True
    return state


@pytest.fixture
def path(tmp_path, state):
    """The file of that state."""
    save_state(tmp_path / "state.h5", state, SMALL, command_line="by hand", note="a small one")
    return tmp_path / "state.h5"


@pytest.fixture(scope="module")
def grown():
    """A real state in the middle of a phase, and its parameters."""
    parameters = preset("tiny")
    phase = Phase("unsupervised", (Block(Activity.UNSUPERVISED, 100),), 200)
    with engine_class("brian2")(parameters) as engine:
        return engine.run(initial_state(parameters, 5), phase, epochs=60)[0], parameters


def edited(path, change):
    """Change the file behind the package's back."""
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        change(file)


def replaced(file, name, values):
    del file[f"state/{name}"]
    file[f"state/{name}"] = values


@pytest.mark.slow
def test_a_grown_state_comes_back_bit_for_bit(tmp_path, grown):
    state, parameters = grown
    assert state.phase_epoch == 60
    assert len(state.input_hidden_trace_value) > 100
    assert state.hidden_rate.any()
    save_state(tmp_path / "state.h5", state, parameters)
    saved = load_state(tmp_path / "state.h5")
    assert saved.state.differences(state) == []
    assert saved.parameters == parameters


def test_every_field_and_what_belongs_to_it_comes_back(path, state):
    saved = load_state(path)
    assert saved.state.differences(state) == []
    assert [type(value) for _, value in saved.state.items()] == [type(value) for _, value in state.items()]
    assert (saved.parameters, saved.note) == (SMALL, "a small one")
    assert (saved.provenance["command_line"], saved.provenance["engine"]) == ("by hand", "")
    assert saved.state.V.flags.writeable


def test_arrays_without_elements_come_back(tmp_path):
    state = initial_state(SMALL, 1)
    assert len(state.recent_step) == len(state.hidden_output_trace_value) == 0
    save_state(tmp_path / "state.h5", state, SMALL)
    assert load_state(tmp_path / "state.h5").state.differences(state) == []


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    V=arrays(float, SMALL.n_cells, elements=FINITE),
    traces=arrays(float, st.integers(0, 40), elements=FINITE),
    seed=st.integers(0, 2**63 - 1),
)
def test_all_finite_numbers_come_back_bit_for_bit(tmp_path_factory, V, traces, seed):
    state = initial_state(SMALL, 1)
    state.seed, state.V = seed, V
    state.input_hidden_trace_value = traces
    state.input_hidden_trace_synapse = np.zeros(len(traces), np.int32)
    state.input_hidden_trace_step = np.zeros(len(traces), np.int64)
    path = tmp_path_factory.mktemp("states") / "state.h5"
    save_state(path, state, SMALL)
    assert load_state(path).state.differences(state) == []


def test_text_in_any_language_comes_back(tmp_path, state):
    save_state(tmp_path / "state.h5", state, SMALL, command_line="--out Größe/日本", note="Schlaf – naïf\nzwei Zeilen")
    saved = load_state(tmp_path / "state.h5")
    assert (saved.note, saved.provenance["command_line"]) == ("Schlaf – naïf\nzwei Zeilen", "--out Größe/日本")


def test_its_name_for_people_tells_two_states_apart(tmp_path, state):
    save_state(tmp_path / "a.h5", state, SMALL, note="after unsupervised")
    state.x[0] = 1e-300
    save_state(tmp_path / "b.h5", state, SMALL, note="after unsupervised")
    a, b = (load_state(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert str(a) != str(b)
    assert all(str(saved).startswith("after unsupervised [") for saved in (a, b))


def test_only_plain_numbers_and_fixed_text_are_in_the_file(path):
    with h5py.File(path) as file:
        assert {dataset.dtype.kind for dataset in file["state"].values()} == {"i", "u", "f"}
        assert all(h5py.check_enum_dtype(dataset.dtype) is None for dataset in file["state"].values())
        assert file.attrs.get_id("note").dtype.kind == "S"
        assert file["state"].attrs["epoch"] == 40


def test_an_existing_file_is_not_overwritten_unless_asked(path, state):
    before = path.read_bytes()
    with pytest.raises(StateError, match=r"state\.h5: exists already and is not overwritten$"):
        save_state(path, state, SMALL)
    assert path.read_bytes() == before
    state.epoch = 41
    save_state(path, state, SMALL, overwrite=True)
    assert load_state(path).state.epoch == 41
    assert os.listdir(path.parent) == ["state.h5"]


def test_a_file_that_appears_while_the_state_is_made_is_not_overwritten(tmp_path, state, monkeypatch):
    path = tmp_path / "state.h5"
    monkeypatch.setattr(states, "provenance", lambda *_: path.write_text("precious") and {})
    with pytest.raises(StateError, match="exists already"):
        save_state(path, state, SMALL)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["state.h5"]


def test_a_disk_without_hard_links_does(tmp_path, state, monkeypatch):
    def no_links(*_):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.hardlink_to", no_links)
    save_state(tmp_path / "state.h5", state, SMALL)
    assert load_state(tmp_path / "state.h5").state.differences(state) == []
    with pytest.raises(StateError, match="exists already"):
        save_state(tmp_path / "state.h5", state, SMALL)
    assert os.listdir(tmp_path) == ["state.h5"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_what_was_there(path, state, monkeypatch, overwrite):
    before = path.read_bytes()

    def full(_):
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    target = path if overwrite else path.with_name("new.h5")
    with pytest.raises(StateError, match=rf"{target.name}: cannot be written: No space left on device$"):
        save_state(target, state, SMALL, overwrite=overwrite)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["state.h5"]


def test_a_folder_that_is_not_there(tmp_path, state):
    with pytest.raises(StateError, match=r"state\.h5: cannot be written: No such file or directory$"):
        save_state(tmp_path / "nowhere" / "state.h5", state, SMALL)


def test_a_state_of_other_parameters_is_not_written(tmp_path, state):
    with pytest.raises(StateError, match=r"not written: V has shape \(53,\), not \(841,\)$"):
        save_state(tmp_path / "state.h5", state, preset("tiny"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("field", ["V", "hidden_output", "hidden_output_trace_value", "task_spikes", "agent_x", "grid"])
def test_a_field_of_the_wrong_type_is_not_written(tmp_path, state, field):
    value = getattr(state, field)
    with pytest.raises(StateError, match=f"not written: {field} is not"):
        save_state(tmp_path / "state.h5", replace(state, **{field: value.astype(np.float32) if field != "agent_x" else 3.0}), SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"V": np.full(53, np.nan)}, "V is not finite everywhere"),
        ({"resistance": np.zeros(8)}, "resistance is not above 0 everywhere"),
        ({"inhibition": np.ones(20)}, "inhibition is not 0 or less everywhere"),
        ({"hidden_output": np.full((20, 8), -0.1)}, "hidden_output is not 0 or more everywhere"),
        ({"seed": -1}, "seed is not within 0 ... 9223372036854775807"),
        ({"phase_epoch": 41}, "phase_epoch is not within 0 ... 40"),
        ({"agent_x": 12}, "agent_x is not within 0 ... 11"),
        ({"last_move": 9}, "last_move is not within 0 ... 8"),
        ({"hunger": -1}, "hunger is not within"),
        ({"grid": np.full((12, 12), 13, np.int8)}, "grid is not within 0 ... 12"),
        ({"grid": np.full((12, 12), 4, np.int8)}, "grid_part has particles that lie across the edge"),
        ({"grid_part": np.ones((12, 12), np.int8)}, "grid_part has numbers of squares that no particle has"),
        ({"hidden_index": np.full(180, 20, np.int32)}, "hidden_index is not within 0 ... 19"),
        ({"hidden_index": np.zeros(180, np.int32)}, "input_index is not in the order"),
        ({"recent_cell": np.array([3, 53], np.int32)}, "recent_cell is not within 0 ... 52"),
        ({"recent_cell": np.array([3], np.int32)}, "recent_step is not as long as recent_cell"),
        ({"recent_step": np.array([24_001, 24_002])}, "recent_step is not within 0 ... 24000"),
        ({"recent_step": np.array([9, 8])}, "recent_step is not ascending"),
        ({"hidden_output_trace_synapse": np.array([0, 1, 160], np.int32)}, "hidden_output_trace_synapse is not within 0 ... 159"),
    ],
)
def test_values_that_no_state_can_have_are_not_written(tmp_path, state, change, message):
    with pytest.raises(StateError, match=rf"state\.h5: not written: {message}"):
        save_state(tmp_path / "state.h5", replace(state, **change), SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file.attrs.modify("format_version", 2),
            "'foraging_snn state' file of version 2; this version of foraging_snn reads version 1",
        ),
        (lambda file: file.attrs.modify("format", np.bytes_(b"something else....")), "not a 'foraging_snn state' file: it is"),
        (lambda file: file.attrs.__delitem__("format"), "not a 'foraging_snn state' file: it is HDF5, but not one of foraging_snn"),
        (lambda file: file.attrs.__delitem__("sha256"), "damaged or truncated: attribute sha256 is missing"),
        (
            lambda file: file.attrs.__setitem__("parameters", "world.size = 'big'"),
            "not readable by this version of foraging_snn: parameters: world.size: 'big' given",
        ),
        (lambda file: file["state"].__delitem__("u"), "damaged or truncated: state/u is missing"),
        (lambda file: file["state"].attrs.__delitem__("hunger"), "damaged or truncated: attribute hunger is missing"),
        (lambda file: file["state"].__setitem__("w", [1.0]), "damaged or truncated: state/w is not a part of a state"),
        (lambda file: replaced(file, "V", np.zeros(52)), r"damaged or truncated: V has shape \(52,\), not \(53,\)"),
        (
            lambda file: replaced(file, "V", np.zeros(53, np.float32)),
            "damaged or truncated: state/V is not a dataset of type float64",
        ),
        (lambda file: replaced(file, "removed", np.full(20, 2, np.uint8)), "damaged or truncated: state/removed is not 0 or 1"),
        (lambda file: replaced(file, "x", np.full(53, 0.5)), "damaged or truncated: its contents do not match their checksum"),
        (lambda file: file["state"].attrs.modify("epoch", 39), "damaged or truncated: its contents do not match their checksum"),
    ],
)
def test_a_file_that_is_not_a_whole_state_is_not_read(path, change, message):
    edited(path, change)
    with pytest.raises(StateError, match=rf"state\.h5: {message}") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", [name for name, what in FIELDS.items() if not what.optional])
def test_no_field_can_be_missing(path, field):
    edited(path, lambda file: file["state"].pop(field) if field in file["state"] else file["state"].attrs.pop(field))
    message = f"{field} is missing" if field != "grid_part" else "its contents do not match their checksum"  # early states lack it
    with pytest.raises(StateError, match=rf"{message}$"):
        load_state(path)


def test_files_that_are_no_states(tmp_path):
    with pytest.raises(StateError, match=r"none\.h5: cannot be read: No such file or directory$"):
        load_state(tmp_path / "none.h5")
    with pytest.raises(StateError, match="cannot be read: Is a directory$"):
        load_state(tmp_path)
    (tmp_path / "text.h5").write_text("not a state")
    with pytest.raises(StateError, match=r"text\.h5: not an HDF5 file$"):
        load_state(tmp_path / "text.h5")


def test_reading_leaves_the_file_as_it_is(path):
    path.chmod(0o400)
    before = path.read_bytes(), path.stat().st_mtime_ns
    load_state(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def read_or_refuse(path, state):
    try:
        saved = load_state(path)
    except StateError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert saved.state.differences(state) == []


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_is_told_or_harmless(tmp_path_factory, data):
    state = initial_state(SMALL, 3)
    path = tmp_path_factory.mktemp("states") / "state.h5"
    save_state(path, state, SMALL)
    contents = bytearray(path.read_bytes())
    for position, bit in data.draw(
        st.lists(st.tuples(st.integers(0, len(contents) - 1), st.integers(0, 7)), min_size=1, max_size=8)
    ):
        contents[position] ^= 1 << bit
    path.write_bytes(contents)
    read_or_refuse(path, state)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncation_is_told(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("states") / "state.h5"
    save_state(path, initial_state(SMALL, 3), SMALL)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(share * len(contents))])
    with pytest.raises(StateError, match="not an HDF5 file|truncated or damaged"):
        load_state(path)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(contents=st.binary(max_size=400), signed=st.booleans())
def test_random_bytes_are_no_state(tmp_path_factory, contents, signed):
    path = tmp_path_factory.mktemp("states") / "state.h5"
    path.write_bytes((b"\x89HDF\r\n\x1a\n" if signed else b"") + contents)
    with pytest.raises(StateError, match="not an HDF5 file|truncated or damaged"):
        load_state(path)


def test_a_state_can_be_continued_with_other_lengths_and_rules():
    other = SMALL.with_changes(
        {"phases.scale": 0.5, "plasticity.max_change": 0.02, "homeostasis.hidden_step": 0.0, "recording.positions": True}
    )
    assert compatible(SMALL, other) == []
    assert compatible(SMALL, SMALL) == []


def test_a_state_cannot_be_continued_with_other_layers_world_cell_or_timing():
    changes = {"world.size": 20, "network.hidden_cells": 30, "cell.alpha": 3.6, "timing.steps_per_epoch": 500, "reward.asleep": 0.1}
    assert compatible(SMALL, SMALL.with_changes(changes)) == [
        "world.size: 12, 20",
        "network.hidden_cells: 20, 30",
        "cell.alpha: 3.65, 3.6",
        "timing.steps_per_epoch: 600, 500",
    ]


def test_a_state_written_in_one_process_is_read_in_another(path):
    code = "import sys; from foraging_snn.files.states import load_state; print(load_state(sys.argv[1]).state.epoch)"
    assert (
        subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout.strip() == "40"
    )


def test_a_state_is_shown_in_one_line(state):
    assert repr(state) == "NetworkState(seed 7, epoch 40, 3 of its phase, 25-20-8 cells, 180 synapses, grid 12 x 12)"


def test_fields_that_hold_nothing_are_left_out_and_come_back(path, state, tmp_path):
    with h5py.File(path) as file:
        optional = [name for name, what in FIELDS.items() if what.optional]
        assert optional == ["patterns", "patterns_kept", "patterns_selective", "memory", "memory_label"]
        assert not set(optional) & {*file["state"], *file["state"].attrs}
    assert load_state(path).state.differences(state) == []
    state.patterns = np.zeros((4, len(state.task_epochs), 20), np.bool_)
    save_state(tmp_path / "room.h5", state, SMALL)
    assert load_state(tmp_path / "room.h5").state.differences(state) == []  # room for patterns, none kept yet
    state.patterns[1, 1, 3], state.patterns_kept[1], state.patterns_selective = True, 9, True
    state.memory, state.memory_label = np.ones((1, 20, 8)), np.array([7])
    save_state(tmp_path / "full.h5", state, SMALL)
    assert load_state(tmp_path / "full.h5").state.differences(state) == []
    digests = {load_state(each).sha256 for each in (path, tmp_path / "room.h5", tmp_path / "full.h5")}
    assert len(digests) == 3


# ------------------------------------------------------------------------------------------- types of particle and tasks


def test_the_packaged_state_from_before_types_and_tasks_were_data_is_read_whole():
    saved = packaged_states()["after-unsupervised"]()
    with h5py.File(resources.files("foraging_snn") / "data" / "after-unsupervised.h5") as file:
        assert "grid_part" not in file["state"] and file["state/task_spikes"].shape == (2, 784)
        assert saved.sha256 == file.attrs["sha256"].decode()
    state, p = saved.state, saved.parameters
    assert state.task_spikes.shape == (6, 784) and not state.task_epochs.any()
    assert (state.grid > 0).sum() == 256 and state.grid_part.sum() == 128  # 32 particles of each of four types
    check_state(state, p)
    for y, x in np.argwhere(state.grid_part):
        dx, dy = p.particles[list(p.particles)[state.grid[y, x] - 1]].offsets[1]
        assert state.grid[y - dy, x - dx] == state.grid[y, x] and not state.grid_part[y - dy, x - dx]


def test_a_state_with_types_and_tasks_of_ones_own_comes_back(tmp_path, state):
    corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
    parameters = SMALL.with_tasks(Task("T7", (corner,), ("vertical",)))
    grown = begin_phase(state, Phase("T7", (Block(Activity.train(parameters.task("T7")), 10),), 10), parameters)
    grown.grid[:], grown.grid_part[:] = 0, 0
    for k, (x, y) in enumerate(corner.squares_at(5, 7)):
        grown.grid[y, x], grown.grid_part[y, x] = 13, k
    save_state(tmp_path / "grown.h5", grown, parameters)
    saved = load_state(tmp_path / "grown.h5")
    assert saved.state.differences(grown) == [] and saved.parameters == parameters


def test_types_and_tasks_may_be_added_to_those_of_a_state_but_not_changed_or_moved():
    names = [{f"tasks.{name}.rewarded": ["vertical"]} for name in ("T7", "T8")]
    both, turned = (SMALL.with_changes(a | b) for a, b in (names, names[::-1]))
    assert compatible(SMALL, both) == compatible(SMALL.with_changes(names[0]), both) == []
    (line,) = compatible(both, turned)
    assert line.startswith("tasks: T1 (+ horizontal; - negative diagonal), ") and "T8 (+ vertical; - none)" in line
    assert len(compatible(both, SMALL)) == len(compatible(SMALL, SMALL.with_changes({"tasks.T2.rewarded": ["horizontal"]}))) == 1
    bars = [SMALL.with_changes({"particles.bar.offsets": [[0, 0], [0, length]]}) for length in (3, 4)]
    (line,) = compatible(*bars)
    assert line.startswith("particles: horizontal [[0, 0], [1, 0]], ") and line.endswith("bar [[0, 0], [0, 4]]")
    assert compatible(SMALL, bars[0]) == []

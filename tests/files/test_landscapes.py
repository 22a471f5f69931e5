"""Files of landscapes and paths: written and read back as they were; damage and other kinds of files are told in one line."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from pretend_evaluations import basins, landscape, paths
from pretend_trials import SMALL, write_trials

from foraging_snn.files.landscapes import (
    LandscapeError,
    read_basins,
    read_landscape,
    read_paths,
    write_basins,
    write_landscape,
    write_paths,
)
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.networks import NAIVE, Network, RecordedPoints
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state, save_state
from foraging_snn.models import initial_state
from foraging_snn.protocols import experiments

PAGE = Path(__file__).parents[2] / "docs" / "weight_space.md"
KINDS = {
    "landscape": (landscape, write_landscape, read_landscape),
    "paths": (paths, write_paths, read_paths),
    "basins": (basins, write_basins, read_basins),
}


def assert_same(one, other, name=""):
    """All that is in two records, arrays bit for bit."""
    assert type(one) is type(other), name
    if is_dataclass(one):
        for each in fields(one):
            assert_same(getattr(one, each.name), getattr(other, each.name), f"{name}.{each.name}")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert one.dtype == other.dtype, name
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_same(one[key], other[key], f"{name}.{key}")
    elif isinstance(one, tuple):
        assert len(one) == len(other), name
        for k, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{name}.{k}")
    else:
        assert one == other, name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(tmp_path, kind):
    make, write, read = KINDS[kind]
    write(tmp_path / "a.h5", make())
    assert_same(read(tmp_path / "a.h5"), make())


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_there_is_not_overwritten(tmp_path, kind):
    make, write, _ = KINDS[kind]
    path = tmp_path / "a.h5"
    path.write_text("mine")
    with pytest.raises(LandscapeError, match="exists already and is not overwritten"):
        write(path, make())
    assert path.read_text() == "mine"
    with pytest.raises(LandscapeError, match="cannot be written: No such file or directory"):
        write(tmp_path / "no" / "a.h5", make())


def changed(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def set_item(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


DAMAGE = {
    "a missing group": lambda file: file.__delitem__("plane"),
    "a number missing": lambda file: file.__delitem__("map/rewarded"),
    "another shape": set_item("map/moved", np.zeros((3, 3))),
    "another type": set_item("network/resistance", np.zeros(8, np.float32)),
    "not finite": set_item("plane/x", np.full(9, np.nan)),
    "cells that do not exist": set_item("network/hidden_index", np.full(180, 99, np.int32)),
    "phases that do not exist": set_item("trajectories/000/phase", np.full(9, 7)),
    "no text": lambda file: file.attrs.__setitem__("kind", 3),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_landscape_is_told_in_one_line(tmp_path, damage):
    path = tmp_path / "a.h5"
    write_landscape(path, landscape())
    changed(path, DAMAGE[damage])
    with pytest.raises(LandscapeError, match=f"^{re.escape(str(path))}: damaged or truncated: .") as error:
        read_landscape(path)
    assert "\n" not in str(error.value)


def test_other_kinds_of_files_are_refused(tmp_path):
    write_paths(tmp_path / "a.h5", paths())
    with pytest.raises(LandscapeError, match="not a 'foraging_snn landscape' file: it is a 'foraging_snn paths' file"):
        read_landscape(tmp_path / "a.h5")
    with pytest.raises(LandscapeError, match=r"none\.h5: cannot be read"):
        read_paths(tmp_path / "none.h5")


def test_maps_have_the_coordinates_of_their_points_as_scales(tmp_path):
    write_landscape(tmp_path / "a.h5", landscape())
    with h5py.File(tmp_path / "a.h5") as file:
        performance = file["map/performance"]
        assert performance.attrs["axes"].decode() == "y, x, task"
        assert [next(iter(performance.dims[k].values())).name for k in (0, 1)] == ["/plane/y", "/plane/x"]
        np.testing.assert_array_equal(performance[...], landscape().tested.performance)
        assert performance.attrs["meaning"].decode() == "rewarded / (rewarded + punished) particles"


def contents(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return {re.sub(r"^trajectories/\d+/", "trajectories/NNN/", name) for name in found}


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_names_every_dataset(tmp_path, kind):
    make, write, _ = KINDS[kind]
    write(tmp_path / "a.h5", make())
    section = PAGE.read_text(encoding="utf-8").partition(f"### The file of {'a landscape' if kind == 'landscape' else kind}")[2]
    with h5py.File(tmp_path / "a.h5") as file:
        missing = [name for name in contents(file) if f"`{name.rpartition('/')[2]}`" not in section.partition("\n### ")[0]]
    assert missing == []


# ------------------------------------------------------------------------------------------- networks and states of trials


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trials")
    write_trials(folder, ["sequential"], [1])
    return Trial(folder / "sequential_seed0001.h5")


def test_states_of_a_trial_are_those_at_the_ends_of_its_phases(trial):
    points, snapshots = RecordedPoints.of(trial), trial.hidden_output_snapshots()
    assert [end.name for end in points.ends()] == [NAIVE, "T1", "T2"]
    whole = trial.state_at("T1").state
    np.testing.assert_array_equal(points.end("T1").strengths, whole.hidden_output)
    np.testing.assert_array_equal(points.end("T1").resistance, whole.resistance)
    np.testing.assert_array_equal(points.end(NAIVE).strengths, trial.state_at("unsupervised").state.hidden_output)
    np.testing.assert_array_equal(Network.of_trial(trial).input_hidden, whole.input_hidden)
    middle = np.flatnonzero(snapshots.phase == trial.phase("T1").index)[0]
    of_snapshot = points.strengths[points.epoch == snapshots.epoch[middle]][0]
    np.testing.assert_array_equal(of_snapshot, snapshots.strength[middle].astype(float))
    assert set(points.names) == {NAIVE, "T1", "T2"}
    assert (np.diff(points.epoch) > 0).all()


def test_without_whole_states_in_its_file_a_trial_has_those_of_its_snapshots(tmp_path):
    write_trials(tmp_path, ["sequential"], [1], SMALL.with_changes({"recording.states": False}))
    trial = Trial(tmp_path / "sequential_seed0001.h5")
    points, snapshots = RecordedPoints.of(trial), trial.hidden_output_snapshots()
    last = np.flatnonzero(snapshots.phase == trial.phase("T2").index)[-1]
    np.testing.assert_array_equal(points.end("T2").strengths, snapshots.strength[last].astype(float))
    np.testing.assert_array_equal(Network.of_trial(trial).input_hidden, trial.input_hidden_snapshots().strength[-1].astype(float))


def test_a_trial_from_a_state_has_its_start_and_exact_strengths(tmp_path):
    state = initial_state(SMALL, 3)
    state.input_hidden = state.input_hidden * (1.0 + 1e-12)
    save_state(tmp_path / "state.h5", state, SMALL)
    write_trials(tmp_path, ["task1"], [1], start=load_state(tmp_path / "state.h5"))
    points = RecordedPoints.of(Trial(tmp_path / "task1_seed0001.h5"))
    assert [end.name for end in points.ends()] == [NAIVE, "T1"]
    network = Network.of_trial(points.trial)
    assert network.input_hidden.tobytes() == state.input_hidden.tobytes()
    assert network.differs_from(Network.of_state(state, SMALL)) == ""
    assert network.differs_from(Network.of_state(initial_state(SMALL, 4), SMALL)) == "wiring"
    other = Network.of_state(initial_state(SMALL, 3), SMALL)
    assert network.differs_from(other) == "strengths input to hidden"
    middle = network.between(other, 0.5)
    np.testing.assert_allclose(middle.input_hidden, (network.input_hidden + other.input_hidden) / 2)
    assert network.between(other, 1.0) is other and network.between(other, 0.0) is network


def test_a_state_that_is_not_there_is_told_with_those_that_are(trial):
    with pytest.raises(RecordingError, match=r"no state 'T7', allowed are the ends of naive, T1, T2$"):
        RecordedPoints.of(trial).end("T7")


def test_trials_with_frozen_synapses_are_refused(tmp_path):
    assert "freeze-5" in experiments(SMALL)
    write_trials(tmp_path, ["freeze-5"], [1])
    with pytest.raises(RecordingError, match="synapses were frozen in phase T2; such networks are not tested"):
        RecordedPoints.of(Trial(tmp_path / "freeze-5_seed0001.h5"))

"""The world followed from a file is the one in which the agent lived."""

import shutil

import h5py
import numpy as np
import pytest

from foraging_snn.commands.worlds import follow_world, followed, way_in
from foraging_snn.environments import Particle, Task
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.writer import TrialWriter
from foraging_snn.models import Activity, Block, Phase, engine_class, initial_state, preset
from foraging_snn.protocols import Experiment

OWN = Task("T7", rewarded=(Particle("sparse", ((0, 0), (2, 0), (1, -2))),), punished=("horizontal gap",))
PARAMETERS = preset("tiny").with_changes({"recording.positions": True, "world.size": 20, "world.density": 0.14}).with_tasks(OWN)
PHASES = (
    Phase("unsupervised", (Block(Activity.UNSUPERVISED, 60),), 60),
    Phase("T1", (Block(Activity.train("T1"), 60),), 60),
    Phase("I(T1,T2)", (Block(Activity.train("T1"), 15), Block(Activity.train("T2"), 25)), 90),
    Phase("I(S,T2)", (Block(Activity.train("T2"), 20), Block(Activity.SLEEP, 10)), 70),
    Phase("test T1", (Block(Activity.test("T1"), 50),), 50),
    Phase("T7", (Block(Activity.train(OWN), 60),), 60),
)


def run_epoch_by_epoch(path, parameters):
    """Write the file of a trial; the grid of its state after every epoch, by phase."""
    state, grids = initial_state(parameters, seed=7), []
    experiment = Experiment("task1", "T1", "1B", PHASES)
    common = {
        "parameters": parameters,
        "experiment": experiment,
        "seed": 7,
        "trial": 0,
        "engine": "event",
        "command_line": "a test",
    }
    with engine_class("event")(parameters) as engine, TrialWriter(path, **common) as writer:
        writer.write_wiring(state)
        for phase in PHASES:
            recorder, lived_in = writer.begin_phase(phase, state), []
            for _ in range(phase.epochs):
                state, record = engine.run(state, phase, epochs=1, recorder=recorder)
                lived_in.append(state.grid.copy())
            writer.end_phase(record, state)
            grids.append(np.array(lived_in))
        writer.complete()
    return grids


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A trial with all positions, and the grids its engine had."""
    path = tmp_path_factory.mktemp("worlds") / "all.h5"
    return path, run_epoch_by_epoch(path, PARAMETERS)


@pytest.fixture
def copied(lived, tmp_path):
    """A copy of the file, to be changed."""
    return shutil.copy(lived[0], tmp_path / "copy.h5")


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(PHASES)))
def test_the_world_is_that_of_the_engine_in_every_epoch(lived, index):
    path, grids = lived
    trial, phase = Trial(path), PHASES[index]
    assert followed(trial, index) == [range(phase.epochs)]
    np.testing.assert_array_equal(follow_world(trial, index, range(phase.epochs)), grids[index])


def test_the_agent_ate_in_every_phase_that_is_compared(lived):
    trial = Trial(lived[0])
    eaten = [np.count_nonzero(trial.positions(index).eaten) for index in range(len(PHASES))]
    assert min(eaten) >= 2


def test_worlds_hold_what_their_blocks_are_about(lived):
    mixed, asleep = (follow_world(Trial(lived[0]), index, range(PHASES[index].epochs)) for index in (2, 3))
    for grid, task in ((mixed[14], "T1"), (mixed[15], "T2"), (mixed[40], "T1"), (asleep[19], "T2")):
        assert set(np.unique(grid)) == {0, *PARAMETERS.type_numbers(PARAMETERS.tasks[task].particles)}
    assert not asleep[20:30].any()


def test_a_part_of_a_stretch_is_as_in_the_whole(lived):
    np.testing.assert_array_equal(follow_world(Trial(lived[0]), 2, range(33, 61)), lived[1][2][33:61])


@pytest.mark.slow
def test_windows_are_followed_from_the_first_world_drawn_in_them(lived, tmp_path):
    windows = {"recording.positions": False, "recording.windows": 2, "recording.position_window_epochs": 20}
    grids = run_epoch_by_epoch(tmp_path / "windows.h5", PARAMETERS.with_changes(windows))
    trial = Trial(tmp_path / "windows.h5")
    assert trial.position_windows(2) == [range(20), range(70, 90)]
    assert [followed(trial, index) for index in (1, 2)] == [[range(20)], [range(20), range(80, 90)]]
    np.testing.assert_array_equal(follow_world(trial, 2, range(80, 90)), grids[2][80:90])
    np.testing.assert_array_equal(grids[2], lived[1][2])
    for unknown in (range(72, 78), range(78, 85), range(15, 25)):
        with pytest.raises(RecordingError, match=rf"phase 2 \(I\(T1,T2\)\) is not known in its epochs {unknown.start} to"):
            follow_world(trial, 2, unknown)


@pytest.mark.slow
def test_nothing_is_followed_where_no_positions_were_recorded(tmp_path):
    run_epoch_by_epoch(tmp_path / "none.h5", PARAMETERS.with_changes({"recording.positions": False}))
    assert followed(Trial(tmp_path / "none.h5"), 1) == []


def test_a_bite_at_nothing_is_said(copied):
    first = PHASES[0].epochs
    with h5py.File(copied, "r+") as file:
        eaten = file["positions/eaten"]
        row = first + int(np.flatnonzero(eaten[first : first + 60] == 0)[0])
        eaten[row] = 1
    with pytest.raises(
        RecordingError, match=f"copy.h5: damaged, or made by other rules: in epoch {row} the agent ate a horizontal"
    ):
        follow_world(Trial(copied), 1, range(60))


def test_the_file_of_another_seed_is_not_taken_for_this_one(copied):
    with h5py.File(copied, "r+") as file:
        file.attrs["seed"] = np.int64(8)
    with pytest.raises(RecordingError, match="which is not what its seed and way put on square"):
        follow_world(Trial(copied), 1, range(60))


@pytest.mark.parametrize(("name", "value"), [("x", 20), ("y", -1), ("eaten", 14)])
def test_squares_outside_the_world_are_refused_before_they_are_read(copied, name, value):
    with h5py.File(copied, "r+") as file:
        file[f"positions/{name}"][70] = value
    with pytest.raises(RecordingError, match=f"copy.h5: damaged or truncated: positions/{name} is not within 0 ... "):
        follow_world(Trial(copied), 1, range(60))


def test_missing_rows_are_said(copied):
    with h5py.File(copied, "r+") as file:
        file["positions/epoch"][100:] += 100_000
    with pytest.raises(RecordingError, match="positions of phase 1 are missing"):
        way_in(Trial(copied), 1, range(60))

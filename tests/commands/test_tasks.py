"""Types of particle and tasks of one's own on the command line: they are run, written, read, drawn, and refused in one line."""

import json

import numpy as np
import pytest

from foraging_snn.commands.cli import main
from foraging_snn.environments import PARTICLES, TASKS, Particle, Task
from foraging_snn.files.reader import Trial
from foraging_snn.models import Parameters, preset

SMALL = ["--preset", "tiny", "--set", "phases.scale=0.25", "--set", "network.hidden_cells=20"]  # one aeon per phase
OWN = 'preset = "tiny"\n[phases]\nscale = 0.25\n[network]\nhidden_cells = 20\n'
OWN += "[particles.corner]\noffsets = [[0, 0], [1, 0], [1, 1]]\n"
OWN += '[tasks.T7]\nrewarded = ["corner", "vertical gap"]\npunished = ["vertical"]\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trial with a task of a file, one of the command line, and one of the package that is not the paper's."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.toml").write_text(OWN)
    settings = ['tasks.reversed.rewarded=["negative diagonal"]', "recording.spike_window_epochs=30"]
    settings += ["recording.windows=2", "recording.position_window_epochs=30"]  # from the start of every phase
    options = [part for setting in settings for part in ("--set", setting)]
    text = "T1 -> I(S,T7,T5) -> reversed"
    assert main(["run", text, "--parameters", str(folder / "own.toml"), *options, "--name", "own", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_tasks_of_ones_own_are_trained_and_tested_and_their_types_grow_from_the_start(folder):
    trial = Trial(folder / "own_seed0001.h5")
    corner = Particle("corner", ((0, 0), (1, 0), (1, 1)))
    assert trial.parameters.tasks["T7"] == Task("T7", (corner, PARTICLES["vertical gap"]), (PARTICLES["vertical"],))
    assert trial.parameters.tasks["reversed"] == Task("reversed", (PARTICLES["negative diagonal"],))
    grown = [
        "horizontal",
        "vertical",
        "positive diagonal",
        "negative diagonal",
        "vertical gap",
        "shallow rise",
        "steep fall",
        "corner",
    ]
    assert [particle.name for particle in trial.phases[0].activities[0].particles] == grown
    assert [test.task for test in trial.test_results()] == [1, 5, 7, 8] * 3
    names = list(trial.parameters.particles)
    eaten = {phase.name: {names[k] for k in np.flatnonzero(trial.counts(phase.index).eaten.sum(axis=0))} for phase in trial.phases}
    assert eaten["unsupervised"] <= set(grown) and "corner" in eaten["unsupervised"] | eaten["I(S,T7,T5)"]
    assert eaten["test T7"] <= {"corner", "vertical gap", "vertical"} and eaten["reversed"] <= {"negative diagonal"}


def test_what_is_in_a_file_can_be_run_again_and_is_shown(folder, done, tmp_path):
    trial = Trial(folder / "own_seed0001.h5")
    shown = done("info", folder / "own_seed0001.h5")
    assert "particles.corner.offsets = [[0, 0], [1, 0], [1, 1]]" in shown
    assert 'tasks.T7.rewarded = ["corner", "vertical gap"]' in shown
    (tmp_path / "again.toml").write_text(trial.parameters.to_toml())
    assert Parameters.from_file(tmp_path / "again.toml") == trial.parameters
    done("run", trial.label, "--parameters", tmp_path / "again.toml", "--name", "own", "--out", tmp_path)
    again = Trial(tmp_path / "own_seed0001.h5")
    np.testing.assert_array_equal(again.hidden_output_snapshots().strength, trial.hidden_output_snapshots().strength)


def test_such_trials_have_tables_and_animations(folder, done, tmp_path):
    assert "I(S,T7,T5)" in done("table", folder / "own_seed0001.h5")
    done("animate", folder / "own_seed0001.h5", "--phase", "I(S,T7,T5)", "--epochs", "4", "--out", tmp_path / "own.gif")
    assert (tmp_path / "own.gif").stat().st_size > 1000


def test_parameters_list_the_tables_and_toml_says_how_to_add_to_them(folder, done):
    listed = json.loads(done("parameters", "--json"))["parameters"]
    rows = {row["name"]: row for row in listed}
    assert rows["particles.steep rise.offsets"]["value"] == [[0, 0], [1, 2]]
    assert [name for name in rows if name.startswith("tasks.")] == [
        f"tasks.{n}.{r}" for n in TASKS for r in ("rewarded", "punished")
    ]
    own = json.loads(done("parameters", "--parameters", folder / "own.toml", "--json"))["parameters"]
    assert {row["name"]: row["full_value"] for row in own if "corner" in row["name"]} == {"particles.corner.offsets": None}
    table = done("parameters", "--parameters", folder / "own.toml")
    assert "particles.corner.offsets" in table and "tasks.T7.rewarded" in table and "not there" in table
    text = done("parameters", "--parameters", folder / "own.toml", "--toml")
    assert Parameters.from_toml(text) == Parameters.from_file(folder / "own.toml")
    assert "\n[particles.corner]\n# A type of particle.\n\n# squares of type 13, from the first one [squares]; source: user" in text
    assert Parameters.from_toml(done("parameters", "--toml")) == preset("quick")


def test_a_task_added_later_starts_from_a_state_that_did_not_know_it(folder, done, tmp_path):
    start = f"{folder / 'own_seed0001.h5'}@T1"
    more = ["--set", "tasks.reversed.rewarded=['negative diagonal']", "--set", "tasks.later.rewarded=['steep rise']"]
    done("run", "later", "--parameters", folder / "own.toml", *more, "--start-from", start, "--out", tmp_path, "--name", "later")
    trial = Trial(tmp_path / "later_seed0001.h5")
    assert trial.training_spikes(0).epochs.tolist() == [100, 0, 0, 0, 0, 0, 0, 0, 100]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["tasks.T7.punished=['vertical']"], "tasks.T7: punished given, allowed is rewarded = [...] and punished = [...]"),
        (["tasks.T7.rewarded=[]"], "tasks.T7.rewarded: none given, allowed is at least one type of particle"),
        (
            ["tasks.T7.rewarded=['vertical']", "tasks.T7.punished=['vertical']"],
            "tasks.T7: vertical is named twice, allowed is every type once, rewarded or punished",
        ),
        (
            ["tasks.T7.rewarded=['corner']"],
            f"tasks.T7.rewarded: 'corner' is no type of particle, allowed are {', '.join(PARTICLES)}",
        ),
        (["tasks.T7.rewarded=[vertical"], "tasks.T7.rewarded: '[vertical' given, allowed is a list of names of types of particle"),
        (
            ["particles.bar.offsets=[]"],
            "particles.bar.offsets: () given, allowed are 1 to 5 pairs of whole numbers such as [[0, 0], [2, 1]]",
        ),
        (["particles.bar.offsets=[[0,0],[0,0]]"], "particles.bar.offsets: ((0, 0), (0, 0)) given, allowed is every square once"),
        (
            ["particles.bar.offsets=[[0,0],[0,1]]"],
            "particles.bar: has the squares of vertical, allowed are squares that no other type has",
        ),
        (
            ["particles.bar.offsets=[[0,0],[0,7]]", "tasks.T7.rewarded=['bar']"],
            "world.field 7 is smaller than a particle 'bar', which takes 1 x 8 squares: choose a larger field or another particle.",
        ),
        (
            ["phases.unsupervised_types=['bar']"],
            f"phases.unsupervised_types: 'bar' is no type of particle, allowed are {', '.join(PARTICLES)}",
        ),
        (
            [f"particles.p{k}.offsets=[[0,0],[{k // 10},{k % 10}],[20,20]]" for k in range(1, 117)],
            "particles.*: 128 types given, allowed are at most 127, of which 12 are packaged",
        ),
        (["particles.bar.squares=[[0,0]]"], "particles.bar.squares: unknown parameter"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(refused, tmp_path, settings, message):
    options = [part for setting in settings for part in ("--set", setting)]
    assert refused("run", "T1", *SMALL, *options, "--out", tmp_path / "out").startswith(message)
    assert not (tmp_path / "out").exists()


def test_a_world_that_is_too_small_for_the_types_of_a_protocol_is_refused_before_anything_runs(refused, tmp_path):
    text = "T1 -> T2 -> T3 -> T4 -> T5 -> T6"
    said = refused("run", text, *SMALL, "--set", "world.size=12", "--out", tmp_path / "out")
    assert said.startswith("world.density 0.1 means 1 particles of each of 12 types, which cover 0.167 of 12 x 12 squares")
    assert not (tmp_path / "out").exists()


def test_a_state_of_other_types_or_tasks_is_refused_in_one_line(folder, refused, tmp_path):
    said = refused("run", "T2", *SMALL, "--start-from", f"{folder / 'own_seed0001.h5'}@T1", "--out", tmp_path / "out")
    assert "made with other parameters" in said and "tasks: T1 (+ horizontal; - negative diagonal)" in said

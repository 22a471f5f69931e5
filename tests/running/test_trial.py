"""Running a trial: the phases in their order, each once, recorded; and what is refused before anything is computed."""

from pathlib import Path

import numpy as np
import pytest
from pretend_engine import PretendEngine

from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state, save_state
from foraging_snn.models import EngineError, initial_state, preset
from foraging_snn.protocols import Experiment, ImportRates, experiments
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import phases_to_run, prepare_output
from foraging_snn.running.plan import trial_path, trial_seeds
from foraging_snn.running.trial import Listener, run_experiments, run_trial, run_unsupervised

TINY = preset("tiny")
CATALOGUE = experiments(TINY)


@pytest.fixture
def engine():
    return PretendEngine(TINY)


@pytest.fixture
def run(tmp_path, engine):
    """Run a trial of an experiment with the pretended engine; its file and final state."""

    def run_experiment(name="task1", seed=3, path=None, **options):
        path = path or tmp_path / f"{name}_{seed}_{len(engine.runs)}.h5"
        options = {"engine": engine, "trial": 0, "command_line": "a test"} | options
        state = run_trial(CATALOGUE[name], TINY, seed=seed, path=path, **options)
        return Trial(path), state

    return run_experiment


@pytest.fixture
def start(tmp_path, engine):
    """A saved state after the unsupervised phase of the trial with seed 11."""
    state = run_unsupervised(TINY, seed=11, engine=engine)
    engine.runs.clear()
    save_state(tmp_path / "start.h5", state, TINY, note="made for a test")
    return load_state(tmp_path / "start.h5")


def phases_run(engine):
    return [name for name, _, _ in engine.runs]


def test_a_trial_is_recorded_from_its_first_phase_to_its_last(run):
    trial, state = run("sequential-sleep", seed=3, trial=5)
    assert trial.complete
    assert (trial.experiment, trial.seed, trial.trial, trial.engine) == ("sequential-sleep", 3, 5, "pretend")
    assert trial.provenance["command_line"] == "a test"
    assert [phase.phase for phase in trial.phases] == list(CATALOGUE["sequential-sleep"].phases)
    assert all(phase.complete for phase in trial.phases)
    assert trial.started_from is None
    assert state.epoch == sum(phase.epochs for phase in trial.phases)


def test_each_phase_goes_on_from_the_state_that_the_one_before_left(run, engine):
    trial, _ = run("sequential")
    epochs = np.cumsum([0, *(phase.epochs for phase in trial.phases[:-1])])
    assert [epoch for _, _, epoch in engine.runs] == epochs.tolist()
    strength = trial.hidden_output_snapshots().strength[-1, 0, 0]
    assert strength == pytest.approx(0.02 + sum(phase.epochs for phase in trial.phases) / 1024)


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_plan_is_what_is_run(run, engine, name):
    run(name)
    assert phases_run(engine) == [phase.name for phase in phases_to_run(CATALOGUE[name], started=False)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_plan_from_a_start_state_is_what_is_run(run, engine, start, name):
    run(name, start=start)
    assert phases_run(engine) == [phase.name for phase in phases_to_run(CATALOGUE[name], started=True)]
    assert "unsupervised" not in phases_run(engine)


def test_the_rates_for_naive_sleep_come_from_a_branch_of_the_same_trial(run, engine):
    trial, _ = run("naive-sleep")
    assert engine.runs == [
        ("unsupervised", 3, 0),
        ("T2", 3, 400),
        ("I(S,T1)", 3, 400),  # goes on after the unsupervised phase, not after the branch
        ("test T1", 3, 800),
        ("test T2", 3, 900),
    ]
    assert [phase.name for phase in trial.phases] == ["unsupervised", "I(S,T1)", "test T1", "test T2"]
    spikes = trial.training_spikes(1)
    assert spikes.epochs.tolist() == [200, 200, 0, 0, 0, 0]  # half of the 400 interleaved epochs; the training of the branch
    assert set(spikes.spikes[1]) == {sum(range(400, 600))}


def test_only_spike_counts_are_taken_from_the_branch(run):
    trial, _ = run("naive-sleep")
    snapshots = trial.hidden_output_snapshots()
    at_the_end_of_interleaving = snapshots.strength[snapshots.phase == 1][-1, 0, 0]
    assert at_the_end_of_interleaving == pytest.approx(0.02 + 800 / 1024)


def test_a_start_state_replaces_the_unsupervised_phase(run, engine, start):
    before = start.state.copy()
    trial, _ = run("task1", seed=4, start=start)
    assert engine.runs == [("T1", 4, 400), ("test T1", 4, 600), ("test T2", 4, 700)]
    assert trial.seed == 4
    assert trial.phases[0].first_epoch == 400
    assert "made for a test" in trial.started_from
    np.testing.assert_array_equal(trial.wiring().input_index, start.state.input_index)
    assert not np.array_equal(trial.wiring().input_hidden, initial_state(TINY, 4).input_hidden)
    assert start.state.differences(before) == []


def test_a_branch_for_rates_starts_from_the_start_state_too(run, engine, start):
    run("naive-sleep", seed=4, start=start)
    assert engine.runs[:2] == [("T2", 4, 400), ("I(S,T1)", 4, 400)]


def test_the_start_state_of_a_trial_is_that_of_its_own_first_phase(run, engine, start):
    """Starting from the state of seed 11 with seed 11 is the whole trial 11."""
    _, whole = run("task1", seed=11)
    _, started = run("task1", seed=11, start=start)
    assert whole.differences(started) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), EngineError("it broke")])
def test_an_interrupted_trial_leaves_a_readable_file_marked_incomplete(run, tmp_path, failure):
    path = tmp_path / "broken.h5"
    with pytest.raises(type(failure)):
        run("sequential", path=path, engine=PretendEngine(TINY, failure=("T2", failure)))
    trial = Trial(path)
    assert not trial.complete
    assert [(p.name, p.complete, p.epochs_done) for p in trial.phases][-2:] == [("test T2", True, 100), ("T2", False, 40)]
    assert [test.performance for test in trial.test_results()] == [0.3, 0.3]


def test_an_existing_file_is_left_as_it_is(run, engine, tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"not to be lost")
    with pytest.raises(RecordingError, match="mine.h5: exists already"):
        run("task1", path=path)
    assert path.read_bytes() == b"not to be lost"
    assert engine.runs == []


@pytest.fixture
def run_together(tmp_path, engine):
    """Run several experiments of one trial with the pretended engine; their files."""

    def run_named(*names, seed=3, **options):
        paths = [tmp_path / "together" / f"{name}.h5" for name in names]
        prepare_output(paths)
        options = {"engine": engine, "trial": 0, "command_line": "a test"} | options
        run_experiments([CATALOGUE[name] for name in names], TINY, seed=seed, paths=paths, **options)
        return [Trial(path) for path in paths]

    return run_named


@pytest.mark.slow
def test_what_experiments_have_in_common_is_run_once(run_together, engine):
    trials = run_together(*CATALOGUE)
    together = phases_to_run(*CATALOGUE.values(), started=False)
    assert phases_run(engine) == [phase.name for phase in together]
    assert len(together) == 42
    assert sum(name == "unsupervised" for name in phases_run(engine)) == 1
    assert [trial.experiment for trial in trials] == list(CATALOGUE)
    for trial in trials:
        assert trial.complete
        assert [phase.phase for phase in trial.phases] == list(CATALOGUE[trial.experiment].phases)


def test_experiments_from_a_start_state_share_what_follows_it(run_together, engine, start):
    names = ("sequential", "sequential-sleep", "naive-sleep")
    trials = run_together(*names, seed=4, start=start)
    assert phases_run(engine) == [p.name for p in phases_to_run(*(CATALOGUE[name] for name in names), started=True)]
    assert phases_run(engine)[:6] == ["T1", "test T1", "test T2", "T2", "test T1", "test T2"]
    assert [phase.phase for phase in trials[1].phases] == list(CATALOGUE["sequential-sleep"].phases[1:])
    assert trials[2].phases[0].first_epoch == 400


@pytest.mark.slow
@pytest.mark.parametrize("names", [("task2", "naive-sleep"), ("naive-sleep", "task2")])
def test_a_branch_for_rates_is_that_of_the_experiment_beside_it(run_together, run, engine, names):
    together = dict(zip(names, run_together(*names), strict=True))
    assert phases_run(engine).count("T2") == 1
    alone, _ = run("naive-sleep")
    for index in range(4):
        assert (together["naive-sleep"].training_spikes(index).spikes == alone.training_spikes(index).spikes).all()
    assert [phase.name for phase in together["task2"].phases] == ["unsupervised", "T2", "test T1", "test T2"]


def test_a_start_state_stands_for_no_phase_but_the_unsupervised_one(tmp_path, engine, start):
    """An experiment that begins with another phase is run from its beginning."""
    training, test = CATALOGUE["task1"].phases[1:3]
    branch = (CATALOGUE["task1"].phases[0], CATALOGUE["task2"].phases[1])
    own = Experiment("own", "T1 first", "", (training, ImportRates(2, branch), test, CATALOGUE["task1"].phases[0]))
    path = tmp_path / "own.h5"
    state = run_trial(own, TINY, seed=4, trial=0, engine=engine, path=path, command_line="", start=start)
    assert engine.runs == [("T1", 4, 400), ("T2", 4, 400), ("test T1", 4, 600), ("unsupervised", 4, 700)]
    trial = Trial(path)
    assert [phase.phase for phase in trial.phases] == list(own.phases)
    assert trial.input_hidden_snapshots().epoch[0] == trial.hidden_output_snapshots().epoch[0] == 400
    assert state.epoch == 1100
    assert state.task_epochs.tolist() == [200, 200, 0, 0, 0, 0]


def test_an_interruption_leaves_the_files_before_it_complete(run_together, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_together("task1", "sequential", "task2", engine=PretendEngine(TINY, failure=("T2", KeyboardInterrupt())))
    first, second = (Trial(tmp_path / "together" / f"{name}.h5") for name in ("task1", "sequential"))
    assert (first.complete, second.complete) == (True, False)
    assert [(phase.name, phase.complete) for phase in second.phases][2:] == [("test T1", True), ("test T2", True), ("T2", False)]
    assert not (tmp_path / "together" / "task2.h5").exists()


def test_a_listener_hears_every_phase_and_every_epoch(run):
    class Notes(Listener):
        def __init__(self):
            self.heard = []

        def begin(self, phase, recorded):
            self.heard.append([phase.name, recorded, 0])

        def epochs(self, records):
            self.heard[-1][2] += len(records)

    notes = Notes()
    run("naive-sleep", progress=notes)
    assert notes.heard == [
        ["unsupervised", True, 400],
        ["T2", False, 200],
        ["I(S,T1)", True, 400],
        ["test T1", True, 100],
        ["test T2", True, 100],
    ]


def test_seeds_count_up_from_the_first(tmp_path):
    assert list(trial_seeds(7, 3)) == [7, 8, 9]
    assert list(trial_seeds(2**63 - 1, 1)) == [2**63 - 1]
    assert trial_path(tmp_path, "sleep", 7) == tmp_path / "sleep_seed0007.h5"


@pytest.mark.parametrize(
    ("seed", "trials", "message"),
    [
        (0, 0, "trials: 0 given, allowed is"),
        (0, -2, "trials: -2 given, allowed is"),
        (-1, 1, "seed: -1 given, allowed for"),
        (2**63 - 1, 2, f"seed: {2**63 - 1} given, allowed for"),
    ],
)
def test_impossible_seeds_are_refused(seed, trials, message):
    with pytest.raises(RunError, match=f"^{message}"):
        trial_seeds(seed, trials)


def test_output_folders_are_made(tmp_path):
    prepare_output([tmp_path / "a" / "b" / "trial.h5"])
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_nothing_that_exists_is_taken_for_output(tmp_path):
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nowhere")
    (tmp_path / "there.h5").touch()
    (tmp_path / "file").touch()
    refused = {"dangling.h5": "exists already", "there.h5": "exists already", "file/trial.h5": "file: cannot be written to"}
    for name, message in refused.items():
        with pytest.raises(RunError, match=message):
            prepare_output([tmp_path / "new" / "trial.h5", tmp_path / name])
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named():
    with pytest.raises(RunError, match="^/proc/results: cannot be written to: "):
        prepare_output([Path("/proc/results/trial.h5")])

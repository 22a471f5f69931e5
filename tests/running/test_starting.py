"""Start states: made, in one go or in several; found; and those that trials cannot start from."""

import pytest
from pretend_engine import PretendEngine

from foraging_snn.commands.running import prepared
from foraging_snn.files import states
from foraging_snn.files.states import StateError, load_state, save_state
from foraging_snn.models import preset
from foraging_snn.protocols import experiments
from foraging_snn.running import plan as planning
from foraging_snn.running import starting
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import ResumeError
from foraging_snn.running.plan import Plan, planned_state
from foraging_snn.running.starting import load_start, packaged_states
from foraging_snn.running.trial import Listener, Pace, Stopped, run_trial, run_unsupervised

TINY = preset("tiny")
ALWAYS = 1e-9  # minutes between checkpoints: one after every piece


class StopsAt(Listener):
    """Stops when so many epochs were computed."""

    def __init__(self, epochs):
        self.left = epochs
        self.epochs_found = 0
        self.notes = []

    def found(self, epochs):
        self.epochs_found += epochs

    def note(self, line):
        self.notes.append(line)

    def epochs(self, records):
        self.left -= len(records)

    def stop_wanted(self):
        return self.left <= 0


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Pieces of equal length, whatever the speed of this machine."""
    monkeypatch.setattr(Pace, "piece", lambda pace, left: min(left, 130))


@pytest.fixture(autouse=True)
def pretend(monkeypatch):
    monkeypatch.setattr(planning, "engine_class", lambda name: PretendEngine)


@pytest.fixture
def plan(tmp_path):
    return planned(tmp_path / "made" / "start.h5")


def planned(path, parameters=TINY, engine="pretend"):
    return planned_state(path, parameters, 11, engine, "a test", minutes=ALWAYS)


@pytest.fixture
def start(tmp_path):
    """A saved state after the unsupervised phase of the trial with seed 11."""
    state = run_unsupervised(TINY, seed=11, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="made for a test")
    return load_state(tmp_path / "start.h5")


def make(plan, listener=None, resume=False):
    """As the command does; whether there was something to do."""
    with prepared([plan], plan.path.parent, 1, resume) as to_do:
        for trial in to_do:
            trial.run(listener or Listener())
    return bool(to_do)


def test_a_start_state_is_that_of_the_unsupervised_phase_run_in_one_go(plan, start, monkeypatch):
    monkeypatch.setattr(Pace, "piece", lambda pace, left: left)  # the pretended engine rounds differently in pieces
    make(plan)
    made = load_state(plan.path)
    save_state(plan.path.parent / "other.h5", start.state, TINY, note=made.note)
    assert made.sha256 == load_state(plan.path.parent / "other.h5").sha256
    assert made.note == "state after 4 aeons of the unsupervised phase, preset tiny, engine pretend, seed 11"
    assert made.provenance["command_line"] == "a test"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_start_state_gone_on_with_is_the_one_made_in_one_go(plan, tmp_path):
    whole = planned(tmp_path / "whole.h5")
    make(whole)
    with pytest.raises(Stopped):
        make(plan, StopsAt(130))
    assert not plan.path.exists()
    with pytest.raises(Stopped):
        make(plan, StopsAt(130), resume=True)
    last = StopsAt(1000)
    make(plan, last)  # nothing is overwritten: also without --resume
    assert last.epochs_found == 260
    assert load_state(plan.path).sha256 == load_state(whole.path).sha256
    assert names_in(plan.path.parent) == ["ledger", "start.h5"]
    assert names_in(plan.path.parent / "ledger") == ["seed0011"]


def test_a_trial_in_the_same_folder_begins_with_what_was_computed_for_the_start_state(plan):
    make(plan)
    trial = Plan((experiments(TINY)["task1"],), TINY, plan.path.parent, range(11, 12), "pretend", "a test").trials()[0]
    listener = StopsAt(10_000)
    trial.run(listener)
    assert listener.epochs_found == plan.plan.epochs == 400


def test_a_start_state_that_was_made_is_not_made_anew(plan):
    make(plan)
    made = plan.path.read_bytes()
    with pytest.raises(RunError, match=r"start\.h5: exists already and is not overwritten"):
        make(plan)
    assert not make(plan, resume=True)
    assert plan.path.read_bytes() == made


def test_a_start_state_is_not_gone_on_with_for_other_parameters(plan):
    make(plan)
    with pytest.raises(ResumeError, match=r"\(there, now\): reward\.asleep: 0\.5, 0\.25$"):
        make(planned(plan.path, TINY.with_changes({"reward.asleep": 0.25})), resume=True)
    with pytest.raises(ResumeError, match="engine pretend, seed 11, .* engine event, seed 11$"):
        make(planned(plan.path, engine="event"), resume=True)


def test_a_file_that_is_no_state_is_not_replaced(plan):
    plan.path.parent.mkdir()
    plan.path.write_text("my notes")
    with pytest.raises(ResumeError, match=r"start\.h5: .*; it is not overwritten$"):
        make(plan, resume=True)
    assert plan.path.read_text() == "my notes"
    assert names_in(plan.path.parent) == ["start.h5"]


def test_a_damaged_segment_of_a_start_state_is_said_and_computed_anew(plan):
    with pytest.raises(Stopped):
        make(plan, StopsAt(260))
    newest = max(plan.ledger.place.iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    newest.write_bytes(newest.read_bytes()[:1000])
    listener = StopsAt(1000)
    make(plan, listener, resume=True)
    assert len(listener.notes) == 1
    assert listener.notes[0].startswith(f"{newest}: ")
    assert listener.notes[0].endswith("; its epochs are computed anew")
    assert listener.epochs_found == 130


def test_a_start_state_is_found_by_file_and_by_name_in_the_package(start, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "start.h5").rename(tmp_path / "data" / "packaged.h5")
    monkeypatch.setattr(states.resources, "files", lambda package: tmp_path)
    assert list(packaged_states()) == ["packaged"]
    for name in ("packaged", "packaged.h5", str(tmp_path / "data" / "packaged.h5")):
        assert load_start(name, TINY).sha256 == start.sha256
    with pytest.raises(StateError, match="^nothing: no such file, and the states in the package are: packaged$"):
        load_start("nothing", TINY)


def test_a_start_state_made_with_other_parameters_is_refused(start, tmp_path):
    with pytest.raises(StateError, match=r"world\.size: 50, 40$"):
        load_start(str(tmp_path / "start.h5"), TINY.with_changes({"world.size": 40}))
    longer = TINY.with_changes({"phases.test_aeons": 7, "reward.asleep": 0.1})
    assert load_start(str(tmp_path / "start.h5"), longer).sha256 == start.sha256


def test_a_state_after_training_is_a_start_state_but_not_one_in_the_midst_of_a_phase(tmp_path):
    path = tmp_path / "trial.h5"
    engine = PretendEngine(TINY)
    row = experiments(TINY)["task1"]
    state = run_trial(row, TINY, seed=3, trial=0, engine=engine, path=path, command_line="a test")
    save_state(tmp_path / "trained.h5", state, TINY)
    assert load_start(str(tmp_path / "trained.h5"), TINY).state.input_hidden_frozen
    within, _ = engine.run(state, row.phases[1], epochs=5)
    save_state(tmp_path / "within.h5", within, TINY)
    with pytest.raises(StateError, match="within.h5: a state in the midst of a phase, allowed is one between two phases"):
        load_start(str(tmp_path / "within.h5"), TINY)


def test_the_package_holds_start_states_that_can_be_read():
    for read in packaged_states().values():
        starting.check_start(read(), read().parameters, "packaged")

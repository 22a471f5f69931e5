"""Start states: made, in one go or in several; found; and those that trials cannot start from."""

import pytest
from pretend_engine import PretendEngine

from foraging_snn.files.states import StateError, load_state, save_state
from foraging_snn.models import preset
from foraging_snn.protocols import experiments
from foraging_snn.running import starting
from foraging_snn.running.checkpoints import TrialCheckpoints
from foraging_snn.running.resuming import ResumeError, prepare_start_state
from foraging_snn.running.starting import StartStatePlan, load_start, packaged_states, run_unsupervised, unsupervised_phase
from foraging_snn.running.trial import RunError, run_trial
from foraging_snn.running.trunk import Listener, Pace, Stopped

TINY = preset("tiny")
ALWAYS = 1e-9  # minutes between checkpoints: one after every piece


class StopsAt(Listener):
    """Stops when so many epochs were computed."""

    def __init__(self, epochs):
        self.left = epochs
        self.resumed_at = []

    def resumed(self, epochs):
        self.resumed_at.append(epochs)

    def epochs(self, records):
        self.left -= len(records)

    def stop_wanted(self):
        return self.left <= 0


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Pieces of equal length, whatever the speed of this machine."""
    monkeypatch.setattr(Pace, "piece", lambda pace, left: min(left, 130))


@pytest.fixture
def plan(tmp_path):
    return StartStatePlan(tmp_path / "made" / "start.h5", TINY, 11, "pretend", "a test")


@pytest.fixture
def start(tmp_path):
    """A saved state after the unsupervised phase of the trial with seed 11."""
    state = run_unsupervised(unsupervised_phase(TINY), TINY, seed=11, engine=PretendEngine(TINY))
    save_state(tmp_path / "start.h5", state, TINY, note="made for a test")
    return load_state(tmp_path / "start.h5")


def make(plan, listener=None, resume=False):
    """As the command does; what was noted of what is there."""
    outlook = prepare_start_state(plan, resume)
    if not outlook.is_complete:
        plan.make(PretendEngine(plan.parameters), listener or Listener(), ALWAYS)
    return outlook


def test_a_start_state_is_that_of_the_unsupervised_phase_run_in_one_go(plan, start, monkeypatch):
    monkeypatch.setattr(Pace, "piece", lambda pace, left: left)  # the pretended engine rounds differently in pieces
    make(plan)
    made = load_state(plan.path)
    save_state(plan.path.parent / "other.h5", start.state, TINY, note=made.note)
    assert made.sha256 == load_state(plan.path.parent / "other.h5").sha256
    assert made.note == "state after 4 aeons of the unsupervised phase, preset tiny, engine pretend, seed 11"
    assert made.provenance["command_line"] == "a test"


def test_a_start_state_gone_on_with_is_the_one_made_in_one_go(plan, tmp_path):
    whole = StartStatePlan(tmp_path / "whole.h5", *list(vars(plan).values())[1:])
    make(whole)
    with pytest.raises(Stopped):
        make(plan, StopsAt(130))
    assert not plan.path.exists()
    with pytest.raises(Stopped):
        make(plan, StopsAt(130), resume=True)
    last = StopsAt(1000)
    make(plan, last, resume=True)
    assert last.resumed_at == [260]
    assert load_state(plan.path).sha256 == load_state(whole.path).sha256
    assert [path.name for path in plan.path.parent.iterdir()] == ["start.h5"]


def test_a_start_state_that_was_begun_or_made_is_not_begun_anew(plan):
    with pytest.raises(Stopped):
        make(plan, StopsAt(130))
    with pytest.raises(RunError, match="seed 11 has been begun and is not overwritten; .* go on with it with --resume"):
        make(plan)
    make(plan, resume=True)
    made = plan.path.read_bytes()
    with pytest.raises(RunError, match=r"start\.h5: exists already and is not overwritten"):
        make(plan)
    assert make(plan, resume=True).is_complete
    assert plan.path.read_bytes() == made


@pytest.mark.parametrize("is_made", [False, True])
def test_a_start_state_is_not_gone_on_with_for_other_parameters(plan, is_made):
    if is_made:
        make(plan)
    else:
        with pytest.raises(Stopped):
            make(plan, StopsAt(130))
    other = StartStatePlan(plan.path, TINY.with_changes({"reward.asleep": 0.25}), *list(vars(plan).values())[2:])
    with pytest.raises(ResumeError, match=r"\(there, now\): reward\.asleep: 0\.5, 0\.25$"):
        make(other, resume=True)
    if is_made:
        of_other_engine = StartStatePlan(plan.path, TINY, 11, "event", "a test")
        with pytest.raises(ResumeError, match="engine pretend, seed 11, .* engine event, seed 11$"):
            make(of_other_engine, resume=True)


def test_a_file_that_is_no_state_is_not_replaced(plan):
    plan.path.parent.mkdir()
    plan.path.write_text("my notes")
    with pytest.raises(ResumeError, match=r"start\.h5: .*; it is not overwritten$"):
        make(plan, resume=True)
    assert plan.path.read_text() == "my notes"


def test_a_torn_checkpoint_of_a_start_state_is_said_and_the_one_before_it_used(plan):
    with pytest.raises(Stopped):
        make(plan, StopsAt(260))
    checkpoints = TrialCheckpoints(plan.path.parent, plan.identity)
    newest = sorted(checkpoints.folder.glob("[0-9]*/checkpoint.h5"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    listener = StopsAt(1000)
    notes = make(plan, listener, resume=True).notes
    assert len(notes) == 1
    assert notes[0].startswith(f"{newest}: ")
    assert notes[0].endswith("; gone on from the checkpoint before it")
    assert listener.resumed_at == [130]


def test_a_start_state_is_found_by_file_and_by_name_in_the_package(start, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "start.h5").rename(tmp_path / "data" / "packaged.h5")
    monkeypatch.setattr(starting.resources, "files", lambda package: tmp_path)
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


def test_a_state_after_training_is_not_a_start_state(tmp_path):
    path = tmp_path / "trial.h5"
    engine = PretendEngine(TINY)
    state = run_trial(experiments(TINY)["task1"], TINY, seed=3, trial=0, engine=engine, path=path, command_line="a test")
    save_state(tmp_path / "trained.h5", state, TINY)
    with pytest.raises(StateError, match="trained.h5: not a state after the unsupervised phase"):
        load_start(str(tmp_path / "trained.h5"), TINY)


def test_the_package_holds_start_states_that_can_be_read():
    for read in packaged_states().values():
        starting.check_start(read(), read().parameters, "packaged")

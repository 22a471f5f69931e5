"""The states that trials can start from, i.e. after the unsupervised phase: made, in files, and those of the package."""

from dataclasses import dataclass
from pathlib import Path

from foraging_snn.files.states import SavedState, StateError, compatible, load_state, packaged_states, save_state
from foraging_snn.models import Engine, NetworkState, Parameters, Phase, initial_state
from foraging_snn.protocols import Experiment, experiment
from foraging_snn.running.checkpoints import TrialCheckpoints, TrialIdentity, remove_empty_folder
from foraging_snn.running.trunk import Keeper, Listener, Trunk


def unsupervised_phase(parameters: Parameters) -> Phase:
    """The phase with which every experiment begins."""
    return experiment("task1", parameters).phases[0]


def run_unsupervised(
    phase: Phase,
    parameters: Parameters,
    *,
    seed: int,
    engine: Engine,
    progress: Listener | None = None,
    keeper: Keeper | None = None,
) -> NetworkState:
    """The state after the unsupervised phase of the trial `seed`: what every experiment can start from.

    A keeper goes on where it left off, and saves what is done.
    """
    trunk = Trunk(engine, progress or Listener(), (), initial_state(parameters, seed))
    if keeper:
        keeper.look_back(trunk)
    return trunk.after((phase,))


@dataclass(frozen=True)
class StartStatePlan:
    """A start state that is to be made.

    Attributes
    ----------
    path : Path
        Its file.
    parameters : Parameters
    seed : int
        0 ... 2**63 - 1.
    engine : str
    command_line : str
        For the file's provenance.
    """

    path: Path
    parameters: Parameters
    seed: int
    engine: str
    command_line: str

    @property
    def phase(self) -> Phase:
        """What is run."""
        return unsupervised_phase(self.parameters)

    @property
    def note(self) -> str:
        """What the state is, in words."""
        aeons = self.phase.epochs // self.parameters.timing.epochs_per_aeon
        made = f"preset {self.parameters.preset}, engine {self.engine}, seed {self.seed}"
        return f"state after {aeons} aeons of the unsupervised phase, {made}"

    @property
    def identity(self) -> TrialIdentity:
        """What has to be the same for it to be gone on with."""
        alone = Experiment("unsupervised", "unsupervised phase", "", (self.phase,))
        return TrialIdentity(self.parameters, (alone,), self.seed, self.engine, "")

    def make(self, engine: Engine, progress: Listener, checkpoint_minutes: float) -> None:
        """Make it, or go on with it from its checkpoint.

        Parameters
        ----------
        engine : Engine
        progress : Listener
        checkpoint_minutes : float
            Save a checkpoint at least this often, in the folder `checkpoints` beside the file.

        Raises
        ------
        CheckpointError
            A checkpoint cannot be written, or another process is at work on this state.
        StateError
            The file exists or cannot be written.
        EngineError
        Stopped
            `progress` wanted that.
        """
        checkpoints = TrialCheckpoints(self.path.parent, self.identity)
        keeper = Keeper(checkpoints, checkpoint_minutes * 60.0)
        with checkpoints.locked():
            state = run_unsupervised(self.phase, self.parameters, seed=self.seed, engine=engine, progress=progress, keeper=keeper)
            save_state(self.path, state, self.parameters, command_line=self.command_line, note=self.note)
            checkpoints.remove()
        remove_empty_folder(self.path.parent)


def read_start(name: str) -> SavedState:
    """A saved state by the path of its file or by its name in the package.

    Raises
    ------
    StateError
    """
    packaged = packaged_states()
    if Path(name).exists():
        return load_state(name)
    if name.removesuffix(".h5") in packaged:
        return packaged[name.removesuffix(".h5")]()
    raise StateError(f"{name}: no such file, and the states in the package are: {', '.join(packaged) or 'none'}")


def load_start(name: str, parameters: Parameters) -> SavedState:
    """A state that trials with `parameters` can start from; see :func:`read_start`.

    Raises
    ------
    StateError
        No such state, not a state after the unsupervised phase, or made with other parameters.
    """
    start = read_start(name)
    check_start(start, parameters, name)
    return start


def check_start(start: SavedState, parameters: Parameters, name: str) -> None:
    """See that a trial with `parameters` can begin from a state.

    Raises
    ------
    StateError
    """
    if start.state.phase_epoch or start.state.input_hidden_frozen:
        raise StateError(f"{name}: not a state after the unsupervised phase, which is where a trial can start from")
    different = compatible(start.parameters, parameters)
    if different:
        raise StateError(f"{name}: made with other parameters (its value, the value asked for): {'; '.join(different)}")

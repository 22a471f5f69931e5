"""The agent with exactly these strengths, computed on the spot: its way, what it ate, its performance. No page here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foraging_snn.commands.explorer.contents import ExploredTrial
from foraging_snn.commands.worlds import worlds_along
from foraging_snn.files.hdf5 import reason
from foraging_snn.files.landscapes import Evaluation, Landscape
from foraging_snn.files.networks import Network
from foraging_snn.files.reader import Positions
from foraging_snn.files.states import StateError, load_state, save_state, saved_state
from foraging_snn.models import Engine, Parameters, Phase, engine_class
from foraging_snn.models.engine import EpochRecords, Recorder
from foraging_snn.running.evaluating import TEST_SEED, evaluate, legal, phase_of_test

ENGINE = "event"
WAY_EPOCHS = 1000  # of the way that is shown
TEST_EPOCHS = 5000  # of the test that says how the network performs


@dataclass(frozen=True)
class ChosenNetwork:
    """Strengths that are looked at.

    Attributes
    ----------
    title : str
        What they are, in words.
    network : Network
    strengths : (H, 8) float64
        As the model allows them.
    resistance : (8,) float64
    moved : float
        How far they were from what was asked for.
    """

    title: str
    network: Network
    strengths: np.ndarray
    resistance: np.ndarray
    moved: float


def snapshot_of(trial: ExploredTrial, row: int) -> ChosenNetwork:
    """A snapshot of a trial."""
    title = f"{trial.trial.label}, seed {trial.trial.seed}, {trial.phase_names[row]}, aeon {trial.aeon[row]:g}"
    strengths, moved = legal(trial.strengths[row], trial.trial.parameters)
    return ChosenNetwork(title, trial.network, strengths, trial.resistance[row], moved)


def point_of(landscape: Landscape, x: float, y: float) -> ChosenNetwork:
    """A point of the plane of a landscape."""
    asked = landscape.origin + x * landscape.axes[0] + y * landscape.axes[1]
    strengths, moved = legal(asked, landscape.network.parameters)
    return ChosenNetwork(f"the point {x:.2f}, {y:.2f} of the plane", landscape.network, strengths, landscape.resistance, moved)


@dataclass(frozen=True)
class Way:
    """The agent in a test; n epochs.

    Attributes
    ----------
    task : str
    grid : (size, size) int8
        The world before the first epoch, [y, x].
    x, y : (n,) int
        The agent after each move.
    outcome : (n,) int
        What the particle that it ate was in the task: 0 none, 1 rewarded, 2 punished, 3 other.
    changes : tuple of n tuples of int
        Squares of the world that changed in each epoch: y size + x, what is there now, and so on.
    """

    task: str
    grid: np.ndarray
    x: np.ndarray
    y: np.ndarray
    outcome: np.ndarray
    changes: tuple[tuple[int, ...], ...]


class _AllEpochs(Recorder):
    """Keeps what the agent did."""

    def __init__(self) -> None:
        self.pieces: list[EpochRecords] = []

    def epochs(self, records: EpochRecords) -> None:
        self.pieces.append(records)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([getattr(piece, name) for piece in self.pieces])


class LiveAgent:
    """Runs tests of networks in this process; engines are kept from one to the next.

    Notes
    -----
    The way is that of `engine.run` of a test phase of the network at rest, seed 1, and the performance that of
    :func:`foraging_snn.running.evaluating.evaluate`: what a landscape would say of the same strengths with as many epochs.
    """

    def __init__(self) -> None:
        self._engines: dict[Parameters, Engine] = {}

    def _engine(self, parameters: Parameters) -> Engine:
        if parameters not in self._engines:
            self._engines[parameters] = engine_class(ENGINE)(parameters)
        return self._engines[parameters]

    def way(self, chosen: ChosenNetwork, task: str, epochs: int = WAY_EPOCHS) -> Way:
        """What the agent does, epoch by epoch."""
        parameters = chosen.network.parameters
        phase = phase_of_test(task, epochs, parameters)
        state, recorder = chosen.network.state(chosen.strengths, chosen.resistance, TEST_SEED), _AllEpochs()
        self._engine(parameters).run(state, phase, recorder=recorder)
        names = ("awake", "x", "y", "move", "eaten", "outcome")
        found = Positions(np.arange(epochs), *(recorder.column(name) for name in names))
        return _way(found, task, parameters, phase)

    def test(self, chosen: ChosenNetwork, tasks: Sequence[str], epochs: int = TEST_EPOCHS) -> Evaluation:
        """How it performs on each task; shape (1,)."""
        engine = self._engine(chosen.network.parameters)
        given = {"network": chosen.network, "resistance": chosen.resistance, "engine": engine}
        return evaluate([chosen.strengths], tasks, epochs, **given)

    def close(self) -> None:
        """Free the engines."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()


def _way(found: Positions, task: str, parameters: Parameters, phase: Phase) -> Way:
    epochs = range(len(found.x))
    before, changes = None, []
    for grid in worlds_along(found, phase, epochs, parameters, TEST_SEED, "live"):
        if before is None:
            before = first = grid.copy()
            changes.append(())
            continue
        changed = np.flatnonzero(grid != before)
        changes.append(tuple(np.column_stack([changed, grid.reshape(-1)[changed]]).ravel().tolist()))
        before = grid.copy()
    return Way(task, first, found.x, found.y, found.outcome, tuple(changes))


def said(tested: Evaluation, moved: float) -> str:
    """Performance on each task with its standard error, in words."""
    values = zip(tested.tasks, tested.performance[0].tolist(), tested.performance_error[0].tolist(), strict=True)
    parts = [f"{task} nothing eaten" if value != value else f"{task} {value:.3f} ± {error:.3f}" for task, value, error in values]
    far = f"; moved by {moved:.2g} to be allowed" if moved else ""
    return f"{', '.join(parts)} ({int(tested.counts['epochs'].flat[0]):,} epochs each{far})"


def save(chosen: ChosenNetwork, folder: Path, where: str) -> Path:
    """Write strengths as a state that a run can start from; the name says what they are.

    The network is at rest, and its averages are those of one that has learned nothing: sleep shows it what it learns from then on.

    Raises
    ------
    StateError
        There is another state of this name, or it cannot be written.
    """
    parameters, path = chosen.network.parameters, folder / f"{where}.h5"
    state = chosen.network.state(chosen.strengths, chosen.resistance, TEST_SEED)
    note = f"strengths and resistances of {chosen.title}, at rest"
    if path.exists() and load_state(path).sha256 == saved_state(state, parameters, {}, note).sha256:
        return path
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StateError(f"{folder}: cannot be made: {reason(error)}") from None
    save_state(path, state, parameters, "foraging-snn explore", note)
    return path

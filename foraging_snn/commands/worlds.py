"""The world of a recorded trial, epoch by epoch. Files do not hold it; it follows from the seed and from what the agent ate.

Nothing is simulated here: the agent moves as recorded, and the rules and draws of environments/ say what the world is then.
"""

from collections.abc import Iterator

import numpy as np

from foraging_snn.environments import GridWorld, Stream, draw_world, eat, empty_world, stream_key
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Positions, Trial
from foraging_snn.models import Parameters, Phase, rows_of


def followed(trial: Trial, phase_index: int) -> list[range]:
    """Stretches of a phase, in epochs from 0, over which its world can be followed.

    Each begins with an epoch at which a world is drawn, the first of the phase or of a block, and goes on as long as the agent's
    positions were recorded; blocks that begin meanwhile have a world of their own.

    Parameters
    ----------
    trial : Trial
    phase_index : int

    Returns
    -------
    list of range
        Empty if no recorded window holds such an epoch, or none was recorded at all.
    """
    schedule = trial.phases[phase_index].phase.schedule
    windows = trial.position_windows(phase_index)
    starts = (next(iter((window.start + np.flatnonzero(schedule(window)[1])).tolist()), window.stop) for window in windows)
    stretches = (range(start, window.stop) for start, window in zip(starts, windows, strict=True))
    return [stretch for stretch in stretches if stretch]


def follow_world(trial: Trial, phase_index: int, epochs: range) -> np.ndarray:
    """The world in successive epochs of a phase.

    Parameters
    ----------
    trial : Trial
    phase_index : int
    epochs : range
        Epochs of the phase, from 0, one by one; they must lie in one of the stretches of :func:`followed`.

    Returns
    -------
    (n, size, size) int8
        The grid after the move of each epoch: what was eaten is gone, what grew instead is there. Indexed [epoch, y, x]; 0 empty,
        else the number of the type of the particle. Asleep, there is none.

    Raises
    ------
    RecordingError
        The world is not known in these epochs; or the agent ate what was not there, or did not eat what was: then the file is not
        what its seed and parameters make.
    """
    recorded = trial.phases[phase_index]
    stretch = next((s for s in followed(trial, phase_index) if s.start <= epochs.start and epochs.stop <= s.stop), None)
    if stretch is None or epochs.step != 1 or not epochs:
        raise RecordingError(
            f"{trial.path}: the world of phase {phase_index} ({recorded.name}) is not known in its epochs {epochs.start} to "
            f"{epochs.stop - 1}: positions were not recorded since it was drawn"
        )
    known = range(stretch.start, epochs.stop)
    way, size = way_in(trial, phase_index, known), trial.parameters.world.size
    grids = np.empty((len(epochs), size, size), np.int8)
    along = worlds_along(way, recorded.phase, known, trial.parameters, trial.seed, str(trial.path))
    for phase_epoch, grid in zip(known, along, strict=True):
        if phase_epoch >= epochs.start:
            grids[phase_epoch - epochs.start] = grid
    return grids


def worlds_along(
    way: Positions, phase: Phase, epochs: range, parameters: Parameters, seed: int, where: str
) -> Iterator[np.ndarray]:
    """The world after each move of an agent: the same array every time, changed.

    Parameters
    ----------
    way : Positions
        The agent in successive epochs.
    phase : Phase
    epochs : range
        Which epochs of the phase these are, from 0; in the first a world is drawn.
    parameters : Parameters
    seed : int
        Of the draws.
    where : str
        What was recorded, for the message.

    Raises
    ------
    RecordingError
        The agent ate what was not there, or did not eat what was.
    """
    world, rows = empty_world(parameters.world.size, parameters.particles.values()), rows_of(phase, parameters)
    blocks, begins = phase.schedule(epochs)
    for row in range(len(epochs)):
        if begins[row]:
            block, key = blocks[row], stream_key(seed, Stream.WORLD, way.epoch[row])
            draw_world(world, rows.present[block], rows.per_type[block], key)
        _eat_as_recorded(world, way, row, parameters, seed, where)
        yield world.grid


def way_in(trial: Trial, phase_index: int, epochs: range) -> Positions:
    """The agent in successive epochs of a phase.

    Parameters
    ----------
    trial : Trial
    phase_index : int
    epochs : range
        Epochs of the phase, from 0, one by one, in one window of recorded positions.

    Raises
    ------
    RecordingError
        The file does not hold them, or what it holds cannot be: squares outside the world, particles of no type.
    """
    positions = trial.positions(phase_index)
    wanted = trial.phases[phase_index].first_epoch + np.arange(epochs.start, epochs.stop)
    rows = np.searchsorted(positions.epoch, wanted)
    if not len(positions.epoch) or not np.array_equal(positions.epoch[np.minimum(rows, len(positions.epoch) - 1)], wanted):
        raise RecordingError(f"{trial.path}: damaged or truncated: positions of phase {phase_index} are missing")
    return Positions(**{name: values[rows] for name, values in vars(positions).items()})


def _eat_as_recorded(world: GridWorld, way: Positions, row: int, parameters: Parameters, seed: int, where: str) -> None:
    if not way.awake[row]:
        return
    x, y, epoch, recorded = (int(values[row]) for values in (way.x, way.y, way.epoch, way.eaten))
    if eat(world, x, y, stream_key(seed, Stream.NEW_PARTICLE, epoch)) != recorded:
        what = f"a {list(parameters.particles)[recorded - 1]} particle" if recorded else "nothing"
        raise RecordingError(
            f"{where}: damaged, or made by other rules: in epoch {epoch} the agent ate {what}, which is not what its seed and "
            f"way put on square ({x}, {y})"
        )

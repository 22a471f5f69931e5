"""Which spikes to show: a stretch of successive recorded epochs, and the spikes in it by layer. Nothing is drawn here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LayerSpikes:
    """Spikes of one layer.

    Attributes
    ----------
    layer : str
        "input", "hidden" or "output".
    cells : int
        Cells of the layer.
    step : (n,) int64
        Step since the stretch began.
    cell : (n,) int64
        Within the layer, from 0.
    """

    layer: str
    cells: int
    step: np.ndarray
    cell: np.ndarray


def last_stretch(windows: Sequence[range], epochs: int, wanted: Callable[[range], bool]) -> range | None:
    """The last stretch of successive recorded epochs that is as wanted.

    Parameters
    ----------
    windows : sequence of range
        Recorded epochs of a phase.
    epochs : int
        Length of the stretch.
    wanted : callable
        Whether a stretch will do.

    Returns
    -------
    range or None
        Epochs of the phase; None if there is no such stretch.
    """
    for window in reversed(windows):
        for stop in range(window.stop, window.start + epochs - 1, -1):
            if wanted(range(stop - epochs, stop)):
                return range(stop - epochs, stop)
    return None


def by_layer(step: np.ndarray, cell: np.ndarray, first_step: int, steps: int, sizes: dict[str, int]) -> tuple[LayerSpikes, ...]:
    """The spikes of a stretch of time by layer.

    Parameters
    ----------
    step, cell : (n,) int
        Step and cell of each spike; cells are numbered through all layers.
    first_step, steps : int
        First step of the stretch and its length.
    sizes : dict from str to int
        Cells of each layer, in the order of their numbers.
    """
    within = (step >= first_step) & (step < first_step + steps)
    step, cell = step[within].astype(np.int64) - first_step, cell[within].astype(np.int64)
    found, start = [], 0
    for layer, cells in sizes.items():
        here = (cell >= start) & (cell < start + cells)
        found.append(LayerSpikes(layer, cells, step[here], cell[here] - start))
        start += cells
    return tuple(found)

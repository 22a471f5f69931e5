"""Figure S4: sleep interleaved with Task 1 in a naive network (A, B) and after Task 1 (C, D); uniform noise as sleep (E, F)."""

from matplotlib.figure import Figure

from ..collection import Collection
from ._protocols import draw_protocols

EXPERIMENTS = ("naive-sleep", "task1-sleep", "uniform-sleep")


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    return draw_protocols(collection, EXPERIMENTS)

"""Figure S5: training interleaved with Task 1 recovers it after Task 2."""

from matplotlib.figure import Figure

from ..collection import Collection
from ._protocols import draw_protocols

EXPERIMENTS = ("sequential-interleaved",)


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    return draw_protocols(collection, EXPERIMENTS)

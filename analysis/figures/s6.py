"""Figure S6: freezing the strongest 1, 5 and 10 % of each output cell's inputs after Task 1, then training on Task 2."""

from matplotlib.figure import Figure

from ..collection import Collection
from ._protocols import draw_protocols

EXPERIMENTS = ("freeze-1", "freeze-5", "freeze-10")


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    return draw_protocols(collection, EXPERIMENTS)

"""Figure 3: sequential training forgets Task 1; training interleaved with the old task, or with sleep, keeps it."""

from matplotlib.figure import Figure

from ..collection import Collection
from ._protocols import draw_protocols

EXPERIMENTS = ("sequential", "interleaved", "sleep")


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    return draw_protocols(collection, EXPERIMENTS)

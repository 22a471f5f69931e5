"""Figure 5: receptive fields before and after sleep, in one trial of T1 -> T2 -> I(S,T1).

Rows as in figure 2: after Task 1, after Task 2 that followed it, and after sleep interleaved with Task 1.
"""

from matplotlib.figure import Figure

from ..collection import Collection
from ._receptive_fields import draw_rows

EXPERIMENTS = ("sequential-sleep",)


def draw(collection: Collection) -> Figure:
    """The figure, from the trials of `EXPERIMENTS`."""
    return draw_rows(collection, [(EXPERIMENTS[0], phase) for phase in ("T1", "T2", "I(S,T1)")])

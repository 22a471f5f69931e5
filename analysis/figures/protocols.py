"""Protocols that are not the paper's, one a row; see _protocols.py."""

from matplotlib.figure import Figure

from ..catalogue import has_phases_of_catalogue
from ..collection import Collection, CollectionError
from . import style
from ._protocols import MOST_ROWS, draw_protocols

EXPERIMENTS = ()  # whichever there are


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    CollectionError
        All experiments are of the paper, and in its figures.
    """
    names = [name for name in collection.experiments if not has_phases_of_catalogue(collection.trials(name)[0])]
    if not names:
        raise CollectionError(f"{collection.directory}: no other protocols than those of the paper")
    left_out = len(names) - MOST_ROWS
    note = f"{left_out} more protocols are not shown." if left_out > 0 else ""
    return draw_protocols(collection, names[:MOST_ROWS], note, 2 * style.LONGEST_LABEL)

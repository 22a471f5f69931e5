"""Figure 2: receptive fields after Task 1 and after Task 2.

Per row, after the training of one task: the receptive field of an output cell with respect to the input layer, i.e. the mean of
the hidden receptive fields weighted by the hidden-to-output strengths; the receptive fields of the hidden cells with the
strongest synapses onto it; as a supplement the receptive fields of all eight output cells, each placed in its direction, and the
share of their excitatory input that comes from hidden cells preferring each particle type, mean and sd over trials.
"""

from matplotlib.figure import Figure

from ..collection import Collection
from ._receptive_fields import draw_rows

EXPERIMENTS = ("task1", "task2")


def draw(collection: Collection) -> Figure:
    """The figure, from the trials of `EXPERIMENTS`."""
    return draw_rows(collection, [("task1", "T1"), ("task2", "T2")])

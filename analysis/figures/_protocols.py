"""A figure of protocols, one a row: performance over aeons on the left, bars of the tests on the right."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ..catalogue import published
from ..collection import Collection
from . import _performance, style

ROW_MM = 48.0


def draw_protocols(collection: Collection, experiments: Sequence[str]) -> Figure:
    """Performance over aeons and in the tests of some experiments.

    Parameters
    ----------
    collection : Collection
    experiments : sequence of str
        One per row.

    Raises
    ------
    MissingTrials
    """
    groups = [collection.trials(name) for name in experiments]
    figure = style.new_figure(style.FULL_WIDTH_MM, 12.0 + ROW_MM * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False, width_ratios=(2.1, 1))
    for k, (trials, (left, right)) in enumerate(zip(groups, rows, strict=True)):
        _performance.curves(left, trials)
        _performance.bars(right, trials)
        _performance.share_ordinate(left, right)
        left.set_title(style.written(trials[0].label), loc="left", pad=11)
        style.panel(left, "ABCDEFGH"[2 * k])
        style.panel(right, "ABCDEFGH"[2 * k + 1])
    _performance.legend(rows[0][1], any(published(trials[0]) for trials in groups))
    style.small_print(figure, collection, experiments, _performance.note(groups))
    return figure

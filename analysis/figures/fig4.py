"""Figure 4: sleep recovers a task that was forgotten. Performance (A, B), task-relevant strengths (C), distance from the
boundary between the tasks' weight states (D), the trajectory through weight space (E) of T1 -> T2 -> I(S,T1)."""

from matplotlib.figure import Figure

from ..collection import Collection
from . import _fig4_weights, _performance, style

EXPERIMENTS = ("sequential-sleep",)


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    trials = collection.trials(EXPERIMENTS[0])
    figure = style.new_figure(style.FULL_WIDTH_MM, 140.0)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.45))[:, 0]
    a, b = top.subplots(1, 2, width_ratios=(2.1, 1))
    c, d, e = bottom.subplots(1, 3, width_ratios=(1.1, 1.1, 1))
    _performance.curves(a, trials)
    _performance.bars(b, trials)
    _performance.share_ordinate(a, b)
    _performance.legend(b, published=True)
    a.set_title(style.written(trials[0].label), loc="left", pad=11)
    _fig4_weights.distributions(c, collection)
    _fig4_weights.boundary_distance(d, collection)
    _fig4_weights.pca_trajectory(e, collection)
    for axes, letter in zip((a, b, c, d, e), "ABCDE", strict=True):
        style.panel(axes, letter)
    style.small_print(figure, collection, EXPERIMENTS, f"{_performance.note([trials])} {_fig4_weights.NOTE}")
    return figure

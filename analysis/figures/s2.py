"""Figure S2: performance against the number of hidden cells left, on Task 1 after T1 and on Task 2 after T2."""

from matplotlib.figure import Figure

from ..collection import Collection
from ..performance import performance_while_cells_are_removed
from . import _performance, style

EXPERIMENTS = ("dropout-1", "dropout-2")


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    groups = [collection.trials(name) for name in EXPERIMENTS]
    figure = style.new_figure(110.0, 78.0)
    axes = figure.subplots()
    for trials in groups:
        curve = performance_while_cells_are_removed(trials)
        colour, values = style.task_colour(curve.task), curve.performance
        axes.plot(curve.cells_left, values.mean, color=colour, label=f"Task {curve.task}, after T{curve.task}")
        if values.trials > 1:
            axes.fill_between(curve.cells_left, values.mean - values.sd, values.mean + values.sd, color=colour, alpha=0.3, lw=0)
    style.chance_line(axes)
    n_hidden = groups[0][0].parameters.n_hidden
    axes.set(xlim=(n_hidden, 0), xlabel="hidden cells left", ylabel="performance")
    _performance.share_ordinate(axes)
    axes.legend(loc="lower left")
    several = " Shaded: ± sd over trials." if any(len(trials) > 1 for trials in groups) else ""
    note = f"Hidden cells are removed in random order, evenly over a test; they take no input any more.{several} Dashed: chance."
    style.small_print(figure, collection, EXPERIMENTS, note)
    return figure

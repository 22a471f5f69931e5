"""Protocols that are not the paper's, one a row: performance over aeons on the left, in the tests on the right.

The tests are bars, or a matrix by phase and task where there are more than two tasks.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from foraging_snn.files.reader import Trial

from ..catalogue import has_phases_of_catalogue
from ..collection import Collection, CollectionError, tasks_in
from ..continual import performance_matrix
from . import _performance, style

EXPERIMENTS = ()  # whichever there are
MOST_ROWS = 8
ROW_MM = 52.0
MATRIX_LIMITS = (0.45, 0.75)  # of its colours; chance is 0.5
DARK_BELOW = 0.66  # numbers on darker squares are white
LETTERS = "ABCDEFGHIJKLMNOP"


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
    shown = names[:MOST_ROWS]
    groups = [collection.trials(name) for name in shown]
    figure = style.new_figure(style.FULL_WIDTH_MM, 12.0 + ROW_MM * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False, width_ratios=(2.1, 1))
    for k, (trials, (left, right)) in enumerate(zip(groups, rows, strict=True)):
        _performance.curves(left, trials)
        if len(tasks_in(trials)) > 2:
            matrix(right, trials)
            _performance.share_ordinate(left)
        else:
            _performance.bars(right, trials)
            _performance.share_ordinate(left, right)
        left.set_title(style.written(trials[0].label, 2 * style.LONGEST_LABEL), loc="left", pad=11)
        style.panel(left, LETTERS[2 * k])
        style.panel(right, LETTERS[2 * k + 1])
    tasks = tasks_in([trial for trials in groups for trial in trials])
    handles = [Patch(color=style.task_colour(number), alpha=0.7, label=f"Task {number}") for number in tasks]
    rows[0][0].legend(handles=handles, handlelength=1.0, ncols=len(handles), loc="lower right", bbox_to_anchor=(1.0, 1.12))
    left_out = f" {len(names) - len(shown)} more protocols are not shown." if len(names) > len(shown) else ""
    matrices = "Matrices: performance after each phase (rows) on each task (columns), mean over trials."
    note = f"{_performance.note(groups)} {matrices}{left_out}"
    style.small_print(figure, collection, shown, note)
    return figure


def matrix(axes: Axes, trials: Sequence[Trial]) -> None:
    """Performance after each phase on each task, as coloured squares with numbers; that of tasks not yet trained in grey.

    Parameters
    ----------
    axes : Axes
    trials : sequence of Trial
        Of one experiment.
    """
    found = performance_matrix(trials)
    mean = found.mean
    axes.imshow(mean, vmin=MATRIX_LIMITS[0], vmax=MATRIX_LIMITS[1], cmap="viridis", aspect="auto")
    for row, column in np.ndindex(*mean.shape):
        if np.isnan(mean[row, column]):
            continue
        learned = found.learned[column]
        weight = "normal" if learned is None or row < learned else "bold"
        colour = "white" if mean[row, column] < DARK_BELOW else "black"
        text = f"{mean[row, column]:.2f}".removeprefix("0")
        axes.text(column, row, text, ha="center", va="center", fontsize=style.SMALL, color=colour, weight=weight)
    axes.set_xticks(range(len(found.tasks)), [f"Task {task}" for task in found.tasks])
    axes.set_yticks(range(len(found.after)), [style.written(after, style.LONGEST_NAME) for after in found.after])
    axes.set(ylabel="after")
    axes.tick_params(length=0)
    axes.set_title("bold: trained already", fontsize=style.SMALL, loc="right", pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)

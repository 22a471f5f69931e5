"""A figure of protocols, one a row: performance over aeons on the left, in the tests on the right.

The tests are bars, or a matrix by phase and task where there are more than two tasks.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ..catalogue import published
from ..collection import Collection, tasks_in
from . import _performance, style

ROW_MM = 48.0
LETTERS = "ABCDEFGHIJKLMNOP"
MOST_ROWS = len(LETTERS) // 2
PAPER_TASKS = 2  # as many fit into bars


def draw_protocols(
    collection: Collection, experiments: Sequence[str], note: str = "", longest: int = style.LONGEST_LABEL
) -> Figure:
    """Performance over aeons and in the tests of some experiments.

    Parameters
    ----------
    collection : Collection
    experiments : sequence of str
        One per row; `MOST_ROWS` at most.
    note : str, optional
        For the small print, after what is drawn.
    longest : int, optional
        Characters of a label that are shown.

    Raises
    ------
    MissingTrials
    """
    groups = [collection.trials(name) for name in experiments]
    figure = style.new_figure(style.FULL_WIDTH_MM, 12.0 + ROW_MM * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False, width_ratios=(2.1, 1))
    with_matrix = [len(tasks_in(trials)) > PAPER_TASKS for trials in groups]
    for k, (trials, (left, right)) in enumerate(zip(groups, rows, strict=True)):
        _performance.curves(left, trials)
        if with_matrix[k]:
            _performance.matrix(right, trials)
            _performance.share_ordinate(left)
        else:
            _performance.bars(right, trials)
            _performance.share_ordinate(left, right)
        left.set_title(style.written(trials[0].label, longest), loc="left", pad=11)
        style.panel(left, LETTERS[2 * k])
        style.panel(right, LETTERS[2 * k + 1])
    # beside the title there is room for many tasks only where a row is no bars
    numbers = tuple(tasks_in([trial for trials in groups for trial in trials])) if any(with_matrix) else (1, 2)
    _performance.legend(rows[0][1], any(published(trials[0]) for trials in groups), numbers)
    drawn = _performance.note(groups) + (f" {_performance.MATRIX_NOTE}" if any(with_matrix) else "")
    style.small_print(figure, collection, experiments, f"{drawn} {note}".strip())
    return figure

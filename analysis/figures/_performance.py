"""Panels that several figures share: performance over aeons, and bars of the performance in the tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from foraging_snn.files.reader import Trial

from ..catalogue import published
from ..continual import performance_matrix
from ..performance import (
    CURVE_POINTS,
    MeanCurve,
    PhaseCurves,
    TestedPerformance,
    performance_in_tests,
    performance_over_aeons,
)
from . import style

LIMITS = (0.35, 0.85)  # of the ordinate, unless something lies outside
MARGIN = 0.02
BAR_WIDTH = 0.34
TEST_SHADE, TRAINING_SHADE = 0.10, 0.22
MATRIX_LIMITS = (0.45, 0.75)  # of its colours; chance is 0.5
DARK_BELOW = 0.66  # numbers on darker squares are white
MATRIX_NOTE = "Matrices: performance after each phase (rows) on each task (columns), mean over trials; bold: trained already."


def curves(axes: Axes, trials: Sequence[Trial], points: int = CURVE_POINTS) -> None:
    """Performance over the aeons of all phases after the unsupervised one; phases are shaded and named along the top.

    Parameters
    ----------
    axes : Axes
    trials : sequence of Trial
        Of one experiment.
    points : int
        About how many points all curves together get.
    """
    phases = performance_over_aeons(trials, points)
    for phase in phases:
        shade = TEST_SHADE if phase.is_test else TRAINING_SHADE
        axes.axvspan(phase.start, phase.start + phase.aeons, color=style.phase_colour(phase.name), alpha=shade, lw=0, zorder=0)
        for curve in phase.curves:
            _curve(axes, curve, phase.start)
    end = phases[-1].start + phases[-1].aeons
    _name_phases(axes, phases, end)
    style.chance_line(axes)
    axes.set(xlim=(0, end), xlabel="aeons after the unsupervised phase", ylabel="performance")


def _curve(axes: Axes, curve: MeanCurve, start: float) -> None:
    colour, aeon, values = style.task_colour(curve.task), start + curve.aeon, curve.performance
    if len(aeon) == 1:  # no line through one point
        axes.errorbar(aeon, values.mean, _sd(values.sd), fmt="o", ms=2, lw=0.8, color=colour)
        return
    axes.plot(aeon, values.mean, color=colour, lw=0.9)
    if values.trials > 1:
        axes.fill_between(aeon, values.mean - values.sd, values.mean + values.sd, color=colour, alpha=0.3, lw=0)


def _sd(sd: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(sd).all() else sd


def _name_phases(axes: Axes, phases: Sequence[PhaseCurves], end: float) -> None:
    """Training phases by name; the tests after one together, as they are narrow."""
    for k, phase in enumerate(phases):
        if not phase.is_test:
            _name(axes, style.written(phase.name, style.LONGEST_NAME), phase.start + phase.aeons / 2, weight="bold")
        elif k == 0 or not phases[k - 1].is_test:
            tests = [phase]
            for following in phases[k + 1 :]:
                if not following.is_test:
                    break
                tests.append(following)
            width = sum(test.aeons for test in tests)
            _name(axes, "tests" if width > 0.05 * end else "", phase.start + width / 2, color="0.35")


def _name(axes: Axes, text: str, x: float, **font: Any) -> None:
    axes.text(x, 1.01, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=style.SMALL, **font)


def bars(axes: Axes, trials: Sequence[Trial]) -> None:
    """Performance in the tests after each phase, both tasks, as bars from chance.

    Parameters
    ----------
    axes : Axes
    trials : sequence of Trial
        Of one experiment.
    """
    tests = performance_in_tests(trials)
    phases = list(dict.fromkeys(test.after for test in tests))
    for test in tests:
        _bar(axes, test, phases.index(test.after) + _offset(test.task))
    paper = published(trials[0])
    for task, value in zip((1, 2), paper or (), strict=bool(paper)):
        x = len(phases) - 1 + _offset(task) + 0.11
        axes.errorbar(x, value.mean, value.sd, fmt="D", ms=2.8, color=style.PUBLISHED, mfc="white", lw=0.8, capsize=1.5, zorder=4)
    style.chance_line(axes)
    axes.set_xticks(range(len(phases)), [f"after\n{style.written(after, style.LONGEST_NAME)}" for after in phases])
    axes.set(xlim=(-0.6, len(phases) - 0.4), ylabel="performance")
    axes.tick_params(axis="x", length=0)


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
    for spine in axes.spines.values():
        spine.set_visible(False)


def _offset(task: int) -> float:
    return (task - 1.5) * (BAR_WIDTH + 0.04)


def _bar(axes: Axes, test: TestedPerformance, x: float) -> None:
    colour, spread = style.task_colour(test.task), test.performance
    axes.bar(x, spread.mean - style.CHANCE, BAR_WIDTH, bottom=style.CHANCE, color=colour, alpha=0.55, lw=0)
    if spread.trials > 1:
        axes.errorbar(x, spread.mean, _sd(spread.sd), fmt="none", ecolor=colour, lw=1.0, capsize=2.0, zorder=3)
        axes.plot(np.full(len(test.values), x - 0.09), test.values, "o", ms=1.8, color=colour, mew=0, alpha=0.8, zorder=3)


def share_ordinate(*panels: Axes, least: tuple[float, float] = LIMITS) -> None:
    """The same limits for some panels: wide enough for everything in them, and the same in most figures.

    Parameters
    ----------
    *panels : Axes
    least : tuple of two float
        Limits unless something lies outside.
    """
    low = min(least[0], *(axes.get_ylim()[0] for axes in panels))
    high = max(least[1], *(axes.get_ylim()[1] for axes in panels))
    for axes in panels:
        axes.set_ylim(max(low, -MARGIN), min(high, 1 + MARGIN))


def legend(axes: Axes, published: bool, tasks: Sequence[int] = (1, 2)) -> None:
    """Above the axes, what the colours of the tasks mean, and the grey markers if the paper gives values."""
    handles: list[Patch | Line2D] = [Patch(color=style.task_colour(k), alpha=0.7, label=f"Task {k}") for k in tasks]
    if published:
        handles.append(Line2D([], [], ls="", marker="D", ms=2.8, color=style.PUBLISHED, mfc="white", label="paper"))
    axes.legend(handles=handles, handlelength=1.0, ncols=3, columnspacing=0.9, loc="lower right", bbox_to_anchor=(1.05, 1.0))


def note(groups: Sequence[Sequence[Trial]], points: int = CURVE_POINTS) -> str:
    """What is drawn in these panels, for the small print.

    Parameters
    ----------
    groups : sequence of sequences of Trial
        The trials of each experiment in the figure.
    points : int
        As given to :func:`curves`.
    """
    windows = [phase.window_aeons for trials in groups for phase in performance_over_aeons(trials, points)]
    low, high = min(windows), max(windows)
    parts = [
        "Performance = rewarded / (rewarded + punished) particles eaten; curves: on the task trained or tested, "
        f"in windows of {low if low == high else f'{low} to {high}'} aeon{'s' if high > 1 else ''}"
    ]
    if any(len(trials) > 1 for trials in groups):
        parts.append("shaded and error bars: ± sd over trials; dots: single trials")
    if any(published(trials[0]) for trials in groups):
        parts.append("grey diamonds: mean ± sd of the paper")
    return "; ".join([*parts, "dashed: chance."])

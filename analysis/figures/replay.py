"""Replay: what sleep reactivates, which the paper does not look at.

A, B: while sleep is interleaved with Task 2 (after Task 1) or with Task 1 (after Task 1 and Task 2), how much the hidden-to-output
activity of sleeping epochs is as in each task, in the windows of the phase in which spikes were recorded. The templates are the
last training windows of the tasks in the same trial; that of Task 2 in A is of the interleaved phase itself. 1: as alike as two
stretches of the task; dotted: what an equal mixture of two unlike tasks has in common with each of them; dashed: what the tasks
have in common; grey: 95 % of the values with permuted hidden cells. C, D: single epochs on the axis that tells the tasks' epochs
apart. The measures are those of analysis/replay.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.files.reader import RecordedPhase, Trial

from ..collection import Collection, CollectionError
from ..replay import EpochActivity, TaskScores, epoch_activity, resemblance, task_overlap, task_scores
from . import style

EXPERIMENTS = ("sleep", "sequential-sleep")
MIXTURE = np.sqrt(0.5)
SCORE_BINS = np.linspace(-3.0, 3.0, 25)  # scores beyond are counted in the outermost
NOTE = (
    "A, B: correlation of the pairs of hidden and output spikes in sleep with those in each task's last training window (in A, "
    "Task 2's is of the interleaved phase), rates of the cells removed, corrected for attenuation. 1: two stretches of one task; "
    "equal mixture: of two unlike tasks, with each; permuted: 95 % of random permutations of the hidden cells. C, D: linear "
    "discriminant of which hidden cells fire in single epochs; the awake epochs were held out."
)
SPREAD_NOTE = " Lines and bands: mean and sd over trials."


@dataclass(frozen=True)
class SleepContent:
    """What one trial's sleep replays; W windows of the interleaved phase.

    Attributes
    ----------
    aeon : (W,) float64
        Middle of each window, in aeons of the phase.
    resemblance : (2, W) float64
        To Task 1 and Task 2, corrected; NaN where it cannot be said.
    control : (n,) float64
        Those of permuted hidden cells, all windows and both tasks.
    overlap : float
        Of the templates.
    scores : TaskScores or None
    """

    aeon: np.ndarray
    resemblance: np.ndarray
    control: np.ndarray
    overlap: float
    scores: TaskScores | None


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
        Also if the spikes of some trials were not recorded.
    CollectionError
        Spikes were recorded in different epochs of the trials.
    """
    collection.require(EXPERIMENTS)
    groups = [collection.trials(name) for name in EXPERIMENTS]
    unrecorded = [group[0].experiment for group in groups if not all(t.parameters.recording.spike_window_epochs for t in group)]
    if unrecorded:
        raise collection.missing(unrecorded, "no spikes")
    figure = style.new_figure(style.FULL_WIDTH_MM, 118.0)
    panels = figure.subplots(2, len(groups), sharey="row", height_ratios=[1.3, 1.0])
    for column, group in enumerate(groups):
        _check_windows(group)
        contents = [sleep_content(trial) for trial in group]
        title = f"{style.written(group[0].label)}: sleep in {style.written(_interleaved(group[0]).name, style.LONGEST_NAME)}"
        _draw_resemblance(panels[0, column], contents, title)
        panels[0, column].set_xlim(*_limits(group[0]))
        _draw_scores(panels[1, column], [content.scores for content in contents if content.scores])
        style.panel(panels[0, column], "AB"[column])
        style.panel(panels[1, column], "CD"[column])
    panels[0, 0].set_ylabel("resemblance of sleep to a task")
    panels[1, 0].set_ylabel("density of epochs")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    several = any(len(group) > 1 for group in groups)
    style.small_print(figure, collection, EXPERIMENTS, NOTE + SPREAD_NOTE * several)
    return figure


def sleep_content(trial: Trial) -> SleepContent:
    """Compare the sleep of a trial's interleaved phase with its tasks."""
    phase = _interleaved(trial)
    windows = trial.windows(phase.index)
    templates = (_last_training(trial, 1), _last_training(trial, 2))
    asleep = [_activity(trial, phase, np.array(window)[~phase.phase.awake(window)]) for window in windows]
    pairs = [[resemblance(sleep, template) for sleep in asleep] for template in templates]
    together = _activity(trial, phase, np.concatenate([sleep.epoch for sleep in asleep]) - phase.first_epoch)
    return SleepContent(
        np.array([(window.start + window.stop) / 2 for window in windows]) / trial.parameters.timing.epochs_per_aeon,
        np.array([[pair.corrected for pair in row] for row in pairs]),
        np.concatenate([pair.control for row in pairs for pair in row]),
        task_overlap(*templates),
        task_scores(*templates, together),
    )


def _interleaved(trial: Trial) -> RecordedPhase:
    """The phase that alternates sleep and training."""
    return next(phase for phase in trial.phases if len(phase.activities) == 2 and any(a.is_sleep for a in phase.activities))


def _limits(trial: Trial) -> tuple[float, float]:
    """Of the abscissa: the interleaved phase in aeons, with some room."""
    aeons = _interleaved(trial).epochs / trial.parameters.timing.epochs_per_aeon
    return -0.03 * aeons, 1.03 * aeons


def _last_training(trial: Trial, task: int) -> EpochActivity:
    """The last window of the phase that trains a task alone, or else of the interleaved phase, without its sleep."""
    name = f"T{task}"
    phase = next((phase for phase in trial.phases if phase.name == name), None) or _interleaved(trial)
    window = trial.windows(phase.index)[-1]
    return _activity(trial, phase, np.array(window)[phase.phase.awake(window)])


def _activity(trial: Trial, phase: RecordedPhase, epochs: np.ndarray) -> EpochActivity:
    spikes = trial.spikes(phase.index)
    return epoch_activity(spikes.step, spikes.cell, epochs.astype(np.int64) + phase.first_epoch, trial.parameters)


def _check_windows(group: Sequence[Trial]) -> None:
    first = group[0]
    for trial in group:
        for phase in trial.phases:
            if trial.windows(phase.index) != first.windows(phase.index):
                raise CollectionError(f"{first.path} and {trial.path}: spikes recorded in different epochs of {phase.name}")


def _draw_resemblance(axes: Axes, contents: Sequence[SleepContent], title: str) -> None:
    control = np.concatenate([content.control for content in contents])
    overlap = np.array([content.overlap for content in contents])
    if np.isfinite(control).any():
        axes.axhspan(*np.nanquantile(control, [0.025, 0.975]), color="0.88", lw=0, label="hidden cells permuted")
    else:
        axes.text(0.5, 0.5, "too few pairs of spikes to say", ha="center", transform=axes.transAxes)
    if np.isfinite(overlap).any():
        axes.axhline(float(np.nanmean(overlap)), color="0.5", ls="--", lw=0.8, label="Task 1 and Task 2 awake")
    axes.axhline(MIXTURE, color="0.5", ls=":", lw=0.8, label="equal mixture")
    for row, (task, colour) in enumerate(style.TASK_COLOURS.items()):
        values = np.array([content.resemblance[row] for content in contents])
        look = {"marker": "o", "ms": 2.5, "color": colour, "label": f"sleep and Task {task}"}
        _mean_and_spread(axes, contents[0].aeon, values, look)
    axes.set(xlabel="aeons of the interleaved phase", ylim=(-0.15, 1.15), yticks=np.linspace(0.0, 1.0, 5))
    axes.set_title(title)


def _draw_scores(axes: Axes, scores: Sequence[TaskScores]) -> None:
    axes.set_xlabel("score of a single epoch (like Task 1: −1, like Task 2: +1)")
    if not scores:
        axes.text(0.5, 0.5, "too few epochs with spikes to say", ha="center", transform=axes.transAxes)
        return
    kinds = (("task_1", style.TASK_1, "awake, Task 1"), ("task_2", style.TASK_2, "awake, Task 2"), ("other", style.SLEEP, "asleep"))
    middle = (SCORE_BINS[1:] + SCORE_BINS[:-1]) / 2
    for field, colour, label in kinds:
        within = [np.clip(getattr(score, field), *SCORE_BINS[[0, -1]]) for score in scores]
        densities = np.array([np.histogram(values, SCORE_BINS, density=True)[0] for values in within])
        _mean_and_spread(axes, middle, densities, {"color": colour, "label": label})
    areas = np.array([score.area for score in scores])
    spread = f" ± {areas.std(ddof=1):.2f}" if len(areas) > 1 else ""
    axes.set_title(f"awake epochs told apart: area under the ROC curve {areas.mean():.2f}{spread}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _mean_and_spread(axes: Axes, x: np.ndarray, values: np.ndarray, look: dict[str, Any]) -> None:
    """Mean over trials, the rows, as a line; with several trials the sd as a band."""
    mean = values.mean(axis=0)
    axes.plot(x, mean, **look)
    if len(values) > 1:
        sd = values.std(axis=0, ddof=1)
        axes.fill_between(x, mean - sd, mean + sd, color=look["color"], alpha=0.2, lw=0)

"""The stability gap: Task 1 while Task 2 is learned, with and without sleep, by tests that leave no trace in the phase."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.files.reader import Trial

from ..collection import Collection
from ..gap import RECOVERED, Gap, first_gaps
from ..performance import over_trials
from . import style

EXPERIMENTS = ("sequential", "sleep")
FURTHER = ("interleaved",)  # drawn if they are there
TESTS_PER_PHASE = 50  # of the shortest phase, in what is proposed


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
        Also if trials were not tested during phases.
    """
    names = [*EXPERIMENTS, *(name for name in FURTHER if collection.has(name) and _are_tested(collection.trials(name)))]
    lacking = [name for name in EXPERIMENTS if not _are_tested(collection.trials(name))]
    if lacking:
        every = max(1, min(phase.epochs for name in lacking for phase in collection.trials(name)[0].phases) // TESTS_PER_PHASE)
        raise collection.missing(lacking, "no tests during phases", {"recording.test_every": every})
    groups = {name: first_gaps(collection.trials(name)) for name in names}
    per_aeon = collection.trials(names[0])[0].parameters.timing.epochs_per_aeon
    figure = style.new_figure(style.FULL_WIDTH_MM, 84.0)
    grid = figure.add_gridspec(1, 3, width_ratios=[2.0, 0.9, 0.9])
    curves, lowest, time = (figure.add_subplot(grid[0, k]) for k in range(3))
    for axes, letter in zip((curves, lowest, time), "ABC", strict=True):
        style.panel(axes, letter)
    for name, of_name in groups.items():
        _draw_curve(curves, of_name, per_aeon, style.written(collection.trials(name)[0].label))
    style.chance_line(curves)
    curves.set(xlabel="aeons of the second phase", ylabel="performance on Task 1", title="Task 1 while Task 2 is learned")
    curves.legend(loc="upper right", bbox_to_anchor=(1.0, 0.98))
    _draw_values(lowest, groups, [[gap.worst for gap in of_name] for of_name in groups.values()])
    for place, of_name in enumerate(groups.values()):
        lowest.hlines(np.mean([gap.worst_of_noise for gap in of_name]), place - 0.35, place + 0.35, color="0.4", lw=1.0, ls=":")
    style.chance_line(lowest)
    lowest.set(ylabel="lowest performance on Task 1", title="worst value")
    _draw_times(time, groups, per_aeon)
    style.small_print(figure, collection, names, _note(groups))
    return figure


def _are_tested(trials: Sequence[Trial]) -> bool:
    return all(trial.parameters.recording.test_every for trial in trials)


def _note(groups: dict[str, list[Gap]]) -> str:
    shown = [gap for of_name in groups.values() for gap in of_name]
    error = np.nanmean([gap.error.mean() for gap in shown])
    return (
        "A: tests in the phase, on copies of the network; mean, bands: sd over trials. B: lowest test of each trial; dotted: "
        f"what the errors of the tests (± {error:.3f}) alone make of performance that stays as it was. C: when it is back, "
        f"after its lowest, at {RECOVERED:.0%} of what it was at the start of the phase (0: never below); crosses: not within it."
    )


def _draw_curve(axes: Axes, of_name: Sequence[Gap], per_aeon: int, label: str) -> None:
    alike = [gap for gap in of_name if np.array_equal(gap.epoch, of_name[0].epoch)]
    spread = over_trials(np.array([gap.performance for gap in alike]))
    aeon, colour = alike[0].epoch / per_aeon, style.phase_colour(alike[0].phase)
    axes.plot(aeon, spread.mean, color=colour, lw=1.1, label=f"{label} ({len(alike)})")
    if len(alike) > 1:
        axes.fill_between(aeon, spread.mean - spread.sd, spread.mean + spread.sd, color=colour, alpha=0.2, lw=0)


def _draw_values(axes: Axes, groups: dict[str, list[Gap]], values: Sequence[Sequence[float]]) -> None:
    """A dot per trial, a line at the mean; phases along the abscissa."""
    for place, (of_name, numbers) in enumerate(zip(groups.values(), values, strict=True)):
        colour = style.phase_colour(of_name[0].phase)
        axes.plot(np.full(len(numbers), place), numbers, "o", ms=3, color=colour, alpha=0.7)
        known = [number for number in numbers if not np.isnan(number)]
        if known:
            axes.hlines(np.mean(known), place - 0.2, place + 0.2, color=colour, lw=1.6)
    axes.set_xticks(range(len(groups)), [style.written(of_name[0].phase) for of_name in groups.values()])
    axes.set_xlim(-0.6, len(groups) - 0.4)


def _draw_times(axes: Axes, groups: dict[str, list[Gap]], per_aeon: int) -> None:
    times = [[gap.recovery / per_aeon for gap in of_name] for of_name in groups.values()]
    _draw_values(axes, groups, times)
    top = max([1.0, *(time for of_name in times for time in of_name if not np.isnan(time))])
    for place, of_name in enumerate(times):
        never = sum(np.isnan(of_name))
        if never:
            axes.plot(place, 1.12 * top, "x", ms=4, color="0.3")
            axes.annotate(f"{never} of {len(of_name)}", (place, 1.12 * top), (0, 4), textcoords="offset points", ha="center")
    axes.set(ylabel="aeons until performance is back", ylim=(-0.04 * top, 1.28 * top), title="time to recover")

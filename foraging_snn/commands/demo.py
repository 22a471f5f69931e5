"""The demo: short trials side by side, a figure, and what they show: learning, forgetting, and memory with sleep.

It starts from a state after the unsupervised phase that comes with the package, and is short everywhere; it says so.
"""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from foraging_snn.analysis.results import results
from foraging_snn.commands.running import prepared, run_planned, what_is_left
from foraging_snn.commands.terminal import print_conditions, print_results
from foraging_snn.files.conditions import run_conditions
from foraging_snn.files.reader import Trial
from foraging_snn.models import engine_class, performance
from foraging_snn.protocols import experiments
from foraging_snn.running.errors import RunError
from foraging_snn.running.plan import Plan, trial_path, trial_seeds
from foraging_snn.running.scheduling import LocalWorkers
from foraging_snn.running.starting import check_start, read_start
from foraging_snn.running.stopping import StopRequest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = "demo"
START = "after-unsupervised"
TRIALS = 2
CHANCE = 0.5
CONFIDENCE = 0.95
CURVE_POINTS = 40  # of a training phase in the figure
ROW_MM, BELOW_MM = 52.0, 12.0
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Show:
    """What a demo runs: experiments of the catalogue, and the lengths that differ from the start state's parameters."""

    experiments: tuple[str, ...]
    lengths: Mapping[str, Any]


SHOWS = {
    "event": Show(
        ("sequential", "sleep"),
        {
            "phases.scale": 1.0,
            "phases.training_aeons": 3000,
            "phases.retraining_aeons": 4000,
            "phases.interleaved_aeons": 10_000,
            "phases.test_aeons": 500,
            "recording.snapshots_per_phase": 10,
        },
    ),
    "brian2": Show(
        ("task1",),
        {"phases.scale": 1.0, "phases.training_aeons": 500, "phases.test_aeons": 100, "recording.snapshots_per_phase": 10},
    ),
    "brian2-runtime": Show(
        ("task1",),
        {"phases.scale": 1.0, "phases.training_aeons": 500, "phases.test_aeons": 100, "recording.snapshots_per_phase": 10},
    ),
}


@dataclass(frozen=True)
class Share:
    """A share of rewarded particles among those eaten, with its confidence interval (Wilson)."""

    rewarded: int
    punished: int

    @property
    def value(self) -> float:
        """Rewarded / (rewarded + punished); NaN if nothing was eaten."""
        return performance(self.rewarded, self.punished)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the share, each particle counted as an independent draw; (0, 1) if nothing was eaten."""
        from scipy.stats import binomtest  # takes a second to import

        n = self.rewarded + self.punished
        if n == 0:
            return 0.0, 1.0
        low, high = binomtest(self.rewarded, n).proportion_ci(CONFIDENCE, method="wilson")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({CONFIDENCE:.0%} interval {low:.3f} to {high:.3f}, {self.rewarded + self.punished} particles)"


def pooled(trials: Sequence[Trial], after: str, task: int) -> Share:
    """Share of rewarded particles in the test of a task that followed the phase `after`, over trials together."""
    results = [test for trial in trials for test in trial.test_results() if (test.after, test.task) == (after, task)]
    return Share(sum(test.rewarded for test in results), sum(test.punished for test in results))


@dataclass(frozen=True)
class Claim:
    """Something the demo sets out to show, and the shares that decide it."""

    text: str
    shown: bool
    shares: tuple[tuple[str, Share], ...]


def claims(trials: Mapping[str, Sequence[Trial]]) -> list[Claim]:
    """What the trials show.

    Parameters
    ----------
    trials : mapping from the name of an experiment to its trials

    Returns
    -------
    list of Claim
        Learning: after T1 the interval of Task 1 lies above chance in every trial. With the experiments "sequential" and
        "sleep", also forgetting: Task 1 is worse after T2 than after T1; and memory: after I(S,T2) it is better than after T2,
        and Task 2 lies above chance. "Worse" and "better" mean that the intervals of the pooled trials do not overlap.
    """
    first = trials[next(iter(trials))]
    learned = [(f"Task 1 after T1, trial {k + 1}", pooled([trial], "T1", 1)) for k, trial in enumerate(first)]
    found = [Claim("learns", all(share.interval[0] > CHANCE for _, share in learned), tuple(learned))]
    if {"sequential", "sleep"} <= set(trials):
        before, forgotten = pooled(first, "T1", 1), pooled(trials["sequential"], "T2", 1)
        kept, new = (pooled(trials["sleep"], "I(S,T2)", task) for task in (1, 2))
        found.append(
            Claim(
                "forgets Task 1 when Task 2 is trained after it",
                forgotten.interval[1] < before.interval[0],
                (("Task 1 after T1", before), ("Task 1 after T2", forgotten)),
            )
        )
        found.append(
            Claim(
                "keeps Task 1 and learns Task 2 when sleep is interleaved",
                kept.interval[0] > forgotten.interval[1] and new.interval[0] > CHANCE,
                (("Task 1 after I(S,T2)", kept), ("Task 2 after I(S,T2)", new)),
            )
        )
    return found


def demo_plan(
    out: Path,
    seed: int,
    engine_name: str,
    command_line: str,
    start_name: str = START,
    changes: Mapping[str, Any] | None = None,
) -> Plan:
    """What a demo runs.

    Parameters
    ----------
    out : Path
        Folder.
    seed : int
        Of the first trial.
    engine_name : str
        The event engine shows learning, forgetting and memory; the others, being slow, learning only.
    command_line : str
        For the provenance.
    start_name : str
        The state to start from; its parameters are taken.
    changes : mapping, optional
        Lengths that differ from those; those of the engine's `Show` if omitted.
    """
    engine_class(engine_name)
    show, start = SHOWS[engine_name], read_start(start_name)
    parameters = start.parameters.with_changes(show.lengths if changes is None else changes)
    check_start(start, parameters, start_name)
    catalogue = experiments(parameters)
    rows = tuple(catalogue[name] for name in show.experiments)
    return Plan(rows, parameters, out, trial_seeds(seed, TRIALS), engine_name, command_line, start)


def run_demo(plan: Plan, jobs: int) -> bool:
    """Run the demo, print its table, save its figure and files.

    Parameters
    ----------
    plan : Plan
    jobs : int
        Trials at the same time.

    Returns
    -------
    bool
        Whether everything was shown.

    Raises
    ------
    RunError
        There is not enough room for the files, one of them exists already, or a trial fails.
    Interrupted
        Ctrl-C, SIGTERM or SIGHUP; the message says what is left of the files.
    """
    planned, figure = plan.trials(), plan.directory / f"{NAME}.png"
    with LocalWorkers(jobs) as workers, prepared(planned, plan.directory, jobs, resume=False, also_written=[figure]) as to_do:
        if os.path.lexists(figure):
            raise RunError(f"{figure}: exists already and is not overwritten")
        conditions = run_conditions(plan.parameters, plan.phases, str(plan.start))
        conditions += (f"{TRIALS} trials, engine {plan.engine}; the paper has at least 10",)
        typer.echo("A spiking network forages: " + "; ".join(experiment.label for experiment in plan.experiments))
        print_conditions(conditions)
        if run_planned(planned, to_do, workers, plan.directory, StopRequest(), ""):
            raise RunError(f"demo: not all of its trials came to their end; {what_is_left(plan.all_paths)}")
        typer.echo()
        trials = {row.name: [Trial(trial_path(plan.directory, row.name, seed)) for seed in plan.seeds] for row in plan.experiments}
        found = results([trial for group in trials.values() for trial in group])
        print_results(replace(found, comparisons=()))  # two trials do not tell; the claims below count particles
        save_figure(figure, trials, conditions)
        for path in (*sorted(plan.all_paths), figure):
            typer.echo(path)
        return _verdict(claims(trials))


def _verdict(found: Sequence[Claim]) -> bool:
    for claim in found:
        typer.echo(f"\nThe network {claim.text}: {'shown' if claim.shown else 'NOT shown'}")
        for label, share in claim.shares:
            typer.echo(f"  {label}: {share}")
    return all(claim.shown for claim in found)


def save_figure(path: Path, trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> None:
    """Performance over aeons of training, and in the tests, beside chance; conditions in small print below."""
    from foraging_snn.analysis.figures import style  # Matplotlib takes a second to import

    picture = io.BytesIO()  # drawn before the file is begun, so that an interrupted demo leaves no half of it
    with style.applied():
        _figure(trials, conditions).savefig(picture, dpi=DOTS_PER_INCH)
    path.write_bytes(picture.getvalue())


def _figure(trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> "Figure":
    from foraging_snn.analysis.figures import style

    n = len(trials)
    figure = style.new_figure(style.FULL_WIDTH_MM, BELOW_MM + ROW_MM * n)
    rows = figure.subplots(n, 2, sharey=True, squeeze=False, width_ratios=(2, 1))
    for (left, right), group in zip(rows, trials.values(), strict=True):
        _plot_training(left, group)
        _plot_tests(right, group)
        left.set_title(style.written(group[0].label), loc="left")
        right.set_title("tests", loc="left")
        for axes in (left, right):
            style.chance_line(axes)
    rows[0][0].legend(loc="lower right", ncols=2)
    explanation = (
        "Performance = rewarded / (rewarded + punished) particles eaten. Left: mean of the trials (thin: single ones), up to "
        f"{CURVE_POINTS} bins a phase. Right: trials pooled, with {CONFIDENCE:.0%} interval (circles: single ones), as bars from "
        "chance (dashed)."
    )
    style.print_below(figure, explanation, ", ".join(conditions))
    return figure


def _plot_training(axes: "Axes", trials: Sequence[Trial]) -> None:
    """Performance on the task that is trained, over the training phases one after the other."""
    from foraging_snn.analysis.figures import style

    start = 0
    for phase in trials[0].phases:
        tasks = {activity.trained_task.number for activity in phase.activities if activity.trained_task}
        if not tasks:
            continue
        aeons = phase.epochs // trials[0].parameters.timing.epochs_per_aeon
        for task in sorted(tasks):
            colour = style.TASK_COLOURS[task]
            curves = [trial.performance_curve(phase.index, max(1, aeons // CURVE_POINTS), task) for trial in trials]
            for curve in curves:
                axes.plot(start + curve.aeon, curve.performance, color=colour, lw=0.5, alpha=0.45)
            mean = np.mean([curve.performance for curve in curves], axis=0)
            label = f"Task {task}" if start == 0 or f"Task {task}" not in axes.get_legend_handles_labels()[1] else None
            axes.plot(start + curves[0].aeon, mean, color=colour, lw=1.5, label=label)
        axes.text(start + aeons / 2, 0.86, phase.name, ha="center", weight="bold")
        start += aeons
        axes.axvline(start, color="0.85", lw=0.8, zorder=0)
    axes.set(xlabel="aeons of training", ylabel="performance", ylim=(0.35, 0.92), xlim=(0, start))


def _plot_tests(axes: "Axes", trials: Sequence[Trial]) -> None:
    from foraging_snn.analysis.figures import style

    phases = list(dict.fromkeys(test.after for test in trials[0].test_results()))
    for x, after in enumerate(phases):
        for task, colour in style.TASK_COLOURS.items():
            at = x + (task - 1.5) * 0.3
            share = pooled(trials, after, task)
            low, high = share.interval
            axes.bar(at, share.value - CHANCE, 0.26, bottom=CHANCE, color=colour, alpha=0.35)
            axes.errorbar(at, share.value, [[share.value - low], [high - share.value]], fmt="none", ecolor=colour, lw=1, capsize=2)
            for trial in trials:
                axes.plot(at, pooled([trial], after, task).value, "o", ms=3, mfc="none", mew=0.7, color=colour)
    axes.set_xticks(range(len(phases)), [f"after {after}" for after in phases])

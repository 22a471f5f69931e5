"""The demo: short trials side by side, a figure, and what they show: learning, forgetting, and memory with sleep.

It starts from a state after the unsupervised phase that comes with the package, and is short everywhere; it says so.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from foraging_snn.analysis.results import results
from foraging_snn.conditions import run_conditions
from foraging_snn.models import Engine, EpochRecords, Parameters, engine_class, performance
from foraging_snn.progress import Board, duration
from foraging_snn.protocols import Experiment, experiments
from foraging_snn.recording import Trial
from foraging_snn.running import (
    Listener,
    check_start,
    phases_to_run,
    prepare_output,
    read_start,
    run_trial,
    trial_path,
    trial_seeds,
)
from foraging_snn.states import SavedState
from foraging_snn.terminal import print_conditions, print_results, ready_engines, saying_what_is_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "demo"
START = "after-unsupervised"
TRIALS = 2
CHANCE = 0.5
CONFIDENCE = 0.95
CURVE_POINTS = 40  # of a training phase in the figure


@dataclass(frozen=True)
class Show:
    """What a demo runs: experiments of the catalogue, and the lengths that differ from the start state's parameters."""

    experiments: tuple[str, ...]
    lengths: Mapping[str, Any]
    side_by_side: bool = True  # the engine computes outside Python's lock, so trials can share the process


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
        side_by_side=False,
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


@dataclass(frozen=True)
class _Plan:
    """What is run, and into which files."""

    experiments: Sequence[Experiment]
    parameters: Parameters
    start: SavedState
    seeds: Sequence[int]
    out: Path
    command_line: str

    @property
    def runs(self) -> list[tuple[Experiment, int, Path]]:
        """Experiment, number of the trial and file of every run, the longest first."""
        longest_first = sorted(self.experiments, key=lambda experiment: -self.epochs(experiment))
        return [(e, k, trial_path(self.out, e.name, seed)) for e in longest_first for k, seed in enumerate(self.seeds)]

    @property
    def figure(self) -> Path:
        """File of the figure."""
        return self.out / f"{NAME}.png"

    def epochs(self, experiment: Experiment) -> int:
        """Length of a trial."""
        return sum(phase.epochs for phase in phases_to_run(experiment, started=True))

    def trials(self) -> dict[str, list[Trial]]:
        """The finished trials of every experiment."""
        return {e.name: [Trial(trial_path(self.out, e.name, seed)) for seed in self.seeds] for e in self.experiments}


def _plan(out: Path, seed: int, command_line: str, start_name: str, names: Sequence[str], changes: Mapping[str, Any]) -> _Plan:
    start = read_start(start_name)
    parameters = start.parameters.with_changes(changes)
    check_start(start, parameters, start_name)
    catalogue = experiments(parameters)
    return _Plan([catalogue[name] for name in names], parameters, start, trial_seeds(seed, TRIALS), out, command_line)


def run_demo(
    out: Path,
    *,
    engine_name: str,
    seed: int,
    command_line: str,
    start_name: str = START,
    changes: Mapping[str, Any] | None = None,
) -> bool:
    """Run the demo, print its table, save its figure and files in `out`.

    Parameters
    ----------
    out : Path
        Folder; files of an earlier demo in it are not overwritten.
    engine_name : str
        The event engine shows learning, forgetting and memory; the others, being slow, learning only.
    seed : int
        Of the first trial.
    start_name : str
        The state to start from; its parameters are taken.
    changes : mapping, optional
        Lengths that differ from those; those of the engine's `Show` if omitted.

    Returns
    -------
    bool
        Whether everything was shown.
    """
    engine_class(engine_name)
    show = SHOWS[engine_name]
    plan = _plan(out, seed, command_line, start_name, show.experiments, show.lengths if changes is None else changes)
    prepare_output([*(path for _, _, path in plan.runs), plan.figure])
    phases = list(dict.fromkeys(phase for e in plan.experiments for phase in phases_to_run(e, started=True)))
    conditions = run_conditions(plan.parameters, phases, str(plan.start))
    conditions += (f"{TRIALS} trials, engine {engine_name}; the paper has at least 10",)
    typer.echo("A spiking network forages: " + "; ".join(experiment.label for experiment in plan.experiments))
    print_conditions(conditions)
    began = time.monotonic()
    _run_trials(plan, engine_name, show.side_by_side)
    typer.echo(f"done in {duration(time.monotonic() - began)}\n")
    trials = plan.trials()
    found = results([trial for group in trials.values() for trial in group])
    print_results(replace(found, comparisons=()))  # two trials do not tell; the claims below count particles
    save_figure(plan.figure, trials, conditions)
    for path in (*sorted(path for _, _, path in plan.runs), plan.figure):
        typer.echo(path)
    return _verdict(claims(trials))


def _run_trials(plan: _Plan, engine_name: str, side_by_side: bool) -> None:
    n_engines = TRIALS if side_by_side else 1
    stop = threading.Event()
    with (
        ready_engines(engine_name, plan.parameters, n_engines) as engines,
        saying_what_is_left([path for _, _, path in plan.runs]),
        Board(plan.parameters.timing.epochs_per_aeon) as board,
    ):
        free: SimpleQueue[Engine] = SimpleQueue()
        for engine in engines:
            free.put(engine)
        jobs = []
        for experiment, k, path in plan.runs:
            bar = board.trial(f"{experiment.label}, trial {k + 1}", plan.epochs(experiment))
            jobs.append(partial(_run_with_free_engine, free, plan, experiment, k, path, _Stoppable(bar, stop)))
        _run_together(jobs, n_engines, stop)


def _run_with_free_engine(
    free: "SimpleQueue[Engine]", plan: _Plan, experiment: Experiment, k: int, path: Path, progress: Listener
) -> None:
    engine = free.get()
    try:
        run_trial(
            experiment,
            plan.parameters,
            seed=plan.seeds[k],
            trial=k,
            engine=engine,
            path=path,
            command_line=plan.command_line,
            start=plan.start,
            progress=progress,
        )
    finally:
        free.put(engine)


def _verdict(found: Sequence[Claim]) -> bool:
    for claim in found:
        typer.echo(f"\nThe network {claim.text}: {'shown' if claim.shown else 'NOT shown'}")
        for label, share in claim.shares:
            typer.echo(f"  {label}: {share}")
    return all(claim.shown for claim in found)


class _Stoppable(Listener):
    """Hands on to a listener until it is told to stop; then it ends its thread."""

    def __init__(self, listener: Listener, stop: threading.Event):
        self.listener = listener
        self.stop = stop
        self.begin = listener.begin

    def epochs(self, records: EpochRecords) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.listener.epochs(records)


def _run_together(jobs: Sequence[Callable[[], object]], n_threads: int, stop: threading.Event) -> None:
    """Run the jobs in threads; if one fails, `stop` the others."""
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.result()
        except BaseException:  # also Ctrl-C
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def save_figure(path: Path, trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> None:
    """Performance over aeons of training, and in the tests, beside chance; conditions in small print below."""
    from matplotlib.figure import Figure  # takes a second to import

    n = len(trials)
    figure = Figure(figsize=(9.0, 1.2 + 2.5 * n), layout="constrained")
    rows = figure.subplots(n, 2, sharey=True, squeeze=False, width_ratios=(2, 1))
    for (left, right), group in zip(rows, trials.values(), strict=True):
        _plot_training(left, group)
        _plot_tests(right, group)
        left.set_title(group[0].label, loc="left", fontsize=10)
        right.set_title("tests", loc="left", fontsize=10)
        for axes in (left, right):
            axes.axhline(CHANCE, color="0.6", ls="--", lw=1, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
    rows[0][0].legend(frameon=False, fontsize=8, loc="lower right", ncols=2)
    rows[-1][0].set_xlabel("aeons of training")
    small = [
        *conditions,
        f"performance = rewarded / (rewarded + punished) particles; left: mean of the trials (thin: single ones), up to "
        f"{CURVE_POINTS} bins a phase;",
        f"right: trials pooled with {CONFIDENCE:.0%} interval (circles: single ones), bars from chance (dashed)",
    ]
    figure.supxlabel("\n".join(small), fontsize=6, color="0.35", ha="left", x=0.01)
    figure.savefig(path, dpi=150)


TASK_COLOURS = {1: "C0", 2: "C3"}


def _plot_training(axes: "Axes", trials: Sequence[Trial]) -> None:
    """Performance on the task that is trained, over the training phases one after the other."""
    start = 0
    for phase in trials[0].phases:
        tasks = {activity.trained_task.number for activity in phase.activities if activity.trained_task}
        if not tasks:
            continue
        aeons = phase.epochs // trials[0].parameters.timing.epochs_per_aeon
        for task in sorted(tasks):
            curves = [trial.performance_curve(phase.index, max(1, aeons // CURVE_POINTS), task) for trial in trials]
            for curve in curves:
                axes.plot(start + curve.aeon, curve.performance, color=TASK_COLOURS[task], lw=0.7, alpha=0.45)
            mean = np.mean([curve.performance for curve in curves], axis=0)
            label = f"Task {task}" if start == 0 or f"Task {task}" not in axes.get_legend_handles_labels()[1] else None
            axes.plot(start + curves[0].aeon, mean, color=TASK_COLOURS[task], lw=2, label=label)
        axes.text(start + aeons / 2, 0.86, phase.name, ha="center", fontsize=9)
        start += aeons
        axes.axvline(start, color="0.85", lw=1, zorder=0)
    axes.set(ylabel="performance", ylim=(0.35, 0.92), xlim=(0, start))


def _plot_tests(axes: "Axes", trials: Sequence[Trial]) -> None:
    phases = list(dict.fromkeys(test.after for test in trials[0].test_results()))
    for x, after in enumerate(phases):
        for task, colour in TASK_COLOURS.items():
            at = x + (task - 1.5) * 0.3
            share = pooled(trials, after, task)
            low, high = share.interval
            axes.bar(at, share.value - CHANCE, 0.26, bottom=CHANCE, color=colour, alpha=0.35)
            axes.errorbar(at, share.value, [[share.value - low], [high - share.value]], fmt="none", ecolor=colour, capsize=3)
            for trial in trials:
                axes.plot(at, pooled([trial], after, task).value, "o", ms=4, mfc="none", color=colour)
    axes.set_xticks(range(len(phases)), [f"after {after}" for after in phases])

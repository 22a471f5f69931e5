"""The demo: two short trials that learn Task 1, side by side, a figure, and whether learning was shown.

It starts from a state after the unsupervised phase that comes with the package, and is short everywhere; it says so.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from foraging_snn.models import Engine, EpochRecords, Parameters, Phase, engine_class, performance
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
from foraging_snn.tables import result_tables, run_conditions
from foraging_snn.terminal import print_conditions, print_results, ready_engines, saying_what_is_left

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "demo"
START = "after-unsupervised"
TRIALS = 2
SIDE_BY_SIDE = "brian2"  # the engine that can run them so: it computes in a process of its own
LENGTHS = {"phases.scale": 1.0, "phases.training_aeons": 500, "phases.test_aeons": 100, "recording.snapshots_per_phase": 10}
BEFORE, AFTER, OTHER = "Task 1\nbefore", "Task 1\nafter", "Task 2\nafter"
TRAINING = 1  # number of the phase in the files
TESTS = {BEFORE: 0, AFTER: 2, OTHER: 3}
CHANCE = 0.5
CONFIDENCE = 0.95
BIN_AEONS = 25  # of the curve in the figure


def demo_experiment(parameters: Parameters) -> Experiment:
    """Task 1 tested, trained, and both tasks tested; the phases are those of the experiment task1."""
    task1 = experiments(parameters)["task1"]
    unsupervised, training, test_1, test_2 = task1.steps
    return Experiment(NAME, "test, T1, test", task1.figure, (unsupervised, test_1, training, test_1, test_2))


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
        n = self.rewarded + self.punished
        if n == 0:
            return 0.0, 1.0
        z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
        centre = (self.value + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.value * (1 - self.value) / n + z * z / (4 * n * n))
        return centre - half, centre + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({CONFIDENCE:.0%} interval {low:.3f} to {high:.3f}, {self.rewarded + self.punished} particles)"


def pooled(trials: Sequence[Trial], phase_index: int) -> Share:
    """Share of rewarded particles in a phase, over trials together."""
    counts = [trial.counts(phase_index).counts for trial in trials]
    return Share(*(int(sum(count[name].sum() for count in counts)) for name in ("rewarded", "punished")))


def learning_shown(after: Sequence[Share]) -> bool:
    """Performance after training is above chance: in every trial the whole interval lies above 0.5."""
    return all(share.interval[0] > CHANCE for share in after)


@dataclass(frozen=True)
class _Plan:
    """What is run, and into which files."""

    experiment: Experiment
    parameters: Parameters
    start: SavedState
    seeds: Sequence[int]
    paths: Sequence[Path]
    figure: Path
    command_line: str

    @property
    def phases(self) -> list[Phase]:
        """The phases of one trial."""
        return phases_to_run(self.experiment, started=True)

    def job(self, k: int, engine: Engine, progress: Listener) -> Callable[[], object]:
        """Runs trial k."""
        return partial(
            run_trial,
            self.experiment,
            self.parameters,
            seed=self.seeds[k],
            trial=k,
            engine=engine,
            path=self.paths[k],
            command_line=self.command_line,
            start=self.start,
            progress=progress,
        )


def _plan(out: Path, seed: int, command_line: str, start_name: str, changes: Mapping[str, Any]) -> _Plan:
    start = read_start(start_name)
    parameters = start.parameters.with_changes(changes)
    check_start(start, parameters, start_name)
    seeds = trial_seeds(seed, TRIALS)
    paths = [trial_path(out, NAME, trial_seed) for trial_seed in seeds]
    return _Plan(demo_experiment(parameters), parameters, start, seeds, paths, out / f"{NAME}.png", command_line)


def run_demo(
    out: Path,
    *,
    engine_name: str,
    seed: int,
    command_line: str,
    start_name: str = START,
    changes: Mapping[str, Any] = LENGTHS,
) -> bool:
    """Run the demo, print its table, save its figure and files in `out`.

    Parameters
    ----------
    out : Path
        Folder; files of an earlier demo in it are not overwritten.
    seed : int
        Of the first trial.
    start_name : str
        The state to start from; its parameters are taken.
    changes : mapping
        Lengths that differ from those.

    Returns
    -------
    bool
        Whether learning was shown.
    """
    engine_class(engine_name)
    plan = _plan(out, seed, command_line, start_name, changes)
    prepare_output([*plan.paths, plan.figure])
    conditions = run_conditions(plan.parameters, plan.phases, str(plan.start))
    conditions += (f"{TRIALS} trials, engine {engine_name}; the paper has at least 10",)
    typer.echo("A spiking network learns Task 1: horizontal particles are rewarded, negative diagonal ones punished.")
    print_conditions(conditions)
    began = time.monotonic()
    _run_trials(plan, engine_name)
    trials = [Trial(path) for path in plan.paths]
    typer.echo(f"done in {duration(time.monotonic() - began)}\n")
    print_results(result_tables(trials))
    save_figure(plan.figure, trials, conditions)
    for path in (*plan.paths, plan.figure):
        typer.echo(path)
    return _verdict(trials)


def _run_trials(plan: _Plan, engine_name: str) -> None:
    n_engines = TRIALS if engine_name == SIDE_BY_SIDE else 1
    epochs = sum(phase.epochs for phase in plan.phases)
    stop = threading.Event()
    with (
        ready_engines(engine_name, plan.parameters, n_engines) as engines,
        saying_what_is_left(plan.paths),
        Board(plan.parameters.timing.epochs_per_aeon) as board,
    ):
        listeners = [_Stoppable(board.trial(f"trial {k + 1}/{TRIALS}", epochs), stop) for k in range(TRIALS)]
        _run_together([plan.job(k, engines[k % n_engines], listeners[k]) for k in range(TRIALS)], n_engines, stop)


def _verdict(trials: Sequence[Trial]) -> bool:
    after = [pooled([trial], TESTS[AFTER]) for trial in trials]
    typer.echo(f"\nTask 1 before training, both trials: {pooled(trials, TESTS[BEFORE])}")
    for k, share in enumerate(after):
        typer.echo(f"Task 1 after training, trial {k + 1}:      {share}")
    shown = learning_shown(after)
    if shown:
        typer.echo(f"Learning was shown: after training the whole interval lies above chance, {CHANCE}, in every trial.")
    else:
        typer.echo(f"Learning was NOT shown: after training the interval does not lie above chance, {CHANCE}, in every trial.")
    return shown


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
    """Run the jobs in threads ; if one fails, `stop` the others."""
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


def save_figure(path: Path, trials: Sequence[Trial], conditions: Sequence[str]) -> None:
    """Performance over aeons of training, and in the tests, beside chance; conditions in small print below."""
    from matplotlib.figure import Figure  # takes a second to import

    figure = Figure(figsize=(8.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    _plot_training(left, trials)
    _plot_tests(right, trials)
    for axes in (left, right):
        axes.axhline(CHANCE, color="0.6", ls="--", zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    small = [
        *conditions,
        f"performance = rewarded / (rewarded + punished); bins of {BIN_AEONS} aeons; squares: trials pooled, "
        f"{CONFIDENCE:.0%} interval; circles: single trials",
    ]
    figure.supxlabel("\n".join(small), fontsize=6, color="0.35", ha="left", x=0.01)
    figure.savefig(path, dpi=150)


def _plot_training(axes: "Axes", trials: Sequence[Trial]) -> None:
    curves = [trial.performance_curve(TRAINING, window_aeons=BIN_AEONS) for trial in trials]
    for k, curve in enumerate(curves):
        axes.plot(curve.aeon, curve.performance, lw=1, alpha=0.7, label=f"trial {k + 1}")
    axes.plot(curves[0].aeon, np.mean([curve.performance for curve in curves], axis=0), "k", lw=2, label="mean")
    axes.text(curves[0].aeon[-1], CHANCE, "chance", color="0.4", va="bottom", ha="right", fontsize=8)
    axes.set(xlabel="aeons of training on Task 1", ylabel="performance", title="training")
    axes.legend(frameon=False, fontsize=8)


def _plot_tests(axes: "Axes", trials: Sequence[Trial]) -> None:
    for x, phase in enumerate(TESTS.values()):
        share = pooled(trials, phase)
        low, high = share.interval
        axes.errorbar(x, share.value, [[share.value - low], [high - share.value]], fmt="ks", capsize=4)
        for k, trial in enumerate(trials):
            axes.plot(x + 0.12 * (k + 1), pooled([trial], phase).value, "o", mfc="none", color=f"C{k}")
    axes.set_xticks(range(len(TESTS)), TESTS)
    axes.set(title="tests", xlim=(-0.5, len(TESTS) - 0.3))

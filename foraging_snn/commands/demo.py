"""The demo: short trials side by side, a figure, and what they show: learning, forgetting, and memory with sleep.

It starts from a state after the unsupervised phase that comes with the package, and is short everywhere; it says so.
"""

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import typer

from foraging_snn.analysis.effects import Effect, effects, proportion
from foraging_snn.analysis.results import results
from foraging_snn.commands.progress import Board, duration
from foraging_snn.commands.terminal import add_row, new_table, print_conditions, print_table, ready_engines, saying_what_is_left
from foraging_snn.files.conditions import run_conditions
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.models import Engine, EpochRecords, Parameters, Phase, engine_class
from foraging_snn.protocols import Experiment, experiments
from foraging_snn.running.disk import check_space
from foraging_snn.running.starting import check_start, read_start
from foraging_snn.running.stopping import StopRequest
from foraging_snn.running.trial import (
    phases_to_run,
    prepare_output,
    recorded_phases,
    run_trial,
    trial_path,
    trial_seeds,
)
from foraging_snn.running.trunk import Listener

NAME = "demo"
START = "after-unsupervised"
TRIALS = 2
DOTS_PER_INCH = 200


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
    def contents(self) -> dict[Path, tuple[Phase, ...]]:
        """The phases in each file of a trial."""
        return {path: recorded_phases(experiment, started=True) for experiment, _, path in self.runs}

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

    Raises
    ------
    RunError
        There is not enough room for the files, one of them exists already, or a trial fails.
    Interrupted
        Ctrl-C, SIGTERM or SIGHUP; the message says what is left of the files.
    """
    engine_class(engine_name)
    show = SHOWS[engine_name]
    plan = _plan(out, seed, command_line, start_name, show.experiments, show.lengths if changes is None else changes)
    check_space(out, [(plan.contents, plan.parameters)], jobs=0)  # there are no checkpoints
    files = list(plan.contents)
    prepare_output([*files, plan.figure])
    request = StopRequest()
    with request.listening(asked=_interrupt), saying_what_is_left(files, request):
        return _show(plan, engine_name, show.side_by_side)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _show(plan: _Plan, engine_name: str, side_by_side: bool) -> bool:
    phases = list(dict.fromkeys(phase for e in plan.experiments for phase in phases_to_run(e, started=True)))
    conditions = run_conditions(plan.parameters, phases, str(plan.start))
    conditions += (f"{TRIALS} trials, engine {engine_name}; the paper has at least 10",)
    typer.echo("A spiking network forages: " + "; ".join(experiment.label for experiment in plan.experiments))
    print_conditions(conditions)
    began = time.monotonic()
    _run_trials(plan, engine_name, side_by_side)
    typer.echo(f"done in {duration(time.monotonic() - began)}\n")
    trials = plan.trials()
    _print_tests(trials)
    save_figure(plan.figure, trials, conditions)
    for path in (*sorted(plan.contents), plan.figure):
        typer.echo(path)
    return _print_effects(effects(trials))


def _run_trials(plan: _Plan, engine_name: str, side_by_side: bool) -> None:
    n_engines = TRIALS if side_by_side else 1
    stop = threading.Event()
    with (
        ready_engines(engine_name, plan.parameters, n_engines) as engines,
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
    free: "SimpleQueue[Engine]", plan: _Plan, experiment: Experiment, k: int, path: Path, progress: "_Stoppable"
) -> None:
    engine = free.get()
    try:
        progress.check()
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


def _print_tests(trials: Mapping[str, Sequence[Trial]]) -> None:
    """Performance in every test of every trial with the interval of that test; nothing over trials, of which there are too few."""
    for group in trials.values():
        (experiment,) = results(group).experiments
        typer.echo(f"{experiment.experiment}: {experiment.label}")
        table = new_table("after", "test", *(f"trial {k} (seed {seed})" for k, seed in enumerate(experiment.seeds, 1)), "paper")
        for row in experiment.rows:
            measured = [proportion(trial, row.after, row.task) for trial in group]
            add_row(table, row.after, f"Task {row.task}", *measured, row.published or "")
        print_table(table)
        typer.echo()
    typer.echo(
        "Performance, rewarded / (rewarded + punished) particles, of each trial, and the 95 % interval of its test (Wilson, each\n"
        f"particle a draw): how exactly that network was measured. How networks differ, {TRIALS} trials do not tell."
    )


def _print_effects(found: Sequence[Effect]) -> bool:
    """Say what every trial shows, and by which of the numbers in the table; whether all that was to be shown is."""
    for effect in found:
        typer.echo(f"\nThe network {effect.text}: {'shown in every trial' if effect.shown else 'NOT shown in every trial'}")
        for test in effect.tests:
            typer.echo(f"  {test}")
    return all(effect.shown for effect in found)


class _Stoppable(Listener):
    """Hands on to a listener until it is told to stop; then it ends its thread."""

    def __init__(self, listener: Listener, stop: threading.Event):
        self.listener = listener
        self.stop = stop
        self.begin = listener.begin

    def check(self) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt

    def epochs(self, records: EpochRecords) -> None:
        self.check()
        self.listener.epochs(records)


def _run_together(jobs: Sequence[Callable[[], object]], n_threads: int, stop: threading.Event) -> None:
    """Run the jobs in threads; if one fails, `stop` the others."""
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:  # also Ctrl-C
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def save_figure(path: Path, trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> None:
    """Performance over aeons of training, and in the tests of every trial, beside chance; conditions in small print below."""
    from foraging_snn.analysis.figures import demo_overview, style  # Matplotlib takes a second to import

    picture = io.BytesIO()  # drawn before the file is begun, so that an interrupted demo leaves no half of it
    with style.applied():
        demo_overview.draw(trials, conditions).savefig(picture, dpi=DOTS_PER_INCH)
    path.write_bytes(picture.getvalue())

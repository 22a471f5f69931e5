"""The demo: short trials side by side, a figure, and what they show: learning, forgetting, and memory with sleep.

It starts from a state after the unsupervised phase that comes with the package, and is short everywhere; it says so.
"""

import io
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from foraging_snn.analysis.effects import Effect, effects, proportion
from foraging_snn.analysis.results import results
from foraging_snn.commands.entry import PROGRAM
from foraging_snn.commands.running import prepared, run_planned, what_is_left
from foraging_snn.commands.terminal import add_row, new_table, print_conditions, print_table
from foraging_snn.files.conditions import run_conditions
from foraging_snn.files.reader import Trial
from foraging_snn.models import engine_class
from foraging_snn.protocols import experiments
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import TEST_SEED
from foraging_snn.running.plan import Plan, trial_path, trial_seeds
from foraging_snn.running.scheduling import LocalWorkers
from foraging_snn.running.starting import check_start, read_start
from foraging_snn.running.stopping import StopRequest

NAME = "demo"
START = "after-unsupervised"
TRIALS = 2
MAP_GRID, MAP_EPOCHS = 7, 5000  # of its landscape: points along each axis, epochs of a test, for a standard error of 0.02
DOTS_PER_INCH = 200


@dataclass(frozen=True)
class DemoRuns:
    """What a demo runs: experiments of the catalogue, and the lengths that differ from the start state's parameters."""

    experiments: tuple[str, ...]
    lengths: Mapping[str, Any]


DEMO_RUNS = {
    "event": DemoRuns(
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
    "brian2": DemoRuns(
        ("task1",),
        {"phases.scale": 1.0, "phases.training_aeons": 500, "phases.test_aeons": 100, "recording.snapshots_per_phase": 10},
    ),
    "brian2-runtime": DemoRuns(
        ("task1",),
        {"phases.scale": 1.0, "phases.training_aeons": 500, "phases.test_aeons": 100, "recording.snapshots_per_phase": 10},
    ),
}


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
        Lengths that differ from those; those of the engine's `DemoRuns` if omitted.
    """
    engine_class(engine_name)
    runs, start = DEMO_RUNS[engine_name], read_start(start_name)
    parameters = start.parameters.with_changes(runs.lengths if changes is None else changes)
    check_start(start, parameters, start_name)
    catalogue = experiments(parameters)
    rows = tuple(catalogue[name] for name in runs.experiments)
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
    written = [figure, *landscape_files(plan)]
    locked = list({path.stem: path for path in written}.values())  # a landscape and its figure have one lock
    with LocalWorkers(jobs) as workers, prepared(planned, plan.directory, jobs, resume=False, also_written=locked) as to_do:
        if there := [path for path in written if os.path.lexists(path)]:
            raise RunError(f"{there[0]}: exists already and is not overwritten")
        conditions = run_conditions(plan.parameters, plan.phases, str(plan.start))
        conditions += (f"{TRIALS} trials, engine {plan.engine}; the paper has at least 10",)
        typer.echo("A spiking network forages: " + "; ".join(experiment.label for experiment in plan.experiments))
        print_conditions(conditions)
        if run_planned(planned, to_do, workers, plan.directory, StopRequest(), ""):
            raise RunError(f"demo: not all of its trials came to their end; {what_is_left(plan.all_paths)}")
        typer.echo()
        trials = {row.name: [Trial(trial_path(plan.directory, row.name, seed)) for seed in plan.seeds] for row in plan.experiments}
        _print_tests(trials)
        save_figure(figure, trials, conditions)
        for path in (*sorted(plan.all_paths), figure):
            typer.echo(path)
        return _print_effects(effects(trials))


def landscape_files(plan: Plan) -> list[Path]:
    """What :func:`map_demo` leaves: a landscape and its figure; nothing if the demo has one experiment, which spans no plane."""
    return [plan.directory / f"landscape.{ending}" for ending in ("h5", "png")] if len(plan.experiments) > 1 else []


def map_demo(plan: Plan, jobs: int) -> None:
    """Map performance on the plane through the states of the demo's first trial: a landscape with few points and short tests.

    Raises
    ------
    RunError
        A test failed.
    Interrupted
        The message names the command that goes on.
    """
    if not (files := landscape_files(plan)):
        return
    from foraging_snn.commands.landscape import LandscapeRequest, landscape_and_print  # takes a moment to import

    trials = plan.paths(plan.seeds[0])
    options = f"--grid {MAP_GRID} --epochs {MAP_EPOCHS} --format png --out {shlex.quote(str(files[0]))}"
    command = f"{PROGRAM} landscape {shlex.join(map(str, trials))} {options}"
    asked = {"states": (), "kind": "states", "grid": MAP_GRID, "margin": 0.15, "reference": None, "formats": "png"}
    tests = {"tasks": None, "epochs": MAP_EPOCHS, "seed": TEST_SEED, "engine": plan.engine}
    typer.echo(f"\nWhere in the space of strengths the first trial went; as `{command}` does it")
    with LocalWorkers(jobs) as workers:
        shared = {"files": tuple(trials), "out": files[0], "workers": workers, "stop": StopRequest(), "command_line": command}
        landscape_and_print(LandscapeRequest(**shared, **tests, **asked))


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


def save_figure(path: Path, trials: Mapping[str, Sequence[Trial]], conditions: Sequence[str]) -> None:
    """Performance over aeons of training, and in the tests of every trial, beside chance; conditions in small print below."""
    from foraging_snn.analysis.figures import demo_overview, style  # Matplotlib takes a second to import

    picture = io.BytesIO()  # drawn before the file is begun, so that an interrupted demo leaves no half of it
    with style.applied():
        demo_overview.draw(trials, conditions).savefig(picture, dpi=DOTS_PER_INCH)
    path.write_bytes(picture.getvalue())

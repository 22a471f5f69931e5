"""The command `foraging-snn basins`: strengths perturbed, then sleep or more training: which networks come back, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import typer

from foraging_snn.analysis.basins import RETURNED, Return, returns
from foraging_snn.analysis.figures.basin import draw
from foraging_snn.commands.evaluating import (
    Request,
    check_names,
    check_request,
    leave,
    read_trials,
    source_of,
    tasks_of,
    with_course,
)
from foraging_snn.commands.terminal import add_row, new_table, print_conditions, print_table
from foraging_snn.files.landscapes import Basins, Evaluation, write_basins
from foraging_snn.files.networks import RecordedPoints, learning_phases
from foraging_snn.models import NetworkState, Parameters, Phase
from foraging_snn.protocols import protocol
from foraging_snn.running.basins import checks_of, follow, perturbed
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import EvaluationSettings

MOST_DIRECTIONS, MOST_CHECKS, MOST_RADII, LARGEST_RADIUS = 1000, 1000, 100, 1000.0


@dataclass(frozen=True)
class BasinsRequest(Request):
    """What the options of the command ask for.

    Attributes
    ----------
    state : str or None
        Name of the phase at whose end the strengths are perturbed; the first that learns if None.
    then : tuple of str
        What follows, each a phase in the language of protocols; none: sleep, and training of the task of that phase.
    radii : str
        Euclidean distances, with commas between.
    directions : int
        Of perturbations, per trial.
    checks : int
        Tests in each phase that follows, besides the one before it.
    """

    state: str | None
    then: tuple[str, ...]
    radii: str
    directions: int
    checks: int


USUAL_AEONS = 500  # of what follows


def basins_and_print(request: BasinsRequest) -> None:
    """Perturb, run and test the networks, write and draw what became of them, and say it; see the command.

    Raises
    ------
    RunError, RecordingError, AnalysisError, ExperimentError
        Bad input, in one line, before anything is computed.
    Interrupted
    """
    radii = _radii(request)
    trials = _one_file_per_seed(read_trials(request.files))
    name, tasks = _state_name(trials[0], request.state), _tasks(trials, request)
    parameters = trials[0].trial.parameters
    texts = request.then or (f"S[{USUAL_AEONS}]", *(f"{task}[{USUAL_AEONS}]" for task in tasks))
    phases = [_phase(text, parameters, request.checks) for text in texts]
    if len({phase.name for phase in phases}) < len(phases):
        raise RunError(f"--then: {', '.join(texts)}: two phases of one name, allowed are different ones")
    states = [points.trial.state_at(name).state for points in trials]
    check_request(request, parameters)

    networks, distance = _perturbed(states, radii, request.directions, parameters)
    _say(request, trials, name, tasks, phases, len(networks))
    settings = EvaluationSettings(parameters, request.epochs, request.engine, request.seed)
    checks = [checks_of(phase, request.checks) for phase in phases]
    shape = (*distance.shape, request.checks + 1)
    found = [
        with_course(request, lambda course, phase=phase, at=at: follow(networks, phase, at, tasks, settings, course)).reshape(
            *shape
        )
        for phase, at in zip(phases, checks, strict=True)
    ]
    seeds = tuple(points.trial.seed for points in trials)
    made = Basins(
        name,
        seeds,
        tuple(phase.name for phase in phases),
        radii,
        distance,
        np.array(checks, np.int64),
        _stacked(found),
        source_of(request, trials),
    )
    write_basins(request.out, made)
    print_basins(made)
    leave(request, lambda: draw(made))


def _radii(request: BasinsRequest) -> np.ndarray:
    for option, value, most in (("--directions", request.directions, MOST_DIRECTIONS), ("--checks", request.checks, MOST_CHECKS)):
        if not 1 <= value <= most:
            raise RunError(f"{option}: {value} given, allowed is 1 to {most}")
    check_names(request)
    try:
        found = sorted({0.0, *(float(text) for text in request.radii.split(","))})
    except ValueError:
        found = []
    if not 2 <= len(found) <= MOST_RADII or not 0.0 <= found[0] <= found[-1] <= LARGEST_RADIUS:
        allowed = f"numbers above 0, {LARGEST_RADIUS:g} at most, with commas between"
        raise RunError(f"--radii: {request.radii!r} given, allowed are {allowed}")
    return np.array(found)


def _one_file_per_seed(trials: list[RecordedPoints]) -> list[RecordedPoints]:
    seeds = [points.trial.seed for points in trials]
    if len(set(seeds)) < len(seeds):
        files = ", ".join(str(points.trial.path) for points in trials)
        raise RunError(f"{files}: two trials of one seed, allowed is one of each")
    return trials


def _state_name(points: RecordedPoints, given: str | None) -> str:
    return points.end(given or learning_phases(points.trial)[0].name).name


def _tasks(trials: Sequence[RecordedPoints], request: BasinsRequest) -> tuple[str, ...]:
    """Those asked for, or those trained in the phase at whose end the strengths are perturbed, or all that were."""
    if request.tasks is None:
        name = _state_name(trials[0], request.state).partition("#")[0]
        trained = [activity.trained_task for activity in trials[0].trial.phase(name).activities]
        if own := tuple(dict.fromkeys(task.name for task in trained if task)):
            return own
    return tasks_of(trials, request.tasks)


def _phase(text: str, parameters: Parameters, checks: int) -> Phase:
    """The one phase that a text of `--then` stands for."""
    found = [phase for phase in protocol(text, parameters, tests=()).phases if not phase.is_test and not phase.is_unsupervised]
    if len(found) != 1:
        raise RunError(f"--then: {text!r} given, allowed is one phase that learns, such as S[500], T1[500] or I(S,T2)[500]")
    if found[0].epochs < checks:
        raise RunError(f"--checks: {checks} given, allowed is 1 to {found[0].epochs}, the epochs of {text!r}")
    return found[0]


def _perturbed(
    states: Sequence[NetworkState], radii: np.ndarray, directions: int, parameters: Parameters
) -> tuple[list[NetworkState], np.ndarray]:
    """Networks by trial, radius and direction, and by how much they are perturbed, (trial, radius, direction)."""
    made = [perturbed(state, radius, k, parameters) for state in states for radius in radii.tolist() for k in range(directions)]
    distance = np.array([moved for _, moved in made]).reshape(len(states), len(radii), directions)
    return [network for network, _ in made], distance


def _stacked(found: Sequence[Evaluation]) -> Evaluation:
    """Of phases, one after the other along the second axis."""
    counts = {name: np.stack([each.counts[name] for each in found], axis=1) for name in found[0].counts}
    return Evaluation(found[0].tasks, counts, np.stack([each.moved for each in found], axis=1))


# ------------------------------------------------------------------------------------------------------------ on the screen


def _say(
    request: BasinsRequest, trials: Sequence[RecordedPoints], state: str, tasks: Sequence[str], phases: Sequence[Phase], n: int
) -> None:
    tests = n * (request.checks + 1) * len(tasks) * request.epochs
    size = f"{sum(tests + n * phase.epochs for phase in phases):,} epochs at most"
    then = ", ".join(f"{phase.name} for {phase.epochs:,} epochs" for phase in phases)
    typer.echo(f"basins: {n} networks after {state}, {len(trials)} trials; then {then}; {', '.join(tasks)}; {size}")
    typer.echo(f"  {request.epochs:,} epochs per test")
    print_conditions(source_of(request, trials).conditions)


def print_basins(basins: Basins) -> None:
    """By radius: how far strengths were moved, performance before and after what follows, how many came back, and when."""
    per_aeon = basins.source.parameters.timing.epochs_per_aeon
    columns = (">radius", ">distance", ">at once", ">at the end", ">left", ">came back", ">aeons")
    table = new_table("then", "task", *columns)
    for row in returns(basins):
        add_row(table, row.phase, row.task, *_cells(row, per_aeon))
    print_table(table)
    typer.echo(
        f"Performance, mean over networks. Left: how many were below {RETURNED:.0%} of the network not perturbed; came back: how\n"
        "many of them are above it at the end; aeons: median until they are."
    )


def _cells(row: Return, per_aeon: int) -> list[str]:
    left, back = row.left, row.left & row.back
    time = "" if np.isnan(row.time) else f"{row.time / per_aeon:g}"
    values = (
        f"{row.radius:g}",
        f"{row.distance.mean():.2f}",
        f"{row.performance[:, 0].mean():.3f}",
        f"{row.performance[:, -1].mean():.3f}",
    )
    return [*values, f"{left.sum()} of {len(left)}", str(back.sum()), time]

"""The command `foraging-snn paths`: performance along straight lines between states of trials, barriers, and along trajectories."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import typer

from foraging_snn.analysis.figures.paths import draw
from foraging_snn.analysis.paths import barrier_differences, barriers
from foraging_snn.analysis.planes import length, line_points, pairs_of
from foraging_snn.analysis.tables import cells_of_values
from foraging_snn.commands.evaluating import (
    Request,
    check_names,
    check_request,
    evaluated,
    leave,
    read_trials,
    source_of,
    states_of,
    tasks_of,
)
from foraging_snn.commands.terminal import add_row, new_table, print_conditions, print_table
from foraging_snn.files.landscapes import Evaluation, PathEnd, Paths, TestedWay, write_paths
from foraging_snn.files.networks import NAIVE, Network, NetworkPoint, RecordedPoints
from foraging_snn.running.errors import RunError

MOST_POINTS, MOST_SNAPSHOTS = 1001, 10_000


@dataclass(frozen=True)
class PathsRequest(Request):
    """What the options of the command ask for.

    Attributes
    ----------
    points : int
        Of each line, both ends included.
    snapshots : int
        Of each phase of a trajectory, evenly spaced; 0: trajectories are not tested.
    between : bool
        Also lines from trial to trial, if several are of one wiring.
    """

    points: int
    snapshots: int
    between: bool


@dataclass(frozen=True)
class State:
    """An end of a line: a state of a trial, with its network."""

    seed: int
    name: str
    network: Network
    point: NetworkPoint


@dataclass(frozen=True)
class Tests:
    """Networks that are to be tested, one after the other."""

    networks: list[Network]
    strengths: list[np.ndarray]
    resistance: list[np.ndarray]

    def add(self, networks: Sequence[Network], strengths: np.ndarray, resistance: np.ndarray) -> None:
        """Some more."""
        self.networks.extend(networks)
        self.strengths.extend(strengths)
        self.resistance.extend(resistance)


def paths_and_print(request: PathsRequest) -> None:
    """Test the lines and trajectories, write and draw them, and say what was found; see the command.

    Raises
    ------
    RunError, RecordingError, AnalysisError
        Bad input, in one line, before anything is computed.
    Interrupted
    """
    _check_numbers(request)
    trials = read_trials(request.files)
    tasks, lines = tasks_of(trials, request.tasks), lines_of(trials, request.between)
    ways = [(points, _chosen_rows(points, request.snapshots)) for points in trials] if request.snapshots else []
    check_request(request, trials[0].trial.parameters)

    share = np.linspace(0.0, 1.0, request.points)
    tests = Tests([], [], [])
    for start, end in lines:
        strengths, resistance = (
            line_points(getattr(start.point, name), getattr(end.point, name), share) for name in ("strengths", "resistance")
        )
        tests.add([start.network.between(end.network, s) for s in share.tolist()], strengths, resistance)
    for points, rows in ways:
        tests.add([Network.of_trial(points.trial)] * len(rows), points.strengths[rows], points.resistance[rows])
    _say(request, trials, tasks, len(lines), len(tests.networks))
    found = evaluated(request, tests.networks, tasks, np.array(tests.strengths), np.array(tests.resistance))
    paths = _assembled(request, trials, lines, share, ways, found)
    write_paths(request.out, paths)
    print_paths(paths)
    leave(request, lambda: draw(paths))


def _check_numbers(request: PathsRequest) -> None:
    if not 3 <= request.points <= MOST_POINTS:
        raise RunError(f"--points: {request.points} given, allowed is 3 to {MOST_POINTS}")
    if not 0 <= request.snapshots <= MOST_SNAPSHOTS:
        raise RunError(f"--snapshots: {request.snapshots} given, allowed is 0 to {MOST_SNAPSHOTS}")
    check_names(request)


def lines_of(trials: Sequence[RecordedPoints], between: bool) -> list[tuple[State, State]]:
    """Between any two states of each trial; then, if `between`, each state of each trial and the same of the next, in a ring.

    Raises
    ------
    RunError
        There is no such line.
    """
    by_seed: dict[int, list[State]] = {}
    for seed in dict.fromkeys(points.trial.seed for points in trials):
        of_seed = [points for points in trials if points.trial.seed == seed]
        network = Network.of_trial(of_seed[0].trial)
        named = states_of(of_seed).items()
        by_seed[seed] = [State(seed, name, network, point) for name, point in named if name != NAIVE]
    lines = [(states[a], states[b]) for states in by_seed.values() for a, b in pairs_of(len(states))]
    if between:
        lines += _from_trial_to_trial(list(by_seed.values()))
    if not lines:
        raise RunError(f"{', '.join(p.trial.path.name for p in trials)}: two states are needed, after two phases or of two trials")
    return lines


def _from_trial_to_trial(of_trials: Sequence[Sequence[State]]) -> list[tuple[State, State]]:
    neighbours = list(pairwise(of_trials))
    if len(of_trials) > 2:
        neighbours.append((of_trials[-1], of_trials[0]))
    return [
        (start, end)
        for here, there in neighbours
        for start in here
        for end in there
        if start.name == end.name and start.network.has_wiring_of(end.network)
    ]


def _chosen_rows(points: RecordedPoints, n: int) -> np.ndarray:
    """Rows of the snapshots that are tested: n of each phase, evenly spaced, its end included; and the state before the first."""
    rows = []
    for phase in dict.fromkeys(points.phase.tolist()):
        of_phase = np.flatnonzero(points.phase == phase)
        last = np.unique(np.round(np.arange(1, n + 1) * len(of_phase) / n).astype(int))
        rows.append(of_phase[last[last > 0] - 1])
    return np.concatenate(rows)


def _assembled(
    request: PathsRequest,
    trials: Sequence[RecordedPoints],
    lines: Sequence[tuple[State, State]],
    share: np.ndarray,
    ways: Sequence[tuple[RecordedPoints, np.ndarray]],
    found: Evaluation,
) -> Paths:
    n = len(lines) * len(share)
    made, first = [], n
    for points, rows in ways:
        of_way, first = found[first : first + len(rows)], first + len(rows)
        trial, names = points.trial, points.names
        phases = tuple(names[row] for row in rows)
        made.append(TestedWay(trial.label, trial.path.name, trial.seed, phases, points.epoch[rows], of_way))
    starts, ends = (tuple(PathEnd(line[k].seed, line[k].name) for line in lines) for k in (0, 1))
    lengths = np.array([length((end.point.strengths - start.point.strengths).reshape(-1)) for start, end in lines])
    of_lines = found[:n].reshape(len(lines), len(share))
    return Paths(starts, ends, share, lengths, of_lines, tuple(made), source_of(request, trials))


# ------------------------------------------------------------------------------------------------------------ on the screen


def _say(request: PathsRequest, trials: Sequence[RecordedPoints], tasks: Sequence[str], n_lines: int, n: int) -> None:
    size = f"{n * len(tasks) * request.epochs:,} epochs"
    seeds = len({points.trial.seed for points in trials})
    typer.echo(f"paths: {n_lines} lines of {request.points} points, {', '.join(tasks)}; trials: {seeds}; {size}")
    typer.echo(f"  {request.epochs:,} epochs per test, seed {request.seed}")
    print_conditions(source_of(request, trials).conditions)


def _number(values: np.ndarray, digits: int) -> str:
    """Mean over lines; empty where nothing was eaten in a test."""
    return "" if np.isnan(values).any() else f"{values.mean():.{digits}f}"


def print_paths(paths: Paths) -> None:
    """Barriers of all lines, over trials, and how those of lines that begin with the same state differ."""
    found = barriers(paths)
    table = new_table("line", "task", ">length", ">barrier, mean ± sd", ">95 % interval", ">of noise", ">p", ">lowest", ">lines")
    for row in found:
        mean, interval, p_value = cells_of_values(row.summary, row.above_noise)
        cells = (f"{row.length.mean():.2f}", mean, interval, _number(row.noise, 3), p_value, _number(row.least, 2))
        add_row(table, row.name, row.task, *cells, len(row.values))
    print_table(table)
    differences = [row for row in barrier_differences(found) if row.difference.n_first > 1]
    if differences:
        typer.echo("\nDifferences of barriers, trial by trial")
        table = new_table("task", "line", "minus line", ">mean ± sd", ">95 % interval", ">p", ">trials")
        for row in differences:
            cells = cells_of_values(row.difference, row.difference.test, sign="+")
            add_row(table, row.task, row.first, row.second, *cells, row.difference.n_first)
        print_table(table)
    typer.echo(
        "Barrier: how far performance falls at most below the straight line between its values at the ends; of noise: what the "
        "errors of the\ntests alone make of it on average; p: permutation test over lines of no barrier above noise, or of no "
        "difference."
    )

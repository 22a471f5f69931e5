"""Testing many networks: strengths hidden to output over one wiring, to performance, food and spikes, each with a standard error.

A network that is tested is at rest when its test begins, and nothing is plastic in it: wiring, strengths and resistances are all
that counts. The world is that of a test phase, all draws follow from a seed. What was counted is kept (evaluations.py), so that
tests are spread over any number of processes, and gone on with, with the same result bit for bit.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from foraging_snn.environments.temporary import TemporaryFolder
from foraging_snn.files.landscapes import COUNTS, Evaluation
from foraging_snn.files.networks import Network
from foraging_snn.files.states import update_digest
from foraging_snn.models import (
    MAX_SEED,
    N_OUTPUT,
    Engine,
    EpochRecords,
    NetworkState,
    Parameters,
    PhaseRecord,
    engine_class,
)
from foraging_snn.models.rules import Rules, scale_hidden_output
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluations import EvaluationLedger, Row
from foraging_snn.running.ledger import Origin
from foraging_snn.running.scheduling import Display, Job, LocalWorkers, TrialReport, Workers, run_all
from foraging_snn.running.stopping import StopRequest
from foraging_snn.running.testing import phase_of_test
from foraging_snn.running.trial import Listener, Stopped

TEST_EPOCHS = 20_000
TEST_SEED = 1
TOLERANCE = 1e-6  # relative; files hold strengths in half the room, which moves them by less
BATCH_EPOCHS = 500_000  # of a batch, at most, unless a single test is longer
BATCHES_PER_JOB = 6  # at least, if there are as many tests

# ------------------------------------------------------------------------------------------------------------- what is tested


def legal(strengths: ArrayLike, parameters: Parameters) -> tuple[np.ndarray, float]:
    """The strengths nearest to some others that the model allows, by its own rules: clipped, then scaled for every output cell.

    Parameters
    ----------
    strengths : (H, 8) array_like
        Hidden to output.
    parameters : Parameters
        The bounds, and what the inputs of an output cell sum to.

    Returns
    -------
    strengths : (H, 8) float64
        The same, bit for bit, if they were allowed but for a part in a million.
    moved : float
        Euclidean distance between the two.

    Raises
    ------
    RunError
        Another shape, or not finite everywhere.
    """
    asked = np.array(strengths, np.float64)
    shape = (parameters.n_hidden, N_OUTPUT)
    if asked.shape != shape or not np.isfinite(asked).all():
        raise RunError(f"strengths: shape {asked.shape} given, allowed are finite numbers of shape {shape}")
    rules = Rules.of(parameters)
    low, high, target = rules.min_strength, rules.max_strength, rules.output_input_target
    made = asked.copy()
    if asked.min() < low * (1 - TOLERANCE) or asked.max() > high * (1 + TOLERANCE):
        made = np.clip(asked, low, high)
    if np.abs(made.sum(axis=0) - target).max() > TOLERANCE * target:
        scale_hidden_output(made.reshape(-1), np.zeros(made.size, bool), rules)
    return made, float(np.sqrt(((made - asked) ** 2).sum()))


@dataclass(frozen=True)
class EvaluatedPoint:
    """One network and one task.

    Attributes
    ----------
    key : str
        Digest of all that its result follows from.
    task : str
    network : Network
    strengths, resistance : (H, 8), (8,) float64
    """

    key: str
    task: str
    network: Network
    strengths: np.ndarray
    resistance: np.ndarray


@dataclass(frozen=True)
class EvaluationSettings:
    """How networks are tested.

    Attributes
    ----------
    parameters : Parameters
        Of all networks.
    epochs : int
        Of each test; whole aeons.
    engine : str
    seed : int
        Of all draws; every test begins at epoch 0.
    """

    parameters: Parameters
    epochs: int = TEST_EPOCHS
    engine: str = "event"
    seed: int = TEST_SEED

    def __post_init__(self) -> None:
        aeon = self.parameters.timing.epochs_per_aeon
        if self.epochs < aeon or self.epochs % aeon:
            raise RunError(f"epochs: {self.epochs} given, allowed are whole aeons: {aeon}, {2 * aeon}, {3 * aeon}, ...")
        if not 0 <= self.seed <= MAX_SEED:
            raise RunError(f"seed: {self.seed} given, allowed is 0 to {MAX_SEED}")

    def state(self, point: EvaluatedPoint) -> NetworkState:
        """A network before its test."""
        return point.network.state(point.strengths, point.resistance, self.seed)

    def points(
        self, networks: Sequence[Network], strengths: Sequence[np.ndarray], resistance: np.ndarray, tasks: Sequence[str]
    ) -> list[EvaluatedPoint]:
        """All networks for all tasks, by network, then task."""
        origin = Origin(self.parameters, self.seed, self.engine).text
        heads = {task: f"{origin}\n{phase_of_test(task, self.epochs, self.parameters)!r}".encode() for task in tasks}
        found = []
        for network, of_network, own_resistance in zip(networks, strengths, resistance, strict=True):
            state = network.state(of_network, own_resistance, self.seed)
            for task in tasks:
                digest = hashlib.sha256(heads[task])
                update_digest(digest, state)
                found.append(EvaluatedPoint(digest.hexdigest(), task, network, of_network, own_resistance))
        return found


def _task(point: EvaluatedPoint) -> str:
    return point.task


def counts_of(record: PhaseRecord) -> Row:
    """What is kept of a test."""
    counts = record.counts
    food = counts["rewarded"] + counts["punished"] + counts["other"]
    sums = {name: counts[name].sum() for name in ("epochs", "rewarded", "punished", "other", "hidden_spikes", "output_spikes")}
    of_aeons = {"food": food, "hidden": counts["hidden_spikes"], "output": counts["output_spikes"]}
    squares = {f"{name}_squares": (values * values).sum() for name, values in of_aeons.items()}
    found = {"aeons": len(food), **sums, **squares}
    return tuple(int(found[name]) for name in COUNTS)


def heard_by(listener: Listener) -> Callable[[EpochRecords], None]:
    """Hands the pieces of a run to a listener; raises Stopped if it wants that."""

    def heard(records: EpochRecords) -> None:
        listener.epochs(records)
        if listener.stop_wanted():
            raise Stopped

    return heard


def _tested(
    engine: Engine, settings: EvaluationSettings, points: Iterable[EvaluatedPoint], listener: Listener
) -> Iterator[tuple[str, Row]]:
    """Key and counts of each, one after the other; Stopped if the listener wants that."""
    for task, group in groupby(points, key=_task):
        phase, of_task = phase_of_test(task, settings.epochs, settings.parameters), list(group)
        listener.begin(phase, recorded=True)
        runs = engine.run_many(map(settings.state, of_task), phase, progress=heard_by(listener))
        for point, (_, record) in zip(of_task, runs, strict=True):
            yield point.key, counts_of(record)


# ----------------------------------------------------------------------------------------------------------- many at a time


@dataclass(frozen=True)
class EvaluationBatch:
    """Some tests, as they are given to a process; a :class:`foraging_snn.running.scheduling.Job`.

    Attributes
    ----------
    number, batches : int
        Which one of how many, from 1.
    settings : EvaluationSettings
    points : tuple of EvaluatedPoint
    ledger : Path
        Folder of the ledger in which their results go.
    """

    number: int
    batches: int
    settings: EvaluationSettings
    points: tuple[EvaluatedPoint, ...]
    ledger: Path

    @property
    def seed(self) -> int:
        """Of the draws."""
        return self.settings.seed

    @property
    def name(self) -> str:
        """On the screen."""
        return f"batch {self.number} of {self.batches}"

    @property
    def parts(self) -> int:
        """Its tests."""
        return len(self.points)

    @property
    def epochs(self) -> int:
        """All that it computes."""
        return len(self.points) * self.settings.epochs

    @property
    def parameters(self) -> Parameters:
        """Those of the networks."""
        return self.settings.parameters

    @property
    def log_path(self) -> Path:
        """Where its log goes if its process dies."""
        return self.ledger.parent / f"batch{self.number:04d}.log"

    def is_done(self) -> bool:
        """All its tests are in the ledger."""
        return {point.key for point in self.points} <= EvaluationLedger(self.ledger).all().keys()

    def run(self, listener: Listener) -> None:
        """Test its networks; what was done is kept also if it is stopped."""
        rows: dict[str, Row] = {}
        try:
            with engine_class(self.settings.engine)(self.parameters) as engine:
                for key, row in _tested(engine, self.settings, sorted(self.points, key=_task), listener):
                    rows[key] = row
                    listener.done(len(rows))
        finally:
            EvaluationLedger(self.ledger).add(rows)


def batches_of(points: Sequence[EvaluatedPoint], settings: EvaluationSettings, ledger: Path, jobs: int) -> list[EvaluationBatch]:
    """Tests in batches that are long enough to be worth a process, and short enough for all to be busy until the end."""
    size = max(1, min(BATCH_EPOCHS // settings.epochs, -(-len(points) // (BATCHES_PER_JOB * jobs))))
    groups = [tuple(points[k : k + size]) for k in range(0, len(points), size)]
    return [EvaluationBatch(k, len(groups), settings, group, ledger) for k, group in enumerate(groups, 1)]


class Silent:
    """A display that shows nothing."""

    def show(self, reports: Sequence[TrialReport], stopping: bool = False, last: bool = False) -> None:
        """See :class:`foraging_snn.running.scheduling.Display`."""

    def say(self, text: str) -> None:
        """See :class:`foraging_snn.running.scheduling.Display`."""


@dataclass(frozen=True)
class Course:
    """How many tests are spread, watched and kept.

    Attributes
    ----------
    workers : Workers
        Where they run.
    ledger : Path or None
        Folder of the ledger in which results are looked for and kept; None: nothing is kept.
    display : callable, optional
        Makes of jobs what shows where they stand; a context manager is entered.
    request : StopRequest, optional
        Notes what stops them.
    found : callable, optional
        Called with how many tests were done before, and how many there are.
    note : callable, optional
        Called with a line on each damaged file of the ledger.
    """

    workers: Workers
    ledger: Path | None = None
    display: Callable[[Sequence[Job]], Display] = lambda jobs: Silent()
    request: StopRequest | None = None
    found: Callable[[int, int], None] = lambda done, all_of_them: None
    note: Callable[[str], None] = lambda line: None


def evaluate(
    strengths: ArrayLike,
    tasks: Sequence[str],
    epochs: int = TEST_EPOCHS,
    *,
    network: Network | Sequence[Network],
    resistance: ArrayLike,
    engine: str | Engine = "event",
    seed: int = TEST_SEED,
    course: Course | None = None,
) -> Evaluation:
    """Test many networks over one wiring on some tasks.

    Parameters
    ----------
    strengths : (n, H, 8) array_like
        Hidden to output; what the model does not allow is made legal, see :func:`legal`.
    tasks : sequence of str
        Their names, e.g. ("T1", "T2").
    epochs : int
        Of each test; whole aeons.
    network : Network or n of them
        Wiring and strengths input to hidden, for all networks or for each; of the same parameters.
    resistance : (8,) or (n, 8) array_like
        Of the output cells, for all networks or for each.
    engine : str or Engine
        Its name; or an engine that is ready, which tests them here and now, and keeps nothing.
    seed : int
        All draws of all tests follow from it; every test begins at rest, at epoch 0, with a world of its own.
    course : Course, optional
        How they are spread over processes and kept; in this process, and not kept, if omitted.

    Returns
    -------
    Evaluation
        Arrays of shape (n,), (n, tasks).

    Raises
    ------
    RunError
        Something that is given is not allowed, or a test failed.
    Stopped
        It was asked to stop; what was done is in the ledger.

    Notes
    -----
    The counts of a network are those of `engine.run` of a test phase of these epochs on the same network at rest with the same
    seed, bit for bit, however the tests are split.
    """
    asked = np.asarray(strengths, np.float64)
    networks = [network] * len(asked) if isinstance(network, Network) else list(network)
    parameters = networks[0].parameters
    if isinstance(engine, str):
        engine_class(engine)
    made = [legal(each, parameters) for each in asked]
    resistances = np.broadcast_to(np.asarray(resistance, np.float64), (len(made), N_OUTPUT))
    if not (np.isfinite(resistances).all() and (resistances > 0.0).all()):
        raise RunError("resistance: allowed are finite numbers above 0")
    settings = EvaluationSettings(parameters, epochs, engine if isinstance(engine, str) else engine.name, seed)
    points = settings.points(networks, [each for each, _ in made], resistances, tasks)
    if isinstance(engine, str):
        course = course or Course(LocalWorkers())
        unique, jobs = {point.key: point for point in points}, course.workers.jobs

        def batches(missing: set[str], folder: Path) -> list[EvaluationBatch]:
            return batches_of([unique[key] for key in unique if key in missing], settings, folder, jobs)

        rows = kept([point.key for point in points], batches, course)
    else:
        rows = dict(_tested(engine, settings, sorted(points, key=_task), Listener()))
    return evaluation_of([rows[point.key] for point in points], tasks, np.array([moved for _, moved in made], np.float64))


def evaluation_of(rows: Sequence[Row], tasks: Sequence[str], moved: np.ndarray) -> Evaluation:
    """Tests by network, in the order of `moved`, then by task."""
    table = np.array(rows, np.int64).reshape(*moved.shape, len(tasks), len(COUNTS))
    return Evaluation(tuple(tasks), {name: table[..., k] for k, name in enumerate(COUNTS)}, moved)


def kept(keys: Sequence[str], jobs_of: Callable[[set[str], Path], Sequence[Job]], course: Course) -> dict[str, Row]:
    """The results of these keys, from the ledger as far as they are there; the others are computed by jobs, and go into it.

    Parameters
    ----------
    keys : sequence of str
    jobs_of : callable
        Gives the jobs that compute what is missing, for the folder of a ledger.
    course : Course

    Raises
    ------
    RunError
        A job failed.
    Stopped
    """
    with ExitStack() as stack:
        folder = course.ledger or Path(stack.enter_context(TemporaryFolder())) / "ledger"
        folder.mkdir(parents=True, exist_ok=True)
        ledger = EvaluationLedger(folder, course.note)
        rows = ledger.all()
        missing = {key for key in keys if key not in rows}
        course.found(len(keys) - sum(key in missing for key in keys), len(keys))
        if not missing:
            return rows
        jobs = jobs_of(missing, folder)
        display = course.display(jobs)
        if isinstance(display, AbstractContextManager):
            stack.enter_context(display)
        stack.enter_context(course.workers)
        ends = run_all(jobs, course.workers, display, folder, course.request)
        rows = ledger.all()
    if errors := [end.error for end in ends if end.error]:
        raise RunError(errors[0])
    if any(end.stopped for end in ends):
        raise Stopped
    return rows

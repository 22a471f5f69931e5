"""What `landscape`, `paths` and `basins` share: the trials they read, the tasks, tests of many networks with their progress."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import typer
from matplotlib.figure import Figure

from foraging_snn.analysis.figures.drawing import FORMATS, chosen, save_figure
from foraging_snn.commands.entry import PROGRAM
from foraging_snn.commands.progress import ProgressDisplay
from foraging_snn.commands.terminal import Interrupted, printable
from foraging_snn.files.landscapes import Evaluation, Source
from foraging_snn.files.networks import Network, NetworkPoint, RecordedPoints
from foraging_snn.files.provenance import provenance
from foraging_snn.files.reader import Trial
from foraging_snn.models import Parameters, engine_class
from foraging_snn.running.errors import RunError
from foraging_snn.running.evaluating import Course, EvaluationSettings, evaluate, phase_of_test
from foraging_snn.running.locks import FOLDER
from foraging_snn.running.scheduling import TrialReport, Workers
from foraging_snn.running.stopping import StopCause, StopRequest
from foraging_snn.running.trial import Stopped

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What the options of all of them ask for.

    Attributes
    ----------
    files : tuple of Path
        Of trials.
    out : Path
        File to be written.
    tasks : str or None
        Their names with commas between; None: those trained in the trials.
    epochs : int
        Of each test.
    seed : int
        Of the draws of all tests.
    engine : str
    workers : Workers
    stop : StopRequest
    command_line : str
    formats : str
        Of the figure, with commas between.
    """

    files: tuple[Path, ...]
    out: Path
    tasks: str | None
    epochs: int
    seed: int
    engine: str
    workers: Workers
    stop: StopRequest
    command_line: str
    formats: str

    @property
    def figures(self) -> list[Path]:
        """Files of the figure, beside that of the results. FigureError: an unknown format."""
        return [self.out.with_suffix(f".{ending}") for ending in chosen(self.formats, FORMATS, "--format")]


class BatchDisplay(ProgressDisplay):
    """Shows how many tests are done, how fast, and how long the rest takes."""

    def _counts(self, reports: Sequence[TrialReport]) -> str:
        done = sum(report.experiments_done for report in reports)
        return f"{done}/{sum(self._files)} tests"


def read_trials(files: Sequence[Path]) -> list[RecordedPoints]:
    """The trials of files, which must go together.

    Raises
    ------
    RecordingError
        A file cannot be read, or holds no training.
    RunError
        A file twice, or trials of different parameters or start states.
    """
    if len({path.resolve() for path in files}) < len(files):
        raise RunError(f"{', '.join(map(str, files))}: a file is given twice")
    found = [RecordedPoints.of(Trial(path)) for path in files]
    first = found[0].trial
    for other in found[1:]:
        if reason := first.unlike(other.trial):
            raise RunError(f"{first.path} and {other.trial.path}: not to be looked at together, {reason}")
    return found


def states_of(trials: Sequence[RecordedPoints]) -> dict[str, NetworkPoint]:
    """The states at the ends of all phases of the trials of one seed, each once, by name, the one before the first included.

    A name that another state has already is followed by the experiment, as "T2 (sequential)".
    """
    found: dict[str, NetworkPoint] = {}
    for points in trials:
        for end in points.ends():
            alike = [point for point in found.values() if point.name == end.name]
            if not any(end.is_same_as(point) for point in alike):
                found[f"{end.name} ({points.trial.experiment})" if alike else end.name] = end
    return found


def one_network_of(trials: Sequence[RecordedPoints]) -> Network:
    """The network over which all these trials learned.

    Raises
    ------
    RunError
        They had different ones, so that their strengths hidden to output cannot be compared.
    """
    network = Network.of_trial(trials[0].trial)
    for other in trials[1:]:
        if different := Network.of_trial(other.trial).differs_from(network):
            where = f"{trials[0].trial.path} and {other.trial.path}"
            raise RunError(f"{where}: not of one network ({different}); trials of one network have the same seed or --start-from")
    return network


def tasks_of(trials: Sequence[RecordedPoints], given: str | None) -> tuple[str, ...]:
    """The tasks asked for, or those trained in the trials.

    Raises
    ------
    RunError
        Unknown, or named twice.
    """
    if given is None:
        return trained_tasks(points.trial for points in trials)
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise RunError(f"--tasks: {given!r} given, allowed are names of tasks such as T1,T2, each once")
    for name in names:
        phase_of_test(name, 1, trials[0].trial.parameters)
    return names


def trained_tasks(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Names of the tasks that are trained in some trials, by their numbers there."""
    found: dict[str, int] = {}
    for trial in trials:
        for task in (activity.trained_task for recorded in trial.phases for activity in recorded.activities):
            if task:
                found.setdefault(task.name, trial.parameters.task_number(task))
    return tuple(sorted(found, key=found.__getitem__))


def check_names(request: Request) -> None:
    """See that the names of what is to be written are such.

    Raises
    ------
    RunError, AnalysisError
    """
    if request.out.suffix != ".h5":
        raise RunError(f"--out: {request.out} given, allowed is a name that ends in .h5")
    _ = request.figures


def check_request(request: Request, parameters: Parameters) -> None:
    """See that nothing of what is to be written is there, and that the tests can be done, before anything is computed.

    Raises
    ------
    RunError
    """
    EvaluationSettings(parameters, request.epochs, request.engine, request.seed)
    engine_class(request.engine)
    for path in (request.out, *request.figures):
        if path.exists() or path.is_symlink():
            raise RunError(f"{path}: exists already and is not overwritten")
    if not request.out.absolute().parent.is_dir():
        raise RunError(f"{request.out.parent}: not a folder")


def evaluated(
    request: Request,
    network: Network | Sequence[Network],
    tasks: Sequence[str],
    strengths: np.ndarray,
    resistance: np.ndarray,
) -> Evaluation:
    """Test networks, with progress on the screen; see :func:`with_course`."""
    options: dict[str, Any] = {"network": network, "resistance": resistance, "engine": request.engine, "seed": request.seed}
    return with_course(request, lambda course: evaluate(strengths, tasks, request.epochs, course=course, **options))


def with_course(request: Request, compute: Callable[[Course], T]) -> T:
    """Have something computed, with progress on the screen; what was done before is in the ledger beside the file to be written.

    Raises
    ------
    Interrupted
        It was stopped; the same command goes on.
    RunError
        Something failed.
    """

    def found(done: int, total: int) -> None:
        if done:
            typer.echo(f"{done:,} of {total:,} tests were done before")

    def note(line: str) -> None:
        typer.echo(f"{PROGRAM}: {printable(line)}", err=True)

    course = Course(request.workers, request.out.absolute().parent / FOLDER, BatchDisplay, request.stop, found, note)
    try:
        return compute(course)
    except (Stopped, KeyboardInterrupt):
        kept = f"tests that were done are kept in {course.ledger}"
        raise Interrupted(kept, request.stop.cause or StopCause.CTRL_C, request.command_line) from None


def leave(request: Request, draw: Callable[[], Figure]) -> None:
    """Name the file with the results, which is written, and leave and name its figure."""
    typer.echo(request.out)
    for path in save_figure(draw, request.figures):
        typer.echo(path)


def source_of(request: Request, trials: Sequence[RecordedPoints]) -> Source:
    """Where results come from."""
    from foraging_snn.analysis.collection import conditions_of

    conditions = conditions_of([points.trial for points in trials])
    names = tuple(points.trial.path.name for points in trials)
    origin = provenance(request.engine, request.command_line)
    return Source(trials[0].trial.parameters, request.engine, request.seed, conditions, names, origin)

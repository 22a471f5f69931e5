"""Many trials at a time, in processes of this machine or on a Dask cluster: given out, watched, stopped, and tried again when
the process of one dies. What is given out need not be a trial: batches of evaluations are, too (evaluating.py).

What a trial does is in plan.py and trial.py; how it looks on the screen, in commands/progress.py; what is special about Dask, in
cluster.py.
"""

import json
import os
import signal
import socket
import tempfile
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol, Self, cast

from foraging_snn.environments import Outcome
from foraging_snn.environments.temporary import TemporaryFolder
from foraging_snn.models import EpochRecords, Parameters, Phase, performance
from foraging_snn.protocols import Experiment
from foraging_snn.running.errors import FORESEEN, RunError, one_line
from foraging_snn.running.stopping import SIGNALS, StopCause, StopRequest
from foraging_snn.running.trial import Listener

ATTEMPTS = 3  # of a trial whose worker dies: it is tried again twice
PERFORMANCE_AEONS = 20  # the performance shown is that of so many aeons
REPORT_SECONDS = 0.5  # between two reports of a trial, and between two looks at them
BEAT_SECONDS = 2.0  # between two signs of life
SILENCE_SECONDS = 60.0  # without a sign of life until a trial on a cluster takes it that nobody waits for it
STOP, BEAT = "stop", "beat"  # files among the reports: all trials are asked to stop; sign of life of the coordinator
REPORTS_PREFIX = ".foraging_snn_"  # of the folder of reports
REPORT_SUFFIXES = (".json", ".log", ".attempts", ".part")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

_ONE_AT_A_TIME = threading.Lock()  # Brian2 has one device per process


class Job(Protocol):
    """What is given to a process: a :class:`foraging_snn.running.plan.PlannedTrial`, or something else that takes its time.

    Attributes
    ----------
    seed : int
        Of its draws.
    name : str
        On the screen.
    parts : int
        What comes out of it, e.g. files of a trial.
    epochs : int
        All that it computes.
    parameters : Parameters or None
        Of the foraging model; None: it does not run it.
    log_path : Path
        Where its log goes if its process dies.
    """

    @property
    def seed(self) -> int: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def parts(self) -> int: ...  # noqa: D102

    @property
    def epochs(self) -> int: ...  # noqa: D102

    @property
    def parameters(self) -> Parameters | None: ...  # noqa: D102

    @property
    def log_path(self) -> Path: ...  # noqa: D102

    def is_done(self) -> bool:
        """Nothing of it is left to compute."""
        ...

    def run(self, listener: Listener) -> None:
        """Compute it."""
        ...


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended.

    Attributes
    ----------
    seed : int
    error : str
        One line; "" if it ended well or was stopped.
    stopped : bool
        Before its end, because it was asked to.
    died : bool
        The error is that its process died.
    """

    seed: int
    error: str = ""
    stopped: bool = False
    died: bool = False


class Workers(Protocol):
    """Where trials run; a context manager.

    Attributes
    ----------
    jobs : int
        Trials at the same time.
    """

    jobs: int

    def __enter__(self) -> Self:
        """Ready to run trials."""
        ...

    def __exit__(self, *exception: object) -> None:
        """End what runs trials."""
        ...

    def place(self, shared: Path) -> Path | None:
        """Folder in which a folder for reports can be made that all workers see; None: the one for temporary files."""
        ...

    def lifeline(self, folder: Path) -> "ParentProcess | Heartbeat":
        """How trials notice that nobody waits for them any more."""
        ...

    def ends(self, trials: Sequence[Job], channel: "Channel") -> Iterator[tuple[int, TrialEnd]]:
        """Run all; number and end of each as they come. Those never begun are left out if the workers are lost."""
        ...

    def look(self, stopping: bool) -> str:
        """Look after the workers, a few times a second while trials run.

        Parameters
        ----------
        stopping : bool
            The trials have been asked to stop.

        Returns
        -------
        str
            A line for the user; "" if there is nothing new.
        """
        ...

    def are_lost(self) -> bool:
        """No trial can be given to them any more, and nothing is heard of those that were."""
        ...

    def kill(self) -> None:
        """End everything at once."""
        ...


@dataclass
class TrialReport:
    """Where one of many trials stands.

    Attributes
    ----------
    number : int
        Among all, from 0.
    name : str
        On the screen, e.g. "seed 3".
    experiment, phase : str
        That run now; "" before the first.
    experiments_done : int
        Files that are complete.
    epochs : int
        Computed now.
    found : int
        Epochs computed before.
    performance : float or None
        Rewarded / (rewarded + punished) particles in the latest aeons of the phase; None if nothing was eaten.
    notes : list of str
        What is not as it should be, a line each.
    running : bool
        It has not ended yet, well or not.
    """

    number: int
    name: str
    experiment: str = ""
    phase: str = ""
    experiments_done: int = 0
    epochs: int = 0
    found: int = 0
    performance: float | None = None
    notes: list[str] = field(default_factory=list)
    running: bool = True


class Display(Protocol):
    """Shows where trials stand."""

    def show(self, reports: Sequence[TrialReport], stopping: bool = False, last: bool = False) -> None:
        """Show the latest reports of those that have begun; whether they were asked to stop, whether these are the last."""
        ...

    def say(self, text: str) -> None:
        """Show a line about something else."""
        ...


def run_all(
    trials: Sequence[Job], workers: Workers, display: Display, shared: Path, request: StopRequest | None = None
) -> list[TrialEnd]:
    """Run trials.

    Parameters
    ----------
    trials : sequence of Job
    workers : Workers
        They do not change what is in the files.
    display : Display
        One for these trials.
    shared : Path
        A folder, there already, that all workers see.
    request : StopRequest, optional
        Notes what stops the trials, and can want that itself.

    Returns
    -------
    list of TrialEnd
        One per trial, in their order. A trial that fails does not keep the others from going on.

    Notes
    -----
    A trial whose process dies goes on in another one, it is begun at most `ATTEMPTS` times in all; then its log is put into its
    directory.
    Ctrl-C, SIGTERM and SIGHUP stop all trials; they close their files and are returned as stopped. A second Ctrl-C ends their
    processes at once and raises KeyboardInterrupt.
    """
    ends: dict[int, TrialEnd] = {}
    request = request or StopRequest()
    remove_abandoned_reports(shared)
    with _folder_of_reports(workers.place(shared)) as name:
        channel = Channel(Path(name), workers.lifeline(Path(name)), request)
        with _watched(channel, display, workers, request), request.listening(channel.ask_to_stop, workers.kill):
            for number, end in workers.ends(trials, channel):
                ends[number] = end
        if workers.are_lost():
            request.is_wanted_because(StopCause.SCHEDULER_LOST)
            ends = {number: TrialEnd(trial.seed, stopped=True) for number, trial in enumerate(trials)} | ends
        found = [_with_log(ends[number], trial, channel, number) for number, trial in enumerate(trials)]
    remove_abandoned_reports(shared)  # by now they may be old enough
    return found


def _folder_of_reports(place: Path | None) -> tempfile.TemporaryDirectory:
    if place is None:
        return TemporaryFolder()
    return tempfile.TemporaryDirectory(prefix=REPORTS_PREFIX, dir=place, ignore_cleanup_errors=True)


def _with_log(end: TrialEnd, trial: Job, channel: "Channel", number: int) -> TrialEnd:
    """The end of a trial, and where its log was put if its process died."""
    if not end.died:
        return end
    path = trial.log_path
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(channel.log(number))
    except OSError as error:
        return TrialEnd(end.seed, f"{end.error}; log not written: {one_line(error)}", died=True)
    return TrialEnd(end.seed, f"{end.error}; log: {path}", died=True)


@contextmanager
def _watched(channel: "Channel", display: Display, workers: Workers, request: StopRequest) -> Iterator[None]:
    """Give signs of life, show the reports and look after the workers while a block runs."""
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(BEAT_SECONDS):
            channel.beat()

    def look() -> None:
        while not ended.wait(REPORT_SECONDS):
            display.show(channel.reports(), stopping=channel.is_stop_wanted())
            if news := workers.look(channel.is_asked_to_stop):
                display.say(news)

    channel.beat()
    threads = [threading.Thread(target=target, daemon=True) for target in (live, look)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        display.show(channel.reports(), stopping=False, last=True)


# ----------------------------------------------------------------------------------------------- between coordinator and trials


@dataclass(frozen=True)
class ParentProcess:
    """Somebody waits for a trial as long as the process that gave it out is this one, or the one that started this one."""

    number: int

    def is_cut(self) -> bool:
        """Nobody waits."""
        return self.number not in (os.getpid(), os.getppid())


@dataclass
class Heartbeat:
    """Somebody waits for a trial as long as a file goes on changing.

    Times are measured here alone: the clocks of two machines differ. A pause of this process counts little, because then the
    coordinator may have been paused with it.
    """

    file: Path
    silent_seconds: float = SILENCE_SECONDS

    def __post_init__(self) -> None:
        self._last, self._looked_at, self._silence = b"", time.monotonic(), 0.0

    def is_cut(self) -> bool:
        """Nobody waits."""
        now = time.monotonic()
        if now - self._looked_at < BEAT_SECONDS:
            return self._silence > self.silent_seconds
        try:
            beat = self.file.read_bytes()
        except FileNotFoundError:  # it has cleaned up behind itself
            return not self.file.parent.is_dir()
        except OSError:
            beat = self._last
        self._silence = 0.0 if beat != self._last else self._silence + min(now - self._looked_at, 2 * BEAT_SECONDS)
        self._last, self._looked_at = beat, now
        return self._silence > self.silent_seconds


@dataclass(frozen=True)
class Channel:
    """A folder in which the coordinator and its trials, in whatever processes, leave messages for each other.

    Attributes
    ----------
    folder : Path
    lifeline : ParentProcess or Heartbeat
        How a trial notices that nobody waits for it any more.
    request : StopRequest, optional
        In the process of the coordinator, where trials need not wait until they are asked.
    """

    folder: Path
    lifeline: ParentProcess | Heartbeat
    request: StopRequest | None = None

    def __reduce__(self) -> tuple:
        """In other processes there is only the folder."""
        return Channel, (self.folder, self.lifeline)

    @property
    def is_asked_to_stop(self) -> bool:
        """All trials are to stop."""
        return (self.folder / STOP).exists()

    def is_stop_wanted(self) -> bool:
        """The same, as soon as it is known here."""
        if self.request and self.request.is_wanted() and not self.is_asked_to_stop:
            self.ask_to_stop()
        return self.is_asked_to_stop

    def ask_to_stop(self) -> None:
        """Ask all trials to stop."""
        (self.folder / STOP).touch()

    def beat(self) -> None:
        """Give a sign of life."""
        with suppress(OSError):
            _replace(self.folder / BEAT, str(time.monotonic_ns()))

    def reports(self) -> list[TrialReport]:
        """The latest report of every trial that has begun, by number."""
        found = []
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError):  # replaced this moment, on a disk of another machine
                found.append(TrialReport(**json.loads(path.read_text())))
        return sorted(found, key=lambda report: report.number)

    def log(self, number: int) -> str:
        """What was noted of a trial."""
        path = self.folder / f"{number}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def note(self, number: int, text: str) -> None:
        """Add a line to the log of a trial."""
        with suppress(OSError), (self.folder / f"{number}.log").open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")

    def attempts(self, number: int) -> list[str]:
        """Where a trial was begun, once per beginning."""
        path = self.folder / f"{number}.attempts"
        return path.read_text().splitlines() if path.exists() else []

    def begin_attempt(self, number: int) -> int:
        """Note that a trial begins here; how many times that was noted, this one included."""
        where = f"process {os.getpid()} on {socket.gethostname()}"
        with (self.folder / f"{number}.attempts").open("a") as file:
            file.write(f"{where}\n")
        attempts = len(self.attempts(number))
        self.note(number, f"attempt {attempts}, {where}")
        return attempts


def remove_abandoned_reports(folder: Path) -> None:
    """Remove the folders of reports that coordinators which were killed have left in a folder.

    Only those in which nothing has changed for so long that no trial waits for its coordinator any more, by the clock of the disk;
    and only what is known to be a report.
    """
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as new:
        now = os.fstat(new.fileno()).st_mtime
        for reports in folder.glob(f"{REPORTS_PREFIX}*/"):
            files = list(reports.iterdir())
            changed = max(path.lstat().st_mtime for path in (reports, *files))
            known = all(path.is_file() and (path.name in (STOP, BEAT) or path.suffix in REPORT_SUFFIXES) for path in files)
            if known and not reports.is_symlink() and now - changed > 2 * SILENCE_SECONDS:
                for path in files:
                    path.unlink(missing_ok=True)
                reports.rmdir()


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}.part")
    scratch.write_text(text)
    scratch.replace(path)


@dataclass
class Reporter(Listener):
    """Writes how far a trial is into a channel, and stops it when that is asked for.

    Parameters
    ----------
    channel : Channel
    number : int
        Of the trial, among all.
    trial : Job
    attempt : int
        Which beginning of it, from 1.
    """

    channel: Channel
    number: int
    trial: Job
    attempt: int = 1
    report: TrialReport = field(init=False)

    def __post_init__(self) -> None:
        self.report = TrialReport(self.number, self.trial.name)
        self._begun = 0
        self._written_at = 0.0
        self._eaten: deque[tuple[int, int, int]] = deque()  # epochs, rewarded, punished of the latest pieces
        parameters = self.trial.parameters
        self._eaten_epochs = PERFORMANCE_AEONS * parameters.timing.epochs_per_aeon if parameters else 0

    @property
    def is_alone(self) -> bool:
        """Nobody waits for this trial any more."""
        return self.channel.lifeline.is_cut()

    def stop_wanted(self) -> bool:
        """See :class:`Listener`."""
        # begun elsewhere: it was taken for dead here
        return self.is_alone or self.channel.is_stop_wanted() or len(self.channel.attempts(self.number)) > self.attempt

    def found(self, epochs: int) -> None:
        """See :class:`Listener`."""
        self.channel.note(self.number, f"{epochs} epochs were computed before")
        self.report.found += epochs
        self._write()

    def part(self, name: str) -> None:
        """See :class:`Listener`."""
        self.report.experiment = name
        self.channel.note(self.number, name)
        self._write()

    def done(self, parts: int) -> None:
        """See :class:`Listener`."""
        self.report.experiments_done = parts

    def note(self, line: str) -> None:
        """See :class:`Listener`."""
        self.channel.note(self.number, line)
        self.report.notes.append(line)
        self._write()

    def experiment(self, experiment: Experiment) -> None:
        """See :class:`Listener`."""
        self.report.experiment, self.report.experiments_done = experiment.name, self._begun
        self._begun += 1
        self._write()

    def begin(self, phase: Phase, recorded: bool) -> None:
        """See :class:`Listener`."""
        self._eaten.clear()
        self.report.phase = phase.name if recorded else f"{phase.name} (for its rates)"
        self.report.performance = None
        self.channel.note(self.number, f"{self.report.experiment}: {phase.name}")
        self._write()

    def epochs(self, records: EpochRecords) -> None:
        """See :class:`Listener`."""
        self.report.epochs += len(records)
        rewarded, punished = (int((records.outcome == outcome).sum()) for outcome in (Outcome.REWARDED, Outcome.PUNISHED))
        self._eaten.append((len(records), rewarded, punished))
        while sum(piece[0] for piece in self._eaten) - self._eaten[0][0] >= self._eaten_epochs:
            self._eaten.popleft()
        if time.monotonic() - self._written_at > REPORT_SECONDS:
            self._write()

    def end(self, done: bool = False) -> None:
        """The trial has ended, well or not."""
        self.report.running = False
        if done:
            self.report.experiments_done = self.trial.parts
        self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        rewarded, punished = (sum(piece[k] for piece in self._eaten) for k in (1, 2))
        self.report.performance = performance(rewarded, punished) if rewarded + punished else None
        with suppress(OSError):  # nobody listens any more, or the disk is full, which is met elsewhere
            _replace(self.channel.folder / f"{self.number}.json", json.dumps(asdict(self.report)))


# ------------------------------------------------------------------------------------------------- in the process of a trial


def run_planned(trial: Job, number: int, channel: Channel) -> tuple[int, TrialEnd]:
    """Run a trial that was given to this process.

    Parameters
    ----------
    trial : Job
    number : int
        Among all.
    channel : Channel

    Returns
    -------
    (int, TrialEnd)
        The number, and how it ended; nothing is raised but what ends the process.
    """
    with _ONE_AT_A_TIME:
        return number, _run_planned(trial, number, channel)


def _run_planned(trial: Job, number: int, channel: Channel) -> TrialEnd:
    if not channel.folder.is_dir():
        return TrialEnd(trial.seed, f"{channel.folder}: not seen on {socket.gethostname()}; {SHARED_FOLDER_NEEDED}")
    before = channel.attempts(number)
    if len(before) >= ATTEMPTS:
        return died(trial, number, channel)
    reporter = Reporter(channel, number, trial, channel.begin_attempt(number))
    try:
        if channel.is_asked_to_stop or reporter.is_alone:
            raise KeyboardInterrupt
        trial.run(reporter)
        reporter.end(done=True)
    except KeyboardInterrupt:
        reporter.end()
        return TrialEnd(trial.seed, stopped=True)
    except FORESEEN as error:
        reporter.end()
        return TrialEnd(trial.seed, one_line(error))
    except Exception as error:  # a defect in one trial must not take the others with it
        reporter.end()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return TrialEnd(trial.seed, f"{type(error).__name__}: {one_line(error)} ({Path(where.filename).name}, line {where.lineno})")
    return TrialEnd(trial.seed)


SHARED_FOLDER_NEEDED = "workers on other machines need the output folder on a file system that all of them share"


def died(trial: Job, number: int, channel: Channel, reason: str = "") -> TrialEnd:
    """The end of a trial whose processes died, as often as it is tried, or were lost for another reason."""
    if trial.is_done():
        return TrialEnd(trial.seed)
    attempts = channel.attempts(number)
    if not reason and not attempts:
        reason = "no process could be started for it"
    times = f"{len(attempts)} times, at last " if len(attempts) > 1 else ""
    reason = reason or f"its process was killed: {times}{attempts[-1]}; is there enough memory?"
    channel.note(number, reason)
    return TrialEnd(trial.seed, reason, died=True)


# ------------------------------------------------------------------------------------------------------------- on this machine


class LocalWorkers:
    """Processes of this machine, one trial in each; or this process, one trial after the other.

    Parameters
    ----------
    jobs : int
        Trials at the same time; 1: in this process.

    Raises
    ------
    RunError
        `jobs` out of range.
    """

    def __init__(self, jobs: int = 1):
        if jobs < 1:
            raise RunError(f"jobs: {jobs} given, allowed is at least 1")
        self.jobs = jobs
        self._processes: list[_OneProcess] = []

    def __enter__(self) -> "LocalWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            process.end()
        self._processes = []

    def place(self, shared: Path) -> None:
        """See :class:`Workers`."""

    def lifeline(self, folder: Path) -> ParentProcess:
        """See :class:`Workers`."""
        return ParentProcess(os.getpid())

    def ends(self, trials: Sequence[Job], channel: Channel) -> Iterator[tuple[int, TrialEnd]]:
        """See :class:`Workers`."""
        from joblib import Parallel, delayed

        jobs = min(self.jobs, len(trials))
        if jobs <= 1:
            return (run_planned(trial, number, channel) for number, trial in enumerate(trials))
        # joblib replaces a process whose memory has grown, between two trials, which loses nothing
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given", category=UserWarning)
        # A pool of several processes is lost as a whole when one is killed. With a pool each, the others go on.
        self._processes = [_OneProcess() for _ in range(jobs)]
        for process in self._processes:
            process.start()
        free: SimpleQueue[_OneProcess] = SimpleQueue()
        for process in self._processes:
            free.put(process)

        def run(number: int) -> tuple[int, TrialEnd]:
            process = free.get()
            try:
                return process.run(trials[number], number, channel)
            finally:
                free.put(process)

        options: dict[str, Any] = {"pre_dispatch": "all", "batch_size": 1}  # joblib declares all of its options as texts
        parallel = Parallel(jobs, backend="threading", return_as="generator_unordered", **options)
        return cast(Iterator[tuple[int, TrialEnd]], parallel(delayed(run)(number) for number in range(len(trials))))

    def look(self, stopping: bool) -> str:
        """See :class:`Workers`."""
        return ""

    def are_lost(self) -> bool:
        """See :class:`Workers`."""
        return False

    def kill(self) -> None:
        """See :class:`Workers`."""
        for process in self._processes:
            process.kill()


class _OneProcess:
    """A process that runs trials, one after the other, and is replaced when it dies."""

    def __init__(self) -> None:
        self._is_killed = False
        self._pool = self._new_pool()

    @staticmethod
    def _new_pool():
        from joblib.externals.loky import ProcessPoolExecutor

        with _signals_held_back():
            return ProcessPoolExecutor(1, initializer=_follow, initargs=(os.getpid(),), env=ONE_THREAD)

    def _submit(self, function: Callable, *arguments: object) -> Future:
        with _signals_held_back():
            return self._pool.submit(function, *arguments)

    def start(self) -> None:
        """Have the process started now, not with its first trial."""
        self._submit(os.getpid)

    def run(self, trial: Job, number: int, channel: Channel) -> tuple[int, TrialEnd]:
        """Run a trial, again if the process dies; see :func:`run_planned`."""
        from joblib.externals.loky.process_executor import BrokenProcessPool, ShutdownExecutorError

        for _ in range(ATTEMPTS + 1):  # the last one only says that the others died
            try:
                return self._submit(run_planned, trial, number, channel).result()
            except (BrokenProcessPool, ShutdownExecutorError) as death:
                if self._is_killed or channel.is_asked_to_stop:
                    return number, TrialEnd(trial.seed, stopped=True)
                channel.note(number, one_line(death))
                self._pool = self._new_pool()
        return number, died(trial, number, channel)

    def kill(self) -> None:
        """End the process at once, and its trial with it."""
        self._is_killed = True
        self._pool.shutdown(wait=False, kill_workers=True)

    def end(self) -> None:
        """End the process; it is idle."""
        if not self._is_killed:
            self._pool.shutdown(wait=True)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Processes that are started meanwhile do not hear what stops a run, until they can ignore it.

    Batch systems and terminals send it to all processes of a group, and a trial is saved only if the coordinator asks for that.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(coordinator: int) -> None:
    """Leave signals to the coordinator, and end when it has ended."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    threading.Thread(target=_end_after, args=(coordinator,), daemon=True).start()


def _end_after(coordinator: int) -> None:
    while os.getppid() == coordinator:
        time.sleep(BEAT_SECONDS)
    with _ONE_AT_A_TIME:  # its trial notices that as well, and is saved first
        os._exit(1)

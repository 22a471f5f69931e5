"""Many experiments for many trials: each trial is a job for a process of its own; they are given out and watched from here.

What a trial does is in running.py; how it looks on the screen, in progress.py.
"""

import json
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from foraging_snn.models import EpochRecords, Parameters, Phase, engine_class, preset
from foraging_snn.progress import TrialReport, TrialsBoard
from foraging_snn.protocols import Experiment, ExperimentError, experiment, experiments
from foraging_snn.recording import RecordingError, Trial
from foraging_snn.running import Listener, RunError, phases_to_run, run_experiments, trial_path
from foraging_snn.states import SavedState
from foraging_snn.terminal import FORESEEN, one_line

# What the figures need besides the strengths.
RECORDING = {"recording.windows": 11, "recording.spike_window_epochs": 400, "recording.position_window_epochs": 400}
REPORT_SECONDS = 0.5  # between two reports of a trial, and between two looks at them
STOP = "stop"  # this file among the reports asks all trials to stop


@dataclass(frozen=True)
class Plan:
    """Which experiments are run for which trials, and how.

    Attributes
    ----------
    experiments : tuple of Experiment
        In the order of the catalogue; every trial runs them all.
    parameters : Parameters
    directory : Path
        For the files.
    seeds : range
        One per trial.
    engine, command_line : str
    start : SavedState or None
        Replaces the unsupervised phase.
    """

    experiments: tuple[Experiment, ...]
    parameters: Parameters
    directory: Path
    seeds: range
    engine: str
    command_line: str
    start: SavedState | None = None

    def paths(self, seed: int) -> list[Path]:
        """Files of a trial, in the order of the experiments."""
        return [trial_path(self.directory, e.name, seed) for e in self.experiments]

    @property
    def all_paths(self) -> list[Path]:
        """Files of all trials."""
        return [path for seed in self.seeds for path in self.paths(seed)]

    @cached_property
    def phases(self) -> list[Phase]:
        """What each trial computes."""
        return phases_to_run(*self.experiments, started=self.start is not None)

    @property
    def epochs(self) -> int:
        """Of each trial."""
        return sum(phase.epochs for phase in self.phases)


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: well, or with an error (one line), or stopped before its end."""

    seed: int
    error: str = ""
    stopped: bool = False


def chosen_experiments(names: str | None, parameters: Parameters) -> tuple[Experiment, ...]:
    """The experiments of a list "a,b,c" in the order of the catalogue; all of them if there is no list.

    Raises
    ------
    ExperimentError
        An unknown name, or none at all.
    """
    if names is None:
        return tuple(experiments(parameters).values())
    wanted = {experiment(name.strip(), parameters).name for name in names.split(",") if name.strip()}
    if not wanted:
        raise ExperimentError(f"experiments: {names!r} given, allowed are names from `foraging-snn list`, with commas between")
    return tuple(e for e in experiments(parameters).values() if e.name in wanted)


def with_recording(parameters: Parameters, set_by_user: set[str]) -> Parameters:
    """Parameters that record what the figures need, except where the user has set something else, by name or in a file."""
    usual = {row.name: row.value for row in preset(parameters.preset).rows()}
    untouched = {row.name for row in parameters.rows() if row.name not in set_by_user and row.value == usual[row.name]}
    return parameters.with_changes({name: value for name, value in RECORDING.items() if name in untouched})


def run_plan(plan: Plan, jobs: int, board: TrialsBoard) -> list[TrialEnd]:
    """Run all trials of a plan.

    Parameters
    ----------
    plan : Plan
    jobs : int
        Trials at the same time, each in a process of its own; 1: one after the other in this process. The files do not depend
        on it.
    board : TrialsBoard

    Returns
    -------
    list of TrialEnd
        One per trial, by seed. A trial that fails does not keep the others from going on.

    Raises
    ------
    RunError
        `jobs` out of range.

    Notes
    -----
    Ctrl-C stops all trials; they close their files and are returned as stopped. A second one ends their processes at once and
    raises KeyboardInterrupt.
    """
    if jobs < 1:
        raise RunError(f"jobs: {jobs} given, allowed is at least 1")
    with tempfile.TemporaryDirectory(prefix="foraging_snn_") as name, _watched(Path(name), board):
        reports, ends = Path(name), {}
        while waiting := [seed for seed in plan.seeds if seed not in ends]:
            ends |= _run_round(plan, waiting, min(jobs, len(waiting)), reports)
    return [ends[seed] for seed in plan.seeds]


def _run_round(plan: Plan, seeds: list[int], jobs: int, reports: Path) -> dict[int, TrialEnd]:
    """Run trials until all have ended or one has taken all processes down with it; those not begun are left for the next."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    ends: dict[int, TrialEnd] = {}
    try:
        with _interrupts_stop(reports) as listen:
            calls = (delayed(run_planned_trial)(plan, seed, reports, os.getpid()) for seed in seeds)
            results = Parallel(jobs, backend="loky", return_as="generator_unordered", max_nbytes=None)(calls)
            listen()
            for end in results:
                ends[end.seed] = end
    except TerminatedWorkerError:
        begun = {report.seed for report in read_reports(reports)} or set(seeds)
        lost = [seed for seed in seeds if seed in begun and seed not in ends]
        ends |= {seed: TrialEnd(seed, _after_sudden_death(plan.paths(seed))) for seed in lost}
    return ends


def _after_sudden_death(paths: list[Path]) -> str:
    return "" if count_complete(paths) == len(paths) else "its process, or another beside it, was killed; is there enough memory?"


def count_complete(paths: list[Path]) -> int:
    """How many of these files hold complete trials."""

    def is_complete(path: Path) -> bool:
        try:
            return path.exists() and Trial(path).complete
        except RecordingError:
            return False

    return sum(is_complete(path) for path in paths)


@contextmanager
def _interrupts_stop(reports: Path) -> Iterator:
    """Ignore Ctrl-C, which processes that are started meanwhile inherit; once the function given has been called, the first
    Ctrl-C asks all trials to stop, and the second interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # only the main thread is interrupted
        return

    def ask_to_stop(*_: object) -> None:
        (reports / STOP).touch()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield lambda: signal.signal(signal.SIGINT, ask_to_stop)
    finally:
        signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------------------- in the process of a trial


def run_planned_trial(plan: Plan, seed: int, reports: Path, coordinator: int) -> TrialEnd:
    """Run the experiments of one trial.

    Parameters
    ----------
    plan : Plan
    seed : int
    reports : Path
        Folder where this trial says how far it is.
    coordinator : int
        Number of the process that gave it out; without it, it stops.
    """
    reporter = _Reporter(reports, seed, coordinator)
    try:
        reporter.stop_if_asked()
        with engine_class(plan.engine)(plan.parameters) as engine:
            run_experiments(
                plan.experiments,
                plan.parameters,
                seed=seed,
                trial=plan.seeds.index(seed),
                engine=engine,
                paths=plan.paths(seed),
                command_line=plan.command_line,
                start=plan.start,
                progress=reporter,
            )
        reporter.end(len(plan.experiments))
    except KeyboardInterrupt:
        if reporter.is_alone:
            os._exit(1)  # nobody waits for the result, and joblib would keep the process for minutes
        reporter.end()
        return TrialEnd(seed, stopped=True)
    except FORESEEN as error:
        reporter.end()
        return TrialEnd(seed, one_line(error))
    except Exception as error:  # a defect in one trial must not take the others with it
        reporter.end()
        where = traceback.extract_tb(error.__traceback__)[-1]
        return TrialEnd(seed, f"{type(error).__name__}: {one_line(error)} ({Path(where.filename).name}, line {where.lineno})")
    return TrialEnd(seed)


@dataclass
class _Reporter(Listener):
    """Writes how far a trial is into a small file, and stops it when that is asked for."""

    reports: Path
    seed: int
    coordinator: int
    report: TrialReport = field(init=False)

    def __post_init__(self) -> None:
        self.report = TrialReport(self.seed)
        self._begun = 0
        self._written_at = 0.0

    @property
    def is_alone(self) -> bool:
        return self.coordinator not in (os.getpid(), os.getppid())

    def stop_if_asked(self) -> None:
        if self.is_alone or (self.reports / STOP).exists():
            raise KeyboardInterrupt

    def experiment(self, experiment: Experiment) -> None:
        self.report.experiment, self.report.experiments_done = experiment.name, self._begun
        self._begun += 1
        self._write()

    def begin(self, phase: Phase, recorded: bool) -> None:
        self.report.phase = phase.name
        self._write()

    def epochs(self, records: EpochRecords) -> None:
        self.report.epochs += len(records)
        if time.monotonic() - self._written_at > REPORT_SECONDS:
            self._write()
        self.stop_if_asked()

    def end(self, experiments_done: int | None = None) -> None:
        self.report.running = False
        if experiments_done is not None:
            self.report.experiments_done = experiments_done
        self._write()

    def _write(self) -> None:
        if not self.reports.is_dir():  # nobody listens any more
            return
        scratch = self.reports / f"{self.seed}.part"
        scratch.write_text(json.dumps(asdict(self.report)))
        scratch.replace(self.reports / f"{self.seed}.json")
        self._written_at = time.monotonic()


def read_reports(folder: Path) -> list[TrialReport]:
    """The latest report of every trial that has begun, by seed."""
    reports = [TrialReport(**json.loads(path.read_text())) for path in folder.glob("*.json")]
    return sorted(reports, key=lambda report: report.seed)


@contextmanager
def _watched(folder: Path, board: TrialsBoard) -> Iterator[None]:
    """Show the reports in a folder while a block runs."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(REPORT_SECONDS):
            board.show(read_reports(folder), stopping=(folder / STOP).exists())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        board.show(read_reports(folder), stopping=False, last=True)

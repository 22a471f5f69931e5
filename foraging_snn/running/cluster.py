"""Trials on a Dask cluster that is there already, through joblib's Dask backend.

Needs `pip install '.[dask]'` in a clone. How trials are watched and stopped is in scheduling.py.
"""

import logging
import socket
import threading
import time
from asyncio import CancelledError as CoroutineCancelledError
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from foraging_snn.files.provenance import provenance, version_and_commit
from foraging_snn.running.errors import RunError, one_line
from foraging_snn.running.scheduling import BEAT, SHARED_FOLDER_NEEDED, Channel, Heartbeat, Job, TrialEnd, died, run_planned

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10  # to reach the scheduler, and again for it to have a worker
LOOK_SECONDS = 1.0  # between two looks at what the scheduler has
ANSWER_SECONDS = 5.0  # a scheduler that is busy takes its time
NO_WORKER_SECONDS = 5.0  # without a worker, until that is told


class ClusterWorkers:
    """The workers of a Dask cluster, one trial in each at a time.

    Parameters
    ----------
    address : str
        Of the scheduler, e.g. "tcp://192.168.1.5:8786".
    jobs : int, optional
        Trials at the same time; as many as the cluster has workers if omitted.

    Raises
    ------
    RunError
        `jobs` out of range; Dask is not installed; the scheduler is not reached, or has no worker, within `CONNECT_SECONDS`; a
        worker has several threads, lacks foraging_snn or has another version of it.
    """

    def __init__(self, address: str, jobs: int | None = None):
        if jobs is not None and jobs < 1:
            raise RunError(f"jobs: {jobs} given, allowed is at least 1")
        self._address = address
        self._client = _connected(address)
        try:
            threads = self._wait_for_workers()
            self._check_workers()
            self._scheduler = self._identity()["id"]
        except BaseException:
            self._client.close()
            raise
        self.jobs = min(jobs or len(threads), len(threads))
        self._given_out = _GivenOut()
        self._worker_seen_at = self._looked_at = time.monotonic()
        self._told_of_none = False

    def _identity(self) -> dict[str, Any]:
        client: Any = self._client  # what it offers depends on how it was made, which its types do not say
        return client.sync(client.scheduler.identity, callback_timeout=ANSWER_SECONDS)

    def _wait_for_workers(self) -> dict[str, int]:
        """Threads of each worker."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise RunError(f"--scheduler: {self._address}: has no worker after {CONNECT_SECONDS} s") from None
        threads = cast(dict[str, int], self._client.nthreads())
        for worker, n in threads.items():
            if n > 1:
                raise RunError(f"--scheduler: worker {worker} has {n} threads, allowed is 1: dask worker --nthreads 1")
        return threads

    def __enter__(self) -> "ClusterWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        with _quiet():
            self._client.close()

    def place(self, shared: Path) -> Path:
        """See :class:`foraging_snn.running.scheduling.Workers`."""
        return shared.resolve()

    def lifeline(self, folder: Path) -> Heartbeat:
        """See :class:`foraging_snn.running.scheduling.Workers`."""
        return Heartbeat(folder / BEAT)

    def ends(self, trials: Sequence[Job], channel: Channel) -> Iterator[tuple[int, TrialEnd]]:
        """See :class:`foraging_snn.running.scheduling.Workers`.

        Raises
        ------
        RunError
            A worker does not see the folder.
        """
        from joblib import Parallel, delayed

        self._check_workers(channel.folder)
        backend = _backend(self._client, trials, channel, self._given_out)
        # No more trials than workers at a time: Dask holds the death of a worker against all tasks that wait for it.
        options: dict[str, Any] = {"pre_dispatch": self.jobs, "batch_size": 1}  # joblib declares all of its options as texts
        parallel = Parallel(backend=backend, return_as="generator_unordered", **options)
        begun = takewhile(lambda _: not self.are_lost(), enumerate(trials))
        with _quiet():
            ends = parallel(delayed(run_planned)(trial, number, channel) for number, trial in begun)
            yield from cast(Iterator[tuple[int, TrialEnd]], ends)

    def look(self, stopping: bool) -> str:
        """See :class:`foraging_snn.running.scheduling.Workers`."""
        if self.are_lost() or time.monotonic() - self._looked_at < LOOK_SECONDS:
            return ""
        try:
            found = self._identity()
        except TimeoutError:
            return ""
        except (OSError, AttributeError):  # nobody is there; the client has given up
            found = {"id": ""}
        finally:
            self._looked_at = time.monotonic()
        if found["id"] != self._scheduler:
            self._given_out.give_up(lost=True)
            return ""
        return self._told_of_workers(len(found["workers"]), stopping)

    def _told_of_workers(self, n: int, stopping: bool) -> str:
        now = time.monotonic()
        if n:
            self._worker_seen_at = now
            was_told, self._told_of_none = self._told_of_none, False
            return f"the Dask cluster has workers again: {n}" if was_told else ""
        if stopping:
            self._given_out.give_up()
        elif not self._told_of_none and now - self._worker_seen_at >= NO_WORKER_SECONDS:
            self._told_of_none = True
            return f"the Dask cluster has no worker; waiting for one (dask worker {self._address} --nthreads 1); Ctrl-C stops"
        return ""

    def are_lost(self) -> bool:
        """See :class:`foraging_snn.running.scheduling.Workers`."""
        return self._given_out.are_lost

    def _check_workers(self, folder: Path | None = None) -> None:
        here = _facts(folder)
        try:
            found = cast(dict[str, Any], self._client.run(_facts, folder, on_error="return"))
        except Exception as error:  # Dask raises whatever it cannot read of an answer
            raise RunError(f"--scheduler: the workers do not answer: {type(error).__name__}: {one_line(error)}") from None
        for worker, there in found.items():
            if isinstance(there, ImportError) or "ModuleNotFoundError" in str(there):  # the latter if it lacks this one
                raise RunError(f"--scheduler: worker {worker} lacks a package: {one_line(there)}")
            if isinstance(there, BaseException):
                raise RunError(f"--scheduler: worker {worker}: {type(there).__name__}: {one_line(there)}")
            if there["version"] != here["version"]:
                raise RunError(f"--scheduler: worker {worker} has foraging_snn {there['version']}, here it is {here['version']}")
            if folder and not there["sees_folder"]:
                raise RunError(
                    f"--scheduler: worker {worker} on {there['host']} does not see {folder.parent}: {SHARED_FOLDER_NEEDED}"
                )

    def kill(self) -> None:
        """See :class:`foraging_snn.running.scheduling.Workers`; trials that run end by themselves when the coordinator has gone."""


def _connected(address: str) -> "Client":
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
        from joblib import _dask  # noqa: F401
    except ImportError as error:
        raise RunError(f"--scheduler: needs Dask: pip install '.[dask]' in a clone of foraging_snn ({one_line(error)})") from None
    try:
        get_address_host_port(address)  # a client that was given what is no address prints a traceback when it is removed
    except ValueError as error:
        raise RunError(f"--scheduler: {address!r} given, allowed is an address such as tcp://10.0.0.5:8786 ({error})") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="foraging-snn")
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise RunError(f"--scheduler: {address}: not reached within {CONNECT_SECONDS} s: {one_line(error)}") from None


def _facts(folder: Path | None) -> dict[str, Any]:
    """What is asked of a worker."""
    version = version_and_commit(provenance("", ""))
    return {"version": version, "sees_folder": folder is None or folder.is_dir(), "host": socket.gethostname()}


class _GivenOut:
    """The trials that the cluster has, by number; each is settled once, by its result or because there will be none.

    Attributes
    ----------
    are_lost : bool
        The scheduler that had them is there no more.
    """

    def __init__(self) -> None:
        self.are_lost = False
        self._callbacks: dict[int, Callable[[tuple[int, Future | None]], None]] = {}
        self._lock = threading.Lock()

    def add(self, number: int, callback: "Callable[[tuple[int, Future | None]], None]") -> None:
        """The cluster has a trial."""
        self._callbacks[number] = callback
        if self.are_lost:
            self.settle(number, None)

    def settle(self, number: int, result: "Future | None") -> None:
        """Call back with a result."""
        with self._lock:
            callback = self._callbacks.pop(number, None)
        if callback:
            callback((number, result))

    def give_up(self, lost: bool = False) -> None:
        """Call back for all, without results."""
        self.are_lost = self.are_lost or lost
        for number in list(self._callbacks):
            self.settle(number, None)


def _backend(client: "Client", trials: Sequence[Job], channel: Channel, given_out: _GivenOut):
    """joblib's Dask backend, but a trial that Dask gives up becomes one that failed, and the others go on.

    Calls are handed to Dask as they are: joblib's own way puts arguments on single workers, which can die with them, and opens a
    connection to the scheduler in each task.
    """
    from distributed import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs):
            return 2  # for 1, joblib would compute here; how many there are at a time, `pre_dispatch` says

        def submit(self, func, callback: Any = None):
            ((function, arguments, _),) = func.items  # a call of run_planned
            number = arguments[1]
            future = self.client.submit(function, *arguments, pure=False)
            given_out.add(number, callback)
            future.add_done_callback(lambda done: given_out.settle(number, done))
            return future

        def retrieve_result_callback(self, numbered):
            number, done = numbered
            stopped = number, TrialEnd(trials[number].seed, stopped=True)
            if done is None:
                return [stopped]
            try:
                return [done.result()]
            except (CancelledError, CoroutineCancelledError):  # the scheduler has died, or somebody has restarted it
                given_out.give_up(lost=True)
                return [stopped]
            except Exception as error:
                reason = f"given up by the Dask cluster: {type(error).__name__}: {one_line(error)}"
                return [(number, died(trials[number], number, channel, "" if isinstance(error, KilledWorker) else reason))]

    return Backend(client=client)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from printing what is told in one line here."""
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)

"""Trials on a Dask cluster that is there already, through joblib's Dask backend.

Needs `pip install foraging-snn[dask]`. How trials are watched and stopped is in scheduling.py.
"""

import socket
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import foraging_snn
from foraging_snn.provenance import provenance
from foraging_snn.running import RunError
from foraging_snn.scheduling import BEAT, SHARED_FOLDER_NEEDED, Channel, Heartbeat, Task, TrialEnd, died, run_task
from foraging_snn.terminal import one_line

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10  # to reach the scheduler, and again for it to have a worker


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
        worker has several threads.
    """

    def __init__(self, address: str, jobs: int | None = None):
        if jobs is not None and jobs < 1:
            raise RunError(f"jobs: {jobs} given, allowed is at least 1")
        self._address = address
        self._client = _connected(address)
        try:
            threads = self._wait_for_workers()
        except BaseException:
            self._client.close()
            raise
        self.jobs = min(jobs or len(threads), len(threads))

    def _wait_for_workers(self) -> dict[str, int]:
        """Threads of each worker."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise RunError(f"--scheduler: {self._address}: has no worker after {CONNECT_SECONDS} s") from None
        threads = self._client.nthreads()
        for worker, n in threads.items():
            if n > 1:
                raise RunError(f"--scheduler: worker {worker} has {n} threads, allowed is 1: dask worker --nthreads 1")
        return threads

    def __enter__(self) -> "ClusterWorkers":
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    def place(self, shared: Path) -> Path:
        """See :class:`foraging_snn.scheduling.Workers`."""
        return shared.resolve()

    def lifeline(self, folder: Path) -> Heartbeat:
        """See :class:`foraging_snn.scheduling.Workers`."""
        return Heartbeat(folder / BEAT)

    def ends(self, tasks: Sequence[Task], channel: Channel) -> Iterator[tuple[int, TrialEnd]]:
        """See :class:`foraging_snn.scheduling.Workers`.

        Raises
        ------
        RunError
            A worker lacks foraging_snn, has another version of it, or does not see the folder.
        """
        from joblib import Parallel, delayed

        self._check_workers(channel.folder)
        backend = _backend(self._client, tasks, channel)
        # No more trials than workers at a time: Dask holds the death of a worker against all tasks that wait for it.
        parallel = Parallel(backend=backend, return_as="generator_unordered", pre_dispatch=self.jobs, batch_size=1)
        return parallel(delayed(run_task)(task, number, channel) for number, task in enumerate(tasks))

    def _check_workers(self, folder: Path) -> None:
        here = _facts(folder)
        for worker, there in self._client.run(_facts, folder, on_error="return").items():
            if isinstance(there, ImportError):
                raise RunError(f"--scheduler: worker {worker} lacks a package: {one_line(there)}")
            if isinstance(there, BaseException):
                raise RunError(f"--scheduler: worker {worker}: {type(there).__name__}: {one_line(there)}")
            if there["version"] != here["version"]:
                raise RunError(f"--scheduler: worker {worker} has foraging_snn {there['version']}, here it is {here['version']}")
            if not there["sees_folder"]:
                raise RunError(
                    f"--scheduler: worker {worker} on {there['host']} does not see {folder.parent}: {SHARED_FOLDER_NEEDED}"
                )

    def kill(self) -> None:
        """See :class:`foraging_snn.scheduling.Workers`; trials that run end by themselves when the coordinator has gone."""


def _connected(address: str) -> "Client":
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
        from joblib import _dask  # noqa: F401
    except ImportError as error:
        raise RunError(f"--scheduler: needs Dask: pip install foraging-snn[dask] ({one_line(error)})") from None
    try:
        get_address_host_port(address)  # a client that was given what is no address prints a traceback when it is removed
    except ValueError as error:
        raise RunError(f"--scheduler: {address!r} given, allowed is an address such as tcp://10.0.0.5:8786 ({error})") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="foraging-snn")
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise RunError(f"--scheduler: {address}: not reached within {CONNECT_SECONDS} s: {one_line(error)}") from None


def _facts(folder: Path) -> dict[str, Any]:
    """What is asked of a worker."""
    commit = provenance("", "")["git_commit"]
    version = f"{foraging_snn.__version__}{f' ({commit})' if commit else ''}"
    return {"version": version, "sees_folder": folder.is_dir(), "host": socket.gethostname()}


def _backend(client: "Client", tasks: Sequence[Task], channel: Channel):
    """joblib's Dask backend, but a trial that Dask gives up becomes one that failed, and the others go on.

    Calls are handed to Dask as they are: joblib's own way puts arguments on single workers, which can die with them, and opens a
    connection to the scheduler in each task.
    """
    from distributed import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def submit(self, func, callback=None):
            ((function, arguments, _),) = func.items  # a call of run_task
            future = self.client.submit(function, *arguments, pure=False)
            future.add_done_callback(lambda done: callback((arguments[1], done)))
            return future

        def retrieve_result_callback(self, numbered):
            number, done = numbered
            try:
                return [done.result()]
            except (Exception, CancelledError) as error:
                reason = f"given up by the Dask cluster: {type(error).__name__}: {one_line(error)}"
                return [(number, died(tasks[number], number, channel, "" if isinstance(error, KilledWorker) else reason))]

    return Backend(client=client)

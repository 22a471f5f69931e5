"""Where the process of `foraging-snn` begins: looks whether its memory is limited too far, before any library is loaded.

Imports nothing large itself. What the command line is, cli.py says.
"""

import os
import sys

PROGRAM = "foraging-snn"
MEGABYTE = 10**6
# Address space, measured with one thread: 360 to load the command line, 500 for a table, 520 to 740 for figures, 790 to
# compile the event engine. LLVM ends the process at once where it gets no memory, and OpenBLAS tries for minutes, so that
# neither can be left to an exception.
NEEDED_TO_LOAD, NEEDED_FOR_STATISTICS, NEEDED_TO_COMPUTE = 400, 600, 900  # MB
COMPUTING = ("run", "reproduce", "sweep", "unsupervised", "demo", "compare-engines", "figures", "animate", "landscape", "paths")
NEEDED = {"table": NEEDED_FOR_STATISTICS} | dict.fromkeys(COMPUTING, NEEDED_TO_COMPUTE)
MB_OF_A_THREAD = 128  # of BLAS, which NumPy and SciPy each bring
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
NOT_LOADED = (MemoryError, ImportError, OSError, SystemError)  # what libraries raise that get no memory while they are loaded
BAD_INPUT = 2


def main() -> int:
    """Entry point of the process; exit codes as for :func:`foraging_snn.commands.cli.main`.

    Notes
    -----
    Under a limit of the address space (`ulimit -v`) that leaves no room for as many threads of BLAS as there are processors, it
    gets one, unless the user says otherwise: OpenBLAS would try for minutes to start the others. Else nothing is changed.
    """
    limit = address_space_limit()
    needed = _needed(sys.argv[1:])
    if limit is None or limit >= (needed + MB_OF_A_THREAD * (os.cpu_count() or 1)) * MEGABYTE:
        return _command_line()
    if limit < needed * MEGABYTE:
        return _too_little(limit, f"at least {needed} MB are needed for that")
    for name in THREADS:
        os.environ.setdefault(name, "1")
    try:
        return _command_line()
    except NOT_LOADED as error:
        return _too_little(limit, " ".join(str(error).split())[:200] or type(error).__name__)


def address_space_limit() -> int | None:
    """Bytes that this process may map (`ulimit -v`); None: as many as there are, or the system has no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _needed(arguments: list[str]) -> int:
    """MB of address space that a command needs."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    return NEEDED_TO_LOAD if {"-h", "--help"} & set(arguments) else NEEDED.get(command, NEEDED_TO_LOAD)


def _command_line() -> int:
    from foraging_snn.commands.cli import main as command_line

    return command_line()


def _too_little(limit: int, why: str) -> int:
    print(f"{PROGRAM}: there is not enough memory: limited to {limit // MEGABYTE} MB (ulimit -v), {why}", file=sys.stderr)
    return BAD_INPUT

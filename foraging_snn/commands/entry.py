"""Where the process of `foraging-snn` begins: sees to what it inherits from its surroundings, before any library is loaded.

Imports nothing large itself. What the command line is, cli.py says.
"""

import errno
import os
import sys

from foraging_snn.commands.screen import open_screens

PROGRAM = "foraging-snn"
MEGABYTE = 10**6
# Address space, measured with one thread: 360 to load the command line, 500 for a table, 520 to 740 for figures, 790 to
# compile the event engine, 960 with PyTorch. LLVM ends the process at once where it gets no memory, and OpenBLAS tries for
# minutes, so that neither can be left to an exception.
NEEDED_TO_LOAD, NEEDED_FOR_STATISTICS, NEEDED_TO_COMPUTE, NEEDED_FOR_NETWORKS = 400, 600, 900, 1050  # MB
COMPUTING = (
    "ann",
    "run",
    "reproduce",
    "sweep",
    "unsupervised",
    "demo",
    "compare-engines",
    "figures",
    "animate",
    "landscape",
    "paths",
    "basins",
    "explore",
)
NEEDED = {"table": NEEDED_FOR_STATISTICS} | dict.fromkeys(COMPUTING, NEEDED_TO_COMPUTE) | {"ann": NEEDED_FOR_NETWORKS}
MB_OF_A_THREAD = 128  # of BLAS, which NumPy and SciPy each bring
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
NOT_LOADED = (MemoryError, ImportError, OSError, SystemError)  # what libraries raise that get no memory while they are loaded
NOT_ALL_WELL, BAD_INPUT, INTERRUPTED = 1, 2, 130


def main() -> int:
    """Entry point of the process; exit codes as for :func:`foraging_snn.commands.cli.main`.

    Notes
    -----
    Under a limit of the address space (`ulimit -v`) that leaves no room for as many threads of BLAS as there are processors, it
    gets one, unless the user says otherwise: OpenBLAS would try for minutes to start the others. Figures are drawn into files,
    so Matplotlib gets the backend for that, whatever a notebook has told its children.
    """
    os.environ["MPLBACKEND"] = "agg"
    screen = open_screens()
    try:
        code = _run()
    except KeyboardInterrupt:  # while libraries were loaded; later, cli.py sees to it
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ImportError as error:
        said = f"a library cannot be loaded: {_one_line(error)}; `pip check` tells which versions do not fit together"
        print(f"{PROGRAM}: {said}", file=sys.stderr)
        return BAD_INPUT
    screen.flush()
    if screen.failure is None or _command(sys.argv[1:]) in COMPUTING:
        return code
    if screen.failure.errno != errno.EPIPE:  # else the reader has seen enough
        print(f"{PROGRAM}: the output cannot be written: {screen.failure.strerror}", file=sys.stderr)
    return code or NOT_ALL_WELL


def _run() -> int:
    if sys.argv[1:] == ["--version"]:
        print(version_line())
        return 0
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
        return _too_little(limit, _one_line(error))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def version_line() -> str:
    """What `--version` says."""
    import foraging_snn

    return f"{PROGRAM} {foraging_snn.__version__}"


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
    return NEEDED_TO_LOAD if {"-h", "--help"} & set(arguments) else NEEDED.get(_command(arguments), NEEDED_TO_LOAD)


def _command(arguments: list[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")


def _command_line() -> int:
    from foraging_snn.commands.cli import main as command_line

    return command_line()


def _too_little(limit: int, why: str) -> int:
    print(f"{PROGRAM}: there is not enough memory: limited to {limit // MEGABYTE} MB (ulimit -v), {why}", file=sys.stderr)
    return BAD_INPUT

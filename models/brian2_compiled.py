"""The compiled engine: the Brian2 network as a C++ standalone program, the world stepping inside it.

The program is generated and compiled once per set of parameters, kept in a cache, and then serves as a worker process that is
handed states and phases. The rules it runs at epoch boundaries are in models/cpp.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from foraging_snn.environments.jit import cache_directory
from foraging_snn.environments.temporary import TemporaryFolder
from foraging_snn.models.engine import AWAKE_LATER, Engine, EngineError, EpochRecords
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.rows import rows_of
from foraging_snn.models.schema import axis_sizes, schema_of
from foraging_snn.models.state import NetworkState, removal_order

SOURCES = (
    "brian2_build.py",
    "brian2_network.py",
    *(f"cpp/{name}.h" for name in ("cell", "draws", "plasticity", "world", "worker")),
    "cpp/worker.cpp",
)
BUILDING = "building_"  # begins the name of a folder in which a program is built
ABANDONED_SECONDS = 3600.0  # no compilation takes so long
# What the compiler and make would take from the surroundings, and what is compiled would depend on.
OF_COMPILERS = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS")
RECORD_TYPES = {name: what.kind for name, what in schema_of(EpochRecords).items() if what.is_array and name != "awake"}
SINGLE = {int: np.int64, bool: np.int8}  # how single numbers of a state are exchanged


class Brian2Compiled(Engine):
    """The Brian2 network as a compiled program (C++ standalone).

    Parameters
    ----------
    parameters : Parameters
    flags : {"strict", "default"}
        Compiler flags: plain IEEE arithmetic, or Brian2's own with -ffast-math.

    Raises
    ------
    EngineError
        No C++ compiler, or the compilation failed.
    """

    name = "brian2"

    def __init__(self, parameters: Parameters, flags: str = "strict"):
        super().__init__(parameters)
        self._flags = flags
        directory = compiled_program(parameters, flags)
        self._scratch = TemporaryFolder()
        self._file = str(Path(self._scratch.name) / "exchange.bin")
        self._log = open(Path(self._scratch.name) / "stderr.txt", "w+")  # noqa: SIM115 - lives as long as the worker
        self._worker = subprocess.Popen(
            [str(directory / "main")],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we end the worker
        )
        assert self._worker.stdin and self._worker.stdout  # they are pipes
        self._commands, self._answers = self._worker.stdin, self._worker.stdout
        self._phase: Phase  # with the state, from _load
        self._epoch = self._phase_epoch = 0

    @classmethod
    def compiling(cls) -> str:
        """See :meth:`foraging_snn.models.engine.Engine.compiling`."""
        return "it is compiled when these parameters are new to it: about half a minute"

    def worker_kilobytes(self) -> int:
        """Peak memory of the compiled program; 0 where the system does not tell."""
        try:
            lines = Path(f"/proc/{self._worker.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            return 0

    def with_parameters(self, parameters: Parameters) -> "Brian2Compiled":
        """Another one, compiled with the same flags."""
        return type(self)(parameters, self._flags)

    def close(self) -> None:
        """End the worker process and remove its scratch files."""
        super().close()
        if self._worker.poll() is None:
            self._worker.kill()
        self._worker.wait()
        for stream in (self._commands, self._answers, self._log):
            with contextlib.suppress(BrokenPipeError):  # a command that a dead worker did not take is still in the buffer
                stream.close()
        self._scratch.cleanup()

    def _command(self, *words: object) -> None:
        try:
            self._commands.write(" ".join(map(str, words)) + "\n")
            self._commands.flush()
            answer = self._answers.readline().strip()
        except BrokenPipeError:
            answer = ""
        if answer != "done":
            raise EngineError(f"brian2 engine: {answer.removeprefix('error ') or self._last_words()}")

    def _last_words(self) -> str:
        self._log.seek(0)
        said = " ".join(self._log.read().split())
        return f"the compiled program ended unexpectedly (exit status {self._worker.wait()}){said and f': {said}'}"

    def _load(self, state: NetworkState, phase: Phase) -> None:
        if self._commands.closed:
            raise EngineError("brian2 engine: it is closed and cannot run any more; make a new one")
        self._phase, self._epoch, self._phase_epoch = phase, state.epoch, state.phase_epoch
        order = removal_order(state.seed, self.parameters.n_hidden).astype(np.int32)
        _write(self._file, [*state.items(), ("removal_order", order)])
        self._command("load", self._file)
        _write(self._file, rows_of(phase, self.parameters)._asdict().items())
        self._command("phase", phase.epochs, int(phase.dropout), self._file)

    def _advance(self, epochs: int, spikes: bool) -> EpochRecords:
        _write(self._file, zip(("block", "begins"), self._phase.schedule(self._phase_epoch + np.arange(epochs)), strict=True))
        self._phase_epoch += epochs
        self._command("run", epochs, int(spikes), self._file)
        arrays = _read(self._file)
        records = {name: np.frombuffer(arrays[name], kind) for name, kind in RECORD_TYPES.items()}
        first, self._epoch = self._epoch, self._epoch + epochs
        return EpochRecords(first, AWAKE_LATER, **records)

    def _state(self) -> NetworkState:
        self._command("save", self._file)
        arrays = _read(self._file)
        values, sizes = {}, axis_sizes(self.parameters)
        for name, what in schema_of(NetworkState).items():
            data = np.frombuffer(arrays[name], what.kind if what.is_array else SINGLE[what.kind])
            values[name] = data.reshape(-1, *what.shape(sizes)[1:]).copy() if what.is_array else what.kind(data[0])
        return NetworkState(**values)


def _write(path: str, values: Iterable[tuple[str, object]]) -> None:
    """Named arrays one after the other: name (32 bytes), number of bytes (int64), data."""
    with open(path, "wb") as file:
        for name, value in values:
            if not isinstance(value, np.ndarray):
                value = np.array(value, SINGLE[type(value)])
            file.write(name.encode().ljust(32, b"\0"))
            file.write(np.int64(value.nbytes).tobytes())
            file.write(value.tobytes())


def _read(path: str) -> dict[str, memoryview]:
    data = memoryview(Path(path).read_bytes())
    arrays, at = {}, 0
    while at < len(data):
        name = bytes(data[at : at + 32]).rstrip(b"\0").decode()
        size = int(np.frombuffer(data[at + 32 : at + 40], np.int64)[0])
        arrays[name] = data[at + 40 : at + 40 + size]
        at += 40 + size
    return arrays


def compiled_program(parameters: Parameters, flags: str = "strict") -> Path:
    """Folder with the compiled program for these parameters; compiled now if the cache does not hold it."""
    from foraging_snn.models.brian2_build import FLAGS, constants_header, state_header

    compiler = _compiler()
    parts = [
        constants_header(parameters),
        state_header(parameters),
        version("brian2"),
        version("numpy"),
        compiler,
        " ".join(FLAGS[flags]),
        _processor(),
    ]
    parts += [(Path(__file__).parent / source).read_text() for source in SOURCES]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
    directory = cache_directory() / "brian2" / key
    if (directory / "main").exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(directory.parent)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=BUILDING) as scratch:
        built = Path(scratch) / "program"
        _build(parameters, built, flags, directory.with_suffix(".log"))
        try:
            built.rename(directory)
        except OSError:  # another process was faster
            if not (directory / "main").exists():
                raise
    return directory


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed have left half built."""
    for path in folder.glob(f"{BUILDING}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _build(parameters: Parameters, directory: Path, flags: str, log: Path) -> None:
    toml = directory.parent / "parameters.toml"
    toml.write_text(parameters.to_toml())
    command = [sys.executable, "-m", "foraging_snn.models.brian2_build", str(toml), str(directory), flags]
    surroundings = {name: value for name, value in os.environ.items() if name not in OF_COMPILERS}
    with subprocess.Popen(
        command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as build:
        try:
            said, _ = build.communicate()
        except BaseException:
            os.killpg(build.pid, signal.SIGKILL)  # the compilers, too
            raise
    if build.returncode != 0:
        log.write_text(said)
        raise EngineError(f"brian2 engine: the compilation failed, see {log}")
    log.unlink(missing_ok=True)  # of an earlier failure
    for leftover in directory.rglob("*.o"):
        leftover.unlink()


def compiler_version() -> str:
    """First line of what the C++ compiler says of itself; "none" if there is none."""
    try:
        return _compiler()
    except EngineError:
        return "none"


def _compiler() -> str:
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            raise EngineError(
                f"brian2 engine: {tool} not found; install a C++ compiler and make (Debian, Ubuntu: apt install g++ make; "
                "Fedora: dnf install gcc-c++ make; macOS: xcode-select --install) or use --engine brian2-runtime"
            )
    return subprocess.run(["g++", "--version"], capture_output=True, text=True).stdout.partition("\n")[0]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return platform.processor()

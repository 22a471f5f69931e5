"""The Brian2 network in this Python process: slow (some twenty epochs per second), but every object can be looked at.

`engine.network` is an ordinary brian2.Network; add monitors to it with :meth:`Brian2Runtime.add` before a run:

    engine = Brian2Runtime(parameters)
    state, _ = engine.run(initial_state(parameters, seed=1), phase, epochs=1)   # builds the network
    trace = brian2.StateMonitor(engine.brian2.hidden_layer, ("V", "x"), record=[0, 1])
    engine.add(trace)
    engine.run(state, phase, epochs=5)
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import brian2
import numpy as np
from brian2 import BrianObject, Network

from foraging_snn.environments.jit import cache_directory
from foraging_snn.models.boundary import Boundary
from foraging_snn.models.brian2_build import FLAGS, constants_header
from foraging_snn.models.brian2_compiled import OF_COMPILERS, compiler_version
from foraging_snn.models.brian2_network import CPP_DIRECTORY, Brian2Network, build_network, own_preferences
from foraging_snn.models.engine import AWAKE_LATER, Engine, EngineError, EpochRecords
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Phase
from foraging_snn.models.state import NetworkState

CYTHON_PAYS_EPOCHS = 2000  # of a phase; from so many on, what Cython takes to compile is won back
CELL_VARIABLES = ("V", "V_1", "V_2", "u", "x")


class Brian2Runtime(Engine):
    """The Brian2 network, stepped by Python.

    Parameters
    ----------
    parameters : Parameters
    codegen : {"auto", "numpy", "cython"}
        Brian2's code generation target. The results are the same, bit for bit. Cython is 1.7 times as fast, but compiles for half
        a minute when the parameters are new to it; "auto" takes it if the phase that builds the network is long and there is a
        compiler.

    Attributes
    ----------
    brian2 : Brian2Network
        Cells, synapses, spike monitor; built by the first run.
    network : brian2.Network
        Everything that is stepped; likewise.
    """

    name = "brian2-runtime"
    chunk_epochs = 10

    def __init__(self, parameters: Parameters, codegen: str = "auto"):
        super().__init__(parameters)
        self.codegen = codegen
        self._target = "numpy"  # of the network that is built
        self._built: tuple[Brian2Network, Network] | None = None
        self._wiring: tuple[bytes, bytes] | None = None
        self._own_state: NetworkState  # of the run under way
        self._extra: list[BrianObject] = []

    def with_parameters(self, parameters: Parameters) -> "Brian2Runtime":
        """Another one, with the same way to make code; without the objects that were added to this one."""
        return type(self)(parameters, self.codegen)

    @property
    def brian2(self) -> Brian2Network:
        """See the class."""
        return self._objects()[0]

    @property
    def network(self) -> Network:
        """See the class."""
        return self._objects()[1]

    def _objects(self) -> tuple[Brian2Network, Network]:
        if self._built is None:
            raise EngineError("brian2-runtime engine: there is no network before the first run, which builds it")
        return self._built

    def add(self, *objects: BrianObject) -> None:
        """Add monitors or other Brian2 objects to the network."""
        self._extra += objects
        self.network.add(*objects)

    def _load(self, state: NetworkState, phase: Phase) -> None:
        self._own_state = state = state.copy()
        brian2.set_device("runtime")
        if self._wiring != (state.input_index.tobytes(), state.hidden_index.tobytes()):
            self._target = self._target_for(phase.epochs - state.phase_epoch)
            with self._preferences():
                self._build(state)
        self.boundary = Boundary(self.parameters, state, phase)
        self._step_offset = state.epoch * self.parameters.timing.steps_per_epoch - int(self.network.t / self._dt + 0.5)
        self._seen = len(self.brian2.spikes.i)
        self.brian2.cells.variables["seed"].set_value(state.seed)
        for name in CELL_VARIABLES:
            self.brian2.cells.variables[name].set_value(getattr(state, name))
        self.brian2.input_hidden.strength[:] = state.input_hidden
        self._show_strengths()

    def _target_for(self, epochs: int) -> str:
        if self.codegen != "auto":
            return self.codegen
        return "cython" if epochs >= CYTHON_PAYS_EPOCHS and find_spec("Cython") and compiler_version() != "none" else "numpy"

    def _build(self, state: NetworkState) -> None:
        self._dt = self.parameters.timing.step_ms * brian2.ms
        headers = None if self._target == "numpy" else _headers(self.parameters)
        built = build_network(self.parameters, state.input_index, state.hidden_index, headers)
        clock = brian2.Clock(self.parameters.timing.steps_per_epoch * self._dt)
        begin = brian2.NetworkOperation(self._begin_epoch, clock=clock, when="start")
        end = brian2.NetworkOperation(self._pass_boundary, clock=clock, when="end")
        self._built = built, Network(*built.objects, begin, end)
        self._extra = []
        self._wiring = (state.input_index.tobytes(), state.hidden_index.tobytes())

    @contextmanager
    def _preferences(self) -> Iterator[None]:
        """Brian2's preferences for the target of the code; nor do the compiler's variables of the user change what is computed."""
        if self._target == "numpy":
            with own_preferences(codegen_target="numpy"):
                yield
            return
        changes = {
            "codegen.cpp.extra_compile_args_gcc": FLAGS["strict"],
            "codegen.cpp.include_dirs": [str(_headers(self.parameters)), str(CPP_DIRECTORY)],
            "codegen.runtime.cython.cache_dir": str(_cython_cache()),
        }
        variables = {name: os.environ.pop(name) for name in OF_COMPILERS if name in os.environ}
        try:
            with own_preferences(codegen_target="cython", **changes):
                yield
        finally:
            os.environ.update(variables)

    def _show_strengths(self) -> None:
        """Copy what boundaries change into the Brian2 network."""
        state, p, brian = self._own_state, self.parameters, self.brian2
        hidden, output = slice(p.n_input, p.n_input + p.n_hidden), slice(p.n_input + p.n_hidden, None)
        brian.excitatory.strength[:] = state.hidden_output.ravel()
        brian.cells.inhibition[hidden] = state.inhibition
        brian.cells.resistance[output] = state.resistance
        brian.cells.intact[hidden] = ~state.removed
        if not state.input_hidden_frozen:
            brian.input_hidden.strength[:] = state.input_hidden

    def _begin_epoch(self) -> None:
        self._collect_spikes()
        state, cells = self._own_state, self.brian2.cells
        state.x = np.array(cells.variables["x"].get_value())
        self.boundary.begin_epoch()
        cells.variables["epoch"].set_value(self.boundary.epoch)
        cells.variables["x"].set_value(state.x)
        if self.boundary.phase.dropout:
            self._show_strengths()

    def _pass_boundary(self) -> None:
        self._collect_spikes()
        state, cells = self._own_state, self.brian2.cells
        state.x = np.array(cells.variables["x"].get_value())
        movement = self.boundary.pass_boundary()
        cells.variables["x"].set_value(state.x)
        self._show_strengths()
        self._rows.append((movement.move, movement.eaten, movement.outcome, state.agent_x, state.agent_y))

    def _collect_spikes(self) -> None:
        """Take new spikes from the monitor; they belong to the epoch begun last."""
        monitor = self.brian2.spikes
        cells = np.array(monitor.i[self._seen :], np.int32)
        steps = np.round(np.array(monitor.t[self._seen :] / self._dt)).astype(np.int64) + self._step_offset
        self._seen += len(cells)
        state = self._own_state
        state.recent_step = np.concatenate((state.recent_step, steps))
        state.recent_cell = np.concatenate((state.recent_cell, cells))
        self.boundary.count_training_spikes(cells)
        self._spikes.append((steps, cells))

    def _advance(self, epochs: int, spikes: bool) -> EpochRecords:
        state, p = self._own_state, self.parameters
        self._rows: list[tuple] = []
        self._spikes: list[tuple[np.ndarray, np.ndarray]] = []
        first = state.epoch
        with self._preferences():
            self.network.run(epochs * p.timing.steps_per_epoch * self._dt, namespace={})
        self._collect_spikes()
        for name in CELL_VARIABLES:
            setattr(state, name, np.array(self.brian2.cells.variables[name].get_value()))
        kinds = (np.int8, np.int8, np.int8, np.int16, np.int16)
        move, eaten, outcome, x, y = (np.array(c, kind) for c, kind in zip(zip(*self._rows, strict=True), kinds, strict=True))
        steps, cells = (np.concatenate(parts) for parts in zip(*self._spikes, strict=True))
        row = steps // p.timing.steps_per_epoch - first
        layer = np.digitize(cells, (p.n_input, p.n_input + p.n_hidden))
        hidden, output = (np.bincount(row[layer == n], minlength=epochs).astype(np.int32) for n in (1, 2))
        records = EpochRecords(first, AWAKE_LATER, move, eaten, outcome, x, y, hidden, output)
        if spikes:
            records.spike_step, records.spike_cell = steps, cells
        return records

    def _state(self) -> NetworkState:
        return self._own_state.copy()


def _cython_cache() -> Path:
    return cache_directory() / "brian2-cython"


def _headers(parameters: Parameters) -> Path:
    """Folder in the cache with the constants.h of these parameters, which Cython code reads when it is compiled."""
    text = constants_header(parameters)
    folder = _cython_cache() / hashlib.sha256(text.encode()).hexdigest()[:20]
    if (folder / "constants.h").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as written:
        written.write(text)
    os.replace(written.name, folder / "constants.h")
    return folder

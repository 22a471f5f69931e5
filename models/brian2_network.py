"""The network of the paper in Brian2: cells, synapses, and where the loop through the world is attached.

One function builds the Brian2 objects for both targets. What happens once per epoch (phase events; traces, movement,
plasticity, homeostasis) is attached by the target: models/brian2_runtime.py as network operations in Python,
models/brian2_compiled.py as C++ called from the generated program.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2
import numpy as np

from foraging_snn.environments.draws import Stream, stream_key, uniforms_at
from foraging_snn.models.parameters import Parameters

CPP_DIRECTORY = Path(__file__).parent / "cpp"

# The map gives the next value itself, not a rate of change. Brian2 wants a rate on the right-hand side, so the functions
# declare Hz, and this updater takes their value as the new state. All right-hand sides see the old values.
MAP_UPDATER = "x_new = f(x, t)"

CELL_EQUATIONS = """
dV/dt   = next_V(V, V_2, u, x)      : 1  # membrane map, about 50 V - 15 mV
dV_1/dt = unchanged(V)              : 1  # V one step ago
dV_2/dt = unchanged(V_1)            : 1  # V two steps ago
du/dt   = next_u(V, u, x)           : 1  # slow variable
dx/dt   = next_x(x)                 : 1  # pooled synaptic input
resistance                          : 1  # divides what arrives; homeostatic in output cells, 1 elsewhere
intact                              : 1  # 0: the cell takes no synaptic input (dropout)
inhibition                          : 1  # strength of a hidden cell's inhibitory synapses
seed                                : integer (shared)
epoch                               : integer (shared)
epoch_done                          : integer (shared)
"""

SPIKE = "V == -1 and V_1 > 0"  # the map was above zero and has been set back to -1

EVENT = (
    "x_post += intact_post * ({strength} / resistance_post"
    " * event_size(seed_pre, {stream}, epoch_pre, t_in_timesteps % {steps}, i, j, N_pre, N_post))"
)


@contextmanager
def own_preferences(**changes: Any) -> Iterator[None]:
    """Brian2's preferences as they are without preference files (in the working folder, in the home of the user), but for these
    changes (by name, or "codegen_target" for codegen.target); what a user has set holds again afterwards. Some change results.
    """
    before = dict(brian2.prefs)
    brian2.prefs.reset_to_defaults()
    brian2.prefs.update({name if "." in name else name.replace("_", ".", 1): value for name, value in changes.items()})
    try:
        yield
    finally:
        brian2.prefs.update(before)


@dataclass
class Brian2Network:
    """The Brian2 objects of one network.

    Attributes
    ----------
    cells : brian2.NeuronGroup
        All layers: input, hidden, output.
    input_hidden, excitatory, inhibitory : brian2.Synapses
        Input -> hidden; hidden -> output, excitatory (variable `strength`) and inhibitory (`inhibition` of the hidden cell).
    spikes : brian2.SpikeMonitor
        All spikes since the last boundary (compiled) or since the start (runtime).
    """

    cells: brian2.NeuronGroup
    input_layer: brian2.Subgroup
    hidden_layer: brian2.Subgroup
    output_layer: brian2.Subgroup
    input_hidden: brian2.Synapses
    excitatory: brian2.Synapses
    inhibitory: brian2.Synapses
    spikes: brian2.SpikeMonitor

    @property
    def objects(self) -> list:
        """Everything that goes into a brian2.Network."""
        return [self.cells, self.input_hidden, self.excitatory, self.inhibitory, self.spikes]


def build_network(
    parameters: Parameters, input_index: np.ndarray, hidden_index: np.ndarray, cpp_directory: Path | None = None
) -> Brian2Network:
    """Create the Brian2 objects; cells at rest, strengths zero.

    Parameters
    ----------
    input_index, hidden_index : (S,) int
        The input-to-hidden synapses, as in NetworkState.
    cpp_directory : Path, optional
        Folder with the generated constants.h, for the targets that compile.
    """
    clock = brian2.Clock(parameters.timing.step_ms * brian2.ms, name="step_clock")
    n_input, n_hidden = parameters.n_input, parameters.n_hidden
    namespace = cell_functions(parameters, cpp_directory)
    cells = brian2.NeuronGroup(
        parameters.n_cells,
        CELL_EQUATIONS,
        method=brian2.ExplicitStateUpdater(MAP_UPDATER),
        threshold=SPIKE,
        reset="",  # the map resets itself
        dtype={"seed": np.int64, "epoch": np.int64, "epoch_done": np.int64},
        namespace=namespace,
        clock=clock,
        name="cells",
    )
    input_layer = cells[:n_input]
    hidden_layer = cells[n_input : n_input + n_hidden]
    output_layer = cells[n_input + n_hidden :]

    def synapses(pre, post, stream: Stream, strength: str, name: str) -> brian2.Synapses:
        model = "strength : 1" if strength == "strength" else ""
        event = EVENT.format(strength=strength, stream=int(stream), steps=parameters.timing.steps_per_epoch)
        return brian2.Synapses(pre, post, model, on_pre=event, namespace=namespace, clock=clock, name=name)

    input_hidden = synapses(input_layer, hidden_layer, Stream.INPUT_HIDDEN, "strength", "input_hidden")
    excitatory = synapses(hidden_layer, output_layer, Stream.HIDDEN_OUTPUT_EXCITATORY, "strength", "excitatory")
    inhibitory = synapses(hidden_layer, output_layer, Stream.HIDDEN_OUTPUT_INHIBITORY, "inhibition_pre", "inhibitory")
    inhibitory.pre.order = excitatory.pre.order + 1
    input_hidden.connect(i=input_index, j=hidden_index)
    excitatory.connect()
    inhibitory.connect()

    cells.V = cells.V_1 = cells.V_2 = parameters.cell.resting_V
    cells.u = parameters.cell.resting_u
    cells.resistance = 1
    cells.intact = 1
    spikes = brian2.SpikeMonitor(cells, name="spikes")
    return Brian2Network(cells, input_layer, hidden_layer, output_layer, input_hidden, excitatory, inhibitory, spikes)


def cell_functions(parameters: Parameters, cpp_directory: Path | None) -> dict[str, brian2.Function]:
    """The functions that the equations and synaptic events call, in NumPy and, from models/cpp/cell.h, in C++ and Cython."""
    cell, R = parameters.cell, parameters.synapse.noise

    def next_V(V, V_2, u, x):
        w = u + cell.beta_e * x
        peak = cell.alpha + w
        with np.errstate(divide="ignore"):
            subthreshold = cell.alpha / (1.0 - V) + w
        above = np.where((V < peak) & (V_2 <= 0.0), peak, -1.0)
        return np.where(V <= 0.0, subthreshold, above)

    def next_u(V, u, x):
        return u - cell.mu * (V + 1.0) + cell.mu * cell.sigma + cell.mu * x

    def next_x(x):
        return cell.input_decay * x

    def unchanged(V):
        return V

    def event_size(seed, stream, epoch, step, i, j, n_pre, n_post):
        key = stream_key(int(seed), int(stream), int(epoch))
        index = (np.uint64(step) * np.uint64(n_pre) + np.asarray(i, np.uint64)) * np.uint64(n_post) + np.asarray(j, np.uint64)
        return (1.0 - R) + 2.0 * R * uniforms_at(key, np.atleast_1d(index))

    functions = {}
    for function, n_arguments in ((next_V, 4), (next_u, 3), (next_x, 1), (unchanged, 1)):
        functions[function.__name__] = brian2.Function(function, arg_units=[1] * n_arguments, return_unit=brian2.Hz)
    functions["event_size"] = brian2.Function(event_size, arg_units=[1] * 8, return_unit=1)
    for function in functions.values():
        function.implementations.add_numpy_implementation(function.pyfunc, discard_units=True)
    if cpp_directory is not None:
        _add_cpp_implementations(functions, cpp_directory)
    return functions


def _add_cpp_implementations(functions: dict[str, brian2.Function], cpp_directory: Path) -> None:
    """Let generated C++ and Cython code call the functions of cell.h.

    What the headers say stands as a digest in the Cython code, too: by that alone Brian2 knows whether it has compiled it before.
    """
    headers = [*CPP_DIRECTORY.glob("*.h"), *cpp_directory.glob("constants.h")]
    said = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(headers))).hexdigest()
    header = {"headers": ['"cell.h"'], "include_dirs": [str(CPP_DIRECTORY), str(cpp_directory)]}
    signatures = {
        "next_V": "double V, double V_2, double u, double x",
        "next_u": "double V, double u, double x",
        "next_x": "double x",
        "unchanged": "double V",
        "event_size": ", ".join(f"long {name}" for name in ["seed", "stream", "epoch", "step", "i", "j", "n_pre", "n_post"]),
    }
    for name, function in functions.items():
        function.implementations.add_implementation("cpp", f"using foraging::{name};", name=name, compiler_kwds=header)
        declaration = f'cdef extern from "cell.h" namespace "foraging" nogil:\n    double {name}({signatures[name]})\n# {said}\n'
        function.implementations.add_implementation("cython", declaration, name=name)

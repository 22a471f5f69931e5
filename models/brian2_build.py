"""Generates and compiles the Brian2 C++ standalone program of one set of parameters.

Run as `python -m foraging_snn.models.brian2_build PARAMETERS.toml DIRECTORY FLAGS` in a process of its own, because choosing the
standalone device changes Brian2 for the whole process. models/brian2_compiled.py calls it and keeps the result in a cache.
"""

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import brian2
import numpy as np

from foraging_snn.environments import PARTICLE_OFFSETS
from foraging_snn.models.arithmetic import decaying_exponential
from foraging_snn.models.brian2_compiled import RECORD_TYPES, SINGLE
from foraging_snn.models.brian2_network import CPP_DIRECTORY, Brian2Network, build_network
from foraging_snn.models.parameters import N_OUTPUT, Parameters
from foraging_snn.models.schema import axis_sizes, schema_of
from foraging_snn.models.state import NetworkState

# "strict": plain IEEE arithmetic, every operation as written (no contraction to FMA, no reassociation); the other two switches
# only say that nobody reads errno or floating-point traps, which lets the compiler treat several cells at once.
# "default": Brian2's own flags, with -ffast-math.
FLAGS = {
    "strict": ["-w", "-O3", "-march=native", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"],
    "default": ["-w", "-O3", "-march=native", "-std=c++17", "-ffast-math", "-fno-finite-math-only"],
}


def constants_header(parameters: Parameters) -> str:
    """constants.h: every number of the model that the C++ code uses."""
    p = parameters
    reals = {
        "alpha": p.cell.alpha,
        "beta_e": p.cell.beta_e,
        "mu": p.cell.mu,
        "sigma": p.cell.sigma,
        "input_decay": p.cell.input_decay,
        "noise": p.synapse.noise,
        "flash_pulse": p.synapse.flash,
        "sleep_pulse": p.sleep.pulse,
        "reward_rewarded": p.reward.rewarded,
        "reward_punished": p.reward.punished,
        "reward_nothing": p.reward.nothing,
        "reward_asleep": p.reward.asleep,
        "hidden_output_amplitude": p.plasticity.hidden_output_amplitude,
        "input_hidden_amplitude": p.plasticity.input_hidden_amplitude,
        "average_rate": p.plasticity.average_rate,
        "average_floor": p.plasticity.average_floor,
        "max_change": p.plasticity.max_change,
        "min_strength": p.plasticity.min_strength,
        "max_strength": p.plasticity.max_strength,
        "max_input_hidden_strength": p.plasticity.max_input_hidden_strength,
        "rate_average": p.homeostasis.rate_average,
        "output_step": p.homeostasis.output_step,
        "hidden_step": p.homeostasis.hidden_step,
        "output_target_rate": p.homeostasis.output_target_rate,
        "hidden_target_rate": p.homeostasis.hidden_target_rate,
        "STEP_SECONDS": p.timing.step_ms / 1000.0,
        "INITIAL_HIDDEN_OUTPUT_TOTAL": p.hidden_output_initial,
        "OUTPUT_INPUT_TARGET": p.output_input_target,
    }
    integers = {
        "N_INPUT": p.n_input,
        "N_HIDDEN": p.n_hidden,
        "N_OUTPUT": N_OUTPUT,
        "N_CELLS": p.n_cells,
        "N_INPUT_HIDDEN": p.n_hidden * p.network.inputs_per_hidden_cell,
        "SIZE": p.world.size,
        "FIELD": p.world.field,
    }
    longs = {
        "STEPS_PER_EPOCH": p.timing.steps_per_epoch,
        "pair_window_steps": p.plasticity.pair_window_steps,
        "trace_life_steps": p.plasticity.trace_life_steps,
        "age_offset_steps": p.plasticity.age_offset_steps,
        "hunger_per_percent": p.policy.hunger_per_percent,
    }
    lines = [
        "// Generated from the parameters by models/brian2_build.py.",
        "#pragma once",
        "#include <cstdint>",
        "namespace foraging::constants {",
    ]
    lines += [f"constexpr double {name} = {value!r};" for name, value in reals.items()]
    lines += [f"constexpr int {name} = {value};" for name, value in integers.items()]
    lines += [f"constexpr int64_t {name} = {value};" for name, value in longs.items()]
    decay = decaying_exponential(p.plasticity.pair_window_steps, p.plasticity.trace_decay_steps)
    lines.append(f"constexpr double trace_decay[{len(decay)}] = {{{', '.join(repr(float(value)) for value in decay)}}};")
    for name, offsets in zip(("OFFSET_X", "OFFSET_Y"), PARTICLE_OFFSETS.T.tolist(), strict=True):  # of a particle's second square
        lines.append(f"constexpr int {name}[{len(offsets)}] = {{{', '.join(map(str, offsets))}}};")
    return "\n".join([*lines, "}  // namespace foraging::constants", ""])


def bindings_header(network: Brian2Network) -> str:
    """bindings.h: the Brian2 arrays under the names that worker.cpp uses."""

    def array(owner, name: str) -> str:
        return str(brian2.device.get_array_name(owner.variables[name], access_data=False))

    pointers = {
        name: ("double", array(network.cells, name)) for name in ("V", "V_1", "V_2", "u", "x", "resistance", "intact", "inhibition")
    }
    pointers |= {name: ("int64_t", array(network.cells, name)) for name in ("seed", "epoch")}
    lines = [
        "// Generated by models/brian2_build.py.",
        "#pragma once",
        "#include <vector>",
        '#include "constants.h"',
        '#include "objects.h"',
    ]
    lines += ['#include "code_objects/before_run_input_hidden_pre_push_spikes.h"', "namespace foraging::arrays {"]
    lines += [f"inline {kind}* {name}() {{ return brian::{target}; }}" for name, (kind, target) in pointers.items()]
    for name, synapses in (("input_hidden", network.input_hidden), ("hidden_output", network.excitatory)):
        lines.append(f"inline double* {name}() {{ return brian::{array(synapses, 'strength')}.data(); }}")
    pre, post = array(network.input_hidden, "_synaptic_pre"), array(network.input_hidden, "_synaptic_post")
    cells, times, count = (array(network.spikes, name) for name in ("i", "t", "N"))
    lines += [
        "// the wiring of the trial, numbered within the layers; set_wiring() hands it to Brian2",
        "inline int32_t* input_index() { static std::vector<int32_t> index(constants::N_INPUT_HIDDEN); return index.data(); }",
        "inline int32_t* hidden_index() { static std::vector<int32_t> index(constants::N_INPUT_HIDDEN); return index.data(); }",
        "inline void set_wiring() {",
        "    for (int s = 0; s < constants::N_INPUT_HIDDEN; ++s) {",
        f"        brian::{pre}[s] = input_index()[s];",
        f"        brian::{post}[s] = constants::N_INPUT + hidden_index()[s];",
        "    }",
        "    _before_run_input_hidden_pre_push_spikes();  // sorts the synapses by their source again",
        "}",
        f"inline const std::vector<int32_t>& spike_cells() {{ return brian::{cells}; }}",
        f"inline const std::vector<double>& spike_times() {{ return brian::{times}; }}",
        f"inline void forget_spikes() {{ brian::{cells}.clear(); brian::{times}.clear(); brian::{count}[0] = 0; }}",
        "}  // namespace foraging::arrays",
        "",
    ]
    return "\n".join(lines)


CPP_TYPES = {"bool": "char", **{name: f"{name}_t" for name in ("int8", "int16", "int32", "int64")}, "float64": "double"}
# Fields of the state that the program holds elsewhere than under their name: in arrays of Brian2, in the world, in the traces.
PLACES = {
    **{name: f"arrays::{name}()" for name in ("seed", "V", "V_1", "V_2", "u", "x")},
    **{name: f"arrays::{name}()" for name in ("input_index", "hidden_index", "input_hidden", "hidden_output")},
    "inhibition": "arrays::inhibition() + N_INPUT",
    "resistance": "arrays::resistance() + N_INPUT + N_HIDDEN",
    "grid": "loop.world.grid",
    **{
        f"{projection}_trace_{part}": f"loop.{projection}_traces.{part}"
        for projection in ("hidden_output", "input_hidden")
        for part in ("synapse", "value", "step")
    },
}


def state_header(parameters: Parameters) -> str:
    """state.h: the fields of NetworkState and EpochRecords in C++, and their exchange with Python, in their order there."""
    sizes = axis_sizes(parameters)
    members, transfers = [], []
    for name, what in schema_of(NetworkState).items():
        place = PLACES.get(name, f"loop.{name}")
        kind = CPP_TYPES[np.dtype(what.kind).name] if what.is_array else f"int{8 * SINGLE[what.kind]().itemsize}_t"
        if place.startswith("arrays::"):
            transfers.append(f'a.array("{name}", {place}, {math.prod(what.shape(sizes))});')
        elif what.is_array:
            transfers.append(f'a.vector("{name}", {place});')
        else:
            transfers.append(f'a.array("{name}", &{place}, 1);')
        if name not in PLACES:
            members.append(f"std::vector<{kind}> {name};" if what.is_array else f"{kind} {name} = 0;")
    kept = {name: np.dtype(kind).name for name, kind in RECORD_TYPES.items()}
    lines = [
        "// Generated from models/state.py and models/engine.py by models/brian2_build.py.",
        "#pragma once",
        '#include "bindings.h"',
        "namespace foraging {",
        "using namespace constants;",
        "struct State {",
        *(f"    {line}" for line in members),
        "};",
        "template <class Archive, class Loop> void transfer_state(Archive& a, Loop& loop) {",
        *(f"    {line}" for line in transfers),
        "}",
        'struct Records {  // of the epochs of one "run" command',
        *(f"    std::vector<{CPP_TYPES[kind]}> {name};" for name, kind in kept.items()),
        "    template <class Archive> void transfer(Archive& a) {",
        *(f'        a.vector("{name}", {name});' for name in kept),
        "    }",
        "};",
        "}  // namespace foraging",
        "",
    ]
    return "\n".join(lines)


def placeholder_wiring(parameters: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Input-to-hidden synapses in the right number; the program replaces them by those of the trial."""
    k = parameters.network.inputs_per_hidden_cell
    return np.tile(np.arange(k), parameters.n_hidden), np.repeat(np.arange(parameters.n_hidden), k)


def build(parameters: Parameters, directory: Path, flags: str) -> None:
    """Write and compile the program in `directory` (binary: `main`)."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "constants.h").write_text(constants_header(parameters))
    brian2.prefs.reset_to_defaults()  # whatever preference files say
    brian2.prefs.codegen.cpp.extra_compile_args_gcc = FLAGS[flags]
    brian2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]  # without a number: all at once
    brian2.prefs.codegen.loop_invariant_optimisations = False
    brian2.prefs.codegen.cpp.headers += ['"worker.h"']
    brian2.prefs.codegen.cpp.include_dirs += [str(directory), str(CPP_DIRECTORY)]
    brian2.set_device("cpp_standalone", build_on_run=False, directory=str(directory))
    network = build_network(parameters, *placeholder_wiring(parameters), cpp_directory=directory)
    clock = brian2.Clock(parameters.timing.steps_per_epoch * parameters.timing.step_ms * brian2.ms, name="epoch_clock")
    _attach(network.cells, "begin_epoch", clock, when="start")
    _attach(network.cells, "epoch_boundary", clock, when="end")
    whole = brian2.Network(network.objects, name="network")
    brian2.device.insert_code("before_network_run", "return foraging::serve(network);")
    whole.run(0 * brian2.ms)
    (directory / "bindings.h").write_text(bindings_header(network))
    (directory / "state.h").write_text(state_header(parameters))
    source = directory / "worker.cpp"
    source.write_text((CPP_DIRECTORY / "worker.cpp").read_text())
    brian2.device.build(directory=str(directory), run=False, compile=True, additional_source_files=[source.name])


def _attach(cells: brian2.NeuronGroup, function: str, clock: brian2.Clock, when: str) -> None:
    """Call a function of worker.cpp once per epoch."""
    hook = brian2.Function(lambda epoch: epoch, arg_units=[1], return_unit=1, stateless=False, auto_vectorise=False)
    code = f"static inline int64_t _call_{function}(int64_t epoch) {{ foraging::{function}(); return 0; }}"
    hook.implementations.add_implementation("cpp", code, name=f"_call_{function}", compiler_kwds={"headers": ['"worker.h"']})
    cells.namespace[function] = hook
    cells.run_regularly(f"epoch_done = {function}(epoch)", clock=clock, when=when, name=function)


def _end_with(parent: int) -> None:
    """End this process and its compilers when the process that wants the program is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    build(Parameters.from_file(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

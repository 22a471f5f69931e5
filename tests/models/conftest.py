"""Shared by the tests of the model: a parameter set in which every number differs, its twin for the oracle, the C++ headers."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import oracle
import pytest

from foraging_snn.models import Parameters, preset

CPP_DIRECTORY = Path(__file__).resolve().parents[2] / "models" / "cpp"

# Names of the oracle's rules, which was written independently, and of the parameters they stand for.
PARAMETER_OF_RULE = {
    "steps_per_epoch": "timing.steps_per_epoch",
    "block_epochs": "phases.block_epochs",
    "size": "world.size",
    "density": "world.density",
    "field": "world.field",
    "flash": "synapse.flash",
    "sleep_pulse": "sleep.pulse",
    "n_hidden": "network.hidden_cells",
    "inputs_per_hidden": "network.inputs_per_hidden_cell",
    "chunk": "network.strength_chunk",
    "chunks_per_synapse": "network.chunks_per_synapse",
    "hidden_output_initial": "network.hidden_output_strength",
    "alpha": "cell.alpha",
    "beta_e": "cell.beta_e",
    "mu": "cell.mu",
    "sigma": "cell.sigma",
    "decay": "cell.input_decay",
    "V_rest": "cell.resting_V",
    "u_rest": "cell.resting_u",
    "variability": "synapse.noise",
    "hidden_output_amplitude": "plasticity.hidden_output_amplitude",
    "input_hidden_amplitude": "plasticity.input_hidden_amplitude",
    "trace_window": "plasticity.pair_window_steps",
    "trace_time_constant": "plasticity.trace_decay_steps",
    "trace_life": "plasticity.trace_life_steps",
    "trace_age_offset": "plasticity.age_offset_steps",
    "average_weight": "plasticity.average_rate",
    "average_floor": "plasticity.average_floor",
    "change_clip": "plasticity.max_change",
    "strength_floor": "plasticity.min_strength",
    "strength_ceiling": "plasticity.max_strength",
    "input_hidden_cap": "plasticity.max_input_hidden_strength",
    "reward_rewarded": "reward.rewarded",
    "reward_punished": "reward.punished",
    "reward_nothing": "reward.nothing",
    "reward_asleep": "reward.asleep",
    "rate_weight": "homeostasis.rate_average",
    "hidden_target_rate": "homeostasis.hidden_target_rate",
    "output_target_rate": "homeostasis.output_target_rate",
    "hidden_homeostasis": "homeostasis.hidden_step",
    "output_homeostasis": "homeostasis.output_step",
}

# Every number another than the default, so that one written into the code instead of read from the parameters shows.
IRREGULAR = {
    "world.size": 23,
    "world.field": 5,
    "world.density": 0.13,
    "network.hidden_cells": 61,
    "network.inputs_per_hidden_cell": 6,
    "network.strength_chunk": 0.0011,
    "network.chunks_per_synapse": 13,
    "network.hidden_output_strength": 0.027,
    "cell.alpha": 3.66,
    "cell.beta_e": 0.137,
    "cell.mu": 0.00052,
    "cell.sigma": 0.059,
    "cell.input_decay": 0.984,
    "cell.resting_V": -0.941,
    "cell.resting_u": -2.8267,
    "timing.step_ms": 0.4,
    "timing.steps_per_epoch": 550,
    "timing.epochs_per_aeon": 3,
    "synapse.noise": 0.17,
    "synapse.flash": 0.027,
    "policy.hunger_per_percent": 2,  # the oracle knows no other
    "plasticity.hidden_output_amplitude": 0.5,
    "plasticity.input_hidden_amplitude": 0.7,
    "plasticity.trace_decay_steps": 35.5,
    "plasticity.pair_window_steps": 110,
    "plasticity.trace_life_steps": 1700,
    "plasticity.age_offset_steps": 450,
    "plasticity.average_rate": 0.002,
    "plasticity.average_floor": 2e-9,
    "plasticity.max_change": 0.013,
    "plasticity.min_strength": 2e-5,
    "plasticity.max_strength": 0.05,
    "plasticity.max_input_hidden_strength": 0.017,
    "reward.rewarded": 0.9,
    "reward.punished": -0.2,
    "reward.nothing": -0.01,
    "reward.asleep": 0.4,
    "homeostasis.rate_average": 2e-3,
    "homeostasis.output_step": 3e-4,
    "homeostasis.hidden_step": 2e-4,
    "homeostasis.output_target_rate": 0.0011,
    "homeostasis.hidden_target_rate": 0.0009,
    "sleep.pulse": 0.028,
}


@pytest.fixture(scope="session")
def irregular() -> Parameters:
    """A small network with other numbers everywhere."""
    return preset("full").with_changes(IRREGULAR)


@pytest.fixture(scope="session", params=["default", "irregular"])
def parameters(request, irregular) -> Parameters:
    """Both sets in turn: the default one and the irregular one."""
    return preset("full") if request.param == "default" else irregular


def oracle_rules_of(parameters: Parameters) -> oracle.Rules:
    values = {row.name: row.value for row in parameters.rows()}
    rules = oracle.Rules(**{rule: values[name] for rule, name in PARAMETER_OF_RULE.items()})
    rules.inhibition_initial = -rules.hidden_output_initial
    return rules


@pytest.fixture(scope="session")
def oracle_rules():
    """Function from Parameters to oracle.Rules."""
    return oracle_rules_of


class CppTwins:
    """The C++ headers of models/cpp behind plain C functions (twins.cpp), compiled for one set of parameters.

    `twins.name(...)` calls the C function `name`: arrays go as pointers (they must be contiguous and are changed in place), whole
    numbers as int64, other numbers as double.
    """

    def __init__(self, path: Path, parameters: Parameters):
        self.parameters = parameters
        self._library = ctypes.CDLL(str(path))

    def __getattr__(self, name: str):
        function = getattr(self._library, name)
        function.restype = ctypes.c_int64

        def call(*arguments):
            return function(*map(_c_argument, arguments))

        return call


def _c_argument(value):
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(int(value))


def compile_twins(directory: Path, parameters: Parameters, flags: list[str]) -> CppTwins:
    if shutil.which("g++") is None:
        pytest.skip("needs g++ (Debian, Ubuntu: apt install g++)")
    from foraging_snn.models.brian2_build import constants_header

    (directory / "constants.h").write_text(constants_header(parameters))
    library = directory / "twins.so"
    source = Path(__file__).parent / "twins.cpp"
    options = [*flags, "-std=c++17", "-shared", "-fPIC", f"-I{CPP_DIRECTORY}", f"-I{directory}"]
    result = subprocess.run(["g++", *options, str(source), "-o", str(library)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return CppTwins(library, parameters)


@pytest.fixture(scope="session")
def default_twins(tmp_path_factory) -> CppTwins:
    """The C++ twins for the default parameters, with plain optimisation."""
    return compile_twins(tmp_path_factory.mktemp("twins"), preset("full"), ["-O2"])


@pytest.fixture(scope="session")
def irregular_twins(irregular, tmp_path_factory) -> CppTwins:
    """The C++ twins for the irregular parameters, with the flags of the engine."""
    from foraging_snn.models.brian2_build import FLAGS

    return compile_twins(tmp_path_factory.mktemp("twins"), irregular, FLAGS["strict"])


@pytest.fixture(params=["default_twins", "irregular_twins"])
def twins(request) -> CppTwins:
    """Both in turn."""
    return request.getfixturevalue(request.param)

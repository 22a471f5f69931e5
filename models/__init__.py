"""The model: parameters, wiring, state, phases, and the engines that run it."""

from .between import AppliedRule, Rule
from .elastic import Elastic, with_elastic
from .engine import (
    ABILITIES,
    AEON_COUNTS,
    RESULTS_VERSION,
    Engine,
    EngineError,
    EpochRecords,
    FullRecorder,
    PhaseRecord,
    Recorder,
    performance,
)
from .engines import ENGINES, engine_class
from .parameters import EACH_ITS_OWN, N_OUTPUT, PRESETS, ParameterError, ParameterRow, Parameters, preset
from .phases import Activity, Block, Phase, activity_named, all_activities, keeping_patterns, unsupervised_particles
from .rows import Rows, rows_of
from .state import MAX_SEED, NetworkState, begin_phase, check_state, initial_state, removal_order, sleep_probabilities
from .wiring import WiringError

__all__ = [
    "ABILITIES",
    "AEON_COUNTS",
    "EACH_ITS_OWN",
    "ENGINES",
    "MAX_SEED",
    "N_OUTPUT",
    "PRESETS",
    "RESULTS_VERSION",
    "Activity",
    "AppliedRule",
    "Block",
    "Elastic",
    "Engine",
    "EngineError",
    "EpochRecords",
    "FullRecorder",
    "NetworkState",
    "ParameterError",
    "ParameterRow",
    "Parameters",
    "Phase",
    "PhaseRecord",
    "Recorder",
    "Rows",
    "Rule",
    "WiringError",
    "activity_named",
    "all_activities",
    "begin_phase",
    "check_state",
    "engine_class",
    "initial_state",
    "keeping_patterns",
    "performance",
    "preset",
    "removal_order",
    "rows_of",
    "sleep_probabilities",
    "unsupervised_particles",
    "with_elastic",
]

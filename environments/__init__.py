"""The foraging world: particles, tasks, the jitted rules of the grid, its Gymnasium environment, random draws.

Importing this package registers the environment "foraging_snn/Foraging-v0" with Gymnasium.
"""

import gymnasium

from .draws import Stream, integer, stream_key, uniform, uniforms
from .gym_env import ForagingEnv
from .particles import N_PARTICLE_TYPES, PARTICLE_NAMES, PARTICLE_OFFSETS, ParticleType, present_types
from .tasks import REWARD_OTHERWISE, REWARD_PUNISHED, REWARD_REWARDED, TASKS, Outcome, Task, find_task, outcomes, reward_of
from .world import (
    MAX_ATTEMPTS,
    MAX_DENSITY,
    N_DIRECTIONS,
    N_MOVES,
    STAY,
    can_place,
    check_world,
    choose_move,
    draw_world,
    eat,
    empty_world,
    move_agent,
    particles_per_type,
    place_particle,
    remove_particle,
    view,
)

ENVIRONMENT_ID = "foraging_snn/Foraging-v0"

if ENVIRONMENT_ID not in gymnasium.registry:
    gymnasium.register(id=ENVIRONMENT_ID, entry_point=f"{__name__}.gym_env:ForagingEnv")

__all__ = [
    "ENVIRONMENT_ID",
    "MAX_ATTEMPTS",
    "MAX_DENSITY",
    "N_DIRECTIONS",
    "N_MOVES",
    "N_PARTICLE_TYPES",
    "PARTICLE_NAMES",
    "PARTICLE_OFFSETS",
    "REWARD_OTHERWISE",
    "REWARD_PUNISHED",
    "REWARD_REWARDED",
    "STAY",
    "TASKS",
    "ForagingEnv",
    "Outcome",
    "ParticleType",
    "Stream",
    "Task",
    "can_place",
    "check_world",
    "choose_move",
    "draw_world",
    "eat",
    "empty_world",
    "find_task",
    "integer",
    "move_agent",
    "outcomes",
    "particles_per_type",
    "place_particle",
    "present_types",
    "remove_particle",
    "reward_of",
    "stream_key",
    "uniform",
    "uniforms",
    "view",
]

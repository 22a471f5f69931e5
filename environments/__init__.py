"""The foraging world: particles, tasks, the jitted rules of the grid, its Gymnasium environment, random draws."""

from typing import TYPE_CHECKING

from .draws import Stream, integer, stream_key, uniform, uniforms
from .particles import (
    MAX_SQUARES,
    MAX_TYPES,
    PAPER_PARTICLES,
    PARTICLES,
    Particle,
    find_particle,
    in_short,
    particle_shapes,
    present_types,
    type_numbers,
)
from .tasks import (
    MAX_TASKS,
    REWARD_OTHERWISE,
    REWARD_PUNISHED,
    REWARD_REWARDED,
    TASKS,
    Outcome,
    Task,
    find_task,
    outcomes,
    reward_of,
)
from .world import (
    MAX_ATTEMPTS,
    MAX_DENSITY,
    N_DIRECTIONS,
    N_MOVES,
    STAY,
    GridWorld,
    can_place,
    check_world,
    choose_move,
    draw_world,
    eat,
    empty_world,
    move_agent,
    particles_per_type,
    parts_of_grid,
    place_particle,
    remove_particle,
    view,
    world_problem,
)

if TYPE_CHECKING:
    from .gym_env import ForagingEnv

__all__ = [
    "MAX_ATTEMPTS",
    "MAX_DENSITY",
    "MAX_SQUARES",
    "MAX_TASKS",
    "MAX_TYPES",
    "N_DIRECTIONS",
    "N_MOVES",
    "PAPER_PARTICLES",
    "PARTICLES",
    "REWARD_OTHERWISE",
    "REWARD_PUNISHED",
    "REWARD_REWARDED",
    "STAY",
    "TASKS",
    "ForagingEnv",
    "GridWorld",
    "Outcome",
    "Particle",
    "Stream",
    "Task",
    "can_place",
    "check_world",
    "choose_move",
    "draw_world",
    "eat",
    "empty_world",
    "find_particle",
    "find_task",
    "in_short",
    "integer",
    "move_agent",
    "outcomes",
    "particle_shapes",
    "particles_per_type",
    "parts_of_grid",
    "place_particle",
    "present_types",
    "remove_particle",
    "reward_of",
    "stream_key",
    "type_numbers",
    "uniform",
    "uniforms",
    "view",
    "world_problem",
]


def __getattr__(name: str) -> object:
    if name != "ForagingEnv":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .gym_env import ForagingEnv  # with Gymnasium, for which other users of this package need not wait

    return ForagingEnv

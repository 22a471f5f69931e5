"""The two foraging tasks: which particle is rewarded, which is punished, and what a bite is worth.

The functions are jitted and take plain numbers, so that the engines call the same rule as the Gymnasium environment.
"""

from dataclasses import dataclass
from enum import IntEnum

from .jit import cached_njit
from .particles import ParticleType, present_types

NO_TYPE = 0  # stands for "rewarded" and "punished" where no task is set: no particle has this type

# Rewards of the authors' program (bazhlab-ucsd/spirit3PublicRepo); callers may pass others.
REWARD_REWARDED = 1.0
REWARD_PUNISHED = -0.001
REWARD_OTHERWISE = -0.0001


class Outcome(IntEnum):
    """What a move led to, in terms of the task."""

    NOTHING = 0
    REWARDED = 1
    PUNISHED = 2
    OTHER = 3
    """A particle outside the task."""


@dataclass(frozen=True)
class Task:
    """A task: of its two particle types one is rewarded, the other punished.

    Parameters
    ----------
    name : str
    number : int
        1 or 2, as in the paper.
    rewarded, punished : ParticleType
    """

    name: str
    number: int
    rewarded: ParticleType
    punished: ParticleType

    @property
    def present(self):
        """The types in the task's world: bool array of shape (5,), indexed by type."""
        return present_types(self.rewarded, self.punished)


TASK_1 = Task("task 1", 1, rewarded=ParticleType.HORIZONTAL, punished=ParticleType.NEGATIVE_DIAGONAL)
TASK_2 = Task("task 2", 2, rewarded=ParticleType.VERTICAL, punished=ParticleType.POSITIVE_DIAGONAL)
TASKS = {task.number: task for task in (TASK_1, TASK_2)}

# Numba returns members of an IntEnum as such; engines want plain integers.
_NOTHING, _REWARDED, _PUNISHED, _OTHER = (int(outcome) for outcome in Outcome)


@cached_njit
def outcome_of(eaten, rewarded, punished):
    """Outcome of a move.

    Parameters
    ----------
    eaten : int
        Type of the eaten particle, 0 if none.
    rewarded, punished : int
        Particle types of the task; `NO_TYPE` for both if there is no task.

    Returns
    -------
    int
        Value of an :class:`Outcome`.
    """
    if eaten == NO_TYPE:
        return _NOTHING
    if eaten == rewarded:
        return _REWARDED
    if eaten == punished:
        return _PUNISHED
    return _OTHER


@cached_njit
def reward_of(outcome, reward_rewarded, reward_punished, reward_otherwise):
    """Reward of an outcome; the third value holds for no particle and for a particle outside the task.

    Parameters
    ----------
    outcome : int
        Value of an :class:`Outcome`.
    reward_rewarded, reward_punished, reward_otherwise : float

    Returns
    -------
    float
    """
    if outcome == _REWARDED:
        return reward_rewarded
    if outcome == _PUNISHED:
        return reward_punished
    return reward_otherwise

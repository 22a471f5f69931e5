"""Foraging tasks as data: which particles are rewarded, which punished, and what a bite is worth.

`TASKS` is the table of all tasks; a further task is a line in it. The jitted function takes plain numbers, so that the engines call
the same rule as the Gymnasium environment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral

import numpy as np

from .jit import cached_njit
from .particles import N_PARTICLE_TYPES, ParticleType, present_types

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
    """A task: some particle types are rewarded, some punished; its world holds these only.

    Parameters
    ----------
    name : str
        One word, e.g. "T1".
    rewarded, punished : tuple of ParticleType
        Together at least one type, none of them twice. Another task may value the same types otherwise.

    Raises
    ------
    ValueError
        One line: a type is no particle type, or stands there twice.
    """

    name: str
    rewarded: tuple[ParticleType, ...]
    punished: tuple[ParticleType, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise ValueError(f"task: name {self.name!r} given, allowed is one word of letters and digits such as 'T3'")
        for role in ("rewarded", "punished"):
            object.__setattr__(self, role, _types(f"task {self.name}: {role}", getattr(self, role)))
        if not self.types:
            raise ValueError(f"task {self.name}: no particle types given, at least one is rewarded or punished")
        if len(self.types) < len(self.rewarded) + len(self.punished):
            raise ValueError(f"task {self.name}: a particle type is named twice; each is rewarded or punished once")

    @property
    def types(self) -> tuple[ParticleType, ...]:
        """The types in its world, ascending."""
        return tuple(sorted({*self.rewarded, *self.punished}))

    @property
    def present(self) -> np.ndarray:
        """The types in its world: (n_types + 1,) bool, indexed by type."""
        return present_types(*self.types)

    @property
    def slot(self) -> int:
        """Its place in the table of tasks, which is that of its spike counts in a NetworkState.

        Raises
        ------
        ValueError
            It is not in the table.
        """
        if TASKS.get(self.name) != self:
            raise ValueError(f"task {self.name}: not in the table of tasks, which holds {', '.join(TASKS)}")
        return list(TASKS).index(self.name)

    @property
    def number(self) -> int:
        """Its place in the table of tasks, from 1, as the paper numbers them."""
        return self.slot + 1


def _types(where: str, given: Iterable[int]) -> tuple[ParticleType, ...]:
    try:
        return tuple(ParticleType(kind) for kind in given)
    except (TypeError, ValueError):
        raise ValueError(f"{where} {given!r} given, allowed is a tuple of particle types, 1 to {N_PARTICLE_TYPES}") from None


_H, _V, _P, _N = ParticleType
# By name; the order is that of the spike counts in a NetworkState, so a new task comes last.
TASKS = {task.name: task for task in (Task("T1", rewarded=(_H,), punished=(_N,)), Task("T2", rewarded=(_V,), punished=(_P,)))}


def find_task(given: "Task | str | int") -> Task:
    """The task meant by a name ("T1"), a number (1) or the task itself.

    Raises
    ------
    ValueError
        One line: there is no such task.
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, str) and given in TASKS:
        return TASKS[given]
    if isinstance(given, Integral) and not isinstance(given, bool) and int(given) in range(1, len(TASKS) + 1):
        return list(TASKS.values())[int(given) - 1]
    numbers = ", ".join(str(number) for number in range(1, len(TASKS) + 1))
    raise ValueError(f"task: {given!r} given, allowed are {', '.join(TASKS)} or their numbers {numbers}")


def outcomes(rewarded: Iterable[int] = (), punished: Iterable[int] = ()) -> np.ndarray:
    """What eating each type means where these types are rewarded and punished.

    Returns
    -------
    numpy.ndarray of int8, shape (n_types + 1,)
        Values of :class:`Outcome`, indexed by type; element 0 (nothing eaten) is NOTHING.
    """
    table = np.full(N_PARTICLE_TYPES + 1, Outcome.OTHER, np.int8)
    table[0] = Outcome.NOTHING
    table[list(rewarded)] = Outcome.REWARDED
    table[list(punished)] = Outcome.PUNISHED
    return table


# Numba returns members of an IntEnum as such; engines want plain integers.
_REWARDED, _PUNISHED = int(Outcome.REWARDED), int(Outcome.PUNISHED)


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

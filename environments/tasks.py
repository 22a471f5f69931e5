"""Foraging tasks as data: which particles are rewarded, which punished, and what a bite is worth.

`TASKS` holds the tasks of the package; a run may have others beside them (`Parameters.tasks`). The jitted function takes plain
numbers, so that the engines call the same rule as the Gymnasium environment.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from numbers import Integral

import numpy as np

from .jit import cached_njit
from .particles import Particle, find_particle, in_short

# Rewards of the authors' program (bazhlab-ucsd/spirit3PublicRepo); callers may pass others.
REWARD_REWARDED = 1.0
REWARD_PUNISHED = -0.001
REWARD_OTHERWISE = -0.0001
MAX_TASKS = 100  # in a table; each has a row of spike counts in every state
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


class Outcome(IntEnum):
    """What a move led to, in terms of the task."""

    NOTHING = 0
    REWARDED = 1
    PUNISHED = 2
    OTHER = 3
    """A particle outside the task."""


@dataclass(frozen=True)
class Task:
    """A task: some types of particle are rewarded, some punished; its world holds these only.

    Parameters
    ----------
    name : str
        One word, e.g. "T1".
    rewarded, punished : tuple of Particle
        At least one is rewarded; none stands there twice. Types of the package may be given by name. Another task may value the
        same types otherwise.

    Raises
    ------
    ValueError
        One line: nothing is rewarded, something is no type of particle, or a type stands there twice.
    """

    name: str
    rewarded: tuple[Particle, ...]
    punished: tuple[Particle, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                f"tasks.*: name {in_short(self.name)} given, allowed is one word of up to 40 letters and digits such as 'T3'"
            )
        for role in ("rewarded", "punished"):
            object.__setattr__(self, role, _types(f"tasks.{self.name}.{role}", getattr(self, role)))
        if not self.rewarded:
            raise ValueError(f"tasks.{self.name}.rewarded: none given, allowed is at least one type of particle")
        names = [particle.name for particle in self.particles]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"tasks.{self.name}: {twice} is named twice, allowed is every type once, rewarded or punished")

    @property
    def particles(self) -> tuple[Particle, ...]:
        """The types in its world, rewarded ones first."""
        return (*self.rewarded, *self.punished)


def _types(where: str, given: object) -> tuple[Particle, ...]:
    if isinstance(given, (Particle, str)) or not isinstance(given, Iterable):
        raise ValueError(f"{where}: {in_short(given)} given, allowed is a list of types of particle")
    try:
        return tuple(find_particle(each) for each in given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


# By name: the two of the paper, then one each for the further types. The order is that of the spike counts in a NetworkState, so a
# new task comes last.
TASKS = {
    name: Task(name, (rewarded,), (punished,))  # pyright: ignore[reportArgumentType] - by name
    for name, rewarded, punished in (
        ("T1", "horizontal", "negative diagonal"),
        ("T2", "vertical", "positive diagonal"),
        ("T3", "horizontal gap", "negative diagonal gap"),
        ("T4", "vertical gap", "positive diagonal gap"),
        ("T5", "shallow rise", "steep fall"),
        ("T6", "steep rise", "shallow fall"),
    )
}


def find_task(given: "Task | str | int", table: Mapping[str, Task] = TASKS) -> Task:
    """The task meant by a name ("T1"), a number (1) or the task itself.

    Raises
    ------
    ValueError
        One line: there is no such task in the table.
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, str) and given in table:
        return table[given]
    if isinstance(given, Integral) and not isinstance(given, bool) and int(given) in range(1, len(table) + 1):
        return list(table.values())[int(given) - 1]
    raise ValueError(f"task: {given!r} given, allowed are {', '.join(table)} or their numbers 1 to {len(table)}")


def outcomes(n_types: int, rewarded: Iterable[int] = (), punished: Iterable[int] = ()) -> np.ndarray:
    """What eating each type means where the types with these numbers are rewarded and punished.

    Returns
    -------
    numpy.ndarray of int8, shape (n_types + 1,)
        Values of :class:`Outcome`, indexed by type; element 0 (nothing eaten) is NOTHING.
    """
    table = np.full(n_types + 1, Outcome.OTHER, np.int8)
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

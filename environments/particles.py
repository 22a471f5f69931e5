"""Types of food particle as data: a name and the squares that a particle covers.

Where particles may lie and what eating one does is in world.py; which of them a task rewards is in tasks.py. The number of a type
is its place, from 1, in the table that is used: `PARTICLES`, or that of a run (`Parameters.particles`), which begins with these.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np

MAX_SQUARES = 5  # of a particle
MAX_REACH = 30  # of a square from the first one, in each direction: across the largest field of view
MAX_TYPES = 127  # numbers of types are int8
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,38}[A-Za-z0-9]|[A-Za-z]")


@dataclass(frozen=True)
class Particle:
    """A type of particle.

    Parameters
    ----------
    name : str
        Letters, digits, spaces, _ and -, e.g. "horizontal".
    offsets : tuple of (int, int)
        Its 1 to 5 squares as (dx, dy) from the first of them, which is (0, 0); x grows to the right, y upwards. They may lie apart.

    Raises
    ------
    ValueError
        One line: that is no type of particle.
    """

    name: str
    offsets: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(
                f"particles.*: name {in_short(self.name)} given, allowed are up to 40 letters, digits, spaces, _, -; a letter first"
            )
        object.__setattr__(self, "offsets", _offsets(self.name, self.offsets))

    @property
    def extent(self) -> tuple[int, int]:
        """Columns and rows of the smallest rectangle that holds it."""
        columns, rows = ([offset[axis] for offset in self.offsets] for axis in (0, 1))
        return max(columns) - min(columns) + 1, max(rows) - min(rows) + 1

    def squares_at(self, x: int, y: int) -> list[tuple[int, int]]:
        """Its squares (x, y) when its first one is at (x, y)."""
        return [(x + dx, y + dy) for dx, dy in self.offsets]

    def has_squares_of(self, other: "Particle") -> bool:
        """The two cannot be told apart: same squares, whichever of them is named first."""
        return _from_lowest(self.offsets) == _from_lowest(other.offsets)


def in_short(value: object) -> str:
    """What was given, as Python writes it, on one line of at most 80 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write whole numbers of more than 4300 digits
        text = "a very long number"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _offsets(name: str, given: object) -> tuple[tuple[int, int], ...]:
    """The offsets as tuples of int; ValueError in one line if they are none."""
    where = f"particles.{name}.offsets: {in_short(given)} given, allowed"
    pairs = list(given) if isinstance(given, (list, tuple)) else []
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and all(map(_is_whole, pair)) for pair in pairs) or not pairs:
        raise ValueError(f"{where} are 1 to {MAX_SQUARES} pairs of whole numbers such as [[0, 0], [2, 1]]")
    offsets = tuple((int(dx), int(dy)) for dx, dy in pairs)
    if len(offsets) > MAX_SQUARES:
        raise ValueError(f"{where} are at most {MAX_SQUARES} squares")
    if offsets[0] != (0, 0):
        raise ValueError(f"{where} is [0, 0] as the first square")
    if len(set(offsets)) < len(offsets):
        raise ValueError(f"{where} is every square once")
    if max(abs(step) for offset in offsets for step in offset) > MAX_REACH:
        raise ValueError(f"{where} are numbers from -{MAX_REACH} to {MAX_REACH}")
    return offsets


def _from_lowest(offsets: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    left, low = (min(offset[axis] for offset in offsets) for axis in (0, 1))
    return sorted((dx - left, dy - low) for dx, dy in offsets)


# By name, the paper's four first. A new one comes last: numbers of types in files are places in this table.
PARTICLES = {
    name: Particle(name, ((0, 0), offset))
    for name, offset in {
        "horizontal": (1, 0),
        "vertical": (0, 1),
        "positive diagonal": (1, 1),
        "negative diagonal": (1, -1),
        "horizontal gap": (2, 0),
        "vertical gap": (0, 2),
        "shallow rise": (2, 1),
        "steep rise": (1, 2),
        "shallow fall": (2, -1),
        "steep fall": (1, -2),
        "positive diagonal gap": (2, 2),
        "negative diagonal gap": (2, -2),
    }.items()
}
PAPER_PARTICLES = tuple(PARTICLES.values())[:4]
"""The four types of the paper, which grow in its unsupervised phase."""


def find_particle(given: "Particle | str", table: Mapping[str, Particle] = PARTICLES) -> Particle:
    """The type of particle meant by a name, or the type itself.

    Raises
    ------
    ValueError
        One line: there is no such type in the table.
    """
    if isinstance(given, Particle):
        return given
    if isinstance(given, str) and given in table:
        return table[given]
    raise ValueError(f"{in_short(given)} is no type of particle, allowed are {', '.join(table)}")


def type_numbers(particles: Iterable[Particle], table: Iterable[Particle] = tuple(PARTICLES.values())) -> list[int]:
    """Numbers of types of particle: their places in a table, from 1.

    Raises
    ------
    ValueError
        One line: one of them is not in the table.
    """
    places = {particle: number for number, particle in enumerate(table, start=1)}
    try:
        return [places[particle] for particle in particles]
    except KeyError as missing:
        particle = missing.args[0]
        raise ValueError(
            f"particles.{particle.name}: with the squares {list(particle.offsets)} not in the table of types, which holds "
            f"{', '.join(each.name for each in places)}"
        ) from None


def present_types(numbers: Iterable[int], n_types: int) -> np.ndarray:
    """Which types of particle a world holds, in the form the jitted functions of world.py take.

    Parameters
    ----------
    numbers : iterable of int in 1 ... n_types

    Returns
    -------
    numpy.ndarray of bool, shape (n_types + 1,)
        Indexed by type; element 0 (empty) is False.
    """
    present = np.zeros(n_types + 1, dtype=np.bool_)
    present[list(numbers)] = True
    return present


def particle_shapes(particles: Iterable[Particle]) -> tuple[np.ndarray, np.ndarray]:
    """The squares of types of particle, in the form the jitted functions of world.py take.

    Returns
    -------
    offsets : numpy.ndarray of int64, shape (n_types + 1, largest number of squares, 2)
        (dx, dy) of every square, indexed by type; what is not used is 0.
    squares : numpy.ndarray of int64, shape (n_types + 1,)
        How many squares a particle has; 0 for empty.
    """
    table = [particle.offsets for particle in particles]
    squares = np.array([0, *map(len, table)], dtype=np.int64)
    offsets = np.zeros((len(squares), squares.max(initial=1), 2), dtype=np.int64)
    for number, of_type in enumerate(table, start=1):
        offsets[number, : len(of_type)] = of_type
    return offsets, squares

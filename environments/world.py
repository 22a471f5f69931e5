"""The grid world: placing and eating particles, the agent's moves, its view, its choice of a move.

Jitted pure functions on arrays, written once and called by the Gymnasium environment and by every engine. A grid is an
int8 array of shape (size, size) indexed [y, x], 0 for an empty square, else the type of the particle that covers it; beside it
lies an array that tells which square of that particle it is. Draws follow docs/conventions.md; a `key` is what
:func:`foraging_snn.environments.draws.stream_key` returns. Arguments are not checked here, and wrong ones read beyond the arrays:
check once with :func:`check_world` where they enter.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from .draws import Stream, integer, stream_key, uniform
from .jit import cached_njit
from .particles import PAPER_PARTICLES, PARTICLES, Particle, particle_shapes

# Attempts at placing one particle before the grid counts as full. Far more than needed: of all the worlds completed in
# the trials behind MAX_DENSITY none needed more than 200 for any of its particles.
MAX_ATTEMPTS = 100_000

# Largest fraction of the squares that random placement covers safely, after rounding up to whole particles of each
# type. Particles need empty neighbours, so the grid jams: at 0.20 between 5 and 25 % of the worlds cannot be completed,
# at 0.16 to 0.18 up to 0.5 % of the small ones, at 0.15 none but 2 of 20 000 of 9 x 9. Measured with all four types and
# with the two of each task of the paper, sides of 5 to 200 squares, from 300 worlds each (large) to 20 000 (up to 25 x 25).
MAX_DENSITY = 0.15
# The same for the other types of the package, whose squares lie apart and take more room: at 0.13 all of 60 (large) to 300 worlds
# of each of their tasks were completed, of 12 to 50 squares a side; at 0.14 up to 8 % of the small ones were not. What types of
# users need is tried.
SAFE_DENSITY_OF_PACKAGE = 0.13
TRIED_WORLDS = 20

N_MOVES = 9
STAY = 4
N_DIRECTIONS = 8


class GridWorld(NamedTuple):
    """The squares of a world and the types of particle that can lie on them; T types of at most S squares."""

    grid: np.ndarray
    """(size, size) int8: type of the particle on each square, indexed [y, x]; 0: empty."""
    part: np.ndarray
    """(size, size) int8: which square of its particle it is; 0: the first one, the anchor, or empty."""
    offsets: np.ndarray
    """(T + 1, S, 2) int64: (dx, dy) from the anchor to each square, indexed by type."""
    squares: np.ndarray
    """(T + 1,) int64: how many squares a particle has, indexed by type."""


def empty_world(size: int, particles: Iterable[Particle] = PARTICLES.values()) -> GridWorld:
    """A world without particles; those that it may hold are numbered from 1 in their order."""
    return GridWorld(np.zeros((size, size), np.int8), np.zeros((size, size), np.int8), *particle_shapes(particles))


def particles_per_type(size: int, density: float, particles: Sequence[Particle]) -> int:
    """Number of particles of each type, ceil(density * size**2 / squares of one particle of every type).

    Parameters
    ----------
    size : int
        Side of the grid in squares.
    density : float
        Fraction of the squares that is covered, read as the decimal number it is written as: 0.07 of 100 squares are
        7, although the nearest double is a little above 0.07.
    particles : sequence of Particle
        The types in the world.

    Returns
    -------
    int
    """
    return math.ceil(Fraction(str(float(density))) * int(size) ** 2 / _squares(particles))


def _squares(particles: Iterable[Particle]) -> int:
    return sum(len(particle.offsets) for particle in particles)


@cached_njit
def _is_free(grid, x, y):
    """Whether the square lies inside the grid and it and its neighbours inside the grid are empty."""
    size = grid.shape[0]
    if x < 0 or y < 0 or x >= size or y >= size:
        return False
    for row in range(max(y - 1, 0), min(y + 2, size)):
        for column in range(max(x - 1, 0), min(x + 2, size)):
            if grid[row, column] != 0:
                return False
    return True


@cached_njit
def can_place(world, x, y, particle_type):
    """Whether a particle with its anchor at (x, y) would lie inside the grid and touch no other, not even diagonally.

    Parameters
    ----------
    world : GridWorld
    x, y : int
        Anchor; may lie outside the grid.
    particle_type : int from 1

    Returns
    -------
    bool
    """
    for k in range(world.squares[particle_type]):
        if not _is_free(world.grid, x + world.offsets[particle_type, k, 0], y + world.offsets[particle_type, k, 1]):
            return False
    return True


@cached_njit
def place_particle(world, particle_type, key, first_attempt):
    """Place one particle where a random attempt first succeeds; changes `world`.

    Parameters
    ----------
    world : GridWorld
    particle_type : int from 1
    key : int
        Stream WORLD or NEW_PARTICLE; attempt a uses draws 2a (x) and 2a + 1 (y).
    first_attempt : int

    Returns
    -------
    int
        Number of the attempt after the successful one, or -1 if `MAX_ATTEMPTS` attempts failed.
    """
    size = world.grid.shape[0]
    for attempt in range(first_attempt, first_attempt + MAX_ATTEMPTS):
        x = integer(key, 2 * attempt, size)
        y = integer(key, 2 * attempt + 1, size)
        if can_place(world, x, y, particle_type):
            for k in range(world.squares[particle_type]):
                column, row = x + world.offsets[particle_type, k, 0], y + world.offsets[particle_type, k, 1]
                world.grid[row, column] = particle_type
                world.part[row, column] = k
            return attempt + 1
    return -1


@cached_njit
def draw_world(world, present, per_type, key):
    """Empty the world and fill it with particles, types ascending; one attempt counter runs through the whole drawing.

    Parameters
    ----------
    world : GridWorld
    present : numpy.ndarray of bool, shape (n_types + 1,)
        Which types are drawn, indexed by type.
    per_type : int
        Particles of each type.
    key : int
        Stream WORLD.

    Returns
    -------
    bool
        False if a particle found no place; the world then holds those placed before it.
    """
    world.grid[:] = 0
    world.part[:] = 0
    attempt = 0
    for particle_type in range(1, len(present)):
        if not present[particle_type]:
            continue
        for _ in range(per_type):
            attempt = place_particle(world, particle_type, key, attempt)
            if attempt < 0:
                return False
    return True


@cached_njit
def remove_particle(world, x, y):
    """Remove the particle that covers the square (x, y), which may be any of its squares; changes `world`.

    Returns
    -------
    int
        Its type, 0 if the square is empty.
    """
    size = world.grid.shape[0]
    particle_type = world.grid[y, x]
    if particle_type == 0:
        return 0
    part = world.part[y, x]
    anchor_x, anchor_y = x - world.offsets[particle_type, part, 0], y - world.offsets[particle_type, part, 1]
    for k in range(world.squares[particle_type]):
        column, row = anchor_x + world.offsets[particle_type, k, 0], anchor_y + world.offsets[particle_type, k, 1]
        if 0 <= column < size and 0 <= row < size:
            world.grid[row, column] = 0
            world.part[row, column] = 0
    return int(particle_type)


@cached_njit
def eat(world, x, y, key):
    """Eat the particle on the agent's square, if there is one; a new one of its type appears. Changes `world`.

    Parameters
    ----------
    world : GridWorld
    x, y : int
        The agent's square.
    key : int
        Stream NEW_PARTICLE. The new particle may lie under the agent, which then eats it only after its next move.

    Returns
    -------
    int
        Type of the eaten particle, 0 if there was none.
    """
    particle_type = remove_particle(world, x, y)
    if particle_type == 0:
        return 0
    # The place just emptied is free, so an attempt succeeds sooner or later and no limit is needed.
    first_attempt = 0
    while place_particle(world, particle_type, key, first_attempt) < 0:
        first_attempt += MAX_ATTEMPTS
    return particle_type


def parts_of_grid(grid: np.ndarray, offsets: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Which square of its particle lies on each square of a grid, from the types alone.

    That is told only of types whose squares touch, as those of the paper: no two particles do, so what touches belongs together.

    Parameters
    ----------
    grid : (size, size) int8
    offsets, squares
        As in :class:`GridWorld`.

    Returns
    -------
    (size, size) int8
    """
    part, size = np.zeros_like(grid), len(grid)
    for particle_type in np.unique(grid[grid > 0]).tolist():
        for y, x in np.argwhere(grid == particle_type).tolist():
            of_particle = [(x + dx, y + dy) for dx, dy in offsets[particle_type, : squares[particle_type]].tolist()]
            if all(0 <= a < size and 0 <= b < size and grid[b, a] == particle_type for a, b in of_particle):
                for k, (a, b) in enumerate(of_particle):
                    part[b, a] = k
    return part


def world_problem(world: GridWorld) -> str:
    """Why a world cannot be: a particle of which squares are missing or lie outside; "" if it can."""
    grid, part, size = world.grid, world.part, len(world.grid)
    rows, columns = np.nonzero(grid)
    kind, k = grid[rows, columns], part[rows, columns]
    if (part[grid == 0] != 0).any() or (k < 0).any() or (k >= world.squares[kind]).any():
        return "grid_part has numbers of squares that no particle has"
    for other in range(world.offsets.shape[1]):
        more = other < world.squares[kind]
        step = world.offsets[kind, other] - world.offsets[kind, k]
        x, y = (columns + step[:, 0])[more], (rows + step[:, 1])[more]
        if ((x < 0) | (y < 0) | (x >= size) | (y >= size)).any():
            return "grid_part has particles that lie across the edge"
        if (grid[y, x] != kind[more]).any() or (part[y, x] != other).any():
            return "grid and grid_part do not show whole particles"
    return ""


@cached_njit
def view(grid, x, y, field, out):
    """Write which squares around (x, y) hold food, row by row from the lowest, across the torus.

    Jitted callers import the function itself: Numba reads `world.view(...)` as the method of NumPy arrays.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    x, y : int
        The agent's square.
    field : int
        Side of the field of view, odd.
    out : numpy.ndarray, shape (field * field,)
        Overwritten: element (dy + field // 2) * field + dx + field // 2 becomes 1 if the square (x + dx, y + dy) holds
        a particle, 0 if it is empty.
    """
    size = grid.shape[0]
    half = field // 2
    left = (x - half) % size
    row = (y - half) % size
    index = 0
    for _ in range(field):
        column = left
        for _ in range(field):
            out[index] = grid[row, column] != 0
            index += 1
            column += 1
            if column == size:
                column = 0
        row += 1
        if row == size:
            row = 0


@cached_njit
def move_agent(x, y, move, size):
    """The agent's square after a move on the torus.

    Parameters
    ----------
    x, y : int
    move : int in 0 ... 8
        (dy + 1) * 3 + (dx + 1); 4 is staying.
    size : int

    Returns
    -------
    x, y : int
    """
    return (x + move % 3 - 1) % size, (y + move // 3 - 1) % size


@cached_njit
def choose_move(counts, last_move, hunger, hunger_per_percent, tie_key, exploration_key):
    """The agent's policy: where the most active output cell points, and now and then anywhere.

    Parameters
    ----------
    counts : numpy.ndarray, shape (8,)
        Spikes of each output cell since the last move.
    last_move : int in 0 ... 8
        Kept if no output cell fired.
    hunger : int
        Epochs since the last rewarded or punished particle.
    hunger_per_percent : int
        Epochs of hunger for each percent of random moves (2: a chance of floor(hunger / 2) percent).
    tie_key, exploration_key : int
        Streams DIRECTION_TIE and EXPLORATION.

    Returns
    -------
    int in 0 ... 8
        The move, which is also the next `last_move`.
    """
    if uniform(exploration_key, 0) < (hunger // hunger_per_percent) / 100:
        return integer(exploration_key, 1, N_MOVES)

    largest = counts[0]
    n_largest = 1
    for cell in range(1, N_DIRECTIONS):
        if counts[cell] > largest:
            largest = counts[cell]
            n_largest = 1
        elif counts[cell] == largest:
            n_largest += 1
    if largest == 0:
        return last_move

    rank = 0 if n_largest == 1 else integer(tie_key, 0, n_largest)
    for cell in range(N_DIRECTIONS):
        if counts[cell] == largest:
            if rank == 0:
                return cell if cell < STAY else cell + 1
            rank -= 1
    return last_move


def check_world(size, field, density, particles: Sequence[Particle] = PAPER_PARTICLES):
    """Raise a ValueError with one clear line unless a world with these numbers can be seen and filled.

    Parameters
    ----------
    size : int
        Side of the grid in squares, at least `field`.
    field : int
        Side of the field of view in squares, odd.
    density : float
        Fraction of the squares that is covered, above 0; after rounding up to whole particles of each type at most
        `MAX_DENSITY`, which on small grids is a stricter demand.
    particles : sequence of Particle
        The types in the world; each fits into the field of view.
    """
    if isinstance(field, bool) or not isinstance(field, Integral) or field < 1 or field % 2 == 0:
        raise ValueError(f"field must be an odd integer of at least 1, got {field!r}.")
    if isinstance(size, bool) or not isinstance(size, Integral) or size < field:
        raise ValueError(f"size must be an integer of at least field = {field}, got {size!r}.")
    if isinstance(density, bool) or not isinstance(density, Real) or not 0 < float(density) <= MAX_DENSITY:
        raise ValueError(f"density must be a number above 0 and at most {MAX_DENSITY}, got {density!r}.")
    for particle in particles:
        if max(particle.extent) > field:
            columns, rows = particle.extent
            raise ValueError(
                f"field {field} is smaller than a particle {particle.name!r}, which takes {columns} x {rows} squares: choose a "
                "larger field or another particle."
            )
    per_type = particles_per_type(int(size), float(density), particles)
    covered = _squares(particles) * per_type / int(size) ** 2
    if covered > MAX_DENSITY:
        raise ValueError(
            f"density {density!r} means {per_type} particles of each of {len(particles)} types, which cover {covered:.3f} of "
            f"{size} x {size} squares; at most {MAX_DENSITY} can be covered: choose a larger size or a smaller density."
        )
    safe = MAX_DENSITY if set(particles) <= set(PAPER_PARTICLES) else SAFE_DENSITY_OF_PACKAGE
    if covered <= safe and set(particles) <= set(PARTICLES.values()):
        return
    if failed := _failed_worlds(int(size), per_type, tuple(particles)):
        raise ValueError(
            f"density {density!r} means {per_type} particles of each of the types {', '.join(p.name for p in particles)}; in "
            f"{failed} of up to {TRIED_WORLDS} worlds of {size} x {size} squares there was no room for all: choose a smaller "
            "density or particles that take less room."
        )


@lru_cache(maxsize=64)
def _failed_worlds(size: int, per_type: int, particles: tuple[Particle, ...]) -> int:
    """How many of some worlds cannot be completed; not all are tried if several cannot."""
    world, present, failed = empty_world(size, particles), np.arange(len(particles) + 1) > 0, 0
    for epoch in range(TRIED_WORLDS):
        failed += not draw_world(world, present, per_type, stream_key(0, Stream.WORLD, epoch))
        if failed == 3:  # each takes all the attempts there are
            break
    return failed

"""The grid world: placing and eating particles, the agent's moves, its view, its choice of a move.

Jitted pure functions on arrays, written once and called by the Gymnasium environment and by every engine. A grid is an
int8 array of shape (size, size) indexed [y, x], 0 for an empty square, else the type of the particle that covers it.
Draws follow docs/conventions.md; a `key` is what :func:`foraging_snn.environments.draws.stream_key` returns. Arguments
are not checked here, and wrong ones read beyond the arrays: check once with :func:`check_world` where they enter.
"""

import math
from fractions import Fraction
from numbers import Integral, Real

import numpy as np

from .draws import integer, uniform
from .jit import cached_njit
from .particles import N_PARTICLE_TYPES, PARTICLE_OFFSETS

# Attempts at placing one particle before the grid counts as full. Far more than needed: of all the worlds completed in
# the trials behind MAX_DENSITY none needed more than 200 for any of its particles.
MAX_ATTEMPTS = 100_000

# Largest fraction of the squares that random placement covers safely, after rounding up to whole particles of each
# type. Particles need empty neighbours, so the grid jams: at 0.20 between 5 and 25 % of the worlds cannot be completed,
# at 0.16 to 0.18 up to 0.5 % of the small ones, at 0.15 none but 2 of 20 000 of 9 x 9. Measured with all four types and
# with the two of each task, sides of 5 to 200 squares, from 300 worlds each (large) to 20 000 (up to 25 x 25).
MAX_DENSITY = 0.15

N_MOVES = 9
STAY = 4
N_DIRECTIONS = 8


def particles_per_type(size, density, n_types):
    """Number of particles of each type, ceil(density * size**2 / (2 * n_types)).

    Parameters
    ----------
    size : int
        Side of the grid in squares.
    density : float
        Fraction of the squares that is covered, read as the decimal number it is written as: 0.07 of 100 squares are
        7, although the nearest double is a little above 0.07.
    n_types : int
        Number of particle types in the world.

    Returns
    -------
    int
    """
    return math.ceil(Fraction(str(float(density))) * int(size) ** 2 / (2 * int(n_types)))


@cached_njit
def empty_world(size):
    """Grid without particles, int8 of shape (size, size)."""
    return np.zeros((size, size), dtype=np.int8)


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
def can_place(grid, x, y, particle_type):
    """Whether a particle with its anchor at (x, y) would lie inside the grid and touch no other, not even diagonally.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    x, y : int
        Anchor; may lie outside the grid.
    particle_type : int in 1 ... 4

    Returns
    -------
    bool
    """
    offset_x = PARTICLE_OFFSETS[particle_type, 0]
    offset_y = PARTICLE_OFFSETS[particle_type, 1]
    return _is_free(grid, x, y) and _is_free(grid, x + offset_x, y + offset_y)


@cached_njit
def place_particle(grid, particle_type, key, first_attempt):
    """Place one particle where a random attempt first succeeds; changes `grid`.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    particle_type : int in 1 ... 4
    key : int
        Stream WORLD or NEW_PARTICLE; attempt a uses draws 2a (x) and 2a + 1 (y).
    first_attempt : int

    Returns
    -------
    int
        Number of the attempt after the successful one, or -1 if `MAX_ATTEMPTS` attempts failed.
    """
    size = grid.shape[0]
    for attempt in range(first_attempt, first_attempt + MAX_ATTEMPTS):
        x = integer(key, 2 * attempt, size)
        y = integer(key, 2 * attempt + 1, size)
        if can_place(grid, x, y, particle_type):
            grid[y, x] = particle_type
            grid[y + PARTICLE_OFFSETS[particle_type, 1], x + PARTICLE_OFFSETS[particle_type, 0]] = particle_type
            return attempt + 1
    return -1


@cached_njit
def draw_world(grid, present, per_type, key):
    """Empty the grid and fill it with particles, types ascending; one attempt counter runs through the whole drawing.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    present : numpy.ndarray of bool, shape (n_types + 1,)
        Which types are drawn, indexed by type.
    per_type : int
        Particles of each type.
    key : int
        Stream WORLD.

    Returns
    -------
    bool
        False if a particle found no place; the grid then holds those placed before it.
    """
    grid[:] = 0
    attempt = 0
    for particle_type in range(1, len(present)):
        if not present[particle_type]:
            continue
        for _ in range(per_type):
            attempt = place_particle(grid, particle_type, key, attempt)
            if attempt < 0:
                return False
    return True


@cached_njit
def remove_particle(grid, x, y):
    """Remove the particle that covers the square (x, y), which may be either of its two; changes `grid`.

    Returns
    -------
    int
        Its type, 0 if the square is empty.
    """
    size = grid.shape[0]
    particle_type = grid[y, x]
    if particle_type == 0:
        return 0
    grid[y, x] = 0
    # No two particles touch, so only one of the two squares can hold this type: the particle's other half.
    for sign in (1, -1):
        other_x = x + sign * PARTICLE_OFFSETS[particle_type, 0]
        other_y = y + sign * PARTICLE_OFFSETS[particle_type, 1]
        if 0 <= other_x < size and 0 <= other_y < size and grid[other_y, other_x] == particle_type:
            grid[other_y, other_x] = 0
            break
    return int(particle_type)


@cached_njit
def eat(grid, x, y, key):
    """Eat the particle on the agent's square, if there is one; a new one of its type appears. Changes `grid`.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    x, y : int
        The agent's square.
    key : int
        Stream NEW_PARTICLE. The new particle may lie under the agent, which then eats it only after its next move.

    Returns
    -------
    int
        Type of the eaten particle, 0 if there was none.
    """
    particle_type = remove_particle(grid, x, y)
    if particle_type == 0:
        return 0
    # The place just emptied is free, so an attempt succeeds sooner or later and no limit is needed.
    first_attempt = 0
    while place_particle(grid, particle_type, key, first_attempt) < 0:
        first_attempt += MAX_ATTEMPTS
    return particle_type


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


def check_world(size, field, density, n_types=N_PARTICLE_TYPES):
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
    n_types : int
        Number of particle types in the world.
    """
    if isinstance(field, bool) or not isinstance(field, Integral) or field < 1 or field % 2 == 0:
        raise ValueError(f"field must be an odd integer of at least 1, got {field!r}.")
    if isinstance(size, bool) or not isinstance(size, Integral) or size < field:
        raise ValueError(f"size must be an integer of at least field = {field}, got {size!r}.")
    if isinstance(density, bool) or not isinstance(density, Real) or not 0 < float(density) <= MAX_DENSITY:
        raise ValueError(f"density must be a number above 0 and at most {MAX_DENSITY}, got {density!r}.")
    per_type = particles_per_type(size, density, n_types)
    covered = 2 * n_types * per_type / int(size) ** 2
    if covered > MAX_DENSITY:
        raise ValueError(
            f"density {density!r} means {per_type} particles of each of {n_types} types, which cover {covered:.3f} of "
            f"{size} x {size} squares; at most {MAX_DENSITY} can be covered: choose a larger size or a smaller density."
        )

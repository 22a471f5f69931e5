"""Pictures of the world: text and colour image. Pure functions of grid, agent and field of view; nothing moves here."""

import string

import numpy as np

# Empty square, the types 1 to 4, then further ones, after z again from a; the agent covers what lies under it.
EMPTY_SYMBOL, PAPER_SYMBOLS, FURTHER_SYMBOLS = ".", "-|/\\", string.ascii_lowercase
AGENT_SYMBOL = "@"

PIXELS_PER_SQUARE = 12
EMPTY_COLOUR = (250, 250, 250)
# Of the types by number, then from the fifth on again: colours of Okabe & Ito and of Paul Tol ("muted"). Colour-blind readers can
# tell the first four apart, and the two types of each task of the package.
TYPE_COLOURS = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (51, 34, 136),
    (240, 228, 66),
    (17, 119, 51),
    (136, 34, 85),
    (170, 68, 153),
    (187, 187, 187),
    (213, 94, 0),
)
FIELD_COLOUR = np.array((226, 226, 226), dtype=np.uint8)  # empty squares within the field of view
LINE_COLOUR = np.array((255, 255, 255), dtype=np.uint8)
OUTLINE_COLOUR = np.array((60, 60, 60), dtype=np.uint8)
AGENT_COLOUR = np.array((0, 0, 0), dtype=np.uint8)
RIM_COLOUR = np.array((255, 255, 255), dtype=np.uint8)


def square_colours(n_types):
    """Colours of an empty square and of the types by number, (n_types + 1, 3) uint8."""
    further = TYPE_COLOURS[len(PAPER_SYMBOLS) :]
    types = [*TYPE_COLOURS, *(further[k % len(further)] for k in range(max(0, n_types - len(TYPE_COLOURS))))][:n_types]
    return np.array([EMPTY_COLOUR, *types], dtype=np.uint8)


def square_symbols(n_types):
    """Characters for an empty square and for the types by number."""
    further = (FURTHER_SYMBOLS[k % len(FURTHER_SYMBOLS)] for k in range(n_types))
    return "".join([EMPTY_SYMBOL, *[*PAPER_SYMBOLS, *further][:n_types]])


def world_text(grid, x, y):
    r"""The world as text, one character per square, y upwards.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    x, y : int
        The agent's square.

    Returns
    -------
    str
        `size` lines; `.` empty, `-`, `|`, `/` and `\` the types 1 to 4, `a`, `b`, ... further ones, `@` the agent.
    """
    symbols = square_symbols(int(grid.max()))
    rows = [[symbols[square] for square in row] for row in grid]
    rows[y][x] = AGENT_SYMBOL
    return "\n".join("".join(row) for row in reversed(rows)) + "\n"


def _field_of_view(size, x, y, field):
    """Which squares the agent sees, across the torus: bool array of shape (size, size)."""
    offsets = np.arange(field) - field // 2
    seen = np.zeros((size, size), dtype=bool)
    seen[np.ix_((y + offsets) % size, (x + offsets) % size)] = True
    return seen


def _outline(seen, pixels):
    """Pixels along the border between seen and unseen squares, two wide, inside the seen ones."""
    lines = np.zeros((seen.shape[0] * pixels, seen.shape[1] * pixels), dtype=bool)
    inside = np.kron(seen, np.ones((pixels, pixels), dtype=bool))
    for axis in (0, 1):
        for step in (-2, -1, 1, 2):
            lines |= inside & ~np.roll(inside, step, axis=axis)
    return lines


def world_image(grid, x, y, field, pixels=PIXELS_PER_SQUARE):
    """The world as a colour image, y upwards: particles, the agent as a disc, its field of view grey and outlined.

    Parameters
    ----------
    grid : numpy.ndarray of int8, shape (size, size)
    x, y : int
        The agent's square.
    field : int
        Side of the field of view in squares.
    pixels : int
        Side of a square in pixels.

    Returns
    -------
    numpy.ndarray of uint8, shape (size * pixels, size * pixels, 3)
    """
    size = grid.shape[0]
    seen = _field_of_view(size, x, y, field)
    squares = square_colours(int(grid.max()))[grid]
    squares[seen & (grid == 0)] = FIELD_COLOUR
    image = squares.repeat(pixels, axis=0).repeat(pixels, axis=1)
    image[::pixels] = LINE_COLOUR
    image[:, ::pixels] = LINE_COLOUR
    image[_outline(seen, pixels)] = OUTLINE_COLOUR

    centre = (pixels - 1) / 2
    rows, columns = np.ogrid[:pixels, :pixels]
    distance = np.hypot(rows - centre, columns - centre) / pixels
    square = image[y * pixels : (y + 1) * pixels, x * pixels : (x + 1) * pixels]
    square[distance < 0.45] = RIM_COLOUR
    square[distance < 0.35] = AGENT_COLOUR
    return image[::-1].copy()

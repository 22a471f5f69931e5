"""The four types of food particle: names, shapes, colours.

Where particles may lie and what eating one does is in world.py; which of them a task rewards is in tasks.py.
"""

from enum import IntEnum

import numpy as np


class ParticleType(IntEnum):
    """Type of a particle; also the value of its two squares in a grid, where 0 is an empty square."""

    HORIZONTAL = 1
    VERTICAL = 2
    POSITIVE_DIAGONAL = 3
    NEGATIVE_DIAGONAL = 4


N_PARTICLE_TYPES = len(ParticleType)

# Offset (dx, dy) in squares from a particle's anchor to its second square, indexed by type; row 0 (empty) is unused.
PARTICLE_OFFSETS = np.array([(0, 0), (1, 0), (0, 1), (1, 1), (1, -1)], dtype=np.int64)
PARTICLE_OFFSETS.setflags(write=False)

PARTICLE_NAMES = {
    ParticleType.HORIZONTAL: "horizontal",
    ParticleType.VERTICAL: "vertical",
    ParticleType.POSITIVE_DIAGONAL: "positive diagonal",
    ParticleType.NEGATIVE_DIAGONAL: "negative diagonal",
}


def present_types(*types):
    """Which particle types a world holds, in the form the jitted functions of world.py take.

    Parameters
    ----------
    *types : ParticleType or int in 1 ... 4

    Returns
    -------
    numpy.ndarray of bool, shape (n_types + 1,)
        Indexed by type; element 0 (empty) is False.
    """
    present = np.zeros(N_PARTICLE_TYPES + 1, dtype=np.bool_)
    for particle_type in types:
        present[ParticleType(particle_type)] = True
    return present

"""Particle responsiveness: how much the synapses make a particle of each type attract the agent.

Pure functions of strengths; images are indexed [dy, dx] ascending, see receptive_fields.py.
"""

from collections.abc import Sequence

import numpy as np

from foraging_snn.environments import PAPER_PARTICLES, Particle

from .receptive_fields import check_strengths, directions, particle_placements


def direction_masks(field: int) -> np.ndarray:
    """Which part of the field of view lies in the direction of each output cell.

    Parameters
    ----------
    field : int
        Side F of the field, odd.

    Returns
    -------
    (8, F, F) float64
        1 on a square block in the corner (diagonal directions) or in the middle of the edge (the others) of the field.

    Raises
    ------
    ValueError
        An even side, or one below 3.

    Notes
    -----
    The block is 3 x 3 in the 7 x 7 field of the paper. For other fields its side is the largest odd number up to (F - 1) / 2:
    odd, so that a block lies in the middle of an edge, and never reaching the agent's own row or column in a corner.
    """
    if field < 3 or field % 2 == 0:
        raise ValueError(f"field: {field} given, allowed is an odd number from 3")
    half = (field - 1) // 2
    side = half - 1 + half % 2
    start = {-1: 0, 0: (field - side) // 2, 1: field - side}
    masks = np.zeros((len(directions()), field, field))
    for mask, (dx, dy) in zip(masks, directions(), strict=True):
        mask[start[dy] : start[dy] + side, start[dx] : start[dx] + side] = 1.0
    return masks


def particle_responsiveness(
    images: np.ndarray, strength: np.ndarray, particles: Sequence[Particle] = PAPER_PARTICLES
) -> np.ndarray:
    """Particle responsiveness metric of types of particle.

    For one type: the sum over output cells O of the grand sum of DirectionMask(O) * sum over hidden cells H and places P of
    the particle in the field of W_HO * (W_H . P) * grand(W_H . P)^2. W_H is H's input weight image, P the image of a particle
    that lies in the field entirely, products of images are element-wise, and grand() sums all elements.

    Parameters
    ----------
    images : (H, F, F) array
        Input weight images of the hidden cells.
    strength : (H, 8) array
        Excitatory strengths hidden to output.
    particles : sequence of Particle
        The types; those of the paper if omitted.

    Returns
    -------
    (len(particles),) float64
        By type; in strengths to the power of four, i.e. to be compared, not read.

    Raises
    ------
    ValueError
        The arrays do not belong to the same hidden cells, or the field has an even side.
    """
    images, strength = check_strengths(images, strength)
    places = particle_placements(images.shape[-1], particles)
    masks = direction_masks(images.shape[-1]).reshape(len(directions()), -1)
    seen = images.reshape(len(images), -1)[:, places.squares] * places.is_square  # (H, places, S): what of W_H . P is not 0
    drive = seen * seen.sum(axis=2, keepdims=True) ** 2
    response = np.einsum("ho,hps,ops->p", strength, drive, masks[:, places.squares], optimize=True)
    return np.bincount(places.particle_type, weights=response, minlength=len(particles) + 1)[1:]

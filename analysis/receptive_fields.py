"""Receptive fields of hidden and output cells in the field of view, and which particle shape they show.

Pure functions of strengths. Images are indexed [dy, dx] ascending like the grid: row 0 is the lowest row of squares, so that
Matplotlib draws them with `origin="lower"`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foraging_snn.environments import PAPER_PARTICLES, Particle
from foraging_snn.models import N_OUTPUT

MIN_CORRELATION = 0.7  # the particle then explains about half of the variance of the receptive field
DIRECTION_NAMES = ("down left", "down", "down right", "left", "right", "up left", "up", "up right")


def directions() -> np.ndarray:
    """The move (dx, dy) that each output cell stands for, (8, 2) int; x to the right, y upwards."""
    move = np.arange(N_OUTPUT) + (np.arange(N_OUTPUT) >= 4)  # move 4, staying, has no cell
    return np.column_stack([move % 3 - 1, move // 3 - 1])


def output_receptive_fields(images: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Receptive fields of the output cells with respect to the input layer.

    Parameters
    ----------
    images : (H, F, F) array
        Input weight image of every hidden cell, its receptive field.
    strength : (H, 8) array
        Excitatory strengths hidden to output.

    Returns
    -------
    (8, F, F) float64
        Mean of the images, weighted by the strengths onto the output cell; in units of input-to-hidden strength.

    Raises
    ------
    ValueError
        The arrays do not belong to the same hidden cells.
    """
    images, strength = check_strengths(images, strength)
    return np.tensordot(strength / strength.sum(axis=0), images, axes=(0, 0))


def strongest_hidden_cells(strength: np.ndarray, output: int, n: int) -> np.ndarray:
    """The `n` hidden cells with the strongest excitatory synapse onto an output cell, (n,) int, the strongest first.

    Parameters
    ----------
    strength : (H, 8) array
    output : int
        Output cell, 0 ... 7.
    n : int
        At most H; equal strengths are ordered by hidden cell.
    """
    return np.argsort(-np.asarray(strength, float)[:, output], kind="stable")[:n]


@dataclass(frozen=True)
class ParticlePlacements:
    """Every place of every type of particle that lies in the field of view entirely; P placements of at most S squares.

    Attributes
    ----------
    particle_type : (P,) int
        Its place, from 1, among the types that were asked for.
    squares : (P, S) int
        Its squares, as flat indices of an image; where it has fewer, its first one again.
    is_square : (P, S) bool
        Which of these count.
    field : int
        Side F of the field of view.
    """

    particle_type: np.ndarray
    squares: np.ndarray
    is_square: np.ndarray
    field: int

    @property
    def templates(self) -> np.ndarray:
        """Images of the placements, (P, F, F) float64: 1 on its squares, 0 elsewhere."""
        images = np.zeros((len(self.squares), self.field**2))
        np.put_along_axis(images, self.squares, 1.0, axis=1)
        return images.reshape(-1, self.field, self.field)


def particle_placements(field: int, particles: Sequence[Particle] = PAPER_PARTICLES) -> ParticlePlacements:
    """All particles that fit into a field of view of `field` by `field` squares, by type and then by place."""
    y, x = (axis.ravel() for axis in np.indices((field, field)))
    types, squares, counts = [], [], []
    most = max(len(particle.offsets) for particle in particles)
    for number, particle in enumerate(particles, start=1):
        dx, dy = np.array([*particle.offsets, *((0, 0),) * (most - len(particle.offsets))]).T
        column, row = x[:, None] + dx, y[:, None] + dy
        inside = ((column >= 0) & (column < field) & (row >= 0) & (row < field)).all(axis=1)
        squares.append((row * field + column)[inside])
        types.append(np.full(len(squares[-1]), number))
        counts.append(np.full(len(squares[-1]), len(particle.offsets)))
    is_square = np.arange(most) < np.concatenate(counts)[:, None]
    return ParticlePlacements(np.concatenate(types), np.concatenate(squares), is_square, field)


@dataclass(frozen=True)
class PreferredParticles:
    """The particle that each hidden cell's receptive field resembles most; H hidden cells.

    Attributes
    ----------
    particle_type : (H,) int
        Its place, from 1, among the types that were asked for; 0 where no particle is resembled enough.
    squares : (H, S) int
        The squares of the best particle, as flat indices of an image; see :class:`ParticlePlacements`.
    correlation : (H,) float64
        Pearson correlation of the image with that of the best particle, over the F x F squares; 0 for a constant image.
    """

    particle_type: np.ndarray
    squares: np.ndarray
    correlation: np.ndarray


def preferred_particles(
    images: np.ndarray, min_correlation: float = MIN_CORRELATION, particles: Sequence[Particle] = PAPER_PARTICLES
) -> PreferredParticles:
    """Which particle, of which type and where, each receptive field resembles most.

    Parameters
    ----------
    images : (H, F, F) array
    min_correlation : float
        A cell whose best correlation is lower prefers no type.
    particles : sequence of Particle
        The types that are looked for.

    Returns
    -------
    PreferredParticles
        The best of all placements of these types that lie in the field entirely.
    """
    images = np.asarray(images, float)
    field = images.shape[-1]
    placements = particle_placements(field, particles)
    correlations = _standardised(images) @ _standardised(placements.templates).T
    best, correlation = correlations.argmax(axis=1), correlations.max(axis=1)
    kind = np.where(correlation >= min_correlation, placements.particle_type[best], 0)
    return PreferredParticles(kind, placements.squares[best], correlation)


def drive_in_direction(
    preferred: PreferredParticles, strength: np.ndarray, masks: np.ndarray, n_types: int = len(PAPER_PARTICLES)
) -> np.ndarray:
    """Share of an output cell's excitatory input from hidden cells that see a particle in its direction, by particle type.

    Parameters
    ----------
    preferred : PreferredParticles
    strength : (H, 8) array
        Excitatory strengths hidden to output.
    masks : (8, F, F) array
        Not 0 on the squares that lie in an output cell's direction; see :func:`.responsiveness.direction_masks`.
    n_types : int
        How many types were looked for.

    Returns
    -------
    (n_types, 8) float64
        By type and output cell: the strength from hidden cells that prefer the type, at a place with all squares in the mask,
        as a share of all excitatory strength onto the output cell.
    """
    strength = np.asarray(strength, float)
    in_direction = (masks.reshape(N_OUTPUT, -1)[:, preferred.squares] != 0).all(axis=2).T
    shares = strength / strength.sum(axis=0) * in_direction
    return np.stack([shares[preferred.particle_type == kind].sum(axis=0) for kind in range(1, n_types + 1)])


def check_strengths(images: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (H, F, F) and strengths (H, 8) as float64; ValueError if they do not belong to the same hidden cells."""
    images, strength = np.asarray(images, float), np.asarray(strength, float)
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images: shape {images.shape} given, allowed is (hidden cells, side, side)")
    if strength.shape != (len(images), N_OUTPUT):
        raise ValueError(f"strength: shape {strength.shape} given, allowed is {(len(images), N_OUTPUT)}")
    return images, strength


def _standardised(images: np.ndarray) -> np.ndarray:
    """Flat images with mean 0 and length 1, so that products are correlations; constant images become 0."""
    flat = images.reshape(len(images), -1)
    varies = np.ptp(flat, axis=1, keepdims=True) > 0  # the difference from a rounded mean can be more than 0 where nothing varies
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.divide(flat, np.linalg.norm(flat, axis=1, keepdims=True), out=np.zeros_like(flat), where=varies)

"""Receptive fields: weighted means, particles recognised, and which way is up."""

import numpy as np
import pytest

from foraging_snn.analysis.receptive_fields import (
    DIRECTION_NAMES,
    directions,
    drive_in_direction,
    output_receptive_fields,
    particle_placements,
    preferred_particles,
    strongest_hidden_cells,
)
from foraging_snn.analysis.responsiveness import direction_masks
from foraging_snn.environments import PAPER_PARTICLES, PARTICLES, Particle

FIELD = 7


def image_of(*squares, value=0.01):
    """An image with a value on the squares (dx, dy) from the agent."""
    image = np.zeros((FIELD, FIELD))
    for dx, dy in squares:
        image[dy + FIELD // 2, dx + FIELD // 2] = value
    return image


def test_directions_are_those_of_the_moves():
    moves = [(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dx, dy) != (0, 0)]
    assert directions().tolist() == [list(move) for move in moves]
    assert DIRECTION_NAMES[5] == "up left"
    assert directions()[5].tolist() == [-1, 1]


def test_an_output_field_is_the_mean_weighted_by_strength():
    images = np.random.default_rng(1).random((3, FIELD, FIELD))
    strength = np.zeros((3, 8))
    strength[:, 2] = [1.0, 0.0, 3.0]
    strength[:, [0, 1, 3, 4, 5, 6, 7]] = 0.5
    fields = output_receptive_fields(images, strength)
    np.testing.assert_allclose(fields[2], (images[0] + 3 * images[2]) / 4)
    np.testing.assert_allclose(fields[7], images.mean(axis=0))


@pytest.mark.parametrize(("images", "strength"), [((3, 7, 7), (4, 8)), ((3, 7, 7), (3, 9)), ((3, 7, 5), (3, 8)), ((3, 49), (3, 8))])
def test_arrays_that_do_not_fit_are_refused(images, strength):
    with pytest.raises(ValueError, match="given, allowed is"):
        output_receptive_fields(np.ones(images), np.ones(strength))


def test_the_strongest_cells_come_first_and_equal_ones_by_number():
    strength = np.zeros((5, 8))
    strength[:, 3] = [0.2, 0.5, 0.2, 0.9, 0.1]
    assert strongest_hidden_cells(strength, 3, 4).tolist() == [3, 1, 0, 2]


def test_every_particle_that_fits_is_placed_once():
    places = particle_placements(FIELD)
    assert np.bincount(places.particle_type).tolist() == [0, 42, 42, 36, 36]
    assert len(np.unique(np.sort(places.squares, axis=1), axis=0)) == len(places.squares)
    y, x = np.divmod(places.squares, FIELD)
    offset = np.column_stack([x[:, 1] - x[:, 0], y[:, 1] - y[:, 0]])
    seconds = np.array([(0, 0), *(particle.offsets[1] for particle in PAPER_PARTICLES)])
    np.testing.assert_array_equal(offset, seconds[places.particle_type])
    assert places.is_square.all()
    assert places.templates.sum(axis=(1, 2)).tolist() == [2.0] * 156


def test_types_of_different_sizes_are_placed_together():
    dot, bar = Particle("dot", ((0, 0),)), Particle("bar", ((0, 0), (3, 0), (-3, 0)))
    places = particle_placements(FIELD, (dot, bar))
    assert np.bincount(places.particle_type).tolist() == [0, 49, 7]
    assert places.templates.sum(axis=(1, 2)).tolist() == [1.0] * 49 + [3.0] * 7
    images = np.array([image_of((1, 2)), image_of((-3, 1), (0, 1), (3, 1))])
    preferred = preferred_particles(images, particles=(dot, bar))
    assert preferred.particle_type.tolist() == [1, 2]
    np.testing.assert_allclose(preferred.correlation, 1.0)
    assert drive_in_direction(preferred, np.ones((2, 8)), direction_masks(FIELD), 2).shape == (2, 8)


@pytest.mark.parametrize("kind", range(1, 5))
def test_a_particle_is_recognised_where_it_lies(kind):
    dx, dy = list(PARTICLES.values())[kind - 1].offsets[1]
    squares = [(-2, 1), (-2 + dx, 1 + dy)]
    noise = np.random.default_rng(2).uniform(0, 0.001, (FIELD, FIELD))
    preferred = preferred_particles((image_of(*squares) + noise)[None])
    assert preferred.particle_type[0] == kind
    assert preferred.correlation[0] > 0.99
    y, x = np.divmod(preferred.squares[0], FIELD)
    assert {(a - 3, b - 3) for a, b in zip(x.tolist(), y.tolist(), strict=True)} == set(squares)


def test_images_without_a_particle_prefer_none():
    scattered = image_of((-3, -3), (3, 3), (-3, 3), (3, -3), (0, 0))
    preferred = preferred_particles(np.array([scattered, np.full((FIELD, FIELD), 0.1 + 0.2)]))
    assert preferred.particle_type.tolist() == [0, 0]
    assert preferred.correlation[1] == 0
    one_of_five = preferred_particles(scattered[None], min_correlation=0.25)
    assert one_of_five.particle_type[0] > 0  # the limit decides, not the search
    assert one_of_five.correlation[0] == pytest.approx(39 / np.sqrt(5 * 44 * 2 * 47))  # one of five squares is covered


def test_drive_counts_cells_whose_particle_lies_in_the_direction():
    images = np.array(
        [
            image_of((-2, 1), (-1, 1)),  # horizontal, up left
            image_of((-1, 2), (-1, 3)),  # vertical, up left
            image_of((2, 1), (3, 1)),  # horizontal, up right
            image_of((-1, 1), (0, 1)),  # horizontal, half in the block
        ]
    )
    strength = np.ones((4, 8))
    strength[:, 5] = [5.0, 2.0, 2.0, 1.0]
    drive = drive_in_direction(preferred_particles(images), strength, direction_masks(FIELD))
    np.testing.assert_allclose(drive[:, 5], [0.5, 0.2, 0.0, 0.0])
    np.testing.assert_allclose(drive[:, 7], [0.25, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(drive[:, 0], 0.0)

"""Particle responsiveness against the formula written out literally, and against cases that can be worked out by hand."""

import numpy as np
import pytest

from foraging_snn.analysis.receptive_fields import directions
from foraging_snn.analysis.responsiveness import direction_masks, particle_responsiveness
from foraging_snn.environments import PAPER_PARTICLES, Particle

SPARSE = Particle("sparse", ((0, 0), (2, -1), (-1, 3)))


def literally(images, strength, masks, kind):
    """The metric as it is defined, with images of particles and element-wise products."""
    side = images.shape[-1]
    total = 0.0
    for output in range(8):
        image = np.zeros((side, side))
        for hidden in range(len(images)):
            for y in range(side):
                for x in range(side):
                    particle = np.zeros((side, side))
                    squares = kind.squares_at(x, y)
                    if not all(0 <= a < side and 0 <= b < side for a, b in squares):
                        continue
                    for a, b in squares:
                        particle[b, a] = 1.0
                    seen = images[hidden] * particle
                    image += strength[hidden, output] * seen * seen.sum() ** 2
        total += (masks[output] * image).sum()
    return total


@pytest.mark.parametrize("kind", [*PAPER_PARTICLES, SPARSE])
def test_it_is_the_formula(kind):
    rng = np.random.default_rng(3)
    images, strength = rng.random((3, 7, 7)), rng.random((3, 8))
    expected = literally(images, strength, direction_masks(7), kind)
    types = [*PAPER_PARTICLES, SPARSE]
    found = particle_responsiveness(images, strength, types)
    assert found[types.index(kind)] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(particle_responsiveness(images, strength), found[:4], rtol=1e-12)


def test_a_cell_that_sees_one_particle_in_the_direction_it_drives():
    images, strength = np.zeros((1, 7, 7)), np.zeros((1, 8))
    images[0, 5, 1:3] = [0.2, 0.3]  # horizontal, up left of the agent
    strength[0, 5] = 2.0  # onto "up left"
    horizontal, vertical, positive, negative = particle_responsiveness(images, strength)
    whole = 2.0 * 0.5 * 0.5**2
    alone_left, alone_right = 2.0 * 0.2**3, 2.0 * 0.3**3
    # a particle that covers one of the two squares counts with that square alone
    assert horizontal == pytest.approx(whole + alone_left + alone_right)
    assert vertical == pytest.approx(2 * (alone_left + alone_right))
    assert positive == pytest.approx(2 * (alone_left + alone_right))
    assert negative == pytest.approx(2 * (alone_left + alone_right))
    strength[0, 5], strength[0, 0] = 0.0, 2.0  # the opposite direction
    assert particle_responsiveness(images, strength).tolist() == [0.0] * 4


def test_masks_of_the_paper():
    masks = direction_masks(7)
    assert masks.sum(axis=(1, 2)).tolist() == [9.0] * 8
    for mask, (dx, dy) in zip(masks, directions(), strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.mean() - 3, rows.mean() - 3) == (2 * dx, 2 * dy)
    assert masks[5, 6, 0] == 1.0  # up left is high row, low column
    assert not masks[:, 3, 3].any()


@pytest.mark.parametrize(("field", "side"), [(3, 1), (5, 1), (9, 3), (11, 5), (13, 5)])
def test_masks_of_other_fields_are_odd_blocks_that_spare_the_agent(field, side):
    masks = direction_masks(field)
    assert masks.sum(axis=(1, 2)).tolist() == [side**2] * 8
    assert not masks[:, field // 2, field // 2].any()
    np.testing.assert_array_equal(masks[0], masks[7][::-1, ::-1])
    assert masks[1, 0, field // 2] == 1.0


@pytest.mark.parametrize("field", [1, 8])
def test_masks_need_a_middle(field):
    with pytest.raises(ValueError, match=f"field: {field} given, allowed is an odd number from 3"):
        direction_masks(field)

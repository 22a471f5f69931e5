"""Planes and lines of the space of strengths, on points with known answers."""

import math

import numpy as np
import pytest

from foraging_snn.analysis.planes import (
    Plane,
    barrier,
    barrier_of_noise,
    dot,
    grid_axes,
    length,
    line_points,
    pairs_of,
    plane_through,
    principal_plane,
)

A, B, C = np.array([1.0, 1.0, 1.0, 5.0]), np.array([4.0, 1.0, 1.0, 5.0]), np.array([2.0, 3.0, 1.0, 5.0])


def test_a_plane_has_its_first_point_at_the_origin_and_the_second_on_the_x_axis():
    plane = plane_through(A, B, C)
    np.testing.assert_allclose(plane.position(np.array([A, B, C])), [[0, 0], [3, 0], [1, 2]], atol=1e-15)
    np.testing.assert_allclose(plane.axes, [[1, 0, 0, 0], [0, 1, 0, 0]], atol=1e-15)


def test_points_go_to_the_plane_and_back_and_others_have_their_distance():
    rng = np.random.default_rng(1)
    plane = plane_through(*rng.normal(size=(3, 50)))
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-14)
    position = rng.normal(size=(6, 2))
    points = plane.points(position)
    np.testing.assert_allclose(plane.position(points), position, atol=1e-13)
    np.testing.assert_allclose(plane.distance(points), 0.0, atol=1e-13)
    off = Plane(A, np.eye(4)[:2])
    assert off.distance(np.array([[9.0, 9.0, 4.0, 1.0]])) == [5.0]


@pytest.mark.parametrize(
    ("points", "message"),
    [((A, A, C), "two of the three states are the same"), ((A, C, C), "the same"), ((A, B, A + 2 * (B - A)), "on one line")],
)
def test_states_that_span_no_plane_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        plane_through(*points)


def test_sums_are_rounded_once():
    a = np.array([1e16, 1.0, -1e16, 1.0])
    assert dot(a, np.ones(4)) == 2.0
    assert length(np.array([3.0, 4.0])) == 5.0


def test_the_principal_plane_is_that_of_the_largest_variances():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(400, 5)) * [0.1, 5.0, 0.1, 2.0, 0.1] + 7.0
    plane, share = principal_plane(points)
    np.testing.assert_allclose(np.abs(plane.axes), np.eye(5)[[1, 3]], atol=0.05)
    np.testing.assert_allclose(plane.origin, points.mean(axis=0))
    assert share.sum() > 0.99


def test_a_grid_surrounds_the_positions_by_a_share_of_the_larger_extent():
    x, y = grid_axes(np.array([[0.0, 1.0], [10.0, 3.0]]), 5, 0.1)
    np.testing.assert_allclose(x, [-1, 2, 5, 8, 11])
    np.testing.assert_allclose(y, [0, 1, 2, 3, 4])


def test_a_line_begins_and_ends_with_its_ends_bit_for_bit():
    start, end = np.random.default_rng(3).normal(size=(2, 7, 8))
    found = line_points(start, end, np.array([0.0, 0.25, 1.0]))
    assert found[0].tobytes() == start.tobytes()
    assert found[-1].tobytes() == end.tobytes()
    np.testing.assert_allclose(found[1], 0.75 * start + 0.25 * end)


# ---------------------------------------------------------------------------------------------------------------- barriers

SHARE = np.linspace(0.0, 1.0, 11)


def test_the_barrier_of_a_valley_is_its_depth_below_the_line_between_the_ends():
    line = 0.7 - 0.2 * SHARE
    valley = line - 0.4 * SHARE * (1.0 - SHARE)
    assert barrier(valley, SHARE) == pytest.approx(0.1)
    assert barrier(np.array([line, valley]), SHARE) == pytest.approx([0.0, 0.1])


def test_a_hill_and_a_fall_between_the_ends_are_no_barriers():
    assert barrier(0.6 + SHARE * (1.0 - SHARE), SHARE) == 0.0
    assert barrier(0.9 - 0.4 * SHARE, SHARE) == pytest.approx(0.0, abs=1e-15)
    assert np.isnan(barrier(np.where(SHARE == 0.5, np.nan, 0.7), SHARE))


def test_noise_alone_makes_a_barrier_that_grows_with_it():
    """Of three points with errors 0, s, 0: the middle one falls by s / sqrt(2 pi) on average, where only falls count."""
    errors = np.array([[0.0, 0.02, 0.0], [0.0, 0.04, 0.0]])
    found = barrier_of_noise(errors, np.array([0.0, 0.5, 1.0]), draws=20_000)
    np.testing.assert_allclose(found, errors[:, 1] / math.sqrt(2 * math.pi), rtol=0.03)
    assert barrier_of_noise(errors, np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx(found.tolist(), rel=0.1)


def test_all_pairs():
    assert list(pairs_of(3)) == [(0, 1), (0, 2), (1, 2)]

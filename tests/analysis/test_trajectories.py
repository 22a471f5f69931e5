"""The agent's path on the torus, on hand-made walks."""

import numpy as np
import pytest

from foraging_snn.analysis.trajectories import first_stretch, path


def test_a_path_is_broken_where_it_goes_over_the_edge():
    walked = path(x=[48, 49, 0, 1, 1], y=[5, 5, 6, 6, 49], outcome=[0] * 5)
    np.testing.assert_array_equal(walked.x, [48, 49, np.nan, 0, 1, np.nan, 1])
    np.testing.assert_array_equal(walked.y, [5, 5, np.nan, 6, 6, np.nan, 49])
    assert walked.epochs == 5


def test_food_is_where_it_was_eaten():
    walked = path(x=[3, 4, 5, 5, 6], y=[1, 2, 3, 3, 3], outcome=[1, 2, 0, 3, 1])
    np.testing.assert_array_equal(walked.rewarded, [[3, 1], [6, 3]])
    np.testing.assert_array_equal(walked.punished, [[4, 2]])


def test_diagonal_steps_and_staying_do_not_break_it():
    walked = path(x=np.array([3, 4, 4], np.int16), y=np.array([3, 4, 4], np.int16), outcome=np.zeros(3, np.int8))
    np.testing.assert_array_equal(walked.x, [3, 4, 4])


@pytest.mark.parametrize(
    ("epoch", "longest", "n"), [([7, 8, 9], 10, 3), ([7, 8, 9], 2, 2), ([7, 8, 20, 21, 22], 10, 2), ([7], 5, 1), ([7, 9], 5, 1)]
)
def test_the_first_stretch_ends_at_the_first_gap(epoch, longest, n):
    assert np.array(epoch)[first_stretch(np.array(epoch), longest)].tolist() == epoch[:n]

"""Which spikes a raster shows, on hand-made spikes."""

import numpy as np

from foraging_snn.analysis.rasters import by_layer, last_stretch


def test_the_last_stretch_lies_in_one_window():
    assert last_stretch([range(0, 10), range(50, 53)], 4, lambda stretch: True) == range(6, 10)
    assert last_stretch([range(0, 10), range(50, 54)], 4, lambda stretch: True) == range(50, 54)


def test_the_last_stretch_is_as_wanted():
    assert last_stretch([range(0, 20)], 3, lambda stretch: all(epoch % 10 < 5 for epoch in stretch)) == range(12, 15)


def test_there_may_be_no_stretch():
    assert last_stretch([range(0, 3)], 4, lambda stretch: True) is None
    assert last_stretch([], 1, lambda stretch: True) is None
    assert last_stretch([range(0, 30)], 4, lambda stretch: False) is None


def test_spikes_are_sorted_into_layers_and_counted_from_their_starts():
    step, cell = np.array([99, 100, 120, 120, 199, 200]), np.array([0, 1, 2, 6, 7, 3])
    found = by_layer(step, cell, 100, 100, {"input": 2, "hidden": 5, "output": 1})
    assert [(layer.layer, layer.cells) for layer in found] == [("input", 2), ("hidden", 5), ("output", 1)]
    assert [layer.step.tolist() for layer in found] == [[0], [20, 20], [99]]
    assert [layer.cell.tolist() for layer in found] == [[1], [0, 4], [0]]

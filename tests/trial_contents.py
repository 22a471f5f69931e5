"""What is in the file of a trial, for comparisons bit for bit: all datasets and attributes but the times of day.

Axes are compared by name: HDF5 keeps them as addresses within the file.
"""

import h5py
import numpy as np

TIMES = ("started", "ended")
ADDRESSES = {"DIMENSION_LIST", "REFERENCE_LIST"}


def contents(path):
    """Type, shape and bytes of everything, by name."""
    found = {}

    def visit(name, item):
        for key in item.attrs.keys() - ADDRESSES:
            if name or key not in TIMES:
                found[f"{name}@{key}"] = np.asarray(item.attrs[key])
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]
            found[f"{name}@axes"] = np.array(axes(item), "S")

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in found.items()}


def axes(dataset):
    """Names of the axes of a dataset; "" where one has none."""
    return [scales[0].name if (scales := list(axis.values())) else "" for axis in dataset.dims]


def differences(path, other):
    """Names of what is not the same in two files."""
    here, there = contents(path), contents(other)
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))

"""What is in the file of a trial, for comparisons bit for bit: all datasets and attributes but the times of day."""

import h5py
import numpy as np

TIMES = ("started", "ended")


def contents(path):
    """Type, shape and bytes of everything, by name."""
    found = {}

    def visit(name, item):
        for key, value in item.attrs.items():
            if name or key not in TIMES:
                found[f"{name}@{key}"] = np.asarray(value)
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in found.items()}


def differences(path, other):
    """Names of what is not the same in two files."""
    here, there = contents(path), contents(other)
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))

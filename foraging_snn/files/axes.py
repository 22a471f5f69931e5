"""Named axes and descriptions of datasets: HDF5 dimension scales, so that xarray and netCDF programs show names.

Reading by this package needs none of it, and files without it are as good. What the axes are is said in models/schema.py.
"""

import h5py
import numpy as np

from foraging_snn.files.hdf5 import write_texts
from foraging_snn.models.schema import AXES, Field

# By this name netCDF knows an axis that has a length and no values of its own.
NO_VALUES = "This is a netCDF dimension but not a netCDF variable."
CHUNK = 1024
COMPRESSION = {"compression": "gzip", "shuffle": True}


def describe(dataset: h5py.Dataset, what: Field, axes: bool = True) -> None:
    """Write beside a dataset what it is: unit and meaning, and its axes by name if they are wanted, which takes longer."""
    write_texts(dataset.attrs, {"unit": what.unit, "meaning": what.meaning})
    for k, axis in enumerate(what.axes if axes else ()):
        dataset.dims[k].attach_scale(_scale(dataset.file, axis, dataset.shape[k]))


def _scale(file: h5py.File, axis: str, length: int) -> h5py.Dataset:
    """The scale of an axis, at the top of the file; made if there is none."""
    if isinstance(scale := file.get(axis), h5py.Dataset):
        return scale
    if AXES[axis].size is None:  # its length is that of the datasets along it, which may grow
        scale = file.create_dataset(axis, (0,), np.int8, maxshape=(None,), chunks=(CHUNK,), **COMPRESSION)
        scale.make_scale(NO_VALUES)
    else:
        scale = file.create_dataset(axis, data=np.arange(length, dtype=np.int32), **COMPRESSION)
        scale.make_scale(axis)
    write_texts(scale.attrs, {"unit": "1", "meaning": AXES[axis].meaning})
    return scale

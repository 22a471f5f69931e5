"""The file of an experiment with networks without spikes and one seed: accuracies of all conditions, and their origin."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from foraging_snn.files.hdf5 import (
    damage_reported,
    dataset_in,
    group_in,
    open_for_reading,
    read_number,
    read_text,
    remove_leftovers,
    whole_file,
    write_format,
    write_texts,
)
from foraging_snn.files.layout import RecordingError
from foraging_snn.protocols.artificial import Settings

FORMAT_NAME, FORMAT_VERSION = "foraging_snn networks without spikes", 1
CONDITIONS, PROVENANCE = "conditions", "provenance"
N_BYTES = 20_000_000  # more than any of these files has
ARRAYS = {  # of a condition: axes, unit, meaning
    "accuracy": ("row, column", "1", "share of the test images that are given their class, among all classes"),
    "awake": ("row, column", "1", "the same before the sleep that belongs to the row; NaN without one"),
    "sparseness": ("row, layer", "1", "of the activities of each layer, mean over test images (Treves & Rolls 1991)"),
    "sparseness_awake": ("row, layer", "1", "the same before the sleep that belongs to the row; NaN without one"),
    "confusion": ("class, choice", "1", "test images of each class by the class chosen, at the end"),
    "sleep_steps": ("sleep", "ms", "length of each sleep"),
    "share_spiking": ("sleep, layer", "1", "mean share of the cells that spike in a step, input first"),
    "output_spikes": ("sleep, class", "1", "spikes of each output cell in a sleep"),
    "weights": ("layer, percent", "1", "quantiles of the weights at the end, 0 to 100 %"),
    "weights_awake": ("layer, percent", "1", "the same before the last sleep; NaN without one"),
    "zero_weights": ("layer", "1", "share of the weights within 0.001 of zero at the end"),
}


@dataclass(frozen=True)
class Condition:
    """What came out of one condition.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        By the names of `ARRAYS`.
    updates : int
        Of gradient descent.
    seconds, seconds_asleep : float
        Of the processor, one thread; all, and in sleep.
    """

    arrays: Mapping[str, np.ndarray]
    updates: int
    seconds: float
    seconds_asleep: float


@dataclass(frozen=True)
class ImageRun:
    """An experiment with one seed, complete or not.

    Attributes
    ----------
    experiment, data : str
        Name of the experiment, and of the images.
    sha256 : str
        Of the images.
    seed : int
    settings : Settings
    rows, columns : tuple of str
        What the rows and columns of accuracies are.
    planned : tuple of str
        All conditions, in their order.
    conditions : mapping of str to Condition
        Those that are done.
    provenance : mapping of str to str
    """

    experiment: str
    data: str
    sha256: str
    seed: int
    settings: Settings
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    planned: tuple[str, ...]
    conditions: Mapping[str, Condition]
    provenance: Mapping[str, str]

    @property
    def is_complete(self) -> bool:
        """All conditions are done."""
        return set(self.planned) <= set(self.conditions)

    def unlike(self, other: "ImageRun") -> str:
        """In what they differ, besides seed and conditions; "" if they can stand in one table."""
        for name in ("experiment", "data", "sha256", "settings", "rows", "columns"):
            if getattr(self, name) != getattr(other, name):
                return "images" if name == "sha256" else name
        return ""


def write_image_run(path: Path, run: ImageRun) -> None:
    """Write a run, whole; one that is there is replaced."""
    remove_leftovers(path.parent, path.name)
    with whole_file(path, N_BYTES) as file:
        write_format(file, FORMAT_NAME, FORMAT_VERSION)
        texts = {"experiment": run.experiment, "data": run.data, "sha256": run.sha256, "settings": run.settings.as_json()}
        write_texts(file.attrs, texts | {name: json.dumps(getattr(run, name)) for name in ("rows", "columns", "planned")})
        file.attrs["seed"] = np.int64(run.seed)
        write_texts(file.create_group(PROVENANCE).attrs, run.provenance)
        group = file.create_group(CONDITIONS, track_order=True)
        for name, condition in run.conditions.items():
            _write(group.create_group(name), condition)


def _write(group: h5py.Group, condition: Condition) -> None:
    group.attrs["updates"] = np.int64(condition.updates)
    group.attrs["seconds"], group.attrs["seconds_asleep"] = condition.seconds, condition.seconds_asleep
    for name, (axes, unit, meaning) in ARRAYS.items():
        dataset = group.create_dataset(name, data=condition.arrays[name])
        write_texts(dataset.attrs, {"axes": axes, "unit": unit, "meaning": meaning})


def read_image_run(path: Path) -> ImageRun:
    """Read a run.

    Raises
    ------
    RecordingError
        It cannot be read, is another kind of file, or is damaged.
    """
    with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, RecordingError) as file, damage_reported(path, RecordingError):
        names = {name: _names(file, name) for name in ("rows", "columns", "planned")}
        attributes = group_in(file, PROVENANCE).attrs
        groups = group_in(file, CONDITIONS)
        size = (len(names["rows"]), len(names["columns"]))
        return ImageRun(
            experiment=read_text(file.attrs, "experiment"),
            data=read_text(file.attrs, "data"),
            sha256=read_text(file.attrs, "sha256"),
            seed=read_number(file.attrs, "seed", 0, 2**62),
            settings=Settings.from_json(read_text(file.attrs, "settings")),
            rows=names["rows"],
            columns=names["columns"],
            planned=names["planned"],
            conditions={name: _read(group_in(groups, name), size) for name in names["planned"] if name in groups},
            provenance={name: read_text(attributes, name) for name in attributes},
        )


def _names(file: h5py.File, name: str) -> tuple[str, ...]:
    found = json.loads(read_text(file.attrs, name))
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"attribute {name} is not a list of names")
    return tuple(found)


def _read(group: h5py.Group, size: tuple[int, int]) -> Condition:
    arrays = {name: dataset_in(group, name)[()] for name in ARRAYS}
    if arrays["accuracy"].shape != size or arrays["awake"].shape != size:
        raise ValueError(f"{group.name}: accuracies are not {size[0]} x {size[1]}")
    seconds = [float(np.asarray(group.attrs[name])) for name in ("seconds", "seconds_asleep")]
    return Condition(arrays, read_number(group.attrs, "updates", 0, 2**62), seconds[0], seconds[1])

"""Sweeps: an experiment for all combinations of some values of some parameters, and the table and figure of what came of it.

How trials are run is in scheduling.py; what is in the table, in analysis/sweep_table.py.
"""

import hashlib
import io
import itertools
import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from foraging_snn.files.hdf5 import (
    LIBRARY_VERSIONS,
    damage_reported,
    dataset_in,
    format_of,
    group_in,
    open_for_reading,
    read_text,
    reason,
    write_format,
    write_text,
    write_texts,
    write_whole_file,
)
from foraging_snn.files.layout import FORMAT_NAME as TRIAL_FORMAT
from foraging_snn.files.provenance import provenance
from foraging_snn.files.reader import Trial
from foraging_snn.models import Parameters
from foraging_snn.models.parameters import toml_text
from foraging_snn.protocols import protocol
from foraging_snn.running.errors import RunError
from foraging_snn.running.plan import Plan, is_complete
from foraging_snn.running.starting import check_start, rates_of

if TYPE_CHECKING:
    from foraging_snn.analysis.sweep_table import SweepTable, Value

FORMAT_NAME, FORMAT_VERSION = "foraging_snn sweep", 1
TABLE = "table"
MAX_POINTS = 10_000
MAX_NAME = 180  # characters of a folder, which most disks limit to 255
CSV_NAME, HDF5_NAME, FIGURE_NAMES = "sweep.csv", "sweep.h5", ("sweep.png", "sweep.pdf")


class SweepError(RunError):
    """A sweep cannot be done, or its table not be read or written; the message is one line."""


@dataclass(frozen=True)
class SweepPoint:
    """One combination of values.

    Attributes
    ----------
    names : tuple of str
    values : tuple
        Of these parameters.
    parameters : Parameters
    """

    names: tuple[str, ...]
    values: tuple["Value", ...]
    parameters: Parameters

    @property
    def label(self) -> str:
        """For the screen."""
        return ", ".join(f"{name}={_plain(value)}" for name, value in zip(self.names, self.values, strict=True))

    @property
    def folder(self) -> str:
        """Name of the folder of its trials: "sleep.block_epochs=25__phases.block_epochs=100"."""
        name = "__".join(f"{name}={_plain(value)}" for name, value in zip(self.names, self.values, strict=True))
        safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", name)
        if len(safe) <= MAX_NAME and safe == name:
            return safe
        return f"{safe[:MAX_NAME]}__{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _plain(value: "Value") -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def values_asked_for(over: Sequence[str], grid_file: Path | None) -> dict[str, list[Any]]:
    """The lists of values on the command line and in a grid file, by parameter.

    Parameters
    ----------
    over : sequence of str
        "NAME=VALUE,VALUE,..."
    grid_file : Path or None
        TOML: a list for each parameter, as "sleep.block_epochs = [25, 50]" or in a table "[sleep]".

    Raises
    ------
    SweepError
        Not of that form, a parameter named twice, or none.
    """
    found: dict[str, list[Any]] = {}
    given = [_name_and_values(text) for text in over]
    given += _in_file(grid_file) if grid_file else []
    for name, values in given:
        if name in found:
            raise SweepError(f"{name}: given twice")
        found[name] = values
    if not found:
        raise SweepError("sweep: no values given; --over 'NAME=VALUE,VALUE,...' or --grid-file FILE.toml")
    return found


def _name_and_values(text: str) -> tuple[str, list[Any]]:
    name, sign, values = text.partition("=")
    listed = [value.strip() for value in values.split(",")]
    if not sign or not name.strip() or not all(listed):
        raise SweepError(f"--over: {text!r} given, allowed is NAME=VALUE,VALUE,...")
    return name.strip(), listed


def _in_file(path: Path) -> list[tuple[str, list[Any]]]:
    try:
        tree = tomllib.loads(toml_text(path))
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise SweepError(f"{path}: not readable as TOML: {reason(error)}") from None
    flat = [(key, value) for key, value in tree.items() if not isinstance(value, dict)]
    flat += [(f"{key}.{name}", value) for key, group in tree.items() if isinstance(group, dict) for name, value in group.items()]
    for name, values in flat:
        if not isinstance(values, list) or not values:
            raise SweepError(f"{path}: {name}: allowed is a list of values")
        if any(isinstance(value, str | list | dict) for value in values):
            raise SweepError(f"{path}: {name}: allowed are numbers, true and false in its list")
    return flat


def grid(parameters: Parameters, asked_for: Mapping[str, Sequence[Any]]) -> tuple[SweepPoint, ...]:
    """All combinations of values, the last parameter changing fastest.

    Parameters
    ----------
    parameters : Parameters
        For everything else.
    asked_for : mapping from name to values
        As :func:`foraging_snn.models.Parameters.with_changes` takes them.

    Raises
    ------
    ParameterError
        Unknown name, or a value that is not allowed, alone or with the others.
    SweepError
        A value twice, or too many combinations.
    """
    number = math.prod(len(values) for values in asked_for.values())
    if number > MAX_POINTS:
        raise SweepError(f"sweep: {number} combinations asked for, allowed are {MAX_POINTS}")
    points = []
    for values in itertools.product(*asked_for.values()):
        changed = parameters.with_changes(dict(zip(asked_for, values, strict=True)))
        as_set = changed.values()
        points.append(SweepPoint(tuple(asked_for), tuple(as_set[name] for name in asked_for), changed))
    for k, name in enumerate(asked_for):
        different = {point.values[k] for point in points}
        if len(different) < len(asked_for[name]):
            raise SweepError(f"{name}: a value is given twice: {', '.join(str(value) for value in asked_for[name])}")
    return tuple(points)


def plans(points: Sequence[SweepPoint], name: str, base: Plan) -> list[Plan]:
    """What is run at each point, in a folder of its own.

    Parameters
    ----------
    points : sequence of SweepPoint
    name : str
        Of the experiment.
    base : Plan
        For everything else; its directory is the one in which the folders are.

    Raises
    ------
    StateError
        Trials with the parameters of a point cannot begin from the start state.
    """
    for point in points:
        if base.start:
            check_start(base.start, point.parameters, f"{point.label}: start state")
    return [
        replace(
            base,
            experiments=(protocol(name, point.parameters, rates_of=rates_of),),
            parameters=point.parameters,
            directory=base.directory / point.folder,
        )
        for point in points
    ]


# ------------------------------------------------------------------------------------------------------- what came of it


def table_of(points: Sequence[SweepPoint], planned: Sequence[Plan]) -> "SweepTable":
    """The table of all complete trials of a sweep.

    Raises
    ------
    SweepError
        There is none.
    """
    from foraging_snn.analysis.sweep_table import tidy

    groups = []
    for point, plan in zip(points, planned, strict=True):
        groups.append((point.values, [Trial(path) for path in plan.all_paths if is_complete(path)]))
    if not any(trials for _, trials in groups):
        raise SweepError("sweep: no trial is complete")
    return tidy(points[0].names, groups)


def check_results_can_be_written(directory: Path, may_replace: bool) -> None:
    """See that the files of the results do not take the place of others.

    Parameters
    ----------
    directory : Path
    may_replace : bool
        Those of an earlier part of the same sweep may be replaced.

    Raises
    ------
    SweepError
    """
    from foraging_snn.analysis.sweep_table import FIXED_COLUMNS

    for name in (CSV_NAME, HDF5_NAME, *FIGURE_NAMES):
        path = directory / name
        if not os.path.lexists(path):
            continue
        if not may_replace:
            raise SweepError(f"{path}: exists already and is not overwritten")
        if name == HDF5_NAME:
            open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, SweepError).close()
        elif name == CSV_NAME and not path.read_bytes().startswith(",".join(FIXED_COLUMNS).encode()):
            raise SweepError(f"{path}: exists already, was not written by foraging-snn sweep, and is not overwritten")


def write_results(table: "SweepTable", directory: Path, command_line: str) -> list[Path]:
    """Write the table as CSV and HDF5, and the overview as PNG and PDF.

    Parameters
    ----------
    table : SweepTable
    directory : Path
        Files of these names are replaced, see :func:`check_results_can_be_written`.
    command_line : str
        For the provenance.

    Returns
    -------
    list of Path
        The files.
    """
    from foraging_snn.analysis.sweep_table import csv_text

    paths = [directory / name for name in (CSV_NAME, HDF5_NAME, *FIGURE_NAMES)]
    write_whole_file(paths[0], csv_text(table).encode())
    write_whole_file(paths[1], _hdf5_image(table, command_line))
    write_overview(table, paths[2:])
    return paths


def write_overview(table: "SweepTable", paths: Sequence[Path]) -> None:
    """Draw the overview of a sweep into files, which are replaced; what kind each is, its ending says."""
    from foraging_snn.analysis.figures.drawing import save_figure
    from foraging_snn.analysis.figures.sweep_overview import draw

    save_figure(lambda: draw(table), paths)


def _hdf5_image(table: "SweepTable", command_line: str) -> bytes:
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBRARY_VERSIONS) as file:
        write_format(file, FORMAT_NAME, FORMAT_VERSION)
        write_texts(file.attrs, {"experiment": table.experiment, "label": table.label, "conditions": "\n".join(table.conditions)})
        write_text(file.attrs, "parameters", "\n".join(table.names))
        write_texts(file.create_group("provenance").attrs, provenance("", command_line))
        group = file.create_group(TABLE)
        for name in _columns():
            values = [getattr(row, name) for row in table.rows]
            if name == "after":
                group.create_dataset(name, data=np.char.encode(values, "utf-8"))
            else:
                group.create_dataset(name, data=np.array(values, np.float64 if name == "performance" else np.int64))
        for k, name in enumerate(table.names):
            values = np.array([row.values[k] for row in table.rows])
            group.create_dataset(name, data=values.astype(np.uint8) if values.dtype == bool else values)
    return image.getvalue()


def _columns() -> list[str]:
    from foraging_snn.analysis.sweep_table import SweepRow

    return [field.name for field in fields(SweepRow) if field.name != "values"]


def table_file(path: Path) -> Path | None:
    """The file with the table of a sweep: this one, or that in this folder if no trial lies beside it; None if it is no sweep."""
    if path.is_dir():
        trials = [file for file in path.glob("*.h5") if format_of(file) == TRIAL_FORMAT]
        path = path / HDF5_NAME
        if trials:
            return None
    return path if format_of(path) == FORMAT_NAME else None


def read_table(path: str | Path) -> "SweepTable":
    """Read back the table of a sweep from its HDF5 file; true and false come as 1 and 0.

    Raises
    ------
    SweepError
        No such file, not one of a sweep, or damaged.
    """
    from foraging_snn.analysis.sweep_table import SweepRow, SweepTable

    path = Path(path)
    with open_for_reading(path, FORMAT_NAME, FORMAT_VERSION, SweepError) as file, damage_reported(path, SweepError):
        names = tuple(read_text(file.attrs, "parameters").split("\n"))
        table = group_in(file, TABLE)
        columns: dict[str, np.ndarray] = {name: dataset_in(table, name)[:] for name in (*_columns(), *names)}
        columns["after"] = np.char.decode(columns["after"], "utf-8")
        if len({column.shape for column in columns.values()}) != 1 or columns["after"].ndim != 1:
            raise ValueError("its columns differ in length")
        listed = {name: column.tolist() for name, column in columns.items()}
        rows = tuple(
            SweepRow(tuple(listed[name][k] for name in names), **{name: listed[name][k] for name in _columns()})
            for k in range(len(columns["after"]))
        )
        texts = [read_text(file.attrs, name) for name in ("experiment", "label", "conditions")]
    return SweepTable(texts[0], texts[1], names, rows, tuple(texts[2].split("\n")))

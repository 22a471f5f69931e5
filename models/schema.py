"""What a field of a state or a record is, said once where the field is declared: type, axes, unit, meaning, bounds.

Docstrings, checks, copies, the layout of files, their size and their description, and the views of Numba and C++ derive from it. No
field of the model is declared here.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from inspect import cleandoc
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from foraging_snn.models.parameters import N_OUTPUT, Parameters

T = TypeVar("T")
SCHEMA = "schema"  # key in the metadata of a dataclass field


@dataclass(frozen=True)
class Axis:
    """An axis of arrays: what is numbered along it, and how many there are; None if that is not given by the parameters.

    Along an axis that `grows`, what was made earlier has fewer.
    """

    meaning: str
    size: Callable[[Parameters], int] | None = None
    grows: bool = False


AXES: dict[str, Axis] = {
    "cell": Axis("cells: input, hidden, output, in this order", lambda p: p.n_cells),
    "input": Axis("input cells, by row of the field of view", lambda p: p.n_input),
    "hidden": Axis("hidden cells", lambda p: p.n_hidden),
    "output": Axis("output cells, by direction of movement", lambda p: N_OUTPUT),
    "synapse": Axis(
        "input-to-hidden synapses, by input cell, then hidden cell", lambda p: p.n_hidden * p.network.inputs_per_hidden_cell
    ),
    "hidden_output_synapse": Axis("hidden-to-output synapses, h * 8 + o", lambda p: p.n_hidden * N_OUTPUT),
    "task": Axis("tasks, in the order of their table", lambda p: len(p.tasks), grows=True),
    "type": Axis("types of particle, in the order of their table", lambda p: len(p.particles), grows=True),
    "grid_y": Axis("rows of the world, upwards", lambda p: p.world.size),
    "grid_x": Axis("columns of the world", lambda p: p.world.size),
    "pattern": Axis("hidden patterns kept of a task; the n-th of them, from 0, is at n modulo their number"),
    "memory_row": Axis("what rules between epochs remember"),
    "recent_spike": Axis("spikes since the last boundary and within the pair window before it, by step, then cell"),
    "hidden_output_trace": Axis("live traces hidden to output, in the order they were made"),
    "input_hidden_trace": Axis("live traces input to hidden, in the order they were made"),
    "aeon_row": Axis("aeons, in the order of time"),
    "window": Axis("windows of aeons"),
    "snapshot": Axis("snapshots, in the order of time"),
    "input_snapshot": Axis("snapshots of the unsupervised phase, or one in all if there is none"),
    "epoch_row": Axis("epochs recorded, ascending"),
    "spike": Axis("spikes recorded, by step, then cell"),
    "test": Axis("tests during phases, in the order of time, then of the tasks"),
}


def axis_sizes(parameters: Parameters) -> dict[str, int]:
    """Lengths of the axes of :data:`AXES` that the parameters give."""
    return {name: axis.size(parameters) for name, axis in AXES.items() if axis.size}


@dataclass(frozen=True)
class Field:
    """What is known of a field.

    Attributes
    ----------
    kind : type
        NumPy type of an array; int or bool for a single number.
    axes : tuple of str
        Names in :data:`AXES`.
    unit, meaning : str
        "1" if it has no unit; a phrase without a full stop.
    low, above, high : int or str, optional
        Every value is >= low, > above, <= high. Names are of numbers that the check is given.
    index_of : str, optional
        It holds numbers of what lies along this axis.
    ascending : bool
        No value is smaller than the one before it.
    optional : bool
        Not in files, and not in digests, where it holds nothing: an empty array, or zero in all of an array whose shape is given.
        What was made before there was such a field goes on.
    note : str
        What else is to be said, in documentation only; `meaning` is also in files.
    """

    kind: type
    axes: tuple[str, ...]
    unit: str
    meaning: str
    low: int | str | None = None
    above: int | None = None
    high: int | str | None = None
    index_of: str | None = None
    ascending: bool = False
    optional: bool = False
    note: str = ""

    @property
    def is_array(self) -> bool:
        """An array, not a single number of Python."""
        return self.kind not in (int, bool)

    def over(self, rows: str, **changes: Any) -> "Field":
        """Many of these, with an axis of rows before their own."""
        return replace(self, axes=(rows, *self.axes), **changes)

    @property
    def explanation(self) -> str:
        """Meaning and note."""
        return f"{self.meaning}; {self.note}" if self.note else self.meaning

    @property
    def is_free(self) -> bool:
        """How long it is, the parameters do not say."""
        return any(AXES[axis].size is None for axis in self.axes)

    @property
    def stored(self) -> np.dtype:
        """Its type in files: true and false as 1 and 0, single numbers as 64 bits."""
        if not self.is_array:
            return np.dtype(np.int64)
        return np.dtype(np.uint8 if self.kind is np.bool_ else self.kind)

    @property
    def type_name(self) -> str:
        """As in documentation: "(hidden, output) float64", "int"."""
        if not self.is_array:
            return self.kind.__name__
        return f"({', '.join(self.axes)}{',' if len(self.axes) == 1 else ''}) {np.dtype(self.kind).name}"

    def shape(self, sizes: Mapping[str, int], free: int = 0) -> tuple[int, ...]:
        """Its shape, with `free` for lengths that the parameters do not give."""
        return tuple(sizes.get(axis, free) for axis in self.axes)

    def n_bytes(self, sizes: Mapping[str, int], free: int = 0) -> int:
        """How much it holds."""
        return math.prod(self.shape(sizes, free)) * self.stored.itemsize

    def has_shape(self, shape: tuple[int, ...], sizes: Mapping[str, int]) -> bool:
        """Whether an array of this shape can be one of these."""
        return len(shape) == len(self.axes) and all(
            n == sizes.get(axis, n) or (AXES[axis].grows and 0 < n < sizes[axis]) for axis, n in zip(self.axes, shape, strict=True)
        )

    def is_left_out(self, value: Any) -> bool:
        """Whether files and digests go without this value."""
        return self.optional and (not np.size(value) or (not self.is_free and not np.any(value)))

    def nothing(self, sizes: Mapping[str, int]) -> Any:
        """The value that was left out, or zero."""
        return np.zeros(self.shape(sizes), self.kind) if self.is_array else self.kind()

    def shape_problem(self, name: str, shape: tuple[int, ...], sizes: Mapping[str, int]) -> str:
        """One line if an array cannot have this shape, "" if it can."""
        if self.has_shape(shape, sizes):
            return ""
        lengths = [str(sizes.get(axis, "n")) for axis in self.axes]
        return f"{name} has shape {shape}, not ({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"

    def problem(self, name: str, value: object, sizes: Mapping[str, int], limits: Mapping[str, int]) -> str:
        """One line on why this is not such a value, "" if it is."""
        if not self.is_array:
            if not isinstance(value, self.kind):
                return f"{name} is not a value of type {self.kind.__name__}"
        elif not isinstance(value, np.ndarray) or value.dtype != self.kind:
            return f"{name} is not an array of type {np.dtype(self.kind)}"
        elif wrong := self.shape_problem(name, value.shape, sizes):
            return wrong
        values = np.asarray(value)
        if not np.isfinite(values).all():
            return f"{name} is not finite everywhere"
        if wanted := self._out_of_bounds(values, {**sizes, **limits}):
            return f"{name} is not {wanted}"
        return f"{name} is not ascending" if self.ascending and (np.diff(values) < 0).any() else ""

    def _out_of_bounds(self, values: np.ndarray, numbers: Mapping[str, int]) -> str:
        """In which bounds the values are not, "" if they are within all."""
        low, high = ((numbers[bound] if isinstance(bound, str) else bound) for bound in (self.low, self.high))
        if self.index_of:
            low, high = 0, numbers[self.index_of] - 1
        if self.above is not None and not (values > self.above).all():
            return f"above {self.above} everywhere"
        too_low = low is not None and bool((values < low).any())
        too_high = high is not None and bool((values > high).any())
        if not too_low and not too_high:
            return ""
        if low is None or high is None:
            return f"{low} or more everywhere" if high is None else f"{high} or less everywhere"
        return f"within {low} ... {high}"


def array(kind: type, *axes: str, meaning: str, unit: str = "1", default_factory: Any = None, **bounds: Any) -> Any:
    """Declare an array in the body of a :func:`record`; see :class:`Field`."""
    return same(Field(kind, axes, unit, meaning, **bounds), default_factory=default_factory)


def number(kind: type, *, meaning: str, unit: str = "1", **bounds: Any) -> Any:
    """Declare a single number in the body of a :func:`record`."""
    return same(Field(kind, (), unit, meaning, **bounds))


def same(what: Field, *, default_factory: Any = None, **changes: Any) -> Any:
    """Declare a field that is known from elsewhere, with changes."""
    what = replace(what, **changes)
    if default_factory is not None:
        return field(default_factory=default_factory, metadata={SCHEMA: what})
    return field(metadata={SCHEMA: what})


@dataclass_transform(field_specifiers=(array, number, same))
def record(cls: type[T] | None = None, *, frozen: bool = False) -> Any:
    """Make a dataclass whose docstring lists the fields declared in it, and whose text shows shapes instead of arrays."""

    def decorate(cls: type[T]) -> type[T]:
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = _brief_record
        made = dataclass(frozen=frozen, repr=False)(cls)
        declared = schema_of(made)
        if declared:
            made.__doc__ = f"{cleandoc(cls.__doc__ or '')}\n\nAttributes\n----------\n{_attributes(declared)}"
        return made

    return decorate if cls is None else decorate(cls)


def _attributes(declared: Mapping[str, Field]) -> str:
    lines, axes = [], {}
    for name, what in declared.items():
        axes |= dict.fromkeys(what.axes)
        unit = "" if what.unit == "1" else f", {what.unit}"
        lines += [f"{name} : {what.type_name}{unit}", f"    {what.explanation[0].upper()}{what.explanation[1:]}."]
    if axes:
        lines += ["", "Axes", "----", *(f"{axis} : {AXES[axis].meaning}" for axis in axes)]
    return "\n".join(lines)


@cache
def schema_of(cls: type) -> dict[str, Field]:
    """The fields declared in a record, by name, in order."""
    return {each.name: each.metadata[SCHEMA] for each in fields(cls) if SCHEMA in each.metadata}  # type: ignore[arg-type]


def problem(instance: object, sizes: Mapping[str, int], limits: Mapping[str, int]) -> str:
    """One line on the first field of a record that is not what it is declared to be, "" if all are.

    Parameters
    ----------
    instance : object
        Made by a :func:`record`.
    sizes : dict of str to int
        See :func:`axis_sizes`. Arrays along an axis that has no size there must have the same length.
    limits : dict of str to int
        What the names of bounds stand for.
    """
    first: dict[str, tuple[str, int]] = {}
    for name, what in schema_of(type(instance)).items():
        value = getattr(instance, name)
        if wrong := what.problem(name, value, sizes, limits):
            return wrong
        for axis, n in zip(what.axes, np.shape(value), strict=True):
            leader, length = first.setdefault(axis, (name, n))
            if n != length:
                return f"{leader} is not as long as {', '.join(_along(type(instance), axis, leader))}"
    return ""


def _along(cls: type, axis: str, leader: str) -> Iterable[str]:
    return (name for name, what in schema_of(cls).items() if axis in what.axes and name != leader)


def zeros(cls: type, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Zero for every field of a record; empty arrays where the sizes do not say how long."""
    return {name: what.nothing(sizes) for name, what in schema_of(cls).items()}


def brief(value: object) -> str:
    """A value in words: shape and type of an array, others as they are."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {brief(item)}' for key, item in value.items())}}}"
    return repr(value)


def _brief_record(self: Any) -> str:
    parts = ", ".join(f"{each.name}: {brief(getattr(self, each.name))}" for each in fields(self))
    return f"{type(self).__name__}({parts})"

"""The fields of an op by their types: in a record of a packed file, in its tensors, and as arguments of native code."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, astuple, dataclass, field, fields
from dataclasses import Field as DataclassField
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FileFormatError, LoweringError
from fewbit.formats import (
    Format,
    Granularity,
    PerGroup,
    PerRow,
    PerTensor,
    SparseTernary,
    format_from_name,
    packed_shape,
)
from fewbit.formats.kept_columns import COLUMNS
from fewbit.formats.kept_kernels import KERNELS
from fewbit.program.limits import MAX_FRAME_SIZE, MAX_GROUP_SCALE, MAX_INPUTS, MAX_PARTS, MAX_SHIFT
from fewbit.program.numerics import INT32, Integers, Points, Rescale
from fewbit.program.ops import KINDS, Grid, Matrix, Op, Parts

Tensors = dict[str, NDArray[Any]]
_PER: dict[str, Granularity] = {"tensor": PerTensor(), "row": PerRow()}


def own_fields(op: Op | type[Op]) -> Iterator[DataclassField[Any]]:
    """The fields that say what an op computes: all but its inputs."""
    return (each for each in fields(op) if each.name != "inputs")


def describe(op: Op, prefix: str, tensors: Tensors) -> dict[str, Any]:
    """The record of an op; its arrays go into `tensors`. A field that has its default is left out."""
    record: dict[str, Any] = {"kind": op.kind, "tensors": prefix}
    if op.inputs:
        record["inputs"] = list(op.inputs)
    for each in own_fields(op):
        value = getattr(op, each.name)
        key = f"{prefix}.{each.name}"
        if each.default is not MISSING and value == each.default:
            continue
        if isinstance(value, Matrix):
            tensors[key] = value.data
            record[each.name] = {
                "rows": value.rows,
                "columns": value.columns,
                "format": value.format.name,
                "layout": value.layout,
                "per": value.per.size if isinstance(value.per, PerGroup) else value.granularity,
            }
            if value.maps:
                record[each.name]["maps"] = value.maps
            if value.group_scale is not None:
                tensors[f"{key}.group_scale"] = value.group_scale.astype(np.uint16)
        elif isinstance(value, Rescale):
            tensors[f"{key}.multiplier"] = value.multiplier.astype(np.int32)
            record[each.name] = {"shift": value.shift, "low": value.low, "high": value.high}
        elif isinstance(value, Grid):
            record[each.name] = list(astuple(value))
        elif isinstance(value, tuple):
            record[each.name] = [describe(part, f"{key}.{i}", tensors) for i, part in enumerate(value)]
        elif isinstance(value, np.ndarray):
            tensors[key] = value.astype(np.int32) if value.dtype == np.int64 else value
        else:
            record[each.name] = value
    return record


class RecordReader:
    """One op of a description, the tensors of the file, and the names that no op has used yet."""

    def __init__(self, record: Any, tensors: Tensors, unused: set[str]) -> None:
        if not isinstance(record, dict) or not isinstance(record.get("tensors"), str):
            raise FileFormatError("the description of the op is not as it should be; the file is damaged")
        kind = record.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise FileFormatError(f"unknown op {shortened(kind)}; this fewbit knows {', '.join(KINDS)}")
        self.kind, self.record, self.tensors, self.unused = KINDS[kind], record, tensors, unused

    def op(self) -> Op:
        """The op, every field read by its type."""
        readers: dict[Any, Callable[[str], Any]] = {
            str: self.text,
            int: self.integer,
            Matrix: self.matrix,
            Rescale: self.rescale,
            Grid: self.grid,
            Integers: self.integers,
            Points: self.points,
            NDArray[np.float32]: self.floats,
            Parts: self.parts,
        }
        values = {
            each.name: readers[each.type](each.name)
            for each in own_fields(self.kind)
            if each.default is MISSING or each.name in self.record
        }
        return self.kind(**values, inputs=self.inputs())

    def inputs(self) -> tuple[str, ...]:
        names = self.record.get("inputs", [])
        if not isinstance(names, list) or len(names) > MAX_INPUTS or not all(isinstance(name, str) for name in names):
            raise FileFormatError(f"'inputs' is {shortened(names)}, wanted a list of names")
        return tuple(names)

    def text(self, name: str) -> str:
        value = self.record.get(name)
        if not isinstance(value, str) or not value.isprintable():
            raise FileFormatError(f"'{name}' is {shortened(value)}, wanted text")
        return value

    def integer(self, name: str, record: Any = None, low: int = INT32[0], high: int = INT32[1]) -> int:
        value = (self.record if record is None else record).get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise FileFormatError(f"'{name}' is {shortened(value)}, wanted an integer in {low}..{high}")
        return value

    def tensor(self, name: str, dtype: str) -> NDArray[Any]:
        key = f"{self.record['tensors']}.{name}"
        if key not in self.tensors:
            raise FileFormatError(f"the tensor {key!r} is missing")
        value = self.tensors[key]
        if value.dtype != np.dtype(dtype):
            raise FileFormatError(f"the tensor {key!r} holds {value.dtype}, wanted {dtype}")
        self.unused.discard(key)
        return value

    def integers(self, name: str) -> Integers:
        return self._vector(name, "int32").astype(np.int64)

    def points(self, name: str) -> Points:
        return self._vector(name, "int16")

    def floats(self, name: str) -> NDArray[np.float32]:
        value = self._vector(name, "float32")
        if not np.isfinite(value).all():
            raise FileFormatError(f"'{name}' holds NaN or infinity; the network was damaged before or after packing")
        return value

    def rescale(self, name: str) -> Rescale:
        record = self._object(name)
        low, high = self.integer("low", record), self.integer("high", record)
        if low > high:
            raise FileFormatError(f"'{name}' clamps to {low}..{high}, an empty range")
        multiplier = self._vector(f"{name}.multiplier", "int32").astype(np.int64)
        return Rescale(multiplier, self.integer("shift", record, 0, MAX_SHIFT), low, high)

    def grid(self, name: str) -> Grid:
        numbers = self.record.get(name)
        wanted = len(fields(Grid))
        plain = isinstance(numbers, list) and len(numbers) == wanted and all(type(each) is int for each in numbers)
        if not plain or not all(0 <= each <= MAX_FRAME_SIZE for each in numbers):  # type: ignore[union-attr]
            raise FileFormatError(f"'{name}' is {shortened(numbers)}, wanted {wanted} sizes")
        return Grid(*numbers)  # type: ignore[misc]

    def matrix(self, name: str) -> Matrix:
        record = self._object(name)
        rows, columns = (self.integer(side, record, 1, MAX_FRAME_SIZE) for side in ("rows", "columns"))
        names = record.get("format"), record.get("layout")
        if not all(isinstance(part, str) for part in names):
            seen = " and layout ".join(shortened(part) for part in names)
            raise FileFormatError(f"'{name}' has format {seen}, wanted two names")
        format, layout = format_from_name(str(names[0])), str(names[1])
        data = self.tensor(name, "uint8")
        if layout in (KERNELS, COLUMNS):
            return self._kept(name, record, format, data)
        wanted = packed_shape(rows, columns, format, layout)
        if data.shape != wanted:
            raise FileFormatError(
                f"'{name}' claims {rows} x {columns} {format} codes, which take {wanted} bytes, but has {data.shape}"
            )
        per, group_scale = _PER.get(str(record.get("per"))), None
        if per is None:
            size = self.integer("per", record, 1, MAX_FRAME_SIZE)
            per = PerGroup(size)
            if isinstance(format, SparseTernary):
                raise FileFormatError(f"'{name}' is {format} with a scale per group, which sparse codes do not have")
            group_scale = self.tensor(f"{name}.group_scale", "uint16").astype(np.int64)
            groups = (rows, -(-columns // size))
            if group_scale.shape != groups or not 1 <= group_scale.min() <= group_scale.max() <= MAX_GROUP_SCALE:
                raise FileFormatError(f"'{name}.group_scale' is not {groups} integers in 1..{MAX_GROUP_SCALE}")
        matrix = Matrix(rows, columns, format, layout, per, data, group_scale)
        matrix.codes()  # refuses bytes that no packing writes
        return matrix

    def _kept(self, name: str, record: dict[str, Any], format: Format, data: NDArray[np.uint8]) -> Matrix:
        """A matrix without its kernels or columns of zeros; its bytes say themselves how many codes they hold."""
        rows, columns = (self.integer(side, record, 1, MAX_FRAME_SIZE) for side in ("rows", "columns"))
        layout = str(record["layout"])
        maps = self.integer("maps", record, 1, MAX_FRAME_SIZE) if layout == KERNELS else 0
        per = _PER.get(str(record.get("per")))
        if per is None:
            raise FileFormatError(f"'{name}' has a scale per group, which the layout {layout} does not have")
        matrix = Matrix(rows, columns, format, layout, per, data, maps=maps)
        matrix.codes()  # refuses bytes that no packing writes
        return matrix

    def parts(self, name: str) -> Parts:
        records = self.record.get(name)
        if not isinstance(records, list) or not 1 <= len(records) <= MAX_PARTS:
            raise FileFormatError(f"'{name}' is {shortened(records)}, wanted 1 to {MAX_PARTS} ops")
        readers = [RecordReader(record, self.tensors, self.unused) for record in records]
        for reader in readers:
            if Parts in [each.type for each in own_fields(reader.kind)]:
                raise FileFormatError(f"'{name}' holds an op that cannot be a part; the file is damaged")
        return tuple(reader.op() for reader in readers)

    def _object(self, name: str) -> dict[str, Any]:
        value = self.record.get(name)
        if not isinstance(value, dict):
            raise FileFormatError(f"'{name}' is {shortened(value)}, wanted an object")
        return value

    def _vector(self, name: str, dtype: str) -> NDArray[Any]:
        value = self.tensor(name, dtype)
        if value.ndim != 1 or value.size == 0:
            raise FileFormatError(f"'{name}' has shape {value.shape}, wanted a vector")
        return value


@dataclass
class Arguments:
    """The fields of an op as native code takes them, in the order of their declaration.

    numbers: integers, the ends and shifts of rescales, the sizes of grids. vectors: arrays of 32 bits (of floats: their
    bits), the multipliers of rescales among them. matrices, parts: as they are.
    """

    numbers: list[int] = field(default_factory=list)
    vectors: list[NDArray[np.int32]] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    parts: list[Parts] = field(default_factory=list)


def flatten(op: Op) -> Arguments:
    """The arguments of an op for native code.

    Raises:
        LoweringError: a number does not fit into 32 bits.
    """
    found = Arguments()
    for each in own_fields(op):
        value = getattr(op, each.name)
        if isinstance(value, Matrix):
            found.matrices.append(value)
        elif isinstance(value, Rescale):
            found.vectors.append(_to_int32(op, value.multiplier))
            found.numbers += [value.shift, value.low, value.high]
        elif isinstance(value, Grid):
            found.numbers += astuple(value)
        elif isinstance(value, tuple):
            found.parts.append(value)
        elif isinstance(value, np.ndarray):
            floats = value.dtype == np.float32
            found.vectors.append(np.ascontiguousarray(value).view(np.int32) if floats else _to_int32(op, value))
        elif isinstance(value, int):
            found.numbers.append(value)
    return found


def _to_int32(op: Op, vector: Any) -> NDArray[np.int32]:
    wide = np.ascontiguousarray(vector, np.int64)
    if wide.size and not INT32[0] <= wide.min() <= wide.max() <= INT32[1]:
        raise LoweringError(f"{op.name} holds integers beyond 32 bits")
    return np.ascontiguousarray(wide, np.int32)

"""Reading one op of a packed file, with every check that its executor relies on."""

from collections.abc import Callable
from dataclasses import fields
from reprlib import repr as shortened
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FileFormatError
from fewbit.formats import Granularity, PerGroup, PerRow, PerTensor, format_from_name, row_bytes
from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, MAX_SHIFT, Integers, Rescale
from fewbit.program.write import KINDS

MAX_SIDE = 1 << 24
MAX_PARTS = 64
_PER: dict[str, Granularity] = {"tensor": PerTensor(), "row": PerRow()}


class OpReader:
    """One op of the description, the tensors of the file, and the names that no op has used yet."""

    def __init__(self, record: Any, tensors: dict[str, NDArray[Any]], unused: set[str]) -> None:
        if not isinstance(record, dict) or not isinstance(record.get("tensors"), str):
            raise FileFormatError("the description of the op is not as it should be; the file is damaged")
        kind = record.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise FileFormatError(f"unknown op {shortened(kind)}; this fewbit knows {', '.join(KINDS)}")
        self.kind, self.record, self.tensors, self.unused = KINDS[kind], record, tensors, unused

    def op(self) -> Any:
        """The op, every field read by its type."""
        readers: dict[Any, Callable[[str], Any]] = {
            str: self.text,
            int: self.integer,
            ops.Matrix: self.matrix,
            Rescale: self.rescale,
            Integers: self.integers,
            NDArray[np.float32]: self.floats,
            ops.Parts: self.parts,
        }
        op = self.kind(**{field.name: readers[field.type](field.name) for field in fields(self.kind)})
        _check(op)
        _check_ranges(op)
        return op

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

    def integers(self, name: str) -> NDArray[np.int64]:
        return self._vector(name, "int32").astype(np.int64)

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

    def matrix(self, name: str) -> ops.Matrix:
        record = self._object(name)
        rows, columns = (self.integer(side, record, 1, MAX_SIDE) for side in ("rows", "columns"))
        names = record.get("format"), record.get("layout")
        if not all(isinstance(part, str) for part in names):
            seen = " and layout ".join(shortened(part) for part in names)
            raise FileFormatError(f"'{name}' has format {seen}, wanted two names")
        format, layout = format_from_name(str(names[0])), str(names[1])
        data = self.tensor(name, "uint8")
        wanted = (rows, row_bytes(columns, format, layout))
        if data.shape != wanted:
            raise FileFormatError(
                f"'{name}' claims {rows} x {columns} {format} codes, which take {wanted} bytes, but has {data.shape}"
            )
        per, group_scale = _PER.get(str(record.get("per"))), None
        if per is None:
            size = self.integer("per", record, 1, MAX_SIDE)
            per = PerGroup(size)
            group_scale = self.tensor(f"{name}.group_scale", "uint16").astype(np.int64)
            groups = (rows, -(-columns // size))
            if group_scale.shape != groups or not 1 <= group_scale.min() <= group_scale.max() <= 1 << ops.GROUP_SHIFT:
                raise FileFormatError(f"'{name}.group_scale' is not {groups} integers in 1..{1 << ops.GROUP_SHIFT}")
        matrix = ops.Matrix(rows, columns, format, layout, per, data, group_scale)
        matrix.codes()  # refuses bytes that no packing writes
        return matrix

    def parts(self, name: str) -> ops.Parts:
        records = self.record.get(name)
        if not isinstance(records, list) or not 1 <= len(records) <= MAX_PARTS:
            raise FileFormatError(f"'{name}' is {shortened(records)}, wanted 1 to {MAX_PARTS} ops")
        readers = [OpReader(record, self.tensors, self.unused) for record in records]
        for reader in readers:
            _demand(issubclass(reader.kind, get_args(ops.Part)), f"'{name}' holds an op that cannot be a part")
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


def _check(op: ops.Op) -> None:
    """Sizes inside an op that must agree."""
    match op:
        case ops.Quantize():
            _demand(len(op.gain) == len(op.offset), "'gain' and 'offset' differ in length")
            _demand(INT16[0] <= op.low <= op.high <= INT16[1], "the codes of 'quantize' leave 16 bits")
        case ops.Hierarchy():
            _check_hierarchy(op)
        case ops.Requantize():
            _demand(op.width >= 1, "'width' must be at least 1")
            _demand(len(op.rescale.multiplier) in (1, op.width), "'rescale' has a wrong number of multipliers")
        case _:
            rows = op.weight.rows
            _demand(len(op.bias) == rows, f"'bias' has {len(op.bias)} entries for {rows} rows")
            _demand(len(op.rescale.multiplier) in (1, rows), "'rescale' has a wrong number of multipliers")
    if isinstance(op, ops.Conv | ops.QRNN):
        _demand(op.kernel >= 1, "'kernel' must be at least 1")
        _demand(op.weight.columns % op.kernel == 0, "the columns of 'weight' are no multiple of 'kernel'")
    if isinstance(op, ops.Conv):
        _demand(1 <= op.stride <= op.kernel, "'stride' must lie in 1..kernel")
    if isinstance(op, ops.SRU):
        blocks = (3, 4) if op.weight.columns == op.hidden else (4,)
        _demand(op.hidden >= 1 and op.weight.rows in [b * op.hidden for b in blocks], "'weight' does not fit 'hidden'")
        _demand(0 <= op.shift <= MAX_SHIFT and op.low <= op.high, "'shift', 'low' or 'high' is out of range")
    if isinstance(op, ops.QRNN):
        _demand(op.hidden >= 1 and op.weight.rows == 3 * op.hidden, "'weight' does not fit 'hidden'")
    if isinstance(op, ops.LSTM | ops.GRU):
        rows = (4 if isinstance(op, ops.LSTM) else 3) * op.hidden
        back = op.weight_hidden
        fits = op.hidden >= 1 and op.weight.rows == back.rows == rows and back.columns == op.hidden
        _demand(fits, "'weight' or 'weight_hidden' does not fit 'hidden'")
        _demand(len(op.rescale_hidden.multiplier) in (1, rows), "'rescale_hidden' has a wrong number of multipliers")
    if isinstance(op, ops.GRU):
        _demand(len(op.bias_hidden) == op.hidden, "'bias_hidden' does not fit 'hidden'")
    if isinstance(op, ops.QRNN | ops.LSTM | ops.GRU):
        _demand(len(op.output.multiplier) in (1, op.hidden), "'output' has a wrong number of multipliers")


def _check_hierarchy(op: ops.Hierarchy) -> None:
    inputs, letters, words = ops.widths(op)[0], ops.widths(op.letters[-1])[1], ops.widths(op.words[-1])[1]
    wanted = inputs, letters + inputs, (inputs if op.direct else letters) + words
    for chain, width in zip(op.chains, wanted, strict=True):
        for part in chain:
            _demand(ops.widths(part)[0] == width, f"{part.name} wants {ops.widths(part)[0]} numbers, not {width}")
            width = ops.widths(part)[1]
            low, high = ops.result_range(part)
            _demand(INT16[0] <= low <= high <= INT16[1], f"the results of {part.name} leave 16 bits")
    _demand(bool((op.boundaries >= 0).all() and (op.boundaries < inputs).all()), "'boundaries' are no columns")
    _demand(op.direct in (0, 1), "'direct' is neither 0 nor 1")


def _check_ranges(op: ops.Op) -> None:
    """Gates and states have 16 bits, so that sums of products stay exact; scores, which end a Program, have 32."""
    for name in ("rescale", "rescale_hidden", "output"):
        rescale = getattr(op, name, None)
        if isinstance(rescale, Rescale) and not (name == "rescale" and isinstance(op, ops.Dense | ops.Conv)):
            # The result of a QRNN may be the scores of the network; LSTM and GRU feed theirs back.
            low, high = INT32 if name == "output" and isinstance(op, ops.QRNN) else INT16
            _demand(low <= rescale.low and rescale.high <= high, f"'{name}' leaves 16 bits")


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise FileFormatError(f"{fault}; the file is damaged")

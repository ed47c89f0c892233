"""Reading the packed file ``*.fewbit``: one valid safetensors file with one metadata key.

The key ``fewbit`` holds sorted JSON: version, ops, features, alphabet, recipe. Tensors are named ``<op>.<part>``:
packed weights as bytes, biases and multipliers as integers, the two vectors of the first op as float32. Readers refuse
what they cannot read, with one sentence for each fault, and read every older version. See
`docs/internals/file-format.md`.
"""

import json
import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fewbit.errors import FileFormatError, FormatError, LoweringError
from fewbit.formats import Granularity, PerGroup, PerRow, PerTensor, format_from_name, row_bytes
from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, MAX_SHIFT, Integers, Rescale
from fewbit.program.program import Program
from fewbit.program.write import KEY, KINDS, VERSION

MAX_SIDE = 1 << 24
MAX_DEPTH = 64
_PER: dict[str, Granularity] = {"tensor": PerTensor(), "row": PerRow()}


def load(path: str | Path) -> Program:
    """Read a packed file.

    Raises:
        FileFormatError: the file is missing, damaged, or written by a newer version.
    """
    try:
        return _load(path)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _load(path: str | Path) -> Program:
    if not Path(path).is_file():
        raise FileFormatError("there is no such file")
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise FileFormatError(
                    "a safetensors file, but not a packed network (no 'fewbit' in its metadata); make one with "
                    "fewbit pack"
                )
            meta = _parse(metadata[KEY])
            tensors = {name: _tensor(file, name) for name in file.keys()}
    except SafetensorError as error:
        raise FileFormatError(_container_fault(str(error))) from error
    except OSError as error:
        raise FileFormatError(f"the file cannot be opened: {error}") from error
    return _build(meta, tensors)


def _parse(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise FileFormatError(f"the description holds {constant}, which is no number")

    try:
        meta = json.loads(text, parse_constant=refuse)
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError, or an integer of thousands of digits
        raise FileFormatError(f"the description is not JSON ({error}); the file is damaged") from error
    _check_plain(meta)
    if not isinstance(meta, dict):
        raise FileFormatError("the description is not a JSON object; the file is damaged")
    version = meta.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"the version {shortened(version)} is no positive integer; the file is damaged")
    if version > VERSION:
        raise FileFormatError(
            f"the file is of version {version}, this fewbit reads up to {VERSION}; update fewbit or pack it again"
        )
    return meta


def _check_plain(value: Any, depth: int = 0) -> None:
    """Refuse what JSON can say and no writer writes: deep nests, numbers beyond float64, halves of characters."""
    if depth > MAX_DEPTH:
        raise FileFormatError(f"the description is nested deeper than {MAX_DEPTH}; the file is damaged")
    match value:
        case dict():
            for key, part in value.items():
                _check_plain(key, depth + 1)
                _check_plain(part, depth + 1)
        case list():
            for part in value:
                _check_plain(part, depth + 1)
        case float() if not math.isfinite(value):
            raise FileFormatError("the description holds a number that is too large; the file is damaged")
        case str() if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise FileFormatError("the description holds half a character; the file is damaged")


def _tensor(file: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(file.get_tensor(name))
    except (TypeError, AttributeError) as error:  # bfloat16, float8 and others that NumPy lacks
        raise FileFormatError(f"the tensor {name!r} holds numbers that no packed network has ({error})") from error


_CONTAINER_FAULTS = (  # in the words of safetensors from 0.6 on, in those before, and in ours
    ("header too small", "HeaderTooSmall", "the file is shorter than 8 bytes; it is empty or was cut off"),
    ("header too large", "HeaderTooLarge", "the header claims to be larger than 100 MB; this is not a packed network"),
    (
        "invalid header length",
        "InvalidHeaderLength",
        "the header claims more bytes than the file has; it was cut off or is no packed network",
    ),
    ("invalid start", "InvalidHeaderStart", "the header does not start with '{'; this is not a packed network"),
    (
        "invalid JSON in header",
        "InvalidHeaderDeserialization",
        "the header is not JSON of a safetensors file; it is damaged or something else",
    ),
    ("invalid UTF-8", "InvalidHeader", "the header is not text; the file is damaged or is no packed network"),
    (
        "incomplete metadata",
        "MetadataIncompleteBuffer",
        "the tensors do not fill the file exactly; it was cut off or something was added",
    ),
    ("invalid shape", "TensorInvalidInfo", "a tensor's shape does not fit its bytes; the file is damaged"),
    ("invalid offset", "InvalidOffset", "the tensors overlap or leave holes; the file is damaged"),
    ("overflow computing", "ValidationOverflow", "a tensor's shape is too large to be true; the file is damaged"),
)


def _container_fault(message: str) -> str:
    for words, name, fault in _CONTAINER_FAULTS:
        if words in message or name in message:
            return fault
    return f"not a valid safetensors file ({message})"


def _build(meta: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Program:
    described = meta.get("ops")
    if not isinstance(described, list) or not described:
        raise FileFormatError("the description lists no ops; the file is damaged")
    unused = set(tensors)
    built = []
    for i, record in enumerate(described):
        try:
            built.append(_OpReader(record, tensors, unused).op())
        except (FileFormatError, FormatError) as error:
            kind = record.get("kind") if isinstance(record, dict) else None
            known = f" ({kind})" if isinstance(kind, str) and kind in KINDS else ""
            raise FileFormatError(f"op {i}{known}: {error}") from error
    if unused:
        raise FileFormatError(f"tensors that no op uses: {sorted(unused)[:5]}; the file is damaged")
    for part in ("features", "alphabet", "recipe"):
        if not isinstance(meta.get(part), dict | None):
            raise FileFormatError(f"'{part}' is not an object; the file is damaged")
    if not isinstance(built[0], ops.Quantize) or any(isinstance(op, ops.Quantize) for op in built[1:]):
        raise FileFormatError("the first op, and no other, must be 'quantize'; the file is damaged")
    try:
        return Program(tuple(built), meta.get("features"), meta.get("alphabet"), meta.get("recipe") or {})
    except LoweringError as error:
        raise FileFormatError(f"the ops do not fit together: {error}; the file is damaged") from error


class _OpReader:
    """Reads one op and checks all that its executor relies on."""

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
        }
        op = self.kind(**{field.name: readers[field.type](field.name) for field in fields(self.kind)})
        _check(op)
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


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise FileFormatError(f"{fault}; the file is damaged")

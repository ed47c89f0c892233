"""The base class of all operations of a Program, and the types that they share.

An op is one frozen dataclass: its fields are what a packed file stores, its docstring says what it computes, its
methods say what it accepts (`value`), how it runs (`start`, `run`) and what it costs (`macs`). The executors, the file,
`fewbit show` and the native library work from the fields alone; a new op is one class here and one in ``csrc``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import LoweringError
from fewbit.formats import (
    Format,
    Granularity,
    PerGroup,
    PerRow,
    PerTensor,
    SparseTernary,
    unpack,
    unpack_columns,
    unpack_kernels,
)
from fewbit.formats.kept_codes import count_kept, pattern_bytes
from fewbit.formats.kept_columns import COLUMNS
from fewbit.program.limits import MAX_BIAS_BITS, MAX_FRAME_SIZE, MAX_MULTIPLIER, MAX_SHIFT
from fewbit.program.numerics import INT16, Integers, Rescale, shift_round

GROUP_SHIFT = 14
EXACT = 1 << 53
"""Float64 holds every integer below it."""


@dataclass(frozen=True)
class Value:
    """What an op, `name`, gives: `size` integers a frame, in low..high.

    Examples:
        >>> from fewbit.program import ops
        >>> scores = ops.Value(10, -40_000, 40_000, "scores")
        >>> scores.largest, scores.fits_int16
        (40000, False)
    """

    size: int
    low: int
    high: int
    name: str = ""

    @property
    def fits_int16(self) -> bool:
        """Whether it fits 16 bits. All values do, except the scores that leave a Program."""
        return INT16[0] <= self.low and self.high <= INT16[1]

    @property
    def largest(self) -> int:
        """Largest magnitude."""
        return max(-self.low, self.high)


def union(values: Sequence[Value]) -> tuple[int, int]:
    """Smallest and largest integer of several values."""
    return min(value.low for value in values), max(value.high for value in values)


@dataclass(frozen=True)
class Window:
    """How an op with a window steps through time: `reach` frames every `stride`, `left` and `right` frames of padding.

    Output ``j`` reads the frames ``j * stride - left .. j * stride - left + reach - 1``. Frames before the stream are
    padding; `right` of them come after its last frame.

    Examples:
        >>> from fewbit.program import ops
        >>> ops.Window(reach=3, left=2).keeps_count, ops.Window(reach=3, left=1, right=1).keeps_count
        (True, False)
    """

    reach: int = 1
    stride: int = 1
    left: int = 0
    right: int = 0

    @property
    def keeps_count(self) -> bool:
        """Whether each input frame gives one output frame at once."""
        return self.stride == 1 and self.left == self.reach - 1 and self.right == 0

    def check(self) -> None:
        """Raise `LoweringError` unless the window can run as a stream."""
        demand(1 <= self.reach <= MAX_FRAME_SIZE, "the kernel of an op reaches over 1 to 2**24 frames")
        demand(1 <= self.stride <= MAX_FRAME_SIZE, "'stride' must be at least 1")
        demand(0 <= self.left < self.reach, "'left' must lie in 0..reach - 1")
        demand(0 <= self.right < self.reach, "'right' must lie in 0..reach - 1")


EVERY_FRAME = Window()


@dataclass(frozen=True, eq=False)
class Matrix:
    """Packed weights ``(rows, columns)``.

    data: bytes in the shape of `fewbit.formats.packed_shape`. group_scale: for weights with a scale per group, integers
    ``(rows, groups)`` in 1..2**14 relative to the row's largest; then
    ``W x`` is ``round(sum_g group_scale_g * (W x)_g / 2**14)``. maps: input maps that a row of a convolution reads,
    where only kernels that are not zero are stored (`fewbit.formats.pack_kernels`, layout ``kernels``); 0 otherwise.
    In the layout ``columns`` only columns that are not zero are stored (`fewbit.formats.pack_columns`).

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.formats import PerRow, Ternary, pack
        >>> codes = np.array([[1, 0, -1], [0, 1, 1]])
        >>> matrix = ops.Matrix(2, 3, Ternary(), "trits", PerRow(), pack(codes, Ternary()))
        >>> matrix.data.nbytes, matrix.codes().tolist()
        (2, [[1, 0, -1], [0, 1, 1]])
    """

    rows: int
    columns: int
    format: Format
    layout: str
    per: Granularity
    data: NDArray[np.uint8]
    group_scale: Integers | None = None
    maps: int = 0

    def codes(self) -> NDArray[np.int16]:
        """Unpacked codes ``(rows, columns)``, of 16 bits because a large network has many: widen before computing."""
        if self.maps:
            return unpack_kernels(self.data, self.rows, self.columns, self.maps, self.format)
        if self.layout == COLUMNS:
            return unpack_columns(self.data, self.rows, self.columns, self.format)
        return unpack(self.data, self.columns, self.format, self.layout, self.rows)

    @property
    def kernels(self) -> int:
        """Kernels of the convolution, where only those that are not zero are stored; else 0."""
        return self.rows * self.maps

    @property
    def kept_kernels(self) -> int:
        """Kernels that are stored, of `kernels`."""
        return count_kept(self.data, self.kernels) if self.maps else 0

    @property
    def kept_columns(self) -> int:
        """Columns that are stored: all, but for the layout ``columns``."""
        return count_kept(self.data, self.columns) if self.layout == COLUMNS else self.columns

    @property
    def pattern_bytes(self) -> int:
        """Bytes of `data` that say which kernels or columns are stored."""
        return pattern_bytes(self.columns if self.layout == COLUMNS else self.kernels)

    @property
    def stored(self) -> int:
        """Codes that are stored: all, or those of kept kernels or columns."""
        return self.kept_kernels * (self.columns // self.maps) if self.maps else self.rows * self.kept_columns

    @property
    def is_new(self) -> bool:
        """Whether it needs version 2 of the file."""
        return isinstance(self.format, SparseTernary) or bool(self.maps) or self.layout == COLUMNS

    @cached_property
    def row_sums(self) -> Integers:
        """For each row the largest magnitude of its products with inputs of magnitude 1, before any shift."""
        codes = np.abs(self.codes())
        if self.group_scale is not None:
            assert isinstance(self.per, PerGroup)
            scaled = codes * np.repeat(self.group_scale, self.per.size, axis=1)[:, : self.columns].astype(np.int64)
            return np.asarray(scaled.sum(1))
        return np.asarray(codes.sum(1, dtype=np.int64))

    @property
    def granularity(self) -> str:
        """``tensor``, ``row`` or the size of a group, in words."""
        match self.per:
            case PerGroup(size=size):
                return f"group {size}"
            case PerRow():
                return "row"
            case PerTensor():
                return "tensor"
        return "token"


class MatrixProduct:
    """``W x`` for a packed matrix, unpacked once.

    Products and sums are made in float64, which holds every integer up to 2**53 exactly: the result is exact and does
    not depend on the order of the sum.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.formats import PerRow, Ternary, pack
        >>> codes = np.array([[1, 0, -1], [0, 1, 1]])
        >>> matrix = ops.Matrix(2, 3, Ternary(), "trits", PerRow(), pack(codes, Ternary()))
        >>> ops.MatrixProduct(matrix)(np.array([10, 20, 30])).tolist()
        [-20, 50]
    """

    def __init__(self, matrix: Matrix) -> None:
        codes = matrix.codes().astype(np.float64)
        if matrix.group_scale is not None:
            assert isinstance(matrix.per, PerGroup)
            codes *= np.repeat(matrix.group_scale, matrix.per.size, axis=1)[:, : matrix.columns]
        self._transposed = np.ascontiguousarray(codes.T)
        self._shift = GROUP_SHIFT if matrix.group_scale is not None else 0

    def __call__(self, x: Integers, group: int = 0, groups: int = 1) -> Integers:
        """``(..., columns)`` to ``(..., rows)``; of several groups of rows, the rows of one."""
        rows = self._transposed.shape[1] // groups
        part = self._transposed[:, group * rows : (group + 1) * rows]
        return shift_round((x.astype(np.float64) @ part).astype(np.int64), self._shift)


@dataclass(frozen=True)
class Step:
    """Arguments of `Op.run`: products with the op's matrices, and whether the stream ends after these frames.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Reverse("back")
        >>> op.run([np.array([[1], [2]])], op.start(), ops.Step(op.prepare(), last=True))[0].tolist()
        [[2], [1]]
    """

    products: Sequence[Any] = ()
    last: bool = False


@dataclass(frozen=True, eq=False)
class Op:
    """An operation. `inputs` names the ops that it reads; empty: the op before it (a source: features).

    Examples:
        >>> from fewbit.program import ops
        >>> op = ops.First("first", inputs=("features",))
        >>> op.kind, op.inputs, op.value([ops.Value(3, -127, 127)]).size
        ('first', ('features',), 3)
    """

    name: str
    inputs: tuple[str, ...] = field(default=(), kw_only=True)

    kind: ClassVar[str]
    source: ClassVar[bool] = False
    """Whether it reads the features of the Program, not other ops."""
    whole: ClassVar[bool] = False
    """Whether it needs all frames of an input at once, so that it cannot run as a stream."""

    def value(self, inputs: Sequence[Value]) -> Value:
        """What it gives for inputs of these values.

        Raises:
            LoweringError: its fields, or its inputs, do not fit together.
        """
        raise NotImplementedError

    @property
    def window(self) -> Window:
        """How it steps through time."""
        return EVERY_FRAME

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        """Its matrices, each with the value that it multiplies."""
        return []

    def macs(self) -> int:
        """Multiply-accumulates for each frame of its result, with the codes that are stored."""
        return sum(matrix.stored for matrix in self.matrices())

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        """The largest number of integers in its state."""
        return 0

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        """The largest number of integers that it gathers for each frame of its result."""
        return 0

    def matrices(self) -> list[Matrix]:
        """Its weights."""
        return [value for value in vars(self).values() if isinstance(value, Matrix)]

    def start(self) -> Any:
        """State at the start of a stream."""
        return ()

    def prepare(self) -> Sequence[Any]:
        """The `Step.products` for `run`: its matrices, unpacked once."""
        return [MatrixProduct(matrix) for matrix in self.matrices()]

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        """Output and new state for chunks ``(time, size)`` of its inputs."""
        raise NotImplementedError

    def is_new(self) -> bool:
        """Whether it needs version 2 of the file."""
        return bool(self.inputs) or any(m.is_new for m in self.matrices())


def demand(holds: bool, fault: str) -> None:
    """Raise `LoweringError` with the fault, unless it holds."""
    if not holds:
        raise LoweringError(fault)


def one_input(op: Op, inputs: Sequence[Value], size: int | None = None) -> Value:
    """The only input of an op, of a given size if there is one."""
    demand(len(inputs) == 1, f"{op.name} reads {len(inputs)} values, wanted one")
    (value,) = inputs
    if size is not None and value.size != size:
        raise LoweringError(f"{value.name} gives {value.size} numbers a frame, {op.name} wants {size}")
    return value


def check_multipliers(name: str, rescale: Rescale, outputs: int, fits_int16: bool = False) -> None:
    """Check that a `Rescale` has one multiplier or one for each output, and that gates fit 16 bits."""
    demand(len(rescale.multiplier) in (1, outputs), f"'{name}' has a wrong number of multipliers")
    demand(bool((np.abs(rescale.multiplier) <= MAX_MULTIPLIER).all()), f"'{name}' has a multiplier beyond 31 bits")
    demand(0 <= rescale.shift <= MAX_SHIFT, f"the shift of '{name}' is out of range")
    demand(rescale.low <= rescale.high, f"'{name}' clamps to {rescale.low}..{rescale.high}, an empty range")
    if fits_int16:
        demand(INT16[0] <= rescale.low and rescale.high <= INT16[1], f"'{name}' leaves 16 bits")


def check_sums(
    name: str, matrix: Matrix, x: Value, rescale: Rescale, bias: Integers | None = None, up: int = 0
) -> None:
    """Check that the sums of a product are exact in float64, and that their rescaling stays within 64 bits.

    up: bits by which the sums are shifted before the bias is added, `bias_bits` of the op.
    """
    demand(0 <= up <= MAX_BIAS_BITS, f"'bias_bits' is {up}, wanted 0 to {MAX_BIAS_BITS}")
    shift = 0 if matrix.group_scale is None else GROUP_SHIFT
    added = 0 if bias is None else int(np.abs(bias).max())
    factor, half = int(np.abs(rescale.multiplier).max()), 1 << MAX_SHIFT - 1
    # Most matrices are so small that their codes need not be looked at.
    rough = matrix.columns * int(np.abs(matrix.format.levels()).max()) * x.largest
    if rough << shift < EXACT and ((rough + 1 << up) + added) * factor + half < 1 << 63:
        return
    sums = [int(total) * x.largest for total in matrix.row_sums]
    demand(max(sums) < EXACT, f"sums of '{name}' could pass 53 bits")
    biases = [0] * matrix.rows if bias is None else bias.tolist()
    factors = np.broadcast_to(rescale.multiplier, matrix.rows).tolist()
    rows = zip(sums, biases, factors, strict=True)
    most = max((((total >> shift) + 1 << up) + abs(more)) * abs(multiplier) for total, more, multiplier in rows)
    demand(most + half < 1 << 63, f"the rescaled sums of '{name}' could pass 64 bits")


def check_range(low: int, high: int) -> None:
    """Ends of a range of codes."""
    demand(low <= high, f"the codes lie in {low}..{high}, an empty range")


def check_bias(bias: Integers, rows: int) -> None:
    """A bias for each row."""
    demand(len(bias) == rows, f"'bias' has {len(bias)} entries for {rows} rows")


def periodic(vector: Integers, size: int) -> Integers:
    """A vector repeated to `size` numbers: one for each channel of places that lie channels last."""
    return np.resize(vector, size) if len(vector) != size else vector

"""Ops that read the input of a Program: features, which are floats, and symbols, which are small integers.

Features and symbols of a frame lie side by side as float32; each source reads its part of it, from `first` on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError
from fewbit.program.limits import MAX_FRAME_SIZE
from fewbit.program.numerics import INT16, Integers, Rescale
from fewbit.program.ops.base import Matrix, Op, Step, Value, check_multipliers, demand


@dataclass(frozen=True, eq=False)
class Quantize(Op):
    """Features to codes: ``clamp(floor(x * gain + offset + 1/2), low, high)`` in float64. The only op with floats.

    `gain` and `offset` are repeated `repeat` times: one for each channel of so many places.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Quantize("x", np.array([10.0], np.float32), np.array([0.5], np.float32), -127, 127)
        >>> op.run([np.array([[0.25], [-0.5], [99.0]])], op.start(), ops.Step())[0].tolist()
        [[3], [-4], [127]]
    """

    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    low: int
    high: int
    repeat: int = 1
    first: int = 0

    kind: ClassVar[str] = "quantize"
    source: ClassVar[bool] = True

    @property
    def reads(self) -> int:
        """Features that it reads."""
        return len(self.gain) * self.repeat

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(len(self.gain) == len(self.offset), "'gain' and 'offset' differ in length")
        demand(INT16[0] <= self.low <= self.high <= INT16[1], "the codes of 'quantize' leave 16 bits")
        demand(self.repeat >= 1 and 0 <= self.first <= MAX_FRAME_SIZE, "'repeat' or 'first' is out of range")
        return Value(self.reads, self.low, self.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x = xs[0][:, self.first : self.first + self.reads]
        if not np.isfinite(x).all():
            raise DecodeError("the Program was given features that are NaN or infinite")
        gain, offset = (np.tile(part.astype(np.float64), self.repeat) for part in (self.gain, self.offset))
        limited = np.clip(np.floor(x.astype(np.float64) * gain + offset + 0.5), self.low, self.high)
        return limited.astype(np.int64), state

    def is_new(self) -> bool:
        return super().is_new() or self.repeat != 1 or self.first != 0


@dataclass(frozen=True, eq=False)
class Lookup(Op):
    """Symbols to rows of a table: ``rescale(table[symbol])``, with a multiplier for each symbol or one for all.

    A frame has `places` symbols, and the rows of all of them lie side by side.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> table = ops.Matrix(3, 2, Int(8), "bits", PerRow(), pack(np.array([[1, 2], [3, 4], [5, 6]]), Int(8)))
        >>> op = ops.Lookup("words", table, Rescale(np.array([10]), 0, -128, 127))
        >>> op.run([np.array([[2.0], [0.0]])], op.start(), ops.Step(op.prepare()))[0].tolist()
        [[50, 60], [10, 20]]
    """

    table: Matrix
    rescale: Rescale
    places: int = 1
    first: int = 0

    kind: ClassVar[str] = "lookup"
    source: ClassVar[bool] = True

    @property
    def reads(self) -> int:
        """Symbols that it reads."""
        return self.places

    def value(self, inputs: Sequence[Value]) -> Value:
        check_multipliers("rescale", self.rescale, self.table.rows, fits_int16=True)
        demand(self.table.group_scale is None, "the rows of 'table' have scales per group, which a table cannot have")
        demand(
            1 <= self.places <= MAX_FRAME_SIZE and 0 <= self.first <= MAX_FRAME_SIZE,
            "'places' or 'first' is out of range",
        )
        return Value(self.places * self.table.columns, self.rescale.low, self.rescale.high)

    def macs(self) -> int:
        return 0

    def prepare(self) -> Sequence[Any]:
        multiplier = np.broadcast_to(self.rescale.multiplier, self.table.rows)[:, None]
        each = Rescale(multiplier, self.rescale.shift, self.rescale.low, self.rescale.high)
        return [each(self.table.codes().astype(np.int64))]

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x = xs[0][:, self.first : self.first + self.places]
        rows = self.table.rows
        if not (np.isfinite(x).all() and (x == np.floor(x)).all() and (x >= 0).all() and (x < rows).all()):
            raise DecodeError(f"{self.name}: a symbol is no integer in 0..{rows - 1}")
        found = step.products[0][x.astype(np.int64)]
        return found.reshape(len(x), self.places * self.table.columns), state

    def is_new(self) -> bool:
        return True

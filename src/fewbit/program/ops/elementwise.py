"""Ops that treat each number of a frame by itself.

A vector that is shorter than a frame is repeated: with the channels of a place side by side, one entry for a channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_SHIFT
from fewbit.program.numerics import INT16, Integers, Points, Rescale, interpolate, saturate, shift_round
from fewbit.program.ops.base import Op, Step, Value, check_multipliers, check_range, demand, one_input, periodic

BIAS_BITS = 8
"""Fractional bits of a bias that is added to codes."""


@dataclass(frozen=True, eq=False)
class Requantize(Op):
    """Codes to codes of another scale: ``rescale(x)``.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Requantize("half", 2, Rescale(np.array([1]), 1, -128, 127))
        >>> op.run([np.array([[3, -300]])], op.start(), ops.Step())[0].tolist()
        [[2, -128]]
    """

    width: int
    rescale: Rescale

    kind: ClassVar[str] = "requantize"

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(self.width >= 1, "'width' must be at least 1")
        check_multipliers("rescale", self.rescale, self.width, fits_int16=True)
        one_input(self, inputs, self.width)
        return Value(self.width, self.rescale.low, self.rescale.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        return self.rescale(xs[0]), state


@dataclass(frozen=True, eq=False)
class Sum(Op):
    """A weighted sum of its inputs, which have one size or divide it (they are repeated).

    ``y = clamp(shift_round(shift_round(sum_k x_k * multiplier_k, shift) + bias, 8), low, high)``. `multiplier` holds a
    part for each input, all of one length, which divides the size of a frame; `bias` counts 1/256 of a code.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Sum("sum", np.array([256, -512]), 0, np.array([0]), -128, 127)  # x - 2 y
        >>> op.run([np.array([[10, 20]]), np.array([[1, 2]])], op.start(), ops.Step())[0].tolist()
        [[8, 16]]
    """

    multiplier: Integers
    shift: int
    bias: Integers
    low: int
    high: int

    kind: ClassVar[str] = "sum"

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(len(inputs) >= 1 and len(self.multiplier) % len(inputs) == 0, "'multiplier' has no part for each input")
        demand(0 <= self.shift <= MAX_SHIFT, "'shift' is out of range")
        check_range(self.low, self.high)
        size = max(value.size for value in inputs)
        lengths = [value.size for value in inputs] + [len(self.multiplier) // len(inputs), len(self.bias)]
        demand(all(length and size % length == 0 for length in lengths), "an input or vector does not divide the frame")
        demand(all(value.fits_int16 for value in inputs), "a term of the sum leaves 16 bits")
        return Value(size, self.low, self.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        size = max(x.shape[1] for x in xs)
        parts = self.multiplier.reshape(len(xs), -1)
        total = np.zeros((len(xs[0]), size), np.int64)
        for x, part in zip(xs, parts, strict=True):
            total += np.tile(x, (1, size // x.shape[1])) * periodic(part, size)
        y = shift_round(shift_round(total, self.shift) + periodic(self.bias, size), BIAS_BITS)
        return saturate(y, self.low, self.high), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Mul(Op):
    """The product of two inputs, number by number: ``rescale(x_0 * x_1)``; the second may be shorter (repeated).

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Mul("gated", Rescale(np.array([1]), 0, -128, 127))
        >>> op.run([np.array([[5, 6]]), np.array([[3]])], op.start(), ops.Step())[0].tolist()
        [[15, 18]]
    """

    rescale: Rescale

    kind: ClassVar[str] = "mul"

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(len(inputs) == 2, f"{self.name} reads {len(inputs)} values, wanted two")
        x, y = inputs
        demand(x.size % y.size == 0, f"{x.name} and {y.name} differ in size")
        demand(x.fits_int16 and y.fits_int16, "a factor of the product leaves 16 bits")
        check_multipliers("rescale", self.rescale, 1)
        return Value(x.size, self.rescale.low, self.rescale.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        return self.rescale(xs[0] * np.tile(xs[1], (1, xs[0].shape[1] // xs[1].shape[1]))), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Map(Op):
    """Any function of one number, by points between which it is interpolated.

    With ``u = x - first``, ``i = u >> fraction_bits`` and ``f`` the rest,
    ``y = clamp(shift_round(points[i] * (2**fraction_bits - f) + points[i + 1] * f, fraction_bits + spare_bits), low,
    high)``. The points count ``2**-spare_bits`` of a code.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Map("square", np.array([0, 16, 64], np.int16), 0, 2, 0, 0, 64)  # points at 0, 4 and 8
        >>> op.run([np.array([[0, 2, 4, 6]])], op.start(), ops.Step())[0].tolist()
        [[0, 8, 16, 40]]
    """

    points: Points
    first: int
    fraction_bits: int
    spare_bits: int
    low: int
    high: int

    kind: ClassVar[str] = "map"

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(0 <= self.fraction_bits <= 16 and 0 <= self.spare_bits <= 16, "'fraction_bits' or 'spare_bits' is wrong")
        check_range(self.low, self.high)
        last = self.first + ((len(self.points) - 1) << self.fraction_bits)
        inside = INT16[0] <= self.first and self.first <= x.low and x.high < last
        demand(inside, f"the points cover {self.first}..{last - 1}, but {x.name} gives {x.low}..{x.high}")
        return Value(x.size, self.low, self.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        y = interpolate(xs[0] - self.first, self.points.astype(np.int64), self.fraction_bits, self.spare_bits)
        return saturate(y, self.low, self.high), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class PReLU(Op):
    """Two slopes: ``y = clamp(shift_round(x * (positive if x > 0 else negative), shift), low, high)``.

    `negative` has one slope for each channel, and is repeated.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.PReLU("leaky", 4, np.array([1]), 2, -128, 127)  # slopes 1 and 1/4
        >>> op.run([np.array([[8, -8]])], op.start(), ops.Step())[0].tolist()
        [[8, -2]]
    """

    positive: int
    negative: Integers
    shift: int
    low: int
    high: int

    kind: ClassVar[str] = "prelu"

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(0 <= self.shift <= MAX_SHIFT, "'shift' is out of range")
        demand(len(self.negative) >= 1 and x.size % len(self.negative) == 0, "'negative' does not divide the frame")
        demand(max(abs(self.positive), int(np.abs(self.negative).max())) < 1 << 31, "a slope leaves 32 bits")
        check_range(self.low, self.high)
        demand(x.fits_int16, f"{x.name} leaves 16 bits")
        return Value(x.size, self.low, self.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        (x,) = xs
        slope = np.where(x > 0, self.positive, periodic(self.negative, x.shape[1]))
        return saturate(shift_round(x * slope, self.shift), self.low, self.high), state

    def is_new(self) -> bool:
        return True

"""Ops that relate the numbers of a frame to each other: norms, softmax, its logarithm, and magnitudes."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fewbit.program.limits import MAX_EXPONENT_MULTIPLIER, MAX_FRAME_SIZE, MAX_NORM, MAX_SHIFT, MAX_SQUARES
from fewbit.program.numerics import (
    EXP_BITS,
    Integers,
    Rescale,
    exp_weights,
    log_shares,
    normalise,
    saturate,
    shares,
    shift_round,
    square_root,
)
from fewbit.program.ops.base import Op, Step, Value, check_multipliers, check_range, demand, one_input


@dataclass(frozen=True, eq=False)
class Norm(Op):
    """Groups of `length` neighbouring numbers divided by the root of their mean square.

    With `centre` 1 (LayerNorm) the mean is taken away first; 0 is RMSNorm, and L2 normalisation. With
    ``d = length * x - sum(x)`` or ``d = x``, and ``eps = eps_mantissa * 2**eps_shift`` in units of ``d * d``:
    ``w = d / sqrt(sum(d * d) + eps)`` in Q23 (`fewbit.program.numerics.normalise`), then
    ``y = clamp(shift_round(shift_round(w * multiplier, shift) + bias, 8), low, high)``; `multiplier` and `bias` have
    one entry, or one for each number of a group; `bias` counts 1/256 of a code.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Norm("norm", 2, 1, 0, 0, np.array([100]), 15, np.array([0]), -128, 127)
        >>> op.run([np.array([[3, 1]])], op.start(), ops.Step())[0].tolist()
        [[71, -71]]
    """

    length: int
    centre: int
    eps_mantissa: int
    eps_shift: int
    multiplier: Integers
    shift: int
    bias: Integers
    low: int
    high: int

    kind: ClassVar[str] = "norm"

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(1 <= self.length <= MAX_NORM and x.size % self.length == 0, "'length' does not divide the frame")
        demand(self.centre in (0, 1), "'centre' is neither 0 nor 1")
        demand(self.eps_mantissa >= 0 and 0 <= self.eps_shift <= 30, "'eps' is out of range")
        demand(0 <= self.shift <= MAX_SHIFT, "'shift' is out of range")
        check_range(self.low, self.high)
        for name, vector in (("multiplier", self.multiplier), ("bias", self.bias)):
            demand(len(vector) in (1, self.length), f"'{name}' has {len(vector)} entries for {self.length} numbers")
        demand(x.fits_int16, f"{x.name} leaves 16 bits")
        return Value(x.size, self.low, self.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x = in_groups(xs[0], self.length)
        w = normalise(x, self.eps_mantissa << self.eps_shift, bool(self.centre))
        y = shift_round(shift_round(w * self.multiplier, self.shift) + self.bias, 8)
        return saturate(y, self.low, self.high).reshape(xs[0].shape), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Shares(Op):
    """What `Softmax` and `LogSoftmax` have in common: groups of `length` neighbouring numbers, and their exponents."""

    length: int
    multiplier: int
    shift: int
    rescale: Rescale

    @abstractmethod
    def of_groups(self, x: Integers) -> Integers:
        """Of groups ``(time, groups, length)``, what is rescaled."""

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(1 <= self.length <= MAX_NORM and x.size % self.length == 0, "'length' does not divide the frame")
        check_exponent(self.multiplier, self.shift)
        check_multipliers("rescale", self.rescale, 1)
        demand(x.size <= MAX_FRAME_SIZE and x.fits_int16, f"{x.name} leaves 16 bits")
        return Value(x.size, self.rescale.low, self.rescale.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        return self.rescale(self.of_groups(in_groups(xs[0], self.length))).reshape(xs[0].shape), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Softmax(Shares):
    """Shares of groups of `length` neighbouring numbers: ``rescale(e / sum(e))`` with the share in Q15.

    ``e = 2**-u`` where ``u`` is the distance to the largest of the group, times ``multiplier / 2**shift``, in Q10.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Softmax("shares", 3, 1024, 0, Rescale(np.array([100]), 15, 0, 100))  # powers of 2, in percent
        >>> op.run([np.array([[2, 1, 1]])], op.start(), ops.Step())[0].tolist()
        [[50, 25, 25]]
    """

    kind: ClassVar[str] = "softmax"

    def of_groups(self, x: Integers) -> Integers:
        return shares(exp_weights(x, None, self.multiplier, self.shift))


@dataclass(frozen=True, eq=False)
class LogSoftmax(Shares):
    """Logarithms of the shares that `Softmax` gives: ``rescale(log2(share))``, the logarithm in Q16.

    Small shares keep all their digits: what is rounded is the logarithm.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.LogSoftmax("logs", 3, 1024, 0, Rescale(np.array([1]), 16, -100, 0))  # powers of 2, in bits
        >>> op.run([np.array([[2, 1, 1], [90, 50, 0]])], op.start(), ops.Step())[0].tolist()
        [[-1, -2, -2], [0, -40, -90]]
    """

    kind: ClassVar[str] = "log_softmax"

    def of_groups(self, x: Integers) -> Integers:
        return log_shares(x, self.multiplier, self.shift)


def in_groups(x: Integers, length: int) -> Integers:
    """Frames ``(time, size)`` as ``(time, groups, length)``."""
    return x.reshape(len(x), x.shape[1] // length, length)


@dataclass(frozen=True, eq=False)
class Magnitude(Op):
    """The root of the sum of squares of its inputs, number by number: ``rescale(root(2**16 * sum(x * x) + eps))``.

    The integer root (`fewbit.program.numerics.square_root`) has 8 fractional bits of a code; `eps` counts 2**-16 of the
    square of a code. The magnitude of complex numbers, as in a spectrogram.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Magnitude("size", 0, Rescale(np.array([1]), 8, 0, 127))
        >>> op.run([np.array([[3, 5]]), np.array([[4, 12]])], op.start(), ops.Step())[0].tolist()
        [[5, 13]]
    """

    eps: int
    rescale: Rescale

    kind: ClassVar[str] = "magnitude"

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(1 <= len(inputs) <= MAX_SQUARES, f"{self.name} reads {len(inputs)} values, wanted 1 to {MAX_SQUARES}")
        x = inputs[0]
        for value in inputs:
            demand(value.size == x.size, f"{value.name} gives {value.size} numbers a frame, {self.name} wants {x.size}")
            demand(value.fits_int16, f"{value.name} leaves 16 bits")
        demand(self.eps >= 0, "'eps' is negative")
        check_multipliers("rescale", self.rescale, 1)
        return Value(x.size, self.rescale.low, self.rescale.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        squares = sum(x * x for x in xs)
        return self.rescale(square_root((squares << 16) + self.eps)), state

    def is_new(self) -> bool:
        return True


def check_exponent(multiplier: int, shift: int) -> None:
    """Check the factor that turns a distance of scores into an exponent of 2 with `EXP_BITS` fractional bits."""
    fits = 0 <= multiplier <= MAX_EXPONENT_MULTIPLIER and 0 <= shift <= MAX_SHIFT
    demand(fits, f"'multiplier' or 'shift' makes no exponents of {EXP_BITS} fractional bits")

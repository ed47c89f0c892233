"""Ops that depend on the number of frames so far. They read one value; some use only its count of frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.errors import DecodeError
from fewbit.program.limits import MAX_FRAME_SIZE
from fewbit.program.numerics import Integers, Points, Rescale, sine
from fewbit.program.ops.base import Op, Step, Value, check_multipliers, demand, one_input

TURN = 1 << 32


@dataclass(frozen=True, eq=False)
class Positions(Op):
    """Frame ``t`` of a table: learned positions. The Program refuses frames beyond the table.

    points: the frames one after the other, each of `width` numbers.

    State: the number of frames so far.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Positions("places", 2, np.array([1, 2, 3, 4], np.int16))
        >>> op.run([np.zeros((2, 1), np.int64)], op.start(), ops.Step())[0].tolist()
        [[1, 2], [3, 4]]
    """

    width: int
    points: Points

    kind: ClassVar[str] = "positions"

    @property
    def frames(self) -> int:
        """Frames of the table."""
        return len(self.points) // self.width

    def value(self, inputs: Sequence[Value]) -> Value:
        one_input(self, inputs)
        demand(
            1 <= self.width <= MAX_FRAME_SIZE and len(self.points) % self.width == 0, "'points' holds no whole frames"
        )
        return Value(self.width, int(self.points.min()), int(self.points.max()))

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return 1

    def start(self) -> Any:
        return 0

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        after = state + len(xs[0])
        if after > self.frames:
            raise DecodeError(f"{self.name}: the input is longer than its table of {self.frames} positions")
        return self.points.reshape(-1, self.width)[state:after].astype(np.int64), after

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Phases(Op):
    """Sines of time: ``rescale(sine(start + t * turn))`` with the phase in units of 2**-32 of a turn, modulo a turn.

    Rotary and sinusoidal positions, exact for streams of any length. `turn` and `start` hold the 32 bits of each
    phase as signed integers.

    State: the number of frames so far, modulo 2**32.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Phases("clock", np.array([1 << 30]), np.array([0]), Rescale(np.array([100]), 27, -100, 100))
        >>> op.run([np.zeros((5, 1), np.int64)], op.start(), ops.Step())[0].ravel().tolist()  # a quarter turn a frame
        [0, 100, 0, -100, 0]
    """

    turn: Integers
    begin: Integers
    rescale: Rescale

    kind: ClassVar[str] = "phases"

    def value(self, inputs: Sequence[Value]) -> Value:
        one_input(self, inputs)
        demand(len(self.turn) == len(self.begin), "'turn' and 'begin' differ in length")
        check_multipliers("rescale", self.rescale, 1)
        return Value(len(self.turn), self.rescale.low, self.rescale.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return 1

    def start(self) -> Any:
        return 0

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        t = state + np.arange(len(xs[0]))[:, None]
        return self.rescale(sine((self.begin + t * self.turn) % TURN)), (state + len(xs[0])) % TURN

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Mean(Op):
    """The mean of all frames up to each frame: ``rescale(floor((512 * sum + count) / (2 * count)))``.

    The mean that is rescaled has 8 fractional bits, rounded to the nearest, halves up.

    State: the sum, and the count.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Mean("mean", Rescale(np.array([1]), 8, -128, 127))
        >>> op.run([np.array([[2], [4], [9]])], op.start(), ops.Step())[0].tolist()
        [[2], [3], [5]]
    """

    rescale: Rescale

    kind: ClassVar[str] = "mean"

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(x.fits_int16, f"{x.name} leaves 16 bits")
        check_multipliers("rescale", self.rescale, 1)
        return Value(x.size, self.rescale.low, self.rescale.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return inputs[0].size + 1

    def start(self) -> Any:
        return 0, 0

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x, (total, count) = xs[0], state
        if not len(x):
            return x, state
        sums = total + np.cumsum(x, axis=0)
        counts = count + np.arange(1, len(x) + 1)
        counts = counts[:, None]
        means = (512 * sums + counts) // (2 * counts)
        return self.rescale(means), (sums[-1], int(counts[-1, 0]))

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class First(Op):
    """The first frame of its input, in all frames.

    State: that frame, and whether it has come.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.First("first")
        >>> op.run([np.array([[7], [8], [9]])], op.start(), ops.Step())[0].tolist()
        [[7], [7], [7]]
    """

    kind: ClassVar[str] = "first"

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        return Value(x.size, x.low, x.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return inputs[0].size + 1

    def start(self) -> Any:
        return None

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x = xs[0]
        if state is None and len(x):
            state = x[0]
        return (np.tile(state, (len(x), 1)) if len(x) else x), state

    def is_new(self) -> bool:
        return True

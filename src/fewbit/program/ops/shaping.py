"""Ops that move, choose or gather numbers of frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_FRAME_SIZE, MAX_WINDOW
from fewbit.program.numerics import INT16, Integers, Rescale
from fewbit.program.ops.base import Op, Step, Value, Window, check_multipliers, demand, one_input, union
from fewbit.program.ops.windows import ONE_PLACE, Grid, start_window, take_windows


@dataclass(frozen=True, eq=False)
class Take(Op):
    """Numbers of the inputs, which lie side by side and are counted from 1: ``y[i] = x[index[i]]``.

    A negative index takes the number with its sign changed, 0 stands for a zero. The index is read `repeat` times, each
    time `stride` numbers further on: the same numbers of each place of a frame.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Take("take", np.array([3, -1, 0]))
        >>> op.run([np.array([[10, 20]]), np.array([[30]])], op.start(), ops.Step())[0].tolist()
        [[30, -10, 0]]
    """

    index: Integers
    repeat: int = 1
    stride: int = 0

    kind: ClassVar[str] = "take"

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(len(inputs) >= 1 and len(self.index) >= 1, f"{self.name} takes nothing")
        demand(
            1 <= self.repeat <= MAX_FRAME_SIZE and 0 <= self.stride <= MAX_FRAME_SIZE,
            "'repeat' or 'stride' is out of range",
        )
        total = sum(value.size for value in inputs)
        most = int(np.abs(self.index).max()) + (self.repeat - 1) * self.stride
        demand(most <= total, f"'index' counts beyond the {total} numbers of the inputs")
        demand(self.repeat * len(self.index) <= MAX_FRAME_SIZE, f"{self.name} takes more than {MAX_FRAME_SIZE} numbers")
        low, high = union(inputs)
        if (self.index < 0).any():
            low, high = min(low, -high), max(high, -low)
        if (self.index == 0).any():
            low, high = min(low, 0), max(high, 0)
        return Value(self.repeat * len(self.index), low, high)

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        return 1 + sum(value.size for value in inputs)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        joined = np.concatenate([np.zeros((len(xs[0]), 1), np.int64), *xs], axis=1)
        signs = np.sign(self.index)
        index = np.abs(self.index) + np.arange(self.repeat)[:, None] * self.stride * np.abs(signs)
        return (joined[:, index] * signs).reshape(len(joined), self.repeat * len(self.index)), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Pool(Op):
    """The sum, or with `maximum` 1 the largest, of each channel over windows of frames and places: ``rescale(...)``.

    Windows as in `Conv`, of frames (`kernel`, `stride`, `left`, `right`) and of the places of `grid`. Padding counts as
    0 in sums and never is the largest.

    State: frames that coming windows still need.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> op = ops.Pool("largest", 1, 1, 2, 2, Rescale(np.array([1]), 0, -128, 127))
        >>> op.run([np.array([[1], [5], [-3], [-4]])], op.start(), ops.Step())[0].tolist()
        [[5], [-3]]
    """

    maximum: int
    channels: int
    kernel: int
    stride: int
    rescale: Rescale
    left: int = 0
    right: int = 0
    grid: Grid = ONE_PLACE

    kind: ClassVar[str] = "pool"

    @property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.left, self.right)

    @property
    def size(self) -> int:
        """Numbers of an input frame."""
        return self.channels * self.grid.places

    @property
    def out_places(self) -> int:
        """Places of an output frame."""
        return self.grid.out_height * self.grid.out_width

    @property
    def padding(self) -> int:
        """The number that frames and places of padding hold."""
        return INT16[0] if self.maximum else 0

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(self.maximum in (0, 1), "'maximum' is neither 0 nor 1")
        demand(1 <= self.channels <= MAX_FRAME_SIZE, "'channels' must be at least 1")
        check_multipliers("rescale", self.rescale, 1)
        self.window.check()
        self.grid.check()
        x = one_input(self, inputs, self.size)
        demand(x.fits_int16, f"{x.name} leaves 16 bits")
        demand(self.kernel * self.grid.kernel <= MAX_WINDOW, "a window has more than 2**15 numbers")
        return Value(self.out_places * self.channels, self.rescale.low, self.rescale.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return (self.window.reach - 1) * self.size

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        return self.out_places * self.kernel * self.grid.kernel * self.channels + self.kernel * self.size

    def start(self) -> Any:
        return start_window(self.window, self.size, self.padding)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        found, state = take_windows(xs[0], state, self.window, self.kernel, 1, step.last, self.padding)
        n, channels = len(found), self.channels
        found = found.reshape(n, self.kernel, self.grid.places, channels)
        found = np.concatenate([found, np.full((n, self.kernel, 1, channels), self.padding)], axis=2)
        patches = found[:, :, self.grid.index()]  # windows, frames, output places, places, channels
        y = patches.max((1, 3)) if self.maximum else patches.sum((1, 3))
        return self.rescale(y).reshape(n, self.out_places * channels), state

    def is_new(self) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class Reverse(Op):
    """All frames of an input in the opposite order; it needs them all at once.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> op = ops.Reverse("back")
        >>> op.run([np.array([[1], [2], [3]])], op.start(), ops.Step(last=True))[0].tolist()
        [[3], [2], [1]]
    """

    kind: ClassVar[str] = "reverse"
    whole: ClassVar[bool] = True

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        return Value(x.size, x.low, x.high)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        return xs[0][::-1], state

    def is_new(self) -> bool:
        return True

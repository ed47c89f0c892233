"""Products with packed weights: dense layers and convolutions. ``acc`` is ``W x + bias``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_FRAME_SIZE
from fewbit.program.numerics import Integers, Rescale
from fewbit.program.ops.base import (
    Matrix,
    Op,
    Step,
    Value,
    Window,
    check_bias,
    check_multipliers,
    check_sums,
    demand,
    one_input,
)
from fewbit.program.ops.windows import ONE_PLACE, Grid, start_window, take_windows


@dataclass(frozen=True, eq=False)
class Dense(Op):
    """``rescale((W x << bias_bits) + bias)``; a ReLU is a `low` of 0.

    A frame of several `places` is multiplied place by place.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(2, 2, Int(8), "bits", PerRow(), pack(np.array([[1, 2], [0, -1]]), Int(8)))
        >>> op = ops.Dense("layer", weight, np.array([5, 0]), Rescale(np.array([1]), 0, -128, 127))
        >>> op.run([np.array([[10, 20]])], op.start(), ops.Step(op.prepare()))[0].tolist()
        [[55, -20]]
    """

    weight: Matrix
    bias: Integers
    rescale: Rescale
    places: int = 1
    bias_bits: int = 0

    kind: ClassVar[str] = "dense"

    def value(self, inputs: Sequence[Value]) -> Value:
        check_bias(self.bias, self.weight.rows)
        check_multipliers("rescale", self.rescale, self.weight.rows)
        demand(1 <= self.places <= MAX_FRAME_SIZE, "'places' must be at least 1")
        x = one_input(self, inputs, self.places * self.weight.columns)
        check_sums("weight", self.weight, x, self.rescale, self.bias, self.bias_bits)
        return Value(self.places * self.weight.rows, self.rescale.low, self.rescale.high)

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0])]

    def macs(self) -> int:
        return self.places * super().macs()

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        x = xs[0].reshape(len(xs[0]), self.places, self.weight.columns)
        sums = (step.products[0](x) << self.bias_bits) + self.bias
        return self.rescale(sums).reshape(len(x), self.places * self.weight.rows), state

    def is_new(self) -> bool:
        return super().is_new() or self.places != 1 or self.bias_bits != 0


@dataclass(frozen=True, eq=False)
class Conv(Op):
    """`Dense` over windows of `kernel` frames, every `stride` frames, and of the places of `grid` in each of them.

    Frame ``k`` of window ``j`` is the frame ``j * stride - left + k * dilation``; a `left` of -1 stands for all frames
    of the window but the last. Frames before the stream, and `right` frames after it, are zero. Column
    ``(k * grid.kernel + p) * channels + c`` of the weights belongs to frame ``k``, place ``p`` and channel ``c``. With
    several `groups`, each group of rows reads the channels of its own group only, of which `channels` then counts one.

    State: frames that coming windows still need.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(1, 2, Int(8), "bits", PerRow(), pack(np.array([[1, 2]]), Int(8)))
        >>> op = ops.Conv("conv", 2, 1, weight, np.array([0]), Rescale(np.array([1]), 0, -128, 127))
        >>> op.run([np.array([[1], [10], [0]])], op.start(), ops.Step(op.prepare()))[0].tolist()
        [[2], [21], [10]]
    """

    kernel: int
    stride: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    dilation: int = 1
    left: int = -1
    right: int = 0
    groups: int = 1
    grid: Grid = ONE_PLACE
    bias_bits: int = 0

    kind: ClassVar[str] = "conv"

    @property
    def channels(self) -> int:
        """Channels of a place of the input."""
        return self.weight.columns // (self.kernel * self.grid.kernel) * self.groups

    @property
    def window(self) -> Window:
        reach = (self.kernel - 1) * self.dilation + 1
        return Window(reach, self.stride, reach - 1 if self.left == -1 else self.left, self.right)

    @property
    def size(self) -> int:
        """Numbers of an input frame."""
        return self.channels * self.grid.places

    @property
    def out_places(self) -> int:
        """Places of an output frame."""
        return self.grid.out_height * self.grid.out_width

    def value(self, inputs: Sequence[Value]) -> Value:
        rows = self.weight.rows
        check_bias(self.bias, rows)
        check_multipliers("rescale", self.rescale, rows)
        demand(self.kernel >= 1, "'kernel' must be at least 1")
        demand(1 <= self.dilation <= MAX_FRAME_SIZE and self.groups >= 1, "'dilation' and 'groups' must be at least 1")
        self.grid.check()
        whole = self.weight.columns % (self.kernel * self.grid.kernel) == 0
        demand(whole, "the columns of 'weight' are no multiple of 'kernel'")
        demand(rows % self.groups == 0, "the rows of 'weight' are no multiple of 'groups'")
        maps = self.channels // self.groups
        demand(
            self.weight.maps in (0, maps), f"'weight' stores kernels of {self.weight.maps} maps, the op reads {maps}"
        )
        demand(self.groups == 1 or self.weight.group_scale is None, "grouped rows with scales per group of columns")
        if self.left == -1 and self.right == 0 and self.dilation == 1:
            demand(1 <= self.stride <= self.kernel, "'stride' must lie in 1..kernel")
        self.window.check()
        x = one_input(self, inputs, self.size)
        check_sums("weight", self.weight, x, self.rescale, self.bias, self.bias_bits)
        return Value(self.out_places * rows, self.rescale.low, self.rescale.high)

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0])]

    def macs(self) -> int:
        return self.out_places * super().macs()

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return (self.window.reach - 1) * self.size

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        return self.out_places * self.weight.columns * self.groups + self.kernel * self.size

    def start(self) -> Any:
        return start_window(self.window, self.size)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        found, state = take_windows(xs[0], state, self.window, self.kernel, self.dilation, step.last)
        n, grid, channels = len(found), self.grid, self.channels
        found = found.reshape(n, self.kernel, grid.places, channels)
        found = np.concatenate([found, np.zeros((n, self.kernel, 1, channels), np.int64)], axis=2)
        patches = found[:, :, grid.index()].swapaxes(1, 2)  # windows, output places, frames, places, channels
        parts = np.split(patches, self.groups, axis=-1)
        sums = [
            step.products[0](part.reshape(n, self.out_places, self.weight.columns), g, self.groups)
            for g, part in enumerate(parts)
        ]
        y = self.rescale((np.concatenate(sums, axis=-1) << self.bias_bits) + self.bias)
        return y.reshape(n, self.out_places * self.weight.rows), state

    def is_new(self) -> bool:
        plain = self.dilation == 1 and self.left == -1 and self.right == 0 and self.groups == 1 and not self.bias_bits
        return super().is_new() or not plain or self.grid != ONE_PLACE

"""Transposed convolutions, which make places from places: as a convolution that gives all phases of the stride at once.

In each axis with kernel k, stride s and padding p, output place ``o`` is phase ``r = (o + p) mod s`` of place
``b = (o + p) // s``::

    y[o] = sum over m of  x[b - m] w[r + s m]          m from 0 to below M = ceil(k / s)

So a convolution with kernel M over ``M - 1`` zeros, the places and ``M - 1`` zeros gives, at each ``b``, the outputs of
all phases as channels; the outputs are then read where they lie. Codes do not change; where ``r + s m`` is k or more,
the weight is 0.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import fx

from fewbit.errors import LoweringError
from fewbit.formats import Binary
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.rules_products import fitting, product, weight_at
from fewbit.lower.weights import Weight
from fewbit.program import ops
from fewbit.program.numerics import Integers


@dataclass(frozen=True)
class Axis:
    """One axis of places: its size before and after, and the numbers of the transposed convolution."""

    size: int
    out: int
    kernel: int
    stride: int
    padding: int

    @property
    def taps(self) -> int:
        """Places that an output reads at most."""
        return -(-self.kernel // self.stride)

    @property
    def places(self) -> int:
        """Places of the convolution."""
        return self.size + self.taps - 1

    def lies_at(self) -> tuple[Integers, Integers]:
        """Place and phase of each output.

        Raises:
            LoweringError: an output lies beyond all that the kernel reaches.
        """
        along = np.arange(self.out) + self.padding
        if along[-1] // self.stride >= self.places:
            raise LoweringError("its output_padding reaches beyond its kernel; use a larger kernel or padding")
        return along // self.stride, along % self.stride

    def tap_of(self) -> Integers:
        """Taps ``(phases, places of a window)`` of the kernel; `kernel` stands for none."""
        taps = np.arange(self.stride)[:, None] + self.stride * np.arange(self.taps)[::-1]
        found: Integers = np.minimum(taps, self.kernel)
        return found


@rule(aten.conv_transpose1d.default, aten.conv_transpose2d.input)
def transposed_convolution(builder: Builder, node: fx.Node) -> None:
    """A transposed convolution over places."""
    x, weight, bias, stride, padding, _, groups, dilation = arguments(
        node, x=None, weight=None, bias=None, stride=[1], padding=[0], output_padding=[0], groups=1, dilation=[1]
    )
    network = builder.network
    shape, out, kernel = network.shape(x), network.shape(node), network.shape(weight)[2:]
    spread, time = len(kernel), network.time_of(x)
    if groups != 1 or any(each != 1 for each in dilation):
        raise LoweringError("a transposed convolution with groups or dilation has no integer op")
    if time is not None:
        raise LoweringError(
            "a transposed convolution makes more frames than it reads, which a stream does not; give time=None for "
            "inputs of the length of the example"
        )
    numbers = zip(shape[-spread:], out[-spread:], kernel, _each(stride, spread), _each(padding, spread), strict=True)
    axes = [Axis(1, 1, 1, 1, 0)] * (2 - spread) + [Axis(*each) for each in numbers]
    taken = builder.still(builder.signal(x), None, [*([0] if len(shape) > spread + 1 else []), *_last(shape, spread)])
    found = _phases(weight_at(builder, weight), network.shape(weight), axes)
    vertical, horizontal = axes
    grid = ops.Grid(
        vertical.size, horizontal.size, vertical.taps, horizontal.taps, 1, 1, 1, 1,
        vertical.taps - 1, vertical.taps - 1, horizontal.taps - 1, horizontal.taps - 1,
    )  # fmt: skip
    reader = fitting(builder, taken, found)

    def make(name: str, matrix: ops.Matrix, integers: Integers, rescale: Any, unread: int) -> ops.Op:
        return ops.Conv(name, 1, 1, matrix, integers, rescale, grid=grid, inputs=(reader.name,))

    channels = network.shape(weight)[1]
    labels = _labels(axes, channels).reshape(out)
    places = vertical.places * horizontal.places
    builder.values[node] = product(builder, node, reader, found, bias, make, labels, 1, places)


def _each(numbers: Any, spread: int) -> list[int]:
    return list(numbers) * spread if len(numbers) == 1 else list(numbers)


def _last(shape: tuple[int, ...], spread: int) -> list[int]:
    """The axes of places, and then that of channels."""
    return [*range(len(shape) - spread, len(shape)), len(shape) - spread - 1]


def _phases(weight: Weight, shape: tuple[int, ...], axes: list[Axis]) -> Weight:
    """A weight ``(inputs, outputs, *kernel)`` as rows of phases and outputs, columns of taps and inputs."""
    if weight.group_scale is not None or np.ptp(weight.scale):
        raise LoweringError("its weight has several steps; quantize it with one step for the tensor, such as 'int8'")
    vertical, horizontal = axes
    codes = weight.codes.reshape(*shape[:2], vertical.kernel, horizontal.kernel)
    if isinstance(weight.format, Binary) and any(axis.kernel % axis.stride for axis in axes):
        raise LoweringError("binary weights have no 0, which phases without a tap need; use a kernel of whole strides")
    codes = np.pad(codes, ((0, 0), (0, 0), (0, 1), (0, 1)))  # what stands for no tap
    # (inputs, outputs, phases and taps of both axes) to (phases, outputs, taps, inputs)
    codes = codes[:, :, vertical.tap_of()[:, :, None, None], horizontal.tap_of()[None, None]]
    rows = codes.transpose(2, 4, 1, 3, 5, 0)
    count = vertical.stride * horizontal.stride * shape[1]
    return replace(weight, codes=np.ascontiguousarray(rows).reshape(count, -1), scale=weight.scale[:1])


def _labels(axes: list[Axis], channels: int) -> Integers:
    """Where each output ``(channels, height, width)`` lies in the frame of the convolution, counted from 1."""
    (up, row), (along, column) = (axis.lies_at() for axis in axes)
    vertical, horizontal = axes
    place = up[:, None] * horizontal.places + along
    phase = row[:, None] * horizontal.stride + column
    rows = vertical.stride * horizontal.stride * channels
    found: Integers = place * rows + phase * channels + np.arange(channels)[:, None, None] + 1
    return found

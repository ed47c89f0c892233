"""Rules for operators that reduce many numbers to one: pooling, means and sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.signals import Pending, Signal
from fewbit.lower.weights import Floats, SignalCodes
from fewbit.program import ops
from fewbit.program.numerics import Rescale, rescale_from
from fewbit.tracing import args_of


@rule(aten.max_pool1d.default, aten.max_pool2d.default)
def max_pool(builder: Builder, node: fx.Node) -> None:
    """The largest of each window."""
    x, kernel, stride, padding, dilation, ceil_mode = arguments(
        node, x=None, kernel=None, stride=None, padding=[0], dilation=[1], ceil_mode=False
    )
    if any(each != 1 for each in dilation):
        raise LoweringError("max pooling with dilation has no integer op")
    _pool(builder, node, x, kernel, stride or kernel, padding, _spread(node), maximum=True, ceil=bool(ceil_mode))


@rule(aten.avg_pool1d.default, aten.avg_pool2d.default)
def average_pool(builder: Builder, node: fx.Node) -> None:
    """The mean of each window."""
    x, kernel, stride, padding, ceil_mode, count_padding, divisor = arguments(
        node, x=None, kernel=None, stride=None, padding=[0], ceil_mode=False, count_padding=True, divisor=None
    )
    if ceil_mode or divisor is not None or (any(padding) and not count_padding):
        raise LoweringError("average pooling with ceil_mode, a divisor or uncounted padding has no integer op")
    _pool(builder, node, x, kernel, stride or kernel, padding, _spread(node), maximum=False)


@rule(aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default)
def adaptive_average_pool(builder: Builder, node: fx.Node) -> None:
    """The mean of all places, or of equal windows."""
    x, sizes = args_of(node)[:2]
    _adaptive(builder, node, x, sizes, maximum=False)


@rule(aten.adaptive_max_pool1d.default, aten.adaptive_max_pool2d.default)
def adaptive_max_pool(builder: Builder, node: fx.Node) -> None:
    """The largest of all places, or of equal windows; which one it is is not known."""
    part = _without_places(builder, node)
    x, sizes = args_of(node)[:2]
    _adaptive(builder, part, x, sizes, maximum=True)
    builder.values[node] = [builder.values[part]]


def _adaptive(builder: Builder, node: fx.Node, x: Any, sizes: Sequence[int], maximum: bool) -> None:
    shape = builder.network.shape(x)
    spread = len(sizes)
    if all(size == 1 for size in sizes):
        reduced(builder, node, x, list(range(len(shape) - spread, len(shape))), maximum=maximum)
        return
    inner = shape[len(shape) - spread :]
    if any(place % size for place, size in zip(inner, sizes, strict=True)):
        raise LoweringError(
            f"adaptive pooling from {inner} to {sizes}, which does not divide it, has no integer op; use sizes that "
            "do, or average pooling"
        )
    kernel = [place // size for place, size in zip(inner, sizes, strict=True)]
    _pool(builder, node, x, kernel, kernel, [0], spread, maximum=maximum)


@rule(aten.amax.default)
def largest(builder: Builder, node: fx.Node) -> None:
    """The largest number of some axes."""
    x, axes = arguments(node, x=None, dim=[])
    count = len(builder.network.shape(x))
    reduced(builder, node, x, [axis % count for axis in axes or range(count)], maximum=True)


@rule(aten.max.dim)
def largest_and_place(builder: Builder, node: fx.Node) -> None:
    """The largest number of an axis; where it lies is not known."""
    x, axis = args_of(node)[:2]
    part = _without_places(builder, node)
    reduced(builder, part, x, [axis % len(builder.network.shape(x))], maximum=True)
    builder.values[node] = [builder.values[part]]


def _without_places(builder: Builder, node: fx.Node) -> fx.Node:
    """The node that reads the numbers of an operator which also gives their places, if no node reads those."""
    parts = {args_of(user)[1]: user for user in node.users if user in builder.network.needed}
    if set(parts) != {0}:
        raise LoweringError("the place of the largest number is a choice; return the scores, and choose outside")
    return parts[0]


@rule(aten.mean.dim, aten.sum.dim_IntList)
def mean(builder: Builder, node: fx.Node) -> None:
    """The mean, or the sum, of some axes."""
    x, axes = args_of(node)[:2]
    count = len(builder.network.shape(x))
    reduced(builder, node, x, [axis % count for axis in axes], is_sum="sum" in str(node.target))


def reduced(
    builder: Builder, node: fx.Node, x: Any, axes: Sequence[int], is_sum: bool = False, maximum: bool = False
) -> None:
    """One number of all those of some axes; over time, the mean of all frames so far."""
    network = builder.network
    shape, time = network.shape(x), network.time_of(x)
    inner = [axis for axis in axes if axis != time]
    signal = builder.signal(x)
    kept = [axis for axis in range(len(shape)) if axis not in axes and axis != time]
    taken = builder.still(signal, time, [*inner, *kept])
    count = int(np.prod([shape[axis] for axis in inner]))
    channels = taken.size // count
    factor = 1.0 if is_sum or maximum else 1 / count
    if time is not None and time in axes:
        if maximum:
            raise LoweringError(
                "the largest of all frames has no integer op; use the mean over time, or time=None for inputs of the "
                "length of the example"
            )
        if is_sum:
            raise LoweringError("a sum over time grows without bound; use the mean")
        _mean_of_frames(builder, node, taken, count, channels, shape[time])
        return
    labels, frames = builder.fresh(node, builder.plain_order(node))
    grid = ops.Grid(1, count, 1, count)
    _emit_pool(builder, node, taken, labels, frames, factor, channels, grid, (1, 1, 0, 0), maximum)


def _mean_of_frames(builder: Builder, node: fx.Node, taken: Signal, count: int, channels: int, length: int) -> None:
    """Places first, if there are several, and then frames: the result is that of the last frame."""
    if count > 1:
        name = builder.name(node, f"{builder.network.path(node)}.places")
        codes = SignalCodes(taken.codes.step, taken.codes.low, taken.codes.high)
        rescale = rescale_from(1 / count, codes.low, codes.high)
        grid = ops.Grid(1, count, 1, count)
        builder.add(ops.Pool(name, 0, channels, 1, 1, rescale, 0, 0, grid, inputs=(taken.name,)))
        taken = Signal(name, channels, codes, np.zeros(0, np.int64), taken.frames)
    name = builder.name(node)
    builder.reserve(name)
    source = taken

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        factor = source.codes.step * float(gain.flat[0]) / codes.step / 256
        return builder.add(ops.Mean(name, rescale_from(factor, codes.low, codes.high), inputs=(source.name,))), codes

    last = (length - 1) * channels
    labels = np.arange(last + 1, last + channels + 1).reshape(builder.network.shape(node))
    builder.values[node] = Pending(channels, labels, emit, frames=length, scalar_only=True)


def _spread(node: fx.Node) -> int:
    """How many axes a window has."""
    return 2 if "2d" in str(node.target) else 1


def _pool(
    builder: Builder,
    node: fx.Node,
    x: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    spread: int,
    *,
    maximum: bool,
    ceil: bool = False,
) -> None:
    network, value = builder.network, builder.signal(x)
    dims, time = value.labels.ndim, network.time_of(x)
    kernel, stride, padding = (
        list(each) * spread if len(each) == 1 else list(each) for each in (kernel, stride, padding)
    )
    space, channel = list(range(dims - spread, dims)), dims - spread - 1
    inner = [axis for axis in space if axis != time]
    rest = [axis for axis in range(channel) if axis != time]
    order = [*rest, *inner, channel]
    window = (1, 1, 0, 0)
    if time in space:
        if ceil:
            raise LoweringError("a last window that is cut short (ceil_mode) is not known before the end of a stream")
        at = space.index(time)
        taken, found = builder.frames(value, time, order)
        if found.before or found.after or found.first or found.count != value.frames:
            raise LoweringError("frames are moved in time before it")
        window = kernel[at], stride[at], padding[at], padding[at]
    else:
        taken = builder.still(value, time, order)
    sizes = [
        (value.labels.shape[axis], *(each[space.index(axis)] for each in (kernel, stride, padding))) for axis in inner
    ]
    sizes = [(1, 1, 1, 0)] * (2 - len(sizes)) + sizes
    (h, kh, sh, ph), (w, kw, sw, pw) = sizes
    bottom, right = (_padding_after(*each) if ceil else each[-1] for each in sizes)
    grid = ops.Grid(h, w, kh, kw, sh, sw, 1, 1, ph, bottom, pw, right)
    labels, frames = builder.fresh(node, [*rest, *inner, channel])
    factor = 1.0 if maximum else 1 / float(np.prod(kernel))
    _emit_pool(builder, node, taken, labels, frames, factor, taken.size // (h * w), grid, window, maximum)


def _padding_after(size: int, kernel: int, stride: int, padding: int) -> int:
    """Padding that makes a last window whole which begins inside."""
    count = -(-(size + 2 * padding - kernel) // stride) + 1
    if (count - 1) * stride >= size + padding:
        count -= 1
    return max(padding, (count - 1) * stride + kernel - size - padding)


def _emit_pool(
    builder: Builder,
    node: fx.Node,
    taken: Signal,
    labels: Any,
    frames: int,
    factor: float,
    channels: int,
    grid: ops.Grid,
    window: tuple[int, int, int, int],
    maximum: bool,
) -> None:
    name = builder.name(node)
    builder.reserve(name)
    kernel, stride, left, right = window

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        ratio = taken.codes.step * factor * float(gain.flat[0]) / codes.step
        rescale = (
            Rescale(np.ones(1, np.int64), 0, codes.low, codes.high)
            if ratio == 1
            else rescale_from(ratio, codes.low, codes.high)
        )
        after = right - unread * stride
        op = ops.Pool(name, int(maximum), channels, kernel, stride, rescale, left, after, grid, inputs=(taken.name,))
        return builder.add(op), codes

    size = grid.out_height * grid.out_width * channels
    builder.values[node] = Pending(size, labels, emit, frames=frames, spare=right // stride, scalar_only=True)

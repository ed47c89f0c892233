"""Rules for products with weights: linear layers, convolutions, tables."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fewbit.errors import LoweringError
from fewbit.formats import PerGroup, PerRow
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.signals import Pending, Signal, Symbols, frames_of
from fewbit.lower.weights import Floats, SignalCodes, Weight, bias_bits, integer_bias, to_float, weight_of
from fewbit.program import ops
from fewbit.program.limits import MAX_SUM
from fewbit.program.numerics import Integers, rescale_from
from fewbit.tracing import MOVES, args_of, operator_of

NO_WEIGHT = "its weight is float; quantize it (weights='int8' costs almost no accuracy)"

Emit = Callable[[str, ops.Matrix, Integers, Any, int], ops.Op]
"""An op of a name, packed weights, bias, rescale and unread last frames."""


@rule(aten.linear.default)
def linear(builder: Builder, node: fx.Node) -> None:
    """``x W^T + b`` over the last axis."""
    x, weight, bias = arguments(node, x=None, weight=None, bias=None)
    _linear(builder, node, x, weight_at(builder, weight), bias)


@rule(aten.addmm.default)
def addmm(builder: Builder, node: fx.Node) -> None:
    """``b + x W``: the linear layer of some older networks, with a transposed weight."""
    bias, x, weight = args_of(node)[:3]
    _linear(builder, node, x, weight_at(builder, weight, transposed=True), bias)


@rule(aten.mm.default)
def mm(builder: Builder, node: fx.Node) -> None:
    """``x W`` with a weight."""
    matrix_product(builder, node)


def matrix_product(builder: Builder, node: fx.Node) -> None:
    """``x W`` where ``W`` does not depend on the input."""
    x, weight = args_of(node)[:2]
    if builder.network.is_live(weight) or len(builder.network.shape(weight)) != 2:
        raise LoweringError("a product of two signals has no integer op, except in attention")
    _linear(builder, node, x, weight_at(builder, weight, transposed=True), None)


def _linear(builder: Builder, node: fx.Node, x: Any, weight: Weight, bias: Any) -> None:
    value = builder.signal(x)
    time, order = builder.network.time_of(x), builder.plain_order(x)
    if time == value.labels.ndim - 1:
        raise LoweringError("it multiplies along time, so it needs inputs of one length; give time=None")
    taken = builder.still(value, time, order)
    places = taken.size // weight.codes.shape[1]
    labels, frames = builder.fresh(node, builder.plain_order(node))

    def make(name: str, matrix: ops.Matrix, integers: Integers, rescale: Any, unread: int) -> ops.Op:
        return ops.Dense(name, matrix, integers, rescale, places, inputs=(reader.name,))

    reader = fitting(builder, taken, weight)
    builder.values[node] = product(builder, node, reader, weight, bias, make, labels, frames, places)


@rule(aten.conv1d.default, aten.conv2d.default, aten.conv1d.padding, aten.conv2d.padding)
def convolution(builder: Builder, node: fx.Node) -> None:
    """A convolution over time, over places, or over both."""
    x, weight, bias, stride, padding, dilation, groups = arguments(
        node, x=None, weight=None, bias=None, stride=[1], padding=[0], dilation=[1], groups=1
    )
    network, value = builder.network, builder.signal(x)
    kernel = network.shape(weight)[2:]
    spread = len(kernel)
    stride, dilation = (list(each) * spread if len(each) == 1 else list(each) for each in (stride, dilation))
    pads = _paddings(padding, kernel, dilation, stride)
    dims, time = value.labels.ndim, network.time_of(x)
    space, channel = list(range(dims - spread, dims)), dims - spread - 1
    inner = [axis for axis in space if axis != time]
    rest = [axis for axis in range(channel) if axis != time]
    if any(value.labels.shape[axis] != 1 for axis in rest):
        raise LoweringError("its batch holds several pictures; if they follow each other in time, give time=1")
    maps = network.shape(weight)[1]
    weight = replace(weight_at(builder, weight, axes=_frame_by_frame(spread, space, time)), maps=maps)
    order = [*rest, *inner, channel]
    geometry: dict[str, int] = {"kernel": 1, "stride": 1, "dilation": 1, "left": 0, "right": 0}
    if time in space:
        taken, found = builder.frames(value, time, order)
        at = space.index(time)
        if found.first or found.count != value.frames:
            raise LoweringError("frames are cut off before it, which is impossible in a stream")
        geometry = {
            "kernel": kernel[at],
            "stride": stride[at],
            "dilation": dilation[at],
            "left": pads[at][0] + found.before,
            "right": pads[at][1] + found.after,
        }
    else:
        taken = builder.still(value, time, order)
    if geometry["left"] > (geometry["kernel"] - 1) * geometry["dilation"]:
        raise LoweringError("there are more zeros before its input than its kernel covers")
    grid = _grid(value.labels.shape, inner, [space.index(axis) for axis in inner], kernel, stride, dilation, pads)
    places = grid.out_height * grid.out_width
    out = builder.plain_order(node)
    labels, frames = builder.fresh(node, [*[a for a in out if a not in (*inner, channel)], *inner, channel])
    is_causal = geometry["left"] == (geometry["kernel"] - 1) * geometry["dilation"]
    left = -1 if is_causal and geometry["stride"] <= geometry["kernel"] else geometry["left"]
    reader = fitting(builder, taken, weight)

    def make(name: str, matrix: ops.Matrix, integers: Integers, rescale: Any, unread: int) -> ops.Op:
        right = geometry["right"] - unread * geometry["stride"]
        return ops.Conv(
            name, geometry["kernel"], geometry["stride"], matrix, integers, rescale,
            geometry["dilation"], left, right, groups, grid, inputs=(reader.name,),
        )  # fmt: skip

    spare = geometry["right"] // geometry["stride"]
    builder.values[node] = product(builder, node, reader, weight, bias, make, labels, frames, places, spare)


def _paddings(padding: Any, kernel: Sequence[int], dilation: Sequence[int], stride: Sequence[int]) -> list[Any]:
    """Zeros before and after in each axis."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(pad, pad) for pad in (list(padding) * len(kernel) if len(padding) == 1 else padding)]


def _frame_by_frame(spread: int, space: Sequence[int], time: int | None) -> list[int]:
    """Axes of a weight ``(rows, channels, *kernel)`` as rows, time, places, channels."""
    inner = [2 + i for i in range(spread) if space[i] != time]
    return [0, *([2 + space.index(time)] if time in space else []), *inner, 1]


def _grid(
    shape: Sequence[int], inner: Sequence[int], at: Sequence[int], kernel: Any, stride: Any, dilation: Any, pads: Any
) -> ops.Grid:
    if not inner:
        return ops.ONE_PLACE
    sizes = [shape[axis] for axis in inner]
    numbers = [[each[i] for i in at] for each in (kernel, stride, dilation)]
    ends = [pads[i] for i in at]
    if len(sizes) == 1:
        sizes, numbers, ends = [1, *sizes], [[1, *each] for each in numbers], [(0, 0), *ends]
    (kh, kw), (sh, sw), (dh, dw) = numbers
    (height, width), (vertical, horizontal) = sizes, ends
    return ops.Grid(height, width, kh, kw, sh, sw, dh, dw, *vertical, *horizontal)


def fitting(builder: Builder, signal: Signal, weight: Weight) -> Signal:
    """The signal with few enough codes that sums of products stay below `MAX_SUM`."""
    most = int(np.abs(weight.codes).sum(axis=1).max())
    codes = signal.codes
    while most * max(-codes.low, codes.high) >= MAX_SUM:
        codes = SignalCodes(2 * codes.step, codes.low // 2, codes.high // 2)
    return signal if codes == signal.codes else builder.emitted(builder.reopened(signal), codes)


def product(
    builder: Builder,
    node: fx.Node,
    reader: Signal,
    weight: Weight,
    bias: Any,
    make: Emit,
    labels: Any,
    frames: int,
    places: int,
    spare: int = 0,
) -> Pending:
    """A pending product: later operations may scale its rows, add to them and clamp them."""
    rows = len(weight.codes)
    # Rows that are phases of the same outputs have their biases in turn.
    real_bias = np.resize(np.zeros(1) if bias is None else to_float(builder.network.constant(bias)), rows)
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        scale, wanted = weight.scale * reader.codes.step * gain, real_bias * gain + offset
        up = bias_bits(weight, scale, wanted, reader.codes, codes.step)
        matrix, scale, integers = integer_bias(weight, scale * 0.5**up, wanted)
        rescale = rescale_from(scale / codes.step, codes.low, codes.high)
        op = make(name, matrix, integers, rescale, unread)
        assert isinstance(op, ops.Dense | ops.Conv)
        return builder.add(replace(op, bias_bits=up)), codes

    return Pending(places * rows, labels, emit, channels=rows, frames=frames, spare=spare)


def weight_at(builder: Builder, node: Any, transposed: bool = False, axes: Sequence[int] | None = None) -> Weight:
    """The codes of a weight, through what moves them; its rows first, and then `axes`.

    Raises:
        LoweringError: it is float, depends on the input, or its steps are not those of rows.
    """
    network = builder.network
    if network.is_live(node):
        raise LoweringError("its weight depends on the input, so it cannot be packed")
    moves: list[fx.Node] = []
    root = node
    while isinstance(root, fx.Node) and root.target in MOVES:
        moves.append(root)
        root = args_of(root)[0]
    if isinstance(root, fx.Node) and root.target is not None and "getitem" in str(root.target):
        return _weight_of_part(builder, root, moves, transposed, axes)
    quantizer = network.quantizer(root) if isinstance(root, fx.Node) else None
    if quantizer is None:
        raise LoweringError(NO_WEIGHT)
    found = weight_of(quantizer, network.constant(args_of(root)[0]))
    shape = network.shape(root)
    if not moves and not transposed and axes is None:
        return found
    if found.group_scale is not None:
        if axes is not None and sorted(axes) == list(axes) and not moves and not transposed:
            return found
        raise LoweringError("its weight has a scale per group of columns, and its columns are moved")
    codes = torch.from_numpy(found.codes.reshape(shape))
    scale = torch.from_numpy(np.ascontiguousarray(found.scale)).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    codes, scale = (_moved(builder, moves, each) for each in (codes, scale))
    return _arranged(codes, scale, found, transposed, axes)


def _weight_of_part(builder: Builder, item: fx.Node, moves: list[fx.Node], transposed: bool, axes: Any) -> Weight:
    """A weight that is one of the parts that another one was split into."""
    split, index = args_of(item)
    assert isinstance(split, fx.Node)
    root = args_of(split)[0]
    inside: list[fx.Node] = []
    while isinstance(root, fx.Node) and root.target in MOVES:
        inside.append(root)
        root = args_of(root)[0]
    quantizer = builder.network.quantizer(root) if isinstance(root, fx.Node) else None
    if quantizer is None or split.target not in MOVES:
        raise LoweringError(NO_WEIGHT)
    found = weight_of(quantizer, builder.network.constant(args_of(root)[0]))
    if found.group_scale is not None:
        raise LoweringError("its weight has a scale per group of columns, and is split")
    shape = builder.network.shape(root)
    codes = torch.from_numpy(found.codes.reshape(shape))
    scale = torch.from_numpy(np.ascontiguousarray(found.scale)).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    parts = []
    for each in (codes, scale):
        whole = _moved(builder, inside, each)
        part = operator_of(split)(whole, *args_of(split)[1:], **split.kwargs)[index]
        parts.append(_moved(builder, moves, part))
    codes, scale = parts
    return _arranged(codes, scale, found, transposed, axes)


def _moved(builder: Builder, moves: list[fx.Node], tensor: Tensor) -> Tensor:
    for move in reversed(moves):
        rest = [builder.network.constant(argument) for argument in args_of(move)[1:]]
        tensor = operator_of(move)(tensor, *rest, **move.kwargs)
    return tensor


def _arranged(codes: Tensor, scale: Tensor, found: Weight, transposed: bool, axes: Sequence[int] | None) -> Weight:
    if transposed:
        codes, scale = codes.t(), scale.t()
    if axes is not None:
        codes, scale = codes.permute(*axes), scale.permute(*axes)
    rows = len(codes)
    flat = codes.reshape(rows, -1).numpy().astype(np.int64)
    steps = scale.reshape(rows, -1).numpy()
    if not (steps == steps[:, :1]).all():
        raise LoweringError("its weight has a step for each column here; quantize it with one step for the tensor")
    return replace(found, codes=flat, scale=steps[:, 0], per=found.per if isinstance(found.per, PerGroup) else PerRow())


@rule(aten.embedding.default)
def embedding(builder: Builder, node: fx.Node) -> None:
    """Rows of a table for symbols of the input."""
    table, x = args_of(node)[:2]
    if not builder.network.is_live(x):
        raise LoweringError("a table is indexed by constants, but its weight is quantized; leave it float")
    value = builder.values[x]
    if not isinstance(value, Symbols):
        raise LoweringError("a table is indexed by numbers that the network computes, wanted symbols of the input")
    weight = weight_at(builder, table)
    rows, columns = weight.codes.shape
    network = builder.network
    found = frames_of(value.labels, value.places, network.time_of(x), builder.plain_order(x))
    if not np.array_equal(found.index, np.arange(1, value.places + 1)) or found.count != value.frames:
        raise LoweringError("symbols of the input are moved or cut before a table reads them")
    places = value.places
    scale = np.broadcast_to(weight.scale, rows)
    name = builder.name(node)
    builder.reserve(name)
    labels, frames = builder.fresh(node, builder.plain_order(node))

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        rescale = rescale_from(scale * float(gain.flat[0]) / codes.step, codes.low, codes.high)
        if codes.low < -(1 << 15):
            raise LoweringError("the network only returns rows of its table, so there is nothing to pack")
        return builder.add(ops.Lookup(name, weight.matrix(), rescale, places, value.first)), codes

    builder.values[node] = Pending(places * columns, labels, emit, channels=columns, frames=frames, scalar_only=True)

"""Rules for operators on each number: sums, products, batch norms, and functions by tables."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.nn import functional

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.signals import Pending, Scores, Signal, frames_of
from fewbit.lower.weights import Floats, SignalCodes, to_float
from fewbit.program import ops
from fewbit.program.numerics import INT16, Q15, rescale_from
from fewbit.tracing import args_of

POINT_BITS = 9
"""A function of 16-bit codes has 2**9 + 1 points."""
SPARE_BITS = 8
"""Bits of a point below a code of the result, at most."""


# -- linear: folded into what came before, or an op of its own


@rule(aten.batch_norm.default)
def batch_norm(builder: Builder, node: fx.Node) -> None:
    """Fixed statistics: a gain and a shift for each channel."""
    x, weight, bias, mean, variance, training, _, eps, _ = args_of(node)
    if training or mean is None:
        raise LoweringError("it uses the statistics of the batch; call model.eval(), with running statistics")
    constant = builder.network.constant
    gain = 1 / np.sqrt(to_float(constant(variance)) + float(eps))
    if weight is not None:
        gain = gain * to_float(constant(weight))
    offset = -to_float(constant(mean)) * gain
    if bias is not None:
        offset = offset + to_float(constant(bias))
    shape = [1] * len(builder.network.shape(node))
    shape[1] = -1
    affine(builder, node, x, gain.reshape(shape), offset.reshape(shape))


def affine(builder: Builder, node: fx.Node, x: Any, gain: Floats, offset: Floats) -> None:
    """A gain and an offset, in the shape of the tensor or one that broadcasts to it."""
    gain, offset = np.asarray(gain, np.float64), np.asarray(offset, np.float64)
    pending = builder.pending(x)
    shape = builder.network.shape(node)
    if pending.labels.shape != shape:
        pending = replace(pending, labels=np.broadcast_to(pending.labels, shape))
    found = pending.scaled(gain, offset)
    if found is None:
        signal = builder.signal(x)
        signal = replace(signal, labels=np.broadcast_to(signal.labels, shape))
        found = builder.reopened(signal).scaled(gain, offset)
    if found is None:  # numbers of a frame were repeated or turned: they get places of their own first
        order, time = builder.natural_order(node, signal.labels), builder.network.time_of(node)
        taken = builder.still(signal, time, order)
        labels, frames = builder.fresh(node, order)
        found = builder.reopened(replace(taken, labels=labels, frames=frames)).scaled(gain, offset)
    if found is None:
        raise LoweringError("a constant changes with time; give it to the network as an input")
    builder.values[node] = found


@rule(aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.sub_.Tensor, aten.rsub.Scalar)
def add(builder: Builder, node: fx.Node) -> None:
    """A sum or difference of two tensors, or of a tensor and a constant."""
    x, y, alpha = arguments(node, x=None, y=None, alpha=1)
    sign = float(alpha) * (-1.0 if "sub" in str(node.target) else 1.0)
    if "rsub" in str(node.target):
        x, y, first, second = y, x, 1.0, sign
    else:
        first, second = 1.0, sign
    if any(isinstance(builder.values.get(each), Scores) for each in (x, y) if isinstance(each, fx.Node)):
        from fewbit.lower.rules_attention import mask_scores

        mask_scores(builder, node, x, y)
        return
    live = [builder.network.is_live(x), builder.network.is_live(y)]
    if all(live):
        _sum_of_two(builder, node, (x, y), (first, second))
        return
    signal, constant, gain, factor = (x, y, first, second) if live[0] else (y, x, second, first)
    moving = builder.moving_constant(node, constant, signal)
    if moving is not None:
        _sum_of_two(builder, node, (signal, moving), (gain, factor))
        return
    affine(builder, node, signal, np.array(gain), factor * _floats(builder, constant))


def _floats(builder: Builder, constant: Any) -> Floats:
    value = builder.network.constant(constant)
    return to_float(value) if isinstance(value, Tensor) else np.asarray(float(value))


def _sum_of_two(builder: Builder, node: fx.Node, parts: tuple[Any, Any], factors: tuple[float, float]) -> None:
    signals, labels, frames = _side_by_side(builder, node, parts)
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        real = [factor * signal.codes.step / codes.step for factor, signal in zip(factors, signals, strict=True)]
        return builder.sum(name, signals, [gain * each for each in real], offset / codes.step, codes), codes

    size = max(signal.size for signal in signals)
    builder.values[node] = Pending(size, labels, emit, channels=size, frames=frames)


def _side_by_side(builder: Builder, node: fx.Node, parts: tuple[Any, Any]) -> tuple[list[Signal], Any, int]:
    """Two operands with their frames in one order, labels of the result, and its frames.

    An operand that is the same in neighbouring places is repeated by the op, not in memory.
    """
    shape = builder.network.shape(node)
    found = [part if isinstance(part, Signal) else builder.signal(part) for part in parts]
    wide = [replace(signal, labels=np.broadcast_to(signal.labels, shape)) for signal in found]
    time = builder.network.time_of(node)
    # The order of an operand that is neither repeated nor padded, so that it stays where it is.
    unmoved = [signal for signal in found if signal.labels.shape == shape and bool((signal.labels > 0).all())]
    order = builder.natural_order(node, unmoved[0].labels if unmoved else wide[0].labels)
    labels, frames = builder.fresh(node, order)
    taken = []
    for signal, each in zip(found, wide, strict=True):
        taken.append(_repeated(builder, signal, each, time, order))
    if time is not None and len({signal.frames for signal in taken}) > 1:
        raise LoweringError("its operands have different lengths in time")
    return taken, labels, frames


def _repeated(builder: Builder, signal: Signal, wide: Signal, time: int | None, order: list[int]) -> Signal:
    """The signal, short, if its frames repeat themselves in the wanted order; else in full."""
    if time is not None and wide.labels.strides[time] == 0 and wide.labels.shape[time] > 1:
        raise LoweringError("a value without time is used in all frames, but it is known only after the last one")
    index = frames_of(wide.labels, signal.size, time, order).index
    for period in sorted({signal.size, len(index)}):
        if (
            len(index) % period == 0
            and period < len(index)
            and np.array_equal(index, np.resize(index[:period], len(index)))
        ):
            return builder.taken(signal, index[:period])
    return builder.still(wide, time, order)


@rule(aten.mul.Tensor, aten.mul_.Tensor, aten.div.Tensor, aten.div_.Tensor, aten.mul.Scalar, aten.div.Scalar)
def multiply(builder: Builder, node: fx.Node) -> None:
    """A product of two tensors, or a tensor times a constant."""
    x, y = args_of(node)[:2]
    divides = "div" in str(node.target)
    live = [builder.network.is_live(x), builder.network.is_live(y)]
    if isinstance(builder.values.get(x) if isinstance(x, fx.Node) else None, Scores):
        factor = float(_floats(builder, y).reshape(-1)[0])
        scores = builder.values[x]
        builder.values[node] = replace(scores, scale=scores.scale / factor if divides else scores.scale * factor)
        return
    if all(live):
        if divides:
            raise LoweringError("a quotient of two signals has no integer op, except for x / norm(x) and softmax")
        _product_of_two(builder, node, (x, y))
        return
    if divides and not live[0]:
        raise LoweringError("a constant divided by a signal has no integer op")
    signal, constant = (x, y) if live[0] else (y, x)
    moving = None if divides else builder.moving_constant(node, constant, signal)
    if moving is not None:
        _product_of_two(builder, node, (signal, moving))
        return
    numbers = _floats(builder, constant)
    affine(builder, node, signal, 1 / numbers if divides else numbers, np.array(0.0))


def _product_of_two(builder: Builder, node: fx.Node, parts: tuple[Any, Any]) -> None:
    signals, labels, frames = _side_by_side(builder, node, parts)
    if signals[0].size < signals[1].size:
        signals.reverse()
    product_of_signals(builder, node, signals, labels, frames)


def product_of_signals(builder: Builder, node: fx.Node, signals: list[Signal], labels: Any, frames: int) -> None:
    """The product of two emitted signals as the value of a node."""
    step = signals[0].codes.step * signals[1].codes.step
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        rescale = rescale_from(step * float(gain.flat[0]) / codes.step, codes.low, codes.high)
        return builder.add(ops.Mul(name, rescale, inputs=(signals[0].name, signals[1].name))), codes

    builder.values[node] = Pending(signals[0].size, labels, emit, frames=frames, scalar_only=True)


# -- clamps


@rule(aten.relu.default, aten.relu_.default, aten.relu6.default, aten.hardtanh.default, aten.hardtanh_.default)
@rule(aten.clamp.default, aten.clamp_.default, aten.clamp_min.default, aten.clamp_max.default)
def clamp(builder: Builder, node: fx.Node) -> None:
    """Clamping at one or two ends: it becomes the range of the op before."""
    low, high = _ends(node)
    x = args_of(node)[0]
    pending = builder.pending(x)
    found = pending.clamped(low, high)
    if found is None:
        signal = builder.signal(x)
        order = builder.plain_order(node)
        taken = builder.still(signal, builder.network.time_of(node), order)
        labels, frames = builder.fresh(node, order)
        found = builder.reopened(replace(taken, labels=labels, frames=frames)).clamped(low, high)
    builder.values[node] = found


def _ends(node: fx.Node) -> tuple[float, float]:
    """The ends at which the values of a node are clamped."""
    name = str(node.target).removeprefix("aten.").split(".")[0].removesuffix("_")
    if name in ("relu", "relu6"):
        return 0.0, 6.0 if name == "relu6" else np.inf
    default = (-1.0, 1.0) if name == "hardtanh" else (None, None)
    _, first, second = arguments(node, x=None, first=default[0], second=default[1])
    if name == "clamp_max":
        first, second = None, first
    return (-np.inf if first is None else float(first)), (np.inf if second is None else float(second))


# -- functions


def _by_torch(function: Callable[..., Tensor]) -> Callable[..., Floats]:
    def call(x: Floats, *args: Any, **named: Any) -> Floats:
        return function(torch.from_numpy(np.ascontiguousarray(x)), *args, **named).double().numpy()

    return call


FUNCTIONS: dict[Any, Callable[..., Floats]] = {
    aten.gelu.default: _by_torch(functional.gelu),
    aten.silu.default: _by_torch(functional.silu),
    aten.silu_.default: _by_torch(functional.silu),
    aten.sigmoid.default: _by_torch(torch.sigmoid),
    aten.tanh.default: _by_torch(torch.tanh),
    aten.exp.default: _by_torch(torch.exp),
    aten.log.default: _by_torch(torch.log),
    aten.log1p.default: _by_torch(torch.log1p),
    aten.sqrt.default: _by_torch(torch.sqrt),
    aten.rsqrt.default: _by_torch(torch.rsqrt),
    aten.reciprocal.default: _by_torch(torch.reciprocal),
    aten.abs.default: _by_torch(torch.abs),
    aten.square.default: _by_torch(torch.square),
    aten.sin.default: _by_torch(torch.sin),
    aten.cos.default: _by_torch(torch.cos),
    aten.erf.default: _by_torch(torch.erf),
    aten.softplus.default: _by_torch(functional.softplus),
    aten.elu.default: _by_torch(functional.elu),
    aten.elu_.default: _by_torch(functional.elu),
    aten.selu.default: _by_torch(functional.selu),
    aten.mish.default: _by_torch(functional.mish),
    aten.log_sigmoid.default: _by_torch(functional.logsigmoid),
    aten.hardswish.default: _by_torch(functional.hardswish),
    aten.hardswish_.default: _by_torch(functional.hardswish),
    aten.hardsigmoid.default: _by_torch(functional.hardsigmoid),
    aten.leaky_relu.default: _by_torch(functional.leaky_relu),
    aten.leaky_relu_.default: _by_torch(functional.leaky_relu),
    aten.pow.Tensor_Scalar: _by_torch(torch.pow),
    aten.sign.default: _by_torch(torch.sign),
}
"""Functions of one number."""


@rule(*FUNCTIONS)
def function(builder: Builder, node: fx.Node) -> None:
    """A table of points of the function."""
    x = args_of(node)[0]
    named = {key: value for key, value in node.kwargs.items() if key in ("approximate", "alpha", "beta", "threshold")}

    def values(numbers: Floats) -> Floats:
        return FUNCTIONS[node.target](numbers, *args_of(node)[1:], **named)

    signal = builder.signal(x)
    builder.values[node] = mapped(builder, node, signal, values)


@rule(aten.prelu.default, aten._prelu_kernel.default)
def prelu(builder: Builder, node: fx.Node) -> None:
    """A leaky ReLU with learned slopes: one for all numbers is a table, one for each channel an op of its own."""
    x, weight = args_of(node)[:2]
    slopes = to_float(builder.network.constant(weight)).reshape(-1)
    signal = builder.signal(x)
    if len(np.unique(slopes)) == 1:
        slope = float(slopes[0])
        builder.values[node] = mapped(builder, node, signal, lambda v: np.where(v > 0, v, slope * v))
        return
    shape, time = builder.network.shape(node), builder.network.time_of(node)
    order = builder.natural_order(node, signal.labels)
    taken = builder.still(signal, time, order)
    labels, frames = builder.fresh(node, order)
    wide = np.broadcast_to(slopes.reshape(1, -1, *[1] * (len(shape) - 2)), shape)
    frame = wide if time is None else np.take(wide, 0, time)
    rest = [axis - (time is not None and axis > time) for axis in order]
    negative = np.transpose(frame, rest).reshape(-1)
    period = next(
        n for n in range(1, len(negative) + 1) if np.array_equal(negative, np.resize(negative[:n], len(negative)))
    )
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        factor = taken.codes.step * float(gain.flat[0]) / codes.step
        both = rescale_from(factor * np.concatenate([[1.0], negative[:period]]), codes.low, codes.high)
        positive, slopes = int(both.multiplier[0]), both.multiplier[1:]
        op = ops.PReLU(name, positive, slopes, both.shift, codes.low, codes.high, inputs=(taken.name,))
        return builder.add(op), codes

    builder.values[node] = Pending(taken.size, labels, emit, frames=frames, scalar_only=True)


def mapped(builder: Builder, node: fx.Node, signal: Signal, values: Callable[[Floats], Floats]) -> Pending:
    """A function of an emitted signal, as the value of a node."""
    order, time = builder.natural_order(node, signal.labels), builder.network.time_of(node)
    taken = builder.still(signal, time, order)
    labels, frames = builder.fresh(node, order)
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        factor = float(gain.flat[0])
        # Results of the network may be finer than the points of a table.
        inner = codes if codes.low >= INT16[0] and codes.high <= INT16[1] else builder.by_range(node)
        found = builder.add(table_of(name, taken, lambda v: factor * values(v), inner))
        return builder.recoded(Signal(found, taken.size, inner, np.zeros(0, np.int64), frames), codes)

    return Pending(taken.size, labels, emit, frames=frames, scalar_only=True)


def table_of(name: str, x: Signal, values: Callable[[Floats], Floats], codes: SignalCodes) -> ops.Map:
    """The op that maps codes of a signal to codes of a function of its real values."""
    bits = int(np.ceil(np.log2(max(-x.codes.low, x.codes.high + 1, 2)))) + 1
    fraction = max(0, bits - POINT_BITS)
    first = -(1 << (bits - 1))
    places = np.arange(first, (1 << (bits - 1)) + 1, 1 << fraction, dtype=np.float64)
    with np.errstate(all="ignore"):
        real = np.nan_to_num(values(places * x.codes.step) / codes.step, nan=0.0, posinf=1e30, neginf=-1e30)
    largest = max(abs(codes.low), abs(codes.high), 1)
    spare = int(np.clip(15 - np.ceil(np.log2(largest + 1)), 0, SPARE_BITS))
    points = np.clip(np.rint(real * 2.0**spare), *INT16).astype(np.int16)
    return ops.Map(name, points, first, fraction, spare, codes.low, codes.high, inputs=(x.name,))


@rule(aten.glu.default)
def glu(builder: Builder, node: fx.Node) -> None:
    """Half of the numbers times the sigmoid of the other half."""
    x, dim = arguments(node, x=None, dim=-1)
    value = builder.signal(x)
    left, right = np.split(value.labels, 2, dim)
    order, time = builder.natural_order(node, left), builder.network.time_of(node)
    signals = [builder.still(replace(value, labels=half), time, order) for half in (left, right)]
    codes = SignalCodes(1 / (Q15 - 1), *INT16)
    gate = builder.add(
        table_of(
            builder.name(node, f"{builder.network.path(node)}.gate"), signals[1], FUNCTIONS[aten.sigmoid.default], codes
        )
    )
    labels, frames = builder.fresh(node, order)
    gate_signal = Signal(gate, signals[1].size, codes, np.zeros(0, np.int64), frames)
    product_of_signals(builder, node, [signals[0], gate_signal], labels, frames)

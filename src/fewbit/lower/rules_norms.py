"""Rules for norms, written as one operator or in steps, and for softmax."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.signals import Pending, Scores, Signal
from fewbit.lower.weights import Floats, SignalCodes, to_float
from fewbit.program import ops
from fewbit.program.limits import MAX_BIAS
from fewbit.program.numerics import EXP_BITS, LOG_BITS, NORM_BITS, rescale_from
from fewbit.tracing import args_of


@rule(aten.layer_norm.default)
def layer_norm(builder: Builder, node: fx.Node) -> None:
    """Mean and variance of the last axes."""
    x, shape, weight, bias, eps = arguments(node, x=None, shape=None, weight=None, bias=None, eps=1e-5)
    norm(builder, node, x, len(shape), eps, centre=True)
    _gain(builder, node, weight, bias)


@rule(aten.rms_norm.default)
def rms_norm(builder: Builder, node: fx.Node) -> None:
    """Mean square of the last axes."""
    x, shape, weight, eps = arguments(node, x=None, shape=None, weight=None, eps=None)
    norm(builder, node, x, len(shape), torch.finfo(torch.float32).eps if eps is None else eps, centre=False)
    _gain(builder, node, weight, None)


@rule(aten.group_norm.default, aten.instance_norm.default)
def group_norm(builder: Builder, node: fx.Node) -> None:
    """Mean and variance of a group of channels over all places of a frame."""
    if "instance" in str(node.target):
        x, weight, bias, _, _, use_input, _, eps = list(args_of(node))[:8]
        groups = builder.network.shape(x)[1]
        if not use_input:
            raise LoweringError("instance norm with running statistics has no integer op; use batch norm")
    else:
        x, groups, weight, bias, eps = arguments(node, x=None, groups=1, weight=None, bias=None, eps=1e-5)
    shape, time = builder.network.shape(node), builder.network.time_of(node)
    if time is not None and time >= 2:
        raise LoweringError("it takes the mean over time, which a stream does not have; use batch norm or layer norm")
    signal = builder.signal(x)
    order = builder.plain_order(node)  # channels first: the places of a group lie side by side
    length = int(np.prod(shape[1:])) // groups
    _norm(builder, node, builder.still(signal, time, order), length, float(eps), True, order)
    wide = [1, -1, *[1] * (len(shape) - 2)]
    _gain(builder, node, weight, bias, wide)


def norm(builder: Builder, node: fx.Node, x: Any, axes: int, eps: float, centre: bool, factor: float = 1.0) -> None:
    """The last axes of a tensor, normalised together and times a factor."""
    order, shape, time = builder.plain_order(node), builder.network.shape(node), builder.network.time_of(node)
    if time is not None and time >= len(shape) - axes:
        raise LoweringError("it takes the mean over time, which a stream does not have")
    length = int(np.prod(shape[len(shape) - axes :]))
    _norm(builder, node, builder.still(builder.signal(x), time, order), length, eps, centre, order, factor)


def _norm(
    builder: Builder,
    node: fx.Node,
    x: Any,
    length: int,
    eps: float,
    centre: bool,
    order: list[int],
    factor: float = 1.0,
) -> None:
    labels, frames = builder.fresh(node, order)
    name = builder.name(node)
    builder.reserve(name)
    mantissa, shift = _eps_from(eps * (length**3 if centre else length) / x.codes.step**2)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        # w = d / sqrt(sum d*d) is the normalised value over sqrt(length).
        real = gain * factor * math.sqrt(length) / codes.step
        rescale = rescale_from(np.ldexp(real, 8 - NORM_BITS), codes.low, codes.high)
        bias = np.clip(np.rint(offset / codes.step * 256), -MAX_BIAS, MAX_BIAS).astype(np.int64)
        op = ops.Norm(
            name,
            length,
            int(centre),
            mantissa,
            shift,
            rescale.multiplier,
            rescale.shift,
            bias,
            codes.low,
            codes.high,
            inputs=(x.name,),
        )
        return builder.add(op), codes

    builder.values[node] = Pending(x.size, labels, emit, channels=length, frames=frames)


def _eps_from(units: float) -> tuple[int, int]:
    """The number as ``mantissa * 2**shift`` with a mantissa of 30 bits and a shift up to 30."""
    shift = int(np.clip(np.ceil(np.log2(max(units, 1.0))) - 30, 0, 30))
    return int(min(np.rint(units / 2.0**shift), (1 << 31) - 1)), shift


def _gain(builder: Builder, node: fx.Node, weight: Any, bias: Any, shape: Any = None) -> None:
    """The learned gain and offset of a norm, folded into it."""
    pending = builder.values[node]
    assert isinstance(pending, Pending)
    gain, offset = (np.array(value) for value in (1.0, 0.0))
    if weight is not None:
        gain = to_float(builder.network.constant(weight))
    if bias is not None:
        offset = to_float(builder.network.constant(bias))
    if shape is not None:
        gain, offset = (each.reshape(shape) if each.ndim else each for each in (gain, offset))
    if gain.ndim == 0 and offset.ndim == 0:
        return
    found = pending.scaled(gain, offset)
    if found is None:
        name, codes = pending.emit(builder.by_range(node), pending.gain, pending.offset, 0)
        found = builder.reopened(Signal(name, pending.size, codes, pending.labels, pending.frames)).scaled(gain, offset)
    assert found is not None
    builder.values[node] = found


# -- softmax


@rule(aten.softmax.int, aten._softmax.default, aten.log_softmax.int, aten._log_softmax.default)
def softmax(builder: Builder, node: fx.Node) -> None:
    """Shares of an axis, or their logarithms; shares of attention scores are the weights of the mixture."""
    x, dim = args_of(node)[:2]
    value, is_log = builder.values[x], "log_softmax" in str(node.target)
    if isinstance(value, Scores) and not is_log:
        builder.values[node] = replace(value, is_shares=True)
        return
    shape, time = builder.network.shape(node), builder.network.time_of(node)
    axis = int(dim) % len(shape)
    if axis == time:
        raise LoweringError("softmax over time outside of attention needs the whole input, and has no integer op")
    order = [each for each in builder.plain_order(node) if each != axis] + [axis]
    taken = builder.still(builder.signal(x), time, order)
    labels, frames = builder.fresh(node, order)
    name = builder.name(node)
    builder.reserve(name)
    exponent = rescale_from(taken.codes.step * np.log2(np.e) * (1 << EXP_BITS), 0, 0)
    multiplier, shift = exponent_of(float(exponent.multiplier[0]) / 2.0**exponent.shift)
    kind, unit = (ops.LogSoftmax, np.log(2) / (1 << LOG_BITS)) if is_log else (ops.Softmax, 1 / (1 << 15))

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        rescale = rescale_from(float(gain.flat[0]) * unit / codes.step, codes.low, codes.high)
        return builder.add(kind(name, shape[axis], multiplier, shift, rescale, inputs=(taken.name,))), codes

    builder.values[node] = Pending(taken.size, labels, emit, frames=frames, scalar_only=True)


def exponent_of(factor: float) -> tuple[int, int]:
    """A factor as ``multiplier / 2**shift`` with a multiplier of 16 bits, so that distances of scores stay exact."""
    shift = int(np.clip(15 - np.floor(np.log2(max(factor, 1e-30))), 0, 62))
    return int(np.rint(factor * 2.0**shift)), shift

"""Patterns of several nodes that become one op: norms and magnitudes that are written in steps.

As separate ops their steps would need far more bits than their results: squares have twice as many.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.observed import Observed
from fewbit.lower.rules import Fused, aten, pattern
from fewbit.lower.rules_norms import norm
from fewbit.lower.signals import Pending
from fewbit.lower.weights import Floats, SignalCodes
from fewbit.program import ops
from fewbit.program.numerics import rescale_from
from fewbit.tracing import SAME, args_of

RESHAPED = {
    aten.clamp_min.default,
    aten.clamp.default,
    aten.expand.default,
    aten.expand_as.default,
    aten.unsqueeze.default,
}
"""What may stand between a length and the division by it; the smallest length that `clamp` allows counts as 0."""
LENGTHS = {aten.linalg_vector_norm.default, aten.norm.ScalarOpt_dim, aten.norm.Scalar}


@pattern
def rms_norm(network: Observed, node: fx.Node) -> Fused | None:
    """``x * rsqrt(mean(x * x) + eps)``."""
    if node.target is not aten.mul.Tensor:
        return None
    left, right = args_of(node)[:2]
    for x, root in ((left, right), (right, left)):
        if not isinstance(root, fx.Node) or root.target is not aten.rsqrt.default:
            continue
        inner, eps, steps = _without_constant(network, args_of(root)[0])
        if not isinstance(inner, fx.Node) or inner.target is not aten.mean.dim:
            continue
        square = _square_of(args_of(inner)[0])
        if square is not None and _origin(square) is _origin(x) and _is_last_axis(network, x, args_of(inner)[1]):
            nodes = frozenset({root, inner, args_of(inner)[0], *steps})
            return Fused(nodes, partial(_norm, x=x, eps=eps, factor=1.0))
    return None


@pattern
def l2_norm(network: Observed, node: fx.Node) -> Fused | None:
    """``x / norm(x)``."""
    if node.target is not aten.div.Tensor or not network.is_live(args_of(node)[1]):
        return None
    x, length = args_of(node)[:2]
    steps = {length}
    while isinstance(length, fx.Node) and length.target in RESHAPED:
        length = args_of(length)[0]
        steps.add(length)
    if not isinstance(length, fx.Node) or length.target not in LENGTHS:
        return None
    source, order, axes = (*args_of(length), None, None)[:3]
    if source is not x or order not in (2, 2.0, None) or not _is_last_axis(network, x, axes):
        return None
    factor = 1 / math.sqrt(network.shape(x)[-1])
    return Fused(frozenset(steps), partial(_norm, x=x, eps=0.0, factor=factor))


@pattern
def magnitude(network: Observed, node: fx.Node) -> Fused | None:
    """``sqrt(a * a + b * b + eps)``: of complex numbers, as in a spectrogram."""
    if node.target is not aten.sqrt.default:
        return None
    inner, eps, steps = _without_constant(network, args_of(node)[0])
    squares, found = _terms(inner)
    roots = [_square_of(each) for each in squares]
    if len(roots) < 2 or any(root is None for root in roots):
        return None
    return Fused(frozenset({*steps, *found, *squares}), partial(_magnitude, roots=roots, eps=eps))


def _without_constant(network: Observed, node: Any) -> tuple[Any, float, set[fx.Node]]:
    """A node without the constant that is added to it, that constant, and the nodes of the addition."""
    if isinstance(node, fx.Node) and node.target is aten.add.Tensor and not network.is_live(args_of(node)[1]):
        return args_of(node)[0], float(network.constant(args_of(node)[1])), {node}
    return node, 0.0, set()


def _terms(node: Any) -> tuple[list[Any], set[fx.Node]]:
    """The terms of a sum, and the nodes that add them."""
    if not isinstance(node, fx.Node) or node.target is not aten.add.Tensor:
        return [node], set()
    terms, nodes = [], {node}
    for each in args_of(node)[:2]:
        more, inside = _terms(each)
        terms += more
        nodes |= inside
    return terms, nodes


def _square_of(node: Any) -> Any:
    """The node whose square a node is, or ``None``."""
    if not isinstance(node, fx.Node):
        return None
    if node.target is aten.pow.Tensor_Scalar and args_of(node)[1] == 2:
        return args_of(node)[0]
    if node.target is aten.square.default:
        return args_of(node)[0]
    same = node.target is aten.mul.Tensor and args_of(node)[0] is args_of(node)[1]
    return args_of(node)[0] if same else None


def _is_last_axis(network: Observed, x: fx.Node, axes: Any) -> bool:
    last = len(network.shape(x)) - 1
    return axes is not None and list(axes) in ([-1], [last])


def _origin(node: Any) -> Any:
    while isinstance(node, fx.Node) and node.target in SAME:
        node = args_of(node)[0]
    return node


def _norm(builder: Builder, node: fx.Node, x: fx.Node, eps: float, factor: float) -> None:
    norm(builder, node, x, 1, eps, centre=False, factor=factor)


def _magnitude(builder: Builder, node: fx.Node, roots: list[fx.Node], eps: float) -> None:
    time = builder.network.time_of(node)
    signals = [builder.signal(root) for root in roots]
    order = builder.natural_order(node, signals[0].labels)
    taken = [builder.still(signal, time, order) for signal in signals]
    step = max(signal.codes.step for signal in taken)
    taken = [
        signal
        if signal.codes.step == step
        else builder.emitted(builder.reopened(signal), replace(signal.codes, step=step))
        for signal in taken
    ]
    labels, frames = builder.fresh(node, order)
    name = builder.name(node)
    builder.reserve(name)
    units = int(min(np.rint(eps / step**2 * (1 << 16)), (1 << 31) - 1))
    if units < 0:
        raise LoweringError("a negative constant is added below a square root")

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        rescale = rescale_from(step * float(gain.flat[0]) / codes.step / 256, codes.low, codes.high)
        return builder.add(ops.Magnitude(name, units, rescale, inputs=tuple(each.name for each in taken))), codes

    builder.values[node] = Pending(taken[0].size, labels, emit, frames=frames, scalar_only=True)

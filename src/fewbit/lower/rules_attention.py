"""Rules for attention, as one operator or as products with a softmax between."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.rules_norms import exponent_of
from fewbit.lower.rules_products import matrix_product
from fewbit.lower.signals import Pending, Scores, Signal, fresh_labels
from fewbit.lower.weights import Floats, SignalCodes
from fewbit.program import ops
from fewbit.program.numerics import EXP_BITS, Q15, rescale_from
from fewbit.tracing import args_of

HIDDEN = -1e4
"""What is added to a score to hide it is at most this."""


@rule(aten.scaled_dot_product_attention.default)
def attention(builder: Builder, node: fx.Node) -> None:
    """Queries, keys and values ``(..., places, width)``."""
    q, k, v, mask, _, causal, scale = arguments(
        node, q=None, k=None, v=None, mask=None, dropout=0.0, causal=False, scale=None
    )
    places, keys = builder.network.shape(q)[-2], builder.network.shape(k)[-2]
    seen = np.tril(np.ones((places, keys), bool)) if causal else np.ones((places, keys), bool)
    if mask is not None:
        seen = seen & _seen(builder, mask)
    scale = 1 / math.sqrt(builder.network.shape(q)[-1]) if scale is None else float(scale)
    _attend(builder, node, builder.signal(q), builder.signal(k), builder.signal(v), q, seen, scale)


@rule(aten.matmul.default, aten.bmm.default)
def matmul(builder: Builder, node: fx.Node) -> None:
    """Queries times keys, shares times values, or a signal times a weight."""
    x, y = args_of(node)[:2]
    left = builder.values.get(x) if isinstance(x, fx.Node) else None
    if isinstance(left, Scores):
        if not left.is_shares:
            raise LoweringError("attention scores are multiplied before their softmax")
        (queries, query_node), keys = left.queries, left.keys
        seen = left.seen
        if seen is None:
            seen = np.ones(builder.network.shape(x)[-2:], bool)
        _attend(builder, node, queries, keys, builder.signal(y), query_node, seen, left.scale)
        return
    if not (builder.network.is_live(x) and builder.network.is_live(y)):
        matrix_product(builder, node)
        return
    keys = builder.signal(y)
    transposed = replace(keys, labels=np.swapaxes(keys.labels, -1, -2))
    builder.values[node] = Scores((builder.signal(x), x), transposed)


@rule(aten.masked_fill.Scalar, aten.masked_fill.Tensor, aten.masked_fill_.Scalar)
def masked_fill(builder: Builder, node: fx.Node) -> None:
    """Scores hidden where a constant mask is true."""
    scores = builder.values[args_of(node)[0]]
    if not isinstance(scores, Scores):
        raise LoweringError("a mask fills numbers that are not attention scores, which has no integer op")
    builder.values[node] = _hidden(scores, ~_seen(builder, args_of(node)[1]))


@rule(aten.where.self, aten.where.ScalarOther)
def where(builder: Builder, node: fx.Node) -> None:
    """Scores kept where a constant mask is true."""
    condition, kept = args_of(node)[:2]
    scores = builder.values.get(kept)
    if not isinstance(scores, Scores):
        raise LoweringError("a choice between tensors has no integer op, except for attention scores and a mask")
    builder.values[node] = _hidden(scores, _seen(builder, condition))


def mask_scores(builder: Builder, node: fx.Node, x: Any, y: Any) -> None:
    """Attention scores plus a constant mask of zeros and large negative numbers."""
    scores, mask = (x, y) if isinstance(builder.values.get(x), Scores) else (y, x)
    builder.values[node] = _hidden(builder.values[scores], _seen(builder, mask))


def _hidden(scores: Scores, seen: NDArray[np.bool_]) -> Scores:
    return replace(scores, seen=seen if scores.seen is None else scores.seen & seen)


def _seen(builder: Builder, mask: Any) -> NDArray[np.bool_]:
    """Which keys a constant mask shows, the same for all heads."""
    if builder.network.is_live(mask):
        raise LoweringError(
            "its mask depends on the input; pack it without padding (inputs of a batch of one need no mask)"
        )
    value = builder.network.constant(mask)
    value = value.reshape(*[1] * (2 - value.dim()), *value.shape)
    if value.dtype is not torch.bool:
        if bool(((value != 0) & (value > HIDDEN)).any()):
            raise LoweringError("a bias is added to attention scores, which has no integer op")
        value = value > HIDDEN
    flat = value.reshape(-1, *value.shape[-2:])
    if not bool((flat == flat[:1]).all()):
        raise LoweringError("its mask differs from head to head")
    seen: NDArray[np.bool_] = flat[0].numpy()
    return seen


def _attend(
    builder: Builder,
    node: fx.Node,
    q: Signal,
    k: Signal,
    v: Signal,
    query_node: fx.Node,
    seen: NDArray[np.bool_],
    scale: float,
) -> None:
    """One op for all heads; heads that share keys are found by their labels."""
    network = builder.network
    width, places = q.labels.shape[-1], q.labels.shape[-2]
    over_time = network.time_of(query_node) == q.labels.ndim - 2
    heads, shared = _heads(q, k, v)
    groups = len(shared)
    seen = np.broadcast_to(seen, (places, k.labels.shape[-2]))
    flat = [replace(each, labels=each.labels.reshape(-1, *each.labels.shape[-2:])) for each in (q, k, v)]
    flat = [flat[0], *(replace(each, labels=each.labels[shared]) for each in flat[1:])]
    if over_time:
        signals = [builder.still(each, 1, [0, 2]) for each in flat]
        keys_of, window, pairs = 0, _window(builder, seen), np.ones(1, np.int64)
    elif network.time is None or not network.axes[query_node]:
        signals = [builder.still(each, None, [1, 0, 2]) for each in flat]
        keys_of, window = places, 0
        pairs = np.ones(1, np.int64) if seen.all() else seen.reshape(-1).astype(np.int64)
        if k.labels.shape[-2] != places:
            raise LoweringError("it has another number of keys than of queries, which has no integer op yet")
    else:
        raise LoweringError("it attends over places of each frame of a stream, which has no integer op yet")
    multiplier, shift = exponent_of(
        signals[0].codes.step * signals[1].codes.step * scale * float(np.log2(np.e)) * (1 << EXP_BITS)
    )
    shape = network.shape(node)
    frames = shape[-2] if over_time else 1
    order = [0, 2] if over_time else [1, 0, 2]
    labels = fresh_labels((heads, places, width), 1 if over_time else None, order).reshape(shape)
    name = builder.name(node)
    builder.reserve(name)
    inputs = tuple(signal.name for signal in signals)
    step = signals[2].codes.step

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        rescale = rescale_from(step * float(gain.flat[0]) / Q15 / codes.step, codes.low, codes.high)
        return builder.add(
            ops.Attend(name, heads, groups, width, keys_of, window, multiplier, shift, rescale, pairs, inputs=inputs)
        ), codes

    builder.values[node] = Pending(heads * width * max(keys_of, 1), labels, emit, frames=frames, scalar_only=True)


def _heads(q: Signal, k: Signal, v: Signal) -> tuple[int, list[int]]:
    """Heads of queries, and of keys those that differ from each other."""
    keys, values = (each.labels.reshape(-1, *each.labels.shape[-2:]) for each in (k, v))
    heads = int(np.prod(q.labels.shape[:-2]))
    if len(keys) != heads or len(values) != heads:
        raise LoweringError(f"{heads} heads of queries meet {len(keys)} heads of keys")
    if q.labels.shape[-1] != v.labels.shape[-1]:
        raise LoweringError("its values are wider or narrower than its queries, which has no integer op")
    first = [i for i in range(heads) if i == 0 or not np.array_equal(keys[i], keys[i - 1])]
    each = heads // len(first)
    grouped = heads % len(first) == 0 and all(
        np.array_equal(part[i], part[first[i // each]]) for part in (keys, values) for i in range(heads)
    )
    return heads, first if grouped else list(range(heads))


def _window(builder: Builder, seen: NDArray[np.bool_]) -> int:
    """Frames that a query sees, its own among them; 0 for all frames of the input."""
    if seen.all():
        return 0
    count = len(seen)
    lower = np.tril(np.ones((count, count), bool))
    if seen.shape == lower.shape and np.array_equal(seen, lower):
        return builder.choices.context or count
    for window in range(1, count):
        if seen.shape == lower.shape and np.array_equal(seen, lower & ~np.tril(lower, -window)):
            return window
    raise LoweringError(
        "its mask is neither full, nor causal, nor a causal window, so it cannot run as a stream; give time=None to "
        "pack it for inputs of the length of the example"
    )

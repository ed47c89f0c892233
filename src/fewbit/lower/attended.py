"""Limits of the codes of queries, keys and values, so that the sums of attention fit 32 bits."""

import math
from typing import Any

import torch
from torch import fx

from fewbit.lower.observed import Observed
from fewbit.program.numerics import INT16, INT32, Q15
from fewbit.tracing import MOVES, SAME, args_of

aten = torch.ops.aten
PRODUCTS = (aten.matmul.default, aten.bmm.default)
SOFTMAX = (aten.softmax.int, aten._softmax.default)
KEYS = 64
"""Keys whose weighted values are summed in 32 bits at least; the native runtime multiplies so many at once."""


def largest_code(network: Observed, node: fx.Node) -> int:
    """The largest magnitude of codes for all readers of a node: 16 bits, or fewer if only attention reads it.

    Scores are sums of ``width`` products of queries and keys, mixtures sums of products of values and weights in Q15.
    """
    found = [_largest(network, reader, through) for reader, through in network.uses(node)]
    return min(found) if found and None not in found else INT16[1]  # type: ignore[type-var, return-value]


def _largest(network: Observed, reader: fx.Node, through: Any) -> int | None:
    """The limit that one reader sets for its input `through`; ``None`` if it is no attention."""
    args = args_of(reader)
    if reader.target is aten.scaled_dot_product_attention.default:
        is_value = len(args) > 2 and through is args[2]
    elif reader.target in PRODUCTS and network.is_live(args[0]) and network.is_live(args[1]):
        is_value = _is_softmax(args[0])
    else:
        return None
    if is_value:
        return INT32[1] // ((Q15 - 1) * KEYS)
    width = network.shape(args[0])[-1]
    return min(math.isqrt(INT32[1] // width), INT16[1])


def _is_softmax(node: Any) -> bool:
    while isinstance(node, fx.Node) and node.target in MOVES | SAME:
        node = args_of(node)[0]
    return isinstance(node, fx.Node) and node.target in SOFTMAX

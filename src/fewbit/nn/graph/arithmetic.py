"""What nodes and edges do to rows ``(rows, size)``, be these the frames of a chunk or one frame of many streams."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor, addmm

from fewbit.nn.graph.parts import ACTIVATIONS, Node
from fewbit.nn.graph.schedule import UnitRange

Signals = Mapping[str, Callable[[Tensor], Tensor]]


def combine(node: Node, total: Tensor | None, term: Tensor) -> Tensor:
    """One more summand or factor of a node."""
    if total is None:
        return term
    return total + term if node.aggregation == "sum" else total * term


def multiply(node: Node, total: Tensor | None, rows: Tensor, weight: Tensor) -> Tensor:
    """One more summand or factor, which is ``rows @ weight``; sums take it in passing."""
    if total is not None and node.aggregation == "sum":
        return addmm(total, rows, weight)
    return combine(node, total, rows @ weight)


def finishers(node: Node, signals: Signals) -> tuple[Callable[[Tensor], Tensor], ...]:
    """What leads from the sum or product of a node to its value: the activation, and the signal if there is one."""
    activation = ACTIVATIONS[node.activation]
    return (*((activation,) if activation else ()), *((signals[node.name],) if node.signal else ()))


@cache
def cutter(size: int, ranges: tuple[UnitRange, ...]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """A function that cuts rows of `size` units into `ranges`, which are in the order of their first unit.

    Adjacent ranges that cover the node are cut in one operation, whose gradient is one concatenation; the gradient of a
    slice is as wide as the node.
    """
    starts, stops = [start for _, start, _ in ranges], [stop for _, _, stop in ranges]
    if len(ranges) > 1 and [*starts, size] == [0, *stops]:
        sizes = [stop - start for _, start, stop in ranges]
        return lambda rows: torch.split(rows, sizes, 1)
    return lambda rows: tuple(
        rows if stop - start == size else rows[:, start:stop] for start, stop in zip(starts, stops, strict=True)
    )

"""Example batches for lowering: one row each, cut to one length, and where time lies in them."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from fewbit import nn as layers
from fewbit.batches import PADDING, Call, call_of
from fewbit.errors import LoweringError

FRAMES = 48
"""Of a made-up example: what any network of a few strides takes at this length and at two thirds of it."""
BATCHES, ROWS = 8, 32
"""Batches that are looked at, and rows of all of them together, at most."""


@dataclass(frozen=True)
class Examples:
    """Calls with batches of one row, all with the shapes of the first.

    made_up: the numbers are zeros; they show shapes, but no ranges.
    """

    calls: list[Call]
    made_up: bool = False

    @property
    def first(self) -> Call:
        """The call that is traced."""
        return self.calls[0]

    def lead(self) -> Tensor:
        """The first tensor of the first call: its axes are where time is looked for."""
        return _tensors(self.first)[0]

    def cuts(self, axis: int) -> list[Call]:
        """The first call with a third of its time taken off, or nothing where that leaves no frames.

        All tensors as long as the first are shortened; then that one alone, for others may have its length by chance.
        """
        lead = self.lead()
        length = lead.shape[axis]
        kept = length - length // 3
        if kept == length:
            return []
        alike = [leaf for leaf in _tensors(self.first) if leaf.dim() > axis and leaf.shape[axis] == length]
        groups = [alike] if len(alike) == 1 else [alike, [lead]]
        return [_narrowed(self.first, axis, group, kept) for group in groups]


def examples_of(model: nn.Module, example: Any) -> Examples:
    """The rows of a DataLoader, a list of batches, or one batch.

    Raises:
        LoweringError: there are no batches, or their tensors are not float32 or integers.
    """
    one = isinstance(example, Tensor | tuple | Mapping) or not isinstance(example, Iterable)
    batches = [example] if one else list(islice(example, BATCHES))
    if not batches:
        raise LoweringError("example has no batches; give at least one, with the shapes that the network will see")
    calls: list[Call] = []
    for batch in batches:
        calls += _rows(call_of(model, batch))
    calls = [_without_padding(model, call) for call in calls]
    tensors = _tensors(calls[0])
    if not tensors:
        raise LoweringError("the example batch holds no tensors; give tensors of torch, as the network takes them")
    for tensor in tensors:
        if not tensor.numel():
            raise LoweringError(f"an input of the example is empty, {tuple(tensor.shape)}; give rows and frames")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise LoweringError(f"an input is {kind}, wanted float32: use model.float() and float32 examples")
    return Examples(_same_shapes(calls[:ROWS]))


def made_up_examples(model: nn.Module) -> Examples:
    """Zeros ``(1, time, features)`` for a network whose first layer says how many features it reads.

    Raises:
        LoweringError: it does not say.
    """
    for module in model.modules():
        match module:
            case layers.OneHot():
                return Examples([((torch.zeros(1, FRAMES, dtype=torch.int64),), {})], made_up=True)
            case layers.Normalize():
                width: Any = len(module.mean)
            case nn.Linear():
                width = module.in_features
            case nn.LSTM() | nn.GRU():
                width = module.input_size
            case layers.Layer():
                width = getattr(module, "inputs", None)
            case nn.Conv1d() | nn.Conv2d() | nn.Embedding() | nn.MultiheadAttention():
                break
            case _:
                continue
        if isinstance(width, int):
            return Examples([((torch.zeros(1, FRAMES, width),), {})], made_up=True)
    raise LoweringError(
        f"{type(model).__name__} does not say what its input looks like; give pack example=batches (a DataLoader, a "
        "list of batches, or one batch)"
    )


def _tensors(call: Call) -> list[Tensor]:
    return [leaf for leaf in _pytree.tree_leaves(call) if isinstance(leaf, Tensor)]


def _rows(call: Call) -> list[Call]:
    """Calls of one row each; a call whose tensors do not share a batch axis stays as it is."""
    sizes = {tensor.shape[0] if tensor.dim() else 0 for tensor in _tensors(call)}
    if sizes == {1} or not sizes:
        return [call]
    if 0 in sizes:
        return [call]
    if len(sizes) > 1:
        if 1 in sizes:
            return [call]
        raise LoweringError(f"the inputs of an example have batches of different sizes, {sorted(sizes)}; give one row")
    (rows,) = sizes
    return [
        _pytree.tree_map(lambda leaf, i=i: leaf[i : i + 1] if isinstance(leaf, Tensor) else leaf, call)
        for i in range(min(rows, ROWS))
    ]


def _without_padding(model: nn.Module, call: Call) -> Call:
    """A call of one row without its mask of padding and the places that this hides, as a Program takes it."""
    args, named = call
    mask = named.get(PADDING)
    asked = inspect.signature(model.forward).parameters.get(PADDING)
    needs_mask = asked is not None and asked.default is inspect.Parameter.empty
    if not isinstance(mask, Tensor) or mask.dim() != 2 or len(mask) != 1 or needs_mask:
        return call

    def shown(leaf: Any) -> Any:
        padded = isinstance(leaf, Tensor) and leaf.shape[:2] == mask.shape
        return leaf[:, mask[0] != 0] if padded else leaf

    return args, {key: shown(leaf) for key, leaf in named.items() if key != PADDING}


def _same_shapes(calls: list[Call]) -> list[Call]:
    """Those calls that have the shapes of the first, others cut to its sizes where they are longer in one axis."""
    first = _tensors(calls[0])
    kept = []
    for call in calls:
        found = _tensors(call)
        if len(found) != len(first) or any(a.dim() != b.dim() for a, b in zip(found, first, strict=True)):
            continue
        if all(x <= y for a, b in zip(first, found, strict=True) for x, y in zip(a.shape, b.shape, strict=True)):
            shapes = iter(first)

            def trim(leaf: Any, shapes: Any = shapes) -> Any:
                if not isinstance(leaf, Tensor):
                    return leaf
                return leaf[tuple(slice(size) for size in next(shapes).shape)].contiguous()

            kept.append(_pytree.tree_map(trim, call))
    return kept


def _narrowed(call: Call, axis: int, chosen: list[Tensor], kept: int) -> Call:
    """A call with some of its tensors shortened."""

    def narrow(leaf: Any) -> Any:
        if any(leaf is each for each in chosen):
            return leaf.narrow(axis, 0, kept).contiguous()
        return leaf

    result: Call = _pytree.tree_map(narrow, call)
    return result

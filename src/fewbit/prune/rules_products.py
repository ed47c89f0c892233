"""How atoms pass matrix products, convolutions and tables: inputs are read by columns, outputs made by rows."""

from typing import Any

import torch
from torch import Tensor, fx

from fewbit.prune.atoms import Labels
from fewbit.prune.rules_attention import product
from fewbit.prune.walk import Fold, Value, Walk, numbers_of, rule, zeros
from fewbit.tracing import args_of

aten = torch.ops.aten


@rule(aten.linear.default)
def linear(walk: Walk, node: fx.Node) -> None:
    """``x W^T + b``."""
    x, weight, *bias = args_of(node)
    _product(walk, node, x, weight, False, bias[0] if bias else None)


@rule(aten.addmm.default)
def addmm(walk: Walk, node: fx.Node) -> None:
    """``b + x W``."""
    bias, x, weight = args_of(node)[:3]
    _product(walk, node, x, weight, True, bias)


@rule(aten.matmul.default, aten.mm.default)
def matmul(walk: Walk, node: fx.Node) -> None:
    """``x W`` with a matrix of the network, or with another tensor of the input, as in attention."""
    x, weight = args_of(node)
    if walk.is_live(x) and walk.is_live(weight) and min(node.meta["val"].dim(), walk.value(weight).atoms.dim()) > 1:
        product(walk, node, walk.value(x), walk.value(weight))
        return
    places = _places(walk, weight)
    if walk.is_live(weight) or places is None or places.dim() != 2:
        walk.refuse(node, f"{walk.place(node)} has a weight that is computed from others")
        return
    _product(walk, node, x, weight, True, None)


def _places(walk: Walk, weight: Any) -> Labels | None:
    return walk.places.get(weight) if isinstance(weight, fx.Node) else None


def _product(walk: Walk, node: fx.Node, x: Any, matrix: Any, turned: bool, bias: Any) -> None:
    """A product with a matrix ``(outputs, inputs)``, or, `turned`, ``(inputs, outputs)``."""
    weight = _places(walk, matrix)
    if weight is not None and turned:
        weight = weight.t()
    bias_places = None if bias is None else _places(walk, bias)
    if weight is None or not walk.is_live(x) or (bias is not None and bias_places is None):
        walk.refuse(node, f"{walk.place(node)} has a weight that is computed from others")
        return
    value = walk.value(x)
    inputs = walk.atoms.merge(value.atoms, -1)
    outputs = _made(walk, weight, bias_places)
    walk.mark(walk.read, weight, inputs.expand(weight.shape))
    if value.pruned.any():
        numbers = walk.constant(matrix)
        _fold(walk, node, value, inputs, numbers.t() if turned else numbers, bias_places)
    shape = node.meta["val"].shape
    walk.values[node] = Value(outputs.expand(shape), zeros(shape))


def _made(walk: Walk, weight: Labels, bias: Labels | None) -> Labels:
    """New atoms for the rows of a weight."""
    outputs = walk.atoms.fresh(len(weight))
    walk.mark(walk.made, weight, outputs.view(-1, *[1] * (weight.dim() - 1)))
    if bias is not None:
        walk.mark(walk.made, bias, outputs)
    return outputs


def _fold(
    walk: Walk, node: fx.Node, value: Value, inputs: Labels, weight: Tensor, bias: Labels | None, axis: int = -1
) -> None:
    """Note a product whose inputs are not 0 when they are pruned; what differs from place to place cannot be pruned."""
    lines = value.pruned.movedim(axis, 0).reshape(len(inputs), -1)
    same = (lines == lines[:, :1]).all(1)
    walk.atoms.fix_all(inputs[~same], f"{walk.place(node)} reads it beside constants that differ from place to place")
    pruned = torch.where(same, lines[:, 0], 0.0)
    path = None if bias is None else walk.path_at(float(bias[0]))
    summed = numbers_of(weight).reshape(*weight.shape[:2], -1).sum(-1)
    walk.folds.append(Fold(walk.module_path(node), summed, path, inputs, pruned))


@rule(aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, aten.conv1d.padding, aten.conv2d.padding)
def convolution(walk: Walk, node: fx.Node) -> None:
    """A convolution; in a depthwise one an output goes with its input, in a grouped one the groups stay alike."""
    arguments = [*args_of(node), *[None] * 7][:7]
    x, weight, bias, _, padding, _, groups = arguments
    groups = groups or 1
    places, bias_places = _places(walk, weight), None if bias is None else _places(walk, bias)
    if places is None or not walk.is_live(x) or (bias is not None and bias_places is None):
        walk.refuse(node, f"{walk.place(node)} has a weight that is computed from others")
        return
    value = walk.value(x)
    channel = value.atoms.dim() - (places.dim() - 1)
    inputs = walk.atoms.merge(value.atoms, channel)
    outputs = _made(walk, places, bias_places)
    if groups > 1 and places.shape[1] == 1:
        walk.atoms.join_all(outputs, inputs.repeat_interleave(len(outputs) // groups))
    else:
        for each in (outputs, inputs) if groups > 1 else ():
            alike = each.view(groups, -1)
            walk.atoms.join_all(alike, alike[:1].expand_as(alike))
        read = inputs.view(groups, -1)[0] if groups > 1 else inputs
        walk.mark(walk.read, places, read.view(1, -1, *[1] * (places.dim() - 2)).expand(places.shape))
    if value.pruned.any():
        padded = padding == "same" or (isinstance(padding, list) and any(padding))
        if padded or groups > 1:
            constant = value.pruned.movedim(channel, 0).reshape(len(inputs), -1).any(1)
            walk.atoms.fix_all(inputs[constant], f"{walk.place(node)} reads it as a constant beside padding")
        else:
            _fold(walk, node, value, inputs, walk.constant(weight), bias_places, channel)
    shape = node.meta["val"].shape
    lined = outputs.view(-1, *[1] * (places.dim() - 2))
    walk.values[node] = Value(lined.expand(shape), zeros(shape))


@rule(aten.embedding.default)
def embedding(walk: Walk, node: fx.Node) -> None:
    """Rows of a table, chosen by the input: a column makes an output."""
    weight, index = args_of(node)[:2]
    places = _places(walk, weight)
    if places is None or not walk.is_live(index):
        walk.refuse(node, f"{walk.place(node)} has a table that is computed from others")
        return
    outputs = walk.atoms.fresh(places.shape[1])
    walk.mark(walk.made, places, outputs.expand(places.shape))
    shape = node.meta["val"].shape
    walk.values[node] = Value(outputs.expand(shape), zeros(shape))

"""How atoms pass attention: all numbers of a head are removed together, from queries, keys and values.

A product of two tensors of the input, ``scores = q k^T`` or ``context = map v``, is one product for each index of the
axes before the last two. Those of one index become one atom, a head. A pruned head has values of 0, so that its context
is 0 whatever its map is.
"""

import torch
from torch import Tensor, fx

from fewbit.prune.atoms import Labels
from fewbit.prune.rules_elementwise import beside
from fewbit.prune.walk import Value, Walk, numbers_of, rule, zeros
from fewbit.tracing import args_of

aten = torch.ops.aten


@rule(aten.scaled_dot_product_attention.default)
def fused(walk: Walk, node: fx.Node) -> None:
    """Scores, softmax and context in one; a mask that depends on the input binds nothing, because the values are 0."""
    query, key, value = (walk.value(each) for each in args_of(node)[:3])
    mask = node.kwargs.get("attn_mask", args_of(node)[3] if len(args_of(node)) > 3 else None)
    shape = node.meta["val"].shape
    found = [_heads(walk, each.atoms) for each in (query, key, value)]
    heads = found[0]
    for each in found[1:]:  # grouped queries: some of them share a key
        shared = heads.shape[-1] // each.shape[-1] if each.dim() and each.numel() else 1
        walk.atoms.join_all(heads, each.repeat_interleave(shared, -1) if shared > 1 else each)
    if value.pruned.any():
        walk.atoms.fix_all(heads, f"{walk.place(node)} has values that are not 0 when their head is pruned")
    scores = heads[..., None, None].expand(*shape[:-1], key.atoms.shape[-2])
    if isinstance(mask, fx.Node) and walk.is_live(mask):
        if mask.meta["val"].dim() > 2 and mask.meta["val"].shape[-3] > 1:
            walk.atoms.fix_all(heads, f"{walk.place(node)} has a mask for each head that depends on the input")
    elif mask is not None:
        beside(walk, node, mask, Value(scores, zeros(scores.shape)))  # a number for each head goes with it
    _note(walk, node, heads)
    walk.values[node] = Value(heads[..., None, None].expand(shape), zeros(shape))


def product(walk: Walk, node: fx.Node, left: Value, right: Value, added: Tensor | None = None) -> None:
    """A product of two tensors of the input, with a constant added to it."""
    shape = node.meta["val"].shape
    rows, columns = (_heads(walk, each.atoms).expand(shape[:-2]) for each in (left, right))
    walk.atoms.join_all(rows, columns)
    heads = torch.maximum(rows, columns)
    _note(walk, node, heads)
    pruned = torch.nan_to_num(left.pruned) @ torch.nan_to_num(right.pruned)
    walk.values[node] = Value(heads[..., None, None].expand(shape), pruned if added is None else pruned + added)


@rule(aten.bmm.default)
def batched(walk: Walk, node: fx.Node) -> None:
    """Products one by one."""
    left, right = args_of(node)[:2]
    if not (walk.is_live(left) and walk.is_live(right)):
        walk.refuse(node, f"{walk.place(node)} has a weight that is computed from others")
        return
    product(walk, node, walk.value(left), walk.value(right))


@rule(aten.baddbmm.default)
def batched_beside(walk: Walk, node: fx.Node) -> None:
    """Products one by one, added to a constant, as a mask is."""
    added, left, right = args_of(node)[:3]
    if walk.is_live(added) or not (walk.is_live(left) and walk.is_live(right)):
        walk.refuse(node, f"{walk.place(node)} adds products to what depends on the input")
        return
    product(walk, node, walk.value(left), walk.value(right), numbers_of(walk.constant(added)))


@rule(aten.softmax.int, aten._softmax.default, aten.log_softmax.int, aten._log_softmax.default)
def softmax(walk: Walk, node: fx.Node) -> None:
    """Shares among numbers of one atom, as in a map; among channels one less changes all others."""
    value, dim = walk.value(args_of(node)[0]), args_of(node)[1]
    if (value.atoms != value.atoms.narrow(dim, 0, 1)).any():
        walk.refuse(node, f"{walk.place(node)} takes shares among channels")
        return
    function = torch.log_softmax if "log" in str(node.target) else torch.softmax
    # Rows that a mask hides whole have no shares.
    walk.values[node] = Value(value.atoms, torch.nan_to_num(function(value.pruned, dim)))


@rule(aten.masked_fill.Scalar, aten.masked_fill_.Scalar)
def masked_fill(walk: Walk, node: fx.Node) -> None:
    """A constant mask."""
    x, mask, number = args_of(node)[:3]
    if walk.is_live(mask) or not walk.is_live(x):
        walk.refuse(node, f"{walk.place(node)} has a mask that depends on the input")
        return
    value, hidden = walk.value(x), walk.constant(mask)
    walk.values[node] = Value(value.atoms, value.pruned.masked_fill(hidden, number))


@rule(aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf)
def where(walk: Walk, node: fx.Node) -> None:
    """One of two tensors by a constant mask."""
    mask, *sides = args_of(node)[:3]
    if walk.is_live(mask):
        walk.refuse(node, f"{walk.place(node)} has a mask that depends on the input")
        return
    shape = node.meta["val"].shape
    yes, no = (
        walk.value(each) if walk.is_live(each) else Value(zeros(()), numbers_of(walk.constant(each))) for each in sides
    )
    x, y = yes.atoms.expand(shape), no.atoms.expand(shape)
    walk.atoms.join_all(x, y)
    pruned = torch.where(walk.constant(mask), yes.pruned, no.pruned).expand(shape)
    walk.values[node] = Value(torch.maximum(x, y), pruned)


def _heads(walk: Walk, atoms: Labels) -> Labels:
    """The one atom of each index of the axes before the last two."""
    flat = atoms.flatten(-2)
    largest = flat.amax(-1)
    walk.atoms.join_all(flat, largest[..., None].expand_as(flat))
    return largest


def _note(walk: Walk, node: fx.Node, heads: Labels) -> None:
    path = walk.module_path(node)
    for atom in torch.unique(heads.long()).tolist():
        walk.heads.setdefault(atom, path)

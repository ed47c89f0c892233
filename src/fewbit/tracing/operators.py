"""Operators of traced networks by what they do to numbers: nothing, move them, or ask for their shape only."""

from typing import Any

import torch
from torch import fx

aten = torch.ops.aten

SAME = {
    aten.dropout.default,
    aten.dropout_.default,
    aten.alpha_dropout.default,
    aten.feature_dropout.default,
    aten.to.dtype,
    aten.to.dtype_layout,
    aten.to.device,
    aten._to_copy.default,
    aten.type_as.default,
    aten.clone.default,
    aten.contiguous.default,
    aten.detach.default,
    aten.detach_.default,
    aten.alias.default,
    aten.lift_fresh_copy.default,
    aten._assert_tensor_metadata.default,
}
"""Operators that give their first argument again (networks are lowered as they are in evaluation)."""
MOVES = {
    aten.view.default,
    aten.view_as.default,
    aten.reshape.default,
    aten.flatten.using_ints,
    aten.unflatten.int,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.unsqueeze.default,
    aten.transpose.int,
    aten.permute.default,
    aten.t.default,
    aten.mT.default,
    aten.numpy_T.default,
    aten.movedim.int,
    aten.slice.Tensor,
    aten.select.int,
    aten.narrow.default,
    aten.expand.default,
    aten.expand_as.default,
    aten.repeat.default,
    aten.repeat_interleave.self_int,
    aten.flip.default,
    aten.roll.default,
    aten.neg.default,
    aten.pad.default,
    aten.constant_pad_nd.default,
    aten.pixel_shuffle.default,
    aten.channel_shuffle.default,
    aten.upsample_nearest1d.vec,
    aten.upsample_nearest2d.vec,
    aten.upsample_nearest1d.default,
    aten.upsample_nearest2d.default,
    aten.chunk.default,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.index_select.default,
}
"""Operators that only move numbers of their first argument, change their signs, or put zeros beside them."""

SHAPE_ONLY = {
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.full_like.default,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_full.default,
}
"""Operators of which the shape of their first argument, and nothing else of it, says what they give."""


def args_of(node: fx.Node) -> tuple[Any, ...]:
    """The positional arguments of a node, whose kinds its operator knows.

    Examples:
        >>> graph = fx.Graph()
        >>> args_of(graph.call_function(torch.relu, (1.0,)))
        (1.0,)
    """
    return node.args


def operator_of(node: fx.Node) -> Any:
    """The operator of a node, to be called.

    Examples:
        >>> graph = fx.Graph()
        >>> operator_of(graph.call_function(torch.relu, (1.0,))) is torch.relu
        True
    """
    return node.target

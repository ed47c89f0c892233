"""What to write in place of operators that have no integer form."""

from typing import Any

import torch

aten = torch.ops.aten

_COMPARED = "a comparison of numbers of the input"
_NO_MASK = "a mask of padding is not needed: pack the network without it, because a Program takes one example at a time"
_CHOICE = "return the scores, and choose among them outside"

REMEDIES: dict[Any, tuple[str, str]] = {
    aten.argmax.default: ("a choice", _CHOICE),
    aten.max.default: ("the largest number of the input", "use a constant, or a norm"),
    aten.topk.default: ("a choice", _CHOICE),
    aten.sort.default: ("an order of numbers", _CHOICE),
    aten.lstm_cell.default: ("a loop over cells", "use nn.LSTM, whose weights have the same layout"),
    aten.gru_cell.default: ("a loop over cells", "use nn.GRU, whose weights have the same layout"),
    aten.rnn_tanh.input: ("a recurrent network without gates", "use nn.GRU or nn.LSTM"),
    aten.rnn_relu.input: ("a recurrent network without gates", "use nn.GRU or nn.LSTM"),
    aten.einsum.default: ("a product by a formula", "use nn.Linear, functional.linear, or @"),
    aten.cumsum.default: ("a sum that grows without bound", "use a mean over time, or a recurrent layer"),
    aten.index.Tensor: ("a list of places", "use slices, or torch.index_select"),
    aten.gather.default: ("places that are chosen for each number", "use slices, or torch.index_select"),
    **{
        getattr(aten, name).Scalar: (_COMPARED, _NO_MASK)
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
    **{
        getattr(aten, name).Tensor: (_COMPARED, _NO_MASK)
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    },
}  # fmt: skip
"""What an operator is, and what to do instead."""

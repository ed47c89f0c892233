"""LSTM layers that run by torch's own operator, which on a GPU is one call of cuDNN for all frames."""

from typing import Any

import torch
from torch import Tensor, nn

from fewbit.nn import LSTM
from fewbit.nn.layer import State


class FusedLSTM(LSTM):
    """The equations of `fewbit.nn.LSTM` in every frame; for float networks, whose inner signals nobody wants to see."""

    def forward(self, x: Tensor, state: State = None, clock: Any = None) -> tuple[Tensor, State]:
        """A clock must tick in every frame and never start anew."""
        zeros = x.new_zeros(len(x), self.hidden_size)
        hidden, cell = (zeros, zeros) if state is None else state
        weights = [self.weight, self.weight_hidden, self.bias, torch.zeros_like(self.bias)]
        before = [hidden.unsqueeze(0).contiguous(), cell.unsqueeze(0).contiguous()]
        y, after, last = torch._VF.lstm(x, before, weights, True, 1, 0.0, self.training, False, True)
        return y, (after.squeeze(0), last.squeeze(0))


def fuse(model: nn.Module, arm: str) -> nn.Module:
    """Let the layers of an arm that tick in every frame and never start anew run fused, in place."""
    if arm == "HLSTM-B":
        return model
    for name, module in model.named_modules():
        if type(module) is LSTM and "words" not in name:
            module.__class__ = FusedLSTM
    return model

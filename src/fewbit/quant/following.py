"""Quantizers that follow their weights: what the training loop calls after every update."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.quant.base import Quantizer


class Follower:
    """Calls `Quantizer.follow` of every weight quantizer of `model` that implements it.

    The network is searched once; parametrizations may not be added or removed while a follower is in use. Frozen
    weights are left alone.

    Examples:
        >>> from torch import nn
        >>> from fewbit.quant import attach
        >>> follower = Follower(attach(nn.Linear(4, 2), weights="ternary+adaptive"))
        >>> follower(0.5)  # after an update, at half of the training
        >>> len(follower.found)
        1
    """

    def __init__(self, model: nn.Module) -> None:
        self.found: list[tuple[Quantizer, parametrize.ParametrizationList]] = []
        for stack in model.modules():
            if isinstance(stack, parametrize.ParametrizationList):
                master = stack.original
                if isinstance(master, Tensor) and not master.requires_grad:
                    continue
                for step in stack:
                    known = any(step is quantizer for quantizer, _ in self.found)
                    if isinstance(step, Quantizer) and type(step).follow is not Quantizer.follow and not known:
                        self.found.append((step, stack))

    def freezes(self, before: float, after: float) -> bool:
        """Whether a quantizer stops to move its scale between two points of progress."""
        return any(before < quantizer.until <= after for quantizer, _ in self.found)

    @torch.no_grad()
    def __call__(self, progress: float, epoch_ended: bool = False) -> None:
        """Let the quantizers follow, and clip the float masters to the limits that they return."""
        for quantizer, stack in self.found:
            master = stack.original
            assert isinstance(master, Tensor)
            limit = quantizer.follow(input_of(quantizer, stack), progress, epoch_ended)
            if limit is not None:
                torch.clamp(master, -limit, limit, out=master)


def input_of(quantizer: nn.Module, stack: parametrize.ParametrizationList) -> Tensor:
    """The weight as a quantizer of its stack sees it: the float master after masks and norms that stand before."""
    x = stack.original
    assert isinstance(x, Tensor)
    x = x.detach()
    for step in stack:
        if step is quantizer:
            break
        x = step(x)
    return x

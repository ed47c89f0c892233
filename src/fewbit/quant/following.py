"""Quantizers that follow their weights: what the training loop calls after every update."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.quant.base import Quantizer
from fewbit.quant.parametrizations import originals


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
                if not any(master.requires_grad for master in originals(stack)):
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
            limit = quantizer.follow(input_of(quantizer, stack), progress, epoch_ended)
            if limit is not None and stack.is_tensor:  # a weight that is made of several parameters has no limit
                torch.clamp(stack.original, -limit, limit, out=stack.original)


def input_of(quantizer: nn.Module, stack: parametrize.ParametrizationList) -> Tensor:
    """The weight as a quantizer of its stack sees it: the float master after masks and norms that stand before."""
    made = [each.detach() for each in originals(stack)]
    for step in stack:
        if step is quantizer:
            break
        made = [step(*made)]  # only the first may take several
    return made[0]

"""Inference mode for the length of a block: the one way in which the library evaluates a network."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.utils import parametrize


@contextmanager
def inference_mode(*models: object, no_grad: bool = True) -> Iterator[None]:
    """Put networks in evaluation mode inside the block; afterwards every module has its own mode again.

    Modes are restored on errors too. What is no `torch.nn.Module` is ignored.

    Args:
        models: any number of networks; they may share modules.
        no_grad: whether gradients are off and each quantizer is evaluated only once inside the block.

    Examples:
        >>> from torch import nn, zeros
        >>> network = nn.Sequential(nn.Linear(2, 1), nn.Dropout()).train()
        >>> with inference_mode(network):
        ...     network.training, network(zeros(1, 2)).requires_grad
        (False, False)
        >>> network.training
        True
    """
    networks = [model for model in models if isinstance(model, nn.Module)]
    modes = {module: module.training for network in networks for module in network.modules()}
    try:
        for network in networks:
            network.eval()
        with torch.no_grad() if no_grad else nullcontext(), parametrize.cached() if no_grad else nullcontext():
            yield
    finally:
        for module, training in modes.items():
            module.training = training

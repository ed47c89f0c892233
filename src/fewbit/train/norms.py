"""Running statistics of batch norm, computed anew where the weights were set rather than trained."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize


def refresh_norms(model: nn.Module, batches: Iterable[Any], limit: int = 20) -> nn.Module:
    """Replace the running mean and variance of every batch norm by those of the first `limit` batches, in place.

    Needed wherever weights come from averaging, noise or another number of bits. Networks without batch norm are left
    as they are, and no batch is read. The first item of a batch is the model's input.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return model
    modes = {module: module.training for module in model.modules()}
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        with torch.no_grad(), parametrize.cached():
            for batch in islice(batches, limit):
                model(batch[0] if isinstance(batch, tuple | list) else batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training
    return model

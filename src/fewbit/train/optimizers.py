"""How an optimizer is given: as what makes it, so that one setting serves every model and every pass."""

import math
from collections.abc import Callable

from torch import nn
from torch.optim import AdamW, Optimizer

from fewbit.errors import ArgumentError
from fewbit.train.symmetric_sgd import SymmetricSGD

OptimizerFactory = Callable[..., Optimizer]
"""``(parameters, lr=...) -> optimizer``: a class of `torch.optim`, or one with settings by `functools.partial`."""


def make_optimizer(factory: OptimizerFactory | Optimizer | None, model: nn.Module, lr: float) -> Optimizer:
    """The optimizer of what can be trained; default AdamW without weight decay.

    Weight decay would pull float masters to 0, and codes with them.

    Raises:
        ArgumentError: nothing can be trained, or an optimizer is given where a factory is wanted.

    Examples:
        >>> from functools import partial
        >>> from torch.optim import SGD
        >>> make_optimizer(partial(SGD, momentum=0.9), nn.Linear(2, 1), lr=0.1).defaults["momentum"]
        0.9
    """
    if isinstance(factory, Optimizer):
        name = type(factory).__name__
        raise ArgumentError(
            f"optimizer: saw an instance of {name}; wanted what makes it, such as torch.optim.{name} or "
            f"functools.partial(torch.optim.{name}, weight_decay=0.01), with the learning rate as lr="
        )
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ArgumentError(f"{type(model).__name__} has nothing to train: no parameter has requires_grad=True")
    return AdamW(parameters, lr=lr, weight_decay=0.0) if factory is None else factory(parameters, lr=lr)


def loop_clip(optimizer: Optimizer, clip_norm: float) -> float:
    """The norm at which a training loop clips the gradient of a closure: none if the optimizer takes the clip over.

    `SymmetricSGD` evaluates two gradients in a step, and clips their mean.

    Examples:
        >>> from torch.optim import SGD
        >>> layer = nn.Linear(2, 1)
        >>> noisy = SymmetricSGD(layer.parameters(), lr=0.1)
        >>> loop_clip(SGD(layer.parameters(), lr=0.1), 1.0), loop_clip(noisy, 1.0), noisy.clip_norm
        (1.0, inf, 1.0)
    """
    if not isinstance(optimizer, SymmetricSGD):
        return clip_norm
    optimizer.clip_norm = min(optimizer.clip_norm, clip_norm)
    return math.inf

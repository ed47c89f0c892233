"""Taking parametrizations off a module, where copies of it keep theirs."""

from torch import nn
from torch.nn.utils import parametrize


def unparametrize(module: nn.Module, name: str, keep_value: bool = False) -> None:
    """Remove all parametrizations of one parameter in place; its master becomes the parameter again, or its value.

    A copy of a parametrized module has the very class of the module, and torch takes the parameter off that class, so
    that the copy loses it as well. Here the module gets a class of its own first.

    Examples:
        >>> from copy import deepcopy
        >>> from torch import nn, zeros
        >>> from fewbit.quant import attach
        >>> layer = attach(nn.Linear(2, 1), weights="int8")
        >>> unparametrize(deepcopy(layer), "weight")
        >>> layer(zeros(1, 2)).shape
        torch.Size([1, 1])
    """
    kind = type(module)
    module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
    parametrize.remove_parametrizations(module, name, leave_parametrized=keep_value)

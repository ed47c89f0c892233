"""What torch keeps behind the parametrizations of a weight, and taking them off where copies keep theirs."""

from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrize


def originals(stack: nn.Module) -> list[Tensor]:
    """The parameters behind a list of parametrizations: one, or several where a weight is made of them.

    Examples:
        >>> from torch.nn.utils.parametrizations import weight_norm
        >>> layer = weight_norm(nn.Linear(3, 2))
        >>> [tuple(each.shape) for each in originals(layer.parametrizations.weight)]
        [(2, 1), (2, 3)]
    """
    assert isinstance(stack, parametrize.ParametrizationList)
    names = ["original"] if stack.is_tensor else [f"original{i}" for i in range(stack.ntensors)]
    return [cast(Tensor, getattr(stack, name)) for name in names]


def largest_original(stack: nn.Module) -> Tensor:
    """The parameter behind a list of parametrizations; of several, such as those of weight norm, the largest.

    Examples:
        >>> from torch.nn.utils.parametrizations import weight_norm
        >>> tuple(largest_original(weight_norm(nn.Linear(3, 2)).parametrizations.weight).shape)
        (2, 3)
    """
    return max(originals(stack), key=Tensor.numel)


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

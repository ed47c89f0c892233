"""A network with its weights as the forward pass sees them, to be moved about without harm to the original."""

from copy import deepcopy
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.quant import weight_names


def effective_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights are plain parameters: what was behind a quantizer, a mask or a norm is now a
    number on its grid. Quantizers of signals stay in place.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if parametrize.is_parametrized(module):
            shared = type(module)  # with the original: torch takes the weight off the class when it takes it off one
            module.__class__ = type(shared.__name__, shared.__bases__, dict(vars(shared)))
            for name in list(cast(nn.ModuleDict, module.parametrizations)):
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return copy.eval()


def effective_weights(copy: nn.Module) -> dict[str, Tensor]:
    """The weights of an `effective_copy` by name, each tensor once; to write to them is to change the network."""
    return {name: copy.get_parameter(name) for name in weight_names(copy)}

"""A copy of a network whose plain weights are those that the forward pass of the original sees."""

from copy import deepcopy
from typing import cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.quant import unparametrize, weight_names


def effective_copy(model: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights are plain parameters: what was behind a quantizer, a mask or a norm is now a
    number on its grid. Quantizers of signals stay in place.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if parametrize.is_parametrized(module):
            for name in list(cast(nn.ModuleDict, module.parametrizations)):
                unparametrize(module, name, keep_value=True)
    return copy.eval()


def effective_weights(copy: nn.Module) -> dict[str, Tensor]:
    """The weights of an `effective_copy` by name, each tensor once; writing to them changes the network."""
    return {name: copy.get_parameter(name) for name in weight_names(copy)}

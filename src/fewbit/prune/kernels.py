"""Kernels as elements: the connection of one input map to one output map of a convolution."""

import torch
from torch import nn

from fewbit.errors import PruningError
from fewbit.prune.elements import Elements, Owned


def kernels_of(model: nn.Module) -> list[Elements]:
    """The kernels of every convolution that joins maps: element ``output * inputs + input``.

    A depthwise convolution has one kernel for each map, which goes with its map (`structure_of`), and is left out.

    Raises:
        PruningError: the network has no such convolution.

    Examples:
        >>> from torch import nn
        >>> [(each.name, each.size) for each in kernels_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU()))]
        [('0', 12)]
    """
    found = []
    for path, module in model.named_modules():
        if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            continue
        outputs, inputs, *taps = module.weight.shape
        if module.groups > 1 and inputs == 1:
            continue
        index = torch.arange(outputs * inputs).view(outputs, inputs, *[1] * len(taps))
        owned = Owned(path, "weight", index.expand(module.weight.shape))
        found.append(Elements(path or "the network", "kernels", outputs * inputs, (owned,)))
    if not found:
        raise PruningError(f"{type(model).__name__} has no convolution with kernels to prune")
    return found

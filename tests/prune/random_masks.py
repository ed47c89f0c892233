"""Masks drawn for all groups of a network, and the network without what they prune, by plain zeros."""

from copy import deepcopy

import torch
from torch import nn

from fewbit.prune import Masks, Structure
from fewbit.prune.elements import master_of, pruned_count


def draw_masks(structure: Structure, ratio: float = 0.5, seed: int = 0) -> Masks:
    """A random mask for each group of more than one element."""
    generator = torch.Generator().manual_seed(seed)
    masks = {}
    for each in structure.elements:
        if each.size > 1:
            keep = torch.ones(each.size, dtype=torch.bool)
            keep[torch.randperm(each.size, generator=generator)[: pruned_count(each, ratio)]] = False
            masks[each.name] = keep
    return masks


def zeroed(model: nn.Module, structure: Structure, masks: Masks) -> nn.Module:
    """A copy whose pruned numbers are written as 0 one by one."""
    copy = deepcopy(model)
    with torch.no_grad():
        for each in structure.elements:
            for owned in each.owned if each.name in masks else ():
                flat = master_of(copy, owned).view(-1)
                for place, owner in enumerate(owned.owners.reshape(-1).tolist()):
                    if owner >= 0 and not masks[each.name][owner]:
                        flat[place] = 0.0
    return copy


def as_if_trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """No norm is without effect, no bias is 0."""
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.bias, module.running_mean):
                if tensor is not None:
                    nn.init.normal_(tensor)
            if module.running_var is not None:
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.eval()

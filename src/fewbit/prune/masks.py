"""Masks that stay on a network while it is trained on, in front of every quantizer."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.prune.elements import Elements, Masks, check_masks, kept_numbers
from fewbit.quant import unparametrize


class Mask(nn.Module):
    """A parametrization that sets pruned numbers of a parameter to 0.

    Args:
        keep: booleans in the shape of the parameter.

    Examples:
        >>> import torch
        >>> Mask(torch.tensor([True, False]))(torch.ones(2)).tolist()
        [1.0, 0.0]
    """

    keep: Tensor

    def __init__(self, keep: Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.keep, x, 0.0)


def add_masks(model: nn.Module, elements: Sequence[Elements], masks: Mapping[str, Tensor]) -> nn.Module:
    """Put masks on `model` in place: pruned numbers are 0 from now on, and training does not move them.

    They come before quantizers, so that a code of 0 stays one. Masks that are there already are joined with the new
    ones.

    Raises:
        PruningError: a mask does not fit.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.prune import structure_of
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> elements = structure_of(net, torch.zeros(1, 4)).elements
        >>> net = add_masks(net, elements, {"0": torch.tensor([True, False, True])})
        >>> net[0].weight[1].tolist()
        [0.0, 0.0, 0.0, 0.0]
    """
    check_masks(elements, masks)
    for each in elements:
        for owned in each.owned if each.name in masks else ():
            module = model.get_submodule(owned.module)
            keep = kept_numbers(owned, masks[each.name])
            before = _mask_of(module, owned.name)
            if before is not None:
                before.keep &= keep.to(before.keep.device)
                continue
            mask = Mask(keep.to(getattr(module, owned.name).device))
            if parametrize.is_parametrized(module, owned.name):
                _stack(module, owned.name).insert(0, mask)
            else:
                parametrize.register_parametrization(module, owned.name, mask)
    return model


def masks_on(model: nn.Module, elements: Sequence[Elements]) -> Masks:
    """The masks that the masks on a network amount to: an element is pruned if all of its numbers are masked.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.prune import structure_of
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> elements = structure_of(net, torch.zeros(1, 4)).elements
        >>> masks_on(add_masks(net, elements, {"0": torch.tensor([True, False, True])}), elements)
        {'0': tensor([ True, False,  True])}
    """
    found: Masks = {}
    for each in elements:
        kept = torch.zeros(each.size, dtype=torch.bool)
        for owned in each.owned:
            mask = _mask_of(model.get_submodule(owned.module), owned.name)
            numbers = torch.ones_like(owned.owners, dtype=torch.bool) if mask is None else mask.keep.cpu()
            kept[torch.unique(owned.owners[numbers & (owned.owners >= 0)])] = True
        found[each.name] = kept
    return found


def drop_masks(model: nn.Module, all_of_them: bool = False) -> nn.Module:
    """Take masks that prune nothing off a network in place; or all, with what they pruned as 0 in the parameters.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from torch.nn.utils import parametrize
        >>> layer = nn.Linear(2, 2)
        >>> _ = parametrize.register_parametrization(layer, "bias", Mask(torch.tensor([True, False])))
        >>> parametrize.is_parametrized(drop_masks(layer))
        True
        >>> drop_masks(layer, all_of_them=True).bias[1].item(), parametrize.is_parametrized(layer)
        (0.0, False)
    """
    for module, name, mask in list(_all_masks(model)):
        if not (all_of_them or bool(mask.keep.all())):
            continue
        stack = _stack(module, name)
        assert isinstance(stack.original, Tensor)
        with torch.no_grad():
            stack.original.masked_fill_(~mask.keep, 0.0)
        if len(stack) == 1:
            unparametrize(module, name)
        else:
            del stack[list(stack).index(mask)]
    return model


def _all_masks(model: nn.Module) -> Iterator[tuple[nn.Module, str, Mask]]:
    for module in model.modules():
        if parametrize.is_parametrized(module):
            for name, stack in module.parametrizations.items():  # type: ignore[operator, union-attr]
                yield from ((module, name, step) for step in stack if isinstance(step, Mask))


def _mask_of(module: nn.Module, name: str) -> Mask | None:
    if not parametrize.is_parametrized(module, name):
        return None
    return next((step for step in _stack(module, name) if isinstance(step, Mask)), None)


def _stack(module: nn.Module, name: str) -> parametrize.ParametrizationList:
    """What stands between a parameter and its master."""
    stack = module.get_submodule(f"parametrizations.{name}")
    assert isinstance(stack, parametrize.ParametrizationList)
    return stack

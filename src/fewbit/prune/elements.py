"""What can be pruned, and masks over it.

*Elements* are parts of a network that are removed or kept whole: channels, units, kernels, taps. Each number of a
parameter belongs to one of them or to none, so that masks, sizes and gradients of any kind of element are the same
three lines: a mask is looked up by owner, and what is summed is summed by owner.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.errors import ArgumentError, PruningError
from fewbit.prune.patterns import Patterns

Masks = dict[str, Tensor]
"""By name of the elements: ``(size,)`` booleans, true for what is kept."""


@dataclass(frozen=True)
class Owned:
    """A parameter whose numbers belong to elements.

    module, name: path of the module and name of its parameter, which is the float master where a quantizer stands
    before it. owners: integers in the shape of the parameter, the element of each number, or -1.

    Examples:
        >>> import torch
        >>> rows = Owned("fc", "weight", torch.arange(2)[:, None].expand(2, 3))
        >>> rows.owners.tolist()
        [[0, 0, 0], [1, 1, 1]]
    """

    module: str
    name: str
    owners: Tensor


@dataclass(frozen=True)
class Elements:
    """Elements of one kind that are pruned by one mask.

    name: of the layer that makes them. kind: ``channels``, ``units``, ``heads``, ``kernels`` or ``taps``. size: how
    many there are. owned: the parameters whose numbers are 0 where their element is pruned. patterns: what the mask of
    each block of neighbouring elements may be; None where every mask will do.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> rows = torch.arange(3)[:, None].expand(3, 2)
        >>> layer = Elements("fc", "channels", 3, (Owned("", "weight", rows),))
        >>> with masked(nn.Linear(2, 3), [layer], {"fc": torch.tensor([True, False, True])}) as model:
        ...     model.weight[1].tolist()
        [0.0, 0.0]
    """

    name: str
    kind: str
    size: int
    owned: tuple[Owned, ...]
    patterns: Patterns | None = None

    @property
    def blocks(self) -> int:
        """Parts of which a mask is made: patterns, or else single elements."""
        return self.size if self.patterns is None else self.size // self.patterns.length


def pruned_count(elements: Elements, ratio: float) -> int:
    """How many elements a ratio stands for: the nearest count, and at least one element is left.

    With patterns, the nearest count that they can meet; of two, the one that prunes more.

    Raises:
        ArgumentError: the ratio is not in 0 <= ratio < 1.
        PruningError: there is only one element, and the ratio is above 0.
    """
    check_ratio(ratio)
    if ratio > 0 and elements.size < 2:
        raise PruningError(
            f"{elements.name} has one of its {elements.kind}, which cannot be pruned; leave it out, or widen the layer"
        )
    wanted = min(int(ratio * elements.size + 0.5), elements.size - 1)
    if elements.patterns is None:
        return wanted
    return elements.size - elements.patterns.nearest_count(elements.blocks, elements.size - wanted)


def check_ratio(ratio: float) -> None:
    """Raise `ArgumentError` if a ratio is not in 0 <= ratio < 1."""
    if not 0 <= ratio < 1:
        raise ArgumentError(f"ratio is {ratio}; wanted the share of elements to prune, from 0 to below 1")


def master_of(model: nn.Module, owned: Owned) -> nn.Parameter:
    """The parameter that an optimizer sees: the master behind masks and quantizers."""
    module = model.get_submodule(owned.module)
    if parametrize.is_parametrized(module, owned.name):
        module = module.get_submodule(f"parametrizations.{owned.name}")
        found = module.original
    else:
        found = getattr(module, owned.name)
    assert isinstance(found, nn.Parameter)
    return found


def kept_numbers(owned: Owned, mask: Tensor) -> Tensor:
    """Which numbers of a parameter are kept under a mask of its elements, in the shape of the parameter."""
    looked_up = torch.cat([mask.new_ones(1), mask])  # -1, nobody's number, is kept
    return looked_up[owned.owners + 1]


def check_masks(elements: Sequence[Elements], masks: Mapping[str, Tensor]) -> None:
    """Raise `PruningError` if a mask is of nothing, has another size, or keeps nothing."""
    known = {each.name: each for each in elements}
    for name, mask in masks.items():
        if name not in known:
            raise PruningError(f"there is nothing called {name!r} to prune; there are {list(known)}")
        if mask.dtype != torch.bool or mask.shape != (known[name].size,):
            raise PruningError(
                f"the mask of {name} is {mask.dtype} of shape {tuple(mask.shape)}; wanted {known[name].size} booleans"
            )
        if not mask.any() and known[name].kind != "heads":  # without heads a bias is left, beside which there is a sum
            raise PruningError(f"the mask of {name} keeps nothing, and cuts the network in two; keep at least one")


@contextmanager
def masked(model: nn.Module, elements: Sequence[Elements], masks: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    """The network with pruned numbers set to 0 inside the block, and its own numbers again behind it.

    Raises:
        PruningError: a mask does not fit.

    Examples:
        >>> import torch
        >>> from fewbit.prune import structure_of
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> elements = structure_of(net, torch.zeros(1, 4)).elements
        >>> with masked(net, elements, {"0": torch.tensor([True, False, True])}):
        ...     net[0].weight[1].tolist()
        [0.0, 0.0, 0.0, 0.0]
        >>> bool(net[0].weight[1].any())
        True
    """
    check_masks(elements, masks)
    saved: dict[nn.Parameter, Tensor] = {}
    try:
        with torch.no_grad():
            for each in elements:
                for owned in each.owned if each.name in masks else ():
                    parameter = master_of(model, owned)
                    saved.setdefault(parameter, parameter.detach().clone())
                    gone = ~kept_numbers(owned, masks[each.name])
                    parameter.masked_fill_(gone.to(parameter.device), 0)  # a product would leave -0 and NaN
        yield model
    finally:
        with torch.no_grad():
            for parameter, numbers in saved.items():
                parameter.copy_(numbers)

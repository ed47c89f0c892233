"""Which elements matter: one call for all measures, from the size of weights to a search over masks.

    magnitude:  sum |w|^p                  over the numbers that an element owns, the norm without its root
    Taylor:     sum over batches (sum w g)^2, with g the gradient of the loss for one batch

Magnitude and Taylor give each element a number; the elements with the smallest are pruned, or, where masks are made of
patterns, those of the mask that loses the least sum. Searches
(`fewbit.prune.BestOfN`, `fewbit.prune.ParticleFilter`) judge masks as wholes. `RandomMask` is the control.

References:
    Molchanov et al. 2017 (arXiv 1611.06440) and 2019 (arXiv 1906.10771) for the first-order estimate, there per layer
    and per filter; here the sum runs over all that an element owns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from fewbit.errors import DataError, PruningError
from fewbit.inference import inference_mode
from fewbit.prune.arguments import check_arguments
from fewbit.prune.draws import counts_of, draw
from fewbit.prune.elements import Elements, Masks, Owned, master_of
from fewbit.prune.patterns import Patterns
from fewbit.prune.score import device_of
from fewbit.settings import number
from fewbit.train import Objective


class Importance(Protocol):
    """What chooses the elements to prune.

    Examples:
        >>> import torch
        >>> def first_ones(model, elements, ratio):
        ...     return {each.name: torch.arange(each.size) >= ratio * each.size for each in elements}
        >>> chosen: Importance = first_ones
        >>> chosen(None, [Elements("fc", "channels", 4, ())], 0.5)["fc"].tolist()
        [False, False, True, True]
    """

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        """Masks with exactly ``pruned_count(each, ratio)`` elements pruned of each; the model is left as it was."""
        ...


@dataclass(frozen=True)
class Magnitude:
    """Prune the elements with the smallest norm of all numbers that they own.

    Args:
        norm: the power ``p``; 1 sums absolute values, 2 is the Euclidean norm.

    Raises:
        ArgumentError: the norm is not above 0.
        PruningError: a weight is NaN.

    Examples:
        >>> layer = nn.Linear(1, 3, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0], [-1.0], [2.0]]))
        >>> rows = Elements("fc", "channels", 3, (Owned("", "weight", torch.arange(3)[:, None]),))
        >>> Magnitude()(layer, [rows], 0.4)["fc"].tolist()
        [True, False, True]
    """

    norm: Annotated[float, number(above=True)] = 2.0

    def __post_init__(self) -> None:
        check_arguments(self)

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        sizes = {}
        for each in elements:
            sizes[each.name] = torch.zeros(each.size, dtype=torch.float64)
            for owned in each.owned:
                numbers = _exact(master_of(model, owned))
                sizes[each.name] += _by_owner(owned, each.size, numbers.abs() ** self.norm)
        return _keep_largest(elements, ratio, sizes)


@dataclass(frozen=True)
class Taylor:
    """Prune the elements whose removal changes the loss least, to first order.

    The sum of ``w g`` over the numbers of an element estimates the change of the loss without it; it is squared for
    each batch, and the squares are added. The network is in evaluation mode.

    Args:
        batches: training or development data, read once. The square is taken for each batch, so that small batches
            and large ones give different sums.
        objective: the loss, as in `fewbit.train.fit`; it sees the progress 1, the end of training.

    Raises:
        DataError: there are no batches.
        PruningError: a gradient is NaN.

    Examples:
        >>> from fewbit.train import CrossEntropy
        >>> layer = nn.Linear(2, 3, bias=False)
        >>> rows = Elements("fc", "channels", 3, (Owned("", "weight", torch.arange(3)[:, None].expand(3, 2)),))
        >>> batches = [(torch.randn(8, 2), torch.randint(0, 3, (8,)))]
        >>> int(Taylor(batches, CrossEntropy())(layer, [rows], 0.3)["fc"].sum()), layer.weight.grad
        (2, None)
    """

    batches: Iterable[Any]
    objective: Objective

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        counts_of(elements, ratio)  # before any work
        masters = list({master_of(model, owned): None for each in elements for owned in each.owned})
        sums = {each.name: torch.zeros(each.size, dtype=torch.float64) for each in elements}
        wanted = [master.requires_grad for master in masters]
        seen = False
        try:
            for master in masters:
                master.requires_grad_(True)
            with inference_mode(model, no_grad=False), torch.enable_grad():
                for batch in self.batches:
                    loss = self.objective(model, send_to_device(batch, device_of(model)), 1.0)
                    slopes = dict(zip(masters, torch.autograd.grad(loss, masters, allow_unused=True), strict=True))
                    for each in elements:
                        change = torch.zeros(each.size, dtype=torch.float64)
                        for owned in each.owned:
                            master = master_of(model, owned)
                            if (slope := slopes[master]) is not None:
                                change += _by_owner(owned, each.size, _exact(master) * _exact(slope))
                        sums[each.name] += change.square()
                    seen = True
        finally:
            for master, flag in zip(masters, wanted, strict=True):
                master.requires_grad_(flag)
        if not seen:
            raise DataError("Taylor: there are no batches; wanted one at least")
        return _keep_largest(elements, ratio, sums)


@dataclass(frozen=True)
class RandomMask:
    """Prune elements at random: what every other measure has to beat.

    Args:
        seed: the same seed gives the same masks; they are the first that `BestOfN` tries with it.

    Examples:
        >>> rows = Elements("fc", "channels", 10, ())
        >>> mask = RandomMask(seed=1)(nn.Identity(), [rows], 0.4)["fc"]
        >>> int(mask.sum()), mask.equal(RandomMask(seed=1)(nn.Identity(), [rows], 0.4)["fc"])
        (6, True)
    """

    seed: int = 0

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        return draw(elements, counts_of(elements, ratio), torch.Generator().manual_seed(self.seed))


def _exact(values: Tensor) -> Tensor:
    """In float64, which not every accelerator has: on the CPU."""
    return values.detach().cpu().double()


def _by_owner(owned: Owned, size: int, values: Tensor) -> Tensor:
    """The sum of a parameter's `values` over the numbers of each element."""
    owners = owned.owners.cpu().expand(values.shape).reshape(-1) + 1  # -1, nobody's number, goes first
    return values.new_zeros(size + 1).index_add(0, owners, values.reshape(-1))[1:]


def _keep_largest(elements: Sequence[Elements], ratio: float, values: Masks) -> Masks:
    """Masks without the smallest `values`; of equal ones the first are pruned. Patterns: those that lose least."""
    masks = {}
    counts = counts_of(elements, ratio)
    for each in elements:
        found, count = values[each.name], counts[each.name]
        if found.isnan().any():
            raise PruningError(f"the importance of an element of {each.name} is NaN; look for NaN in data and weights")
        if each.patterns is not None:
            masks[each.name] = _lose_least(found, each.patterns, each.size - count)
            continue
        mask = torch.ones(len(found), dtype=torch.bool)
        mask[found.argsort(stable=True)[:count]] = False
        masks[each.name] = mask
    return masks


def _lose_least(values: Tensor, patterns: Patterns, kept: int) -> Tensor:
    """The mask of patterns that keeps so many elements, and the largest sum of their values."""
    finite = values.clamp(max=torch.finfo(values.dtype).max / len(values)).view(-1, 1, patterns.length)
    lost = torch.where(patterns.table, 0.0, finite).sum(2)
    return patterns.masks(patterns.cheapest(lost[None], kept))[0]

"""How particles move: weights by error, systematic resampling, crossover and swaps, always with an exact count.

Particles are masks ``(particles, size)`` by name of the elements; a row of each makes one particle.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fewbit.prune.draws import Counts, with_count
from fewbit.prune.score import Score

COLDEST = 1e-3
"""The least temperature of the weights: below it, differences of the error are those of single examples."""


def reweighted(weights: Tensor, scores: Sequence[Score]) -> Tensor:
    """The weights times ``exp(-(e - min e) / t)``, with sum 1; ``t`` is the standard deviation of the errors ``e``.

    A share of right examples would be too flat to select by. What has no finite error gets weight 0.
    """
    errors = torch.tensor([float("nan") if score.rank[0] else score.error for score in scores], dtype=torch.float64)
    fine = errors.isfinite()
    if not fine.any():
        return weights
    temperature = max(float(errors[fine].std(correction=0)), COLDEST)
    likely = torch.where(fine, (-(errors - errors[fine].min()) / temperature).exp(), 0.0)
    carried = weights * likely
    chosen = carried if carried.sum() > 0 else likely  # all that carried weight broke
    return chosen / chosen.sum()


def effective_size(weights: Tensor) -> float:
    """How many particles of equal weight the weights stand for."""
    return float(1 / weights.square().sum())


def systematic(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices, each as often as its weight says, up to one; one random number places them all."""
    sums = weights.cumsum(0)
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    places = (torch.arange(count) + offset) / count
    return torch.searchsorted(sums / sums[-1], places, right=True)


def crossed(
    particles: dict[str, Tensor],
    weights: Tensor,
    fixed: int,
    share: float,
    counts: Counts,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Each particle behind the first `fixed`, with probability `share`, mixed bit by bit with a mate drawn by weight.

    A mix with too many or too few elements is repaired at random.
    """
    count = len(weights)
    mates = torch.multinomial(weights, count, replacement=True, generator=generator)
    mixing = torch.rand(count, 1, generator=generator) < share
    mixing[:fixed] = False
    mixed = {}
    for name, masks in particles.items():
        from_mate = (torch.rand(masks.shape, generator=generator) < 0.5) & mixing
        mixed[name] = with_count(torch.where(from_mate, masks[mates], masks), counts[name], generator)
    return mixed


def swapped(masks: Tensor, fixed: int, probability: float, generator: torch.Generator) -> Tensor:
    """Each element behind the first `fixed` rows, with a probability, changes places with one of the other kind."""
    masks = masks.clone()
    chosen = torch.rand(masks.shape, generator=generator) < probability
    chosen[:fixed] = False
    for row, place in chosen.nonzero().tolist():
        others = (masks[row] != masks[row, place]).nonzero().flatten()
        if len(others):
            other = int(others[int(torch.randint(len(others), (1,), generator=generator))])
            masks[row, [place, other]] = ~masks[row, [place, other]]
    return masks

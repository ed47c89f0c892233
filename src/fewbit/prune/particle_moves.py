"""How particles move: weights by error, systematic resampling, crossover and swaps, always with an exact count.

Particles are masks ``(particles, size)`` by name of the elements; a row of each makes one particle.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fewbit.prune.draws import Counts, with_count
from fewbit.prune.patterns import Patterns
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
    patterns: Mapping[str, Patterns | None] | None = None,
) -> dict[str, Tensor]:
    """Each particle behind the first `fixed`, with probability `share`, mixed bit by bit with a mate drawn by weight.

    Masks of `patterns` are mixed pattern by pattern. A mix with too many or too few elements is repaired at random.
    """
    count = len(weights)
    mates = torch.multinomial(weights, count, replacement=True, generator=generator)
    mixing = torch.rand(count, 1, generator=generator) < share
    mixing[:fixed] = False
    mixed = {}
    for name, masks in particles.items():
        own = None if patterns is None else patterns[name]
        length = 1 if own is None else own.length
        from_mate = (torch.rand(count, masks.shape[1] // length, generator=generator) < 0.5) & mixing
        mix = torch.where(from_mate.repeat_interleave(length, 1), masks[mates], masks)
        mixed[name] = with_count(mix, counts[name], generator, own)
    return mixed


def swapped(
    masks: Tensor, fixed: int, probability: float, generator: torch.Generator, patterns: Patterns | None = None
) -> Tensor:
    """Each element behind the first `fixed` rows, with a probability, changes places with one of the other kind.

    With patterns, each block gets another pattern with that probability, and what the count then lacks is repaired.
    """
    if patterns is not None:
        return _other_patterns(masks, fixed, probability, generator, patterns)
    masks = masks.clone()
    chosen = torch.rand(masks.shape, generator=generator) < probability
    chosen[:fixed] = False
    for row, place in chosen.nonzero().tolist():
        others = (masks[row] != masks[row, place]).nonzero().flatten()
        if len(others):
            other = int(others[int(torch.randint(len(others), (1,), generator=generator))])
            masks[row, [place, other]] = ~masks[row, [place, other]]
    return masks


def _other_patterns(
    masks: Tensor, fixed: int, probability: float, generator: torch.Generator, patterns: Patterns
) -> Tensor:
    chosen, kinds = patterns.chosen(masks), len(patterns.choices)
    moving = torch.rand(chosen.shape, generator=generator) < probability
    moving[:fixed] = False
    moved = moving.any(1)
    if kinds < 2 or not moved.any():
        return masks
    by = torch.randint(1, kinds, chosen.shape, generator=generator)
    mutants = patterns.masks(torch.where(moving, (chosen + by) % kinds, chosen)[moved])
    found = masks.clone()
    found[moved] = with_count(mutants, int((~masks[0]).sum()), generator, patterns)
    return found

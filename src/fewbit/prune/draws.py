"""Random masks of an exact count, and how many there are.

Each search draws its masks here, so that searches of one seed begin with the same masks.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

import torch
from torch import Tensor

from fewbit.errors import ArgumentError
from fewbit.prune.elements import Elements, Masks, pruned_count
from fewbit.prune.patterns import Patterns

Counts = dict[str, int]
"""By name of the elements: how many are pruned."""


def counts_of(elements: Sequence[Elements], ratio: float) -> Counts:
    """How many of each are pruned.

    Raises:
        ArgumentError: the ratio is not in 0 <= ratio < 1, there are no elements, or two have one name.
        PruningError: there is only one element of a kind, and the ratio is above 0.
    """
    counts = {each.name: pruned_count(each, ratio) for each in elements}
    if not counts or len(counts) < len(elements):
        raise ArgumentError(f"elements are {[each.name for each in elements]}; wanted some, each with its own name")
    return counts


def draw(elements: Sequence[Elements], counts: Counts, generator: torch.Generator) -> Masks:
    """One mask of each, uniform over all masks of their count."""
    return {each.name: _draw(each, counts[each.name], generator) for each in elements}


def _draw(each: Elements, pruned: int, generator: torch.Generator) -> Tensor:
    if each.patterns is not None:
        return each.patterns.draw(each.blocks, each.size - pruned, generator)
    return with_count(torch.ones(1, each.size, dtype=torch.bool), pruned, generator)[0]


def with_count(masks: Tensor, pruned: int, generator: torch.Generator, patterns: Patterns | None = None) -> Tensor:
    """Masks ``(n, size)`` with exactly `pruned` elements gone in each row, by as few random changes as possible.

    With patterns, the masks are made of them, and stay so: as few blocks as possible change theirs.
    """
    if patterns is not None:
        chosen = patterns.chosen(masks)
        shape = (*chosen.shape, len(patterns.choices))
        costs = 1 + torch.rand(shape, generator=generator, dtype=torch.float64) / (shape[1] + 1)
        costs.scatter_(2, chosen[:, :, None], 0.0)
        return patterns.masks(patterns.cheapest(costs, masks.shape[1] - pruned))
    order = (masks + torch.rand(masks.shape, generator=generator)).argsort(1)  # what is pruned comes first
    return torch.ones_like(masks).scatter(1, order[:, :pruned], False)


def distinct(elements: Sequence[Elements], counts: Counts) -> float:
    """How many different masks there are; rounded above 2**53 where masks have patterns."""
    return math.prod(
        math.comb(each.size, counts[each.name])
        if each.patterns is None
        else each.patterns.ways(each.blocks, each.size - counts[each.name])
        for each in elements
    )


def every_mask(elements: Sequence[Elements], counts: Counts) -> Iterator[Masks]:
    """All masks, one after the other."""
    for chosen in product(*(_every(each, counts[each.name]) for each in elements)):
        yield {each.name: mask for each, mask in zip(elements, chosen, strict=True)}


def _every(each: Elements, pruned: int) -> Iterable[Tensor]:
    if each.patterns is not None:
        return each.patterns.every(each.blocks, each.size - pruned)
    return (_without(each.size, gone) for gone in combinations(range(each.size), pruned))


def _without(size: int, gone: Sequence[int]) -> Tensor:
    mask = torch.ones(size, dtype=torch.bool)
    mask[list(gone)] = False
    return mask

"""Random masks of an exact count, and how many there are.

Each search draws its masks here, so that searches of one seed begin with the same masks.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, product

import torch
from torch import Tensor

from fewbit.errors import ArgumentError
from fewbit.prune.elements import Elements, Masks, pruned_count

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
    return {
        each.name: with_count(torch.ones(1, each.size, dtype=torch.bool), counts[each.name], generator)[0]
        for each in elements
    }


def with_count(masks: Tensor, pruned: int, generator: torch.Generator) -> Tensor:
    """Masks ``(n, size)`` with exactly `pruned` elements gone in each row, by as few random changes as possible."""
    order = (masks + torch.rand(masks.shape, generator=generator)).argsort(1)  # what is pruned comes first
    return torch.ones_like(masks).scatter(1, order[:, :pruned], False)


def distinct(elements: Sequence[Elements], counts: Counts) -> int:
    """How many different masks there are."""
    return math.prod(math.comb(each.size, counts[each.name]) for each in elements)


def every_mask(elements: Sequence[Elements], counts: Counts) -> Iterator[Masks]:
    """All masks, one after the other."""
    for chosen in product(*(combinations(range(each.size), counts[each.name]) for each in elements)):
        masks = {each.name: torch.ones(each.size, dtype=torch.bool) for each in elements}
        for each, gone in zip(elements, chosen, strict=True):
            masks[each.name][list(gone)] = False
        yield masks

"""Masks that are made of patterns: elements come in blocks, and each block is masked by one of a few patterns.

A search over such masks needs the same four things as one over free masks: the counts that can be met, all masks of a
count, one of them at random, and the one that costs least. All four follow from a table over blocks and counts:

    ways(b, k)  = sum over patterns p of ways(b - 1, k - kept_p)             how many masks of b blocks keep k elements
    least(b, k) = min over patterns p of least(b - 1, k - kept_p) + cost_bp  the cheapest of them

so that every mask keeps exactly the wanted number of elements, and the cheapest one is found and not approximated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewbit.errors import ArgumentError

_TABLE_BYTES = 1 << 26
"""Of the choices that `Patterns.cheapest` remembers at once; more masks are done one after the other."""


@dataclass(frozen=True)
class Patterns:
    """The patterns that a block of elements may have.

    choices: for each pattern whether it keeps each element of a block. Every pattern keeps one at least.

    Raises:
        ArgumentError: there is no pattern, two are equal, or one keeps nothing or has another length.

    Examples:
        >>> every_other = Patterns(((True, True, True), (True, False, True), (False, True, False)))
        >>> every_other.nearest_count(2, 4), every_other.nearest_count(2, 0)  # kept elements of two blocks
        (4, 2)
    """

    choices: tuple[tuple[bool, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(choice) for choice in self.choices}
        if len(lengths) != 1 or not all(any(choice) for choice in self.choices):
            raise ArgumentError(f"patterns of {sorted(lengths)} elements; wanted one length, and each keeps an element")
        if len(set(self.choices)) < len(self.choices):
            raise ArgumentError("patterns hold one of them twice")

    @property
    def length(self) -> int:
        """Elements of a block."""
        return len(self.choices[0])

    @cached_property
    def table(self) -> Tensor:
        """The choices as booleans ``(patterns, length)``."""
        return torch.tensor(self.choices, dtype=torch.bool)

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """How many elements each pattern keeps."""
        return tuple(sum(choice) for choice in self.choices)

    @cached_property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Counts of kept elements, each with the number of its patterns; the least count first."""
        return tuple((count, self.kept.count(count)) for count in sorted(set(self.kept)))

    def nearest_count(self, blocks: int, wanted: int) -> int:
        """The number of kept elements that is nearest to the wanted one; of two, the smaller."""
        totals = _bits(_reachable(self.levels, blocks)[-1])
        return min(totals, key=lambda total: (abs(total - wanted), total))

    def ways(self, blocks: int, total: int) -> float:
        """How many masks of so many blocks keep `total` elements; above 2**53 rounded, or infinite."""
        log = float(_log_ways(self.levels, blocks, total)[-1][-1])
        return float(np.rint(np.exp(log))) if log < 700 else float("inf")

    def every(self, blocks: int, total: int) -> Iterator[Tensor]:
        """All masks ``(blocks * length,)`` that keep `total` elements."""
        reachable = _reachable(self.levels, blocks)
        found: list[tuple[tuple[int, ...], int]] = [((), total)]
        for after in reversed(range(blocks)):
            found = [
                ((*chosen, pattern), left - count)
                for chosen, left in found
                for pattern, count in enumerate(self.kept)
                if left >= count and reachable[after] >> (left - count) & 1
            ]
        for chosen, _ in found:
            yield self.masks(torch.tensor([chosen]))[0]

    def draw(self, blocks: int, total: int, generator: torch.Generator) -> Tensor:
        """A mask ``(blocks * length,)`` that keeps `total` elements, uniform over all of them."""
        tables = _log_ways(self.levels, blocks, total)
        random = torch.rand(blocks, 2, dtype=torch.float64, generator=generator).numpy()
        of_level = [[p for p, count in enumerate(self.kept) if count == level] for level, _ in self.levels]
        least, left = self.levels[0][0], len(tables[0]) - 1
        chosen = []
        for block in range(blocks):
            after = tables[blocks - block - 1]
            logs = np.array(
                [
                    np.log(many) + after[left - count + least] if left >= count - least else -np.inf
                    for count, many in self.levels
                ]
            )
            shares = np.exp(logs - logs.max()).cumsum()
            level = int(np.searchsorted(shares / shares[-1], random[block, 0], side="right"))
            left -= self.levels[level][0] - least
            chosen.append(of_level[level][int(random[block, 1] * len(of_level[level]))])
        return self.masks(torch.tensor([chosen]))[0]

    def masks(self, chosen: Tensor) -> Tensor:
        """Patterns ``(n, blocks)`` to masks ``(n, blocks * length)``."""
        return self.table[chosen].flatten(1)

    def chosen(self, masks: Tensor) -> Tensor:
        """Masks ``(n, blocks * length)`` to their patterns ``(n, blocks)``."""
        blocks = masks.view(len(masks), -1, 1, self.length)
        return (blocks == self.table).all(3).long().argmax(2)

    def cheapest(self, costs: Tensor, total: int) -> Tensor:
        """The patterns ``(n, blocks)`` that keep `total` elements together at the least sum of `costs`.

        Args:
            costs: ``(n, blocks, patterns)``, finite.
            total: kept elements of all blocks, a count that can be met.
        """
        _, blocks, _ = costs.shape
        room = total - blocks * self.levels[0][0] + 1
        some = max(1, _TABLE_BYTES // (blocks * room))
        return torch.cat([self._cheapest(part, total) for part in torch.split(costs, some)])

    def _cheapest(self, costs: Tensor, total: int) -> Tensor:
        count, blocks, _ = costs.shape
        least = self.levels[0][0]
        room = total - blocks * least + 1
        prices, winners = [], []
        for level, _ in self.levels:
            of_level = torch.tensor([p for p, kept in enumerate(self.kept) if kept == level])
            price, place = costs[:, :, of_level].double().min(2)
            prices.append(price.numpy())
            winners.append(of_level[place])
        steps = [level - least for level, _ in self.levels]
        sums = np.full((count, room), np.inf)
        sums[:, 0] = 0
        back = np.zeros((blocks, count, room), np.int8)
        for block in range(blocks):
            after = np.full((count, room), np.inf)
            for number, step in enumerate(steps):
                if step >= room:
                    continue
                tried = sums[:, : room - step] + prices[number][:, block, None]
                better = tried < after[:, step:]
                after[:, step:][better] = tried[better]
                back[block, :, step:][better] = number
            sums = after
        rows, left = np.arange(count), np.full(count, room - 1)
        levels = np.zeros((count, blocks), np.int64)
        for block in reversed(range(blocks)):
            levels[:, block] = back[block, rows, left]
            left -= np.array(steps)[levels[:, block]]
        return torch.stack(winners, 2).gather(2, torch.from_numpy(levels)[:, :, None])[:, :, 0]


def _bits(value: int) -> list[int]:
    return [place for place, bit in enumerate(reversed(bin(value)[2:])) if bit == "1"]


Levels = tuple[tuple[int, int], ...]


@lru_cache(64)
def _reachable(levels: Levels, blocks: int) -> tuple[int, ...]:
    """For 0 to `blocks` blocks, the sums of counts as the bits of an integer."""
    found = [1]
    for _ in range(blocks):
        sums = 0
        for count, _ in levels:
            sums |= found[-1] << count
        found.append(sums)
    return tuple(found)


@lru_cache(16)
def _log_ways(levels: Levels, blocks: int, total: int) -> tuple[NDArray[np.float64], ...]:
    """For 0 to `blocks` blocks, the logarithm of the number of masks, by what they keep beyond the least."""
    least = levels[0][0]
    room = total - blocks * least + 1
    ways = np.full(room, -np.inf)
    ways[0] = 0
    found = [ways]
    for _ in range(blocks):
        after = np.full(room, -np.inf)
        for count, many in levels:
            step = count - least
            if step < room:
                after[step:] = np.logaddexp(after[step:], found[-1][: room - step] + np.log(many))
        found.append(after)
    return tuple(found)

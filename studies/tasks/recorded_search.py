"""A search over masks that remembers what it saw, inside a pass that only asks for the masks."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from torch import nn

from fewbit.prune import BestOfN, Elements, Masks, ParticleFilter, SearchResult, SearchWarning


@dataclass(frozen=True)
class RecordedSearch:
    """The importance that a search is, and the results of its calls in order."""

    search: BestOfN | ParticleFilter
    results: list[SearchResult] = field(default_factory=list)

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SearchWarning)  # how far masks differ is told with the results
            found = self.search.search(model, elements, ratio)
        self.results.append(found)
        return found.masks

    def summary(self) -> list[dict[str, Any]]:
        """Of each call: how many masks were judged, and the best and the median error of them, in %."""
        return [
            {
                "masks": len(result.log),
                "best": 100 * min(score.error for score in result.log),
                "median": 100 * median(score.error for score in result.log),
            }
            for result in self.results
        ]

"""The best of N random masks: nothing is assumed about what makes a mask good, and the network is trained once.

    P(the best of N lies in the best share q of all masks) = 1 - (1 - q)^N

so that 100 masks suffice for the best 5%, whatever the network. Good masks become rare at high ratios, where the errors
of all masks come near to chance; then prune in smaller steps with training between them, or search with
`fewbit.prune.ParticleFilter`.

References:
    Anwar, Sung 2016, "Compact deep convolutional neural networks with coarse pruning" (arXiv 1610.09639).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, Literal

import torch
from torch import nn

from fewbit.errors import ArgumentError
from fewbit.prune.arguments import check_arguments
from fewbit.prune.draws import counts_of, distinct, draw, every_mask
from fewbit.prune.elements import Elements, Masks
from fewbit.prune.score import MaskScore
from fewbit.prune.search_result import Memory, SearchResult
from fewbit.settings import whole


@dataclass(frozen=True)
class BestOfN:
    """Prune by the best of `tries` random masks, judged without training.

    Draws are nested: the first 10 of 100 masks are those of ``tries=10``. If there are no more than `tries` masks, each
    is judged once. Of equal errors the lower loss wins, then the earlier mask.

    Args:
        score: judges the network with a mask on, by development data: `ClassificationScore`, or a callable of your own.
        tries: how many masks are judged; for each layer where `scope` is ``layer``.
        seed: the same seed gives the same masks.
        scope: ``global``: a draw covers all elements at once. ``layer``: one layer after the other is searched, all
            others dense, and the best masks are put together.
        rescore: a second score, on other development data, by which the choice among the `keep` best is made.
        keep: how many masks `rescore` sees.

    Raises:
        ArgumentError: a number is out of range.
        PruningError: every score is NaN.

    Examples:
        >>> from fewbit.prune import Magnitude, Owned
        >>> layer = nn.Linear(2, 4, bias=False)
        >>> rows = Elements("fc", "channels", 4, (Owned("", "weight", torch.arange(4)[:, None].expand(4, 2)),))
        >>> result = BestOfN(lambda model: float(model.weight.square().sum()), tries=6).search(layer, [rows], 0.5)
        >>> len(result.log), result.masks["fc"].equal(~Magnitude()(layer, [rows], 0.5)["fc"])
        (6, True)

    References:
        Anwar, Sung 2016 (arXiv 1610.09639).
    """

    score: MaskScore
    tries: Annotated[int, whole(1)] = 100
    seed: int = 0
    scope: Literal["global", "layer"] = "global"
    rescore: MaskScore | None = None
    keep: Annotated[int, whole(1)] = 5

    def __post_init__(self) -> None:
        check_arguments(self)

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        return self.search(model, elements, ratio).masks

    def search(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> SearchResult:
        """The masks, and the scores of all that were tried; layer by layer where `scope` is ``layer``."""
        counts_of(elements, ratio)  # before any work
        generator = torch.Generator().manual_seed(self.seed)
        if self.scope == "global":
            return self._search(model, elements, ratio, generator)
        seeds = torch.randint(2**62, (len(elements),), generator=generator).tolist()
        found = [
            self._search(model, [each], ratio, torch.Generator().manual_seed(seed))
            for each, seed in zip(elements, seeds, strict=True)
        ]
        return SearchResult(
            {name: mask for result in found for name, mask in result.masks.items()},
            tuple(score for result in found for score in result.log),
        )

    def _search(
        self, model: nn.Module, elements: Sequence[Elements], ratio: float, generator: torch.Generator
    ) -> SearchResult:
        counts = counts_of(elements, ratio)
        every = distinct(elements, counts) <= self.tries
        memory = Memory(self.keep)
        for masks in (
            every_mask(elements, counts)
            if every
            else (draw(elements, counts, generator) for _ in repeat(None, self.tries))
        ):
            memory.evaluate(model, elements, masks, self.score)
        memory.warn_of_noise(f"BestOfN of {', '.join(counts)}")
        return SearchResult(memory.best(model, elements, self.rescore), tuple(memory.log))


def masks_needed(share: float, confidence: float) -> int:
    """How many random masks it takes until the best of them is in the best `share` of all, with some confidence.

    Args:
        share: of all masks, between 0 and 1.
        confidence: the wanted probability, from 0 to below 1.

    Raises:
        ArgumentError: a number is out of range.

    Examples:
        >>> masks_needed(0.05, 0.994), masks_needed(0.01, 0.994)
        (100, 510)
    """
    if not 0 < share < 1 or not 0 <= confidence < 1:
        raise ArgumentError(
            f"masks_needed: share is {share} and confidence {confidence}; wanted 0 < share < 1 and 0 <= confidence < 1"
        )
    return max(1, math.ceil(math.log1p(-confidence) / math.log1p(-share) - 1e-9))  # the quotient may round up

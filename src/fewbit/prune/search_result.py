"""What a search remembers: every score in order, and the best masks."""

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from fewbit.errors import PruningError
from fewbit.prune.elements import Elements, Masks
from fewbit.prune.score import MaskScore, Score, judge

Ranked = tuple[tuple[bool, float, float], int, Masks]
"""Rank of the score, number of the evaluation, masks: best first, and of equal scores the first."""


class SearchWarning(UserWarning):
    """The masks of a search differ less than the chance of the data.

    Examples:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", SearchWarning)  # where the noise is known and accepted
    """


@dataclass(frozen=True)
class SearchResult:
    """Masks, and the score of each evaluation in its order.

    log: without the evaluations of a second set. The masks may be of a worse score than the best of the log where a
    second set decided, or where layers were searched one by one.

    Examples:
        >>> result = SearchResult({}, (Score(0.5), Score(0.2), Score(float("nan")), Score(0.3)))
        >>> result.best_errors
        (0.5, 0.2, 0.2, 0.2)
    """

    masks: Masks
    log: tuple[Score, ...]

    @property
    def best_errors(self) -> tuple[float, ...]:
        """The best error after each evaluation: searches are compared at equal numbers of them."""
        best: list[Score] = []
        for score in self.log:
            best.append(score if not best or score.rank < best[-1].rank else best[-1])
        return tuple(score.error for score in best)


class Memory:
    """The scores so far, and the best masks, each once.

    Args:
        keep: how many masks are kept.
        log, ranked: those of an earlier memory.
    """

    def __init__(self, keep: int, log: Sequence[Score] = (), ranked: Sequence[Ranked] = ()) -> None:
        self.keep, self.log, self.ranked = keep, list(log), list(ranked)

    def evaluate(self, model: nn.Module, elements: Sequence[Elements], masks: Masks, score: MaskScore) -> Score:
        """Judge masks and remember what came out."""
        found = judge(model, elements, masks, score)
        if not any(_same(masks, other) for _, _, other in self.ranked):
            self.ranked.append((found.rank, len(self.log), masks))
            self.ranked.sort(key=_rank_and_number)
            del self.ranked[self.keep :]
        self.log.append(found)
        return found

    def best(self, model: nn.Module, elements: Sequence[Elements], rescore: MaskScore | None) -> Masks:
        """The best masks; with `rescore`, those of the kept ones that are best there.

        Raises:
            PruningError: every score is NaN.
        """
        ranked = self.ranked
        if rescore is not None:
            ranked = [(judge(model, elements, masks, rescore).rank, number, masks) for _, number, masks in ranked]
        rank, _, masks = min(ranked, key=_rank_and_number)
        if rank[0]:
            raise PruningError(
                f"the scores of all {len(self.log)} masks are NaN; look for NaN in data and weights, or prune less"
            )
        return masks

    def warn_of_noise(self, search: str) -> None:
        """Warn if the errors of the log differ less than one of them would on other examples."""
        errors = [score.error for score in self.log]
        if len(errors) < 2 or not all(math.isfinite(error) for error in errors):
            return
        count = min(score.count for score in self.log)
        noise, spread = Score(statistics.fmean(errors), count=count).noise, statistics.pstdev(errors)
        if noise is not None and spread < noise:
            warnings.warn(
                f"{search}: the errors of {len(errors)} masks have a standard deviation of {spread:.3g}, and the error "
                f"on {count} examples has {noise:.3g} by chance; the choice is little better than a random one. Give "
                "more development data, or prune less at once and train between",
                SearchWarning,
                stacklevel=4,
            )


def _rank_and_number(item: Ranked) -> tuple[tuple[bool, float, float], int]:
    return item[:2]


def _same(a: Masks, b: Masks) -> bool:
    return all(mask.equal(b[name]) for name, mask in a.items())

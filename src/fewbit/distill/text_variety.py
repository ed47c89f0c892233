"""Whether generated text goes stale: paragraphs that never end, and the same few phrases over and over."""

import torch
from torch import Tensor

GRAM = 8


def distinct_grams(text: Tensor, classes: int) -> float:
    """How many different runs of 8 symbols streams ``(streams, steps)`` have, over how many they could have; 0..1."""
    if text.shape[1] < GRAM:
        return 1.0
    powers = torch.tensor([_wrapped(classes**i) for i in range(GRAM)], device=text.device)
    hashes = (text.unfold(1, GRAM, 1) * powers).sum(-1)
    possible = min(hashes.numel(), classes**GRAM)
    return float(torch.unique(hashes).numel() / possible)


def degeneration_reason(text: Tensor, classes: int, least_distinct: float = 0.2, patience: int = 20_000) -> str | None:
    """What is wrong with streams ``(streams, steps)`` that began together, or nothing.

    Args:
        least_distinct: share of different runs of 8 symbols under which text repeats itself.
        patience: symbols without a single class 0, the end of a paragraph, that are too many.
    """
    distinct = distinct_grams(text, classes)
    if distinct < least_distinct:
        return f"only {100 * distinct:.1f} % of its runs of {GRAM} symbols are different: it repeats itself"
    if text.numel() >= patience and not (text[:, 1:] == 0).any():  # the first symbol is a given 0
        return f"class 0, the end of a paragraph, does not occur in {text.numel():,} symbols: a paragraph never ends"
    return None


def _wrapped(number: int) -> int:
    """As a 64-bit integer holds it; sums of such products wrap around alike, so they are a hash."""
    return (number + 2**63) % 2**64 - 2**63

"""Detection of degenerate generated text: paragraphs that never end, and phrases that repeat."""

import torch
from torch import Tensor

GRAM = 8


def distinct_grams(text: Tensor, classes: int) -> float:
    """Number of distinct runs of 8 symbols in streams ``(streams, steps)``, over the largest possible number; 0..1."""
    if text.shape[1] < GRAM:
        return 1.0
    powers = torch.tensor([_wrapped(classes**i) for i in range(GRAM)], device=text.device)
    hashes = (text.unfold(1, GRAM, 1) * powers).sum(-1)
    possible = min(hashes.numel(), classes**GRAM)
    return float(torch.unique(hashes).numel() / possible)


def degeneration_reason(text: Tensor, classes: int, least_distinct: float = 0.2, patience: int = 20_000) -> str | None:
    """Why streams ``(streams, steps)`` that began together are degenerate, or ``None`` if they are not.

    Args:
        least_distinct: text with a smaller share of distinct runs of 8 symbols repeats itself.
        patience: text of so many symbols must have an end of a paragraph, class 0.
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

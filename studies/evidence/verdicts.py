"""What comes of a claim: verdicts from its parts, and the order of two series."""

import numpy as np

from studies.evidence.study import Verdict


def rank_correlation(x: list[int], y: list[float]) -> float:
    """Spearman's coefficient; equal values share the mean of their ranks, 0 where all are equal."""
    left, right = (np.array([np.mean([(b < a) + (b <= a) for b in z]) for a in z], float) for z in (x, y))
    spreads = float(left.std() * right.std())
    return float(((left - left.mean()) * (right - right.mean())).mean()) / spreads if spreads else 0.0


def verdict(parts: list[bool]) -> Verdict:
    """Of all parts of a claim."""
    return "holds" if all(parts) else "holds in part" if any(parts) else "does not hold"

"""Measures of yes-or-no decisions from scores: area under the curve and equal error rate."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def area_under_curve(scores: NDArray[Any], yes: NDArray[np.bool_]) -> float:
    """How often a yes scores above a no, ties counting half: 1 is perfect, 0.5 is chance."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # of equal scores, the mean of their ranks
    positives, negatives = int(yes.sum()), int((~yes).sum())
    above = rank[place][yes].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def equal_error_rate(scores: NDArray[Any], yes: NDArray[np.bool_]) -> float:
    """The rate at which as many of the no are accepted as of the yes are refused, over all thresholds."""
    thresholds = np.unique(scores)
    below_yes = np.searchsorted(np.sort(scores[yes]), thresholds) / max(1, int(yes.sum()))
    above_no = 1 - np.searchsorted(np.sort(scores[~yes]), thresholds) / max(1, int((~yes).sum()))
    best = int(np.argmin(np.abs(below_yes - above_no)))
    return float((below_yes[best] + above_no[best]) / 2)

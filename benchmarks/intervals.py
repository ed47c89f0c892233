"""The mean of ratios that were measured in turns, with its interval."""

import math
from collections.abc import Sequence
from statistics import mean, stdev

from studies.evidence.paired_tests import student_quantile


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Geometric mean of ratios, and the ends of its interval of 95 %, from Student's t of its logarithm.

    Example:
        >>> [round(each, 2) for each in interval([0.5, 0.5, 0.5])]
        [0.5, 0.5, 0.5]
    """
    logs = [math.log(ratio) for ratio in ratios]
    half = student_quantile(len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean(logs)), math.exp(mean(logs) - half), math.exp(mean(logs) + half)

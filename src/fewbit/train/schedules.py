"""Functions of training progress (0 at the start, 1 at the end) for weights and learning rates."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(value: float) -> Schedule:
    """The same value throughout.

    Examples:
        >>> constant(0.5)(0.9)
        0.5
    """
    return lambda progress: value


def linear(start: float, end: float) -> Schedule:
    """A straight line from `start` to `end`.

    Examples:
        >>> linear(0.9, 0.0)(0.5)
        0.45
    """
    return lambda progress: start + (end - start) * progress


def cosine(start: float = 1.0, end: float = 0.0, warmup: float = 0.0) -> Schedule:
    """Half a cosine from `start` to `end`, after a linear rise from 0 over the fraction `warmup`.

    Examples:
        >>> [round(cosine(warmup=0.1)(progress), 2) for progress in (0.05, 0.1, 0.55, 1.0)]
        [0.5, 1.0, 0.5, 0.0]
    """

    def value(progress: float) -> float:
        if progress < warmup:
            return start * progress / warmup
        through = (progress - warmup) / (1 - warmup)
        return end + (start - end) * (1 + math.cos(math.pi * through)) / 2

    return value

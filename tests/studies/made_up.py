"""Made-up figures of five seeds, which studies are judged by in tests."""

from collections.abc import Sequence

from studies.evidence import Part

NOISE = (0.10, -0.10, 0.05, 0.00, -0.05)
WILD = (9.0, -9.0, 7.0, -8.0, 1.0)
"""Differences of five seeds from which no test concludes anything."""


def around(middle: float, turn: int = 0, spread: float = 1.0) -> list[float]:
    """Five figures around a middle; another `turn` gives the seeds other deviations."""
    return [middle + spread * (NOISE[turn:] + NOISE[:turn])[seed] for seed in range(len(NOISE))]


def outcomes(parts: Sequence[Part]) -> list[str]:
    """What came of the parts, in order."""
    return [part.outcome for part in parts]

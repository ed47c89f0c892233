"""Timing of calls that take microseconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SAMPLE_SECONDS = 100e-6
"""Minimum length of a sample, over many calls if needed, because the clock itself takes about 50 ns."""


@dataclass(frozen=True)
class Timing:
    """Microseconds per call: the median, and the 10th and 90th percentiles of the samples.

    Examples:
        >>> Timing(median_us=2.0, p10_us=1.9, p90_us=2.4, samples=20).median_us
        2.0
    """

    median_us: float
    p10_us: float
    p90_us: float
    samples: int


def measure(call: Callable[[], object], seconds: float = 0.5, samples: int = 20) -> Timing:
    """Time `call` for about `seconds`, after a warm-up of a tenth of that; take at least `samples` samples.

    Examples:
        >>> timing = measure(lambda: sum(range(100)), seconds=0.01)
        >>> timing.p10_us <= timing.median_us <= timing.p90_us
        True
    """
    end = time.perf_counter() + seconds / 10
    calls, first = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    one = (time.perf_counter() - first) / calls
    repeats = max(1, round(SAMPLE_SECONDS / one))
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < samples or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        taken.append((time.perf_counter() - start) / repeats)
    p10, median, p90 = np.percentile(np.array(taken) * 1e6, (10, 50, 90))
    return Timing(float(median), float(p10), float(p90), len(taken))

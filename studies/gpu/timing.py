"""Times of ways to do the same, taking turns on a GPU that nobody else uses."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

WARM = 3
FEWEST, MOST = 5, 60


def alternately(ways: dict[str, Callable[[], Any]], seconds: float, most: int = MOST) -> dict[str, dict[str, float]]:
    """Median, 10th and 90th percentile in milliseconds of each way.

    All take turns; the first rounds warm up. Rounds end after `seconds`, though not before there are a few. On a GPU
    the time is that between two events around the call, which includes its waiting for launches.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    begin = time.monotonic()
    for number in range(WARM + most):
        for name, way in ways.items():
            spent = one(way)
            if number >= WARM:
                times[name].append(spent)
        if time.monotonic() - begin > seconds and number >= WARM + FEWEST - 1:
            break
    return {name: quantiles(found) for name, found in times.items()}


def one(way: Callable[[], Any]) -> float:
    """Milliseconds of one call."""
    if not torch.cuda.is_available():
        start = time.perf_counter()
        way()
        return 1e3 * (time.perf_counter() - start)
    event: Any = torch.cuda.Event
    begin, end = event(enable_timing=True), event(enable_timing=True)
    torch.cuda.synchronize()
    begin.record()
    way()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end))


def quantiles(times: list[float]) -> dict[str, float]:
    """Of times, to four digits."""
    p10, median, p90 = (float(f"{float(q):.4g}") for q in np.quantile(times, [0.1, 0.5, 0.9]))
    return {"median_ms": median, "p10_ms": p10, "p90_ms": p90, "rounds": len(times)}

"""A short burst of timed calls, at real-time priority if asked, for a machine that other jobs share."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

SAMPLE_SECONDS = 20e-6  # calls are grouped so that a sample takes at least this long
MOST = 20000


def burst(run: Callable[[], object], seconds: float) -> dict[str, float]:
    """Median, 10th and 90th percentile of microseconds a call."""
    run()
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < 0.1 * seconds or calls < 2:
        run()
        calls += 1
    group = max(1, int(SAMPLE_SECONDS * calls / (time.perf_counter() - start)))
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while (len(samples) < 5 or time.perf_counter() < end) and len(samples) < MOST:
        begin = time.perf_counter_ns()
        for _ in range(group):
            run()
        samples.append((time.perf_counter_ns() - begin) / group / 1e3)
    p10, median, p90 = (round(float(q), 3) for q in np.quantile(samples, [0.1, 0.5, 0.9]))
    return {"median_us": median, "p10_us": p10, "p90_us": p90, "calls": group * len(samples)}


@contextmanager
def priority(realtime: bool) -> Iterator[None]:
    """All threads of this process before all ordinary ones while it lasts (for root)."""
    if not realtime:
        yield
        return
    schedule(os.SCHED_RR, 5)
    try:
        yield
    finally:
        schedule(os.SCHED_OTHER, 0)


def schedule(policy: int, level: int) -> None:
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # a thread that has ended meanwhile
            os.sched_setscheduler(int(name), policy, os.sched_param(level))

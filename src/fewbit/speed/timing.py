"""Timing of calls that take microseconds."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

SAMPLE_SECONDS = 100e-6
"""Minimum length of a sample, over many calls if needed, because the clock itself takes about 50 ns."""
TURNS = 5


@dataclass(frozen=True)
class Timing:
    """Microseconds per call: the median, the 10th and 90th percentiles and the least of the samples.

    Examples:
        >>> Timing(median_us=2.0, p10_us=1.9, p90_us=2.4, least_us=1.8, samples=20).median_us
        2.0
    """

    median_us: float
    p10_us: float
    p90_us: float
    least_us: float
    samples: int


def measure(call: Callable[[], object], seconds: float = 0.5, samples: int = 20) -> Timing:
    """Time `call` for about `seconds`, after a warm-up of a tenth of that; take at least `samples` samples.

    Examples:
        >>> timing = measure(lambda: sum(range(100)), seconds=0.01)
        >>> timing.p10_us <= timing.median_us <= timing.p90_us
        True
    """
    return _timing(_samples(call, seconds, samples))


def measure_in_turns(calls: Mapping[str, tuple[Callable[[], object], int, float]]) -> dict[str, Timing]:
    """Time several calls that take turns, so that what else the machine does hits all alike.

    calls: by name, the call, how many times it does what is timed, and the seconds to time it for.

    Examples:
        >>> found = measure_in_turns({"one": (lambda: sum(range(100)), 1, 0.01), "ten": (lambda: None, 10, 0.01)})
        >>> sorted(found)
        ['one', 'ten']
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, (call, repeats, seconds) in calls.items():
            taken[name] += [one / repeats for one in _samples(call, seconds / TURNS, 4)]
    return {name: _timing(samples) for name, samples in taken.items()}


def repeats_for(run: Callable[[int], object], seconds: float) -> int:
    """How many repetitions `run` must do in a call to take about `seconds`.

    Examples:
        >>> repeats_for(lambda repeats: time.sleep(0.001 * repeats), 0.0005)
        1
    """
    repeats = 1
    while True:
        start = time.perf_counter()
        run(repeats)
        took = time.perf_counter() - start
        if took >= seconds:
            return repeats
        repeats = max(2 * repeats, min(16 * repeats, round(repeats * seconds / took)))


def _samples(call: Callable[[], object], seconds: float, least: int) -> list[float]:
    """Seconds of a call, of samples that are long enough for the clock."""
    end = time.perf_counter() + seconds / 10
    calls, first = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    one = (time.perf_counter() - first) / calls
    repeats = max(1, round(SAMPLE_SECONDS / one))
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        taken.append((time.perf_counter() - start) / repeats)
    return taken


def _timing(samples: list[float]) -> Timing:
    least, p10, median, p90 = np.percentile(np.array(samples) * 1e6, (0, 10, 50, 90))
    return Timing(float(median), float(p10), float(p90), float(least), len(samples))

"""A falling curve of a metric against bytes through noisy means: isotonic regression, then a cubic that keeps shape.

References:
    Fritsch, Carlson 1980, "Monotone piecewise cubic interpolation"; Fritsch, Butland 1984 (the slopes).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log2

from fewbit.errors import ArgumentError

HALVINGS = 50


@dataclass(frozen=True)
class MonotoneCurve:
    """Metric (smaller is better) as a function of bytes that never rises, between the first and the last knot.

    bytes: rising. metric: never rising.

    Examples:
        >>> curve = MonotoneCurve(bytes=(100.0, 200.0, 400.0), metric=(8.0, 4.0, 2.0))
        >>> curve.at(200), curve.bytes_for(8.0), curve.spans(50)
        (4.0, 100.0, False)
    """

    bytes: tuple[float, ...]
    metric: tuple[float, ...]

    @property
    def best(self) -> float:
        """The metric of the largest network."""
        return self.metric[-1]

    def spans(self, size: float) -> bool:
        """Whether a network of `size` bytes lies between the smallest and the largest measured."""
        return self.bytes[0] <= size <= self.bytes[-1]

    def at(self, size: float) -> float:
        """The metric of a network of `size` bytes.

        Raises:
            ArgumentError: `size` lies outside the measured range; a curve is never extrapolated.
        """
        if not self.spans(size):
            raise ArgumentError(
                f"{size:,.0f} bytes lie outside the measured {self.bytes[0]:,.0f} to {self.bytes[-1]:,.0f} bytes; "
                "measure networks of that size"
            )
        piece = min(bisect_right(self.bytes, size), len(self.bytes) - 1) - 1
        return self._cubic(piece, log2(size))

    def bytes_for(self, metric: float) -> float:
        """The fewest bytes at which the curve is as good as `metric`.

        Raises:
            ArgumentError: no network on the curve is as good.
        """
        if metric < self.best:
            raise ArgumentError(f"a metric of {metric:g} is better than the largest network measured, {self.best:g}")
        last = next(place for place, value in enumerate(self.metric) if value <= metric)
        if last == 0:
            return self.bytes[0]
        low, high = log2(self.bytes[last - 1]), log2(self.bytes[last])
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self._cubic(last - 1, middle) <= metric:
                high = middle
            else:
                low = middle
        return float(2**high)

    @cached_property
    def _slopes(self) -> list[float]:
        return _slopes([log2(size) for size in self.bytes], self.metric)

    def _cubic(self, piece: int, x: float) -> float:
        """The cubic Hermite `piece` at ``x = log2(bytes)``."""
        start, end = log2(self.bytes[piece]), log2(self.bytes[piece + 1])
        width, t = end - start, (x - start) / (end - start)
        left = self.metric[piece] * (1 + 2 * t) + self._slopes[piece] * width * t
        right = self.metric[piece + 1] * (3 - 2 * t) - self._slopes[piece + 1] * width * (1 - t)
        return left * (1 - t) ** 2 + right * t**2


def fit_monotone(sizes: Sequence[float], metrics: Sequence[float]) -> MonotoneCurve:
    """The falling curve nearest to the points by squared error (pool adjacent violators), made smooth between them.

    Args:
        sizes: bytes, in any order; points of equal size are averaged.
        metrics: smaller is better.

    Raises:
        ArgumentError: there are fewer than three sizes.

    Examples:
        >>> fit_monotone([100, 200, 400, 800], [8.0, 3.0, 5.0, 2.0]).metric  # never rises
        (8.0, 4.0, 4.0, 2.0)
    """
    knots = sorted(set(sizes))
    if len(knots) < 3:
        raise ArgumentError(f"a curve needs at least 3 sizes of network, got {len(knots)}; measure more sizes")
    pools: list[list[float]] = []  # sum, points, knots
    for knot in knots:
        here = [metric for size, metric in zip(sizes, metrics, strict=True) if size == knot]
        pools.append([sum(here), len(here), 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] < pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    fitted = [total / count for total, count, width in pools for _ in range(int(width))]
    return MonotoneCurve(tuple(map(float, knots)), tuple(fitted))


def _slopes(x: Sequence[float], y: Sequence[float]) -> list[float]:
    """Slopes at the knots that keep the cubics between their ends: weighted harmonic means, 0 at a flat piece."""
    width = [b - a for a, b in pairwise(x)]
    chord = [(d - c) / w for (c, d), w in zip(pairwise(y), width, strict=True)]
    slopes = [_end_slope(*width[:2], *chord[:2])]
    for i in range(1, len(width)):
        before, after = chord[i - 1], chord[i]
        a, b = 2 * width[i] + width[i - 1], width[i] + 2 * width[i - 1]
        slopes.append((a + b) / (a / before + b / after) if before * after > 0 else 0.0)
    return [*slopes, _end_slope(*width[:-3:-1], *chord[:-3:-1])]


def _end_slope(width: float, next_width: float, chord: float, next_chord: float) -> float:
    """Slope at an end of the parabola through the three points there, 0 where it would turn.

    With chords of one sign it is at most twice the chord, so the cubic stays monotone.
    """
    slope = ((2 * width + next_width) * chord - width * next_chord) / (width + next_width)
    return slope if slope * chord > 0 else 0.0

"""The roofline of a recurrent layer in blocks of T steps, and what comes of the published factor.

    bytes a step       B(T) = weight bytes / T
    time of a step     t(T) = max(B(T) / bandwidth, 2 weights / peak) + scan + call / T
    speed-up           S(T) = t(1) / t(T)
    ridge              T*   = weight bytes * peak / (2 weights * bandwidth)

`peak` counts two operations for each weight and frame. Up to T* steps, memory is the limit.
(Sung, Park 2018, arXiv 1803.11389, and the roofline of Williams, Waterman, Patterson 2009.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.evidence.verdicts import Verdict

PUBLISHED = {4: 3.0, 16: 9.3}
"""Factors of an SRU of float32 weights on an ARM processor, from the abstract of arXiv 1803.11389."""
ABOUT = 0.9
"""A factor that reaches this part of the published one is about as large."""
LSTM_BOUND = 2.1
"""An LSTM with as many inputs as cells can share the reads of half of its weights: a factor of 2, and some noise."""


@dataclass(frozen=True)
class Roofline:
    """What a layer and a machine allow; times in seconds.

    Args:
        weights: of the layer.
        weight_bytes: what they take in memory.
        bandwidth: bytes a second from where the weights lie.
        peak: operations a second of the product, with weights in a near cache.
        scan: of a step, beside the product.
        call: of a block.
    """

    weights: int
    weight_bytes: int
    bandwidth: float
    peak: float
    scan: float
    call: float

    def step_seconds(self, steps: int) -> float:
        """Time of a step in blocks of `steps`.

        Example:
            >>> Roofline(weights=10, weight_bytes=40, bandwidth=10.0, peak=20.0, scan=0.0, call=0.0).step_seconds(2)
            2.0
        """
        reading = self.weight_bytes / steps / self.bandwidth
        return max(reading, 2 * self.weights / self.peak) + self.scan + self.call / steps

    def factor(self, steps: int) -> float:
        """How many times as fast blocks of `steps` are as single steps.

        Example:
            >>> line = Roofline(weights=10, weight_bytes=40, bandwidth=10.0, peak=20.0, scan=0.0, call=0.0)
            >>> line.factor(2), line.factor(16)
            (2.0, 4.0)
        """
        return self.step_seconds(1) / self.step_seconds(steps)

    @property
    def ridge(self) -> float:
        """Steps of a block up to which reading is the limit.

        Example:
            >>> Roofline(weights=10, weight_bytes=40, bandwidth=10.0, peak=20.0, scan=0.0, call=0.0).ridge
            4.0
        """
        return self.weight_bytes * self.peak / (2 * self.weights * self.bandwidth)


def verdict(factors: Sequence[float]) -> Verdict:
    """What comes of "16 steps at once are about 9 times as fast", for float32 weights that come from memory.

    factors: of 16 steps at once, one for each size of layer. Holds if all are at least nine tenths of the published
    factor, holds in part if some are.

    Example:
        >>> verdict([9.0, 8.0])
        'holds in part'
    """
    enough = [factor >= ABOUT * PUBLISHED[16] for factor in factors]
    if not enough:
        return "no claim"
    return "holds" if all(enough) else "holds in part" if any(enough) else "does not hold"

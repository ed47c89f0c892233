"""The arithmetic of integer Programs. `docs/internals/numerics.md` is the text of which this is the code.

    Q3.12   16-bit signed, 1.0 = 4096: gate inputs, LSTM and SRU cells, in [-8, 8)
    Q15     1.0 = 32768: gates, tanh, GRU and QRNN states, in [-32767, 32767]
    code    few-bit signals between ops
    Q10     32-bit, 1.0 = 1024: the scores that leave a Program

All arrays hold int64 here; the widths above are ranges that values are saturated to.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import LoweringError

Integers = NDArray[np.int64]

Q12, Q15, Q10 = 1 << 12, 1 << 15, 1 << 10
INT16 = (-(1 << 15), (1 << 15) - 1)
INT32 = (-(1 << 31), (1 << 31) - 1)
MAX_MULTIPLIER = (1 << 31) - 1
MAX_SHIFT = 62

TANH_STEPS = 1024
"""The table holds tanh(i / 256) for i = 0..1024 in Q15; from 4.0 on it stays at its last entry."""
TANH_TABLE: Integers = np.minimum(np.rint(np.tanh(np.arange(TANH_STEPS + 1) / 256) * Q15), Q15 - 1).astype(np.int64)


def shift_round(x: Integers, shift: int) -> Integers:
    """``floor(x / 2**shift + 1/2)``: a right shift that rounds halves up."""
    return x if shift == 0 else (x + (1 << (shift - 1))) >> shift


def saturate(x: Integers, low: int, high: int) -> Integers:
    """Values beyond the range become its nearest end."""
    return np.clip(x, low, high)


def tanh(x: Integers) -> Integers:
    """Tanh of Q3.12 in Q15, by the table: the input is rounded to steps of 1/256, odd symmetry for negatives."""
    magnitude = np.minimum(shift_round(np.abs(x), 4), TANH_STEPS)
    return np.sign(x) * TANH_TABLE[magnitude]


def sigmoid(x: Integers) -> Integers:
    """Sigmoid of Q3.12 in Q15: ``(1 + tanh(x / 2)) / 2`` from the same table, the input rounded to steps of 1/128."""
    magnitude = np.minimum(shift_round(np.abs(x), 5), TANH_STEPS)
    return (Q15 + np.sign(x) * TANH_TABLE[magnitude]) >> 1


def mix(gate: Integers, kept: Integers, new: Integers) -> Integers:
    """``gate * kept + (1 - gate) * new`` with a Q15 gate; the result has the scale of both."""
    return shift_round(gate * kept + (Q15 - gate) * new, 15)


@dataclass(frozen=True, eq=False)
class Rescale:
    """From accumulators to codes: ``clamp(floor(x * multiplier / 2**shift + 1/2), low, high)``.

    multiplier: one for all, or one for each output ``(n,)``; magnitudes below 2**31. The product has 64 bits.
    """

    multiplier: Integers
    shift: int
    low: int
    high: int

    def __call__(self, x: Integers) -> Integers:
        return saturate(shift_round(x * self.multiplier, self.shift), self.low, self.high)


def rescale_from(factor: NDArray[np.float64] | float, low: int, high: int) -> Rescale:
    """The `Rescale` nearest to multiplication by `factor`: as many bits of it as 31 hold."""
    factors = np.atleast_1d(np.asarray(factor, np.float64))
    if not np.isfinite(factors).all():
        raise LoweringError("a scale is NaN or infinite; look for broken weights, steps or statistics")
    shift = shared_shift(factors)
    multiplier = np.clip(np.rint(np.ldexp(factors, shift)), -MAX_MULTIPLIER, MAX_MULTIPLIER).astype(np.int64)
    return Rescale(multiplier, shift, low, high)


def shared_shift(factors: NDArray[np.float64], bits: int = 30) -> int:
    """The largest shift in 0..62 at which all `factors`, times ``2**shift``, stay below ``2**(bits + 1)``."""
    largest = float(np.abs(factors).max())
    if largest == 0:
        return 0
    return int(np.clip(bits - np.floor(np.log2(largest)), 0, MAX_SHIFT))

"""The arithmetic of integer Programs. `docs/internals/numerics.md` is its specification.

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
from fewbit.program.limits import MAX_MULTIPLIER, MAX_SHIFT

Integers = NDArray[np.int64]
Points = NDArray[np.int16]
"""Points of a function or of a table, 16 bits each."""

Q12, Q15, Q10 = 1 << 12, 1 << 15, 1 << 10
INT16 = (-(1 << 15), (1 << 15) - 1)
INT32 = (-(1 << 31), (1 << 31) - 1)

TANH_STEPS = 1024
"""The table holds tanh(i / 256) for i = 0..1024 in Q15; from 4.0 on it stays at its last entry."""
TANH_TABLE: Integers = np.minimum(np.rint(np.tanh(np.arange(TANH_STEPS + 1) / 256) * Q15), Q15 - 1).astype(np.int64)


def shift_round(x: Integers, shift: int) -> Integers:
    """``floor(x / 2**shift + 1/2)``: a right shift that rounds halves up.

    Examples:
        >>> import numpy as np
        >>> shift_round(np.array([3, 1, -1, -3]), 1).tolist()
        [2, 1, 0, -1]
    """
    return x if shift == 0 else (x + (1 << (shift - 1))) >> shift


def saturate(x: Integers, low: int, high: int) -> Integers:
    """Clamp values to the range."""
    return np.clip(x, low, high)


def tanh(x: Integers) -> Integers:
    """Tanh of Q3.12 in Q15, by the table: the input is rounded to steps of 1/256, odd symmetry for negatives."""
    magnitude = np.minimum(shift_round(np.abs(x), 4), TANH_STEPS)
    return np.sign(x) * TANH_TABLE[magnitude]


def sigmoid(x: Integers) -> Integers:
    """Sigmoid of Q3.12 in Q15: ``(1 + tanh(x / 2)) / 2`` from the same table, the input rounded to steps of 1/128."""
    magnitude = np.minimum(shift_round(np.abs(x), 5), TANH_STEPS)
    return (Q15 + np.sign(x) * TANH_TABLE[magnitude]) >> 1


FINE_TABLE: Integers = np.minimum(np.rint(np.tanh(np.arange(TANH_STEPS + 1) / 128) * Q15), Q15 - 1).astype(np.int64)
"""Tanh(i / 128) for i = 0..1024 in Q15: up to 8, where it is 1. Between its entries `fine_tanh` interpolates."""


def fine_tanh(x: Integers) -> Integers:
    """Tanh of Q3.12 in Q15, interpolated between the entries of `FINE_TABLE`, odd symmetry for negatives."""
    return np.sign(x) * _between(np.abs(x), 5)


def fine_sigmoid(x: Integers) -> Integers:
    """Sigmoid of Q3.12 in Q15: ``(1 + tanh(x / 2)) / 2`` from the same table, interpolated."""
    return (Q15 + np.sign(x) * _between(np.abs(x), 6)) >> 1


def _between(magnitude: Integers, bits: int) -> Integers:
    place, rest = magnitude >> bits, magnitude & ((1 << bits) - 1)
    following = FINE_TABLE[np.minimum(place + 1, TANH_STEPS)]
    return shift_round(FINE_TABLE[place] * ((1 << bits) - rest) + following * rest, bits)


def mix(gate: Integers, kept: Integers, new: Integers) -> Integers:
    """``gate * kept + (1 - gate) * new`` with a Q15 gate; the result has the scale of both."""
    return shift_round(gate * kept + (Q15 - gate) * new, 15)


@dataclass(frozen=True, eq=False)
class Rescale:
    """From accumulators to codes: ``clamp(floor(x * multiplier / 2**shift + 1/2), low, high)``.

    multiplier: one for all, or one for each output ``(n,)``; magnitudes below 2**31. The product has 64 bits.

    Examples:
        >>> import numpy as np
        >>> Rescale(np.array([3]), 1, -4, 4)(np.array([-1, 1, 2, 9])).tolist()
        [-1, 2, 3, 4]
    """

    multiplier: Integers
    shift: int
    low: int
    high: int

    def __call__(self, x: Integers) -> Integers:
        return saturate(shift_round(x * self.multiplier, self.shift), self.low, self.high)


def rescale_from(factor: NDArray[np.float64] | float, low: int, high: int) -> Rescale:
    """The `Rescale` nearest to multiplication by `factor`: as many bits of it as 31 hold.

    Examples:
        >>> import numpy as np
        >>> third = rescale_from(1 / 3, -127, 127)
        >>> third(np.array([3, 30, 999])).tolist()
        [1, 10, 127]
    """
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


NORM_BITS = 23
"""Fractional bits of a normalised number, whose magnitude is at most 1."""


def bit_length(x: Integers) -> Integers:
    """Bits of non-negative integers; 0 has none."""
    bits = np.frexp(np.asarray(x, np.float64))[1].astype(np.int64)
    # A float64 may round up to the next power of 2.
    return bits - (x < np.int64(1) << np.maximum(bits - 1, 0)) * (bits > 0)


def square_root(x: Integers) -> Integers:
    """The integer part of the root of integers below 2**62, exact."""
    root = np.sqrt(x.astype(np.float64)).astype(np.int64)
    root -= root * root > x
    return root + ((root + 1) * (root + 1) <= x)


def normalise(x: Integers, eps: int, centre: bool) -> Integers:
    """``d / sqrt(sum(d * d) + eps)`` in Q23 over the last axis, of n integers of 16 bits.

    ``d`` is ``n * x - sum(x)`` with `centre`, else ``x``. It is shifted down to 16 bits (e bits for the whole group),
    its root taken of ``v = sum(d * d) + (eps >> 2 e)``, shifted up to 2**60 or more, and there is one division:
    ``w = shift_round(d * (2**61 // root), ...)``. A group whose v is 0 gives zeros.
    """
    d: Integers = x.shape[-1] * x - x.sum(-1, keepdims=True) if centre else x
    e: Integers = np.maximum(bit_length(np.abs(d).max(-1, keepdims=True)) - 15, 0)
    d = shift_round_each(d, e)
    v = (d * d).sum(-1, keepdims=True) + (eps >> np.minimum(2 * e, 62))
    p = (62 - bit_length(np.maximum(v, 1))) >> 1
    root = np.maximum(square_root(v << (2 * p)), 1)
    inverse: Integers = (np.int64(1) << 61) // root
    w = shift_round_each(d * inverse, 61 - NORM_BITS - p)
    return np.where(v > 0, w, 0)


def shift_round_each(x: Integers, shift: Integers) -> Integers:
    """`shift_round` by shifts that are arrays."""
    half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
    return (x + half) >> shift


EXP_BITS = 10
"""Fractional bits of an exponent of 2."""
EXP_POINTS: Integers = np.rint(np.exp2(-np.arange(1 << EXP_BITS) / (1 << EXP_BITS)) * (Q15 - 1)).astype(np.int64)
"""2**-(i / 1024) in Q15."""
MAX_EXPONENT = 24 << EXP_BITS
"""From this exponent on a weight is 0."""


def exp_weights(scores: Integers, seen: NDArray[np.bool_] | None, multiplier: int, shift: int) -> Integers:
    """``2**-u`` in Q15, ``u`` the distance to the largest score that is seen, times ``multiplier / 2**shift``, in Q10.

    A score that is not seen has weight 0.
    """
    shown = scores if seen is None else np.where(seen, scores, np.iinfo(np.int64).min)
    largest = shown.max(-1, keepdims=True)
    distance = largest - (scores if seen is None else np.where(seen, scores, largest))
    u = np.minimum(shift_round(distance * multiplier, shift), MAX_EXPONENT)
    weights = shift_round_each(EXP_POINTS[u & ((1 << EXP_BITS) - 1)], u >> EXP_BITS)
    return weights if seen is None else np.where(seen, weights, 0)


def shares(weights: Integers) -> Integers:
    """``weight / sum`` over the last axis in Q15, by one division."""
    inverse = (np.int64(1) << 46) // np.maximum(weights.sum(-1, keepdims=True), 1)
    return shift_round(weights * inverse, 31)


LOG_BITS = 16
"""Fractional bits of a logarithm of base 2."""


def log2(x: Integers) -> Integers:
    """``log2(x)`` in Q16, rounded down bit by bit: a number in [1, 2) is squared, and what is 2 or more gives a 1.

    x: from 1 to below 2**31.

    Examples:
        >>> log2(np.array([1, 2, 3])) / 65536
        array([0.        , 1.        , 1.58496094])
    """
    whole = bit_length(x) - 1
    m = x << (30 - whole)
    found = whole << LOG_BITS
    for bit in range(LOG_BITS - 1, -1, -1):
        m = (m * m) >> 30
        above = m >> 31
        found, m = found + (above << bit), m >> above
    return found


def log_shares(scores: Integers, multiplier: int, shift: int) -> Integers:
    """``log2(share)`` in Q16 of the `shares` that `exp_weights` gives, without their rounding: at most 0.

    The distance to the largest score, times ``multiplier / 2**shift``, is the exponent in Q10 there and in Q16 here.
    """
    weights = exp_weights(scores, None, multiplier, shift)
    distance = scores.max(-1, keepdims=True) - scores
    total = log2(weights.sum(-1, keepdims=True)) - LOG_ONE
    return saturate(-shift_round((distance * multiplier) << (LOG_BITS - EXP_BITS), shift) - total, -INT32[1], 0)


LOG_ONE = int(log2(np.array([Q15 - 1]))[0])
"""The logarithm of a weight of 1."""


def mixture(weights: Integers, values: Integers) -> Integers:
    """``weights @ values / sum(weights)`` with 15 fractional bits, by one division for each row of weights."""
    inverse = (np.int64(1) << 46) // np.maximum(weights.sum(-1, keepdims=True), 1)
    return shift_round((weights @ values) * inverse, 31)


def interpolate(x: Integers, points: Integers, fraction_bits: int, spare_bits: int) -> Integers:
    """Between ``points[x >> fraction_bits]`` and the next one, divided by ``2**spare_bits``; x is not negative."""
    place, rest = x >> fraction_bits, x & ((1 << fraction_bits) - 1)
    between = points[place] * ((1 << fraction_bits) - rest) + points[place + 1] * rest
    return shift_round(between, fraction_bits + spare_bits)


SINE_BITS = 12
SINE_POINTS: Integers = np.rint(
    np.sin(2 * np.pi * np.arange((1 << SINE_BITS) + 1) / (1 << SINE_BITS)) * (Q15 - 1)
).astype(np.int64)
"""A turn of the sine in 4096 steps, in Q15."""


def sine(phase: Integers) -> Integers:
    """Sine of a phase in 2**-32 of a turn, with 27 fractional bits: 12 bits choose a point, 12 interpolate."""
    place, rest = phase >> 20, (phase >> 8) & 4095
    between: Integers = SINE_POINTS[place] * (4096 - rest) + SINE_POINTS[place + 1] * rest
    return between

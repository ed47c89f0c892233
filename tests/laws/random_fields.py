"""Fields of random ops: Hypothesis draws the choices, a generator with a drawn seed makes the numbers.

Scales are chosen from what an op computes of some frames, so that most results are alive; some are drawn to saturate.
"""

import numpy as np
from hypothesis import strategies as st

from fewbit.formats import Binary, Int, PerGroup, PerRow, Ternary, UInt, pack
from fewbit.program import ops
from fewbit.program.numerics import INT16, Rescale, rescale_from
from fewbit.program.ops import Grid, Step

FORMATS = (Ternary(), Binary(), Int(3), Int(4), Int(8), UInt(8))
RANGES = (
    *((-127, 127), (-128, 127), (0, 255), (-7, 7), (-127, 127), (-1, 1), (-200, 50), (0, 127)),
    *(INT16, INT16, (0, 32767), (-2047, 2047), (0, 3), INT16, (-127, 127)),
)
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.8, 0.9, 1.0, 1.0, 0.7, 0.2, 1.5, 4.0, 10_000.0)
"""Which part of its range a signal fills; the last ones saturate."""
MAX_SIZE, MAX_RATE, PROBE = 48, 6, 20
IDENTITY = Rescale(np.ones(1, np.int64), 0, -(1 << 62), 1 << 62)


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


def layout(format):
    return "trits" if format == Ternary() else "bits"


def run(op, xs):
    """What an op gives for all frames of its inputs."""
    return op.run(xs, op.start(), Step(op.prepare(), True))[0]


class Numbers:
    """Fields of ops: drawn choices, made-up numbers."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def pick(self, several):
        return self.draw(st.sampled_from(several))

    def count(self, low, high):
        return self.draw(st.integers(low, high))

    def matrix(self, rows, columns, groups=True):
        format = self.pick(FORMATS)
        ends = self.rng.random() < 0.1  # nothing but the largest and smallest codes
        data = pack(self.rng.choice(format.levels()[[0, -1]] if ends else format.levels(), (rows, columns)), format)
        if not groups or self.pick((True, True, True, False)):
            return ops.Matrix(rows, columns, format, layout(format), PerRow(), data)
        size = self.count(1, columns + 1)
        scale = self.rng.integers(1, (1 << ops.GROUP_SHIFT) + 1, (rows, -(-columns // size)))
        return ops.Matrix(rows, columns, format, layout(format), PerGroup(size), data, scale)

    def rescale(self, accumulators, outputs=1, span=None):
        """What makes codes of numbers like `accumulators`, of one factor or of one for each output."""
        low, high = span or self.pick(RANGES)
        usual = float(np.percentile(np.abs(accumulators), 90)) if np.size(accumulators) else 1.0
        factor = self.pick(TARGETS) * max(high, -low) / max(usual, 1.0)
        sign = (
            self.rng.choice([-1, 1, 1]) if low < 0 or not np.size(accumulators) else 1 - 2 * (np.mean(accumulators) < 0)
        )
        each = self.rng.uniform(0.3, 1.0, self.pick((1, outputs))) * sign
        return rescale_from(np.clip(factor * each, -(2.0**30), 2.0**30), low, high)

    def gates(self, accumulators, rows):
        wild = self.pick((False, False, False, True))
        return self.rescale(accumulators, rows, INT16) if wild else self.safe_rescale(accumulators, rows)

    def safe_rescale(self, accumulators, rows):
        usual = float(np.sqrt(np.mean(np.square(accumulators, dtype=np.float64)))) if np.size(accumulators) else 1.0
        return rescale_from(self.rng.uniform(0.3, 2, rows) * 4096 / max(usual, 1.0), *INT16)

    def bias(self, accumulators, rows):
        most = min(1 + int(np.abs(accumulators).max()) if np.size(accumulators) else 100, 1 << 29)
        if np.size(accumulators) % rows or not np.size(accumulators) or self.pick((False, False, True)):
            return self.rng.integers(-most, most, rows) >> self.pick((0, 2))
        middle = np.median(np.reshape(accumulators, (-1, rows)), axis=0).astype(np.int64)
        return np.clip(-middle, -(1 << 29), 1 << 29) + self.rng.integers(-most, most, rows) // 16

    def exponent(self, distances):
        """Multiplier and shift that make exponents of some bits of usual distances."""
        factor = self.pick((0.5, 2.0, 8.0)) * 1024 / max(float(np.std(distances)), 1e-6) if np.size(distances) else 1.0
        shift = int(np.clip(15 - np.floor(np.log2(factor)), 0, 62))
        return int(min(np.rint(factor * 2**shift), 1 << 16)), shift

    def grid(self, size):
        """A grid over some factors of a size, and the channels of a place."""
        places = self.pick(divisors(size))
        height = self.pick(divisors(places))
        sides, windows = (height, places // height), []
        for side in sides:
            kernel, dilation, stride = self.count(1, 3), self.count(1, 2), self.count(1, 3)
            reach = (kernel - 1) * dilation
            before, after = self.count(0, reach), self.count(0, reach)
            if side + before + after <= reach:
                kernel, dilation, before, after = 1, 1, 0, 0
            windows.append((kernel, stride, dilation, before, after))
        (kh, sh, dh, top, bottom), (kw, sw, dw, left, right) = windows
        return Grid(*sides, kh, kw, sh, sw, dh, dw, top, bottom, left, right), size // places

    def window(self, rate):
        """Kernel, stride, dilation, left, right of a window over frames."""
        kernel, dilation, stride = self.count(1, 4), self.count(1, 3), self.count(1, 3)
        if rate * stride > MAX_RATE:
            stride = 1
        reach = (kernel - 1) * dilation + 1
        way = self.pick(("causal", "centred", "any"))
        if way == "causal":
            left, right = reach - 1, 0
        elif way == "centred":
            left = (reach - 1) // 2
            right = reach - 1 - left
        else:
            left, right = self.count(0, reach - 1), self.count(0, reach - 1)
        return kernel, stride, dilation, left, right

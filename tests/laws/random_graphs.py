"""Strategies that draw whole graphs of ops, for the laws of Programs.

Hypothesis draws the structure: kinds, wiring, sizes, formats. Shrinking acts on the structure alone.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, Rescale, rescale_from
from fewbit.program.ops import Value
from tests.laws.random_fields import IDENTITY, MAX_RATE, MAX_SIZE, PROBE, RANGES, TARGETS, divisors, run
from tests.laws.random_ops import UnaryOps


class Case(NamedTuple):
    """A graph, and what its frames consist of: for each column 0 (a real number) or how many symbols there are."""

    ops: tuple
    columns: tuple

    def frames(self, rng, count, loud=1.0):
        """Frames that the graph can take."""
        real = rng.normal(0, 1.5 * loud, (count, len(self.columns)))
        symbols = [rng.integers(0, max(rows, 1), count) for rows in self.columns]
        mixed = [real[:, i] if rows == 0 else symbols[i] for i, rows in enumerate(self.columns)]
        return np.asarray(mixed, np.float32).T.reshape(count, len(self.columns))


class Builder(UnaryOps):
    """A graph in the making: each op with what it gives for some frames."""

    def __init__(self, draw, whole):
        super().__init__(draw)
        self.whole = whole
        self.ops, self.columns, self.values, self.found, self.rates = [], [], {}, {}, {}
        self.probe = []

    def add(self, op, inputs=()):
        """Append an op; it names its inputs unless it reads the one before."""
        before = self.ops[-1].name if self.ops else None
        if inputs and not (tuple(inputs) == (before,) and self.pick((True, False))):
            op = type(op)(**vars(op) | {"inputs": tuple(inputs)})
        read = [self.values[name] for name in inputs]
        value = op.value(read)
        xs = [self.found[name] for name in inputs]
        ready = min([len(x) for x in xs], default=PROBE)
        self.found[op.name] = run(op, [x[:ready] for x in xs] or [np.asarray(self.probe, np.float32).T])
        self.values[op.name] = Value(value.size, value.low, value.high, op.name)
        self.rates[op.name] = (self.rates[inputs[0]] if inputs else 1) * op.window.stride
        self.ops.append(op)
        return op.name

    def name(self, kind):
        return f"{kind}{len(self.ops)}"

    def names(self, rate=None):
        """What can be read, the latest first."""
        return [op.name for op in self.ops[::-1] if rate in (None, self.rates[op.name])]

    def any(self, rate=None):
        return self.pick(self.names(rate)[:6])

    def source(self):
        if self.pick((True, True, False)):
            gains, repeat = self.count(1, 5), self.count(1, 3)
            real = [
                i for i in range(len(self.columns)) if self.columns[i : i + gains * repeat] == [0] * (gains * repeat)
            ]
            if not (real and self.pick((True, False))):
                real = [len(self.columns)]
                self.columns += [0] * gains * repeat
                self.probe += list(self.rng.normal(0, 1.5, (gains * repeat, PROBE)))
            low, high = self.pick(RANGES)
            factor = self.pick(TARGETS) * (high - low) / 4
            gain = (self.rng.uniform(0.5, 1, gains) * factor).astype(np.float32)
            offset = np.full(gains, (high + low) / 2, np.float32)
            return self.add(ops.Quantize(self.name("quantize"), gain, offset, low, high, repeat, real[0]))
        rows, places = self.count(2, 9), self.count(1, 3)
        first = len(self.columns)
        self.columns += [rows] * places
        self.probe += list(self.rng.integers(0, rows, (places, PROBE)))
        table = self.matrix(rows, self.count(1, 6), groups=False)
        return self.add(
            ops.Lookup(self.name("lookup"), table, self.rescale(table.codes().astype(np.int64), rows), places, first)
        )

    def taken(self, names, size):
        """Numbers of some values, in any order, with signs and zeros."""
        total = sum(self.values[name].size for name in names)
        repeat = self.pick(divisors(size))
        stride = self.count(0, (total - 1) // (repeat - 1)) if repeat > 1 else 0
        index = self.rng.integers(1, total - (repeat - 1) * stride + 1, size // repeat)
        if all(self.values[name].low > INT16[0] for name in names):
            index *= self.rng.choice([1, 1, 1, -1], len(index))
        index[self.rng.random(len(index)) < 0.05] = 0
        return self.add(ops.Take(self.name("take"), index, repeat, stride), names)

    def same_rate(self, most):
        rate = self.rates[self.any()]
        return [self.any(rate) for _ in range(self.count(1, most))]

    def unary(self, kind):
        x = self.any()
        op = getattr(self, kind)(self.name(kind), self.found[x], self.values[x], self.rates[x])
        try:
            small = op.value([self.values[x]]).size <= 4 * MAX_SIZE
        except ValueError:  # a window that does not fit, or sums that could be too large
            small = False
        return self.add(op, [x]) if small else self.taken([x], self.count(1, 12))

    def sum(self):
        names = self.same_rate(4)
        size = max(self.values[name].size for name in names)
        for i, name in enumerate(names):
            if size % self.values[name].size:
                names[i] = self.taken([name], self.pick(divisors(size)))
        low, high = self.pick(RANGES)
        rough = [max(float(np.abs(self.found[name]).mean()) if self.found[name].size else 1, 1) for name in names]
        length = self.pick(divisors(size))
        factors = np.repeat([self.pick(TARGETS) * max(high, -low) * 256 / mean for mean in rough], length)
        each = rescale_from(factors / len(names) * self.rng.choice([-1, 1], len(factors)), low, high)
        bias = self.rng.integers(-256, 257, self.pick(divisors(size))) * self.pick((1, max(high, -low)))
        return self.add(ops.Sum(self.name("sum"), each.multiplier, each.shift, bias, low, high), names)

    def mul(self):
        x, y = (self.same_rate(1) * 2)[:2]
        y = self.any(self.rates[x])
        if self.values[x].size % self.values[y].size:
            y = self.taken([y], self.pick(divisors(self.values[x].size)))
        ready = min(len(self.found[x]), len(self.found[y]))
        raw = run(ops.Mul("", IDENTITY), [self.found[x][:ready], self.found[y][:ready]])
        return self.add(ops.Mul(self.name("mul"), self.rescale(raw)), [x, y])

    def magnitude(self):
        names = self.same_rate(3)
        size = self.values[names[0]].size
        names = [name if self.values[name].size == size else self.taken([name], size) for name in names]
        raw = self.found[names[0]] * 256 * np.sqrt(len(names))
        eps = self.pick((0, 1, 1 << 20))
        return self.add(ops.Magnitude(self.name("magnitude"), eps, self.rescale(np.abs(raw))), names)

    def take(self):
        return self.taken(self.same_rate(3), self.count(1, 16))

    def attend(self):
        groups, shared, width = self.count(1, 2), self.count(1, 2), self.count(1, 4)
        places = self.pick((0, 0, 1, 3))
        window = self.pick((1, 2, 5, 40)) if places == 0 else 0
        if places == 0 and self.whole and self.pick((True, False)):
            window = 0
        names = (self.same_rate(3) * 3)[:3]
        sizes = [max(places, 1) * width * count for count in (groups * shared, groups, groups)]
        names = [self.taken([name], size) for name, size in zip(names, sizes, strict=True)]
        q, k, v = (self.found[name] for name in names)
        ready = min(len(q), len(k), len(v))
        each = (part[:ready].reshape(-1, width) for part in (q, k))
        scores = np.concatenate([part[:1] for part in each]).std() * float(np.abs(q).max(initial=1)) * width
        seen = np.ones(1, np.int64)
        if places and self.pick((True, False)):
            seen = (self.rng.random((places, places)) < 0.6).astype(np.int64)
            seen[np.arange(places), self.rng.integers(0, places, places)] = 1
            seen = seen.ravel()
        multiplier, shift = self.exponent(np.array([0, max(scores, 1)]))
        rescale = self.rescale(v * 32768)
        op = ops.Attend(
            self.name("attend"), groups * shared, groups, width, places, window, multiplier, shift, rescale, seen
        )
        return self.add(op, names)

    def reverse(self):
        return self.add(ops.Reverse(self.name("reverse")), [self.any()])

    def fork(self):
        """Two windows over one value with one stride and different lookahead, joined."""
        x = self.any()
        branches, stride = [], self.count(1, 2) if self.rates[x] * 2 <= MAX_RATE else 1
        for _ in range(2):
            kernel = self.count(1, 5)
            left, right = self.count(0, kernel - 1), self.count(0, kernel - 1)
            raw = run(ops.Pool("", 0, self.values[x].size, kernel, stride, IDENTITY, left, right), [self.found[x]])
            rescale = self.rescale(raw, 1, (-2000, 2000))
            op = ops.Pool(self.name("pool"), 0, self.values[x].size, kernel, stride, rescale, left, right)
            branches.append(self.add(op, [x]))
        return self.taken(branches, self.count(1, 12)) if self.pick((True, False)) else self.joined(branches)

    def joined(self, names):
        multiplier = self.rng.choice([-1, 1], len(names)) * 256
        return self.add(ops.Sum(self.name("sum"), multiplier, 1, np.zeros(1, np.int64), *INT16), names)


UNARY = (
    *("requantize", "dense", "dense", "conv", "conv", "pool", "map", "prelu", "norm", "softmax", "mean", "positions"),
    *("log_softmax", "first", "phases", "sru", "qrnn", "lstm", "gru", "hierarchy"),
)
OTHERS = ("source", "magnitude", "sum", "mul", "take", "attend", "attend", "fork")


@st.composite
def graphs(draw, whole=False, most=20):
    """Cases whose ops run as a stream; with `whole`, some need all frames at once."""
    builder = Builder(draw, whole)
    builder.source()
    kinds = UNARY + OTHERS + (("reverse",) if whole else ())
    wanted = builder.count(5, most)
    while len(builder.ops) < wanted:
        kind = builder.pick(kinds)
        if kind in UNARY:
            builder.unary(kind)
        else:
            getattr(builder, kind)()
    read = {name for op in builder.ops for name in op.inputs}
    rate = builder.rates[builder.ops[-1].name]
    ends = [name for name in builder.names(rate) if name not in read][:8]
    if len(ends) > 1:
        sizes = sum(builder.values[name].size for name in ends)
        builder.add(ops.Take(builder.name("ends"), np.arange(1, sizes + 1)), ends)
    if builder.pick((True, False)):
        x = builder.ops[-1].name
        op = builder.dense("scores", builder.found[x], builder.values[x], rate)
        wide = ops.Dense(
            "scores", op.weight, op.bias, Rescale(op.rescale.multiplier, op.rescale.shift, *INT32), op.places
        )
        builder.add(wide, [x])
    return Case(tuple(builder.ops), tuple(builder.columns))

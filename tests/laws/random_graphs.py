"""Strategies that draw whole graphs of ops, for the laws of Programs.

Hypothesis draws the structure: kinds, wiring, sizes, formats. A generator with a drawn seed makes the numbers, so that
shrinking acts on the structure alone. Scales are chosen from what an op computes of some frames, so that most results
are alive; some are drawn to saturate.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from fewbit.formats import Binary, Int, PerGroup, PerRow, Ternary, UInt, pack
from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, Rescale, rescale_from
from fewbit.program.ops import Grid, Step, Value

FORMATS = (Ternary(), Binary(), Int(3), Int(4), Int(8), UInt(8))
RANGES = (
    *((-127, 127), (-128, 127), (0, 255), (-7, 7), (-127, 127), (-1, 1), (-200, 50), (0, 127)),
    *(INT16, INT16, (0, 32767), (-2047, 2047), (0, 3), INT16, (-127, 127)),
)
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.8, 0.9, 1.0, 1.0, 0.7, 0.2, 1.5, 4.0, 10_000.0)
"""Which part of its range a signal fills; the last ones saturate."""
MAX_SIZE, MAX_RATE, PROBE = 48, 6, 20
IDENTITY = Rescale(np.ones(1, np.int64), 0, -(1 << 62), 1 << 62)


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


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


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
        return self.rescale(accumulators, rows, INT16) if wild else self.gentle(accumulators, rows)

    def gentle(self, accumulators, rows):
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

    # Ops with one input: its name is that of the new op, x what the input gives for some frames.

    def requantize(self, name, x, value, rate):
        return ops.Requantize(name, value.size, self.rescale(x, value.size))

    def dense(self, name, x, value, rate):
        places = self.pick(divisors(value.size))
        weight = self.matrix(self.count(1, max(1, min(9, MAX_SIZE // places))), value.size // places)
        raw = ops.MatrixProduct(weight)(x.reshape(-1, weight.columns))
        bias = self.bias(raw, weight.rows)
        return ops.Dense(name, weight, bias, self.rescale(raw + bias, weight.rows), places)

    def conv(self, name, x, value, rate):
        kernel, stride, dilation, left, right = self.window(rate)
        grid, channels = self.grid(value.size) if self.pick((True, False)) else (ops.ONE_PLACE, value.size)
        groups = self.pick((1, channels, self.pick(divisors(channels))))
        rows = groups * self.count(1, 3)
        while grid.out_height * grid.out_width * rows > MAX_SIZE and rows > groups:
            rows -= groups
        weight = self.matrix(rows, kernel * grid.kernel * channels // groups, groups == 1)
        if left == (kernel - 1) * dilation and self.pick((True, False)):
            left = -1
        if left == -1 and right == 0 and dilation == 1:
            stride = min(stride, kernel)
        fields = {"dilation": dilation, "left": left, "right": right, "groups": groups, "grid": grid}
        zeros = np.zeros(rows, np.int64)
        raw = run(ops.Conv(name, kernel, stride, weight, zeros, IDENTITY, **fields), [x])
        bias = self.bias(raw, rows)
        return ops.Conv(name, kernel, stride, weight, bias, self.rescale(raw, rows), **fields)

    def pool(self, name, x, value, rate):
        kernel, stride, _, left, right = self.window(rate)
        left, right = min(left, kernel - 1), min(right, kernel - 1)
        grid, channels = self.grid(value.size) if self.pick((True, False)) else (ops.ONE_PLACE, value.size)
        fields = {"left": left, "right": right, "grid": grid}
        maximum = self.pick((0, 1))
        raw = run(ops.Pool(name, maximum, channels, kernel, stride, IDENTITY, **fields), [x])
        return ops.Pool(name, maximum, channels, kernel, stride, self.rescale(raw), **fields)

    def map(self, name, x, value, rate):
        span = value.high - value.low + 1
        fraction = self.count(max(0, (span >> 9).bit_length()), 12)
        first = max(INT16[0], value.low - self.count(0, 3))
        count = ((value.high - first) >> fraction) + 2 + self.count(0, 2)
        low, high = self.pick(RANGES)
        spare = self.count(0, max(0, 15 - max(high, -low, 1).bit_length()))
        most = max(high, -low)
        t = np.linspace(-4, 4, count)
        shapes = (np.tanh(t), np.maximum(t, 0) / 4, np.sin(3 * t), self.rng.uniform(-1, 1, count))
        points = np.clip(np.rint(shapes[self.count(0, 3)] * most * 2**spare), *INT16).astype(np.int16)
        return ops.Map(name, points, first, fraction, spare, low, high)

    def prelu(self, name, x, value, rate):
        low, high = self.pick(RANGES)
        most = self.pick(TARGETS) * max(high, -low) / max(value.largest, 1)
        slopes = self.rng.uniform(-1, 1, 1 + self.pick(divisors(value.size)))
        both = rescale_from(most * slopes, low, high)
        return ops.PReLU(name, int(both.multiplier[0]), both.multiplier[1:], both.shift, low, high)

    def norm(self, name, x, value, rate):
        length = self.pick(divisors(value.size)[::-1])
        low, high = self.pick(RANGES)
        factor = self.pick(TARGETS) * max(high, -low) * 256 / 2**22
        each = rescale_from(factor * self.rng.uniform(0.5, 1.5, self.pick((1, length))), low, high)
        bias = self.rng.integers(-256, 257, self.pick((1, length))) * self.pick((0, 1, max(high, -low)))
        eps = self.pick(((0, 0), (1, 0), (1000, 3), (5, 12), (1, 8), (2**31 - 1, 30)))
        centre = self.pick((0, 1))
        return ops.Norm(name, length, centre, *eps, each.multiplier, each.shift, bias, low, high)

    def softmax(self, name, x, value, rate):
        length = self.pick(divisors(value.size)[::-1])
        low, high = self.pick(RANGES)
        rescale = rescale_from(self.pick((1, 1, length)) * max(high, -low) / 32768, low, high)
        return ops.Softmax(name, length, *self.exponent(x), rescale)

    def mean(self, name, x, value, rate):
        return ops.Mean(name, self.rescale(np.asarray(x) * 256))

    def first(self, name, x, value, rate):
        return ops.First(name)

    def positions(self, name, x, value, rate):
        width = self.count(1, 7)
        return ops.Positions(name, width, self.rng.integers(*self.pick(((-128, 127), INT16)), 400 * width, np.int16))

    def phases(self, name, x, value, rate):
        size = self.count(1, 7)
        turn = self.rng.integers(*INT32, size) >> self.rng.integers(0, 8, size)
        begin = self.rng.integers(*INT32, size)
        return ops.Phases(name, turn, begin, self.rescale(np.array([1 << 27])))

    def sru(self, name, x, value, rate):
        same = self.pick((True, False))
        hidden = value.size if same else self.count(1, 7)
        weight = self.matrix((3 if same else 4) * hidden, value.size)
        raw = ops.MatrixProduct(weight)(x)
        low, high = self.pick(RANGES)
        scale = 2.0**30 * self.pick((0.5, 1.0)) * max(high, -low) / 32768**2
        # Of the state, at most 32767 in Q15, and of the skip: codes of the input, or Q3.12.
        skip = scale * 32768 / (max(value.largest, 1) if same else 32768)
        multipliers = (int(np.clip(m, -(2**31), 2**31 - 1)) for m in (scale * 32768, skip))
        return ops.SRU(
            name, hidden, weight, self.bias(raw, weight.rows), self.gates(raw, weight.rows), *multipliers, 30, low, high
        )

    def qrnn(self, name, x, value, rate):
        hidden, kernel = self.count(1, 7), self.count(1, 4)
        weight = self.matrix(3 * hidden, kernel * value.size)
        raw = ops.MatrixProduct(weight)(np.tile(x, (1, kernel)))
        output = self.rescale(np.array([20_000]), hidden)
        return ops.QRNN(name, hidden, kernel, weight, self.bias(raw, 3 * hidden), self.gates(raw, 3 * hidden), output)

    def lstm(self, name, x, value, rate):
        hidden = self.count(1, 6)
        return ops.LSTM(name, hidden, *self.halves(x, value, 4, hidden), self.exactness())

    def gru(self, name, x, value, rate):
        hidden = self.count(1, 6)
        weight, bias, rescale, back, rescale_hidden, output = self.halves(x, value, 3, hidden)
        inner = self.rng.integers(*self.pick(((-4096, 4096), INT16)), hidden)
        return ops.GRU(name, hidden, weight, bias, rescale, back, inner, rescale_hidden, output, self.exactness())

    def exactness(self):
        return self.pick((0, 1))

    def halves(self, x, value, blocks, hidden):
        weight, back = self.matrix(blocks * hidden, value.size), self.matrix(blocks * hidden, hidden)
        raw = ops.MatrixProduct(weight)(x)
        output = self.rescale(np.array([20_000]), hidden)
        echoed = ops.MatrixProduct(back)(self.rng.integers(output.low, output.high + 1, (9, hidden)))
        rows = blocks * hidden
        return weight, self.bias(raw, rows), self.gates(raw, rows), back, self.gates(echoed, rows), output

    def hierarchy(self, name, x, value, rate):
        direct = self.pick((0, 1))
        boundaries = np.array(sorted({self.count(0, value.size - 1) for _ in range(self.count(1, 2))}))
        letters = self.chain(f"{name}.letters", value)
        told = ops.hierarchy.result(letters, value)
        low, high = min(told.low, value.low), max(told.high, value.high)
        words = self.chain(f"{name}.words", Value(told.size + value.size, low, high))
        context = ops.hierarchy.result(words, Value(told.size + value.size, low, high))
        beside = value if direct else told
        low, high = min(beside.low, context.low), max(beside.high, context.high)
        spelling = self.chain(f"{name}.spelling", Value(beside.size + context.size, low, high))
        return ops.Hierarchy(name, boundaries, direct, letters, words, spelling)

    def chain(self, name, value):
        found = []
        for i in range(self.count(1, 2)):
            x = self.rng.integers(value.low, value.high + 1, (9, value.size))
            kind = self.pick(
                (self.lstm, self.gru, self.sru, self.dense, self.requantize, self.qrnn, self.norm, self.map)
            )
            found.append(kind(f"{name}.{i}", x, value, 1))
            value = found[-1].value([value])
        return tuple(found)


def layout(format):
    return "trits" if format == Ternary() else "bits"


def run(op, xs):
    """What an op gives for all frames of its inputs."""
    return op.run(xs, op.start(), Step(op.prepare(), True))[0]


class Builder(Numbers):
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
    *("first", "phases", "sru", "qrnn", "lstm", "gru", "hierarchy"),
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

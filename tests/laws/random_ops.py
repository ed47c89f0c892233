"""Random ops that read one value."""

import numpy as np

from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, rescale_from
from fewbit.program.ops import Value
from tests.laws.random_fields import IDENTITY, MAX_SIZE, RANGES, TARGETS, Numbers, divisors, run


class UnaryOps(Numbers):
    """Each method makes an op: its name, what its input gives for some frames, and the range and rate of that."""

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

    def log_softmax(self, name, x, value, rate):
        length = self.pick(divisors(value.size)[::-1])
        low, high = self.pick(RANGES)
        rescale = rescale_from(self.pick((1, 10)) * max(high, -low) / 2**20, low, high)
        return ops.LogSoftmax(name, length, *self.exponent(x), rescale)

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

"""Random small graphs around one op of each kind, and the comparison of their native runs with the reference."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fewbit.formats import PerGroup, PerRow, default_layout, format_from_name, pack
from fewbit.native import targets
from fewbit.program import Reference, ops
from fewbit.program.graph import make_graph
from fewbit.program.native_run import Native, fits
from fewbit.program.numerics import Rescale, rescale_from

FORMATS = ("ternary", "binary", "int2", "int3", "int4", "int5", "int6", "int8", "uint2", "uint8")
SPANS = (
    (-128, 127),
    (-127, 127),
    (0, 255),
    (-1, 1),
    (0, 3),
    (-8, 7),
    (-1000, 500),
    (-1023, 1023),
    (-8191, 8191),
    (-32768, 32767),
    (3, 200),
    (-90, -20),
)
FRAMES = (0, 1, 2, 5, 17, 33)


class Draft:
    """Ops that are being put together, and the features that they read."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ops, self.features, self.symbols = rng, [], 0, {}

    def choose(self, options):
        return options[self.rng.integers(len(options))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def add(self, make: Callable, *args, **fields) -> str:
        name = f"op{len(self.ops)}"
        self.ops.append(make(name, *args, **fields))
        return name

    def value(self, name: str) -> ops.Value:
        graph = make_graph(self.ops)
        return graph.values[[op.name for op in self.ops].index(name)]

    def source(self, size: int, span=None) -> str:
        """Codes of `size` numbers; now and then they come late, so that others wait for them."""
        low, high = span or self.choose(SPANS)
        repeat = self.choose([n for n in (1, 2, 3, 5, size) if size % n == 0])
        gain = self.rng.normal(size=size // repeat).astype(np.float32) * max(-low, high)
        offset = self.rng.normal(size=size // repeat).astype(np.float32) * max(-low, high) / 4
        name = self.add(ops.Quantize, gain, offset, low, high, repeat, self.features)
        self.features += size
        if self.chance(0.3):
            kernel = self.number(1, 4)
            left, right = self.number(0, kernel - 1), self.number(0, kernel - 1)
            same = Rescale(np.array([1]), 0, low, high)
            name = self.add(ops.Pool, 1, size, kernel, 1, same, left, right, inputs=(name,))
        return name

    def span(self) -> tuple[int, int]:
        return self.choose(SPANS)

    def rescale(self, size: float, outputs: int = 1, span=None, wanted: float | None = None) -> Rescale:
        """What takes numbers of about `size` to about half of a span."""
        low, high = span or self.span()
        wanted = max(-low, high) / 2 if wanted is None else wanted
        factors = self.rng.uniform(0.3, 1, outputs if self.chance(0.7) else 1) * wanted / max(size, 1)
        if self.chance(0.1):
            factors *= 0
        return rescale_from(factors * self.rng.choice([-1, 1], len(factors)), low, high)

    def matrix(self, rows: int, columns: int, grouped: bool = True) -> ops.Matrix:
        format = format_from_name(self.choose(FORMATS))
        codes = self.rng.choice(format.levels(), (rows, columns))
        layout = default_layout(format)
        size = self.choose((1, 5, 16, 64))
        if grouped and self.chance(0.15):
            scale = self.rng.integers(1, 1 << 14, (rows, -(-columns // size)))
            return ops.Matrix(rows, columns, format, layout, PerGroup(size), pack(codes, format, layout), scale)
        return ops.Matrix(rows, columns, format, layout, PerRow(), pack(codes, format, layout))

    def usual(self, matrix: ops.Matrix, name: str) -> float:
        """About what a sum of products has for a size."""
        return float(np.sqrt(matrix.columns) * max(matrix.format.hi, 1) * self.value(name).largest / 3)

    def linear(self, rows: int, columns: int, name: str, span=None, wanted=None, grouped: bool = True):
        weight = self.matrix(rows, columns, grouped)
        size = self.usual(weight, name)
        bias = self.rng.integers(-int(min(size, 1 << 29)) - 1, int(min(size, 1 << 29)) + 1, rows)
        return weight, bias, self.rescale(size, rows, span, wanted)

    def finer(self, product):
        """A product whose bias counts less than a sum, and how many bits less; its sums are as much larger."""
        bias_bits = self.choose((0, 0, 1, 3, 9))
        weight, bias, rescale = product
        return (weight, bias, replace(rescale, multiplier=rescale.multiplier >> bias_bits)), bias_bits

    def grid(self) -> ops.Grid:
        while True:
            height, width, kernel_height, kernel_width = (self.number(1, most) for most in (6, 6, 3, 3))
            dilation = self.number(1, 2), self.number(1, 2)
            reach = (kernel_height - 1) * dilation[0], (kernel_width - 1) * dilation[1]
            pads = [self.number(0, most) for most in (reach[0], reach[0], reach[1], reach[1])]
            stride = self.number(1, 3), self.number(1, 3)
            grid = ops.Grid(height, width, kernel_height, kernel_width, *stride, *dilation, *pads)
            if grid.out_height >= 1 and grid.out_width >= 1:
                return grid

    def window(self, dilation: int) -> tuple[int, int, int, int]:
        """Kernel, stride, left and right."""
        kernel = self.number(1, 3)
        reach = (kernel - 1) * dilation + 1
        return kernel, self.number(1, 4), self.number(0, reach - 1), self.number(0, reach - 1)


def quantize(draft):
    draft.source(draft.choose((1, 3, 30, 700)))


def lookup(draft):
    rows, columns, places = draft.choose((2, 17, 40)), draft.choose((1, 5, 64, 600)), draft.number(1, 3)
    table = draft.matrix(rows, columns, grouped=False)
    draft.symbols[draft.features] = (places, rows)
    draft.add(ops.Lookup, table, draft.rescale(table.format.hi, rows), places, draft.features)
    draft.features += places


def requantize(draft):
    size = draft.choose((1, 17, 600))
    name = draft.source(size)
    draft.add(ops.Requantize, size, draft.rescale(draft.value(name).largest, size))


def dense(draft):
    places, columns, rows = draft.choose((1, 1, 3, 70)), draft.choose((1, 3, 16, 65)), draft.choose((1, 5, 16, 33, 80))
    name = draft.source(places * columns)
    span = draft.choose((None, (-(1 << 31), (1 << 31) - 1)))
    product, bias_bits = draft.finer(draft.linear(rows, columns, name, span, None if span is None else 1e5))
    draft.add(ops.Dense, *product, places, bias_bits)


def conv(draft):
    grid = draft.grid() if draft.chance(0.7) else ops.ONE_PLACE
    dilation = draft.number(1, 2)
    kernel, stride, left, right = draft.window(dilation) if draft.chance(0.6) else (1, 1, -1, 0)
    if left == kernel - 1 == 0 or (dilation == 1 and right == 0 and draft.chance(0.3)):
        left, stride = -1, min(stride, kernel)
    groups, each = draft.choose(
        ((1, 1), (1, 3), (1, 16), (1, 20), (1, 64), (4, 1), (17, 1), (64, 1), (70, 1), (130, 1), (2, 3), (3, 2))
    )
    out = groups if draft.chance(0.5) else groups * draft.number(1, 3)
    name = draft.source(groups * each * grid.places)
    columns = kernel * grid.kernel * each
    product, bias_bits = draft.finer(draft.linear(out, columns, name, grouped=groups == 1))
    draft.add(ops.Conv, kernel, stride, *product, dilation, left, right, groups, grid, bias_bits)


def sru(draft):
    n = draft.choose((1, 5, 33))
    columns = n if draft.chance(0.6) else draft.choose((1, 7, 20))
    name = draft.source(columns)
    rows = n * (3 if columns == n and draft.chance(0.6) else 4)
    weight, bias, rescale = draft.linear(rows, columns, name, (-32768, 32767), 8000)
    shift = draft.number(20, 40)
    cell, skip = (int(np.clip(2.0 ** (shift - bits), 0, 2**31 - 1)) for bits in (9, 23))
    draft.add(ops.SRU, n, weight, bias, rescale, cell, -skip, shift, *draft.span())


def qrnn(draft):
    n, columns, kernel = draft.choose((1, 5, 33)), draft.choose((1, 7, 20)), draft.number(1, 4)
    name = draft.source(columns)
    weight, bias, rescale = draft.linear(3 * n, columns * kernel, name, (-32768, 32767), 8000)
    draft.add(ops.QRNN, n, kernel, weight, bias, rescale, draft.rescale(32768, n))


def recurrent(draft, blocks):
    n, columns, fine = draft.choose((1, 5, 33)), draft.choose((1, 7, 20)), draft.number(0, 1)
    half = (-(1 << 19), (1 << 19) - 1) if fine else (-32768, 32767)
    name = draft.source(columns)
    gates = draft.linear(blocks * n, columns, name, half, draft.choose((8000, 40000 if fine else 8000)))
    output = draft.rescale(32768, n)
    back = draft.matrix(blocks * n, n)
    largest = max(-output.low, output.high)
    size = np.sqrt(n) * max(back.format.hi, 1) * largest / 3
    hidden = draft.rescale(size, blocks * n, half, 8000)
    gates, bias_bits = draft.finer(gates)
    return n, gates, back, hidden, output, fine, bias_bits


def lstm(draft):
    n, gates, back, *more = recurrent(draft, 4)
    draft.add(ops.LSTM, n, *gates, back, *more)


def gru(draft):
    n, gates, back, *more = recurrent(draft, 3)
    most = draft.choose((40000, 2_000_000))
    bias = draft.rng.integers(-most, most, n)
    draft.add(ops.GRU, n, *gates, back, bias, *more)


def hierarchy(draft):
    size = draft.choose((2, 9))
    name = draft.source(size)
    x = draft.value(name)
    direct = draft.number(0, 1)

    def chain(reads: ops.Value) -> tuple[ops.Op, ...]:
        """Some ops that read a value."""
        inner = Draft(draft.rng)
        inner.ops, parts = [], []
        for i in range(draft.number(1, 3)):
            kind = draft.choose(("dense", "lstm", "positions", "mean", "sum", "conv", "take", "norm"))
            weight = draft.matrix(8, reads.size)
            usual = np.sqrt(reads.size) * max(weight.format.hi, 1) * reads.largest / 3
            part: ops.Op
            if kind == "lstm":
                output, back = draft.rescale(32768, 2), draft.matrix(8, 2)
                gates = draft.rescale(usual, 8, (-32768, 32767), 8000)
                hidden = draft.rescale(3 * max(-output.low, output.high), 8, (-32768, 32767), 8000)
                fine = draft.number(0, 1)
                part = ops.LSTM(f"part{i}", 2, weight, np.zeros(8, np.int64), gates, back, hidden, output, fine)
            elif kind == "positions":
                part = ops.Positions(f"part{i}", 3, draft.rng.integers(-99, 99, 3 * 50).astype(np.int16))
            elif kind == "mean":
                part = ops.Mean(f"part{i}", draft.rescale(reads.largest * 256))
            elif kind == "sum":
                part = ops.Sum(f"part{i}", np.array([3]), 1, np.array([200]), -200, 100)
            elif kind == "take":
                part = ops.Take(f"part{i}", draft.rng.integers(1, reads.size + 1, 5))
            elif kind == "norm":
                low, high = draft.span()
                part = ops.Norm(f"part{i}", reads.size, 1, 3, 2, np.array([1 << 20]), 10, np.array([3]), low, high)
            elif kind == "conv":
                window = draft.matrix(8, 2 * reads.size)
                part = ops.Conv(f"part{i}", 2, 1, window, np.zeros(8, np.int64), draft.rescale(usual, 8))
            else:
                part = ops.Dense(f"part{i}", weight, np.zeros(8, np.int64), draft.rescale(usual, 8))
            given = part.value([reads])
            reads = ops.Value(given.size, given.low, given.high, part.name)
            parts.append(part)
        return tuple(parts)

    def joined(a: ops.Value, b: ops.Value) -> ops.Value:
        return ops.Value(a.size + b.size, min(a.low, b.low), max(a.high, b.high))

    def given(parts: tuple[ops.Op, ...], reads: ops.Value) -> ops.Value:
        for part in parts:
            reads = part.value([reads])
        return reads

    letters = chain(x)
    spelt = given(letters, x)
    words = chain(joined(spelt, x))
    context = given(words, joined(spelt, x))
    spelling = chain(joined(x if direct else spelt, context))
    draft.add(ops.Hierarchy, draft.rng.integers(0, size, draft.number(1, 2)), direct, letters, words, spelling)


def add(draft):
    size = draft.choose((1, 12, 60, 1200))
    sizes = [n for n in (1, 3, 4, size) if size % n == 0]
    names = [draft.source(size), *(draft.source(draft.choose(sizes)) for _ in range(draft.number(0, 3)))]
    period = draft.choose([n for n in (1, 4, 6, size) if size % n == 0])
    largest = max(draft.value(name).largest for name in names)
    low, high = draft.span()
    factor = max(-low, high) / largest / len(names)
    shift = draft.number(0, 40)
    multiplier = draft.rng.uniform(-1, 1, period * len(names)) * min(factor * 2.0 ** (shift + 8), 2.0**31 - 1)
    bias = draft.rng.integers(-1000, 1000, draft.choose((1, period)))
    draft.add(ops.Sum, multiplier.astype(np.int64), shift, bias, low, high, inputs=tuple(names))


def mul(draft):
    size = draft.choose((1, 12, 700))
    a, b = draft.source(size), draft.source(draft.choose([n for n in (1, 4, 7, size) if size % n == 0]))
    largest = draft.value(a).largest * draft.value(b).largest
    draft.add(ops.Mul, draft.rescale(largest), inputs=(a, b))


def map_(draft):
    name = draft.source(draft.choose((1, 20, 600)))
    x = draft.value(name)
    bits = draft.number(0, 16)
    first = max(-32768, x.low - draft.number(0, 9))
    points = ((x.high - first) >> bits) + 2
    values = draft.rng.integers(-32768, 32768, points).astype(np.int16)
    spare = draft.number(0, 16) if draft.chance(0.3) else 8
    draft.add(ops.Map, values, first, bits, spare, *draft.span())


def prelu(draft):
    size = draft.choose((1, 12, 700))
    name = draft.source(size)
    low, high = draft.span()
    shift = draft.number(0, 40)
    most = min(max(-low, high) * 2.0**shift / max(draft.value(name).largest, 1), 2.0**31 - 1)
    slopes = draft.rng.uniform(-1, 1, draft.choose([n for n in (1, 3, 4, size) if size % n == 0])) * most
    draft.add(ops.PReLU, int(most * draft.rng.uniform(-1, 1)), slopes.astype(np.int64), shift, low, high)


def take(draft):
    if draft.chance(0.3):  # scores, which are not negated
        name = draft.source(6)
        wide = draft.add(ops.Dense, *draft.linear(4, 6, name, (-(1 << 31) + 1, (1 << 31) - 1), 1e6), inputs=(name,))
        names = [wide, name]
    else:
        names = [draft.source(draft.choose((1, 5, 40))) for _ in range(draft.number(1, 3))]
    total = sum(draft.value(name).size for name in names)
    if draft.chance(0.4):
        index = np.concatenate([np.arange(draft.number(1, total), total + 1), np.arange(1, total + 1)])
    else:
        index = draft.rng.integers(draft.choose((-total, 1)), total + 1, draft.choose((1, 30, 700)))
    stride = draft.number(0, 3)
    repeat = draft.number(1, max(1, (total - int(np.abs(index).max())) // stride + 1 if stride else 3))
    draft.add(ops.Take, index, repeat, stride, inputs=tuple(names))


def pool(draft):
    grid, channels = draft.grid(), draft.choose((1, 5, 600 if draft.chance(0.1) else 17))
    kernel, stride, left, right = draft.window(1)
    name = draft.source(channels * grid.places)
    size = draft.value(name).largest * np.sqrt(kernel * grid.kernel)
    draft.add(ops.Pool, draft.number(0, 1), channels, kernel, stride, draft.rescale(size), left, right, grid)


def reverse(draft):
    draft.source(draft.choose((1, 7)))
    draft.add(ops.Reverse)


def norm(draft):
    length, groups = draft.choose((1, 2, 9, 64, 600)), draft.number(1, 3)
    draft.source(length * groups)
    eps = draft.choose((0, 1, 1000, 2**31 - 1)), draft.number(0, 30)
    shift = draft.number(0, 40)
    low, high = draft.span()
    wanted = min(max(-low, high) * 2.0 ** (shift + 8 - 23) * np.sqrt(length), 2.0**31 - 1)
    multiplier = (draft.rng.uniform(-1, 1, draft.choose((1, length))) * wanted).astype(np.int64)
    bias = draft.rng.integers(-5000, 5000, draft.choose((1, length)))
    draft.add(ops.Norm, length, draft.number(0, 1), *eps, multiplier, shift, bias, low, high)


def exponent(draft, largest):
    shift = draft.number(0, 60)
    return int(np.clip(2.0 ** (shift + 13) / max(largest, 1), 0, 1 << 16)), shift


def softmax(draft):
    length = draft.choose((1, 2, 9, 64, 600))
    name = draft.source(length * draft.number(1, 3))
    draft.add(ops.Softmax, length, *exponent(draft, draft.value(name).largest), draft.rescale(2**16 / length))


def attend(draft):
    groups, shared, width = draft.choose((1, 2, 3)), draft.choose((1, 2)), draft.choose((1, 3, 4, 16, 21, 32, 70))
    places = draft.choose((0, 0, 1, 3, 9, 20, 90, 150))
    window = 0 if places else draft.choose((0, 1, 2, 5, 20))
    count = max(places, 1)
    while True:
        spans = [draft.span() for _ in range(3)]
        largest = [max(-low, high) for low, high in spans]
        if width * largest[0] * largest[1] < 1 << 45:
            break
    names = [draft.source(count * width * groups * n, span) for n, span in zip((shared, 1, 1), spans, strict=True)]
    seen = np.array([1])
    if places and draft.chance(0.5):
        seen = draft.rng.integers(0, 2, (places, places))
        np.fill_diagonal(seen, 1)
        seen = seen.ravel()
    scale = exponent(draft, width * largest[0] * largest[1])
    rescale = draft.rescale(largest[2] * 2**15)
    draft.add(ops.Attend, groups * shared, groups, width, places, window, *scale, rescale, seen, inputs=tuple(names))


def positions(draft):
    draft.source(draft.choose((1, 3)))
    width = draft.choose((1, 9, 600))
    points = draft.rng.integers(*draft.choose(((-99, 99), (-32768, 32768), (0, 256))), width * 60)
    draft.add(ops.Positions, width, points.astype(np.int16))


def phases(draft):
    draft.source(1)
    count = draft.choose((1, 8, 600))
    turn, begin = draft.rng.integers(-(1 << 31), 1 << 31, (2, count))
    draft.add(ops.Phases, turn, begin, draft.rescale(1 << 27))


def mean(draft):
    name = draft.source(draft.choose((1, 8, 600)))
    draft.add(ops.Mean, draft.rescale(draft.value(name).largest * 50))


def first(draft):
    draft.source(draft.choose((1, 8, 600)))
    draft.add(ops.First)


def magnitude(draft):
    size = draft.choose((1, 8, 600))
    names = [draft.source(size) for _ in range(draft.number(1, 3))]
    largest = max(draft.value(name).largest for name in names)
    eps = draft.choose((0, 5, 2**31 - 1))
    draft.add(ops.Magnitude, eps, draft.rescale(largest * 256), inputs=tuple(names))


CASES: dict[str, Callable[[Draft], None]] = {
    "quantize": quantize, "lookup": lookup, "requantize": requantize, "dense": dense, "conv": conv, "sru": sru,
    "qrnn": qrnn, "lstm": lstm, "gru": gru, "hierarchy": hierarchy, "sum": add, "mul": mul, "map": map_,
    "prelu": prelu, "take": take, "pool": pool, "reverse": reverse, "norm": norm, "softmax": softmax,
    "attend": attend, "positions": positions, "phases": phases, "mean": mean, "first": first, "magnitude": magnitude,
}  # fmt: skip


def features(draft: Draft, frames: int) -> np.ndarray:
    """Random features, and symbols where those are read."""
    x = draft.rng.normal(size=(frames, draft.features)).astype(np.float32)
    x[draft.rng.random(x.shape) < 0.05] = 1e30
    for first, (places, rows) in draft.symbols.items():
        x[:, first : first + places] = draft.rng.integers(0, rows, (frames, places))
    return x


def check(draft: Draft) -> bool:
    """Native runs of a graph give the integers of the reference, in one piece and in several, on every target."""
    graph = make_graph(draft.ops)
    if not fits(draft.ops):
        return False
    rng, frames = draft.rng, draft.choose(FRAMES)
    x, ends = features(draft, frames), draft.chance(0.5)
    wanted, _ = (reference := Reference(draft.ops)).step(x, reference.init_state(), ends)
    states = []
    for target in targets():
        native = Native(draft.ops, target, draft.number(1, 2), draft.choose((1, 2, 3, 16, 64)))
        assert native.value_bytes > 0
        got, state = native.step(x, native.init_state(), ends)
        assert np.array_equal(got, wanted), (target, graph.ops)
        states.append(state)
        if graph.whole is None:
            cuts = np.sort(rng.integers(0, frames + 1, draft.number(0, 5)))
            pieces, state = np.split(x, cuts), native.init_state()
            parts = []
            for i, piece in enumerate(pieces):
                part, state = native.step(piece, state, ends and i + 1 == len(pieces))
                parts.append(part)
            assert np.array_equal(np.concatenate(parts), wanted), (target, graph.ops, cuts)
            states.append(state)
        if ends:
            assert np.array_equal(state, native.init_state())
    assert all(np.array_equal(state, states[0]) for state in states), graph.ops
    return True

"""Random small graphs around one op of each kind."""

from collections.abc import Callable

import numpy as np

from fewbit.program import ops
from tests.native.graph_draft import Draft
from tests.native.recurrent_cases import gru, hierarchy, lstm, qrnn, sru


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


def log_softmax(draft):
    length = draft.choose((1, 2, 9, 64, 600))
    name = draft.source(length * draft.number(1, 3))
    draft.add(ops.LogSoftmax, length, *exponent(draft, draft.value(name).largest), draft.rescale(2**21))


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
    "log_softmax": log_softmax,
}  # fmt: skip

"""Random graphs around one recurrent op."""

import numpy as np

from fewbit.program import ops
from tests.native.graph_draft import Draft


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

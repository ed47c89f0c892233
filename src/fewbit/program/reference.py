"""The slow, obvious executor that defines every number of a Program (NumPy).

Faster executors are right when they give these integers.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError
from fewbit.formats import PerGroup
from fewbit.program import ops
from fewbit.program.numerics import INT16, Q15, Integers, mix, saturate, shift_round, sigmoid, tanh

State = tuple[Any, ...]


class MatrixProduct:
    """``W x`` for a packed matrix, unpacked once.

    Products and sums are made in float64, which holds every integer up to 2**53 exactly: the result is exact and does
    not depend on the order of the sum.
    """

    def __init__(self, matrix: ops.Matrix) -> None:
        codes = matrix.codes().astype(np.float64)
        if matrix.group_scale is not None:
            assert isinstance(matrix.per, PerGroup)
            codes *= np.repeat(matrix.group_scale, matrix.per.size, axis=1)[:, : matrix.columns]
        self._transposed = np.ascontiguousarray(codes.T)
        self._shift = ops.GROUP_SHIFT if matrix.group_scale is not None else 0

    def __call__(self, x: Integers) -> Integers:
        return shift_round((x.astype(np.float64) @ self._transposed).astype(np.int64), self._shift)


class Reference:
    """Executor of a chain of ops; holds unpacked weights and no state."""

    def __init__(self, chain: tuple[ops.Op, ...]) -> None:
        self._chain = chain
        self._products = [products(op) for op in chain]

    def init_state(self) -> State:
        """State at the start of a stream."""
        return start_chain(self._chain)

    def step(self, x: NDArray[np.float32], state: State) -> tuple[Integers, State]:
        """Run a chunk ``(time, features)`` and return ``(frames out, classes)`` with the new state."""
        return run_chain(self._chain, x, state, self._products)


def products(op: ops.Op) -> list[Any]:
    """The products with an op's weights; of an op that is made of chains, those of each op of each chain."""
    if isinstance(op, ops.Hierarchy):
        return [[products(part) for part in chain] for chain in op.chains]
    return [MatrixProduct(matrix) for matrix in ops.matrices(op)]


def start_chain(chain: Sequence[ops.Op]) -> State:
    """State of a chain at the start of a stream."""
    return tuple(start(op) for op in chain)


def run_chain(chain: Sequence[ops.Op], x: Any, state: State, weights: list[list[Any]]) -> tuple[Integers, State]:
    """Output and new state of a chain for a chunk ``x: (time, width)``."""
    after = []
    for op, own, before in zip(chain, weights, state, strict=True):
        x, now = run(op, x, before, own)
        after.append(now)
    return x, tuple(after)


@singledispatch
def start(op: ops.Op) -> Any:
    """State of an op at the start of a stream."""
    return ()


@singledispatch
def run(op: ops.Op, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    """Output and new state of an op for a chunk ``x: (time, width)``."""
    raise NotImplementedError(type(op).__name__)


@run.register
def _(op: ops.Quantize, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    if not np.isfinite(x).all():
        raise DecodeError("the Program was given features that are NaN or infinite")
    scaled = x.astype(np.float64) * op.gain.astype(np.float64) + op.offset.astype(np.float64)
    limited = np.clip(np.floor(scaled + 0.5), op.low, op.high)
    return limited.astype(np.int64), state


@run.register
def _(op: ops.Requantize, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    return op.rescale(x), state


@run.register
def _(op: ops.Dense, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    return op.rescale(products[0](x) + op.bias), state


@start.register
def _(op: ops.Conv) -> Any:
    return np.zeros((op.kernel - 1, ops.widths(op)[0]), np.int64)


@run.register
def _(op: ops.Conv, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    columns, tail = windows(x, state, op.kernel, op.stride)
    return op.rescale(products[0](columns) + op.bias), tail


@start.register
def _(op: ops.SRU) -> Any:
    return np.zeros(op.hidden, np.int64)


@run.register
def _(op: ops.SRU, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    gates = op.rescale(products[0](x) + op.bias)
    n = op.hidden
    candidate, forget, reset = gates[:, :n], sigmoid(gates[:, n : 2 * n]), sigmoid(gates[:, 2 * n : 3 * n])
    skip = gates[:, 3 * n :] if gates.shape[1] > 3 * n else x
    cells = np.zeros_like(candidate)
    for t in range(len(x)):
        state = saturate(mix(forget[t], state, candidate[t]), *INT16)
        cells[t] = state
    inner = shift_round(reset * tanh(cells), 15) * op.cell_multiplier
    y = shift_round(inner + (Q15 - reset) * skip * op.skip_multiplier, op.shift)
    return saturate(y, op.low, op.high), state


@start.register
def _(op: ops.QRNN) -> Any:
    return np.zeros((op.kernel - 1, ops.widths(op)[0]), np.int64), np.zeros(op.hidden, np.int64)


@run.register
def _(op: ops.QRNN, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    tail, cell = state
    columns, tail = windows(x, tail, op.kernel, 1)
    gates = op.rescale(products[0](columns) + op.bias)
    n = op.hidden
    candidate, forget, output = tanh(gates[:, :n]), sigmoid(gates[:, n : 2 * n]), sigmoid(gates[:, 2 * n :])
    cells = np.zeros_like(candidate)
    for t in range(len(x)):
        cell = mix(forget[t], cell, candidate[t])
        cells[t] = cell
    return op.output(shift_round(output * cells, 15)), (tail, cell)


@start.register(ops.LSTM)
@start.register(ops.GRU)
def _(op: ops.LSTM | ops.GRU) -> Any:
    return np.zeros(op.hidden, np.int64), np.zeros(op.hidden, np.int64)


@run.register
def _(op: ops.LSTM, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    hidden, cell = state
    n = op.hidden
    y = np.zeros((len(x), n), np.int64)
    for t, step in enumerate(op.rescale(products[0](x) + op.bias)):
        gates = saturate(step + op.rescale_hidden(products[1](hidden)), *INT16)
        i, f, o = sigmoid(gates[:n]), sigmoid(gates[n : 2 * n]), sigmoid(gates[3 * n :])
        g = tanh(gates[2 * n : 3 * n])
        cell = saturate(shift_round(8 * f * cell + i * g, 18), *INT16)
        y[t] = hidden = op.output(shift_round(o * tanh(cell), 15))
    return y, (hidden, cell)


@run.register
def _(op: ops.GRU, x: Any, state: Any, products: list[MatrixProduct]) -> tuple[Integers, Any]:
    hidden, slow = state
    n = op.hidden
    y = np.zeros((len(x), n), np.int64)
    for t, step in enumerate(op.rescale(products[0](x) + op.bias)):
        back = op.rescale_hidden(products[1](hidden))
        gates = sigmoid(saturate(step[: 2 * n] + back[: 2 * n], *INT16))
        r, z = gates[:n], gates[n:]
        inner = saturate(back[2 * n :] + op.bias_hidden, *INT16)
        candidate = tanh(saturate(step[2 * n :] + shift_round(r * inner, 15), *INT16))
        slow = mix(z, slow, candidate)
        y[t] = hidden = op.output(slow)
    return y, (hidden, slow)


@start.register
def _(op: ops.Hierarchy) -> Any:
    results = (np.zeros(ops.widths(chain[-1])[1], np.int64) for chain in (op.letters, op.words))
    return *(start_chain(chain) for chain in op.chains), *results


@run.register
def _(op: ops.Hierarchy, x: Any, state: Any, products: list[Any]) -> tuple[Integers, Any]:
    letters, words, spelling, spelt, context = state
    y = np.zeros((len(x), ops.widths(op)[1]), np.int64)
    for t in range(len(x)):
        frame = x[t : t + 1]
        if (frame[0, op.boundaries] > 0).any():
            word = np.concatenate([spelt, frame[0]])[None]
            (context,), words = run_chain(op.words, word, words, products[1])
            letters, spelling = start_chain(op.letters), start_chain(op.spelling)
        (spelt,), letters = run_chain(op.letters, frame, letters, products[0])
        read = np.concatenate([frame[0] if op.direct else spelt, context])[None]
        (y[t],), spelling = run_chain(op.spelling, read, spelling, products[2])
    return y, (letters, words, spelling, spelt, context)


def windows(x: Integers, tail: Integers, kernel: int, stride: int) -> tuple[Integers, Integers]:
    """Windows ``(frames, kernel * width)`` that are complete, oldest frame first, and the frames left over."""
    waiting = np.concatenate([tail, x])
    frames = max(0, (len(waiting) - kernel) // stride + 1)
    rows = np.arange(frames)[:, None] * stride + np.arange(kernel)
    return waiting[rows].reshape(frames, kernel * waiting.shape[1]), waiting[frames * stride :]

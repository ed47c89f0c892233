"""Recurrent networks for all peers: their weights, what they must give, and their graphs step by step.

Biases are zero. Rows of the weights lie gate after gate: LSTM input, forget, output, candidate; GRU reset, update,
candidate (the reset gate applied after the product); SRU forget, reset, candidate; QRNN forget, output, candidate.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers.case import Floats
from benchmarks.peers.quantized import Quantized, draw

GATES = {"lstm": 4, "gru": 3, "sru": 3, "qrnn": 3}
STATES = {"lstm": "hc", "gru": "h", "sru": "c", "qrnn": "cx"}  # x: the last input, for a window of 2


@dataclass(frozen=True)
class Weights:
    """Matrices of one layer."""

    inputs: Quantized
    state: Quantized | None  # of the cells that multiply their own output


def weights(cell: str, hidden: int, layers: int, bits: int, block: int = 0) -> list[Weights]:
    """Weights of every layer; inputs are as wide as the layers."""
    rows, columns = GATES[cell] * hidden, hidden * (2 if cell == "qrnn" else 1)
    own = cell in ("lstm", "gru")
    return [
        Weights(
            draw(rows, columns, bits, block, seed=2 * layer),
            draw(rows, hidden, bits, block, seed=2 * layer + 1) if own else None,
        )
        for layer in range(layers)
    ]


def weight_bytes(network: list[Weights], bits: int) -> int:
    """Bytes of all matrices, with scales where they are quantized."""
    parts = [part for layer in network for part in (layer.inputs, layer.state) if part]
    return sum(part.nbytes() if bits <= 8 else part.codes.size * bits // 8 for part in parts)


class Numpy:
    """Operators in float64: what every peer's result is compared with."""

    def __init__(self) -> None:
        self.matrices: dict[int, Floats] = {}

    def product(self, x: Floats, matrix: Quantized) -> Floats:
        if id(matrix) not in self.matrices:
            self.matrices[id(matrix)] = matrix.floats().astype(np.float64).T
        return x @ self.matrices[id(matrix)]

    def split(self, x: Floats, sizes: list[int], axis: int) -> list[Floats]:
        return np.split(x, np.cumsum(sizes)[:-1], axis)

    def join(self, parts: list[Floats], axis: int) -> Floats:
        return np.concatenate(parts, axis)

    def add(self, a: Floats, b: Floats) -> Floats:
        return a + b

    def subtract(self, a: Floats, b: Floats) -> Floats:
        return a - b

    def multiply(self, a: Floats, b: Floats) -> Floats:
        return a * b

    def multiply_add(self, a: Floats, b: Floats, c: Floats) -> Floats:
        return a * b + c

    def sigmoid(self, x: Floats) -> Floats:
        return 1 / (1 + np.exp(-x))

    def tanh(self, x: Floats) -> Floats:
        return np.tanh(x)


def unroll(
    ops: Any, cell: str, layer: Any, x: Any, states: list[Any], steps: int, hidden: int
) -> tuple[Any, list[Any]]:
    """One layer over ``x: (steps, hidden)``: every product of inputs at once, then step by step.

    ``ops`` has the operators of `Numpy`; ``layer`` the matrices, in whatever form its ``product`` takes.
    """
    ones = [1] * steps
    if cell in ("lstm", "gru"):
        own, *rest = states
        memory = rest[0] if rest else None
        outputs = []
        for part in ops.split(ops.product(x, layer.inputs), ones, 0):
            back = ops.product(own, layer.state)
            if cell == "lstm":
                gates, candidate = ops.split(ops.add(part, back), [3 * hidden, hidden], 1)
                taken, kept, shown = ops.split(ops.sigmoid(gates), [hidden] * 3, 1)
                memory = ops.multiply_add(kept, memory, ops.multiply(taken, ops.tanh(candidate)))
                own = ops.multiply(shown, ops.tanh(memory))
            else:
                gates, candidate = ops.split(part, [2 * hidden, hidden], 1)
                back_gates, back_candidate = ops.split(back, [2 * hidden, hidden], 1)
                reset, kept = ops.split(ops.sigmoid(ops.add(gates, back_gates)), [hidden] * 2, 1)
                fresh = ops.tanh(ops.multiply_add(reset, back_candidate, candidate))
                own = ops.multiply_add(kept, ops.subtract(own, fresh), fresh)
            outputs.append(own)
        return ops.join(outputs, 0), [own, memory] if rest else [own]
    memory, given = states[0], x
    if cell == "qrnn":
        rows = ops.split(x, ones, 0)
        given = ops.join([ops.join([states[1], *rows[:-1]], 0), x], 1)
    gates, candidate = ops.split(ops.product(given, layer.inputs), [2 * hidden, hidden], 1)
    kept, shown = ops.split(ops.sigmoid(gates), [hidden] * 2, 1)
    candidate = ops.tanh(candidate) if cell == "qrnn" else candidate
    fresh = ops.subtract(candidate, ops.multiply(kept, candidate))
    memories = []
    for keep, new in zip(ops.split(kept, ones, 0), ops.split(fresh, ones, 0), strict=True):
        memory = ops.multiply_add(keep, memory, new)
        memories.append(memory)
    joined = ops.join(memories, 0)
    if cell == "qrnn":
        return ops.multiply(shown, joined), [memory, rows[-1]]
    return ops.multiply_add(shown, ops.subtract(ops.tanh(joined), x), x), [memory]


def expected(cell: str, network: list[Weights], x: Floats) -> Floats:
    """The outputs of two calls in turn, the first from zero states, in float64."""
    ops = Numpy()
    value: Any = np.concatenate([x, x]).astype(np.float64)
    steps, hidden = value.shape
    for layer in network:
        zeros = [np.zeros((1, hidden)) for _ in STATES[cell]]
        value, _ = unroll(ops, cell, layer, value, zeros, steps, hidden)
    found: Floats = value
    return found

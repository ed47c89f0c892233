"""OpenVINO: LSTMSequence and GRUSequence in floats, and cells written by hand around its int8 and int4 products."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov  # type: ignore[import-not-found,unused-ignore]
import openvino.opset13 as op  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers import cells
from benchmarks.peers.case import Case, Floats, Offer, frames
from benchmarks.peers.openvino_matmul import constant, settings, versions
from benchmarks.peers.quantized import Quantized

__all__ = ["rnn", "versions"]

ORDER = {"lstm": (1, 0, 3, 2), "gru": (1, 0, 2)}  # of gates: forget, input, candidate, output; update, reset, candidate


class Graph:
    """Operators for `benchmarks.peers.cells.unroll`."""

    add, subtract, multiply = staticmethod(op.add), staticmethod(op.subtract), staticmethod(op.multiply)
    sigmoid, tanh = staticmethod(op.sigmoid), staticmethod(op.tanh)

    def __init__(self) -> None:
        self.matrices: dict[int, Any] = {}

    def product(self, x: Any, matrix: Quantized) -> Any:
        if id(matrix) not in self.matrices:
            self.matrices[id(matrix)] = constant(matrix)
        return op.matmul(x, self.matrices[id(matrix)], False, True)

    def split(self, x: Any, sizes: list[int], axis: int) -> list[Any]:
        if len(sizes) == 1:
            return [x]
        parts = op.variadic_split(x, op.constant(np.int64(axis)), op.constant(np.array(sizes)))
        return [parts.output(number) for number in range(len(sizes))]

    def join(self, parts: list[Any], axis: int) -> Any:
        return op.concat(parts, axis) if len(parts) > 1 else parts[0]

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return op.add(op.multiply(a, b), c)


def parameters(cell: str, layers: int, shape: list[int]) -> list[list[Any]]:
    return [[op.parameter(shape, ov.Type.f32) for _ in cells.STATES[cell]] for _ in range(layers)]


def sequences(cell: str, network: list[cells.Weights], steps: int, hidden: int) -> ov.Model:
    """The recurrent layers that OpenVINO has."""
    x = op.parameter([steps, hidden], ov.Type.f32)
    states = parameters(cell, len(network), [1, 1, hidden])
    value, results = op.unsqueeze(x, op.constant(np.array([0]))), []
    for layer, given in zip(network, states, strict=True):
        assert layer.state
        parts = [layer.inputs, layer.state]
        matrices = [op.constant(part.blocks_of_rows(ORDER[cell]).floats()[None]) for part in parts]
        length, bias = op.constant(np.array([steps], np.int32)), op.constant(np.zeros((1, 4 * hidden), np.float32))
        if cell == "lstm":
            found = op.lstm_sequence(value, *given, length, *matrices, bias, hidden, "FORWARD")
        else:
            found = op.gru_sequence(value, *given, length, *matrices, bias, hidden, "FORWARD", linear_before_reset=True)
        results += [op.result(found.output(1 + number)) for number in range(len(given))]
        value = op.squeeze(found.output(0), op.constant(np.array([1])))
    y = op.squeeze(value, op.constant(np.array([0])))
    return ov.Model([op.result(y), *results], [x, *(each for layer in states for each in layer)], "network")


def by_hand(cell: str, network: list[cells.Weights], steps: int, hidden: int) -> ov.Model:
    """The same from single operators."""
    x = op.parameter([steps, hidden], ov.Type.f32)
    states = parameters(cell, len(network), [1, hidden])
    value, results, graph = x, [], Graph()
    for layer, given in zip(network, states, strict=True):
        value, after = cells.unroll(graph, cell, layer, value, given, steps, hidden)
        # An input that is a result as well is not copied to where the result is wanted, so it passes through a node.
        size = op.constant(np.array([1, hidden]))
        results += [op.result(op.reshape(each, size, False) if each is x else each) for each in after]
    return ov.Model([op.result(value), *results], [x, *(each for layer in states for each in layer)], "network")


def build(
    model: ov.Model, cell: str, network: list[cells.Weights], steps: int, hidden: int, bits: int, given: dict[str, str]
) -> Case:
    """A case whose two requests hand each other the state, so that nothing is copied."""
    compiled = ov.Core().compile_model(model, "CPU", given)
    values = frames(steps, hidden)
    y = np.zeros_like(values)
    shapes = [list(each.shape) for each in compiled.inputs[1:]]
    memory = [[np.zeros(shape, np.float32) for shape in shapes] for _ in range(2)]
    requests = [compiled.create_infer_request() for _ in range(2)]
    for request, here, there in zip(requests, memory, memory[::-1], strict=True):
        request.set_input_tensor(0, ov.Tensor(values, shared_memory=True))
        request.set_output_tensor(0, ov.Tensor(y, shared_memory=True))
        for number, (source, target) in enumerate(zip(here, there, strict=True), start=1):
            request.set_input_tensor(number, ov.Tensor(source, shared_memory=True))
            request.set_output_tensor(number, ov.Tensor(target, shared_memory=True))
    turn = 0

    def run() -> None:
        nonlocal turn
        requests[turn].infer(share_outputs=True)
        turn ^= 1

    def result() -> Floats:
        for state in memory[turn]:
            state.fill(0)
        parts = []
        for _ in range(2):
            run()
            parts.append(y.copy())
        return np.concatenate(parts)

    return Case(run, result, lambda: cells.expected(cell, network, values), cells.weight_bytes(network, bits))


def rnn(cell: str, hidden: int, layers: int, steps: int, threads: int) -> Sequence[Offer]:
    """A stream of batch 1, ``steps`` frames a call."""
    Writer = Callable[[str, list[cells.Weights], int, int], ov.Model]

    def offer(name: str, bits: int, writer: Writer, block: int = 0, precision: str = "f32", group: str = "0") -> Offer:
        def made() -> Case:
            network = cells.weights(cell, hidden, layers, min(bits, 8), block)
            model = writer(cell, network, steps, hidden)
            return build(model, cell, network, steps, hidden, bits, settings(threads, precision, group))

        return Offer(f"openvino {name}", bits, made, by_hand=writer is by_hand)

    offers = []
    if cell in ("lstm", "gru"):
        offers.append(offer(f"{cell.upper()}Sequence float32", 32, sequences))
        offers.append(offer(f"{cell.upper()}Sequence bfloat16", 16, sequences, precision="bf16"))
    return [
        *offers,
        offer("cells of int8 dynamic", 8, by_hand, group=str(hidden)),
        offer("cells of int4/128 dynamic/128", 4, by_hand, 128, group="128"),
        offer("cells of int2/128 dynamic/128", 2, by_hand, 128, group="128"),
    ]

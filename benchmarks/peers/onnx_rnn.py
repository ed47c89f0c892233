"""ONNX Runtime: its LSTM and GRU in float, its int8 LSTM, and cells written by hand around its few-bit products."""

from collections.abc import Sequence

import numpy as np
import onnx  # type: ignore[import-not-found,unused-ignore]
import onnxruntime as ort  # type: ignore[import-not-found,unused-ignore]
from onnx import TensorProto, helper  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers import cells
from benchmarks.peers.case import Case, Floats, Offer, frames
from benchmarks.peers.onnx_graph import Graph
from benchmarks.peers.onnx_matmul import MICROSOFT, Writer, array, bound, dynamic, gemm, nbits, session, versions

__all__ = ["rnn", "versions"]

ORDER = {"lstm": (0, 2, 1, 3), "gru": (1, 0, 2)}  # of gates: input, output, forget, candidate; update, reset, candidate


def ready_made(graph: Graph, cell: str, network: list[cells.Weights], hidden: int, int8: bool) -> None:
    """The recurrent layers that ONNX Runtime has."""
    value = graph.node("Unsqueeze", ["x", graph.constant(np.array([1]))])
    for number, layer in enumerate(network):
        assert layer.state
        matrices = [part.blocks_of_rows(ORDER[cell]) for part in (layer.inputs, layer.state)]
        names = [f"W{number}", f"R{number}"]
        extra: list[str] = []
        for name, part in zip(names, matrices, strict=True):
            values = part.signed().T[None] if int8 else part.floats()[None]
            graph.arrays.append(array(name, values))
            if int8:
                zeros = np.zeros((1, len(part.codes)), np.int8)
                graph.arrays += [array(f"{name}.scale", part.scales.T), array(f"{name}.zero", zeros)]
                extra += [f"{name}.scale", f"{name}.zero"]
        states = [f"{letter}{number}" for letter in cells.STATES[cell]]
        output = graph.name()
        inputs = [value, *names, "", "", *states, *([""] if int8 else []), *extra]
        options = {"linear_before_reset": 1} if cell == "gru" else {}
        operator = "DynamicQuantizeLSTM" if int8 else cell.upper()
        found = [output, *(f"{state}.next" for state in states)]
        domain = MICROSOFT if int8 else ""
        graph.nodes.append(helper.make_node(operator, inputs, found, domain=domain, hidden_size=hidden, **options))
        value = graph.node("Squeeze", [output, graph.constant(np.array([1]))])
    graph.node("Squeeze", [value, graph.constant(np.array([1]))], "y")


def by_hand(graph: Graph, cell: str, network: list[cells.Weights], steps: int, hidden: int) -> None:
    """The same from single operators."""
    value = "x"
    for number, layer in enumerate(network):
        states = [f"{letter}{number}" for letter in cells.STATES[cell]]
        value, after = cells.unroll(graph, cell, layer, value, states, steps, hidden)
        for state, name in zip(states, after, strict=True):
            graph.node("Identity", [name], f"{state}.next")
    graph.node("Identity", [value], "y")


def build(cell: str, network: list[cells.Weights], graph: Graph, steps: int, hidden: int, threads: int) -> Case:
    """A case that carries its state between two sets of buffers, so that nothing is copied."""
    wide = cell not in ("lstm", "gru") or graph.flat
    shape = [1, hidden] if wide else [1, 1, hidden]
    names = [f"{letter}{number}" for number in range(len(network)) for letter in cells.STATES[cell]]
    given = frames(steps, hidden)

    def info(name: str, size: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, size)

    inputs = [info("x", [steps, hidden]), *(info(name, shape) for name in names)]
    outputs = [info("y", [steps, hidden]), *(info(f"{name}.next", shape) for name in names)]
    runs = session(helper.make_graph(graph.nodes, "network", inputs, outputs, graph.arrays), threads)
    x, y = (ort.OrtValue.ortvalue_from_numpy(values) for values in (given, np.zeros_like(given)))
    zeros = np.zeros(shape, np.float32)
    memory = [{name: np.zeros(shape, np.float32) for name in names} for _ in range(2)]  # which the values may share
    states = [{name: ort.OrtValue.ortvalue_from_numpy(each[name]) for name in names} for each in memory]
    bindings = [
        bound(runs, {"x": x, **here}, {"y": y, **{f"{name}.next": value for name, value in there.items()}})
        for here, there in (states, states[::-1])
    ]
    call, inner = runs._sess.run_with_iobinding, [binding._iobinding for binding in bindings]
    turn = 0

    def run() -> None:
        nonlocal turn
        call(inner[turn], None)
        turn ^= 1

    def result() -> Floats:
        for name, value in states[turn].items():
            memory[turn][name].fill(0)
            value.update_inplace(zeros)
        parts = []
        for _ in range(2):
            run()
            parts.append(np.array(y.numpy()))
        return np.concatenate(parts)

    return Case(run, result, lambda: cells.expected(cell, network, given), graph.nbytes)


def rnn(cell: str, hidden: int, layers: int, steps: int, threads: int) -> Sequence[Offer]:
    """A stream of batch 1, ``steps`` frames a call."""

    def offer(name: str, bits: int, writer: Writer | None = None, block: int = 0) -> Offer:
        def made() -> Case:
            network = cells.weights(cell, hidden, layers, min(bits, 8), block)
            graph = Graph(writer or gemm, flat=writer is not None, nbytes=cells.weight_bytes(network, bits))
            if writer:
                by_hand(graph, cell, network, steps, hidden)
            else:
                ready_made(graph, cell, network, hidden, bits == 8)
            return build(cell, network, graph, steps, hidden, threads)

        return Offer(f"onnxruntime {name}", bits, made, by_hand=writer is not None)

    offers = []
    if cell in ("lstm", "gru"):
        offers.append(offer(f"{cell.upper()} float32", 32))
    if cell == "lstm":
        offers.append(offer("DynamicQuantizeLSTM int8", 8))
    hand: list[tuple[str, int, Writer, int]] = [
        ("DynamicQuantizeMatMul int8", 8, dynamic, 0),
        *((f"MatMulNBits int{bits}/128", bits, nbits, 128) for bits in (2, 4, 8)),
        ("Gemm float32", 32, gemm, 0),
    ]
    return [*offers, *(offer(f"cells of {name}", bits, writer, block) for name, bits, writer, block in hand)]

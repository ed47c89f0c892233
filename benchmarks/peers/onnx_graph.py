"""An ONNX graph as it grows: the operators that `benchmarks.peers.cells.unroll` needs, each adding nodes."""

from typing import Any

import numpy as np
import onnx  # type: ignore[import-not-found,unused-ignore]
from numpy.typing import NDArray
from onnx import helper  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers.onnx_matmul import Writer, array
from benchmarks.peers.quantized import Quantized


class Graph:
    """Nodes and arrays; values are names."""

    def __init__(self, writer: Writer, flat: bool, nbytes: int) -> None:
        self.writer, self.flat, self.nbytes = writer, flat, nbytes
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []
        self.matrices: dict[int, tuple[str, onnx.NodeProto]] = {}
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def node(self, operator: str, inputs: list[str], output: str = "", **options: Any) -> str:
        output = output or self.name()
        self.nodes.append(helper.make_node(operator, inputs, [output], **options))
        return output

    def constant(self, values: NDArray[Any]) -> str:
        name = self.name()
        self.arrays.append(array(name, values))
        return name

    def product(self, x: str, matrix: Quantized) -> str:
        """A product; the arrays of a matrix are added once."""
        output = self.name()
        if id(matrix) not in self.matrices:
            key = f"M{len(self.matrices)}"
            node, arrays = self.writer(x, key, output, matrix)
            self.arrays += arrays
            self.matrices[id(matrix)] = (key, node)
        else:
            again = onnx.NodeProto()
            again.CopyFrom(self.matrices[id(matrix)][1])
            again.input[0], again.output[0] = x, output
            node = again
        self.nodes.append(node)
        return output

    def split(self, x: str, sizes: list[int], axis: int) -> list[str]:
        if len(sizes) == 1:
            return [x]
        outputs = [self.name() for _ in sizes]
        self.nodes.append(helper.make_node("Split", [x, self.constant(np.array(sizes))], outputs, axis=axis))
        return outputs

    def join(self, parts: list[str], axis: int) -> str:
        return self.node("Concat", parts, axis=axis) if len(parts) > 1 else parts[0]

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b])

    def subtract(self, a: str, b: str) -> str:
        return self.node("Sub", [a, b])

    def multiply(self, a: str, b: str) -> str:
        return self.node("Mul", [a, b])

    def multiply_add(self, a: str, b: str, c: str) -> str:
        return self.add(self.multiply(a, b), c)

    def sigmoid(self, x: str) -> str:
        return self.node("Sigmoid", [x])

    def tanh(self, x: str) -> str:
        return self.node("Tanh", [x])

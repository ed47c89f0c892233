"""ONNX Runtime: MatMulNBits with 2, 4 and 8 bits (it has no others), DynamicQuantizeMatMul, float Gemm."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx  # type: ignore[import-not-found,unused-ignore]
import onnxruntime as ort  # type: ignore[import-not-found,unused-ignore]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers.case import Case, Floats, Offer, frames, product
from benchmarks.peers.quantized import Quantized, draw

MICROSOFT = "com.microsoft"


def versions() -> dict[str, str]:
    return {"onnxruntime": ort.__version__, "onnx": onnx.__version__}


def session(graph: onnx.GraphProto, threads: int, **entries: str) -> ort.InferenceSession:
    """A session of a graph on so many threads."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    for key, value in entries.items():
        options.add_session_config_entry(key.replace("__", "."), value)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def array(name: str, values: NDArray[Any]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def nbits(x: str, key: str, y: str, weights: Quantized) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """``y = x W'`` with packed weights; activations become int8 inside (accuracy level 4)."""
    rows, columns = weights.codes.shape
    blocks = weights.scales.shape[1]
    packed = weights.packed().reshape(rows, blocks, -1)
    node = helper.make_node(
        "MatMulNBits",
        [x, f"{key}.codes", f"{key}.scales"],
        [y],
        domain=MICROSOFT,
        N=rows,
        K=columns,
        bits=weights.bits,
        block_size=columns // blocks,
        accuracy_level=4,
    )
    return node, [array(f"{key}.codes", packed), array(f"{key}.scales", weights.scales.reshape(-1))]


def dynamic(x: str, key: str, y: str, weights: Quantized) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """``y = x W'`` with int8 weights and one scale for all activations, found inside."""
    node = helper.make_node("DynamicQuantizeMatMul", [x, f"{key}.codes", f"{key}.scales"], [y], domain=MICROSOFT)
    return node, [array(f"{key}.codes", weights.signed().T), array(f"{key}.scales", weights.scales[:, 0])]


def gemm(x: str, key: str, y: str, weights: Quantized) -> tuple[onnx.NodeProto, list[onnx.TensorProto]]:
    """``y = x W'`` in float32."""
    return helper.make_node("Gemm", [x, key], [y], transB=1), [array(key, weights.floats())]


Writer = Callable[[str, str, str, Quantized], tuple[onnx.NodeProto, list[onnx.TensorProto]]]


def bound(
    runs: ort.InferenceSession, pairs: dict[str, ort.OrtValue], outputs: dict[str, ort.OrtValue]
) -> ort.IOBinding:
    """Inputs and outputs that stay where they are."""
    binding = runs.io_binding()
    for name, value in pairs.items():
        binding.bind_ortvalue_input(name, value)
    for name, value in outputs.items():
        binding.bind_ortvalue_output(name, value)
    return binding


def build(writer: Writer, weights: Quantized, count: int, threads: int, nbytes: int, **entries: str) -> Case:
    rows, columns = weights.codes.shape
    node, arrays = writer("x", "W", "y", weights)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [count, columns])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [count, rows])
    runs = session(helper.make_graph([node], "product", [x], [y], arrays), threads, **entries)
    given = frames(count, columns)
    found = ort.OrtValue.ortvalue_from_numpy(np.zeros((count, rows), np.float32))
    binding = bound(runs, {"x": ort.OrtValue.ortvalue_from_numpy(given)}, {"y": found})
    call, inner = runs._sess.run_with_iobinding, binding._iobinding  # without the checks of the outer call

    def result() -> Floats:
        call(inner, None)
        values: Floats = found.numpy()
        return values

    return Case(lambda: call(inner, None), result, lambda: product(given, weights.floats()), nbytes)


def matmul(rows: int, columns: int, frames: int, threads: int) -> Sequence[Offer]:
    """``frames x columns`` activations times ``rows x columns`` weights."""

    def offer(name: str, bits: int, writer: Writer, block: int = 0, **entries: str) -> Offer:
        def made() -> Case:
            weights = draw(rows, columns, min(bits, 8), block)
            return build(writer, weights, frames, threads, weights.nbytes() * (1 if bits <= 8 else 4), **entries)

        return Offer(f"onnxruntime {name}", bits, made)

    lut = {"mlas__use_lut_gemm": "1"}
    packed = [offer(f"MatMulNBits int{b}/{k}", b, nbits, k) for b in (2, 4, 8) for k in (32, 128)]
    return [
        *packed,
        offer("MatMulNBits int2/128 by tables", 2, nbits, 128, **lut),
        offer("DynamicQuantizeMatMul int8", 8, dynamic),
        offer("Gemm float32", 32, gemm),
    ]

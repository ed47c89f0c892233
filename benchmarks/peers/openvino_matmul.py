"""OpenVINO: int8, int4 and int2 weights with and without dynamic quantization of activations, static int8, floats."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov  # type: ignore[import-not-found,unused-ignore]
import openvino.opset13 as op  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers.case import Case, Floats, Offer, frames, product
from benchmarks.peers.quantized import Quantized, draw

TYPES = {2: "u2", 4: "u4", 8: "i8"}


def versions() -> dict[str, str]:
    return {"openvino": ov.__version__}


def settings(threads: int, precision: str, group: str = "0") -> dict[str, str]:
    return {
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
    }


def constant(weights: Quantized) -> Any:
    """The weights in the form that OpenVINO knows as compressed: convert, subtract, multiply, reshape."""
    rows, columns = weights.codes.shape
    blocks = weights.scales.shape[1]
    shape = [rows, columns] if blocks == 1 else [rows, blocks, columns // blocks]
    each = [rows, 1] if blocks == 1 else [rows, blocks, 1]
    if weights.bits == 8:
        value = op.convert(op.constant(weights.signed().reshape(shape)), ov.Type.f32)
    else:
        tensor = ov.Tensor(getattr(ov.Type, TYPES[weights.bits]), ov.Shape(shape))
        tensor.data[:] = weights.packed().reshape(tensor.data.shape)
        zeros = op.constant(np.full(each, weights.middle, np.uint8))
        value = op.subtract(op.convert(op.constant(tensor), ov.Type.f32), op.convert(zeros, ov.Type.f32))
    value = op.multiply(value, op.constant(weights.scales.reshape(each)))
    return value if blocks == 1 else op.reshape(value, op.constant(np.array([rows, columns])), False)


def compressed(x: Any, weights: Quantized) -> Any:
    return op.matmul(x, constant(weights), False, True)


def plain(x: Any, weights: Quantized) -> Any:
    return op.matmul(x, op.constant(weights.floats()), False, True)


def static(x: Any, weights: Quantized) -> Any:
    """Activations quantized with a range known beforehand, as after post-training quantization."""
    low, high = op.constant(np.float32(-4.5)), op.constant(np.float32(4.5 * 127 / 128))
    return compressed(op.fake_quantize(x, low, high, low, high, 256), weights)


def build(
    writer: Callable[[Any, Quantized], Any], weights: Quantized, bits: int, count: int, given: dict[str, str]
) -> Case:
    columns = weights.codes.shape[1]
    x = op.parameter([count, columns], ov.Type.f32, name="x")
    model = ov.Model([op.result(writer(x, weights))], [x], "product")
    request = ov.Core().compile_model(model, "CPU", given).create_infer_request()
    values = frames(count, columns)
    request.set_input_tensor(ov.Tensor(values))

    def result() -> Floats:
        request.infer(share_outputs=True)
        return np.array(request.get_output_tensor(0).data)

    def expected() -> Floats:
        return product(values, weights.floats())

    nbytes = weights.nbytes() if bits <= 8 else weights.codes.size * bits // 8
    return Case(lambda: request.infer(share_outputs=True), result, expected, nbytes)


def matmul(rows: int, columns: int, frames: int, threads: int) -> Sequence[Offer]:
    """``frames x columns`` activations times ``rows x columns`` weights."""

    def offer(
        name: str,
        bits: int,
        writer: Callable[[Any, Quantized], Any],
        block: int = 0,
        precision: str = "f32",
        group: str = "0",
    ) -> Offer:
        def made() -> Case:
            weights = draw(rows, columns, min(bits, 8), block)
            return build(writer, weights, bits, frames, settings(threads, precision, group))

        return Offer(f"openvino {name}", bits, made)

    return [
        offer("int8 dynamic", 8, compressed, group=str(columns)),
        offer("int8 dynamic/32", 8, compressed, group="32"),
        offer("int8 static", 8, static),
        offer("int8 weights, bfloat16", 8, compressed, precision="bf16"),
        offer("int8/128 dynamic/128", 8, compressed, 128, group="128"),
        offer("int4/128 dynamic/32", 4, compressed, 128, group="32"),
        offer("int4/128 dynamic/128", 4, compressed, 128, group="128"),
        offer("int4/128 weights, bfloat16", 4, compressed, 128, "bf16"),
        offer("int2/128 dynamic/128", 2, compressed, 128, group="128"),
        offer("int2/128 weights, bfloat16", 2, compressed, 128, "bf16"),
        offer("bfloat16", 16, plain, precision="bf16"),
        offer("float32", 32, plain),
    ]

"""torch: dynamic and static int8 with both engines, int8 and int4 weights with bfloat16, plain floats."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peers.case import Case, Floats, Offer, frames, product
from benchmarks.peers.quantized import Quantized, draw

Call = Callable[[Tensor], Tensor]


def versions() -> dict[str, str]:
    return {"torch": str(torch.__version__)}


def quantized(weights: Quantized) -> Tensor:
    """The weights as a tensor of torch with a scale a row."""
    scales = torch.from_numpy(weights.scales[:, 0].copy())
    tensor: Tensor = torch._make_per_channel_quantized_tensor(
        torch.from_numpy(weights.signed()), scales.double(), torch.zeros(len(scales), dtype=torch.long), 0
    )
    return tensor


def dynamic(engine: str) -> Callable[[Quantized], Call]:
    """The operator behind `torch.ao.nn.quantized.dynamic.Linear`."""

    def made(weights: Quantized) -> Call:
        torch.backends.quantized.engine = engine
        packed = torch.ops.quantized.linear_prepack(quantized(weights), None)
        call = torch.ops.quantized.linear_dynamic

        def run(x: Tensor) -> Tensor:
            found: Tensor = call(x, packed, False)
            return found

        return run

    return made


def static_fbgemm(weights: Quantized) -> Call:
    torch.backends.quantized.engine = "fbgemm"
    packed = torch.ops.quantized.linear_prepack(quantized(weights), None)
    call = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    return lambda x: call(x, 4.5 / 127, 128, packed)


def static_onednn(weights: Quantized) -> Call:
    """What a compiled, statically quantized network calls."""
    packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(weights.signed()), None)
    scales = torch.from_numpy(weights.scales[:, 0].copy())
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    call = torch.ops.onednn.qlinear_pointwise
    step = 4.5 / 127

    def run(x: Tensor) -> Tensor:
        codes = torch.quantize_per_tensor(x, step, 128, torch.quint8).int_repr()
        found: Tensor = call(codes, step, 128, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        return found

    return run


def plain(dtype: torch.dtype) -> Callable[[Quantized], Call]:
    def made(weights: Quantized) -> Call:
        matrix = torch.from_numpy(weights.floats()).to(dtype)
        if dtype == torch.float32:
            return lambda x: functional.linear(x, matrix)
        return lambda x: functional.linear(x.to(dtype), matrix).float()

    return made


def packed(weights: Quantized) -> Call:
    """bfloat16 with the matrix in the layout of oneDNN, as a compiled network has it."""
    matrix = torch.from_numpy(weights.floats()).bfloat16()
    ready = torch.ops.mkldnn._reorder_linear_weight(matrix)
    call = torch.ops.mkldnn._linear_pointwise
    return lambda x: call(x.bfloat16(), ready, None, "none", [], "").float()


def int8_weights(weights: Quantized) -> Call:
    codes = torch.from_numpy(weights.signed())
    scales = torch.from_numpy(weights.scales[:, 0].copy()).bfloat16()
    call = torch.ops.aten._weight_int8pack_mm
    return lambda x: call(x.bfloat16(), codes, scales).float()


def int4_weights(weights: Quantized) -> Call:
    rows, blocks = weights.scales.shape
    codes = torch.from_numpy(weights.codes.astype("int32"))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
    scales = torch.from_numpy(weights.scales)
    both = torch.stack([scales, torch.zeros(rows, blocks)], -1).transpose(0, 1).contiguous().bfloat16()
    block = weights.codes.shape[1] // blocks
    call = torch.ops.aten._weight_int4pack_mm_for_cpu
    return lambda x: call(x.bfloat16(), packed, block, both).float()


def matmul(rows: int, columns: int, frames: int, threads: int) -> Sequence[Offer]:
    """``frames x columns`` activations times ``rows x columns`` weights."""

    def offer(name: str, bits: int, maker: Callable[[Quantized], Call], block: int = 0) -> Offer:
        def made() -> Case:
            weights = draw(rows, columns, min(bits, 8), block)
            nbytes = weights.nbytes() if bits <= 8 else weights.codes.size * bits // 8
            return build(maker, weights, frames, threads, nbytes)

        return Offer(f"torch {name}", bits, made)

    return [
        offer("linear_dynamic int8, fbgemm", 8, dynamic("fbgemm")),
        offer("linear_dynamic int8, onednn", 8, dynamic("onednn")),
        offer("static int8, fbgemm", 8, static_fbgemm),
        offer("static int8, onednn", 8, static_onednn),
        offer("int8 weights, bfloat16", 8, int8_weights),
        offer("int4/128 weights, bfloat16", 4, int4_weights, 128),
        offer("linear bfloat16", 16, plain(torch.bfloat16)),
        offer("linear bfloat16, packed", 16, packed),
        offer("linear float32", 32, plain(torch.float32)),
    ]


def build(maker: Callable[[Quantized], Call], weights: Quantized, count: int, threads: int, nbytes: int) -> Case:
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    given = frames(count, weights.codes.shape[1])
    x = torch.from_numpy(given)
    call = maker(weights)

    def result() -> Floats:
        values: Floats = call(x).numpy()
        return values

    return Case(lambda: call(x), result, lambda: product(given, weights.floats()), nbytes)

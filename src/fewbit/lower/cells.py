"""Integer ops of recurrent cells: gates in Q3.12, states at 16 bits, results in codes of the hidden signal."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.formats import FixedPoint
from fewbit.lower.weights import (
    Floats,
    SignalCodes,
    Weight,
    bias_bits,
    integer_bias,
    read_signal,
    read_weight,
    to_float,
)
from fewbit.program import ops
from fewbit.program.limits import MAX_MULTIPLIER, MAX_SUM
from fewbit.program.numerics import INT16, Q12, Q15, Integers, Rescale, rescale_from, shared_shift
from fewbit.program.ops.recurrent import FINE
from fewbit.quant import input_quantizer


def lstm(name: str, module: layers.LSTM, x: SignalCodes, **inputs: Any) -> tuple[ops.Op, SignalCodes]:
    """An LSTM of `fewbit.nn` for input codes, and its hidden codes."""
    check_cell(module.cell, FixedPoint(3, 12))
    weight, back = read_weight(module, "weight"), read_weight(module, "weight_hidden")
    hidden = hidden_codes(module)
    return lstm_of(name, weight, back, to_float(module.bias), x, hidden, **inputs), hidden


def gru(name: str, module: layers.GRU, x: SignalCodes, **inputs: Any) -> tuple[ops.Op, SignalCodes]:
    """A GRU of `fewbit.nn` for input codes, and its hidden codes."""
    check_cell(module.cell, FixedPoint(0, 15))
    weight, back = read_weight(module, "weight"), read_weight(module, "weight_hidden")
    hidden = hidden_codes(module)
    outer, inner = to_float(module.bias), to_float(module.bias_hidden)
    return gru_of(name, weight, back, outer, inner, x, hidden, **inputs), hidden


def torch_cell(
    name: str, module: nn.LSTM | nn.GRU, suffix: str, x: SignalCodes, bits: int, **inputs: Any
) -> tuple[ops.Op, SignalCodes]:
    """One layer of `torch.nn.LSTM` or `torch.nn.GRU` in one direction, and its hidden codes of at most so many bits.

    They have no signal to quantize there; hidden values lie in -1..1.
    """
    weight, back = (read_weight(module, f"weight_{half}{suffix}") for half in ("ih", "hh"))
    while int(np.abs(back.codes).sum(axis=1).max()) << (bits - 1) >= MAX_SUM:
        bits -= 1
    high = (1 << (bits - 1)) - 1
    hidden = SignalCodes(1 / high, -high, high)
    rows = len(weight.codes)
    outer, inner = (_bias(module, f"bias_{half}{suffix}", rows) for half in ("ih", "hh"))
    if isinstance(module, nn.LSTM):
        return lstm_of(name, weight, back, outer + inner, x, hidden, fine=1, **inputs), hidden
    # The candidate's hidden bias stands inside of what the reset gate scales.
    n = module.hidden_size
    outer = outer + np.concatenate([inner[: 2 * n], np.zeros(n)])
    return gru_of(name, weight, back, outer, inner[2 * n :], x, hidden, fine=1, **inputs), hidden


def lstm_of(
    name: str, weight: Weight, back: Weight, bias: Floats, x: SignalCodes, hidden: SignalCodes, **inputs: Any
) -> ops.Op:
    """The op of an LSTM; blocks of rows: input, forget, candidate, output."""
    inputs |= {"bias_bits": bias_bits(weight, weight.scale * x.step, bias, x, 1 / Q12)} if inputs.get("fine") else {}
    halves = _halves(weight, back, bias, x, hidden, inputs)
    return ops.LSTM(name, len(back.codes) // 4, *halves, _result(hidden), **inputs)


def gru_of(
    name: str,
    weight: Weight,
    back: Weight,
    bias: Floats,
    bias_hidden: Floats,
    x: SignalCodes,
    hidden: SignalCodes,
    **inputs: Any,
) -> ops.Op:
    """The op of a GRU; blocks of rows: reset, update, candidate."""
    inputs |= {"bias_bits": bias_bits(weight, weight.scale * x.step, bias, x, 1 / Q12)} if inputs.get("fine") else {}
    matrix, integers, rescale, hidden_matrix, rescale_hidden = _halves(weight, back, bias, x, hidden, inputs)
    inner = np.clip(np.rint(bias_hidden * Q12), *_ends(inputs)).astype(np.int64)
    rows, result = len(back.codes) // 3, _result(hidden)
    return ops.GRU(name, rows, matrix, integers, rescale, hidden_matrix, inner, rescale_hidden, result, **inputs)


def sru(name: str, module: layers.SRU, x: SignalCodes, step: float, low: int, high: int, **inputs: Any) -> ops.Op:
    """The op of an SRU for input codes, whose results are multiples of `step`."""
    check_cell(module.cell, FixedPoint(3, 12))
    n = module.hidden_size
    bias = np.zeros(len(module.weight))
    bias[n : 3 * n] = to_float(module.bias)
    gates = input_half(read_weight(module, "weight"), x, bias)
    factors = np.array([1 / Q15, (1 / Q12 if module.projected else x.step) / Q15]) / step
    shift = shared_shift(factors)
    cell, skip = (min(int(factor), MAX_MULTIPLIER) for factor in np.rint(np.ldexp(factors, shift)))
    return ops.SRU(name, n, *gates, cell, skip, shift, low, high, **inputs)


def qrnn(name: str, module: layers.QRNN, x: SignalCodes, step: float, low: int, high: int, **inputs: Any) -> ops.Op:
    """The op of a QRNN for input codes, whose results are multiples of `step`."""
    check_cell(module.cell, FixedPoint(0, 15))
    gates = input_half(read_weight(module.gates, "weight"), x, to_float(module.gates.bias))
    output = rescale_from(1 / (Q15 * step), low, high)
    return ops.QRNN(name, module.hidden_size, module.kernel, *gates, output, **inputs)


def _ends(inputs: dict[str, Any]) -> tuple[int, int]:
    """The range of each half of the gate inputs."""
    return FINE if inputs.get("fine") else INT16


def input_half(
    weight: Weight, x: SignalCodes, bias: Floats, ends: tuple[int, int] = INT16, up: int = 0
) -> tuple[ops.Matrix, Integers, Rescale]:
    """The products of a cell with its input, in Q3.12."""
    x.check_sums(weight)
    matrix, scale, integers = integer_bias(weight, weight.scale * x.step * 0.5**up, bias)
    return matrix, integers, rescale_from(scale * Q12, *ends)


def _halves(
    weight: Weight, back: Weight, bias: Floats, x: SignalCodes, hidden: SignalCodes, inputs: dict[str, Any]
) -> tuple[ops.Matrix, Integers, Rescale, ops.Matrix, Rescale]:
    """Both halves of a cell whose result is multiplied again."""
    hidden.check_sums(back)
    matrix, scale, _ = integer_bias(back, back.scale * hidden.step, np.zeros(len(back.codes)))
    ends = _ends(inputs)
    return *input_half(weight, x, bias, ends, inputs.get("bias_bits", 0)), matrix, rescale_from(scale * Q12, *ends)


def _result(hidden: SignalCodes) -> Rescale:
    return rescale_from(1 / (Q15 * hidden.step), hidden.low, hidden.high)


def hidden_codes(module: layers.LSTM | layers.GRU) -> SignalCodes:
    """Codes of the hidden signal of a cell."""
    hidden = read_signal(module.hidden)
    if hidden is None:
        raise LoweringError("its hidden signal is not quantized; add activations='int8' to Quantize")
    return hidden


def check_cell(cell: layers.Signal, kept: FixedPoint) -> None:
    """Refuse a quantizer on a cell other than the format in which Programs keep it."""
    quantizer = input_quantizer(cell)
    if quantizer is not None and quantizer.format != kept:
        raise LoweringError(
            f"its cell is quantized as {quantizer.spec}, but Programs keep it as {kept}: leave the quantizer away or "
            f"give it the spec '{kept}'"
        )


def _bias(module: nn.Module, name: str, rows: int) -> Floats:
    bias = getattr(module, name, None)
    return to_float(bias) if isinstance(bias, Tensor) else np.zeros(rows)

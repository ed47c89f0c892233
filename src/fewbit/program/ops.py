"""The operations of a packed network: frozen values, no behaviour.

A `Program` is a chain of ops. Each takes ``(time, width)`` integers (the first takes floats) from the op before it.
What an op computes stands in its docstring in the terms of `fewbit.program.numerics`, and in code in
`fewbit.program.reference`. ``W x`` is an exact integer product with `Matrix` codes; ``acc`` is ``W x + bias``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewbit.formats import Format, Granularity, PerGroup, PerRow, PerTensor, unpack
from fewbit.program.numerics import Integers, Rescale

GROUP_SHIFT = 14


@dataclass(frozen=True, eq=False)
class Matrix:
    """Packed weights ``(rows, columns)``.

    data: bytes ``(rows, row_bytes)``. group_scale: for weights with a scale per group, ``(rows, groups)`` integers in
    1..2**14 relative to the row's largest; then ``W x`` is ``round(sum_g group_scale_g * (W x)_g / 2**14)``.
    """

    rows: int
    columns: int
    format: Format
    layout: str
    per: Granularity
    data: NDArray[np.uint8]
    group_scale: Integers | None = None

    def codes(self) -> Integers:
        """Unpacked codes ``(rows, columns)``."""
        return unpack(self.data, self.columns, self.format, self.layout).astype(np.int64)

    @property
    def granularity(self) -> str:
        """``tensor``, ``row`` or the size of a group, in words."""
        match self.per:
            case PerGroup(size=size):
                return f"group {size}"
            case PerRow():
                return "row"
            case PerTensor():
                return "tensor"
        return "token"


@dataclass(frozen=True, eq=False)
class Quantize:
    """Features to codes: ``clamp(floor(x * gain + offset + 1/2), low, high)`` in float64. The only op with floats."""

    name: str
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Requantize:
    """Codes to codes of another scale: ``rescale(x)``."""

    name: str
    width: int
    rescale: Rescale


@dataclass(frozen=True, eq=False)
class Dense:
    """``rescale(acc)``; a ReLU is a `low` of 0."""

    name: str
    weight: Matrix
    bias: Integers
    rescale: Rescale


@dataclass(frozen=True, eq=False)
class Conv:
    """`Dense` over windows of `kernel` frames, every `stride` frames; ``kernel - 1`` zero frames come first.

    State: frames that coming windows still need.
    """

    name: str
    kernel: int
    stride: int
    weight: Matrix
    bias: Integers
    rescale: Rescale


@dataclass(frozen=True, eq=False)
class SRU:
    """Gates ``a = rescale(acc)`` in Q3.12, in blocks of `hidden`: candidate, forget, reset (, skip).

    ``c = saturate16(mix(sigmoid(forget), c, candidate))``, state, Q3.12;
    ``y = clamp(shift_round(shift_round(r * tanh(c), 15) * cell_multiplier + (2**15 - r) * skip * skip_multiplier,
    shift))`` with ``r = sigmoid(reset)`` and skip the fourth block, or the input codes where there is none.
    """

    name: str
    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    cell_multiplier: int
    skip_multiplier: int
    shift: int
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class QRNN:
    """Windows as in `Conv` with stride 1; gates ``a = rescale(acc)`` in Q3.12: candidate, forget, output.

    ``c = mix(sigmoid(forget), c, tanh(candidate))``, state, Q15; ``y = output(shift_round(sigmoid(o) * c, 15))``.
    """

    name: str
    hidden: int
    kernel: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    output: Rescale


@dataclass(frozen=True, eq=False)
class LSTM:
    """Gates ``a = saturate16(rescale(acc) + rescale_hidden(W_hidden h))`` in Q3.12: input, forget, candidate, output.

    ``c = saturate16(shift_round(8 * f * c + i * g, 18))``, state, Q3.12; ``h = output(shift_round(o * tanh(c), 15))``,
    state and result.
    """

    name: str
    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    weight_hidden: Matrix
    rescale_hidden: Rescale
    output: Rescale


@dataclass(frozen=True, eq=False)
class GRU:
    """``a = rescale(acc)``, ``b = rescale_hidden(W_hidden h)`` in Q3.12, blocks: reset, update, candidate.

    ``r, z = sigmoid(saturate16(a + b))``; ``d = saturate16(b + bias_hidden)`` in the candidate block;
    ``n = tanh(saturate16(a + shift_round(r * d, 15)))``; ``s = mix(z, s, n)``, state, Q15; ``h = output(s)``, state
    and result. bias_hidden is in Q3.12.
    """

    name: str
    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    weight_hidden: Matrix
    bias_hidden: Integers
    rescale_hidden: Rescale
    output: Rescale


Part = Requantize | Dense | SRU | LSTM | GRU
Parts = tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Three chains of ops with two clocks; a frame ``x`` ends a word where a column of `boundaries` is above 0.

    `letters` reads ``x``. Where a word ends, `words` reads the result of `letters` in the frame before, then ``x``, and
    runs once; else its result, at first zeros, stays. `spelling` reads the result of `letters` (if `direct` is 1:
    ``x``), then that of `words`, and gives the result of the op. `letters` and `spelling` start anew at the frame that
    ends a word.

    State: that of each chain, and the results of `letters` and `words`.
    """

    name: str
    boundaries: Integers
    direct: int
    letters: Parts
    words: Parts
    spelling: Parts

    @property
    def chains(self) -> tuple[Parts, Parts, Parts]:
        """Letters, words, spelling."""
        return self.letters, self.words, self.spelling


Op = Quantize | Requantize | Dense | Conv | SRU | QRNN | LSTM | GRU | Hierarchy


def widths(op: Op) -> tuple[int, int]:
    """Numbers that a frame has before and after an op."""
    match op:
        case Quantize():
            return len(op.gain), len(op.gain)
        case Requantize():
            return op.width, op.width
        case Dense():
            return op.weight.columns, op.weight.rows
        case Conv():
            return op.weight.columns // op.kernel, op.weight.rows
        case QRNN():
            return op.weight.columns // op.kernel, op.hidden
        case SRU() | LSTM() | GRU():
            return op.weight.columns, op.hidden
        case Hierarchy():
            return widths(op.letters[0])[0], widths(op.spelling[-1])[1]


def result_range(op: Op) -> tuple[int, int]:
    """Smallest and largest integer that an op gives."""
    match op:
        case Quantize() | SRU():
            return op.low, op.high
        case Requantize() | Dense() | Conv():
            return op.rescale.low, op.rescale.high
        case QRNN() | LSTM() | GRU():
            return op.output.low, op.output.high
        case Hierarchy():
            return result_range(op.spelling[-1])


def chain_ranges(op: Hierarchy, inputs: tuple[int, int]) -> list[tuple[int, int]]:
    """Smallest and largest integer that each of the chains of an op reads, if the op itself reads those of `inputs`."""
    letters, words = (result_range(chain[-1]) for chain in (op.letters, op.words))
    joined = (letters, inputs), (inputs if op.direct else letters, words)
    return [inputs, *((min(low for low, _ in pair), max(high for _, high in pair)) for pair in joined)]


def matrices(op: Op) -> list[Matrix]:
    """The weights of an op."""
    match op:
        case Quantize() | Requantize():
            return []
        case LSTM() | GRU():
            return [op.weight, op.weight_hidden]
        case Hierarchy():
            return [matrix for chain in op.chains for part in chain for matrix in matrices(part)]
        case _:
            return [op.weight]

"""Quantized weights and signals of torch modules as NumPy integers and scales."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.errors import LoweringError
from fewbit.formats import (
    Format,
    Granularity,
    PerGroup,
    PerRow,
    PerTensor,
    SparseTernary,
    Ternary,
    default_layout,
    fits_columns,
    fits_kernels,
    obeys,
    pack,
    pack_columns,
    pack_kernels,
    packed_shape,
)
from fewbit.formats.kept_columns import COLUMNS
from fewbit.formats.kept_kernels import KERNELS
from fewbit.program import ops
from fewbit.program.limits import MAX_BIAS_BITS, MAX_SUM
from fewbit.program.numerics import Integers
from fewbit.quant import Activation, Quantizer, input_quantizer, quantizer_of
from fewbit.quant.following import input_of

Floats = NDArray[np.float64]
KEPT_RECORD = 16
"""Bytes that the record of a matrix takes more in the layouts ``kernels`` and ``columns``, at most."""


@dataclass(frozen=True)
class Weight:
    """Codes ``(rows, columns)`` and scales, one ``(1,)`` or one for each row ``(rows,)``.

    maps: input maps that a row of a convolution reads, or 0.
    """

    codes: Integers
    scale: Floats
    format: Format
    per: Granularity
    group_scale: Integers | None = None
    maps: int = 0

    def matrix(self) -> ops.Matrix:
        """The packed form; kernels or columns of zeros are left out where that makes the file smaller.

        Sparse codes whose groups are not those of the packed columns, as behind a transposition, are ternary there.
        """
        rows, columns = self.codes.shape
        format = self.format
        if isinstance(format, SparseTernary) and not obeys(self.codes, format):
            format = Ternary()
        layout = default_layout(format)
        data = pack(self.codes, format, layout)
        kept = self._kept(format)
        if kept is not None:
            # Kept codes lie in one row, without the padding of many: that alone is no reason to take their layout.
            (plain,) = packed_shape(1, rows * columns, format, layout)[1:]
            if kept.data.nbytes + KEPT_RECORD < min(data.nbytes, plain):
                return kept
        return ops.Matrix(rows, columns, format, layout, self.per, data, self.group_scale)

    def _kept(self, format: Format) -> ops.Matrix | None:
        """The smallest form without zeros, of equal ones that without columns; None where there is none."""
        rows, columns = self.codes.shape
        found = []
        if self.group_scale is None and fits_columns(rows, columns, format):
            data = pack_columns(self.codes, format)
            found.append(ops.Matrix(rows, columns, format, COLUMNS, self.per, data))
        if self.group_scale is None and self.maps and fits_kernels(rows, columns, self.maps, format):
            data = pack_kernels(self.codes, self.maps, format)
            found.append(ops.Matrix(rows, columns, format, KERNELS, self.per, data, maps=self.maps))
        return min(found, key=lambda matrix: matrix.data.nbytes, default=None)


@dataclass(frozen=True)
class SignalCodes:
    """Codes of a quantized signal: real values are multiples of `step`."""

    step: float
    low: int
    high: int

    def check_sums(self, weight: Weight) -> None:
        """Raise `LoweringError` if 32-bit sums of products with `weight` could overflow."""
        largest = int(np.abs(weight.codes).sum(axis=1).max()) * max(-self.low, self.high)
        if largest >= MAX_SUM:
            raise LoweringError(
                f"sums of {weight.codes.shape[1]} products of {weight.format} weights with codes up to {self.high} "
                "could overflow 32 bits; use fewer bits for the weights or for their input"
            )


def to_float(tensor: Any) -> Floats:
    """A tensor as float64."""
    assert isinstance(tensor, Tensor)
    return tensor.detach().cpu().double().numpy()


def read_weight(module: nn.Module, name: str) -> Weight:
    """Codes and scales of a quantized weight.

    Raises:
        LoweringError: the weight is float.
    """
    quantizer = quantizer_of(module, name)
    if quantizer is None:
        raise LoweringError(f"its {name} is float; quantize it (weights='int8' costs almost no accuracy)")
    stack = module.get_submodule(f"parametrizations.{name}")
    assert isinstance(stack, parametrize.ParametrizationList)
    return weight_of(quantizer, input_of(quantizer, stack), name)


def weight_of(quantizer: Quantizer, tensor: Tensor, name: str = "weight") -> Weight:
    """Codes and scales that a quantizer gives for a tensor, with its first axis as rows.

    Raises:
        LoweringError: there is a step for each token.
    """
    codes = quantizer.codes(tensor.detach())
    values = to_float(codes.values).astype(np.int64).reshape(len(codes.values), -1)
    scale = to_float(codes.scale)
    match codes.per:
        case PerTensor():
            return Weight(values, scale.reshape(1), codes.format, codes.per)
        case PerRow():
            return Weight(values, _of_live_rows(values, scale.reshape(-1)), codes.format, codes.per)
        case PerGroup():
            largest = scale.max(axis=1)
            relative = np.rint(scale / largest[:, None] * (1 << ops.GROUP_SHIFT)).astype(np.int64)
            return Weight(values, largest, codes.format, codes.per, np.maximum(relative, 1))
    raise LoweringError(f"its {name} has a step per token, which weights cannot have")


def _of_live_rows(codes: Integers, scale: Floats) -> Floats:
    """Scales in which a row of zeros, whose own scale means nothing, has no say about the common shift of a rescale."""
    live = codes.any(axis=1)
    return np.where(live, scale, scale[live].max()) if live.any() else scale


def read_signal(module: nn.Module) -> SignalCodes | None:
    """Codes that a module's input quantizer gives, or ``None`` where there is no quantizer.

    Raises:
        LoweringError: the quantizer has no integer form, or was not calibrated.
    """
    quantizer = input_quantizer(module)
    return None if quantizer is None else codes_of(quantizer)


def codes_of(quantizer: Quantizer) -> SignalCodes:
    """Codes that a quantizer of signals gives.

    Raises:
        LoweringError: they are not the same for all inputs, or it was not calibrated.
    """
    if not isinstance(quantizer, Activation):
        raise LoweringError(
            f"its input is quantized as {quantizer.spec}, with steps chosen at run time; Programs have fixed steps: "
            "use int8 or uint8"
        )
    step = float(quantizer.scale)
    if not step > 0:
        raise LoweringError("its input quantizer is not calibrated; call calibrate(model, batches)")
    return SignalCodes(step, quantizer.format.lo, quantizer.format.hi)


def bias_bits(weight: Weight, scale: Floats, bias: Floats, x: SignalCodes, unit: float) -> int:
    """How many bits finer than an accumulator a bias should be: so many that it is rounded to `unit`, or that there is
    room for.

    A row of large weights has coarse accumulators, and its bias would be off by up to half of one in every frame.

    scale: of the accumulators of each row.
    """
    if not bias.any():
        return 0
    steps = np.abs(np.broadcast_to(scale, bias.shape))
    counted = steps > 0
    if not counted.any():
        return 0
    wanted = int(np.ceil(np.log2(steps.max() / unit)))
    sums = np.abs(weight.codes).sum(axis=1) * max(-x.low, x.high)
    largest = max(int(sums.max()), int((np.abs(bias[counted]) / steps[counted]).max()), 1)
    room = int(np.floor(np.log2(MAX_SUM / largest))) - 1
    return int(np.clip(min(wanted, room), 0, MAX_BIAS_BITS))


def integer_bias(weight: Weight, scale: Floats, bias: Floats) -> tuple[ops.Matrix, Floats, Integers]:
    """Packed weights, scales and the bias in units of the accumulators.

    A row whose weights count for nothing beside its bias (a batch norm with gain 0) gets zero codes and a scale at
    which its bias fits.
    """
    too_small = np.abs(bias) > np.abs(scale) * MAX_SUM
    if too_small.any():
        scale = np.where(too_small, np.abs(bias) / (1 << 20), np.broadcast_to(scale, bias.shape))
        weight = replace(weight, codes=np.where(too_small[:, None], 0, weight.codes))
    safe = np.where(scale == 0, 1.0, scale)
    return weight.matrix(), scale, np.rint(bias / safe).astype(np.int64)

"""Uniform symmetric quantizers for weights: ``Q(w) = D * clamp(round(w / D), -h, h)``.

References:
    Sung, Shin, Hwang 2015 (arXiv 1511.06488): one step D for each group of weights, by the L2 error.
"""

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from fewbit.errors import QuantizationError
from fewbit.formats import Format, Granularity, Int, PerGroup, PerRow, PerTensor
from fewbit.quant.base import Codes, Quantizer, check_finite, check_step
from fewbit.quant.step_size import fit_step, round_half_away


class Uniform(Quantizer):
    """Signed integer weights with an L2-optimal step per tensor, row or group.

    Args:
        format: the codes; `Ternary()` gives three levels.
        per: how many weights share a step.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Ternary
        >>> w = tensor([[-2.0, 0.1, 2.0, 2.0]])
        >>> Uniform(Ternary()).fit(w).codes(w).values
        tensor([[-1.,  0.,  1.,  1.]])
    """

    step: Tensor

    def __init__(self, format: Format | None = None, per: Granularity | None = None) -> None:
        super().__init__()
        self.format = format or Int(8)
        self.per = per or PerTensor()
        if not isinstance(self.per, PerTensor | PerRow | PerGroup):
            raise QuantizationError(f"weights have steps per tensor, row or group, not {self.per}")
        self.register_buffer("step", torch.zeros(0))

    def fit(self, x: Tensor) -> Self:
        check_finite(x, "weight to quantize")
        if not x.numel():
            raise QuantizationError(f"a weight of shape {tuple(x.shape)} has no numbers to quantize; keep it float")
        self.step = check_step(self._scales(x.detach()).to(x.dtype), "weight to quantize")
        return self

    def codes(self, x: Tensor) -> Codes:
        if self.step.numel() == 0:
            raise QuantizationError(f"{self.spec} quantizer has no step yet; call fit(weight) first")
        check_finite(x, "weight to quantize")
        return Codes(self._round(x, self._unit(x, self.scale)), self.scale, self.format, self.per)

    @property
    def scale(self) -> Tensor:
        """The steps in use."""
        return self.step

    def _unit(self, x: Tensor, scale: Tensor) -> Tensor:
        """For each number of `x` its step."""
        return Codes(torch.ones_like(x), scale, self.format, self.per).dequantize()

    def _round(self, x: Tensor, unit: Tensor) -> Tensor:
        return round_half_away(x / unit).clamp(self.format.lo, self.format.hi)

    def _scales(self, x: Tensor) -> Tensor:
        return self._shaped(self._fit_rows(self._rows(x)), x)

    def _shaped(self, steps: Tensor, x: Tensor) -> Tensor:
        """One number for each step, ``(steps,)``, in the shape that scales of `x` have."""
        match self.per:
            case PerRow():
                return steps.view(-1, *[1] * (x.dim() - 1))
            case PerGroup():
                return steps.view(len(x), -1)
            case _:
                return steps.view(())

    def _rows(self, x: Tensor) -> Tensor:
        """Numbers that share a step, side by side: ``(steps, n)``; a last group is filled with zeros."""
        match self.per:
            case PerRow():
                return x.flatten(1)
            case PerGroup(size=size):
                rows = x.flatten(1)
                return functional.pad(rows, (0, -rows.shape[1] % size)).reshape(-1, size)
            case _:
                return x.reshape(1, -1)

    def _fit_rows(self, rows: Tensor) -> Tensor:
        return fit_step(rows, self.format)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        saved = state_dict.get(f"{prefix}step")
        if saved is not None:  # its shape depends on the weight, so it is not known before fit
            self.step = torch.empty_like(saved, device=self.step.device, dtype=self.step.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class BinaryMean(Uniform):
    """Two levels, ``sign(w) * mean|w|``, the L2-optimal binary code (zero counts as positive).

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Binary
        >>> w = tensor([[1.0, -3.0]])
        >>> BinaryMean(Binary()).fit(w)(w)
        tensor([[ 2., -2.]])

    References:
        Rastegari, Ordonez, Redmon, Farhadi 2016 (arXiv 1603.05279).
    """

    def _round(self, x: Tensor, unit: Tensor) -> Tensor:
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    def _scales(self, x: Tensor) -> Tensor:
        numbers = self._rows(torch.ones_like(x)).sum(1)  # a last group may have fewer than the others
        mean = self._rows(x.abs()).sum(1) / numbers
        return self._shaped(torch.where(mean > 0, mean, 1.0), x)

"""Steps that are learned by the gradient of the loss, for weights and for signals (LSQ).

The step is ``D = D0 * f``: D0 fitted as usual, the factor f a parameter that starts at 1, so that an optimizer moves it
relative to its size, whatever the scale of the network. With ``v = x / D`` and codes z the gradient with regard to D is
``z - v`` inside the range of the codes and ``z`` outside, times ``1 / sqrt(n h)`` for n numbers that share a step.
Where weights change their step, the range ends at the last code, as published: with half a step more, ternary steps
shrink until the largest weights are cut off. For signals it ends half a step later, where rounding starts to clip.

References:
    Esser, McKinstry, Bablani, Appuswamy, Modha 2019, "Learned step size quantization" (arXiv 1902.08153); for signals
    also Choi et al. 2018, PACT (arXiv 1805.06085), whose clip is ``D h``.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn

from fewbit.errors import QuantizationError
from fewbit.formats import Binary, Format, Granularity
from fewbit.quant.activation import Activation
from fewbit.quant.base import Codes
from fewbit.quant.uniform import Uniform

LEAST = 1e-3
"""Smallest factor: a step never reaches 0 or changes its sign."""


class LearnedUniform(Uniform):
    """Signed integer weights with learned steps; spec ``ternary+learned``.

    Examples:
        >>> import torch
        >>> from fewbit.formats import Int
        >>> quantizer = LearnedUniform(Int(4)).fit(torch.randn(8, 4))
        >>> quantizer.spec, [name for name, _ in quantizer.named_parameters()]
        ('int4+learned', ['factor'])
    """

    factor: Tensor

    def __init__(self, format: Format | None = None, per: Granularity | None = None) -> None:
        super().__init__(format, per)
        if isinstance(self.format, Binary):
            raise QuantizationError("a binary step is the mean of |w|; write 'binary', without +learned")
        self.factor = nn.Parameter(torch.ones(0))

    def fit(self, x: Tensor) -> Self:
        super().fit(x)
        # One axis, whatever the steps have, so that optimizers can tell it from a weight.
        self.factor = nn.Parameter(torch.ones_like(self.step).reshape(-1))
        return self

    def freeze(self) -> None:
        self.factor.requires_grad_(False)

    @property
    def scale(self) -> Tensor:
        return self._learned().detach()

    def _learned(self) -> Tensor:
        return self.step * self.factor.clamp_min(LEAST).view_as(self.step)

    def ste_mask(self, x: Tensor) -> Tensor:
        return _inside(x, self.codes(x), self._unit(x, self.scale))

    def forward(self, x: Tensor) -> Tensor:
        unit = self._unit(x.detach(), self._learned())
        share = (x.numel() / self.step.numel() * self.format.hi) ** -0.5
        return _quantized(x, unit, self.codes(x.detach()), share, margin=0.0)

    @property
    def spec(self) -> str:
        return f"{super().spec}+learned"

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        saved = state_dict.get(f"{prefix}factor")
        if saved is not None and saved.shape != self.factor.shape:
            self.factor = nn.Parameter(torch.empty_like(saved, device=self.factor.device, dtype=self.factor.dtype))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LearnedActivation(Activation):
    """A signal with a learned step, which is a learned clip; spec ``uint2+learned``.

    Examples:
        >>> import torch
        >>> from fewbit.formats import UInt
        >>> quantizer = LearnedActivation(UInt(2)).fit(torch.rand(100))
        >>> quantizer.spec, [name for name, _ in quantizer.named_parameters()]
        ('uint2+learned', ['factor'])
    """

    factor: Tensor

    def __init__(self, format: Format) -> None:
        super().__init__(format)
        self.factor = nn.Parameter(torch.ones(()))

    def fit(self, x: Tensor) -> Self:
        super().fit(x)
        self.factor = nn.Parameter(torch.ones_like(self.step))
        return self

    def freeze(self) -> None:
        self.factor.requires_grad_(False)

    @property
    def scale(self) -> Tensor:
        return self.step * self.factor.detach().clamp_min(LEAST)

    def forward(self, x: Tensor) -> Tensor:
        found = self.codes(x.detach())
        unit = (self.step * self.factor.clamp_min(LEAST)).to(x.dtype)
        return _quantized(x, unit, found, (max(x.numel(), 1) * self.format.hi) ** -0.5)

    @property
    def spec(self) -> str:
        return f"{super().spec}+learned"


def _inside(x: Tensor, codes: Codes, unit: Tensor, margin: float = 0.5) -> Tensor:
    return (x >= (codes.format.lo - margin) * unit) & (x <= (codes.format.hi + margin) * unit)


def _quantized(x: Tensor, unit: Tensor, codes: Codes, share: float, margin: float = 0.5) -> Tensor:
    plain, step = x.detach(), unit.detach()
    ste_mask, inside = _inside(plain, codes, step), _inside(plain, codes, step, margin)
    value: Tensor = _Learned.apply(x, unit, codes.dequantize(), codes.values, ste_mask, inside, share)  # type: ignore[no-untyped-call]
    return value


class _Learned(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        unit: Tensor,
        quantized: Tensor,
        values: Tensor,
        ste_mask: Tensor,
        inside: Tensor,
        share: float,
    ) -> Tensor:
        ctx.save_for_backward(x, unit, values, ste_mask, inside)
        ctx.share = share
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None, None]:
        x, unit, values, ste_mask, inside = ctx.saved_tensors
        slope = torch.where(inside, values - x / unit, values)
        for_unit = (gradients[0] * slope * ctx.share).sum_to_size(unit.shape)
        return gradients[0] * ste_mask, for_unit, None, None, None, None, None

"""Quantizers for signals: a step chosen once from real signals, a fixed step, or a new one for each time step.

Rounding is half up, ``floor(x / D + 0.5)``, as in integer Programs. The gradient passes inside the range of the codes
and is stopped outside, where the signal is clipped.
"""

from typing import Self

import torch
from torch import Tensor

from fewbit.errors import QuantizationError
from fewbit.formats import FixedPoint, Format, PerTensor, PerToken
from fewbit.quant.base import Codes, Quantizer, check_finite, check_step, is_checked_later
from fewbit.quant.step_size import fit_step

SAMPLE = 20_000
"""Most numbers that a step is fitted to; of more, a fixed random sample of this size is used."""


LOOK = "look for NaN in the data, and in the layers before it"


class Activation(Quantizer):
    """One L2-optimal step for a whole signal, chosen by calibration.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import UInt
        >>> quantizer = Activation(UInt(2)).fit(tensor([0.0, 1.0, 2.0, 3.0]))
        >>> quantizer.codes(tensor([0.4, 1.6, 9.0])).values
        tensor([0., 2., 3.])
    """

    step: Tensor

    def __init__(self, format: Format) -> None:
        super().__init__()
        self.format = format
        self.per = PerTensor()
        self.register_buffer("step", torch.zeros(()))

    def fit(self, x: Tensor) -> Self:
        check_finite(x, "signal to calibrate with", LOOK)
        flat = x.detach().flatten()
        if len(flat) > SAMPLE:  # at random, because an even stride may sample a few features only
            generator = torch.Generator().manual_seed(0)
            flat = flat[torch.randint(len(flat), (SAMPLE,), generator=generator).to(flat.device)]
        thin = flat if len(flat) else torch.zeros(1)
        step = fit_step(thin.view(1, -1), self.format)[0].to(x.dtype)
        self.step = check_step(step, "signal to calibrate with")
        return self

    def saturate(self, limit: float) -> None:
        """Let the range end at `limit`, if it is wider: what reads the signal does not change beyond."""
        self.step = self.step.clamp(max=limit / self.format.hi)

    @property
    def scale(self) -> Tensor:
        """The step in use."""
        return self.step

    def at(self, format: Format) -> "Activation":
        """A quantizer with the same range and other codes."""
        other = Activation(format)
        other.step = self.scale * (self.format.hi / format.hi)
        return other

    def codes(self, x: Tensor) -> Codes:
        if not is_checked_later(self.step) and not self.step > 0:
            raise QuantizationError(f"{self.spec} quantizer of a signal is not calibrated; call calibrate first")
        check_finite(x, "signal to quantize", LOOK)
        step = self.scale
        values = (x / step).add_(0.5).floor_().clamp_(self.format.lo, self.format.hi)
        return Codes(values, step, self.format, self.per)

    def ste_mask(self, x: Tensor) -> Tensor | None:
        step = self.scale
        low, high = (self.format.lo - 0.5) * step, (self.format.hi + 0.5) * step
        return (x >= low) & (x <= high)


class Fixed(Activation):
    """Fixed point ``Qm.n``: the step is ``2**-n`` whatever the signal; nothing to calibrate.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import FixedPoint
        >>> Fixed(FixedPoint(1, 2))(tensor([0.3, 1.0, -5.0]))
        tensor([ 0.2500,  1.0000, -2.0000])
    """

    def __init__(self, format: FixedPoint) -> None:
        super().__init__(format)
        self.step = torch.tensor(2.0**-format.n)

    def fit(self, x: Tensor) -> Self:
        check_finite(x, "signal to calibrate with", LOOK)
        return self

    def saturate(self, limit: float) -> None:
        return

    def at(self, format: Format) -> Activation:
        raise QuantizationError(f"{self.spec} is fixed point; its range is part of its format")


class PerTokenActivation(Quantizer):
    """A step for each time step, from the largest number in it: ``D[t] = max |x[t]| / h`` (dynamic quantization).

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Int
        >>> PerTokenActivation(Int(8)).codes(tensor([[1.0, -0.5], [20.0, 10.0]])).values
        tensor([[127., -63.],
                [127.,  64.]])
    """

    def __init__(self, format: Format) -> None:
        super().__init__()
        self.format = format
        self.per = PerToken()

    def at(self, format: Format) -> "PerTokenActivation":
        """A quantizer with the same range and other codes."""
        return PerTokenActivation(format)

    def fit(self, x: Tensor) -> Self:
        check_finite(x, "signal to calibrate with", LOOK)
        return self

    def codes(self, x: Tensor) -> Codes:
        check_finite(x, "signal to quantize", LOOK)
        largest = x.abs().amax(-1, keepdim=True)
        step = largest / self.format.hi
        step = torch.where(step > 0, step, 1.0)  # 0 for zeros, and for what vanishes in half precision
        values = torch.floor(x / step + 0.5).clamp_(self.format.lo, self.format.hi)
        return Codes(values, step, self.format, self.per)

"""Ternary Weight Networks (TWN): a threshold decides the codes, and the mean of what exceeds it is the step.

For n weights that share a step:

    T = 0.7 sum |w| / n,   z = sign(w) [|w| > T],   D = mean of |w| where |w| > T

For the codes z no other step has a smaller squared error. 0.7 is a compromise between the thresholds of least error for
uniform (2/3) and for normal weights (about 0.77), so that no search is needed. Threshold and step belong to the weights
at every moment: they are computed anew after each update, and are not a state of their own.

Use it as a peer of `Uniform` with three levels, whose step is searched for and then stays, or where published networks
of this kind are repeated.

References:
    Li, Zhang, Liu 2016, "Ternary weight networks" (arXiv 1605.04711).
"""

from typing import Self

import torch
from torch import Tensor

from fewbit.formats import Granularity, Ternary
from fewbit.quant.uniform import Uniform

SHARE = 0.7
"""The threshold as a share of the mean size of weights."""


class TernaryThreshold(Uniform):
    """Three levels with a threshold of 0.7 times the mean size; spec ``ternary+twn``.

    Args:
        per: how many weights share a threshold and a step.

    Examples:
        >>> from torch import tensor
        >>> w = tensor([[-2.0, 0.7, 0.1, 4.0]])
        >>> quantizer = TernaryThreshold().fit(w)
        >>> round(quantizer.threshold.item(), 2), quantizer(w).tolist()
        (1.19, [[-3.0, 0.0, 0.0, 3.0]])
    """

    threshold: Tensor
    frozen: Tensor

    def __init__(self, per: Granularity | None = None) -> None:
        super().__init__(Ternary(), per)
        self.register_buffer("threshold", torch.zeros(0))
        self.register_buffer("frozen", torch.zeros((), dtype=torch.bool))

    def fit(self, x: Tensor) -> Self:
        super().fit(x)
        self.threshold, _ = self._estimate(x.detach())
        self.frozen.fill_(False)
        return self

    def freeze(self) -> None:
        self.frozen.fill_(True)

    def follow(self, x: Tensor, progress: float, epoch_ended: bool = False) -> None:
        threshold, step = self._estimate(x)
        # Reading `frozen` in Python after every update would wait for the GPU.
        self.threshold = torch.where(self.frozen, self.threshold, threshold)
        self.step = torch.where(self.frozen, self.step, step)

    @property
    def spec(self) -> str:
        return f"{super().spec}+twn"

    def _round(self, x: Tensor, unit: Tensor) -> Tensor:
        return torch.sign(x) * (x.abs() > self._unit(x, self.threshold))

    def _scales(self, x: Tensor) -> Tensor:
        return self._estimate(x)[1]

    def _estimate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Thresholds and steps for `x`; the zeros that fill up a last group are not counted."""
        sizes = self._rows(x.abs()).double()
        count = self._rows(torch.ones_like(x)).double().sum(1)
        # Rounded before it is used, so that every number of a step, and thereby the step, is above its threshold.
        threshold = (SHARE * sizes.sum(1) / count).to(x.dtype)
        large = sizes > threshold[:, None]
        kept = large.sum(1)
        step = torch.where(kept > 0, (sizes * large).sum(1) / kept.clamp_min(1), 1.0).to(x.dtype)
        return self._shaped(threshold, x), self._shaped(step, x)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        saved = state_dict.get(f"{prefix}threshold")
        if saved is not None:  # its shape depends on the weight, as that of the step
            self.threshold = torch.empty_like(saved, device=self.threshold.device, dtype=self.threshold.dtype)
        super()._load_from_state_dict(state_dict, prefix, *rest)

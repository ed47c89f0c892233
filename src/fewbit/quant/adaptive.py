"""A step that follows the weights while they are retrained, and is then frozen.

The step is fitted to the float weights; retraining moves them, and the step is no longer the best one. In the first
part of training it is therefore re-estimated from the float masters after every epoch, by the same L2 criterion:

    D <- sum(w z) / sum(z**2),   z = clamp(round(w / D), -h, h)

Each estimate stays within 20 % of the step before. Then the step is frozen, because the network needs the rest of
training to settle on a fixed grid; `fewbit.train.fit` measures batch statistics anew there. After every update the
masters, but for those of recurrent networks, are clipped to ``(h + 1/2) D``: beyond that they do not change a code, but
delay its next change and widen D.

References:
    Shin, Boo, Sung 2017, "Fixed-point optimization of deep neural networks with adaptive step size retraining"
    (arXiv 1702.08171).
"""

from typing import Self

import torch
from torch import Tensor, nn

from fewbit.errors import QuantizationError
from fewbit.formats import Binary, Format, Granularity
from fewbit.quant.step_size import refine_step
from fewbit.quant.uniform import Uniform

FROZEN = 2**62
"""The number of estimates of a step that gets no further one."""
ROUNDING = 1e-9
"""Of progress, which is a quotient of whole numbers."""


class AdaptiveUniform(Uniform):
    """Signed integer weights whose steps are re-estimated during training; spec ``ternary+adaptive``.

    Args:
        format, per: as in `Uniform`.
        until: progress of training from which the steps are frozen. They stay frozen in every later training.
        estimates: ``None`` for one at the end of each epoch, or their number, evenly spread over progress, for a
            training of one or two long epochs.
        clip: whether masters are clipped; ``None``: where no layer of the network is recurrent. In a network of LSTMs
            the clip together with the estimates costs accuracy (study 04).

    Examples:
        >>> import torch
        >>> from fewbit.formats import Ternary
        >>> quantizer = AdaptiveUniform(Ternary(), until=0.5).fit(torch.randn(8, 4))
        >>> quantizer.spec
        'ternary+adaptive'
    """

    estimated: Tensor

    def __init__(
        self,
        format: Format | None = None,
        per: Granularity | None = None,
        until: float = 0.5,
        estimates: int | None = None,
        clip: bool | None = None,
    ) -> None:
        super().__init__(format, per)
        if isinstance(self.format, Binary):
            raise QuantizationError("a binary step is the mean of |w|; write 'binary', without +adaptive")
        if not 0 <= until <= 1 or (estimates is not None and estimates < 0):
            raise QuantizationError(f"AdaptiveUniform: until={until}, estimates={estimates}; wanted 0..1 and 0 or more")
        self.until, self.estimates, self.clip = until, estimates, clip
        self._asked, self._over = 0, False  # reading `estimated` after every update would wait for the GPU
        self.register_buffer("estimated", torch.zeros((), dtype=torch.int64))

    def attached_to(self, network: nn.Module) -> None:
        if self.clip is None:
            self.clip = not any(_is_recurrent(module) for module in network.modules())

    def fit(self, x: Tensor) -> Self:
        self.estimated.zero_()
        self._asked, self._over = 0, False
        return super().fit(x)

    def freeze(self) -> None:
        self.estimated.fill_(FROZEN)

    def follow(self, x: Tensor, progress: float, epoch_ended: bool = False) -> Tensor | None:
        if self._is_due(progress, epoch_ended):
            known = int(self.estimated)
            count = min(known + 1, FROZEN) if self.estimates is None else self._asked
            if count > known:
                flat = refine_step(self._rows(x), self.step.reshape(-1), self.format)
                self.step = flat.view_as(self.step)
                self.estimated.fill_(count)
        if progress >= self.until - ROUNDING and not self._over:
            self._over = True
            self.freeze()
        return (self.format.hi + 0.5) * self._unit(x, self.step) if self.clip is not False else None

    def _is_due(self, progress: float, epoch_ended: bool) -> bool:
        if self.estimates is None:
            return epoch_ended and progress <= self.until + ROUNDING
        before = self._asked
        self._asked = int(self.estimates * min(1.0, progress / self.until)) if self.until else 0
        return self._asked != before

    @property
    def spec(self) -> str:
        return f"{super().spec}+adaptive"


def _is_recurrent(module: nn.Module) -> bool:
    return getattr(module, "recurrent", False) or isinstance(module, nn.RNNBase)

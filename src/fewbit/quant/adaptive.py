"""A step that follows the weights while they are retrained, and is then frozen.

The step is fitted to the float weights; retraining moves them, and the step is no longer the best one. In the first
part of training it is therefore re-estimated from the float masters a few times, by the same L2 criterion:

    D <- sum(w z) / sum(z**2),   z = clamp(round(w / D), -h, h)

Then it is frozen, because the network needs the rest of training to settle on a fixed grid. After every update the
masters are clipped to ``(h + 1/2) D``: beyond that they do not change a code, but delay its next change and widen D.

References:
    Shin, Boo, Sung 2017, "Fixed-point optimization of deep neural networks with adaptive step size retraining"
    (arXiv 1702.08171).
"""

from typing import Self

import torch
from torch import Tensor

from fewbit.errors import QuantizationError
from fewbit.formats import Binary, Format, Granularity
from fewbit.quant.step_size import refine_step
from fewbit.quant.uniform import Uniform


class AdaptiveUniform(Uniform):
    """Signed integer weights whose steps are re-estimated during training; spec ``ternary+adaptive``.

    Args:
        format, per: as in `Uniform`.
        until: progress of training from which the steps are frozen. They stay frozen in every later training.
        estimates: number of estimates, evenly spread over progress, so that short and long trainings are treated alike.
        clip: whether masters are clipped.

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
        estimates: int = 20,
        clip: bool = True,
    ) -> None:
        super().__init__(format, per)
        if isinstance(self.format, Binary):
            raise QuantizationError("a binary step is the mean of |w|; write 'binary', without +adaptive")
        if not 0 <= until <= 1 or estimates < 0:
            raise QuantizationError(f"AdaptiveUniform: until={until}, estimates={estimates}; wanted 0..1 and 0 or more")
        self.until, self.estimates, self.clip = until, estimates, clip
        self._asked = 0  # reading `estimated` after every update would wait for the GPU
        self.register_buffer("estimated", torch.zeros((), dtype=torch.int64))

    def fit(self, x: Tensor) -> Self:
        self.estimated.zero_()
        self._asked = 0
        return super().fit(x)

    def freeze(self) -> None:
        self.estimated.fill_(self.estimates)

    def follow(self, x: Tensor, progress: float) -> Tensor | None:
        due = int(self.estimates * min(1.0, progress / self.until)) if self.until else 0
        if due != self._asked:
            self._asked = due
            if due > int(self.estimated):
                flat = refine_step(self._rows(x), self.step.reshape(-1), self.format)
                self.step = flat.view_as(self.step)
                self.estimated.fill_(due)
        return (self.format.hi + 0.5) * self._unit(x, self.step) if self.clip else None

    @property
    def spec(self) -> str:
        return f"{super().spec}+adaptive"

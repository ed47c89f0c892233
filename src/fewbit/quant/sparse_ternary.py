"""Sparse ternary weights: in each group of n inputs of an output at most k weights are not zero.

For the weights w of a group, with one step D for the tensor or for each row:

    kept  = the k largest |w|, of equal ones the first
    z     = sign(w) where w is kept and |w| > D / 2, else 0

D has the least squared error ``sum (w - D z)**2`` of all steps. The weights that are kept do not depend on D, so with
their sizes in falling order and S_j the sum of the first j of them, the best D is S_j / j for the j of the largest
S_j**2 / j. The gradient reaches all weights, so a position can come back. In the exact form all k weights are kept and
none is zero.

Groups are those of the packed columns. Of a convolution ``(out, in, taps...)`` these are the inputs of one tap, then
those of the next; where the inputs of a tap are not whole groups, a group goes on at the next tap, and the last group
of an output may be short.

Rows of different spread suffer from one step for all. With `norm` each row is divided by its root mean square before
the step is fitted, and the step of a row is that times D.

Use it where weights have to take 1 bit or less, and every group the same space.

References:
    Boo, Sung 2017, "Structured sparse ternary weight coding of deep neural networks for efficient hardware
    implementations" (arXiv 1707.03684).
"""

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from fewbit.errors import QuantizationError
from fewbit.formats import Granularity, PerGroup, PerRow, SparseTernary
from fewbit.quant.uniform import Uniform


class SparseTernaryUniform(Uniform):
    """Three levels with at most k non-zeros in a group; specs ``sparse8,2``, ``sparse8,2:row``, ``sparse8,2+norm``.

    Args:
        format: size of a group and its non-zeros.
        per: how many weights share a step: all, or those of a row.
        norm: rows share one step relative to their root mean squares; `per` is then left out.

    Raises:
        QuantizationError: `per` is a group, or comes with `norm`.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import SparseTernary
        >>> w = tensor([[-2.0, 0.1, 1.5, 2.0, 0.3, 0.1, 0.2, 0.0]])
        >>> SparseTernaryUniform(SparseTernary(4, 2)).fit(w)(w)
        tensor([[-2.,  0.,  0.,  2.,  0.,  0.,  0.,  0.]])
    """

    format: SparseTernary
    frozen: Tensor

    def __init__(self, format: SparseTernary, per: Granularity | None = None, norm: bool = False) -> None:
        if isinstance(per, PerGroup) or (norm and per is not None):
            raise QuantizationError(
                f"{format} has steps per tensor or row, or with norm one for each row, not {per}; leave out the size"
            )
        super().__init__(format, PerRow() if norm else per)
        self.norm = norm
        self.register_buffer("frozen", torch.zeros((), dtype=torch.bool))

    def fit(self, x: Tensor) -> Self:
        super().fit(x)
        self.frozen.fill_(False)
        return self

    def freeze(self) -> None:
        self.frozen.fill_(True)

    def follow(self, x: Tensor, progress: float, epoch_ended: bool = False) -> None:
        """Fits the step anew after every epoch but the last, whose weights were measured with the step as it is."""
        if epoch_ended and progress < 1:
            # Reading `frozen` in Python would wait for the GPU.
            self.step = torch.where(self.frozen, self.step, self._scales(x).to(x.dtype))

    @property
    def spec(self) -> str:
        return f"{self.format}+norm" if self.norm else super().spec

    def _round(self, x: Tensor, unit: Tensor) -> Tensor:
        kept = self._kept(x)
        if self.format.exact:
            return torch.where(x < 0, -1.0, 1.0).to(x.dtype) * kept
        return torch.sign(x) * (kept & (x.abs() > unit / 2))

    def _kept(self, x: Tensor) -> Tensor:
        """Whether a weight is among the k largest of its group."""
        packed = x.movedim(1, -1) if x.dim() > 2 else x
        rows = packed.reshape(len(x), -1)
        n, k = self.format.n, self.format.k
        if self.format.exact and rows.shape[1] % n:
            raise QuantizationError(
                f"{self.format} needs whole groups of {n} inputs, not rows of {rows.shape[1]}; keep this layer, or use "
                f"sparse{n},{k}"
            )
        # What fills up the last group is smaller than any weight.
        sizes = functional.pad(rows.abs(), (0, -rows.shape[1] % n), value=-1.0).view(len(rows), -1, n)
        order = sizes.argsort(dim=-1, descending=True, stable=True)
        kept = torch.zeros_like(sizes, dtype=torch.bool).scatter_(-1, order[..., :k], True)
        kept = kept.view(len(rows), -1)[:, : rows.shape[1]].reshape(packed.shape)
        return kept.movedim(-1, 1) if x.dim() > 2 else kept

    def _scales(self, x: Tensor) -> Tensor:
        wide = x.double()
        kept = wide.abs() * self._kept(x)
        if not self.norm:
            return self._shaped(self._best(self._rows(kept)), x)
        spread = wide.flatten(1).square().mean(1).sqrt()
        spread = torch.where(spread > 0, spread, 1.0)
        relative = kept.flatten(1) / spread[:, None]
        return self._shaped(spread * self._best(relative.reshape(1, -1)), x)

    def _best(self, kept: Tensor) -> Tensor:
        """Steps of least error for the sizes of kept weights ``(steps, n)``; 1 where all are zero."""
        if self.format.exact:
            sums = kept.sum(1) * self.format.n / (self.format.k * kept.shape[1])
        else:
            falling = kept.sort(dim=1, descending=True).values.cumsum(1)
            means = falling / torch.arange(1, kept.shape[1] + 1, dtype=kept.dtype, device=kept.device)
            sums = means.gather(1, (falling * means).argmax(1, keepdim=True)).squeeze(1)
        # Codes of the exact form are never zero, so that rows of zeros take the smallest step that there is.
        nothing = torch.finfo(torch.float32).tiny if self.format.exact else 1.0
        return torch.where(sums > 0, sums, nothing)

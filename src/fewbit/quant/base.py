"""The contract of every quantizer: a tensor goes to a tensor on a grid.

A new quantizer implements `fit` and `codes`; everything else follows. `forward` returns *exactly* ``code * scale`` and
lets the gradient through unchanged (straight-through, Hinton 2012; Bengio et al. 2013).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from fewbit.errors import QuantizationError
from fewbit.formats import Format, Granularity, PerGroup, PerRow, PerTensor, PerToken


@dataclass(frozen=True)
class Codes:
    """Integers and what they mean: ``x = values * scale``.

    values: integer-valued float tensor of the shape of the quantized tensor. scale: ``()`` per tensor, ``(rows, 1,
    ...)`` per row, ``(..., 1)`` per token, ``(rows, groups)`` per group.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Ternary
        >>> Codes(tensor([[1.0, 0.0, -1.0]]), tensor(0.5), Ternary(), PerTensor()).dequantize()
        tensor([[ 0.5000,  0.0000, -0.5000]])
    """

    values: Tensor
    scale: Tensor
    format: Format
    per: Granularity

    def dequantize(self) -> Tensor:
        """The real numbers that the codes stand for."""
        if not isinstance(self.per, PerGroup):
            return self.values * self.scale
        rows = self.values.flatten(1)
        wide = self.scale.repeat_interleave(self.per.size, dim=1)[:, : rows.shape[1]]
        return (rows * wide).view_as(self.values)


class Quantizer(nn.Module, ABC):
    """Tensor to tensor on a grid; `format` says which codes there are, `per` how many scales.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Int
        >>> class Rounded(Quantizer):
        ...     format, per = Int(8), PerTensor()
        ...     def fit(self, x):
        ...         return self
        ...     def codes(self, x):
        ...         return Codes(x.round().clamp(-127, 127), tensor(1.0), self.format, self.per)
        >>> Rounded()(tensor([0.2, 1.7, 500.0]))
        tensor([  0.,   2., 127.])
    """

    format: Format
    per: Granularity
    until: float = 0.0
    """Progress of training at which `follow` stops to move the scale; batch statistics are then measured anew."""

    @abstractmethod
    def fit(self, x: Tensor) -> Self:
        """Choose the scale for tensors like `x`; raises `QuantizationError` if `x` is not finite."""

    @abstractmethod
    def codes(self, x: Tensor) -> Codes:
        """The integers for `x`; raises `QuantizationError` if `x` is not finite or no scale was chosen."""

    def attached_to(self, network: nn.Module) -> None:
        """Called by `attach` with the network whose weight this quantizes, before `fit`. The default does nothing."""
        return

    def follow(self, x: Tensor, progress: float, epoch_ended: bool = False) -> Tensor | None:
        """Called by `fewbit.train.fit` after every update, with the float weights `x` and `progress`, 0..1.

        `epoch_ended` tells that the update was the last one of an epoch.

        May move the scale. Returns the largest size that weights keep (a tensor that broadcasts to them), or
        ``None`` for no limit. The default does nothing.
        """
        return None

    def freeze(self) -> None:
        """Keep the scale fixed from now on; `fit` unfreezes it."""
        return

    def ste_mask(self, x: Tensor) -> Tensor | None:
        """Where the gradient passes, as booleans; ``None`` means it passes everywhere."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        plain = x.detach()
        return straight_through(x, self.codes(plain).dequantize(), self.ste_mask(plain))

    @property
    def spec(self) -> str:
        """The spec string that makes a quantizer like this one, for example ``int4/128``."""
        suffix = {PerTensor: "", PerRow: ":row", PerToken: ":token"}
        if isinstance(self.per, PerGroup):
            return f"{self.format}/{self.per.size}"
        return f"{self.format}{suffix[type(self.per)]}"

    def extra_repr(self) -> str:
        return self.spec


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantized: Tensor, ste_mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(ste_mask)
        return quantized

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (ste_mask,) = ctx.saved_tensors
        return gradients[0] if ste_mask is None else gradients[0] * ste_mask, None, None


def straight_through(x: Tensor, quantized: Tensor, ste_mask: Tensor | None = None) -> Tensor:
    """Return exactly `quantized`; the gradient is that of the identity on `x`, times `ste_mask`.

    Examples:
        >>> from torch import tensor
        >>> x = tensor([0.3, 5.0], requires_grad=True)
        >>> y = straight_through(x, tensor([0.0, 1.0]), ste_mask=tensor([True, False]))
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [1.0, 0.0])
    """
    return cast(Tensor, _StraightThrough.apply(x, quantized, ste_mask))  # type: ignore[no-untyped-call]


_later = ContextVar("checked later", default=False)


@contextmanager
def checked_later() -> Iterator[None]:
    """Inside the block, numbers on a GPU are not checked: each check would wait for the GPU.

    For callers that check the result themselves, as `fewbit.train.fit` does after every epoch.
    """
    token = _later.set(True)
    try:
        yield
    finally:
        _later.reset(token)


def is_checked_later(x: Tensor) -> bool:
    """Whether checks of `x` are deferred."""
    return x.is_cuda and _later.get()


def check_finite(x: Tensor, where: str, advice: str = "train or load the network anew") -> None:
    """Raise `QuantizationError` if `x` holds NaN or infinity.

    Examples:
        >>> from torch import tensor
        >>> check_finite(tensor([1.0, float("nan")]), "weight")
        Traceback (most recent call last):
            ...
        fewbit.errors.QuantizationError: weight: 1 of 2 numbers are NaN or infinite; train or load the network anew
    """
    if is_checked_later(x):
        return
    # The sum is one pass without a copy; it may overflow where all is well, and then each number is checked.
    if not torch.isfinite(x.sum()) and not torch.isfinite(x).all():
        count = int((~torch.isfinite(x)).sum())
        raise QuantizationError(f"{where}: {count} of {x.numel()} numbers are NaN or infinite; {advice}")


def check_step(step: Tensor, where: str) -> Tensor:
    """Return `step`; raise `QuantizationError` if it is 0, as that of tiny numbers may be in half precision."""
    if not (step > 0).all():
        raise QuantizationError(
            f"{where}: its numbers are so small that their step is 0 in {str(step.dtype).removeprefix('torch.')}; "
            "scale them up, or use float32"
        )
    return step

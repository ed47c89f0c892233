"""The gradient of a recurrent matrix in one matrix product for all frames of a chunk.

Autograd would add up one outer product a frame, reading and writing the whole gradient each time. Instead the loop
multiplies with a matrix that asks for no gradient, and the sums that it adds to carry the matrix along:

    sums'        = sums, and knows of W                    all frames, before the loop
    sums'[t] + W h[t-d]                                    in the loop; W is a constant there
    d sums' / d sums = 1,   dW = sum over t of d sums'[t] outer h[t-d]

The errors of all frames come back as one tensor, so the last line is one product. Everything else in the loop stays
plain autograd: any activation, any quantizer, and products whose gradients are products, never quotients.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Carried(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sums: Tensor, weight: Tensor, multiplied: list[Tensor]) -> Tensor:
        ctx.multiplied = multiplied
        return sums.view_as(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, Tensor, None]:
        errors = error.flatten(0, 1)
        return error, errors.t() @ torch.cat(ctx.multiplied).to(errors.dtype), None


def carry_weight(sums: Tensor, weight: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Let `sums` bring the gradient of `weight` home.

    Args:
        sums: (frames, batch, rows of `weight`), to each frame of which ``weight @ input`` will be added.
        weight: (rows, columns); the loop multiplies with ``weight.detach()``.

    Returns:
        The same sums, and a list into which the loop puts the inputs ``(batch, columns)``, frame by frame, detached:
        what autograd knows of them would hold itself alive in a circle.
    """
    multiplied: list[Tensor] = []
    carried: Tensor = _Carried.apply(sums, weight, multiplied)  # type: ignore[no-untyped-call]
    return carried, multiplied

"""The recurrences of SRU and QRNN in plain torch, which every faster form must equal.

`tap` is called on each new cell: the `fewbit.nn.Signal` at which quantizers are hooked.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Tap = Callable[[Tensor], Tensor]


def no_tap(cell: Tensor) -> Tensor:
    """A signal without a quantizer."""
    return cell


def sru(gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor, tap: Tap = no_tap) -> tuple[Tensor, Tensor]:
    """``c[t] = f * c[t-1] + (1 - f) * z``, ``y[t] = r * tanh(c[t]) + (1 - r) * skip[t]``; y and the last cell.

    Args:
        gates: (batch, time, 3 or 4 blocks of channels): z, f and r before the sigmoid and, where `skip` is ``None``,
            skip.
        bias: (2 * channels,), of f and r.
        skip: (batch, time, channels).
        start: (batch, channels), the cell before.
    """
    z, forget, reset, *projection = torch.split(gates, start.shape[-1], -1)
    forget_bias, reset_bias = torch.split(bias, start.shape[-1])
    forget, reset = torch.sigmoid(forget + forget_bias), torch.sigmoid(reset + reset_bias)
    past = projection[0] if skip is None else skip
    cells, last = mixed(z, forget, start, tap)
    return torch.lerp(past, torch.tanh(cells), reset), last


def qrnn(gates: Tensor, start: Tensor, tap: Tap = no_tap) -> tuple[Tensor, Tensor]:
    """``c[t] = f * c[t-1] + (1 - f) * z``, ``y[t] = o * c[t]``; y and the last cell.

    Args:
        gates: (batch, time, 3 * channels), before tanh, sigmoid, sigmoid: z, f, o.
        start: (batch, channels), the cell before.
    """
    z, forget, output = torch.split(gates, start.shape[-1], -1)
    cells, last = mixed(torch.tanh(z), torch.sigmoid(forget), start, tap)
    return torch.sigmoid(output) * cells, last


def mixed(fresh: Tensor, forget: Tensor, cell: Tensor, tap: Tap) -> tuple[Tensor, Tensor]:
    """All cells ``(batch, time, channels)`` of ``c = forget * c + (1 - forget) * fresh``, and the last."""
    cells = []
    for z, f in zip(fresh.unbind(1), forget.unbind(1), strict=True):
        cell = tap(torch.lerp(z, cell, f))
        cells.append(cell)
    return torch.stack(cells, 1) if cells else fresh, cell

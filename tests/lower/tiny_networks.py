"""Networks so small that a fault cannot hide behind a tolerance, and the comparison of their Programs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import Phase
from torch import Tensor, nn

import fewbit as fb
from fewbit.program import Program

CLOSE = 2e-4
"""Of the largest result: what 16 bits of a signal leave."""
NO_SHRINKING = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
"""Each example is traced and packed, which takes too long for many."""


class By(nn.Module):
    """A network that is a function of its parts and its input."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def frames(length: int = 12, width: int = 6) -> Tensor:
    return torch.randn(4, length, width)


def channels(length: int = 12, width: int = 6) -> Tensor:
    return torch.randn(4, width, length)


def quantized(model: nn.Module, x: Tensor, weights: Any = "int8", activations: Any = "int8") -> nn.Module:
    return fb.compress(model, fb.Quantize(weights, activations, calibration=[x])).eval()


def check(model: nn.Module, x: Tensor, weights: Any = "int8", close: float = CLOSE, **more: Any) -> Program:
    """The Program gives what the fake-quantized network gives, number for number."""
    fake = quantized(model, x, weights)
    program = fb.pack(fake, example=[x], **more)
    with torch.no_grad():
        wanted = fake(x).double().numpy()
    got = np.stack([program(row.numpy()) for row in x])
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= close * np.abs(wanted).max()
    return program

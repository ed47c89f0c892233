"""How far a fake-quantized network moves by itself when its signals move as little as rounding to 16 bits moves them.

Signals of 8 bits are steps: what lies near the end of a step falls to the next one for any change, however small. Each
such flip moves later signals, which flip in turn. Only the very same order of sums gives the very same codes, so this
is the floor below which the distance of a Program says nothing about its integers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.quant import Activation

BITS = 16


@contextmanager
def noise(model: nn.Module, seed: int = 0) -> Iterator[None]:
    """Inside, what every quantizer of signals reads is off by up to half a step of 16 bits over its range."""
    generator = torch.Generator().manual_seed(seed)

    def moved(quantizer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        assert isinstance(quantizer, Activation)
        x: Tensor = inputs[0]
        levels = quantizer.format.hi - quantizer.format.lo + 1
        step = quantizer.scale * levels / 2**BITS
        return (x + step * (torch.rand(x.shape, generator=generator) - 0.5), *inputs[1:])

    quantizers = [module for module in model.modules() if isinstance(module, Activation)]
    handles = [quantizer.register_forward_pre_hook(moved) for quantizer in quantizers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

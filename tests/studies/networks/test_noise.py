"""Noise of 16 bits at the quantizers of signals."""

import torch
from torch import nn

from fewbit.passes import Quantize, compress
from studies.networks.noise import noise


def quantized():
    torch.manual_seed(0)
    batches = [(torch.randn(4, 5),) for _ in range(5)]
    return compress(nn.Linear(5, 3), Quantize("int8", "int8", calibration=batches)).eval()


def test_few_codes_flip_and_none_by_more_than_a_step():
    model, x = quantized(), torch.randn(4000, 5)
    (quantizer,) = [module for name, module in model.named_modules() if name.endswith("input_quantizer")]
    seen = []
    handle = quantizer.register_forward_hook(lambda _, __, y: seen.append(y / quantizer.scale))
    model(x)
    with noise(model):
        model(x)
    model(x)
    handle.remove()
    moved = (seen[0] - seen[1]).abs().round()
    assert 0 < float((moved > 0).float().mean()) < 0.01
    assert float(moved.max()) == 1
    assert torch.equal(seen[0], seen[2])

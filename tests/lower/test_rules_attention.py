"""Rules of attention, on tiny networks."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError
from tests.lower.tiny_networks import By, check, frames, quantized


def attention(mask: Tensor | None, causal: bool) -> nn.Module:
    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        seen = None if mask is None else mask[: x.shape[1], : x.shape[1]]
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=causal)
        return y.transpose(1, 2).flatten(2)

    return By(forward, qkv=nn.Linear(8, 24))


def band(window: int) -> Tensor:
    lower = torch.ones(40, 40, dtype=torch.bool).tril()
    return lower & ~lower.tril(-window)


def test_a_band_of_attention_is_a_window_and_so_is_a_context():
    torch.manual_seed(0)
    x = frames(12, 8)
    banded, causal = attention(band(5), False), attention(None, True)
    causal.load_state_dict(banded.state_dict())
    program = check(banded, x, close=2e-3)
    same = fb.pack(quantized(causal, x), example=[x], context=5)
    assert [op.window for op in program.ops if op.kind == "attend"] == [
        op.window for op in same.ops if op.kind == "attend"
    ]
    y = torch.randn(1, 30, 8)
    with torch.no_grad():
        wanted = quantized(banded, x)(y)[0].numpy()
    for each in (program, same):
        assert np.abs(each(y[0].numpy()) - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_attention_with_masks_of_zeros_and_minus_infinity():
    mask = torch.zeros(40, 40).masked_fill(~band(40), -math.inf)
    check(attention(mask, False), frames(12, 8), close=2e-3)
    check(attention(None, True), frames(12, 8), close=2e-3)
    check(attention(None, False), frames(12, 8), close=2e-3)
    check(attention(band(3), False), frames(12, 8), close=2e-3, time=None)
    with pytest.raises(LoweringError, match="a bias is added to attention scores"):
        check(attention(-0.5 * torch.arange(40.0).expand(40, 40), False), frames(12, 8))

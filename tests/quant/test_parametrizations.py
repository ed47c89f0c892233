"""Parametrizations of a copy are its own."""

from copy import deepcopy

import torch
from torch import nn

import fewbit as fb


def test_taking_quantizers_off_a_copy_leaves_the_original_alone():
    layer, x = fb.attach(nn.Linear(4, 2), weights="int4"), torch.randn(3, 4)
    before = layer(x)
    plain = fb.detach(deepcopy(layer))
    assert torch.equal(layer(x), before)
    assert not torch.equal(plain(x), before)
    assert fb.detach(layer).weight.equal(plain.weight)

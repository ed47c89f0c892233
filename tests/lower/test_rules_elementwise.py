"""Rules of sums, products, clamps and batch norms, on tiny networks."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lower.tiny_networks import By, channels, check, frames


def signed_norm(kind: Any, width: int) -> nn.Module:
    """A batch norm half of whose gains are negative, one of them 0."""
    norm = kind(width)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-2, 2, width) * (torch.arange(width) != 1))
        norm.bias.copy_(torch.randn(width))
        norm.running_mean.copy_(torch.randn(width))
        norm.running_var.copy_(torch.rand(width) + 0.1)
    return norm


@pytest.mark.parametrize("weights", ["int8", "ternary", "int4:row"])
@pytest.mark.parametrize("relu", [False, True])
def test_batch_norm_with_negative_gains_is_folded(weights, relu):
    norm = signed_norm(nn.BatchNorm1d, 6)
    model = nn.Sequential(nn.Conv1d(6, 6, 3), norm, nn.ReLU() if relu else nn.Identity())
    program = check(model, channels(), weights)
    assert [op.kind for op in program.ops] == ["quantize", "conv"]


def test_batch_norm_after_a_clamp_is_an_op_of_its_own():
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU6(), signed_norm(nn.BatchNorm2d, 6))
    check(model, torch.randn(4, 2, 7, 7))


def test_batch_norm_before_the_first_layer_is_folded_into_its_input():
    check(nn.Sequential(signed_norm(nn.BatchNorm1d, 6), nn.Conv1d(6, 3, 1)), channels(), close=5e-3)


CLAMPS: list[Callable[[Tensor], Tensor]] = [
    functional.relu,
    functional.relu6,
    functional.hardtanh,
    partial(functional.hardtanh, min_val=-0.3, max_val=2.0),
    partial(torch.clamp, min=-0.25, max=0.7),
    partial(torch.clamp, min=0.5),
    partial(torch.clamp, max=-0.5),
    partial(torch.clamp, min=-3.0, max=-1.0),
    lambda x: torch.clamp_min(x, -0.1),
    lambda x: torch.clamp_max(x, 0.1),
    lambda x: functional.relu(-x),
    lambda x: -functional.relu(x),
    lambda x: functional.relu(functional.relu6(x) - 1.0),
    lambda x: 2.0 * torch.clamp(0.5 * x, -0.2, 0.4) + 1.0,
    lambda x: -2.0 * torch.clamp(x, -1.0, 0.5),
]


@pytest.mark.parametrize("clamp", CLAMPS)
def test_clamps_end_where_they_should(clamp):
    model = By(lambda self, x: clamp(4.0 * self.linear(x)), linear=nn.Linear(6, 8))
    check(model, frames())
    # Seen through another layer, whose quantizer decides about the codes.
    model = By(lambda self, x: self.head(clamp(4.0 * self.linear(x))), linear=nn.Linear(6, 8), head=nn.Linear(8, 3))
    check(model, frames(), close=0.03)


SUMS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: torch.add(a, b, alpha=-0.3),
    lambda a, b: torch.sub(a, b, alpha=2.5),
    lambda a, b: 1.0 - a,
    lambda a, b: torch.rsub(a, 0.5, alpha=3),
    lambda a, b: a - 2.0,
    lambda a, b: 2.0 + a + b,
    lambda a, b: torch.add(a, 0.5, alpha=2),
    lambda a, b: a + a,
    lambda a, b: a - 0.5 * a,
    lambda a, b: -a + b,
    lambda a, b: a + 0.01 * b,
    lambda a, b: a * b,
    lambda a, b: a * a - b,
    lambda a, b: -a * b,
    lambda a, b: a / 4.0 + b * 3.0,
    lambda a, b: a + b[..., :1],
    lambda a, b: a[..., :1] * b,
    lambda a, b: b.mean(-1, keepdim=True) + a,
]


@pytest.mark.parametrize("sum_of", SUMS)
def test_sums_and_products_of_two_signals(sum_of):
    model = By(lambda self, x: sum_of(self.a(x), self.b(x)), a=nn.Linear(6, 8), b=nn.Linear(6, 8))
    check(model, frames())


def test_in_place_sums_leave_what_others_read():
    def forward(self, x):
        y = self.a(x)
        z = self.b(x)
        y += z
        return torch.cat([y, z], -1)

    check(By(forward, a=nn.Linear(6, 4), b=nn.Linear(6, 4)), frames())


VECTORS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda y, v: y * v,
    lambda y, v: v * y + v,
    lambda y, v: y / (v.abs() + 0.5),
    lambda y, v: y - v,
    lambda y, v: v - y,
    lambda y, v: (y.transpose(1, 2) * v[:, None]).transpose(1, 2),
    lambda y, v: functional.relu(y) * v,
    lambda y, v: functional.relu(y) * v + v,
    lambda y, v: y.flip(-1) * v,
    lambda y, v: torch.cat([y, y], -1) * torch.cat([v, -v]),
    lambda y, v: (y.unflatten(-1, (2, 4)) * v[:4]).flatten(-2),
    lambda y, v: (y.unflatten(-1, (2, 4)) * v[:2, None]).flatten(-2),
]


@pytest.mark.parametrize("use", VECTORS)
def test_constants_for_each_channel(use):
    vector = torch.tensor([0.5, -2.0, 0.0, 1.0, 3.0, -0.1, 1.0, 0.25])
    check(By(lambda self, x: use(self.linear(x), vector), linear=nn.Linear(6, 8)), frames())


def test_signals_of_different_scales_are_joined():
    def forward(self, x):
        y = self.a(x)
        return torch.cat([100.0 * y, self.b(x), 0.01 * y, torch.zeros_like(y), torch.tanh(y)], -1)

    check(By(forward, a=nn.Linear(6, 4), b=nn.Linear(6, 5)), frames())


def test_constants_of_the_shape_of_a_signal_are_constants():
    def forward(self, x):
        y, _ = self.rnn(x, x.new_zeros(1, len(x), 4))
        return y + torch.ones_like(y)

    check(By(forward, rnn=nn.GRU(6, 4, batch_first=True)), frames(), close=2e-3)


def test_joined_signals_are_read_by_one_quantizer():
    model = By(
        lambda self, x: self.head(torch.cat([self.a(x), 0.5 * self.b(x)], -1)),
        a=nn.Linear(6, 4), b=nn.Linear(6, 5), head=nn.Linear(9, 3),
    )  # fmt: skip
    check(model, frames(), close=0.02)

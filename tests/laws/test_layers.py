"""Laws of layers: streaming, causality, independence of the rows of a batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.testing import check_layer
from tests.laws.cases import FEATURES, LAYERS

CLOCKED = ("GraphRNN clocked", "GraphRNN hierarchical")
"""Layers whose last feature is a clock."""


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=15, deadline=None)
@given(frames=st.integers(2, 23), cuts=st.lists(st.integers(0, 23), max_size=6), seed=st.integers(0, 1000))
def test_laws(name, frames, cuts, seed):
    torch.manual_seed(seed)
    layer, x = LAYERS[name](), torch.randn(2, frames, FEATURES)
    if name in CLOCKED:  # a clock beyond 0 to 1 makes the state grow, and rounding with it
        x[..., -1] = x[..., -1].sigmoid()
    check_layer(layer, x, cuts)


@pytest.mark.parametrize("name", LAYERS)
def test_gradient_reaches_every_parameter(name):
    torch.manual_seed(0)
    layer = LAYERS[name]()
    y, _ = layer(torch.randn(2, 12, FEATURES))
    (y * torch.randn_like(y)).sum().backward()
    for parameter_name, parameter in layer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize(("name", "theirs"), [("LSTM", torch.nn.LSTM), ("GRU", torch.nn.GRU)])
def test_cells_equal_those_of_torch(name, theirs):
    torch.manual_seed(0)
    ours, reference = LAYERS[name](), theirs(FEATURES, 5, batch_first=True)
    with torch.no_grad():
        reference.weight_ih_l0.copy_(ours.weight)
        reference.weight_hh_l0.copy_(ours.weight_hidden)
        reference.bias_ih_l0.copy_(ours.bias)
        reference.bias_hh_l0.zero_()
        if name == "GRU":
            ours.bias_hidden.normal_()
            reference.bias_hh_l0[10:] = ours.bias_hidden
        x = torch.randn(2, 9, FEATURES)
        assert torch.allclose(ours(x)[0], reference(x)[0], atol=1e-6)


def test_sru_and_qrnn_equal_their_equations_step_by_step():
    torch.manual_seed(0)
    x = torch.randn(1, 8, FEATURES)
    sru, qrnn = LAYERS["SRU projected"](), LAYERS["QRNN"]()
    with torch.no_grad():
        n, c = 5, torch.zeros(5)
        for t, frame in enumerate(x[0]):
            u = sru.weight @ frame
            f, r = torch.sigmoid(u[n : 2 * n] + sru.bias[:n]), torch.sigmoid(u[2 * n : 3 * n] + sru.bias[n:])
            c = f * c + (1 - f) * u[:n]
            assert torch.allclose(sru(x)[0][0, t], r * torch.tanh(c) + (1 - r) * u[3 * n :], atol=1e-6)
        before, c = torch.zeros(FEATURES), torch.zeros(5)
        for t, frame in enumerate(x[0]):
            u = qrnn.gates.weight @ torch.cat([before, frame]) + qrnn.gates.bias
            z, f, o = torch.tanh(u[:n]), torch.sigmoid(u[n : 2 * n]), torch.sigmoid(u[2 * n :])
            c = f * c + (1 - f) * z
            assert torch.allclose(qrnn(x)[0][0, t], o * c, atol=1e-6)
            before = frame


def test_the_laws_catch_a_layer_that_looks_ahead():
    class Cheat(LAYERS["CausalConv1d"]().__class__):
        def forward(self, x, state=None):
            y, state = super().forward(x, state)
            return y + x.mean(), state

    with pytest.raises(AssertionError):
        check_layer(Cheat(FEATURES, 4, 3), torch.randn(2, 10, FEATURES), [4])

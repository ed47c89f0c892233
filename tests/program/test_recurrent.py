"""Recurrent layers against torch in float64, over sequences."""

import numpy as np
import pytest
import torch

from fewbit.program import ops
from fewbit.program.numerics import INT16, rescale_from
from tests.program.made_by_hand import matrix, rescale, run

HIDDEN, INPUTS, TIME, STEP = 5, 4, 40, 1 / 64
"""Weights and inputs are codes of STEP; a hidden code counts 1/32767."""


def parts(blocks, seed):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-60, 61, (blocks * HIDDEN, INPUTS))
    back = rng.integers(-60, 61, (blocks * HIDDEN, HIDDEN))
    bias = rng.integers(-2000, 2000, blocks * HIDDEN)
    return weight, back, bias, rng.integers(-100, 101, (TIME, INPUTS))


def gates(step):
    return rescale_from(4096 * step, *INT16)


TO_16_BITS = rescale(1, 0, -32767, 32767)


@pytest.mark.parametrize(("fine", "bound"), [(0, 0.02), (1, 0.001)])
@pytest.mark.parametrize("seed", range(3))
def test_an_lstm_is_that_of_torch(seed, fine, bound):
    weight, back, bias, x = parts(4, seed)
    op = ops.LSTM(
        "l", HIDDEN, matrix(weight), bias, gates(STEP**2), matrix(back), gates(STEP / 32768), TO_16_BITS, fine
    )
    layer = torch.nn.LSTM(INPUTS, HIDDEN).double()
    wanted = with_weights(layer, weight, back, bias, 4)(torch.from_numpy(x * STEP))[0].numpy()
    assert np.abs(run(op, x) / 32768 - wanted).max() < bound


@pytest.mark.parametrize(("fine", "bound"), [(0, 0.02), (1, 0.001)])
@pytest.mark.parametrize("seed", range(3))
def test_a_gru_is_that_of_torch(seed, fine, bound):
    weight, back, bias, x = parts(3, seed)
    inner = np.random.default_rng(seed).integers(-3000, 3000, HIDDEN)
    op = ops.GRU(
        "g", HIDDEN, matrix(weight), bias, gates(STEP**2), matrix(back), inner, gates(STEP / 32768), TO_16_BITS, fine
    )
    layer = with_weights(torch.nn.GRU(INPUTS, HIDDEN).double(), weight, back, bias, 3)
    with torch.no_grad():
        layer.bias_hh_l0[2 * HIDDEN :] = torch.from_numpy(inner / 4096)
    wanted = layer(torch.from_numpy(x * STEP))[0].detach().numpy()
    assert np.abs(run(op, x) / 32768 - wanted).max() < bound


def with_weights(layer, weight, back, bias, blocks):
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.from_numpy(weight * STEP))
        layer.weight_hh_l0.copy_(torch.from_numpy(back * STEP))
        layer.bias_ih_l0.copy_(torch.from_numpy(bias * STEP**2))
        layer.bias_hh_l0.zero_()
    return layer.requires_grad_(False)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("skip", [False, True])
def test_an_sru_follows_its_equations(skip):
    weight, _, bias, x = parts(4 if skip else 3, 7)
    hidden = HIDDEN
    if not skip:  # inputs as wide as the result
        x = np.concatenate([x, x[:, :1]], axis=1)
        weight = np.concatenate([weight, weight[:, :1]], axis=1)
    cell, other = round(2**30 / 2**15 * 1024), round(2**30 / 2**15 * 1024 * (1 / 4096 if skip else STEP))
    op = ops.SRU("s", hidden, matrix(weight), bias, gates(STEP**2), cell, other, 30, *INT16)
    a = (x @ weight.T + bias) * STEP**2
    candidate, f, r = a[:, :5], sigmoid(a[:, 5:10]), sigmoid(a[:, 10:15])
    residual = a[:, 15:] if skip else x * STEP
    c, wanted = np.zeros(hidden), []
    for t in range(TIME):
        c = f[t] * c + (1 - f[t]) * candidate[t]
        wanted.append(r[t] * np.tanh(c) + (1 - r[t]) * residual[t])
    assert np.abs(run(op, x) / 1024 - wanted).max() < 0.02


def test_a_qrnn_follows_its_equations():
    weight, _, bias, x = parts(3, 9)
    kernels = np.concatenate([weight, weight[::-1]], axis=1)
    op = ops.QRNN("q", HIDDEN, 2, matrix(kernels), bias, gates(STEP**2), TO_16_BITS)
    pairs = np.concatenate([np.vstack([np.zeros((1, INPUTS)), x[:-1]]), x], axis=1)  # oldest first
    a = (pairs @ kernels.T + bias) * STEP**2
    z, f, o = np.tanh(a[:, :5]), sigmoid(a[:, 5:10]), sigmoid(a[:, 10:])
    c, wanted = np.zeros(HIDDEN), []
    for t in range(TIME):
        c = f[t] * c + (1 - f[t]) * z[t]
        wanted.append(o[t] * c)
    assert np.abs(run(op, x) / 32768 - wanted).max() < 0.01


def test_the_loudest_gates_do_not_overflow():
    ones = np.full((16, 4), 127)
    x = np.full((30, 4), INT16[0]) * np.where(np.arange(30) % 2, -1, 1)[:, None] // 2
    loud = rescale_from(2.0**15, *INT16)
    lstm = ops.LSTM("l", 4, matrix(ones), np.full(16, 1 << 20), loud, matrix(ones), loud, TO_16_BITS)
    sru = ops.SRU("s", 4, matrix(ones), np.full(16, 1 << 20), loud, -(2**31), -(2**31), 0, -(2**31), 2**31 - 1)
    for op in (lstm, sru):
        y = run(op, x)
        assert len(np.unique(y)) > 1

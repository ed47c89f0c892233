"""Ops on single numbers, against exact fractions and the functions that they stand for."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.program import ops
from fewbit.program.numerics import INT16, rescale_from
from tests.program.made_by_hand import narrow, points, rescale, run, value, vector

EVERY = np.arange(INT16[0], INT16[1] + 1)


def rounded(x):
    return (Fraction(x) + Fraction(1, 2)).__floor__()


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_sum_is_exact_with_repeated_inputs_and_vectors(data, seed):
    rng, size, count = np.random.default_rng(seed), 12, data.draw(st.integers(1, 4))
    lengths = [12, *(data.draw(st.sampled_from([1, 2, 3, 4, 6, 12])) for _ in range(count - 1))]
    parts, biases = (data.draw(st.sampled_from([1, 2, 3, 4, 6, 12])) for _ in range(2))
    xs = [rng.integers(*INT16, (3, n), endpoint=True) for n in lengths]
    multiplier = rng.integers(-(2**31), 2**31, (count, parts))
    shift, bias = data.draw(st.integers(0, 62)), rng.integers(-(2**31), 2**31, biases)
    op = ops.Sum("s", multiplier.ravel(), shift, bias, -(2**31), 2**31 - 1)
    found = run(op, *xs)
    for t in range(3):
        for i in range(size):
            total = sum(int(x[t, i % n]) * int(m[i % parts]) for x, n, m in zip(xs, lengths, multiplier, strict=True))
            y = rounded(Fraction(rounded(Fraction(total, 2**shift)) + int(bias[i % biases]), 256))
            assert found[t, i] == min(max(y, op.low), op.high)


def test_the_largest_sum_does_not_overflow():
    op = ops.Sum("s", np.full(4096, 2**31 - 1), 62, vector(2**31 - 1), *INT16)
    assert op.value([value(1, *INT16)] * 4096).size == 1
    total = 4096 * INT16[0] * (2**31 - 1)
    wanted = (((total + (1 << 61)) >> 62) + 2**31 - 1 + 128) >> 8
    assert run(op, *[np.array([[INT16[0]]])] * 4096).tolist() == [[min(wanted, INT16[1])]]


def test_a_product_is_exact_and_its_second_factor_may_be_shorter():
    x, y = np.array([[1, -2, 3, 4], [5, 6, 7, -32768]]), np.array([[10, -1], [2, -32768]])
    assert run(ops.Mul("m", rescale()), x, y).tolist() == [[10, 2, 30, -4], [10, -196608, 14, 1 << 30]]
    loud = rescale(-(2**31 - 1), 31)
    assert run(ops.Mul("m", loud), x[1:], y[1:]).tolist()[0][3] == -((1 << 30) - 1)


def test_requantizing_is_exact():
    op = ops.Requantize("r", 2, narrow(vector(3, -1), 2))
    assert run(op, [[5, 2], [-32768, -32768]]).tolist() == [[4, 0], [-24576, 8192]]


FUNCTIONS = {
    "gelu": lambda x: torch.nn.functional.gelu(torch.from_numpy(x)).numpy(),
    "silu": lambda x: torch.nn.functional.silu(torch.from_numpy(x)).numpy(),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sine": np.sin,
}


@pytest.mark.parametrize(
    ("name", "bound"), [("gelu", 3e-4), ("silu", 3e-4), ("tanh", 4e-4), ("sigmoid", 3e-4), ("sine", 4e-4)]
)
def test_a_function_of_16_bits_is_near_over_8_on_both_sides(name, bound):
    function, step = FUNCTIONS[name], 8 / 32768
    real = function((INT16[0] + 128.0 * np.arange(513)) * step) / step
    op = ops.Map("m", np.clip(np.rint(real), *INT16).astype(np.int16), INT16[0], 7, 0, *INT16)
    error = np.abs(run(op, EVERY[:, None])[:, 0] * step - function(EVERY * step)).max()
    assert step / 2 < error < bound
    if name == "tanh":  # with spare bits, points are finer than codes
        fine = ops.Map("m", np.rint(real * 7).astype(np.int16), INT16[0], 7, 0, *INT16)
        coarse = ops.Map("m", np.rint(real * 4).astype(np.int16), INT16[0], 7, 2, *INT16)
        assert np.abs(run(coarse, EVERY[:, None]) - run(fine, EVERY[:, None]) / 7).max() < 1.1


def test_every_8_bit_code_has_a_point_of_its_own():
    table = np.rint(100 * np.sin(np.arange(-128, 129))).astype(np.int16)
    op = ops.Map("m", table, -128, 0, 0, -128, 127)
    codes = np.arange(-128, 128)
    assert run(op, codes[:, None])[:, 0].tolist() == table[:-1].tolist()


def test_between_points_it_is_a_line_whose_halves_go_up():
    op = ops.Map("m", points(0, 5, -5), -4, 2, 1, -2, 2)
    wanted = [math.floor(y / 2 + 0.5) for y in (0, 1.25, 2.5, 3.75, 5, 2.5, 0, -2.5)]
    assert run(op, np.arange(-4, 4)[:, None])[:, 0].tolist() == np.clip(wanted, -2, 2).tolist()


def test_the_largest_points_do_not_overflow():
    op = ops.Map("m", points(-32768, -32768), -32768, 16, 16, *INT16)
    assert (run(op, np.array([[-32768], [0], [32767]])) == [[0]] * 3).all()  # -1/2 goes up


def test_a_batch_norm_is_a_sum_of_one_input():
    rng = np.random.default_rng(0)
    gain, shift, step, out = rng.uniform(-2, 2, 5), rng.normal(0, 1, 5), 0.01, 0.02
    x = rng.integers(-127, 128, (50, 15))  # 3 places of 5 channels
    each = rescale_from(gain * step / out * 256, *INT16)
    op = ops.Sum("s", each.multiplier, each.shift, np.rint(shift / out * 256).astype(np.int64), *INT16)
    wanted = x * step * np.tile(gain, 3) + np.tile(shift, 3)
    assert np.abs(run(op, x) * out - wanted).max() < out * (0.5 + 2 / 256)

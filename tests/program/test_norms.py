"""Norms, softmax and its logarithm against torch."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fewbit.program import ops
from fewbit.program.limits import MAX_SQUARES
from fewbit.program.numerics import INT16, log2, rescale_from
from tests.program.made_by_hand import narrow, rescale, run, vector

STEP, OUT = 1 / 4096, 1 / 2048


def mantissa_and_shift(eps):
    shift = max(0, int(np.ceil(np.log2(max(eps, 1)))) - 30)
    return int(np.rint(eps / 2**shift)), shift


def norm(length, centre, eps, gain, shift):
    """A Norm of 16-bit codes of STEP to 16-bit codes of OUT; eps as torch has it."""
    units = eps / STEP**2 * (length**3 if centre else length)
    each = rescale_from(gain * np.sqrt(length) / OUT * 256 / 2**23, *INT16)
    bias = np.rint(shift / OUT * 256).astype(np.int64)
    return ops.Norm("n", length, int(centre), *mantissa_and_shift(units), each.multiplier, each.shift, bias, *INT16)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 96, 768])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_a_norm_is_that_of_torch(length, centre, eps):
    rng = np.random.default_rng(length)
    gain, shift = rng.uniform(0.5, 1.5, length), rng.normal(0, 0.5, length) * centre
    x = rng.normal(0, rng.uniform(0.2, 2, (40, 1)), (40, 2 * length)) + rng.normal(0, 1, (40, 1))
    codes = np.clip(np.rint(x / STEP), *INT16).astype(np.int64)
    real = torch.from_numpy(codes * STEP).reshape(40, 2, length)
    weights = torch.from_numpy(gain), torch.from_numpy(shift)
    wanted = F.layer_norm(real, (length,), *weights, eps) if centre else F.rms_norm(real, (length,), *weights[:1], eps)
    found = run(norm(length, centre, eps, gain, shift), codes) * OUT
    wanted = wanted.reshape(40, -1).numpy()
    limit = INT16[1] * OUT
    # Half a code, 1/512 of the bias, and 2**-14 of the group: the bits that d keeps, and their root.
    bound = OUT * (0.5 + 1 / 128) + 2.0**-14 * np.sqrt(length) * 1.5
    assert np.abs(found - np.clip(wanted, -limit, limit)).max() < bound
    if length > 1 or not centre:
        assert np.abs(found).max() > 0.5


def test_a_norm_of_l2():
    x = np.random.default_rng(0).integers(-2000, 2000, (30, 8))
    op = ops.Norm("n", 8, 0, 0, 0, vector(256 * 127), 23, vector(0), -127, 127)
    wanted = x / np.sqrt((x**2).sum(1, keepdims=True)) * 127
    assert np.abs(run(op, x) - wanted).max() < 0.52


def test_one_multiplier_and_one_bias_serve_all_and_the_bias_counts_256ths():
    x = np.array([[3, 4, 0, 0]])
    op = ops.Norm("n", 2, 0, 0, 0, vector(256 * 100), 23, vector(128), -127, 127)
    assert run(op, x).tolist() == [[61, 81, 1, 1]]  # 60.5, 80.5 and 0.5: halves go up
    each = ops.Norm("n", 2, 0, 0, 0, vector(256 * 100, -256 * 100), 23, vector(0, 127), -70, 70)
    assert run(each, x).tolist() == [[60, -70, 0, 0]]


def test_a_large_eps_makes_everything_small():
    x = np.array([[100, -100]])
    ops_of = [ops.Norm("n", 2, 0, m, s, vector(256 * 1000), 23, vector(0), *INT16) for m, s in ((20000, 0), (5000, 2))]
    assert [run(op, x).tolist() for op in ops_of] == [[[500, -500]]] * 2
    huge = ops.Norm("n", 2, 0, 2**31 - 1, 30, vector(2**31 - 1), 23, vector(0), *INT16)
    assert abs(int(run(huge, x)[0, 0])) <= 1


@pytest.mark.parametrize("centre", [0, 1])
def test_the_ends_of_16_bits_do_not_overflow(centre):
    x = np.array([[-32768, 32767, -32768, 32767]])
    op = ops.Norm("n", 4, centre, 0, 0, vector(2**31 - 1), 23, vector(2**31 - 1), -(2**31), 2**31 - 1)
    found = run(op, x)[0]
    assert found[0] == found[2] < found[1] == found[3]
    assert abs(found[1] - 2**23 - 2**30 / 256) < 2**8
    assert abs(found[0] - 2**23 + 2**30 / 256) < 2**8


@pytest.mark.parametrize("length", [1, 2, 5, 64])
def test_a_softmax_is_that_of_torch(length):
    step = 1 / 2048
    x = np.random.default_rng(length).integers(-12_000, 12_000, (30, 3 * length))
    factor = step / np.log(2) * 1024
    shift = int(15 - np.floor(np.log2(factor)))
    op = ops.Softmax("s", length, round(factor * 2**shift), shift, rescale())
    wanted = torch.softmax(torch.from_numpy(x * step).reshape(30, 3, length), -1).reshape(30, -1).numpy()
    # An exponent is rounded to 1/1024, which moves a weight by 3.4e-4 of itself at most.
    assert np.abs(run(op, x) / 32768 - wanted).max() < 5e-4
    sums = run(op, x).reshape(30, 3, length).sum(-1)
    assert np.abs(sums - 32768).max() <= length


@pytest.mark.parametrize("length", [1, 2, 5, 64])
def test_a_logarithm_of_shares_is_that_of_torch(length):
    step = 1 / 1024
    x = np.random.default_rng(length).integers(*INT16, (30, 3 * length), endpoint=True)
    factor = step / np.log(2) * 1024
    shift = int(15 - np.floor(np.log2(factor)))
    op = ops.LogSoftmax("s", length, round(factor * 2**shift), shift, rescale(1, 0))
    wanted = torch.log_softmax(torch.from_numpy(x * step).reshape(30, 3, length), -1).reshape(30, -1).numpy()
    # Up to 64 units apart: the multiplier has 15 bits or more, and exponents are rounded to 1/1024.
    assert np.abs(run(op, x) * np.log(2) / 65536 - wanted).max() < 64 / 2**15 + 5e-4
    assert wanted.min() < -30 or length == 1  # far below what a share of 15 bits can say


def test_a_logarithm_of_base_2_is_exact_for_powers_and_close_between():
    x = np.concatenate([2 ** np.arange(31), np.random.default_rng(0).integers(1, 2**31, 5000), [2**31 - 1]])
    found = log2(x)
    assert found[:31].tolist() == (np.arange(31) << 16).tolist()
    apart = np.log2(x) - found / 65536
    assert apart.min() >= 0
    assert apart.max() < 2 / 65536
    order = np.argsort(x)
    assert (np.diff(found[order]) >= 0).all()


def test_a_logarithm_of_shares_that_leaves_32_bits_is_held():
    op = ops.LogSoftmax("s", 2, 2**16, 0, rescale(1, 0))
    assert run(op, [[-32768, 32767]]).tolist() == [[-(2**31) + 1, 0]]


def test_a_magnitude_is_that_of_complex_numbers():
    rng = np.random.default_rng(0)
    x, y = (rng.integers(*INT16, (30, 4), endpoint=True) for _ in range(2))
    found = run(ops.Magnitude("m", 0, rescale()), x, y)
    wanted = [
        [math.isqrt(int(a * a + b * b) << 16) for a, b in zip(*row, strict=True)] for row in zip(x, y, strict=True)
    ]
    assert found.tolist() == wanted
    assert run(ops.Magnitude("m", 3 << 16, narrow(1, 8)), [[1, -1]]).tolist() == [[2, 2]]
    low = np.full((1, 1), INT16[0])
    most = run(ops.Magnitude("m", 2**31 - 1, rescale(2**31 - 1, 62)), *[low] * MAX_SQUARES)
    root = math.isqrt((MAX_SQUARES << 46) + 2**31 - 1)
    assert most.tolist() == [[(root * (2**31 - 1) + (1 << 61)) >> 62]]


def test_a_softmax_is_rescaled():
    op = ops.Softmax("s", 2, 1024, 0, narrow(127, 15))
    assert run(op, [[5, 4, 3, 3]]).tolist() == [[85, 42, 64, 64]]
    assert run(op, [[-32768, 32767, 32767, 32767]]).tolist() == [[0, 127, 64, 64]]

"""Ops that gather, pool and turn round, against torch and NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.program.ops import Grid
from tests.program.made_by_hand import rescale, run, value, vector


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), maximum=st.booleans())
def test_pooling_is_that_of_torch(data, seed, maximum):
    draw, rng = data.draw, np.random.default_rng(seed)
    kernel, stride, sides = ([draw(st.integers(1, most)) for _ in range(3)] for most in (3, 4, 6))
    dilation = [1, draw(st.integers(1, 2)), draw(st.integers(1, 2))]
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    pads = [(draw(st.integers(0, most)), draw(st.integers(0, most))) for most in reach]
    for axis in (1, 2):
        sides[axis] = max(sides[axis], reach[axis] + 1 - sum(pads[axis]))
    channels = draw(st.integers(1, 3))
    x = rng.integers(*INT16, (sides[0], sides[1] * sides[2] * channels), endpoint=True)
    (left, right), (top, bottom), (before, after) = pads
    grid = Grid(sides[1], sides[2], *kernel[1:], *stride[1:], *dilation[1:], top, bottom, before, after)
    found = run(ops.Pool("p", int(maximum), channels, kernel[0], stride[0], rescale(), left, right, grid), x)

    image = torch.from_numpy(x.reshape(*sides, channels)).permute(3, 0, 1, 2).double()[None]
    image = F.pad(image, (before, after, top, bottom, left, right), value=INT16[0] if maximum else 0)
    if image.shape[2] < kernel[0]:
        assert len(found) == 0
        return
    if maximum:
        wanted = F.max_pool3d(image, kernel, stride, 0, dilation)[0]
    else:
        ones = torch.ones(channels, 1, *kernel, dtype=torch.float64)
        wanted = F.conv3d(image, ones, None, stride, 0, dilation, channels)[0]
    assert np.array_equal(found, wanted.permute(1, 2, 3, 0).reshape(wanted.shape[1], -1).numpy())


def test_a_mean_pool_of_torch():
    x = np.arange(24).reshape(2, 12) * 10  # 2 x 3 places of 2 channels
    op = ops.Pool("p", 0, 2, 1, 1, rescale(1 << 20, 22), grid=Grid(2, 3, 2, 2))  # a quarter
    wanted = F.avg_pool2d(torch.from_numpy(x.reshape(2, 2, 3, 2)).permute(0, 3, 1, 2).double(), 2, 1)
    assert np.array_equal(run(op, x), wanted.permute(0, 2, 3, 1).reshape(2, -1).numpy())


def test_a_window_of_nothing_but_padding_is_the_smallest_of_16_bits():
    grid = Grid(1, 1, 2, 1, 1, 1, 2, 1, top=1, bottom=1)  # reads the places -1 and 1 of one place
    assert run(ops.Pool("p", 1, 1, 1, 1, rescale(), grid=grid), [[7]]).tolist() == [[INT16[0]]]
    assert run(ops.Pool("p", 0, 1, 1, 1, rescale(), grid=grid), [[7]]).tolist() == [[0]]


def test_the_largest_pool_does_not_overflow():
    x = np.full((1, 1 << 15), INT16[0])
    op = ops.Pool("p", 0, 1, 1, 1, rescale(2**31 - 1, 62), grid=Grid(1, 1 << 15, 1, 1 << 15))
    assert run(op, x).tolist() == [[(-(1 << 30) * (2**31 - 1) + (1 << 61)) >> 62]]


def test_numbers_are_taken_by_counts_from_one_with_signs():
    op = ops.Take("t", vector(3, -1, 0, 5, -5))
    assert run(op, [[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]).tolist() == [[3, -1, 0, 8, -8], [6, -4, 0, 10, -10]]


@pytest.mark.parametrize(
    ("index", "declared"),
    [((1, 2), (2, 9)), ((1, -2), (-9, 9)), ((0,), (0, 9)), ((-1,), (-9, 9)), ((1, 0), (0, 9))],
)
def test_the_range_of_what_is_taken(index, declared):
    found = ops.Take("t", vector(*index)).value([value(1, 2, 5), value(1, 3, 9)])
    assert (found.low, found.high) == declared
    assert found.size == len(index)


def test_the_smallest_code_has_no_negative_within_16_bits():
    assert not ops.Take("t", vector(-1)).value([value(1, *INT16)]).fits_int16
    assert ops.Take("t", vector(1)).value([value(1, *INT16)]).fits_int16


def test_frames_are_turned_round():
    assert run(ops.Reverse("r"), [[1, 2], [3, 4], [5, 6]]).tolist() == [[5, 6], [3, 4], [1, 2]]

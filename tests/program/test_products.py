"""Products: accumulators equal those of torch on the same integers, exactly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import LoweringError
from fewbit.formats import Int, Ternary, UInt
from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.program.ops import Grid
from tests.program.made_by_hand import CODES, matrix, rescale, run, value, vector


def padding(draw, kernel, dilation):
    reach = (kernel - 1) * dilation
    return draw(st.integers(0, reach)), draw(st.integers(0, reach))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_convolution_is_that_of_torch(data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    small = st.integers(1, 3)
    kernel, dilation, stride = ([draw(small) for _ in range(3)] for _ in range(3))
    pads = [padding(draw, k, d) for k, d in zip(kernel, dilation, strict=True)]
    sides = [draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(1, 5))]
    for axis in (1, 2):  # a window must fit
        sides[axis] = max(sides[axis], (kernel[axis] - 1) * dilation[axis] + 1 - sum(pads[axis]))
    groups = draw(small)
    inner, rows = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    x = rng.integers(*INT16, (sides[0], sides[1] * sides[2] * inner * groups), endpoint=True)
    weight = rng.integers(-127, 128, (rows, *kernel, inner))  # the order of columns: frames, places, channels
    bias = rng.integers(-1000, 1000, rows)
    (left, right), (top, bottom), (before, after) = pads
    grid = Grid(sides[1], sides[2], *kernel[1:], *stride[1:], *dilation[1:], top, bottom, before, after)
    op = ops.Conv(
        "conv", kernel[0], stride[0], matrix(weight.reshape(rows, -1)), bias, rescale(),
        dilation=dilation[0], left=left, right=right, groups=groups, grid=grid,
    )  # fmt: skip
    if stride[0] > kernel[0] and left == -1:
        return
    found = run(op, x)

    image = torch.from_numpy(x.reshape(*sides, inner * groups)).permute(3, 0, 1, 2).double()[None]
    image = F.pad(image, (before, after, top, bottom, left, right))
    if image.shape[2] < (kernel[0] - 1) * dilation[0] + 1:
        assert len(found) == 0
        return
    kernels = torch.from_numpy(weight).permute(0, 4, 1, 2, 3).double()
    wanted = F.conv3d(image, kernels, torch.from_numpy(bias).double(), stride, 0, dilation, groups)[0]
    wanted = wanted.permute(1, 2, 3, 0).reshape(wanted.shape[1], -1).numpy()
    assert np.array_equal(found, wanted)


def test_the_convolutions_of_torch_by_their_usual_arguments():
    rng = np.random.default_rng(0)
    x = rng.integers(*CODES, (20, 6))
    frames = torch.from_numpy(x).double().T[None]
    weight = rng.integers(-7, 8, (4, 5, 6))  # rows, frames, channels
    kernels = torch.from_numpy(weight).double().transpose(1, 2)
    causal = ops.Conv("c", 5, 2, matrix(weight.reshape(4, -1)), np.zeros(4, np.int64), rescale())
    wanted = F.conv1d(F.pad(frames, (4, 0)), kernels, stride=2)[0].T.numpy()
    assert np.array_equal(run(causal, x), wanted)
    centred = ops.Conv("c", 5, 1, causal.weight, causal.bias, rescale(), dilation=2, left=4, right=4)
    wanted = F.conv1d(frames, kernels, padding=4, dilation=2)[0].T.numpy()
    assert np.array_equal(run(centred, x), wanted)
    # 2-D within a frame: 3 x 4 places of 2 channels, depthwise.
    images = rng.integers(*CODES, (5, 24))
    depthwise = rng.integers(-7, 8, (2, 3, 3))
    grid = Grid(3, 4, 3, 3, top=1, bottom=1, left=1, right=1)
    op = ops.Conv("c", 1, 1, matrix(depthwise.reshape(2, -1)), np.zeros(2, np.int64), rescale(), groups=2, grid=grid)
    pixels = torch.from_numpy(images.reshape(5, 3, 4, 2)).permute(0, 3, 1, 2).double()
    wanted = F.conv2d(pixels, torch.from_numpy(depthwise).double()[:, None], padding=1, groups=2)
    assert np.array_equal(run(op, images), wanted.permute(0, 2, 3, 1).reshape(5, -1).numpy())
    assert op.macs() == 12 * 2 * 9


def test_each_place_is_multiplied_by_the_same_matrix():
    rng = np.random.default_rng(1)
    x, weight, bias = rng.integers(*INT16, (7, 12)), rng.integers(-3, 4, (5, 4)), rng.integers(-9, 9, 5)
    op = ops.Dense("d", matrix(weight, Int(3)), bias, rescale(vector(1, 2, 3, 4, 5), 1), places=3)
    wanted = np.floor((x.reshape(7, 3, 4) @ weight.T + bias) * np.arange(1, 6) / 2 + 0.5)
    assert np.array_equal(run(op, x), wanted.reshape(7, 15))
    assert op.macs() == 3 * 20
    assert op.is_new()
    assert not ops.Dense("d", matrix(weight, Int(3)), bias, rescale()).is_new()


def test_groups_of_columns_have_scales_and_are_rounded_once():
    rng = np.random.default_rng(2)
    codes, scale = rng.integers(-127, 128, (3, 7)), rng.integers(1, 2**14 + 1, (3, 3))
    x = rng.integers(*CODES, (4, 7))
    op = ops.Dense("d", matrix(codes, group=3, scale=scale), np.zeros(3, np.int64), rescale())
    exact = (x @ (codes * np.repeat(scale, 3, 1)[:, :7]).T) / 2**14
    assert np.array_equal(run(op, x), np.floor(exact + 0.5))


@pytest.mark.parametrize(("columns", "fits"), [(1 << 16, True), (1 << 18, False)])
def test_sums_that_could_leave_64_bits_are_refused(columns, fits):
    """Largest inputs, weights and multipliers: what is accepted is exact."""
    op = ops.Dense("d", matrix(np.full((1, columns), 255), UInt(8)), vector(0), rescale(2**31 - 1, 62, -(2**31)))
    x = np.full((1, columns), INT16[0])
    if not fits:
        with pytest.raises(LoweringError, match="the rescaled sums of 'weight' could pass 64 bits"):
            op.value([value(columns, *INT16)])
        return
    few = ops.Dense("d", op.weight, vector(0), rescale(2**30, 62, -(2**31)))
    with pytest.raises(LoweringError, match="could pass 64 bits"):
        op.value([value(columns, *INT16)])  # 2**39 * 2**31
    with pytest.raises(LoweringError, match="could pass 64 bits"):
        few.value([value(columns, *INT16)])
    least = ops.Dense("d", op.weight, vector(0), rescale((1 << 23) - 1, 30))
    assert run(least, x).tolist() == [[max(-(2**31), -(((255 << 31) * ((1 << 23) - 1) + (1 << 29) - 1) >> 30))]]


@pytest.mark.parametrize("bias", [2**31 - 1, -(2**31)])
def test_the_largest_accepted_accumulators_are_exact(bias):
    """Just below the bound of 64 bits."""
    most = ((1 << 63) - 1 - (1 << 61)) // (2**31 - 1)
    rows = (most - abs(bias) - 1) // (127 * 127)
    op = ops.Dense("d", matrix(np.full((1, rows), 127)), vector(bias), rescale(2**31 - 1, 62, -(2**31)))
    sign = 1 if bias > 0 else -1
    accumulator = sign * rows * 127 * 127 + bias
    wanted = (accumulator * (2**31 - 1) + (1 << 61)) >> 62
    assert run(op, np.full((1, rows), sign * 127)).tolist() == [[wanted]]
    more = ops.Dense("d", matrix(np.full((1, rows + 2), 127)), vector(bias), op.rescale)
    with pytest.raises(LoweringError, match="could pass 64 bits"):
        more.value([value(rows + 2)])


def test_sums_of_groups_that_float64_does_not_hold_are_refused():
    columns = 1 << 18
    weight = matrix(np.full((1, columns), 127), group=columns, scale=np.full((1, 1), 2**14))
    op = ops.Dense("d", weight, vector(0), rescale(1, 40))
    with pytest.raises(LoweringError, match="sums of 'weight' could pass 53 bits"):
        op.value([value(columns, *INT16)])
    assert op.value([value(columns)]).size == 1


@pytest.mark.parametrize(("hidden", "fits"), [(380, True), (400, False)])
def test_what_a_recurrent_layer_gives_back_is_checked_too(hidden, fits):
    rows = 4 * hidden
    back, narrow = matrix(np.full((rows, hidden), 255), UInt(8)), rescale(1, 0, *INT16)
    loud = rescale(2**31 - 1, 62, *INT16)
    weight, bias = matrix(np.ones((rows, 1), int)), np.zeros(rows, np.int64)
    op = ops.LSTM("l", hidden, weight, bias, narrow, back, loud, narrow)
    if fits:
        assert op.value([value(1)]).size == hidden
        return
    with pytest.raises(LoweringError, match="the rescaled sums of 'weight_hidden' could pass 64 bits"):
        op.value([value(1)])


def test_ternary_weights_with_a_multiplier_for_each_row():
    op = ops.Dense("d", matrix([[1, 0, -1], [1, 1, 1]], Ternary()), vector(1, -1), rescale(vector(3, -1), 1, -5, 5))
    assert run(op, [[4, 9, 2], [0, 0, 1]]).tolist() == [[5, -5], [0, 0]]

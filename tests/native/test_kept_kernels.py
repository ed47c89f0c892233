"""Convolutions of few kernels in native code: the integers of the reference on every target, for any shape or split."""

import numpy as np
import pytest

from fewbit.formats import PerRow, default_layout, fits_kernels, format_from_name, pack, pack_kernels
from fewbit.native import targets
from fewbit.program import Reference, ops
from fewbit.program.native_run import Native
from fewbit.program.numerics import INT16, rescale_from

SPANS = [(-127, 127), (0, 255), (-30000, 30000), (0, 3)]


def weight(rng, format, rows, taps, maps, kept):
    """A share of the kernels is not zero; in the packed form without the others, where the format has a 0."""
    format = format_from_name(format)
    codes = rng.choice(format.levels(), (rows, taps, maps)) * (rng.random((rows, 1, maps)) < kept)
    codes = codes.reshape(rows, taps * maps)
    if fits_kernels(*codes.shape, maps, format):
        return ops.Matrix(*codes.shape, format, "kernels", PerRow(), pack_kernels(codes, maps, format), maps=maps)
    layout = default_layout(format)
    return ops.Matrix(*codes.shape, format, layout, PerRow(), pack(codes, format, layout))


def network(rng, size, span, conv):
    low, high = span
    gain = np.full(size, max(-low, high) / 2, np.float32)
    return (ops.Quantize("x", gain, np.full(size, (low + high) / 3, np.float32), low, high), conv)


def rescale(rng, matrix, span, rows, bias_bits=0):
    size = np.sqrt(max(np.abs(matrix.codes()).astype(np.int64).sum(1).max(), 1)) * max(-span[0], span[1])
    return rescale_from(rng.uniform(300, 600, rows) / size * 0.5**bias_bits, *INT16)


def picture(rng, format, span):
    """A convolution over places, and over frames of places."""
    while True:
        height, width = (int(rng.integers(1, 20)) for _ in range(2))
        kernel = [int(each) for each in rng.integers(1, 6, 2)]
        dilation, stride = ([int(each) for each in rng.integers(1, 4, 2)] for _ in range(2))
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        pads = [int(rng.integers(0, most + 1)) for most in (reach[0], reach[0], reach[1], reach[1])]
        grid = ops.Grid(height, width, *kernel, *stride, *dilation, *pads)
        if grid.out_height >= 1 and grid.out_width >= 1:
            break
    frames, late = int(rng.choice([1, 1, 1, 2, 3])), int(rng.integers(1, 3))
    groups = int(rng.choice([1, 1, 2, 4]))
    maps, rows = int(rng.choice([1, 3, 8, 33])), groups * int(rng.choice([1, 5, 16]))
    reach = (frames - 1) * late + 1
    left, right = (int(rng.integers(0, reach)) for _ in range(2))
    matrix = weight(rng, format, rows, frames * grid.kernel, maps, rng.choice([0.05, 0.2, 0.5]))
    bias, bias_bits = rng.integers(-2000, 2000, rows), int(rng.choice([0, 2]))
    conv = ops.Conv(
        "conv", frames, int(rng.integers(1, 3)) if frames > 1 else 1, matrix, bias,
        rescale(rng, matrix, span, rows, bias_bits), late, left, right, groups, grid, bias_bits,
    )  # fmt: skip
    return network(rng, groups * maps * grid.places, span, conv)


def sequence(rng, format, span):
    """A causal or centred convolution over time."""
    kernel, dilation, groups = int(rng.integers(1, 10)), int(rng.choice([1, 1, 2, 5])), int(rng.choice([1, 1, 2]))
    maps, rows = int(rng.choice([1, 8, 40])), groups * int(rng.choice([3, 16, 20]))
    reach = (kernel - 1) * dilation + 1
    stride, left = int(rng.integers(1, 4)), int(rng.integers(0, reach))
    matrix = weight(rng, format, rows, kernel, maps, rng.choice([0.05, 0.2, 0.5]))
    conv = ops.Conv(
        "conv", kernel, stride, matrix, rng.integers(-2000, 2000, rows), rescale(rng, matrix, span, rows), dilation,
        left, reach - 1 - left, groups,
    )  # fmt: skip
    return network(rng, groups * maps, span, conv)


def in_pieces(executor, x, ends):
    """What comes out if the stream is cut at `ends`."""
    state, found, start = executor.init_state(), [], 0
    for end in (*ends, len(x)):
        y, state = executor.step(x[start:end], state, end == len(x))
        found.append(y)
        start = end
    return np.concatenate(found)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("build", [picture, sequence])
@pytest.mark.parametrize("seed", range(12))
def test_convolutions_give_the_integers_of_the_reference(build, target, seed):
    rng = np.random.default_rng(seed)
    for span in SPANS:
        for format in ("ternary", "int8", "int3", "uint4"):
            made = build(rng, format, span)
            count = 5 if build is picture else 300
            x = rng.normal(size=(count, len(made[0].gain))).astype(np.float32)
            reference, native = Reference(made), Native(made, target, skip="kernels")
            wanted = in_pieces(reference, x, [])
            ends = sorted(int(end) for end in rng.integers(1, count, 2))
            conv = made[1]
            assert np.array_equal(in_pieces(native, x, []), wanted), conv
            assert np.array_equal(in_pieces(native, x, ends), wanted), conv


def pictures(kept, maps=64, side=16, kernel=3, format="int8"):
    rng = np.random.default_rng(0)
    pad = kernel // 2
    grid = ops.Grid(side, side, kernel, kernel, top=pad, bottom=pad, left=pad, right=pad)
    matrix = weight(rng, format, maps, kernel**2, maps, kept)
    conv = ops.Conv("conv", 1, 1, matrix, np.zeros(maps, np.int64), rescale(rng, matrix, SPANS[0], maps), grid=grid)
    return network(rng, maps * grid.places, SPANS[0], conv)


@pytest.mark.parametrize("target", targets())
def test_kernels_are_left_out_where_that_is_faster(target):
    """By the memory of the weights: that of kept kernels, or that of all."""
    few, many = pictures(0.2), pictures(0.9)
    for made, is_left_out in ((few, True), (many, False), (pictures(0.5, kernel=1), False)):
        by_rule, kept, whole = (Native(made, target, skip=skip).bytes for skip in (None, "kernels", "nothing"))
        assert kept != whole
        assert by_rule == (kept if is_left_out else whole)


def test_kept_kernels_take_their_bytes():
    made = pictures(0.2)
    kept = made[1].weight.kept_kernels
    # 12 bytes of weights and the number of a map for each kernel, and three numbers for each of 64 rows or maps.
    assert Native(made, skip="kernels").bytes == kept * (12 + 4) + 4 * (3 * 64 + 1)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_give_the_same_integers(target, threads):
    made = pictures(0.2, side=40)
    x = np.random.default_rng(0).normal(size=(1, len(made[0].gain))).astype(np.float32)
    whole, kept = (Native(made, target, threads, skip=skip) for skip in ("nothing", "kernels"))
    assert np.array_equal(in_pieces(kept, x, []), in_pieces(whole, x, []))


@pytest.mark.parametrize("format", ["uint8", "binary"])
def test_codes_that_do_not_fit_signed_bytes_or_have_no_zero_are_multiplied_as_ever(format):
    made = pictures(1.0, 8, 6, format=format)
    x = np.random.default_rng(0).normal(size=(2, len(made[0].gain))).astype(np.float32)
    assert np.array_equal(in_pieces(Native(made, skip="kernels"), x, []), in_pieces(Reference(made), x, []))


def test_a_convolution_over_time_takes_few_frames_with_all_codes():
    rng = np.random.default_rng(0)
    matrix = weight(rng, "int8", 64, 9, 64, 0.1)
    conv = ops.Conv("conv", 9, 1, matrix, np.zeros(64, np.int64), rescale(rng, matrix, SPANS[0], 64))
    made = network(rng, 64, SPANS[0], conv)
    by_rule, kept, whole = (Native(made, skip=skip) for skip in (None, "kernels", "nothing"))
    assert by_rule.bytes == kept.bytes > whole.bytes
    x = rng.normal(size=(200, 64)).astype(np.float32)
    wanted = in_pieces(Reference(made), x, [])
    for ends in ([], [1, 2, 3, 70, 71], list(range(1, 200))):
        assert np.array_equal(in_pieces(by_rule, x, ends), wanted)

"""Convolutions with columns of zeros in native code: the integers of the reference on every target, for any split."""

from dataclasses import replace

import numpy as np
import pytest

from fewbit.formats import PerRow, default_layout, fits_columns, format_from_name, pack, pack_columns
from fewbit.native import targets
from fewbit.program import Reference, ops
from fewbit.program.native_run import Native
from tests.native.test_kept_kernels import SPANS, in_pieces, network, picture, rescale, sequence

SHARES = [0.05, 0.3, 0.6, 0.95]


def weight(rng, format, rows, columns, kept):
    """A share of the columns is not zero; in the packed form without the others, where the format has a 0."""
    format = format_from_name(format)
    codes = rng.choice(format.levels(), (rows, columns)) * (rng.random(columns) < kept)
    if fits_columns(rows, columns, format):
        return ops.Matrix(rows, columns, format, "columns", PerRow(), pack_columns(codes, format))
    layout = default_layout(format)
    return ops.Matrix(rows, columns, format, layout, PerRow(), pack(codes, format, layout))


def with_columns(made, rng, format, share):
    """The same convolution with other weights, of which a share of the columns is kept."""
    source, conv = made
    drawn = weight(rng, format, conv.weight.rows, conv.weight.columns, share)
    return source, replace(conv, weight=drawn)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("build", [picture, sequence])
@pytest.mark.parametrize("seed", range(12))
def test_convolutions_give_the_integers_of_the_reference(build, target, seed):
    rng = np.random.default_rng(100 + seed)
    for span in SPANS:
        for format in ("ternary", "int8", "int3", "uint4", "uint8"):
            made = with_columns(build(rng, format, span), rng, format, SHARES[seed % 4])
            count = 5 if build is picture else 300
            x = rng.normal(size=(count, len(made[0].gain))).astype(np.float32)
            reference, native = Reference(made), Native(made, target, skip="columns")
            wanted = in_pieces(reference, x, [])
            ends = sorted(int(end) for end in rng.integers(1, count, 2))
            conv = made[1]
            assert np.array_equal(in_pieces(native, x, []), wanted), conv
            assert np.array_equal(in_pieces(native, x, ends), wanted), conv


def pictures(kept, maps=64, side=16, kernel=3, format="int8"):
    rng = np.random.default_rng(0)
    pad = kernel // 2
    grid = ops.Grid(side, side, kernel, kernel, top=pad, bottom=pad, left=pad, right=pad)
    matrix = weight(rng, format, maps, kernel**2 * maps, kept)
    conv = ops.Conv("conv", 1, 1, matrix, np.zeros(maps, np.int64), rescale(rng, matrix, SPANS[0], maps), grid=grid)
    return network(rng, maps * grid.places, SPANS[0], conv)


def test_columns_are_left_out_wherever_they_can_be():
    """Of the integers alone nobody can tell: the memory of the weights says that fewer columns are there."""
    made = pictures(0.5)
    kept = made[1].weight.kept_columns
    columns, whole = (Native(made, skip=skip).bytes for skip in ("columns", "nothing"))
    lines = 64 * -(-kept // 4) * 4 + 64 * 4  # bytes, and a sum of each row
    assert lines < columns < lines + 36 * 64  # and at most 3 * 12 pieces of a window
    assert whole == 64 * 9 * 64 + 64 * 4


@pytest.mark.parametrize("target", targets())
def test_columns_are_left_out_where_that_is_faster(target):
    cases = ((pictures(0.25), True), (pictures(0.97), False), (pictures(0.5, maps=4), False))
    for made, is_left_out in cases:
        by_rule, kept, whole = (Native(made, target, skip=skip).bytes for skip in (None, "columns", "nothing"))
        assert kept != whole
        assert by_rule == (kept if is_left_out else whole)


def test_few_kernels_are_multiplied_as_kernels_even_if_columns_are_zero():
    """A tenth of the kernels and half of the columns: kernels cost less."""
    rng = np.random.default_rng(0)
    made = pictures(0.5)
    codes = made[1].weight.codes().reshape(64, 9, 64) * (rng.random((64, 1, 64)) < 0.05)
    codes, format = codes.reshape(64, -1), format_from_name("int8")
    plain = ops.Matrix(*codes.shape, format, "bits", PerRow(), pack(codes, format))
    made = made[0], replace(made[1], weight=plain)
    by_rule, kernels, columns = (Native(made, skip=skip).bytes for skip in (None, "kernels", "columns"))
    assert by_rule == kernels != columns
    x = rng.normal(size=(1, len(made[0].gain))).astype(np.float32)
    assert np.array_equal(in_pieces(Native(made), x, []), in_pieces(Reference(made), x, []))


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_give_the_same_integers(target, threads):
    made = pictures(0.5, side=40)
    x = np.random.default_rng(0).normal(size=(1, len(made[0].gain))).astype(np.float32)
    whole, kept = (Native(made, target, threads, skip=skip) for skip in ("nothing", "columns"))
    assert np.array_equal(in_pieces(kept, x, []), in_pieces(whole, x, []))


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_no_or_all_columns_are_multiplied_as_ever(kept):
    made = pictures(kept, 8, 6)
    assert Native(made, skip="columns").bytes == Native(made, skip="nothing").bytes
    x = np.random.default_rng(0).normal(size=(2, len(made[0].gain))).astype(np.float32)
    assert np.array_equal(in_pieces(Native(made, skip="columns"), x, []), in_pieces(Reference(made), x, []))


def test_a_stream_of_single_frames_gives_the_integers_of_the_whole():
    rng = np.random.default_rng(0)
    matrix = weight(rng, "int8", 64, 9 * 64, 0.4)
    conv = ops.Conv("conv", 9, 1, matrix, np.zeros(64, np.int64), rescale(rng, matrix, SPANS[0], 64))
    made = network(rng, 64, SPANS[0], conv)
    by_rule, kept, whole = (Native(made, skip=skip) for skip in (None, "columns", "nothing"))
    assert by_rule.bytes == kept.bytes < whole.bytes
    x = rng.normal(size=(200, 64)).astype(np.float32)
    wanted = in_pieces(Reference(made), x, [])
    for ends in ([], [1, 2, 3, 70, 71], list(range(1, 200))):
        assert np.array_equal(in_pieces(by_rule, x, ends), wanted)

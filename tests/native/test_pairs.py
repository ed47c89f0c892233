"""Sparse ternary matrices in native code: a byte for eight columns, and the integers of dense codes on every target."""

import numpy as np
import pytest

from fewbit.errors import ArgumentError, TargetError
from fewbit.formats import PerTensor, SparseTernary, Ternary, default_layout, format_from_name, pack
from fewbit.native import NativeMatrix, targets
from fewbit.program import Program, Reference, ops
from fewbit.program.native_run import Native
from fewbit.program.numerics import INT16, rescale_from
from fewbit.speed import time_network, time_product

PAIRED = ["sparse8,2", "sparse8,1", "sparse4,1", "sparse16,2", "sparse16,1", "sparse8=2"]
OTHERS = ["sparse4,2", "sparse2,1", "sparse8,3", "sparse16,4", "sparse4=3", "sparse6,1"]
CODES = (-127, 127)


def matrices(name, rows, columns):
    format = format_from_name(name)
    codes = format.draw(np.random.default_rng(0), rows, columns)
    return codes, NativeMatrix(codes, format)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("name", [*PAIRED, *OTHERS])
@pytest.mark.parametrize("span", [(-128, 127), (0, 255), (-32768, 32767), (-128, -128)])
def test_products_are_those_of_the_codes(name, target, span):
    rng = np.random.default_rng(1)
    for rows, columns in ((1, 48), (70, 96), (131, 4848)):
        codes, matrix = matrices(name, rows, columns)
        for frames in (0, 1, 3, 9):
            x = rng.integers(span[0], span[1] + 1, (frames, columns))
            x[:1] = span[0]
            wanted = (x @ codes.T.astype(np.int64)).astype(np.int32)
            assert np.array_equal(matrix.multiply(x, *span, target), wanted)


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("columns", [1, 7, 9, 31, 33, 65])
def test_columns_behind_the_last_count_for_nothing(columns, target):
    codes, matrix = matrices("sparse8,2", 5, columns)
    x = np.full((2, columns), -128)
    assert np.array_equal(matrix.multiply(x, -128, 127, target), x @ codes.T)


@pytest.mark.parametrize("name", PAIRED)
def test_pairs_take_a_byte_for_eight_columns(name):
    codes, matrix = matrices(name, 64, 1024)
    sums = 2 * 4 * 64
    assert matrix.bytes == 64 * 1024 // 8 + sums
    assert NativeMatrix(codes, Ternary()).bytes == 64 * 1024 // 4 + sums // 2


@pytest.mark.parametrize("name", OTHERS)
def test_other_sparse_codes_are_stored_as_ternary(name):
    codes, matrix = matrices(name, 64, 960)
    assert matrix.bytes == NativeMatrix(codes, Ternary()).bytes


def test_wide_asks_for_planes():
    codes, matrix = matrices("sparse8,2", 64, 64)
    assert NativeMatrix(codes, SparseTernary(8, 2), wide=False).bytes == NativeMatrix(codes, Ternary()).bytes
    assert matrix.bytes < NativeMatrix(codes, SparseTernary(8, 2), wide=True).bytes


def test_codes_that_are_not_of_the_format_are_refused():
    with pytest.raises(TargetError, match="of eight columns at most two that are not 0"):
        NativeMatrix(np.ones((2, 8), np.int16), SparseTernary(8, 2))
    with pytest.raises(ArgumentError, match="the matrix takes"):
        matrices("sparse8,2", 2, 8)[1].multiply(np.zeros((1, 7)), -1, 1)


def matrix(rng, name, rows, columns):
    format = format_from_name(name)
    codes = format.draw(rng, rows, columns)
    return ops.Matrix(rows, columns, format, default_layout(format), PerTensor(), pack(codes, format))


def program(name):
    """Products over windows, in a loop, and of single frames."""
    rng, n = np.random.default_rng(0), 48

    def zeros(size):
        return np.zeros(size, np.int64)

    first = ops.Quantize("x", np.full(n, 30, np.float32), np.zeros(n, np.float32), -127, 127)
    conv = ops.Conv("conv", 3, 1, matrix(rng, name, 48, 3 * n), zeros(48), rescale_from(0.1, *CODES))
    gates = rescale_from(8.0, *INT16)
    back = matrix(rng, name, 4 * n, n)
    lstm = ops.LSTM(
        "lstm", n, matrix(rng, name, 4 * n, n), zeros(4 * n), gates, back, gates, rescale_from(1 / 258, *CODES)
    )
    dense = ops.Dense("dense", matrix(rng, name, 76, n), zeros(76) + 5, rescale_from(0.2, 0, 255))
    last = ops.Dense("last", matrix(rng, name, 7, 76), zeros(7), rescale_from(1.0, -30000, 30000))
    return Program((first, conv, lstm, dense, last))


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("name", ["sparse8,2", "sparse4,1", "sparse8,3", "sparse4=3"])
def test_programs_give_the_integers_of_the_reference(name, target):
    made = program(name)
    reference, native = Reference(made.ops), Native(made.ops, target=target)
    x = np.random.default_rng(2).normal(size=(23, 48)).astype(np.float32) * 3
    wanted, _ = reference.step(x, reference.init_state(), True)
    state, found = native.init_state(), []
    for start, stop in ((0, 1), (1, 3), (3, 6), (6, 23)):
        y, state = native.step(x[start:stop], state, stop == 23)
        found.append(y)
    assert np.array_equal(np.concatenate(found), wanted)
    assert len(np.unique(wanted)) > 10


def test_products_and_networks_are_timed():
    assert time_product("sparse8,2", 64, 64, seconds=0.01)["relative_error"] < 0.02
    assert time_network("lstm", 32, 1, 2, "sparse8,2", seconds=0.01)["median_us"] > 0

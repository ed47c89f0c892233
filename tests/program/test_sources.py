"""Features and symbols to codes."""

import numpy as np
import pytest

from fewbit.errors import DecodeError
from fewbit.formats import Int, Ternary
from fewbit.program import Reference, ops
from tests.program.made_by_hand import matrix, narrow, rescale, run, source, vector


def test_features_are_rounded_and_gains_repeated():
    gain, offset = np.array([2, -1], np.float32), np.array([0.25, 0], np.float32)
    op = ops.Quantize("q", gain, offset, -10, 10, repeat=2, first=1)
    x = np.array([[9, 1, 2.5, 100, -0.5]], np.float32)
    assert run(op, x).tolist() == [[2, -2, 10, 1]]
    assert op.reads == 4
    assert op.value([]).size == 4


def test_symbols_are_rows_of_a_table_side_by_side():
    op = ops.Lookup("l", matrix([[1, 2], [3, -4], [5, 6]], Int(4)), narrow(vector(10, 1, 3), 1), places=2, first=1)
    assert run(op, np.array([[7, 2, 0], [7, 1, 1]], np.float32)).tolist() == [[8, 9, 5, 10], [2, -2, 2, -2]]
    one = ops.Lookup("l", matrix([[1], [-1]], Ternary()), narrow(4))
    assert run(one, np.array([[1], [0]], np.float32)).tolist() == [[-4], [4]]
    assert (one.reads, one.macs(), one.value([]).size) == (1, 0, 1)


@pytest.mark.parametrize("symbol", [-1, 3, 0.5, np.nan, np.inf, 1e30])
def test_what_is_no_symbol_is_refused(symbol):
    run_ = Reference((ops.Lookup("words", matrix([[1], [1], [1]]), narrow()),))
    with pytest.raises(DecodeError, match=r"words: a symbol is no integer in 0\.\.2"):
        run_.step(np.array([[0], [symbol]], np.float32), run_.init_state())


@pytest.mark.parametrize("feature", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(feature):
    run_ = Reference((source(2),))
    with pytest.raises(DecodeError, match="features that are NaN or infinite"):
        run_.step(np.array([[0, feature]], np.float32), run_.init_state())


def test_sources_read_their_own_part_of_a_frame():
    graph = (
        source(2, "a", first=1),
        ops.Lookup("b", matrix([[7], [8]]), rescale(1, 0, -99, 99), first=0),
        ops.Take("t", vector(1, 2, 3), inputs=("a", "b")),
    )
    run_ = Reference(graph)
    assert run_.step(np.array([[1, 4, 5]], np.float32), run_.init_state())[0].tolist() == [[4, 5, 8]]
    # The columns that another source reads may be anything.
    run_.step(np.array([[0, 4, 5.5]], np.float32), run_.init_state())

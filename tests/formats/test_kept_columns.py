"""Matrices without their columns of zeros: codes come back, and bytes that no packing writes are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import FormatError
from fewbit.formats import (
    Binary,
    Int,
    SparseTernary,
    Ternary,
    UInt,
    default_layout,
    fits_columns,
    pack,
    pack_columns,
    unpack_columns,
)
from fewbit.formats.kept_codes import MAX_CODES, count_kept

FORMATS = [Ternary(), *(Int(bits) for bits in range(2, 9)), UInt(2), UInt(8)]


@st.composite
def matrices(draw):
    """A format and codes ``(rows, columns)`` of which some columns are zero."""
    format = draw(st.sampled_from(FORMATS))
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kept = rng.random(columns) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return format, rng.choice(format.levels(), (rows, columns)) * kept


@given(matrices())
def test_what_is_packed_comes_back(made):
    format, codes = made
    back = unpack_columns(pack_columns(codes, format), *codes.shape, format)
    assert back.dtype == np.int16
    assert np.array_equal(back, codes)


@given(matrices())
def test_the_bytes_are_the_pattern_and_the_kept_codes(made):
    """Counted column by column, with the codes of each row beside each other."""
    format, codes = made
    places = [place for place in range(codes.shape[1]) if any(codes[:, place])]
    stream = [row[place] for row in codes for place in places]
    data = pack_columns(codes, format)
    assert count_kept(data, codes.shape[1]) == len(places)
    head = int(np.ceil(codes.shape[1] / 8))
    pattern = sum(1 << place for place in places)
    assert int.from_bytes(data[:head].tobytes(), "little") == pattern
    assert data[head:].tolist() == pack(np.array(stream, np.int16), format, default_layout(format)).tolist()


@given(matrices(), st.data())
def test_any_bytes_are_refused_or_are_what_packing_writes(made, data):
    format, codes = made
    raw = pack_columns(codes, format)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        found = unpack_columns(raw, *codes.shape, format)
    except FormatError:
        return
    assert pack_columns(found, format).tolist() == raw.tolist()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_bytes_shrink_as_columns_do(bits):
    """Half of the columns of 64 x 576 codes are half of the bytes, and a bit for each column."""
    rng = np.random.default_rng(0)
    kept = rng.permutation(576) < 288
    codes = rng.choice([-1, 1], (64, 576)) * kept
    assert pack_columns(codes, Int(bits)).nbytes == 576 // 8 + pack(codes, Int(bits)).nbytes // 2


@pytest.mark.parametrize(
    ("rows", "columns", "format"),
    [(2, 6, Binary()), (2, 8, SparseTernary(8, 2)), (2, MAX_CODES // 2 + 1, Ternary())],
)
def test_what_the_layout_does_not_hold_is_refused(rows, columns, format):
    assert not fits_columns(rows, columns, format)
    with pytest.raises(FormatError, match="layout columns does not hold"):
        unpack_columns(np.zeros(1, np.uint8), rows, columns, format)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "the pattern of 4 columns takes 1 bytes, not 0"),
        ([0x1A, 47], "unused bits at the end of a pattern of columns must be 0"),
        ([10], "2 kept columns of 2 ternary codes take 1 bytes, not 0"),
        ([10, 47, 0], "2 kept columns of 2 ternary codes take 1 bytes, not 2"),
        ([10, 40], "a column of zeros is stored as a kept one"),
        ([10, 47 + 81], "unused places at the end of a row must be 0"),
        ([10, 250], "byte 250 holds no five trits"),
        ([[10, 47]], "packed columns are bytes .* in one axis, not uint8 in 2"),
    ],
)
def test_bytes_that_no_packing_writes_are_refused(data, fault):
    with pytest.raises(FormatError, match=fault):
        unpack_columns(np.array(data, np.uint8), 2, 4, Ternary())


def test_a_code_outside_of_the_format_is_refused():
    with pytest.raises(FormatError, match="code 2 is not one of ternary's codes"):
        pack_columns(np.array([[2, 0]]), Ternary())

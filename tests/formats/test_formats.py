"""Formats and packing: what is packed comes back, every byte is as documented, and nothing else is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import FormatError
from fewbit.formats import (
    Binary,
    FixedPoint,
    Int,
    PerGroup,
    Ternary,
    UInt,
    default_layout,
    format_from_name,
    pack,
    packed_shape,
    unpack,
)

WEIGHTS = [*map(Int, range(2, 9)), *map(UInt, range(2, 9)), Ternary(), Binary()]
PACKINGS = [(format, "bits") for format in WEIGHTS] + [(Ternary(), "trits")]
packings = pytest.mark.parametrize(("format", "layout"), PACKINGS, ids=lambda part: str(part))


@st.composite
def codes_of(draw, format):
    shape = [*draw(st.lists(st.integers(0, 4), max_size=2)), draw(st.integers(0, 23))]
    size = int(np.prod(shape))
    values = draw(st.lists(st.sampled_from(format.levels().tolist()), min_size=size, max_size=size))
    return np.array(values, np.int16).reshape(shape)


@packings
@given(st.data())
def test_what_is_packed_comes_back(format, layout, data):
    codes = data.draw(codes_of(format))
    packed = pack(codes, format, layout)
    assert packed.dtype == np.uint8
    assert packed.shape == (*codes.shape[:-1], packed_shape(1, codes.shape[-1], format, layout)[-1])
    back = unpack(packed, codes.shape[-1], format, layout)
    assert back.shape == codes.shape
    assert np.array_equal(back, codes)


@packings
@given(st.data())
def test_any_bytes_are_refused_or_are_what_packing_writes(format, layout, data):
    columns = data.draw(st.integers(0, 12))
    size = packed_shape(1, columns, format, layout)[-1]
    raw = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8)
    try:
        codes = unpack(raw, columns, format, layout)
    except FormatError:
        return
    assert np.array_equal(pack(codes, format, layout), raw)


@packings
@given(st.data())
def test_each_row_starts_at_a_byte_of_its_own(format, layout, data):
    columns = data.draw(st.integers(1, 12))
    rows = data.draw(st.lists(st.sampled_from(format.levels().tolist()), min_size=3 * columns, max_size=3 * columns))
    codes = np.reshape(rows, (3, columns))
    alone = [pack(row, format, layout) for row in codes]
    assert np.array_equal(pack(codes, format, layout), np.stack(alone))


@pytest.mark.parametrize("format", WEIGHTS, ids=str)
@pytest.mark.parametrize("columns", range(18))
def test_a_row_has_the_fewest_bytes_that_hold_its_bits(format, columns):
    assert packed_shape(1, columns, format, "bits")[-1] == int(np.ceil(columns * format.bits / 8))


@pytest.mark.parametrize(("columns", "size"), [(0, 0), (1, 1), (5, 1), (6, 2), (10, 2), (11, 3), (1000, 200)])
def test_five_trits_share_a_byte(columns, size):
    assert default_layout(Ternary()) == "trits"
    assert packed_shape(1, columns, Ternary())[-1] == size


@pytest.mark.parametrize(
    ("codes", "format", "layout", "bytes_"),
    [
        ([0, 1, -1, -1, -1], Ternary(), "trits", [1 + 2 * 3]),  # the first trit has the lowest place
        ([1, 1, 1, 1, 1], Ternary(), "trits", [242]),
        ([1, 1, 1, 1, 1, 0], Ternary(), "trits", [242, 1]),
        ([-1, 0, 1, 0], Ternary(), "bits", [0b01_10_01_00]),
        ([-1, 1, 1, -1, -1, -1, -1, -1, 1], Binary(), "bits", [0b00000110, 0b1]),
        ([-7, 7], Int(4), "bits", [0xE0]),
        ([0, 0, 1], Int(4), "bits", [0x77, 0x08]),
        ([-3, -2, 3], Int(3), "bits", [0b10_001_000, 0b1]),  # a code may lie across two bytes
        ([-127, 0, 127], Int(8), "bits", [0, 127, 254]),
        ([0, 255, 1], UInt(8), "bits", [0, 255, 1]),
    ],
)
def test_bytes_are_as_documented(codes, format, layout, bytes_):
    assert pack(np.array(codes), format, layout).tolist() == bytes_


@pytest.mark.parametrize("format", [*map(Int, range(2, 9)), Ternary(), Binary()], ids=str)
def test_signed_levels_are_symmetric(format):
    levels = format.levels()
    assert np.array_equal(levels, -levels[::-1])
    assert (format.lo, format.hi) == (levels[0], levels[-1])


@pytest.mark.parametrize("format", [*WEIGHTS, FixedPoint(3, 12), FixedPoint(0, 1)], ids=str)
def test_levels_rise_and_fit_their_bits(format):
    assert (np.diff(format.levels().astype(int)) > 0).all()
    assert len(format.levels()) <= 2**format.bits


@pytest.mark.parametrize("format", [*WEIGHTS, FixedPoint(3, 12), FixedPoint(0, 15)], ids=str)
def test_names_lead_back_to_their_format(format):
    assert format_from_name(format.name) == format


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("int1", "int1: wanted 2 to 8 bits"),
        ("int9", "int9: wanted 2 to 8 bits"),
        ("int10", "int10: wanted 2 to 8 bits"),
        ("uint1", "uint1: wanted 2 to 8 bits"),
        ("q3.13", "q3.13: 1 [+] m [+] n must lie in 2..16 bits"),
        ("q0.0", "must lie in 2..16 bits"),
        ("int", "unknown format 'int'; wanted ternary, binary, int2..int8"),
        ("Int4", "unknown format 'Int4'"),
        ("int4 ", "unknown format 'int4 '"),
        ("int-4", "unknown format 'int-4'"),
        ("", "unknown format ''"),
    ],
)
def test_other_names_are_refused(name, fault):
    with pytest.raises(FormatError, match=fault):
        format_from_name(name)


@pytest.mark.parametrize(
    ("code", "format"),
    [(-8, Int(4)), (8, Int(4)), (-1, UInt(4)), (16, UInt(4)), (2, Ternary()), (0, Binary()), (np.nan, Int(8))],
)
def test_a_code_outside_the_code_book_is_refused(code, format):
    with pytest.raises(FormatError, match=f"code {code} is not one of {format}'s codes"):
        pack(np.array([format.hi, code]), format)


@pytest.mark.parametrize(
    ("data", "columns", "format", "layout", "fault"),
    [
        ([0, 0], 5, Ternary(), "trits", "a row of 5 ternary codes in layout trits has 1 bytes, not 2"),
        ([], 1, Int(4), "bits", "has 1 bytes, not 0"),
        (0, 1, Int(4), "bits", "has 1 bytes, not 0"),
        ([243], 5, Ternary(), "trits", "byte 243 holds no five trits; the largest is 242"),
        ([255], 5, Ternary(), "trits", "byte 255 holds no five trits"),
        ([81], 4, Ternary(), "trits", "unused places at the end of a row must be 0"),
        ([0xF0], 1, Int(4), "bits", "unused places at the end of a row must be 0"),
        ([0x40], 2, Int(3), "bits", "unused bits at the end of a row must be 0"),
        ([3], 1, Ternary(), "bits", "index 3 is outside the 3 codes of ternary"),
        ([255], 1, Int(8), "bits", "index 255 is outside the 255 codes of int8"),
        ([0], 1, Int(8), "nibbles", "unknown layout 'nibbles'; wanted one of bits, trits"),
        ([0], 1, Int(2), "trits", "layout trits holds ternary codes only, not int2"),
        ([0, 0], 1, FixedPoint(3, 12), "bits", "q3.12 is a format of signals; only weights are packed"),
    ],
)
def test_bytes_that_no_packing_writes_are_refused(data, columns, format, layout, fault):
    with pytest.raises(FormatError, match=fault):
        unpack(np.array(data, np.uint8), columns, format, layout)


def test_a_single_number_and_an_empty_group_are_refused():
    with pytest.raises(FormatError, match="a single number has no axis to pack"):
        pack(np.array(1), Int(4))
    with pytest.raises(FormatError, match="a group has at least one weight, not 0"):
        PerGroup(0)

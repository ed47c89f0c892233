"""Sparse ternary codes: the patterns counted by force, every byte and word, and what is refused."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import FormatError
from fewbit.formats import (
    Int,
    SparseTernary,
    Ternary,
    default_layout,
    format_from_name,
    obeys,
    pack,
    packed_shape,
    unpack,
)
from fewbit.formats.sparse_ternary import patterns

FORMATS = [
    *(SparseTernary(n, k) for n, k in [(2, 1), (3, 2), (4, 1), (4, 2), (8, 1), (8, 2), (8, 3), (8, 8), (16, 2)]),
    *(SparseTernary(n, k, exact=True) for n, k in [(4, 3), (8, 2)]),
]
PACKINGS = [(each, "table") for each in FORMATS] + [(SparseTernary(8, k), "pairs") for k in (1, 2)]
PACKINGS.append((SparseTernary(8, 2, exact=True), "pairs"))
packings = pytest.mark.parametrize(("format", "layout"), PACKINGS, ids=str)


def allowed(pattern, format):
    count = sum(code != 0 for code in pattern)
    return count == format.k if format.exact else count <= format.k


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("n", "k"), [(n, k) for n in range(2, 9) for k in range(1, n + 1)])
def test_patterns_are_those_that_enumeration_finds(n, k, exact):
    format = SparseTernary(n, k, exact)
    found = {pattern for pattern in product((-1, 0, 1), repeat=n) if allowed(pattern, format)}
    assert format.words == len(found)
    assert {tuple(pattern) for pattern in patterns(format).tolist()} == found
    assert 2 ** (format.word_bits - 1) < len(found) <= 2**format.word_bits


@pytest.mark.parametrize(
    ("name", "words", "bits"),
    [
        ("sparse4,1", 9, 4),
        ("sparse4,2", 33, 6),
        ("sparse8,1", 17, 5),
        ("sparse8,2", 129, 8),
        ("sparse8,3", 577, 10),
        ("sparse8,4", 1697, 11),
        ("sparse8,8", 3**8, 13),
        ("sparse16,2", 513, 10),
        ("sparse16,4", 34113, 16),
        ("sparse4=3", 32, 5),
    ],
)
def test_words_and_their_bits_are_those_of_the_paper(name, words, bits):
    format = format_from_name(name)
    assert (format.name, format.words, format.word_bits) == (name, words, bits)
    assert format.levels().tolist() == [-1, 0, 1]


def test_the_order_of_patterns_is_count_then_places_then_signs():
    wanted = [
        *([0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]),
        *([1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0], [1, 0, 1], [1, 0, -1], [-1, 0, 1], [-1, 0, -1]),
        *([0, 1, 1], [0, 1, -1], [0, -1, 1], [0, -1, -1]),
    ]
    assert patterns(SparseTernary(3, 2)).tolist() == wanted


@packings
@given(st.data())
def test_what_is_packed_comes_back(format, layout, data):
    rows, columns = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 40))
    columns -= columns % format.n if format.exact else 0
    codes = format.draw(np.random.default_rng(data.draw(st.integers(0, 99))), rows, columns)
    assert obeys(codes, format)
    packed = pack(codes, format, layout)
    assert packed.shape == packed_shape(rows, columns, format, layout)
    assert np.array_equal(unpack(packed, columns, format, layout, rows), codes)
    groups = rows * -(-columns // format.n)
    assert packed.nbytes == (-(-groups * format.word_bits // 8) if layout == "table" else groups)


@packings
@given(st.data())
def test_any_bytes_are_refused_or_are_what_packing_writes(format, layout, data):
    rows, columns = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 20))
    columns -= columns % format.n if format.exact else 0
    shape = packed_shape(rows, columns, format, layout)
    size = int(np.prod(shape))
    raw = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), np.uint8).reshape(shape)
    try:
        codes = unpack(raw, columns, format, layout, rows)
    except FormatError:
        return
    assert np.array_equal(pack(codes, format, layout), raw)


def by_nibbles(byte):
    """The pattern of a byte by the words of the documentation, or nothing."""
    low, high = byte & 15, byte >> 4
    pattern = np.zeros(8, int)
    pattern[low & 7] += -1 if low & 8 else 1
    if high & 7:
        pattern[high & 7] += -1 if high & 8 else 1
    elif high:
        return None
    places = np.flatnonzero(pattern)
    ordered = byte == 0x91 or (high == 0 and len(places) == 1) or (len(places) == 2 and low & 7 < high & 7)
    return pattern if ordered and abs(pattern).max(initial=0) <= 1 else None


@pytest.mark.parametrize(("format", "legal"), [(SparseTernary(8, 2), 129), (SparseTernary(8, 1), 17)], ids=str)
def test_every_byte_of_pairs_is_the_sum_of_its_nibbles_or_refused(format, legal):
    seen = 0
    for byte in range(256):
        raw, wanted = np.array([[byte]], np.uint8), by_nibbles(byte)
        if wanted is None or np.count_nonzero(wanted) > format.k:
            with pytest.raises(FormatError, match=f"byte 0x{byte:02x} is no group of {format} in the layout pairs"):
                unpack(raw, 8, format, "pairs")
            continue
        assert unpack(raw, 8, format, "pairs").tolist() == [wanted.tolist()]
        seen += 1
    assert seen == legal


def test_every_word_of_a_table_is_its_pattern_or_refused():
    format = SparseTernary(4, 2)
    for word in range(64):
        raw = np.array([word], np.uint8)
        if word < 33:
            assert unpack(raw, 4, format, rows=1).tolist() == [patterns(format)[word].tolist()]
        else:
            with pytest.raises(FormatError, match=f"word {word} is outside the 33 patterns of sparse4,2"):
                unpack(raw, 4, format, rows=1)


@pytest.mark.parametrize(
    ("codes", "format", "layout", "bytes_"),
    [
        ([[0] * 8], SparseTernary(8, 2), "pairs", [[0x91]]),
        ([[0, 0, 0, -1, 0, 0, 0, 0]], SparseTernary(8, 2), "pairs", [[0x0B]]),
        ([[1, 0, 0, 0, 0, 0, 0, -1]], SparseTernary(8, 2), "pairs", [[0xF0]]),
        ([[0, -1, 1, 0, 0, 0, 0, 0, 1]], SparseTernary(8, 2), "pairs", [[0x29, 0x00]]),
        ([[0, 0, 0, 1], [0, 0, -1, 0]], SparseTernary(4, 1), "table", [7 | 6 << 4]),  # rows share a byte
        ([[0] * 8] * 3, SparseTernary(8, 1), "table", [0, 0]),  # three words of five bits
        ([[-1, -1, -1, 0]], SparseTernary(4, 3, exact=True), "table", [7]),
    ],
)
def test_bytes_are_as_documented(codes, format, layout, bytes_):
    assert pack(np.array(codes), format, layout).tolist() == bytes_


def test_pairs_are_the_default_where_they_take_no_more_bytes():
    defaults = {each.name: default_layout(each) for each in FORMATS}
    assert [name for name, layout in defaults.items() if layout == "pairs"] == ["sparse8,2"]
    assert set(defaults.values()) == {"pairs", "table"}


def test_two_of_eight_take_a_thirty_second_of_float():
    assert 32 * np.prod(packed_shape(1024, 1024, SparseTernary(8, 2))) == 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("sparse8,9", "sparse8,9: wanted groups of 2 to 16 columns with 1 or more non-zeros"),
        ("sparse17,1", "sparse17,1: wanted groups of 2 to 16 columns"),
        ("sparse16,5", "sparse16,5 has 173889 patterns, wanted at most 65536"),
        ("sparse8,0", "unknown format 'sparse8,0'"),
        ("sparse8", "unknown format 'sparse8'"),
        ("sparse8,2,1", "unknown format"),
    ],
)
def test_other_names_are_refused(name, fault):
    with pytest.raises(FormatError, match=fault):
        format_from_name(name)


@pytest.mark.parametrize(
    ("codes", "format", "fault"),
    [
        (
            [[0] * 8, [1] * 8],
            SparseTernary(8, 2),
            "group 0 of row 1 has 8 codes that are not zero; sparse8,2 has at most",
        ),
        (
            [[1, 0, 0, 0]],
            SparseTernary(4, 3, exact=True),
            "has 1 codes that are not zero; sparse4=3 has exactly 3 of 4",
        ),
        ([[1, 1, 1]], SparseTernary(4, 3, exact=True), "sparse4=3 needs whole groups of 4 columns, not 3 columns"),
        ([[2, 0]], SparseTernary(2, 1), "code 2 is not one of sparse2,1's codes"),
    ],
)
def test_codes_that_break_the_structure_are_refused(codes, format, fault):
    with pytest.raises(FormatError, match=fault):
        pack(np.array(codes), format)


@pytest.mark.parametrize(
    ("data", "columns", "format", "layout", "rows", "fault"),
    [
        ([0], 4, SparseTernary(4, 1), "table", None, "say how many rows it holds"),
        ([0, 0], 4, SparseTernary(4, 1), "table", 2, "2 x 4 sparse4,1 codes in layout table have 1 bytes in one axis"),
        ([[0]], 4, SparseTernary(4, 1), "table", 2, r"have 1 bytes in one axis, not \(1, 1\)"),
        ([0x10], 4, SparseTernary(4, 1), "table", 1, "unused bits at the end of a matrix must be 0"),
        ([7], 3, SparseTernary(4, 1), "table", 1, "unused places at the end of a row must be 0"),
        ([[0x70]], 7, SparseTernary(8, 2), "pairs", None, "unused places at the end of a row must be 0"),
        (
            [[0, 0]],
            8,
            SparseTernary(8, 2),
            "pairs",
            None,
            "a row of 8 sparse8,2 codes in layout pairs has 1 bytes, not 2",
        ),
        ([0], 4, SparseTernary(4, 1), "pairs", None, "layout pairs holds at most two non-zeros of eight columns"),
        ([0], 4, SparseTernary(4, 1), "bits", None, "sparse4,1 has no layout bits"),
        ([0], 4, Ternary(), "table", None, "ternary has no layout table"),
        ([0], 4, Int(2), "pairs", None, "int2 has no layout pairs"),
    ],
)
def test_bytes_that_no_packing_writes_are_refused(data, columns, format, layout, rows, fault):
    with pytest.raises(FormatError, match=fault):
        unpack(np.array(data, np.uint8), columns, format, layout, rows)

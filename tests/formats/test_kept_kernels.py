"""Convolutions without their kernels of zeros: codes come back, and bytes that no packing writes are refused."""

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
    fits_kernels,
    pack,
    pack_kernels,
    unpack_kernels,
)
from fewbit.formats.kept_codes import MAX_CODES, count_kept, pattern_bytes

FORMATS = [Ternary(), *(Int(bits) for bits in range(2, 9)), UInt(2), UInt(8)]


@st.composite
def convolutions(draw):
    """A format, codes ``(rows, taps * maps)`` of which some kernels are zero, and the number of maps."""
    format = draw(st.sampled_from(FORMATS))
    rows, maps, taps = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 10))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kernels = rng.choice(format.levels(), (rows, taps, maps))
    kept = rng.random((rows, 1, maps)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    return format, (kernels * kept).reshape(rows, taps * maps), maps


@given(convolutions())
def test_what_is_packed_comes_back(made):
    format, codes, maps = made
    data = pack_kernels(codes, maps, format)
    back = unpack_kernels(data, *codes.shape, maps, format)
    assert back.dtype == np.int16
    assert np.array_equal(back, codes)


@given(convolutions())
def test_the_bytes_are_the_pattern_and_the_kept_codes(made):
    """Counted kernel by kernel, with the codes of each beside each other."""
    format, codes, maps = made
    rows = len(codes)
    kernels = [codes[row, first::maps] for row in range(rows) for first in range(maps)]
    kept = [kernel for kernel in kernels if any(kernel)]
    stream = np.concatenate(kept) if kept else np.zeros(0, np.int16)
    data = pack_kernels(codes, maps, format)
    assert count_kept(data, rows * maps) == len(kept)
    head = pattern_bytes(rows * maps)
    assert head == int(np.ceil(rows * maps / 8))
    assert data[head:].tolist() == pack(stream, format, default_layout(format)).tolist()


@given(convolutions(), st.data())
def test_any_bytes_are_refused_or_are_what_packing_writes(made, data):
    format, codes, maps = made
    raw = pack_kernels(codes, maps, format)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))
    try:
        found = unpack_kernels(raw, *codes.shape, maps, format)
    except FormatError:
        return
    assert pack_kernels(found, maps, format).tolist() == raw.tolist()


def test_pruned_kernels_cost_one_bit():
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 8, (64, 9, 64)) * (rng.random((64, 1, 64)) < 0.2)
    kept = np.count_nonzero(codes.any(axis=1))
    data = pack_kernels(codes.reshape(64, -1), 64, Int(4))
    assert data.nbytes == 64 * 64 // 8 + int(np.ceil(kept * 9 * 4 / 8))
    assert data.nbytes < 0.26 * pack(codes.reshape(64, -1), Int(4)).nbytes


@pytest.mark.parametrize(
    ("rows", "columns", "maps", "format"),
    [
        (2, 6, 4, Ternary()),
        (2, 6, 0, Ternary()),
        (2, 6, 12, Ternary()),
        (2, 6, 2, Binary()),
        (2, 8, 2, SparseTernary(8, 2)),
        (2, MAX_CODES // 2 + 2, 2, Ternary()),
    ],
)
def test_what_the_layout_does_not_hold_is_refused(rows, columns, maps, format):
    assert not fits_kernels(rows, columns, maps, format)
    with pytest.raises(FormatError, match="layout kernels does not hold"):
        unpack_kernels(np.zeros(1, np.uint8), rows, columns, maps, format)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "the pattern of 2 x 2 kernels takes 1 bytes, not 0"),
        ([0x11, 20], "unused bits at the end of a pattern"),
        ([1], "1 kept kernels of 3 ternary codes take 1 bytes, not 0"),
        ([1, 20, 0], "1 kept kernels of 3 ternary codes take 1 bytes, not 2"),
        ([1, 13], "a kernel of zeros is stored as a kept one"),
        ([1, 20 + 81], "unused places at the end of a row must be 0"),
        ([1, 250], "byte 250 holds no five trits"),
        ([[1, 20]], "in one axis, not uint8 in 2"),
    ],
)
def test_bytes_that_no_packing_writes_are_refused(data, fault):
    with pytest.raises(FormatError, match=fault):
        unpack_kernels(np.array(data, np.uint8), 2, 6, 2, Ternary())


def test_a_code_outside_of_the_format_is_refused():
    with pytest.raises(FormatError, match="code 2 is not one of ternary's codes"):
        pack_kernels(np.array([[2, 0]]), 2, Ternary())

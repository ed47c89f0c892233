"""How groups of sparse ternary codes lie in bytes: layouts ``table`` and ``pairs``.

    ``table``  the word of each group, its place in `fewbit.formats.sparse_ternary.patterns`, as one little-endian
               stream of bits over the whole matrix; rows follow each other without padding
    ``pairs``  for at most two non-zeros of eight: one byte a group, two nibbles ``sign << 3 | position`` (sign 1 is
               minus) whose sum is the pattern. In the high nibble, position 0 means nothing, and only 0 is written.
               Two non-zeros: the left one in the low nibble. One: in the low nibble. None: 0x91, +1 and -1 at
               position 1

All work is look-ups in tables, a few bytes of memory for each byte of the matrix.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.sparse_ternary import SparseTernary, in_groups, patterns

PAIR_COLUMNS, PAIR_CODES = 8, 2
NOTHING = 0x91
_ILLEGAL = 1 << 31


def fits_pairs(format: SparseTernary) -> bool:
    """Whether the layout ``pairs`` can hold the format."""
    return format.n == PAIR_COLUMNS and format.k <= PAIR_CODES


def table_bytes(rows: int, columns: int, format: SparseTernary) -> int:
    """Bytes of a matrix in the layout ``table``."""
    return -(-rows * -(-columns // format.n) * format.word_bits // 8)


def pack_table(codes: NDArray[np.integer], format: SparseTernary) -> NDArray[np.uint8]:
    """Codes ``(rows, columns)`` to the bytes ``(table_bytes,)`` of their words."""
    words = _words(codes, format).reshape(-1).astype(np.uint32)
    bits = np.empty((len(words), format.word_bits), np.uint8)
    for bit in range(format.word_bits):
        bits[:, bit] = (words >> np.uint32(bit)) & 1
    return np.packbits(bits.reshape(-1), bitorder="little")


def unpack_table(data: NDArray[np.uint8], rows: int, columns: int, format: SparseTernary) -> NDArray[np.int16]:
    """The inverse of `pack_table`."""
    groups, bits = -(-columns // format.n), format.word_bits
    count = rows * groups
    if count * bits % 8 and data[-1] >> (count * bits % 8):
        raise FormatError("unused bits at the end of a matrix must be 0")
    starts = np.arange(count, dtype=np.int64) * bits
    first = starts >> 3
    padded = np.concatenate([data, np.zeros(2, np.uint8)])
    # A word has at most 16 bits, so three bytes hold it wherever it begins.
    words = padded[first].astype(np.uint32)
    words |= padded[first + 1].astype(np.uint32) << np.uint32(8)
    words |= padded[first + 2].astype(np.uint32) << np.uint32(16)
    words = (words >> (starts & 7).astype(np.uint32)) & np.uint32((1 << bits) - 1)
    if count and int(words.max()) >= format.words:
        raise FormatError(f"word {int(words.max())} is outside the {format.words} patterns of {format}")
    return _cut(patterns(format)[words.reshape(rows, groups)], columns)


def pack_pairs(codes: NDArray[np.integer], format: SparseTernary) -> NDArray[np.uint8]:
    """Codes ``(rows, columns)`` to one byte for each group, ``(rows, groups)``."""
    return _pair_tables(format)[0][_words(codes, format)]


def unpack_pairs(data: NDArray[np.uint8], columns: int, format: SparseTernary) -> NDArray[np.int16]:
    """The inverse of `pack_pairs`."""
    words = _pair_tables(format)[1][data]
    if words.size and int(words.max()) == _ILLEGAL:
        strange = data[words == _ILLEGAL].flat[0]
        raise FormatError(f"byte 0x{strange:02x} is no group of {format} in the layout pairs")
    return _cut(patterns(format)[words], columns)


@cache
def _pair_tables(format: SparseTernary) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """The byte of each word, and the word of each byte."""
    bytes_ = np.empty(format.words, np.uint8)
    for word, pattern in enumerate(patterns(format)):
        nibbles = [int(place) | (8 if pattern[place] < 0 else 0) for place in np.flatnonzero(pattern)]
        bytes_[word] = sum(nibble << 4 * i for i, nibble in enumerate(nibbles)) if nibbles else NOTHING
    words = np.full(256, _ILLEGAL, np.uint32)
    words[bytes_] = np.arange(format.words, dtype=np.uint32)
    return bytes_, words


@cache
def _sorted_keys(format: SparseTernary) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    keys = _keys(patterns(format))
    order = np.argsort(keys)
    return keys[order], order


def _keys(groups: NDArray[np.int8]) -> NDArray[np.int32]:
    """A number of its own for each pattern ``(..., n)``: its codes as places of base 3."""
    key = np.zeros(groups.shape[:-1], np.int32)
    for column in range(groups.shape[-1]):
        key = 3 * key + (groups[..., column] + 1)
    return key


def _words(codes: NDArray[np.integer], format: SparseTernary) -> NDArray[np.intp]:
    """The word of each group, ``(rows, groups)``."""
    groups = in_groups(codes, format)
    keys, order = _sorted_keys(format)
    wanted = _keys(groups)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = keys[place] == wanted
    if not known.all():
        row, group = (int(each[0]) for each in np.nonzero(~known))
        found = int(np.count_nonzero(groups[row, group]))
        raise FormatError(
            f"group {group} of row {row} has {found} codes that are not zero; {format} has "
            f"{'exactly' if format.exact else 'at most'} {format.k} of {format.n}"
        )
    return order[place]


def _cut(groups: NDArray[np.int8], columns: int) -> NDArray[np.int16]:
    """Groups ``(rows, groups, n)`` as codes ``(rows, columns)``, without what fills up the last group."""
    rows, count, n = groups.shape
    wide = groups.reshape(rows, count * n)
    if wide[:, columns:].any():
        raise FormatError("unused places at the end of a row must be 0")
    return wide[:, :columns].astype(np.int16)

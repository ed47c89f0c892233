"""A pattern of bits, and the codes of what it keeps: what the layouts ``kernels`` and ``columns`` have in common.

    pattern   a bit for each part of a matrix, the first in the lowest bit of byte 0: 1 if the part is kept
    codes     of the kept parts as one row of the format's plain layout

One bit a part and not a list of the kept ones: a list is smaller only where fewer than one part in ``log2(parts)`` is
kept, and saves little there: of 64 x 64 kernels of which 13 % are kept, 57 of 512 bytes.
"""

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import Format
from fewbit.formats.packing import default_layout, pack, packed_shape, unpack
from fewbit.formats.sparse_ternary import SparseTernary

MAX_CODES = 1 << 24
"""Codes of a matrix: a part of any size that is left out takes one bit, and its reader makes room for it."""


def holds(rows: int, columns: int, format: Format) -> bool:
    """Whether parts of zeros can be left out of codes ``(rows, columns)``."""
    codes = format.lo <= 0 <= format.hi and 0 in format.levels() and not isinstance(format, SparseTernary)
    return codes and rows * columns <= MAX_CODES


def pattern_bytes(parts: int) -> int:
    """Bytes that say which parts are kept."""
    return -(-parts // 8)


def count_kept(data: NDArray[np.uint8], parts: int) -> int:
    """How many parts the bytes of a matrix hold."""
    return int(np.unpackbits(data[: pattern_bytes(parts)]).sum())


def pack_kept(kept: NDArray[np.bool_], codes: NDArray[np.integer], format: Format) -> NDArray[np.uint8]:
    """Which parts are kept, and their codes, to bytes.

    Raises:
        FormatError: a code is not in the format's code book.
    """
    pattern = np.packbits(kept.reshape(-1), bitorder="little")
    return np.concatenate([pattern, pack(codes.reshape(-1), format, default_layout(format))])


def unpack_kept(
    data: NDArray[np.uint8], parts: int, size: int, format: Format, noun: str, said: str
) -> tuple[NDArray[np.bool_], NDArray[np.int16]]:
    """Bytes to which of so many parts are kept, and their codes; the inverse of `pack_kept`.

    Args:
        size: codes of a part.
        noun, said: what the parts are, and how many, for messages.

    Raises:
        FormatError: there are too many or too few bytes, or bytes that `pack_kept` never writes.
    """
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.ndim != 1:
        raise FormatError(f"packed {noun} are bytes (uint8) in one axis, not {data.dtype} in {data.ndim}")
    head = pattern_bytes(parts)
    if len(data) < head:
        raise FormatError(f"the pattern of {said} takes {head} bytes, not {len(data)}")
    bits = np.unpackbits(data[:head], bitorder="little")
    if bits[parts:].any():
        raise FormatError(f"unused bits at the end of a pattern of {noun} must be 0")
    kept = bits[:parts].astype(bool)
    stored, layout = int(kept.sum()), default_layout(format)
    (wanted,) = packed_shape(1, stored * size, format, layout)[1:]
    if len(data) - head != wanted:
        raise FormatError(f"{stored} kept {noun} of {size} {format} codes take {wanted} bytes, not {len(data) - head}")
    return kept, unpack(data[head:], stored * size, format, layout)

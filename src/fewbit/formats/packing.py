"""How codes lie in bytes.

The last axis is packed. In three layouts every row starts at a byte of its own; in ``table`` rows follow each other
without padding. What is stored is the *index* of a code in its format's code book, never a signed number:

    ``bits``   `Format.bits` wide indices as one little-endian bit stream (index 0 in the lowest bits of byte 0)
    ``trits``  five ternary indices a byte, base 3, the first in the lowest place: 1.6 bits a weight
    ``table``  sparse ternary groups as words of a fixed length, see `fewbit.formats.group_words`
    ``pairs``  sparse ternary groups of at most two non-zeros of eight, a byte each

Two more layouts leave out zeros: ``kernels`` those of whole kernels (`fewbit.formats.kept_kernels`), ``columns`` those
of whole columns (`fewbit.formats.kept_columns`).

Unused places at the end of a row hold index 0, and those of a sparse group hold zeros.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import FixedPoint, Format, Ternary
from fewbit.formats.group_words import (
    fits_pairs,
    pack_pairs,
    pack_table,
    table_bytes,
    unpack_pairs,
    unpack_table,
)
from fewbit.formats.sparse_ternary import SparseTernary

LAYOUTS = ("bits", "trits", "table", "pairs")
TRITS_PER_BYTE = 5
_PLACES = 3 ** np.arange(TRITS_PER_BYTE, dtype=np.int16)
_TRITS = (np.arange(3**TRITS_PER_BYTE)[:, None] // _PLACES % 3).astype(np.uint8)
"""The five indices of each byte."""


def default_layout(format: Format) -> str:
    """The smallest layout of a format: ``trits`` for ternary, ``pairs`` or ``table`` for sparse codes, else ``bits``.

    Examples:
        >>> from fewbit.formats import Int, SparseTernary, Ternary
        >>> default_layout(Ternary()), default_layout(SparseTernary(8, 2)), default_layout(Int(4))
        ('trits', 'pairs', 'bits')
    """
    if isinstance(format, SparseTernary):
        return "pairs" if fits_pairs(format) and format.word_bits >= 8 else "table"
    return "trits" if isinstance(format, Ternary) else "bits"


def packed_shape(rows: int, columns: int, format: Format, layout: str | None = None) -> tuple[int, ...]:
    """Shape of the bytes of a packed matrix: ``(rows, bytes of a row)``, or ``(bytes,)`` in the layout ``table``.

    Raises:
        FormatError: the layout cannot hold the format.

    Examples:
        >>> from fewbit.formats import Int, SparseTernary, Ternary
        >>> packed_shape(2, 100, Int(4), "bits"), packed_shape(2, 100, Ternary(), "trits")
        ((2, 50), (2, 20))
        >>> packed_shape(3, 100, SparseTernary(8, 3))  # 39 words of 10 bits
        (49,)
    """
    layout = _check_layout(format, layout)
    if isinstance(format, SparseTernary):
        if format.exact and columns % format.n:
            raise FormatError(f"{format} needs whole groups of {format.n} columns, not {columns} columns")
        return (rows, -(-columns // format.n)) if layout == "pairs" else (table_bytes(rows, columns, format),)
    return rows, _row_bytes(columns, format, layout)


def _row_bytes(columns: int, format: Format, layout: str) -> int:
    return -(-columns // TRITS_PER_BYTE) if layout == "trits" else -(-columns * format.bits // 8)


def pack(codes: NDArray[np.integer], format: Format, layout: str | None = None) -> NDArray[np.uint8]:
    """Pack integer `codes` (..., columns) into bytes (..., bytes of a row), or one axis in the layout ``table``.

    Raises:
        FormatError: a code is not in the format's code book, or a sparse group has too many codes that are not zero.

    Examples:
        >>> import numpy as np
        >>> pack(np.array([[-1, 0, 1, 1, 0]]), Ternary()).tolist()
        [[156]]
    """
    layout = _check_layout(format, layout)
    codes = np.asarray(codes)
    if codes.ndim == 0:
        raise FormatError("a single number has no axis to pack; wanted shape (..., columns)")
    index = _index(codes, format)
    *rows, columns = index.shape
    if isinstance(format, SparseTernary):
        flat = codes.reshape(math.prod(rows), columns)
        if layout == "table":
            return pack_table(flat, format)
        return pack_pairs(flat, format).reshape(*rows, -(-columns // format.n))
    if layout == "trits":
        width = _row_bytes(columns, format, layout)
        padded = np.zeros((*rows, width * TRITS_PER_BYTE), np.int16)
        padded[..., :columns] = index
        grouped = padded.reshape(*rows, width, TRITS_PER_BYTE)
        return np.asarray((grouped * _PLACES).sum(axis=-1), np.uint8)
    bits = (index[..., None] >> np.arange(format.bits)) & 1
    flat = bits.reshape(*rows, columns * format.bits).astype(np.uint8)
    return np.packbits(flat, axis=-1, bitorder="little")


def unpack(
    data: NDArray[np.uint8], columns: int, format: Format, layout: str | None = None, rows: int | None = None
) -> NDArray[np.int16]:
    """Unpack bytes (..., bytes of a row) into codes (..., columns); the inverse of `pack`.

    rows: of the matrix, which the layout ``table`` must be told; its codes come as ``(rows, columns)``.

    Raises:
        FormatError: there are too many or too few bytes, or bytes that `pack` never writes.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Int
        >>> data = pack(np.array([[-3, 0, 3]]), Int(3))
        >>> data.nbytes, unpack(data, 3, Int(3)).tolist()
        (2, [[-3, 0, 3]])
    """
    layout = _check_layout(format, layout)
    data = np.asarray(data)
    if data.dtype != np.uint8:
        raise FormatError(f"packed codes are bytes (uint8), not {data.dtype}")
    if layout == "table":
        return _from_table(data, rows, columns, format)
    wanted = packed_shape(1, columns, format, layout)[-1]
    if data.ndim == 0 or data.shape[-1] != wanted:
        raise FormatError(
            f"a row of {columns} {format} codes in layout {layout} has {wanted} bytes, "
            f"not {data.shape[-1] if data.ndim else 0}"
        )
    if isinstance(format, SparseTernary):
        flat = data.reshape(math.prod(data.shape[:-1]), wanted)
        return unpack_pairs(flat, columns, format).reshape(*data.shape[:-1], columns)
    index = _trits(data) if layout == "trits" else _bits(data, format.bits)
    if index[..., columns:].any():
        raise FormatError("unused places at the end of a row must be 0")
    index = index[..., :columns]
    levels = format.levels()
    if index.size and int(index.max()) >= len(levels):
        raise FormatError(f"index {int(index.max())} is outside the {len(levels)} codes of {format}")
    return np.asarray(levels[index], np.int16)


def _from_table(data: NDArray[np.uint8], rows: int | None, columns: int, format: Format) -> NDArray[np.int16]:
    assert isinstance(format, SparseTernary)
    if rows is None:
        raise FormatError("the layout table is one stream of bits; say how many rows it holds")
    wanted = packed_shape(rows, columns, format, "table")
    if data.shape != wanted:
        raise FormatError(
            f"{rows} x {columns} {format} codes in layout table have {wanted[0]} bytes in one axis, not {data.shape}"
        )
    return unpack_table(data, rows, columns, format)


def _trits(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Five indices for each byte."""
    if data.size and int(data.max()) >= 3**TRITS_PER_BYTE:
        raise FormatError(f"byte {int(data.max())} holds no five trits; the largest is 242")
    return _TRITS[data].reshape(*data.shape[:-1], data.shape[-1] * TRITS_PER_BYTE)


def _bits(data: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Indices of `bits` bits, in one byte each: large matrices take a small multiple of their packed size."""
    if bits == 8:
        return data
    if 8 % bits == 0:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        index = (data[..., None] >> shifts) & np.uint8((1 << bits) - 1)
        return index.reshape(*data.shape[:-1], data.shape[-1] * len(shifts))
    single = np.unpackbits(data, axis=-1, bitorder="little")
    places = single.shape[-1] // bits
    usable = single[..., : places * bits]
    if single[..., usable.shape[-1] :].any():
        raise FormatError("unused bits at the end of a row must be 0")
    grouped = usable.reshape(*data.shape[:-1], places, bits)
    index = grouped[..., 0].copy()
    for place in range(1, bits):
        index |= grouped[..., place] << np.uint8(place)
    return index


def _index(codes: NDArray[np.integer], format: Format) -> NDArray[np.int32]:
    levels = format.levels()
    index = np.searchsorted(levels, codes).astype(np.int32)
    known = levels[np.minimum(index, len(levels) - 1)] == codes
    if not known.all():
        strange = codes[~known].flat[0]
        raise FormatError(f"code {strange} is not one of {format}'s codes {format.lo}..{format.hi}")
    return index


def _check_layout(format: Format, layout: str | None) -> str:
    layout = default_layout(format) if layout is None else layout
    if layout not in LAYOUTS:
        raise FormatError(f"unknown layout {layout!r}; wanted one of {', '.join(LAYOUTS)}")
    if layout == "trits" and not isinstance(format, Ternary):
        raise FormatError(f"layout trits holds ternary codes only, not {format}")
    if (layout in ("table", "pairs")) != isinstance(format, SparseTernary):
        raise FormatError(f"layouts table and pairs are those of sparse ternary codes; {format} has no layout {layout}")
    if layout == "pairs" and isinstance(format, SparseTernary) and not fits_pairs(format):
        raise FormatError(f"layout pairs holds at most two non-zeros of eight columns, not {format}")
    if isinstance(format, FixedPoint):
        raise FormatError(f"{format} is a format of signals; only weights are packed")
    return layout

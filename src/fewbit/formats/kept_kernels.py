"""How the weights of a convolution lie in bytes without their kernels of zeros: layout ``kernels``.

A kernel is the connection of one input map to one output map. The codes of a convolution are ``(rows, taps * maps)``,
map after map in each tap, so a kernel is every `maps`-th code of a row. What is stored:

    pattern   a bit for each kernel, row after row, the first in the lowest bit of byte 0: 1 if it is kept
    codes     of the kept kernels, in the same order, tap after tap, as one row of the format's plain layout

One bit a kernel and not a list of the kept ones: a list is smaller only where fewer than one kernel in ``log2(maps)``
is kept, and saves little there: of 64 x 64 kernels of which 13 % are kept, 57 of 512 bytes.

References:
    Anwar, Sung 2016, "Compact deep convolutional neural networks with coarse pruning" (arXiv 1610.09639).
"""

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import Format
from fewbit.formats.packing import default_layout, pack, packed_shape, unpack
from fewbit.formats.sparse_ternary import SparseTernary

KERNELS = "kernels"
MAX_CODES = 1 << 24
"""Codes of a matrix: a kernel of any size that is left out takes one bit, and its reader makes room for it."""


def fits_kernels(rows: int, columns: int, maps: int, format: Format) -> bool:
    """Whether the layout ``kernels`` can hold codes ``(rows, columns)`` that read so many input maps.

    Examples:
        >>> from fewbit.formats import Binary, Int
        >>> fits_kernels(4, 18, 2, Int(4)), fits_kernels(4, 18, 4, Int(4)), fits_kernels(4, 18, 2, Binary())
        (True, False, False)
    """
    codes = format.lo <= 0 <= format.hi and 0 in format.levels() and not isinstance(format, SparseTernary)
    return codes and 1 <= maps <= columns and columns % maps == 0 and rows * columns <= MAX_CODES


def pattern_bytes(rows: int, maps: int) -> int:
    """Bytes that say which kernels are kept."""
    return -(-rows * maps // 8)


def count_kept(data: NDArray[np.uint8], rows: int, maps: int) -> int:
    """How many kernels the bytes of a matrix hold."""
    return int(np.unpackbits(data[: pattern_bytes(rows, maps)]).sum())


def pack_kernels(codes: NDArray[np.integer], maps: int, format: Format) -> NDArray[np.uint8]:
    """Codes ``(rows, taps * maps)`` to bytes, without the kernels in which all codes are 0.

    Raises:
        FormatError: the layout cannot hold them (`fits_kernels`), or a code is not in the format's code book.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Ternary
        >>> codes = np.array([[1, 0, -1, 0, 1, 0], [0, 0, 0, 0, 0, 0]])  # three taps of two maps
        >>> pack_kernels(codes, 2, Ternary()).tolist()  # kernel 0 of row 0; its indices 2, 0, 2
        [1, 20]
    """
    rows, columns = codes.shape
    _check(rows, columns, maps, format)
    kernels = np.asarray(codes).reshape(rows, columns // maps, maps).swapaxes(1, 2)
    kept = kernels.any(axis=2)
    pattern = np.packbits(kept.reshape(-1), bitorder="little")
    return np.concatenate([pattern, pack(kernels[kept].reshape(-1), format, default_layout(format))])


def unpack_kernels(data: NDArray[np.uint8], rows: int, columns: int, maps: int, format: Format) -> NDArray[np.int16]:
    """Bytes to codes ``(rows, columns)``; the inverse of `pack_kernels`.

    Raises:
        FormatError: there are too many or too few bytes, or bytes that `pack_kernels` never writes.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Ternary
        >>> unpack_kernels(np.array([1, 20], np.uint8), 2, 6, 2, Ternary()).tolist()
        [[1, 0, -1, 0, 1, 0], [0, 0, 0, 0, 0, 0]]
    """
    _check(rows, columns, maps, format)
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.ndim != 1:
        raise FormatError(f"packed kernels are bytes (uint8) in one axis, not {data.dtype} in {data.ndim}")
    head, taps, count = pattern_bytes(rows, maps), columns // maps, rows * maps
    if len(data) < head:
        raise FormatError(f"the pattern of {rows} x {maps} kernels takes {head} bytes, not {len(data)}")
    bits = np.unpackbits(data[:head], bitorder="little")
    if bits[count:].any():
        raise FormatError("unused bits at the end of a pattern of kernels must be 0")
    kept = bits[:count].astype(bool).reshape(rows, maps)
    stored, layout = int(kept.sum()), default_layout(format)
    (wanted,) = packed_shape(1, stored * taps, format, layout)[1:]
    if len(data) - head != wanted:
        raise FormatError(f"{stored} kept kernels of {taps} {format} codes take {wanted} bytes, not {len(data) - head}")
    codes = unpack(data[head:], stored * taps, format, layout).reshape(stored, taps)
    if not codes.any(axis=1).all():
        raise FormatError("a kernel of zeros is stored as a kept one")
    found = np.zeros((rows, taps, maps), np.int16)
    found.swapaxes(1, 2)[kept] = codes
    return found.reshape(rows, columns)


def _check(rows: int, columns: int, maps: int, format: Format) -> None:
    if not fits_kernels(rows, columns, maps, format):
        raise FormatError(
            f"layout kernels does not hold {rows} x {columns} {format} codes of {maps} maps; wanted a format of a "
            f"fixed width with the code 0, whole kernels, and at most {MAX_CODES} codes"
        )

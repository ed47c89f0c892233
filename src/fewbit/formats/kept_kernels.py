"""How the weights of a convolution lie in bytes without their kernels of zeros: layout ``kernels``.

A kernel is the connection of one input map to one output map. The codes of a convolution are ``(rows, taps * maps)``,
map after map in each tap, so a kernel is every `maps`-th code of a row. What is stored:

    pattern   a bit for each kernel, row after row
    codes     of the kept kernels, in the same order, tap after tap

as `fewbit.formats.kept_codes` says.

References:
    Anwar, Sung 2016, "Compact deep convolutional neural networks with coarse pruning" (arXiv 1610.09639).
"""

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import Format
from fewbit.formats.kept_codes import MAX_CODES, holds, pack_kept, unpack_kept

KERNELS = "kernels"


def fits_kernels(rows: int, columns: int, maps: int, format: Format) -> bool:
    """Whether the layout ``kernels`` can hold codes ``(rows, columns)`` that read so many input maps.

    Examples:
        >>> from fewbit.formats import Binary, Int
        >>> fits_kernels(4, 18, 2, Int(4)), fits_kernels(4, 18, 4, Int(4)), fits_kernels(4, 18, 2, Binary())
        (True, False, False)
    """
    return holds(rows, columns, format) and 1 <= maps <= columns and columns % maps == 0


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
    kept = np.asarray(kernels.any(axis=2))
    return pack_kept(kept, kernels[kept], format)


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
    taps = columns // maps
    kept, flat = unpack_kept(data, rows * maps, taps, format, "kernels", f"{rows} x {maps} kernels")
    codes = flat.reshape(-1, taps)
    if not codes.any(axis=1).all():
        raise FormatError("a kernel of zeros is stored as a kept one")
    found = np.zeros((rows, taps, maps), np.int16)
    found.swapaxes(1, 2)[kept.reshape(rows, maps)] = codes
    return found.reshape(rows, columns)


def _check(rows: int, columns: int, maps: int, format: Format) -> None:
    if not fits_kernels(rows, columns, maps, format):
        raise FormatError(
            f"layout kernels does not hold {rows} x {columns} {format} codes of {maps} maps; wanted a format of a "
            f"fixed width with the code 0, whole kernels, and at most {MAX_CODES} codes"
        )

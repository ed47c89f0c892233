"""How a matrix lies in bytes without its columns of zeros: layout ``columns``.

A column of zeros multiplies a number that no row reads: a tap that all kernels of an input map have lost, a feature
that a dense layer ignores. What is stored:

    pattern   a bit for each column
    codes     of the kept columns, row after row

as `fewbit.formats.kept_codes` says. Any columns may be zero; nothing is known of strides.

References:
    Anwar, Hwang, Sung 2015, "Structured pruning of deep convolutional neural networks" (arXiv 1512.08571).
"""

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import Format
from fewbit.formats.kept_codes import MAX_CODES, holds, pack_kept, unpack_kept

COLUMNS = "columns"


def fits_columns(rows: int, columns: int, format: Format) -> bool:
    """Whether the layout ``columns`` can hold codes ``(rows, columns)``.

    Examples:
        >>> from fewbit.formats import Binary, Int, Ternary
        >>> fits_columns(4, 18, Int(4)), fits_columns(4, 18, Binary()), fits_columns(1 << 20, 18, Ternary())
        (True, False, False)
    """
    return holds(rows, columns, format)


def pack_columns(codes: NDArray[np.integer], format: Format) -> NDArray[np.uint8]:
    """Codes ``(rows, columns)`` to bytes, without the columns in which all codes are 0.

    Raises:
        FormatError: the layout cannot hold them (`fits_columns`), or a code is not in the format's code book.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Ternary
        >>> codes = np.array([[0, 1, 0, -1], [0, 1, 0, 0]])
        >>> pack_columns(codes, Ternary()).tolist()  # columns 1 and 3; the indices 2, 0, 2, 1
        [10, 47]
    """
    rows, columns = codes.shape
    _check(rows, columns, format)
    kept = np.asarray(codes.any(axis=0))
    return pack_kept(kept, codes[:, kept], format)


def unpack_columns(data: NDArray[np.uint8], rows: int, columns: int, format: Format) -> NDArray[np.int16]:
    """Bytes to codes ``(rows, columns)``; the inverse of `pack_columns`.

    Raises:
        FormatError: there are too many or too few bytes, or bytes that `pack_columns` never writes.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Ternary
        >>> unpack_columns(np.array([10, 47], np.uint8), 2, 4, Ternary()).tolist()
        [[0, 1, 0, -1], [0, 1, 0, 0]]
    """
    _check(rows, columns, format)
    kept, flat = unpack_kept(data, columns, rows, format, "columns", f"{columns} columns")
    codes = flat.reshape(rows, int(kept.sum()))
    if not codes.any(axis=0).all():
        raise FormatError("a column of zeros is stored as a kept one")
    found = np.zeros((rows, columns), np.int16)
    found[:, kept] = codes
    return found


def _check(rows: int, columns: int, format: Format) -> None:
    if not fits_columns(rows, columns, format):
        raise FormatError(
            f"layout columns does not hold {rows} x {columns} {format} codes; wanted a format of a fixed width with "
            f"the code 0, and at most {MAX_CODES} codes"
        )

"""A matrix of few-bit codes that is multiplied natively."""

from ctypes import c_int16, c_int32
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError, TargetError
from fewbit.formats import Format, SparseTernary
from fewbit.native.handle import Handle
from fewbit.native.library import fast_binding, integers, last_error, library, pointer

PAIRS = 2
"""Storing of codes of which at most two in eight neighbours are not zero: a byte for each eight."""
WIDE_BYTES = 1 << 20
"""A matrix of at most this size with 4 or 8 bits a code stays in a cache; fewer bits would only cost time."""


class NativeMatrix:
    """Weights ``(rows, columns)`` in the layout that the kernels read.

    Args:
        codes: integers of `format`.
        format: their code book.
        group: columns that share a scale, or 0.
        group_scale: ``(rows, groups)``, integers in 1..2**14 as in `fewbit.program.ops.Matrix`.
        wide: store codes of 3, 5, 6 and 7 bits in 4 or 8; by default if the matrix stays in a cache. Either value also
            keeps sparse ternary codes from the storage of their own, a byte for each eight columns.

    Raises:
        TargetError: the native library is missing, or a code is not of the format.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import Ternary
        >>> from fewbit.native import NativeMatrix
        >>> matrix = NativeMatrix(np.array([[1, 0, -1], [0, 1, 1]]), Ternary())
        >>> matrix.multiply(np.array([[10, 20, 30]]), -128, 127).tolist()
        [[-20, 50]]
    """

    def __init__(
        self,
        codes: NDArray[np.integer[Any]],
        format: Format,
        group: int = 0,
        group_scale: NDArray[np.integer[Any]] | None = None,
        wide: bool | None = None,
    ) -> None:
        self._library, self._binding = library(), fast_binding()
        rows, columns = codes.shape
        if wide is None:
            wide = rows * columns * (4 if format.bits <= 4 else 8) // 8 <= WIDE_BYTES
            storing = PAIRS if _in_pairs(format) else int(wide)
        else:
            storing = int(wide)
        held = np.ascontiguousarray(codes, np.int16)
        scales = None if group_scale is None else integers(group_scale)
        address = self._library.fewbit_matrix_new(
            pointer(held, c_int16),
            rows,
            columns,
            min(format.lo, 0),
            max(format.hi, 0),
            storing,
            group,
            None if scales is None else pointer(scales, c_int32),
        )
        refusal = f"a {rows} x {columns} {format} matrix cannot be used natively"
        self._handle = Handle(address, self._library.fewbit_matrix_free, refusal=refusal)
        self.rows, self.columns = rows, columns

    @property
    def address(self) -> int:
        """The matrix in the library (``fewbit_matrix*``); it lives as long as this object."""
        return self._handle.address

    @property
    def bytes(self) -> int:
        """Bytes that the matrix takes in memory."""
        return int(self._library.fewbit_matrix_bytes(self.address))

    def multiply(
        self, x: NDArray[np.integer[Any]], low: int, high: int, target: str | None = None, threads: int = 1
    ) -> NDArray[np.int32]:
        """``W x``, exact, for integers ``x: (frames, columns)`` in ``low..high``, within 16 bits; ``(frames, rows)``.

        Raises:
            ArgumentError: wrong shape or range.
            TargetError: an unknown target.
        """
        codes = integers(x)
        self._check(codes)
        if codes.size and not low <= codes.min() <= codes.max() <= high:
            raise ArgumentError(f"activations {codes.min()}..{codes.max()} are not in {low}..{high}")
        y = np.empty((len(codes), self.rows), np.int32)
        done = self._library.fewbit_matrix_multiply(
            self.address, _name(target), codes.ctypes.data, len(codes), low, high, threads, y.ctypes.data
        )
        if done != 0:
            raise TargetError(last_error())
        return y

    def apply(
        self, x: NDArray[np.float32], scale: NDArray[np.float32], target: str | None = None, threads: int = 1
    ) -> NDArray[np.float32]:
        """``scale * (W x)`` for floats ``x: (frames, columns)``; each frame is quantized to 8 bits with its own step.

        scale: ``(rows,)``.

        Raises:
            ArgumentError: wrong shape.
            TargetError: an unknown target, or an activation that is NaN or infinite.
        """
        values, scales = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(scale, np.float32)
        self._check(values)
        if scales.shape != (self.rows,):
            raise ArgumentError(f"the scales have shape {scales.shape}, wanted ({self.rows},)")
        y = np.empty((len(values), self.rows), np.float32)
        if self._binding is not None:
            done = self._binding.apply(
                self.address, target, len(values), self.columns, self.rows, values, scales, y, threads
            )
        else:
            done = self._library.fewbit_matrix_apply(
                self.address, _name(target), values.ctypes.data, len(values), scales.ctypes.data, threads, y.ctypes.data
            )
        if done != 0:
            raise TargetError(last_error())
        return y

    def _check(self, x: NDArray[Any]) -> None:
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise ArgumentError(f"the matrix takes (frames, {self.columns}), not {x.shape}")


def _in_pairs(format: Format) -> bool:
    """Whether no eight columns from a multiple of eight on have more than two codes that are not zero."""
    if not isinstance(format, SparseTernary):
        return False
    return format.k * max(8 // format.n, 1) <= 2 and (8 % format.n == 0 or format.n % 8 == 0)


def _name(target: str | None) -> bytes | None:
    return None if target is None else target.encode()

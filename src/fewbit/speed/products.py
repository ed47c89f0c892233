"""Timing of the product of a few-bit matrix with a block of frames."""

from dataclasses import asdict
from typing import Any

import numpy as np

from fewbit.errors import TargetError
from fewbit.formats import Format, format_from_name
from fewbit.native import NativeMatrix, targets
from fewbit.native.library import library
from fewbit.speed.ceilings import read_rate
from fewbit.speed.timing import Timing, measure

IN_FIRST_CACHE = (64, 512)


def time_product(
    format: str = "ternary",
    rows: int = 1024,
    columns: int = 1024,
    frames: int = 1,
    threads: int = 1,
    target: str | None = None,
    seconds: float = 0.5,
    seed: int = 0,
) -> dict[str, Any]:
    """Time the product of ``(frames, columns)`` floats, quantized to 8 bits inside, with ``(rows, columns)`` weights.

    Returns the timing in microseconds; ``gops``, two operations per weight and frame; ``gb_per_second`` of packed
    weights; ``memory_ceiling``, its share of the bandwidth of this machine; ``arithmetic_ceiling``, the share of the
    speed of the same kernel with weights in the first cache; and ``relative_error`` against the float product, caused
    by the 8-bit activations.

    Raises:
        FormatError: no such format.
        TargetError: no such target, or the native library is missing.

    Examples:
        >>> result = time_product("ternary", 64, 64, seconds=0.01)
        >>> result["shape"], result["median_us"] > 0
        ([64, 64], True)
    """
    name = target or _best()
    wanted = format_from_name(format)
    matrix, codes, scale = _matrix(wanted, rows, columns, seed)
    x = np.random.default_rng(seed).normal(size=(frames, columns)).astype(np.float32)
    timing = measure(lambda: matrix.apply(x, scale, name, threads), seconds)
    exact = (x.astype(np.float64) @ codes.T.astype(np.float64)) * scale
    error = np.linalg.norm(matrix.apply(x, scale, name, threads) - exact) / np.linalg.norm(exact)
    rate = matrix.bytes / (timing.median_us * 1e-6)
    operations = 2 * rows * columns * frames
    return {
        **asdict(timing),
        "format": format,
        "shape": [rows, columns],
        "frames": frames,
        "threads": threads,
        "target": name,
        "weight_bytes": matrix.bytes,
        "gops": operations / timing.median_us / 1e3,
        "gb_per_second": rate / 1e9,
        "memory_ceiling": rate / read_rate(matrix.bytes, name),
        "arithmetic_ceiling": operations / timing.median_us / _peak(wanted, frames, name, seed),
        "relative_error": float(error),
    }


def _best() -> str:
    found = targets()
    if not found:
        raise TargetError("the native library is missing, so there is nothing to time; see fewbit.native")
    return found[0]


def _matrix(
    format: Format, rows: int, columns: int, seed: int
) -> tuple[NativeMatrix, np.ndarray[Any, np.dtype[np.int16]], np.ndarray[Any, np.dtype[np.float32]]]:
    codes = np.random.default_rng(seed + 1).choice(format.levels(), (rows, columns))
    return NativeMatrix(codes, format), codes, np.full(rows, 0.01, np.float32)


def _peak(format: Format, frames: int, target: str, seed: int) -> float:
    """Operations a microsecond with weights in the first cache, without the cost of the call."""
    rows, columns = IN_FIRST_CACHE
    whole, _, _ = _matrix(format, rows, columns, seed)
    least, _, _ = _matrix(format, 1, 1, seed)
    longer = _multiply(whole, frames, target).median_us - _multiply(least, frames, target).median_us
    return 2 * rows * columns * frames / max(longer, 1e-3)


def _multiply(matrix: NativeMatrix, frames: int, target: str) -> Timing:
    x, y = np.ones((frames, matrix.columns), np.int32), np.empty((frames, matrix.rows), np.int32)
    native, name, from_, to = library(), target.encode(), x.ctypes.data, y.ctypes.data
    return measure(lambda: native.fewbit_matrix_multiply(matrix.address, name, from_, frames, -128, 127, 1, to), 0.1)

"""Timing of the product of a few-bit matrix with a block of frames."""

from dataclasses import asdict
from typing import Any

import numpy as np

from fewbit.errors import TargetError
from fewbit.formats import Format, format_from_name
from fewbit.native import NativeMatrix, targets
from fewbit.speed.ceilings import floor_of, part_calls
from fewbit.speed.timing import measure_in_turns


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
    weights; ``read_us``, ``unpack_us`` and ``multiply_us``, the times of the parts alone (see `Floor`), of which the
    longest is the ``bound``; ``share``, the part of the median that the bound takes; and ``relative_error`` against the
    float product, caused by the 8-bit activations.

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
    timings = measure_in_turns(
        {
            "product": (lambda: matrix.apply(x, scale, name, threads), 1, seconds),
            **{part: (*call, seconds / 4) for part, call in part_calls(matrix, frames, name, threads).items()},
        }
    )
    timing, floor = timings["product"], floor_of(timings)
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
        **asdict(floor),
        "bound": floor.bound,
        "share": floor.share(timing.median_us),
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
    codes = format.draw(np.random.default_rng(seed + 1), rows, columns)
    return NativeMatrix(codes, format), codes, np.full(rows, 0.01, np.float32)

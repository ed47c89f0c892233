"""Limits of the machine: the bandwidth of reading memory."""

import numpy as np

from fewbit.native.library import library
from fewbit.speed.timing import measure


def read_rate(size: int, target: str | None = None, seconds: float = 0.1) -> float:
    """Bytes per second at which one thread reads `size` bytes repeatedly.

    Raises:
        TargetError: the native library is missing.

    Examples:
        >>> read_rate(1 << 12) > 1e8  # bytes per second
        True
    """
    words = max(8, size // 8)
    memory = np.ones(words, np.uint64)
    native, name, address = library(), None if target is None else target.encode(), memory.ctypes.data
    timing = measure(lambda: native.fewbit_read(name, address, words), seconds)
    return words * 8 / (timing.median_us * 1e-6)

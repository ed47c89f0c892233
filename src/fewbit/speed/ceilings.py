"""Limits of this machine: the parts that no product can do without, each alone, and the reading of memory.

Each part runs on the bytes that the product reads, so in the same level of the caches, with the same instructions and
threads. At best all parts overlap: a product takes at least as long as its longest part (the roofline of Williams,
Waterman, Patterson 2009, "Roofline: an insightful visual performance model").
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fewbit.errors import TargetError
from fewbit.native import NativeMatrix
from fewbit.native.library import last_error, library
from fewbit.speed.timing import SAMPLE_SECONDS, Timing, measure, repeats_for

Call = Callable[[], object]
PARTS = ("read", "unpack", "multiply")
"""Reading the weights; reading and unpacking them; the products from registers."""


@dataclass(frozen=True)
class Floor:
    """Microseconds that the parts of a product take, each alone.

    Examples:
        >>> floor = Floor(read_us=2.0, unpack_us=3.0, multiply_us=6.0)
        >>> floor.bound, floor.least_us, floor.share(8.0)
        ('multiply', 6.0, 0.75)
    """

    read_us: float
    unpack_us: float
    multiply_us: float

    @property
    def bound(self) -> str:
        """The part that takes longest."""
        times = (self.read_us, self.unpack_us, self.multiply_us)
        return PARTS[times.index(max(times))]

    @property
    def least_us(self) -> float:
        """No product takes less."""
        return max(self.read_us, self.unpack_us, self.multiply_us)

    def share(self, product_us: float) -> float:
        """The part of the time of a product that it needs at least; above 1 only by noise of the clock."""
        return self.least_us / product_us


def floor_of(timings: dict[str, Timing]) -> Floor:
    """The floor from timings by name of the part: the least of each, the machine at its best.

    Examples:
        >>> timing = Timing(median_us=2.0, p10_us=1.5, p90_us=3.0, least_us=1.0, samples=9)
        >>> floor_of(dict.fromkeys(PARTS, timing)).least_us
        1.0
    """
    return Floor(*(timings[part].least_us for part in PARTS))


def part_calls(matrix: NativeMatrix, frames: int, target: str, threads: int = 1) -> dict[str, tuple[Call, int]]:
    """For each part a call that does it several times in native code, and how many times.

    Raises:
        TargetError: no such target.

    Examples:
        >>> from fewbit.formats import Int
        >>> from fewbit.native import targets
        >>> matrix = NativeMatrix(np.ones((64, 64), np.int16), Int(4))
        >>> sorted(part_calls(matrix, 1, targets()[0]))
        ['multiply', 'read', 'unpack']
    """
    return {part: _many(_part_call(matrix, part, frames, target, threads)) for part in PARTS}


def read_rate(size: int, target: str | None = None, seconds: float = 0.1) -> float:
    """Bytes per second at which one thread reads `size` bytes repeatedly.

    Raises:
        TargetError: the native library is missing, or there is no such target.

    Examples:
        >>> read_rate(1 << 12) > 1e8  # bytes per second
        True
    """
    call, repeats = read_call(size, target)
    return size * repeats / (measure(call, seconds).median_us * 1e-6)


def read_call(size: int, target: str | None = None) -> tuple[Call, int]:
    """A call that reads `size` bytes several times in native code, and how many times.

    Raises:
        TargetError: the native library is missing, or there is no such target.

    Examples:
        >>> call, repeats = read_call(1 << 12)
        >>> repeats > 1
        True
    """
    memory = np.ones(size + 63, np.uint8)  # somewhere in the first 64 bytes a line begins
    native, name = library(), None if target is None else target.encode()

    def read(repeats: int) -> None:
        if native.fewbit_read(name, memory.ctypes.data, memory.nbytes, repeats) != 0:
            raise TargetError(last_error())

    return _many(read)


def _part_call(matrix: NativeMatrix, part: str, frames: int, target: str, threads: int) -> Callable[[int], None]:
    native, name, place = library(), target.encode(), PARTS.index(part)

    def run(repeats: int) -> None:
        if native.fewbit_matrix_part(matrix.address, name, place, frames, repeats, threads) != 0:
            raise TargetError(last_error())

    return run


def _many(run: Callable[[int], None]) -> tuple[Call, int]:
    """Enough repetitions that the call from Python does not count."""
    run(1)
    repeats = repeats_for(run, SAMPLE_SECONDS)
    return lambda: run(repeats), repeats

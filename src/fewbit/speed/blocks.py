"""The number of frames that a network should process in one call: the block length of multi-step execution.

A block of any length reads every weight once, so longer blocks cost less per frame, until arithmetic is the limit. But
a stream must wait until a block is full. (Sung, Park 2018, arXiv 1803.11389.)
"""

from dataclasses import dataclass

from fewbit.program import Program
from fewbit.speed.programs import time_program

LENGTHS = (1, 2, 4, 8, 16, 32, 64)
CLOSE = 1.05
"""A block is good enough if its time per frame is within this factor of the best."""


@dataclass(frozen=True)
class BlockChoice:
    """The chosen block length, and microseconds per frame for every length that was measured.

    Examples:
        >>> choice = BlockChoice(frames=4, step_us={1: 9.0, 2: 5.0, 4: 3.0, 8: 3.0})
        >>> choice.step_us[1] / choice.step_us[choice.frames]  # times as fast
        3.0
    """

    frames: int
    step_us: dict[int, float]


def choose_block(
    program: Program,
    most: int = 16,
    period_us: float | None = None,
    threads: int = 1,
    target: str | None = None,
    seconds: float = 0.1,
) -> BlockChoice:
    """Measure blocks of up to `most` frames (the allowed latency) and choose the shortest good one.

    With `period_us`, the microseconds between two frames of the stream, the shortest block that needs at most half of
    that time per frame is chosen. Without it, the shortest block within 5 % of the best.

    Raises:
        TargetError: no such target, or the native library is missing.

    Examples:
        >>> from fewbit.speed import random_network
        >>> choice = choose_block(random_network("sru", hidden=16, layers=1), most=4, seconds=0.01)
        >>> choice.frames in choice.step_us
        True
    """
    lengths = [length for length in LENGTHS if length <= most] or [1]
    times = {n: float(time_program(program, n, threads, target, seconds)["step_us"]) for n in lengths}
    limit = CLOSE * min(times.values())
    if period_us is not None:
        limit = max(limit, period_us / 2)
    return BlockChoice(next(n for n in lengths if times[n] <= limit), times)

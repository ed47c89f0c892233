"""How many frames should go through the network at once?

A block reads every weight once, whatever its length, so longer blocks cost less a frame, until arithmetic is the
limit; but a stream must wait until a block is full. (Sung, Park 2018, arXiv 1803.11389.)
"""

from dataclasses import dataclass

from fewbit.program import Program
from fewbit.speed.programs import time_program

LENGTHS = (1, 2, 4, 8, 16, 32, 64)
CLOSE = 1.05
"""A block whose time a frame is within this factor of the best is as good as the best."""


@dataclass(frozen=True)
class BlockChoice:
    """The block length to take, and microseconds a frame for every length that was tried.

    Example:
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
    """Measure blocks of up to `most` frames (the latency that is allowed) here, and choose the shortest good one.

    period_us: microseconds from frame to frame of the stream; then the shortest block that keeps up with it, with half
    of the time to spare, is good enough. Without it, the shortest that is within 5 % of the best.

    Raises:
        TargetError: no such target, or the native library is missing.

    Example:
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

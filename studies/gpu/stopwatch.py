"""How long a step of a training takes while other processes share the machine."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from fewbit.errors import DataError

ENDLESS = 1_000_000


class Stopwatch:
    """Batches, round and round, until a time; the steps between two times are counted.

    Args:
        batches: of the training.
        begin, end: on the clock of `time.time`, the same for all processes.
    """

    def __init__(self, batches: Iterable[Any], begin: float, end: float) -> None:
        self.batches, self.begin, self.end = batches, begin, end
        self.times: list[float] = []

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Iterator[Any]:
        while True:
            for batch in self.batches:
                self.times.append(time.time())
                if self.times[-1] > self.end and len(self.times) > 2:
                    return
                yield batch

    def seconds(self) -> float:
        """For one step; the first two are never counted, for they load kernels."""
        inside = [at for at in self.times[2:] if at >= self.begin] or self.times[1:]
        if len(inside) < 2:
            inside = self.times[1:]
        if len(inside) < 2:
            raise DataError(f"Stopwatch: {len(self.times)} steps before the end are too few to say how long one takes")
        return (inside[-1] - inside[0]) / (len(inside) - 1)

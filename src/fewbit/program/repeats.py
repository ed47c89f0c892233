"""Blocks of ops that repeat one after the other, so that a picture shows each block once."""

from collections.abc import Callable
from dataclasses import dataclass

from fewbit.program.costs import Cost
from fewbit.program.graph import Graph
from fewbit.program.naming import common

MAX_LENGTH = 400
"""Ops of a block, at most."""
WORTH = 3
"""Rows that folding must save."""


@dataclass(frozen=True)
class Repeat:
    """`count` equal blocks of `length` ops one after the other, from the op at `first` on.

    name, last_name: the module of the first block and of the last one.
    """

    first: int
    length: int
    count: int
    name: str
    last_name: str

    @property
    def stop(self) -> int:
        """The place behind the last block."""
        return self.first + self.length * self.count


def find_repeats(graph: Graph, cost: Cost) -> list[Repeat]:
    """Equal blocks of at least two ops: kinds, sizes, bits, bytes, windows and wiring are the same in all of them."""
    names = [op.name for op in graph.ops]
    same = _sameness(graph, cost)
    found: list[Repeat] = []
    place = 0
    while place < len(names):
        best = (0, 0, 0)
        for length in range(2, min(MAX_LENGTH, (len(names) - place) // 2) + 1):
            count = _count(same, place, length, len(names))
            best = max(best, (length * (count - 1), -length, count))
        saved, length, count = best[0], -best[1], best[2]
        if saved < WORTH:
            place += 1
            continue
        # The same blocks may begin some ops later: where all ops of a block are parts of one module.
        starts = [s for s in range(place, place + length) if _count(same, s, length, len(names)) >= count]
        first = max(starts, key=lambda s: (len(common(names[s : s + length])), -s))
        last = first + length * (count - 1)
        blocks = [names[start : start + length] for start in (first, last)]
        labels = [common(block) or block[0] for block in blocks]
        found.append(Repeat(first, length, count, *labels))
        place = found[-1].stop
    return found


def _sameness(graph: Graph, cost: Cost) -> Callable[[int, int], bool]:
    keys = []
    for op, row, timing in zip(graph.ops, cost.ops, graph.timings, strict=True):
        counts = (row.size, row.result_bits, row.bits, row.weights, row.bytes, row.macs, row.pair_macs)
        keys.append((row.op, row.format, row.shape, counts, op.window, timing.rate))

    def same(i: int, j: int) -> bool:
        a, b = graph.inputs[i], graph.inputs[j]
        if keys[i] != keys[j] or len(a) != len(b):
            return False
        return all(p == q or i - p == j - q for p, q in zip(a, b, strict=True))

    return same


def _count(same: Callable[[int, int], bool], place: int, length: int, stop: int) -> int:
    """How many blocks of this length are equal from a place on."""
    matching = 0
    while place + matching + length < stop and same(place + matching, place + matching + length):
        matching += 1
    return 1 + matching // length

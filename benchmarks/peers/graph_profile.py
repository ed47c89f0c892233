"""Which ops of a Program take the time: prefixes of its ops are timed, and the differences are those of single ops.

    python -m benchmarks.peers.graph_profile FOLDER FORMAT [THREADS]

A prefix ends with an op that takes a single number, so that handing out its results costs nothing. Prints the share of
each kind of op, and the ten most expensive ops. A tenth percentile is taken for each prefix, since other jobs on the
machine only ever add time; prefixes take turns. The time of calling from Python is in none of it but the first.
"""

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.graph_runs import Data
from fewbit.program import load
from fewbit.program.native_run import Native
from fewbit.program.ops import Op, Take

ROUNDS, CALLS = 12, 6
ONE = Take("one", np.array([1]))


class Prefix:
    """The first ops of a Program, ready for one more call."""

    def __init__(self, ops: tuple[Op, ...], frames: Any, lead: Any, last: bool, threads: int) -> None:
        self.native, self.frames, self.last = Native((*ops, ONE), threads=threads), frames, last
        self.state = self.native.init_state()
        if lead is not None:
            self.state = self.native.step(lead, self.state)[1]
        self.times: list[float] = []

    def burst(self) -> None:
        self.native.step(self.frames, self.state, self.last)
        for _ in range(CALLS):
            begin = time.perf_counter_ns()
            self.native.step(self.frames, self.state, self.last)
            self.times.append((time.perf_counter_ns() - begin) / 1e3)


def shape(op: Op) -> str:
    """Its numbers, as far as they tell the size."""
    found = [f"{name} {value}" for name, value in vars(op).items() if type(value) is int and value > 1]
    grid = getattr(op, "grid", None)
    if grid is not None:
        found.append(f"{grid.height}x{grid.width} by {grid.kernel_height}x{grid.kernel_width}")
    products = [f"{m.rows}x{m.columns}" for m in vars(op).values() if hasattr(m, "rows") and hasattr(m, "columns")]
    return " ".join(products + found)[:70]


def main() -> None:
    folder, format, threads = Path(sys.argv[1]), sys.argv[2], int((*sys.argv, "1")[3])
    data, program = Data(folder), load(folder / f"{format}.fewbit")
    assert program.signature is not None
    port, streams = program.signature.inputs[0], data.about["streams"]
    frames = port.frames(data.inputs[0][0])
    lead = None if data.lead is None else port.frames(data.lead[0])
    prefixes = [Prefix(program.ops[: i + 1], frames, lead, not streams, threads) for i in range(len(program.ops))]
    for _ in range(ROUNDS):
        for prefix in prefixes:
            prefix.burst()
    ends = [float(np.quantile(prefix.times, 0.1)) for prefix in prefixes]
    spent = np.diff(ends, prepend=0)
    print(f"{folder.name} {format}: {ends[-1]:.1f} us, {len(spent)} ops")
    kinds: dict[str, list[float]] = defaultdict(list)
    for op, each in zip(program.ops, spent, strict=True):
        kinds[op.kind].append(float(each))
    for kind, times in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        print(f"  {kind:<12}{len(times):4} ops{sum(times):10.1f} us{100 * sum(times) / ends[-1]:6.1f} %")
    for i in np.argsort(-spent)[:10]:
        op = program.ops[i]
        speed = len(frames) * op.macs() / max(spent[i], 0.1) / 1e3
        print(f"    {i:3} {op.kind:<10}{spent[i]:9.1f} us {speed:7.1f} GMAC/s  {shape(op)}")


if __name__ == "__main__":
    main()

"""The least time that a product can take on this machine, from what `ceilings.py` measured."""

import json
from pathlib import Path
from typing import Any

BITS = {"ternary": 1.6, "int2": 2, "int3": 3, "int4": 4, "int6": 6, "int8": 8}  # ternary: five trits a byte


class Floors:
    """Best rates by what they measure and threads."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.rates: dict[tuple[str, int], float] = {}
        self.reads: dict[int, list[tuple[int, float]]] = {}
        for record in records:
            if record["what"] == "read":
                self.reads.setdefault(record["threads"], []).append((record["bytes"], record["best"]))
            else:
                self.rates[record["what"], record["threads"]] = record["best"]

    @classmethod
    def read(cls, path: Path) -> "Floors | None":
        return cls(json.loads(path.read_text())["records"]) if path.exists() else None

    def bandwidth(self, size: float, threads: int) -> float:
        """GB/s of the smallest working set measured that holds so many bytes."""
        measured = sorted(self.reads[threads])
        return next((rate for held, rate in measured if held >= size), measured[-1][1])

    def rate(self, threads: int, *names: str) -> float:
        """The best of some rates; 0 where none was measured."""
        return max((self.rates.get((name, threads), 0.0) for name in names), default=0.0)

    def network(
        self, cell: str, hidden: int, layers: int, steps: int, format: str, threads: int
    ) -> dict[str, Any] | None:
        """Microseconds of the products of a recurrent network: of inputs at once, of its own outputs step by step.

        A layer's matrices come from where the whole network fits; for the further steps they are as near as they fit.
        """
        rows, own = {"lstm": (4, 1), "gru": (3, 1), "sru": (3, 0), "qrnn": (3, 0)}[cell]
        columns = hidden * (2 if cell == "qrnn" else 1)
        held = layers * rows * hidden * (columns + own * hidden)
        inputs = self.product(rows * hidden, columns, steps, format, threads, held)
        first = self.product(rows * hidden, hidden, 1, format, threads, held)
        further = self.product(rows * hidden, hidden, 1, format, threads)
        if not inputs or not first or not further:
            return None
        state = first["floor_us"] + (steps - 1) * further["floor_us"]
        floor = layers * (inputs["floor_us"] + own * state)
        return {"floor_us": round(floor, 3), "bound": inputs["bound"], "way": inputs["way"]}

    def product(
        self, rows: int, columns: int, frames: int, format: str, threads: int, held: int = 0
    ) -> dict[str, Any] | None:
        """Microseconds of the largest of reading, unpacking and multiplying, and which it is.

        Three and six bits count as two and four here: they take no fewer operations. With several frames codes are
        unpacked once, and what multiplies is the faster of vectors and tiles. ``held``: weights in use between two
        uses of these, if more than these.
        """
        if threads not in self.reads:
            return None
        bits = BITS[format]
        width = 2 if bits < 4 else 4 if bits < 8 else 8
        weights = rows * columns
        size, working = weights * bits / 8, max(weights, held) * bits / 8
        vectors = f"load, unpack, multiply {width} bits"
        names = (f"{vectors} with shifts", f"{vectors} with masks") if width < 8 else ("load, multiply 8 bits",)
        once = self.rate(threads, *names)
        multiply = self.rate(threads, "multiply 8 bits")
        block = max((block for block in (1, 2, 4, 8, 16, 32, 64) if block <= frames), default=1)
        tiles = self.rate(threads, f"tiles, {block} frames")
        stores = f"load, unpack, store {width} bits"
        stored = self.rate(threads, f"{stores} with shifts", f"{stores} with masks")
        if not once or not multiply:
            return None
        ways = {"vectors": {"unpack": 2 * weights / once, "multiply": 2 * weights * frames / multiply}}
        if tiles:
            ways["tiles"] = {"multiply": 2 * weights * frames / tiles}
            if stored:
                ways["tiles"]["unpack"] = weights / stored
        way = min(ways, key=lambda name: max(ways[name].values()))
        parts = {"memory": size / self.bandwidth(working, threads)} | ways[way]
        bound = max(parts, key=lambda name: parts[name])
        return {"floor_us": round(parts[bound] / 1e3, 3), "bound": bound, "way": way}

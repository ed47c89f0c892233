"""Convolutions of which few columns are kept, beside the same codes multiplied as a whole.

    python -m benchmarks.strided --results docs/results

A column is a tap of all kernels of one input map; the kept ones lie on a random strided pattern for each map, as
`fewbit.PruneStrided` leaves them. `benchmarks.pruned_convolutions` says how the arms are measured.
"""

import numpy as np
import torch

from benchmarks.pruned_convolutions import Benchmark
from fewbit.formats import PerRow, format_from_name, pack_columns
from fewbit.program import ops
from fewbit.prune import strided_patterns

TAPS = 9


def draw(rng: np.random.Generator, maps: int, kept: float, name: str) -> ops.Matrix:
    """Random codes with a strided pattern for each input map, which keep exactly a share of the columns."""
    format, patterns = format_from_name(name), strided_patterns(TAPS)
    levels = format.levels()
    count = patterns.nearest_count(maps, round(kept * maps * TAPS))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    mask = patterns.draw(maps, count, generator).view(maps, TAPS).numpy().T.reshape(-1)
    codes = rng.choice(levels[levels != 0], (maps, TAPS * maps)) * mask
    return ops.Matrix(maps, TAPS * maps, format, "columns", PerRow(), pack_columns(codes, format))


BENCHMARK = Benchmark(
    name="strided-convolutions",
    module="strided",
    title="Convolutions without pruned columns",
    part="columns",
    kept=(0.75, 0.5, 0.35, 0.2),
    draw=draw,
    claimed=lambda record: record["maps"] >= 64 and record["kept"] <= 0.5,
    large="from 64 x 64 kernels on, of whose columns at most half are kept",
    masks="random strided patterns with exactly the share of kept columns",
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)

"""Convolutions of which few kernels are kept, beside the same codes multiplied as a whole.

    python -m benchmarks.kernel_sparse --results docs/results

A kernel joins one input map to one output map. `benchmarks.pruned_convolutions` says how the arms are measured.
"""

import numpy as np

from benchmarks.pruned_convolutions import Benchmark
from fewbit.formats import PerRow, format_from_name, pack_kernels
from fewbit.program import ops


def draw(rng: np.random.Generator, maps: int, kept: float, name: str) -> ops.Matrix:
    """Random codes, of which exactly a share of the kernels is kept."""
    format, count = format_from_name(name), maps * maps
    levels = format.levels()
    mask = (rng.permutation(count) < round(kept * count)).reshape(maps, 1, maps)
    codes = (rng.choice(levels[levels != 0], (maps, 9, maps)) * mask).reshape(maps, -1)
    data = pack_kernels(codes, maps, format)
    return ops.Matrix(*codes.shape, format, "kernels", PerRow(), data, maps=maps)


BENCHMARK = Benchmark(
    name="kernel-sparse-convolutions",
    module="kernel_sparse",
    title="Convolutions without pruned kernels",
    part="kernels",
    kept=(0.5, 0.35, 0.2, 0.13),
    draw=draw,
    claimed=lambda record: record["maps"] >= 64 and record["kept"] <= 0.2,
    large="from 64 x 64 kernels on, of which at most 20 % are kept",
    masks="random masks with exactly the share of kept kernels",
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)

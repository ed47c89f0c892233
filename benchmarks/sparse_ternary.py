"""Products of sparse ternary weights, two non-zeros of eight, beside those of the same codes as plain ternary weights.

    python -m benchmarks.sparse_ternary --results docs/results

Both hold the same numbers, take turns in every round and give the same results, which is checked. The ratio of a round
is that of its two medians; its mean over the rounds stands with an interval of 95 % from Student's t of its logarithm.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.intervals import interval
from fewbit.analysis.report import Table
from fewbit.formats import SparseTernary, Ternary
from fewbit.native import NativeMatrix, targets
from fewbit.speed.timing import measure_in_turns
from studies.evidence import Study
from studies.evidence.machine import load_sentence

FORMAT = SparseTernary(8, 2)
SIZES = (512, 1024, 2048, 4096)
FRAMES = (1, 4, 16)
NAME = "sparse-ternary-products"


def measure_setting(size: int, frames: int, target: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Microseconds of both products, and their ratio in each round.

    Raises:
        AssertionError: the two products differ.
    """
    rng = np.random.default_rng(0)
    codes, scale = FORMAT.draw(rng, size, size), np.ones(size, np.float32)
    matrices = {"sparse": NativeMatrix(codes, FORMAT), "ternary": NativeMatrix(codes, Ternary())}
    x = rng.normal(size=(frames, size)).astype(np.float32)
    sparse, plain = (matrix.apply(x, scale, target) for matrix in matrices.values())
    assert np.array_equal(sparse, plain)
    calls = {
        name: (lambda matrix=matrix: matrix.apply(x, scale, target), 1, seconds) for name, matrix in matrices.items()
    }
    medians: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, timing in measure_in_turns(calls).items():
            medians[name].append(timing.median_us)
    found: dict[str, Any] = {"size": size, "frames": frames, "target": target}
    found |= {f"{name}_bytes": matrix.bytes for name, matrix in matrices.items()}
    found |= {f"{name}_us": float(np.median(medians[name])) for name in medians}
    return found | {"ratios": [a / b for a, b in zip(medians["sparse"], medians["ternary"], strict=True)]}


def table(records: list[dict[str, Any]]) -> Table:
    columns = (
        "weights", "frames", "target", "sparse (bytes)", "ternary (bytes)", "sparse (µs)", "ternary (µs)",
        "time, sparse over ternary", "95 %",
    )  # fmt: skip
    rows = []
    for record in records:
        ratio, low, high = interval(record["ratios"])
        size = f"{record['size']} x {record['size']}"
        given = (size, record["frames"], record["target"], record["sparse_bytes"], record["ternary_bytes"])
        times = (round(record["sparse_us"], 1), round(record["ternary_us"], 1), round(ratio, 2))
        rows.append((*given, *times, f"{low:.2f} to {high:.2f}"))
    return Table("Products of sparse8,2 and of ternary weights", columns, tuple(rows))


def findings(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """How many settings are faster or slower beyond their intervals, by target."""
    found = []
    for target in dict.fromkeys(record["target"] for record in records):
        ends = [interval(record["ratios"]) for record in records if record["target"] == target]
        faster, slower = sum(high < 1 for _, _, high in ends), sum(low > 1 for _, low, _ in ends)
        found.append(
            f"`{target}`: sparse codes are faster in {faster} of {len(ends)} settings and slower in {slower}; they "
            f"take {min(ratio for ratio, _, _ in ends):.2f} to {max(ratio for ratio, _, _ in ends):.2f} times the time."
        )
    return tuple(found)


def study(records: list[dict[str, Any]], rounds: int) -> Study:
    """The figures as a part of the page of results."""
    return Study(
        number="",
        name=NAME,
        title="Products of sparse ternary weights",
        claim="",
        verdict="no claim",
        findings=findings(records),
        setting=(
            f"One thread, floats in and out, activations quantized within the call. Both kernels multiply the same "
            f"codes, give equal results and take turns over {rounds} rounds; the ratio is the geometric mean of "
            "those of the rounds, with its interval of 95 %. "
            f"{load_sentence()}"
        ),
        command="python -m benchmarks.sparse_ternary --results docs/results",
        seeds=(0,),
        tables=(table(records),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="folder for the figures")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--frames", nargs="+", type=int, default=list(FRAMES))
    parser.add_argument("--targets", nargs="+", help="default all of this machine but scalar")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each product in a round")
    arguments = parser.parse_args()
    if not targets():
        parser.error("the native library is missing")
    if arguments.rounds < 2:
        parser.error("an interval needs two rounds")
    records = []
    for target, size, frames in product(
        arguments.targets or [name for name in targets() if name != "scalar"], arguments.sizes, arguments.frames
    ):
        record = measure_setting(size, frames, target, arguments.rounds, arguments.seconds)
        records.append(record)
        ratio, low, high = interval(record["ratios"])
        print(f"{target}, {size} x {size}, {frames} frames: {ratio:.2f} ({low:.2f} to {high:.2f})", flush=True)
    if arguments.results:
        study(records, arguments.rounds).save(arguments.results)


if __name__ == "__main__":
    main()

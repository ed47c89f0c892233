"""How near products come to the floors that `fewbit bench matmul` tells, in each level of the caches.

    python -m benchmarks.product_floors --out build/benchmarks [--results docs/results]

For weights that fill a part of the first cache, of the second, of the third, or three times the third, for each format
and for blocks of 1 to 64 frames: the product, and its parts alone on the same matrix in the same turns. A share above 1
would mean that a floor is none. `product_floors.json` is written after every setting; settings that it already has are
not measured again.
"""

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fewbit.analysis.report import Table
from fewbit.atomic_file import write_atomically
from fewbit.formats import format_from_name
from fewbit.native import NativeMatrix, targets
from fewbit.speed.ceilings import Call, floor_of, part_calls
from fewbit.speed.timing import measure_in_turns
from studies.evidence import Study
from studies.evidence.machine import describe

FORMATS = ("ternary", "int2", "int3", "int4", "int6", "int8")
LEVELS = {"first cache": 16 << 10, "second cache": 512 << 10, "third cache": 8 << 20, "memory": 96 << 20}
"""Bytes of packed weights: well inside of the caches of common processors, and three times a third cache of 32 MiB."""
FRAMES = (1, 4, 16, 64)
COLUMNS = 1024


def shape(bits: int, size: int) -> tuple[int, int]:
    """Rows and columns of so many bytes, with 16 rows at least.

    Example:
        >>> shape(2, 16 << 10), shape(8, 8 << 20)
        ((64, 1024), (8192, 1024))
    """
    weights = size * 8 // bits
    columns = min(COLUMNS, weights // 64)
    return weights // columns, columns


def measure_setting(format: str, size: int, frames: int, target: str, threads: int, seconds: float) -> dict[str, Any]:
    """Microseconds of a product and of its parts."""
    wanted = format_from_name(format)
    rows, columns = shape(wanted.bits, size)
    rng = np.random.default_rng(0)
    codes = rng.integers(wanted.lo, wanted.hi + 1, (rows, columns), np.int16)
    matrix, scale = NativeMatrix(codes, wanted), np.ones(rows, np.float32)
    del codes
    x = rng.normal(size=(frames, columns)).astype(np.float32)
    calls: dict[str, tuple[Call, int, float]] = {}
    calls["product"] = (lambda: matrix.apply(x, scale, target, threads), 1, seconds)
    calls |= {part: (*call, seconds / 2) for part, call in part_calls(matrix, frames, target, threads).items()}
    timings = measure_in_turns(calls)
    floor, timing = floor_of(timings), timings["product"]
    found = {"rows": rows, "columns": columns, "bytes": matrix.bytes, "median_us": timing.median_us}
    found |= {"p10_us": timing.p10_us, "read_us": floor.read_us, "unpack_us": floor.unpack_us}
    return found | {"multiply_us": floor.multiply_us, "bound": floor.bound, "share": floor.share(timing.median_us)}


def table(records: list[dict[str, Any]]) -> Table:
    columns = (
        "format", "weights in", "bytes", "rows", "columns", "frames", "product (µs)", "10 %", "read (µs)",
        "unpack (µs)", "multiply (µs)", "longest part", "share",
    )  # fmt: skip
    times = ("median_us", "p10_us", "read_us", "unpack_us", "multiply_us")
    rows = tuple(
        (
            *(record["format"], record["level"], record["bytes"], record["rows"], record["columns"], record["frames"]),
            *(round(record[name], 2) for name in times),
            *(record["bound"], round(record["share"], 3)),
        )
        for record in records
    )
    return Table("Products and their parts alone", columns, rows)


def findings(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """The largest share of all, and for each format the range of its shares for single frames and for blocks."""
    most = max(records, key=lambda record: record["share"])
    above = sum(record["share"] > 1 for record in records)
    found = [
        f"The largest share is {most['share']:.1%} ({most['format']}, weights in {most['level']}, {most['frames']} "
        f"frames, longest part: {most['bound']}); {above} of {len(records)} products are above 100 %."
    ]
    for format in dict.fromkeys(record["format"] for record in records):
        parts = []
        for words, blocks in (("a single frame", False), ("blocks", True)):
            shares = [
                record["share"] for record in records if record["format"] == format and (record["frames"] > 1) == blocks
            ]
            if shares:
                parts.append(f"{min(shares):.0%} to {max(shares):.0%} for {words}")
        found.append(f"{format}: the longest part takes {', '.join(parts)}.")
    return tuple(line.replace("%", " %").replace("  %", " %") for line in found)


def study(result: dict[str, Any]) -> Study:
    """The figures as a part of the page of results."""
    return Study(
        number="",
        name="product-floors",
        title="Products beside their parts alone",
        claim="",
        verdict="no claim",
        findings=findings(result["records"]),
        setting=(
            f"fewbit's target `{result['target']}`, {result['threads']} thread; floats in and out, activations "
            "quantized within the call. The parts run in the same turns on the same matrix: reading its bytes, reading "
            "and unpacking them, and as many products from registers. The share is the least time of the longest "
            "part over the median of the product. Neighbours on the machine share the third cache and the memory and "
            "make noise."
        ),
        command="python -m benchmarks.product_floors --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(table(result["records"]),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--levels", nargs="+", default=list(LEVELS), choices=list(LEVELS))
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--frames", nargs="+", type=int, default=list(FRAMES))
    parser.add_argument("--target", help="default the best of this machine")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.2, help="of the product; half of it for each part")
    arguments = parser.parse_args()
    if not targets():
        parser.error("the native library is missing")
    path = arguments.out / "product_floors.json"
    result: dict[str, Any] = {"machine": describe(), "target": arguments.target or targets()[0]}
    result |= {"threads": arguments.threads, "seconds": arguments.seconds, "records": []}
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = {(record["format"], record["level"], record["frames"]) for record in result["records"]}
    for level, format, frames in product(arguments.levels, arguments.formats, arguments.frames):
        if (format, level, frames) in done:
            continue
        given = (frames, result["target"], result["threads"], result["seconds"])
        found = measure_setting(format, LEVELS[level], *given)
        result["records"].append({"format": format, "level": level, "frames": frames} | found)
        write_atomically(path, json.dumps(result, indent=1) + "\n")
        print(f"{format}, {level}, {frames} frames: {found['share']:.0%} ({found['bound']})", flush=True)
    if arguments.results:
        study(result).save(arguments.results)


if __name__ == "__main__":
    main()

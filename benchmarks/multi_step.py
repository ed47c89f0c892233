"""Blocks of time steps: how many times as fast are T steps at once as one at a time, and where do the weights lie?

    python -m benchmarks.multi_step --out build/benchmarks [--results docs/results]

SRU layers of 512 to 4096 cells with float32 (torch), int8 and ternary weights (fewbit), in blocks of 1 to 64 steps,
beside a roofline of what was measured in the same turn; LSTM layers are the control. "warm" is one layer, which stays
in the nearest cache that holds it; "cold" are so many layers in turn that all together are three times the last cache,
so that every block begins with weights in memory. All lengths of blocks take turns. `multi_step.json` is written after
every setting; settings that it already has are not measured again.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.multi_step_arms import call_seconds, few_inputs, make_layers, peak_call
from benchmarks.multi_step_results import study
from fewbit.atomic_file import write_atomically
from fewbit.native import targets
from fewbit.speed import measure, read_rate
from studies.evidence.machine import describe

LENGTHS = (1, 2, 4, 8, 16, 32, 64)
CONTROL_LENGTHS = (1, 4, 16, 64)
FORMATS = ("float32", "int8", "ternary")
CACHES = 3
"""Weights of so many last caches are out of all caches when they are read again."""
BITS = {"float32": 32, "int8": 8, "ternary": 2}
BLOCKS = {"sru": 3, "lstm": 8}
"""Matrices of cells x cells in a layer."""


def settings(sizes: list[int], control_sizes: list[int], last_cache: int) -> Iterator[dict[str, Any]]:
    """Cells, formats and places. A layer that is larger than the last cache is never warm."""
    for cell, cell_sizes in (("sru", sizes), ("lstm", control_sizes)):
        for cells in cell_sizes:
            for format in FORMATS:
                size = BLOCKS[cell] * cells * cells * BITS[format] // 8
                for place in ("cold", "warm"):
                    if place == "warm" and size > last_cache:
                        continue
                    layers = 1 if place == "warm" else -(-CACHES * last_cache // size)
                    yield {"cell": cell, "cells": cells, "format": format, "place": place, "layers": layers}


def measure_setting(given: dict[str, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """Times of all lengths, and the bandwidth, peak and costs beside the product that the roofline needs."""
    lengths = LENGTHS if given["cell"] == "sru" else CONTROL_LENGTHS
    made = make_layers(given["cell"], given["cells"], given["format"], given["layers"], max(lengths))
    call = made.in_turn()
    for _ in made.calls:
        call(1)
    samples: dict[int, list[list[float]]] = {steps: [] for steps in lengths}
    reads, peaks = [], []
    peak, operations = peak_call(given["format"])
    for _ in range(rounds):
        for steps in lengths:
            samples[steps].append(call_seconds(call, steps, seconds))
        reads.append(read_rate(given["layers"] * made.weight_bytes, seconds=seconds / 2))
        peaks.append(operations / (measure(peak, seconds / 4, samples=3).p10_us * 1e-6))
    found = given | {"weight_bytes": made.weight_bytes, "bandwidth": max(reads), "peak": max(peaks)}
    if given["cell"] == "sru":
        found |= beside_products(given, max(lengths), seconds)
    return found | {"steps": {str(steps): summary(samples[steps], samples[1], steps) for steps in lengths}}


def beside_products(given: dict[str, Any], longest: int, seconds: float) -> dict[str, float]:
    """Seconds of a call and of the scan of a step, from a layer with hardly any products; the machine at its best."""
    call = few_inputs(given["cells"], given["format"], longest)
    one, many = (float(np.quantile(call_seconds(call, steps, seconds), 0.1)) for steps in (1, longest))
    scan = max(0.0, (many - one) / (longest - 1))
    return {"scan_seconds": scan, "call_seconds": max(0.0, one - scan)}


def summary(rounds: list[list[float]], single: list[list[float]], steps: int) -> dict[str, Any]:
    """Microseconds a step over all calls, and the factor over single steps, round by round."""
    calls = np.concatenate([np.array(times) for times in rounds]) / steps * 1e6
    p10, median, p90 = np.quantile(calls, [0.1, 0.5, 0.9])
    factors = [
        float(np.median(one)) / (float(np.median(times)) / steps) for times, one in zip(rounds, single, strict=True)
    ]
    low, middle, high = np.quantile(factors, [0.1, 0.5, 0.9])
    times_found = {"median_us": float(median), "p10_us": float(p10), "p90_us": float(p90), "calls": len(calls)}
    return times_found | {"factor": float(middle), "factor_p10": float(low), "factor_p90": float(high)}


def last_cache_bytes(machine: dict[str, Any]) -> int:
    """Of the largest cache that the system tells of; 32 MiB where it tells nothing."""
    sizes = [re.fullmatch(r"(\d+)K", cache["size"]) for cache in machine["caches"].values()]
    return max((int(size[1]) << 10 for size in sizes if size), default=32 << 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--cells", nargs="+", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--control-cells", nargs="*", type=int, default=[512, 1024, 2048])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one length in one round")
    parser.add_argument("--last-cache", type=int, help="bytes; default what the system tells")
    arguments = parser.parse_args()
    if not targets():
        parser.error("the native library is missing")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = arguments.out / "multi_step.json"
    machine = describe()
    last_cache = arguments.last_cache or last_cache_bytes(machine)
    result: dict[str, Any] = {"last_cache": last_cache, "rounds": arguments.rounds, "seconds": arguments.seconds}
    result |= {"machine": machine, "target": targets()[0], "torch": torch.__version__, "records": []}
    if path.exists():
        result = json.loads(path.read_text(encoding="utf-8"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = ("cell", "cells", "format", "place")
    done = {tuple(record[name] for name in names) for record in result["records"]}
    for given in settings(arguments.cells, arguments.control_cells, result["last_cache"]):
        if tuple(given[name] for name in names) in done:
            continue
        record = measure_setting(given, result["rounds"], result["seconds"])
        record["load"] = round(os.getloadavg()[0], 2)
        result["records"].append(record)
        write_atomically(path, json.dumps(result, indent=1) + "\n")
        factors = ", ".join(f"{steps}: {one['factor']:.2f}" for steps, one in record["steps"].items())
        print(*(given[name] for name in names), f"S of steps {factors}", flush=True)
    if arguments.results:
        study(result).save(arguments.results)


if __name__ == "__main__":
    main()

"""Load one network in a fresh process, say what memory that takes, and measure bursts as the parent asks.

    python -m benchmarks.peers.graph_worker '{"case": "onnxruntime static", "folder": "...", "threads": 1, "cpus": [1]}'

Prints a line of JSON with memory, cosine and version; then for each line ``SECONDS RUNS`` on standard input one line
with the microseconds of every call of a burst.
"""

import json
import os
import resource
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.graph_runners import start
from benchmarks.peers.graph_runs import Data, Runner, cosine
from benchmarks.peers.worker import end_with_parent

WARM = 5  # calls before each burst
PACKAGES = {"litert": "ai-edge-litert"}


def resident() -> float:
    """Resident memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def peak() -> float:
    """The most that it was so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def loaded(wanted: dict[str, Any]) -> tuple[Runner, dict[str, Any]]:
    """The network, and what is known of it; memory counts from after the import of its library."""
    folder = Path(wanted["folder"])
    load, data = start(wanted["case"], folder, wanted["threads"])
    before, began = resident(), time.perf_counter()
    runner = load()
    seconds, after = time.perf_counter() - began, resident()
    found: dict[str, Any] = {"load_mb": after - before, "load_seconds": seconds}
    outputs = runner.outputs()
    for _ in range(2 * len(data.inputs)):
        runner.run()
    found |= {"base_mb": before, "run_mb": resident() - before, "peak_mb": max(0.0, peak() - before)}
    return runner, found | agreement(wanted["case"], folder, data, outputs)


def agreement(case: str, folder: Path, data: Data, outputs: np.ndarray[Any, Any]) -> dict[str, float]:
    """With float torch, and for fewbit with the fake-quantized network, which the Program must follow."""
    expected = data.expected
    found = {"cosine": cosine(outputs.reshape(expected.shape), expected)}
    library, kind = case.split()
    if library == "fewbit":
        fake = np.load(folder / f"{kind}.npy")
        found["cosine_fake"] = cosine(outputs.reshape(expected.shape)[: len(fake)], fake)
    return found


def burst(runner: Runner, seconds: float, runs: int) -> list[float]:
    """Microseconds of each call, for so long and at least so many."""
    for _ in range(WARM):
        runner.run()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < runs or time.perf_counter() < end:
        begin = time.perf_counter_ns()
        runner.run()
        times.append((time.perf_counter_ns() - begin) / 1e3)
    return [round(each, 2) for each in times]


def main() -> None:
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    warnings.simplefilter("ignore")
    wanted = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, wanted["cpus"])
    try:
        runner, found = loaded(wanted)
        library = wanted["case"].split()[0]
        found["version"] = version(PACKAGES.get(library, library))
    except Exception as problem:  # whatever a library raises is told
        print(json.dumps({"error": f"{type(problem).__name__}: {problem}"[:300]}), file=answers, flush=True)
        return
    print(json.dumps(found), file=answers, flush=True)
    for line in sys.stdin:
        seconds, runs = line.split()
        print(json.dumps(burst(runner, float(seconds), int(runs))), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""Accuracy and size of the digit recogniser over several seeds: `make results` writes `docs/results.md` from it.

    python benchmarks/digits.py --seeds 0 1 2 --out build/benchmarks/digits.json
    python benchmarks/digits.py --report build/benchmarks/digits.json --out docs/results.md

The first runs the demo once for each seed; a file that is there already is added to, so a stopped run goes on.
"""

import argparse
import json
import platform
import statistics
from pathlib import Path
from typing import Any

from fewbit.tour import demo

COLUMNS = {
    "weight_bytes": ("weights (bytes)", 1, 0),
    "file_bytes": ("file (bytes)", 1, 0),
    "error_rate": ("WER known (%)", 100, 1),
    "error_rate_unseen": ("WER unseen (%)", 100, 1),
    "agreement": ("frames that agree with float (%)", 100, 1),
    "real_time_factor": ("real-time factor", 1, 4),
}


def measure(seeds: list[int], out: Path) -> None:
    """Run the demo for the seeds that `out` does not hold yet."""
    results: list[dict[str, Any]] = json.loads(out.read_text()) if out.is_file() else []
    for seed in seeds:
        if any(result["seed"] == seed for result in results):
            continue
        results.append(demo(out.parent / f"demo{seed}", seed=seed).to_dict() | {"machine": machine()})
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")


def machine() -> str:
    """The processor, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor() or platform.machine()


def report(results: list[dict[str, Any]]) -> str:
    """The page of results as Markdown."""
    seeds = [result["seed"] for result in results]
    lines = [
        "# Results",
        "",
        "This page is made by `make results`; do not edit it by hand.",
        "",
        "## Spoken digits: float, direct quantization, retrained",
        "",
        f"Mean and standard deviation over the seeds {', '.join(map(str, seeds))} of `fewbit demo --seed N`. Three",
        "speakers train; their recordings 0-4 (150 words) and a fourth, unseen speaker (100 words) are the test, each",
        "joined to one stream and heard chunk by chunk. Weights are ternary (the last layer int8), signals 8-bit.",
        "While the settings were chosen, with each of the speakers held out in turn, results on these recordings were",
        "seen, so the error rates may flatter; float and retrained networks are flattered alike.",
        f"One demo took {spread([result['seconds'] for result in results], 1, 0)} s on {results[0]['machine']}.",
        "",
        "| network | " + " | ".join(title for title, _, _ in COLUMNS.values()) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    by_name = {row["name"]: [r["rows"][i] for r in results] for i, row in enumerate(results[0]["rows"])}
    for name, rows in by_name.items():
        cells = [spread([row[key] for row in rows], *form) for key, (_, *form) in COLUMNS.items()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    full, small = by_name["float"], by_name["retrained"]
    smaller = full[0]["weight_bytes"] / small[0]["weight_bytes"]
    lines += ["", f"Packed weights are {smaller:.1f} times smaller than float32.", ""]
    for key, speaker in (("error_rate", "known speakers"), ("error_rate_unseen", "the unseen speaker")):
        gaps = [100 * (b[key] - a[key]) for a, b in zip(full, small, strict=True)]
        lines.append(f"Retrained minus float, {speaker}: {spread(gaps, 1, 1)} points.")
        lines.append("")
    return "\n".join(lines)


def spread(values: list[float], factor: float, digits: int) -> str:
    """Mean and standard deviation in words."""
    scaled = [value * factor for value in values]
    mean = f"{statistics.mean(scaled):,.{digits}f}"
    return mean if len(set(scaled)) == 1 else f"{mean} ± {statistics.stdev(scaled):.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--report", type=Path, nargs="+", help="JSON files to make a page of, instead of measuring")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.report:
        results = [result for file in arguments.report for result in json.loads(file.read_text())]
        arguments.out.write_text(report(sorted(results, key=lambda result: int(result["seed"]))))
    else:
        measure(arguments.seeds, arguments.out)


if __name__ == "__main__":
    main()

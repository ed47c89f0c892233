"""Rows of `graph_peers.py`: quantiles, ratios to the peers, and the table for people."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

INT8 = ("static", "dynamic")
LEAST_FLOAT, LEAST_INT8 = 0.95, 0.8
"""Cosines below which a peer's result is not that of the network."""


def quantiles(times: Sequence[float]) -> Row:
    """Median, 10th and 90th percentile in microseconds, and how many calls there were."""
    p10, median, p90 = (round(float(each), 2) for each in np.quantile(times, [0.1, 0.5, 0.9]))
    return {"median_us": median, "p10_us": p10, "p90_us": p90, "calls": len(times)}


def is_right(row: Row) -> bool:
    """Whether a row was measured, and on the right work.

    The Program of fewbit must follow its own fake-quantized network; how far few bits are from float says nothing.
    """
    if "median_us" not in row:
        return False
    if "cosine_fake" in row:
        return bool(row["cosine_fake"] >= LEAST_FLOAT)
    return bool(row["cosine"] >= (LEAST_INT8 if row["kind"] in INT8 else LEAST_FLOAT))


def best(rows: Sequence[Row], kinds: Sequence[str], libraries: Sequence[str] = ()) -> Row | None:
    """The fastest right row of a peer, of some kinds and libraries."""
    found = [
        row
        for row in rows
        if row["library"] != "fewbit"
        and row["kind"] in kinds
        and (not libraries or row["library"] in libraries)
        and is_right(row)
    ]
    return min(found, key=lambda row: row["median_us"], default=None)


def add_ratios(rows: list[Row]) -> None:
    """To each measured row of one network and number of threads: how many times as fast as others (above 1: faster)."""
    others = {
        "best_int8": best(rows, INT8),
        "onnx_float": best(rows, ["float"], ["onnxruntime"]),
        "best_float": best(rows, ["float"]),
        "torch": best(rows, ["float"], ["torch"]),
    }
    for row in rows:
        if "median_us" not in row:
            continue
        row["right"] = is_right(row)
        for name, other in others.items():
            if other:
                row[f"times_{name}"] = round(other["median_us"] / row["median_us"], 3)
        if others["best_int8"] and row["library"] == "fewbit":
            peer = others["best_int8"]
            row["best_int8"] = f"{peer['library']} {peer['kind']}"
            row["apart"] = row["p90_us"] < peer["p10_us"] or peer["p90_us"] < row["p10_us"]


def table(rows: Sequence[Row]) -> str:
    """Fastest first, 80 columns; x int8 and x float: times as fast as the best int8 peer and as ONNX Runtime float."""
    lines = [f"{'':<20}{'median us':>10}{'p10':>9}{'p90':>9}{'x int8':>8}{'x float':>8}{'cos':>5}{'MB':>5}{'peak':>5}"]
    for row in sorted(rows, key=lambda row: row.get("median_us", float("inf"))):
        name = f"{row['library']} {row['kind']}"
        if "median_us" not in row:
            lines.append(f"{name:<20} {row['error']}"[:80])
            continue
        times = "".join(_number(row.get(f"times_{other}"), 8, 2) for other in ("best_int8", "onnx_float"))
        memory = _number(row["load_mb"], 5, 0) + _number(row["peak_mb"], 5, 0)
        lines.append(
            f"{name:<20}{_number(row['median_us'], 10, 1)}{_number(row['p10_us'], 9, 1)}{_number(row['p90_us'], 9, 1)}"
            f"{times}{_number(row['cosine'], 5, 2)}{memory}{'' if row['right'] else '!'}"
        )
    return "\n".join(lines)


def _number(value: float | None, width: int, digits: int) -> str:
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"

"""The timings of a run on a GPU as studies."""

from typing import Any

from fewbit.analysis.report import Table
from studies.evidence import Study
from studies.gpu.machine_words import study_of
from studies.gpu.rows import Row, of

TIME = ("median (ms)", "10 to 90 %", "rounds")


def scans(result: dict[str, Any]) -> Study | None:
    """Fused recurrences: whether they are right, and their times."""
    checks, times = of(result["rows"], kind="check"), of(result["rows"], kind="time")
    if not checks and not times:
        return None
    findings = [*([accuracy(checks)] if checks else []), *ratios(times)]
    kinds = ("fused outputs", "loops outputs", "fused gradients", "loops gradients")
    checked = tuple(
        (row["form"], " x ".join(map(str, row["shape"])), *(f"{row[kind]:.1e}" for kind in kinds)) for row in checks
    )
    timed = tuple((*_what(row), row["way"], *_time(row)) for row in times)
    return study_of(
        result,
        "gpu-scans",
        "Recurrences on a GPU, fused against loops and cuDNN",
        findings,
        "Strict float32 (no TF32), one process; all ways take turns. Differences are from the loops in float64 on the "
        "CPU, of outputs and of gradients of all inputs, each relative to the largest number of its tensor. Fused: one "
        "Triton kernel for all frames. A layer has its matrix products; cuDNN's LSTM has one more in its loop.",
        (
            Table("Largest relative differences", ("form", "batch x frames x channels", *kinds), checked),
            Table("Times", ("what", "batch", "frames", "channels", "pass", "way", *TIME), timed),
        ),
        {"checks": checks, "times": times},
    )


def accuracy(checks: list[Row]) -> str:
    """How far the fused form and the loops are from float64."""
    worst = {
        way: max(max(row[f"{way} outputs"], row[f"{way} gradients"]) for row in checks) for way in ("fused", "loops")
    }
    return (
        f"Over {len(checks)} forms and shapes the fused recurrences are within {worst['fused']:.1e} of float64 in "
        f"outputs and gradients, the loops in float32 within {worst['loops']:.1e}."
    )


def ratios(times: list[Row]) -> list[str]:
    """How many times as long the loops and cuDNN's LSTM take as the fused form."""
    found = []
    for what, fast, slow in (
        ("SRU, recurrence", "fused", "loops"),
        ("QRNN, recurrence", "fused", "loops"),
        ("layer", "SRU, fused", "SRU, loops"),
        ("layer", "QRNN, fused", "QRNN, loops"),
        ("layer", "SRU, fused", "torch.nn.LSTM"),
        ("layer", "QRNN, fused", "torch.nn.LSTM"),
    ):
        for task in ("forward", "training"):
            rows = of(times, what=what, task=task)
            base = {(row["batch"], row["channels"]): row["median_ms"] for row in of(rows, way=fast)}
            many = [
                row["median_ms"] / base[key]
                for row in of(rows, way=slow)
                if (key := (row["batch"], row["channels"])) in base
            ]
            if many:
                low, high = f"{min(many):.3g}", f"{max(many):.3g}"
                span = low if low == high else f"{low} to {high}"
                found.append(f"{what}, {task}: {span} times as long with {slow} as with {fast}.")
    return found


def plans(result: dict[str, Any]) -> Study | None:
    """An LSTM drawn as a graph."""
    rows = of(result["rows"], kind="plan")
    if not rows:
        return None
    findings = []
    for row in of(rows, way="plan"):
        same = of(rows, batch=row["batch"], frames=row["frames"], cells=row["cells"], task=row["task"])
        others = ", ".join(
            f"{other['way']} takes {other['median_ms'] / row['median_ms']:.2f} times as long"
            for other in same
            if other is not row
        )
        findings.append(
            f"{row['task'].capitalize()}, batch {row['batch']}, {row['frames']} frames, {row['cells']} cells: the plan "
            f"takes {row['median_ms']:.3g} ms; {others}."
        )
    apart = max(row["difference"] for row in rows)
    findings.append(f"All ways are within {apart:.1e} of torch.nn.LSTM in outputs and the input's gradient.")
    cells = tuple(
        (row["batch"], row["frames"], row["cells"], row["task"], row["way"], *_time(row), f"{row['difference']:.1e}")
        for row in rows
    )
    columns = ("batch", "frames", "cells", "pass", "way", *TIME, "difference")
    return study_of(
        result,
        "gpu-graph-rnn",
        "A drawn LSTM on a GPU, by its plan, step by step and by cuDNN",
        findings,
        "Strict float32 (no TF32), one process; all ways take turns. Differences are relative to the largest number.",
        (Table("Times", columns, cells),),
        {"plans": rows},
    )


def _what(row: Row) -> tuple[str | int, ...]:
    return (row["what"], row["batch"], row["frames"], row["channels"], row["task"])


def _time(row: Row) -> tuple[str | int, ...]:
    return (f"{row['median_ms']:.3g}", f"{row['p10_ms']:.3g} to {row['p90_ms']:.3g}", int(row["rounds"]))

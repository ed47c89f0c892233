"""What the fused recurrences save in training: forward and backward with them against the plain loops, in one run.

    python -m benchmarks.training_kernels --out build/benchmarks [--results docs/results]

For SRU and QRNN it times the recurrence alone, with its sigmoids and tanhs, and the whole layer, whose matrix products
are the same in both ways. Both ways take turns; `training_kernels.json` holds medians, the median of the paired ratios
with its 10th and 90th percentile, and the largest difference of outputs and gradients relative to the largest number in
each.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewbit.analysis.report import Table
from fewbit.native import training
from fewbit.nn import QRNN, SRU, Signal, recurrence
from studies.evidence import Study
from studies.evidence.machine import describe

Function = Callable[..., Sequence[Tensor]]
Case = tuple[Function, list[Tensor]]
SHAPES = ((512, 300, 16), (512, 300, 1), (128, 300, 16), (128, 64, 32))


def layer(kind: type, hidden: int, frames: int, batch: int) -> Case:
    """Outputs of a layer for its input and parameters."""
    made = kind(hidden, hidden)
    x = torch.randn(batch, frames, hidden, requires_grad=True)
    return lambda x, *_: (made(x)[0],), [x, *made.parameters()]


def scan(kind: type, hidden: int, frames: int, batch: int) -> Case:
    """The recurrence alone."""
    tap = Signal()
    chunk, start = torch.randn(batch, frames, hidden), torch.randn(batch, hidden)
    gates, bias = torch.randn(batch, frames, 3 * hidden), torch.randn(2 * hidden)
    if kind is SRU:
        inputs = [tensor.requires_grad_() for tensor in (gates, bias, chunk, start)]
        return lambda gates, bias, skip, cell: recurrence.sru(gates, bias, skip, cell, tap), inputs
    return lambda gates, cell: recurrence.qrnn(gates, cell, tap), [gates.requires_grad_(), start.requires_grad_()]


def run(case: Case, errors: Sequence[Tensor]) -> tuple[float, list[Tensor]]:
    """Seconds of forward and backward; outputs and gradients."""
    function, inputs = case
    start = time.perf_counter()
    outputs = function(*inputs)
    gradients = torch.autograd.grad(outputs[: len(errors)], inputs, errors)
    return time.perf_counter() - start, [*(output.detach() for output in outputs), *gradients]


def compare(case: Case, rounds: int) -> dict[str, Any]:
    """Times of both ways and how far apart their results are."""
    errors = [torch.randn_like(case[0](*case[1])[0])]
    times: dict[str, list[float]] = {"native": [], "loops": []}
    found: dict[str, list[Tensor]] = {}
    for _ in range(rounds + 1):
        for way, measured in times.items():
            with nullcontext() if way == "native" else recurrence.loops_only():
                seconds, found[way] = run(case, errors)
            measured.append(seconds)
    pairs = zip(found["native"], found["loops"], strict=True)
    difference = max(float((ours - theirs).abs().max() / theirs.abs().max()) for ours, theirs in pairs)
    ratios = np.array(times["loops"][1:]) / np.array(times["native"][1:])
    p10, median, p90 = (round(float(q), 2) for q in np.quantile(ratios, [0.1, 0.5, 0.9]))
    return {
        **{f"{way}_ms": round(float(np.median(measured[1:])) * 1e3, 4) for way, measured in times.items()},
        "times_faster": median,
        "p10": p10,
        "p90": p90,
        "difference": float(f"{difference:.2g}"),
    }


def study(rows: dict[str, dict[str, dict[str, float]]], threads: int) -> Study:
    """The figures as a part of the page of results."""
    cells = tuple(
        (
            name,
            part,
            f"{one['native_ms']:.1f}",
            f"{one['loops_ms']:.1f}",
            f"{one['times_faster']:.2f}",
            f"{one['p10']:.2f} to {one['p90']:.2f}",
        )
        for name, parts in rows.items()
        for part, one in parts.items()
    )
    ratios = {part: [parts[part]["times_faster"] for parts in rows.values()] for part in ("scan", "layer")}
    return Study(
        number="",
        name="training-kernels",
        title="Recurrences in training, fused against plain loops",
        claim="",
        verdict="no claim",
        findings=(
            f"The recurrence alone is {min(ratios['scan']):.1f} to {max(ratios['scan']):.1f} times as fast, forward "
            f"and backward together; a layer with its matrix products, which are torch's in both ways, "
            f"{min(ratios['layer']):.1f} to {max(ratios['layer']):.1f} times.",
        ),
        setting=(
            f"Forward and backward in float32, {threads} thread; both ways take turns, and the ratios are those of "
            "pairs. Both give the same gradients within rounding. The loops go over frames and call torch for all "
            "streams and units of a frame at once."
        ),
        command="python -m benchmarks.training_kernels --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(
            Table(
                "Forward and backward",
                ("layer", "part", "fused (ms)", "loops (ms)", "times as fast", "10 to 90 %"),
                cells,
            ),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not training.is_available():
        parser.error("the native library is missing, or has no training kernels")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for hidden, frames, batch in SHAPES:
        for kind in (SRU, QRNN):
            name = f"{kind.__name__} {hidden}, {frames} frames, batch {batch}"
            rows[name] = {
                make.__name__: compare(make(kind, hidden, frames, batch), arguments.rounds) for make in (scan, layer)
            }
            print(name, json.dumps(rows[name]))
    result = {"threads": arguments.threads, "machine": describe(), "torch": torch.__version__, **rows}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "training_kernels.json").write_text(json.dumps(result, indent=1) + "\n")
    if arguments.results:
        study(rows, arguments.threads).save(arguments.results)


if __name__ == "__main__":
    main()

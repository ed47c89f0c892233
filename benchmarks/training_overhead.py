"""What quantizers cost in training: the step with them against the step without, in one run.

    python -m benchmarks.training_overhead --out build/benchmarks

Trains an LSTM and an SRU character model and ResNet-20 for a few updates of `fewbit.train.fit`, alternately with and
without quantizers on one thread, and writes `training_overhead.json`: the median of the paired ratios of time with
its 10th and 90th percentile, and the ratio of what training adds to the memory of a fresh process at its peak (read
from `/proc`, so on Linux). Weights with adaptive steps are timed as they are in nearly every update: following, not
estimating, which happens twenty times in a training.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.analysis import Table
from fewbit.models import CharLM, ResNet
from fewbit.quant import attach, calibrate, quantizers
from fewbit.train import CrossEntropy, fit
from studies.evidence import Study

ROOT = Path(__file__).parent.parent

VARIANTS: dict[str, dict[str, Any]] = {
    "float": {},
    "ternary": {"weights": "ternary"},
    "ternary:row": {"weights": "ternary:row"},
    "int4/64": {"weights": "int4/64"},
    "ternary+adaptive": {"weights": "ternary+adaptive"},
    "ternary+learned": {"weights": "ternary+learned"},
    "ternary, int8 signals": {"weights": "ternary", "activations": "int8"},
}
WEIGHTS_ONLY = ("ternary", "ternary:row", "ternary+adaptive")
NETWORKS = ("LSTM", "SRU", "ResNet-20")
STEPS = 4


def network(name: str, variant: str) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """A network with the quantizers of a variant, and batches for it."""
    torch.manual_seed(0)
    if name == "ResNet-20":
        model: nn.Module = ResNet(10)
        batches = [(torch.randn(64, 3, 32, 32), torch.randint(10, (64,))) for _ in range(STEPS)]
    else:
        model = CharLM(96, 192, 2, name.lower())
        batches = [(torch.randint(96, (32, 64)), torch.randint(96, (32, 64))) for _ in range(STEPS)]
    attach(model, **VARIANTS[variant])
    calibrate(model, batches, limit=1) if "activations" in VARIANTS[variant] else None
    if variant == "ternary+adaptive":
        for _, quantizer in quantizers(model):
            quantizer.freeze()
    return model, batches


def train(model: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    """Seconds an update."""
    start = time.perf_counter()
    fit(model, batches, CrossEntropy(), epochs=1, progress=False)
    return (time.perf_counter() - start) / len(batches)


def peak_bytes(name: str, variant: str) -> int:
    """Peak memory of a fresh process above that of loading everything."""
    command = [sys.executable, "-m", "benchmarks.training_overhead", "--child", name, variant]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1])


def child(name: str, variant: str) -> None:
    """Train for a few updates and print the peak memory."""
    torch.set_num_threads(1)
    fit(nn.Linear(2, 2), [(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))], CrossEntropy(), epochs=1)
    made = network(name, variant)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    idle = memory("VmRSS")
    train(*made)
    print(memory("VmHWM") - idle)


def memory(field: str) -> int:
    """Bytes of this process, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", nargs=2)
    parser.add_argument("--results", type=Path, help="folder of the studies, for the page of results")
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for name in NETWORKS:
        made = {variant: network(name, variant) for variant in VARIANTS}
        times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(arguments.rounds + 1):
            for variant, (model, batches) in made.items():
                times[variant].append(train(model, batches))
        memory = {variant: peak_bytes(name, variant) for variant in VARIANTS}
        for variant in VARIANTS:
            ratios = np.array(times[variant][1:]) / np.array(times["float"][1:])
            p10, median, p90 = (round(float(q), 3) for q in np.quantile(ratios, [0.1, 0.5, 0.9]))
            result.setdefault(name, {})[variant] = {
                "milliseconds": round(float(np.median(times[variant][1:])) * 1e3, 2),
                "times_float": median,
                "p10": p10,
                "p90": p90,
                "memory_times_float": round(memory[variant] / memory["float"], 3),
            }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "training_overhead.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if arguments.results:
        study(result, arguments.rounds).save(arguments.results)


def study(result: dict[str, dict[str, dict[str, float]]], rounds: int) -> Study:
    """The figures as a part of the page of results."""
    columns = ("network", "quantizers", "ms an update", "time / float", "10 to 90 %", "memory / float")
    rows = tuple(
        (
            name,
            variant,
            found["milliseconds"],
            found["times_float"],
            f"{found['p10']:.2f} to {found['p90']:.2f}",
            found["memory_times_float"],
        )
        for name, variants in result.items()
        for variant, found in variants.items()
    )
    weights = [found for variants in result.values() for variant, found in variants.items() if variant in WEIGHTS_ONLY]
    most = max(found["times_float"] for found in weights)
    memory = max(found["memory_times_float"] for found in weights)
    return Study(
        number="",
        name="training-overhead",
        title="What quantizers cost in training",
        claim="",
        verdict="no claim",
        findings=(
            "With weight quantizers of one step a tensor or row that is not learned by gradient, an update takes at "
            f"most {most:.2f} times as long as in float, and training at most {memory:.2f} times the memory.",
        ),
        setting=(
            "Character models of 2 layers of 192 units (32 x 64 characters an update) and ResNet-20 (64 pictures), one "
            f"thread; medians of {rounds} rounds in which all variants take turns, each against float in its round."
        ),
        command="python -m benchmarks.training_overhead --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(Table("An update of training", columns, rows),),
    )


if __name__ == "__main__":
    main()

"""Time of pruned packed networks against their multiply-accumulates: how much of the promised gain arrives.

    python -m benchmarks.pruned_networks --results docs/results

Networks are not trained, and masks are random: neither changes a time. The whole and the pruned Program take turns in
every round. The gain of a round is the time of the whole network over that of the pruned one; its share is that gain
over the ratio of multiply-accumulates.
"""

import argparse
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import fewbit as fb
from benchmarks.intervals import interval
from fewbit import models
from fewbit.analysis.report import Table
from fewbit.native.library import fast_binding
from fewbit.passes import PruneChannels, PruneUnits, Quantize, compress
from fewbit.program import Program
from fewbit.prune import RandomMask
from fewbit.speed.timing import measure_in_turns
from studies.evidence import Study
from studies.evidence.machine import load_sentence

NAME = "pruned-networks"
RATIOS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Bench:
    """A network, the shape of its input (a batch of one), how it is pruned, and frames of a call, 0 for no stream."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    prune: type[PruneChannels]
    frames: int = 0


def benches() -> Mapping[str, Bench]:
    """The networks that are measured, by name."""

    def recogniser() -> nn.Module:
        return models.SpeechRNN(features=40, hidden=512, layers=4, classes=30)

    return {
        "SRU recogniser, 4 x 512, 2 frames": Bench(recogniser, (1, 64, 40), PruneUnits, 2),
        "SRU recogniser, 4 x 512, 32 frames": Bench(recogniser, (1, 64, 40), PruneUnits, 32),
        "LSTM, 2 x 512, 1 frame": Bench(_lstm, (1, 48, 64), PruneUnits, 1),
        "ResNet-20": Bench(lambda: models.ResNet(10), (1, 3, 32, 32), PruneChannels),
        "convnet, 32 maps": Bench(lambda: models.convnet(3, 32, 10, 32), (1, 3, 32, 32), PruneChannels),
    }


def _lstm() -> nn.Module:
    cells = [fb.nn.LSTM(64, 512), fb.nn.LSTM(512, 512)]
    return fb.nn.Chain(*cells, nn.Linear(512, 30))


def packed(bench: Bench, ratio: float, weights: str) -> Program:
    """The network pruned by random masks, quantized and packed."""
    torch.manual_seed(0)
    x = torch.randn(bench.shape)
    passes: list[Any] = [bench.prune(ratio, x, RandomMask())] if ratio else []
    passes.append(Quantize(weights=weights, activations="int8", calibration=[x]))
    model = compress(deepcopy(bench.build()).eval(), *passes)
    return fb.pack(model, example=x)


def measure(name: str, bench: Bench, weights: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One record for each ratio."""
    programs = {ratio: packed(bench, ratio, weights) for ratio in (0.0, *RATIOS)}
    calls = {str(ratio): (_call(bench, program), 1, seconds) for ratio, program in programs.items()}
    times: dict[str, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, timing in measure_in_turns(calls).items():
            times[key].append(timing.median_us)
    costs = {ratio: fb.cost(program) for ratio, program in programs.items()}
    macs = {ratio: sum(op.macs for op in cost.ops) for ratio, cost in costs.items()}
    found = []
    for ratio in RATIOS:
        promised = macs[0.0] / macs[ratio]
        gains = [a / b for a, b in zip(times["0.0"], times[str(ratio)], strict=True)]
        found.append(
            {
                "network": name,
                "weights": weights,
                "ratio": ratio,
                "macs": promised,
                "bytes": costs[0.0].weight_bytes / costs[ratio].weight_bytes,
                "whole_us": float(np.median(times["0.0"])),
                "pruned_us": float(np.median(times[str(ratio)])),
                "gains": gains,
                "shares": [gain / promised for gain in gains],
            }
        )
    return found


def _call(bench: Bench, program: Program) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    frames = rng.normal(size=bench.shape[1:]).astype(np.float32)
    if not bench.frames:
        return lambda: program(frames)
    chunk, states = frames[: bench.frames], [program.init_state()]

    def step() -> None:
        _, states[0] = program.step(chunk, states[0])

    return step


def table(records: list[dict[str, Any]]) -> Table:
    columns = (
        "network", "weights", "pruned", "multiply-accumulates, ratio", "bytes of weights, ratio", "whole (µs)",
        "pruned (µs)", "gain", "share of the promised gain", "95 %",
    )  # fmt: skip
    rows = []
    for record in records:
        gain, _, _ = interval(record["gains"])
        share, low, high = interval(record["shares"])
        sizes = (f"{record['macs']:.2f}", f"{record['bytes']:.2f}")
        times = (round(record["whole_us"], 1), round(record["pruned_us"], 1), f"{gain:.2f}")
        rows.append(
            (
                *(record["network"], record["weights"], f"{record['ratio']:.0%}", *sizes, *times, f"{share:.2f}"),
                f"{low:.2f} to {high:.2f}",
            )
        )
    return Table("Whole and pruned networks", columns, tuple(rows))


def findings(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """Where four fifths of the promised gain arrive, and where not."""
    ends = [(record, *interval(record["shares"])) for record in records]
    reached = sum(low >= 0.8 for _, _, low, _ in ends)
    missed = sum(high < 0.8 for _, _, _, high in ends)
    least = min(ends, key=lambda each: each[1])
    return (
        f"At least 0.8 of the gain that the multiply-accumulates promise arrives in {reached} of {len(ends)} settings "
        f"(whole interval), less in {missed}; the rest is open.",
        f"The least share is {least[1]:.2f}: {least[0]['network']}, {least[0]['weights']}, "
        f"{least[0]['ratio']:.0%} pruned.",
    )


def study(records: list[dict[str, Any]], rounds: int) -> Study:
    """The figures as a part of the page of results."""
    binding = "the extension" if fast_binding() is not None else "ctypes"
    return Study(
        number="",
        name=NAME,
        title="Speed of pruned networks",
        claim="",
        verdict="no claim",
        findings=findings(records),
        setting=(
            f"One thread; Python calls the library by {binding}. Random masks over all groups of channels or units, "
            "8-bit signals, no training. Whole and "
            f"pruned Programs take turns over {rounds} rounds; ratios are geometric means of the rounds, with "
            "intervals of 95 %. "
            f"{load_sentence()}"
        ),
        command="python -m benchmarks.pruned_networks --results docs/results",
        seeds=(0,),
        tables=(table(records),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="folder for the figures")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each Program in a round")
    parser.add_argument("--weights", nargs="+", default=["ternary"])
    parser.add_argument("--only", nargs="+", help="parts of names of networks")
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("an interval needs two rounds")
    records = []
    for name, bench in benches().items():
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        for weights in arguments.weights:
            found = measure(name, bench, weights, arguments.rounds, arguments.seconds)
            records += found
            for record in found:
                share, low, high = interval(record["shares"])
                print(
                    f"{name}, {weights}, {record['ratio']:.0%}: {record['macs']:.2f} times fewer multiply-accumulates, "
                    f"share of the gain {share:.2f} ({low:.2f} to {high:.2f})",
                    flush=True,
                )
    if arguments.results:
        study(records, arguments.rounds).save(arguments.results)


if __name__ == "__main__":
    main()

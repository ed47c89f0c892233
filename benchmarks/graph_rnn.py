"""What the plan of a graph saves: an LSTM drawn as a graph by its plan and step by step, in one run.

    python -m benchmarks.graph_rnn --out build/benchmarks [--results docs/results]

Times one stream of 64 frames through an LSTM of 512 inputs and 512 cells, forward and in training, by the plan, step by
step (every product for one frame, gradients added up in place; and once more as autograd adds them up, which costs
more), and by `torch.nn.LSTM`. All take turns on one thread. Then the plan alone for more and more streams. Writes
`graph_rnn.json`: medians with their 10th and 90th percentile, and the ratio of step by step to the plan beside its
bound, which holds where the traffic of weights is all that counts:

    forward     4 b N (M + N)  over  4 b N (M / T + N)
    training   16 b N (M + N)  over  8 b N N + 8 b N M / T + 8 b N (M + N) / T

References:
    Hwang, Sung 2015, "Single stream parallelization of generalized LSTM-like RNNs on a GPU" (arXiv 1503.02852).
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.analysis.report import Table
from fewbit.nn import GraphRNN, import_weights, lstm_graph
from studies.evidence import Study


class _Product(torch.autograd.Function):
    """A product for one frame, whose gradient is added to what is there: read, changed and written, nothing else."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.gradient = gradient
        return rows @ weight.t()

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        rows, weight = ctx.saved_tensors
        ctx.gradient.addmm_(error.t(), rows)
        return error @ weight, None, None


def step_by_step(layer: GraphRNN, x: Tensor, lean: bool) -> Tensor:
    """The equations of the graph with both products in each frame.

    Args:
        layer: where the weights are.
        x: (batch, time, features).
        lean: add up the gradients of the matrices in place, as the bound assumes; else as autograd does, which makes a
            tensor for each frame and then adds it.
    """
    weights = dict(layer.named_parameters())
    into, back, bias = weights["weight_x_gates"], weights["weight_h_gates"], weights["bias_gates"]
    if lean and torch.is_grad_enabled():
        into.grad, back.grad = torch.zeros_like(into), torch.zeros_like(back)

    def product(rows: Tensor, weight: Tensor) -> Tensor:
        if not (lean and torch.is_grad_enabled()):
            return functional.linear(rows, weight)
        product: Tensor = _Product.apply(rows, weight.detach(), weight.grad)  # type: ignore[no-untyped-call]
        return product

    h = c = x.new_zeros(len(x), layer.outputs)
    outputs = []
    for frame in x.unbind(1):
        i, f, g, o = (product(frame, into) + product(h, back) + bias).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def forward(run: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Seconds of a forward pass."""
    with torch.no_grad():
        start = time.perf_counter()
        run(x)
        return time.perf_counter() - start


def training(run: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Seconds of forward and backward, up to the gradients of all weights and of the input."""
    x = x.clone().requires_grad_()
    start = time.perf_counter()
    run(x).sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def alternately(
    runs: dict[str, Callable[[Tensor], Tensor]], x: Tensor, rounds: int, seconds: Callable[..., float]
) -> dict[str, list[float]]:
    """Times of all variants, taking turns; the first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            spent = seconds(run, x)
            if number:
                times[name].append(spent)
    return times


def quantiles(times: list[float]) -> dict[str, float]:
    p10, median, p90 = (round(float(q) * 1e3, 3) for q in np.quantile(times, [0.1, 0.5, 0.9]))
    return {"median_ms": median, "p10_ms": p10, "p90_ms": p90}


def bounds(inputs: int, cells: int, frames: int) -> dict[str, float]:
    """Ratios of weight bytes a frame, step by step over the plan."""
    m, n, t = inputs, cells, frames
    return {
        "forward": (m + n) / (m / t + n),
        "training": 16 * (m + n) / (8 * n + 8 * m / t + 8 * (m + n) / t),
    }


def one_stream(inputs: int, cells: int, frames: int, rounds: int) -> dict[str, Any]:
    """Plan, step by step and torch on one stream."""
    torch.manual_seed(0)
    theirs = nn.LSTM(inputs, cells, batch_first=True)
    layer = import_weights(GraphRNN(lstm_graph(inputs, cells)), theirs)
    runs: dict[str, Callable[[Tensor], Tensor]] = {
        "plan": lambda x: layer(x)[0],
        "step by step": lambda x: step_by_step(layer, x, lean=True),
        "step by step, gradients of autograd": lambda x: step_by_step(layer, x, lean=False),
        "torch.nn.LSTM": lambda x: theirs(x)[0],
    }
    x = torch.randn(1, frames, inputs)
    gradients = []
    for run in runs.values():
        y = run(x.clone().requires_grad_())  # without, nothing goes back through the first product
        assert torch.allclose(y, theirs(x)[0], atol=1e-5)
        y.sum().backward()  # type: ignore[no-untyped-call]
        used = [p for p in (*layer.parameters(), *theirs.parameters()) if p.grad is not None]
        gradients.append(torch.stack([p.grad.square().sum() for p in used if p.dim() == 2 and p.grad is not None]))
        for parameter in used:
            parameter.grad = None
    assert all(torch.allclose(gradient, gradients[0], rtol=1e-3) for gradient in gradients)
    result: dict[str, Any] = {"inputs": inputs, "cells": cells, "frames": frames}
    for name, seconds in (("forward", forward), ("training", training)):
        times = alternately(runs, x, rounds, seconds)
        ratios = np.array(times["step by step"]) / np.array(times["plan"])
        bound = bounds(inputs, cells, frames)[name]
        result[name] = {variant: quantiles(found) for variant, found in times.items()} | {
            "step_by_step_over_plan": round(float(np.median(ratios)), 3),
            "bound": round(bound, 3),
            "part_of_bound": round(float(np.median(ratios)) / bound, 3),
        }
    return result


def many_streams(inputs: int, cells: int, frames: int, rounds: int) -> list[dict[str, float]]:
    """Frames a second of all streams together, forward and in training, for more and more streams."""
    torch.manual_seed(0)
    layer = GraphRNN(lstm_graph(inputs, cells))
    rows = []
    for streams in (1, 2, 4, 8, 16, 32, 64):
        x = torch.randn(streams, frames, inputs)
        run: dict[str, Callable[[Tensor], Tensor]] = {"plan": lambda x: layer(x)[0]}
        row: dict[str, float] = {"streams": streams}
        for name, seconds in (("forward", forward), ("training", training)):
            times = alternately(run, x, rounds, seconds)["plan"]
            row[f"{name}_frames_a_second"] = round(streams * frames / float(np.median(times)), 1)
        rows.append(row)
    return rows


def study(result: dict[str, Any]) -> Study:
    """The figures as a part of the page of results."""
    one = result["one_stream"]
    parts = ("forward", "training")
    rows = [
        (part, way, f"{row['median_ms']:.1f}", f"{row['p10_ms']:.1f} to {row['p90_ms']:.1f}")
        for part in parts
        for way, row in one[part].items()
        if isinstance(row, dict)
    ]
    many = [
        (row["streams"], f"{row['forward_frames_a_second']:,.0f}", f"{row['training_frames_a_second']:,.0f}")
        for row in result["streams"]
    ]
    findings = [
        f"{part.capitalize()}, one stream: the plan is {one[part]['step_by_step_over_plan']:.2f} times as fast as step "
        f"by step; the traffic of weights allows {one[part]['bound']:.2f}. torch.nn.LSTM takes "
        f"{one[part]['torch.nn.LSTM']['median_ms'] / one[part]['plan']['median_ms']:.2f} times as long as the plan."
        for part in parts
    ]
    return Study(
        number="",
        name="graph-rnn",
        title="A drawn LSTM by its plan and step by step",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            f"LSTM of {one['inputs']} inputs and {one['cells']} cells drawn as a graph, {one['frames']} frames, "
            "float32, one thread; all ways take turns."
        ),
        command="python -m benchmarks.graph_rnn --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(
            Table("One stream", ("pass", "way", "median (ms)", "10 to 90 %"), tuple(rows)),
            Table("The plan for many streams", ("streams", "forward (frames/s)", "training (frames/s)"), tuple(many)),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cells", type=int, default=512)
    parser.add_argument("--frames", type=int, default=64)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (arguments.cells, arguments.cells, arguments.frames)
    parameters = 4 * arguments.cells * (2 * arguments.cells + 1)
    result: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": 1,
        "weight_megabytes": round(4 * parameters / 1e6, 2),
        "one_stream": one_stream(*sizes, arguments.rounds),
        "streams": many_streams(*sizes, max(1, arguments.rounds // 3)),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "graph_rnn.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if arguments.results:
        study(result).save(arguments.results)


if __name__ == "__main__":
    main()

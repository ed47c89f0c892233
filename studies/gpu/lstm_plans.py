"""An LSTM drawn as a graph on a GPU: by its plan, step by step, and beside cuDNN's LSTM of the same weights.

The ways are those of `benchmarks/graph_rnn.py`, which says what is timed on a CPU.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.graph_rnn import step_by_step
from fewbit.nn import GraphRNN, import_weights, lstm_graph
from studies.gpu.device import device, plain_float32
from studies.gpu.rows import Tell
from studies.gpu.timing import alternately

SHAPES = ((1, 64, 512), (1, 300, 512), (16, 300, 512), (16, 300, 1024))
"""Batch, frames, inputs and cells."""
SMALL = ((2, 6, 8),)


def run(tell: Tell, *, seconds: float = 1.0, small: bool = False) -> None:
    """Tells rows of kind ``plan``: times, and how far each way is from cuDNN's outputs and gradients."""
    with plain_float32():
        for batch, frames, cells in SMALL if small else SHAPES:
            ways, x, parameters = ways_of(batch, frames, cells)
            apart = differences(ways, x, parameters)
            for task in ("forward", "training"):
                calls = {name: call(way, x, task) for name, way in ways.items()}
                for way, found in alternately(calls, 0.0 if small else seconds).items():
                    about = {"batch": batch, "frames": frames, "cells": cells, "task": task}
                    part = f"{way}, {batch}, {frames}, {cells}, {task}"
                    tell({"kind": "plan", "part": part, "way": way, **about, **found, "difference": apart[way]})


def ways_of(
    batch: int, frames: int, cells: int
) -> tuple[dict[str, Callable[[Tensor], Tensor]], Tensor, dict[str, nn.Module]]:
    """The same LSTM in three ways."""
    torch.manual_seed(0)
    theirs = nn.LSTM(cells, cells, batch_first=True)
    layer = import_weights(GraphRNN(lstm_graph(cells, cells)), theirs).to(device())
    theirs = theirs.to(device())
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "plan": lambda x: layer(x)[0],
        "step by step": lambda x: step_by_step(layer, x, lean=False),
        "torch.nn.LSTM": lambda x: theirs(x)[0],
    }
    x = torch.randn(batch, frames, cells, device=device())
    return ways, x, {"plan": layer, "step by step": layer, "torch.nn.LSTM": theirs}


def call(way: Callable[[Tensor], Tensor], x: Tensor, task: str) -> Callable[[], Any]:
    """A forward pass without gradient, or one there and back, up to the gradients of input and weights."""

    def forward() -> Any:
        with torch.no_grad():
            return way(x)

    def training() -> None:
        way(x.clone().requires_grad_()).sum().backward()  # type: ignore[no-untyped-call]

    return forward if task == "forward" else training


def differences(
    ways: dict[str, Callable[[Tensor], Tensor]], x: Tensor, layers: dict[str, nn.Module]
) -> dict[str, float]:
    """Of outputs and of the input's gradient from those of torch, relative to the largest number of each."""
    found = {}
    for name, way in ways.items():
        given = x.clone().requires_grad_()
        y = way(given)
        (gradient,) = torch.autograd.grad(y.square().sum(), given)
        found[name] = [y.detach(), gradient]
        layers[name].zero_grad()
    theirs = found["torch.nn.LSTM"]
    return {
        name: float(f"{max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True)):.3g}")
        for name, ours in found.items()
    }

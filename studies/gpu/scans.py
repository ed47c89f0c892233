"""The fused recurrences of SRU and QRNN on a GPU: are they right, and how fast against loops and cuDNN's LSTM.

Right is what the plain loops give in float64. The fused form and the loops, both in float32 on the GPU, are held
against it: the largest difference of outputs and of gradients, relative to the largest number in each.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.nn import QRNN, SRU, Signal, recurrence
from studies.gpu.device import device, plain_float32
from studies.gpu.rows import Tell
from studies.gpu.timing import alternately

CHECKED = ((1, 1, 1), (3, 7, 5), (2, 33, 64), (1, 300, 65), (5, 100, 1000), (16, 64, 1024), (16, 300, 512))
"""Batch, frames, channels."""
TIMED = ((1, 300, 512), (16, 300, 512), (1, 300, 1024), (16, 300, 1024))
SMALL_CHECKED, SMALL_TIMED = ((3, 7, 5), (1, 9, 65)), ((2, 10, 16),)
FORMS = ("SRU", "SRU, projected", "QRNN")
WAYS: dict[str, Callable[[], AbstractContextManager[Any]]] = {"fused": nullcontext, "loops": recurrence.loops_only}
Run = Callable[..., tuple[Tensor, Tensor]]


def run(tell: Tell, *, seconds: float = 0.6, small: bool = False) -> None:
    """Tells rows of kind ``check`` and ``time``; nothing else runs, so float64 on the CPU may have threads."""
    torch.set_num_threads(1 if small else min(8, os.cpu_count() or 1))
    with plain_float32():
        for form in FORMS:
            for shape in SMALL_CHECKED if small else CHECKED:
                tell({"kind": "check", "part": f"{form} {shape}", "form": form, "shape": shape, **check(form, *shape)})
        for batch, frames, channels in SMALL_TIMED if small else TIMED:
            for task in ("forward", "training"):
                for name, ways in timed(batch, frames, channels, task).items():
                    for way, found in alternately(ways, 0.0 if small else seconds).items():
                        about = {"batch": batch, "frames": frames, "channels": channels, "task": task}
                        part = f"{name}, {way}, {batch}, {channels}, {task}"
                        tell({"kind": "time", "part": part, "what": name, "way": way, **about, **found})


def check(form: str, batch: int, frames: int, channels: int) -> dict[str, float]:
    """Largest differences from the loops in float64: of the fused form and of the loops in float32."""
    function, inputs = recurrence_of(form, batch, frames, channels)
    generator = torch.Generator().manual_seed(1)
    errors = [
        torch.randn(batch, frames, channels, generator=generator),
        torch.randn(batch, channels, generator=generator),
    ]
    found: dict[str, float] = {}
    for end in (False, True):  # with an error of the last cell, and without
        with recurrence.loops_only():
            wanted = results(function, inputs, errors if end else errors[:1], torch.float64, torch.device("cpu"))
        for way, context in WAYS.items():
            with context():
                got = results(function, inputs, errors if end else errors[:1], torch.float32, device())
            for name, numbers in (("outputs", slice(0, 2)), ("gradients", slice(2, None))):
                key = f"{way} {name}"
                found[key] = max(found.get(key, 0.0), difference(got[numbers], wanted[numbers]))
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def results(
    function: Run, inputs: Sequence[Tensor], errors: Sequence[Tensor], kind: torch.dtype, place: torch.device
) -> list[Tensor]:
    """Outputs and gradients, in float64 on the CPU."""
    given = [tensor.to(place, kind).requires_grad_() for tensor in inputs]
    outputs = function(*given)
    pulled = [error.to(place, kind) for error in errors]
    gradients = torch.autograd.grad(outputs[: len(pulled)], given, pulled)
    return [tensor.detach().cpu().double() for tensor in (*outputs, *gradients)]


def difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest, relative to the largest number of each tensor; infinite where a number is not finite."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        apart = float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))
        worst = max(worst, apart if apart == apart else float("inf"))
    return worst


def recurrence_of(form: str, batch: int, frames: int, channels: int) -> tuple[Run, list[Tensor]]:
    """The recurrence alone, and inputs on the CPU."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    tap, start = Signal(), random(batch, channels)
    if form == "QRNN":
        return lambda gates, cell: recurrence.qrnn(gates, cell, tap), [random(batch, frames, 3 * channels), start]
    bias = random(2 * channels)
    if form == "SRU":
        skip = random(batch, frames, channels)
        return (
            lambda gates, bias, skip, cell: recurrence.sru(gates, bias, skip, cell, tap),
            [random(batch, frames, 3 * channels), bias, skip, start],
        )
    return (
        lambda gates, bias, cell: recurrence.sru(gates, bias, None, cell, tap),
        [random(batch, frames, 4 * channels), bias, start],
    )


def timed(batch: int, frames: int, channels: int, task: str) -> dict[str, dict[str, Callable[[], Any]]]:
    """What is timed, and the ways to do it: recurrences alone, and layers beside cuDNN's LSTM."""
    torch.manual_seed(0)
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    for form in ("SRU", "QRNN"):
        function, inputs = recurrence_of(form, batch, frames, channels)
        there = [tensor.to(device()).requires_grad_(task == "training") for tensor in inputs]
        found[f"{form}, recurrence"] = {
            way: call(partial(function, *there), there, task, context) for way, context in WAYS.items()
        }  # fmt: skip
    x = torch.randn(batch, frames, channels, device=device()).requires_grad_(task == "training")
    layers: dict[str, Callable[[], Any]] = {}
    for kind in (SRU, QRNN):
        layer: nn.Module = kind(channels, channels).to(device())
        inputs = [x, *layer.parameters()]
        for way, context in WAYS.items():
            layers[f"{kind.__name__}, {way}"] = call(partial(layer, x), inputs, task, context)
    theirs = nn.LSTM(channels, channels, batch_first=True).to(device())
    layers["torch.nn.LSTM"] = call(lambda: theirs(x), [x, *theirs.parameters()], task, nullcontext)
    return found | {"layer": layers}


def call(
    function: Callable[[], Any], inputs: Sequence[Tensor], task: str, context: Callable[[], AbstractContextManager[Any]]
) -> Callable[[], Any]:
    """A forward pass without gradient, or one there and back with gradients of all inputs."""

    def forward() -> Any:
        with context(), torch.no_grad():
            return function()

    def training() -> Any:
        with context():
            y = function()[0]
            return torch.autograd.grad(y.sum(), inputs)

    return forward if task == "forward" else training

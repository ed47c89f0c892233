"""Recurrent layers of `multi_step.py` as calls: float32 in torch, few bits in fewbit, several of them in turn."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch

from fewbit import nn
from fewbit.formats import PerTensor, default_layout, format_from_name, pack
from fewbit.native import NativeMatrix
from fewbit.program import Program, ops
from fewbit.program.native_run import Native
from fewbit.program.numerics import INT16, rescale_from
from fewbit.speed import random_network

Call = Callable[[int], object]
"""Runs a block of so many steps."""
FEW_INPUTS = 16
PEAK_SIDE, PEAK_FRAMES = 512, 256


@dataclass(frozen=True)
class Layers:
    """Layers of one kind that take turns: a call of `run` is a block through the next of them.

    With more bytes in all than three times the last cache, the weights of a layer have left every cache when it is
    its turn again, as in a deep network.
    """

    calls: tuple[Call, ...]
    weight_bytes: int  # of one layer

    def in_turn(self) -> Call:
        turns = cycle(self.calls)
        return lambda steps: next(turns)(steps)


def make_layers(cell: str, cells: int, format: str, layers: int, longest: int) -> Layers:
    """`layers` layers of `cells` cells and as many inputs, with weights of their own in memory."""
    if format == "float32":
        made = [_torch_call(cell, cells, cells, longest) for _ in range(layers)]
        return Layers(tuple(call for call, _ in made), made[0][1])
    program = random_network(cell, cells, 1, format)
    natives = [Native(program.ops) for _ in range(layers)]
    x = _frames(longest, cells)
    return Layers(tuple(_native_call(native, x) for native in natives), natives[0].bytes)


def few_inputs(cells: int, format: str, longest: int) -> Call:
    """An SRU layer of `cells` cells and hardly any products: what is left is the scan and the call itself."""
    if format == "float32":
        return _torch_call("sru", FEW_INPUTS, cells, longest)[0]
    rng, wanted = np.random.default_rng(0), format_from_name(format)
    layout = default_layout(wanted)
    data = pack(rng.choice(wanted.levels(), (4 * cells, FEW_INPUTS)), wanted, layout)
    weight = ops.Matrix(4 * cells, FEW_INPUTS, wanted, layout, PerTensor(), data)
    first = ops.Quantize("input", np.full(FEW_INPUTS, 40, np.float32), np.zeros(FEW_INPUTS, np.float32), -127, 127)
    gates = rescale_from(1.0, *INT16)
    layer = ops.SRU("sru", cells, weight, np.zeros(4 * cells, np.int64), gates, 1 << 20, 1 << 9, 29, -127, 127)
    return _native_call(Native(Program((first, layer)).ops), _frames(longest, FEW_INPUTS))


def peak_call(format: str) -> tuple[Callable[[], object], float]:
    """A product of 512 x 512 weights with 256 frames, and its operations: two a weight and frame."""
    operations = 2.0 * PEAK_SIDE * PEAK_SIDE * PEAK_FRAMES
    x = _frames(PEAK_FRAMES, PEAK_SIDE)
    if format == "float32":
        weights, frames = torch.randn(PEAK_SIDE, PEAK_SIDE), torch.from_numpy(x)
        return lambda: torch.nn.functional.linear(frames, weights), operations
    wanted = format_from_name(format)
    codes = np.random.default_rng(0).choice(wanted.levels(), (PEAK_SIDE, PEAK_SIDE))
    matrix, scale = NativeMatrix(codes, wanted), np.ones(PEAK_SIDE, np.float32)
    return lambda: matrix.apply(x, scale), operations


def call_seconds(call: Call, steps: int, seconds: float) -> list[float]:
    """Seconds of each call in about `seconds`, at least two calls."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        call(steps)
        found.append(time.perf_counter() - start)
    return found


def _frames(count: int, size: int) -> Any:
    return np.random.default_rng(1).normal(size=(count, size)).astype(np.float32)


def _torch_call(cell: str, inputs: int, cells: int, longest: int) -> tuple[Call, int]:
    model = nn.SRU(inputs, cells) if cell == "sru" else nn.LSTM(inputs, cells)
    frames = torch.from_numpy(_frames(longest, inputs))[None]
    state = None

    def call(steps: int) -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = model(frames[:, :steps], state)

    return call, sum(p.numel() * p.element_size() for name, p in model.named_parameters() if "weight" in name)


def _native_call(native: Native, x: Any) -> Call:
    state = native.init_state()

    def call(steps: int) -> None:
        nonlocal state
        _, state = native.step(x[:steps], state)

    return call

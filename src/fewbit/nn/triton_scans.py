# mypy: ignore-errors
# What is written below is Triton's language, not Python's, and Triton need not be there.
"""The functions of `csrc/training.h` in Triton, for float32 on CUDA.

A program takes a few channels of one row of the batch through all frames. Tests run the kernels in Triton's
interpreter, where they equal the loops; ``studies/gpu`` compares and times them on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:  # it can be read without, as documentation and tests do, but not run
    triton = None

CHANNELS = 64
"""Channels of a program: two warps, and programs enough for a GPU at small batches."""


def run(name: str, like: Tensor, frames: int, *tensors: Tensor | None) -> None:
    """Run the kernel called `name` on what `csrc/training.h` says, with ``room: (batch, ...)`` for all rows."""
    batch, channels = like.shape
    if batch and channels:
        kernel, flags = KERNELS[name](tensors)
        grid = (batch, triton.cdiv(channels, CHANNELS))
        with torch.cuda.device_of(like):
            kernel[grid](*tensors, frames, channels, **flags, size=CHANNELS, num_warps=2)


KERNELS = {
    "sru_forward": lambda given: (_sru_forward, {"projected": given[2] is None}),
    "sru_backward": lambda given: (_sru_backward, {"projected": given[2] is None, "has_end": given[5] is not None}),
    "qrnn_forward": lambda given: (_qrnn_forward, {}),
    "qrnn_backward": lambda given: (_qrnn_backward, {"has_end": given[3] is not None}),
}


def _kernel(function: Callable[..., None]) -> Any:
    return triton.jit(function) if triton else function


@_kernel
def _tanh(x):
    """For small x a series, because the difference of exponentials has lost its digits."""
    square = x * x
    series = 1 + square * (-1 / 3 + square * (2 / 15 + square * (-17 / 315 + square * (62 / 2835))))
    return tl.where(tl.abs(x) < 0.25, x * series, 2 * tl.sigmoid(2 * x) - 1)


@_kernel
def _sru_forward(gates, bias, skip, start, y, end, frames, n, projected: tl.constexpr, size: tl.constexpr):
    b, i = tl.program_id(0).to(tl.int64), tl.program_id(1) * size + tl.arange(0, size)
    on = i < n
    forget_bias, reset_bias = tl.load(bias + i, on), tl.load(bias + n + i, on)
    c = tl.load(start + b * n + i, on)
    for t in range(frames):
        row = b * frames + t
        z = gates + row * (4 if projected else 3) * n + i
        f, r = tl.sigmoid(tl.load(z + n, on) + forget_bias), tl.sigmoid(tl.load(z + 2 * n, on) + reset_bias)
        past = tl.load(z + 3 * n if projected else skip + row * n + i, on)
        c = f * c + (1 - f) * tl.load(z, on)
        tl.store(y + row * n + i, r * _tanh(c) + (1 - r) * past, on)
    tl.store(end + b * n + i, c, on)


@_kernel
def _sru_backward(
    gates,
    bias,
    skip,
    start,
    error_y,
    error_end,
    room,  # forget gates, and the cells before each frame
    to_gates,
    to_bias,
    to_skip,
    to_start,
    frames,
    n,
    projected: tl.constexpr,
    has_end: tl.constexpr,
    size: tl.constexpr,
):
    b, i = tl.program_id(0).to(tl.int64), tl.program_id(1) * size + tl.arange(0, size)
    on = i < n
    blocks = 4 if projected else 3
    forget_bias, reset_bias = tl.load(bias + i, on), tl.load(bias + n + i, on)
    forgets, cells = room + 2 * b * frames * n + i, room + (2 * b + 1) * frames * n + i
    c = tl.load(start + b * n + i, on)
    for t in range(frames):
        z = gates + (b * frames + t) * blocks * n + i
        f = tl.sigmoid(tl.load(z + n, on) + forget_bias)
        tl.store(forgets + t * n, f, on)
        tl.store(cells + t * n, c, on)
        c = f * c + (1 - f) * tl.load(z, on)
    tl.debug_barrier()  # what is stored above may be loaded by other threads below
    carried = tl.load(error_end + b * n + i, on) if has_end else tl.zeros_like(c)
    to_forget_bias, to_reset_bias = tl.zeros_like(c), tl.zeros_like(c)
    for back in range(frames):
        t = frames - 1 - back
        row = b * frames + t
        z, to_z = gates + row * blocks * n + i, to_gates + row * blocks * n + i
        fresh, f, old = tl.load(z, on), tl.load(forgets + t * n, on), tl.load(cells + t * n, on)
        r, shown = tl.sigmoid(tl.load(z + 2 * n, on) + reset_bias), _tanh(f * old + (1 - f) * fresh)
        error, past = tl.load(error_y + row * n + i, on), tl.load(z + 3 * n if projected else skip + row * n + i, on)
        cell = carried + error * r * (1 - shown) * (1 + shown)
        to_forget, to_reset = cell * (old - fresh) * f * (1 - f), error * (shown - past) * r * (1 - r)
        tl.store(to_z, cell * (1 - f), on)
        tl.store(to_z + n, to_forget, on)
        tl.store(to_z + 2 * n, to_reset, on)
        tl.store(to_z + 3 * n if projected else to_skip + row * n + i, error * (1 - r), on)
        to_forget_bias += to_forget
        to_reset_bias += to_reset
        carried = cell * f
    tl.store(to_bias + 2 * b * n + i, to_forget_bias, on)
    tl.store(to_bias + (2 * b + 1) * n + i, to_reset_bias, on)
    tl.store(to_start + b * n + i, carried, on)


@_kernel
def _qrnn_forward(gates, start, y, end, frames, n, size: tl.constexpr):
    b, i = tl.program_id(0).to(tl.int64), tl.program_id(1) * size + tl.arange(0, size)
    on = i < n
    c = tl.load(start + b * n + i, on)
    for t in range(frames):
        row = b * frames + t
        z = gates + row * 3 * n + i
        f, o = tl.sigmoid(tl.load(z + n, on)), tl.sigmoid(tl.load(z + 2 * n, on))
        c = f * c + (1 - f) * _tanh(tl.load(z, on))
        tl.store(y + row * n + i, o * c, on)
    tl.store(end + b * n + i, c, on)


@_kernel
def _qrnn_backward(
    gates,
    start,
    error_y,
    error_end,
    room,  # candidates, forget gates, and the cells before each frame
    to_gates,
    to_start,
    frames,
    n,
    has_end: tl.constexpr,
    size: tl.constexpr,
):
    b, i = tl.program_id(0).to(tl.int64), tl.program_id(1) * size + tl.arange(0, size)
    on = i < n
    fresh_ones = room + 3 * b * frames * n + i
    forgets, cells = fresh_ones + frames * n, fresh_ones + 2 * frames * n
    c = tl.load(start + b * n + i, on)
    for t in range(frames):
        z = gates + (b * frames + t) * 3 * n + i
        fresh, f = _tanh(tl.load(z, on)), tl.sigmoid(tl.load(z + n, on))
        tl.store(fresh_ones + t * n, fresh, on)
        tl.store(forgets + t * n, f, on)
        tl.store(cells + t * n, c, on)
        c = f * c + (1 - f) * fresh
    tl.debug_barrier()  # what is stored above may be loaded by other threads below
    carried = tl.load(error_end + b * n + i, on) if has_end else tl.zeros_like(c)
    for back in range(frames):
        t = frames - 1 - back
        row = b * frames + t
        to_z = to_gates + row * 3 * n + i
        fresh, f = tl.load(fresh_ones + t * n, on), tl.load(forgets + t * n, on)
        old, error = tl.load(cells + t * n, on), tl.load(error_y + row * n + i, on)
        o = tl.sigmoid(tl.load(gates + row * 3 * n + 2 * n + i, on))
        cell = carried + error * o
        tl.store(to_z, cell * (1 - f) * (1 - fresh) * (1 + fresh), on)
        tl.store(to_z + n, cell * (old - fresh) * f * (1 - f), on)
        tl.store(to_z + 2 * n, error * (f * old + (1 - f) * fresh) * o * (1 - o), on)
        carried = cell * f
    tl.store(to_start + b * n + i, carried, on)

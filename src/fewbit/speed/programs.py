"""Timing of random recurrent networks of a given size and of packed files."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fewbit.errors import TargetError
from fewbit.formats import Format, PerTensor, default_layout, format_from_name, pack
from fewbit.program import Program, load, ops
from fewbit.program.native_run import BLOCK, Native
from fewbit.program.numerics import INT16, Rescale, rescale_from
from fewbit.speed.ceilings import read_call
from fewbit.speed.timing import measure_in_turns

CODES = (-127, 127)
STEP = 1 / 64
LINE_BYTES = 64


def random_network(cell: str, hidden: int, layers: int, format: str = "ternary", seed: int = 0) -> Program:
    """A Program of random layers with `hidden` units, as many inputs, and 8-bit signals; `cell` is one of `CELLS`.

    Raises:
        TargetError: no such cell.
        FormatError: no such format.

    Examples:
        >>> network = random_network("lstm", hidden=16, layers=2, format="int4")
        >>> network.inputs, network.outputs
        (16, 16)
    """
    if cell not in CELLS:
        raise TargetError(f"no cell is called {cell!r}; there are {', '.join(CELLS)}")
    rng, wanted = np.random.default_rng(seed), format_from_name(format)
    first = ops.Quantize("input", np.full(hidden, 40, np.float32), np.zeros(hidden, np.float32), *CODES)
    return Program((first, *(CELLS[cell](rng, f"{cell}{i}", hidden, wanted) for i in range(layers))))


def time_network(
    cell: str = "sru",
    hidden: int = 512,
    layers: int = 1,
    steps: int = 16,
    format: str = "ternary",
    threads: int = 1,
    target: str | None = None,
    seconds: float = 0.5,
) -> dict[str, Any]:
    """`time_program` of a `random_network`.

    Examples:
        >>> result = time_network("sru", hidden=16, layers=1, steps=4, seconds=0.01)
        >>> result["cell"], result["steps"], result["step_us"] > 0
        ('sru', 4, True)
    """
    made = random_network(cell, hidden, layers, format)
    return {"cell": cell, "format": format, **time_program(made, steps, threads, target, seconds)}


def time_program(
    program: Program | str | Path,
    steps: int = 16,
    threads: int = 1,
    target: str | None = None,
    seconds: float = 0.5,
) -> dict[str, Any]:
    """Time calls of `steps` frames each, with float input and output; each call continues the stream.

    Returns the timing of a call in microseconds; ``step_us``, the median per frame; ``weight_bytes`` in memory;
    ``gb_per_second``, the speed of reading them; ``read_us``, the time that only reading as many bytes takes, once for
    each `BLOCK` of frames; and ``share``, the part of the median that this is.

    Raises:
        FileFormatError: the file cannot be read.
        TargetError: no such target, or the native library is missing.

    Examples:
        >>> result = time_program(random_network("gru", hidden=16, layers=1), steps=4, seconds=0.01)
        >>> result["steps"], result["median_us"] > 0
        (4, True)
    """
    program = program if isinstance(program, Program) else load(program)
    run = Native(program.ops, target, threads)
    x = np.random.default_rng(0).normal(size=(steps, program.inputs)).astype(np.float32)
    state = run.init_state()

    def call() -> None:
        nonlocal state
        scores, state = run.step(x, state)
        np.multiply(scores, np.float32(STEP), dtype=np.float32)

    read, repeats = read_call(max(run.bytes, LINE_BYTES), run.target)
    timings = measure_in_turns({"call": (call, 1, seconds), "read": (read, repeats, seconds / 4)})
    timing, read_us = timings["call"], timings["read"].least_us * -(-steps // BLOCK)
    rate = run.bytes / (timing.median_us * 1e-6)
    return {
        **asdict(timing),
        "step_us": timing.median_us / steps,
        "steps": steps,
        "threads": threads,
        "target": run.target,
        "weight_bytes": run.bytes,
        "gb_per_second": rate / 1e9,
        "read_us": read_us,
        "bound": "read",
        "share": read_us / timing.median_us,
    }


def _matrix(rng: np.random.Generator, rows: int, columns: int, format: Format) -> ops.Matrix:
    codes = format.draw(rng, rows, columns)
    layout = default_layout(format)
    return ops.Matrix(rows, columns, format, layout, PerTensor(), pack(codes, format, layout))


def _gates(matrix: ops.Matrix) -> Rescale:
    """From sums to gate inputs of about unit deviation in Q3.12."""
    weight = float(np.std(matrix.format.levels()))
    return rescale_from(4096 / (weight * 40 * np.sqrt(matrix.columns)), *INT16)


def _codes() -> Rescale:
    return rescale_from(1 / (STEP * (1 << 15)), *CODES)


def _sru(rng: np.random.Generator, name: str, n: int, format: Format) -> ops.SRU:
    w = _matrix(rng, 3 * n, n, format)
    return ops.SRU(name, n, w, np.zeros(3 * n, np.int64), _gates(w), 1 << 20, 1 << 9, 29, *CODES)


def _qrnn(rng: np.random.Generator, name: str, n: int, format: Format) -> ops.QRNN:
    w = _matrix(rng, 3 * n, 2 * n, format)
    return ops.QRNN(name, n, 2, w, np.zeros(3 * n, np.int64), _gates(w), _codes())


def _lstm(rng: np.random.Generator, name: str, n: int, format: Format) -> ops.LSTM:
    w, back = (_matrix(rng, 4 * n, n, format) for _ in range(2))
    return ops.LSTM(name, n, w, np.zeros(4 * n, np.int64), _gates(w), back, _gates(back), _codes())


def _gru(rng: np.random.Generator, name: str, n: int, format: Format) -> ops.GRU:
    w, back = (_matrix(rng, 3 * n, n, format) for _ in range(2))
    zeros = np.zeros(n, np.int64)
    return ops.GRU(name, n, w, np.zeros(3 * n, np.int64), _gates(w), back, zeros, _gates(back), _codes())


CELLS: dict[str, Callable[[np.random.Generator, str, int, Format], ops.Op]] = {
    "sru": _sru,
    "qrnn": _qrnn,
    "lstm": _lstm,
    "gru": _gru,
}

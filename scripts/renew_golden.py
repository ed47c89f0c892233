"""Write the golden files of the packed format: those of the present version that are not there, never an old one.

    python -m scripts.renew_golden tests/golden

Writes Programs that together have every kind of op that older golden files lack, and with the ending `.npy` the
integers that they give for `golden_frames(program.inputs)`. The tests read the golden files of all versions and compare
every byte and every integer. The files of version 1, `every_op_v1` and `hierarchy_v1`, were packed from networks of
torch; nothing makes them anew.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.formats import (
    Binary,
    Format,
    Int,
    PerGroup,
    PerRow,
    Ternary,
    UInt,
    default_layout,
    pack_columns,
    pack_kernels,
)
from fewbit.formats import pack as pack_codes
from fewbit.program import Program, Reference, ops
from fewbit.program.numerics import INT16, INT32, Integers, Rescale, rescale_from
from fewbit.program.signature import Port, Signature
from fewbit.program.write import VERSION

FEATURES, SYMBOLS = 10, 5
CODES = (-127, 127)
ALL_SEEN = np.ones(1, np.int64)


def golden_frames(inputs: int = FEATURES) -> NDArray[np.float32]:
    """Frames ``(80, inputs)`` that no generator has to be trusted for; columns after the tenth are symbols 0..4."""
    t = np.arange(80)[:, None]
    real = 3 * np.sin(t / 7 * np.arange(1, FEATURES + 1)) + t / 35
    symbols = (t * np.arange(3, 3 + inputs - FEATURES) + t // 9) % SYMBOLS
    return np.asarray(np.concatenate([real, symbols], axis=1), np.float32)


class Maker:
    """Fields of ops from a fixed seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def matrix(self, rows: int, columns: int, format: Format, group: int = 0) -> ops.Matrix:
        data = pack_codes(self.rng.choice(format.levels(), (rows, columns)), format, default_layout(format))
        scale = self.rng.integers(1 << 12, (1 << 14) + 1, (rows, -(-columns // group))) if group else None
        per = PerGroup(group) if group else PerRow()
        return ops.Matrix(rows, columns, format, default_layout(format), per, data, scale)

    def kernels(self, rows: int, taps: int, maps: int, format: Format, kept: float) -> ops.Matrix:
        """A convolution of which a share of the kernels is not zero."""
        drawn = self.rng.choice(format.levels(), (rows, taps, maps)) * (self.rng.random((rows, 1, maps)) < kept)
        data = pack_kernels(drawn.reshape(rows, -1), maps, format)
        return ops.Matrix(rows, taps * maps, format, "kernels", PerRow(), data, maps=maps)

    def columns(self, rows: int, columns: int, format: Format, kept: float) -> ops.Matrix:
        """A matrix of which a share of the columns is not zero."""
        drawn = self.rng.choice(format.levels(), (rows, columns)) * (self.rng.random(columns) < kept)
        return ops.Matrix(rows, columns, format, "columns", PerRow(), pack_columns(drawn, format))

    def bias(self, n: int, most: int = 100) -> Integers:
        return self.rng.integers(-most, most, n)

    def rescale(self, factor: float, span: tuple[int, int] = CODES, outputs: int = 1) -> Rescale:
        return rescale_from(factor * self.rng.uniform(0.7, 1.3, outputs), *span)

    def dense(self, name: str, rows: int, columns: int, factor: float, format: Format, **more: Any) -> ops.Dense:
        span = more.pop("span", INT16)
        weight = self.matrix(rows, columns, format, more.pop("group", 0))
        return ops.Dense(name, weight, self.bias(rows), self.rescale(factor, span, rows), **more)

    def lstm(self, name: str, hidden: int, columns: int, **more: Any) -> ops.LSTM:
        gates = self.rescale(4.0, INT16, 4 * hidden), self.rescale(8.0, INT16, 4 * hidden)
        weight, back = (self.matrix(4 * hidden, n, Int(4)) for n in (columns, hidden))
        output = rescale_from(127 / 32768, *CODES)
        return ops.LSTM(name, hidden, weight, self.bias(4 * hidden), gates[0], back, gates[1], output, **more)

    def features(self) -> ops.Quantize:
        gain, offset = (self.rng.uniform(low, high, 5).astype(np.float32) for low, high in ((15, 30), (-9, 9)))
        return ops.Quantize("features", gain, offset, *CODES, repeat=2)


def points(count: int, low: float, high: float, most: int) -> NDArray[np.int16]:
    """Points of a smooth function that is no line."""
    x = np.linspace(low, high, count)
    found: NDArray[np.int16] = np.rint(most * x / (1 + np.exp(-x)) / high).astype(np.int16)
    return found


def stream() -> Program:
    """Joins of branches of different lookahead, places, attention over a window, clocks: all that runs as a stream."""
    make = Maker(2)
    take = make.rng.integers(1, 43, 40) * make.rng.choice([-1, 1, 1, 1], 40)
    take[7] = 0
    phases = make.rng.integers(*INT32, 12) >> 3, make.rng.integers(*INT32, 12)
    grid = ops.Grid(2, 5, 2, 2, top=1, right=1)
    positions = np.rint(900 * np.sin(np.arange(12 * 60) / 5)).astype(np.int16)
    chain = (
        make.features(),
        ops.Lookup("symbols", make.matrix(SYMBOLS, 3, Int(8)), make.rescale(1.0, CODES, SYMBOLS), 2, FEATURES),
        ops.Conv(
            "image", 1, 1, make.matrix(2, 4, Int(4)), make.bias(2), make.rescale(3.0, (-2048, 2047), 2), grid=grid,
            inputs=("features",),
        ),
        ops.Map("mapped", points(258, -6, 6, 8000), -2048, 4, 2, -400, 2000, inputs=("image",)),
        ops.Conv(
            "window", 3, 2, make.matrix(10, 60, Ternary()), make.bias(10), make.rescale(1.0, INT16, 10),
            dilation=2, left=2, right=2, inputs=("mapped",),
        ),
        ops.Pool("pooled", 1, 20, 2, 2, make.rescale(0.9, INT16), 1, 0, inputs=("mapped",)),
        ops.Conv(
            "depthwise", 2, 1, make.matrix(20, 2, Int(3)), make.bias(20), make.rescale(1.0, INT16, 20), groups=20,
            inputs=("pooled",),
        ),
        ops.Sum("summed", np.array([300, -200]), 1, make.bias(5, 9000), *INT16, inputs=("depthwise", "window")),
        ops.Norm(
            "norm", 20, 1, 1000, 3, make.rng.integers(2**21, 2**22, 20), 22, make.bias(20, 9000), *INT16,
            inputs=("summed",),
        ),
        make.dense("qkv", 24, 20, 0.002, Int(8), inputs=("norm",)),
        ops.Take("q", np.arange(1, 13), inputs=("qkv",)),
        ops.Take("k", np.arange(13, 19), inputs=("qkv",)),
        ops.Take("v", np.arange(19, 25), inputs=("qkv",)),
        ops.Attend("attend", 4, 2, 3, 0, 5, 6000, 22, make.rescale(2**-15, INT16), ALL_SEEN, inputs=("q", "k", "v")),
        ops.Attend(
            "places", 2, 1, 3, 2, 0, 5000, 22, make.rescale(2**-15, INT16), np.array([1, 0, 1, 1]),
            inputs=("attend", "k", "v"),
        ),
        ops.Positions("positions", 12, positions, inputs=("places",)),
        ops.Phases("phases", *phases, make.rescale(2.0**-16, (-2048, 2047)), inputs=("places",)),
        ops.Mul("product", make.rescale(2.0**-9, INT16), inputs=("places", "phases")),
        ops.Sum("placed", np.full(2, 256), 0, make.bias(1), *INT16, inputs=("product", "positions")),
        ops.Softmax("softmax", 4, 4000, 14, make.rescale(255 / 32768, (0, 255)), inputs=("placed",)),
        ops.Mean("mean", make.rescale(0.1, (-2000, 2000)), inputs=("softmax",)),
        ops.First("first", inputs=("softmax",)),
        ops.Pool("slow", 0, 6, 3, 2, make.rescale(0.3), 1, 1, inputs=("symbols",)),
        ops.Take("joined", take, inputs=("softmax", "mean", "first", "slow")),
        make.dense("places scores", 3, 20, 0.05, Int(6), places=2, group=7, span=INT16, inputs=("joined",)),
        ops.Requantize("narrowed", 6, make.rescale(0.01)),
        make.dense("scores", 5, 6, 1.5, UInt(4), span=INT32),
    )  # fmt: skip
    signature = Signature(
        (Port("x", (0, FEATURES), 0, (1,)), Port("words", (2, 0), 1, (0,), FEATURES, symbols=True)),
        (Port("scores", (0, 5), 0, (1,), fraction_bits=8),),
    )
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"}, signature=signature)


def whole() -> Program:
    """What needs the whole input: both directions, and attention over all frames."""
    make = Maker(3)
    chain = (
        make.features(),
        make.lstm("ahead", 6, 10),
        ops.Reverse("turned", inputs=("features",)),
        make.lstm("back", 6, 10),
        ops.Reverse("returned"),
        ops.Take("both", np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, -11, -12]), inputs=("ahead", "returned")),
        ops.Attend("attend", 3, 3, 4, 0, 0, 40000, 12, make.rescale(2**-15), ALL_SEEN, inputs=("both",) * 3),
        make.dense("scores", 4, 12, 6.0, Binary(), span=INT32),
    )
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def parts() -> Program:
    """Two clocks, whose chains have parts of new kinds."""
    make = Maker(4)
    norm = ops.Norm("letters norm", 5, 0, 1, 0, np.full(5, 2**21), 22, make.bias(5, 99), *CODES)
    window = ops.Conv("letters window", 2, 1, make.matrix(4, 10, Int(4)), make.bias(4), make.rescale(0.1), 3, 3)
    gelu = ops.Map("words map", points(130, -3, 5, 127), -128, 1, 0, *CODES)
    chain = (
        make.features(),
        ops.Hierarchy(
            "hierarchy", np.array([0, 4]), 1,
            (make.dense("letters", 5, 10, 0.2, Ternary()), norm, window),
            (ops.Pool("words pool", 0, 14, 1, 1, make.rescale(1.0)), gelu, make.lstm("words", 3, 14)),
            (make.lstm("spelling", 4, 13), ops.Mean("spelling mean", make.rescale(0.01))),
        ),
        make.dense("scores", 3, 4, 5.0, Int(8), span=INT32),
    )  # fmt: skip
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def fine() -> Program:
    """Recurrent layers with fine gates, and magnitudes."""
    make = Maker(5)
    gates = make.rescale(2.0, (-(1 << 19), (1 << 19) - 1), 15), make.rescale(0.04, (-(1 << 19), (1 << 19) - 1), 15)
    output = rescale_from(1.0, -32767, 32767)
    chain = (
        make.features(),
        make.lstm("lstm", 5, 10, fine=1),
        ops.GRU(
            "gru", 5, make.matrix(15, 5, Int(4)), make.bias(15), gates[0], make.matrix(15, 5, Int(4)), make.bias(5),
            gates[1], output, fine=1,
        ),
        ops.Requantize("lstm again", 5, make.rescale(200.0, INT16), inputs=("lstm",)),
        ops.Magnitude("magnitude", 70_000, make.rescale(2.0**-9, INT16), inputs=("gru", "lstm again")),
        make.dense("scores", 4, 5, 0.5, Int(6), span=INT32),
    )  # fmt: skip
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def places() -> Program:
    """What is done alike at each place of a frame: slopes of channels, and numbers that are taken further on."""
    make = Maker(6)
    chain = (
        make.features(),
        ops.PReLU("slopes", 3 << 10, np.array([-900, 700]), 11, -200, 200),
        ops.Take("taken", np.array([2, -1, 0]), 5, 2),
        make.dense("scores", 4, 15, 0.5, Int(4), span=INT32),
    )
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def logs() -> Program:
    """Logarithms of shares, of groups and of all scores."""
    make = Maker(7)
    chain = (
        make.features(),
        make.dense("inner", 12, 10, 0.5, Int(4), span=INT16),
        ops.LogSoftmax("groups", 4, 40_000, 15, make.rescale(2.0**-12, (-127, 127))),
        make.dense("scores", 9, 12, 40.0, Ternary(), span=INT16),
        ops.LogSoftmax("logs", 9, 30_000, 20, make.rescale(0.7, INT32)),
    )
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def kernels() -> Program:
    """Convolutions over time, over places and in groups that are stored without their kernels of zeros."""
    make = Maker(7)
    grid = ops.Grid(2, 5, 2, 3, top=1, left=1, right=1)
    chain = (
        make.features(),
        ops.Conv(
            "image", 1, 1, make.kernels(24, 6, 1, Int(4), 0.4), make.bias(24), make.rescale(1.0, CODES, 24), grid=grid,
        ),
        ops.Conv(
            "grouped", 1, 1, make.kernels(16, 2, 12, Int(7), 0.1), make.bias(16), make.rescale(0.05, INT16, 16),
            groups=2, grid=ops.Grid(2, 5, 2, 1),
        ),
        ops.Conv(
            "window", 3, 1, make.kernels(12, 3, 80, Ternary(), 0.1), make.bias(12), make.rescale(0.05, CODES, 12), 2,
        ),
        make.dense("scores", 4, 12, 0.5, Int(4), span=INT32),
    )  # fmt: skip
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


def columns() -> Program:
    """Convolutions over places and over time, and a dense layer, that are stored without their columns of zeros."""
    make = Maker(8)
    grid = ops.Grid(2, 5, 2, 3, top=1, left=1, right=1)
    chain = (
        make.features(),
        ops.Conv(
            "image", 1, 1, make.columns(24, 6, Int(4), 0.6), make.bias(24), make.rescale(1.0, CODES, 24), grid=grid,
        ),
        ops.Conv(
            "window", 3, 1, make.columns(12, 720, Ternary(), 0.4), make.bias(12), make.rescale(0.05, INT16, 12), 2,
        ),
        ops.Dense("scores", make.columns(4, 12, Int(4), 0.5), make.bias(4), make.rescale(0.05, INT32, 4)),
    )  # fmt: skip
    return Program(chain, recipe={"made by": "scripts/renew_golden.py"})


GOLDEN = {
    "graph_stream": stream,
    "graph_whole": whole,
    "graph_parts": parts,
    "graph_fine": fine,
    "graph_places": places,
    "graph_logs": logs,
    "graph_kernels": kernels,
    "graph_columns": columns,
}


def main(folder: Path) -> None:
    for name, make in GOLDEN.items():
        path = folder / f"{name}_v{VERSION}.fewbit"
        if path.exists():
            continue
        program = make()
        run = Reference(program.ops)
        program.save(path)
        np.save(path.with_suffix(".npy"), run.step(golden_frames(program.inputs), run.init_state(), True)[0])
        print(path.name, [op.kind for op in program.ops])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    main(given.folder)

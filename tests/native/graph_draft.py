"""Random small graphs that are being put together."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fewbit.formats import PerGroup, PerRow, default_layout, format_from_name, pack
from fewbit.program import ops
from fewbit.program.graph import make_graph
from fewbit.program.numerics import Rescale, rescale_from

FORMATS = ("ternary", "binary", "int2", "int3", "int4", "int5", "int6", "int8", "uint2", "uint8")
SPANS = (
    (-128, 127),
    (-127, 127),
    (0, 255),
    (-1, 1),
    (0, 3),
    (-8, 7),
    (-1000, 500),
    (-1023, 1023),
    (-8191, 8191),
    (-32768, 32767),
    (3, 200),
    (-90, -20),
)


class Draft:
    """Ops that are being put together, and the features that they read."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ops, self.features, self.symbols = rng, [], 0, {}

    def choose(self, options):
        return options[self.rng.integers(len(options))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def add(self, make: Callable, *args, **fields) -> str:
        name = f"op{len(self.ops)}"
        self.ops.append(make(name, *args, **fields))
        return name

    def value(self, name: str) -> ops.Value:
        graph = make_graph(self.ops)
        return graph.values[[op.name for op in self.ops].index(name)]

    def source(self, size: int, span=None) -> str:
        """Codes of `size` numbers; now and then they come late, so that others wait for them."""
        low, high = span or self.choose(SPANS)
        repeat = self.choose([n for n in (1, 2, 3, 5, size) if size % n == 0])
        gain = self.rng.normal(size=size // repeat).astype(np.float32) * max(-low, high)
        offset = self.rng.normal(size=size // repeat).astype(np.float32) * max(-low, high) / 4
        name = self.add(ops.Quantize, gain, offset, low, high, repeat, self.features)
        self.features += size
        if self.chance(0.3):
            kernel = self.number(1, 4)
            left, right = self.number(0, kernel - 1), self.number(0, kernel - 1)
            same = Rescale(np.array([1]), 0, low, high)
            name = self.add(ops.Pool, 1, size, kernel, 1, same, left, right, inputs=(name,))
        return name

    def span(self) -> tuple[int, int]:
        return self.choose(SPANS)

    def rescale(self, size: float, outputs: int = 1, span=None, wanted: float | None = None) -> Rescale:
        """What takes numbers of about `size` to about half of a span."""
        low, high = span or self.span()
        wanted = max(-low, high) / 2 if wanted is None else wanted
        factors = self.rng.uniform(0.3, 1, outputs if self.chance(0.7) else 1) * wanted / max(size, 1)
        if self.chance(0.1):
            factors *= 0
        return rescale_from(factors * self.rng.choice([-1, 1], len(factors)), low, high)

    def matrix(self, rows: int, columns: int, grouped: bool = True) -> ops.Matrix:
        format = format_from_name(self.choose(FORMATS))
        codes = self.rng.choice(format.levels(), (rows, columns))
        layout = default_layout(format)
        size = self.choose((1, 5, 16, 64))
        if grouped and self.chance(0.15):
            scale = self.rng.integers(1, 1 << 14, (rows, -(-columns // size)))
            return ops.Matrix(rows, columns, format, layout, PerGroup(size), pack(codes, format, layout), scale)
        return ops.Matrix(rows, columns, format, layout, PerRow(), pack(codes, format, layout))

    def usual(self, matrix: ops.Matrix, name: str) -> float:
        """About what a sum of products has for a size."""
        return float(np.sqrt(matrix.columns) * max(matrix.format.hi, 1) * self.value(name).largest / 3)

    def linear(self, rows: int, columns: int, name: str, span=None, wanted=None, grouped: bool = True):
        weight = self.matrix(rows, columns, grouped)
        size = self.usual(weight, name)
        bias = self.rng.integers(-int(min(size, 1 << 29)) - 1, int(min(size, 1 << 29)) + 1, rows)
        return weight, bias, self.rescale(size, rows, span, wanted)

    def finer(self, product):
        """A product whose bias counts less than a sum, and how many bits less; its sums are as much larger."""
        bias_bits = self.choose((0, 0, 1, 3, 9))
        weight, bias, rescale = product
        return (weight, bias, replace(rescale, multiplier=rescale.multiplier >> bias_bits)), bias_bits

    def grid(self) -> ops.Grid:
        while True:
            height, width, kernel_height, kernel_width = (self.number(1, most) for most in (6, 6, 3, 3))
            dilation = self.number(1, 2), self.number(1, 2)
            reach = (kernel_height - 1) * dilation[0], (kernel_width - 1) * dilation[1]
            pads = [self.number(0, most) for most in (reach[0], reach[0], reach[1], reach[1])]
            stride = self.number(1, 3), self.number(1, 3)
            grid = ops.Grid(height, width, kernel_height, kernel_width, *stride, *dilation, *pads)
            if grid.out_height >= 1 and grid.out_width >= 1:
                return grid

    def window(self, dilation: int) -> tuple[int, int, int, int]:
        """Kernel, stride, left and right."""
        kernel = self.number(1, 3)
        reach = (kernel - 1) * dilation + 1
        return kernel, self.number(1, 4), self.number(0, reach - 1), self.number(0, reach - 1)

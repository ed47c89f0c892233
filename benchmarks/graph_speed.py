"""Times of networks of everyday shapes with random weights, as Programs that are put together by hand.

    python -m benchmarks.graph_speed [--seconds 1] [--formats int8,int4,ternary] [--threads 1,2] [--json FILE]

For development: it says where the native runtime spends its time, and compares with nothing else. A step is one
picture, one sentence, or one token of a stream.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fewbit.formats import PerRow, default_layout, format_from_name, pack
from fewbit.native import targets
from fewbit.program import ops
from fewbit.program.graph import make_graph
from fewbit.program.native_run import Native
from fewbit.program.numerics import rescale_from

SIGNAL, WIDE = (-127, 127), (-32768, 32767)


class Builder:
    """Ops of a network, each with a scale that keeps signals alive; `last` is the name of the newest."""

    def __init__(self, weights: str) -> None:
        self.rng, self.format = np.random.default_rng(0), format_from_name(weights)
        self.ops: list[ops.Op] = []
        self.last = ""

    def add(self, make: Callable[..., ops.Op], *args: Any, inputs: Sequence[str] = ()) -> str:
        self.last = f"op{len(self.ops)}"
        self.ops.append(make(self.last, *args, inputs=tuple(inputs)))
        return self.last

    def matrix(self, rows: int, columns: int) -> ops.Matrix:
        codes = self.rng.choice(self.format.levels(), (rows, columns))
        layout = default_layout(self.format)
        return ops.Matrix(rows, columns, self.format, layout, PerRow(), pack(codes, self.format, layout))

    def linear(self, rows: int, columns: int, span: tuple[int, int] = SIGNAL) -> tuple[Any, Any, Any]:
        size = np.sqrt(columns) * max(self.format.hi, 1) * 0.6 * 60
        bias = self.rng.integers(-100, 100, rows)
        return self.matrix(rows, columns), bias, rescale_from(np.full(rows, abs(span[1]) / 3 / size), *span)

    def quantize(self, features: int, repeat: int = 1) -> str:
        return self.add(
            ops.Quantize, np.full(features, 40, np.float32), np.zeros(features, np.float32), *SIGNAL, repeat
        )

    def dense(self, read: str, rows: int, columns: int, places: int = 1, span: tuple[int, int] = SIGNAL) -> str:
        return self.add(ops.Dense, *self.linear(rows, columns, span), places, inputs=(read,))

    def conv(self, read: str, channels: int, out: int, grid: ops.Grid, groups: int = 1, low: int = 0) -> str:
        linear = self.linear(out, channels // groups * grid.kernel, (low, 127))
        return self.add(ops.Conv, 1, 1, *linear, 1, -1, 0, groups, grid, inputs=(read,))

    def sum(self, *reads: str, low: int = -127, high: int = 127) -> str:
        count = len(reads)
        return self.add(ops.Sum, np.full(count, 200 * 64), 6, np.array([0]), low, high, inputs=reads)

    def norm(self, read: str, width: int) -> str:
        multiplier = np.full(width, 30 << 8)
        return self.add(ops.Norm, width, 1, 1, 0, multiplier, 20, np.zeros(width, int), *SIGNAL, inputs=(read,))

    def gelu(self, read: str) -> str:
        x = np.arange(-32768, 32769, 128)
        points = np.clip(np.maximum(x, 0) // 2, -32768, 32767).astype(np.int16)
        return self.add(ops.Map, points, -32768, 7, 7, *SIGNAL, inputs=(read,))


def square(size: int, kernel: int, stride: int = 1) -> ops.Grid:
    pad = kernel // 2
    return ops.Grid(size, size, kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad)


def resnet20(weights: str) -> Builder:
    net = Builder(weights)
    x = net.conv(net.quantize(3, 32 * 32), 3, 16, square(32, 3))
    size, channels = 32, 16
    for out in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and out > 16 else 1
            y = net.conv(x, channels, out, square(size, 3, stride))
            y = net.conv(y, out, out, square(size // stride, 3), low=-127)
            short = x if stride == 1 else net.conv(x, channels, out, square(size, 1, stride), low=-127)
            x = net.sum(y, short, low=0)
            size, channels = size // stride, out
    net.add(ops.Pool, 0, 64, 1, 1, rescale_from(1 / 64, *SIGNAL), 0, 0, ops.Grid(8, 8, 8, 8), inputs=(x,))
    net.dense(net.last, 10, 64, span=WIDE)
    return net


def ds_cnn(weights: str) -> Builder:
    net = Builder(weights)
    x = net.conv(net.quantize(1, 490), 1, 64, ops.Grid(49, 10, 10, 4, 2, 2, 1, 1, 4, 5, 1, 2))
    grid = ops.Grid(25, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
    for _ in range(4):
        x = net.conv(x, 64, 64, grid, groups=64)
        x = net.conv(x, 64, 64, ops.Grid(25, 5))
    net.add(ops.Pool, 0, 64, 1, 1, rescale_from(1 / 125, *SIGNAL), 0, 0, ops.Grid(25, 5, 25, 5), inputs=(x,))
    net.dense(net.last, 12, 64, span=WIDE)
    return net


def transformer(
    weights: str, places: int, window: int, layers: int = 6, width: int = 384, vocabulary: int = 1000
) -> Builder:
    net = Builder(weights)
    heads, count = width // 64, max(places, 1)
    x = net.add(ops.Lookup, net.matrix(vocabulary, width), rescale_from(100 / max(net.format.hi, 1), *WIDE), count)
    for _ in range(layers):
        normed = net.norm(x, width)
        q, k, v = (net.dense(normed, width, width, count) for _ in range(3))
        attend = (heads, heads, 64, places, window, 1 << 10, 16, rescale_from(1 / 32768, *SIGNAL), np.array([1]))
        mixed = net.add(ops.Attend, *attend, inputs=(q, k, v))
        x = net.sum(x, net.dense(mixed, width, width, count, WIDE), low=-32768, high=32767)
        inner = net.gelu(net.dense(net.norm(x, width), 4 * width, width, count, WIDE))
        x = net.sum(x, net.dense(inner, width, 4 * width, count, WIDE), low=-32768, high=32767)
    net.dense(net.norm(x, width), vocabulary, width, count, WIDE)
    return net


NETWORKS: dict[str, Callable[[str], Builder]] = {
    "ResNet-20, 32 x 32": resnet20,
    "DS-CNN, 49 x 10": ds_cnn,
    "decoder 6 x 384, window 256": lambda weights: transformer(weights, 0, 256),
    "encoder 6 x 384, 16 places": lambda weights: transformer(weights, 16, 0),
    "encoder 6 x 384, 128 places": lambda weights: transformer(weights, 128, 0),
}


def measure(net: Builder, threads: int, seconds: float) -> dict[str, Any]:
    """Median time of a step, after the window of a stream is full."""
    native = Native(net.ops, threads=threads)
    graph = make_graph(net.ops)
    symbols = isinstance(net.ops[0], ops.Lookup)
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, 1000, (1, graph.features)) if symbols else rng.normal(size=(1, graph.features))
    x, state = np.asarray(drawn, np.float32), native.init_state()
    times: list[float] = []
    for _ in range(300 if symbols and graph.features == 1 else 3):
        y, state = native.step(x, state)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        _, state = native.step(x, state)
        times.append(time.perf_counter() - begin)
    macs = sum(op.macs() for op in net.ops)
    median = float(np.median(times))
    return {
        "us": median * 1e6,
        "best_us": min(times) * 1e6,
        "p90_us": float(np.quantile(times, 0.9)) * 1e6,
        "macs": macs,
        "gmacs": macs / median / 1e9,
        "weight_bytes": native.bytes,
        "value_bytes": native.value_bytes,
        "state_bytes": state.nbytes,
        "alive": float(np.std(y)) > 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--formats", default="int8,int4,ternary")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--networks", default="")
    parser.add_argument("--json")
    options = parser.parse_args()
    results = []
    print(f"target {targets()[0]}")
    print("network                        weights  threads         µs       best   GMAC/s  weights kB   values kB")
    for name, build in NETWORKS.items():
        if options.networks not in name:
            continue
        for weights in options.formats.split(","):
            net = build(weights)
            for threads in map(int, options.threads.split(",")):
                found = measure(net, threads, options.seconds)
                setup = {"network": name, "weights": weights, "threads": threads, "target": targets()[0]}
                results.append({**setup, **found})
                times = f"{found['us']:10.1f} {found['best_us']:10.1f} {found['gmacs']:8.1f}"
                sizes = f"{found['weight_bytes'] / 1e3:11.0f} {found['value_bytes'] / 1e3:11.1f}"
                print(f"{name:30} {weights:8} {threads:7} {times} {sizes}", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()

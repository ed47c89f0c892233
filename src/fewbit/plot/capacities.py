"""Pictures of capacity: the metric by memory for weights, for several bit widths."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, ScalarFormatter

from fewbit.analysis import Capacity
from fewbit.plot.palette import COLOURS, MARKERS


def plot_capacity(report: Capacity, path: str | Path) -> Path:
    """Left: the metric by bytes, one curve for each spec; right: the effective compression ratio by size.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import Capacity, MonotoneCurve, Ratio
        >>> curve = MonotoneCurve((100.0, 400.0, 1600.0), (5.0, 4.0, 3.5))
        >>> ratio = Ratio(1.0, "ternary", 40, 5.0, 5.0, 0.1, 100.0, "", 2.5, 2.0, 3.0, 16.0, 0.2)
        >>> curves = {"float": curve, "ternary": MonotoneCurve((40.0, 160.0, 640.0), (5.0, 4.1, 3.6))}
        >>> report = Capacity("digits", "errors, %", (ratio,), curves, curves)
        >>> plot_capacity(report, f"{mkdtemp()}/memory.png").name
        'memory.png'
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, marker, spec in zip(COLOURS, MARKERS, report.test_curves, strict=False):
        _curve(left, report, spec, colour, marker)
        if spec != "float":
            _ratios(right, report, spec, colour, marker)
    left.set_xscale("log", base=2)
    left.xaxis.set_major_formatter(FuncFormatter(_bytes))
    left.set_yscale("log")
    for formatter in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
        formatter(ScalarFormatter())
    left.tick_params(axis="y", which="minor", labelsize=7)
    left.set_xlabel("memory for the network (bytes)")
    left.set_ylabel(f"test, {report.metric}")
    left.set_title("what a memory gives")
    right.axhline(1, color="black", lw=1)
    right.set_xscale("log", base=2)
    right.set_yscale("log", base=2)
    right.xaxis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_major_formatter(ScalarFormatter())
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set_xlabel("size of the network")
    right.set_ylabel("bytes of a float network as good / bytes")
    right.set_title("effective compression ratio\n(dotted: if few bits cost nothing; hollow: a bound)")
    if report.budget is not None:
        left.axvline(report.budget, color="grey", ls="--", label=f"budget {report.budget:,} bytes")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"{report.task}: fewer bits or fewer weights?")
    figure.savefig(path, dpi=150)
    return Path(path)


def _curve(axes: Axes, report: Capacity, spec: str, colour: str, marker: str) -> None:
    curve, points = report.test_curves[spec], report.of(spec)
    x = np.geomspace(curve.bytes[0], curve.bytes[-1], 100)
    x[[0, -1]] = curve.bytes[0], curve.bytes[-1]  # not a rounding error outside
    axes.plot(x, [curve.at(value) for value in x], color=colour)
    sizes, metrics, spreads = ([getattr(point, name) for point in points] for name in ("bytes", "test", "spread"))
    axes.errorbar(sizes, metrics, spreads, color=colour, marker=marker, ls="", capsize=3, label=spec)


def _ratios(axes: Axes, report: Capacity, spec: str, colour: str, marker: str) -> None:
    points = report.of(spec)
    sizes, ratios = [point.size for point in points], [point.ratio for point in points]
    bars = [[max(0.0, p.ratio - p.low) for p in points], [max(0.0, p.high - p.ratio) for p in points]]
    axes.plot(sizes, [point.nominal for point in points], color=colour, ls=":", lw=1)
    axes.errorbar(sizes, ratios, bars, color=colour, capsize=3, lw=1.5)
    axes.plot([], [], color=colour, marker=marker, label=spec)
    for size, point in zip(sizes, points, strict=True):
        axes.plot(size, point.ratio, color=colour, marker=marker, markerfacecolor="white" if point.limit else colour)


def _bytes(value: float, _: object) -> str:
    return f"{value / 1024:g} K" if value >= 1024 else f"{value:g}"

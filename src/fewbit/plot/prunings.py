"""Pictures of pruning: the metric by multiply-accumulates, bytes and time, with the front of each."""

import math
from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from fewbit.analysis import PrunedPoint, Pruning
from fewbit.plot.palette import COLOURS, MARKERS

_COLOURS = dict(zip(("dense", "channels", "units", "heads", "kernels"), COLOURS, strict=False))
LEAST_SPAN = 3.0
"""Largest over smallest value of an axis, at least: a few percent of time must not look like a gain."""
_AXES = {
    "macs": "multiply-accumulates for an input frame",
    "bytes": "bytes of weights",
    "time_us": "measured microseconds of a call",
}


def plot_pruning(report: Pruning, path: str | Path) -> Path:
    """The metric by each cost: colours are granularities, shapes are formats, bars are deviations over seeds.

    A line joins the front, a ring marks the chosen point, and the dashed line is the dense network in float.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import PrunedNetwork, Pruning
        >>> rows = (PrunedNetwork("dense", 0.0, "int4", 0, 9.0, 800.0, 400, 9.0, 1.0),)
        >>> rows += (PrunedNetwork("channels", 0.5, "int4", 0, 9.5, 200.0, 100, 4.5, 2.0),)
        >>> report = Pruning("digits", "error (%)", rows, (0,), (8.9,), "int8", epochs=2, lr=0.01)
        >>> plot_pruning(report, f"{mkdtemp()}/prune.png").name
        'prune.png'
    """
    figure = Figure(figsize=(13, 5.4), layout="constrained")
    specs = list(dict.fromkeys(point.spec for point in report.points))
    shapes = {spec: MARKERS[place % len(MARKERS)] for place, spec in enumerate(specs)}
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (cost, told) in zip(panels, _AXES.items(), strict=True):
        axes.set_title(told)
        axes.grid(alpha=0.3)
        if report.baseline:
            axes.axhline(mean(report.baseline), color="black", ls="--", lw=1)
        if any(getattr(point, cost) is not None for point in report.points):
            _panel(axes, report, cost, shapes)
        else:
            axes.set_xticks([])
            axes.text(0.5, 0.5, "not measured", ha="center", va="center", transform=axes.transAxes)
    panels[0].set_ylabel(f"development data, {report.metric}")
    found = dict.fromkeys(point.granularity for point in report.points)
    entries = [Line2D([], [], color=_COLOURS[name], marker="o", ls="", label=name) for name in found]
    entries += [Line2D([], [], color="grey", marker=shape, ls="", label=spec) for spec, shape in shapes.items()]
    entries.append(Line2D([], [], color="grey", label="front"))
    if report.baseline:
        entries.append(Line2D([], [], color="black", ls="--", lw=1, label="dense, float"))
    if report.chosen is not None:
        told = f"chosen: {report.chosen.name}"
        entries.append(Line2D([], [], color="none", marker="o", ms=13, mec="black", label=told))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    figure.suptitle(f"{report.task}: pruning and bits together, the metric by what a network costs")
    figure.savefig(path, dpi=130)
    return Path(path)


def _panel(axes: Axes, report: Pruning, cost: str, shapes: dict[str, str]) -> None:
    """One cost."""
    line = [(getattr(point, cost), point.error) for point in report.front(cost)]
    axes.plot([x for x, _ in line], [y for _, y in line], color="grey", lw=2, drawstyle="steps-post", zorder=1)
    for point in report.points:
        _point(axes, point, getattr(point, cost), shapes[point.spec])
    chosen = report.chosen
    if chosen is not None and getattr(chosen, cost) is not None:
        axes.plot(getattr(chosen, cost), chosen.error, "o", color="none", ms=15, mec="black", mew=1.5, zorder=4)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    widen = math.sqrt(max(1.0, LEAST_SPAN * low / high))
    axes.set_xlim(low / widen, high * widen)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelrotation=30)


def _point(axes: Axes, point: PrunedPoint, x: float | None, marker: str) -> None:
    if x is not None:
        colour = _COLOURS[point.granularity]
        axes.errorbar(x, point.error, point.spread or 0.0, color=colour, marker=marker, ms=6, elinewidth=1, alpha=0.8)

"""Pictures of resilience: the metric of float, quantized and retrained networks by their size."""

from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from fewbit.analysis import Resilience
from fewbit.plot.palette import COLOURS, MARKERS


def plot_resilience(report: Resilience, path: str | Path) -> Path:
    """Left: the metric by size; right: the gap to float after retraining; bars are standard deviations.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import Resilience, SizedNetwork
        >>> sizes = [(size, spec) for size in (1.0, 2.0) for spec in ("float", "ternary")]
        >>> rows = tuple(SizedNetwork(n, spec, 0, 100, 400, 0.3, 0.7, 0.9, 0.7, 0.9) for n, spec in sizes)
        >>> plot_resilience(Resilience("digits", "accuracy", rows), f"{mkdtemp()}/sizes.png").name
        'sizes.png'
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    sizes = report.sizes
    parameters = [report.of(size, "float")[0].parameters for size in sizes]
    _line(
        left,
        parameters,
        [[row.retrained_test for row in report.of(size, "float")] for size in sizes],
        "black",
        "o",
        "float",
    )
    for colour, marker, spec in zip(COLOURS[1:], MARKERS[1:], report.specs[1:], strict=False):
        direct = [[row.direct_test for row in report.of(size, spec)] for size in sizes]
        retrained = [[row.retrained_test for row in report.of(size, spec)] for size in sizes]
        _line(left, parameters, direct, colour, marker, f"{spec}, direct", dashed=True)
        _line(left, parameters, retrained, colour, marker, f"{spec}, retrained")
        _line(right, parameters, [report.gaps(size, spec) for size in sizes], colour, marker, f"{spec}, retrained")
    right.axhline(0, color="black", lw=1)
    left.set_yscale("log")
    for formatter in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
        formatter(ScalarFormatter())
    left.tick_params(axis="y", which="minor", labelsize=7)
    left.set_ylabel(f"test, {report.metric}")
    right.set_ylabel(f"gap to float, {report.metric}")
    left.set_title("float, quantized directly, and retrained")
    right.set_title("what retraining leaves of the loss")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("parameters of the network")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"{report.task}: few bits against size of the network (mean and deviation over seeds)")
    figure.savefig(path, dpi=150)
    return Path(path)


def _line(
    axes: Axes,
    x: list[int],
    values: list[list[float]] | list[tuple[float, ...]],
    colour: str,
    marker: str,
    label: str,
    dashed: bool = False,
) -> None:
    """Means with their deviations; sizes without values are left out."""
    here = [(place, value) for place, value in zip(x, values, strict=True) if value]
    axes.errorbar(
        [place for place, _ in here],
        [mean(value) for _, value in here],
        [stdev(value) if len(value) > 1 else 0.0 for _, value in here],
        color=colour,
        marker=marker,
        markerfacecolor="white" if dashed else colour,
        ls="--" if dashed else "-",
        capsize=3,
        label=label,
    )

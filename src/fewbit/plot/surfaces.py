"""Pictures of the loss around networks: the plane through three, and the rise under noise on the weights."""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from fewbit.analysis import LossSurface, Sharpness
from fewbit.plot.palette import COLOURS, MARKERS


def plot_loss_surface(report: LossSurface, path: str | Path, title: str = "") -> Path:
    """The plane as it is (left) and with every point quantized (right), in one colour scale for both.

    Cells are shown flat: the quantized surface is made of pieces and is not smoothed. The colour scale is
    logarithmic.

    Args:
        report: what was measured.
        path: file to write.
        title: title of the picture; name the networks.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import LossSurface, SurfacePoint
        >>> points = tuple(SurfacePoint(f"a{i}", i % 2, i // 2, 1.0, 1.1, None, None, 0) for i in range(4))
        >>> grid = ((1.0, 1.2), (1.3, 1.5))
        >>> axis, changed = (0.0, 1.0), ((0, 1), (1, 2))
        >>> surface = LossSurface("ternary", 64, points, axis, axis, grid, grid, None, None, changed)
        >>> plot_loss_surface(surface, f"{mkdtemp()}/plane.png").name
        'plane.png'
    """
    figure = Figure(figsize=(11.5, 6.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    surfaces = np.array([report.loss, report.quantized_loss])
    low, high = float(surfaces.min()), float(surfaces.max())
    norm = LogNorm(max(low, 1e-12), max(high, 1.01 * low, 2e-12))
    names = ("float weights", f"every point quantized to {report.spec}")
    for axes, surface, name, quantized in zip(panels, surfaces, names, (False, True), strict=True):
        cells = axes.pcolormesh(report.x, report.y, surface, norm=norm, cmap="cividis", shading="nearest")
        for point, marker in zip(report.points, ("o", "s", "^", "*"), strict=True):
            own = point.quantized_loss if quantized else point.loss
            size = 15 if marker == "*" else 9
            axes.plot(
                point.x,
                point.y,
                marker,
                ms=size,
                color="white",
                markeredgecolor="black",
                label=f"{point.name}: {own:.4g}",
            )
            axes.annotate(
                point.name,
                (point.x, point.y),
                (0, 10),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            )
        axes.set_title(name)
        axes.set_xlabel("x, along first to second network (distance of weights)")
        axes.legend(title="loss", loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=9)
    panels[0].set_ylabel("y, towards the third (distance of weights)")
    bar = figure.colorbar(cells, ax=panels, label="loss (logarithmic)")
    for formatter in (bar.ax.yaxis.set_major_formatter, bar.ax.yaxis.set_minor_formatter):
        formatter(ScalarFormatter())
    figure.suptitle(title or "loss in the plane through three networks")
    figure.savefig(path, dpi=150)
    return Path(path)


def plot_sharpness(reports: Mapping[str, Sharpness], path: str | Path, title: str = "") -> Path:
    """Left: the rise of the loss by the size of the noise; right: the loss along each direction, for several networks.

    Args:
        reports: name -> what was measured; seven at most.
        path: file to write.
        title: title of the picture.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import Sharpness
        >>> rise = Sharpness(1.0, (-0.1, 0.0, 0.1), ((1.2, 1.0, 1.3), (1.1, 1.0, 1.1)))
        >>> plot_sharpness({"ternary": rise}, f"{mkdtemp()}/rise.png").name
        'rise.png'
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, marker, (name, report) in zip(COLOURS, MARKERS, reports.items(), strict=False):
        rises = [report.rises(scale) for scale in report.scales]
        bars = [stdev(found) if len(found) > 1 else 0.0 for found in rises]
        left.errorbar(
            report.scales, [mean(found) for found in rises], bars, color=colour, marker=marker, capsize=3, label=name
        )
        _profiles(right, report, colour, marker, name)
    left.axhline(0, color="grey", lw=1)
    left.set_ylabel("mean rise of the loss (bars: deviation over directions)")
    left.set_title("under random-sign noise on the weights")
    right.set_ylabel("loss")
    right.set_title("along each direction (thin) and their mean")
    for axes in (left, right):
        axes.set_xlabel("size of the noise / rms of a weight tensor")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title or "how flat the loss is around networks (lower is flatter)")
    figure.savefig(path, dpi=150)
    return Path(path)


def _profiles(axes: Axes, report: Sharpness, colour: str, marker: str, name: str) -> None:
    for profile in report.profiles:
        axes.plot(report.alphas, profile, color=colour, lw=0.6, alpha=0.5)
    means = np.mean(report.profiles, axis=0)
    axes.plot(
        report.alphas, means, color=colour, marker=marker, lw=2, label=f"{name} ({report.loss:.3g} without noise)"
    )

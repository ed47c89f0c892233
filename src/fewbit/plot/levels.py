"""Pictures of weights on their grid."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fewbit.plot.palette import BLUE, ORANGE


def plot_levels(axes: Axes, name: str, before: NDArray[np.floating], after: NDArray[np.floating]) -> None:
    """Float weights of a layer as a histogram, and their quantized levels as bars.

    before, after: weights of any shape, before and after quantization and retraining.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().subplots()
        >>> weights = np.random.default_rng(0).normal(size=100)
        >>> plot_levels(axes, "layer 1", weights, np.sign(weights))
        >>> axes.get_title()
        'weights of layer 1: float and after retraining'
    """
    limit = float(np.quantile(np.abs(before), 0.999)) * 1.05
    limit = max(limit, float(np.abs(after).max()) * 1.1)
    shares, edges = np.histogram(before, bins=81, range=(-limit, limit))
    axes.fill_between((edges[:-1] + edges[1:]) / 2, shares / before.size * 100, color=BLUE, alpha=0.55, label="float")
    levels, counts = np.unique(after, return_counts=True)
    share = counts / after.size * 100
    twin = axes.twinx()
    twin.vlines(levels, 0, share, color=ORANGE, lw=7, label=f"{len(levels)} levels")
    for level, height in zip(levels, share, strict=True):
        twin.annotate(
            f"{height:.0f} %",
            (level, height),
            (0, 4),
            textcoords="offset points",
            ha="center",
            color=ORANGE,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )
    twin.set_ylim(0, float(share.max()) * 1.2)
    twin.set_ylabel("share of weights, quantized (%)", color=ORANGE)
    axes.set_ylim(bottom=0)
    axes.set_xlim(-limit, limit)
    axes.set_xlabel("weight")
    axes.set_ylabel("share of weights a bin, float (%)", color=BLUE)
    axes.set_title(f"weights of {name}: float and after retraining")

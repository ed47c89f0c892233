"""A measure of several networks side by side, every seed a dot."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure

from fewbit.plot.palette import BLUE, ORANGE


def plot_arms(
    values: Mapping[str, Sequence[float]], measure: str, path: str | Path, title: str, digits: int = 1
) -> Path:
    """One row for each name, a dot for each seed and a line at the mean; the first name stands on top.

    Args:
        values: name -> the measure for each seed.
        measure: its name and unit.
        path: file to write.
        title: title of the picture.
        digits: decimals of the means.

    Examples:
        >>> from tempfile import mkdtemp
        >>> plot_arms({"float": [3.8, 3.9], "ternary": [4.0, 4.3]}, "errors, %", f"{mkdtemp()}/arms.png", "Errors").name
        'arms.png'
    """
    figure = Figure(figsize=(8, 1.2 + 0.42 * len(values)), layout="constrained")
    axes = figure.subplots()
    for row, found in enumerate(values.values()):
        axes.plot(found, [row] * len(found), "o", color=BLUE, alpha=0.7, label="one seed" if not row else None)
        middle = mean(found)
        axes.plot([middle] * 2, [row - 0.3, row + 0.3], color=ORANGE, lw=3, label="mean" if not row else None)
        axes.annotate(f"{middle:.{digits}f}", (middle, row - 0.32), ha="center", va="bottom", color=ORANGE, fontsize=9)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.7)
    axes.set_xlabel(measure)
    axes.set_title(title, loc="left")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best")
    figure.savefig(path, dpi=130)
    return Path(path)

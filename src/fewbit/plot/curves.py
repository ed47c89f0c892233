"""A measure along a setting, one curve for each arm, in one or more panels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fewbit.plot.palette import COLOURS, MARKERS


@dataclass(frozen=True)
class Panel:
    """What one panel shows.

    Args:
        y: the measure and its unit.
        curves: name -> place on the x-axis -> the measure for each seed; seven at most. The first is drawn bold.
        levels: name -> the measure for each seed of what does not depend on x, drawn as a line across.
        title: title of the panel.
        zero: whether the y-axis begins at 0.

    Examples:
        >>> panel = Panel("errors, %", {"ternary": {10: [5.0, 5.2], 20: [4.0, 4.1]}}, {"float": [3.8]})
        >>> list(panel.curves["ternary"])
        [10, 20]
    """

    y: str
    curves: Mapping[str, Mapping[float, Sequence[float]]]
    levels: Mapping[str, Sequence[float]] = field(default_factory=dict)
    title: str = ""
    zero: bool = False


def plot_curves(
    panels: Sequence[Panel],
    x: str,
    path: str | Path,
    title: str,
    *,
    log: bool = False,
    same_y: bool = False,
    marks: Sequence[float] | None = None,
) -> Path:
    """Means with standard deviations over seeds; one legend for all panels.

    Args:
        panels: at least one, from left to right.
        x: label of the x-axis, with its unit.
        path: file to write.
        title: title of the picture.
        log: whether the x-axis is logarithmic.
        same_y: whether the panels share the y-axis.
        marks: numbers on the x-axis; default every place.

    Examples:
        >>> from tempfile import mkdtemp
        >>> panel = Panel("errors, %", {"ternary": {10: [5.0, 5.2], 20: [4.0, 4.1]}}, {"float": [3.8]})
        >>> plot_curves([panel], "kilobytes", f"{mkdtemp()}/errors.png", "Errors by size").name
        'errors.png'
    """
    figure = Figure(figsize=(1.6 + 4.3 * len(panels), 5.4), layout="constrained")
    row = figure.subplots(1, len(panels), squeeze=False, sharey=same_y)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw(axes, panel)
        axes.set_xlabel(x)
        if axes is row[0] or not same_y:
            axes.set_ylabel(panel.y)
        axes.set_title(panel.title)
        if panel.zero:
            axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        if log:
            axes.set_xscale("log", base=2)
        places = marks or sorted({place for curve in panel.curves.values() for place in curve})
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    named = {label: handle for axes in row for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    labels = list(named)
    figure.legend(list(named.values()), labels, loc="outside lower center", ncols=min(4, len(labels)))
    figure.suptitle(title)
    figure.savefig(path, dpi=130)
    return Path(path)


def _draw(axes: Axes, panel: Panel) -> None:
    for number, (name, curve) in enumerate(panel.curves.items()):
        places = list(curve)
        axes.errorbar(
            places,
            [mean(curve[place]) for place in places],
            [_deviation(curve[place]) for place in places],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            lw=1.4 if number else 3,
            ms=5 if number else 8,
            capsize=3,
            label=name,
            zorder=2 if number else 3,
        )
    for number, (name, values) in enumerate(panel.levels.items()):
        middle, width = mean(values), _deviation(values)
        colour = ("grey", "#56B4E9")[number % 2]
        axes.axhline(middle, color=colour, ls=("--", ":")[number % 2], lw=2, label=name, zorder=1)
        axes.axhspan(middle - width, middle + width, color=colour, alpha=0.12, zorder=0)


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0

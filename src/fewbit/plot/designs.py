"""Pictures of designs: the metric of networks of equal memory, by their bit operations."""

from pathlib import Path

from matplotlib.figure import Figure

from fewbit.analysis import DesignChoice
from fewbit.plot.palette import COLOURS, MARKERS


def plot_designs(report: DesignChoice, path: str | Path) -> Path:
    """The metric of the short recipe by bit operations: colours are depths, shapes bits of weights, numbers bits of
    signals; stars are networks trained with the whole recipe, at the metric of that.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import DesignChoice, NetworkDesign
        >>> designs = (NetworkDesign(2, 1.0, 2, 8, 900, 10_000, "memory", 0.8, 0.9, 0.9),)
        >>> plot_designs(DesignChoice("digits", "accuracy", 1000, designs), f"{mkdtemp()}/designs.png").name
        'designs.png'
    """
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots()
    depths = sorted({design.depth for design in report.designs})
    bits = sorted({design.weight_bits for design in report.designs})
    for design in report.designs:
        colour = COLOURS[1 + depths.index(design.depth) % (len(COLOURS) - 1)]
        marker = MARKERS[bits.index(design.weight_bits) % len(MARKERS)]
        assert design.probe is not None
        axes.plot(design.bit_operations, design.probe, marker, color=colour, ms=8, alpha=0.8)
        place = (design.bit_operations, design.probe)
        axes.annotate(str(design.signal_bits), place, (7, -3), textcoords="offset points", fontsize=8)
        if design.dev is not None:
            axes.plot(design.bit_operations, design.dev, "*", color=colour, ms=15, markeredgecolor="black")
    for depth, colour in zip(depths, COLOURS[1:], strict=False):
        axes.plot([], [], "o", color=colour, label=f"depth {depth}")
    for count, marker in zip(bits, MARKERS, strict=False):
        axes.plot([], [], marker, color="grey", label=f"weights of {count} bits")
    axes.plot([], [], "*", color="white", markeredgecolor="black", ms=13, label="whole recipe")
    best = report.best
    place = (best.bit_operations, best.dev or 0.0)
    axes.annotate(f"chosen: {best.name}", place, (-8, -14), textcoords="offset points", ha="right")
    axes.set_xscale("log")
    axes.set_xlabel("multiplications for one input x bits of weights x bits of signals")
    axes.set_ylabel(f"development data, {report.metric}")
    axes.set_title(f"{report.task} in {report.budget:,} bytes (numbers: bits of signals)", loc="left")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=130)
    return Path(path)

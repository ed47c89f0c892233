"""Pictures of detection: misses against false alarms, one curve for each spotter."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fewbit.plot.palette import COLOURS, MARKERS
from fewbit.text import Detection, det_curve

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 0.95, 0.99)


def plot_det(curves: Mapping[str, Sequence[Detection]], path: str | Path, title: str) -> Path:
    """DET curves: miss rates on the scale of a normal deviate, false alarms for each keyword-hour on a log scale.

    Args:
        curves: name -> points at several thresholds; those that others beat in both measures are left out.
        path: file to write.
        title: title of the picture.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.text import Detection
        >>> points = [Detection(0.9, 100, 60, 1, 10.0), Detection(0.5, 100, 90, 20, 10.0)]
        >>> plot_det({"spotter": points}, f"{mkdtemp()}/det.png", "Ten keywords").name
        'det.png'
    """
    figure = Figure(figsize=(6.4, 5), layout="constrained")
    axes = figure.subplots()
    # A point without false alarms has no place on a log scale: it is drawn at half an alarm, the left edge.
    shown = [[(_at_least_half(p), p.miss_rate) for p in det_curve(points)] for points in curves.values()]
    for number, (name, line) in enumerate(zip(curves, shown, strict=True)):
        axes.plot(
            [alarms for alarms, _ in line],
            [_deviate(miss) for _, miss in line],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            drawstyle="steps-post",
            label=name,
        )
    axes.set_xscale("log")
    _deviate_scale(axes, [miss for line in shown for _, miss in line])
    axes.set_xlabel("false alarms for each keyword-hour")
    axes.set_ylabel("missed (%)")
    axes.grid(alpha=0.3)
    axes.legend()
    axes.set_title(title)
    figure.savefig(path, dpi=150)
    return Path(path)


def _at_least_half(point: Detection) -> float:
    return max(point.false_alarms, 0.5) / point.keyword_hours


def _deviate(rate: float) -> float:
    return NormalDist().inv_cdf(min(max(rate, TICKS[0] / 2), 1 - TICKS[0] / 2))


def _deviate_scale(axes: Axes, rates: Sequence[float]) -> None:
    axes.set_yticks([_deviate(tick) for tick in TICKS], [f"{100 * tick:g}" for tick in TICKS])
    margin = 0.1
    axes.set_ylim(
        _deviate(min(rates, default=TICKS[0])) - margin,
        _deviate(max(rates, default=TICKS[-1])) + margin,
    )

"""Pictures of sensitivity: the loss of quantizing one group of weights, or one signal, alone."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fewbit.analysis import Sensitivity
from fewbit.analysis.weight_sensitivity import SIGNAL, WEIGHTS


def plot_sensitivity(report: Sensitivity, path: str | Path) -> Path:
    """One table of losses for weights and one for signals; darker cells lose more, and each cell has its number.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import QuantizedGroup, Sensitivity
        >>> row = QuantizedGroup("rnn0", "weights", "int4", ("rnn0.weight",), 64, 32, 0.88, 0.02)
        >>> report = Sensitivity("digits", "accuracy", 0.9, 400, (row,))
        >>> plot_sensitivity(report, f"{mkdtemp()}/losses.png").name
        'losses.png'
    """
    kinds = [kind for kind in (WEIGHTS, SIGNAL) if report.groups(kind)]
    rows = max(len(report.groups(kind)) for kind in kinds)
    figure = Figure(figsize=(1.5 + 5.5 * len(kinds), 1.9 + 0.42 * rows), layout="constrained")
    losses = {kind: _losses(report, kind) for kind in kinds}
    most = max(float(np.nanmax(values)) for values in losses.values())
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        _draw(axes, report, kind, losses[kind], max(most, 1e-12))
    figure.suptitle(
        f"{report.network}: {report.metric} above float ({report.float_metric:.4g})\nwhen one alone is quantized"
    )
    figure.savefig(path, dpi=130)
    return Path(path)


def _draw(axes: Axes, report: Sensitivity, kind: str, losses: NDArray[np.float64], most: float) -> None:
    axes.imshow(np.clip(losses, 0, None) ** 0.5, cmap="cividis_r", vmin=0, vmax=most**0.5, aspect="auto")
    for (row, column), loss in np.ndenumerate(losses):
        dark = loss > most / 3
        text = "failed" if np.isnan(loss) else f"{loss:+.3f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set_xticks(range(losses.shape[1]), list(report.specs(kind)))
    axes.set_yticks(range(losses.shape[0]), list(report.groups(kind)))
    axes.set_xlabel("format")
    axes.set_title("weights" if kind == WEIGHTS else "signals")


def _losses(report: Sensitivity, kind: str) -> NDArray[np.float64]:
    cells = [[report.of(group, spec, kind) for spec in report.specs(kind)] for group in report.groups(kind)]
    return np.array([[np.nan if cell is None else cell.loss for cell in row] for row in cells], float)

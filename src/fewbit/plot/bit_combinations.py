"""Pictures of bits of weights against bits of signals."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib.figure import Figure

from fewbit.analysis import BitGrid


def plot_bit_grid(reports: Sequence[BitGrid], path: str | Path) -> Path:
    """For each network the test metric after retraining, bits of weights downwards and of signals to the right.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import BitCell, BitGrid
        >>> cells = tuple(BitCell(0, w, s, 0.5, 0.9, 0.9) for w in (8, 2) for s in (8, 2))
        >>> plot_bit_grid([BitGrid("digits", "accuracy", cells)], f"{mkdtemp()}/bits.png").name
        'bits.png'
    """
    figure = Figure(figsize=(1.2 + 5.2 * len(reports), 4.6), layout="constrained")
    row = figure.subplots(1, len(reports), squeeze=False)[0]
    tables = [
        np.array([[_mean(report.of(w, a)) for a in report.signal_bits] for w in report.weight_bits])
        for report in reports
    ]
    low, high = min(float(np.nanmin(t)) for t in tables), max(float(np.nanmax(t)) for t in tables)
    for axes, report, table in zip(row, reports, tables, strict=True):
        shown = axes.imshow(table, cmap="cividis_r", vmin=low, vmax=high, aspect="auto")
        for (i, j), value in np.ndenumerate(table):
            dark = value > low + 0.6 * (high - low)
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(report.signal_bits)), [_name(bits) for bits in report.signal_bits])
        axes.set_yticks(range(len(report.weight_bits)), [_name(bits) for bits in report.weight_bits])
        axes.set_xlabel("bits of inner signals")
        axes.set_title(report.task)
    row[0].set_ylabel("bits of inner weights")
    figure.colorbar(shown, ax=row, label=f"test, {reports[0].metric}")
    figure.suptitle("Bits of weights or of signals? After retraining, mean over seeds")
    figure.savefig(path, dpi=130)
    return Path(path)


def _mean(values: Sequence[float]) -> float:
    return mean(values) if values else float("nan")


def _name(bits: int | None) -> str:
    return "float" if bits is None else str(bits)

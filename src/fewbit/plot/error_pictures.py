"""Pictures of a function of two inputs as networks of few bits compute it, and of their errors."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fewbit.analysis import ErrorMaps

NAMES = {"float": "float", "weights": "weights of {w} bits", "signals": "signals of {a} bits", "both": "both"}


def plot_error_maps(report: ErrorMaps, path: str | Path) -> Path:
    """Above: the functions of the retrained networks; below: their errors, all in one scale.

    A distortion shows as large smooth patches, noise as grain.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import ErrorMap, ErrorMaps
        >>> plane = ((0.0, 0.5), (0.5, 1.0))
        >>> arms = ("float", "weights", "signals", "both")
        >>> maps = tuple(ErrorMap(arm, True, 0.1, 0.2, 0.1, 0.1, plane) for arm in arms)
        >>> plot_error_maps(ErrorMaps("waves", 8, 2, 2, 3, plane, maps), f"{mkdtemp()}/maps.png").name
        'maps.png'
    """
    figure = Figure(figsize=(14, 6), layout="constrained")
    panels = figure.subplots(2, 5, sharex=True, sharey=True)
    target = np.array(report.target)
    box = (-1.0, 1.0, -1.0, 1.0)
    maps = [report.of(arm) for arm in NAMES]
    errors = [np.array(found.values) - target for found in maps]
    most = max(float(np.quantile(np.abs(error), 0.995)) for error in errors) or 1.0
    low, high = float(target.min()), float(target.max())
    for place, values in enumerate([target, *(np.array(found.values) for found in maps)]):
        shown = panels[0, place].imshow(
            values, origin="lower", extent=box, vmin=low, vmax=high, cmap="cividis", interpolation="nearest"
        )
    for place, (found, error) in enumerate(zip(maps, errors, strict=True), 1):
        wrong = panels[1, place].imshow(
            error, origin="lower", extent=box, vmin=-most, vmax=most, cmap="PuOr", interpolation="nearest"
        )
        panels[1, place].set_title(f"rms {found.rms:.3f}, rough share {found.roughness:.2f}", fontsize=10)
        panels[1, place].set_xlabel("x1")
        name = NAMES[found.arm].format(w=report.weight_bits, a=report.signal_bits)
        panels[0, place].set_title(name)
    panels[0, 0].set_title("target")
    panels[0, 0].set_ylabel("x2")
    panels[1, 0].axis("off")
    panels[1, 0].text(0, 0, "errors against\nthe target", ha="center", va="center")
    figure.colorbar(shown, ax=panels[0], label="output")
    figure.colorbar(wrong, ax=panels[1], label="error")
    figure.suptitle(
        f"{report.target_name}: {report.depth} hidden layers of {report.width} units, inner layers quantized, retrained"
    )
    figure.savefig(path, dpi=120)
    return Path(path)

"""Pictures of noise in a network: the contribution of each inner signal to the output."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fewbit.analysis import LayerNoise
from fewbit.plot.palette import BLUE, ORANGE


def plot_noise_gain(layers: Sequence[LayerNoise], bits: int, path: str | Path, title: str = "") -> Path:
    """Left: the gain of relative noise up to the output; right: the error with that one signal in few bits.

    Args:
        layers: what `noise_gain` gave.
        bits: of the signal in the last measure.
        path: file to write.
        title: title of the picture; name the networks.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from fewbit.analysis import LayerNoise
        >>> layers = [LayerNoise("rnn0", 0.5, 1.2, 0.01), LayerNoise("rnn1", 0.7, 1.0, 0.02)]
        >>> plot_noise_gain(layers, 3, f"{mkdtemp()}/noise.png").name
        'noise.png'
    """
    figure = Figure(figsize=(10, 1.8 + 0.35 * len(layers)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [layer.layer for layer in layers]
    left.barh(names, [layer.relative for layer in layers], color=BLUE)
    left.axvline(1, color="black", lw=1)
    left.set_xlabel("relative noise at the output / at the signal")
    left.set_ylabel("signal that a layer reads")
    left.invert_yaxis()
    right.barh(names, [100 * layer.error for layer in layers], color=ORANGE)
    right.set_xlabel(f"error power at the output, signal of {bits} bits (% of its power)")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title or "which signals' noise arrives at the output")
    figure.savefig(path, dpi=130)
    return Path(path)

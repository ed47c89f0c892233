"""Pictures of a stream: its spectrogram and the words where they were heard."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fewbit.decode import Label


def plot_heard(
    axes: Axes,
    frames: NDArray[np.float32],
    hop_seconds: float,
    heard: Sequence[Label],
    said: Sequence[tuple[str, float, float]],
) -> None:
    """Log-mel ``frames (time, mels)`` with the words said (white, above) and heard (orange, below).

    said: (word, start, end) in seconds. heard: labels as the decoder gave them.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from fewbit.decode import Label
        >>> axes = Figure().subplots()
        >>> plot_heard(axes, np.zeros((50, 8), np.float32), 0.01, [Label("one", 0.1, 0.4, 0.9)], [("one", 0.1, 0.4)])
        >>> len(axes.texts)
        2
    """
    seconds = len(frames) * hop_seconds
    mels = frames.shape[1]
    axes.imshow(frames.T, origin="lower", aspect="auto", extent=(0, seconds, 0, mels), cmap="cividis")
    for word, start, end in said:
        axes.hlines(mels * 1.03, start, end, color="black", lw=3, clip_on=False)
        axes.text((start + end) / 2, mels * 1.05, word, ha="center", va="bottom", fontsize=9)
    for label in heard:
        axes.axvline(label.start, color="#E69F00", lw=1.2)
        axes.text(label.start, mels * 0.03, f" {label.name}", color="#E69F00", fontsize=9, weight="bold")
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, mels)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("mel filter")
    axes.set_title("said (black, above) and heard (orange, where the network was sure)", pad=24)

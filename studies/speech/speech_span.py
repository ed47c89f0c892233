"""Where the speech in a recording begins and ends, by its energy alone: no network and no dictionary.

The level is that of windows of 20 ms, every 5 ms, in dB. The floor is the 10th percentile of the levels and at most 60
dB below the loudest (98th percentile). Speech is what lies above a share of the way from the floor to the loudest.
"""

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS, HOP_SECONDS = 0.02, 0.005
DEEPEST = 60.0
"""In dB: sound further below the loudest windows is silence to any listener, however quiet the floor is."""


def speech_span(samples: NDArray[np.float32], sample_rate: int, share: float = 0.5) -> tuple[float, float]:
    """First and last moment of speech in `samples` ``(n,)``, in seconds.

    Args:
        samples: a recording of at least 20 ms with pauses in it, in [-1, 1].
        sample_rate: in Hz.
        share: of the way from the floor to the loudest, in dB, above which sound is speech.

    Example:
        >>> time = np.arange(16_000) / 16_000
        >>> tone = (0.1 * np.sin(2_000 * time) * (time > 0.3) * (time < 0.7)).astype(np.float32)
        >>> start, end = speech_span(tone, 16_000)
        >>> abs(start - 0.3) < 0.011, abs(end - 0.7) < 0.011
        (True, True)
    """
    window, hop = round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    low, high = np.percentile(level, (10, 98))
    low = max(low, high - DEEPEST)
    (loud,) = np.nonzero(level >= low + share * (high - low))
    # The middle of a window: its energy rises half-way where the sound begins.
    middle = (loud[[0, -1]] * hop + window / 2) / sample_rate
    return float(middle[0]), float(middle[1])

"""Variation of log-mel frames in training: other voices and microphones, and parts blanked out (SpecAugment)."""

import numpy as np
from numpy.typing import NDArray

WARP = (0.88, 1.14)
TILT = (1.2, 0.7, 0.4)


def other_voice(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Simulate another vocal tract and microphone: stretch the mel axis, tilt the spectrum (Jaitly, Hinton 2013)."""
    mels = frames.shape[1]
    bins = np.arange(mels)
    source = np.clip(bins * rng.uniform(*WARP), 0, mels - 1.001)
    low = source.astype(int)
    part = (source - low).astype(np.float32)
    warped = frames[:, low] * (1 - part) + frames[:, low + 1] * part
    waves = np.cos(np.pi * np.outer(bins + 0.5, (1, 2, 3)) / mels)
    return np.asarray(warped + waves @ (rng.standard_normal(3) * TILT), np.float32)


def spec_augment(frames: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blank out two random bands of mel filters and two short spans of time (Park et al. 2019)."""
    frames = frames.copy()
    quiet = frames.mean(axis=0)
    time, mels = frames.shape
    for _ in range(2):
        width = int(rng.integers(0, mels // 6 + 1))
        low = int(rng.integers(0, mels - width + 1))
        frames[:, low : low + width] = quiet[low : low + width]
        width = int(rng.integers(0, 8))
        start = int(rng.integers(0, time - width + 1))
        frames[start : start + width] = quiet
    return frames

"""Recordings of single words, and long utterances joined from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """One recorded word: ``samples (n,)`` in [-1, 1]."""

    samples: NDArray[np.float32]
    word: str
    speaker: str
    name: str


@dataclass(frozen=True)
class Spoken:
    """A word and when it sounds in a joined utterance, in seconds."""

    word: str
    start: float
    end: float


def join(
    clips: Sequence[Clip], rate: int, rng: np.random.Generator, gap: tuple[float, float] = (0.15, 0.45)
) -> tuple[NDArray[np.float32], list[Spoken]]:
    """Clips one after the other with random silent gaps (seconds), and where each word sounds.

    The gaps are digital silence with faint noise (-72 dBFS), as between the words of a quiet microphone.
    """
    parts: list[NDArray[np.float32]] = []
    spoken = []
    position = 0
    for clip in clips:
        quiet = int(rate * rng.uniform(*gap))
        parts.append((rng.standard_normal(quiet) * 10 ** (-72 / 20)).astype(np.float32))
        parts.append(clip.samples)
        start = position + quiet
        position = start + len(clip.samples)
        spoken.append(Spoken(clip.word, start / rate, position / rate))
    parts.append((rng.standard_normal(int(rate * gap[1])) * 10 ** (-72 / 20)).astype(np.float32))
    return np.concatenate(parts), spoken


def change_speed(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Play `factor` times as fast: shorter and higher, as another speaker might (Ko et al. 2015)."""
    return np.asarray(soxr.resample(samples, factor, 1.0), np.float32)

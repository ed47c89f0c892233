"""What a CTC network might say of a text: scores of 100 frames a second, as peaky and as wrong as real ones.

A character takes about 7 frames: blanks, then one or two frames with its peak. Some peaks are shared with a letter that
sounds alike, some are weak (deletions, above all of spaces), some come from nowhere (insertions), and every class has a
log-normal floor. The description is that of the races among other decoders; errors are independent, so a language model
gains more here than on real speech.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LETTERS = " abcdefghijklmnopqrstuvwxyz'"
CLASS = {letter: i + 1 for i, letter in enumerate(LETTERS)}
ALIKE = ["aeiou", "ao", "ei", "iy", "bdpt", "ckgq", "szc", "fvp", "mn", "lr", "wu", "jg", "td", "hw", "xs", "oa", "ue"]
FLOOR = 1e-10


@dataclass(frozen=True)
class Errors:
    """How often a peak is shared, weak, or from nowhere, and how often that of a space is weak."""

    alike: float = 0.16
    weak: float = 0.035
    extra: float = 0.015
    weak_space: float = 0.05


def speak(
    text: str, seed: int, frames: int | None = None, errors: Errors = Errors()
) -> tuple[NDArray[np.float32], str]:
    """Log-probabilities ``(frames, 29)`` of a text, cut after so many frames, and the part of it that was said."""
    rng = np.random.default_rng(seed)
    rivals = {
        letter: [other for group in ALIKE if letter in group for other in group if other != letter]
        for letter in LETTERS
    }
    peaks: list[dict[int, float]] = []
    said = 0
    for letter in text:
        if frames is not None and len(peaks) >= frames:
            break
        peaks += [{}] * (1 + int(rng.poisson(4.6)))
        if rng.random() < errors.extra:
            peaks += [{2 + int(rng.integers(26)): rng.beta(1.2, 2.0)}, {}]
        weak = rng.random() < errors.weak or (letter == " " and rng.random() < errors.weak_space)
        prob = rng.beta(1.5, 3.0) if weak else rng.beta(9.0, 1.0)
        peak = {CLASS[letter]: prob}
        if rivals[letter] and rng.random() < errors.alike:
            share = rng.beta(2.2, 2.0)
            rival = rivals[letter][int(rng.integers(len(rivals[letter])))]
            peak = {CLASS[letter]: prob * (1 - share), CLASS[rival]: prob * share}
        peaks += [peak] * (1 + int(rng.random() < 0.45))
        said += 1
    peaks = peaks[:frames]
    y = np.exp(rng.normal(-9.5, 1.2, (len(peaks), len(LETTERS) + 1)))
    for row, peak in zip(y, peaks, strict=True):
        row[0] += 1 - sum(peak.values())
        for k, prob in peak.items():
            row[k] += prob
    return np.log(np.maximum(y / y.sum(axis=1, keepdims=True), FLOOR)).astype(np.float32), text[:said]

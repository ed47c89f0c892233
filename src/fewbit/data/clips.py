"""Recordings with their texts, and long recordings joined from several."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DataError
from fewbit.features import LogMel

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A recorded word or sentence: ``samples (n,)`` in [-1, 1].

    Examples:
        >>> clip = Clip(np.zeros(8_000, np.float32), text="one", speaker="ann", name="1_ann_0")
        >>> len(clip.samples)
        8000
    """

    samples: NDArray[np.float32]
    text: str
    speaker: str
    name: str


@dataclass(frozen=True)
class Spoken:
    """A text and its time span in a joined recording, in seconds.

    Examples:
        >>> Spoken("one", start=0.2, end=0.7).text
        'one'
    """

    text: str
    start: float
    end: float


def read_manifest(folder: Path, sample_rate: int, corpus: str) -> Iterator[tuple[dict[str, str], NDArray[np.float32]]]:
    """The rows of ``manifest.tsv`` in `folder`, each with the samples of the recording at its ``path``.

    Raises:
        DataError: the folder or its manifest is missing, or a recording has another sample rate. `corpus` names the
            expected data in messages.
    """
    import soundfile

    manifest = folder / "manifest.tsv"
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; wanted that of the {corpus}")
    if not manifest.is_file():
        raise DataError(f"{folder}: no manifest.tsv; wanted the {corpus} with that list of its recordings")
    for row in csv.DictReader(manifest.read_text(encoding="utf-8").splitlines(), delimiter="\t"):
        samples, found = soundfile.read(folder / row["path"], dtype="float32")
        if found != sample_rate:
            raise DataError(f"{folder / row['path']}: {found} Hz, wanted {sample_rate}")
        yield row, samples


def join(
    clips: Sequence[Clip], sample_rate: int, rng: np.random.Generator, gap: tuple[float, float] = (0.15, 0.45)
) -> tuple[NDArray[np.float32], list[Spoken]]:
    """Join clips with random gaps (seconds) of near silence; return the samples and the time span of each clip.

    The gaps contain faint noise (-72 dBFS), like the pauses of a quiet microphone.

    Examples:
        >>> clip = Clip(np.zeros(4_000, np.float32), text="one", speaker="ann", name="1_ann_0")
        >>> samples, spoken = join([clip, clip], sample_rate=8_000, rng=np.random.default_rng(0))
        >>> [word.text for word in spoken], spoken[0].end < spoken[1].start
        (['one', 'one'], True)
    """
    parts: list[NDArray[np.float32]] = []
    spoken = []
    position = 0
    for clip in clips:
        quiet = int(sample_rate * rng.uniform(*gap))
        parts.append((rng.standard_normal(quiet) * 10 ** (-72 / 20)).astype(np.float32))
        parts.append(clip.samples)
        start = position + quiet
        position = start + len(clip.samples)
        spoken.append(Spoken(clip.text, start / sample_rate, position / sample_rate))
    parts.append((rng.standard_normal(int(sample_rate * gap[1])) * 10 ** (-72 / 20)).astype(np.float32))
    return np.concatenate(parts), spoken


def change_speed(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Speed up by `factor`: shorter and higher, to simulate other speakers (Ko et al. 2015)."""
    import soxr

    return np.asarray(soxr.resample(samples, factor, 1.0), np.float32)


def at_speeds(clip: Clip, features: LogMel, speeds: Sequence[float]) -> list[Frames]:
    """Log-mel frames ``(time, mels)`` of a clip at several speeds, to be laid over others by `lay_over`."""
    margin = np.zeros(features.window - features.hop, np.float32)
    return [features(np.concatenate([margin, change_speed(clip.samples, speed), margin])) for speed in speeds]


def sounding(frames: Frames) -> tuple[int, int]:
    """First frame and end of the loud part of a clip: the log-mel frames in the upper half of its range of loudness."""
    loudness = frames.mean(axis=1)
    low, high = np.percentile(loudness, (10, 98))
    (loud,) = np.nonzero(loudness >= (low + high) / 2)
    return int(loud[0]), int(loud[-1]) + 1


def hiss(features: LogMel, seconds: int = 20) -> Frames:
    """Log-mel frames of white noise with standard deviation 1."""
    return features(np.random.default_rng(0).standard_normal(seconds * features.sample_rate).astype(np.float32))


def lay_over(frames: Frames, clip: Frames, position: int, rng: np.random.Generator) -> int:
    """Add a clip at a random level to `frames` in place, from `position` on; return its end.

    In the log-mel domain, a gain is an added constant, and sounds add as energies.
    """
    end = position + len(clip)
    louder = clip + np.float32(2 * np.log(10 ** rng.uniform(-0.6, 0.3)))
    frames[position:end] = np.logaddexp(frames[position:end], louder)
    return end

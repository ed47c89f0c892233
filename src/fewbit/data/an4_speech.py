"""CMU AN4: census data spoken by 84 people, spelled names, numbers and commands, 16 kHz (1991).

Its text is upper-case letters and spaces. The official test speakers are nobody's training speakers; `dev` holds
a few of the training speakers apart, so that nothing needs to be chosen on the test.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from fewbit.errors import DataError
from fewbit.text import Alphabet

ALPHABET = Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
RATE = 16_000
DEV_SPEAKERS = 7


@dataclass(frozen=True)
class Utterance:
    """A recorded sentence: ``samples (n,)`` in [-1, 1]."""

    samples: NDArray[np.float32]
    text: str
    speaker: str
    name: str


@dataclass(frozen=True)
class An4:
    """Utterances by purpose; no speaker is in two of them."""

    train: tuple[Utterance, ...]
    dev: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    alphabet: Alphabet = ALPHABET
    rate: int = RATE


def an4(folder: str | Path, dev_speakers: int = DEV_SPEAKERS) -> An4:
    """AN4 from a folder with `manifest.tsv` (path, split, speaker, seconds, text).

    Args:
        folder: where the manifest is.
        dev_speakers: how many of the training speakers are kept apart as `An4.dev`, evenly over their sorted names.

    Raises:
        DataError: no manifest, a recording of another rate, or more speakers asked for than there are.
    """
    folder = Path(folder)
    everything = {split: list(_read(folder, split)) for split in ("train", "test")}
    speakers = sorted({utterance.speaker for utterance in everything["train"]})
    if not 0 <= dev_speakers < len(speakers):
        raise DataError(f"dev_speakers must lie in 0..{len(speakers) - 1}, not {dev_speakers}")
    apart = {speakers[i] for i in np.linspace(0, len(speakers) - 1, dev_speakers).round().astype(int)}
    return An4(
        train=tuple(u for u in everything["train"] if u.speaker not in apart),
        dev=tuple(u for u in everything["train"] if u.speaker in apart),
        test=tuple(everything["test"]),
    )


def joined(
    utterances: Sequence[Utterance], rate: int, rng: np.random.Generator, gap: tuple[float, float] = (0.3, 0.8)
) -> tuple[NDArray[np.float32], list[tuple[str, float, float]]]:
    """Utterances one after the other with faint noise between them, and (text, start, end) of each in seconds."""
    parts: list[NDArray[np.float32]] = []
    spoken = []
    position = 0
    for utterance in utterances:
        quiet = int(rate * rng.uniform(*gap))
        parts += [(rng.standard_normal(quiet) * 10 ** (-72 / 20)).astype(np.float32), utterance.samples]
        start = position + quiet
        position = start + len(utterance.samples)
        spoken.append((utterance.text, start / rate, position / rate))
    return np.concatenate(parts), spoken


def _read(folder: Path, split: str) -> Iterator[Utterance]:
    manifest = folder / "manifest.tsv"
    if not manifest.is_file():
        raise DataError(f"{folder}: no manifest.tsv; wanted the folder of AN4")
    for row in csv.DictReader(manifest.read_text().splitlines(), delimiter="\t"):
        if row["split"] == split:
            samples, rate = soundfile.read(folder / row["path"], dtype="float32")
            if rate != RATE:
                raise DataError(f"{folder / row['path']}: {rate} Hz, wanted {RATE}")
            yield Utterance(samples, row["text"], row["speaker"], Path(row["path"]).stem)

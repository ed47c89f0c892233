"""Recorded spoken digits, shipped inside the package, and training batches of them.

The clips are a part of the Free Spoken Digit Dataset (CC BY-SA 4.0, see `data/embedded_digits/README.md`): three
training speakers, whose recordings 0-4 are the test set, and a fourth, unseen speaker.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fewbit.data.augment import other_voice, spec_augment
from fewbit.data.clips import Clip, at_speeds, hiss, join, lay_over, read_manifest
from fewbit.data.random_examples import Example, joined_batches
from fewbit.errors import ArgumentError
from fewbit.features import LogMel
from fewbit.text import Alphabet

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ALPHABET = Alphabet(WORDS, joiner=" ")
RATE = 8_000
UNSEEN = "nicolas"
TEST_RECORDINGS = 5
SPEEDS = (0.8, 0.87, 0.93, 1.0, 1.07, 1.15, 1.25)


@dataclass(frozen=True)
class Digits:
    """Clips by purpose; `train` and `test` have the same speakers, `unseen` another one.

    Examples:
        >>> digits = spoken_digits()
        >>> samples, text = digits.stream(digits.unseen[:3])
        >>> len(text.split()), digits.sample_rate
        (3, 8000)
    """

    train: tuple[Clip, ...]
    test: tuple[Clip, ...]
    unseen: tuple[Clip, ...]
    alphabet: Alphabet = ALPHABET
    sample_rate: int = RATE

    def batches(
        self,
        features: LogMel,
        *,
        utterances: int = 192,
        batch_size: int = 16,
        seconds: float = 3.0,
        seed: int = 0,
        workers: int = 0,
    ) -> "DataLoader[Any]":
        """Endlessly varied training batches: every epoch joins the training clips anew.

        Args:
            features: front end of the network to be trained.
            utterances, batch_size, seconds: utterances per epoch and per batch, and the length of each.
            seed: seed of all randomness.
            workers: processes that make batches during training.
        """
        dataset = JoinedDigits(self, features, utterances, seconds)
        return joined_batches(dataset, utterances, batch_size, seed, workers)

    def stream(self, clips: tuple[Clip, ...], seed: int = 0) -> tuple[NDArray[np.float32], str]:
        """All `clips` in random order as one recording, and its text."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(clips))
        samples, spoken = join([clips[i] for i in order], self.sample_rate, rng)
        return samples, " ".join(word.text for word in spoken)


class JoinedDigits(Dataset[Example]):
    """Utterances of fixed length, each joined from clips at random speed, level and noise.

    Clips are converted to log-mel frames once. Joining, gain and noise happen in the log-mel domain (a gain is an added
    constant, noise adds as energies), which is a hundred times cheaper. All utterances have the same number of frames,
    so batches need no padding. The index of an utterance is the seed of all its randomness, so it is equal in any
    process.
    """

    def __init__(self, digits: Digits, features: LogMel, utterances: int, seconds: float) -> None:
        self.alphabet, self.utterances, self.floor = digits.alphabet, utterances, features.floor
        self.frame_rate = digits.sample_rate / features.hop
        self.frames = int(seconds * self.frame_rate)
        self.variants = [at_speeds(clip, features, SPEEDS) for clip in digits.train]
        self.words = [clip.text for clip in digits.train]
        self.noise = hiss(features)

    def __len__(self) -> int:
        return self.utterances

    def __getitem__(self, index: int) -> tuple[Tensor, list[int], Tensor]:
        rng = np.random.default_rng(index)
        start = int(rng.integers(0, len(self.noise) - self.frames))
        level = 2 * np.log(10 ** rng.uniform(-4.5, -2.3))
        frames = self.noise[start : start + self.frames] + np.float32(level)
        position = int(self.frame_rate * rng.uniform(0, 0.4))
        words: list[str] = []
        alignment = torch.zeros(self.frames, dtype=torch.long)
        while True:
            pick = int(rng.integers(len(self.variants)))
            clip = self.variants[pick][int(rng.integers(len(SPEEDS)))]
            end = position + len(clip)
            if end > self.frames - self.frame_rate * 0.2:
                break
            lay_over(frames, clip, position, rng)
            words.append(self.words[pick])
            # The target is known from the middle of a word on.
            alignment[(position + end) // 2 : end] = self.alphabet.encode(self.words[pick])[0]
            position = end + int(self.frame_rate * rng.uniform(0.0, 0.45))
        frames = other_voice(np.maximum(frames, self.floor), rng)
        frames = spec_augment(frames, rng)
        return torch.from_numpy(frames), self.alphabet.encode(" ".join(words)), alignment


def spoken_digits(folder: str | Path | None = None, unseen: str = UNSEEN) -> Digits:
    """The digits in the package, or all clips of a folder with the Free Spoken Digit Dataset.

    Args:
        folder: a folder with `manifest.tsv` (path, split, speaker, seconds, digit). Default: the embedded clips.
        unseen: the speaker that is kept out of training; all of this speaker's clips become `Digits.unseen`.

    Raises:
        DataError: the folder or its manifest is missing.
        ArgumentError: there is no speaker `unseen`.

    Examples:
        >>> digits = spoken_digits()
        >>> len(digits.train), digits.unseen[0].speaker
        (360, 'nicolas')
    """
    clips = list(_embedded() if folder is None else _folder(Path(folder)))
    speakers = sorted({clip.speaker for clip in clips})
    if unseen not in speakers:
        raise ArgumentError(f"no speaker {unseen!r} among the clips; there are {speakers}")
    known = [clip for clip in clips if clip.speaker != unseen]
    return Digits(
        train=tuple(clip for clip in known if not is_test(clip.name)),
        test=tuple(clip for clip in known if is_test(clip.name)),
        unseen=tuple(clip for clip in clips if clip.speaker == unseen),
    )


def is_test(name: str) -> bool:
    """Whether a clip ``digit_speaker_recording`` is one of the test recordings 0-4."""
    return int(name.rsplit("_", 1)[1]) < TEST_RECORDINGS


def data_folder(name: str) -> Path | None:
    """The folder `name` under the environment variable ``FEWBIT_DATA``, or ``None``.

    Examples:
        >>> data_folder("no_such_data_set") is None
        True
    """
    root = os.environ.get("FEWBIT_DATA")
    folder = Path(root) / name if root else None
    return folder if folder is not None and folder.is_dir() else None


def _embedded() -> Iterator[Clip]:
    import soundfile

    source = resources.files("fewbit.data") / "embedded_digits"
    sound: dict[str, NDArray[np.float32]] = {}
    for row in csv.DictReader((source / "index.tsv").read_text().splitlines(), delimiter="\t"):
        speaker = row["speaker"]
        if speaker not in sound:
            sound[speaker], _ = soundfile.read(BytesIO((source / f"{speaker}.flac").read_bytes()), dtype="float32")
        start = int(row["start"])
        samples = sound[speaker][start : start + int(row["samples"])]
        yield Clip(samples, WORDS[int(row["name"][0])], speaker, row["name"])


def _folder(folder: Path) -> Iterator[Clip]:
    for row, samples in read_manifest(folder, RATE, "Free Spoken Digit Dataset"):
        yield Clip(samples, WORDS[int(row["digit"])], row["speaker"], Path(row["path"]).stem)

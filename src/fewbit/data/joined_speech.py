"""Training examples of equal length, joined from recorded utterances: the network hears a stream, not sentences."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fewbit.data.an4_speech import An4
from fewbit.data.clips import at_speeds, hiss, lay_over
from fewbit.data.digits import RandomIndices, collate, other_voice, spec_augment
from fewbit.features import LogMel

SPEEDS = (0.85, 0.92, 1.0, 1.08, 1.17)
QUIETEST, LOUDEST = -6.0, -2.5  # powers of ten of the hiss's amplitude
REST = 0.3  # seconds left at the end for the network to say the last letter


class JoinedSpeech(Dataset[tuple[Tensor, list[int], Tensor]]):
    """Utterances in random order, at random speed, level and noise, in the log-mel domain (see `JoinedDigits`).

    The index of an example is the seed of all its randomness: it is the same in any process. Where the letters sound
    is not known, so the alignment is all blank.
    """

    def __init__(self, speech: An4, features: LogMel, examples: int, seconds: float) -> None:
        self.alphabet, self.examples, self.floor = speech.alphabet, examples, features.floor
        self.rate = speech.rate / features.hop  # frames a second
        self.frames = int(seconds * self.rate)
        longest = self.frames - int(self.rate * (REST + 0.4))
        self.variants = []
        self.texts = []
        for utterance in speech.train:
            spoken = [frames for frames in at_speeds(utterance, features, SPEEDS) if len(frames) <= longest]
            if spoken:
                self.variants.append(spoken)
                self.texts.append(utterance.text)
        self.noise = hiss(features)

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, index: int) -> tuple[Tensor, list[int], Tensor]:
        rng = np.random.default_rng(index)
        start = int(rng.integers(0, len(self.noise) - self.frames))
        level = 2 * np.log(10 ** rng.uniform(QUIETEST, LOUDEST))
        frames = np.maximum(self.noise[start : start + self.frames] + np.float32(level), self.floor)
        position = int(self.rate * rng.uniform(0, 0.4))
        texts: list[str] = []
        for _ in range(20):  # draws that are too long for the room that is left cost nothing
            pick = int(rng.integers(len(self.variants)))
            spoken = self.variants[pick][int(rng.integers(len(self.variants[pick])))]
            if position + len(spoken) > self.frames - self.rate * REST:
                continue
            texts.append(self.texts[pick])
            position = lay_over(frames, spoken, position, rng) + int(self.rate * rng.uniform(0.05, 0.6))
        frames = spec_augment(other_voice(np.maximum(frames, self.floor), rng), rng)
        labels = self.alphabet.encode(" ".join(texts))
        return torch.from_numpy(frames), labels, torch.zeros(self.frames, dtype=torch.long)


def speech_batches(
    speech: An4,
    features: LogMel,
    *,
    examples: int = 480,
    batch_size: int = 16,
    seconds: float = 6.0,
    seed: int = 0,
    workers: int = 0,
) -> "DataLoader[Any]":
    """Endlessly varied training batches: every epoch joins the training utterances anew.

    Args:
        speech: whose `train` is used.
        features: front end of the network to be trained.
        examples, batch_size, seconds: examples an epoch and a batch, and how long each is.
        seed: of all their randomness.
        workers: processes that make batches beside the training.
    """
    dataset = JoinedSpeech(speech, features, examples, seconds)
    generator = torch.Generator().manual_seed(seed)
    draws: Any = {"sampler": RandomIndices(examples, generator), "generator": generator}
    return DataLoader(dataset, batch_size, collate_fn=collate, num_workers=workers, **draws)

"""Training examples of equal length, joined from recorded utterances, so that networks learn from streams."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from fewbit.data.an4_speech import An4
from fewbit.data.augment import other_voice, spec_augment
from fewbit.data.clips import Frames, at_speeds, hiss, lay_over
from fewbit.data.random_examples import Example, joined_batches
from fewbit.features import LogMel

SPEEDS = (0.85, 0.92, 1.0, 1.08, 1.17)
QUIETEST, LOUDEST = -6.0, -2.5  # powers of ten of the hiss's amplitude
REST = 0.3  # seconds at the end in which the network can output the last letter


def quiet_room(noise: Frames, frames: int, floor: float, rng: np.random.Generator) -> Frames:
    """`frames` frames of `noise` at a random low level."""
    start = int(rng.integers(0, len(noise) - frames))
    level = 2 * np.log(10 ** rng.uniform(QUIETEST, LOUDEST))
    return np.asarray(np.maximum(noise[start : start + frames] + np.float32(level), floor), np.float32)


def lay_in_a_row(
    frames: Frames,
    draw: Callable[[np.random.Generator], tuple[str, Frames]],
    rng: np.random.Generator,
    frame_rate: float,
    gap: tuple[float, float],
) -> list[tuple[str, int, Frames]]:
    """Fill `frames` in place with clips from `draw`, one after the other; return the clips with their first frames.

    Args:
        frames: log-mel frames.
        draw: gives a text and its frames.
        rng: source of all randomness.
        frame_rate: frames per second.
        gap: least and most seconds between two clips.
    """
    position = int(frame_rate * rng.uniform(0, 0.4))
    laid = []
    for _ in range(20):  # clips that do not fit are drawn again
        text, spoken = draw(rng)
        if position + len(spoken) > len(frames) - frame_rate * REST:
            continue
        end = lay_over(frames, spoken, position, rng)
        laid.append((text, position, spoken))
        position = end + int(frame_rate * rng.uniform(*gap))
    return laid


class JoinedSpeech(Dataset[Example]):
    """Utterances in random order, at random speed, level and noise, in the log-mel domain (see `JoinedDigits`).

    The index of an example is the seed of all its randomness, so it is equal in any process. The times of the letters
    are unknown, so the alignment is all blank.

    Examples:
        >>> from fewbit.data import Clip
        >>> speech = An4((Clip(np.zeros(16_000, np.float32), "GO", "ann", "a"),), (), ())
        >>> frames, labels, alignment = JoinedSpeech(speech, LogMel(mels=20), examples=4, seconds=2.0)[0]
        >>> tuple(frames.shape), len(alignment)
        ((200, 20), 200)
    """

    def __init__(self, speech: An4, features: LogMel, examples: int, seconds: float) -> None:
        self.alphabet, self.examples, self.floor = speech.alphabet, examples, features.floor
        self.frame_rate = speech.sample_rate / features.hop
        self.frames = int(seconds * self.frame_rate)
        longest = self.frames - int(self.frame_rate * (REST + 0.4))
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

    def __getitem__(self, index: int) -> Example:
        rng = np.random.default_rng(index)
        frames = quiet_room(self.noise, self.frames, self.floor, rng)
        laid = lay_in_a_row(frames, self._draw, rng, self.frame_rate, (0.05, 0.6))
        frames = spec_augment(other_voice(np.maximum(frames, self.floor), rng), rng)
        labels = self.alphabet.encode(" ".join(text for text, _, _ in laid))
        return torch.from_numpy(frames), labels, torch.zeros(self.frames, dtype=torch.long)

    def _draw(self, rng: np.random.Generator) -> tuple[str, Frames]:
        pick = int(rng.integers(len(self.variants)))
        return self.texts[pick], self.variants[pick][int(rng.integers(len(self.variants[pick])))]


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
        examples, batch_size, seconds: examples per epoch and per batch, and the length of each.
        seed: seed of all randomness.
        workers: processes that make batches during training.

    Examples:
        >>> from fewbit.data import Clip
        >>> speech = An4((Clip(np.zeros(16_000, np.float32), "GO", "ann", "a"),), (), ())
        >>> loader = speech_batches(speech, LogMel(mels=20), examples=4, batch_size=2, seconds=2.0)
        >>> tuple(next(iter(loader)).inputs.shape)
        (2, 200, 20)
    """
    return joined_batches(JoinedSpeech(speech, features, examples, seconds), examples, batch_size, seed, workers)

"""Characters from recorded speech by CTC: the AN4 corpus (spelled names, numbers, months, command words)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.data import an4
from fewbit.data.an4_speech import ALPHABET as LETTERS
from fewbit.data.augment import other_voice, spec_augment
from fewbit.errors import DataError
from fewbit.features import LogMel
from fewbit.models import SpeechRNN
from fewbit.tasks import Task
from fewbit.text import cer, wer
from fewbit.train import CTC, CTCBatch
from studies.evidence.setting import Setting

FEATURES = LogMel(mels=40, sample_rate=16_000, window_ms=25, hop_ms=10)
DEV_SPEAKERS = 8
"""Every so many-th speaker of the training part is kept for development."""


@dataclass(frozen=True)
class Utterance:
    """Log-mel frames ``(time, mels)`` and what is said."""

    frames: Tensor
    text: str


@dataclass(frozen=True)
class Speech:
    """Utterances by purpose, no speaker in two of them."""

    train: tuple[Utterance, ...]
    dev: tuple[Utterance, ...]
    test: tuple[Utterance, ...]


def read_an4(folder: str | Path) -> Speech:
    """The utterances of AN4; every eighth speaker of its training part is development data.

    Raises:
        DataError: the folder has no ``manifest.tsv``, or a recording of another rate.
    """
    speech = an4(folder, dev_speakers=0)
    held_out = set(sorted({clip.speaker for clip in speech.train})[::DEV_SPEAKERS])
    parts = (
        [clip for clip in speech.train if clip.speaker not in held_out],
        [clip for clip in speech.train if clip.speaker in held_out],
        speech.test,
    )
    return Speech(
        *(tuple(Utterance(torch.from_numpy(FEATURES(clip.samples)), clip.text) for clip in part) for part in parts)
    )


class SpeechBatches:
    """`CTCBatch` es of utterances of like length in random order, voices and gaps varied anew each time.

    Args:
        utterances: what is drawn from; each once an epoch, but for the rest of a last batch.
        batch_size: utterances a batch.
        seed: of the order and of all variation.
    """

    def __init__(self, utterances: Sequence[Utterance], batch_size: int, seed: int = 0) -> None:
        if len(utterances) < batch_size:
            raise DataError(f"SpeechBatches: {len(utterances)} utterances give no batch of {batch_size}")
        self.utterances, self.batch_size = utterances, batch_size
        self.labels = [LETTERS.encode(utterance.text) for utterance in utterances]
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.utterances) // self.batch_size

    def __iter__(self) -> Iterator[CTCBatch]:
        lengths = torch.tensor([len(utterance.frames) for utterance in self.utterances])
        jitter = torch.rand(len(lengths), generator=self.generator) * 40  # frames; neighbours differ each epoch
        order = torch.argsort(lengths + jitter)
        starts = torch.randint(len(order) % self.batch_size + 1, (1,), generator=self.generator)
        blocks = torch.split(order[int(starts) :], self.batch_size)[: len(self)]
        for place in torch.randperm(len(blocks), generator=self.generator):
            seed = int(torch.randint(2**62, (1,), generator=self.generator))
            yield self._batch(blocks[place].tolist(), np.random.default_rng(seed))

    def _batch(self, rows: list[int], rng: np.random.Generator) -> CTCBatch:
        frames = [_varied(self.utterances[row].frames, rng) for row in rows]
        labels = [self.labels[row] for row in rows]
        return CTCBatch(
            padded(frames),
            torch.tensor([len(part) for part in frames]),
            torch.tensor([label for part in labels for label in part]),
            torch.tensor([len(part) for part in labels]),
        )


def padded(frames: Sequence[Tensor]) -> Tensor:
    """``(batch, time, mels)``; ends are filled with the quietest frame's level."""
    return nn.utils.rnn.pad_sequence(list(frames), batch_first=True, padding_value=FEATURES.floor)


def character_error_rate(utterances: Sequence[Utterance], model: nn.Module) -> float:
    """Edits for each character said, in %, of the best path."""
    return 100 * cer(*said_and_heard(utterances, model))


def word_error_rate(utterances: Sequence[Utterance], model: nn.Module) -> float:
    """Edits for each word said, in %, of the best path, without a language model."""
    return 100 * wer(*said_and_heard(utterances, model))


def said_and_heard(
    utterances: Sequence[Utterance], model: nn.Module, batch_size: int = 32
) -> tuple[list[str], list[str]]:
    """The texts of utterances, shortest first, and the best paths of a network."""
    ordered = sorted(utterances, key=lambda utterance: len(utterance.frames))
    heard = []
    for start in range(0, len(ordered), batch_size):
        part = [utterance.frames for utterance in ordered[start : start + batch_size]]
        x = padded(part)
        scores, _ = model(x)
        for best, frames in zip(scores.argmax(-1), part, strict=True):
            kept = torch.unique_consecutive(best[: -(-len(frames) * scores.shape[1] // x.shape[1])])
            heard.append(LETTERS.decode(kept.tolist()))
    return [utterance.text for utterance in ordered], heard


def speech_task(speech: Speech, *, layers: int = 2, batch_size: int = 16, words: bool = False, **settings: Any) -> Task:
    """Characters of an utterance with a convolution and SRU layers; the size is their width.

    words: whether errors of words are counted, in place of those of characters.
    """
    measure = word_error_rate if words else character_error_rate
    chosen: dict[str, Any] = {"size": 128, "sizes": (64, 128, 192), "epochs": 40, "retrain_epochs": 6} | settings
    chosen = {"lr": 5e-3, "retrain_lr": 1.5e-3} | chosen
    return Task(
        name="speech, SRU",
        build=partial(_network, speech, layers),
        batches=partial(SpeechBatches, speech.train, batch_size),
        evaluate=partial(measure, speech.dev),
        test=partial(measure, speech.test),
        metric=f"{'word' if words else 'character'} error rate (%)",
        objective=CTC(),
        **chosen,
    )


def an4_task(data: Setting, **settings: Any) -> Task:
    """The task on the AN4 of a setting's data; raises `DataError` if it is not there."""
    return speech_task(_once(read_an4, data.folder("an4")), **settings)


def training_part(data: Setting, utterances: int = 200) -> tuple[Utterance, ...]:
    """Some of the utterances that the task learns from, as they were recorded."""
    return _once(read_an4, data.folder("an4")).train[:utterances]


def _varied(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Another voice, microphone and level, with bands and spans blanked out."""
    louder = frames.numpy() + np.float32(rng.uniform(-1, 1))
    return torch.from_numpy(spec_augment(other_voice(louder, rng), rng))


def _network(speech: Speech, layers: int, size: float) -> nn.Module:
    model = SpeechRNN(FEATURES.mels, int(size), layers, LETTERS.classes, kernel=8, stride=4)
    norm: Any = model.get_submodule("norm")
    norm.fit(torch.cat([utterance.frames for utterance in speech.train]))
    return model


@cache
def _once(read: Callable[[Path], Speech], folder: Path) -> Speech:
    """Data are read once in a process."""
    return read(folder)

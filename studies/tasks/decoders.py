"""Small decoders of characters: trained in float for a minute, then retrained with weights and signals of few bits."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.data import Characters, Windows, wikitext2
from fewbit.errors import DataError
from fewbit.inference import inference_mode
from fewbit.models import Decoder
from fewbit.passes import Quantize
from fewbit.tasks import Task
from fewbit.train import Objective
from studies.evidence.setting import Setting

FEW_BITS = "ternary weights (a step for each row) and 8 bits for embedding, head and signals"


@dataclass(frozen=True)
class DecoderScale:
    """Decoders of a study and their float training.

    Args:
        width, heads, layers: of the decoders.
        steps, batch_size: windows of characters.
        characters: of the training text that a seed has of its own.
        updates, lr: of the float training.
        measured: characters of development text on which a network is measured at the end; of test text there are
            twice as many, and along a training it is half as many.
    """

    width: int = 64
    heads: int = 4
    layers: int = 3
    steps: int = 64
    batch_size: int = 16
    characters: int = 120_000
    updates: int = 2000
    lr: float = 5e-3
    measured: int = 60_000

    def told(self, layers: object) -> str:
        """Data, network and float training, for people."""
        return (
            f"Characters of WikiText-2, {self.characters:,} of its own for each seed; decoders in the shape of Llama, "
            f"{layers} blocks of {self.width} units and {self.heads} heads, windows of {self.steps}; "
            f"{self.updates:,} updates in float"
        )


def decoder_task(setting: Setting, scale: DecoderScale, seed: int, layers: int | None = None) -> Task:
    """Next characters of WikiText-2 with a decoder in the shape of Llama; each seed has training text of its own.

    Raises:
        DataError: the data are not there, or hold no text for this seed.
    """
    text = _part(setting.folder("wikitext2"), scale.characters, seed)
    depth = scale.layers if layers is None else layers
    classes = len(text.symbols)
    return Task(
        name=f"decoder of {depth} blocks on {scale.characters} characters",
        build=lambda width: Decoder(classes, width, scale.heads, depth, style="llama", tied=False),
        batches=partial(Windows, text.train, scale.batch_size, scale.steps, scale.updates),
        evaluate=partial(bits_of_windows, text.dev[: scale.measured], scale.steps),
        test=partial(bits_of_windows, text.test[: 2 * scale.measured], scale.steps),
        size=scale.width,
        metric="bits per character",
        epochs=1,
        lr=scale.lr,
    )


def text_of(setting: Setting, scale: DecoderScale, seed: int) -> Characters:
    """The text of a seed."""
    return _part(setting.folder("wikitext2"), scale.characters, seed)


def few_bits(text: Characters, steps: int) -> Quantize:
    """Ternary weights with a step for each row, 8 bits for the embedding, the head and all signals."""
    windows = text.train[: 32 * steps].view(-1, steps)
    return Quantize({"embedding": "int8", "head": "int8", "*": "ternary:row"}, "int8", calibration=[windows])


def bits_of_windows(stream: Tensor, steps: int, model: nn.Module) -> float:
    """Mean cost of the next character, in bits, over windows of `steps` characters one behind the other."""
    windows = (len(stream) - 1) // steps
    x, y = (stream[i : i + windows * steps].view(windows, steps) for i in (0, 1))
    nats = 0.0
    for part, target in zip(torch.split(x, 64), torch.split(y, 64), strict=True):
        nats += float(functional.cross_entropy(model(part).flatten(0, 1), target.flatten(), reduction="sum"))
    return nats / x.numel() / math.log(2)


class Watched:
    """An objective that measures its network at shares of the training; measuring changes no weight and no draw.

    Args:
        objective: what is minimised.
        measures: what is measured in eval mode, by name.
        places: progress of this training at which to measure, rising, and what each place is called.
    """

    def __init__(
        self,
        objective: Objective,
        measures: Mapping[str, Callable[[nn.Module], float]],
        places: Sequence[tuple[float, str]],
    ) -> None:
        self.objective, self.measures, self.ahead = objective, measures, list(places)
        self.found: dict[str, float] = {}

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        if self.ahead and progress >= self.ahead[0][0]:
            self.measure(model, self.ahead.pop(0)[1])
        return self.objective(model, batch, progress)

    def measure(self, model: nn.Module, place: str) -> None:
        """Measure now, as at `place`."""
        with inference_mode(model):
            self.found |= {f"{name} {place}": measure(model) for name, measure in self.measures.items()}


def watches(text: Characters, scale: DecoderScale) -> dict[str, Callable[[nn.Module], float]]:
    """Bits per character of a part of the training text and of the development text."""
    parts = {"train": text.train, "dev": text.dev}
    return {name: partial(bits_of_windows, part[: scale.measured // 2], scale.steps) for name, part in parts.items()}


@cache
def _part(folder: Path, count: int, seed: int) -> Characters:
    text = _whole(folder)
    mine = text.train[seed * count : (seed + 1) * count]
    if len(mine) < count:
        raise DataError(
            f"seed {seed}: WikiText-2 has {len(text.train)} characters, and each seed has {count} of its own"
        )
    return Characters(mine.clone(), text.dev, text.test, text.symbols)


@cache
def _whole(folder: Path) -> Characters:
    return wikitext2(folder)

"""Text as streams of characters."""

import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fewbit.errors import ArgumentError, DataError

OTHER = "\x00"
"""Represents every character that is not in the list."""


@dataclass(frozen=True)
class Characters:
    """Text as class numbers in 1-D long tensors, and the characters of the classes (0 is any other character).

    Examples:
        >>> text = torch.tensor([1, 2, 0])
        >>> data = Characters(text, text, text, symbols=(OTHER, "a", "b"))
        >>> "".join(data.symbols[i] for i in data.train.tolist()[:2])
        'ab'
    """

    train: Tensor
    dev: Tensor
    test: Tensor
    symbols: tuple[str, ...]


class Windows:
    """Batches ``(inputs, targets)``, each ``(batch, steps)``, from random positions; targets are one step ahead.

    Args:
        stream: class numbers ``(n,)``.
        batch_size, steps: windows per batch, and their length.
        count: batches per epoch.
        seed: seed of the positions.

    Raises:
        ArgumentError: the stream is shorter than a window.

    Examples:
        >>> windows = Windows(torch.arange(50), batch_size=2, steps=5, count=3)
        >>> inputs, targets = next(iter(windows))
        >>> tuple(inputs.shape), bool((targets == inputs + 1).all())
        ((2, 5), True)
    """

    def __init__(self, stream: Tensor, batch_size: int, steps: int, count: int, seed: int = 0) -> None:
        if len(stream) < steps + 1 or count < 1:
            raise ArgumentError(f"Windows: {len(stream)} characters give no window of {steps} steps and one more")
        self.stream, self.batch_size, self.steps, self.count = stream, batch_size, steps, count
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self.count):
            starts = torch.randint(len(self.stream) - self.steps, (self.batch_size, 1), generator=self.generator)
            windows = self.stream[starts + torch.arange(self.steps + 1)]
            yield windows[:, :-1], windows[:, 1:]


class TextStreams:
    """Batches ``(inputs, targets)``, each ``(streams, steps)``, that continue where the previous batch ended.

    The streams read the text in parallel from different positions, cyclically; an epoch covers all of it once. Made for
    `fewbit.train.TruncatedBPTT`, which carries the state of a network from batch to batch.

    Args:
        text: class numbers ``(n,)``.
        streams, steps: windows per batch, and their length.

    Raises:
        ArgumentError: the text is too short for its windows.

    Examples:
        >>> streams = TextStreams(torch.arange(24), streams=2, steps=4)
        >>> print([inputs[:, 0].tolist() for inputs, targets in streams])
        [[0, 12], [4, 16], [8, 20]]
    """

    def __init__(self, text: Tensor, streams: int = 64, steps: int = 128) -> None:
        if streams < 1 or steps < 1 or len(text) < streams * steps:
            raise ArgumentError(f"TextStreams: {len(text)} characters give no {streams} windows of {steps} steps")
        self.text, self.streams, self.steps = text, streams, steps
        self.done = 0

    def __len__(self) -> int:
        return len(self.text) // (self.streams * self.steps)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The next epoch; it begins where the last one ended."""
        begins = torch.arange(self.streams).unsqueeze(1) * (len(self.text) // self.streams)
        for _ in range(len(self)):
            window = self.text[(begins + self.done * self.steps + torch.arange(self.steps + 1)) % len(self.text)]
            self.done += 1
            yield window[:, :-1], window[:, 1:]


def wikitext2(folder: str | Path, symbols: int = 96) -> Characters:
    """Read the characters of WikiText-2 from ``train.txt.xz``, ``valid.txt.xz`` and ``test.txt.xz`` in `folder`.

    Args:
        folder: the folder of the files.
        symbols: number of classes: the most frequent characters of the training text, and one for all others.

    Raises:
        DataError: a file is missing or damaged.

    Examples:
        >>> for name in ("train", "valid", "test"):
        ...     _ = Path(f"{name}.txt.xz").write_bytes(lzma.compress(b"a quiet sea"))
        >>> wikitext2(".", symbols=4).symbols[1:]
        (' ', 'a', 'e')
    """
    texts = [read_text(Path(folder) / f"{name}.txt.xz") for name in ("train", "valid", "test")]
    counts: dict[str, int] = {}
    for character in texts[0]:
        counts[character] = counts.get(character, 0) + 1
    common = sorted(counts, key=lambda c: (-counts[c], c))[: symbols - 1]
    known = (OTHER, *sorted(common))
    table = {ord(character): index for index, character in enumerate(known)}
    train, dev, test = (torch.tensor([table.get(ord(c), 0) for c in text]) for text in texts)
    return Characters(train, dev, test, known)


def read_text(path: Path) -> str:
    """The text of an xz-compressed file.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return file.read()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as xz-compressed text: {error}") from error

"""Endless random examples: data sets whose indices are seeds, and batches of them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fewbit.train import CTCBatch

Example = tuple[Tensor, list[int], Tensor]


class RandomIndices(Sampler[int]):
    """`count` new random indices per epoch, from a generator that `fewbit.train.fit` saves and restores."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        yield from torch.randint(2**62, (self.count,), generator=self.generator).tolist()


def joined_batches(
    dataset: Dataset[Example], examples: int, batch_size: int, seed: int, workers: int = 0
) -> "DataLoader[Any]":
    """Endless batches of a data set whose indices are seeds, with `examples` examples per epoch.

    Examples:
        >>> from fewbit.data import spoken_digits
        >>> from fewbit.data.digits import JoinedDigits
        >>> from fewbit.features import LogMel
        >>> digits = spoken_digits()
        >>> few = type(digits)(digits.train[:3], (), ())
        >>> data = JoinedDigits(few, LogMel(mels=20, sample_rate=8_000), utterances=4, seconds=2.0)
        >>> tuple(next(iter(joined_batches(data, examples=4, batch_size=2, seed=0))).inputs.shape)
        (2, 200, 20)
    """
    generator = torch.Generator().manual_seed(seed)
    draws: Any = {"sampler": RandomIndices(examples, generator), "generator": generator}
    return DataLoader(dataset, batch_size, collate_fn=collate, num_workers=workers, **draws)


def collate(examples: list[tuple[Tensor, list[int], Tensor]]) -> CTCBatch:
    """Join equally long examples into one `CTCBatch`."""
    inputs = torch.stack([frames for frames, _, _ in examples])
    targets = torch.tensor([label for _, labels, _ in examples for label in labels])
    return CTCBatch(
        inputs,
        torch.full((len(examples),), inputs.shape[1]),
        targets,
        torch.tensor([len(labels) for _, labels, _ in examples]),
        torch.stack([alignment for _, _, alignment in examples]),
    )

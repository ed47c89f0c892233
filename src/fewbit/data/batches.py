"""Batches cut from tensors in memory, without worker processes and without copying single examples."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from fewbit.errors import ArgumentError

Augment = Callable[[Tensor, torch.Generator], Tensor]


class TensorBatches:
    """Batches ``(inputs, labels)``, in a new random order in every epoch.

    The batches and `generator` are on the device of the tensors.

    `fewbit.train.fit` saves and restores `generator`, so an interrupted training resumes with the same batches.

    Args:
        inputs, labels: tensors with as many rows.
        batch_size: rows per batch; a smaller last batch is left out unless it is the only one.
        seed: seed of the order and of `augment`.
        augment: ``(inputs of a batch, generator) -> inputs``.

    Raises:
        ArgumentError: there are no rows, or the numbers of inputs and labels differ.

    Examples:
        >>> batches = TensorBatches(torch.randn(100, 4), torch.arange(100) % 2, batch_size=32)
        >>> inputs, labels = next(iter(batches))
        >>> len(batches), tuple(inputs.shape), tuple(labels.shape)
        (3, (32, 4), (32,))
    """

    def __init__(
        self, inputs: Tensor, labels: Tensor, batch_size: int, seed: int = 0, augment: Augment | None = None
    ) -> None:
        if not len(inputs) or len(inputs) != len(labels) or batch_size < 1:
            raise ArgumentError(
                f"TensorBatches: {len(inputs)} inputs, {len(labels)} labels, batches of {batch_size}; wanted as many "
                "labels as inputs, and at least one"
            )
        self.inputs, self.labels, self.augment = inputs, labels, augment
        self.batch_size = min(batch_size, len(inputs))
        self.generator = torch.Generator(inputs.device).manual_seed(seed)

    def __len__(self) -> int:
        return len(self.inputs) // self.batch_size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.inputs), generator=self.generator, device=self.inputs.device)
        for rows in torch.split(order, self.batch_size)[: len(self)]:
            inputs = self.inputs[rows]
            yield (self.augment(inputs, self.generator) if self.augment else inputs), self.labels[rows]

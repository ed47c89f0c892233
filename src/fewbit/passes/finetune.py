"""The pass that trains: it recovers the accuracy that direct quantization loses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from torch import nn

from fewbit.settings import curve, number, whole
from fewbit.train import Objective, OptimizerFactory, Schedule, cosine, fit


@dataclass(frozen=True)
class Finetune:
    """Retrain with the quantizers attached: the forward pass uses codes, updates go to the float masters.

    Args:
        batches, objective, epochs: as in `fewbit.train.fit`.
        lr: peak learning rate.
        schedule: progress -> factor of `lr`; default a half cosine down to 0.
        optimizer: makes the optimizer from parameters and ``lr``; default AdamW without weight decay (it would
            pull masters to 0 and codes with them).
        clip_norm, seed, checkpoint, progress, title: as in `fewbit.train.fit`.

    Examples:
        >>> import torch
        >>> import fewbit as fb
        >>> batches = [(torch.randn(8, 4), torch.randint(0, 2, (8,)))] * 3
        >>> retrain = Finetune(batches, fb.CrossEntropy(), epochs=2, progress=False)
        >>> student = fb.compress(nn.Linear(4, 2), fb.Quantize(weights="ternary"), retrain)
        >>> len(student.weight.unique()) <= 3  # the quantizer stays on
        True

    References:
        Hwang, Sung 2014; Sung, Shin, Hwang 2015 (arXiv 1511.06488).
    """

    batches: Iterable[Any]
    objective: Objective
    epochs: Annotated[int, whole(0)]
    lr: Annotated[float, number(above=True)] = 1e-3
    schedule: Annotated[Schedule | None, curve()] = None
    optimizer: OptimizerFactory | None = None
    clip_norm: Annotated[float, number(above=True)] = 1.0
    seed: int = 0
    checkpoint: str | Path | None = None
    progress: bool = True
    title: str = "finetune"

    def __call__(self, model: nn.Module) -> nn.Module:
        fit(
            model,
            self.batches,
            self.objective,
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            schedule=self.schedule or cosine(),
            clip_norm=self.clip_norm,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
            title=self.title,
        )
        return model

"""The pass that trains: what direct quantization lost is learned again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from fewbit.errors import DataError
from fewbit.train import Objective, Schedule, cosine, fit


@dataclass(frozen=True)
class Finetune:
    """Retraining with the quantizers in place: the forward pass uses codes, updates go to the float masters.

    Args:
        batches, objective, epochs: as in `fewbit.train.fit`.
        lr: peak learning rate.
        schedule: progress -> factor of `lr`; default a half cosine down to 0.
        optimizer: makes the optimizer from parameters and ``lr``; default AdamW without weight decay (it would
            pull masters to 0 and codes with them).
        clip_norm, seed, checkpoint, progress, title: as in `fewbit.train.fit`.

    References:
        Hwang, Sung 2014; Sung, Shin, Hwang 2015 (arXiv 1511.06488).
    """

    batches: Iterable[Any]
    objective: Objective
    epochs: int
    lr: float = 1e-3
    schedule: Schedule | None = None
    optimizer: Callable[..., Optimizer] | None = None
    clip_norm: float = 1.0
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
            optimizer=make_optimizer(self.optimizer, model, self.lr),
            schedule=self.schedule or cosine(),
            clip_norm=self.clip_norm,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
            title=self.title,
        )
        return model


def make_optimizer(factory: Callable[..., Optimizer] | None, model: nn.Module, lr: float) -> Optimizer:
    """The optimizer of a pass: of what can be trained, AdamW without weight decay if nothing else was asked for.

    Raises:
        DataError: nothing can be trained.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise DataError(f"{type(model).__name__} has nothing to train: no parameter has requires_grad=True")
    return factory(parameters, lr=lr) if factory else AdamW(parameters, lr=lr, weight_decay=0.0)

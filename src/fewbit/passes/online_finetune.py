"""The pass that trains by online CTC: endless streams, a carried state, a short unroll.

References:
    Hwang, Sung 2015 (arXiv 1511.06941).
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from torch import nn

from fewbit.errors import ArgumentError
from fewbit.settings import curve, number, whole
from fewbit.train import OnlineCTC, OptimizerFactory, Schedule, StreamTrainer, UtteranceStreams, cosine

PARTS = 10
"""A checkpoint is written after each tenth of the updates."""


@dataclass(frozen=True)
class OnlineFinetune:
    """Retrain by `fewbit.train.StreamTrainer`, with the quantizers attached.

    Args:
        batches: the streams; the pass reads a copy, so each call gives the same network.
        updates: number of updates of the whole training.
        window, step: of `fewbit.train.OnlineCTC`, in output frames; default step: half the window.
        warmup: first updates, in which only utterances that end give errors.
        lr, optimizer: as in `fewbit.train.fit`.
        schedule: progress -> factor of `lr`; default a half cosine down to 0.
        clip_norm, seed: as in `fewbit.train.StreamTrainer`.
        checkpoint: a file; if it exists, training resumes from it.
        progress: whether a progress bar is shown.

    Raises:
        ArgumentError: when called with other batches than streams, or with numbers out of range.

    Examples:
        >>> import torch
        >>> from fewbit.nn import GRU, Chain
        >>> from fewbit.train import LabelledFrames
        >>> said = [LabelledFrames(torch.randn(20, 4), (1, 2)) for _ in range(4)]
        >>> train = OnlineFinetune(UtteranceStreams(said, streams=2), updates=2, window=8, progress=False)
        >>> type(train(Chain(GRU(4, 8), nn.Linear(8, 3)))).__name__
        'Chain'
    """

    batches: UtteranceStreams
    updates: Annotated[int, whole(1)]
    window: Annotated[int, whole(2)] = 64
    step: Annotated[int, whole(0)] = 0
    warmup: Annotated[int, whole(0)] = 0
    lr: Annotated[float, number(above=True)] = 1e-3
    schedule: Annotated[Schedule | None, curve()] = None
    optimizer: OptimizerFactory | None = None
    clip_norm: Annotated[float, number(above=True)] = 1.0
    seed: int = 0
    checkpoint: str | Path | None = None
    progress: bool = True

    def __call__(self, model: nn.Module) -> nn.Module:
        if not isinstance(self.batches, UtteranceStreams):
            raise ArgumentError(
                f"OnlineFinetune: batches are {type(self.batches).__name__}; wanted fewbit.train.UtteranceStreams"
            )
        trainer = StreamTrainer(
            model,
            deepcopy(self.batches),
            OnlineCTC(self.window, self.step),
            updates=self.updates,
            lr=self.lr,
            optimizer=self.optimizer,
            schedule=self.schedule or cosine(),
            warmup=self.warmup,
            clip_norm=self.clip_norm,
            seed=self.seed,
        )
        if self.checkpoint is not None and Path(self.checkpoint).is_file():
            trainer.load(self.checkpoint)
        while trainer.done < self.updates:
            trainer.run(None if self.checkpoint is None else -(-self.updates // PARTS), self.progress)
            if self.checkpoint is not None:
                trainer.save(self.checkpoint)
        return model

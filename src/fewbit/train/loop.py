"""The training loop: one function, any model, any objective, one process or many.

Hugging Face Accelerate handles devices and processes: the same call runs on one CPU, on one GPU, and on many hosts
under ``accelerate launch`` or ``torchrun``. A batch is the batch of all processes together.
"""

import math
import random
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from fewbit.errors import ArgumentError, DataError, QuantizationError
from fewbit.quant import Follower, forget_flat_weights
from fewbit.quant.base import checked_later
from fewbit.train.checkpoint import load_checkpoint, save_checkpoint
from fewbit.train.norms import refresh_norms
from fewbit.train.objectives import Objective
from fewbit.train.optimizers import OptimizerFactory, loop_clip, make_optimizer
from fewbit.train.schedules import Schedule
from fewbit.train.truncated_bptt import one_update, trajectory

LOOK = "look for NaN in the data or lower the learning rate (the checkpoint, if there is one, holds the epoch before)"


@dataclass
class History:
    """What happened in training: the mean loss of each epoch.

    Examples:
        >>> history = History(losses=[0.9, 0.5])
        >>> history.losses[-1]
        0.5
    """

    losses: list[float] = field(default_factory=list)


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    objective: Objective,
    *,
    epochs: int,
    lr: float = 1e-3,
    optimizer: OptimizerFactory | None = None,
    schedule: Schedule | None = None,
    clip_norm: float = 1.0,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = True,
    title: str = "fit",
) -> History:
    """Train `model` in place and return the losses; it ends in training mode, on the device where it was.

    Args:
        model: any module; quantizers attached to it are evaluated once for each step.
        batches: a `DataLoader`, whose batches several processes share; one process may also use a list of batches.
        objective: ``(model, batch, progress) -> loss``.
        epochs: how many times `batches` is read.
        lr: learning rate, before the schedule.
        optimizer: what makes the optimizer from parameters and ``lr=``, such as `torch.optim.SGD` or a
            `functools.partial` of it; default AdamW without weight decay. Its `step` is called with a closure.
        schedule: progress -> factor of the learning rate; default 1.
        clip_norm: largest norm of the gradient.
        seed: of torch, NumPy and random; the same seed gives the same weights.
        checkpoint: a file written after every epoch. If it exists, training resumes from it and ends in the same
            weights as an uninterrupted run.
        progress: whether a progress bar is shown on standard error.
        title: label of the progress bar.

    Raises:
        ArgumentError: `model` has nothing to train or is in half precision, or several processes got a list.
        DataError: there are no batches, or the loss or a parameter is no longer finite.

    Examples:
        >>> from torch import nn, tensor
        >>> from fewbit.train import CrossEntropy
        >>> batches = [(tensor([[0.0, 1.0], [1.0, 0.0]]), tensor([0, 1]))]
        >>> history = fit(nn.Linear(2, 2), batches, CrossEntropy(), epochs=20, progress=False)
        >>> len(history.losses), history.losses[-1] < history.losses[0]
        (20, True)
    """
    accelerator = Accelerator(dataloader_config=DataLoaderConfiguration(split_batches=True))
    _seed(seed)
    _demand_float32(model)
    made = make_optimizer(optimizer, model, lr)
    clip_norm = loop_clip(made, clip_norm)
    if not isinstance(batches, Sized) or len(batches) == 0:
        raise DataError("fit: there are no batches to train on; wanted a DataLoader or a list of batches, not empty")
    if accelerator.num_processes > 1 and not isinstance(batches, DataLoader):
        raise ArgumentError("fit: several processes share the batches of a DataLoader, not those of a list")
    generator = getattr(batches, "generator", None)
    # The learning rates before any schedule; an optimizer may come from an earlier fit.
    lrs = [group.setdefault("initial_lr", group["lr"]) for group in made.param_groups]
    home = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    history = History()
    first_epoch = 0
    if checkpoint is not None and Path(checkpoint).is_file():
        first_epoch, history.losses = load_checkpoint(checkpoint, model, made, generator)
    wrapped, optimizer_, loader = accelerator.prepare(model, made, batches)
    wrapped.train()
    follower = Follower(model)
    steps, step = epochs * len(batches), first_epoch * len(batches)
    bar = tqdm(
        total=steps, initial=step, desc=title, unit="step", disable=not (progress and accelerator.is_main_process)
    )
    for epoch in range(first_epoch, epochs):
        total = torch.zeros((), device=accelerator.device)
        for given in loader:
            batch = send_to_device(given, accelerator.device)
            done = step / steps
            for group, lr in zip(made.param_groups, lrs, strict=True):
                group["lr"] = lr * (schedule(done) if schedule else 1.0)

            seen: list[Tensor] = []

            def closure(batch: Any = batch, done: float = done, seen: list[Tensor] = seen) -> Tensor:
                optimizer_.zero_grad()
                with parametrize.cached(), checked_later():
                    loss = objective(wrapped, batch, done)
                    accelerator.backward(loss)
                accelerator.clip_grad_norm_(wrapped.parameters(), clip_norm)
                seen.append(loss.detach())
                return seen[-1]  # of this call: an optimizer may call more than once

            try:
                with one_update():
                    optimizer_.step(closure)
            except QuantizationError:  # often the consequence of an earlier update that went wrong
                _demand_finite(model, epoch, epochs)
                raise
            step += 1
            follower(step / steps, epoch_ended=step % len(batches) == 0)
            total += accelerator.reduce(torch.stack(seen).mean(), "mean")
            bar.update()
        history.losses.append(float(total) / len(batches))
        if not math.isfinite(history.losses[-1]):
            raise DataError(f"fit: the loss became {history.losses[-1]} in epoch {epoch + 1} of {epochs}; {LOOK}")
        _demand_finite(model, epoch, epochs)
        if follower.freezes(epoch / epochs, (epoch + 1) / epochs):
            with trajectory("batch statistics"):  # not the one that the training carries on
                refresh_norms(accelerator.unwrap_model(wrapped), loader)
        bar.set_postfix(loss=f"{history.losses[-1]:.4f}")
        if checkpoint is not None and accelerator.is_main_process:
            save_checkpoint(checkpoint, model, made, generator, epoch + 1, history.losses)
    bar.close()
    for group, lr in zip(made.param_groups, lrs, strict=True):
        group["lr"] = lr
    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
    # A model that carries this mark, or a copy of it, is not moved to the GPU when it is trained again.
    vars(model).pop("_is_accelerate_prepared", None)
    forget_flat_weights(model.to(home))
    return history


def _demand_float32(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        # AdamW divides by a root that is 0 in float16, and small updates vanish.
        if parameter.requires_grad and parameter.dtype == torch.float16:
            raise ArgumentError(
                f"fit: {_plain(name)} is float16, in which updates vanish or overflow; train model.float(), and turn "
                "the result into half precision"
            )


def _demand_finite(model: nn.Module, epoch: int, epochs: int) -> None:
    found = {name: torch.isfinite(parameter).all() for name, parameter in model.named_parameters()}
    if torch.stack(list(found.values())).all():  # waits for a GPU only once
        return
    name = next(name for name, finite in found.items() if not finite)
    raise DataError(f"fit: {_plain(name)} became NaN or infinite in epoch {epoch + 1} of {epochs}; {LOOK}")


def _plain(name: str) -> str:
    """The name that a parameter has without its quantizer."""
    return name.replace("parametrizations.", "").removesuffix(".original")


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)

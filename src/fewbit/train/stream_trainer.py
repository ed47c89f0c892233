"""Training by online CTC: parallel endless streams, a state that is carried and never reset, a short unroll.

Each update reads `step` new output frames of every stream and runs the network over the newest `window` frames. It
starts from the state and the alphas at the frame before them, which the weights of the update before have computed.
Memory depends on the window, not on the length of utterances.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from math import inf, isfinite, nan, prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm.auto import tqdm

from fewbit.errors import ArgumentError, DataError
from fewbit.nn import CausalConv1d, hold_masks
from fewbit.quant import Follower, forget_flat_weights
from fewbit.train.checkpoint import load_checkpoint, save_checkpoint
from fewbit.train.online_ctc import OnlineCTC, Part, WindowErrors
from fewbit.train.optimizers import OptimizerFactory, loop_clip, make_optimizer
from fewbit.train.schedules import Schedule
from fewbit.train.streams import Placed, UtteranceStreams
from fewbit.train.truncated_bptt import detached


class StreamTrainer:
    """Trains `model` in place on `streams`, in one process.

    Args:
        model: ``(x, state) -> (logits, state)`` with class 0 as the blank, whose state starts as ``None``; quantizers
            attached to it are evaluated once for each update.
        streams: where frames and labels come from.
        objective: window and step, in output frames.
        updates: of the whole training; the progress that schedules and quantizers see is the share of updates done.
        lr, optimizer, schedule: as in `fit`.
        warmup: first updates, in which only utterances that end give errors (CTC-TR); the posteriors of CTC-EM are
            meaningless until the network has found rough alignments.
        clip_norm: largest norm of the gradient.
        stride: input frames for each output frame; default the product of the strides of all `CausalConv1d` in `model`.
        seed: of torch, and of the masks of `MacroBlockDropout`, which are held for each utterance.

    Raises:
        ArgumentError: an argument is out of range, or there is nothing to train.

    Examples:
        >>> import torch
        >>> from fewbit.nn import LSTM
        >>> from fewbit.train import LabelledFrames
        >>> streams = UtteranceStreams([LabelledFrames(torch.zeros(9, 3), (1,))], streams=2)
        >>> trainer = StreamTrainer(LSTM(3, 4), streams, OnlineCTC(window=8), updates=5)
        >>> losses = trainer.run(progress=False)
        >>> len(losses), streams.position
        (5, 20)
    """

    def __init__(
        self,
        model: nn.Module,
        streams: UtteranceStreams,
        objective: OnlineCTC | None = None,
        *,
        updates: int,
        lr: float = 1e-3,
        optimizer: OptimizerFactory | None = None,
        schedule: Schedule | None = None,
        warmup: int = 0,
        clip_norm: float = 1.0,
        stride: int | None = None,
        seed: int = 0,
    ) -> None:
        strides = [module.stride for module in model.modules() if isinstance(module, CausalConv1d)]
        self.stride = prod(strides) if stride is None else stride
        if updates < 1 or warmup < 0 or self.stride < 1:
            raise ArgumentError(
                f"StreamTrainer: updates={updates}, warmup={warmup}, stride={self.stride}; wanted at least 1, 0 and 1"
            )
        self.model, self.streams, self.objective = model, streams, objective or OnlineCTC()
        self.updates, self.schedule, self.warmup, self.clip_norm = updates, schedule, warmup, clip_norm
        self.optimizer = make_optimizer(optimizer, model, lr)
        self.lrs = [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]
        self.seed, self.device = seed, next(model.parameters()).device
        self.done, self.infeasible = 0, 0
        self.losses: list[float] = []
        """Of each update, the mean of ``-ln p / labels`` over the utterances that ended; NaN where none did."""
        self.state: Any = None
        self.alphas = self.objective.start(streams.streams, streams.most_labels)
        self.inputs = torch.zeros(streams.streams, 0, streams.features)
        self.placed: list[Placed] = []
        self._warned = False
        torch.manual_seed(seed)

    def run(self, updates: int | None = None, progress: bool = True) -> list[float]:
        """Run the next `updates` updates (default: all that are left) and return their losses.

        Raises:
            ArgumentError: the network's output does not fit `stride`.
            DataError: the network's output is no longer finite.
        """
        left = self.updates - self.done
        first = len(self.losses)
        self.model.train()
        follower = Follower(self.model)
        for _ in tqdm(range(left if updates is None else min(updates, left)), unit="update", disable=not progress):
            epochs = int(self.streams.epochs)
            self._update()
            follower(self.done / self.updates, epoch_ended=int(self.streams.epochs) > epochs)
        forget_flat_weights(self.model)
        return self.losses[first:]

    def save(self, path: str | Path) -> None:
        """Save everything that the rest of the training depends on; the file is complete or absent."""
        save_checkpoint(path, _Whole(self), self.optimizer, self.streams.generator, self.done, self.losses)

    def load(self, path: str | Path) -> None:
        """Resume from a checkpoint; on a CPU the training ends in the same weights as an uninterrupted run.

        Raises:
            FileFormatError: the file is not such a checkpoint, or belongs to another model, optimizer or streams.
        """
        self.done, self.losses = load_checkpoint(path, _Whole(self), self.optimizer, self.streams.generator)
        self.lrs = [group["initial_lr"] for group in self.optimizer.param_groups]

    def _update(self) -> None:
        step, objective = self.objective.step, self.objective
        chunk, found = self.streams.read(step * self.stride)
        inputs = torch.cat([self.inputs, chunk], 1)
        frames = inputs.shape[1] // self.stride
        start = self.streams.position // self.stride - frames
        placed = self.placed + [one for one in found if one not in self.placed]
        parts = [part for one in placed if (part := self._part(one, start, frames))]
        leaving, scale = objective.leaving(frames), objective.scale(self.streams.streams)
        numbers = self._numbers(placed, inputs.shape[1], start * self.stride)
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = lr * (self.schedule(self.done / self.updates) if self.schedule else 1.0)
        clip = loop_clip(self.optimizer, self.clip_norm)
        results: list[tuple[Any, WindowErrors]] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            with parametrize.cached():
                logits, state = self._forward(inputs, numbers, leaving * self.stride, frames)
                result = objective(logits.detach(), parts, self.alphas, em=self.done >= self.warmup)
                logits.backward(result.errors.to(logits) * scale)  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.model.parameters(), clip)
            results.append((state, result))  # an optimizer may call more than once: the first one carries the state on
            return result.losses[result.losses.isfinite()].sum() * scale

        self.optimizer.step(closure)  # type: ignore[arg-type]
        self.state, result = results[0]
        self.alphas = result.alphas
        self.inputs = inputs[:, leaving * self.stride :].clone()
        self.placed = [one for one in placed if one.stop > (start + leaving) * self.stride]
        self.losses.append(self._loss(result))
        self.done += 1

    def _forward(self, inputs: Tensor, numbers: Tensor, leaving: int, frames: int) -> tuple[Tensor, Any]:
        """Logits of the window, and the state after the input frames that leave it."""
        outputs, states = [], [self.state]
        try:
            for piece in (slice(0, leaving), slice(leaving, inputs.shape[1])):
                state = states[-1]
                if piece.start < piece.stop:
                    hold_masks(self.model, numbers[:, piece], self.seed)
                    y, state = self.model(inputs[:, piece].to(self.device), state)
                    outputs.append(y)
                states.append(state)
        finally:
            hold_masks(self.model, None)
        logits = torch.cat(outputs, 1)
        if logits.shape[:2] != (self.streams.streams, frames):
            raise ArgumentError(
                f"StreamTrainer: the network turned {tuple(inputs.shape)} into {tuple(logits.shape)}, wanted {frames} "
                f"frames of {self.streams.streams} streams; is stride={self.stride} right?"
            )
        if not torch.isfinite(logits).all():
            raise DataError(
                f"StreamTrainer: the output became NaN or infinite in update {self.done + 1} of {self.updates}; look "
                "for NaN in the data or lower the learning rate"
            )
        return logits, detached(states[1])

    def _part(self, placed: Placed, start: int, frames: int) -> Part | None:
        """The part of an utterance that lies in a window; ``None`` if no output frame does."""
        first, last = -(-placed.start // self.stride) - start, -(-placed.stop // self.stride) - start
        if first >= min(last, frames) or last <= 0:
            return None
        labels = self.streams.labels(placed)
        return Part(placed.stream, max(first, 0), min(last, frames), first >= 0, last <= frames, labels)

    def _numbers(self, placed: list[Placed], frames: int, start: int) -> Tensor:
        """The number of each input frame's utterance, and 0 outside of utterances."""
        numbers = torch.zeros(self.streams.streams, frames, dtype=torch.long)
        for one in placed:
            numbers[one.stream, max(one.start - start, 0) : max(one.stop - start, 0)] = one.number
        return numbers

    def _loss(self, result: WindowErrors) -> float:
        losses = result.losses.tolist()
        each = [loss / max(len(p.labels), 1) for loss, p in zip(losses, result.ended, strict=True) if isfinite(loss)]
        self.infeasible += losses.count(inf)
        if self.infeasible and not self._warned:
            self._warned = True
            warnings.warn(
                "StreamTrainer: an utterance has fewer output frames than its labels need, and gives no error; "
                "`infeasible` counts such utterances",
                RuntimeWarning,
                stacklevel=4,
            )
        return sum(each) / len(each) if each else nan


class _Whole(nn.Module):
    """A model and the position of its training, as one module with a state dictionary."""

    def __init__(self, trainer: StreamTrainer) -> None:
        super().__init__()
        self.trainer = trainer

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Tensors of the model, and of the trainer."""
        trainer = self.trainer
        state: list[Tensor] = []
        plain = {
            "state": _packed(trainer.state, state),
            "streams": trainer.streams.state_dict(),
            "placed": [asdict(placed) for placed in trainer.placed],
            "infeasible": trainer.infeasible,
            "seed": trainer.seed,
        }
        return {
            **{f"network/{name}": value for name, value in trainer.model.state_dict().items()},
            **{f"state/{i}": tensor for i, tensor in enumerate(state)},
            "alphas": trainer.alphas,
            "inputs": trainer.inputs,
            "plain": torch.tensor(list(json.dumps(plain).encode()), dtype=torch.uint8),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Restore them."""
        trainer = self.trainer
        if "plain" not in state_dict or state_dict["alphas"].shape != trainer.alphas.shape:
            raise ValueError("it belongs to no StreamTrainer, or to other streams")
        plain = json.loads(bytes(state_dict["plain"].tolist()))
        trainer.streams.load_state_dict(plain["streams"])
        prefix = "network/"
        network = {name.removeprefix(prefix): t for name, t in state_dict.items() if name.startswith(prefix)}
        loaded = trainer.model.load_state_dict(network, strict)
        trainer.alphas, trainer.inputs = state_dict["alphas"], state_dict["inputs"]
        trainer.placed = [Placed(**fields) for fields in plain["placed"]]
        trainer.infeasible, trainer.seed = plain["infeasible"], plain["seed"]
        trainer.state = _unpacked(plain["state"], state_dict, trainer.device)
        return loaded


def _packed(state: Any, tensors: list[Tensor]) -> Any:
    """The shape of a state as plain values, its tensors in a list."""
    if isinstance(state, Tensor):
        tensors.append(state)
        return len(tensors) - 1
    if state is None:
        return None
    if isinstance(state, tuple | list):
        return [_packed(part, tensors) for part in state]
    raise ArgumentError(f"StreamTrainer: a state of tensors, tuples and None can be saved, not {type(state).__name__}")


def _unpacked(plain: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    if isinstance(plain, list):
        return tuple(_unpacked(part, tensors, device) for part in plain)
    return None if plain is None else tensors[f"state/{plain}"].to(device)

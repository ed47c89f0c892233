"""What a mask is judged by: the error of the network with the mask, and its loss where errors are equal.

A score must come from development data. The least of many errors is too good for the data on which it was found, so
test data would no longer be test data; a second set (`rescore` of the searches) makes the choice among the best ones
less a matter of luck.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from accelerate.utils import send_to_device
from torch import Tensor, nn

from fewbit.batches import labels_of
from fewbit.errors import DataError
from fewbit.inference import inference_mode
from fewbit.prune.elements import Elements, masked
from fewbit.settings import whole
from fewbit.train import CrossEntropy, outputs_of


@dataclass(frozen=True)
class Score:
    """How bad a network is.

    error: the share of examples that are wrong, or any number that is smaller for a better network. loss: decides
    between equal errors. count: how many examples the error is a share of; 0 where it is no such share.

    Examples:
        >>> scores = [Score(0.2, loss=1.0), Score(0.2, loss=0.9), Score(float("nan")), Score(0.1, loss=3.0)]
        >>> [score.error for score in sorted(scores, key=lambda score: score.rank)]
        [0.1, 0.2, 0.2, nan]
    """

    error: float
    loss: float = 0.0
    count: int = 0

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What scores are sorted by, the best first; a score with a NaN stands behind all others."""
        broken = math.isnan(self.error) or math.isnan(self.loss)
        return (True, 0.0, 0.0) if broken else (False, self.error, self.loss)

    @property
    def noise(self) -> float | None:
        """Standard deviation of the error by the choice of the examples; None where it is no share of examples."""
        if self.count < 1 or not 0 <= self.error <= 1:
            return None
        return math.sqrt(self.error * (1 - self.error) / self.count)


MaskScore = Callable[[nn.Module], Score | float]
"""Judges the network that it is given, which has the mask on: a `Score`, or the error alone."""


@dataclass(frozen=True)
class ClassificationScore:
    """The share of wrong classes, with the mean cross-entropy as tie breaker.

    The batches are read once, when the score is made, and kept: every mask sees the same data in the same order. The
    network is in evaluation mode.

    Args:
        batches: of development data, never of test data; inputs, and labels of the leading shape of the outputs
            ``(..., classes)``.
        ignore: label of padding, which counts nowhere.

    Raises:
        DataError: there are no labels in the batches.

    Examples:
        >>> batches = [(torch.eye(3), torch.tensor([0, 1, 0]))]
        >>> score = ClassificationScore(batches)(nn.Identity())
        >>> round(score.error, 3), round(score.loss, 3), score.count
        (0.333, 0.885, 3)
    """

    batches: Iterable[Any]
    ignore: Annotated[int, whole(-(2**63))] = -100

    def __post_init__(self) -> None:
        kept = tuple(self.batches)
        if not any(bool((labels_of(batch) != self.ignore).any()) for batch in kept):
            raise DataError(
                f"ClassificationScore: no label in {len(kept)} batches; wanted one at least that is not {self.ignore}"
            )
        object.__setattr__(self, "batches", kept)

    def __call__(self, model: nn.Module) -> Score:
        objective = CrossEntropy(self.ignore)
        wrong, loss, count = 0, 0.0, 0
        with inference_mode(model):
            for given in self.batches:
                batch = send_to_device(given, device_of(model))
                valid = labels_of(batch) != self.ignore
                here = int(valid.sum())
                if here:
                    outputs = outputs_of(model, batch)
                    loss += here * float(objective.loss(outputs, batch))
                    wrong += int((outputs.argmax(-1) != labels_of(batch))[valid].sum())
                    count += here
        return Score(math.nan if math.isnan(loss) else wrong / count, loss / count, count)


def judge(model: nn.Module, elements: Sequence[Elements], masks: Mapping[str, Tensor], score: MaskScore) -> Score:
    """The score of the network under masks, in evaluation mode; the network is left as it was."""
    with untouched(model), masked(model, elements, masks), inference_mode(model):
        found = score(model)
    return found if isinstance(found, Score) else Score(float(found))


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore buffers and gradients behind the block, on errors too: a score may renew batch statistics."""
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        for parameter, _ in gradients:
            parameter.grad = None  # what a score adds must not be added to the gradients that are there
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, name, buffer, numbers in buffers:
            module._buffers[name] = buffer
            with torch.no_grad():
                buffer.copy_(numbers)


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters of a network are."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))

"""What the command needs to know of a network: the model, real inputs, and the measure of its task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Inputs = tuple[Tensor, ...]
"""The inputs of one example, each with a batch axis of size 1."""

Predict = Callable[[Inputs], NDArray[Any]]
"""One example in, its output without the batch axis out; float, fake-quantized or integer."""

Output = Literal["scores", "probability", "embedding"]
"""Scores of classes on the last axis; the probability of yes at every place; or a vector on the last axis."""


def no_measure(predict: Predict) -> dict[str, float]:
    """For a network without a task: only agreement counts."""
    return {}


@dataclass(frozen=True, eq=False)
class Network:
    """A network and all that is needed to compress and to judge it.

    model: float32, in eval mode.
    batches: calibration, batch size 1; other recordings, texts or pictures than the examples.
    examples: held-out inputs on which agreement is counted.
    output: what its output means.
    measure: the measure of its task, from predictions.
    time: the axis of the inputs (batch included) that is time, or ``None``; it may differ between examples.
    labels: the right class for each decision of each example, or ``None``.
    """

    name: str
    model: nn.Module
    batches: list[Inputs]
    examples: list[Inputs]
    output: Output
    measure: Callable[[Predict], dict[str, float]] = no_measure
    time: int | None = None
    labels: list[NDArray[np.int64]] | None = None

"""Any language model as a function, and the distributions that it gives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Model = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""``(x, state) -> (scores, state)``: classes ``(streams, steps)`` in, ``(streams, steps, classes)`` out; the state
starts as ``None``. Every network of `fewbit.models.CharLM` is one."""


def probabilities(model: Model, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Distributions ``(streams, steps, classes)`` of the symbol after each of ``x: (streams, steps)``, where x lies."""
    scores, state = model(x.to(device_of(model, x.device)), state)
    return torch.softmax(scores.float(), -1).to(x.device), state


def device_of(model: Model, otherwise: torch.device) -> torch.device:
    """Where the weights of a network are."""
    weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return otherwise if weight is None else weight.device

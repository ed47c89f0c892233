"""What a language model expects after each symbol that it reads, without leaving a trace in it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

Model = Callable[[Tensor, Any], tuple[Tensor, Any]]
"""``(x, state) -> (scores, state)``: classes ``(streams, steps)`` in, ``(streams, steps, classes)`` out; the state
starts as ``None``. Every network of `fewbit.models.CharLM` is one."""


@contextmanager
def reading(models: Sequence[Any]) -> Iterator[None]:
    """Inside the block no gradient is kept, networks are in eval mode, and each quantizer is evaluated once."""
    networks = [model for model in models if isinstance(model, nn.Module)]
    modes = {module: module.training for network in networks for module in network.modules()}
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(parametrize.cached())
        try:
            for network in networks:
                network.eval()
            yield
        finally:
            for module, training in modes.items():
                module.training = training


def probabilities(model: Model, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Distributions ``(streams, steps, classes)`` of the symbol after each of ``x: (streams, steps)``, where x lies."""
    scores, state = model(x.to(device_of(model, x.device)), state)
    return torch.softmax(scores.float(), -1).to(x.device), state


def device_of(model: Model, otherwise: torch.device) -> torch.device:
    """Where the weights of a network are."""
    weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return otherwise if weight is None else weight.device

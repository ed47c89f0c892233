"""The contract of every piece of a sequence network, and the chain that joins pieces.

A layer is ``forward(x, state=None) -> (y, state)`` with ``x: (batch, time, features)``. Two laws hold for all:

    any split of time gives the same output     ``layer(whole) == join(layer(first), layer(rest, state))``
    later input never changes earlier output    (causality, up to `Layer.lookahead` frames)

State is explicit: ``None`` means the start of a stream, and the returned state goes into the next call. Layers are
plain float networks; quantizers attach to them from outside and know nothing of this package.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

State = Any


class Layer(nn.Module, ABC):
    """A causal piece of a sequence network.

    Examples:
        >>> import torch
        >>> class Sum(Layer):
        ...     def forward(self, x, state=None):
        ...         sums = x.cumsum(1) + (0 if state is None else state[:, None])
        ...         return sums, sums[:, -1]
        >>> y, state = Sum()(torch.ones(1, 3, 1))
        >>> y, state = Sum()(torch.ones(1, 1, 1), state)
        >>> float(y)
        4.0
    """

    lookahead: int | None = 0
    """Future frames that an output needs; ``None`` means the whole input."""
    recurrent: bool = False
    """Whether its weights are used again in every frame, on what earlier frames left behind."""

    @abstractmethod
    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Run a chunk ``x: (batch, time, features)`` from `state` and return the output with the new state."""


class Signal(nn.Module):
    """The place where hardware would store a signal: an identity that an activation quantizer may hook.

    Args:
        wide: the signal is kept at 16 bits by the integer Program (cell states); a plain activation spec leaves it
            alone, a pattern that names it does not.
        saturates: size from which on what reads the signal no longer changes; calibration chooses no wider range, so
            that few bits are spent where they are read. An LSTM's cell is read by tanh but grows to many times that
            size, and a step fitted to its largest values could not be moved by one update of at most 1.

    Examples:
        >>> from fewbit.nn import GRU
        >>> [name for name, module in GRU(3, 4).named_modules() if isinstance(module, Signal)]
        ['hidden', 'cell']
    """

    def __init__(self, wide: bool = False, saturates: float | None = None) -> None:
        super().__init__()
        self.wide, self.saturates = wide, saturates

    def forward(self, x: Tensor) -> Tensor:
        return x


class Chain(nn.Sequential, Layer):
    """Layers and stateless modules one after the other; itself a layer.

    The state is a tuple with one entry for each module, ``None`` for those without state.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.nn import SRU
        >>> model = Chain(SRU(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> y, states = model(torch.randn(1, 10, 3))
        >>> y.shape, [state is None for state in states]
        (torch.Size([1, 10, 2]), [False, True, True])
    """

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        states = (None,) * len(self) if state is None else state
        after: list[State] = []
        for module, before in zip(self, states, strict=True):
            if isinstance(module, Layer):
                x, before = module(x, before)
            else:
                x = module(x)
            after.append(before)
        return x, tuple(after)


class Normalize(nn.Module):
    """Standardise features: ``(x - mean) / std``, with statistics of the training data.

    In a Program this is part of the first conversion to integers and costs nothing.

    Examples:
        >>> from torch import tensor
        >>> Normalize(1).fit(tensor([[1.0], [3.0], [5.0]]))(tensor([[7.0]]))
        tensor([[2.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def fit(self, x: Tensor) -> "Normalize":
        """Take mean and standard deviation of ``x: (..., features)``."""
        flat = x.reshape(-1, x.shape[-1])
        self.mean.copy_(flat.mean(0))
        self.std.copy_(flat.std(0).clamp_min(1e-5))
        return self

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation over ``(batch, time, features)``; folded into the layer before it when packed.

    Examples:
        >>> import torch
        >>> y = BatchNorm(3)(5 + 2 * torch.randn(4, 10, 3))
        >>> bool(y.mean().abs() < 1e-5)
        True
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, 1)).view_as(x)

"""A small streaming recogniser: convolution, SRU layers, one output for each symbol."""

from collections.abc import Mapping
from typing import Any, Self

from torch import nn

from fewbit.nn import SRU, BatchNorm, CausalConv1d, Chain, Normalize


class SpeechRNN(Chain):
    """Log-mel frames ``(batch, time, features)`` to class scores ``(batch, time / stride, classes)``.

    Normalize, CausalConv1d with BatchNorm and ReLU, `layers` times SRU, Linear.

    Args:
        features: mel filters.
        hidden: width of the convolution and of every SRU layer.
        layers: SRU layers.
        classes: symbols and the blank (`Alphabet.classes`).
        kernel, stride: frames seen by the convolution, and frames for each of its outputs.
        dropout: between layers, in training only.

    Examples:
        >>> import torch
        >>> model = SpeechRNN(features=8, hidden=12, layers=2, classes=5, stride=2)
        >>> scores, state = model(torch.zeros(1, 20, 8))
        >>> tuple(scores.shape)
        (1, 10, 5)
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        layers: int,
        classes: int,
        *,
        kernel: int = 5,
        stride: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.config = {
            "features": features,
            "hidden": hidden,
            "layers": layers,
            "classes": classes,
            "kernel": kernel,
            "stride": stride,
            "dropout": dropout,
        }
        self.add_module("norm", Normalize(features))
        self.add_module("conv", CausalConv1d(features, hidden, kernel, stride))
        self.add_module("conv_norm", BatchNorm(hidden))
        self.add_module("relu", nn.ReLU())
        for i in range(layers):
            self.add_module(f"drop{i}", nn.Dropout(dropout))
            self.add_module(f"rnn{i}", SRU(hidden, hidden))
        self.add_module("head", nn.Linear(hidden, classes))

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The network of these settings, for `fewbit.tasks.load_network`.

        Examples:
            >>> from tempfile import mkdtemp
            >>> from fewbit.tasks import load_network, save_network
            >>> model = SpeechRNN(8, 12, 1, 5)
            >>> path = save_network(f"{mkdtemp()}/net.safetensors", model, model.config)
            >>> type(load_network(path, SpeechRNN.of).model).__name__
            'SpeechRNN'
        """
        return cls(**config)

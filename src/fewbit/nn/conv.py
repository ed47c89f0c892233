"""Causal convolution over time, with a stride that lowers the frame rate."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import ArgumentError
from fewbit.nn.layer import Layer, State


class CausalConv1d(Layer):
    """``y[j] = W x[j*stride - kernel + 1 ... j*stride] + b``: an output sees no later frame than its own.

    With a stride above 1, output ``j`` is there as soon as frame ``j * stride`` is. The state is the tail
    ``(batch, pending, inputs)`` of frames that later outputs need; it starts as ``kernel - 1`` zeros.

    Args:
        inputs, outputs: features in and out.
        kernel: frames that an output sees.
        stride: input frames for each output frame; at most `kernel`.

    Examples:
        >>> import torch
        >>> layer = CausalConv1d(inputs=3, outputs=4, kernel=4, stride=2)
        >>> y, tail = layer(torch.randn(1, 10, 3))
        >>> y.shape, tail.shape
        (torch.Size([1, 5, 4]), torch.Size([1, 3, 3]))
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        if not 1 <= stride <= kernel:
            raise ArgumentError(f"CausalConv1d: stride must lie in 1..kernel = {kernel}, not {stride}")
        self.inputs, self.outputs, self.kernel, self.stride = inputs, outputs, kernel, stride
        bound = (inputs * kernel) ** -0.5
        self.weight = nn.Parameter(torch.empty(outputs, kernel * inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        batch, _, features = x.shape
        tail = x.new_zeros(batch, self.kernel - 1, features) if state is None else state
        x = torch.cat([tail, x], dim=1)
        frames = max(0, (x.shape[1] - self.kernel) // self.stride + 1)
        tail = x[:, frames * self.stride :]
        if frames == 0:
            return x.new_zeros(batch, 0, self.outputs), tail
        windows = x.unfold(1, self.kernel, self.stride)  # (batch, frames, inputs, kernel)
        columns = windows.transpose(2, 3).reshape(batch, frames, self.kernel * features)
        return functional.linear(columns, self.weight, self.bias), tail

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.outputs}, kernel={self.kernel}, stride={self.stride}"

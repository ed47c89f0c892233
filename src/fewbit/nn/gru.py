"""Gated recurrent unit, written out so that its inner signals can be quantized.

    r, z = sigmoid of  W x[t] + U h[t-1] + b
    n    = tanh(W_n x[t] + b_n + r * (U_n h[t-1] + d_n))
    s[t] = z * s[t-1] + (1 - z) * n

``s`` is the state at full width; ``h`` is the copy of it that is stored, multiplied and sent on. In float they are
the same numbers; in a Program ``s`` has 16 bits and ``h`` has 8, so that slow changes are not rounded away.

References:
    Cho et al. 2014 (arXiv 1406.1078), in the form of `torch.nn.GRU`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.nn.layer import Layer, Signal, State


class GRU(Layer):
    """One GRU layer; the state is the pair ``(h, s)``, each ``(batch, hidden_size)``.

    Row blocks of `weight` and `weight_hidden`: reset gate, update gate, candidate, as in `torch.nn.GRU`.

    Examples:
        >>> import torch
        >>> layer = GRU(inputs=3, hidden_size=4)
        >>> y, (h, s) = layer(torch.randn(2, 10, 3))
        >>> y.shape, h.shape
        (torch.Size([2, 10, 4]), torch.Size([2, 4]))
    """

    recurrent = True

    def __init__(self, inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs, self.hidden_size = inputs, hidden_size
        bound = hidden_size**-0.5
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, inputs).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(3 * hidden_size, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))
        self.bias_hidden = nn.Parameter(torch.zeros(hidden_size))
        self.hidden = Signal()
        self.cell = Signal(wide=True)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        size = self.hidden_size
        zeros = x.new_zeros(x.shape[0], size)
        hidden, cell = (zeros, zeros) if state is None else state
        recurrent = self.weight_hidden  # read once: a quantizer may stand behind the name
        outputs = []
        for step in functional.linear(x, self.weight, self.bias).unbind(1):
            back = functional.linear(hidden, recurrent)
            r, z = torch.sigmoid(step[:, : 2 * size] + back[:, : 2 * size]).chunk(2, -1)
            n = torch.tanh(step[:, 2 * size :] + r * (back[:, 2 * size :] + self.bias_hidden))
            cell = self.cell(torch.lerp(n, cell, z))
            hidden = self.hidden(cell)
            outputs.append(hidden)
        y = torch.stack(outputs, 1) if outputs else x.new_zeros(x.shape[0], 0, size)
        return y, (hidden, cell)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.hidden_size}"

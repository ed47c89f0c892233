"""Simple recurrent unit: every matrix multiplies inputs only, so many time steps share one read of the weights.

    xt, f, r = W x[t],  sigmoid(W_f x[t] + b_f),  sigmoid(W_r x[t] + b_r)
    c[t] = f * c[t-1] + (1 - f) * xt
    h[t] = r * tanh(c[t]) + (1 - r) * skip[t]

``skip`` is ``x`` itself, or a fourth projection of it where the widths differ. A call with several frames is the
multi-step execution of the paper below.

References:
    Lei, Zhang, Artzi 2017, "Training RNNs as fast as CNNs" (the 2017 form of the cell);
    Sung, Park 2018, "Single stream parallelization of recurrent neural networks" (arXiv 1803.11389).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.nn import recurrence
from fewbit.nn.layer import Layer, Signal, State


class SRU(Layer):
    """One SRU layer; the state is the cell ``c: (batch, hidden_size)``.

    Weight rows: candidate, forget gate, reset gate and, where ``inputs != hidden_size``, the skip projection.

    Examples:
        >>> import torch
        >>> y, cell = SRU(inputs=3, hidden_size=4)(torch.randn(2, 10, 3))
        >>> y.shape, cell.shape
        (torch.Size([2, 10, 4]), torch.Size([2, 4]))
    """

    recurrent = True

    def __init__(self, inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs, self.hidden_size = inputs, hidden_size
        self.projected = inputs != hidden_size
        blocks = 4 if self.projected else 3
        bound = (3 / inputs) ** 0.5
        self.weight = nn.Parameter(torch.empty(blocks * hidden_size, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(2 * hidden_size))
        self.cell = Signal(wide=True)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        cell = x.new_zeros(x.shape[0], self.hidden_size) if state is None else state
        gates = functional.linear(x, self.weight)
        return recurrence.sru(gates, self.bias, None if self.projected else x, cell, self.cell)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.hidden_size}"

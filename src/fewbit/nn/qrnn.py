"""Quasi-recurrent network: a causal convolution makes the gates, an elementwise recurrence joins time.

    z, f, o = tanh, sigmoid, sigmoid of  W [x[t-kernel+1] ... x[t]] + b
    c[t] = f * c[t-1] + (1 - f) * z          ("fo-pooling"; f near 1 remembers)
    h[t] = o * c[t]

Only the elementwise recurrence goes step by step, so the layer suits multi-step execution: several frames for one read
of the weights.

References:
    Bradbury, Merity, Xiong, Socher 2016, "Quasi-recurrent neural networks" (arXiv 1611.01576);
    Sung, Park 2018, "Single stream parallelization of recurrent neural networks" (arXiv 1803.11389).
"""

from torch import Tensor

from fewbit.nn import recurrence
from fewbit.nn.conv import CausalConv1d
from fewbit.nn.layer import Layer, Signal, State


class QRNN(Layer):
    """One QRNN layer; the state is the pair (tail of inputs, cell ``c: (batch, hidden_size)``).

    Weight rows of `gates`: candidate, forget gate, output gate.

    Examples:
        >>> import torch
        >>> y, (tail, cell) = QRNN(inputs=3, hidden_size=4, kernel=2)(torch.randn(2, 10, 3))
        >>> y.shape, tail.shape, cell.shape
        (torch.Size([2, 10, 4]), torch.Size([2, 1, 3]), torch.Size([2, 4]))
    """

    recurrent = True

    def __init__(self, inputs: int, hidden_size: int, kernel: int = 2) -> None:
        super().__init__()
        self.inputs, self.hidden_size, self.kernel = inputs, hidden_size, kernel
        self.gates = CausalConv1d(inputs, 3 * hidden_size, kernel)
        self.cell = Signal(wide=True)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        tail, cell = (None, x.new_zeros(x.shape[0], self.hidden_size)) if state is None else state
        gates, tail = self.gates(x, tail)
        y, cell = recurrence.qrnn(gates, cell, self.cell)
        return y, (tail, cell)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.hidden_size}, kernel={self.kernel}"

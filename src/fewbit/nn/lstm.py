"""Long short-term memory, written out so that its inner signals can be quantized.

    i, f, o = sigmoid,  g = tanh   of  W x[t] + U h[t-1] + b
    c[t] = f * c[t-1] + i * g
    h[t] = o * tanh(c[t])

References:
    Hochreiter, Schmidhuber 1997; Shin, Hwang, Sung 2016, "Fixed-point performance analysis of recurrent neural
    networks" (arXiv 1512.01322) for the signals.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.nn.layer import Layer, Signal, State


class LSTM(Layer):
    """One LSTM layer; the state is the pair ``(h, c)``, each ``(batch, hidden)``.

    Row blocks of `weight` and `weight_hidden`: input gate, forget gate, candidate, output gate, as in
    `torch.nn.LSTM`. The forget bias starts at 1.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.hidden_size = inputs, hidden
        bound = hidden**-0.5
        self.weight = nn.Parameter(torch.empty(4 * hidden, inputs).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        with torch.no_grad():
            self.bias[hidden : 2 * hidden] = 1.0
        self.hidden = Signal()
        self.cell = Signal(wide=True)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        zeros = x.new_zeros(x.shape[0], self.hidden_size)
        hidden, cell = (zeros, zeros) if state is None else state
        recurrent = self.weight_hidden  # read once: a quantizer may stand behind the name
        outputs = []
        for step in functional.linear(x, self.weight, self.bias).unbind(1):
            i, f, g, o = (step + functional.linear(hidden, recurrent)).chunk(4, -1)
            cell = self.cell(torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g))
            hidden = self.hidden(torch.sigmoid(o) * torch.tanh(cell))
            outputs.append(hidden)
        y = torch.stack(outputs, 1) if outputs else x.new_zeros(x.shape[0], 0, self.hidden_size)
        return y, (hidden, cell)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.hidden_size}"

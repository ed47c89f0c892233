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

from fewbit.nn.clock_schedule import ClockSchedule
from fewbit.nn.layer import Layer, Signal, State


class LSTM(Layer):
    """One LSTM layer; the state is the pair ``(h, c)``, each ``(batch, hidden_size)``.

    Row blocks of `weight` and `weight_hidden`: input gate, forget gate, candidate, output gate, as in
    `torch.nn.LSTM`. The forget bias starts at 1.

    Examples:
        >>> import torch
        >>> layer, x = LSTM(inputs=3, hidden_size=4), torch.randn(2, 10, 3)
        >>> whole, _ = layer(x)
        >>> first, state = layer(x[:, :6])
        >>> rest, _ = layer(x[:, 6:], state)
        >>> torch.allclose(whole, torch.cat([first, rest], 1), atol=1e-6)
        True
    """

    recurrent = True

    def __init__(self, inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs, self.hidden_size = inputs, hidden_size
        bound = hidden_size**-0.5
        self.weight = nn.Parameter(torch.empty(4 * hidden_size, inputs).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(4 * hidden_size, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size))
        with torch.no_grad():
            self.bias[hidden_size : 2 * hidden_size] = 1.0
        self.hidden = Signal()
        self.cell = Signal(wide=True, saturates=3.0)  # tanh(3) = 0.995

    def forward(self, x: Tensor, state: State = None, clock: ClockSchedule | None = None) -> tuple[Tensor, State]:
        """Run a chunk ``(batch, time, inputs)``; in every frame, or in those of `clock`, and hold in the others."""
        zeros = x.new_zeros(x.shape[0], self.hidden_size)
        hidden, cell = (zeros, zeros) if state is None else state
        if not x.shape[1]:
            return x.new_zeros(x.shape[0], 0, self.hidden_size), (hidden, cell)
        recurrent = self.weight_hidden  # read once: a quantizer may stand behind the name
        if clock is None:
            outputs = []
            for step in functional.linear(x, self.weight, self.bias).unbind(1):
                hidden, cell = self._step(step, hidden, cell, recurrent)
                outputs.append(hidden)
            return torch.stack(outputs, 1), (hidden, cell)
        gates = functional.linear(x.flatten(0, 1).index_select(0, clock.frames), self.weight, self.bias)
        h, c = clock.begin(hidden), clock.begin(cell)
        hiddens, cells = [], []
        for step in torch.split(gates, clock.sizes):
            h, c = self._step(step, h[: len(step)], c[: len(step)], recurrent)
            hiddens.append(h)
            cells.append(c)
        y = clock.hold(hiddens, hidden)
        return y, (y[:, -1], clock.hold(cells, cell)[:, -1])

    def _step(self, gates: Tensor, hidden: Tensor, cell: Tensor, recurrent: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (gates + functional.linear(hidden, recurrent)).chunk(4, -1)
        cell = self.cell(torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g))
        return self.hidden(torch.sigmoid(o) * torch.tanh(cell)), cell

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.hidden_size}"

"""A character network with the memory of a word network: two clocks, one for letters and one for words.

    w[t]       1 where a word ends with x[t], else 0
    letters:   x[t]                              is reset where w = 1
    words[0]:  letters[t-1] and x[t]             ticks where w = 1, else holds: it reads the whole word that just ended
    words[i]:  words[i-1]                        ticks where w = 1, else holds
    spelling:  letters[t] and words[-1][t]       is reset where w = 1; its output is the layer's

Information older than a word reaches the output through the word LSTMs only. Input and output are those of a character
network.

References:
    Hwang, Sung 2016, "Character-level language modeling with hierarchical recurrent neural networks"
    (arXiv 1609.03777).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fewbit.errors import ArgumentError
from fewbit.nn.clock_schedule import ClockSchedule
from fewbit.nn.layer import Layer, Signal, State
from fewbit.nn.lstm import LSTM


class HLSTM(Layer):
    """Hierarchical LSTM; the state is ``(letters, words, spelling)`` with the states of these LSTMs.

    Args:
        inputs: features of a frame; for text, a one-hot vector of the character.
        hidden_size: cells of each LSTM.
        boundaries: features that end a word where they are above 0: space, end of paragraph.
        words: LSTMs with the clock of words.
        direct: `spelling` reads ``x[t]`` in place of ``letters[t]`` (HLSTM-A; left out, it is HLSTM-B).
        reset: whether letters and spelling are reset; without it they are plain LSTMs.

    Raises:
        ArgumentError: `boundaries` is empty or names no feature, or `words` is below 1.

    Examples:
        >>> import torch
        >>> from fewbit.nn import OneHot
        >>> layer = HLSTM(inputs=5, hidden_size=8, boundaries=(0, 1))
        >>> y, (letters, words, spelling) = layer(OneHot(5)(torch.randint(5, (2, 12))))
        >>> y.shape, len(words)
        (torch.Size([2, 12, 8]), 2)
    """

    boundaries: Tensor

    def __init__(
        self,
        inputs: int,
        hidden_size: int,
        boundaries: Sequence[int] = (0, 1),
        words: int = 2,
        direct: bool = False,
        reset: bool = True,
    ) -> None:
        super().__init__()
        if not boundaries or not all(0 <= feature < inputs for feature in boundaries):
            raise ArgumentError(f"HLSTM: boundaries must be features in 0..{inputs - 1}, not {list(boundaries)}")
        if words < 1:
            raise ArgumentError(f"HLSTM: words must be 1 or more, not {words}")
        self.inputs, self.hidden_size, self.direct, self.reset = inputs, hidden_size, direct, reset
        self.register_buffer("boundaries", torch.tensor(sorted(set(boundaries))), persistent=False)
        self.input = Signal()  # the clock is derived from the same codes as in a Program
        self.letters = LSTM(inputs, hidden_size)
        self.words = nn.ModuleList(LSTM(hidden_size if i else hidden_size + inputs, hidden_size) for i in range(words))
        self.spelling = LSTM(hidden_size + (inputs if direct else hidden_size), hidden_size)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        letters, words, spelling = (None, (None,) * len(self.words), None) if state is None else state
        x = self.input(x)
        ends = (x.index_select(-1, self.boundaries) > 0).any(-1)
        always, never = torch.ones_like(ends), torch.zeros_like(ends)
        each, at_ends = ClockSchedule(always, ends if self.reset else never), ClockSchedule(ends, never)
        before = x.new_zeros(len(x), self.hidden_size) if letters is None else letters[0]
        spelt, letters = self.letters(x, letters, each)
        context = torch.cat([torch.cat([before.unsqueeze(1), spelt[:, :-1]], 1)[:, : x.shape[1]], x], -1)
        after = []
        for word, held in zip(self.words, words, strict=True):
            context, now = word(context, held, at_ends)
            after.append(now)
        y, spelling = self.spelling(torch.cat([x if self.direct else spelt, context], -1), spelling, each)
        return y, (letters, tuple(after), spelling)

    def extra_repr(self) -> str:
        kind = "direct, " if self.direct else ""
        return f"{self.inputs}, {self.hidden_size}, {kind}boundaries={self.boundaries.tolist()}"

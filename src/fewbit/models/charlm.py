"""Character language models: recurrent layers that give scores of the next character."""

from collections.abc import Sequence

from torch import nn

from fewbit.errors import ArgumentError
from fewbit.nn import GRU, HLSTM, LSTM, QRNN, SRU, Chain, Layer, OneHot

CELLS: dict[str, type[Layer]] = {"lstm": LSTM, "gru": GRU, "sru": SRU, "qrnn": QRNN}


class CharLM(Chain):
    """Character numbers ``(batch, time)`` to scores of the next one ``(batch, time, classes)``.

    Args:
        classes: characters.
        hidden: width of the embedding and of every recurrent layer.
        layers: recurrent layers.
        cell: ``lstm``, ``gru``, ``sru`` or ``qrnn``.
        one_hot: the first layer reads the characters themselves, without an embedding; such a network can be packed.

    Raises:
        ArgumentError: the cell is none of these.

    Examples:
        >>> import torch
        >>> model = CharLM(classes=30, hidden=16, layers=1)
        >>> scores, state = model(torch.zeros(2, 7, dtype=torch.long))
        >>> tuple(scores.shape)
        (2, 7, 30)
    """

    def __init__(self, classes: int, hidden: int, layers: int = 2, cell: str = "lstm", one_hot: bool = False) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ArgumentError(f"CharLM: cell={cell!r}, wanted one of {list(CELLS)}")
        self.config = {"classes": classes, "hidden": hidden, "layers": layers, "cell": cell, "one_hot": one_hot}
        self.add_module("embedding", OneHot(classes) if one_hot else nn.Embedding(classes, hidden))
        for i in range(layers):
            self.add_module(f"rnn{i}", CELLS[cell](classes if one_hot and i == 0 else hidden, hidden))
        self.add_module("head", nn.Linear(hidden, classes))


class HierarchicalLM(Chain):
    """A character language model with a clock for words: `CharLM` with an `HLSTM` in its middle (method 21).

    Args:
        classes: characters.
        hidden: cells of each of the LSTMs, two for letters and `words` for words.
        boundaries: characters that end a word.
        words, direct, reset: as in `fewbit.nn.HLSTM`.

    Examples:
        >>> import torch
        >>> model = HierarchicalLM(classes=30, hidden=16, boundaries=(1,), words=8)
        >>> scores, state = model(torch.zeros(2, 7, dtype=torch.long))
        >>> tuple(scores.shape)
        (2, 7, 30)
    """

    def __init__(
        self,
        classes: int,
        hidden: int,
        boundaries: Sequence[int] = (0, 1),
        words: int = 2,
        direct: bool = False,
        reset: bool = True,
    ) -> None:
        super().__init__()
        about = {"boundaries": list(boundaries), "words": words, "direct": direct, "reset": reset}
        self.config = {"classes": classes, "hidden": hidden, **about}
        self.add_module("embedding", OneHot(classes))
        self.add_module("rnn", HLSTM(classes, hidden, boundaries, words, direct, reset))
        self.add_module("head", nn.Linear(hidden, classes))

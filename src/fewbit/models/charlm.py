"""Character language models: embedding, recurrent layers, scores of the next character."""

from torch import nn

from fewbit.errors import DataError
from fewbit.nn import GRU, LSTM, QRNN, SRU, Chain, Layer

CELLS: dict[str, type[Layer]] = {"lstm": LSTM, "gru": GRU, "sru": SRU, "qrnn": QRNN}


class CharLM(Chain):
    """Character numbers ``(batch, time)`` to scores of the next one ``(batch, time, classes)``.

    Args:
        classes: characters.
        hidden: width of the embedding and of every recurrent layer.
        layers: recurrent layers.
        cell: ``lstm``, ``gru``, ``sru`` or ``qrnn``.

    Raises:
        DataError: the cell is none of these.
    """

    def __init__(self, classes: int, hidden: int, layers: int = 2, cell: str = "lstm") -> None:
        super().__init__()
        if cell not in CELLS:
            raise DataError(f"CharLM: no cell {cell!r}; there are {list(CELLS)}")
        self.config = {"classes": classes, "hidden": hidden, "layers": layers, "cell": cell}
        self.add_module("embedding", nn.Embedding(classes, hidden))
        for i in range(layers):
            self.add_module(f"rnn{i}", CELLS[cell](hidden, hidden))
        self.add_module("head", nn.Linear(hidden, classes))

"""Everyday networks with several inputs or results, or with tied weights."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lower.everyday_recurrent import CLASSES, FEATURES
from tests.lower.everyday_transformers import SYMBOLS


class TwoInputs(nn.Module):
    """Words and, for each, some numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol, self.numbers = nn.Embedding(SYMBOLS, 8), nn.Linear(FEATURES, 8)
        self.rnn, self.head = nn.GRU(16, 16, batch_first=True), nn.Linear(16, CLASSES)

    def forward(self, words: Tensor, numbers: Tensor) -> Tensor:
        both = torch.cat([self.symbol(words), self.numbers(numbers)], -1)
        return self.head(self.rnn(both)[0])


class TwoOutputs(nn.Module):
    """A class for each frame, and where it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, 16, batch_first=True)
        self.classes, self.place = nn.Linear(16, CLASSES), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Any:
        y = self.rnn(x)[0]
        return self.classes(y), torch.tanh(self.place(y))


@dataclass
class Found:
    """Results by name."""

    logits: Tensor
    hidden: Tensor


torch.export.register_dataclass(Found)


class NamedOutputs(TwoOutputs):
    """Results in a class of one's own."""

    def forward(self, x: Tensor) -> Found:
        return Found(*super().forward(x))


class MeanOfWords(nn.Module):
    """Embeddings, their mean over the sentence, and probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, 16)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.symbol(symbols).mean(dim=1)
        return torch.softmax(self.head(functional.relu(self.hidden(x))), dim=-1)


class TiedLanguageModel(nn.Module):
    """The table of symbols is the weight of the result."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, 16)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, SYMBOLS, bias=False)
        self.head.weight = self.symbol.weight

    def forward(self, symbols: Tensor) -> Tensor:
        return self.head(self.rnn(self.symbol(symbols))[0])

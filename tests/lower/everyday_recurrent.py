"""Everyday recurrent networks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES, CLASSES = 8, 5


class Tagger(nn.Module):
    """A recurrent network and a class for each frame."""

    def __init__(self, kind: Any = nn.LSTM, hidden: int = 16, layers: int = 2, both: bool = False) -> None:
        super().__init__()
        self.rnn = kind(FEATURES, hidden, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(2 * hidden if both else hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        return self.head(y)


class VoiceActivity(nn.Module):
    """Convolutions over frames, an LSTM whose states are arguments and results, a probability for each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(FEATURES, 16, 3, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 3, stride=2, padding=1), nn.ReLU()
        )
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.decoder = nn.Sequential(nn.Dropout(0.1), nn.ReLU(), nn.Conv1d(16, 1, 1), nn.Sigmoid())
        nn.init.normal_(self.decoder[2].weight, std=4.0)  # or all probabilities would be alike

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.rnn(self.encoder(x).transpose(1, 2), (h, c))
        return self.decoder(y.transpose(1, 2)), h, c


class Speaker(nn.Module):
    """The last hidden state as a vector of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, 16, 3, batch_first=True)
        self.linear = nn.Linear(16, 16)

    def forward(self, mels: Tensor) -> Tensor:
        _, (h, _) = self.lstm(mels)
        embedding = functional.relu(self.linear(h[-1]))
        return embedding / torch.norm(embedding, dim=1, keepdim=True)

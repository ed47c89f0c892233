"""g2p-en 2.1.0: the reader of a spelling, from which the package's decoder says the phones.

An embedding of letters and a GRU of 256, whose state after every letter is the output. The gates in the file stand in
torch's order (reset, update, new), and the reset gate scales the hidden product with its bias, as in torch.
`difference_to_original` computes the recurrence as the package does, with NumPy and one letter after another; `load`
raises where a state differs by more than 1e-4.
"""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from studies.networks import corpora
from studies.networks.network import Inputs, Network
from studies.networks.wheels import wheel

NAME, VERSION = "g2p-en", "2.1.0"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
UNKNOWN, END = 1, 2
TOLERANCE = 1e-4
LENGTH, CALIBRATION = 9, 32  # letters of a word, and words, to calibrate with

Weights = dict[str, NDArray[np.float32]]


class Spelling(nn.Module):
    """Letter numbers ``(batch, letters)`` to states ``(batch, letters, 256)``."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3 + len(LETTERS), 256)
        self.gru = nn.GRU(256, 256, batch_first=True)

    def forward(self, letters: Tensor) -> Tensor:
        states: Tensor = self.gru(self.embedding(letters))[0]
        return states


def weights_of_encoder() -> Weights:
    """The arrays of the encoder by their names in the wheel, without ``enc_``."""
    data = (wheel(NAME, VERSION) / "g2p_en" / "checkpoint20.npz").read_bytes()
    with np.load(io.BytesIO(data)) as arrays:
        return {name[4:]: arrays[name] for name in arrays.files if name.startswith("enc_")}


def build(weights: Weights) -> Spelling:
    """The network with the weights in the wheel."""
    model = Spelling()
    given = {"embedding.weight": weights["emb"]}
    for leaf in ("weight", "bias"):
        given |= {f"gru.{leaf}_{way}_l0": weights[f"{leaf[0]}_{way}"] for way in ("ih", "hh")}
    model.load_state_dict({name: torch.from_numpy(weight.astype(np.float32)) for name, weight in given.items()})
    return model.eval()


def spelled(word: str) -> Inputs:
    """The letters of a word and the end, ``(1, letters + 1)``."""
    return (torch.tensor([[*(3 + LETTERS.index(letter) if letter in LETTERS else UNKNOWN for letter in word), END]]),)


def difference_to_original(model: nn.Module, weights: Weights, word: str) -> float:
    """Largest difference of a state to the equations of the package, in NumPy."""
    state = np.zeros(len(weights["w_hh"]) // 3, np.float32)
    states = []
    for letter in spelled(word)[0][0].tolist():
        x = weights["w_ih"] @ weights["emb"][letter] + weights["b_ih"]
        h = weights["w_hh"] @ state + weights["b_hh"]
        reset, update = np.split(1 / (1 + np.exp(-(x + h)[: -len(state)])), 2)
        new = np.tanh(x[-len(state) :] + reset * h[-len(state) :])
        state = (1 - update) * new + update * state
        states.append(state)
    with torch.no_grad():
        return float(np.abs(model(*spelled(word))[0].numpy() - np.stack(states)).max())


def load() -> Network:
    """The network; calibrated on words of an encyclopedia, all of one length, and judged on AN4's dictionary."""
    weights = weights_of_encoder()
    model = build(weights)
    held_out = list(dict.fromkeys(corpora.dictionary_words()))
    difference = max(difference_to_original(model, weights, word) for word in held_out)
    if not difference <= TOLERANCE:
        raise ValueError(f"the rebuilt network differs from the original by {difference}")
    read = dict.fromkeys(word for article in corpora.articles(1) for word in article.lower().split())
    words = [word for word in read if len(word) == LENGTH and set(word) <= set(LETTERS) and word not in held_out]
    return Network(
        name="g2p",
        model=model,
        batches=[spelled(words[i]) for i in np.linspace(0, len(words) - 1, CALIBRATION).round().astype(int)],
        examples=[spelled(word) for word in held_out],
        output="embedding",
        time=1,
    )

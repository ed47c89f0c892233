"""A network that says what it is told, and a text whose letters have known times."""

from dataclasses import dataclass

import numpy as np

from fewbit.features import LogMel
from fewbit.program.numerics import Q10
from fewbit.text import Alphabet, Timed

RATE, HOP = 16_000, 160
ALPHABET = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz"))
FRAME = HOP / RATE


@dataclass(frozen=True, eq=False)
class Scripted:
    """Gives row ``t`` of `scores` ``(time, classes)`` for frame ``t`` whatever it hears, and the blank after them."""

    scores: np.ndarray
    stride: int = 1
    tokens: Alphabet = ALPHABET

    @property
    def features(self):
        return LogMel(sample_rate=RATE, hop_ms=1000 * FRAME).to_dict()

    @property
    def alphabet(self):
        return self.tokens.to_dict()

    def init_state(self):
        return 0

    def step(self, x, state):
        rows = np.zeros((len(x), self.tokens.classes))
        rows[:, 0] = 12
        known = self.scores[state : state + len(x)]
        rows[: len(known)] = known
        return (rows * Q10).astype(np.int64), state + len(x)


def say(text, pause=0.3):
    """Scores in which each letter sounds for 20 ms, 80 ms after the last; and each word with its times."""
    path, said, start = [0] * 20, [], None
    for letter in text + " ":
        if letter == " ":
            said.append(Timed(text.split()[len(said)], start, len(path) * FRAME))
            start = None
            path += [0] * round(pause / FRAME)
        path += [0] * 8
        if letter != " " and start is None:
            start = len(path) * FRAME
        path += ALPHABET.encode(letter) * 2
    return Scripted(12.0 * np.eye(ALPHABET.classes)[path]), said


def silence(network):
    """Sound as long as the script."""
    return np.zeros(len(network.scores) * HOP, np.float32)

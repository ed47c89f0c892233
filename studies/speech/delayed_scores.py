"""A network whose scores come later: the control of every study that says how late something is shown.

A measure of delays is worth something if it grows by as much as the scores are late. One that takes the end of a word
from the times of the decoder does not: they are as late as the scores.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError
from fewbit.program.numerics import Q10
from fewbit.streams import Network, alphabet_of, frame_seconds

SURE = round(20 * Q10)
"""The score of the blank before the first true scores: probability 1 beside zeros."""


@dataclass(frozen=True)
class DelayedScores:
    """`network`, whose scores come `seconds` after those of the network itself; before them it hears nothing.

    Args:
        network: with features and an alphabet, whose class 0 is the blank.
        seconds: a whole number of frames of its scores.

    Raises:
        ArgumentError: `seconds` is negative or no whole number of frames.
    """

    network: Network
    seconds: float

    def __post_init__(self) -> None:
        frames = self.seconds / frame_seconds(self.network)
        if frames < 0 or abs(frames - round(frames)) > 1e-6:
            raise ArgumentError(f"{self.seconds} s are {frames:g} frames of scores; wanted a whole number, 0 or more")

    @property
    def features(self) -> dict[str, Any] | None:
        return self.network.features

    @property
    def alphabet(self) -> dict[str, Any] | None:
        return self.network.alphabet

    @property
    def stride(self) -> int:
        return self.network.stride

    def init_state(self) -> tuple[Any, NDArray[np.int64]]:
        frames = round(self.seconds / frame_seconds(self.network))
        quiet = np.zeros((frames, alphabet_of(self.network).classes), np.int64)
        quiet[:, 0] = SURE
        return self.network.init_state(), quiet

    def step(
        self, x: NDArray[np.float32], state: tuple[Any, NDArray[np.int64]]
    ) -> tuple[NDArray[np.int64], tuple[Any, NDArray[np.int64]]]:
        inner, waiting = state
        scores, inner = self.network.step(x, inner)
        waiting = np.concatenate([waiting, scores])
        return waiting[: len(scores)], (inner, waiting[len(scores) :])

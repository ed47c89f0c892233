"""What is measured: an offer of a peer, and the case that it builds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
CHECKED = 512  # outputs compared with the expected ones


@dataclass(frozen=True)
class Case:
    """One ready computation: float32 in, float32 out, activations quantized inside the call."""

    run: Callable[[], object]  # one timed call; a recurrent network goes on from its last state
    result: Callable[[], Floats]  # what a call gives; a recurrent network: two calls from zeros
    expected: Callable[[], Floats]  # the same in float64 with the dequantized weights
    weight_bytes: int

    def relerr(self) -> float:
        """Norm of the error over norm of the result."""
        expected = self.expected().astype(np.float64)
        found = np.asarray(self.result(), np.float64).reshape(len(expected), -1)[:, : expected.shape[1]]
        return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@dataclass(frozen=True)
class Offer:
    """A kernel of a peer: its name, bits of a weight, and how it is built (which may fail)."""

    name: str
    bits: int
    build: Callable[[], Case]
    by_hand: bool = False  # a graph that we wrote from the peer's operators, not a layer that it has


def frames(count: int, columns: int) -> NDArray[np.float32]:
    """Activations that all peers get."""
    return np.random.default_rng(1).standard_normal((count, columns), dtype=np.float32)


def product(x: Floats, weights: Floats) -> Floats:
    """The first outputs of ``x W'`` in float64."""
    return x.astype(np.float64) @ weights[:CHECKED].astype(np.float64).T

"""The contract of every decoder: scores in, events out, explicit state."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.events import Event
from fewbit.errors import DecodeError

Scores = NDArray[np.float64]


class Decoder(Protocol):
    """Turns frames of class scores into events; any split of the frames gives the same events.

    Examples:
        >>> from fewbit.decode import Framewise
        >>> decoder: Decoder = Framewise(["off", "on"], frame_seconds=0.5)
        >>> events, state = decoder.step(np.array([[2.0, 0.0], [0.0, 2.0]]), decoder.init_state())
        >>> events += decoder.finish(state)
        >>> print([(event.name, event.start, event.end) for event in events])
        [('off', 0.0, 0.5), ('on', 0.5, 1.0)]
    """

    def init_state(self) -> Any:
        """State at the start of a stream."""
        ...

    def step(self, scores: Scores, state: Any) -> tuple[list[Event], Any]:
        """Events of ``scores (frames, classes)``, and the new state."""
        ...

    def finish(self, state: Any) -> list[Event]:
        """Remaining events at the end of the stream."""
        ...


def check_scores(scores: Scores, classes: int) -> Scores:
    """Return `scores`, or raise a `DecodeError` that says what is wrong with them."""
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise DecodeError(f"wanted scores (frames, {classes}), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise DecodeError("scores are NaN or infinite; the network or its input is broken")
    return scores


def softmax(scores: Scores) -> Scores:
    """Probabilities over the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))

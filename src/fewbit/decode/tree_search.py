"""Options and events of a tree beam search, and the contract of `ReferenceSearch` and `NativeSearch`."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search, with times in frames; see `TreeBeam` for their meaning.

    The order of the fields is that of ``fewbit_beam_options``; `space` is -1 in an alphabet without one, and `floor` a
    probability.
    """

    classes: int
    width: int
    depth: int
    prune_interval: int
    endpoint: int
    longest: int
    show_interval: int
    space: int
    insertion_bonus: float
    blank_skip: float
    floor: float


@dataclass(frozen=True)
class Changed:
    """The best string has changed, or more of it is committed: `labels`, the first `committed` of them final."""

    frame: int
    committed: int
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class TokenSpan:
    """A label, its first and last frame, and its largest posterior between them."""

    label: int
    start: int
    last: int
    prob: float


@dataclass(frozen=True)
class Ended:
    """An utterance has ended."""

    frame: int
    spans: list[TokenSpan]


@dataclass(frozen=True)
class Ranked:
    """One of the best strings and its score, a natural logarithm."""

    score: float
    labels: list[int]


SearchEvent = Changed | Ended


class Search(Protocol):
    """A search with immutable states: each function returns a new one."""

    def start(self) -> Any:
        """State at the start of a stream."""
        ...

    def step(self, state: Any, scores: NDArray[np.float64]) -> tuple[list[SearchEvent], Any]:
        """Events of ``scores (frames, classes)`` before the softmax, and the new state."""
        ...

    def finish(self, state: Any) -> list[SearchEvent]:
        """Remaining events at the end of the stream."""
        ...

    def best(self, state: Any, count: int) -> list[Ranked]:
        """The most probable strings, best first."""
        ...

    def nodes(self, state: Any) -> int:
        """Number of strings in memory."""
        ...

    def save(self, state: Any) -> bytes:
        """The state as bytes, for `restore` of a search with the same options and scorer."""
        ...

    def restore(self, saved: bytes) -> Any:
        """The saved state."""
        ...

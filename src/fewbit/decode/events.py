"""What a stream says while it listens: frozen values, times in seconds from the start of the stream."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Label:
    """A symbol and where it was heard; `prob` in [0, 1]."""

    name: str
    start: float
    end: float
    prob: float


@dataclass(frozen=True)
class Partial:
    """The text of the running utterance so far; it may grow with the next event.

    The first `stable` characters will not change any more; those after them are a guess that later sound may correct.
    """

    text: str
    time: float
    stable: int = 0


@dataclass(frozen=True)
class Final:
    """An utterance that is complete and will not change; `score` is the mean probability of its symbols."""

    text: str
    start: float
    end: float
    score: float
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Keyword:
    """A word of a list was said between `start` and `end`, known at `time`; `score` in [0, 1]."""

    word: str
    start: float
    end: float
    time: float
    score: float


Event = Label | Partial | Final | Keyword


def text_of(events: Sequence[Event], joiner: str = " ") -> str:
    """The text that is final in `events`."""
    return joiner.join(event.text for event in events if isinstance(event, Final) and event.text)


def to_dict(event: Event) -> dict[str, Any]:
    """An event as plain values with its type under ``event``, for JSON."""
    return {"event": type(event).__name__.lower()} | asdict(event)

"""Events of a stream: frozen values, with times in seconds from the start of the stream."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Label:
    """A symbol and its time span; `prob` lies in [0, 1].

    Examples:
        >>> Label("seven", start=0.4, end=0.8, prob=0.9).name
        'seven'
    """

    name: str
    start: float
    end: float
    prob: float


@dataclass(frozen=True)
class Partial:
    """The text of the current utterance so far; the next event may change it.

    The first `stable` characters are final; the rest is a guess that later sound may correct.

    Examples:
        >>> shown = Partial("one tw", time=0.7, stable=4)
        >>> print(shown.text[: shown.stable], "|", shown.text[shown.stable :])
        one  | tw
    """

    text: str
    time: float
    stable: int = 0


@dataclass(frozen=True)
class Final:
    """A complete utterance, which will not change; `score` is the mean probability of its symbols.

    Examples:
        >>> heard = Final("one two", start=0.1, end=0.9, score=0.95)
        >>> f"{heard.text}: {heard.end - heard.start:.1f} s"
        'one two: 0.8 s'
    """

    text: str
    start: float
    end: float
    score: float
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Keyword:
    """A word of a list, reported at `time`; `score` lies in [0, 1].

    `start` and `end` are where the scores of the network have the word, which is later than it sounded if the network
    is late. So ``time - end`` is how long the decoder waited, and no measure of how late the word was reported.

    Examples:
        >>> event = Keyword("stop", start=1.2, end=1.6, time=1.7, score=0.8)
        >>> print(f"{event.word}: the decoder waited {event.time - event.end:.1f} s")
        stop: the decoder waited 0.1 s
    """

    word: str
    start: float
    end: float
    time: float
    score: float


Event = Label | Partial | Final | Keyword


def text_of(events: Sequence[Event], joiner: str = " ") -> str:
    """Join the texts of all `Final` events.

    Examples:
        >>> text_of([Partial("one", 0.5), Final("one", 0.1, 0.6, 0.9), Final("two", 1.0, 1.4, 0.9)])
        'one two'
    """
    return joiner.join(event.text for event in events if isinstance(event, Final) and event.text)


def to_dict(event: Event) -> dict[str, Any]:
    """Convert an event to plain values for JSON; the key ``event`` holds its type.

    Examples:
        >>> to_dict(Partial("one", time=0.5))
        {'event': 'partial', 'text': 'one', 'time': 0.5, 'stable': 0}
    """
    return {"event": type(event).__name__.lower()} | asdict(event)

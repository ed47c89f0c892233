"""Messages of clients and refusals of the server; docs/reference/web-protocol.md describes the protocol."""

import json
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from fewbit.errors import ServerError


class Refused(Enum):
    """Reasons to close a connection."""

    MESSAGE = "message"
    TOO_LARGE = "too_large"
    IDLE = "idle"
    SLOW_READER = "slow_reader"
    FAILED = "failed"
    BUSY = "busy"


CLOSE_CODES = {
    Refused.MESSAGE: 1007,
    Refused.TOO_LARGE: 1009,
    Refused.IDLE: 1008,
    Refused.SLOW_READER: 1008,
    Refused.FAILED: 1011,
    Refused.BUSY: 1013,
}
"""Codes of the WebSocket's close frame."""


class Fault(ServerError):
    """An error that ends a connection; the client receives its message."""

    def __init__(self, why: Refused, message: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True)
class Limits:
    """Limits of one client, so that it cannot harm the others.

    Args:
        streams: maximum number of concurrent connections, 1 .. 100,000.
        message_bytes: maximum size of a message, 1,024 .. 16 million.
        idle_seconds: maximum time without a message from the client, above 0.
        waiting_seconds: sound that may wait for its turn, 0.1 .. 60; beyond it the server stops reading.
        outgoing: events that may wait for a client that reads slowly, 1 .. 100,000; beyond it the client is dropped.
        lowest_sample_rate, highest_sample_rate: samples per second, within 1,000 .. 192,000.
        keywords: maximum number of words in a list, 0 .. 10,000.
        keyword_length: maximum number of characters of a word, 1 .. 1,000.

    Examples:
        >>> Limits(streams=10, idle_seconds=5.0).message_bytes
        262144
    """

    streams: int = 40
    message_bytes: int = 1 << 18
    idle_seconds: float = 30.0
    waiting_seconds: float = 2.0
    outgoing: int = 256
    lowest_sample_rate: int = 8_000
    highest_sample_rate: int = 96_000
    keywords: int = 100
    keyword_length: int = 40

    def __post_init__(self) -> None:
        ranges = {
            "streams": (1, 100_000),
            "message_bytes": (1_024, 1 << 24),
            "idle_seconds": (0.001, 86_400),
            "waiting_seconds": (0.1, 60),
            "outgoing": (1, 100_000),
            "lowest_sample_rate": (1_000, self.highest_sample_rate),
            "highest_sample_rate": (self.lowest_sample_rate, 192_000),
            "keywords": (0, 10_000),
            "keyword_length": (1, 1_000),
        }
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), ranges[field.name]
            if not low <= value <= high:
                raise ServerError(f"Limits: {field.name} must lie in {low}..{high}, not {value}")


@dataclass(frozen=True)
class Start:
    """The first message: sample rate of the sound that follows, and words to watch for."""

    sample_rate: int
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Keywords:
    """A new list of words to watch for."""

    words: tuple[str, ...]


class Ask(Enum):
    """Messages without content: figures, or the end of the stream."""

    STATS = "stats"
    END = "end"


Message = Start | Keywords | Ask | bytes
"""What a client sends; bytes are sound."""


def read_message(data: str | bytes, limits: Limits) -> Message:
    """A message of a client.

    Raises:
        Fault: it is none, or passes a limit.
    """
    size = len(data) if isinstance(data, bytes) else len(data.encode(errors="replace"))
    if size > limits.message_bytes:
        raise Fault(Refused.TOO_LARGE, f"a message has {size:,} bytes, more than the {limits.message_bytes:,} allowed")
    if isinstance(data, bytes):
        if size % 2:
            raise Fault(Refused.MESSAGE, f"sound is 16-bit samples, so wanted an even number of bytes, got {size}")
        return data
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Fault(Refused.MESSAGE, "a text message is not JSON; sound goes into binary messages") from error
    kind = record.get("type") if isinstance(record, dict) else None
    match kind:
        case "start":
            return Start(_sample_rate(record.get("sample_rate"), limits), _words(record.get("keywords", []), limits))
        case "keywords":
            return Keywords(_words(record.get("keywords"), limits))
        case "stats" | "end":
            return Ask(kind)
    raise Fault(Refused.MESSAGE, "wanted a JSON object whose type is start, keywords, stats or end")


def _sample_rate(sample_rate: Any, limits: Limits) -> int:
    low, high = limits.lowest_sample_rate, limits.highest_sample_rate
    if not isinstance(sample_rate, int) or isinstance(sample_rate, bool) or not low <= sample_rate <= high:
        raise Fault(
            Refused.MESSAGE, f"start: sample_rate must be a whole number in {low}..{high}, not {_short(sample_rate)}"
        )
    return sample_rate


def _words(words: Any, limits: Limits) -> tuple[str, ...]:
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise Fault(Refused.MESSAGE, f"keywords: wanted a list of words, not {_short(words)}")
    if len(words) > limits.keywords:
        raise Fault(Refused.MESSAGE, f"keywords: at most {limits.keywords} words, not {len(words)}")
    for word in words:
        if len(word) > limits.keyword_length:
            raise Fault(Refused.MESSAGE, f"keywords: {_short(word)} is longer than {limits.keyword_length} characters")
    return tuple(dict.fromkeys(word.strip() for word in words))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

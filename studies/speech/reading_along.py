"""What somebody sees who reads along: when each word of a session is shown and committed, and what is taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fewbit import Session
from fewbit.decode import Event, Final, Keyword, Partial
from studies.speech.word_delays import Shown

CHUNK_SECONDS = 0.1
QUIET_SECONDS = 4.0
"""Heard after the last word, so that all is shown while time still passes: `Session.finish` takes none."""


@dataclass(frozen=True)
class Reading:
    """The words of a whole stream, how many words were shown, and how many of them another took the place of."""

    words: tuple[Shown, ...]
    shown: int
    revoked: int


def hear_all(session: Session, samples: NDArray[np.float32]) -> Iterator[tuple[float, Event]]:
    """Each event of a recording ``(n,)`` and some quiet, with the seconds of sound that were heard when it came."""
    chunk = round(CHUNK_SECONDS * session.sample_rate)
    rng = np.random.default_rng(0)
    quiet = rng.standard_normal(round(QUIET_SECONDS * session.sample_rate)) * 10 ** (-72 / 20)
    samples = np.concatenate([samples, quiet.astype(np.float32)])
    for i in range(0, len(samples), chunk):
        for event in session.step(samples[i : i + chunk]):
            yield session.seconds, event
    yield from ((session.seconds, event) for event in session.finish())


def hear_keywords(session: Session, samples: NDArray[np.float32]) -> list[tuple[str, float]]:
    """The word of each keyword event, in small letters, and when it came."""
    return [(event.word.lower(), at) for at, event in hear_all(session, samples) if isinstance(event, Keyword)]


def read_along(session: Session, samples: NDArray[np.float32]) -> Reading:
    """Follow the text of a session.

    A word is shown when its letters stand there and stay, committed when it belongs to the certain part of the text
    and a space stands behind it, or its utterance ends. For the counts of words that are shown and taken back, a word
    counts once a space stands behind it.
    """
    since: dict[int, tuple[str, float]] = {}  # place of a word in its utterance: its text, and since when it is shown
    whole: dict[int, str] = {}  # the same for words with a space behind them
    stable: dict[int, float] = {}
    words: list[list[Shown]] = []
    shown = revoked = 0
    for at, event in hear_all(session, samples):
        if isinstance(event, Partial):
            current = [(word, at) for word in event.text.split()]
            since = {i: since[i] if i in since and since[i][0] == now[0] else now for i, now in enumerate(current)}
            for place, word in enumerate(_finished(event.text)):
                shown += whole.get(place) != word
                revoked += place in whole and whole[place] != word
                whole[place] = word
            for place in range(len(_finished(event.text[: event.stable]))):
                stable.setdefault(place, at)
        elif isinstance(event, Final):
            texts = [since.get(place, ("", at)) for place in range(len(event.text.split()))]
            words.append(
                [
                    Shown(word, first if text == word else at, stable.get(place, at))
                    for place, (word, (text, first)) in enumerate(zip(event.text.split(), texts, strict=True))
                ]
            )
            since, whole, stable = {}, {}, {}
    return Reading(tuple(chain.from_iterable(words)), shown, revoked)


def _finished(text: str) -> list[str]:
    """The words with a space behind them."""
    return text.split() if text.endswith(" ") else text.split()[:-1]

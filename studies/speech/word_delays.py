"""How long after a word was said it is shown: each said word beside what a recogniser or a spotter made of it.

The end of a word comes from a source that knows no network and no decoder: a forced alignment (`word_times.py`) or the
energy of a clip (`speech_span.py`). What is shown has only the time at which it was shown, so the times of labels that
a decoder reports have no part in any delay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewbit.text import Timed

LATEST = 3.0
"""Seconds after the end of a word after which a keyword event is not about this word."""


@dataclass(frozen=True)
class Shown:
    """A word on the display: since when it is shown, and since when it is certain, in seconds of the stream."""

    word: str
    shown: float
    committed: float


@dataclass(frozen=True)
class WordDelay:
    """A word that was said, with its end, and when it was shown and committed; ``None`` if it never was."""

    word: str
    end: float
    shown: float | None = None
    committed: float | None = None


def follow_text(said: Sequence[Timed], shown: Sequence[Shown]) -> list[WordDelay]:
    """Each said word with the word of the whole text that stands for it, by the fewest word errors.

    Of words that are wrong nothing is known but that they are: only equal words are matched.
    """
    columns = len(shown) + 1
    cost = np.zeros((len(said) + 1, columns), np.int64)
    cost[0] = np.arange(columns)
    for i, word in enumerate(said, 1):
        substituted = cost[i - 1, :-1] + np.array([other.word != word.word for other in shown], np.int64)
        row = np.concatenate([[i], np.minimum(substituted, cost[i - 1, 1:] + 1)])
        # An insertion costs 1 more than the cell to the left: the running minimum of what is left after a slope of 1.
        cost[i] = np.minimum.accumulate(row - np.arange(columns)) + np.arange(columns)
    found: list[WordDelay] = []
    i, j = len(said), len(shown)
    while i:
        wrong = not j or shown[j - 1].word != said[i - 1].word
        if j and cost[i, j] == cost[i - 1, j - 1] + wrong:
            i, j = i - 1, j - 1
            place = (None, None) if wrong else (shown[j].shown, shown[j].committed)
            found.append(WordDelay(said[i].word, said[i].end, *place))
        elif j and cost[i, j] == cost[i, j - 1] + 1:
            j -= 1
        else:
            i -= 1
            found.append(WordDelay(said[i].word, said[i].end))
    return found[::-1]


def follow_keywords(said: Sequence[Timed], told: Sequence[tuple[str, float]]) -> list[WordDelay]:
    """Each said word with the first event of it that came after its start, until `LATEST` after its end.

    Args:
        said: words of the list with their times, in order of time.
        told: word and time of each event, in order of time. Each is about one said word at most.
    """
    left = list(told)
    found = []
    for word in said:
        fits = (i for i, (other, at) in enumerate(left) if other == word.word and word.start < at < word.end + LATEST)
        i = next(fits, None)
        at = None if i is None else left.pop(i)[1]
        found.append(WordDelay(word.word, word.end, at, at))
    return found


def delay_quantiles(rows: Sequence[WordDelay]) -> dict[str, float]:
    """Median and 95th percentile of the seconds from the end of a word to its display and to its commitment.

    Returns:
        ``matched``, how many words were shown; and, if it is not 0, ``to_show_p50``, ``to_show_p95``,
        ``to_commit_p50`` and ``to_commit_p95``.
    """
    found: dict[str, float] = {"matched": sum(row.shown is not None for row in rows)}
    for name, waits in (
        ("to_show", [row.shown - row.end for row in rows if row.shown is not None]),
        ("to_commit", [row.committed - row.end for row in rows if row.committed is not None]),
    ):
        found |= {f"{name}_p{q}": round(float(np.percentile(waits, q)), 2) + 0.0 for q in (50, 95) if waits}  # no -0
    return found

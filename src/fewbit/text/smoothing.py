"""Interpolated modified Kneser-Ney smoothing: an n-gram model from text.

With ``a`` the adjusted count of a gram (how often it occurs, if it has full length or begins a text; else the number of
different symbols before it) and ``D`` the discount for counts of 1, 2 and more:

    P(s | h) = max(a(h s) - D, 0) / sum of a(h .)  +  b(h) P(s | h')
    b(h)     = 1 - sum of the first terms over the grams kept
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fewbit.errors import ArgumentError, DataError
from fewbit.text.ngram import BEGIN, END, LN_NEVER, SPECIAL, UNKNOWN, Floats, Integers, Level, Ngram

MOST_ORDERS = 10
MOST_DENSE = 1 << 24  # a table is faster than sorting as long as it is small
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])
"""Discounts for texts that are too small or too regular to estimate them."""


@dataclass
class _Grams:
    """Distinct grams of one length."""

    parent: Integers
    symbol: Integers
    seen: Integers
    shorter: Integers


def kneser_ney(
    sequences: Iterable[Iterable[str]],
    order: int,
    *,
    symbols: Iterable[str] | None = None,
    least: Sequence[int] = (),
) -> Ngram:
    """Learn a model from texts: strings of characters, or lists of words.

    Every sequence begins with ``<s>`` and ends with ``</s>``; pass an endless text as one sequence.

    Args:
        sequences: the texts.
        order: length of the longest grams, 1 to 10.
        symbols: the vocabulary; all other symbols become ``<unk>``. Default: every symbol that occurs.
        least: minimum number of occurrences for a gram of each length to be kept, from length 1 on; the last number
            applies to all longer grams. Single symbols are always kept. Default: 1.

    Raises:
        DataError: there is no text.
        ArgumentError: `order` is out of range, or `least` falls with the length.

    Examples:
        >>> model = kneser_ney(["the cat sat on the mat"], order=3)
        >>> model.bits_per_symbol(["the mat"]) < model.bits_per_symbol(["tam eht"])
        True

    References:
        Chen, Goodman 1998, "An empirical study of smoothing techniques for language modeling"; Heafield et al. 2013,
        "Scalable modified Kneser-Ney language model estimation".
    """
    if not 1 <= order <= MOST_ORDERS:
        raise ArgumentError(f"kneser_ney: order must lie in 1..{MOST_ORDERS}, not {order}")
    least = [*least, *[least[-1] if least else 1] * order][:order]
    if any(a > b for a, b in pairwise(least)):
        raise ArgumentError(
            f"kneser_ney: least must not fall with the length, since longer grams do not occur more often: {least}"
        )
    texts = [list(sequence) for sequence in sequences]
    if not any(texts):
        raise DataError("kneser_ney: there is no text")
    seen = {symbol for text in texts for symbol in text} if symbols is None else set(symbols)
    names = (*SPECIAL, *sorted(seen - set(SPECIAL)))
    levels = _count(*_numbers(texts, names), len(names), order)
    return Ngram.build(names, _kept(_probabilities(levels, len(names), least), levels, least))


def _numbers(texts: Sequence[Sequence[str]], names: Sequence[str]) -> tuple[Integers, Integers]:
    """All texts in one row, and how many symbols each place has up to the end of its text."""
    table = {name: i for i, name in enumerate(names)}
    unknown, begin, end = (table[name] for name in (UNKNOWN, BEGIN, END))
    row: list[int] = []
    for text in texts:
        row += [begin, *[table.get(symbol, unknown) for symbol in text], end]
    lengths = np.array([len(text) + 2 for text in texts])
    return np.array(row, np.int64), np.repeat(np.cumsum(lengths), lengths) - np.arange(len(row))


def _count(row: Integers, room: Integers, size: int, order: int) -> list[_Grams]:
    """Distinct grams of every length in the order of the trie; the first level holds every symbol."""
    levels = [_Grams(np.zeros(size, np.int64), np.arange(size), np.bincount(row, minlength=size), np.zeros(size, int))]
    here = row  # the gram of the last length that starts at each place
    for length in range(2, order + 1):
        starts = np.flatnonzero(room >= length)
        key, gram, seen = _distinct(here[starts] * size + row[starts + length - 1], len(levels[-1].seen) * size)
        shorter = np.empty(len(key), np.int64)
        shorter[gram] = here[starts + 1]
        levels.append(_Grams(key // size, key % size, seen, shorter))
        here = np.full(len(row), -1)
        here[starts] = gram
    return levels


def _distinct(keys: Integers, size: int) -> tuple[Integers, Integers, Integers]:
    """Distinct keys below `size` in order, the place of each key among them, and how often each is there."""
    if size > MOST_DENSE:
        return np.unique(keys, return_inverse=True, return_counts=True)
    seen = np.bincount(keys, minlength=size)
    distinct = np.flatnonzero(seen)
    places = np.empty(size, np.int64)
    places[distinct] = np.arange(len(distinct))
    return distinct, places[keys], seen[distinct]


def _probabilities(levels: list[_Grams], size: int, least: Sequence[int]) -> list[tuple[Floats, Floats]]:
    """P of every gram and the back-off weight of every context, level by level, from short to long."""
    begin = SPECIAL.index(BEGIN)
    lower = np.full(1, 1.0 / (size - 1))  # nothing is known of a symbol, but it is not the start
    found: list[tuple[Floats, Floats]] = []
    begins = np.zeros(1, bool)
    for number, level in enumerate(levels):
        begins = level.symbol == begin if number == 0 else begins[level.parent]
        if number + 1 < len(levels):
            left = np.bincount(levels[number + 1].shorter, minlength=len(level.seen))
            count = np.where(begins, level.seen, left)
        else:
            count = level.seen.copy()
        if number == 0:
            count[begin] = 0
        contexts = len(lower)
        total = np.bincount(level.parent, count, contexts)
        share = np.maximum(count - _discounts(count)[np.minimum(count, 3)], 0.0)
        share /= np.maximum(total, 1.0)[level.parent]
        if number:
            share[level.seen < least[number]] = 0.0
        backoff = 1.0 - np.bincount(level.parent, share, contexts)
        p = share + backoff[level.parent] * lower[level.shorter]
        if number == 0:
            p[begin] = 0.0
        if number:
            found[-1] = (found[-1][0], np.where(total > 0, backoff, 1.0))
        found.append((p, np.ones(len(p))))
        lower = p
    return found


def _discounts(count: Integers) -> Floats:
    """Discounts of counts 0, 1, 2, and 3 or more."""
    once, twice, thrice, four = (int(np.count_nonzero(count == n)) for n in (1, 2, 3, 4))
    if not (once and twice and thrice and four):
        return FALLBACK
    y = once / (once + 2 * twice)
    discounts = np.array([0.0, 1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice])
    return discounts if (discounts[1:] > 0).all() else FALLBACK


def _kept(found: list[tuple[Floats, Floats]], levels: list[_Grams], least: Sequence[int]) -> list[Level]:
    """The levels without the grams that were seen too rarely."""
    kept: list[Level] = []
    places = np.zeros(1, np.int64)
    for number, ((p, backoff), level) in enumerate(zip(found, levels, strict=True)):
        stays = level.seen >= least[number] if number else np.ones(len(p), bool)
        ln_p = np.log(p, out=np.full(len(p), LN_NEVER), where=p > 0)[stays]
        # A context that has lost all its grams gives all it has to the shorter one: ln 1.
        ln_backoff = np.log(np.maximum(backoff[stays], 1e-30))
        kept.append(Level(places[level.parent[stays]], level.symbol[stays], ln_p, ln_backoff))
        places = np.cumsum(stays) - 1
    return kept

"""N-gram language models with back-off: the probability of a symbol after the few before it.

The grams form a trie, level by level, children in the order of their symbols. With ``h`` a context, ``h'`` the same
without its oldest symbol, and ``b`` the back-off weight of a context:

    P(s | h) = p(h s)             where the trie has h s
               b(h) P(s | h')     otherwise
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError, DataError

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
LN_NEVER = -99 * float(np.log(10.0))
"""ln of the value that represents probability 0 in ARPA files."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """Grams of one length, in any order.

    Args:
        parent: the gram without its last symbol, as its place in the level before (zeros for single symbols).
        symbol: the last symbol.
        ln_p: ln of its probability after the others.
        ln_backoff: ln of the back-off weight of the gram as a context; 0 if it is none.
    """

    parent: Integers
    symbol: Integers
    ln_p: Floats
    ln_backoff: Floats


@dataclass(frozen=True, eq=False)
class Ngram:
    """An n-gram model, made by `kneser_ney`, `read_arpa` or `ngram_from_bytes`.

    Node 0 of the trie is the empty context, node ``1 + s`` the symbol ``s`` alone. A node is also a context for
    the symbols after it.

    Args:
        symbols: names; the first three are ``<unk>``, ``<s>`` and ``</s>``.
        order: length of the longest grams.
        symbol: last symbol of each node, ``(nodes,)``.
        ln_p: its ln P after the symbols before it.
        ln_backoff: of the node as a context.
        first: children of node ``i`` are ``first[i] : first[i + 1]``; ``(nodes + 1,)``.
        shorter: the node of the longest gram that is a proper suffix of this one.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> model = kneser_ney(["abababab"], order=2)
        >>> after_a = np.exp(model.ln_next(model.after(model.start, model.numbers["a"])))
        >>> bool(after_a[model.numbers["b"]] > after_a[model.numbers["a"]])
        True
    """

    symbols: tuple[str, ...]
    order: int
    symbol: NDArray[np.int32]
    ln_p: NDArray[np.float32]
    ln_backoff: NDArray[np.float32]
    first: NDArray[np.int32]
    shorter: NDArray[np.int32]

    @staticmethod
    def build(symbols: Sequence[str], levels: Sequence[Level]) -> "Ngram":
        """Build the trie of all grams. The first level contains every symbol; empty levels are ignored."""
        size = len(symbols)
        levels = [level for level in levels if len(level.symbol)]
        places, keys = np.zeros(1, np.int64), []
        parts: list[tuple[Integers, Floats, Floats]] = [(np.zeros(1, np.int64), np.zeros(1), np.zeros(1))]
        count = 1
        for level in levels:
            key = places[level.parent] * size + level.symbol
            order = np.argsort(key, kind="stable")
            places = np.empty(len(order), np.int64)
            places[order] = count + np.arange(len(order))
            count += len(order)
            keys.append(key[order])
            parts.append((level.symbol[order], level.ln_p[order], level.ln_backoff[order]))
        key = np.concatenate(keys)
        children = np.bincount(key // size, minlength=count)
        first = np.concatenate([[1], 1 + np.cumsum(children)])
        symbol, ln_p, ln_backoff = (np.concatenate(part) for part in zip(*parts, strict=True))
        model = Ngram(
            tuple(symbols),
            len(levels),
            symbol.astype(np.int32),
            ln_p.astype(np.float32),
            ln_backoff.astype(np.float32),
            first.astype(np.int32),
            np.zeros(count, np.int32),
        )
        end = 1
        for level in levels:
            nodes = np.arange(end, end + len(level.symbol))
            end += len(nodes)
            model.shorter[nodes] = _ends(model, nodes)
        return model

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol."""
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    @cached_property
    def parent(self) -> Integers:
        """The node of each gram without its last symbol; -1 for the empty context."""
        return np.concatenate([[-1], np.repeat(np.arange(len(self.symbol)), np.diff(self.first))])

    @cached_property
    def context(self) -> Integers:
        """The longest suffix of each node that has children or a back-off weight."""
        says = (np.diff(self.first) > 0) | (self.ln_backoff != 0)
        found = np.where(says, np.arange(len(says)), self.shorter)
        while not (says[found] | (found == 0)).all():
            found = np.where(says[found] | (found == 0), found, self.shorter[found])
        return found.astype(np.int64)

    @cached_property
    def _keys(self) -> Integers:
        return self.parent[1:] * len(self.symbols) + self.symbol[1:]

    @property
    def start(self) -> int:
        """The context at the start of a text."""
        return int(self.context[1 + self.numbers[BEGIN]])

    def encode(self, sequence: Iterable[str]) -> list[int]:
        """Numbers of symbols; unknown ones become ``<unk>``."""
        unknown = self.numbers[UNKNOWN]
        return [self.numbers.get(symbol, unknown) for symbol in sequence]

    def child(self, nodes: Integers, symbols: Integers) -> Integers:
        """Nodes of grams that are one symbol longer, or -1 if there is none; node -1 has no children."""
        wanted = nodes * len(self.symbols) + symbols
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where((self._keys[places] == wanted) & (nodes >= 0), places + 1, -1)

    def after(self, context: int, symbol: int) -> int:
        """The context after `symbol` follows `context`."""
        while True:
            first, last = self.first[context], self.first[context + 1]
            place = first + int(np.searchsorted(self.symbol[first:last], symbol))
            if place < last and self.symbol[place] == symbol:
                return int(self.context[place])
            if context == 0:
                return 0
            context = int(self.shorter[context])

    def ln_next(self, context: int) -> Floats:
        """Natural log-probability of every symbol after a context, ``(symbols,)``."""
        lengths = [context]
        while lengths[-1]:
            lengths.append(int(self.shorter[lengths[-1]]))
        ln = np.full(len(self.symbols), LN_NEVER)
        for node in reversed(lengths):
            ln += float(self.ln_backoff[node])
            children = slice(self.first[node], self.first[node + 1])
            ln[self.symbol[children]] = self.ln_p[children]
        return ln

    def ln_probabilities(self, sequences: Iterable[Iterable[str]]) -> Floats:
        """Natural log-probability of every symbol of every sequence and of its end, in order."""
        begin, end = self.numbers[BEGIN], self.numbers[END]
        text = np.array(list(chain.from_iterable([begin, *self.encode(s), end] for s in sequences)), np.int64)
        grams = [np.zeros(len(text), np.int64)]  # of each length, by where they start
        for length in range(1, self.order + 1):
            longer = np.full(len(text), -1)
            ends = np.arange(length - 1, len(text))
            longer[ends - length + 1] = self.child(grams[-1][ends - length + 1], text[ends])
            grams.append(longer)
        ln, found = np.zeros(len(text)), np.zeros(len(text), bool)
        for length in range(self.order, 0, -1):
            ends = np.arange(length - 1, len(text))
            gram, context = grams[length][ends - length + 1], grams[length - 1][ends - length + 1]
            new, open_ = (gram >= 0) & ~found[ends], (gram < 0) & ~found[ends] & (context >= 0)
            ln[ends[new]] += self.ln_p[gram[new]]
            ln[ends[open_]] += self.ln_backoff[context[open_]]
            found[ends[new]] = True
        return np.asarray(ln[text != begin])

    def bits_per_symbol(self, sequences: Iterable[Iterable[str]]) -> float:
        """Mean of ``-log2 P`` over the symbols of all sequences and their ends.

        Raises:
            DataError: there is no sequence.
        """
        ln = self.ln_probabilities(sequences)
        if not len(ln):
            raise DataError("bits_per_symbol: no text was given")
        return float(-ln.mean() / np.log(2))

    def perplexity(self, sequences: Iterable[Iterable[str]]) -> float:
        """``2 ** bits_per_symbol``."""
        return float(2.0 ** self.bits_per_symbol(sequences))

    def levels(self) -> list[Level]:
        """The grams by length, as `build` takes them."""
        levels = []
        bounds = [0, 1]
        for _ in range(self.order):
            bounds.append(int(self.first[bounds[-1]]))
        for before, (start, stop) in zip(bounds, pairwise(bounds[1:]), strict=False):
            nodes = slice(start, stop)
            levels.append(
                Level(
                    self.parent[nodes] - before,
                    self.symbol[nodes].astype(np.int64),
                    self.ln_p[nodes].astype(np.float64),
                    self.ln_backoff[nodes].astype(np.float64),
                )
            )
        return levels

    def renumbered(self, symbols: Sequence[str]) -> "Ngram":
        """The same model with its symbols in another order.

        Raises:
            ArgumentError: they are not the same symbols, or the first three are not the special ones.
        """
        if tuple(symbols[:3]) != SPECIAL or sorted(symbols) != sorted(self.symbols):
            raise ArgumentError("renumbered: wanted <unk>, <s>, </s> and all other symbols of the model in any order")
        numbers = {symbol: i for i, symbol in enumerate(symbols)}
        new = np.array([numbers[symbol] for symbol in self.symbols])
        return Ngram.build(symbols, [Level(v.parent, new[v.symbol], v.ln_p, v.ln_backoff) for v in self.levels()])


def _ends(model: Ngram, nodes: Integers) -> Integers:
    """The longest proper suffix of each gram; those of all shorter grams are known."""
    symbols = model.symbol[nodes].astype(np.int64)
    context = model.parent[nodes]
    found = np.where(context == 0, 0, -1)
    while (found < 0).any():
        context = np.where(found < 0, model.shorter[context], 0)
        longer = model.child(context, symbols)
        found = np.where((found < 0) & (longer >= 0), longer, found)
        # A single symbol is always there, so the search ends at the empty context at the latest.
    return found

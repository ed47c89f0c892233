"""The spellings of a vocabulary as a trie whose nodes are ranges of its sorted words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LetterTrie:
    """Node 0 is the empty prefix; the nodes lie breadth first, children in the order of their labels.

    Args:
        label: last class of the prefix, ``(nodes,)``.
        low, high: the prefix begins the sorted words ``low : high``.
        word: whether the prefix is itself a word, which is then word ``low``.
        first: children of node ``i`` are ``first[i] : first[i + 1]``; ``(nodes + 1,)``.
    """

    label: NDArray[np.int32]
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    word: NDArray[np.int32]
    first: NDArray[np.int32]

    @staticmethod
    def build(words: Sequence[tuple[int, ...]]) -> "LetterTrie":
        """The trie of different, sorted words, each a tuple of classes."""
        lengths = np.array([len(word) for word in words])
        letters = np.zeros((len(words), int(lengths.max(initial=0)) + 1), np.int64)
        for row, word in zip(letters, words, strict=True):
            row[: len(word)] = word
        size = int(letters.max(initial=0)) + 1
        node = np.zeros(len(words), np.int64)  # of each word, as far as it has been followed
        parts = [(np.zeros(1, int), np.zeros(1, int), np.array([len(words)]), np.zeros(1, bool))]
        count, parents = 1, [np.array([-1])]
        for depth in range(letters.shape[1] - 1):
            (longer,) = np.nonzero(lengths > depth)
            key, index, inverse, size_of = np.unique(
                node[longer] * size + letters[longer, depth], return_index=True, return_inverse=True, return_counts=True
            )
            low = longer[index]
            parts.append((key % size, low, low + size_of, lengths[low] == depth + 1))
            parents.append(key // size)
            node[longer] = count + inverse
            count += len(key)
        children = np.bincount(np.concatenate(parents)[1:], minlength=count)
        first = np.concatenate([[1], 1 + np.cumsum(children)]).astype(np.int32)
        columns = [np.concatenate(part).astype(np.int32) for part in zip(*parts, strict=True)]
        return LetterTrie(columns[0], columns[1], columns[2], columns[3], first)

    def children(self, node: int) -> range:
        """The prefixes that are one label longer."""
        return range(int(self.first[node]), int(self.first[node + 1]))

    def child(self, node: int, label: int) -> int:
        """The prefix with `label` behind it, or -1."""
        return next((child for child in self.children(node) if self.label[child] == label), -1)

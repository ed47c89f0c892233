"""Sparse ternary codes: in each group of n consecutive columns of a row at most k codes are not zero.

The number of patterns that a group can have is known, ``A = sum over j <= k of C(n, j) 2**j``, so every group takes one
word of ``ceil(log2 A)`` bits, whatever its content: 8 bits for two of eight, 1 bit a weight. In the exact form every
group has exactly k non-zeros; three of four take 5 bits, 1.25 bits a weight.

References:
    Boo, Sung 2017, "Structured sparse ternary weight coding of deep neural networks for efficient hardware
    implementations" (arXiv 1707.03684).
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError
from fewbit.formats.base import Format

MIN_GROUP, MAX_GROUP = 2, 16
MAX_WORDS = 1 << 16


@dataclass(frozen=True)
class SparseTernary(Format):
    """Codes -1, 0, +1, of which at most `k` in each group of `n` columns are not zero; named ``sparse8,2``.

    With `exact` every group has exactly `k` non-zeros; named ``sparse4=3``.

    Args:
        n: columns of a group, 2 to 16; the last group of a row may have fewer, but not in the exact form.
        k: non-zeros, 1 to `n`; there are at most 2**16 patterns.
        exact: exactly `k`, and never fewer.

    Raises:
        FormatError: `n` or `k` is out of its range, or there are too many patterns.

    Examples:
        >>> from fewbit.formats import SparseTernary
        >>> format = SparseTernary(8, 2)
        >>> format.name, format.words, format.word_bits
        ('sparse8,2', 129, 8)
        >>> SparseTernary(4, 3, exact=True).name, SparseTernary(4, 3, exact=True).words
        ('sparse4=3', 32)
    """

    n: int
    k: int
    exact: bool = False

    def __post_init__(self) -> None:
        if not MIN_GROUP <= self.n <= MAX_GROUP or not 1 <= self.k <= self.n:
            raise FormatError(
                f"{self.name}: wanted groups of {MIN_GROUP} to {MAX_GROUP} columns with 1 or more non-zeros, "
                "such as sparse8,2"
            )
        if self.words > MAX_WORDS:
            raise FormatError(f"{self.name} has {self.words} patterns, wanted at most {MAX_WORDS}; use fewer non-zeros")

    @property
    def name(self) -> str:
        return f"sparse{self.n}{'=' if self.exact else ','}{self.k}"

    @property
    def bits(self) -> int:
        """Bits of one code by itself; a group takes `word_bits`."""
        return 2

    def levels(self) -> NDArray[np.int16]:
        return np.array([-1, 0, 1], dtype=np.int16)

    def draw(self, rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.int16]:
        groups = -(-columns // self.n)
        if self.exact and columns % self.n:
            raise FormatError(f"{self} needs whole groups of {self.n} columns, not {columns} columns")
        drawn = patterns(self)[rng.integers(self.words, size=(rows, groups))]
        return drawn.reshape(rows, groups * self.n)[:, :columns].astype(np.int16)

    @property
    def counts(self) -> range:
        """How many non-zeros a group may have."""
        return range(self.k if self.exact else 0, self.k + 1)

    @property
    def words(self) -> int:
        """Number of patterns of a group."""
        return sum(comb(self.n, j) << j for j in self.counts)

    @property
    def word_bits(self) -> int:
        """Bits of the word of a group."""
        return (self.words - 1).bit_length()


@cache
def patterns(format: SparseTernary) -> NDArray[np.int8]:
    """All patterns of a group in the order of their words ``(words, n)``; not to be changed.

    By the number of non-zeros, then by their positions in lexicographic order, then by their signs with + before -.

    Examples:
        >>> from fewbit.formats import SparseTernary
        >>> patterns(SparseTernary(2, 1)).tolist()
        [[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]
    """
    found = np.zeros((format.words, format.n), np.int8)
    word = 0
    for count in format.counts:
        signs = np.array(list(product((1, -1), repeat=count)), np.int8).reshape(1 << count, count)
        for places in combinations(range(format.n), count):
            found[word : word + len(signs), list(places)] = signs
            word += len(signs)
    found.flags.writeable = False
    return found


def obeys(codes: NDArray[np.integer], format: SparseTernary) -> bool:
    """Whether codes ``(rows, columns)`` of -1, 0 and +1 have no group with too many (or, if exact, too few) non-zeros.

    Examples:
        >>> import numpy as np
        >>> from fewbit.formats import SparseTernary
        >>> obeys(np.array([[1, 0, 0, -1]]), SparseTernary(2, 1)), obeys(np.array([[1, 1]]), SparseTernary(2, 1))
        (True, False)
    """
    if format.exact and codes.shape[-1] % format.n:
        return False
    counts = (in_groups(codes, format) != 0).sum(axis=-1)
    return bool(((counts >= format.counts[0]) & (counts <= format.k)).all())


def in_groups(codes: NDArray[np.integer], format: SparseTernary) -> NDArray[np.int8]:
    """Codes ``(rows, columns)`` as groups ``(rows, groups, n)``; zeros fill up the last one.

    Raises:
        FormatError: the last group of the exact form is not full.
    """
    rows, columns = codes.shape
    groups = -(-columns // format.n)
    if format.exact and columns % format.n:
        raise FormatError(f"{format} needs whole groups of {format.n} columns, not {columns} columns")
    padded = np.zeros((rows, groups * format.n), np.int8)
    padded[:, :columns] = codes
    return padded.reshape(rows, groups, format.n)

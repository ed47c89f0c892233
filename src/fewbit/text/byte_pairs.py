"""Byte-pair encoding: text as numbers of frequent pieces, which are put together from bytes.

A text is cut into words (`fewbit.text.word_splits`), a word into bytes. Then, as long as two neighbours have a merge,
the two of the earliest merge, the first of several, become one piece. There is no unknown symbol: a byte is a piece.

It does what the library `tokenizers` does for GPT-2, Llama 3, Qwen and SmolLM, so that a packed network needs nothing
but its file to read and write text. A file holds no expressions, only names of known ones: what it takes to read a file
and to encode a text grows with their sizes, whoever wrote them.

References:
    Sennrich, Haddow, Birch 2016, "Neural machine translation of rare words with subword units" (arXiv 1508.07909).
"""

import re
import unicodedata
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import pairwise
from reprlib import repr as shortened
from typing import Any

from fewbit.errors import ArgumentError, DecodeError
from fewbit.text.word_splits import DIGITS, SPLITS, words_of

KIND = "byte-pairs"
"""What the description of a vocabulary in a packed file calls itself."""
MOST_SPECIAL = 1 << 12
"""Special pieces: each is looked for at every place of a text."""
_PRINTED = [*range(33, 127), *range(161, 173), *range(174, 256)]
_OTHERS = [byte for byte in range(256) if byte not in _PRINTED]
LETTERS = {byte: chr(byte) for byte in _PRINTED} | {byte: chr(256 + i) for i, byte in enumerate(_OTHERS)}
"""How bytes are written in pieces, so that each can be printed; a space is Ġ."""
_BYTES = {letter: byte for byte, letter in LETTERS.items()}


@dataclass(frozen=True)
class BytePairs:
    """The pieces in class order, and how text becomes pieces.

    Args:
        pieces: text of each class, its bytes written as `LETTERS`; an empty one belongs to no text.
        merges: pairs of classes, the earliest first; what they are together must be a piece.
        special: classes of whole pieces that are written as they are, such as ``<|endoftext|>``; no merge makes them.
        begin: the class that is read before a text, or ``None``.
        ends: classes that end a text.
        split, digits, prefix_space: how words are found (`fewbit.text.word_splits.words_of`).
        whole_words: whether a word that is a piece itself needs no merges.
        nfc: whether letters and their accents are joined before (the normal form NFC).

    Raises:
        ArgumentError: the parts do not fit together.

    Examples:
        >>> pairs = BytePairs(("a", "b", "Ġ", "ab", "Ġab", "<end>"), ((0, 1), (2, 3)), special={5}, ends={5})
        >>> pairs.encode("ab abb"), pairs.encode("b<end>")
        ([3, 4, 1], [1, 5])
        >>> pairs.decode([3, 4, 1])
        'ab abb'
    """

    pieces: tuple[str, ...]
    merges: tuple[tuple[int, int], ...]
    special: frozenset[int] = frozenset()
    begin: int | None = None
    ends: frozenset[int] = frozenset()
    split: str = "gpt-2"
    digits: str = "no"
    prefix_space: bool = False
    whole_words: bool = False
    nfc: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("pieces", tuple), ("special", frozenset), ("ends", frozenset)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        object.__setattr__(self, "merges", tuple((left, right) for left, right in self.merges))
        if not self.pieces or not all(isinstance(piece, str) for piece in self.pieces):
            raise ArgumentError("byte pairs need at least one piece, and pieces are text")
        if len(self._classes) != sum(map(bool, self.pieces)):
            raise ArgumentError("two of the pieces are the same")
        for name in ("special", "ends"):
            self._check_classes(name, getattr(self, name))
        self._check_classes("begin", [] if self.begin is None else [self.begin])
        if len(self.special) > MOST_SPECIAL or not all(self.pieces[i] for i in self.special):
            raise ArgumentError(f"special pieces: wanted at most {MOST_SPECIAL}, none of them empty")
        for i, piece in enumerate(self.pieces):
            if i not in self.special and not _BYTES.keys() >= set(piece):
                raise ArgumentError(f"piece {i}, {shortened(piece)}, is not written in the letters of bytes")
        if self.split not in SPLITS or self.digits not in DIGITS:
            raise ArgumentError(f"split={self.split!r}, digits={self.digits!r}; there are {list(SPLITS)}, {DIGITS}")
        _ = self._merged_to

    def _check_classes(self, name: str, found: Iterable[Any]) -> None:
        wrong = [i for i in found if type(i) is not int or not 0 <= i < len(self.pieces)]
        if wrong:
            raise ArgumentError(f"{name}: {shortened(wrong)}, wanted classes from 0 to {len(self.pieces) - 1}")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.pieces)

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.pieces) if piece}

    @cached_property
    def _merged_to(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Which merge joins two neighbours, and the class of both together."""
        found: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, pair in enumerate(self.merges):
            self._check_classes(f"merge {rank}", pair)
            left, right = pair
            both = self._classes.get(self.pieces[left] + self.pieces[right])
            if both is None or not self.pieces[left] or not self.pieces[right]:
                raise ArgumentError(f"merge {rank} makes {shortened(self.pieces[left] + self.pieces[right])}, no piece")
            found.setdefault(pair, (rank, both))
        return found

    @cached_property
    def _texts(self) -> list[bytes]:
        return [
            piece.encode() if i in self.special else bytes(_BYTES[letter] for letter in piece)
            for i, piece in enumerate(self.pieces)
        ]

    @cached_property
    def _special_piece(self) -> re.Pattern[str]:
        longest_first = sorted((self.pieces[i] for i in self.special), key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    def encode(self, text: str) -> list[int]:
        """Classes of the pieces of `text`.

        Raises:
            DecodeError: a byte of it is no piece.
        """
        parts = self._special_piece.split(text) if self.special else [text]
        found: list[int] = []
        for i, part in enumerate(parts):
            if i % 2:
                found.append(self._classes[part])
                continue
            plain = unicodedata.normalize("NFC", part) if self.nfc else part
            for word in words_of(plain, self.split, self.digits, self.prefix_space):
                found += self._word("".join(LETTERS[byte] for byte in word.encode(errors="replace")))
        return found

    def _word(self, letters: str) -> list[int]:
        whole = self._classes.get(letters) if self.whole_words else None
        if whole is not None:
            return [whole]
        missing = sorted({letter for letter in letters if letter not in self._classes})
        if missing:
            raise DecodeError(f"no piece for the bytes {[_BYTES[letter] for letter in missing[:5]]} of the text")
        return self._merged([self._classes[letter] for letter in letters])

    def _merged(self, symbols: list[int]) -> list[int]:
        """The pieces after all merges, in n log n steps for n symbols."""
        gone, known = -1, self._merged_to
        before, after = list(range(-1, len(symbols) - 1)), list(range(1, len(symbols) + 1))
        waiting = [(*known[pair], i, pair) for i, pair in enumerate(pairwise(symbols)) if pair in known]
        heapify(waiting)
        while waiting:
            _, both, i, (left, right) = heappop(waiting)
            j = after[i]
            if symbols[i] != left or j == len(symbols) or symbols[j] != right:
                continue  # one of the two has been merged with another neighbour
            symbols[i], symbols[j], after[i] = both, gone, after[j]
            if after[i] < len(symbols):
                before[after[i]] = i
            for place in (before[i], i):
                next_to = after[place] if place >= 0 else len(symbols)
                if next_to < len(symbols) and (symbols[place], symbols[next_to]) in known:
                    pair = symbols[place], symbols[next_to]
                    heappush(waiting, (*known[pair], place, pair))
        return [symbol for symbol in symbols if symbol != gone]

    def decode(self, classes: Iterable[int]) -> str:
        """Text of a sequence of classes; bytes that are no character become U+FFFD.

        Raises:
            DecodeError: a class is out of range.
        """
        heard = list(classes)
        if any(not 0 <= i < self.classes for i in heard):
            raise DecodeError(f"classes must lie in 0..{self.classes - 1}, got {min(heard)}..{max(heard)}")
        return b"".join(self._texts[i] for i in heard).decode(errors="replace")

    def writer(self, after: str = "") -> Callable[[int], str]:
        """What spells classes one after the other: a call gives the characters that end with this class.

        A character of which bytes are still to come is held back; all that was given is `decode` of all classes, but
        for such a rest.

        Examples:
            >>> euro = "".join(LETTERS[byte] for byte in "€".encode())
            >>> spell = BytePairs(tuple(euro), ()).writer()
            >>> [spell(0), spell(1), spell(2)]
            ['', '', '€']
        """
        decoder = getincrementaldecoder("utf-8")("replace")
        return lambda drawn: decoder.decode(self._texts[drawn])

    def to_dict(self) -> dict[str, Any]:
        """Plain description, as packed files hold it."""
        lists = {"pieces": list(self.pieces), "special": sorted(self.special), "ends": sorted(self.ends)}
        return asdict(self) | lists | {"kind": KIND, "merges": [i for pair in self.merges for i in pair]}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "BytePairs":
        """The vocabulary of a description.

        Raises:
            DecodeError: a field is missing or wrong.
        """
        kinds = {"split": str, "digits": str, "prefix_space": bool, "whole_words": bool, "nfc": bool}
        fields = {key: value for key, value in description.items() if key in cls.__dataclass_fields__}
        lists = ("pieces", "merges", "special", "ends")
        missing = set(cls.__dataclass_fields__) - set(fields)
        if missing:
            raise DecodeError(f"the byte pairs lack {sorted(missing)}; the file is damaged")
        right = all(type(fields[key]) is list for key in lists) and all(type(fields[k]) is v for k, v in kinds.items())
        numbers = fields["merges"]
        if not right or len(numbers) % 2 or not all(type(i) is int for key in lists[1:] for i in fields[key]):
            raise DecodeError("a field of the byte pairs is of another kind; the file is damaged")
        try:
            return cls(**fields | {"merges": tuple(zip(numbers[::2], numbers[1::2], strict=True))})
        except ArgumentError as error:
            raise DecodeError(f"the byte pairs do not fit together: {error}; the file is damaged") from error

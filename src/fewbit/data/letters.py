"""Text in the spelling of a recogniser: upper-case letters, apostrophes and spaces, paragraph by paragraph."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from fewbit.data.corpora import Characters, read_text
from fewbit.errors import DataError
from fewbit.text import Alphabet

LETTERS = Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ'"))
"""Class 0, the blank of a recogniser, marks the end of a paragraph."""
BLOCK = 50
"""Paragraphs per block; of 40 blocks one is for development and one for testing."""


def to_letters(text: str) -> str:
    """Reduce a text to words of A to Z and inner apostrophes, separated by one space.

    Examples:
        >>> to_letters("It's 5 o'clock, 'Émile' -- isn't it?")
        "IT'S O'CLOCK EMILE ISN'T IT"
    """
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper()
    text = text.replace("<UNK>", " ").replace(" @-@ ", " ").replace(" '", "'")
    text = re.sub(r"(?<![A-Z])'|'(?![A-Z])", " ", re.sub(r"[^A-Z']+", " ", text))
    return " ".join(text.split())


def english_books(folder: str | Path) -> Characters:
    r"""Fifteen public-domain books from ``books.txt.xz`` in `folder`, as letters.

    Every 40th block of 50 paragraphs, from the 20th on, is for development, and every 40th, from the 40th on, for
    testing: each part contains text of all books.

    Raises:
        DataError: the file is missing or damaged.

    Examples:
        >>> import lzma
        >>> books = "\n\n".join(["It is a quiet sea."] * 2_000)
        >>> _ = Path("books.txt.xz").write_bytes(lzma.compress(books.encode()))
        >>> text = english_books(".")
        >>> "".join(text.symbols[i] for i in text.train[:17].tolist())
        'IT IS A QUIET SEA'
    """
    paragraphs = read_text(Path(folder) / "books.txt.xz").split("\n\n")
    parts: list[list[str]] = [[], [], []]
    for i, paragraph in enumerate(paragraphs):
        parts[{19: 1, 39: 2}.get(i // BLOCK % 40, 0)].append(paragraph)
    return _characters(parts)


def wikitext2_letters(folder: str | Path) -> Characters:
    r"""WikiText-2 (see `fewbit.data.wikitext2`) as letters; its unknown words are left out.

    Examples:
        >>> import lzma
        >>> for name in ("train", "valid", "test"):
        ...     _ = Path(f"{name}.txt.xz").write_bytes(lzma.compress(b"A quiet sea ."))
        >>> text = wikitext2_letters(".")
        >>> "".join(text.symbols[i] for i in text.train.tolist())
        'A QUIET SEA\n'
    """
    texts = [read_text(Path(folder) / f"{name}.txt.xz") for name in ("train", "valid", "test")]
    return _characters([text.split("\n") for text in texts])


def _characters(parts: list[list[str]]) -> Characters:
    train, dev, test = (_classes(part) for part in parts)
    return Characters(train, dev, test, ("\n", *LETTERS.tokens))


def _classes(paragraphs: Iterable[str]) -> Tensor:
    """Class numbers of all paragraphs with words, each with its end mark."""
    found = [[*LETTERS.encode(text), 0] for paragraph in paragraphs if (text := to_letters(paragraph))]
    if not found:
        raise DataError("a part of the text has no words of English letters")
    return torch.tensor([number for text in found for number in text])

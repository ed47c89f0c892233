"""A list of keywords as plain text, which may change while a stream runs.

# one word or phrase per line, optionally followed by its threshold
rubout
new york 0.3
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fewbit.errors import ArgumentError, DecodeError
from fewbit.text import Alphabet

LOWEST = 1e-6
"""Lowest threshold. Below it everything would pass, and the product over a long word would underflow."""


@dataclass(frozen=True)
class ListedWord:
    """A word in letters of the alphabet, its classes, and its own threshold, if any.

    Examples:
        >>> words = KeywordList(Alphabet(("yes", "no"), joiner=" "), ["yes", "no 0.8"])
        >>> words.words[1]
        ListedWord(word='no', classes=(2,), threshold=0.8)
    """

    word: str
    classes: tuple[int, ...]
    threshold: float | None = None


class KeywordList:
    """The words that a `KeywordSpotter` reports; it reads the list at the start of every step.

    Args:
        alphabet: its tokens spell the words; letters of the other case are converted.
        words: the initial words, each optionally followed by its threshold.

    Raises:
        DecodeError: the alphabet lacks a letter, a word is empty or occurs twice, or a threshold is out of range.

    Examples:
        >>> words = KeywordList(Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ")), ["rubout", "new york 0.3"])
        >>> words.add("enter", threshold=0.6)
        >>> words.remove("Rubout")
        >>> print(*(listed.word for listed in words.words), sep=", ")
        NEW YORK, ENTER
    """

    def __init__(self, alphabet: Alphabet, words: Iterable[str] = ()) -> None:
        self.alphabet = alphabet
        self.words: tuple[ListedWord, ...] = ()
        """The words in order. A change replaces the whole tuple, so other threads see the old list or the new one."""
        self._path: Path | None = None
        self._seen: tuple[int, int] | None = None
        self.words = self._parse(words)

    @staticmethod
    def read(path: str | Path, alphabet: Alphabet) -> "KeywordList":
        """Read a text file: one word or phrase per line, optionally followed by its threshold; ``#`` starts a comment.

        Raises:
            DecodeError: a line is wrong, or the file cannot be read.
        """
        made = KeywordList(alphabet)
        made._path = Path(path)
        try:
            made.refresh()
        except OSError as error:
            why = "there is no such keyword list" if isinstance(error, FileNotFoundError) else error.strerror
            raise DecodeError(f"{path}: {why}; wanted a text file with one word per line") from error
        return made

    def refresh(self) -> bool:
        """Reload the file if it has changed; return whether it has.

        Raises:
            DecodeError: a line is wrong. The list stays as it was, and is reloaded when the file changes again.
        """
        if self._path is None:
            return False
        status = self._path.stat()
        stamp = status.st_mtime_ns, status.st_size
        if stamp == self._seen:
            return False
        try:
            text = self._path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise DecodeError(f"{self._path}: not a text file in UTF-8: {error}") from error
        self._seen = stamp
        self.words = self._parse(text.splitlines(), str(self._path))
        return True

    def add(self, word: str, threshold: float | None = None) -> None:
        """Add a word; it is reported if it begins after this call.

        Raises:
            DecodeError: the word cannot be added; the list stays as it was.
        """
        self.words = _all_different((*self.words, self._listed(word, threshold)))

    def remove(self, word: str) -> None:
        """Remove a word.

        Raises:
            DecodeError: it is not in the list.
        """
        name = self._listed(word, None).word
        left = tuple(listed for listed in self.words if listed.word != name)
        if len(left) == len(self.words):
            raise DecodeError(f"{name!r} is not in the list; it has {[listed.word for listed in self.words]}")
        self.words = left

    def _parse(self, lines: Iterable[str], place: str = "keywords") -> tuple[ListedWord, ...]:
        found: tuple[ListedWord, ...] = ()
        for number, line in enumerate(lines, 1):
            text = line.split("#", 1)[0].strip()
            if not text:
                continue
            word, threshold = _split_threshold(text)
            try:
                found = _all_different((*found, self._listed(word, threshold)))
            except (ArgumentError, DecodeError) as error:
                raise DecodeError(f"{place}, line {number}: {error}") from error
        return found

    def _listed(self, text: str, threshold: float | None) -> ListedWord:
        if threshold is not None:
            check_threshold(threshold)
        joiner = self.alphabet.joiner
        clean = " ".join(unicodedata.normalize("NFKC", text).split())
        if not clean:
            raise DecodeError("a keyword is empty; give it letters or remove it")
        parts = clean.split(joiner) if joiner else list(clean)
        tokens = [self._token(part, clean) for part in parts]
        return ListedWord(joiner.join(tokens), tuple(self.alphabet.encode(joiner.join(tokens))), threshold)

    def _token(self, part: str, word: str) -> str:
        for token in (part, part.upper(), part.lower()):
            if token in self.alphabet.tokens:
                return token
        raise DecodeError(
            f"keyword {word!r}: the alphabet lacks {part!r}; it has {list(self.alphabet.tokens)}. "
            "Spell the word with those, as the network would write it"
        )


def check_threshold(threshold: float) -> None:
    """Raise an `ArgumentError` unless `threshold` is one."""
    if not LOWEST <= threshold < 1:
        raise ArgumentError(f"a threshold must lie in {LOWEST}..1 (1 excluded), not {threshold}")


def _split_threshold(text: str) -> tuple[str, float | None]:
    word, *last = text.rsplit(None, 1)
    try:
        return (word, float(last[0])) if last else (text, None)
    except ValueError:
        return text, None


def _all_different(words: tuple[ListedWord, ...]) -> tuple[ListedWord, ...]:
    names = [listed.word for listed in words]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DecodeError(f"keyword {twice[0]!r} is in the list twice")
    return words

"""ARPA files, the text form in which n-gram models are exchanged; plain, ``.gz`` or ``.xz`` by the name.

Each gram is a line: log10 P, a tab, the symbols separated by spaces and, if the gram is a context, a tab and log10 of
its back-off weight. A symbol that is itself a space is written ``<space>``.
"""

import gzip
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO, cast

import numpy as np

from fewbit.errors import ArgumentError, DataError
from fewbit.text.ngram import LN_NEVER, SPECIAL, Level, Ngram

SPACE = "<space>"
MOST_ORDERS = 10
_LN10 = float(np.log(10.0))
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")


def write_arpa(model: Ngram, path: str | Path) -> Path:
    r"""Write a model as an ARPA file.

    Raises:
        ArgumentError: a symbol contains white space, so it could not be read again.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> path = write_arpa(kneser_ney(["abab"], order=2), "letters.arpa")
        >>> path.read_text().splitlines()[:3]
        ['\\data\\', 'ngram 1=5', 'ngram 2=4']
    """
    names = [SPACE if symbol == " " else symbol for symbol in model.symbols]
    broken = [symbol for symbol in names if symbol.split() != [symbol]]
    if broken:
        raise ArgumentError(
            f"{path}: ARPA files separate symbols by white space, and the symbol {broken[0]!r} contains some"
        )
    path, levels = Path(path), model.levels()
    with _open(path, "wt") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {i}={len(level.symbol)}\n" for i, level in enumerate(levels, 1))
        texts = [""]
        for i, level in enumerate(levels, 1):
            file.write(f"\n\\{i}-grams:\n")
            rows = zip(level.parent.tolist(), level.symbol.tolist(), strict=True)
            texts = [f"{texts[parent]} {names[symbol]}" if i > 1 else names[symbol] for parent, symbol in rows]
            values = zip((level.ln_p / _LN10).tolist(), (level.ln_backoff / _LN10).tolist(), texts, strict=True)
            for p, backoff, text in values:
                file.write(f"{p:.7g}\t{text}\t{backoff:.7g}\n" if backoff else f"{p:.7g}\t{text}\n")
        file.write("\n\\end\\\n")
    return path


def read_arpa(path: str | Path) -> Ngram:
    """Read an ARPA file. Missing ``<unk>``, ``<s>`` and ``</s>`` are added with probability 0.

    Raises:
        DataError: the file is missing or damaged; the message names the line.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> model = read_arpa(write_arpa(kneser_ney(["abab"], order=2), "letters.arpa.gz"))
        >>> model.order, model.symbols[3:]
        (2, ('a', 'b'))
    """
    path = Path(path)
    try:
        with _open(path, "rt") as file:
            return _Reader(path, enumerate(file, 1)).read()
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as an ARPA file: {error}") from error


def _open(path: Path, mode: str) -> TextIO:
    opener: Any = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    return cast(TextIO, opener(path, mode, encoding="utf-8"))


class _Reader:
    """One pass over the lines."""

    def __init__(self, path: Path, lines: Iterator[tuple[int, str]]) -> None:
        self.path, self.lines, self.number = path, lines, 0
        self.symbols = list(SPECIAL)
        self.numbers = {symbol: i for i, symbol in enumerate(self.symbols)}
        self.places: dict[tuple[int, ...], int] = {(): 0}

    def read(self) -> Ngram:
        counts = self._counts()
        levels = [self._level(length, count) for length, count in enumerate(counts, 1)]
        if self._line() != "\\end\\":
            self._fault("wanted \\end\\ behind the last gram")
        return Ngram.build(self.symbols, levels)

    def _counts(self) -> list[int]:
        while self._line() != "\\data\\":
            pass
        counts: list[int] = []
        for number, line in self.lines:
            self.number = number
            match = _COUNT.fullmatch(line.strip())
            if match is None:
                if line.strip():
                    self._fault(f"wanted 'ngram {len(counts) + 1}=count' or an empty line, got {line.strip()!r}")
                if counts:
                    break
                continue
            if int(match[1]) != len(counts) + 1:
                self._fault(f"wanted the count of {len(counts) + 1}-grams, got that of {match[1]}-grams")
            counts.append(int(match[2]))
        if not 1 <= len(counts) <= MOST_ORDERS:
            self._fault(f"orders 1 to {MOST_ORDERS} can be read, the file has {len(counts)}")
        return counts

    def _level(self, length: int, count: int) -> Level:
        if (line := self._line()) != f"\\{length}-grams:":
            self._fault(f"wanted \\{length}-grams:, got {line!r}")
        parents, last, values = [], [], []
        places: dict[tuple[int, ...], int] = {}
        for _ in range(count):
            gram, p, backoff = self._gram(length)
            if gram in places:
                self._fault(f"the gram {self._text(gram)!r} occurs twice")
            parent = self.places.get(gram[:-1])
            if parent is None:
                self._fault(f"the gram {self._text(gram)!r} has no context: {self._text(gram[:-1])!r} is missing")
            places[gram] = len(places)
            parents.append(parent)
            last.append(gram[-1])
            values.append((p, backoff))
        if length == 1:
            for symbol in range(len(SPECIAL)):
                if (symbol,) not in places:
                    places[(symbol,)] = len(places)
                    parents.append(0)
                    last.append(symbol)
                    values.append((LN_NEVER, 0.0))
        self.places = places
        p_and_backoff = np.array(values, np.float64).reshape(-1, 2)
        parent_of, symbol_of = np.array(parents, np.int64), np.array(last, np.int64)
        return Level(parent_of, symbol_of, p_and_backoff[:, 0], p_and_backoff[:, 1])

    def _gram(self, length: int) -> tuple[tuple[int, ...], float, float]:
        line = self._line()
        parts = line.split()
        if len(parts) not in (length + 1, length + 2):
            self._fault(f"wanted log10 P, {length} symbols and perhaps log10 of a back-off weight, got {line!r}")
        try:
            p = float(parts[0])
            backoff = float(parts[length + 1]) if len(parts) == length + 2 else 0.0
        except ValueError:
            self._fault(f"not a number in {line!r}")
        if not (p <= 0 and np.isfinite(backoff)):
            self._fault(f"log10 P is at most 0 and a back-off weight is finite, got {line!r}")
        words = [" " if word == SPACE else word for word in parts[1 : length + 1]]
        if length == 1 and words[0] not in self.numbers:
            self.numbers[words[0]] = len(self.symbols)
            self.symbols.append(words[0])
        gram = tuple(self.numbers.get(word, -1) for word in words)
        if -1 in gram:
            self._fault(f"{words[gram.index(-1)]!r} is not among the 1-grams")
        return gram, max(p * _LN10, LN_NEVER), backoff * _LN10

    def _line(self) -> str:
        """The next line that is not empty."""
        for number, line in self.lines:
            self.number = number
            if stripped := line.strip():
                return stripped
        return self._fault("the file ends too early")

    def _text(self, gram: tuple[int, ...]) -> str:
        return " ".join(self.symbols[symbol] for symbol in gram)

    def _fault(self, what: str) -> NoReturn:
        raise DataError(f"{self.path}, line {self.number}: {what}")

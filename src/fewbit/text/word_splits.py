"""Where text is cut before byte-pair encoding: no merge goes over a cut.

The tokenizers of well-known models cut by regular expressions over classes of Unicode, of which there are three. Here a
text is first written with one ASCII character for each of its own, which says whether it is a letter, a number, a space
or something else; the expressions then need no classes.

References:
    Radford et al. 2019, "Language models are unsupervised multitask learners", for the first.
"""

import re
import unicodedata
from collections.abc import Iterator

SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
"""Characters with the property White_Space, which are not those of `str.isspace`."""
LONG_S = "\u017f"
"""Another case of the letter s, which counts where case does not."""
_NEW = (
    r"(?i:'(?:s|t|re|ve|m|ll|d))|[^\r\nA-Za-z0-9]?[A-Za-z]+|NUMBERS| ?[^\sA-Za-z0-9]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {
    "gpt-2": r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+",
    "llama-3": _NEW.replace("NUMBERS", r"[0-9]{1,3}"),
    "qwen-2": _NEW.replace("NUMBERS", r"[0-9]"),
}
SPLITS = {name: re.compile(pattern, re.ASCII) for name, pattern in _SPLITS.items()}
"""Every character of a text is in a match of each of them."""
_DIGITS = {"no": None, "each": re.compile(r"[0-9]|[^0-9]+"), "runs": re.compile(r"[0-9]+|[^0-9]+")}
DIGITS = tuple(_DIGITS)
"""Whether digits are cut off from all else before: not, each one, or as many as stand together."""


def words_of(text: str, split: str, digits: str = "no", prefix_space: bool = False) -> Iterator[str]:
    """The words of a text with the spaces before them; together they are the text.

    Args:
        text: of any length; the time that it takes is proportional to it, as long as its spaces end.
        split: one of `SPLITS`.
        digits: one of `DIGITS`.
        prefix_space: whether a text (or a part between digits) that does not begin with a space gets one.

    Examples:
        >>> list(words_of("It's 25 o'clock.", "gpt-2"))
        ['It', "'s", ' 25', ' o', "'", 'clock', '.']
        >>> list(words_of("in 25", "gpt-2", digits="each"))
        ['in', ' ', '2', '5']
    """
    parts = _DIGITS[digits]
    pieces = [text] if parts is None else [text[slice(*found.span())] for found in parts.finditer(_plain(text))]
    for piece in filter(None, pieces):
        spaced = f" {piece}" if prefix_space and piece[0] != " " else piece
        for found in SPLITS[split].finditer(_plain(spaced)):
            yield spaced[slice(*found.span())]


def _plain(text: str) -> str:
    """A text of as many ASCII characters, with letters, numbers, spaces and others where the text has them."""
    return text if text.isascii() else "".join(letter if letter.isascii() else _kind(letter) for letter in text)


def _kind(letter: str) -> str:
    if letter.isalpha():
        return "s" if letter == LONG_S else "z"
    if letter in SPACES:
        return "\v"
    return "0" if unicodedata.category(letter)[0] == "N" else "!"

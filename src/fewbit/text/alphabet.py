"""The symbols that a network outputs.

Class 0 of the network is the CTC blank or, in a language model, stands between texts; class ``i`` is ``tokens[i - 1]``.
Tokens may be letters (joined by nothing) or whole words (joined by a space).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from typing import Any

from fewbit.errors import ArgumentError, DecodeError

BLANK = 0


@dataclass(frozen=True)
class Alphabet:
    """Tokens in class order without the blank, and the joiner between two of them in text.

    Examples:
        >>> digits = Alphabet(("zero", "one", "two"), joiner=" ")
        >>> digits.encode("two one")
        [3, 2]
        >>> digits.decode([3, 2])
        'two one'
    """

    tokens: tuple[str, ...]
    joiner: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if not all(isinstance(part, str) for part in (*self.tokens, self.joiner)):
            raise ArgumentError(f"tokens and joiner are text, not {(*self.tokens, self.joiner)}")
        if not self.tokens or len(set(self.tokens)) != len(self.tokens) or "" in self.tokens:
            raise ArgumentError("an alphabet needs at least one token, all different and none empty")
        if self.joiner and any(self.joiner in token for token in self.tokens):
            raise ArgumentError(f"a token contains the joiner {self.joiner!r}, so text could not be split again")

    @property
    def classes(self) -> int:
        """Number of classes: the tokens and the blank."""
        return len(self.tokens) + 1

    @property
    def begin(self) -> int:
        """The class that a language model reads before a text."""
        return BLANK

    @property
    def ends(self) -> frozenset[int]:
        """The class that ends a text of a language model."""
        return frozenset({BLANK})

    def encode(self, text: str) -> list[int]:
        """Classes of the tokens of `text`.

        Raises:
            DecodeError: `text` contains something that is no token.
        """
        parts: Sequence[str] = text.split(self.joiner) if self.joiner else text
        places = {token: i + 1 for i, token in enumerate(self.tokens)}
        unknown = sorted({part for part in parts if part and part not in places})
        if unknown:
            raise DecodeError(f"not in the alphabet: {unknown[:5]}; it has {list(self.tokens)}")
        return [places[part] for part in parts if part]

    def decode(self, classes: Iterable[int]) -> str:
        """Text of a sequence of classes; blanks are skipped.

        Raises:
            DecodeError: a class is out of range.
        """
        heard = list(classes)
        if any(not 0 <= i < self.classes for i in heard):
            raise DecodeError(f"classes must lie in 0..{self.classes - 1}, got {min(heard)}..{max(heard)}")
        return self.joiner.join(self.tokens[i - 1] for i in heard if i != BLANK)

    def writer(self, after: str = "") -> Callable[[int], str]:
        """What spells classes one after the other, each with the joiner that it needs behind `after` and the others.

        Examples:
            >>> spell = Alphabet(("one", "two"), joiner=" ").writer("one")
            >>> spell(2) + spell(1)
            ' two one'
        """
        first = self.joiner if after and not after.endswith(self.joiner or "\0") else ""
        between = chain([first], repeat(self.joiner))
        return lambda drawn: next(between) + self.tokens[drawn - 1]

    def to_dict(self) -> dict[str, Any]:
        """Plain description, as packed files hold it."""
        return asdict(self) | {"tokens": list(self.tokens)}

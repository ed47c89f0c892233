"""What the classes of a network mean: the description in a packed file, read."""

from collections.abc import Mapping
from typing import Any

from fewbit.errors import ArgumentError, DecodeError
from fewbit.text.alphabet import Alphabet
from fewbit.text.byte_pairs import KIND, BytePairs

Vocabulary = Alphabet | BytePairs
"""Classes with a text: each may be encoded, decoded, and written one class after the other."""


def read_vocabulary(description: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that `description`, of a packed file, tells.

    Raises:
        DecodeError: it is none, or of a kind that this fewbit does not know.

    Examples:
        >>> read_vocabulary(Alphabet(("yes", "no"), " ").to_dict()).encode("no yes")
        [2, 1]
    """
    kind = description.get("kind")
    if kind == KIND:
        return BytePairs.from_dict(description)
    if kind is not None:
        raise DecodeError(f"the network's alphabet is of the kind {kind!r}, which this fewbit does not know; update it")
    try:
        return Alphabet(**description)
    except (TypeError, ArgumentError) as error:
        raise DecodeError(f"the network's alphabet is not one of Alphabet: {error}") from error


def read_alphabet(description: Mapping[str, Any]) -> Alphabet:
    """The alphabet that `description` tells, for what needs tokens that stand by themselves.

    Raises:
        DecodeError: it is none.

    Examples:
        >>> read_alphabet(Alphabet(("a", "b")).to_dict()).tokens
        ('a', 'b')
    """
    found = read_vocabulary(description)
    if not isinstance(found, Alphabet):
        raise DecodeError(
            "the network's classes are byte pairs, which are for generating text; sessions, keywords and beam search "
            "need a network that was packed with an Alphabet"
        )
    return found

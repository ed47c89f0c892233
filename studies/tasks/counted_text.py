"""What counts of letters and of words make of a text: the baselines of character language models."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor

from fewbit.data import Characters
from fewbit.text import kneser_ney, ngram_to_bytes
from fewbit.text.ngram import Ngram


def letters(text: Characters, order: int) -> dict[str, Any]:
    """Bits per character of Kneser-Ney n-grams of characters, over the test part with the ends of paragraphs."""
    model = kneser_ney(_paragraphs(text, text.train), order, symbols=text.symbols[1:])
    nats = -float(model.ln_probabilities(_paragraphs(text, text.test)).sum())
    return {"test": nats / len(text.test) / math.log(2)} | _size(model)


def words(text: Characters, order: int) -> dict[str, Any]:
    """The same of words, with their spaces and ends.

    Words that were seen once stand for unknown ones, which are spelled by 5-grams of letters.
    """
    train, test = ([part.split() for part in _paragraphs(text, stream)] for stream in (text.train, text.test))
    counts = Counter(word for paragraph in train for word in paragraph)
    known = {word for word, count in counts.items() if count > 1}
    model = kneser_ney(train, order, symbols=sorted(known))
    spelling = kneser_ney(sorted(counts.keys() - known), 5, symbols=text.symbols[2:])
    unknown = [word for paragraph in test for word in paragraph if word not in known]
    nats = -float(model.ln_probabilities(test).sum() + spelling.ln_probabilities(unknown).sum())
    share = len(unknown) / sum(map(len, test))
    return {"test": nats / len(text.test) / math.log(2), "unknown": share} | _size(model)


COUNTS: dict[str, Callable[[Characters, int], dict[str, Any]]] = {"letters": letters, "words": words}


def _size(model: Ngram) -> dict[str, int]:
    return {"grams": len(model.symbol) - 1, "bytes": len(ngram_to_bytes(model))}


def _paragraphs(text: Characters, stream: Tensor) -> list[str]:
    return "".join(text.symbols[i] for i in stream.tolist()).strip("\n").split("\n")

"""N-gram models of characters and words as scorers of a beam search, with an open vocabulary.

`CharNgram` knows which letters follow which, `WordNgram` which words follow which. `OpenVocabularyLM` adds up two ways
to write a word: as a word of the vocabulary, or, with probability ``u``, letter by letter. With ``x`` the letters of
the word so far, ``c`` the next one and ``h`` the words before,

    known(x)    = (1 - u) sum of P(w | h) over the words w that begin with x
    spelled(x)  = u times the product of P(letter | text) over the letters of x
    P(c | text) = (known(x c) + spelled(x c)) / (known(x) + spelled(x))

where ``c`` may be the space that ends the word. So the word model guides the search from the first letter on, a word
that it does not know is spelled, and all probabilities still sum to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fewbit.decode.letter_trie import LetterTrie
from fewbit.decode.native_ngram import NativeScorer, native_chars, native_words
from fewbit.decode.scorer import LogProbs, Scorer
from fewbit.errors import ArgumentError
from fewbit.text import Alphabet
from fewbit.text.ngram import LN_NEVER, SPECIAL, UNKNOWN, Floats, Ngram

SPACE = " "


@dataclass(frozen=True, eq=False)
class CharNgram:
    """An n-gram model over the tokens of the alphabet. A state is a context of the model.

    Args:
        model: tokens that it lacks share the probability of ``<unk>`` equally.
        alphabet: that of the network.
        weight: of ln P in the search, above 0.

    Raises:
        ArgumentError: `weight` is out of range, or the model has none of the tokens.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> scorer = CharNgram(kneser_ney(["abababab"], order=2), Alphabet(("a", "b")))
        >>> state, ln = scorer.start()
        >>> states, ln = scorer.step([state], [1])  # the text is "a" now
        >>> "b" if ln[0, 2] > ln[0, 1] else "a"
        'b'
    """

    model: Ngram
    alphabet: Alphabet
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)
        if not set(self.alphabet.tokens) & set(self.model.symbols):
            raise ArgumentError(
                f"the n-gram model has none of the tokens {list(self.alphabet.tokens)[:5]}; "
                f"its symbols are {list(self.model.symbols)[3:8]}, ...: was it trained on other units?"
            )

    def start(self) -> tuple[int, LogProbs]:
        """State at the start of a text, and log-probabilities of its first label."""
        return self.model.start, self._ln(self.model.start)

    def step(self, states: Sequence[int], labels: Sequence[int]) -> tuple[list[int], LogProbs]:
        """Extend each text by a label."""
        after = [self.model.after(state, self._symbols[label]) for state, label in zip(states, labels, strict=True)]
        return after, _stack([self._ln(state) for state in after], self.alphabet)

    def native(self) -> Any:
        """Handle in the native library, or ``None``."""
        return None if self._native is None else self._native.address

    @cached_property
    def _native(self) -> NativeScorer | None:
        return native_chars(self.model, self._symbols, self.weight)

    @cached_property
    def _symbols(self) -> list[int]:
        """The symbol of each class; the blank is never looked up."""
        return [0, *self.model.encode(self.alphabet.tokens)]

    def _ln(self, state: int) -> LogProbs:
        ln = self.model.ln_next(state)
        ln[_UNKNOWN] -= np.log(max(self._symbols[1:].count(_UNKNOWN), 1))
        ln = self.weight * ln[self._symbols]
        ln[0] = 0.0
        return ln.astype(np.float32)


class WordState(NamedTuple):
    """The state of a text: the current prefix (-1: not in the vocabulary), words before, and the spelling so far."""

    prefix: int
    history: int
    ln_spelled: float
    spelling: Any
    ln_letters: LogProbs


@dataclass(frozen=True, eq=False)
class WordNgram:
    """An n-gram model of words that end at a space. Unknown words are spelled with equally probable letters.

    Args:
        model: words that the alphabet cannot spell are left out.
        alphabet: that of the network: single characters, including a space.
        weight: of ln P in the search, above 0.
        unknown: probability ``u`` that a word is spelled, between 0 and 1.
        word_bonus: added to the score for every completed word.

    Raises:
        ArgumentError: a number is out of range, or the alphabet has no space or cannot spell any word.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> words = kneser_ney([["go", "on"], ["go", "off"]], order=2)
        >>> scorer = WordNgram(words, Alphabet(tuple(" fgno")))
        >>> scorer.vocabulary
        ('go', 'off', 'on')
    """

    model: Ngram
    alphabet: Alphabet
    weight: float = 1.0
    unknown: float = 0.01
    word_bonus: float = 0.0

    def __post_init__(self) -> None:
        _check_weight(self.weight)
        if not 0 < self.unknown < 1:
            raise ArgumentError(f"unknown must be a probability above 0 and below 1, not {self.unknown}")
        if not np.isfinite(self.word_bonus):
            raise ArgumentError(f"word_bonus must be a finite number, not {self.word_bonus}")
        if SPACE not in self.alphabet.tokens or self.alphabet.joiner:
            raise ArgumentError("words are spelled by letters and end at a space: the alphabet needs the token ' '")
        if not self.vocabulary:
            raise ArgumentError(
                f"the alphabet cannot spell a single word of the model, such as {list(self.model.symbols)[3:8]}"
            )

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words that the alphabet can spell, in the order of their classes."""
        classes = {token: i for i, token in enumerate(self.alphabet.tokens) if token != SPACE}
        words = [word for word in self.model.symbols if word not in SPECIAL and word and set(word) <= set(classes)]
        return tuple(sorted(words, key=lambda word: [classes[letter] for letter in word]))

    @cached_property
    def trie(self) -> LetterTrie:
        """The spellings of the vocabulary."""
        return LetterTrie.build([tuple(self.alphabet.encode(word)) for word in self.vocabulary])

    @cached_property
    def ordered(self) -> Ngram:
        """The model with its words in the order of the vocabulary, after the three special symbols."""
        known = set(self.vocabulary) | set(SPECIAL)
        rest = [symbol for symbol in self.model.symbols if symbol not in known]
        return self.model.renumbered([*SPECIAL, *self.vocabulary, *rest])

    def start(self) -> tuple[WordState, LogProbs]:
        """State at the start of a text, and log-probabilities of its first label."""
        return self._alone.start()

    def step(self, states: Sequence[WordState], labels: Sequence[int]) -> tuple[list[WordState], LogProbs]:
        """Extend each text by a label."""
        return self._alone.step(states, labels)

    def native(self) -> Any:
        """Handle in the native library, or ``None``."""
        return self._alone.native()

    @cached_property
    def _alone(self) -> "OpenVocabularyLM":
        return OpenVocabularyLM(_EqualLetters(self.alphabet), self)


@dataclass(frozen=True, eq=False)
class OpenVocabularyLM:
    """Words of a vocabulary, and all others letter by letter, with the weight, ``u`` and word bonus of `word`.

    Args:
        char: scorer of letters, with weight 1.
        word: model of the words.

    Raises:
        ArgumentError: the alphabets differ, or the probabilities of `char` do not sum to 1.

    Examples:
        >>> from fewbit.text import kneser_ney
        >>> letters = Alphabet(tuple(" fgno"))
        >>> char = CharNgram(kneser_ney(["go on go off"], order=3), letters)
        >>> scorer = OpenVocabularyLM(char, WordNgram(kneser_ney([["go", "on"]], order=2), letters, unknown=0.1))
        >>> state, ln = scorer.start()
        >>> letters.tokens[int(ln[1:].argmax())]  # the first letter of "go"
        'g'
    """

    char: Scorer
    word: WordNgram

    def __post_init__(self) -> None:
        if self.char.alphabet != self.word.alphabet:
            raise ArgumentError("OpenVocabularyLM: the character model and the word model have different alphabets")
        total = float(np.exp(self.char.start()[1][1:].astype(np.float64)).sum())
        if total > 1.001:
            raise ArgumentError(
                f"OpenVocabularyLM: the letters of the character model have probabilities that sum to {total:.3f}; "
                "give it weight 1; the weight of the word model applies to both"
            )

    @property
    def alphabet(self) -> Alphabet:
        """The alphabet of both models."""
        return self.word.alphabet

    def start(self) -> tuple[WordState, LogProbs]:
        """State at the start of a text, and log-probabilities of its first label."""
        spelling, ln_letters = self.char.start()
        state = WordState(0, self.word.ordered.start, 0.0, spelling, ln_letters)
        return state, self._ln(state)

    def step(self, states: Sequence[WordState], labels: Sequence[int]) -> tuple[list[WordState], LogProbs]:
        """Extend each text by a label."""
        spellings, letters = self.char.step([state.spelling for state in states], labels)
        after = [
            WordState(*self._moved(state, label), spelling, ln)
            for state, label, spelling, ln in zip(states, labels, spellings, letters, strict=True)
        ]
        return after, _stack([self._ln(state) for state in after], self.alphabet)

    def native(self) -> Any:
        """Handle in the native library, or ``None``."""
        return None if self._native is None else self._native.address

    @cached_property
    def _native(self) -> NativeScorer | None:
        equal = isinstance(self.char, _EqualLetters)
        spelling = None if equal else self.char.native()
        if spelling is None and not equal:
            return None
        word = self.word
        settings = (word.weight, word.unknown, word.word_bonus)
        return native_words(word.ordered, word.trie, word.alphabet.classes, self._space, spelling, *settings)

    @cached_property
    def _space(self) -> int:
        return self.alphabet.tokens.index(SPACE) + 1

    def _moved(self, state: WordState, label: int) -> tuple[int, int, float]:
        """The first three parts of the state after `label`."""
        prefix, history, ln_spelled = state[:3]
        trie, model = self.word.trie, self.word.ordered
        if label == self._space:
            if prefix != 0:
                word = len(SPECIAL) + int(trie.low[prefix]) if prefix > 0 and trie.word[prefix] else _UNKNOWN
                history = model.after(history, word)
            return 0, history, 0.0
        prefix = trie.child(prefix, label) if prefix >= 0 else -1
        return prefix, history, ln_spelled + max(float(state.ln_letters[label]), LN_NEVER)

    def _ln(self, state: WordState) -> LogProbs:
        ln = np.maximum(state.ln_letters.astype(np.float64), LN_NEVER)
        if state.prefix >= 0:
            ln = self._mixed(state, ln)
        ln *= self.word.weight
        ln[0] = 0.0
        if state.prefix != 0:
            ln[self._space] += self.word.word_bonus
        return ln.astype(np.float32)

    def _mixed(self, state: WordState, ln: Floats) -> Floats:
        """Log-probabilities of all classes where the letters so far begin a word of the vocabulary."""
        trie, u, prefix = self.word.trie, self.word.unknown, state.prefix
        words = slice(len(SPECIAL), len(SPECIAL) + len(self.word.vocabulary))
        sums = np.concatenate([[0.0], np.cumsum(np.exp(self.word.ordered.ln_next(state.history)[words]))])
        share = (1 - u) / sums[-1]

        def known(low: int, high: int) -> float:
            return float(max(sums[high] - sums[low], 0.0) * share)

        spelled = max(u * float(np.exp(state.ln_spelled)), LEAST)
        total = known(trie.low[prefix], trie.high[prefix]) + spelled
        mixed = ln + np.log(spelled / total)
        for child in trie.children(prefix):
            label = trie.label[child]
            mass = known(trie.low[child], trie.high[child]) + spelled * np.exp(ln[label])
            mixed[label] = np.log(max(mass, LEAST) / total)
        if trie.word[prefix]:
            mass = known(trie.low[prefix], trie.low[prefix] + 1) + spelled * np.exp(ln[self._space])
            mixed[self._space] = np.log(max(mass, LEAST) / total)
        return np.asarray(mixed)


LEAST = 1e-300
"""Stands for 0 where a logarithm is taken."""
_UNKNOWN = SPECIAL.index(UNKNOWN)


@dataclass(frozen=True)
class _EqualLetters:
    """All labels are equally probable."""

    alphabet: Alphabet

    def start(self) -> tuple[None, LogProbs]:
        ln = np.full(self.alphabet.classes, -np.log(self.alphabet.classes - 1), np.float32)
        ln[0] = 0.0
        return None, ln

    def step(self, states: Sequence[None], labels: Sequence[int]) -> tuple[list[None], LogProbs]:
        return list(states), _stack([self.start()[1]] * len(states), self.alphabet)

    def native(self) -> None:
        return None


def _check_weight(weight: float) -> None:
    if not (np.isfinite(weight) and weight > 0):
        raise ArgumentError(f"the weight of a language model must be above 0, not {weight}")


def _stack(rows: list[LogProbs], alphabet: Alphabet) -> LogProbs:
    return np.stack(rows) if rows else np.zeros((0, alphabet.classes), np.float32)

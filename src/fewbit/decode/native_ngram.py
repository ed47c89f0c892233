"""N-gram scorers in the native library."""

from ctypes import c_float, c_int32
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.letter_trie import LetterTrie
from fewbit.errors import TargetError
from fewbit.native.handle import Handle
from fewbit.native.library import last_error, pointer, reference_wanted
from fewbit.native.ngram import functions
from fewbit.text.ngram import Ngram


class NativeScorer:
    """Owns a ``fewbit_scorer*``, and steps it from Python.

    Args:
        made: its address; it is freed with this object.
        needs: what must live as long.
    """

    def __init__(self, made: int | None, *needs: object) -> None:
        refusal = "the language model cannot be used natively"
        self._handle = Handle(made, functions()["scorer_free"], *needs, refusal=refusal)
        self.address = self._handle.address
        self.classes = int(functions()["scorer_classes"](self.address))
        self.state_bytes = int(functions()["scorer_state_bytes"](self.address))

    def start(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """State ``(1, bytes)`` at the start of a text, and ln P ``(1, classes)`` of its first label."""
        state, ln = self._room(1)
        self._done(functions()["scorer_start"](self.address, state.ctypes.data, ln.ctypes.data))
        return state, ln

    def step(
        self, states: NDArray[np.uint8], labels: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """States ``(texts, bytes)`` one label on, and ln P ``(texts, classes)`` of the next one."""
        before, labels = np.ascontiguousarray(states), np.ascontiguousarray(labels, np.int32)
        after, ln = self._room(len(before))
        arrays = (array.ctypes.data for array in (before, labels, after, ln))
        self._done(functions()["scorer_step"](self.address, len(before), *arrays))
        return after, ln

    def _room(self, texts: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return np.zeros((texts, self.state_bytes), np.uint8), np.zeros((texts, self.classes), np.float32)

    def _done(self, result: int) -> None:
        if result != 0:
            raise TargetError(last_error())


def native_chars(model: Ngram, symbols: list[int], weight: float) -> NativeScorer | None:
    """The scorer of `CharNgram`, or ``None`` without the library."""
    if reference_wanted() or not functions():
        return None
    ngram, classes = _model(model), np.array(symbols, np.int32)
    return NativeScorer(
        functions()["scorer_chars"](ngram.address, pointer(classes, c_int32), len(classes), weight), ngram
    )


def native_words(
    model: Ngram,
    trie: LetterTrie,
    classes: int,
    space: int,
    spelling: Any,
    weight: float,
    unknown: float,
    word_bonus: float,
) -> NativeScorer | None:
    """The scorer of `OpenVocabularyLM`, or ``None`` without the library; the caller must keep `spelling`."""
    if reference_wanted() or not functions():
        return None
    ngram = _model(model)
    rows = np.stack([trie.label, trie.low, trie.high, trie.word, trie.first[:-1]], axis=1)
    rows = np.ascontiguousarray(np.vstack([rows, [[0, 0, 0, 0, trie.first[-1]]]]), np.int32)
    words = int(trie.high[0])
    handle = functions()["scorer_words"](
        ngram.address,
        words,
        pointer(rows, c_int32),
        len(rows) - 1,
        classes,
        space,
        spelling,
        weight,
        unknown,
        word_bonus,
    )
    return NativeScorer(handle, ngram)


def _model(model: Ngram) -> Handle:
    """The ``fewbit_ngram*`` of a model."""
    made = functions()["ngram_new"](
        len(model.symbols),
        len(model.symbol),
        pointer(model.symbol, c_int32),
        pointer(model.ln_p, c_float),
        pointer(model.ln_backoff, c_float),
        pointer(model.first, c_int32),
        pointer(model.shorter, c_int32),
    )
    return Handle(made, functions()["ngram_free"], refusal="the n-gram model cannot be used natively")

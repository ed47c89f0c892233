"""N-gram scorers in the native library."""

from ctypes import c_float, c_int32
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.letter_trie import LetterTrie
from fewbit.errors import TargetError
from fewbit.native.library import last_error, pointer, reference_wanted
from fewbit.native.ngram import functions
from fewbit.text.ngram import Ngram


class NativeScorer:
    """Holds a ``fewbit_scorer*``, and steps it from Python.

    Args:
        handle: is freed with this object.
        needs: what must live as long.
    """

    def __init__(self, handle: Any, *needs: Any) -> None:
        if not handle:
            raise TargetError(f"the language model cannot be used natively: {last_error()}")
        self.handle, self._needs = handle, needs
        finalize(self, functions()["scorer_free"], handle)
        self.classes = int(functions()["scorer_classes"](handle))
        self.state_bytes = int(functions()["scorer_state_bytes"](handle))

    def start(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """State ``(1, bytes)`` at the start of a text, and ln P ``(1, classes)`` of its first label."""
        state, ln = self._room(1)
        self._done(functions()["scorer_start"](self.handle, state.ctypes.data, ln.ctypes.data))
        return state, ln

    def step(
        self, states: NDArray[np.uint8], labels: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """States ``(texts, bytes)`` one label on, and ln P ``(texts, classes)`` of the next one."""
        before, labels = np.ascontiguousarray(states), np.ascontiguousarray(labels, np.int32)
        after, ln = self._room(len(before))
        arrays = (array.ctypes.data for array in (before, labels, after, ln))
        self._done(functions()["scorer_step"](self.handle, len(before), *arrays))
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
    ngram, classes = _Model(model), np.array(symbols, np.int32)
    return NativeScorer(
        functions()["scorer_chars"](ngram.handle, pointer(classes, c_int32), len(classes), weight), ngram
    )


def native_words(
    model: Ngram,
    trie: LetterTrie,
    classes: int,
    space: int,
    spelling: Any,
    weight: float,
    unknown: float,
    bonus: float,
) -> NativeScorer | None:
    """The scorer of `Together`, or ``None`` without the library; `spelling` must be kept by the caller."""
    if reference_wanted() or not functions():
        return None
    ngram = _Model(model)
    rows = np.stack([trie.label, trie.low, trie.high, trie.word, trie.first[:-1]], axis=1)
    rows = np.ascontiguousarray(np.vstack([rows, [[0, 0, 0, 0, trie.first[-1]]]]), np.int32)
    words = int(trie.high[0])
    handle = functions()["scorer_words"](
        ngram.handle, words, pointer(rows, c_int32), len(rows) - 1, classes, space, spelling, weight, unknown, bonus
    )
    return NativeScorer(handle, ngram)


class _Model:
    """Holds a ``fewbit_ngram*``."""

    def __init__(self, model: Ngram) -> None:
        arrays = (model.ln_p, model.ln_backoff)
        self.handle = functions()["ngram_new"](
            len(model.symbols),
            len(model.symbol),
            pointer(model.symbol, c_int32),
            *(pointer(array, c_float) for array in arrays),
            pointer(model.first, c_int32),
            pointer(model.shorter, c_int32),
        )
        if not self.handle:
            raise TargetError(f"the n-gram model cannot be used natively: {last_error()}")
        finalize(self, functions()["ngram_free"], self.handle)

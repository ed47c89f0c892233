"""The fast tree beam search, in the native library; `csrc/beam_api.h` says what its functions do."""

import ctypes
import struct
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.scorer import Scorer
from fewbit.decode.tree_reference import ReferenceSearch
from fewbit.decode.tree_search import Changed, Ended, Ranked, Search, SearchEvent, SearchOptions, TokenSpan
from fewbit.errors import DecodeError
from fewbit.native import beam, tell_if_missing
from fewbit.native.handle import Handle
from fewbit.native.library import last_error, reference_wanted


class NativeSearch:
    """Tree beam search in C++; see `TreeBeam`."""

    def __init__(self, options: SearchOptions, scorer: Scorer | None) -> None:
        self.options, self.scorer = options, scorer
        self.call = beam.functions()
        self._model = None if scorer is None else scorer.native()

    def start(self) -> Handle:
        """State at the start of a stream."""
        argument = beam.BeamOptionsArgument(*astuple(self.options))
        return self._own(self.call["beam_new"](ctypes.byref(argument), self._model))

    def step(self, state: Handle, scores: NDArray[np.float64]) -> tuple[list[SearchEvent], Handle]:
        """Events of ``scores (frames, classes)`` before the softmax, and the new state."""
        after, x = self._copy(state), np.ascontiguousarray(scores, np.float64)
        if self.call["beam_step"](after.address, x.ctypes.data, len(x)) != 0:
            raise DecodeError(last_error())
        return self._events(after), after

    def finish(self, state: Handle) -> list[SearchEvent]:
        """Remaining events at the end of the stream."""
        after = self._copy(state)
        if self.call["beam_finish"](after.address) != 0:
            raise DecodeError(last_error())
        return self._events(after)

    def best(self, state: Handle, count: int) -> list[Ranked]:
        """The most probable strings, best first."""
        after = self._copy(state)
        if self.call["beam_best"](after.address, count) != 0:
            raise DecodeError(last_error())
        numbers, at, ranked = beam.report(after.address), 0, []
        while at < len(numbers):
            score, size = numbers[at + 1], numbers[at + 2]
            ranked.append(Ranked(_double(score), numbers[at + 3 : at + 3 + size].tolist()))
            at += 3 + size
        return ranked

    def nodes(self, state: Handle) -> int:
        """Number of strings in memory."""
        return int(self.call["beam_nodes"](state.address))

    def save(self, state: Handle) -> bytes:
        """The state as it lies in memory."""
        size = self.call["beam_save"](state.address, None)
        saved = ctypes.create_string_buffer(max(size, 1))
        if size < 0 or self.call["beam_save"](state.address, saved) != size:
            raise DecodeError(last_error())
        return saved.raw[:size]

    def restore(self, saved: bytes) -> Handle:
        """The saved state."""
        state = self.start()
        if self.call["beam_restore"](state.address, saved, len(saved)) != 0:
            raise DecodeError(last_error())
        return state

    def _copy(self, state: Handle) -> Handle:
        return self._own(self.call["beam_copy"](state.address))

    def _own(self, beam: int | None) -> Handle:
        return Handle(beam, self.call["beam_free"], self)  # the scorer must live as long

    def _events(self, state: Handle) -> list[SearchEvent]:
        numbers, at, events = beam.report(state.address), 0, list[SearchEvent]()
        array = np.frombuffer(numbers, np.int64)
        while at < len(numbers):
            kind, frame = numbers[at], numbers[at + 1]
            if kind == 0:
                committed, size = numbers[at + 2], numbers[at + 3]
                events.append(Changed(frame, committed, array[at + 4 : at + 4 + size]))
                at += 4 + size
            else:
                size = numbers[at + 2]
                rows = [numbers[i : i + 4].tolist() for i in range(at + 3, at + 3 + 4 * size, 4)]
                events.append(
                    Ended(frame, [TokenSpan(label, first, last, _double(prob)) for label, first, last, prob in rows])
                )
                at += 3 + 4 * size
        return events


def _double(bits: int) -> float:
    """The number with these 64 bits."""
    return float(struct.unpack("d", struct.pack("q", bits))[0])


def search(options: SearchOptions, scorer: Scorer | None) -> Search:
    """The fastest search for a scorer; ``FEWBIT_TARGET=reference`` asks for the reference."""
    if reference_wanted():
        return ReferenceSearch(options, scorer)
    if not beam.functions():
        tell_if_missing()
        return ReferenceSearch(options, scorer)
    if scorer is not None and scorer.native() is None:
        return ReferenceSearch(options, scorer)
    return NativeSearch(options, scorer)

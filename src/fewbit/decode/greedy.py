"""Greedy CTC decoding of an endless stream: the best class of every frame, repeats and blanks removed.

A symbol is emitted when its run of frames begins, and does not change afterwards; its end and probability are known
when the run ends. An utterance ends after `silence` seconds of blanks, or at the next symbol after `longest` seconds.
"""

from dataclasses import dataclass, replace

from fewbit.decode.decoder import Scores, check_scores, softmax
from fewbit.decode.events import Event, Final, Label, Partial
from fewbit.text import BLANK, Alphabet


@dataclass(frozen=True)
class Run:
    """Consecutive frames with the same best class."""

    symbol: int
    first: int
    last: int
    prob: float


@dataclass(frozen=True)
class GreedyState:
    """Number of frames, the runs of the current utterance, and whether the last run is still open."""

    frame: int = 0
    runs: tuple[Run, ...] = ()
    running: bool = False


@dataclass(frozen=True)
class GreedyCTC:
    """Best-path decoder.

    Args:
        alphabet: meaning of the classes; class 0 is the blank.
        frame_seconds: time between two frames of scores.
        silence: seconds of blanks that end an utterance.
        longest: seconds after which the next symbol starts a new utterance, so that memory stays bounded.

    Examples:
        >>> import numpy as np
        >>> decoder = GreedyCTC(Alphabet(("a", "b")), frame_seconds=0.1)
        >>> path = [1, 1, 0, 1, 2]  # the best class of each frame: a, a, blank, a, b
        >>> events, state = decoder.step(9 * np.eye(3)[path], decoder.init_state())
        >>> print(decoder.finish(state)[0].text)
        aab
    """

    alphabet: Alphabet
    frame_seconds: float
    silence: float = 0.8
    longest: float = 30.0

    def init_state(self) -> GreedyState:
        """State at the start of a stream."""
        return GreedyState()

    def step(self, scores: Scores, state: GreedyState) -> tuple[list[Event], GreedyState]:
        """Events of ``scores (frames, classes)``: a `Partial` for each new symbol, a `Final` for each utterance."""
        scores = check_scores(scores, self.alphabet.classes)
        events: list[Event] = []
        best, probs = scores.argmax(axis=1), softmax(scores).max(axis=1)
        for symbol, prob in zip(best.tolist(), probs.tolist(), strict=True):
            state = self._frame(symbol, prob, state, events)
        return events, state

    def finish(self, state: GreedyState) -> list[Event]:
        """The last utterance, if one is open."""
        return [self._final(state.runs)] if state.runs else []

    def _frame(self, symbol: int, prob: float, state: GreedyState, events: list[Event]) -> GreedyState:
        frame, runs, running = state.frame, state.runs, state.running
        if symbol == BLANK:
            running = False
            if runs and (frame - runs[-1].last) * self.frame_seconds >= self.silence:
                events.append(self._final(runs))
                runs = ()
        elif running and runs[-1].symbol == symbol:
            runs = (*runs[:-1], replace(runs[-1], last=frame, prob=max(prob, runs[-1].prob)))
        else:
            if runs and (frame - runs[0].first) * self.frame_seconds >= self.longest:
                events.append(self._final(runs))
                runs = ()
            runs = (*runs, Run(symbol, frame, frame, prob))
            running = True
            text = self.alphabet.decode(run.symbol for run in runs)
            events.append(Partial(text, self._time(frame + 1), len(text)))
        return GreedyState(frame + 1, runs, running)

    def _final(self, runs: tuple[Run, ...]) -> Final:
        labels = tuple(
            Label(
                self.alphabet.decode([run.symbol]), self._time(run.first), self._time(run.last + 1), round(run.prob, 4)
            )
            for run in runs
        )
        score = sum(label.prob for label in labels) / len(labels)
        text = self.alphabet.decode(run.symbol for run in runs).strip()
        return Final(text, labels[0].start, labels[-1].end, round(score, 4), labels)

    def _time(self, frame: int) -> float:
        return round(frame * self.frame_seconds, 4)

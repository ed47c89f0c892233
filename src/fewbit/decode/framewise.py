"""Framewise labels, for networks that classify every frame (gestures, sleep stages) instead of spelling text."""

from collections.abc import Sequence
from dataclasses import dataclass

from fewbit.decode.decoder import Scores, check_scores, softmax
from fewbit.decode.events import Event, Label

FrameState = tuple[int, int, int, float]
"""Frame number, class of the current run (-1: none), its first frame, sum of its probabilities."""


@dataclass(frozen=True)
class Framewise:
    """Emits a `Label` with the mean probability for every run of frames with the same best class.

    Args:
        names: names of the classes, in order.
        frame_seconds: time between two frames of scores.

    Examples:
        >>> import numpy as np
        >>> decoder = Framewise(["rest", "left"], frame_seconds=0.1)
        >>> scores = np.array([[3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
        >>> events, state = decoder.step(scores, decoder.init_state())
        >>> print([(event.name, event.end) for event in events + decoder.finish(state)])
        [('rest', 0.2), ('left', 0.3)]
    """

    names: Sequence[str]
    frame_seconds: float

    def init_state(self) -> FrameState:
        """State at the start of a stream."""
        return 0, -1, 0, 0.0

    def step(self, scores: Scores, state: FrameState) -> tuple[list[Event], FrameState]:
        """Labels of the runs that end within ``scores (frames, classes)``."""
        scores = check_scores(scores, len(self.names))
        events: list[Event] = []
        frame, running, first, total = state
        for symbol, prob in zip(scores.argmax(axis=1).tolist(), softmax(scores).max(axis=1).tolist(), strict=True):
            if symbol != running:
                events += self.finish((frame, running, first, total))
                running, first, total = symbol, frame, 0.0
            total += prob
            frame += 1
        return events, (frame, running, first, total)

    def finish(self, state: FrameState) -> list[Event]:
        """The label of the last run."""
        frame, running, first, total = state
        if running < 0:
            return []
        start, end = round(first * self.frame_seconds, 4), round(frame * self.frame_seconds, 4)
        return [Label(self.names[running], start, end, round(total / (frame - first), 4))]

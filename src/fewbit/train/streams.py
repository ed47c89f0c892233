"""Endless parallel streams of shuffled utterances."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fewbit.errors import ArgumentError, DataError

Augment = Callable[[Tensor, torch.Generator], Tensor]


class LabelledFrames(NamedTuple):
    """An utterance: ``frames (time, features)`` and its labels, without blanks; their positions are unknown.

    Examples:
        >>> import torch
        >>> utterance = LabelledFrames(torch.zeros(20, 8), labels=(3, 1, 2))
        >>> len(utterance.frames), len(utterance.labels)
        (20, 3)
    """

    frames: Tensor
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Placed:
    """Where an utterance lies: frames ``start .. stop - 1`` of a stream, counted from its first frame.

    number: of this appearance, from 1; index: of the utterance; seed: of its variation.

    Examples:
        >>> import torch
        >>> streams = UtteranceStreams([LabelledFrames(torch.zeros(5, 3), (1, 2))], streams=1)
        >>> frames, (first, second) = streams.read(8)
        >>> (first.start, first.stop), (second.start, second.stop)
        ((0, 5), (5, 10))
    """

    stream: int
    start: int
    stop: int
    number: int
    index: int
    seed: int


class UtteranceStreams:
    """Parallel streams, each an endless sequence of utterances.

    Utterances are shuffled, dealt to the streams, and shuffled again when all were dealt; the next one goes to the
    stream that ends first. The content does not depend on the number of frames per read.

    Args:
        utterances: what the streams are made of.
        streams: how many.
        gap: least and most frames between two utterances.
        filler: value of the frames in gaps.
        seed: of the order, the gaps and the variation.
        augment: ``(frames, generator) -> frames``, applied at every appearance of an utterance; it must draw from the
            given generator only.

    Raises:
        ArgumentError: there are no utterances or no streams, or `gap` is out of order.
        DataError: an utterance has no frames or another width, or a label is below 1.

    Examples:
        >>> import torch
        >>> utterances = [LabelledFrames(torch.zeros(length, 3), (1, 2)) for length in (5, 7, 9)]
        >>> streams = UtteranceStreams(utterances, streams=2, gap=(0, 3))
        >>> frames, placed = streams.read(100)
        >>> tuple(frames.shape), streams.labels(placed[0])
        ((2, 100, 3), (1, 2))
    """

    def __init__(
        self,
        utterances: Sequence[LabelledFrames],
        streams: int,
        *,
        gap: tuple[int, int] = (0, 0),
        filler: float = 0.0,
        seed: int = 0,
        augment: Augment | None = None,
    ) -> None:
        if not utterances or streams < 1:
            raise ArgumentError(
                f"UtteranceStreams: {len(utterances)} utterances, {streams} streams; wanted 1 or more of both"
            )
        if not 0 <= gap[0] <= gap[1]:
            raise ArgumentError(f"UtteranceStreams: wanted 0 <= least gap <= most gap, not {gap}")
        for index, (frames, labels) in enumerate(utterances):
            if frames.dim() != 2 or not len(frames) or frames.shape[1] != utterances[0].frames.shape[1]:
                raise DataError(
                    f"UtteranceStreams: utterance {index} has frames of shape {tuple(frames.shape)}, wanted "
                    f"(1 or more, {utterances[0].frames.shape[-1]})"
                )
            if any(label < 1 for label in labels):
                raise DataError(f"UtteranceStreams: labels of utterance {index} must be 1 or more, not {labels}")
        self.utterances, self.streams = utterances, streams
        self.gap, self.filler, self.augment = gap, filler, augment
        self.generator = torch.Generator().manual_seed(seed)
        self.position = 0
        self.drawn = 0
        self._order: list[int] = []
        self._ends = [0] * streams
        self._ahead: dict[Placed, Tensor] = {}  # what reaches beyond `position`, and its frames

    @property
    def features(self) -> int:
        """Width of a frame."""
        return int(self.utterances[0].frames.shape[1])

    @property
    def most_labels(self) -> int:
        """Number of labels of the utterance with the most."""
        return max(len(utterance.labels) for utterance in self.utterances)

    @property
    def epochs(self) -> float:
        """How many times the utterances have been read."""
        return self.drawn / len(self.utterances)

    def read(self, frames: int) -> tuple[Tensor, list[Placed]]:
        """The next frames ``(streams, frames, features)``, and the utterances that reach into them."""
        stop = self.position + frames
        while (end := min(self._ends)) < stop:
            self._deal(self._ends.index(end))
        chunk = torch.full((self.streams, frames, self.features), self.filler)
        for placed, sound in self._ahead.items():
            first, last = max(placed.start, self.position), min(placed.stop, stop)
            if first < last:
                piece = sound[first - placed.start : last - placed.start]
                chunk[placed.stream, first - self.position : last - self.position] = piece
        found = sorted((p for p in self._ahead if p.start < stop), key=lambda p: p.number)
        self._ahead = {placed: sound for placed, sound in self._ahead.items() if placed.stop > stop}
        self.position = stop
        return chunk, found

    def labels(self, placed: Placed) -> tuple[int, ...]:
        """Labels of an utterance."""
        return tuple(self.utterances[placed.index].labels)

    def state_dict(self) -> dict[str, Any]:
        """The position of the streams as plain values; save the state of `generator` with it."""
        ahead = [asdict(placed) for placed in self._ahead]
        plain = {"position": self.position, "drawn": self.drawn, "order": self._order, "ends": self._ends}
        return plain | {"ahead": ahead, "utterances": len(self.utterances)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved position.

        Raises:
            ArgumentError: the state belongs to other streams.
        """
        if (len(state["ends"]), state["utterances"]) != (self.streams, len(self.utterances)):
            raise ArgumentError(
                f"UtteranceStreams: the state has {len(state['ends'])} streams of {state['utterances']} utterances; "
                f"wanted {self.streams} of {len(self.utterances)}"
            )
        self.position, self.drawn = state["position"], state["drawn"]
        self._order, self._ends = list(state["order"]), list(state["ends"])
        places = [Placed(**fields) for fields in state["ahead"]]
        self._ahead = {placed: self._frames(placed.index, placed.seed) for placed in places}

    def _deal(self, stream: int) -> None:
        """Give a stream its next utterance."""
        if not self._order:
            self._order = torch.randperm(len(self.utterances), generator=self.generator).tolist()
        index = self._order.pop()
        gap = int(torch.randint(self.gap[0], self.gap[1] + 1, (), generator=self.generator))
        seed = int(torch.randint(2**62, (), generator=self.generator))
        frames = self._frames(index, seed)
        start = self._ends[stream] + gap
        self.drawn += 1
        self._ends[stream] = start + len(frames)
        self._ahead[Placed(stream, start, start + len(frames), self.drawn, index, seed)] = frames

    def _frames(self, index: int, seed: int) -> Tensor:
        frames = self.utterances[index].frames
        if self.augment is None:
            return frames
        varied = self.augment(frames, torch.Generator().manual_seed(seed))
        if varied.dim() != 2 or not len(varied) or varied.shape[1] != self.features:
            raise DataError(
                f"UtteranceStreams: augment turned {tuple(frames.shape)} into {tuple(varied.shape)}; wanted "
                f"(1 or more, {self.features})"
            )
        return varied

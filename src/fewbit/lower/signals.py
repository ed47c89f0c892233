"""Values of a torch network in a Program: a tensor holds numbers of the frames of an op, found by labels.

Every number of every frame has a label, ``t * size + i + 1`` for number ``i`` of frame ``t``; a negative label is the
number with its sign changed, 0 is a zero. A tensor of labels says where each of its numbers comes from, and operators
that move data are run on labels as they are: no rule of their own is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import LoweringError
from fewbit.lower.weights import Floats, SignalCodes
from fewbit.program.numerics import Integers

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Signal:
    """A tensor whose numbers are those of an emitted op, `name`."""

    name: str
    size: int
    codes: SignalCodes
    labels: Labels
    frames: int = 1


@dataclass(frozen=True)
class Pending:
    """A tensor whose op is not emitted yet: its readers decide about its scale.

    Its real values are ``clamp(gain * x + offset, low, high)`` for the values ``x`` that the op has by itself, with
    one gain and offset for each of `channels` neighbouring numbers of a frame. `emit` takes the codes that are wanted,
    gain, offset and the number of last frames that nobody reads, and gives the name of the op and the codes that it
    really has.

    spare: last frames that the op makes of padding only, and need not make.
    scalar_only: whether one gain for all, and no offset, is all that the op can take. reusable: whether it may be
    emitted several times (the input of a network, or an op that is there and is only brought to other codes).
    """

    size: int
    labels: Labels
    emit: Callable[[SignalCodes, Floats, Floats, int], tuple[str, SignalCodes]]
    channels: int = 1
    gain: Floats = field(default_factory=lambda: np.ones(1))
    offset: Floats = field(default_factory=lambda: np.zeros(1))
    low: float = -np.inf
    high: float = np.inf
    frames: int = 1
    spare: int = 0
    scalar_only: bool = False
    reusable: bool = False

    @property
    def is_clamped(self) -> bool:
        """Whether its values were cut off, so that nothing linear can be folded into it any more."""
        return bool(np.isfinite(self.low) or np.isfinite(self.high))

    def scaled(self, gain: Floats, offset: Floats) -> "Pending | None":
        """The same, times `gain` plus `offset`, real numbers in the shape of the tensor; ``None`` if it cannot."""
        if gain.size == 1 and offset.size == 1 and float(offset.flat[0]) == 0.0:
            factor = float(gain.flat[0])
            if self.is_clamped and factor < 0:
                return None
            low, high = self.low * factor, self.high * factor
            if not self.is_clamped:
                low, high = -np.inf, np.inf
            return replace(self, gain=self.gain * factor, offset=self.offset * factor, low=low, high=high)
        if self.is_clamped or self.scalar_only:
            return None
        by_channel = self._by_channel(gain, offset)
        if by_channel is None:
            return None
        more, shift = by_channel
        period = max(len(more), len(self.gain), len(self.offset))
        wide = [np.resize(vector, period) for vector in (self.gain, self.offset, more, shift)]
        return replace(self, gain=wide[0] * wide[2], offset=wide[1] * wide[2] + wide[3])

    def _by_channel(self, gain: Floats, offset: Floats) -> tuple[Floats, Floats] | None:
        """Numbers in the shape of the tensor as one for each channel, if all numbers of a channel agree."""
        shape = np.broadcast_shapes(gain.shape, offset.shape, self.labels.shape)
        labels = np.broadcast_to(self.labels, shape).reshape(-1)
        if (labels <= 0).any():
            return None
        channel = (labels - 1) % self.size % self.channels
        found = []
        for numbers in (gain, offset):
            flat = np.broadcast_to(numbers, shape).reshape(-1)
            vector = np.zeros(self.channels)
            vector[channel] = flat
            if not np.array_equal(vector[channel], flat):
                return None
            found.append(vector)
        return found[0], found[1]

    def clamped(self, low: float, high: float) -> "Pending | None":
        """The same, cut off at two ends; ``None`` if labels with minus signs forbid it."""
        if (self.labels < 0).any():
            return None
        return replace(self, low=max(self.low, low), high=min(self.high, max(high, self.low)))


@dataclass(frozen=True)
class Symbols:
    """Integers of the input: `places` of them in a frame, from `first` on."""

    first: int
    places: int
    labels: Labels
    frames: int


@dataclass(frozen=True)
class Scores:
    """The product of queries and keys before its softmax.

    seen: pairs ``(queries, keys)`` that count, or all.
    """

    queries: Any
    keys: Any
    scale: float = 1.0
    seen: NDArray[np.bool_] | None = None
    is_shares: bool = False


@dataclass(frozen=True)
class States:
    """The last states of the layers of a recurrent network, one op for each (and direction)."""

    names: tuple[str, ...]
    size: int
    codes: SignalCodes
    frames: int
    both_directions: bool = False


def fresh_labels(shape: Sequence[int], time: int | None, order: Sequence[int]) -> Labels:
    """Labels of a tensor whose frames hold its axes in `order`, one frame for each index of the axis `time`."""
    axes = [*([] if time is None else [time]), *order]
    count = int(np.prod(shape, dtype=np.int64))
    labels = np.arange(1, count + 1).reshape([shape[axis] for axis in axes])
    return np.transpose(labels, np.argsort(axes))


@dataclass(frozen=True)
class Frames:
    """How the frames of a tensor lie in those of an op.

    index: numbers of a frame, counted from 1 with signs. before, after: frames of zeros that come first and last.
    first: the frame of the op that the first of the tensor's frames is (behind the zeros).
    """

    index: Integers
    before: int
    after: int
    first: int
    count: int


def frames_of(labels: Labels, size: int, time: int | None, order: Sequence[int]) -> Frames:
    """The frames of a tensor with its axes in `order`.

    Raises:
        LoweringError: numbers of several frames of the op stand in one frame of the tensor.
    """
    axes = [*([] if time is None else [time]), *order]
    rows = np.transpose(labels, axes).reshape(1 if time is None else labels.shape[time], -1)
    zero = rows == 0
    some = ~zero.all(axis=1)
    if not some.any():
        raise LoweringError("all its numbers are zero")
    first, last = int(np.argmax(some)), len(some) - int(np.argmax(some[::-1]))
    place = np.abs(rows) - 1
    frame, index = place // size, np.where(zero, 0, (place % size + 1) * np.sign(rows))
    body = slice(first, last)
    if not (index[body] == index[first]).all():
        raise LoweringError("its numbers are ordered differently in every frame")
    shift = (frame[body] - np.arange(last - first)[:, None])[~zero[body]]
    if not (shift == shift[0]).all():
        raise LoweringError("it mixes frames of different times")
    return Frames(index[first], first, len(some) - last, int(shift[0]), last - first)

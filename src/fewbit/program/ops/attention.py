"""Attention: mixtures of values, weighted by how well their keys match a query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_FRAME_SIZE, MAX_KEYS, MAX_SCORE_PRODUCTS
from fewbit.program.numerics import Integers, Rescale, exp_weights, mixture
from fewbit.program.ops.base import Op, Step, Value, check_multipliers, demand
from fewbit.program.ops.norms import check_exponent


@dataclass(frozen=True, eq=False)
class Attend(Op):
    """Scaled dot-product attention of three inputs: queries, keys, values.

    Each of `heads` queries of `width` numbers meets the keys of its own group: `groups` heads of keys and values, each
    for ``heads / groups`` neighbouring heads of queries. With the exact scores ``s = q . k`` and their largest, weights
    are ``e = 2**-((largest - s) * multiplier / 2**shift)`` in Q15, and ``y = rescale(sum(e * v) / sum(e))`` with the
    mixture in Q15 of a code (`fewbit.program.numerics.mixture`).

    Three ways to choose the keys of a query: `places` above 0, those of the places of its own frame (``seen``, if not
    a single 1, has ``places * places`` entries that are 0 where a key is hidden); else `window_frames` above 0, those
    of its own frame and of the ``window_frames - 1`` before; else those of all frames, which must come in one chunk.

    State: keys and values of the last ``window_frames - 1`` frames.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> mean = Rescale(np.array([1]), 15, -128, 127)
        >>> op = ops.Attend("a", 1, 1, 1, 0, 2, 1024, 0, mean, np.array([1]))  # this frame and the one before
        >>> ones, values = np.ones((3, 1), np.int64), np.array([[10], [20], [60]])
        >>> op.run([ones, ones, values], op.start(), ops.Step())[0].tolist()  # equal scores: means
        [[10], [15], [40]]
    """

    heads: int
    groups: int
    width: int
    places: int
    window_frames: int
    multiplier: int
    shift: int
    rescale: Rescale
    seen: Integers

    kind: ClassVar[str] = "attend"

    @property
    def whole(self) -> bool:  # type: ignore[override]
        return self.places == 0 and self.window_frames == 0

    def value(self, inputs: Sequence[Value]) -> Value:
        demand(len(inputs) == 3, f"{self.name} reads {len(inputs)} values, wanted queries, keys and values")
        counts = (self.heads, self.groups, self.width)
        demand(
            all(1 <= count <= MAX_FRAME_SIZE for count in counts), "'heads', 'groups' and 'width' must be at least 1"
        )
        demand(self.heads % self.groups == 0, "'heads' is no multiple of 'groups'")
        demand(
            0 <= self.places <= MAX_FRAME_SIZE and 0 <= self.window_frames <= MAX_KEYS,
            "a count of keys is out of range",
        )
        places = max(self.places, 1)
        sizes = [places * self.width * count for count in (self.heads, self.groups, self.groups)]
        for value, size in zip(inputs, sizes, strict=True):
            demand(value.size == size, f"{value.name} gives {value.size} numbers a frame, {self.name} wants {size}")
            demand(value.fits_int16, f"{value.name} leaves 16 bits")
        hidden = len(self.seen) == self.places**2 and self.places > 0
        demand(hidden or self.seen.tolist() == [1], "'seen' has no entry for each pair of places")
        demand(bool(np.isin(self.seen, (0, 1)).all()), "'seen' holds more than 0 and 1")
        if hidden:
            demand(bool(self.seen.reshape(places, places).any(1).all()), "'seen' hides all keys of a place")
        check_exponent(self.multiplier, self.shift)
        check_multipliers("rescale", self.rescale, 1)
        demand(self.width * inputs[0].largest * inputs[1].largest < MAX_SCORE_PRODUCTS, "scores could pass 45 bits")
        return Value(sizes[0], self.rescale.low, self.rescale.high)

    def macs(self) -> int:
        keys = max(self.places, self.window_frames)
        return 2 * max(self.places, 1) * keys * self.heads * self.width

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return 2 * max(self.window_frames - 1, 0) * self.groups * self.width if not self.places else 0

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        return max(self.places, 1) * max(self.places, self.window_frames) * self.heads

    def start(self) -> Any:
        if not self.window_frames or self.places:
            return ()
        return (np.zeros((0, self.groups * self.width), np.int64),) * 2

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        if self.places:
            seen = np.ones((1, 1), bool) if len(self.seen) == 1 else self.seen.reshape(self.places, -1) > 0
            frames = [self._mix(q, k, v, seen) for q, k, v in zip(*xs, strict=True)]
            return self._frames(frames), state
        if self.whole:
            if not len(xs[0]):
                return xs[0], state
            q, k, v = xs
            return self._mix(q, k, v, np.ones((1, 1), bool)).reshape(len(q), -1), state
        q, keys, values = xs[0], *(np.concatenate(pair) for pair in zip(state, xs[1:], strict=True))
        before = len(state[0])
        frames = []
        for t in range(len(q)):
            near = slice(max(0, before + t + 1 - self.window_frames), before + t + 1)
            frames.append(self._mix(q[t : t + 1], keys[near], values[near], np.ones((1, 1), bool)))
        kept = max(0, len(keys) - (self.window_frames - 1))
        return self._frames(frames), (keys[kept:], values[kept:])

    def _frames(self, frames: list[Integers]) -> Integers:
        size = max(self.places, 1) * self.heads * self.width
        return np.concatenate([frame.reshape(1, size) for frame in frames] or [np.zeros((0, size), np.int64)])

    def _mix(self, q: Integers, k: Integers, v: Integers, seen: Any) -> Integers:
        """Queries, keys and values with one place after the other to mixtures of the shape of the queries."""
        shared = self.heads // self.groups
        queries = q.reshape(-1, self.groups, shared, self.width).transpose(1, 2, 0, 3)
        keys, values = (z.reshape(-1, self.groups, 1, self.width).transpose(1, 2, 0, 3) for z in (k, v))
        scores = queries @ keys.swapaxes(-1, -2)
        weights = exp_weights(scores, np.broadcast_to(seen, scores.shape), self.multiplier, self.shift)
        y = self.rescale(mixture(weights, values))
        return y.transpose(2, 0, 1, 3)

    def is_new(self) -> bool:
        return True

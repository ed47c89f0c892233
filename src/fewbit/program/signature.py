"""Inputs and results of a Program in the shapes of the network that it was made from.

An executor handles frames only: ``(time, size)``. A port says where an array of the network lies in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError, FileFormatError, LoweringError
from fewbit.native import is_available
from fewbit.native.library import fast_binding
from fewbit.program.limits import MAX_AXES, MAX_FRAME_SIZE


@dataclass(frozen=True)
class Port:
    """An array of the network, without its batch axis, among the numbers of a frame.

    Args:
        name: of the argument or result.
        shape: sizes of its axes; 0 for time, which has any length.
        time: which axis is time, or -1 where it has none: then it is the same in all frames of an input, and a result
            is that of the last frame.
        order: the other axes in the order in which their numbers lie in a frame.
        first: where in the frame they begin.
        symbols: whether they are indices, not features.
        fraction_bits: of results: 1.0 is ``2**fraction_bits``.
    """

    name: str
    shape: tuple[int, ...]
    time: int = -1
    order: tuple[int, ...] = ()
    first: int = 0
    symbols: bool = False
    fraction_bits: int = 10

    def __post_init__(self) -> None:
        axes = [axis for axis in range(len(self.shape)) if axis != self.time]
        fits = len(self.shape) <= MAX_AXES and sorted(self.order) == axes and -1 <= self.time < len(self.shape)
        sizes = all(0 < self.shape[axis] <= MAX_FRAME_SIZE for axis in axes)
        if not (fits and sizes and 0 <= self.first <= MAX_FRAME_SIZE and 0 <= self.fraction_bits <= 30):
            shape = f"{shortened(self.shape)}, time {shortened(self.time)}"
            raise LoweringError(f"the port {shortened(self.name)} has no consistent shape: {shape}")
        if self.size > MAX_FRAME_SIZE:
            raise LoweringError(f"the port {shortened(self.name)} has more than {MAX_FRAME_SIZE} numbers a frame")

    @cached_property
    def size(self) -> int:
        """Numbers of a frame."""
        return int(np.prod([self.shape[axis] for axis in self.order], dtype=object)) if self.order else 1

    @cached_property
    def _axes(self) -> tuple[int, ...]:
        """Axes of the array in the order of the frames, time first."""
        return (*([] if self.time == -1 else [self.time]), *self.order)

    @cached_property
    def _in_order(self) -> bool:
        """Whether the axes need no transposition; a call may take microseconds, so this is computed once."""
        return self._axes == tuple(range(len(self.shape)))

    @cached_property
    def _channels_first(self) -> bool:
        """Whether the first axis alone comes behind all others."""
        return len(self.shape) > 1 and self._axes == (*range(1, len(self.shape)), 0)

    @cached_property
    def _sizes(self) -> list[int]:
        return [self.shape[axis] for axis in self.order]

    def frames(self, x: Any) -> NDArray[np.float32]:
        """An array of the network as frames ``(time, size)``; one frame where it has no time.

        Raises:
            DecodeError: it has another shape, or does not hold numbers.
        """
        x = np.asarray(x)
        if not self._fits(x.shape):
            raise DecodeError(f"{self.name} has shape {x.shape}, wanted {self._wanted()} (no batch axis)")
        if x.dtype.kind not in ("iu" if self.symbols else "fiu"):
            kind = "integers (symbols)" if self.symbols else "real numbers"
            raise DecodeError(f"{self.name} holds {x.dtype}, wanted {kind}")
        frames = 1 if self.time == -1 else x.shape[self.time]
        if self._channels_first:
            return _last(x).reshape(frames, self.size)
        ordered = x if self._in_order else np.transpose(x, self._axes)
        return np.ascontiguousarray(ordered, np.float32).reshape(frames, self.size)

    def array(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """Frames of results ``(time, all numbers)`` as the array of the network."""
        if self.time == -1:
            if not len(frames):
                raise DecodeError(f"the input is too short: it gives no frame of {self.name}")
            if len(frames) > 1:
                frames = frames[-1:]
        if frames.shape[1] != self.size:
            frames = frames[:, self.first : self.first + self.size]
        part: NDArray[np.float64] = frames / float(1 << self.fraction_bits)
        shaped = part.reshape(self._sizes if self.time == -1 else [len(part), *self._sizes])
        return shaped if self._in_order else np.transpose(shaped, np.argsort(self._axes))

    def _fits(self, shape: tuple[int, ...]) -> bool:
        time = self.time
        if time == -1 or len(shape) != len(self.shape):
            return shape == self.shape
        return shape[:time] == self.shape[:time] and shape[time + 1 :] == self.shape[time + 1 :]

    def _wanted(self) -> str:
        sizes = ["time" if axis == self.time else str(size) for axis, size in enumerate(self.shape)]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "shape": list(self.shape),
            "order": list(self.order),
        }


@dataclass(frozen=True)
class Signature:
    """The ports of a Program."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def frames(self, xs: Sequence[Any]) -> NDArray[np.float32]:
        """The arguments of the network as frames of the Program.

        Raises:
            DecodeError: their number or a shape differs.
        """
        if len(xs) != len(self.inputs):
            names = ", ".join(port.name for port in self.inputs)
            raise DecodeError(f"the Program takes {len(self.inputs)} arrays ({names}), not {len(xs)}")
        if len(xs) == 1:
            return self.inputs[0].frames(xs[0])
        parts = [port.frames(x) for port, x in zip(self.inputs, xs, strict=True)]
        lengths = {len(part) for port, part in zip(self.inputs, parts, strict=True) if port.time != -1} or {1}
        if len(lengths) > 1:
            raise DecodeError(f"the inputs have different lengths in time: {sorted(lengths)}")
        (length,) = lengths
        # Without time, an input is the same in all frames.
        parts = [
            part if port.time != -1 else np.repeat(part, length, axis=0)
            for port, part in zip(self.inputs, parts, strict=True)
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def arrays(self, frames: NDArray[Any]) -> Any:
        """Frames of results as the network's result, or a tuple of them."""
        found = tuple(port.array(frames) for port in self.outputs)
        return found[0] if len(found) == 1 else found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "inputs": [port.to_dict() for port in self.inputs],
            "outputs": [port.to_dict() for port in self.outputs],
        }


def _last(x: NDArray[Any]) -> NDArray[np.float32]:
    """A contiguous copy with the first axis behind the others.

    NumPy copies the numbers of a place one by one, which for the few channels of an image takes longer than a layer.
    """
    channels, binding = x.shape[0], fast_binding() if is_available() else None
    y = np.empty((*x.shape[1:], channels), np.float32)
    if binding is not None and hasattr(binding, "interleave"):
        x = np.ascontiguousarray(x, np.float32)
        binding.interleave(x, y, channels, x.size // channels)
    else:
        y[...] = np.moveaxis(x, 0, -1)
    return y


def read_signature(record: Any) -> Signature:
    """The ports of a description.

    Raises:
        FileFormatError: a field is missing or wrong.
    """
    try:
        sides = [tuple(_read_port(port) for port in record[side]) for side in ("inputs", "outputs")]
        if not all(1 <= len(side) <= 64 for side in sides):
            raise ValueError("there are no ports")
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"the signature is not as it should be ({error}); the file is damaged") from error
    return Signature(*sides)


def _read_port(record: Any) -> Port:
    kinds = {"name": str, "time": int, "first": int, "symbols": bool, "fraction_bits": int}
    fields: dict[str, Any] = {key: record[key] for key in kinds}
    lists = {key: record[key] for key in ("shape", "order")}
    right = all(type(fields[key]) is kind for key, kind in kinds.items())
    right &= all(type(value) is list and all(type(each) is int for each in value) for value in lists.values())
    if not right:
        raise ValueError("a port has a field of another type")
    fields |= {key: tuple(value) for key, value in lists.items()}
    return Port(**fields)

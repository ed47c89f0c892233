"""The graph of a Program: which op reads which, what each gives, and how late.

A Program is a list of ops in topological order. An op that names no inputs reads the op before it. Frame ``j`` of any
value belongs to frame ``j`` of every other value of the same rate; `Timing` says how many frames of the Program's input
it needs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fewbit.errors import LoweringError
from fewbit.program.limits import MAX_FRAME_SIZE, MAX_INPUTS, MAX_RATE, MAX_TOTAL
from fewbit.program.ops import Lookup, Op, Quantize, Take, Value


@dataclass(frozen=True)
class Timing:
    """Frame ``j`` of a value is known once ``rate * j + late + 1`` frames of the Program's input are."""

    rate: int = 1
    late: int = 0

    def count(self, frames: int) -> int:
        """Frames of the value after so many frames of the input."""
        return max(0, (frames - 1 - self.late) // self.rate + 1)


@dataclass(frozen=True)
class Graph:
    """The ops, and for each of them the places of its inputs, its value, its timing, and how many frames wait.

    queues: for each input, how many of its frames wait at most for those of the other inputs.
    tails: frames that the end of the stream adds, at most: those held back, and those of padding.
    """

    ops: tuple[Op, ...]
    inputs: tuple[tuple[int, ...], ...]
    values: tuple[Value, ...]
    timings: tuple[Timing, ...]
    queues: tuple[tuple[int, ...], ...]
    tails: tuple[int, ...]

    @cached_property
    def features(self) -> int:
        """Numbers of a frame of the input."""
        return max(op.first + op.reads for op in self.ops if isinstance(op, Quantize | Lookup))

    @cached_property
    def late_frames(self) -> int:
        """Results that can come with the last frames, beyond the one for every ``rate`` of them.

        They are those that a lookahead holds back (`tails` of them, and what waited in queues), those that padding
        behind the last frame completes, and one that a stride had begun.
        """
        found: list[int] = []
        for op, places, queues in zip(self.ops, self.inputs, self.queues, strict=True):
            read = min((found[place] + queue for place, queue in zip(places, queues, strict=True)), default=0)
            found.append(-(-(read + op.window.right + op.window.stride - 1) // op.window.stride))
        return found[-1]

    @cached_property
    def whole(self) -> Op | None:
        """The first op that needs all frames at once, if there is one."""
        return next((op for op in self.ops if op.whole), None)


def make_graph(ops: Sequence[Op]) -> Graph:
    """Wire the ops, and check that they fit together.

    Raises:
        LoweringError: an input is missing or later, sizes differ, or streams of different rates meet.
    """
    if not ops:
        raise LoweringError("a Program needs at least one op")
    inputs = wire(ops)
    values: list[Value] = []
    timings: list[Timing] = []
    queues: list[tuple[int, ...]] = []
    tails: list[int] = []
    for i, (op, places) in enumerate(zip(ops, inputs, strict=True)):
        try:
            value = op.value([values[place] for place in places])
        except LoweringError as error:
            raise LoweringError(f"op {i} ({op.kind}): {error}") from error
        if not 1 <= value.size <= MAX_FRAME_SIZE:
            raise LoweringError(
                f"op {i} ({op.kind}): it gives {value.size} numbers a frame, wanted 1 to {MAX_FRAME_SIZE}"
            )
        values.append(replace(value, name=op.name))
        read = [timings[place] for place in places] or [Timing()]
        if len({timing.rate for timing in read}) > 1:
            raise LoweringError(f"{op.name} reads streams of different rates, {[timing.rate for timing in read]}")
        late = max(timing.late for timing in read)
        queues.append(tuple(-(-(late - timing.late) // timing.rate) for timing in read[: len(places)]))
        rate, window = read[0].rate, op.window
        timing = Timing(rate * window.stride, late + rate * (window.reach - 1 - window.left))
        if timing.rate > MAX_RATE or timing.late > MAX_RATE:
            raise LoweringError(f"{op.name} gives a frame for more than {MAX_RATE} frames of the input")
        timings.append(timing)
        tails.append(-(-(max([tails[place] for place in places], default=0) + window.right) // window.stride))
    for op, places in zip(ops, inputs, strict=True):
        for i in places:  # Take may join scores
            if not values[i].fits_int16 and not isinstance(op, Take):
                raise LoweringError(f"op {i} ({ops[i].kind}): its results leave 16 bits, as only scores may")
    check_total(ops, inputs, values, queues)
    return Graph(tuple(ops), tuple(inputs), tuple(values), tuple(timings), tuple(queues), tuple(tails))


def check_total(
    ops: Sequence[Op],
    inputs: Sequence[tuple[int, ...]],
    values: Sequence[Value],
    queues: Sequence[tuple[int, ...]],
) -> None:
    """Refuse sizes that need too much memory: a file of a few bytes can state any size."""
    total = state = 0
    for i, (op, places, value, waiting) in enumerate(zip(ops, inputs, values, queues, strict=True)):
        read = [values[place] for place in places]
        total += value.size
        state += op.state_numbers(read) + sum(n * each.size for n, each in zip(waiting, read, strict=True))
        for what, numbers in (
            ("all values of a frame have", total),
            ("the state has", state),
            ("a frame of it is made of", op.work_numbers(read)),
        ):
            if numbers > MAX_TOTAL:
                raise LoweringError(f"op {i} ({op.kind}): {what} {numbers} numbers, more than {MAX_TOTAL}")


def wire(ops: Sequence[Op]) -> list[tuple[int, ...]]:
    """Places of the inputs of each op."""
    named = {name for op in ops for name in op.inputs}
    repeated = [name for name, count in Counter(op.name for op in ops).items() if count > 1 and name in named]
    if repeated:
        raise LoweringError(f"several ops have the name {repeated[0]!r}, which another one reads")
    place: dict[str, int] = {}
    found: list[tuple[int, ...]] = []
    for i, op in enumerate(ops):
        if len(op.inputs) > MAX_INPUTS:
            raise LoweringError(f"{op.name} reads {len(op.inputs)} ops, more than {MAX_INPUTS}")
        if op.source:
            if op.inputs:
                raise LoweringError(f"{op.name} is a source and reads {op.inputs[0]!r}, wanted features")
            found.append(())
        elif op.inputs:
            missing = [name for name in op.inputs if name not in place]
            if missing:
                raise LoweringError(f"{op.name} reads {missing[0]!r}, and no op before it has that name")
            found.append(tuple(place[name] for name in op.inputs))
        elif i == 0:
            raise LoweringError(f"{op.name} is the first op and reads nothing, wanted a source such as 'quantize'")
        else:
            found.append((i - 1,))
        place[op.name] = i
    return found

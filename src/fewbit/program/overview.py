"""Inputs and results of a Program, how it runs, and the memory that it needs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fewbit.errors import TargetError
from fewbit.native import is_available
from fewbit.native.library import reference_wanted
from fewbit.program import ops
from fewbit.program.native_run import Native, fits
from fewbit.program.program import Program
from fewbit.program.signature import Port


@dataclass(frozen=True)
class Side:
    """An input or a result: the sizes of its axes, with ``"time"`` for time; no batch axis."""

    name: str
    shape: tuple[int | str, ...]
    symbols: bool = False

    def __str__(self) -> str:
        sizes = ", ".join(f"{size}" for size in self.shape) + ("," if len(self.shape) == 1 else "")
        return f"{self.name} ({sizes})" + (" of symbols" if self.symbols else "")


@dataclass(frozen=True)
class Overview:
    """The interface of a Program, and what it needs.

    timed: whether any array has time. whole: the op that needs the whole input at once, or ``None`` for a stream.
    lookahead, stride: in frames of the input. state_numbers: the most that a stream keeps. native_state_bytes,
    native_value_bytes, native_weight_bytes: memory in the native runtime of a stream, of all values of a frame, and of
    the weights; ``None`` if the runtime is not installed or does not run the network.
    """

    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]
    timed: bool
    whole: str | None
    lookahead: int
    stride: int
    state_numbers: int
    native_state_bytes: int | None = None
    native_value_bytes: int | None = None
    native_weight_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def overview(program: Program) -> Overview:
    """Inputs, results, timing and memory of a Program."""
    graph, signature = program.graph, program.signature
    if signature is None:
        symbols = all(isinstance(op, ops.Lookup) for op in graph.ops if op.source)
        inputs: Sequence[Side] = [Side("frames", ("time", program.inputs), symbols)]
        outputs: Sequence[Side] = [Side("scores", ("time", program.outputs))]
    else:
        inputs, outputs = ([_side(port) for port in side] for side in (signature.inputs, signature.outputs))
    state = 0
    for op, places, queues in zip(graph.ops, graph.inputs, graph.queues, strict=True):
        read = [graph.values[place] for place in places]
        state += op.state_numbers(read) + sum(n * each.size for n, each in zip(queues, read, strict=True))
    return Overview(
        tuple(inputs),
        tuple(outputs),
        any("time" in side.shape for side in (*inputs, *outputs)),
        None if graph.whole is None else graph.whole.name,
        program.lookahead,
        program.stride,
        state,
        *_native(program),
    )


def _side(port: Port) -> Side:
    shape = tuple("time" if axis == port.time else size for axis, size in enumerate(port.shape))
    return Side(port.name, shape, port.symbols)


def _native(program: Program) -> tuple[int | None, int | None, int | None]:
    if reference_wanted() or not is_available() or not fits(program.ops):
        return None, None, None
    try:
        run = Native(program.ops)
    except TargetError:  # the target that was asked for does not run here
        return None, None, None
    return run.init_state().nbytes, run.value_bytes, run.bytes

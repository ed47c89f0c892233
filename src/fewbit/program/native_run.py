"""The fast executor: the ops of a Program in the native runtime, with the integers of the reference.

A call with several frames is a multi-step execution: each matrix is read once for all of them (Sung, Park 2018, "Single
stream parallelization of recurrent neural networks", arXiv 1803.11389).
"""

import os
from collections.abc import Sequence
from ctypes import c_char_p, c_int32, c_int64, c_void_p
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError, LoweringError, TargetError
from fewbit.formats import PerGroup
from fewbit.native import NativeMatrix, is_available, tell_if_missing
from fewbit.native.handle import Handle
from fewbit.native.library import FieldsArgument, fast_binding, last_error, library, pointer, reference_wanted
from fewbit.program.fields import flatten
from fewbit.program.graph import Graph, make_graph
from fewbit.program.limits import MAX_BIAS, MAX_SUM
from fewbit.program.numerics import EXP_POINTS, FINE_TABLE, INT32, SINE_POINTS, TANH_TABLE, Integers
from fewbit.program.ops import Hierarchy, Matrix, Op, Parts, Value
from fewbit.program.reference import Reference

BLOCK = 64
"""Frames that go through an op at once, at most."""

_SKIPPING = {"kernels": 1, "nothing": 2, "columns": 3}
"""The numbers of ``fewbit_network_skip``."""

_REFUSALS = {
    -2: "the Program was given features that are NaN or infinite",
    -3: "the input is longer than the network's table of positions",
    -4: "the Program was given a symbol that is no integer in the range of its table",
    -5: "the state is damaged, or of another Program",
}


class Native:
    """Executor of a graph of ops in the native library.

    Args:
        ops: as those of a `Program`.
        target: an instruction set (`fewbit.native.targets`); default the best of this machine.
        threads: number of threads that share large products.
        block: frames that go through an op at once, at most.
        skip: which zeros convolutions leave out wherever they can, ``kernels``, ``columns`` or ``nothing``; default
            where that is faster. The integers are the same.

    Raises:
        TargetError: the library is missing, or the target does not run here.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        target: str | None = None,
        threads: int = 1,
        block: int = BLOCK,
        skip: Literal["kernels", "columns", "nothing"] | None = None,
    ) -> None:
        self._library, self._binding = library(), fast_binding()
        self._threads, self._block = threads, block
        graph = make_graph(ops)
        self._inputs, self._outputs = graph.features, graph.values[-1].size
        self._rate, self._late_frames = graph.timings[-1].rate, graph.late_frames
        _give_tables(self._library)
        made = self._library.fewbit_network_new(None if target is None else target.encode(), self._inputs)
        self._handle = Handle(made, self._library.fewbit_network_free)
        self._network = self._handle.address
        if skip is not None:
            self._library.fewbit_network_skip(self._network, _SKIPPING[skip])
        for op, places in zip(graph.ops, graph.inputs, strict=True):
            self._add(self._network, op, places, [graph.values[place] for place in places])
        self._state_size = int(self._library.fewbit_network_state_size(self._network))
        self._started = np.empty(self._state_size, np.int32)
        self._library.fewbit_network_start(self._network, self._started.ctypes.data)
        self.bytes = int(self._library.fewbit_network_bytes(self._network))
        """Memory of all weights."""
        self.target = str(self._library.fewbit_network_target(self._network).decode())

    @property
    def address(self) -> int:
        """The network in the library (``fewbit_network*``); it lives as long as the executor."""
        return self._network

    @property
    def value_bytes(self) -> int:
        """Memory of all values between ops for one frame."""
        return int(self._library.fewbit_network_value_bytes(self._network))

    def init_state(self) -> NDArray[np.int32]:
        """State at the start of a stream: one vector of integers, never changed by `step`."""
        return self._started.copy()

    def step(
        self, x: NDArray[np.float32], state: NDArray[np.int32], last: bool = False
    ) -> tuple[Integers, NDArray[np.int32]]:
        """Run a chunk ``(time, features)`` and return ``(frames out, size)`` with the new state.

        last: the stream ends with this chunk.

        Raises:
            DecodeError: a feature is not finite, a symbol is not in its table, or the state is of another network.
        """
        if len(state) != self._state_size:
            raise DecodeError(
                f"the state has {len(state)} numbers, wanted {self._state_size}: it is of another Program"
            )
        frames = len(x)
        x = np.ascontiguousarray(x)
        after = np.empty(self._state_size, np.int32)
        most = -(-frames // self._rate) + (self._late_frames if last else 0)
        y = np.empty((most, self._outputs), np.int64)
        if self._binding is not None:
            sizes = frames, self._inputs, most, self._outputs, self._state_size
            written = self._binding.step(
                self._network, *sizes, x, state, after, y, self._threads, self._block, int(last)
            )
        else:
            arrays = (x.ctypes.data, frames, state.ctypes.data, after.ctypes.data, y.ctypes.data, most)
            written = self._library.fewbit_network_step(self._network, *arrays, self._threads, self._block, int(last))
        if written in _REFUSALS:
            raise DecodeError(_REFUSALS[written])
        if written < 0:
            raise TargetError(last_error())
        return (y if written == most else y[:written]), after

    def _add(self, network: int, op: Op, places: Sequence[int], read: Sequence[Value]) -> None:
        """Append an op to a network of the library."""
        arguments = flatten(op)
        matrices = [_native_matrix(matrix) for matrix in arguments.matrices]
        chains = zip(arguments.parts, op.reads(read[0]), strict=True) if isinstance(op, Hierarchy) else ()
        parts = [self._part(network, chain, value) for chain, value in chains]
        numbers = (c_int64 * len(arguments.numbers))(*arguments.numbers)
        vectors = (c_void_p * len(arguments.vectors))(*(vector.ctypes.data for vector in arguments.vectors))
        lengths = (c_int64 * len(arguments.vectors))(*(len(vector) for vector in arguments.vectors))
        handles = (c_void_p * len(matrices))(*(matrix.address for matrix in matrices))
        networks = (c_void_p * len(parts))(*(part.address for part in parts))
        fields = FieldsArgument(
            numbers, len(numbers), vectors, lengths, len(lengths), handles, len(handles), networks, len(networks)
        )
        inputs = (c_int64 * len(places))(*places)
        done = self._library.fewbit_network_add(network, c_char_p(op.kind.encode()), inputs, len(inputs), fields)
        if done != 0:
            raise TargetError(f"{op.name} ({op.kind}): {last_error()}")

    def _part(self, network: int, chain: Parts, read: Value) -> Handle:
        """A network of integers for a chain inside of an op; its ops read the one before, the first its input."""
        made = self._library.fewbit_network_part(network, read.size, read.low, read.high)
        part = Handle(made, self._library.fewbit_network_free)
        for i, op in enumerate(chain):
            self._add(part.address, op, (i - 1,), [read])
            read = op.value([read])
        return part


def executor(ops: Sequence[Op]) -> Native | Reference:
    """The executor that ``FEWBIT_TARGET`` asks for, or the fastest one.

    Programs whose sums could pass 32 bits run on the reference; `fewbit.pack` never makes such a Program.
    """
    if reference_wanted():
        return Reference(ops)
    target = os.environ.get("FEWBIT_TARGET") or None
    if target is None and not is_available():
        tell_if_missing()
        return Reference(ops)
    return Native(ops, target) if fits(ops) else Reference(ops)


def fits(ops: Sequence[Op]) -> bool:
    """Whether no sum and no value of a Program can pass 32 bits."""
    try:
        graph = make_graph(ops)
    except LoweringError:
        return False
    return all(_fits(graph, i) for i in range(len(graph.ops)))


def _fits(graph: Graph, place: int) -> bool:
    op = graph.ops[place]
    given = graph.values[place]
    if not INT32[0] <= given.low <= given.high <= INT32[1]:
        return False
    up = getattr(op, "bias_bits", 0)
    for matrix, value in op.products([graph.values[i] for i in graph.inputs[place]]):
        most = int(np.abs(matrix.codes()).sum(1, dtype=np.int64).max()) * value.largest
        if not value.fits_int16 or most << up >= MAX_SUM:
            return False
        up = 0  # of the first product, the one with the input
    parts = [part for chain in op.chains for part in chain] if isinstance(op, Hierarchy) else [op]
    if isinstance(op, Hierarchy) and any(getattr(part, "bias_bits", 0) for part in parts):
        return False  # `products` does not say which part a product belongs to
    vectors = [bias for part in parts if (bias := getattr(part, "bias", None)) is not None]
    return all(np.abs(bias).max() <= MAX_BIAS for bias in vectors)


def _native_matrix(matrix: Matrix) -> NativeMatrix:
    group = matrix.per.size if isinstance(matrix.per, PerGroup) and matrix.group_scale is not None else 0
    return NativeMatrix(matrix.codes(), matrix.format, group, matrix.group_scale)


def _give_tables(opened: Any) -> None:
    """Give the library the tables of numerics.md, so that they are defined in one place."""
    tables = ((b"tanh", TANH_TABLE), (b"fine", FINE_TABLE), (b"exp", EXP_POINTS), (b"sine", SINE_POINTS))
    for name, table in tables:
        points = np.ascontiguousarray(table, np.int32)
        if opened.fewbit_set_table(name, pointer(points, c_int32), len(points)) != 0:
            raise TargetError(last_error())

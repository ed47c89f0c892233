"""The fast executor: the ops of a Program in the native runtime, with the integers of the reference."""

import os
from collections.abc import Sequence
from ctypes import c_float, c_int32
from functools import singledispatchmethod
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError, TargetError
from fewbit.formats import PerGroup
from fewbit.native import NativeMatrix, is_available, tell_if_missing
from fewbit.native.library import (
    LinearArgument,
    RescaleArgument,
    door,
    integers,
    last_error,
    library,
    pointer,
    reference_wanted,
)
from fewbit.program import ops
from fewbit.program.numerics import INT16, TANH_TABLE, Integers, Rescale
from fewbit.program.reference import Reference

LIMIT = 1 << 30
"""Sums of products, and biases, stay below it, so that both together fit 32 bits."""

BLOCK = 64
"""Frames that go through an op at once, at most."""


class Native:
    """Executor of a chain of ops in the native library.

    Args:
        chain: the ops; the first is `Quantize`.
        target: an instruction set (`fewbit.native.targets`); default the best of this machine.
        threads: that share large products.
        block: frames that go through an op at once, at most.

    Raises:
        TargetError: the library or the target is not to be had.
    """

    def __init__(
        self, chain: tuple[ops.Op, ...], target: str | None = None, threads: int = 1, block: int = BLOCK
    ) -> None:
        self._library, self._door = library(), door()
        self._threads, self._block = threads, block
        self._kept: list[Any] = []
        first = chain[0]
        assert isinstance(first, ops.Quantize)
        gain, offset = (np.ascontiguousarray(part, np.float32) for part in (first.gain, first.offset))
        table = integers(TANH_TABLE)
        self._checked(self._library.fewbit_set_tanh(pointer(table, c_int32), len(table)))
        self._network = self._library.fewbit_network_new(
            None if target is None else target.encode(),
            pointer(gain, c_float),
            pointer(offset, c_float),
            len(gain),
            first.low,
            first.high,
        )
        if not self._network:
            raise TargetError(last_error())
        for before, op in pairwise(chain):
            self._reach = ops.result_range(before)
            self._append(op)
        self._kept.clear()
        self._inputs, self._outputs = len(gain), ops.widths(chain[-1])[1]
        self._state_size = int(self._library.fewbit_network_state_size(self._network))
        self.bytes = int(self._library.fewbit_network_bytes(self._network))
        """Memory of all weights."""
        self.target = str(self._library.fewbit_network_target(self._network).decode())

    def __del__(self) -> None:
        if getattr(self, "_network", None):
            self._library.fewbit_network_free(self._network)

    @property
    def handle(self) -> int:
        """The network in the library (``fewbit_network*``); it lives as long as the executor."""
        return int(self._network)

    def init_state(self) -> NDArray[np.int32]:
        """State at the start of a stream: one vector of integers, never changed by `step`."""
        state = np.empty(self._state_size, np.int32)
        self._library.fewbit_network_start(self._network, state.ctypes.data)
        return state

    def step(self, x: NDArray[np.float32], state: NDArray[np.int32]) -> tuple[Integers, NDArray[np.int32]]:
        """Run a chunk ``(time, features)`` and return ``(frames out, classes)`` with the new state.

        Raises:
            DecodeError: a feature is NaN or infinite, or the state is of another network.
        """
        if len(state) != self._state_size:
            raise DecodeError(
                f"the state has {len(state)} numbers, wanted {self._state_size}: it is of another Program"
            )
        frames = len(x)
        x = np.ascontiguousarray(x)
        after = np.empty(self._state_size, np.int32)
        y = np.empty((frames, self._outputs), np.int64)
        if self._door is not None:
            sizes = frames, self._inputs, self._outputs, self._state_size
            written = self._door.step(self._network, *sizes, x, state, after, y, self._threads, self._block)
        else:
            arrays = (x.ctypes.data, frames, *(array.ctypes.data for array in (state, after, y)))
            written = self._library.fewbit_network_step(self._network, *arrays, self._threads, self._block)
        if written == -2:
            raise DecodeError("the Program was given features that are NaN or infinite")
        if written < 0:
            raise TargetError(last_error())
        return (y if written == frames else y[:written]), after

    @singledispatchmethod
    def _append(self, op: ops.Op) -> None:
        raise NotImplementedError(type(op).__name__)

    @_append.register
    def _(self, op: ops.Requantize) -> None:
        self._checked(self._library.fewbit_network_requantize(self._network, self._rescale(op.rescale)))

    @_append.register
    def _(self, op: ops.Dense) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        self._checked(self._library.fewbit_network_conv(self._network, linear, 1, 1))

    @_append.register
    def _(self, op: ops.Conv) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        self._checked(self._library.fewbit_network_conv(self._network, linear, op.kernel, op.stride))

    @_append.register
    def _(self, op: ops.SRU) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        output = op.cell_multiplier, op.skip_multiplier, op.shift, op.low, op.high
        self._checked(self._library.fewbit_network_sru(self._network, linear, op.hidden, *output))

    @_append.register
    def _(self, op: ops.QRNN) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        output = self._rescale(op.output)
        self._checked(self._library.fewbit_network_qrnn(self._network, linear, op.hidden, op.kernel, output))

    @_append.register
    def _(self, op: ops.LSTM) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        back = self._linear(op.weight_hidden, None, op.rescale_hidden)
        output = self._rescale(op.output)
        self._checked(self._library.fewbit_network_lstm(self._network, linear, back, op.hidden, output))

    @_append.register
    def _(self, op: ops.GRU) -> None:
        linear = self._linear(op.weight, op.bias, op.rescale)
        back = self._linear(op.weight_hidden, None, op.rescale_hidden)
        bias, output = self._held(op.bias_hidden), self._rescale(op.output)
        self._checked(self._library.fewbit_network_gru(self._network, linear, back, op.hidden, bias, output))

    @_append.register
    def _(self, op: ops.Hierarchy) -> None:
        parts: list[int] = []
        network = self._network
        try:
            for chain, reach in zip(op.chains, ops.chain_ranges(op, self._reach), strict=True):
                self._network = self._library.fewbit_network_part(network, ops.widths(chain[0])[0], *reach)
                if not self._network:
                    raise TargetError(last_error())
                parts.append(self._network)
                for part in chain:
                    self._append(part)
            boundaries = self._held(op.boundaries)
            self._checked(
                self._library.fewbit_network_hierarchy(network, boundaries, len(op.boundaries), op.direct, *parts)
            )
        finally:
            self._network = network
            for handle in parts:
                self._library.fewbit_network_free(handle)

    def _linear(self, weight: ops.Matrix, bias: Integers | None, rescale: Rescale) -> LinearArgument:
        group = weight.per.size if isinstance(weight.per, PerGroup) and weight.group_scale is not None else 0
        matrix = NativeMatrix(weight.codes(), weight.format, group, weight.group_scale)
        self._kept.append(matrix)
        return LinearArgument(matrix.handle, None if bias is None else self._held(bias), self._rescale(rescale))

    def _rescale(self, rescale: Rescale) -> RescaleArgument:
        multiplier = self._held(rescale.multiplier)
        return RescaleArgument(multiplier, len(rescale.multiplier), rescale.shift, rescale.low, rescale.high)

    def _held(self, array: Any) -> Any:
        """A pointer to a copy that lives until the library has made its own."""
        self._kept.append(integers(array))
        return pointer(self._kept[-1], c_int32)

    def _checked(self, result: int) -> None:
        if result != 0:
            raise TargetError(last_error())


def executor(chain: tuple[ops.Op, ...]) -> Native | Reference:
    """The executor that ``FEWBIT_TARGET`` asks for, or the fastest one.

    Chains that the native runtime does not take (sums that could pass 32 bits, which `fewbit.pack` never makes) run
    on the reference.
    """
    if reference_wanted():
        return Reference(chain)
    target = os.environ.get("FEWBIT_TARGET") or None
    if target is None and not is_available():
        tell_if_missing()
        return Reference(chain)
    return Native(chain, target) if fits(chain) else Reference(chain)


def fits(chain: tuple[ops.Op, ...]) -> bool:
    """Whether no sum of a chain can pass 32 bits."""
    if not isinstance(chain[0], ops.Quantize):
        return False
    return _fits(chain[1:], ops.result_range(chain[0]))


def _fits(chain: Sequence[ops.Op], reach: tuple[int, int]) -> bool:
    for op in chain:
        if isinstance(op, ops.Hierarchy):
            if not all(_fits(*part) for part in zip(op.chains, ops.chain_ranges(op, reach), strict=True)):
                return False
            reach = ops.result_range(op)
            continue
        inputs = [reach, ops.result_range(op)]  # the hidden half takes what the op gives
        for matrix, (low, high) in zip(ops.matrices(op), inputs, strict=False):
            if low < INT16[0] or high > INT16[1] or int(np.abs(matrix.codes()).sum(1).max()) * max(-low, high) >= LIMIT:
                return False
        if np.abs(getattr(op, "bias", np.zeros(1, np.int64))).max() > LIMIT:
            return False
        reach = ops.result_range(op)
    return True

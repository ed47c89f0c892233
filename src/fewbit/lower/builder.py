"""The Program under construction: the ops so far, and what each node of the traced network is in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import fx

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.lower.attended import largest_code
from fewbit.lower.observed import Observed
from fewbit.lower.signals import Frames, Labels, Pending, Signal, frames_of, fresh_labels
from fewbit.lower.times import phases_of, whole_table
from fewbit.lower.weights import Floats, SignalCodes, codes_of, read_signal, to_float
from fewbit.program import ops
from fewbit.program.limits import MAX_BIAS
from fewbit.program.numerics import INT16, INT32, Integers, Rescale, rescale_from

BITS = 16
"""Of signals without a quantizer."""
MARGIN = 1.5
"""How far the range of such a signal reaches beyond the largest value that the examples gave."""
SCORE_BITS = 20
"""Results have so many bits for the largest value of the examples, so that 11 are left for larger ones."""


@dataclass(frozen=True)
class Choices:
    """Settings of the arithmetic that the caller of `pack` may choose.

    context: frames that causal attention sees; default those of the example. hidden_bits: of the hidden states of
    `torch.nn.LSTM` and `torch.nn.GRU`. fraction_bits: of results; default as fine as their range allows.
    """

    context: int | None = None
    hidden_bits: int = BITS
    fraction_bits: int | None = None


class Builder:
    """The ops so far, and a value for each node: `Signal`, `Pending`, a list of them, or a type of a rule's own."""

    def __init__(self, network: Observed, choices: Choices) -> None:
        self.network = network
        self.choices = choices
        self.state_inputs: set[fx.Node] = set()
        self.ops: list[ops.Op] = []
        self.values: dict[fx.Node, Any] = {}
        self._names: set[str] = set()
        self._made: dict[Any, Any] = {}

    # -- ops

    def name(self, node: fx.Node | None, suffix: str = "") -> str:
        """A name that no op has yet: the path of the node's module, with a suffix if needed."""
        path = self.network.path(node) if node is not None else ""
        base = ".".join(part for part in (path, suffix) if part) or (node.name if node is not None else "op")
        if base in self._names and node is not None and not suffix:
            base = f"{base}.{node.name}"
        found, count = base, 2
        while found in self._names:
            found, count = f"{base}.{count}", count + 1
        return found

    def reserve(self, name: str) -> None:
        """Keep a name for an op that comes later."""
        self._names.add(name)

    def add(self, op: ops.Op) -> str:
        """Append an op and return its name."""
        self._names.add(op.name)
        self.ops.append(op)
        return op.name

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """The result of `make` for this key, computed once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    # -- codes that are wanted

    def wanted(self, node: fx.Node) -> SignalCodes:
        """The codes for a node: those of the one quantizer that reads it, else 16 bits for its range."""
        readers = list(self.network.readers(node))
        found = {self._read_as(reader) for reader in readers}
        if len(found) == 1 and None not in found:
            return next(codes for codes in found if codes is not None)
        if readers and all(reader.op == "output" for reader in readers):
            return self.result_codes(node)
        return self.by_range(node)

    def result_codes(self, node: fx.Node) -> SignalCodes:
        """Codes of a result of the network: 32 bits, or 16 for a first frame, which an op holds."""
        if self._is_first_frame(node):
            return SignalCodes(2.0 ** np.ceil(np.log2(self.by_range(node).step)), *INT16)
        value = self.values.get(node)
        is_turned = isinstance(value, Signal | Pending) and bool((value.labels < 0).any())
        return SignalCodes(2.0 ** -self.result_bits(node), -INT32[1] if is_turned else INT32[0], INT32[1])

    def _is_first_frame(self, node: fx.Node) -> bool:
        """Whether a node without time is the first frame of a stream."""
        value = self.values.get(node)
        if self.network.time is None or self.network.time_of(node) is not None:
            return False
        return (
            isinstance(value, Signal | Pending) and value.frames > 1 and int(np.abs(value.labels).max()) <= value.size
        )

    def _read_as(self, reader: fx.Node) -> SignalCodes | None:
        """The codes in which a node reads its input, if a quantizer says so."""
        quantizer, layer = self.network.quantizer(reader), self.network.layer(reader)
        if quantizer is not None:
            return codes_of(quantizer)
        match layer:  # whose quantizers are inside
            case layers.QRNN():
                return read_signal(layer.gates)
            case layers.HLSTM():
                return read_signal(layer.input)
        return None

    def by_range(self, node: fx.Node) -> SignalCodes:
        """16-bit codes for the range of the examples; fewer bits if only attention reads them."""
        if self.network.is_made_up:
            raise LoweringError(
                "its result has no quantizer, and there are no examples to choose its range from: give pack "
                "example=batches, or add activations='int8' to Quantize"
            )
        largest = self.network.largest.get(node, 0.0)
        most = largest_code(self.network, node)
        low = INT16[0] if most == INT16[1] else -most
        return SignalCodes(max(largest * MARGIN / most, 1e-12), low, most)

    def result_bits(self, node: fx.Node) -> int:
        """Fractional bits of a result, with headroom for values far beyond those of the examples."""
        if self.choices.fraction_bits is not None:
            return self.choices.fraction_bits
        largest = max(self.network.largest.get(node, 1.0), 1e-9)
        return int(np.clip(SCORE_BITS - np.ceil(np.log2(largest)), 0, 30))

    # -- signals

    def pending(self, node: fx.Node) -> Pending:
        """A node's numbers as a pending op, into which the next operations may be folded."""
        value = self.values[node]
        if isinstance(value, Pending) and (value.reusable or self.network.has_one_reader(node)):
            return value
        return self.reopened(self.signal(node))

    def reopened(self, signal: Signal, reader: str = "") -> Pending:
        """An emitted signal as a pending value, which a further op brings to other codes, gains and limits.

        reader: name of the op that brings it to the codes of what reads it.
        """

        def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
            plain = replace(signal, labels=np.zeros(0, np.int64))
            return self._affine(plain, codes, gain, offset, reader)

        return Pending(signal.size, signal.labels, emit, channels=signal.size, frames=signal.frames, reusable=True)

    def _affine(
        self, signal: Signal, codes: SignalCodes, gain: Floats, offset: Floats, reader: str = ""
    ) -> tuple[str, SignalCodes]:
        factor = gain * signal.codes.step / codes.step
        if not offset.any() and np.ptp(factor) == 0:
            if factor.flat[0] == 1 and codes.low <= signal.codes.low and signal.codes.high <= codes.high:
                return signal.name, replace(signal.codes, step=codes.step)
            rescale = rescale_from(float(factor.flat[0]), codes.low, codes.high)
            key = ("requantize", signal.name, codes, float(factor.flat[0]))
            made: tuple[str, SignalCodes] = self.once(key, lambda: self._requantize(signal, rescale, codes, reader))
            return made
        name = self.name(None, f"{signal.name}.affine")
        return self.sum(name, [signal], [factor], offset / codes.step, codes), codes

    def _requantize(self, signal: Signal, rescale: Rescale, codes: SignalCodes, reader: str) -> tuple[str, SignalCodes]:
        name = self.name(None, reader or f"{signal.name}.codes")
        if codes.low < INT16[0] or codes.high > INT16[1]:  # scores
            factor = float(rescale.multiplier[0]) / 2.0**rescale.shift
            return self.sum(name, [signal], [np.array([factor])], np.zeros(1), codes), codes
        return self.add(ops.Requantize(name, signal.size, rescale, inputs=(signal.name,))), codes

    def sum(
        self, name: str, signals: Sequence[Signal], factors: Sequence[Floats], bias: Floats, codes: SignalCodes
    ) -> str:
        """Emit the sum of signals, each times real factors, plus a bias in codes; returns its name."""
        period = max(len(factor) for factor in factors)
        fine = np.concatenate([np.resize(factor, period) for factor in factors]) * 256
        rescale = rescale_from(fine, codes.low, codes.high)
        offset = np.clip(np.rint(np.atleast_1d(bias) * 256), -MAX_BIAS, MAX_BIAS).astype(np.int64)
        inputs = tuple(signal.name for signal in signals)
        return self.add(ops.Sum(name, rescale.multiplier, rescale.shift, offset, codes.low, codes.high, inputs=inputs))

    def recoded(self, signal: Signal, codes: SignalCodes) -> tuple[str, SignalCodes]:
        """An emitted signal's numbers in other codes: the name of the op that has them, and its codes."""
        return self._affine(signal, codes, np.ones(1), np.zeros(1))

    def signal(self, node: fx.Node, codes: SignalCodes | None = None, reader: str = "") -> Signal:
        """A node's numbers as those of an emitted op, of the codes that its readers want or, if given, of `codes`.

        reader: name of an op that is needed to bring it to those.
        """
        value = self.values.get(node)
        if not isinstance(value, Signal | Pending):
            raise LoweringError(f"{_kind(value)} is used where a signal is wanted")
        if isinstance(value, Pending):
            usual = self.wanted(node)
            if value.reusable and codes is not None:
                usual = codes
            found = self.emitted(value, usual)
            if not value.reusable:
                self.values[node] = found
            value = found
        if codes is None or codes == value.codes:
            return value
        if np.isclose(codes.step, value.codes.step, rtol=1e-9, atol=0) and (
            codes.low <= value.codes.low and value.codes.high <= codes.high
        ):
            return value
        return self.emitted(self.reopened(value, reader), codes)

    def emitted(self, pending: Pending, codes: SignalCodes) -> Signal:
        """The signal of a pending op with these codes, clamped as the pending values are."""
        low, high = codes.low, codes.high
        if np.isfinite(pending.low):
            low = max(low, int(np.ceil(pending.low / codes.step - 0.5)))
        if np.isfinite(pending.high):
            high = min(high, int(np.floor(pending.high / codes.step + 0.5)))
        limited = SignalCodes(codes.step, min(low, codes.high), max(high, codes.low))
        used = 0 if not pending.labels.size else int((np.abs(pending.labels).max() - 1) // pending.size) + 1
        unread = pending.frames - used if self.network.time is not None else 0
        unread = unread if unread <= pending.spare else 0
        name, real = pending.emit(limited, pending.gain, pending.offset, unread)
        return Signal(name, pending.size, real, pending.labels, pending.frames - unread)

    # -- frames

    def frames(self, signal: Signal, time: int | None, order: Sequence[int]) -> tuple[Signal, Frames]:
        """A signal whose frames are exactly the tensor's numbers in `order`, and how they lie in time."""
        found = frames_of(signal.labels, signal.size, time, order)
        return self.taken(signal, found.index), found

    def still(self, signal: Signal, time: int | None, order: Sequence[int]) -> Signal:
        """The frames of a signal that has not moved in time.

        Raises:
            LoweringError: the frames are not those of the op, one for one.
        """
        if time is None:
            return self._timeless(signal, order)
        taken, found = self.frames(signal, time, order)
        if found.before or found.after or found.first or found.count != signal.frames:
            raise LoweringError(
                f"its frames are moved in time ({found.before} zeros before, {found.after} after, first frame "
                f"{found.first}), which only a convolution or a pooling may read"
            )
        return taken

    def result_frames(self, signal: Signal, time: int | None, found: Frames) -> Signal:
        """The frames of a result, with all bits of its numbers."""
        if time is None and self.network.time is not None and found.first not in (0, signal.frames - 1):
            raise LoweringError("it takes a frame from the middle of the input, which a stream cannot address")
        taken = self.taken(signal, found.index, wide=True)
        if time is None and self.network.time is not None and signal.frames > 1 and found.first == 0:
            return replace(
                taken, name=self.add(ops.First(self.name(None, f"{taken.name}.first"), inputs=(taken.name,)))
            )
        return taken

    def _timeless(self, signal: Signal, order: Sequence[int]) -> Signal:
        """Numbers of one frame: the only one, the last of a stream, or the first, which is held."""
        taken, found = self.frames(signal, None, order)
        if self.network.time is None or signal.frames == 1 or found.first == signal.frames - 1:
            return taken
        if found.first == 0:
            name = self.once(
                ("first", taken.name),
                lambda: self.add(ops.First(self.name(None, f"{taken.name}.first"), inputs=(taken.name,))),
            )
            return replace(taken, name=name)
        raise LoweringError("it takes a frame from the middle of the input, which a stream cannot address")

    def taken(self, signal: Signal, index: Integers, wide: bool = False) -> Signal:
        """A signal of numbers of another one's frames, counted from 1 with signs; 16 bits of them, unless `wide`."""
        low, high = signal.codes.low, signal.codes.high
        if len(index) == signal.size and np.array_equal(index, np.arange(1, signal.size + 1)):
            return replace(signal, labels=np.zeros(0, np.int64))
        if wide and (index < 0).any() and low < -INT32[1]:
            signal = self.emitted(self.reopened(signal), SignalCodes(signal.codes.step, -INT32[1], INT32[1]))
            low, high = -INT32[1], INT32[1]
        if (index < 0).any():
            low, high = min(low, -high), max(high, -low)
            if low < -high and signal.codes.low == INT16[0]:
                signal = self.emitted(self.reopened(signal), SignalCodes(signal.codes.step, -INT16[1], INT16[1]))
                low, high = -INT16[1], INT16[1]
        if (low < INT16[0] or high > INT16[1]) and not wide:
            signal = self.emitted(self.reopened(signal), SignalCodes(signal.codes.step, -INT16[1], INT16[1]))
            low, high = -INT16[1], INT16[1]

        def make() -> str:
            name = self.name(None, f"{signal.name}.take")
            return self.add(ops.Take(name, *repeated(index), inputs=(signal.name,)))

        name = self.once(("take", signal.name, index.tobytes()), make)
        codes = SignalCodes(signal.codes.step, low, high)
        return Signal(name, len(index), codes, np.zeros(0, np.int64), signal.frames)

    def moving_constant(self, node: fx.Node, constant: Any, beside: fx.Node) -> Signal | None:
        """A constant that changes with time as a signal with the frames of `beside`, or ``None`` if it does not.

        It is a table of positions, or sines of time, which never end.
        """
        time = self.network.time_of(constant) if isinstance(constant, fx.Node) else None
        if time is None:
            return None
        value = self.network.constant(constant)
        rows = np.moveaxis(to_float(value), time, 0).reshape(value.shape[time], -1)
        if (rows == rows[:1]).all():
            return None
        reader = self.signal(beside)
        key = ("clock", reader.name, rows.tobytes(), rows.shape)
        name, codes = self.once(key, lambda: self._clock(node, constant, rows, reader))
        labels, frames = self.fresh(constant, [axis for axis in range(value.dim()) if axis != time])
        return Signal(name, rows.shape[1], codes, labels, frames)

    def _clock(self, node: fx.Node, constant: fx.Node, rows: Floats, reader: Signal) -> tuple[str, SignalCodes]:
        found = phases_of(rows)
        name = self.name(None, f"{self.network.path(node)}.time" if self.network.path(node) else "time")
        if found is not None:
            rescale = rescale_from(1 / 4096, *INT16)
            turn, begin = found
            return self.add(ops.Phases(name, turn, begin, rescale, inputs=(reader.name,))), SignalCodes(
                1 / INT16[1], *INT16
            )
        rows = whole_table(self.network, constant, rows)
        step = max(float(np.abs(rows).max()) / INT16[1], 1e-12)
        points = np.rint(rows / step).astype(np.int16)
        op = ops.Positions(name, points.shape[1], points.reshape(-1), inputs=(reader.name,))
        return self.add(op), SignalCodes(step, int(points.min()), int(points.max()))

    def plain_order(self, node: fx.Node) -> list[int]:
        """All axes of a node's tensor but time."""
        time = self.network.time_of(node)
        return [axis for axis in range(len(self.network.shape(node))) if axis != time]

    def natural_order(self, node: fx.Node, labels: Labels) -> list[int]:
        """The order of axes in which a tensor's numbers lie in their frames, so that nothing has to be moved."""
        plain = self.plain_order(node)
        if labels.ndim != len(self.network.shape(node)) or not labels.size or (labels <= 0).any():
            return plain
        origin = (0,) * labels.ndim
        strides = {}
        for axis in plain:
            if labels.shape[axis] == 1:
                strides[axis] = np.inf
                continue
            next_one = tuple(int(i == axis) for i in range(labels.ndim))
            strides[axis] = float(labels[next_one] - labels[origin])
        if any(stride <= 0 for stride in strides.values()):
            return plain
        return sorted(plain, key=lambda axis: (-strides[axis], axis))

    def fresh(self, node: fx.Node, order: Sequence[int]) -> tuple[Labels, int]:
        """Labels for the result of an op whose frames hold the node's axes in `order`, and how many frames."""
        shape, time = self.network.shape(node), self.network.time_of(node)
        return fresh_labels(shape, time, order), 1 if time is None else shape[time]


def _kind(value: Any) -> str:
    return {"Scores": "a matrix of attention scores", "list": "a tuple of tensors"}.get(
        type(value).__name__, "a value that the Program does not have"
    )


def repeated(index: Integers) -> tuple[Integers, int, int]:
    """An index as its shortest part that repeats itself further on, how often, and how far on."""
    size, sign = len(index), np.sign(index)
    for period in (n for n in range(1, size // 2 + 1) if size % n == 0):
        rows, signs = np.abs(index).reshape(-1, period), sign.reshape(-1, period)
        if not (signs == signs[0]).all():
            continue
        steps = (rows - rows[0])[:, signs[0] != 0]
        stride = int(steps[1, 0]) if steps.size else 0
        if stride >= 0 and (steps == np.arange(len(rows))[:, None] * stride).all():
            return index[:period].astype(np.int64), size // period, stride
    return index.astype(np.int64), 1, 0

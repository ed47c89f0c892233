"""From a torch module to integer ops: one rule for each kind of layer.

A layer with weights leaves an *open* op behind: integer products and what they are worth in real numbers. What comes
after decides how it is closed. Batch normalisation and ReLU change the open op; the input quantizer of the next layer
names the codes that it must give; at the end of the network its results become scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from typing import Any

import numpy as np
from torch import nn

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.formats import FixedPoint
from fewbit.lower.graph_cells import cell_of
from fewbit.lower.weights import Floats, SignalCodes, Weight, integer_bias, read_signal, read_weight, to_float
from fewbit.program import ops
from fewbit.program.graph import make_graph
from fewbit.program.numerics import (
    INT16,
    INT32,
    MAX_MULTIPLIER,
    Q10,
    Q12,
    Q15,
    Integers,
    Rescale,
    rescale_from,
    shared_shift,
)
from fewbit.quant import input_quantizer


@dataclass(frozen=True)
class OpenProduct:
    """Products that nobody has rescaled yet: ``acc * scale + bias`` are their real values, per row."""

    weight: Weight
    scale: Floats
    bias: Floats
    make: Callable[[ops.Matrix, Integers, Rescale], ops.Op]
    relu: bool = False

    def close(self, step: float, low: int, high: int) -> ops.Op:
        """The finished op, whose results are multiples of `step`."""
        matrix, scale, bias = integer_bias(self.weight, self.scale, self.bias)
        return self.make(matrix, bias, rescale_from(scale / step, low, high))


@dataclass(frozen=True)
class OpenRecurrence:
    """Results of an elementwise recurrence that nobody has rescaled yet."""

    make: Callable[[float, int, int], ops.Op]
    relu: bool = False

    def close(self, step: float, low: int, high: int) -> ops.Op:
        """The finished op, whose results are multiples of `step`."""
        return self.make(step, low, high)


@dataclass
class Lowering:
    """Builds the chain of ops while it walks through the modules of a network.

    The value between two modules is in one of three states: float features (with a pending normalisation), an open op,
    or codes with a known step.
    """

    chain: list[ops.Op] = field(default_factory=list)
    normalize: tuple[Floats, Floats] | None = None
    open: OpenProduct | OpenRecurrence | None = None
    signal: SignalCodes | None = None
    name: str = ""

    def add(self, name: str, module: nn.Module) -> None:
        """Lower one module.

        Raises:
            LoweringError: there is no integer form of it; the message says what would help.
        """
        self.name = name
        try:
            reader = _reader(module)
            signal = read_signal(reader)
            if signal is not None:
                self._codes(signal, reader)
            self.lower(module)
        except LoweringError as error:
            raise LoweringError(f"{name} ({type(module).__name__.removeprefix('Parametrized')}): {error}") from error

    def finish(self) -> list[ops.Op]:
        """Close the last op as scores and return the chain."""
        if self.open is None:
            raise LoweringError("the network does not end in a layer with weights whose results could be scores")
        self._close(1 / Q10, *INT32)
        return self.chain

    def _close(self, step: float, low: int, high: int) -> None:
        assert self.open is not None
        self.chain.append(self.open.close(step, max(low, 0) if self.open.relu else low, high))
        self.open = None

    def _codes(self, signal: SignalCodes, reader: nn.Module) -> None:
        """Bring the current value to the codes of `signal`, which `reader` reads."""
        low, high = signal.low, signal.high
        if self.open is not None:
            self._close(signal.step, low, high)
        elif self.signal is not None:
            if self.signal != signal:
                rescale = rescale_from(self.signal.step / signal.step, low, high)
                width = make_graph(self.chain).values[-1].size
                self.chain.append(ops.Requantize(f"{self.name}.input", width, rescale))
        else:
            mean, std = self.normalize or _identity(reader)
            gain = (1 / (std * signal.step)).astype(np.float32)
            offset = (-mean / (std * signal.step)).astype(np.float32)
            self.chain.append(ops.Quantize("input", gain, offset, low, high))
        self.signal = signal

    def _scale(self, weight: Weight) -> Floats:
        """Real value of 1 in the accumulators."""
        signal = self._input()
        signal.check_sums(weight)
        return weight.scale * signal.step

    def _input(self) -> SignalCodes:
        if self.signal is None or self.open is not None:
            raise LoweringError("its input is not quantized; add activations='int8' to Quantize")
        return self.signal

    @singledispatchmethod
    def lower(self, module: nn.Module) -> None:
        """The rule for a kind of module; `self.signal` describes its input codes if these are known."""
        raise LoweringError(
            "no integer op is known for this layer; Programs are made of Linear, ReLU, Dropout and the layers "
            "of fewbit.nn"
        )

    @lower.register(nn.Dropout)
    @lower.register(layers.MacroBlockDropout)
    @lower.register(nn.Identity)
    @lower.register(layers.Signal)
    def _(self, module: nn.Module) -> None:
        return

    @lower.register
    def _(self, module: layers.Normalize) -> None:
        if self.chain or self.open is not None or self.normalize is not None:
            raise LoweringError("one Normalize belongs at the start of the network, and no second one")
        self.normalize = to_float(module.mean), to_float(module.std)

    @lower.register
    def _(self, module: layers.OneHot) -> None:
        if self.chain or self.open is not None:
            raise LoweringError("one hot symbols are the input of a network, not what a layer gives")
        self.normalize = np.zeros(module.classes), np.ones(module.classes)

    @lower.register(nn.BatchNorm1d)
    def _(self, module: nn.BatchNorm1d) -> None:
        product = self.open
        statistics = module.running_mean is not None and module.running_var is not None
        if not isinstance(product, OpenProduct) or product.relu or not statistics:
            raise LoweringError("batch norm is folded into the layer right before it, which must have weights")
        gain = 1 / np.sqrt(to_float(module.running_var) + module.eps)
        gain = gain * to_float(module.weight) if module.affine else gain
        shift = to_float(module.bias) if module.affine else 0.0
        bias = (product.bias - to_float(module.running_mean)) * gain + shift
        self.open = replace(product, scale=product.scale * gain, bias=bias)

    @lower.register
    def _(self, module: nn.ReLU) -> None:
        if self.open is None:
            raise LoweringError("ReLU is part of the layer before it, which must have weights")
        self.open = replace(self.open, relu=True)

    @lower.register
    def _(self, module: nn.Linear) -> None:
        name = self.name
        weight = read_weight(module, "weight")
        bias = to_float(module.bias) if module.bias is not None else np.zeros(module.out_features)
        self.open = OpenProduct(weight, self._scale(weight), bias, lambda w, b, r: ops.Dense(name, w, b, r))

    @lower.register
    def _(self, module: layers.CausalConv1d) -> None:
        name, kernel, stride = self.name, module.kernel, module.stride
        weight = read_weight(module, "weight")
        bias = to_float(module.bias)
        self.open = OpenProduct(
            weight, self._scale(weight), bias, lambda w, b, r: ops.Conv(name, kernel, stride, w, b, r)
        )

    @lower.register
    def _(self, module: layers.SRU) -> None:
        _check_cell(module.cell, FixedPoint(3, 12))
        n = module.hidden_size
        bias = np.zeros(len(module.weight))
        bias[n : 3 * n] = to_float(module.bias)
        matrix, integers, rescale = self._gates(module, bias)
        skip_step = 1 / Q12 if module.projected else self._input().step
        name = self.name

        def make(out: float, low: int, high: int) -> ops.Op:
            factors = np.array([1 / Q15, skip_step / Q15]) / out
            shift = shared_shift(factors)
            cell, skip = (min(int(f), MAX_MULTIPLIER) for f in np.rint(np.ldexp(factors, shift)))
            return ops.SRU(name, n, matrix, integers, rescale, cell, skip, shift, low, high)

        self.open = OpenRecurrence(make)

    @lower.register
    def _(self, module: layers.QRNN) -> None:
        _check_cell(module.cell, FixedPoint(0, 15))
        matrix, integers, rescale = self._gates(module.gates, to_float(module.gates.bias))
        name, n, kernel = self.name, module.hidden_size, module.kernel
        self.open = OpenRecurrence(
            lambda out, low, high: ops.QRNN(
                name, n, kernel, matrix, integers, rescale, rescale_from(1 / (Q15 * out), low, high)
            )
        )

    @lower.register
    def _(self, module: layers.LSTM) -> None:
        _check_cell(module.cell, FixedPoint(3, 12))
        matrix, integers, rescale = self._gates(module, to_float(module.bias))
        hidden, output, back, rescale_hidden = self._recurrent(module)
        n = module.hidden_size
        self.chain.append(ops.LSTM(self.name, n, matrix, integers, rescale, back, rescale_hidden, output))
        self.signal = hidden

    @lower.register
    def _(self, module: layers.GRU) -> None:
        _check_cell(module.cell, FixedPoint(0, 15))
        matrix, integers, rescale = self._gates(module, to_float(module.bias))
        hidden, output, back, rescale_hidden = self._recurrent(module)
        n = module.hidden_size
        bias_hidden = np.clip(np.rint(to_float(module.bias_hidden) * Q12), *INT16).astype(np.int64)
        self.chain.append(ops.GRU(self.name, n, matrix, integers, rescale, back, bias_hidden, rescale_hidden, output))
        self.signal = hidden

    @lower.register
    def _(self, module: layers.GraphRNN) -> None:
        self.lower(cell_of(module))

    @lower.register
    def _(self, module: layers.HLSTM) -> None:
        if not module.reset:
            raise LoweringError("only with reset has it an integer op")
        name, x = self.name, (self._input(), module.inputs)
        letters = Lowering(signal=x[0])
        letters.add(f"{name}.letters", module.letters)
        spelt = letters._input(), module.hidden_size
        words = _joined(f"{name}.words", (spelt, x), module.words[0])
        for i, word in enumerate(module.words):
            words.add(f"{name}.words.{i}", word)
        context = words._input(), module.hidden_size
        spelling = _joined(f"{name}.spelling", (x if module.direct else spelt, context), module.spelling)
        spelling.add(f"{name}.spelling", module.spelling)
        chains: list[Any] = [tuple(part.chain) for part in (letters, words, spelling)]
        boundaries = module.boundaries.cpu().numpy().astype(np.int64)
        self.chain.append(ops.Hierarchy(name, boundaries, int(module.direct), *chains))
        self.signal = spelling._input()

    def _gates(self, module: nn.Module, bias: Floats) -> tuple[ops.Matrix, Integers, Rescale]:
        """The input half of a recurrent layer, with results in Q3.12."""
        weight = read_weight(module, "weight")
        matrix, scale, integers = integer_bias(weight, self._scale(weight), bias)
        return matrix, integers, rescale_from(scale * Q12, *INT16)

    def _recurrent(self, module: layers.LSTM | layers.GRU) -> tuple[SignalCodes, Rescale, ops.Matrix, Rescale]:
        """The hidden half of a recurrent layer: its signal, its result and its weights."""
        hidden = read_signal(module.hidden)
        if hidden is None:
            raise LoweringError("its hidden signal is not quantized; add activations='int8' to Quantize")
        weight = read_weight(module, "weight_hidden")
        hidden.check_sums(weight)
        matrix, scale, _ = integer_bias(weight, weight.scale * hidden.step, np.zeros(len(module.weight_hidden)))
        output = rescale_from(1 / (Q15 * hidden.step), hidden.low, hidden.high)
        return hidden, output, matrix, rescale_from(scale * Q12, *INT16)


def has_rule(module: nn.Module) -> bool:
    """Whether `Lowering` knows an integer form for this kind of module."""
    dispatch = Lowering.__dict__["lower"].dispatcher.dispatch
    return dispatch(type(module)) is not dispatch(object)


def _reader(module: nn.Module) -> nn.Module:
    """The part of a layer that reads its input."""
    match module:
        case layers.QRNN():
            return module.gates
        case layers.HLSTM():
            return module.input
    return module


def _joined(name: str, parts: Sequence[tuple[SignalCodes, int]], reader: nn.Module) -> Lowering:
    """A chain that begins with several signals side by side, of so many columns each, as `reader` wants them."""
    wanted = read_signal(reader)
    if wanted is None:
        raise LoweringError("its parts are not quantized; add activations='int8' to Quantize")
    scale = np.concatenate([np.full(width, signal.step / wanted.step) for signal, width in parts])
    rescale = rescale_from(scale, wanted.low, wanted.high)
    return Lowering(chain=[ops.Requantize(f"{name}.input", len(scale), rescale)], signal=wanted)


def _identity(reader: nn.Module) -> tuple[Floats, Floats]:
    """Mean 0 and deviation 1 for each feature that the first layer reads."""
    width = getattr(reader, "in_features", None) or getattr(reader, "inputs", None)
    if not isinstance(width, int):
        raise LoweringError("the first quantized layer does not say how wide its input is; put a Normalize before it")
    return np.zeros(width), np.ones(width)


def _check_cell(cell: layers.Signal, kept: FixedPoint) -> None:
    """Refuse a quantizer on a cell other than the format in which Programs keep it."""
    quantizer = input_quantizer(cell)
    if quantizer is not None and quantizer.format != kept:
        raise LoweringError(
            f"its cell is quantized as {quantizer.spec}, but Programs keep it as {kept}: leave the quantizer away or "
            f"give it the spec '{kept}'"
        )

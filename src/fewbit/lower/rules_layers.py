"""Rules for layers that are one node of the traced graph: recurrent cells, and the causal convolution."""

from dataclasses import replace
from typing import Any

import numpy as np
from torch import fx, nn

from fewbit import nn as layers
from fewbit.errors import LoweringError
from fewbit.lower import cells
from fewbit.lower.builder import Builder
from fewbit.lower.graph_cells import cell_of
from fewbit.lower.rules import rule
from fewbit.lower.rules_products import fitting, product
from fewbit.lower.signals import Pending, Signal, States, fresh_labels
from fewbit.lower.weights import Floats, SignalCodes, read_signal, read_weight
from fewbit.program import ops
from fewbit.program.numerics import Integers, rescale_from
from fewbit.tracing import LAYER, args_of


@rule(LAYER)
def layer(builder: Builder, node: fx.Node) -> None:
    """The rule for the kind of layer."""
    module = builder.network.layer(node)
    source, *states = list(args_of(node)[0])
    _check_states(builder, states)
    if isinstance(module, layers.GraphRNN):
        module = cell_of(module)
    match module:
        case nn.LSTM() | nn.GRU():
            builder.values[node] = _torch_recurrent(builder, node, module, source)
            return
        case layers.CausalConv1d():
            result: Any = _causal_convolution(builder, node, module, source)
        case layers.SRU() | layers.QRNN():
            result = _elementwise_cell(builder, node, module, source)
        case layers.LSTM() | layers.GRU():
            x = _frames(builder, source)
            if isinstance(module, layers.LSTM):
                op, codes = cells.lstm(builder.name(node), module, x.codes, inputs=(x.name,))
            else:
                op, codes = cells.gru(builder.name(node), module, x.codes, inputs=(x.name,))
            result = _emitted(builder, node, op, module.hidden_size, codes)
        case layers.HLSTM():
            result = _hierarchy(builder, node, module, source)
        case _:
            raise LoweringError(f"no integer op is known for {type(module).__name__}")
    builder.values[node] = [result, *[None] * (len(node.meta["val"]) - 1)]


def _check_states(builder: Builder, states: list[Any]) -> None:
    """The first state of a layer is zero, or an input of the network that stands for it."""
    for state in states:
        if not builder.network.is_live(state):
            if bool(builder.network.constant(state).any()):
                raise LoweringError("it starts from a learned state, wanted zeros")
        elif state not in builder.state_inputs:
            raise LoweringError("it starts from a state that the network computes, wanted zeros or an input")


def _frames(builder: Builder, source: Any, codes: SignalCodes | None = None) -> Signal:
    """The features of each frame of ``(batch, time, features)``."""
    time = builder.network.time_of(source)
    if time != 1:
        raise LoweringError(
            "it runs over an axis whose length does not follow the input; give an example of several frames, and time=1"
        )
    return builder.still(builder.signal(source, codes), time, [0, 2])


def _emitted(builder: Builder, node: fx.Node, op: ops.Op, size: int, codes: SignalCodes) -> Signal:
    """The result of a layer whose codes are its own."""
    shape = builder.network.layer_shape(node)
    name = builder.add(op)
    return Signal(name, size, codes, fresh_labels(shape, 1, [0, 2]), shape[1])


def _open(builder: Builder, node: fx.Node, size: int, emit: Any) -> Pending:
    """The result of a layer whose codes are chosen by what reads it."""
    shape = builder.network.layer_shape(node)
    return Pending(size, fresh_labels(shape, 1, [0, 2]), emit, frames=shape[1], scalar_only=True)


def _causal_convolution(builder: Builder, node: fx.Node, module: layers.CausalConv1d, source: Any) -> Pending:
    weight = read_weight(module, "weight")
    weight = replace(weight, maps=weight.codes.shape[1] // module.kernel)
    reader = fitting(builder, _frames(builder, source), weight)

    def make(name: str, matrix: ops.Matrix, integers: Integers, rescale: Any, unread: int) -> ops.Op:
        return ops.Conv(name, module.kernel, module.stride, matrix, integers, rescale, inputs=(reader.name,))

    shape = builder.network.layer_shape(node)
    labels = fresh_labels(shape, 1, [0, 2])
    return product(builder, node, reader, weight, module.bias, make, labels, shape[1], 1)


def _elementwise_cell(builder: Builder, node: fx.Node, module: layers.SRU | layers.QRNN, source: Any) -> Pending:
    codes = read_signal(module.gates) if isinstance(module, layers.QRNN) else None
    x = _frames(builder, source, codes)
    name = builder.name(node)
    builder.reserve(name)

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        step = codes.step / float(gain.flat[0])
        ends = step, codes.low, codes.high
        if isinstance(module, layers.SRU):
            return builder.add(cells.sru(name, module, x.codes, *ends, inputs=(x.name,))), codes
        return builder.add(cells.qrnn(name, module, x.codes, *ends, inputs=(x.name,))), codes

    return _open(builder, node, module.hidden_size, emit)


def _hierarchy(builder: Builder, node: fx.Node, module: layers.HLSTM, source: Any) -> Signal:
    if not module.reset:
        raise LoweringError("an HLSTM without reset has no integer op; build it with reset=True")
    x = _frames(builder, source, read_signal(module.input))
    name = builder.name(node)
    letters, spelt = cells.lstm(f"{name}.letters", module.letters, x.codes)
    beside = (spelt, module.hidden_size), (x.codes, module.inputs)
    words: list[ops.Op] = [_joined(f"{name}.words", beside, module.words[0])]
    context = _reads(module.words[0])
    for i, word in enumerate(module.words):
        assert isinstance(word, layers.LSTM)
        if i and _reads(word) != context:
            words.append(_recoded(f"{name}.words.{i}.input", context, _reads(word), module.hidden_size))
        op, context = cells.lstm(f"{name}.words.{i}", word, _reads(word))
        words.append(op)
    pair = (beside[1] if module.direct else beside[0]), (context, module.hidden_size)
    spelling = [_joined(f"{name}.spelling", pair, module.spelling)]
    op, codes = cells.lstm(f"{name}.spelling", module.spelling, _reads(module.spelling))
    boundaries = module.boundaries.cpu().numpy().astype(np.int64)
    parts = ((letters,), tuple(words), (*spelling, op))
    hierarchy = ops.Hierarchy(name, boundaries, int(module.direct), *parts, inputs=(x.name,))
    return _emitted(builder, node, hierarchy, module.hidden_size, codes)


def _reads(module: nn.Module) -> SignalCodes:
    """The codes of the signal that a part of a hierarchy reads."""
    found = read_signal(module)
    if found is None:
        raise LoweringError("its parts are not quantized; add activations='int8' to Quantize")
    return found


def _joined(name: str, parts: Any, reader: nn.Module) -> ops.Op:
    """Several signals side by side, of so many columns each, in the codes that `reader` wants."""
    wanted = _reads(reader)
    scale = np.concatenate([np.full(width, signal.step / wanted.step) for signal, width in parts])
    return ops.Requantize(f"{name}.input", len(scale), rescale_from(scale, wanted.low, wanted.high))


def _recoded(name: str, codes: SignalCodes, wanted: SignalCodes, width: int) -> ops.Op:
    return ops.Requantize(name, width, rescale_from(codes.step / wanted.step, wanted.low, wanted.high))


def _torch_recurrent(builder: Builder, node: fx.Node, module: nn.LSTM | nn.GRU, source: fx.Node) -> list[Any]:
    """All layers and directions of `torch.nn.LSTM` or `torch.nn.GRU`."""
    network = builder.network
    if isinstance(module, nn.LSTM) and module.proj_size:
        raise LoweringError("an LSTM with a projection has no integer op")
    time, length = network.time_of(source), network.shape(source)[0 if not module.batch_first else 1]
    if time != (1 if module.batch_first else 0):
        raise LoweringError(
            "it runs over an axis whose length does not follow the input; give an example of several frames, the batch "
            "first, and time="
        )
    taken = builder.still(builder.signal(source), time, [1 - time, 2])
    names: list[str] = []
    path = network.path(node)
    for place in range(module.num_layers):
        ends = [_direction(builder, node, module, taken, f"{path}.{place}", place, reverse)
                for reverse in range(2 if module.bidirectional else 1)]  # fmt: skip
        names += [end.name for end in ends]
        taken = ends[0]
        if module.bidirectional:
            inputs = tuple(end.name for end in ends)
            total = np.arange(1, 2 * module.hidden_size + 1)
            name = builder.add(ops.Take(builder.name(node, f"{path}.{place}.both"), total, inputs=inputs))
            taken = Signal(name, len(total), taken.codes, np.zeros(0, np.int64), length)
    shape = [1, 1, taken.size]
    shape[time] = length
    labels = np.arange(1, length * taken.size + 1).reshape(shape)
    states = States(tuple(names), module.hidden_size, taken.codes, length, module.bidirectional)
    return [Signal(taken.name, taken.size, taken.codes, labels, length), states, states]


def _direction(
    builder: Builder, node: fx.Node, module: nn.LSTM | nn.GRU, x: Signal, base: str, place: int, reverse: int
) -> Signal:
    """One layer in one direction."""
    end = ".reverse" if reverse else ""
    if reverse:
        x = _reversed(builder, node, x, f"{base}{end}.input")
    suffix = f"_l{place}{'_reverse' if reverse else ''}"
    x = fitting(builder, x, read_weight(module, f"weight_ih{suffix}"))
    name, bits = builder.name(node, f"{base}{end}"), builder.choices.hidden_bits
    op, codes = cells.torch_cell(name, module, suffix, x.codes, bits, inputs=(x.name,))
    found = Signal(builder.add(op), module.hidden_size, codes, np.zeros(0, np.int64), x.frames)
    return _reversed(builder, node, found, f"{base}{end}.output") if reverse else found


def _reversed(builder: Builder, node: fx.Node, x: Signal, name: str) -> Signal:
    found = builder.add(ops.Reverse(builder.name(node, name), inputs=(x.name,)))
    return Signal(found, x.size, x.codes, np.zeros(0, np.int64), x.frames)

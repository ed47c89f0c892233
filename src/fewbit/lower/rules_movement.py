"""Rules for operators that move numbers, join tensors, or change nothing."""

import operator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.rules import arguments, aten, rule
from fewbit.lower.signals import Pending, Signal, States, Symbols
from fewbit.lower.weights import SignalCodes
from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.tracing import MOVES, SAME, args_of, operator_of


@rule(*SAME)
def same(builder: Builder, node: fx.Node) -> None:
    """Operators that return their input."""
    builder.values[node] = builder.values[args_of(node)[0]]


@rule(operator.getitem)
def item(builder: Builder, node: fx.Node) -> None:
    """One tensor of several."""
    source, index = args_of(node)
    builder.values[node] = builder.values[source][index]


@rule(*MOVES)
def move(builder: Builder, node: fx.Node) -> None:
    """Run the operator on labels."""
    source = args_of(node)[0]
    assert isinstance(source, fx.Node)
    value = builder.values[source]
    if isinstance(value, States):
        builder.values[node] = _state_of_one_layer(builder, node, value)
        return
    if not isinstance(value, Signal | Pending | Symbols):
        raise LoweringError("it moves something that is not a signal")
    if isinstance(value, Pending) and not (value.reusable or builder.network.has_one_reader(source)):
        value = builder.signal(source)
    out = _on_labels(builder, node, value.labels)
    if isinstance(out, list | tuple):
        # The parts of a tensor are read apart from each other.
        whole = value if not isinstance(value, Pending) or value.reusable else builder.signal(source)
        builder.values[node] = [replace(whole, labels=part.numpy()) for part in out]
    else:
        builder.values[node] = replace(value, labels=out.numpy())


def _on_labels(builder: Builder, node: fx.Node, labels: Any) -> Any:
    """The labels that an operator returns for labels in place of numbers."""
    given = torch.from_numpy(np.ascontiguousarray(labels))

    def plain(argument: Any) -> Any:
        if not isinstance(argument, fx.Node):
            return argument
        if builder.network.is_live(argument):  # only its shape is asked for
            return torch.empty(builder.network.shape(argument), dtype=torch.int64)
        return builder.network.constant(argument)

    if node.target in (aten.pad.default, aten.constant_pad_nd.default):
        return _padded(builder, node, given)
    named = {key: plain(value) for key, value in node.kwargs.items() if key != "memory_format"}
    others = [plain(argument) for argument in args_of(node)[1:]]
    if "upsample" in str(node.target):  # is there for floats only
        time = builder.network.time_of(node)
        if time is not None and time >= 2:
            raise LoweringError(
                "upsampling in time makes more frames than it reads, which a stream does not; give time=None for "
                "inputs of the length of the example"
            )
        return operator_of(node)(given.double(), *others, **named).long()
    return operator_of(node)(given, *others, **named)


def _padded(builder: Builder, node: fx.Node, labels: Tensor) -> Tensor:
    """Zeros, or numbers of the tensor again, around labels."""
    if node.target is aten.pad.default:
        _, pads, mode, value = arguments(node, x=None, pads=None, mode="constant", value=None)
    else:
        _, pads, value = arguments(node, x=None, pads=None, value=None)
        mode = "constant"
    if mode == "constant":
        if value:
            raise LoweringError(f"it pads with {value}, wanted zeros")
        return torch.nn.functional.pad(labels, pads)
    time = builder.network.time_of(node)
    if time is not None and time >= labels.dim() - len(pads) // 2:
        raise LoweringError(
            f"padding in time with {mode} reads frames that have not come yet; pad with zeros, or give time=None for "
            "inputs of the length of the example"
        )
    return torch.nn.functional.pad(labels.double(), pads, mode=mode).long()


def _state_of_one_layer(builder: Builder, node: fx.Node, states: States) -> Any:
    """``h[-1]`` of a recurrent network: as a stream, what its layer gives in the last frame."""
    chosen = _on_labels(builder, node, np.arange(len(states.names))[:, None, None].repeat(states.size, 2))
    layers = np.unique(chosen.numpy())
    if len(layers) != 1:
        raise LoweringError("it reads the states of several layers at once; choose one, as in h[-1]")
    # The last state of the backward direction is what it gives for the first frame.
    backward = states.both_directions and int(layers[0]) % 2 == 1
    first = 1 if backward else (states.frames - 1) * states.size + 1
    labels = np.arange(first, first + states.size).reshape(builder.network.shape(node))
    return Signal(states.names[int(layers[0])], states.size, states.codes, labels, states.frames)


@rule(aten.cat.default, aten.stack.default, aten.concat.default, aten.hstack.default)
def join(builder: Builder, node: fx.Node) -> None:
    """Tensors side by side: the frames of their ops side by side in one, and the operator on its labels."""
    parts = list(args_of(node)[0])
    constants = [part for part in parts if not builder.network.is_live(part)]
    live = [part for part in parts if builder.network.is_live(part)]
    if any(bool(builder.network.constant(part).any()) for part in constants):
        _join_with_constants(builder, node, parts)
        return
    readers = {part: builder.values[part] for part in live}
    signals = [value if isinstance(value, Signal) else builder.signal(part) for part, value in readers.items()]
    signals = _one_step(builder, node, signals)
    names = list(dict.fromkeys(signal.name for signal in signals))
    sizes = {signal.name: signal.size for signal in signals}
    starts = dict(zip(names, np.cumsum([0, *sizes.values()]), strict=False))
    total = sum(sizes.values())
    frames = max(signal.frames for signal in signals)
    if len(names) == 1:
        name, codes = names[0], signals[0].codes
    else:
        low, high = min(s.codes.low for s in signals), max(s.codes.high for s in signals)
        codes = SignalCodes(signals[0].codes.step, low, high)
        name = builder.add(ops.Take(builder.name(node), np.arange(1, total + 1), inputs=tuple(names)))
    by_part = {}
    for part, signal in zip(readers, signals, strict=True):
        place = np.abs(signal.labels) - 1
        frame, index = place // signal.size, place % signal.size
        moved = (frame * total + starts[signal.name] + index + 1) * np.sign(signal.labels)
        by_part[part] = torch.from_numpy(np.ascontiguousarray(moved))
    labels = [
        by_part[part] if part in by_part else torch.zeros(builder.network.constant(part).shape, dtype=torch.int64)
        for part in parts
    ]
    out: Tensor = operator_of(node)(labels, *args_of(node)[1:], **node.kwargs)
    builder.values[node] = Signal(name, total, codes, out.numpy(), frames)


def _one_step(builder: Builder, node: fx.Node, signals: list[Signal]) -> list[Signal]:
    """The signals with one step for all."""
    if len({signal.codes.step for signal in signals}) == 1:
        return signals
    wanted = builder.wanted(node)
    if wanted.low < INT16[0]:
        wanted = builder.by_range(node)
    return [builder.emitted(builder.reopened(signal), wanted) for signal in signals]


def _join_with_constants(builder: Builder, node: fx.Node, parts: list[Any]) -> None:
    """Join signals with constants, such as a learned token: zeros in its place, and then a bias."""
    network = builder.network
    live = [part for part in parts if network.is_live(part)]
    if len(live) != 1:
        raise LoweringError("several signals and a constant are joined; join the signals first")
    value = builder.signal(live[0])
    given = torch.from_numpy(np.ascontiguousarray(value.labels))
    zeros = [given if p is live[0] else torch.zeros(network.constant(p).shape, dtype=torch.int64) for p in parts]
    labels = operator_of(node)(zeros, *args_of(node)[1:], **node.kwargs).numpy()
    numbers = [
        torch.zeros(network.shape(p)).double() if p is live[0] else network.constant(p).detach().double() for p in parts
    ]
    constant = operator_of(node)(numbers, *args_of(node)[1:], **node.kwargs).numpy()
    order, time = builder.plain_order(node), network.time_of(node)
    if time is not None:
        if not (constant == np.take(constant, [0], time)).all():
            raise LoweringError("a constant is joined in time; give it to the network as input")
        constant = np.take(constant, [0], time)
    signal = builder.still(replace(value, labels=labels), time, order)
    bias = np.transpose(constant, [*([] if time is None else [time]), *order]).reshape(-1)
    codes = builder.wanted(node)
    name = builder.sum(
        builder.name(node), [signal], [np.array([signal.codes.step / codes.step])], bias / codes.step, codes
    )
    fresh, frames = builder.fresh(node, order)
    builder.values[node] = Signal(name, signal.size, codes, fresh, frames)

"""From a torch network to ops: the walk through its graph, and its inputs and outputs as ports."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from fewbit import nn as layers
from fewbit.errors import ArgumentError, LoweringError
from fewbit.inference import inference_mode
from fewbit.lower import (
    patterns,
    rules_attention,
    rules_elementwise,
    rules_layers,
    rules_movement,
    rules_norms,
    rules_pooling,
    rules_transposed,
)
from fewbit.lower import rules_products as rules_products
from fewbit.lower.builder import Builder, Choices
from fewbit.lower.examples import Examples, examples_of, made_up_examples
from fewbit.lower.observed import Axes, Observed, axes_in_time
from fewbit.lower.rules import Fused, find_patterns, find_rule
from fewbit.lower.signals import Pending, Scores, Signal, States, Symbols, frames_of, fresh_labels
from fewbit.lower.weights import Floats, SignalCodes, codes_of
from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.program.signature import Port, Signature
from fewbit.tracing import LAYER, MOVES, SAME, Traced, args_of, trace_network

__all__ = ["lower_network"]
_FAMILIES = (
    *(patterns, rules_attention, rules_elementwise, rules_layers, rules_movement, rules_norms, rules_pooling),
    rules_transposed,
)
"""The rules, which enter themselves into the table when they are imported."""
MAX_INPUT_AXES = 3
"""An input of more axes (with the batch) is a picture, which has no time unless it is named."""

Time = int | str | None


def lower_network(
    model: nn.Module,
    example: Any = None,
    time: Time = "auto",
    choices: Choices = Choices(),  # noqa: B008 (frozen)
) -> tuple[list[ops.Op], Signature]:
    """The ops of a quantized network, and the ports of its inputs and results.

    Args:
        model: with quantizers attached and calibrated.
        example: batches, from which come shapes, and ranges of signals without a quantizer; ``None`` for a chain of
            layers of `fewbit.nn` that reads ``(batch, time, features)`` and has quantizers on all signals.
        time: axis of the inputs that is time, ``None`` for none, ``auto`` to look for it.
        choices: settings of the arithmetic.

    Raises:
        LoweringError: a part has no integer form; the message names its place, and what would help.
        ArgumentError: `time` is no axis of the input.
    """
    builder = Builder(observe(model, example, time), choices)
    inputs = put_inputs(builder)
    for node, fused in nodes_to_lower(builder.network):
        lower_node(builder, node, fused)
    outputs = take_outputs(builder)
    return with_short_inputs(builder.ops), Signature(tuple(inputs), tuple(outputs))


def observe(model: nn.Module, example: Any, time: Time) -> Observed:
    """The network traced and run on examples."""
    _check_float32(model)
    with inference_mode(model, no_grad=False):
        examples = made_up_examples(model) if example is None else examples_of(model, example)
        axis = 1 if time == "auto" and example is None else time
        is_axis = type(axis) is int and 0 < axis < examples.lead().dim()
        if axis not in (None, "auto") and not is_axis:
            raise ArgumentError(
                f"time={time!r} is no axis of the input but its batch; wanted 1, 2, ..., None or 'auto'"
            )
        traced = trace_network(model, examples.first)
        if isinstance(axis, str):
            return Observed(model, examples, traced, *find_time(model, examples, traced))
        return Observed(model, examples, traced, axis, axes_in_time(model, examples, traced, axis))


def with_short_inputs(found: list[ops.Op]) -> list[ops.Op]:
    """The ops without the names of inputs where these are the op before."""
    return [
        replace(op, inputs=()) if before is not None and op.inputs == (before.name,) else op
        for before, op in zip([None, *found], found, strict=False)
    ]


def find_time(model: nn.Module, examples: Examples, traced: Traced) -> tuple[int | None, dict[fx.Node, Axes]]:
    """The axis of the first input that the network takes at another length, if it is one, and what follows it."""
    lead = examples.lead()
    found: dict[int, dict[fx.Node, Axes]] = {}
    for axis in range(1, lead.dim()) if lead.dim() <= MAX_INPUT_AXES else ():
        try:
            if examples.cuts(axis):
                found[axis] = axes_in_time(model, examples, traced, axis)
        except LoweringError:
            continue
    if len(found) == 1:
        return next(iter(found.items()))
    return None, axes_in_time(model, examples, traced, None)


def _check_float32(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise LoweringError(f"{name} is {kind}; call model.float() before it is quantized and packed")


def put_inputs(builder: Builder) -> list[Port]:
    """Values for the inputs of the network, side by side in one frame, and their ports."""
    network = builder.network
    ports: list[Port] = []
    first = 0
    for node in network.traced.inputs:
        if not node.users or _is_state(builder, node):
            continue
        one_hot = _one_hot(network, node)
        source = one_hot or node
        symbols = not node.meta["val"].is_floating_point() and one_hot is None
        time, shape = network.time_of(source), network.shape(source)
        if not shape or shape[0] != 1:
            raise LoweringError(f"the input {node.name} has shape {shape}, wanted a batch of one in front")
        order = _channels_last(network, source, builder.plain_order(source))
        order = [axis for axis in order if axis != 0]
        labels, frames = fresh_labels(shape, time, [0, *order]), 1 if time is None else shape[time]
        size = int(np.prod([shape[axis] for axis in order], dtype=np.int64))
        ports.append(
            Port(
                node.name,
                tuple(0 if axis == time else shape[axis] for axis in range(1, len(shape))),
                -1 if time is None else time - 1,
                tuple(axis - 1 for axis in order),
                first,
                symbols,
            )
        )
        if symbols:
            builder.values[source] = Symbols(first, size, labels, frames)
        else:
            builder.values[source] = _features(builder, node, first, size, labels, frames)
        first += size
    if not ports:
        raise LoweringError("the network has no input that its results depend on")
    return ports


def _one_hot(network: Observed, node: fx.Node) -> fx.Node | None:
    """The vectors that symbols of the input become, where these are what a Program is given."""
    users = list(node.users)
    if len(users) != 1 or not isinstance(network.layer(users[0]), layers.OneHot):
        return None
    return next(iter(users[0].users))


def _is_state(builder: Builder, node: fx.Node) -> bool:
    """Whether an input is nothing but the first state of layers, which a Program keeps itself."""
    found = {node}
    for user in node.users:
        if user.target is LAYER and node not in args_of(user)[0][:1]:
            continue
        if user.target in MOVES | SAME and _is_state(builder, user):
            found.add(user)
            continue
        return False
    builder.state_inputs |= found
    return bool(node.users)


def _channels_last(network: Observed, node: fx.Node, order: list[int]) -> list[int]:
    """The channels of pictures behind their places, where a convolution reads them."""
    readers = [str(reader.target) for reader in _behind_quantizers(network, node)]
    if any(name in target for target in readers for name in ("conv", "pool", "batch_norm")) and len(order) > 1:
        return [axis for axis in order if axis != 1] + ([1] if 1 in order else [])
    return order


def _behind_quantizers(network: Observed, node: fx.Node) -> Iterator[fx.Node]:
    for reader in network.readers(node):
        if network.quantizer(reader) is not None:
            yield from _behind_quantizers(network, reader)
        else:
            yield reader


def _features(builder: Builder, node: fx.Node, first: int, size: int, labels: Any, frames: int) -> Pending:
    """Features, which each quantizer that reads them turns into codes, with what is done to them before."""

    def emit(codes: SignalCodes, gain: Floats, offset: Floats, unread: int) -> tuple[str, SignalCodes]:
        if codes.low < INT16[0] or codes.high > INT16[1]:
            raise LoweringError("one result of the network is its unchanged input; remove that result")
        gains, offsets = (np.resize(vector, size) for vector in (gain, offset))
        channels = next(n for n in range(1, size + 1) if size % n == 0 and _repeats(gains, n) and _repeats(offsets, n))
        scaled = [(vector[:channels] / codes.step).astype(np.float32) for vector in (gains, offsets)]
        key = ("quantize", first, codes, *(part.tobytes() for part in scaled))

        def make() -> str:
            name = builder.name(None, "input" if len(builder.network.traced.inputs) == 1 else f"input.{node.name}")
            return builder.add(ops.Quantize(name, scaled[0], scaled[1], codes.low, codes.high, size // channels, first))

        return builder.once(key, make), codes

    return Pending(size, labels, emit, channels=size, frames=frames, reusable=True)


def _repeats(vector: Floats, period: int) -> bool:
    return np.array_equal(vector, np.resize(vector[:period], len(vector)))


def nodes_to_lower(network: Observed) -> Iterator[tuple[fx.Node, Fused | None]]:
    """The nodes that the results need, in order, without those that a later pattern covers."""
    ends = find_patterns(network)
    steps = {step for fused in ends.values() for step in fused.steps}
    for node in network.nodes:
        if node.op == "call_function" and node in network.needed and node not in steps:
            yield node, ends.get(node)


def lower_node(builder: Builder, node: fx.Node, fused: Fused | None) -> None:
    """Give a node its value by the pattern that ends with it, or by its rule.

    Raises:
        LoweringError: it has no integer form; the message begins with its place.
    """
    network = builder.network
    if node in builder.values or isinstance(network.layer(node), layers.OneHot):
        return
    try:
        if fused is not None:
            fused.lower(builder, node)
        elif network.quantizer(node) is not None:
            _quantizer(builder, node)
        else:
            find_rule(node)(builder, node)
    except LoweringError as error:
        raise LoweringError(f"{network.place(node)}: {error}") from error


def _quantizer(builder: Builder, node: fx.Node) -> None:
    """A signal in the codes of its quantizer."""
    source = args_of(node)[0]
    value = builder.values.get(source)
    if not isinstance(value, Signal | Pending):
        kinds = {
            Symbols: "symbols (integers); give float32 examples",
            Scores: "attention scores or their map, which one op keeps at 15 bits; leave both without a quantizer",
        }
        raise LoweringError(f"its quantizer reads {kinds.get(type(value), 'something else')}, wanted a signal")
    quantizer = builder.network.quantizer(node)
    assert quantizer is not None
    reader = builder.network.path(node).removesuffix("_quantizer")  # a module's quantizer is called input_quantizer
    builder.values[node] = builder.signal(source, codes_of(quantizer), reader)


def take_outputs(builder: Builder) -> list[Port]:
    """The results, side by side in the frames of the last op, and their ports."""
    network = builder.network
    found: list[tuple[fx.Node, Signal, list[int]]] = []
    for node in network.traced.outputs:
        if not isinstance(node, fx.Node) or node not in network.live:
            continue
        if isinstance(builder.values.get(node), States) or _is_layer_state(network, node):
            continue
        try:
            signal = builder.signal(node, builder.result_codes(node))
            time = network.time_of(node)
            order = builder.natural_order(node, signal.labels)
            frames = frames_of(signal.labels, signal.size, time, order)
            if time is not None and (frames.before or frames.after or frames.first or frames.count != signal.frames):
                raise LoweringError("frames are cut off or added at an end of the result")
            taken = builder.result_frames(signal, time, frames)
        except LoweringError as error:
            raise LoweringError(f"the result {node.name} of {network.model_name}: {error}") from error
        found.append((node, taken, order))
    if not found:
        raise LoweringError("the network gives no result that depends on its input")
    ports = []
    first = 0
    for i, (node, taken, order) in enumerate(found):
        shape, time = network.shape(node), network.time_of(node)
        lead = 1 if shape and shape[0] == 1 and time != 0 else 0
        ports.append(
            Port(
                f"result{i}" if len(found) > 1 else "result",
                tuple(0 if axis == time else shape[axis] for axis in range(lead, len(shape))),
                -1 if time is None else time - lead,
                tuple(axis - lead for axis in order if axis >= lead),
                first,
                fraction_bits=round(-float(np.log2(taken.codes.step))),
            )
        )
        first += taken.size
    names = tuple(taken.name for _, taken, _ in found)
    if len(names) > 1:
        total = np.arange(1, first + 1)
        names = (builder.add(ops.Take(builder.name(None, "results"), total, inputs=names)),)
    _drop_unread(builder, names[0])
    return ports


def _is_layer_state(network: Observed, node: fx.Node) -> bool:
    """Whether a result is the state of a layer, which a Program keeps itself."""
    source = args_of(node)[0] if args_of(node) else None
    return (
        isinstance(source, fx.Node)
        and source.target is LAYER
        and len(args_of(node)) > 1
        and isinstance(args_of(node)[1], int)
        and args_of(node)[1] > 0
    )


def _drop_unread(builder: Builder, result: str) -> None:
    """Only the ops that the result depends on, the last of them its own."""
    by_name = {op.name: op for op in builder.ops}
    needed: set[str] = set()
    waiting = [result]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += by_name[name].inputs
    kept = [op for op in builder.ops if op.name in needed]
    builder.ops = [op for op in kept if op.name != result] + [by_name[result]]

"""Rules for layers that stay one node: recurrent cells, and the causal convolution."""

from typing import Any

import numpy as np
import torch
from torch import fx, nn

from fewbit.errors import LoweringError
from fewbit.formats import Int
from fewbit.lower.builder import Builder
from fewbit.lower.rules import rule
from fewbit.lower.signals import Signal, States
from fewbit.lower.tracing import LAYER
from fewbit.lower.weights import Floats, SignalCodes, integer_bias, read_weight, to_float
from fewbit.program import ops
from fewbit.program.numerics import INT16, Q12, Q15, Integers, Rescale, rescale_from

HIDDEN = SignalCodes(1 / 127, Int(8).lo, Int(8).hi)
"""Codes of the hidden state of `torch.nn.LSTM` and `torch.nn.GRU`, which has no quantizer: its values lie in -1..1."""


@rule(LAYER)
def layer(builder: Builder, node: fx.Node) -> None:
    """The rule for the kind of layer."""
    module = builder.network.layer(node)
    source = node.args[0][0]  # type: ignore[index]
    states = list(node.args[0][1:])  # type: ignore[index]
    _check_states(builder, states)
    match module:
        case nn.LSTM() | nn.GRU():
            builder.values[node] = _torch_recurrent(builder, node, module, source)
        case _:
            raise LoweringError(f"no integer op is known for {type(module).__name__} in a graph yet")


def _check_states(builder: Builder, states: list[Any]) -> None:
    """The first state of a layer is zero, or an input of the network that stands for it."""
    for state in states:
        if not builder.network.is_live(state):
            if bool(builder.network.constant(state).any()):
                raise LoweringError("it starts from a learned state, wanted zeros")
        elif state not in builder.state_inputs:
            raise LoweringError("it starts from a state that the network computes, wanted zeros or an input")


def _torch_recurrent(builder: Builder, node: fx.Node, module: nn.LSTM | nn.GRU, source: fx.Node) -> list[Any]:
    network = builder.network
    if module.proj_size if isinstance(module, nn.LSTM) else 0:
        raise LoweringError("an LSTM with a projection has no integer op")
    if not module.batch_first and network.shape(source)[1] != 1:
        raise LoweringError("it has time first and several rows; give batches of one")
    time = network.time_of(source)
    if time is None:
        raise LoweringError(
            "it runs over an axis whose length does not follow the input; give an example of several frames, and time="
        )
    dims = [axis for axis in range(3) if axis != time]
    taken = builder.still(builder.signal(source), time, dims)
    length = network.shape(source)[time]
    both = 2 if module.bidirectional else 1
    names = []
    for place in range(module.num_layers):
        ends = [_direction(builder, node, module, taken, place, reverse) for reverse in range(both)]
        names += [end.name for end in ends]
        if both == 1:
            taken = ends[0]
        else:
            total = 2 * module.hidden_size
            name = builder.add(
                ops.Take(
                    builder.name(node, f"{network.path(node)}.both"),
                    np.arange(1, total + 1),
                    inputs=(ends[0].name, ends[1].name),
                )
            )
            taken = Signal(name, total, HIDDEN, np.zeros(0, np.int64), length)
    shape = [1, 1, 1]
    shape[time], shape[2] = length, taken.size
    labels = np.arange(1, length * taken.size + 1).reshape(shape)
    states = States(tuple(names), module.hidden_size, HIDDEN, length)
    return [Signal(taken.name, taken.size, HIDDEN, labels, length), states, states]


def _direction(
    builder: Builder, node: fx.Node, module: nn.LSTM | nn.GRU, x: Signal, place: int, reverse: int
) -> Signal:
    """One layer in one direction."""
    suffix = f"_l{place}{'_reverse' if reverse else ''}"
    path = builder.network.path(node)
    base = f"{path}.{place}{'.reverse' if reverse else ''}"
    if reverse:
        x = _reversed(builder, node, x, f"{base}.input")
    name = builder.name(node, base)
    n = module.hidden_size
    weight, back = (read_weight(module, f"weight_{half}{suffix}") for half in ("ih", "hh"))
    biases = [_bias(module, f"bias_{half}{suffix}", len(weight.codes)) for half in ("ih", "hh")]
    output = rescale_from(1 / (Q15 * HIDDEN.step), HIDDEN.low, HIDDEN.high)
    inputs = {"inputs": (x.name,)}
    x_codes = x.codes
    SignalCodes(x_codes.step, x_codes.low, x_codes.high).check_sums(weight)
    HIDDEN.check_sums(back)
    hidden_matrix, hidden_scale, _ = integer_bias(back, back.scale * HIDDEN.step, np.zeros(len(back.codes)))
    rescale_hidden = rescale_from(hidden_scale * Q12, *INT16)
    if isinstance(module, nn.LSTM):
        parts = _gates(weight, x_codes.step, biases[0] + biases[1])
        builder.add(ops.LSTM(name, n, *parts, hidden_matrix, rescale_hidden, output, **inputs))
    else:
        # The candidate's hidden bias stands inside of what the reset gate scales.
        outer = biases[0] + np.concatenate([biases[1][: 2 * n], np.zeros(n)])
        inner = np.clip(np.rint(biases[1][2 * n :] * Q12), *INT16).astype(np.int64)
        parts = _gates(weight, x_codes.step, outer)
        builder.add(ops.GRU(name, n, *parts, hidden_matrix, inner, rescale_hidden, output, **inputs))
    found = Signal(name, n, HIDDEN, np.zeros(0, np.int64), x.frames)
    return _reversed(builder, node, found, f"{base}.output") if reverse else found


def _gates(weight: Any, step: float, bias: Floats) -> tuple[ops.Matrix, Integers, Rescale]:
    """The input half of a recurrent layer, with results in Q3.12."""
    matrix, scale, integers = integer_bias(weight, weight.scale * step, bias)
    return matrix, integers, rescale_from(scale * Q12, *INT16)


def _reversed(builder: Builder, node: fx.Node, x: Signal, name: str) -> Signal:
    found = builder.add(ops.Reverse(builder.name(node, name), inputs=(x.name,)))
    return Signal(found, x.size, x.codes, np.zeros(0, np.int64), x.frames)


def _bias(module: nn.Module, name: str, rows: int) -> Floats:
    bias = getattr(module, name, None)
    return to_float(bias) if isinstance(bias, torch.Tensor) else np.zeros(rows)



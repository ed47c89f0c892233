"""The recurrences of SRU and QRNN over a chunk as torch operators: `csrc/training.cpp` on the CPU, Triton on CUDA.

    fewbit::sru(gates, bias, skip, start) -> (y, end)
    fewbit::qrnn(gates, start) -> (y, end)

Shapes are those of `recurrence_loops`. Only the inputs are kept for the backward pass: recomputing the cells of one
row of the batch in the cache is faster than writing and reading them. Gradients of gradients go through the loops.
"""

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from fewbit.nn import recurrence_loops
from fewbit.nn.native_memory import demand, run, through_loops

Two = tuple[Tensor, Tensor]
Four = tuple[Tensor, Tensor, Tensor, Tensor]
DEVICES = ("cpu", "cuda")


@custom_op("fewbit::sru", mutates_args=(), device_types=DEVICES)
def sru(gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor) -> Two:
    """`recurrence_loops.sru`.

    Raises:
        ArgumentError: shapes or types do not fit each other.
    """
    _check_sru(gates, bias, skip, start)
    y, end = _outputs(gates, start)
    inputs = gates.contiguous(), bias.contiguous(), _dense(skip), start.contiguous()
    run("sru_forward", start, gates.shape[1], *inputs, y, end)
    return y, end


@custom_op("fewbit::sru_backward", mutates_args=(), device_types=DEVICES)
def sru_backward(
    gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor, error_y: Tensor, error_end: Tensor | None
) -> Four:
    """Gradients of `sru` for gates, bias, skip (empty if there is none) and start."""
    _check_sru(gates, bias, skip, start)
    _check_errors(gates, start, error_y, error_end)
    to_gates, to_start, to_bias = _like(gates), _like(start), bias.new_empty(start.shape[0], *bias.shape)
    to_skip = None if skip is None else _like(skip)
    inputs = gates.contiguous(), bias.contiguous(), _dense(skip), start.contiguous()
    errors, room = (error_y.contiguous(), _dense(error_end)), _room(2, gates, start)
    run("sru_backward", start, gates.shape[1], *inputs, *errors, room, to_gates, to_bias, to_skip, to_start)
    return to_gates, to_bias.sum(0), start.new_empty(0) if to_skip is None else to_skip, to_start


@custom_op("fewbit::qrnn", mutates_args=(), device_types=DEVICES)
def qrnn(gates: Tensor, start: Tensor) -> Two:
    """`recurrence_loops.qrnn`.

    Raises:
        ArgumentError: shapes or types do not fit each other.
    """
    _check_chunk(gates, start, 3)
    y, end = _outputs(gates, start)
    run("qrnn_forward", start, gates.shape[1], gates.contiguous(), start.contiguous(), y, end)
    return y, end


@custom_op("fewbit::qrnn_backward", mutates_args=(), device_types=DEVICES)
def qrnn_backward(gates: Tensor, start: Tensor, error_y: Tensor, error_end: Tensor | None) -> Two:
    """Gradients of `qrnn` for gates and start."""
    _check_chunk(gates, start, 3)
    _check_errors(gates, start, error_y, error_end)
    to_gates, to_start, room = _like(gates), _like(start), _room(3, gates, start)
    inputs = gates.contiguous(), start.contiguous(), error_y.contiguous(), _dense(error_end)
    run("qrnn_backward", start, gates.shape[1], *inputs, room, to_gates, to_start)
    return to_gates, to_start


@sru.register_fake
def _(gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor) -> Two:
    return _outputs(gates, start)


@sru_backward.register_fake
def _(gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor, *_: Any) -> Four:
    return _like(gates), _like(bias), start.new_empty(0) if skip is None else _like(skip), _like(start)


@qrnn.register_fake
def _(gates: Tensor, start: Tensor) -> Two:
    return _outputs(gates, start)


@qrnn_backward.register_fake
def _(gates: Tensor, start: Tensor, *_: Any) -> Two:
    return _like(gates), _like(start)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Two) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs)


def _sru_gradients(ctx: Any, error_y: Tensor | None, error_end: Tensor | None) -> tuple[Tensor | None, ...]:
    gates, bias, skip, start = ctx.saved_tensors
    if torch.is_grad_enabled():
        return through_loops(recurrence_loops.sru, ctx.saved_tensors, (error_y, error_end))
    error_y = torch.zeros_like(_outputs(gates, start)[0]) if error_y is None else error_y
    to_gates, to_bias, to_skip, to_start = sru_backward(gates, bias, skip, start, error_y, error_end)
    return to_gates, to_bias, None if skip is None else to_skip, to_start


def _qrnn_gradients(ctx: Any, error_y: Tensor | None, error_end: Tensor | None) -> tuple[Tensor | None, ...]:
    gates, start = ctx.saved_tensors
    if torch.is_grad_enabled():
        return through_loops(recurrence_loops.qrnn, ctx.saved_tensors, (error_y, error_end))
    error_y = torch.zeros_like(_outputs(gates, start)[0]) if error_y is None else error_y
    to_gates, to_start = qrnn_backward(gates, start, error_y, error_end)
    return to_gates, to_start


sru.register_autograd(_sru_gradients, setup_context=_keep)
qrnn.register_autograd(_qrnn_gradients, setup_context=_keep)


def _check_sru(gates: Tensor, bias: Tensor, skip: Tensor | None, start: Tensor) -> None:
    _check_chunk(gates, start, 4 if skip is None else 3)
    demand("bias", bias, (2 * start.shape[1],), gates)
    if skip is not None:
        demand("skip", skip, (*gates.shape[:2], start.shape[1]), gates)


def _check_chunk(gates: Tensor, start: Tensor, blocks: int) -> None:
    demand("start", start, (gates.shape[0], start.shape[-1]), gates)
    demand("gates", gates, (*gates.shape[:2], blocks * start.shape[1]), gates)


def _check_errors(gates: Tensor, start: Tensor, error_y: Tensor, error_end: Tensor | None) -> None:
    demand("error_y", error_y, (*gates.shape[:2], start.shape[1]), gates)
    if error_end is not None:
        demand("error_end", error_end, start.shape, gates)


def _outputs(gates: Tensor, start: Tensor) -> Two:
    """Room for y and end."""
    return start.new_empty(start.shape[0], gates.shape[1], start.shape[1]), _like(start)


def _room(blocks: int, gates: Tensor, start: Tensor) -> Tensor:
    """Room for one row of the batch; kernels of a GPU, where all rows run at once, take it for each."""
    rows = (start.shape[0],) if start.is_cuda else ()
    return start.new_empty(*rows, blocks, gates.shape[1], start.shape[1])


def _like(tensor: Tensor) -> Tensor:
    return tensor.new_empty(tensor.shape)


def _dense(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()

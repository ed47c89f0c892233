"""The recurrences of SRU and QRNN, in the fastest form available.

The operators of `native_scans` run a whole chunk at once, forward and backward; the loops of `recurrence_loops` do
everything else: cells with a quantizer or another hook, other types of numbers and other devices, transforms of
functions, an installation without a compiler. LSTM and GRU have a matrix product in their loop; the elementwise work
between two products is so small that calling a fused operator costs as much as it saves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook

from fewbit.native import training
from fewbit.nn import native_scans, recurrence_loops
from fewbit.nn.layer import Signal

_loops_only = ContextVar("loops only", default=False)


@contextmanager
def loops_only() -> Iterator[None]:
    """Inside the block nothing is fused: the plain loops run."""
    token = _loops_only.set(True)
    try:
        yield
    finally:
        _loops_only.reset(token)


def sru(gates: Tensor, bias: Tensor, skip: Tensor | None, cell: Tensor, tap: Signal) -> tuple[Tensor, Tensor]:
    """`recurrence_loops.sru`: (batch, time, channels), and the last cell (batch, channels)."""
    size = (gates.shape[0], bias.shape[0] // 2)
    if _is_open(tap) and cell.shape == size and _is_fused(gates, bias, cell, *(() if skip is None else (skip,))):
        y, end = native_scans.sru(gates, bias, skip, cell)
        return y, end
    return recurrence_loops.sru(gates, bias, skip, cell, tap)


def qrnn(gates: Tensor, cell: Tensor, tap: Signal) -> tuple[Tensor, Tensor]:
    """`recurrence_loops.qrnn`: (batch, time, channels), and the last cell (batch, channels)."""
    if _is_open(tap) and cell.shape == (gates.shape[0], gates.shape[2] // 3) and _is_fused(gates, cell):
        y, end = native_scans.qrnn(gates, cell)
        return y, end
    return recurrence_loops.qrnn(gates, cell, tap)


def _is_open(tap: Signal) -> bool:
    """Whether nothing is hooked to the signal."""
    return type(tap) is Signal and not (
        tap._forward_pre_hooks
        or tap._forward_hooks
        or tap._backward_pre_hooks
        or tap._backward_hooks
        or _has_any_global_hook()  # type: ignore[no-untyped-call]
    )


def _is_fused(first: Tensor, *others: Tensor) -> bool:
    """Whether there is an operator for these tensors, and for what autograd does with them."""
    kind, device = first.dtype, first.device.type
    if device == "cpu":
        usable = kind in (torch.float32, torch.float64) and training.is_available()
    else:
        usable = device == "cuda" and kind == torch.float32 and _has_triton()
    return (
        usable
        and all(other.dtype == kind and other.device == first.device for other in others)
        and not _loops_only.get()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None

"""What operators on native memory have in common: checked shapes, addresses, and gradients of gradients."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fewbit.errors import ArgumentError
from fewbit.native import training


def demand(name: str, tensor: Tensor, shape: Sequence[int], like: Tensor) -> None:
    """Check shape, type and device of a tensor: native code reads its memory unchecked.

    Raises:
        ArgumentError: one of them is not that of `shape` and `like`.
    """
    if tensor.shape != tuple(shape) or tensor.dtype != like.dtype or tensor.device != like.device:
        raise ArgumentError(
            f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}, "
            f"wanted {like.dtype} of shape {tuple(shape)} on {like.device}"
        )
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ArgumentError(f"{name} is {tensor.dtype}, wanted torch.float32 or torch.float64")


def run(name: str, like: Tensor, frames: int, *tensors: Tensor | None) -> None:
    """Run the native function, or the Triton kernel, called `name`.

    Args:
        name: as in `csrc/training.h`, without ``fewbit_``.
        like: (batch, channels).
        frames: of the chunk.
        tensors: as in the header, dense; ``None`` for what is left out.
    """
    if like.is_cuda:
        from fewbit.nn import triton_scans  # Triton comes with the CUDA builds of torch only, and is slow to import

        triton_scans.run(name, like, frames, *tensors)
        return
    batch, channels = like.shape
    addresses = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    training.run(name, (batch, frames, channels, like.element_size(), torch.get_num_threads()), *addresses)


def through_loops(
    loop: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor | None],
    errors: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Gradients of `loop` by plain autograd, which can be differentiated once more.

    Args:
        loop: a function of `inputs`.
        inputs: tensors, and ``None`` for what is left out.
        errors: one for each output; ``None`` is zero.

    Returns:
        One for each input; ``None`` where the input asks for none.
    """
    # Views, because one input may have been computed from another; the gradient must not flow through that.
    names = [None if given is None else given.view_as(given) for given in inputs]
    pairs = [(output, error) for output, error in zip(loop(*names), errors, strict=True) if error is not None]
    wanted = [name for name in names if name is not None and name.requires_grad]
    found = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [error for _, error in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(found) if name is not None and name.requires_grad else None for name in names)

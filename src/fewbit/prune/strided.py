"""Taps as elements, pruned by strided patterns that all kernels of an input map share.

A convolution is a product ``K U``: ``K (outputs, maps * taps)`` holds its kernels, ``U (maps * taps, places)`` the
numbers under them. Tap ``n = row * width + column`` of a kernel is kept, or pruned, on a lattice of stride ``s`` and
offset ``o``:

    keep:  taps o, o + s, o + 2 s, ... are kept
    drop:  taps o, o + s, o + 2 s, ... are pruned

If all kernels that leave input map ``i`` share ``(s_i, o_i)``, a pruned tap is a column of zeros in ``K``, and the
column goes with its row of ``U``: ``K' (outputs, R)``, ``U' (R, places)``, ``R = sum_i kept_i``.

References:
    Anwar, Hwang, Sung 2015, "Structured pruning of deep convolutional neural networks" (arXiv 1512.08571). Its summary
    leaves open which set is pruned, so that both are here.
"""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from fewbit.errors import PruningError
from fewbit.prune.elements import Elements, Owned
from fewbit.prune.patterns import Patterns

Mode = Literal["keep", "drop"]


def strided_patterns(taps: int, mode: Mode = "keep", largest_stride: int | None = None) -> Patterns:
    """The strided patterns of a kernel of `taps` taps, dense first; stride 1 is dense. Equal ones are there once.

    Args:
        taps: of a kernel, two at least.
        mode: whether the taps of a lattice are kept or pruned.
        largest_stride: of a lattice, from 1 to `taps`; default `taps`.

    Raises:
        PruningError: the stride is out of range, or there is one tap.

    Examples:
        >>> len(strided_patterns(9).choices), len(strided_patterns(9, largest_stride=2).choices)
        (29, 3)
        >>> strided_patterns(5, "drop", 2).choices[1:]
        ((False, True, False, True, False), (True, False, True, False, True))
    """
    if taps < 2:
        raise PruningError("a kernel of one tap has no strided patterns")
    largest = taps if largest_stride is None else largest_stride
    if not 1 <= largest <= taps:
        raise PruningError(f"a stride of {largest} in kernels of {taps} taps; wanted 1 to {taps}")
    found = {tuple([True] * taps): None}
    for stride in range(2, largest + 1):
        for offset in range(stride):
            found[tuple((tap % stride == offset) == (mode == "keep") for tap in range(taps))] = None
    return Patterns(tuple(found))


def taps_of(model: nn.Module, mode: Mode = "keep", largest_stride: int | None = None) -> list[Elements]:
    """The taps of every convolution that can lose columns: element ``input * taps + tap``, for all output maps at once.

    Left out are kernels of one tap, which have no patterns, and grouped convolutions, each of whose groups would need
    its own columns: `refused_taps`.

    Args:
        mode, largest_stride: as in `strided_patterns`; the stride may be no larger than the kernels of any of them.

    Raises:
        PruningError: the network has no such convolution, or the stride does not fit one.

    Examples:
        >>> from torch import nn
        >>> [(each.name, each.size) for each in taps_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv2d(4, 8, 1)))]
        [('0', 75)]
    """
    found = []
    for path, module in _convolutions(model).items():
        if _reason(module) is not None:
            continue
        _, inputs, *shape = module.weight.shape
        taps = math.prod(shape)
        try:
            patterns = strided_patterns(taps, mode, largest_stride)
        except PruningError as error:
            raise PruningError(f"{path or 'the network'}: {error}") from error
        index = torch.arange(inputs * taps).view(1, inputs, *shape).expand(module.weight.shape)
        owned = Owned(path, "weight", index)
        found.append(Elements(path or "the network", "taps", inputs * taps, (owned,), patterns))
    if not found:
        why = "; ".join(f"{name}: {reason}" for name, reason in refused_taps(model).items())
        raise PruningError(
            f"{type(model).__name__} has no convolution whose taps can be pruned ({why or 'none at all'})"
        )
    return found


def refused_taps(model: nn.Module) -> Mapping[str, str]:
    """Convolutions that `taps_of` leaves out, each with the reason.

    Examples:
        >>> from torch import nn
        >>> dict(refused_taps(nn.Sequential(nn.Conv2d(3, 4, 5), nn.Conv2d(4, 8, 1))))
        {'1': 'its kernels have one tap'}
    """
    reasons = {path or "the network": _reason(module) for path, module in _convolutions(model).items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _convolutions(model: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d | nn.Conv3d]:
    return {
        path: module for path, module in model.named_modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    }


def _reason(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> str | None:
    if module.groups > 1:
        return f"its {module.groups} groups read input maps of their own, and would share no columns"
    return "its kernels have one tap" if math.prod(module.kernel_size) == 1 else None

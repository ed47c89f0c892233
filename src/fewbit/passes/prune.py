"""The passes that prune: channels and units are cut out, kernels and taps are set to 0.

Prune before quantizing, and train after pruning: ``compress(model, PruneChannels(...), Finetune(...), Quantize(...),
Finetune(...))``. With ``cut=False`` masks stay on the network instead, in front of every quantizer, and `Compact` cuts
at the end; codes do not change by that, and the packed network gives the same integers.

References:
    Anwar, Hwang, Sung 2015, "Structured pruning of deep convolutional neural networks" (arXiv 1512.08571);
    Anwar, Sung 2016, "Compact deep convolutional neural networks with coarse pruning" (arXiv 1610.09639).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import torch
from torch import nn

from fewbit.errors import PruningError, SelectionError
from fewbit.prune import (
    Elements,
    Importance,
    Magnitude,
    Masks,
    add_masks,
    compact,
    kernels_of,
    refused_taps,
    remove,
    structure_of,
    taps_of,
)
from fewbit.prune.elements import check_ratio
from fewbit.settings import listed, number, text, whole


@dataclass(frozen=True)
class PruneChannels:
    """Prune output channels of layers, with all that goes with them (`fewbit.prune.structure_of`).

    Args:
        ratio: share of the channels of each group, from 0 to below 1.
        example: a batch as the network takes it.
        importance: how channels are chosen.
        layers: patterns of names of groups; each must match one.
        keep: patterns of groups that stay whole.
        cut: whether channels are cut out now; else masks stay on the network, for `Compact`.

    Raises:
        ArgumentError: the ratio is out of range.
        SelectionError: a pattern matches no group of channels.
        PruningError: nothing can be pruned, or a named group cannot.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import compress
        >>> net = nn.Sequential(nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Conv1d(8, 2, 1))
        >>> compress(net, PruneChannels(0.5, torch.zeros(1, 4, 9)))[0]
        Conv1d(4, 4, kernel_size=(3,), stride=(1,))
    """

    ratio: Annotated[float, number(0, 1)]
    example: Any
    importance: Importance = field(default_factory=Magnitude)
    layers: Annotated[Sequence[str], listed(text, 1)] = ("*",)
    keep: Annotated[Sequence[str], listed(text)] = ()
    cut: bool = True

    kind = "channels"

    def __post_init__(self) -> None:
        check_ratio(self.ratio)

    def __call__(self, model: nn.Module) -> nn.Module:
        structure = structure_of(model, self.example)
        found = [each for each in structure.elements if each.kind == self.kind]
        if not found:
            why = "; ".join(f"{name}: {reason}" for name, reason in structure.refused.items())
            raise PruningError(f"{type(model).__name__} has no {self.kind} to prune ({why})")
        chosen = selected(found, self.layers, self.keep)
        masks = self.importance(model, chosen, self.ratio)
        return remove(model, masks, self.example) if self.cut else add_masks(model, chosen, masks)


@dataclass(frozen=True)
class PruneUnits(PruneChannels):
    """Prune units of recurrent layers: rows of all gates, columns of what reads them, and their state.

    Args:
        ratio, example, importance, layers, keep, cut: as in `PruneChannels`.

    Examples:
        >>> import torch
        >>> from fewbit.models import CharLM
        >>> from fewbit.passes import compress
        >>> small = compress(CharLM(classes=9, hidden=8), PruneUnits(0.5, torch.zeros(1, 5, dtype=torch.long)))
        >>> small.rnn1
        LSTM(
          4, 4
          (hidden): Signal()
          (cell): Signal()
        )
    """

    kind = "units"


@dataclass(frozen=True)
class PruneHeads(PruneChannels):
    """Prune heads of attention: their queries, keys, values and what reads them; with grouped queries a key and its
    queries together.

    Layers of `torch.nn` become those of `fewbit.nn.MultiheadAttention`. A module of your own takes part if it reads its
    head count from an attribute called ``heads``, ``num_heads`` or the like (`fewbit.prune.head_counts`) and the size
    of a head from no other width.

    Args:
        ratio, example, importance, layers, keep, cut: as in `PruneChannels`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import compress
        >>> layer = nn.TransformerEncoderLayer(8, 4, 16, batch_first=True)
        >>> small = compress(layer, PruneHeads(0.5, torch.zeros(1, 5, 8)))
        >>> small.self_attn.num_heads, small.self_attn.out_proj
        (2, NonDynamicallyQuantizableLinear(in_features=4, out_features=8, bias=True))
    """

    kind = "heads"


@dataclass(frozen=True)
class PruneKernels:
    """Prune kernels of convolutions: connections of one map to another, which stay 0 from then on.

    An output map that loses all of its kernels is pruned as a channel, where its group allows it.

    Args:
        ratio, importance: as in `PruneChannels`.
        example: a batch as the network takes it.
        layers, keep: patterns of names of convolutions.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import compress
        >>> net = compress(nn.Sequential(nn.Conv1d(4, 8, 3)), PruneKernels(0.75, torch.zeros(1, 4, 9)))
        >>> int((net[0].weight != 0).any(2).sum())
        8
    """

    ratio: Annotated[float, number(0, 1)]
    example: Any
    importance: Importance = field(default_factory=Magnitude)
    layers: Annotated[Sequence[str], listed(text, 1)] = ("*",)
    keep: Annotated[Sequence[str], listed(text)] = ()

    def __post_init__(self) -> None:
        check_ratio(self.ratio)

    def __call__(self, model: nn.Module) -> nn.Module:
        chosen = selected(kernels_of(model), self.layers, self.keep)
        masks = self.importance(model, chosen, self.ratio)
        add_masks(model, chosen, masks)
        groups = [group.elements for group in structure_of(model, self.example).groups.values()]
        add_masks(model, groups, _dead_maps(groups, chosen, masks))
        return compact(model, self.example)


@dataclass(frozen=True)
class PruneStrided:
    """Prune taps inside of kernels on a lattice that all kernels of an input map share (`fewbit.prune.taps_of`).

    A pruned tap is a column of zeros in the lowered matrix of the convolution: the file does not store it, and the
    native runtime does not read what it would be multiplied with. Taps stay 0 from then on; every input map keeps one.
    After `PruneChannels` and `PruneKernels`, whose masks stay.

    Args:
        ratio: share of the taps of each convolution, from 0 to below 1; met exactly where the patterns allow that, and
            else by the nearest count that they allow.
        importance: how patterns are chosen.
        layers, keep: patterns of names of convolutions.
        mode: whether the taps of a lattice are kept or pruned.
        largest_stride: of a lattice, at most the number of taps of a kernel, which is the default.

    Raises:
        ArgumentError: the ratio is out of range.
        SelectionError: a pattern matches no convolution.
        PruningError: no convolution has taps that can be pruned, a named one has not, or the stride does not fit one.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import compress
        >>> net = compress(nn.Sequential(nn.Conv2d(4, 8, 3)), PruneStrided(0.5))
        >>> int((net[0].weight != 0).any(0).sum())  # of 36 columns
        18
    """

    ratio: Annotated[float, number(0, 1)]
    importance: Importance = field(default_factory=Magnitude)
    layers: Annotated[Sequence[str], listed(text, 1)] = ("*",)
    keep: Annotated[Sequence[str], listed(text)] = ()
    mode: Literal["keep", "drop"] = "keep"
    largest_stride: Annotated[int | None, whole(1)] = None

    def __post_init__(self) -> None:
        check_ratio(self.ratio)

    def __call__(self, model: nn.Module) -> nn.Module:
        refused = refused_taps(model)
        for name in self.layers:
            if name in refused:
                raise PruningError(f"{name} has no taps to prune: {refused[name]}")
        chosen = selected(taps_of(model, self.mode, self.largest_stride), self.layers, self.keep)
        return add_masks(model, chosen, self.importance(model, chosen, self.ratio))


@dataclass(frozen=True)
class Compact:
    """Cut out what masks have pruned whole: the end of pruning with ``cut=False``.

    Args:
        example: a batch as the network takes it.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import Quantize, compress
        >>> net, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(1, 4)
        >>> passes = PruneChannels(0.5, x, cut=False), Quantize(weights="ternary"), Compact(x)
        >>> tuple(compress(net, *passes)[0].weight.shape)
        (4, 4)
    """

    example: Any

    def __call__(self, model: nn.Module) -> nn.Module:
        return compact(model, self.example)


def selected(elements: Sequence[Elements], layers: Sequence[str], keep: Sequence[str]) -> list[Elements]:
    """The elements whose names match; single ones, which cannot be pruned, only where they are named."""
    names = [each.name for each in elements]
    for pattern in (*layers, *keep):
        if not any(fnmatchcase(name, pattern) for name in names):
            kind = elements[0].kind
            raise SelectionError(f"no {kind} match {pattern!r}; there are those of {names}")
    found = [
        each
        for each in elements
        if (each.size > 1 or each.name in layers)
        and any(fnmatchcase(each.name, pattern) for pattern in layers)
        and not any(fnmatchcase(each.name, pattern) for pattern in keep)
    ]
    if not found:
        raise SelectionError(f"layers={list(layers)} without keep={list(keep)} leaves none of {names} to prune")
    return found


def _dead_maps(groups: Sequence[Elements], kernels: Sequence[Elements], masks: Masks) -> Masks:
    """Masks of the channels that have lost all kernels of the one convolution that makes them."""
    found: Masks = {}
    for group in groups:
        weights = [owned for owned in group.owned if owned.owners.dim() > 2]
        made_by = next((each for each in kernels if [each.owned[0].module] == [w.module for w in weights]), None)
        if made_by is None:
            continue
        rows = weights[0].owners.flatten(1)[:, 0]
        alive = masks[made_by.name].view(len(rows), -1).any(1)
        keep = torch.ones(group.size, dtype=torch.bool)
        keep[rows[~alive & (rows >= 0)]] = False
        if keep.any() and not keep.all():
            found[group.name] = keep
    return found

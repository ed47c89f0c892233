"""The smaller network: pruned channels and units are cut out of every tensor that holds a number of them.

What a pruned channel would still add, such as the half that a sigmoid makes of 0, goes into the bias of the layer that
reads it. The network keeps its modules and their names; only shapes and sizes change.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils import _pytree

from fewbit.batches import call_of
from fewbit.errors import PruningError
from fewbit.inference import inference_mode
from fewbit.prune.attention_heads import scale_head_counts
from fewbit.prune.elements import check_masks, masked
from fewbit.prune.masks import drop_masks, masks_on
from fewbit.prune.sizes import fit_sizes
from fewbit.prune.structure import Structure, structure_of
from fewbit.quant import Quantizer, forget_flat_weights, quantizers

TOLERANCE = 1e-4
"""Largest difference to the masked network, as a share of its largest result."""
ROUNDED = 1e-2
"""The same where signals are quantized: a sum that is rounded differently may move a code by one."""

Kept = dict[str, dict[int, Tensor]]
"""For each tensor and each dimension of it that gets smaller, which indices stay."""


def remove(model: nn.Module, masks: Mapping[str, Tensor], example: Any) -> nn.Module:
    """Cut what `masks` prune out of `model`, in place.

    The network then gives what it gives with the pruned numbers set to 0. This is tried on `example` before it is
    handed out, so that code with sizes written into it is found here; after an error the network is of no use.

    Args:
        model: a network of floats, or one with quantizers; a step for each row is cut with its row.
        masks: by name of the group (`structure_of`), true for what is kept; other groups stay whole.
        example: a batch as the network takes it.

    Raises:
        PruningError: a mask does not fit, or the smaller network does not run, or gives something else.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        >>> remove(net, {"0": torch.arange(6) < 2}, torch.zeros(1, 4))[0]
        Linear(in_features=4, out_features=2, bias=True)
    """
    structure = structure_of(model, example)
    check_masks(structure.elements, masks)
    with masked(model, structure.elements, masks):
        # Weights of folds are read from the network as it is now, with its masks and quantizers.
        constants = _constants(structure_of(model, example), masks) if structure.folds else []
        wanted = _run(model, example, structure)
    kept = _kept(structure, masks)
    for path, dims in kept.items():
        _cut(model, path, dims)
    for name, mask in masks.items():
        home = structure.groups[name].home
        if home is not None:
            scale_head_counts(model.get_submodule(home), len(mask), int(mask.sum()))
    for module in model.modules():
        fit_sizes(module)
    for layer, bias, constant in constants:
        _add_constant(model, layer, bias, constant, kept)
    forget_flat_weights(model)
    _compare(model, example, structure, wanted)
    return model


def compact(model: nn.Module, example: Any) -> nn.Module:
    """Cut all channels and units that masks prune out of a network, in place: `remove` with the masks on it.

    Masks that still prune something, such as single kernels, stay.

    Raises:
        PruningError: as in `remove`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.prune import add_masks, structure_of
        >>> net, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.zeros(1, 4)
        >>> net = add_masks(net, structure_of(net, x).elements, {"0": torch.arange(6) < 2})
        >>> compact(net, x)[0]
        Linear(in_features=4, out_features=2, bias=True)
    """
    masks = masks_on(model, structure_of(model, example).elements)
    pruned = {name: mask for name, mask in masks.items() if not mask.all()}
    return drop_masks(remove(model, pruned, example))


def _kept(structure: Structure, masks: Mapping[str, Tensor]) -> Kept:
    found: Kept = {}
    for name, mask in masks.items():
        looked_up = torch.cat([mask.new_ones(1), mask])
        for path, dims in structure.groups[name].cuts.items():
            for dim, index in dims.items():
                here = looked_up[index + 1]
                before = found.setdefault(path, {}).get(dim)
                found[path][dim] = here if before is None else here & before
    return found


def _cut(model: nn.Module, path: str, dims: Mapping[int, Tensor]) -> None:
    """Cut one parameter or buffer, and what masks and quantizers in front of it know of it."""
    owner, _, name = path.rpartition(".")
    module = model.get_submodule(owner)
    old = getattr(module, name)
    new = _taken(old.detach(), dims)
    if isinstance(old, nn.Parameter):
        fresh = nn.Parameter(new, requires_grad=old.requires_grad)
        homes = [(each, key) for each in model.modules() for key, held in each._parameters.items() if held is old]
        for each, key in homes:  # several where weights are tied
            setattr(each, key, fresh)
    else:
        module._buffers[name] = new
    if isinstance(module, parametrize.ParametrizationList):
        for step in module:
            _cut_step(step, old.shape, dims, path)


def _cut_step(step: nn.Module, shape: torch.Size, dims: Mapping[int, Tensor], path: str) -> None:
    for name, held in [*step.named_buffers(recurse=False), *step.named_parameters(recurse=False)]:
        if held.dim() != len(shape):
            continue
        sides = {dim: index for dim, index in dims.items() if held.shape[dim] == shape[dim] and shape[dim] > 1}
        groups = any(held.shape[dim] not in (1, shape[dim]) for dim in dims)
        if groups and isinstance(step, Quantizer):
            raise PruningError(f"{path} has a step for each group of weights, which a cut would shift; prune first")
        if isinstance(held, nn.Parameter):
            setattr(step, name, nn.Parameter(_taken(held.detach(), sides), held.requires_grad))
        else:
            step._buffers[name] = _taken(held, sides)


def _taken(tensor: Tensor, dims: Mapping[int, Tensor]) -> Tensor:
    for dim, index in dims.items():
        tensor = tensor.index_select(dim, index.nonzero()[:, 0].to(tensor.device))
    return tensor.clone()


Constant = tuple[str, str | None, Tensor]
"""A layer, the path of its bias or ``None``, and what its rows gain."""


def _constants(structure: Structure, masks: Mapping[str, Tensor]) -> list[Constant]:
    """What layers read of pruned channels that are not 0."""
    found: list[Constant] = []
    for fold, members in structure.folds:
        gone = [i for i, (group, element) in members.items() if group in masks and not masks[group][element]]
        constant = fold.weight[:, gone] @ fold.pruned[gone]
        if constant.any():
            found.append((fold.module, fold.bias, constant))
    return found


def _add_constant(model: nn.Module, layer: str, bias: str | None, constant: Tensor, kept: Kept) -> None:
    module = model.get_submodule(layer)
    if bias is not None:
        owner, _, name = bias.rpartition(".")
        parameter = getattr(model.get_submodule(owner), name)
        with torch.no_grad():
            parameter += _taken(constant, kept.get(bias, {})).to(parameter)
        return
    if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise PruningError(f"{layer} reads a constant when its input is pruned, and has no bias to hold it")
    rows = next((kept[path][0] for path in _weights_of(layer) if 0 in kept.get(path, {})), None)
    module.bias = nn.Parameter(_taken(constant, {} if rows is None else {0: rows}).to(module.weight))


def _weights_of(layer: str) -> tuple[str, str]:
    return f"{layer}.weight".lstrip("."), f"{layer}.parametrizations.weight.original".lstrip(".")


def _run(model: nn.Module, example: Any, structure: Structure) -> list[Tensor]:
    """What a network gives, without the states of layers, which get smaller."""
    args, named = call_of(model, example)
    with inference_mode(model):
        leaves = _pytree.tree_leaves(model(*args, **named))
    return [leaves[place].detach().clone() for place in structure.results]


def _compare(model: nn.Module, example: Any, structure: Structure, wanted: list[Tensor]) -> None:
    """Raise `PruningError` if the smaller network is not the masked one."""
    advice = "leave these groups out, or write the sizes in its code as sizes of its tensors"
    try:
        found = _run(model, example, structure)
    except Exception as error:  # of any kind: it is the user's code that meets the new sizes
        raise PruningError(f"the smaller network does not run: {type(error).__name__}: {error}; {advice}") from error
    rounded = any(name.endswith("input") for name, _ in quantizers(model))
    share = ROUNDED if rounded else TOLERANCE
    for ours, theirs in zip(found, wanted, strict=True):
        if ours.shape != theirs.shape:
            raise PruningError(f"the smaller network gives {tuple(ours.shape)}, wanted {tuple(theirs.shape)}; {advice}")
        difference = float((ours - theirs).abs().max()) if ours.numel() else 0.0
        if not difference <= share * max(1.0, float(theirs.abs().max()) if theirs.numel() else 0.0):
            raise PruningError(f"the smaller network differs from the masked one by up to {difference:.3g}; {advice}")

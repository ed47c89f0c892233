"""A network in the shapes of a pruned one: how a saved pruned network is built again before its tensors are loaded."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.prune.masks import Mask
from fewbit.prune.sizes import fit_sizes

_MIDDLE, _KEEP = "parametrizations.", ".0.keep"


def take_shapes(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Give an unpruned network, without quantizers, the shapes and masks of a pruned one, in place.

    What does not fit for another reason is left for ``load_state_dict`` to name.

    Args:
        model: the network as it is built before pruning.
        tensors: the ``state_dict`` of the pruned one.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> small = nn.Linear(4, 2).state_dict()
        >>> take_shapes(nn.Linear(4, 6), small)
        Linear(in_features=4, out_features=2, bias=True)
    """
    modules = dict(model.named_modules())
    for key, tensor in tensors.items():
        owner, name = _home(key)
        module = modules.get(owner)
        if module is None or key.endswith(_KEEP):
            continue
        old = getattr(module, name, None)
        if isinstance(old, nn.Parameter) and old.dim() == tensor.dim() and old.shape != tensor.shape:
            setattr(module, name, nn.Parameter(torch.zeros_like(tensor)))
        elif name in module._buffers and isinstance(old, Tensor) and old.shape != tensor.shape:
            module._buffers[name] = torch.zeros_like(tensor)
        elif name == "bias" and old is None and "bias" in module._parameters:
            module.bias = nn.Parameter(torch.zeros_like(tensor))  # holds what pruned inputs still gave
    for module in modules.values():
        fit_sizes(module)
    for key, keep in tensors.items():
        owner, name = _home(key)
        masked = modules.get(owner)
        if key.endswith(_KEEP) and masked is not None and getattr(masked, name, keep.new_empty(0)).shape == keep.shape:
            parametrize.register_parametrization(masked, name, Mask(keep.clone()))
    return model


def _home(key: str) -> tuple[str, str]:
    """Module and own name of the parameter that a key of a ``state_dict`` belongs to."""
    before, parametrized, after = key.partition(_MIDDLE)
    if parametrized:
        return before.rstrip("."), after.partition(".")[0]
    owner, _, name = key.rpartition(".")
    return owner, name

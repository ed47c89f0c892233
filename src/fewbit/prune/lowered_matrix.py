"""How many columns the lowered matrix of a convolution needs, and whether its kernels share them.

A convolution is ``K U`` with ``K (outputs, maps * taps)``. A column of zeros in ``K`` goes, together with its row of
``U``; what is left is ``R`` columns. Where all kernels of an input map keep the same taps, ``R`` is what one output map
keeps; where each keeps its own, a column stays if any of them needs it, and little is saved.

References:
    Anwar, Hwang, Sung 2015 (arXiv 1512.08571).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.errors import PruningError
from fewbit.prune.masks import Mask


@dataclass(frozen=True)
class Lowered:
    """The lowered matrix of a convolution.

    name: path of the layer. columns: of the dense matrix, input maps * taps. needed: ``(columns,)`` booleans, whether
    any output map keeps the column, map after map and tap after tap in each. widest: what the output map with most
    kept taps keeps. broken: input maps whose kernels keep
    different taps; a kernel that keeps none breaks nothing.

    Examples:
        >>> import torch
        >>> needed = torch.tensor([True, False, True, True])
        >>> found = Lowered("conv", 4, needed, 2, broken=(1,))
        >>> found.size, found.is_shared
        (3, False)
    """

    name: str
    columns: int
    needed: Tensor
    widest: int
    broken: tuple[int, ...]

    @property
    def size(self) -> int:
        """``R``: the columns that are left."""
        return int(self.needed.sum())

    @property
    def is_shared(self) -> bool:
        """Whether all kernels of each input map keep the same taps."""
        return not self.broken

    def __str__(self) -> str:
        said = f"{self.name}: {self.size} of {self.columns} columns"
        if self.is_shared:
            return f"{said}, shared by all output maps"
        return (
            f"{said}, though no output map keeps more than {self.widest}: the kernels of {len(self.broken)} input maps "
            "keep different taps"
        )


def lowered(model: nn.Module) -> list[Lowered]:
    """The lowered matrix of every convolution without groups, by its mask, or by its weights where it has none.

    Raises:
        PruningError: the network has no such convolution.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.passes import PruneStrided, compress
        >>> net = compress(nn.Sequential(nn.Conv1d(4, 8, 3)), PruneStrided(0.5))
        >>> print(lowered(net)[0])
        0: 6 of 12 columns, shared by all output maps
        >>> _ = net[0].parametrizations.weight[0].keep[0].fill_(True)  # one output map keeps all of its taps
        >>> lowered(net)[0].size, lowered(net)[0].is_shared
        (12, False)
    """
    found = []
    for path, module in model.named_modules():
        if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) or module.groups > 1:
            continue
        kept = _kept(module).flatten(2)
        outputs = len(kept)
        needed = kept.any(0)
        same = ((kept == needed).all(2) | ~kept.any(2)).all(0)  # a kernel without taps breaks nothing
        widest = int(kept.reshape(outputs, -1).sum(1).max())
        broken = tuple((~same).nonzero()[:, 0].tolist())
        found.append(Lowered(path or "the network", needed.numel(), needed.flatten(), widest, broken))
    if not found:
        raise PruningError(f"{type(model).__name__} has no convolution without groups")
    return found


def _kept(module: nn.Module) -> Tensor:
    """Which numbers of a weight are kept, ``(outputs, maps, ...)``."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    if parametrize.is_parametrized(module, "weight"):
        for step in module.get_submodule("parametrizations.weight").children():
            if isinstance(step, Mask):
                return step.keep.cpu()
    return torch.ne(weight.detach(), 0).cpu()

"""Structured pruning: what belongs together, how good a mask is, and the smaller network."""

import fewbit.torch_side  # noqa: F401
from fewbit.prune.elements import Elements, Masks, Owned, masked
from fewbit.prune.kernels import kernels_of
from fewbit.prune.masks import Mask, add_masks, drop_masks, masks_on
from fewbit.prune.removal import compact, remove
from fewbit.prune.structure import Group, Structure, structure_of

__all__ = [
    "Elements",
    "Group",
    "Mask",
    "Masks",
    "Owned",
    "Structure",
    "add_masks",
    "compact",
    "drop_masks",
    "kernels_of",
    "masked",
    "masks_on",
    "remove",
    "structure_of",
]

"""Structured pruning: what belongs together, how good a mask is, and the smaller network."""

import fewbit.torch_side  # noqa: F401
from fewbit.prune.elements import Elements, Masks, Owned, masked
from fewbit.prune.removal import remove
from fewbit.prune.structure import Group, Structure, structure_of

__all__ = ["Elements", "Group", "Masks", "Owned", "Structure", "masked", "remove", "structure_of"]

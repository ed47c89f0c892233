"""Structured pruning: what belongs together, how good a mask is, and the smaller network."""

import fewbit.torch_side  # noqa: F401
from fewbit.prune.elements import Elements, Masks, Owned, masked

__all__ = ["Elements", "Masks", "Owned", "masked"]

"""Floor 4: from torch to the integer Program."""

from fewbit.lower.packing import pack, trace

__all__ = ["pack", "trace"]

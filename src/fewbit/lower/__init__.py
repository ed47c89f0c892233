"""Floor 4: from torch to the integer Program."""

import fewbit.torch_side  # noqa: F401
from fewbit.lower.packing import pack, trace

__all__ = ["pack", "trace"]

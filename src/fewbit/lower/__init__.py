"""From torch to the integer Program."""

import fewbit.torch_side  # noqa: F401
from fewbit.lower.explaining import Explanation, explain
from fewbit.lower.packing import pack

__all__ = ["Explanation", "explain", "pack"]

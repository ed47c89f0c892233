"""Floor 4: compression as passes over a network."""

import fewbit.torch_side  # noqa: F401
from fewbit.passes.finetune import Finetune
from fewbit.passes.quantize import Quantize
from fewbit.passes.recipe import Pass, compress, describe

__all__ = ["Finetune", "Pass", "Quantize", "compress", "describe"]

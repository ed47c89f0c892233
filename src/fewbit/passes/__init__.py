"""Compression as passes over a network."""

import fewbit.torch_side  # noqa: F401
from fewbit.passes.finetune import Finetune
from fewbit.passes.gradual_bits import gradual
from fewbit.passes.learn_heads import LearnHeads
from fewbit.passes.online_finetune import OnlineFinetune
from fewbit.passes.prune import Compact, PruneChannels, PruneHeads, PruneKernels, PruneStrided, PruneUnits
from fewbit.passes.quantize import Quantize
from fewbit.passes.recipe import Pass, compress, describe
from fewbit.passes.recipe_file import Recipe, read_recipe
from fewbit.passes.sqwa import SQWA

__all__ = [
    "SQWA",
    "Compact",
    "Finetune",
    "LearnHeads",
    "OnlineFinetune",
    "Pass",
    "PruneChannels",
    "PruneHeads",
    "PruneKernels",
    "PruneStrided",
    "PruneUnits",
    "Quantize",
    "Recipe",
    "compress",
    "describe",
    "gradual",
    "read_recipe",
]

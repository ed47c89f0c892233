"""Floor 6: the whole path on the digits in the package: train, compress, pack, and the demo that does it all."""

import fewbit.torch_side  # noqa: F401
from fewbit.tour.commands_training import CommandsRecipe, commands
from fewbit.tour.demonstration import Demo, Row, demo, print_demo
from fewbit.tour.english_training import EnglishRecipe, english
from fewbit.tour.recipe import Recipe
from fewbit.tour.steps import Step, compress, pack, train

__all__ = [
    "CommandsRecipe",
    "Demo",
    "EnglishRecipe",
    "Recipe",
    "Row",
    "Step",
    "commands",
    "compress",
    "demo",
    "english",
    "pack",
    "print_demo",
    "train",
]

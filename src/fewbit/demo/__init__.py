"""The demo: a recogniser of spoken digits, trained, compressed, packed and compared with the float network."""

import fewbit.torch_side  # noqa: F401
from fewbit.demo.demonstration import Demo, Row, demo, print_demo
from fewbit.demo.recipe import DigitsRecipe

__all__ = ["Demo", "DigitsRecipe", "Row", "demo", "print_demo"]

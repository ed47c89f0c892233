"""Speed of networks on this machine: products, recurrent networks and packed files, relative to its limits."""

from fewbit.speed.blocks import BlockChoice, choose_block
from fewbit.speed.ceilings import Floor, read_rate
from fewbit.speed.products import time_product
from fewbit.speed.programs import CELLS, random_network, time_network, time_program
from fewbit.speed.timing import Timing, measure

__all__ = [
    "CELLS",
    "BlockChoice",
    "Floor",
    "Timing",
    "choose_block",
    "measure",
    "random_network",
    "read_rate",
    "time_network",
    "time_product",
    "time_program",
]

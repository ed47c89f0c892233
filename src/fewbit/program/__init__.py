"""The packed network, its arithmetic, its reference executor and its file (torch-free)."""

from fewbit.program.costs import Cost, OpCost, cost, show
from fewbit.program.program import Program
from fewbit.program.read import load
from fewbit.program.reference import Reference, State

__all__ = ["Cost", "OpCost", "Program", "Reference", "State", "cost", "load", "show"]

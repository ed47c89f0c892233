"""Torch networks as graphs of ATen operators, for all that looks at a network from outside: packing and pruning."""

import fewbit.torch_side  # noqa: F401
from fewbit.tracing.network import LAYER, OPAQUE, QUANTIZER, Traced, known_handles, trace_network
from fewbit.tracing.operators import MOVES, SAME, SHAPE_ONLY, args_of, operator_of

__all__ = [
    "LAYER",
    "MOVES",
    "OPAQUE",
    "QUANTIZER",
    "SAME",
    "SHAPE_ONLY",
    "Traced",
    "args_of",
    "known_handles",
    "operator_of",
    "trace_network",
]

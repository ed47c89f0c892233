"""The operations of a Program, one class each, and the table of their kinds.

An op reads integers ``(time, size)`` from the ops that it names (a source reads features) and gives integers. Its
docstring says what it computes in the terms of `fewbit.program.numerics`; its `run` is the code.
"""

from fewbit.program.ops.attention import Attend
from fewbit.program.ops.base import GROUP_SHIFT, Matrix, MatrixProduct, Op, Step, Value, Window
from fewbit.program.ops.clocks import First, Mean, Phases, Positions
from fewbit.program.ops.elementwise import Map, Mul, PReLU, Requantize, Sum
from fewbit.program.ops.hierarchy import Hierarchy, Parts
from fewbit.program.ops.norms import LogSoftmax, Magnitude, Norm, Softmax
from fewbit.program.ops.products import Conv, Dense
from fewbit.program.ops.recurrent import GRU, LSTM, QRNN, SRU
from fewbit.program.ops.shaping import Pool, Reverse, Take
from fewbit.program.ops.sources import Lookup, Quantize
from fewbit.program.ops.windows import ONE_PLACE, Grid

KINDS: dict[str, type[Op]] = {
    op.kind: op
    for op in (
        Quantize, Requantize, Dense, Conv, SRU, QRNN, LSTM, GRU, Hierarchy,
        Lookup, Sum, Mul, Map, PReLU, Take, Pool, Reverse, Norm, Softmax, LogSoftmax, Magnitude, Attend,
        Positions, Phases, Mean, First,
    )
}  # fmt: skip
"""Every kind of op by its name in packed files."""

__all__ = [
    "GROUP_SHIFT",
    "GRU",
    "KINDS",
    "LSTM",
    "ONE_PLACE",
    "QRNN",
    "SRU",
    "Attend",
    "Conv",
    "Dense",
    "First",
    "Grid",
    "Hierarchy",
    "LogSoftmax",
    "Lookup",
    "Magnitude",
    "Map",
    "Matrix",
    "MatrixProduct",
    "Mean",
    "Mul",
    "Norm",
    "Op",
    "PReLU",
    "Parts",
    "Phases",
    "Pool",
    "Positions",
    "Quantize",
    "Requantize",
    "Reverse",
    "Softmax",
    "Step",
    "Sum",
    "Take",
    "Value",
    "Window",
]

"""What a Program costs: bytes, and multiply-accumulates for each input frame."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fewbit.formats import PerGroup
from fewbit.formats.kept_columns import COLUMNS
from fewbit.program import ops
from fewbit.program.fields import Tensors, describe
from fewbit.program.program import Program
from fewbit.program.read import load


@dataclass(frozen=True)
class OpCost:
    """One op: what it is and what it costs.

    inputs: names of the ops that it reads. size: numbers of a frame of its result. result_bits: of each of them. bits:
    stored for each weight. bytes: codes, scales, biases, all that the file stores for it. macs: multiply-accumulates an
    input frame of the Program, averaged over a stride; of an op with a clock, in a frame in which all of it runs; of
    attention to a window of frames, when the window is full. pair_macs: of attention to all frames, for each pair of
    frames. kernels, kept_kernels: of a convolution that is stored without its kernels of zeros, and how many of them
    are stored; columns, kept_columns: the same of matrices that are stored without their columns of zeros.
    pattern_bytes: the bits that say so for each kernel or column, which count in `bits` and `bytes`, too; in `macs`,
    only what is kept counts.

    Examples:
        >>> import fewbit as fb
        >>> op = fb.show(fb.pretrained("digits")).ops[1]
        >>> op.op, op.shape, op.format, op.bytes
        ('Conv', '96 x 320', 'ternary', 6912)
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: str
    format: str
    bits: float
    weights: int
    bytes: int
    macs: float
    size: int
    result_bits: int
    pair_macs: int
    kernels: int = 0
    kept_kernels: int = 0
    columns: int = 0
    kept_columns: int = 0
    pattern_bytes: int = 0


@dataclass(frozen=True)
class Cost:
    """Cost of a whole Program: of each op, and of the file, with header and payload counted separately.

    Examples:
        >>> import fewbit as fb
        >>> counted = fb.show(fb.pretrained("digits"))
        >>> counted.header_bytes + counted.payload_bytes == counted.file_bytes, len(counted.ops)
        (True, 5)
    """

    ops: tuple[OpCost, ...]
    header_bytes: int
    payload_bytes: int
    file_bytes: int
    weight_bytes: int
    weights: int
    macs: float
    pair_macs: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def cost(program: Program) -> Cost:
    """Count bytes and multiply-accumulates.

    `Cost.weight_bytes` counts everything that represents trained parameters: packed codes, scales, biases and the
    normalisation. The multiply-accumulates are those of products with weights, and of attention.

    Examples:
        >>> import fewbit as fb
        >>> from fewbit.program import cost
        >>> counted = cost(fb.load(fb.pretrained("digits")))
        >>> counted.weights, counted.weight_bytes, round(counted.macs)
        (87072, 22168, 21768)
    """
    rows = []
    graph = program.graph
    for op, places, value, timing in zip(graph.ops, graph.inputs, graph.values, graph.timings, strict=True):
        matrices = op.matrices()
        weights = sum(m.rows * m.columns for m in matrices)
        pair = 2 * op.heads * op.width if isinstance(op, ops.Attend) and op.whole else 0
        rows.append(
            OpCost(
                name=op.name,
                op=type(op).__name__,
                inputs=tuple(graph.ops[place].name for place in places),
                shape=" + ".join(f"{m.rows} x {m.columns}" for m in matrices) or f"{value.size}",
                format=" + ".join(dict.fromkeys(_format(m) for m in matrices)) or "-",
                bits=round(8 * sum(m.data.nbytes for m in matrices) / weights, 2) if weights else 0.0,
                weights=weights,
                bytes=_bytes(op),
                macs=_macs(op) / timing.rate,
                size=value.size,
                result_bits=bits_of(value),
                pair_macs=pair,
                kernels=sum(m.kernels for m in matrices),
                kept_kernels=sum(m.kept_kernels for m in matrices),
                columns=sum(m.columns for m in matrices if m.layout == COLUMNS),
                kept_columns=sum(m.kept_columns for m in matrices if m.layout == COLUMNS),
                pattern_bytes=sum(m.pattern_bytes for m in matrices),
            )
        )
    data = program.to_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    return Cost(
        ops=tuple(rows),
        header_bytes=header,
        payload_bytes=len(data) - header,
        file_bytes=len(data),
        weight_bytes=sum(row.bytes for row in rows),
        weights=sum(row.weights for row in rows),
        macs=sum(row.macs for row in rows),
        pair_macs=sum(row.pair_macs for row in rows),
    )


def show(path: str | Path) -> Cost:
    """Cost of the packed file at `path`; raises `FileFormatError` if it cannot be read.

    Examples:
        >>> import fewbit as fb
        >>> from fewbit.program import show
        >>> show(fb.pretrained("digits")).file_bytes
        25272
    """
    return cost(load(path))


def bits_of(value: ops.Value) -> int:
    """Bits of each number of a value: with a sign where it can be negative."""
    if value.low < 0:
        return 1 + max(value.high.bit_length(), (-value.low - 1).bit_length())
    return max(1, value.high.bit_length())


def _format(matrix: ops.Matrix) -> str:
    return f"{matrix.format}/{matrix.per.size}" if isinstance(matrix.per, PerGroup) else f"{matrix.format}"


def _bytes(op: ops.Op) -> int:
    """Bytes in the file: those of the tensors that `describe` makes."""
    tensors: Tensors = {}
    describe(op, "", tensors)
    return sum(tensor.nbytes for tensor in tensors.values())


def _macs(op: ops.Op) -> int:
    """Multiply-accumulates for each frame of the result; an op with parts has those of its parts."""
    return sum(part.macs() for chain in op.chains for part in chain) if isinstance(op, ops.Hierarchy) else op.macs()

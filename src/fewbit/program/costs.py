"""What a Program costs: bytes, and multiply-accumulates for each input frame."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fewbit.formats import PerGroup
from fewbit.program import ops
from fewbit.program.numerics import Rescale
from fewbit.program.program import Program
from fewbit.program.read import load


@dataclass(frozen=True)
class OpCost:
    """One op: what it is and what it costs.

    bits: stored for each weight. bytes: codes, scales, biases, all that the file stores for it. macs:
    multiply-accumulates an input frame of the Program, averaged over a stride; of an op with a clock, in a frame in
    which all of it runs.
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


@dataclass(frozen=True)
class Cost:
    """A whole Program: its ops, and the file in which header and payload are counted apart."""

    ops: tuple[OpCost, ...]
    header_bytes: int
    payload_bytes: int
    file_bytes: int
    weight_bytes: int
    weights: int
    macs: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def cost(program: Program) -> Cost:
    """Count bytes and multiply-accumulates.

    `Cost.weight_bytes` is all that stands for trained parameters: packed codes, scales, biases and the normalisation.
    """
    rows = []
    graph = program.graph
    for op, places, value, timing in zip(graph.ops, graph.inputs, graph.values, graph.timings, strict=True):
        matrices = op.matrices()
        weights = sum(m.rows * m.columns for m in matrices)
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
                macs=op.macs() / timing.rate,
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
    )


def show(path: str | Path) -> Cost:
    """Cost of the packed file at `path`; raises `FileFormatError` if it cannot be read."""
    return cost(load(path))


def _format(matrix: ops.Matrix) -> str:
    return f"{matrix.format}/{matrix.per.size}" if isinstance(matrix.per, PerGroup) else f"{matrix.format}"


def _bytes(op: ops.Op) -> int:
    total = 0
    for value in vars(op).values():
        match value:
            case ops.Grid():
                pass
            case ops.Matrix():
                total += value.data.nbytes + (0 if value.group_scale is None else 2 * value.group_scale.size)
            case Rescale():
                total += 4 * value.multiplier.size
            case tuple():
                total += sum(_bytes(part) for part in value if isinstance(part, ops.Op))
            case _ if hasattr(value, "nbytes"):
                total += min(value.itemsize, 4) * value.size
    return total

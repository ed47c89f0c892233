"""Writing packed files ``*.fewbit``; the format is described in `docs/internals/file-format.md`."""

import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as to_safetensors

from fewbit.formats import PerGroup
from fewbit.program import ops
from fewbit.program.numerics import Rescale

VERSION = 1
KEY = "fewbit"
KINDS: dict[str, type[Any]] = {
    "quantize": ops.Quantize,
    "requantize": ops.Requantize,
    "dense": ops.Dense,
    "conv": ops.Conv,
    "sru": ops.SRU,
    "qrnn": ops.QRNN,
    "lstm": ops.LSTM,
    "gru": ops.GRU,
    "hierarchy": ops.Hierarchy,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def write(path: Path, content: bytes) -> Path:
    """Write a file that is complete or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path


def serialize(chain: Sequence[ops.Op], notes: dict[str, Any]) -> bytes:
    """The content of a packed file; the same ops and notes give the same bytes."""
    tensors: dict[str, NDArray[Any]] = {}
    described = [_describe(op, f"{i:02d}", tensors) for i, op in enumerate(chain)]
    meta = notes | {"version": VERSION, "ops": described}
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return to_safetensors(tensors, {KEY: text})


def _describe(op: ops.Op, prefix: str, tensors: dict[str, NDArray[Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": _NAMES[type(op)], "tensors": prefix}
    for field in fields(op):
        value = getattr(op, field.name)
        key = f"{prefix}.{field.name}"
        if isinstance(value, ops.Matrix):
            tensors[key] = value.data
            per = value.per.size if isinstance(value.per, PerGroup) else value.granularity
            record[field.name] = {
                "rows": value.rows,
                "columns": value.columns,
                "format": value.format.name,
                "layout": value.layout,
                "per": per,
            }
            if value.group_scale is not None:
                tensors[f"{key}.group_scale"] = value.group_scale.astype(np.uint16)
        elif isinstance(value, Rescale):
            tensors[f"{key}.multiplier"] = value.multiplier.astype(np.int32)
            record[field.name] = {"shift": value.shift, "low": value.low, "high": value.high}
        elif isinstance(value, tuple):
            record[field.name] = [_describe(part, f"{key}.{i}", tensors) for i, part in enumerate(value)]
        elif isinstance(value, np.ndarray):
            tensors[key] = value.astype(np.int32) if value.dtype == np.int64 else value
        else:
            record[field.name] = value
    return record

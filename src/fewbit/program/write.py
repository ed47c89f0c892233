"""Writing packed files ``*.fewbit``; the format is described in `docs/internals/file-format.md`."""

import json
from collections.abc import Sequence
from typing import Any

from safetensors.numpy import save as to_safetensors

from fewbit.program.fields import Tensors, describe
from fewbit.program.ops import Op

VERSION = 2
KEY = "fewbit"


def serialize(ops: Sequence[Op], notes: dict[str, Any]) -> bytes:
    """The content of a packed file; the same ops and notes give the same bytes.

    A chain of ops that version 1 knows is written as version 1, so that older readers take it.
    """
    tensors: Tensors = {}
    described = [describe(op, f"{i:02d}", tensors) for i, op in enumerate(ops)]
    new = "signature" in notes or any(op.is_new() for op in ops) or any(op.source for op in ops[1:])
    meta = notes | {"version": VERSION if new else 1, "ops": described}
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return to_safetensors(tensors, {KEY: text})

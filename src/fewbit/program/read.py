"""Reading the packed file ``*.fewbit``: one valid safetensors file with one metadata key.

The key ``fewbit`` holds sorted JSON: version, ops, features, alphabet, recipe, signature. Tensors are named
``<op>.<part>``: packed weights as bytes, biases, multipliers and points as integers, gains as float32. Readers refuse
damaged files with one sentence for each fault, and read every older version. See
`docs/internals/file-format.md`.
"""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fewbit.errors import FileFormatError, FormatError, LoweringError
from fewbit.program.container import open_container
from fewbit.program.fields import RecordReader
from fewbit.program.ops import KINDS, Op
from fewbit.program.program import Program
from fewbit.program.signature import read_signature


def load(path: str | Path) -> Program:
    """Read a packed file.

    Raises:
        FileFormatError: the file is missing, damaged, or written by a newer version.

    Examples:
        >>> import fewbit as fb
        >>> program = fb.load(fb.pretrained("digits"))
        >>> program.inputs, program.outputs, program.stride
        (40, 11, 4)
    """
    try:
        return _build(*open_container(path))
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _build(meta: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Program:
    described = meta.get("ops")
    if not isinstance(described, list) or not described:
        raise FileFormatError("the description lists no ops; the file is damaged")
    unused = set(tensors)
    built: list[Op] = []
    for i, record in enumerate(described):
        try:
            built.append(RecordReader(record, tensors, unused).op())
        except (FileFormatError, FormatError) as error:
            kind = record.get("kind") if isinstance(record, dict) else None
            known = f" ({kind})" if isinstance(kind, str) and kind in KINDS else ""
            raise FileFormatError(f"op {i}{known}: {error}") from error
    if unused:
        raise FileFormatError(f"tensors that no op uses: {sorted(unused)[:5]}; the file is damaged")
    for part in ("features", "alphabet", "recipe"):
        if not isinstance(meta.get(part), dict | None):
            raise FileFormatError(f"'{part}' is not an object; the file is damaged")
    if meta["version"] == 1 and not (built[0].source and not any(op.source for op in built[1:])):
        raise FileFormatError("the first op, and no other, must be 'quantize'; the file is damaged")
    if meta["version"] == 1:
        new = next((i for i, op in enumerate(built) if op.is_new()), None)
        if new is not None:
            raise FileFormatError(f"op {new} ({built[new].kind}) is of version 2, the file says 1; the file is damaged")
        if meta.get("signature") is not None:
            raise FileFormatError("a file of version 1 has a signature; the file is damaged")
    signature = None if meta.get("signature") is None else read_signature(meta["signature"])
    try:
        return Program(tuple(built), meta.get("features"), meta.get("alphabet"), meta.get("recipe") or {}, signature)
    except LoweringError as error:
        raise FileFormatError(f"{error}; the file is damaged") from error

"""Opening the container of a packed file: a valid safetensors file whose one metadata key holds plain JSON.

Each kind of failure has its own message.
"""

import json
import math
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fewbit.errors import FileFormatError
from fewbit.program.limits import MAX_DEPTH
from fewbit.program.write import KEY, VERSION


def open_container(path: str | Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The description and the tensors of a packed file.

    Raises:
        FileFormatError: the container is missing, damaged, or of a newer version.
    """
    if not Path(path).is_file():
        raise FileFormatError("there is no such file")
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
            if KEY not in metadata:
                raise FileFormatError(
                    "a safetensors file, but not a packed network (no 'fewbit' in its metadata); make one with "
                    "fewbit pack"
                )
            meta = _parse(metadata[KEY])
            tensors = {name: _tensor(file, name) for name in file.keys()}
    except SafetensorError as error:
        raise FileFormatError(_container_fault(str(error))) from error
    except OSError as error:
        raise FileFormatError(f"the file cannot be opened: {error}") from error
    return meta, tensors


def _parse(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise FileFormatError(f"the description holds {constant}, which is no number")

    try:
        meta = json.loads(text, parse_constant=refuse)
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError, or an integer of thousands of digits
        raise FileFormatError(f"the description is not JSON ({error}); the file is damaged") from error
    _check_plain(meta)
    if not isinstance(meta, dict):
        raise FileFormatError("the description is not a JSON object; the file is damaged")
    version = meta.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FileFormatError(f"the version {shortened(version)} is no positive integer; the file is damaged")
    if version > VERSION:
        raise FileFormatError(
            f"the file is of version {version}, this fewbit reads up to {VERSION}; update fewbit or pack it again"
        )
    return meta


def _check_plain(value: Any, depth: int = 0) -> None:
    """Refuse JSON that no writer makes: deep nesting, numbers beyond float64, unpaired surrogates."""
    if depth > MAX_DEPTH:
        raise FileFormatError(f"the description is nested deeper than {MAX_DEPTH}; the file is damaged")
    match value:
        case dict():
            for key, part in value.items():
                _check_plain(key, depth + 1)
                _check_plain(part, depth + 1)
        case list():
            for part in value:
                _check_plain(part, depth + 1)
        case float() if not math.isfinite(value):
            raise FileFormatError("the description holds a number that is too large; the file is damaged")
        case str() if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise FileFormatError("the description holds half a character; the file is damaged")


def _tensor(file: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(file.get_tensor(name))
    except (TypeError, AttributeError) as error:  # bfloat16, float8 and others that NumPy lacks
        raise FileFormatError(f"the tensor {name!r} holds numbers that no packed network has ({error})") from error


_CONTAINER_FAULTS = (  # in the words of safetensors from 0.6 on, in those before, and in ours
    ("header too small", "HeaderTooSmall", "the file is shorter than 8 bytes; it is empty or was cut off"),
    ("header too large", "HeaderTooLarge", "the header claims to be larger than 100 MB; this is not a packed network"),
    (
        "invalid header length",
        "InvalidHeaderLength",
        "the header claims more bytes than the file has; it was cut off or is no packed network",
    ),
    ("invalid start", "InvalidHeaderStart", "the header does not start with '{'; this is not a packed network"),
    (
        "invalid JSON in header",
        "InvalidHeaderDeserialization",
        "the header is not JSON of a safetensors file; it is damaged or something else",
    ),
    ("invalid UTF-8", "InvalidHeader", "the header is not text; the file is damaged or is no packed network"),
    (
        "incomplete metadata",
        "MetadataIncompleteBuffer",
        "the tensors do not fill the file exactly; it was cut off or something was added",
    ),
    ("invalid shape", "TensorInvalidInfo", "a tensor's shape does not fit its bytes; the file is damaged"),
    ("invalid offset", "InvalidOffset", "the tensors overlap or leave holes; the file is damaged"),
    ("overflow computing", "ValidationOverflow", "a tensor's shape is too large to be true; the file is damaged"),
)


def _container_fault(message: str) -> str:
    for words, name, fault in _CONTAINER_FAULTS:
        if words in message or name in message:
            return fault
    return f"not a valid safetensors file ({message})"
